#include "imap/managesieve/relay.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "imap/login/login.h"
#include "imap/managesieve/front-private.h"
#include "lib/backend/backend.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/pool.h"
#include "lib/base/str.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/mupdate/link.h"
#include "lib/name/identity.h"
#include "lib/name/mboxname.h"
#include "lib/stream/stream.h"

enum { CLIENT_SLOT, SERVER_SLOT };

#define RELAY_MAGIC 0x73726c79u

struct managesieve_relay {
    unsigned magic;
    struct login *login;
    struct mboxlist *list;
    struct buf inbox;
    char *server;                    /* NULL: the list does not have it */
    struct mupdate_request *barrier; /* under way */
    int64_t barrier_end;
    struct backend *backend;
    bool piping;
};

/* 0 and relay->server; ERR_EXISTS: here; ERR_NOTFOUND. */
static int look_up(struct managesieve_relay *relay)
{
    struct mboxlist_record record;
    struct pool *pool = pool_new(0);
    int r = mboxlist_lookup(relay->list, buf_cstr(&relay->inbox), pool, &record);

    if (r == 0 && record.type == MBOXLIST_LOCAL)
        r = ERR_EXISTS;
    else if (r == 0 && (record.type != MBOXLIST_REMOTE || record.server[0] == '\0'))
        r = ERR_NOTFOUND;
    if (r == 0)
        relay->server = xstrdup(record.server);
    pool_free(&pool);
    return r;
}

int managesieve_relay_new(struct login *l, struct mboxlist *list, struct managesieve_relay **relay)
{
    struct managesieve_relay *new = xcalloc(1, sizeof(*new));
    int r;

    managesieve_relay_free(relay);
    new->magic = RELAY_MAGIC;
    new->login = l;
    new->list = list;
    r = l->identity->userid != NULL ? mboxname_inbox(name_config(), l->identity->userid, &new->inbox)
                                    : ERR_NOTFOUND;
    if (r < 0)
        r = ERR_NOTFOUND;
    else
        r = look_up(new);
    *relay = new;
    if (r == ERR_NOTFOUND && new->inbox.len > 0)
        return 0;
    if (r < 0)
        managesieve_relay_free(relay);
    return r;
}

void managesieve_relay_free(struct managesieve_relay **relay)
{
    struct managesieve_relay *f = *relay;

    if (f == NULL)
        return;
    MAGIC_CHECK(f, RELAY_MAGIC);
    mupdate_request_free(&f->barrier);
    if (f->backend != NULL)
        session_watch(f->login->session, SERVER_SLOT, -1, 0);
    backend_free(&f->backend);
    buf_free(&f->inbox);
    free(f->server);
    free(f);
    *relay = NULL;
}

bool managesieve_relay_is_located(const struct managesieve_relay *relay)
{
    return relay->server != NULL;
}

/* ---- referrals ---- */

bool managesieve_relay_refers(const struct managesieve_relay *relay)
{
    return relay->server != NULL && opt_switch(OPT_SIEVE_ALLOWREFERRALS);
}

/* The list's port is IMAP's. */
void managesieve_relay_referral(const struct managesieve_relay *relay, struct buf *code)
{
    const char *server = relay->server, *end = server[0] == '[' ? strchr(server, ']') : strchr(server, ':');
    size_t n = end != NULL ? (size_t)(end - server) + (*end == ']') : strlen(server);

    buf_printf(code, "REFERRAL \"sieve://%.*s\"", (int)n, server);
}

/* ---- finding the server ---- */

static void wake(void *session)
{
    session_wake(session);
}

static enum engine_verdict give_up(struct managesieve_relay *relay, const char *code, const char *text)
{
    managesieve_reply(relay->login->front, "BYE", code, text);
    return login_close(relay->login);
}

/* The list did not have the name: once everything is in it that the master had when this began, it is asked again. */
static enum engine_verdict find(struct managesieve_relay *relay)
{
    struct mupdate_link *link = mupdate_link(MUPDATE_LOCAL_SLAVE);
    bool is_old;
    int r;

    if (relay->barrier == NULL && link != NULL) {
        relay->barrier = mupdate_barrier(link, wake, relay->login->session);
        relay->barrier_end = clock_deadline(MANAGESIEVE_BARRIER_MS);
    }
    if (relay->barrier != NULL && !mupdate_request_done(relay->barrier) && clock_ms() < relay->barrier_end)
        return login_park(relay->login, false, relay->barrier_end);
    is_old = relay->barrier == NULL || !mupdate_request_done(relay->barrier) ||
             mupdate_request_result(relay->barrier) != 0;
    mupdate_request_free(&relay->barrier);
    r = look_up(relay);
    if (r == 0)
        return ENGINE_AGAIN;
    if (r != ERR_NOTFOUND || is_old)
        return give_up(relay, "TRYLATER", "Your mailbox cannot be looked up now");
    return give_up(relay, NULL, "You have no mailbox here");
}

/* ---- piping ---- */

static void begin(struct managesieve_relay *relay)
{
    const struct backend_config config = {
        .protocol = BACKEND_SIEVE, .server = relay->server, .authzid = relay->login->identity->userid};

    relay->backend = backend_new(&config);
}

/* What holds of the server for a user: not how to log in. */
static void tell_capabilities(struct managesieve_relay *relay)
{
    struct stream *s = relay->login->stream;
    struct pool *pool = pool_new(0);
    struct str_list lines = str_split(pool, backend_capabilities(relay->backend), "\n");

    for (size_t i = 0; i < lines.count; i++) {
        const char *line = lines.items[i], *value = strchr(line, ' ');
        size_t n = value != NULL ? (size_t)(value - line) : strlen(line);

        if ((n == 4 && str_ieq_n(line, "SASL", n)) || (n == 8 && str_ieq_n(line, "STARTTLS", n)))
            continue;
        managesieve_string(s, line, n);
        if (value != NULL) {
            stream_puts(s, " ");
            managesieve_string(s, value + 1, strlen(value + 1));
        }
        stream_puts(s, "\r\n");
    }
    stream_puts(s, "OK\r\n");
    pool_free(&pool);
}

static enum engine_verdict connect_step(struct managesieve_relay *relay, bool capabilities)
{
    int r = backend_step(relay->backend);

    if (r == BACKEND_MORE)
        return ENGINE_AGAIN;
    if (r == BACKEND_WAIT) {
        session_watch(relay->login->session, SERVER_SLOT, backend_fd(relay->backend),
                      backend_events(relay->backend));
        return login_park(relay->login, false, backend_deadline(relay->backend));
    }
    if (r < 0) {
        LOG(LOG_WARNING, SIEVE_BACKEND, LOG_STR(SERVER, relay->server),
            LOG_STR(ERROR, backend_error(relay->backend)));
        return give_up(relay, "TRYLATER", "The server of your scripts cannot be reached now");
    }
    relay->piping = true;
    if (capabilities)
        tell_capabilities(relay);
    return ENGINE_AGAIN;
}

static enum engine_verdict pipe_step(struct managesieve_relay *relay)
{
    struct login *l = relay->login;
    struct stream *server = backend_stream(relay->backend);
    int r;

    if (session_stopping(l->session))
        return login_bye(l, "Server shutting down");
    while ((r = stream_pump(l->stream, server)) == 1) {
        if (session_slice_over(l->session))
            return ENGINE_AGAIN;
    }
    if (r < 0)
        return login_close(l);
    session_watch(l->session, SERVER_SLOT, stream_fd(server), stream_pump_events(server, l->stream));
    return login_park(l, (stream_pump_events(l->stream, server) & POLLIN) != 0, CLOCK_NEVER);
}

enum engine_verdict managesieve_relay_run(struct managesieve_relay *relay, bool capabilities)
{
    MAGIC_CHECK(relay, RELAY_MAGIC);
    if (relay->piping)
        return pipe_step(relay);
    if (session_stopping(relay->login->session))
        return login_bye(relay->login, "Server shutting down");
    if (relay->server == NULL)
        return find(relay);
    if (relay->backend == NULL)
        begin(relay);
    return connect_step(relay, capabilities);
}
