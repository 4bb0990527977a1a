/* place.c: where a new mailbox goes, and the barrier of own writes. */
#include <stdlib.h>
#include <string.h>

#include "imap/proxy/proxy-private.h"
#include "imap/session/client.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/engine/engine.h"
#include "lib/mupdate/link.h"
#include "lib/name/identity.h"

static struct str_list servers(struct pool *pool)
{
    const char *list = opt_string(OPT_SERVERLIST);

    return str_split(pool, list != NULL ? list : "", " \t");
}

/* The proxy's password goes to no server that the configuration does not name. */
static bool is_named(const struct str_list *list, const char *server)
{
    const char *given = opt_string(OPT_DEFAULTSERVER);

    return str_list_has(list, server) || (given != NULL && strcmp(given, server) == 0);
}

bool proxy_is_server(const char *word)
{
    struct pool *pool = pool_new(0);
    struct str_list list = servers(pool);
    bool server = strpbrk(word, "!.:") != NULL || is_named(&list, word);

    pool_free(&pool);
    return server;
}

/* The server of `server`, `server!partition`; NULL: none is named. */
static const char *wanted_server(struct pool *pool, const char *wanted)
{
    size_t n = wanted != NULL ? strcspn(wanted, "!") : 0;

    return n > 0 ? pool_strndup(pool, wanted, n) : NULL;
}

int proxy_place(struct client *c, struct command *cmd, const char *mailbox, const char *wanted,
                const char **server_r)
{
    struct str_list list = servers(cmd->pool);
    const char *server = wanted_server(cmd->pool, wanted);
    int r;

    (void)mailbox;
    if (!c->identity->is_admin)
        return ERR_DENIED;
    if (server == NULL)
        server = opt_string(OPT_DEFAULTSERVER);
    if (server == NULL && list.count > 0 && (r = proxy_choose(cmd, &list, &server)) < 0)
        return r;
    *server_r = NULL;
    if (server == NULL && leg_program()->local != NULL)
        return 0; /* a unified node: here */
    if (server == NULL) {
        cmd->failure = "[CANNOT] No server for new mailboxes is configured (serverlist, defaultserver)";
        return ERR_CONFIG;
    }
    if (!is_named(&list, server)) {
        cmd->failure = pool_printf(cmd->pool, "[CANNOT] Server %s is not in the serverlist", server);
        return ERR_CONFIG;
    }
    *server_r = server;
    return 0;
}

/* ---- new users ---- */

int proxy_newcomer(struct client *c, struct command *cmd, void **state)
{
    struct proxy_leg *p = *state;
    int r;

    if (p == NULL) {
        struct str_list list = servers(cmd->pool);
        const char *server = opt_string(OPT_DEFAULTSERVER);

        if (server == NULL && list.count > 0 && (r = proxy_choose(cmd, &list, &server)) < 0)
            return r;
        if (server == NULL)
            return ERR_CONFIG;
        *state = p = (struct proxy_leg *)client_leg(c, server);
    }
    r = proxy_exchange(p, cmd, NULL, NULL, "NOOP");
    if (r != ERR_AGAIN)
        *state = NULL;
    return r;
}

void proxy_newcomer_cancel(void **state)
{
    *state = NULL;
}

/* ---- the barrier ---- */

struct barrier {
    struct mupdate_request *request;
    int64_t deadline;
};

static void wake(void *session)
{
    session_wake(session);
}

void *proxy_barrier_begin(struct client *c)
{
    struct mupdate_link *link = mupdate_link(MUPDATE_LOCAL_SLAVE);
    struct barrier *b;

    if (link == NULL)
        return NULL;
    b = xmalloc(sizeof(*b));
    b->deadline = clock_deadline(LEG_BARRIER_MS);
    b->request = mupdate_barrier(link, wake, c->session);
    return b;
}

int proxy_barrier_result(void **barrier)
{
    struct barrier *b = *barrier;
    bool done = mupdate_request_done(b->request);
    int r;

    if (!done && clock_left(b->deadline) != 0)
        return ERR_AGAIN;
    r = done && mupdate_request_result(b->request) == 0 ? 0 : ERR_UNAVAILABLE;
    proxy_barrier_cancel(barrier);
    return r;
}

void proxy_barrier_cancel(void **barrier)
{
    struct barrier *b = *barrier;

    mupdate_request_free(&b->request);
    free(b);
    *barrier = NULL;
}
