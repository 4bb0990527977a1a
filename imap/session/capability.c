#include "imap/session/capability.h"

#include <string.h>

#include "imap/login/login.h"
#include "imap/session/client.h"
#include "lib/base/config.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"

enum { MUPDATE_PORT = 3905 };
enum when { ALWAYS, BEFORE, AFTER, PROXY };

static const struct {
    const char *name;
    enum when when;
} table[] = {
#define CAPABILITY(name, when) {name, when},
#include "imap/session/capability.def"
#undef CAPABILITY
};

/* Without copying the option: this is asked for every command. */
bool capability_is_suppressed(const char *name)
{
    const char *s = opt_string(OPT_SUPPRESS_CAPABILITIES);
    size_t n = strlen(name);

    while (s != NULL && *s != '\0') {
        size_t word = strcspn(s, " \t");

        if (word == n && str_ieq_n(s, name, n))
            return true;
        s += word;
        s += strspn(s, " \t");
    }
    return false;
}

static void add(struct buf *to, const char *name)
{
    if (capability_is_suppressed(name))
        return;
    if (to->len > 0)
        buf_putc(to, ' ');
    buf_puts(to, name);
}

/* Before authentication: how to authenticate.  RFC 4959 goes with the mechanisms. */
static void add_login(struct client *c, struct buf *to)
{
    const char *mechanisms = login_mechanisms(c->login);
    struct pool *pool = pool_new(0);
    struct str_list words = str_split(pool, mechanisms, " ");
    struct buf name = BUF_INIT;

    for (size_t i = 0; i < words.count; i++) {
        buf_reset(&name);
        buf_printf(&name, "AUTH=%s", words.items[i]);
        add(to, buf_cstr(&name));
    }
    buf_free(&name);
    if (words.count > 0)
        add(to, "SASL-IR");
    pool_free(&pool);
    if (login_may_starttls(c->login))
        add(to, "STARTTLS");
    if (!login_may_plain(c->login))
        add(to, "LOGINDISABLED");
}

/* Where the mailbox list's authority is: with its port where that is not the usual one. */
static void add_mupdate(struct buf *to)
{
    const char *server = opt_string(OPT_MUPDATE_SERVER);
    int64_t port = opt_int(OPT_MUPDATE_PORT);
    struct buf name = BUF_INIT;

    if (server == NULL)
        return;
    buf_printf(&name, "MUPDATE=mupdate://%.*s", (int)strcspn(server, " "), server);
    if (port != MUPDATE_PORT && strchr(server, ':') == NULL)
        buf_printf(&name, ":%lld", (long long)port);
    buf_putc(&name, '/');
    add(to, buf_cstr(&name));
    buf_free(&name);
}

static bool is_due(const struct client *c, enum when when)
{
    bool authenticated = c->state != CLIENT_NOAUTH;

    switch (when) {
    case ALWAYS:
        return true;
    case BEFORE:
        return !authenticated;
    case AFTER:
        return authenticated;
    case PROXY:
        return authenticated && c->is_proxied && leg_program()->local != NULL;
    }
    return false;
}

void capability_list(struct client *c, struct buf *to)
{
    bool authenticated = c->state != CLIENT_NOAUTH;
    struct buf list = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        if (is_due(c, table[i].when))
            add(&list, table[i].name);
        if (i == 0)
            add(&list, opt_switch(OPT_LITERALMINUS) ? "LITERAL-" : "LITERAL+");
    }
    add_mupdate(&list);
    if (!authenticated)
        add_login(c, &list);
    buf_append(to, list.data, list.len);
    buf_free(&list);
}
