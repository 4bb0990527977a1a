#include "imap/lmtp/local/local.h"

#include <stdlib.h>

#include "imap/lmtp/local/duplicate.h"
#include "imap/lmtp/local/local-private.h"
#include "imap/sievehost/sievehost.h"
#include "imap/store/stage.h"
#include "imap/store/store.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/name/identity.h"
#include "lib/name/name-config.h"

enum { EXPIRE_MS = 60 * 60 * 1000 };

int lmtpd_local_open(struct lmtpd_local **local_r, char **error_r)
{
    struct lmtpd_local *local = xcalloc(1, sizeof(*local));
    struct store_options options;
    int r;

    store_options_configured(&options);
    r = store_open(&options, &local->store, error_r);
    if (r == 0)
        r = sievehost_open(local->store, name_config(), &local->sieve, error_r);
    if (r < 0) {
        lmtpd_local_close(&local);
        return r;
    }
    *local_r = local;
    return 0;
}

void lmtpd_local_close(struct lmtpd_local **local)
{
    if (*local == NULL)
        return;
    sievehost_close(&(*local)->sieve);
    if ((*local)->store != NULL)
        store_close(&(*local)->store);
    free(*local);
    *local = NULL;
}

void lmtpd_local_tick(void *context)
{
    struct lmtpd_local *local = context;
    int r;

    store_housekeeping(local->store);
    if (local->expired_at != 0 && clock_ms() - local->expired_at < EXPIRE_MS)
        return;
    local->expired_at = clock_ms();
    r = duplicate_expire(store_volatile(local->store), clock_wall() - DUPLICATE_KEEP_S);
    if (r < 0)
        LOG(LOG_ERR, LMTP_DUPLICATES, LOG_ERROR(r));
    sievehost_expire(local->sieve);
}

/* ---- the transport ---- */

static struct local_state *state_of(const struct lmtpd_txn *txn)
{
    struct local_state *s = txn->state;

    MAGIC_CHECK(s, LOCAL_STATE_MAGIC);
    return s;
}

static enum lmtpd_verdict rcpt(struct lmtpd_txn *txn, struct lmtpd_rcpt *r)
{
    enum lmtpd_verdict verdict;

    if (txn->state == NULL) {
        struct local_state *s = txn->state = pool_alloc(txn->pool, sizeof(*s));

        s->magic = LOCAL_STATE_MAGIC;
        s->local = txn->context;
        s->pool = txn->pool;
    }
    verdict = local_newcomer(txn, state_of(txn), r);
    if (verdict == LMTPD_DONE && r->code == 0)
        local_choose(txn, state_of(txn), r);
    return verdict;
}

/* On the first target's partition that takes it; targets on others get a copy, those on a full one 452. */
static int begin(struct lmtpd_txn *txn)
{
    struct local_state *s = state_of(txn);
    int first = 0;

    for (s->staged = s->targets; s->staged != NULL; s->staged = s->staged->next) {
        int r = stage_new(s->local->store, s->staged->partition, &s->stage);

        if (r == 0)
            return 0;
        first = first == 0 ? r : first;
    }
    return first;
}

/* The disk that it was begun on fills up under it: nobody else's message is held up by that. */
static int write_piece(struct lmtpd_txn *txn, const void *data, size_t n)
{
    struct local_state *s = state_of(txn);
    int first = stage_write(s->stage, data, n), r = first;

    while (r < 0 && (s->staged = s->staged->next) != NULL) {
        r = stage_move(s->stage, s->staged->partition);
        if (r == 0)
            r = stage_write(s->stage, data, n);
    }
    return r < 0 ? first : 0;
}

static enum lmtpd_verdict deliver_message(struct lmtpd_txn *txn)
{
    return local_deliver(txn, state_of(txn));
}

static int64_t deadline(const struct lmtpd_txn *txn)
{
    /* the scripts' work is bounded, and wakes the session */
    return txn->state != NULL ? local_newcomer_deadline(state_of(txn)) : CLOCK_NEVER;
}

static void end(struct lmtpd_txn *txn)
{
    if (txn->state == NULL)
        return;
    local_newcomer_free(&state_of(txn)->newcomer);
    sieve_job_free(&state_of(txn)->job);
    for (struct edition *e = state_of(txn)->editions; e != NULL; e = e->next)
        stage_free(&e->stage);
    stage_free(&state_of(txn)->stage);
    identity_free(&state_of(txn)->poster);
    txn->state = NULL;
}

const struct lmtpd_transport lmtpd_local_transport = {
    .rcpt = rcpt,
    .begin = begin,
    .write = write_piece,
    .deliver = deliver_message,
    .deadline = deadline,
    .end = end,
};
