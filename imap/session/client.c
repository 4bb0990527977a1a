#include "imap/session/client.h"

#include <stdlib.h>
#include <string.h>

#include "imap/login/login.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/engine/engine.h"
#include "lib/imapwire/out.h"
#include "lib/name/identity.h"
#include "lib/name/namespace.h"

static const struct leg_program *the_program;

void leg_register(const struct leg_program *program)
{
    the_program = program;
}

const struct leg_program *leg_program(void)
{
    return the_program;
}

/* ---- legs ---- */

static struct leg *find_leg(struct client *c, const char *server)
{
    for (struct leg *l = c->legs; l != NULL; l = l->next)
        if (server == NULL ? l->server == NULL : (l->server != NULL && strcmp(l->server, server) == 0))
            return l;
    return NULL;
}

struct leg *client_leg(struct client *c, const char *server)
{
    const struct leg_program *program = leg_program();
    struct leg *leg;

    if (server != NULL && (*server == '\0' || strcmp(server, config_servername()) == 0))
        server = NULL;
    leg = find_leg(c, server);
    if (leg != NULL)
        return leg;
    if (server == NULL ? program->local == NULL : program->proxy == NULL)
        return NULL;
    leg = server == NULL ? program->local_new(c) : program->proxy_new(c, server);
    leg->magic = LEG_MAGIC;
    leg->next = c->legs;
    c->legs = leg;
    return leg;
}

int client_slot_get(struct client *c)
{
    for (int slot = 1; slot < SESSION_SLOTS; slot++) {
        if ((c->slots_used & (1u << slot)) == 0) {
            c->slots_used |= 1u << slot;
            return slot;
        }
    }
    return -1;
}

void client_slot_put(struct client *c, int slot)
{
    BUG_ON(slot <= 0 || (c->slots_used & (1u << slot)) == 0);
    c->slots_used &= ~(1u << slot);
    session_watch(c->session, (unsigned)slot, -1, 0);
}

void client_slots_off(struct client *c)
{
    for (unsigned slot = 1; slot < SESSION_SLOTS; slot++)
        if ((c->slots_used & (1u << slot)) != 0)
            session_disarm(c->session, slot);
}

/* ---- the selection ---- */

void client_proc(struct client *c, const char *command)
{
    c->proc_is_old = false;
    login_proc(c->login, c->selected_name, command);
}

void client_selected(struct client *c, struct leg *leg, const char *name, bool read_only)
{
    free(c->selected_name);
    c->selected_name = xstrdup(name);
    c->selected = leg;
    c->selected_lost = false;
    c->read_only = read_only;
    c->state = CLIENT_SELECTED;
    client_proc(c, NULL);
}

void client_reselects(struct client *c)
{
    free(c->selected_name);
    c->selected_name = NULL;
    c->selected = NULL;
    c->selected_lost = false;
    c->read_only = false;
    if (c->state == CLIENT_SELECTED)
        c->state = CLIENT_AUTH;
    c->proc_is_old = true;
}

void client_unselected(struct client *c)
{
    client_reselects(c);
    client_proc(c, NULL);
}

void client_selection_lost(struct client *c)
{
    c->selected = NULL;
    c->selected_lost = true;
}

void client_bye(struct client *c, const char *code, const char *text)
{
    if (c->bye == NULL)
        c->bye = code != NULL ? pool_printf(c->pool, "[%s] %s", code, text) : pool_strdup(c->pool, text);
}

/* ---- names and rights ---- */

void client_put_name(const struct client *c, const char *external, struct buf *to)
{
    if (c->ns->utf8)
        imap_put_utf8_astring(to, external);
    else
        imap_put_astring(to, external);
}

const char *client_name_out(const struct client *c, struct pool *pool, const char *internal)
{
    struct buf external = BUF_INIT, wire = BUF_INIT;
    const char *out = NULL;

    if (namespace_to_external(c->ns, internal, &external) == 0) {
        client_put_name(c, buf_cstr(&external), &wire);
        out = pool_strdup(pool, buf_cstr(&wire));
    }
    buf_free(&external);
    buf_free(&wire);
    return out;
}

int client_name_in(const struct client *c, struct pool *pool, const char *external, const char **internal_r)
{
    struct buf internal = BUF_INIT;
    size_t n = strlen(external);
    int r;

    if (n > 1 && external[n - 1] == c->ns->separator)
        external = pool_strndup(pool, external, n - 1);
    r = namespace_to_internal(c->ns, external, &internal);
    if (r == 0)
        *internal_r = pool_strdup(pool, buf_cstr(&internal));
    buf_free(&internal);
    return r;
}

const char *client_identifier(struct pool *pool, const char *given)
{
    struct buf identifier = BUF_INIT;
    const char *canonical;

    identity_canonical_identifier(name_config(), given, opt_switch(OPT_USERNAME_TOLOWER), &identifier);
    canonical = pool_strdup(pool, buf_cstr(&identifier));
    buf_free(&identifier);
    return canonical;
}

rights_t client_rights(const struct client *c, const char *mailbox, const char *acl)
{
    return identity_rights(name_config(), acl, c->identity, mailbox);
}

void client_authenticated(struct client *c)
{
    const char *authid = c->login->authid;
    bool itself = authid == NULL || strcmp(authid, c->login->identity->userid) == 0;
    struct identity *other = itself ? NULL : identity_new(name_config(), authid);
    const struct identity *who = itself ? c->login->identity : other;

    c->identity = c->login->identity;
    c->is_proxied = who->is_proxy;
    c->is_script = false;
    c->is_peer = who->is_proxy || who->is_admin;
    c->is_itself = itself;
    identity_free(&other);
}
