/* seen.c: \Seen of readers who are not the owner (doc/formats/seen.md). */
#include "imap/store/seen.h"

#include <string.h>

#include "imap/store/le-private.h"
#include "imap/store/store-private.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/db/db.h"

enum { SEEN_VERSION = 1, SEEN_HEAD = 24 };

/* mailbox id, NUL, user id: all readers of a mailbox stand together.  Whole user ids stand in the value
 * when the key is cut. */
static void make_key(struct buf *key, const char *mailbox_id, const char *userid)
{
    struct buf whole = BUF_INIT;

    buf_puts(&whole, mailbox_id);
    buf_putc(&whole, '\0');
    buf_puts(&whole, userid);
    db_key_long(key, whole.data, whole.len);
    buf_free(&whole);
}

static void encode(const struct seen_state *state, const char *userid, struct buf *to)
{
    unsigned char head[SEEN_HEAD] = {0};
    size_t n = strlen(userid);

    head[0] = SEEN_VERSION;
    le_put16(head + 2, (uint16_t)n);
    le_put32(head + 4, state->recent_uid);
    le_put64(head + 8, (uint64_t)state->changed);
    buf_append(to, head, sizeof(head));
    buf_append(to, userid, n);
    uid_set_encode(&state->uids, to);
}

static int decode(const struct db_value *value, struct seen_state *state, const char **userid_r, size_t *n_r)
{
    const unsigned char *p = value->data;

    if (value->len < SEEN_HEAD || p[0] == 0)
        return ERR_CORRUPT;
    if (p[0] != SEEN_VERSION)
        return ERR_VERSION;
    *n_r = le_get16(p + 2);
    if (*n_r > value->len - SEEN_HEAD)
        return ERR_CORRUPT;
    *userid_r = (const char *)p + SEEN_HEAD;
    state->recent_uid = le_get32(p + 4);
    state->changed = (int64_t)le_get64(p + 8);
    return uid_set_decode(&state->uids, p + SEEN_HEAD + *n_r, value->len - SEEN_HEAD - *n_r);
}

static int get(struct store *store, struct db_txn *txn, const struct buf *key, struct seen_state *state)
{
    struct db_value value;
    const char *userid;
    size_t n;
    int r = db_get(txn, db_table(store->seen, "seen"), key->data, key->len, &value);

    if (r == ERR_NOTFOUND)
        return 0;
    return r < 0 ? r : decode(&value, state, &userid, &n);
}

int seen_get(struct store *store, const char *mailbox_id, const char *userid, struct seen_state *state_r)
{
    struct buf key = BUF_INIT;
    struct db_txn *txn;
    int r;

    memset(state_r, 0, sizeof(*state_r));
    make_key(&key, mailbox_id, userid);
    r = db_begin(store->seen, false, &txn);
    if (r == 0) {
        r = get(store, txn, &key, state_r);
        db_abort(&txn);
    }
    if (r < 0)
        uid_set_free(&state_r->uids);
    buf_free(&key);
    return r;
}

static int apply(struct seen_state *state, const struct uid_set *add, const struct uid_set *remove)
{
    int r = 0;

    for (size_t i = 0; r == 0 && add != NULL && i < add->count; i++)
        r = uid_set_add(&state->uids, add->ranges[i].first, add->ranges[i].last);
    for (size_t i = 0; r == 0 && remove != NULL && i < remove->count; i++)
        r = uid_set_remove(&state->uids, remove->ranges[i].first, remove->ranges[i].last);
    return r;
}

static int change_in(struct store *store, struct db_txn *txn, const struct buf *key, const char *userid,
                     const struct uid_set *add, const struct uid_set *remove, uint32_t recent_uid)
{
    struct seen_state state = {0};
    struct buf value = BUF_INIT;
    int r = get(store, txn, key, &state);

    /* damage is overwritten: losing \Seen is better than never keeping it again */
    if (r == 0 || r == ERR_CORRUPT)
        r = apply(&state, add, remove);
    if (r == 0) {
        if (recent_uid > state.recent_uid)
            state.recent_uid = recent_uid;
        state.changed = clock_wall();
        encode(&state, userid, &value);
        r = db_put(txn, db_table(store->seen, "seen"), key->data, key->len, value.data, value.len);
    }
    uid_set_free(&state.uids);
    buf_free(&value);
    return r;
}

int seen_change(struct store *store, const char *mailbox_id, const char *userid, const struct uid_set *add,
                const struct uid_set *remove, uint32_t recent_uid)
{
    struct buf key = BUF_INIT;
    struct db_txn *txn;
    int r;

    make_key(&key, mailbox_id, userid);
    r = db_begin(store->seen, true, &txn);
    if (r == 0) {
        r = change_in(store, txn, &key, userid, add, remove, recent_uid);
        if (r == 0)
            r = db_commit(&txn);
        else
            db_abort(&txn);
    }
    buf_free(&key);
    return r;
}

int seen_merge(struct store *store, const char *mailbox_id, const char *from_user, const char *to_user)
{
    struct seen_state from;
    int r = seen_get(store, mailbox_id, from_user, &from);

    if (r == 0 && (from.uids.count > 0 || from.recent_uid > 0))
        r = seen_change(store, mailbox_id, to_user, &from.uids, NULL, from.recent_uid);
    uid_set_free(&from.uids);
    return r;
}

/* ---- removal ---- */

struct removal {
    struct store *store;
    const char *userid; /* NULL: whoever */
    size_t userid_len;
};

static int remove_one(const struct db_value *key, const struct db_value *value, void *context)
{
    struct removal *what = context;
    struct seen_state state = {0};
    const char *userid;
    struct db_txn *txn;
    size_t n;
    bool other = false;
    int r;

    if (what->userid != NULL)
        other = decode(value, &state, &userid, &n) < 0 || n != what->userid_len ||
                memcmp(userid, what->userid, n) != 0;
    uid_set_free(&state.uids);
    if (other)
        return 0;
    r = db_begin(what->store->seen, true, &txn);
    if (r < 0)
        return r;
    r = db_delete(txn, db_table(what->store->seen, "seen"), key->data, key->len);
    if (r == 0 || r == ERR_NOTFOUND)
        return db_commit(&txn);
    db_abort(&txn);
    return r;
}

int seen_forget_mailbox(struct store *store, const char *mailbox_id)
{
    struct removal what = {.store = store};

    return db_scan_batches(store->seen, db_table(store->seen, "seen"), NULL, 0, mailbox_id,
                           strlen(mailbox_id) + 1, 100, remove_one, &what);
}

int seen_forget_user(struct store *store, const char *userid)
{
    struct removal what = {.store = store, .userid = userid, .userid_len = strlen(userid)};

    return db_scan_batches(store->seen, db_table(store->seen, "seen"), NULL, 0, NULL, 0, 100, remove_one,
                           &what);
}
