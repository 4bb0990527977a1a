/* names.c: the master's names. */
#include "mupdate/names.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/db/db.h"
#include "lib/db/pack.h"
#include "lib/mboxlist/key.h"
#include "lib/mboxlist/record.h"
#include "mupdate/entry.h"
#include "mupdate/recent.h"

enum { NAMES_MAGIC = 0x7bda7e01, TXN_MAGIC = 0x7bda7e02, OPEN_AGAIN_MS = 50 };

enum { TABLE_NAMES, TABLE_LOG, TABLE_META };
static const char *const tables[] = {"names", "log", "meta", NULL};

struct names {
    struct source source;
    unsigned magic;
    struct db_env *env;
    _Atomic uint64_t epoch;
    uint64_t sequence;          /* the last given; changes only with a write transaction open */
    _Atomic uint64_t published; /* the last that is durable; in a group: also in our own copy */
    void (*on_published)(void *context);
    void *context;
    struct recent *recent; /* NULL in a group, where names change by themselves */
    /* a group's */
    bool group;
    _Atomic uint64_t term;         /* we are its writer, in this term; 0: we are not */
    _Atomic uint64_t visible_term; /* of `published`; 0: nothing is known yet */
    pthread_mutex_t mutex;         /* for the next one */
    struct names_position told;    /* a quorum has all up to here */
};

struct names_txn {
    unsigned magic;
    struct names *names;
    struct db_txn *db;
    uint64_t began; /* names->sequence then */
    struct pool *pool;
};

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

static void sequence_key(unsigned char key[8], uint64_t sequence)
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

static int get_number(struct db_txn *txn, const char *word, uint64_t *number_r)
{
    struct db_value value;
    struct packed p;
    int r = db_get(txn, TABLE_META, word, strlen(word), &value);

    if (r < 0)
        return r;
    p = (struct packed){.at = value.data, .left = value.len};
    *number_r = unpack(&p, 8);
    return p.bad ? ERR_CORRUPT : 0;
}

static int put_number(struct db_txn *txn, const char *word, uint64_t number)
{
    struct buf value = BUF_INIT;
    int r;

    pack_u64(&value, number);
    r = db_put(txn, TABLE_META, word, strlen(word), value.data, value.len);
    buf_free(&value);
    return r;
}

static int read_or_make_meta(struct names *names, struct db_txn *txn)
{
    uint64_t epoch, sequence = 0;
    int r = get_number(txn, "epoch", &epoch);

    if (r == ERR_NOTFOUND) {
        digest_random(&epoch, sizeof(epoch));
        r = put_number(txn, "epoch", epoch);
        if (r == 0)
            r = put_number(txn, "sequence", 0);
    } else if (r == 0) {
        r = get_number(txn, "sequence", &sequence);
    }
    names->epoch = epoch;
    names->sequence = sequence;
    return r;
}

static int load_meta(struct names *names)
{
    struct db_txn *txn;
    int r = db_begin(names->env, true, &txn);

    if (r < 0)
        return r;
    r = read_or_make_meta(names, txn);
    names->published = names->sequence;
    if (r == 0) /* what it was to a group that it has been taken out of */
        r = db_delete(txn, TABLE_META, "group", strlen("group"));
    if (r == 0 || r == ERR_NOTFOUND)
        return db_commit(&txn);
    db_abort(&txn);
    return r;
}

/* What a group's `meta` says besides. */
static int put_group(struct names *names, struct db_txn *txn, uint64_t term)
{
    struct buf value = BUF_INIT;
    int r;

    pack_u64(&value, term);
    pack_u64(&value, atomic_load(&names->published));
    r = db_put(txn, TABLE_META, "group", strlen("group"), value.data, value.len);
    buf_free(&value);
    return r;
}

static int get_group(struct db_txn *txn, uint64_t *term_r, uint64_t *settled_r)
{
    struct db_value value;
    struct packed p;
    int r = db_get(txn, TABLE_META, "group", strlen("group"), &value);

    *term_r = *settled_r = 0;
    if (r < 0)
        return r == ERR_NOTFOUND ? 0 : r;
    p = (struct packed){.at = value.data, .left = value.len};
    *term_r = unpack(&p, 8);
    *settled_r = unpack(&p, 8);
    return p.bad ? ERR_CORRUPT : 0;
}

/* The process before us, told to stop, may still be closing it. */
static int open_env(const char *path, const struct db_group_config *group, int64_t wait_ms,
                    struct db_env **env_r, char **error_r)
{
    int64_t deadline = clock_deadline(wait_ms);
    int r;

    for (;;) {
        r = group != NULL ? db_open_group(path, tables, group, env_r, error_r)
                          : db_open(DB_BERKELEY, path, 0, 1, tables, env_r, error_r);
        if (r != ERR_BUSY || clock_left(deadline) == 0)
            return r;
        free(*error_r);
        *error_r = NULL;
        nanosleep(&(struct timespec){0, OPEN_AGAIN_MS * 1000000}, NULL);
    }
}

static const struct source_ops names_source_ops;

int names_open_group(const char *dir, const struct db_group_config *group, int64_t wait_ms,
                     void (*published)(void *context), void *context, struct names **names_r, char **error_r)
{
    struct names *names = xcalloc(1, sizeof(*names));
    char *path = xstrprintf("%s/mupdate%s", dir, group != NULL ? ".group" : "");
    int r;

    *error_r = NULL;
    names->source.ops = &names_source_ops;
    names->magic = NAMES_MAGIC;
    names->on_published = published;
    names->context = context;
    names->group = group != NULL;
    names->recent = group == NULL ? recent_new() : NULL;
    pthread_mutex_init(&names->mutex, NULL);
    r = open_env(path, group, wait_ms, &names->env, error_r);
    if (r == 0 && group == NULL) {
        BUG_ON(db_table(names->env, "log") != TABLE_LOG || db_table(names->env, "meta") != TABLE_META);
        r = load_meta(names);
        if (r < 0)
            *error_r = xstrprintf("%s: %s", path, error_text(r));
    }
    free(path);
    if (r < 0)
        names_close(&names);
    *names_r = names;
    return r;
}

int names_open(const char *dir, int64_t wait_ms, void (*published)(void *context), void *context,
               struct names **names_r, char **error_r)
{
    return names_open_group(dir, NULL, wait_ms, published, context, names_r, error_r);
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
    pthread_mutex_destroy(&names->mutex);
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

/* In a group: are we the writer, and was nobody else since we began to be? */
static int check_term(struct names *names, struct db_txn *txn)
{
    uint64_t term, settled;
    int r = names_may_write(names) ? get_group(txn, &term, &settled) : ERR_UNAVAILABLE;

    if (r < 0 || (term == atomic_load(&names->term) && term >> 32 >= db_group_generation(names->env)))
        return r;
    names_step_down(names); /* elected again, maybe: what was not settled then has been undone */
    return ERR_UNAVAILABLE;
}

int names_begin(struct names *names, struct names_txn **txn_r)
{
    struct db_txn *db;
    int r;

    MAGIC_CHECK(names, NAMES_MAGIC);
    r = db_begin(names->env, true, &db);
    if (r == 0 && names->group) {
        r = check_term(names, db);
        if (r < 0)
            db_abort(&db);
    }
    if (r < 0)
        return r;
    *txn_r = xmalloc(sizeof(**txn_r));
    **txn_r = (struct names_txn){TXN_MAGIC, names, db, names->sequence, pool_new(0)};
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

/* The next row of the change log; the oldest goes. */
static int log_change(struct names_txn *txn, const struct buf *key)
{
    unsigned char sequence[8];
    int r;

    sequence_key(sequence, ++txn->names->sequence);
    r = db_put(txn->db, TABLE_LOG, sequence, sizeof(sequence), key->data, key->len);
    if (r == 0 && txn->names->sequence > NAMES_LOG_KEPT) {
        sequence_key(sequence, txn->names->sequence - NAMES_LOG_KEPT);
        r = db_delete(txn->db, TABLE_LOG, sequence, sizeof(sequence));
        r = r == ERR_NOTFOUND ? 0 : r;
    }
    return r;
}

static int write_change(struct names_txn *txn, const struct buf *key, enum next next, const char *location,
                        const char *acl, const struct mupdate_details *details)
{
    struct entry entry = {.state = next == NEXT_ACTIVE ? MUPDATE_ACTIVE : MUPDATE_IS_RESERVED,
                          .location = location,
                          .acl = next == NEXT_ACTIVE ? acl : ""};
    struct buf value = BUF_INIT;
    int r = log_change(txn, key);

    if (txn->names->recent != NULL)
        recent_drop(txn->names->recent, key);
    if (next == NEXT_ACTIVE && details != NULL)
        entry.details = *details;
    if (r == 0 && next == NEXT_ABSENT) {
        r = db_delete(txn->db, TABLE_NAMES, key->data, key->len);
    } else if (r == 0) {
        entry_encode(&entry, txn->names->sequence, &value);
        r = db_put(txn->db, TABLE_NAMES, key->data, key->len, value.data, value.len);
    }
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
    int r = get_entry(txn->db, key, txn->pool, &there);

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
    (*txnp)->magic = 0;
    free(*txnp);
    *txnp = NULL;
}

void names_abort(struct names_txn **txnp)
{
    struct names_txn *txn = *txnp;

    MAGIC_CHECK(txn, TXN_MAGIC);
    txn->names->sequence = txn->began; /* still alone with it */
    db_abort(&txn->db);
    free_txn(txnp);
}

/* What was committed by others before us has been synced with ours. */
static void publish(struct names *names, uint64_t sequence)
{
    uint64_t before = atomic_load(&names->published);

    while (before < sequence && !atomic_compare_exchange_weak(&names->published, &before, sequence))
        ;
    if (before < sequence && names->on_published != NULL)
        names->on_published(names->context);
}

/* ---- a group's ---- */

bool names_may_write(struct names *names)
{
    return !names->group || (atomic_load(&names->term) != 0 && !db_group_is_unsettled(names->env));
}

bool names_is_writer(struct names *names)
{
    return atomic_load(&names->term) != 0;
}

void names_step_down(struct names *names)
{
    atomic_store(&names->term, 0);
}

struct names_position names_visible(struct names *names)
{
    return (struct names_position){atomic_load(&names->visible_term), atomic_load(&names->published)};
}

/* A later term is larger: its upper half is the generation of the election that it began with.  The lower one begins with
 * a number at random, for lists that have been in several groups. */
static uint64_t term_after(uint64_t term, uint32_t generation)
{
    uint32_t random;

    if (term >> 32 >= generation)
        return term + 1;
    digest_random(&random, sizeof(random));
    return (uint64_t)generation << 32 | random >> 1;
}

bool names_is_before(const struct names_position *a, const struct names_position *b)
{
    return a->term < b->term || (a->term == b->term && a->sequence < b->sequence);
}

void names_told(struct names *names, const struct names_position *told)
{
    pthread_mutex_lock(&names->mutex);
    if (names_is_before(&names->told, told))
        names->told = *told;
    pthread_mutex_unlock(&names->mutex);
}

/* A commit of the writer's, without a change of a name: with its quorum all before it has one. */
static int commit_term(struct names *names, bool next)
{
    struct names_position at;
    struct db_txn *txn;
    uint64_t settled;
    uint32_t generation = db_group_generation(names->env);
    int r = db_begin(names->env, true, &txn);

    if (r < 0)
        return r;
    r = read_or_make_meta(names, txn);
    if (r == 0)
        r = get_group(txn, &at.term, &settled);
    if (r == 0 && (next || at.term != atomic_load(&names->term) || at.term >> 32 < generation))
        at.term = term_after(at.term, generation);
    at.sequence = names->sequence;
    if (r == 0)
        r = put_group(names, txn, at.term);
    if (r < 0) {
        db_abort(&txn);
        return r;
    }
    r = db_commit(&txn);
    if (r < 0)
        return r;
    atomic_store(&names->term, at.term);
    names_told(names, &at);
    return names_refresh(names);
}

int names_take_over(struct names *names)
{
    return commit_term(names, true);
}

int names_settle(struct names *names)
{
    return commit_term(names, false);
}

bool names_is_unsettled(struct names *names)
{
    return db_group_is_unsettled(names->env);
}

int names_at(struct names *names, struct names_position *at_r, uint64_t *settled_r)
{
    struct db_txn *txn;
    uint64_t epoch = 0;
    int r = db_begin(names->env, false, &txn);

    if (r < 0)
        return r;
    r = get_number(txn, "sequence", &at_r->sequence);
    if (r == 0)
        r = get_group(txn, &at_r->term, settled_r);
    if (r == 0)
        r = get_number(txn, "epoch", &epoch);
    db_abort(&txn);
    if (r == 0)
        names->epoch = epoch;
    return r == ERR_NOTFOUND ? ERR_AGAIN : r;
}

int names_refresh(struct names *names)
{
    struct names_position at, told;
    uint64_t settled;
    int r = names_at(names, &at, &settled);

    if (r < 0)
        return r;
    pthread_mutex_lock(&names->mutex);
    told = names->told;
    pthread_mutex_unlock(&names->mutex);
    if (at.term != 0 && at.term == told.term) {
        atomic_store(&names->visible_term, at.term);
        publish(names, at.sequence < told.sequence ? at.sequence : told.sequence);
    } else if (atomic_load(&names->visible_term) == 0) {
        atomic_store(&names->visible_term, at.term);
        publish(names, at.term == 0 ? at.sequence : settled); /* the former: a lone master's */
    }
    return 0;
}

bool names_is_behind(struct names *names)
{
    struct names_position visible = names_visible(names);
    bool behind;

    pthread_mutex_lock(&names->mutex);
    behind = names_is_before(&visible, &names->told);
    pthread_mutex_unlock(&names->mutex);
    return behind;
}

static int is_key(const struct db_value *key, const struct db_value *value, void *context)
{
    const struct buf *wanted = context;

    (void)key;
    return value->len == wanted->len && memcmp(value->data, wanted->data, value->len) == 0;
}

/* May what was just read of this name still be undone, or be of a commit that is under way?  ERR_AGAIN: yes. */
static int check_settled(struct names *names, struct db_txn *txn, const struct buf *key)
{
    uint64_t sequence, visible = atomic_load(&names->published);
    unsigned char start[8];
    int r;

    if (!names->group)
        return 0;
    if (atomic_load(&names->visible_term) == 0)
        return ERR_AGAIN;
    r = get_number(txn, "sequence", &sequence);
    if (r < 0 || sequence <= visible)
        return r;
    sequence_key(start, visible + 1);
    r = db_scan(txn, TABLE_LOG, start, sizeof(start), NULL, 0, is_key, (void *)(uintptr_t)key);
    return r > 0 ? ERR_AGAIN : r;
}

/* ---- the end of a transaction ---- */

static int commit_in_group(struct names *names, struct db_txn **db)
{
    struct names_position at = {atomic_load(&names->term), names->sequence};
    int r = put_group(names, *db, at.term);

    if (r < 0)
        return r;
    r = db_commit(db);
    if (r == 0) {
        names_told(names, &at);
        atomic_store(&names->visible_term, at.term);
        return 0;
    }
    if (r != ERR_UNKNOWN)
        names_step_down(names);
    return ERR_UNKNOWN;
}

int names_commit(struct names_txn **txnp)
{
    struct names_txn *txn = *txnp;
    struct names *names = txn->names;
    uint64_t sequence = names->sequence;
    int r;

    MAGIC_CHECK(txn, TXN_MAGIC);
    if (sequence == txn->began && !names->group) { /* only refusals: what they are for must last */
        bool ahead = sequence > atomic_load(&names->published);

        names_abort(txnp);
        return ahead ? db_flush(names->env) : 0;
    }
    r = put_number(txn->db, "sequence", sequence);
    if (r < 0) {
        names_abort(txnp);
        return r;
    }
    r = names->group ? commit_in_group(names, &txn->db) : db_commit(&txn->db);
    if (r < 0 && txn->db != NULL) {
        names_abort(txnp);
        return r;
    }
    free_txn(txnp);
    if (r == 0)
        publish(names, sequence);
    return r;
}

/* ---- as a source ---- */

/* Ends a read transaction with its result.  `lasting`: what it has seen of commits that are still on their way to
 * the disk gets there first, that a name is not there too. */
static int end_read(struct names *names, struct db_txn **txn, bool lasting, int r)
{
    bool ahead = names->sequence > atomic_load(&names->published); /* no writer before its end */
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
    int r = db_begin(names->env, false, &txn);

    if (r < 0)
        return r;
    r = db_get(txn, TABLE_NAMES, key->data, key->len, &value);
    if (r == 0)
        r = entry_decode(&value, pool, entry_r);
    lasting = r < 0 || entry_r->sequence > atomic_load(&names->published);
    if (names->recent != NULL && !lasting)
        recent_put(names->recent, key, value.data, value.len);
    if (r == 0 || r == ERR_NOTFOUND) {
        int settled = check_settled(names, txn, key);

        r = settled < 0 ? settled : r;
    }
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
    /* in a group */
    bool ended, lost;
    struct names_position needed; /* a quorum must have it, before what was handed out is true */
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

/* What of a batch has no quorum yet, as far as is known here? */
static int note_unsettled(struct cursor *cursor, struct db_txn *txn)
{
    uint64_t term, settled, sequence;
    int r = get_number(txn, "sequence", &sequence);

    if (r == 0)
        r = get_group(txn, &term, &settled);
    if (r < 0 || sequence <= atomic_load(&cursor->names->published))
        return r;
    if (cursor->needed.term != 0 && cursor->needed.term != term)
        cursor->lost = true;
    cursor->needed = (struct names_position){term, sequence};
    return 0;
}

/* At the end of a list: is all of it true? */
static int list_settled(const struct cursor *cursor)
{
    struct names_position visible = names_visible(cursor->names);

    if (cursor->names->group && visible.term == 0)
        return ERR_AGAIN;
    if (cursor->needed.term == 0)
        return 0;
    if (cursor->lost || (visible.term != cursor->needed.term && visible.term > cursor->needed.term))
        return ERR_UNKNOWN;
    return visible.term == cursor->needed.term && visible.sequence >= cursor->needed.sequence ? 0 : ERR_AGAIN;
}

static int list_batch(struct cursor *cursor, unsigned most, entry_fn *fn, void *context)
{
    struct visit visit = {.cursor = cursor, .left = most, .fn = fn, .context = context};
    struct db_txn *txn;
    int r = db_begin(cursor->names->env, false, &txn);

    if (r < 0)
        return r;
    visit.pool = pool_new(0);
    r = db_scan(txn, TABLE_NAMES, cursor->last.data, cursor->last.len, NULL, 0, visit_name, &visit);
    if (r >= 0 && cursor->names->group) {
        int noted = note_unsettled(cursor, txn);

        r = noted < 0 ? noted : r;
    }
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

static int names_list_next(struct cursor *cursor, unsigned most, entry_fn *fn, void *context)
{
    int r;

    if (!cursor->ended) {
        r = list_batch(cursor, most, fn, context);
        if (r != 0)
            return r;
        cursor->ended = true;
    }
    return list_settled(cursor);
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
    struct names *names;
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
    if (r == 0 || r == ERR_NOTFOUND) {
        int settled = check_settled(replay->names, replay->txn, &name_key);

        r = settled < 0 ? settled : r;
    }
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
    int r = get_number(txn, "sequence", &last);

    return r == 0 && last > after && last - after > NAMES_LOG_KEPT ? ERR_EXPUNGED : r;
}

/* A row's name has in this snapshot its present state, maybe that of a later row; that row repeats it. */
static int names_changes(struct source *source, uint64_t *after, unsigned most, entry_fn *fn, void *context)
{
    struct names *names = (struct names *)source;
    struct replay replay = {.names = names,
                            .after = *after,
                            .until = names_sequence(source),
                            .left = most,
                            .fn = fn,
                            .context = context};
    unsigned char start[8];
    int r;

    if (replay.until <= *after)
        return 0;
    r = db_begin(names->env, false, &replay.txn);
    if (r < 0)
        return r;
    replay.pool = pool_new(0);
    sequence_key(start, *after + 1);
    r = check_kept(replay.txn, *after);
    if (r == 0)
        r = db_scan(replay.txn, TABLE_LOG, start, sizeof(start), NULL, 0, replay_row, &replay);
    if (r == ERR_AGAIN && replay.after > *after)
        r = 1; /* so far it went */
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
