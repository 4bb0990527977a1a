/* The message into its mailboxes. */
#include "imap/lmtp/local/duplicate.h"
#include "imap/lmtp/local/local-private.h"
#include "imap/store/append.h"
#include "imap/store/mailbox.h"
#include "imap/store/stage.h"
#include "imap/store/store.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
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
    return t->state->message_id == NULL ||
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

/* Those that can be opened; how many. */
static size_t open_targets(struct local_state *s, struct deliver_target *to)
{
    size_t n = 0;

    for (struct target *t = s->targets; t != NULL; t = t->next) {
        t->result = mailbox_open(s->local->store, t->partition, t->id, &t->mailbox);
        if (t->result < 0)
            continue;
        to[n].mailbox = t->mailbox;
        to[n].quota = quota_mode(t);
        to[n].admit = admit;
        to[n].done = done;
        to[n].context = t;
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
static void answer(struct lmtpd_txn *txn, struct lmtpd_rcpt *r)
{
    const struct target *t = r->target;

    if (t->result == 0 || t->result == ERR_EXISTS)
        lmtpd_answer(txn, r, 250, "2.1.5", "Ok");
    else
        lmtpd_answer_error(txn, r, t->result == ERR_NOTFOUND ? ERR_BUSY : t->result);
}

void local_deliver(struct lmtpd_txn *txn, struct local_state *s)
{
    struct deliver_target *to = pool_alloc(txn->pool, s->target_count * sizeof(*to));
    int r = stage_finish(s->stage, NULL);

    if (r == 0) {
        size_t n;

        s->message_id = read_message_id(txn, s);
        n = open_targets(s, to);
        if (n > 0)
            deliver(s->stage, to, n);
        close_targets(to, n);
    }
    for (struct target *t = s->targets; t != NULL; t = t->next) {
        t->result = r < 0 ? r : t->result;
        log_target(txn, s, t);
    }
    for (struct lmtpd_rcpt *rcpt = txn->rcpts; rcpt != NULL; rcpt = rcpt->next)
        answer(txn, rcpt);
}
