#include "imap/lmtp/unified/unified.h"

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/mboxlist/mboxlist.h"

enum side { HERE, ELSEWHERE, SIDES };

static const struct lmtpd_transport *const transports[SIDES] = {&lmtpd_local_transport,
                                                                &lmtpd_relay_transport};

#define UNIFIED_STATE_MAGIC 0x556e6966u

/* txn->state.  Each side has a transaction of its own with copies of its recipients; the client's
 * recipient's target is its copy. */
struct unified_state {
    unsigned magic;
    struct lmtpd_txn sides[SIDES];
    struct lmtpd_rcpt **tails[SIDES];
    struct lmtpd_rcpt *copy; /* of the recipient at hand; NULL: none */
    enum side side;          /* where it is being asked about */
    bool delivered[SIDES];
};

static struct unified_state *state_of(const struct lmtpd_txn *txn)
{
    struct unified_state *s = txn->state;

    MAGIC_CHECK(s, UNIFIED_STATE_MAGIC);
    return s;
}

static void make_state(struct lmtpd_txn *txn)
{
    const struct lmtpd_unified *unified = txn->context;
    struct unified_state *s = pool_alloc(txn->pool, sizeof(*s));

    s->magic = UNIFIED_STATE_MAGIC;
    for (int i = 0; i < SIDES; i++) {
        s->sides[i] = *txn;
        s->sides[i].rcpts = NULL;
        s->sides[i].rcpt_count = 0;
        s->tails[i] = &s->sides[i].rcpts;
    }
    s->sides[HERE].context = unified->local;
    s->sides[ELSEWHERE].context = unified->relay;
    txn->state = s;
}

static enum side side_of(const struct lmtpd_txn *txn, const struct lmtpd_rcpt *rcpt)
{
    const struct lmtpd_unified *unified = txn->context;
    struct mboxlist_record record;
    int r = mboxlist_lookup(unified->list, rcpt->names.mailbox, txn->pool, &record);

    return r == 0 && record.type == MBOXLIST_LOCAL ? HERE : ELSEWHERE;
}

static void copy_answer(struct lmtpd_rcpt *to, const struct lmtpd_rcpt *from)
{
    to->code = from->code;
    to->enhanced = from->enhanced;
    to->text = from->text;
}

static enum lmtpd_verdict rcpt(struct lmtpd_txn *txn, struct lmtpd_rcpt *r)
{
    struct unified_state *s;
    enum lmtpd_verdict v;

    if (txn->state == NULL)
        make_state(txn);
    s = state_of(txn);
    if (s->copy == NULL) {
        s->copy = pool_memdup(txn->pool, r, sizeof(*r));
        s->side = side_of(txn, r);
    }
    v = transports[s->side]->rcpt(&s->sides[s->side], s->copy);
    if (v != LMTPD_DONE)
        return v;
    copy_answer(r, s->copy);
    r->target = s->copy;
    if (r->code / 100 == 2) {
        *s->tails[s->side] = s->copy;
        s->tails[s->side] = &s->copy->next;
        s->sides[s->side].rcpt_count++;
    }
    s->copy = NULL;
    return LMTPD_DONE;
}

static int begin(struct lmtpd_txn *txn)
{
    struct unified_state *s = state_of(txn);
    int r = 0;

    for (int i = 0; i < SIDES && r == 0; i++) {
        s->delivered[i] = s->sides[i].rcpt_count == 0;
        if (!s->delivered[i])
            r = transports[i]->begin(&s->sides[i]);
    }
    return r;
}

static int write_piece(struct lmtpd_txn *txn, const void *data, size_t n)
{
    struct unified_state *s = state_of(txn);
    int r = 0;

    for (int i = 0; i < SIDES && r == 0; i++) {
        s->sides[i].size = txn->size;
        if (s->sides[i].rcpt_count > 0)
            r = transports[i]->write(&s->sides[i], data, n);
    }
    return r;
}

static enum lmtpd_verdict deliver_both(struct lmtpd_txn *txn)
{
    struct unified_state *s = state_of(txn);

    for (int i = 0; i < SIDES; i++) {
        enum lmtpd_verdict v = s->delivered[i] ? LMTPD_DONE : transports[i]->deliver(&s->sides[i]);

        if (v != LMTPD_DONE)
            return v;
        s->delivered[i] = true;
    }
    for (struct lmtpd_rcpt *r = txn->rcpts; r != NULL; r = r->next)
        copy_answer(r, r->target);
    return LMTPD_DONE;
}

/* Only the relay waits. */
static int64_t deadline(const struct lmtpd_txn *txn)
{
    const struct lmtpd_txn *relay = &state_of(txn)->sides[ELSEWHERE];

    return relay->state != NULL ? transports[ELSEWHERE]->deadline(relay) : CLOCK_NEVER;
}

static void end(struct lmtpd_txn *txn)
{
    if (txn->state == NULL)
        return;
    for (int i = 0; i < SIDES; i++)
        transports[i]->end(&state_of(txn)->sides[i]);
    txn->state = NULL;
}

const struct lmtpd_transport lmtpd_unified_transport = {
    .rcpt = rcpt,
    .begin = begin,
    .write = write_piece,
    .deliver = deliver_both,
    .deadline = deadline,
    .end = end,
};
