/* exchange.c: commands of our own to a backend, and IDLE. */
#include <string.h>

#include "imap/proxy/proxy-private.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/imapwire/args.h"

enum { POLL_MIN_MS = 1000 };
enum { SET_MAX = 4000 }; /* bytes of a set in a command of ours: RFC 2683 3.2.1.5 wants lines below 8,000 */

int proxy_begin_once(struct proxy_leg *p, struct command *cmd, const char *text)
{
    int r = proxy_connect(p, cmd);

    if (r < 0 || p->open != 0)
        return r;
    proxy_begin(p);
    stream_printf(p->stream, "%s\r\n", text);
    return 0;
}

int proxy_exchange(struct proxy_leg *p, struct command *cmd, struct stream *to, const char **ok_r,
                   const char *text)
{
    int r = proxy_begin_once(p, cmd, text);

    return r < 0 ? r : proxy_answer(p, cmd, to, ok_r);
}

int proxy_poll(struct leg *leg, struct command *cmd)
{
    return proxy_exchange((struct proxy_leg *)leg, cmd, leg->client->stream, NULL, "NOOP");
}

/* ---- IDLE ---- */

/* Without IDLE there: NOOP now and then.  As idle_run of struct leg_ops. */
static int poll_run(struct proxy_leg *p, struct command *cmd)
{
    struct stream *to = p->leg.client->stream;
    int64_t pause = opt_duration_ms(OPT_IMAPIDLEPOLL);
    enum reply reply;
    const char *text;
    size_t len;
    int r;

    if (p->open == 0 && clock_ms() < p->poll_at) {
        reply = proxy_relay(p, to, &text, &len);
        if (reply != REPLY_NONE)
            return proxy_waiting(p, cmd, reply);
    } else {
        r = proxy_exchange(p, cmd, to, NULL, "NOOP");
        if (r < 0)
            return r;
        p->poll_at = clock_deadline(pause > POLL_MIN_MS ? pause : POLL_MIN_MS);
    }
    p->silent_at = p->poll_at;
    proxy_arm(p, cmd, true);
    return ERR_AGAIN;
}

static int poll_stop(struct proxy_leg *p, struct command *cmd)
{
    p->poll_at = 0;
    return p->open != 0 ? proxy_answer(p, cmd, p->leg.client->stream, NULL) : 0;
}

int proxy_idle_start(struct leg *leg, struct command *cmd)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;
    const char *text;
    size_t len;
    int r = proxy_connect(p, cmd);
    enum reply reply;

    if (r < 0 || !backend_has(p->backend, "IDLE"))
        return r;
    r = proxy_begin_once(p, cmd, "IDLE");
    if (r < 0)
        return r;
    r = stream_flush(p->stream);
    if (r < 0 && r != ERR_AGAIN)
        return proxy_fail(p, cmd, r);
    reply = proxy_relay(p, leg->client->stream, &text, &len);
    if (reply == REPLY_TAGGED)
        return proxy_judge(p, cmd, text, len, NULL) < 0 ? ERR_REFUSED : ERR_PROTOCOL;
    return reply == REPLY_CONTINUE ? 0 : proxy_waiting(p, cmd, reply);
}

/* A backend that idles has nothing to say, and one that hangs neither.  So an IDLE that has been silent for a
 * few times backend_timeout is ended and begun anew behind the client's back: a server that is there answers. */
enum { IDLE_TRY_AFTER = 5 };

/* p->phase meanwhile. */
enum { IDLING, IDLE_ENDING, IDLE_BEGINNING };

static void idle_say(struct proxy_leg *p, unsigned phase)
{
    if (phase == IDLE_BEGINNING) {
        if (proxy_notify_is_new(p))
            proxy_say_notify(p);
        proxy_begin(p);
    }
    stream_puts(p->stream, phase == IDLE_BEGINNING ? "IDLE\r\n" : "DONE\r\n");
    p->phase = phase;
    p->silent_at = 0;
}

/* Takes a reply that belongs to beginning anew: true. */
static bool idle_take(struct proxy_leg *p, enum reply reply, const char *text, size_t len)
{
    if (reply == REPLY_CONTINUE && p->phase == IDLE_BEGINNING)
        p->phase = IDLING;
    else if (reply == REPLY_TAGGED && p->phase == IDLE_ENDING && len >= 2 && str_ieq_n(text, "OK", 2))
        idle_say(p, IDLE_BEGINNING);
    else
        return false;
    return true;
}

/* Hands output over and waits.  As proxy_waiting(). */
static int idle_wait(struct proxy_leg *p, struct command *cmd, enum reply reply)
{
    int r = reply == REPLY_NONE ? stream_flush(p->stream) : 0;

    return r < 0 && r != ERR_AGAIN ? proxy_fail(p, cmd, r) : proxy_waiting(p, cmd, reply);
}

int proxy_idle_run(struct leg *leg, struct command *cmd)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;
    const char *text;
    enum reply reply;
    size_t len;

    if (p->stream == NULL)
        return ERR_UNAVAILABLE;
    if (!backend_has(p->backend, "IDLE"))
        return poll_run(p, cmd);
    do
        reply = proxy_relay(p, leg->client->stream, &text, &len);
    while (idle_take(p, reply, text, len));
    if (reply == REPLY_NONE && p->phase == IDLING) {
        if (proxy_notify_is_new(p)) /* a mailbox to watch has come there, or gone: told in between */
            idle_say(p, IDLE_ENDING);
        else if (p->silent_at == 0)
            p->silent_at = clock_deadline(IDLE_TRY_AFTER * opt_duration_ms(OPT_BACKEND_TIMEOUT));
        else if (clock_ms() >= p->silent_at)
            idle_say(p, IDLE_ENDING);
    }
    return idle_wait(p, cmd, reply);
}

int proxy_idle_stop(struct leg *leg, struct command *cmd)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;
    const char *text;
    enum reply reply;
    size_t len;
    int r;

    if (p->stream == NULL)
        return ERR_UNAVAILABLE;
    if (!backend_has(p->backend, "IDLE"))
        return poll_stop(p, cmd);
    if (p->phase == IDLING)
        idle_say(p, IDLE_ENDING);
    if (p->phase == IDLE_BEGINNING) { /* DONE must not come before the "+" */
        reply = proxy_relay(p, leg->client->stream, &text, &len);
        if (reply != REPLY_CONTINUE)
            return idle_wait(p, cmd, reply);
        idle_say(p, IDLE_ENDING);
    }
    r = proxy_answer(p, cmd, leg->client->stream, NULL);
    if (r != ERR_AGAIN)
        p->phase = IDLING;
    return r;
}

/* ---- removing messages ---- */

/* The nth piece of a compact set, cut between its ranges, so that a command's line stays short; NULL: no more. */
static const char *set_piece(struct pool *pool, const char *set, unsigned n)
{
    while (*set != '\0') {
        size_t len = strlen(set);

        if (len > SET_MAX)
            for (len = SET_MAX; len > 1 && set[len] != ',';)
                len--;
        if (n-- == 0)
            return pool_strndup(pool, set, len);
        set += len;
        set += *set == ',';
    }
    return NULL;
}

/* What EXPUNGE's answer says of the mailbox, which its client must know (RFC 7162 3.2.9). */
static void tell_highest(struct stream *to, const char *ok)
{
    static const char begin[] = "OK [HIGHESTMODSEQ ";
    size_t digits = str_ieq_n(ok, begin, strlen(begin)) ? strspn(ok + strlen(begin), "0123456789") : 0;

    if (digits > 0 && digits < 20)
        stream_printf(to, "* %.*s] Ok\r\n", (int)(strlen(begin) + digits), ok);
}

/* Marks and expunges; p->phase tells which command is under way. */
static int remove_uids(struct proxy_leg *p, struct command *cmd, struct stream *to, const char *uids)
{
    const char *piece;

    while ((piece = set_piece(cmd->pool, uids, p->phase / 2)) != NULL) {
        const char *text = p->phase % 2 == 0
                               ? pool_printf(cmd->pool, "UID STORE %s +FLAGS.SILENT (\\Deleted)", piece)
                               : pool_printf(cmd->pool, "UID EXPUNGE %s", piece);
        const char *ok;
        int r = proxy_exchange(p, cmd, to, &ok, text);

        if (r == ERR_AGAIN)
            return r;
        if (r < 0) {
            p->phase = 0;
            return r;
        }
        if (to != NULL)
            tell_highest(to, ok);
        p->phase++;
    }
    p->phase = 0;
    return 0;
}

int proxy_expunge_uids(struct leg *leg, struct command *cmd, const char *uids)
{
    return remove_uids((struct proxy_leg *)leg, cmd, leg->client->stream, uids);
}

int proxy_may_expunge(struct leg *leg)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;

    if (p->stream != NULL && !backend_has(p->backend, "UIDPLUS"))
        return ERR_UNSUPPORTED; /* EXPUNGE would remove more than was copied */
    return leg->client->read_only ? ERR_READONLY : 0;
}

/* SELECT of the mailbox where something is to be undone: its UIDVALIDITY must be the one of before. */
static int undo_select(struct proxy_leg *p, struct command *cmd, const char *mailbox, uint32_t uidvalidity)
{
    const char *name = client_name_out(p->leg.client, cmd->pool, mailbox);
    struct imap_response response;
    enum reply reply;
    uint32_t found;
    int r;

    if (name == NULL)
        return ERR_BADNAME;
    r = proxy_begin_once(p, cmd, pool_printf(cmd->pool, "SELECT %s", name));
    if (r < 0)
        return r;
    r = stream_flush(p->stream);
    if (r < 0 && r != ERR_AGAIN)
        return proxy_fail(p, cmd, r);
    while ((reply = proxy_collect(p, &response)) == REPLY_UNTAGGED) {
        if (imap_slice_is(response.code, "UIDVALIDITY") &&
            str_parse_u32(response.code_args.s, response.code_args.n, &found) == 0)
            p->same = found == uidvalidity;
    }
    if (reply != REPLY_TAGGED)
        return proxy_waiting(p, cmd, reply);
    r = proxy_judge(p, cmd, response.rest.s, response.rest.n, NULL);
    return r == 0 && !p->same ? ERR_CONFLICT : r;
}

/* The connection has another mailbox selected than the client knows: it is not kept. */
static int undo_end(struct proxy_leg *p, int r)
{
    p->undoing = p->same = false;
    proxy_disconnect(p, "copies undone");
    return r;
}

int proxy_undo(struct leg *leg, struct command *cmd, const char *mailbox, uint32_t uidvalidity,
               const char *uids)
{
    struct proxy_leg *p = (struct proxy_leg *)leg;
    int r;

    BUG_ON(p->selected);
    if (!p->undoing) {
        r = undo_select(p, cmd, mailbox, uidvalidity);
        if (r < 0)
            return r == ERR_AGAIN ? r : undo_end(p, r);
        p->undoing = true;
    }
    r = remove_uids(p, cmd, NULL, uids);
    return r == ERR_AGAIN ? r : undo_end(p, r);
}
