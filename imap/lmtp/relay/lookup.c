/* Where a recipient's mailbox is: our own list, then the barrier, then the master. */
#include "imap/lmtp/relay/relay-private.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/options.h"
#include "lib/engine/engine.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/mupdate/link.h"

enum { BARRIER_MS = 250, MASTER_MS = 10 * 1000 };

static void wake(void *session)
{
    session_wake(session);
}

void relay_lookup_end(struct relay_state *s)
{
    mupdate_request_free(&s->lookup.request);
    s->lookup.phase = LOOKUP_LIST;
}

/* The recipient is decided about. */
static void forget(struct relay_state *s)
{
    relay_lookup_end(s);
    s->lookup.caught = false;
}

static enum lmtpd_verdict accept_at(struct lmtpd_txn *txn, struct relay_state *s, struct lmtpd_rcpt *rcpt,
                                    const char *server)
{
    forget(s);
    rcpt->target = pool_strdup(txn->pool, server);
    lmtpd_answer(txn, rcpt, 250, "2.1.5", "ok");
    return LMTPD_DONE;
}

static enum lmtpd_verdict try_later(struct lmtpd_txn *txn, struct relay_state *s, struct lmtpd_rcpt *rcpt,
                                    const char *why)
{
    forget(s);
    lmtpd_answer(txn, rcpt, 451, "4.4.3", "%s", why);
    return LMTPD_DONE;
}

/* The list's word: true, and the answer is set; false: it does not have the name. */
static bool ask_list(struct lmtpd_txn *txn, struct relay_state *s, struct lmtpd_rcpt *rcpt)
{
    struct mboxlist_record record;
    int r = mboxlist_lookup(s->relay->list, rcpt->names.mailbox, txn->pool, &record);

    if (r < 0 && r != ERR_NOTFOUND) {
        try_later(txn, s, rcpt, "The mailbox list cannot be read");
        return true;
    }
    if (r == ERR_NOTFOUND || record.type != MBOXLIST_REMOTE || record.server[0] == '\0')
        return false;
    accept_at(txn, s, rcpt, record.server);
    return true;
}

static void send_request(struct lmtpd_txn *txn, struct relay_state *s, enum lookup_phase phase,
                         const char *mailbox)
{
    bool master = phase == LOOKUP_MASTER;
    struct mupdate_link *link = mupdate_link(master ? MUPDATE_MASTER : MUPDATE_LOCAL_SLAVE);

    relay_lookup_end(s);
    s->lookup.phase = phase;
    s->lookup.deadline = clock_deadline(master ? MASTER_MS : BARRIER_MS);
    if (link == NULL)
        return;
    if (master)
        s->lookup.request = mupdate_send(link, MUPDATE_FIND, mailbox, NULL, NULL, wake, txn->session);
    else
        s->lookup.request = mupdate_barrier(link, wake, txn->session);
}

/* Is there nothing more to wait for? */
static bool is_over(const struct lookup *l)
{
    return l->request == NULL || mupdate_request_done(l->request) || clock_ms() >= l->deadline;
}

/* There is no such user: is there anybody who gets such mail?  Then the recipient is he. */
static bool look_for_catchall(struct lmtpd_txn *txn, struct relay_state *s, struct lmtpd_rcpt *rcpt)
{
    const char *catchall = opt_string(OPT_LMTP_CATCHALL_MAILBOX);
    struct lmtpd_names instead;

    if (catchall == NULL || rcpt->names.userid == NULL || s->lookup.caught ||
        lmtpd_names_resolve(txn->naming, txn->pool, catchall, &instead) < 0)
        return false;
    rcpt->names = instead;
    s->lookup.caught = true;
    return true;
}

static enum lmtpd_verdict take_masters_word(struct lmtpd_txn *txn, struct relay_state *s,
                                            struct lmtpd_rcpt *rcpt)
{
    const struct mupdate_request *request = s->lookup.request;
    const char *server, *partition;

    if (request == NULL || !mupdate_request_done(s->lookup.request) || mupdate_request_result(request) != 0)
        return try_later(txn, s, rcpt, "The mailbox cannot be looked up now");
    switch (mupdate_request_state(request)) {
    case MUPDATE_ACTIVE:
        mboxlist_location_split(txn->pool, mupdate_request_location(request), &server, &partition);
        return accept_at(txn, s, rcpt, server);
    case MUPDATE_IS_RESERVED:
        return try_later(txn, s, rcpt, "The mailbox is being made or moved");
    default:
        relay_lookup_end(s);
        if (look_for_catchall(txn, s, rcpt))
            return LMTPD_MORE;
        forget(s);
        lmtpd_answer_unknown(txn, rcpt);
        return LMTPD_DONE;
    }
}

enum lmtpd_verdict relay_lookup(struct lmtpd_txn *txn, struct relay_state *s, struct lmtpd_rcpt *rcpt)
{
    switch (s->lookup.phase) {
    case LOOKUP_LIST:
        if (ask_list(txn, s, rcpt))
            return LMTPD_DONE;
        send_request(txn, s, LOOKUP_BARRIER, NULL);
        return LMTPD_MORE;
    case LOOKUP_BARRIER:
        if (!is_over(&s->lookup))
            return LMTPD_WAIT;
        if (ask_list(txn, s, rcpt))
            return LMTPD_DONE;
        send_request(txn, s, LOOKUP_MASTER, rcpt->names.mailbox);
        return LMTPD_MORE;
    default:
        return is_over(&s->lookup) ? take_masters_word(txn, s, rcpt) : LMTPD_WAIT;
    }
}
