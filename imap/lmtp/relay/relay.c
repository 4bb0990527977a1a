#include "imap/lmtp/relay/relay.h"

#include <stdlib.h>

#include "imap/lmtp/relay/relay-private.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/mboxlist/mboxlist.h"

int lmtpd_relay_open(struct lmtpd_relay **relay_r, char **error_r)
{
    struct lmtpd_relay *relay = xcalloc(1, sizeof(*relay));
    int r = mboxlist_open(NULL, &relay->list, error_r);

    if (r < 0) {
        free(relay);
        return r;
    }
    relay->links = links_new();
    *relay_r = relay;
    return 0;
}

void lmtpd_relay_close(struct lmtpd_relay **relay)
{
    if (*relay == NULL)
        return;
    links_free(&(*relay)->links);
    mboxlist_close(&(*relay)->list);
    free(*relay);
    *relay = NULL;
}

void lmtpd_relay_tick(void *relay)
{
    struct lmtpd_relay *r = relay;

    links_expire(r->links);
    mboxlist_housekeeping(r->list);
}

/* ---- the transport ---- */

static struct relay_state *state_of(const struct lmtpd_txn *txn)
{
    struct relay_state *s = txn->state;

    MAGIC_CHECK(s, RELAY_STATE_MAGIC);
    return s;
}

static enum lmtpd_verdict rcpt(struct lmtpd_txn *txn, struct lmtpd_rcpt *r)
{
    struct relay_state *s = txn->state;

    if (s == NULL) {
        s = txn->state = pool_alloc(txn->pool, sizeof(*s));
        s->magic = RELAY_STATE_MAGIC;
        s->relay = txn->context;
        s->epoll = -1;
        spool_init(&s->spool, opt_string(OPT_TEMP_PATH));
    }
    return relay_lookup(txn, s, r);
}

static int begin(struct lmtpd_txn *txn)
{
    (void)txn;
    return 0;
}

static int write_piece(struct lmtpd_txn *txn, const void *data, size_t n)
{
    return spool_write(&state_of(txn)->spool, data, n);
}

static enum lmtpd_verdict deliver(struct lmtpd_txn *txn)
{
    return relay_legs_step(txn, state_of(txn));
}

static int64_t deadline(const struct lmtpd_txn *txn)
{
    const struct relay_state *s = state_of(txn);

    return s->lookup.request != NULL ? s->lookup.deadline : relay_legs_deadline(s);
}

static void end(struct lmtpd_txn *txn)
{
    if (txn->state == NULL)
        return;
    relay_lookup_end(state_of(txn));
    relay_legs_end(txn, state_of(txn));
    spool_free(&state_of(txn)->spool);
    txn->state = NULL;
}

const struct lmtpd_transport lmtpd_relay_transport = {
    .rcpt = rcpt,
    .begin = begin,
    .write = write_piece,
    .deliver = deliver,
    .deadline = deadline,
    .end = end,
};
