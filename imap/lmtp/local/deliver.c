/* The message into its mailboxes. */
#include "imap/lmtp/local/duplicate.h"
#include "imap/lmtp/local/local-private.h"
#include "imap/sievehost/sievehost.h"
#include "imap/store/append.h"
#include "imap/store/mailbox.h"
#include "imap/store/stage.h"
#include "imap/store/store.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/mail/header.h"
#include "lib/mail/text.h"

enum { HEADER_READ = 64 * 1024 }; /* of the message, to find its id in */

/* ---- duplicates ---- */

static const char *find_message_id(struct pool *pool, const char *header, size_t n)
{
    static const char *const names[] = {"Resent-Message-ID", "Message-ID"};
    const char *id = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(names) && id == NULL; i++) {
        struct mail_field field;

        if (mail_header_find(header, n, names[i], &field))
            id = mail_message_id(pool, field.value, field.value_len);
    }
    return id;
}

static const char *read_message_id(struct lmtpd_txn *txn, const struct local_state *s)
{
    struct buf head = BUF_INIT;
    const char *id = NULL;
    int64_t n;

    if (!opt_switch(OPT_DUPLICATESUPPRESSION))
        return NULL;
    n = stage_read(s->stage, 0, buf_reserve(&head, HEADER_READ), HEADER_READ);
    if (n > 0) {
        buf_added(&head, (size_t)n);
        id = find_message_id(txn->pool, head.data, head.len);
    }
    buf_free(&head);
    return id;
}

static bool wants_duplicates(const struct target *t)
{
    return t->state->message_id == NULL || (t->edition != NULL && t->edition->is_copy) ||
           (mailbox_header(t->mailbox)->options & MAILBOX_OPT_DUPDELIVER) != 0;
}

/* Under the mailbox's lock. */
static int admit(struct deliver_target *d)
{
    const struct target *t = d->context;

    if (wants_duplicates(t))
        return 0;
    return duplicate_is_known(store_volatile(t->state->local->store), t->id, t->state->message_id)
               ? ERR_EXISTS
               : 0;
}

static void done(struct deliver_target *d)
{
    const struct target *t = d->context;
    int r;

    if (wants_duplicates(t))
        return;
    r = duplicate_mark(store_volatile(t->state->local->store), t->id, t->state->message_id, clock_wall());
    if (r < 0) /* it is delivered all the same */
        LOG(LOG_WARNING, LMTP_DUPLICATES, LOG_STR(MAILBOX, t->name), LOG_ERROR(r));
}

/* ---- delivery ---- */

static enum quota_mode quota_mode(const struct target *t)
{
    if (t->ignore_quota)
        return QUOTA_IGNORE;
    return opt_switch(OPT_LMTP_STRICT_QUOTA) ? QUOTA_STRICT : QUOTA_ALREADY;
}

/* What the script has asked for, as the store takes it (RFC 5232). */
static void set_flags(struct local_state *s, const struct target *t, struct append_message *how)
{
    static const struct {
        const char *name;
        uint32_t flag;
    } system_flags[] = {{"\\Seen", RECORD_SEEN},
                        {"\\Answered", RECORD_ANSWERED},
                        {"\\Flagged", RECORD_FLAGGED},
                        {"\\Deleted", RECORD_DELETED},
                        {"\\Draft", RECORD_DRAFT}};
    const char **keywords;
    size_t count = 0;

    for (size_t i = 0; t->flags != NULL && t->flags[i] != NULL; i++)
        count++;
    how->keywords = keywords = pool_alloc(s->pool, (count + 1) * sizeof(*keywords));
    for (size_t i = 0; i < count; i++) {
        if (*t->flags[i] != '\\')
            *keywords++ = t->flags[i];
        for (size_t k = 0; k < ARRAY_SIZE(system_flags); k++)
            if (str_ieq(t->flags[i], system_flags[k].name))
                how->system |= system_flags[k].flag;
    }
}

/* Those of that edition that are to be tried now and can be opened; how many. */
static size_t open_targets(struct local_state *s, const struct edition *edition, struct deliver_target *to)
{
    size_t n = 0;

    for (struct target *t = s->targets; t != NULL; t = t->next) {
        if (!t->wanted || t->tried || t->edition != edition)
            continue;
        t->tried = true;
        t->result = mailbox_open(s->local->store, t->partition, t->id, &t->mailbox);
        if (t->result < 0)
            continue;
        to[n] = (struct deliver_target){
            .mailbox = t->mailbox, .quota = quota_mode(t), .admit = admit, .done = done, .context = t};
        set_flags(s, t, &to[n].how);
        n++;
    }
    return n;
}

static void close_targets(const struct deliver_target *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct target *t = from[i].context;

        t->result = from[i].result;
        t->uid = from[i].uid;
        mailbox_close(&t->mailbox);
    }
}

static void fail_targets(const struct local_state *s, const struct edition *edition)
{
    for (struct target *t = s->targets; t != NULL; t = t->next) {
        if (t->edition != edition || !t->wanted || t->tried)
            continue;
        t->tried = true;
        t->result = edition->error;
    }
}

static size_t count_targets(const struct local_state *s)
{
    size_t n = 0;

    for (const struct target *t = s->targets; t != NULL; t = t->next)
        n++;
    return n;
}

/* Every target that is wanted and was not tried before. */
static void deliver_wanted(struct local_state *s)
{
    struct deliver_target *to = pool_alloc(s->pool, count_targets(s) * sizeof(*to));
    size_t n = open_targets(s, NULL, to);

    if (n > 0)
        deliver(s->stage, to, n);
    close_targets(to, n);
    for (struct edition *e = s->editions; e != NULL; e = e->next) {
        if (e->error < 0) {
            fail_targets(s, e);
            continue;
        }
        n = open_targets(s, e, to);
        if (n > 0)
            deliver(e->stage, to, n);
        close_targets(to, n);
    }
}

/* ---- when it does not work ---- */

static bool has_it(const struct target *t)
{
    return t->result == 0 || t->result == ERR_EXISTS;
}

/* A mailbox has no room for more keywords: then without flags. */
static void drop_flags(const struct local_state *s)
{
    for (struct target *t = s->targets; t != NULL; t = t->next)
        if (t->wanted && t->result == ERR_LIMIT && t->flags != NULL) {
            t->flags = NULL;
            t->tried = false;
        }
}

/* What a script could not file is kept (RFC 5228 2.10.6). */
static void keep_instead(struct lmtpd_txn *txn)
{
    for (struct lmtpd_rcpt *rcpt = txn->rcpts; rcpt != NULL; rcpt = rcpt->next) {
        struct addressee *a = rcpt->target;

        for (const struct want *w = a->wants; w != NULL; w = w->next)
            if (!has_it(w->target) && (w->target->edition == NULL || !w->target->edition->is_copy))
                a->own->wanted = true;
    }
}

/* ---- answers ---- */

static void log_target(const struct lmtpd_txn *txn, const struct local_state *s, const struct target *t)
{
    const char *id = s->message_id != NULL ? s->message_id : "";

    if (t->result == 0)
        LOG(LOG_INFO, LMTP_DELIVERED, LOG_STR(MAILBOX, t->name), LOG_INT(UID, t->uid), LOG_STR(MSGID, id),
            LOG_INT(SIZE, txn->size));
    else if (t->result == ERR_EXISTS)
        LOG(LOG_INFO, LMTP_DUPLICATE, LOG_STR(MAILBOX, t->name), LOG_STR(MSGID, id));
    else
        LOG(LOG_WARNING, LMTP_FAILED, LOG_STR(MAILBOX, t->name), LOG_STR(MSGID, id), LOG_ERROR(t->result));
}

/* A mailbox that was there at RCPT and is not now is being deleted or moved: the list is to say so. */
static void answer_error(struct lmtpd_txn *txn, struct lmtpd_rcpt *r, int error)
{
    lmtpd_answer_error(txn, r, error == ERR_NOTFOUND ? ERR_BUSY : error);
}

/* All that was wanted is there, or it was kept instead. */
static void answer(struct lmtpd_txn *txn, struct lmtpd_rcpt *r)
{
    const struct addressee *a = r->target;
    const char *refusal = a->script != NULL ? sieve_recipient_outcome(a->script)->refusal : NULL;
    bool kept = a->own->wanted && has_it(a->own), all = true;

    for (const struct want *w = a->wants; w != NULL; w = w->next)
        all = all && (has_it(w->target) || (w->target->edition != NULL && w->target->edition->is_copy));
    if (refusal != NULL) {
        lmtpd_answer(txn, r, 550, "5.7.1", "%s", refusal);
    } else if (all || kept) {
        lmtpd_answer(txn, r, 250, "2.1.5", "Ok");
        if (a->script != NULL)
            sieve_recipient_settle(a->script);
    } else {
        answer_error(txn, r, a->own->result);
    }
}

static enum lmtpd_verdict fail_all(struct lmtpd_txn *txn, int error)
{
    for (struct lmtpd_rcpt *rcpt = txn->rcpts; rcpt != NULL; rcpt = rcpt->next) {
        if (error == ERR_UNSUPPORTED)
            lmtpd_answer(txn, rcpt, 554, "5.6.0", "NUL characters outside the body of a binary part");
        else
            answer_error(txn, rcpt, error);
    }
    return LMTPD_DONE;
}

/* Nothing was done for anybody. */
static enum lmtpd_verdict refuse_all(struct lmtpd_txn *txn)
{
    for (struct lmtpd_rcpt *rcpt = txn->rcpts; rcpt != NULL; rcpt = rcpt->next)
        lmtpd_answer(txn, rcpt, 451, "4.3.2", "Too much mail waits for other servers");
    return LMTPD_DONE;
}

static int finish_stage(struct lmtpd_txn *txn, struct local_state *s)
{
    struct stage_info info;
    int r;

    if (s->finished)
        return 0;
    r = stage_finish(s->stage, &info);
    if (r == 0 && info.has_nul) /* only a binary one may: IMAP has no NULs (RFC 3501 section 9, CHAR8) */
        r = stage_encode_binary(&s->stage, &info);
    if (r < 0)
        return r;
    s->finished = true;
    s->message_id = read_message_id(txn, s);
    local_start_scripts(txn, s);
    return 0;
}

enum lmtpd_verdict local_deliver(struct lmtpd_txn *txn, struct local_state *s)
{
    int r = finish_stage(txn, s);

    if (r < 0)
        return fail_all(txn, r);
    if (s->job != NULL && !sieve_job_done(s->job))
        return LMTPD_WAIT;
    if (s->job != NULL && sieve_job_refused(s->job))
        return refuse_all(txn);
    local_plan(txn, s);
    deliver_wanted(s);
    drop_flags(s);
    deliver_wanted(s);
    keep_instead(txn);
    deliver_wanted(s);
    for (const struct target *t = s->targets; t != NULL; t = t->next)
        if (t->wanted)
            log_target(txn, s, t);
    for (struct lmtpd_rcpt *rcpt = txn->rcpts; rcpt != NULL; rcpt = rcpt->next)
        answer(txn, rcpt);
    return LMTPD_DONE;
}
