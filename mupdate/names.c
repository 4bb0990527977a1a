/* names.c: the master's names. */
#include "mupdate/names.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/mboxlist/key.h"
#include "lib/mboxlist/record.h"
#include "mupdate/entry.h"
#include "mupdate/meta.h"
#include "mupdate/names-private.h"
#include "mupdate/recent.h"

enum {
    NAMES_MAGIC = 0x7bda7e01,
    TXN_MAGIC = 0x7bda7e02,
    OPEN_AGAIN_MS = 50,
    ROOM_AGAIN_MS = 500,
    ROOM_BYTES = 1024 * 1024
};

static const char *const tables[] = {"names", "log", "meta", "journal", NULL};

/* ---- the transition table ---- */

enum there { ABSENT, RESERVED_OWN, RESERVED_OTHER, ACTIVE_OWN, ACTIVE_OTHER, THERE_COUNT };
enum next { NEXT_SAME, NEXT_ABSENT, NEXT_RESERVED, NEXT_ACTIVE };

static const struct transition {
    enum names_result result;
    enum next next;
} transitions[MUPDATE_DELETE + 1][THERE_COUNT] = {
#define TRANSITION(verb, there, result, next) [MUPDATE_##verb][there] = {NAMES_##result, NEXT_##next},
#include "mupdate/transitions.def"
#undef TRANSITION
};

const char *names_result_text(enum names_result result)
{
    static const char *const texts[] = {
        [NAMES_DONE] = "done",
        [NAMES_EXISTS] = "mailbox already exists",
        [NAMES_CONFLICT] = "mailbox is active on another server",
        [NAMES_NO_SUCH] = "no such mailbox",
        [NAMES_NOT_ACTIVE] = "mailbox is not active",
        [NAMES_BAD] = "invalid name, location, ACL or detail",
    };

    return texts[result];
}

/* ---- keys of the log ---- */

void names_sequence_key(unsigned char key[8], uint64_t sequence)
{
    for (unsigned i = 0; i < 8; i++)
        key[i] = (unsigned char)(sequence >> (56 - 8 * i));
}

static uint64_t key_sequence(const struct db_value *key)
{
    const unsigned char *bytes = key->data;
    uint64_t sequence = 0;

    for (size_t i = 0; i < key->len && i < 8; i++)
        sequence = sequence << 8 | bytes[i];
    return sequence;
}

/* ---- opening ---- */

static int make_meta(struct db_txn *txn)
{
    uint64_t epoch;
    int r;

    digest_random(&epoch, sizeof(epoch));
    r = meta_put_number(txn, META_EPOCH, epoch);
    return r < 0 ? r : meta_put_number(txn, META_SEQUENCE, 0);
}

/* Zeros: there is nothing yet, and it was not to be made. */
static int read_meta(struct db_txn *txn, bool make, uint64_t *epoch_r, uint64_t *sequence_r)
{
    int r = meta_get_number(txn, META_EPOCH, epoch_r);

    if (r == ERR_NOTFOUND && !make) {
        *epoch_r = *sequence_r = 0;
        return 0;
    }
    if (r == ERR_NOTFOUND)
        r = make_meta(txn);
    if (r == 0)
        r = meta_get_number(txn, META_EPOCH, epoch_r);
    if (r == 0)
        r = meta_get_number(txn, META_SEQUENCE, sequence_r);
    return r == ERR_NOTFOUND ? ERR_CORRUPT : r;
}

int names_load(struct names *names, bool make)
{
    uint64_t epoch, sequence;
    struct db_txn *txn;
    int r = db_begin(names->env, true, &txn);

    if (r < 0)
        return r;
    r = read_meta(txn, make, &epoch, &sequence);
    if (r == 0) {
        names->sequence = sequence;
        atomic_store(&names->epoch, epoch);
        atomic_store(&names->published, sequence);
    }
    return meta_end(&txn, r);
}

static void pause_ms(int64_t ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* For a recovery, which fails without. */
static bool has_room(const char *path)
{
    struct statvfs fs;

    return statvfs(path, &fs) < 0 || (uint64_t)fs.f_bavail * fs.f_frsize >= ROOM_BYTES;
}

/* The process before us, told to stop, may still be closing it; and who began anew because the disk is full is to go on when there
 * is room again. */
static int open_env(const char *path, int64_t wait_ms, struct db_env **env_r, char **error_r)
{
    int64_t deadline = clock_deadline(wait_ms);
    int r;

    for (;;) {
        r = db_open(DB_BERKELEY, path, 0, 1, tables, env_r, error_r);
        if (r == 0 || clock_left(deadline) == 0 || (r != ERR_BUSY && has_room(path)))
            return r;
        free(*error_r);
        *error_r = NULL;
        pause_ms(r == ERR_BUSY ? OPEN_AGAIN_MS : ROOM_AGAIN_MS);
    }
}

static const struct source_ops names_source_ops;

static struct names *names_new(bool group)
{
    struct names *names = xcalloc(1, sizeof(*names));

    names->source.ops = &names_source_ops;
    names->magic = NAMES_MAGIC;
    names->group = group;
    names->readable = !group;
    names->recent = group ? NULL : recent_new();
    return names;
}

/* What a lone master's database may have of a group that it was taken out of is done, and forgotten. */
static int load(struct names *names, const char *path, char **error_r)
{
    const char *why = NULL;
    int r = names_load(names, false);

    if (r == 0 && !names->group)
        r = names_leave_group(names, &why);
    if (r == 0 && !names->group)
        r = names_found(names);
    if (r < 0)
        *error_r = xstrprintf("%s: %s", path, why != NULL ? why : error_text(r));
    return r;
}

static int open_names(const char *path, bool group, int64_t wait_ms, void (*published)(void *context),
                      void *context, struct names **names_r, char **error_r)
{
    struct names *names = names_new(group);
    int r;

    *error_r = NULL;
    r = open_env(path, wait_ms, &names->env, error_r);
    if (r == 0) {
        BUG_ON(db_table(names->env, "log") != TABLE_LOG || db_table(names->env, "meta") != TABLE_META ||
               db_table(names->env, "journal") != TABLE_JOURNAL);
        r = load(names, path, error_r);
    }
    if (r < 0) {
        names_close(&names);
    } else {
        names->on_published = published;
        names->context = context;
    }
    *names_r = names;
    return r;
}

int names_open(const char *dir, int64_t wait_ms, void (*published)(void *context), void *context,
               struct names **names_r, char **error_r)
{
    char *path = xstrprintf("%s/mupdate", dir);
    int r = open_names(path, false, wait_ms, published, context, names_r, error_r);

    free(path);
    return r;
}

int names_open_group(const char *dir, int64_t wait_ms, void (*published)(void *context), void *context,
                     struct names **names_r, char **error_r)
{
    char *path = xstrprintf("%s/mupdate.group", dir);
    int r = open_names(path, true, wait_ms, published, context, names_r, error_r);

    free(path);
    return r;
}

void names_close(struct names **namesp)
{
    struct names *names = *namesp;

    if (names == NULL)
        return;
    *namesp = NULL;
    db_close(&names->env);
    recent_free(&names->recent);
    names->magic = 0;
    free(names);
}

struct source *names_source(struct names *names)
{
    MAGIC_CHECK(names, NAMES_MAGIC);
    return &names->source;
}

struct db_env *names_env(struct names *names)
{
    return names->env;
}

int names_housekeeping(struct names *names)
{
    int r = db_checkpoint(names->env);

    if (r < 0)
        LOG(LOG_ERR, MUPDATE_CHECKPOINT, LOG_ERROR(r));
    return r;
}

/* ---- changing ---- */

int names_begin(struct names *names, struct names_txn **txn_r)
{
    struct names_txn *txn;
    struct db_txn *db;
    int r;

    MAGIC_CHECK(names, NAMES_MAGIC);
    r = db_begin(names->env, !names->group, &db);
    if (r < 0)
        return r;
    *txn_r = txn = xmalloc(sizeof(*txn));
    *txn = (struct names_txn){
        .magic = TXN_MAGIC, .names = names, .db = db, .began = names->sequence, .pool = pool_new(0)};
    if (names->group)
        decision_init(&txn->decision, names->sequence + 1);
    return 0;
}

static bool same_server(const char *a, const char *b)
{
    size_t len = strcspn(a, "!");

    return strcspn(b, "!") == len && strncmp(a, b, len) == 0;
}

static enum there what_is_there(const struct entry *entry, const char *location)
{
    bool own = location == NULL || same_server(entry->location, location);

    if (entry->state == MUPDATE_ABSENT)
        return ABSENT;
    if (entry->state == MUPDATE_IS_RESERVED)
        return own ? RESERVED_OWN : RESERVED_OTHER;
    return own ? ACTIVE_OWN : ACTIVE_OTHER;
}

static int get_entry(struct db_txn *txn, const struct buf *key, struct pool *pool, struct entry *entry_r)
{
    struct db_value value;
    int r = db_get(txn, TABLE_NAMES, key->data, key->len, &value);

    return r < 0 ? r : entry_decode(&value, pool, entry_r);
}

/* As it is for the next command of the transaction. */
static int get_there(struct names_txn *txn, const struct buf *key, struct entry *entry_r)
{
    struct db_value value;

    if (!txn->names->group || !decision_find(&txn->decision, key, &value))
        return get_entry(txn->db, key, txn->pool, entry_r);
    return value.data == NULL ? ERR_NOTFOUND : entry_decode(&value, txn->pool, entry_r);
}

/* A row of the change log; the oldest goes. */
static int log_change(struct db_txn *txn, uint64_t sequence, const struct db_value *key)
{
    unsigned char row[8];
    int r;

    names_sequence_key(row, sequence);
    r = db_put(txn, TABLE_LOG, row, sizeof(row), key->data, key->len);
    if (r == 0 && sequence > NAMES_LOG_KEPT) {
        names_sequence_key(row, sequence - NAMES_LOG_KEPT);
        r = db_delete(txn, TABLE_LOG, row, sizeof(row));
        r = r == ERR_NOTFOUND ? 0 : r;
    }
    return r;
}

int names_store(struct db_txn *txn, uint64_t sequence, const struct db_value *key,
                const struct db_value *value)
{
    int r = log_change(txn, sequence, key);

    if (r < 0)
        return r;
    if (value != NULL)
        return db_put(txn, TABLE_NAMES, key->data, key->len, value->data, value->len);
    r = db_delete(txn, TABLE_NAMES, key->data, key->len);
    return r == ERR_NOTFOUND ? 0 : r;
}

/* value NULL: the name goes. */
static int make_change(struct names_txn *txn, const struct buf *key, const struct db_value *value)
{
    struct db_value name = {key->data, key->len};

    if (txn->names->group) {
        decision_add(&txn->decision, key, value);
        return 0;
    }
    recent_drop(txn->names->recent, key);
    return names_store(txn->db, ++txn->names->sequence, &name, value);
}

static int write_change(struct names_txn *txn, const struct buf *key, enum next next, const char *location,
                        const char *acl, const struct mupdate_details *details)
{
    struct entry entry = {.state = next == NEXT_ACTIVE ? MUPDATE_ACTIVE : MUPDATE_IS_RESERVED,
                          .location = location,
                          .acl = next == NEXT_ACTIVE ? acl : ""};
    struct buf value = BUF_INIT;
    int r;

    if (next == NEXT_ABSENT)
        return make_change(txn, key, NULL);
    if (next == NEXT_ACTIVE && details != NULL)
        entry.details = *details;
    entry_encode(&entry, txn->names->group ? decision_next(&txn->decision) : txn->names->sequence + 1,
                 &value);
    r = make_change(txn, key, &(struct db_value){value.data, value.len});
    buf_free(&value);
    return r;
}

static bool arguments_ok(const char *name, const char *location, const char *acl,
                         const struct mupdate_details *details)
{
    struct mboxlist_record record = {.name = name, .type = MBOXLIST_REMOTE, .server = location, .acl = acl};

    if (details != NULL) {
        record.id = details->id;
        record.special_use = details->special_use;
    }
    return mboxlist_record_check(&record) == 0 && (location == NULL || location[0] != '\0') &&
           (details == NULL || details->type == NULL || strlen(details->type) <= MUPDATE_TYPE_MAX);
}

static bool accept_conflict(const char *name, const struct entry *there, const char *location)
{
    bool accept = opt_enum(OPT_MUPDATE_CONFLICT) == MUPDATE_CONFLICT_ACCEPT;

    LOG(accept ? LOG_NOTICE : LOG_WARNING, MUPDATE_CONFLICT, LOG_STR(MAILBOX, name),
        LOG_STR(LOCATION, location), LOG_STR(HOLDER, there->location));
    return accept;
}

static int apply_in(struct names_txn *txn, enum mupdate_verb verb, const struct buf *key, const char *name,
                    const char *location, const char *acl, const struct mupdate_details *details)
{
    struct entry there = {.state = MUPDATE_ABSENT, .location = ""};
    struct transition t;
    int r = get_there(txn, key, &there);

    if (r < 0 && r != ERR_NOTFOUND)
        return r;
    t = transitions[verb][what_is_there(&there, location)];
    if (t.result == NAMES_CONFLICT && accept_conflict(name, &there, location))
        t = (struct transition){NAMES_DONE, NEXT_ACTIVE};
    if (t.next == NEXT_SAME)
        return t.result;
    r = write_change(txn, key, t.next, location, acl, details);
    return r < 0 ? r : (int)t.result;
}

int names_apply(struct names_txn *txn, enum mupdate_verb verb, const char *name, const char *location,
                const char *acl, const struct mupdate_details *details)
{
    struct buf key = BUF_INIT;
    int r;

    MAGIC_CHECK(txn, TXN_MAGIC);
    BUG_ON((unsigned)verb > MUPDATE_DELETE);
    if (!arguments_ok(name, location, acl, details))
        return NAMES_BAD;
    key_name(&key, name);
    r = apply_in(txn, verb, &key, name, location, acl, details);
    buf_free(&key);
    pool_reset(txn->pool);
    return r;
}

static void free_txn(struct names_txn **txnp)
{
    pool_free(&(*txnp)->pool);
    decision_free(&(*txnp)->decision);
    (*txnp)->magic = 0;
    free(*txnp);
    *txnp = NULL;
}

void names_abort(struct names_txn **txnp)
{
    struct names_txn *txn = *txnp;

    MAGIC_CHECK(txn, TXN_MAGIC);
    if (!txn->names->group)
        txn->names->sequence = txn->began; /* still alone with it */
    db_abort(&txn->db);
    free_txn(txnp);
}

/* What was committed by others before us has been synced with ours. */
void names_publish(struct names *names, uint64_t sequence)
{
    uint64_t before = atomic_load(&names->published);

    while (before < sequence && !atomic_compare_exchange_weak(&names->published, &before, sequence))
        ;
    if (before < sequence && names->on_published != NULL)
        names->on_published(names->context);
}

int names_commit(struct names_txn **txnp)
{
    struct names_txn *txn = *txnp;
    struct names *names = txn->names;
    uint64_t sequence = names->sequence;
    int r;

    MAGIC_CHECK(txn, TXN_MAGIC);
    BUG_ON(names->group);
    if (sequence == txn->began) { /* only refusals: what they are for must last */
        bool ahead = sequence > atomic_load(&names->published);

        names_abort(txnp);
        return ahead ? db_flush(names->env) : 0;
    }
    r = meta_put_number(txn->db, META_SEQUENCE, sequence);
    if (r < 0) {
        names_abort(txnp);
        return r;
    }
    r = db_commit(&txn->db);
    free_txn(txnp);
    if (r == 0)
        names_publish(names, sequence);
    return r;
}

void names_decided(struct names_txn **txnp, struct journal_entry *entry_r)
{
    struct names_txn *txn = *txnp;

    MAGIC_CHECK(txn, TXN_MAGIC);
    BUG_ON(!txn->names->group);
    *entry_r = txn->decision.entry;
    txn->decision.entry = (struct journal_entry)JOURNAL_ENTRY_INIT;
    db_abort(&txn->db);
    free_txn(txnp);
}

/* ---- as a source ---- */

/* A read transaction on names that are to be seen. */
static int begin_read(struct names *names, struct db_txn **txn_r)
{
    int r = db_begin(names->env, false, txn_r);

    if (r == 0 && !atomic_load(&names->readable)) { /* a copy begins with a transaction, behind this one */
        db_abort(txn_r);
        return ERR_AGAIN;
    }
    return r;
}

/* Ends a read transaction with its result.  `lasting`: what it has seen of commits that are still on their way to
 * the disk gets there first, that a name is not there too.  (In a group it is settled, wherever it is.) */
static int end_read(struct names *names, struct db_txn **txn, bool lasting, int r)
{
    bool ahead = /* no writer before its end */
        !names->group && names->sequence > atomic_load(&names->published);
    int flushed = 0;

    db_abort(txn);
    if ((r >= 0 || r == ERR_NOTFOUND) && lasting && ahead)
        flushed = db_flush(names->env);
    return flushed < 0 ? flushed : r;
}

/* Finds in the database. */
static int find_stored(struct names *names, const struct buf *key, struct pool *pool, struct entry *entry_r)
{
    struct db_value value = {0};
    struct db_txn *txn;
    bool lasting;
    int r = begin_read(names, &txn);

    if (r < 0)
        return r;
    r = db_get(txn, TABLE_NAMES, key->data, key->len, &value);
    if (r == 0)
        r = entry_decode(&value, pool, entry_r);
    lasting = r < 0 || entry_r->sequence > atomic_load(&names->published);
    if (names->recent != NULL && !lasting)
        recent_put(names->recent, key, value.data, value.len);
    return end_read(names, &txn, lasting, r);
}

static int names_find(struct source *source, const char *name, struct pool *pool, struct entry *entry_r)
{
    struct names *names = (struct names *)source;
    struct db_value value = {0};
    struct buf key = BUF_INIT;
    int r;

    if (name[0] == '\0' || strlen(name) > MBOXLIST_NAME_MAX)
        return ERR_NOTFOUND;
    key_name(&key, name);
    if (names->recent != NULL)
        value.data = recent_get(names->recent, &key, pool, &value.len);
    r = value.data != NULL ? entry_decode(&value, pool, entry_r) : find_stored(names, &key, pool, entry_r);
    entry_r->name = pool_strdup(pool, name);
    buf_free(&key);
    return r;
}

struct cursor {
    struct names *names;
    struct buf last; /* the key handed out last */
};

static struct cursor *names_list_begin(struct source *source)
{
    struct cursor *cursor = xcalloc(1, sizeof(*cursor));

    cursor->names = (struct names *)source;
    return cursor;
}

static void names_list_end(struct cursor **cursor)
{
    if (*cursor != NULL)
        buf_free(&(*cursor)->last);
    free(*cursor);
    *cursor = NULL;
}

struct visit {
    struct cursor *cursor;
    struct pool *pool;
    unsigned left;
    entry_fn *fn;
    void *context;
    struct buf next; /* the key that the next batch begins behind */
};

static int visit_name(const struct db_value *key, const struct db_value *value, void *context)
{
    struct visit *visit = context;
    const struct buf *last = &visit->cursor->last;
    struct entry entry;
    int r;

    if (key->len == last->len && memcmp(key->data, last->data, key->len) == 0)
        return 0;
    if (visit->left == 0)
        return 1;
    visit->left--;
    pool_reset(visit->pool);
    r = entry_decode(value, visit->pool, &entry);
    if (r < 0)
        return r;
    entry.name = key_to_name(visit->pool, key->data, key->len);
    buf_reset(&visit->next);
    buf_append(&visit->next, key->data, key->len);
    visit->fn(&entry, visit->context);
    return 0;
}

static int names_list_next(struct cursor *cursor, unsigned most, entry_fn *fn, void *context)
{
    struct visit visit = {.cursor = cursor, .left = most, .fn = fn, .context = context};
    struct db_txn *txn;
    int r = begin_read(cursor->names, &txn);

    if (r < 0)
        return r;
    visit.pool = pool_new(0);
    r = db_scan(txn, TABLE_NAMES, cursor->last.data, cursor->last.len, NULL, 0, visit_name, &visit);
    r = end_read(cursor->names, &txn, r == 0, r); /* at the end, for all batches */
    pool_free(&visit.pool);
    if (visit.next.len > 0) {
        buf_free(&cursor->last);
        cursor->last = visit.next;
    } else {
        buf_free(&visit.next);
    }
    return r;
}

static uint64_t names_epoch(struct source *source)
{
    return atomic_load(&((struct names *)source)->epoch);
}

static uint64_t names_sequence(struct source *source)
{
    return atomic_load(&((struct names *)source)->published);
}

struct replay {
    struct db_txn *txn;
    struct pool *pool;
    uint64_t after, until;
    bool ahead; /* a state may be a later one than that of `until` */
    unsigned left;
    entry_fn *fn;
    void *context;
};

static int replay_row(const struct db_value *key, const struct db_value *value, void *context)
{
    struct replay *replay = context;
    const struct buf name_key = {(char *)(uintptr_t)value->data, value->len, 0};
    struct entry entry = {.state = MUPDATE_ABSENT, .location = "", .acl = ""};
    uint64_t sequence = key_sequence(key);
    int r;

    if (sequence > replay->until || replay->left == 0)
        return 1;
    replay->left--;
    pool_reset(replay->pool);
    entry.name = key_to_name(replay->pool, value->data, value->len);
    r = get_entry(replay->txn, &name_key, replay->pool, &entry);
    if (r < 0 && r != ERR_NOTFOUND)
        return r;
    replay->ahead = replay->ahead || r == ERR_NOTFOUND || entry.sequence > replay->until;
    replay->after = sequence;
    replay->fn(&entry, replay->context);
    return 0;
}

/* Are the rows behind `after` still there?  Commits that are not published yet have removed old ones too. */
static int check_kept(struct db_txn *txn, uint64_t after)
{
    uint64_t last;
    int r = meta_get_number(txn, META_SEQUENCE, &last);

    return r == 0 && last > after && last - after > NAMES_LOG_KEPT ? ERR_EXPUNGED : r;
}

/* A row's name has in this snapshot its present state, maybe that of a later row; that row repeats it. */
static int names_changes(struct source *source, uint64_t *after, unsigned most, entry_fn *fn, void *context)
{
    struct names *names = (struct names *)source;
    struct replay replay = {
        .after = *after, .until = names_sequence(source), .left = most, .fn = fn, .context = context};
    unsigned char start[8];
    int r;

    if (replay.until <= *after)
        return atomic_load(&names->readable) ? 0 : ERR_AGAIN;
    r = begin_read(names, &replay.txn);
    if (r < 0)
        return r;
    replay.pool = pool_new(0);
    names_sequence_key(start, *after + 1);
    r = check_kept(replay.txn, *after);
    if (r == 0)
        r = db_scan(replay.txn, TABLE_LOG, start, sizeof(start), NULL, 0, replay_row, &replay);
    r = end_read(names, &replay.txn, replay.ahead, r);
    pool_free(&replay.pool);
    if (r >= 0)
        *after = r == 0 ? replay.until : replay.after; /* a failed commit leaves a gap */
    return r < 0 ? r : 0;
}

static const struct source_ops names_source_ops = {
    .find = names_find,
    .list_begin = names_list_begin,
    .list_next = names_list_next,
    .list_end = names_list_end,
    .epoch = names_epoch,
    .sequence = names_sequence,
    .changes = names_changes,
};
