/* remote.c: applying a MUPDATE master's names to the list. */
#include "lib/mboxlist/remote.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/mboxlist/ids.h"
#include "lib/mboxlist/mboxlist-private.h"

/* A batch above that is a list that is being loaded: not journaled name by name. */
enum { JOURNAL_REMOTE_MAX = 256 };

#define REMOTE_TYPES (MBOXLIST_TYPE_BIT(MBOXLIST_REMOTE) | MBOXLIST_TYPE_BIT(MBOXLIST_RESERVED))

struct mboxlist_remote {
    struct mboxlist *list;
    char *own;
    struct pool *pool; /* of the changes collected */
    struct mboxlist_change changes[MBOXLIST_REMOTE_BATCH];
    bool changed[MBOXLIST_REMOTE_BATCH]; /* did applying it change something? */
    bool fresh[MBOXLIST_REMOTE_BATCH];   /* of a first list: there was no record of it */
    size_t count;
    struct mboxlist_remote_counters counters;
    void (*observer)(const char *name, void *context);
    void *observer_context;
    /* A full list: a 64-bit hash of each name in it.  Two names that collide (one in 10^5 lists of ten
     * million) let a deleted name live until the next full list; nothing worse. */
    bool full;
    uint64_t seed;
    uint64_t *marks;
    size_t n_marks, room;
    /* An ordered one: the remote records that are there, gone through beside it. */
    struct ids *ids;                     /* of a first list: their table is written at its end; NULL */
    struct mboxlist_iter *there;         /* NULL: not ordered */
    const struct mboxlist_record *ahead; /* the first that the list has not come to; NULL: ask `there` */
    bool there_ended;
    struct buf last; /* the list's last name */
    bool set_position;
    uint64_t epoch, sequence;
};

struct mboxlist_remote *mboxlist_remote_new(struct mboxlist *list, const char *own)
{
    struct mboxlist_remote *remote = xcalloc(1, sizeof(*remote));

    MAGIC_CHECK(list, MBOXLIST_MAGIC);
    remote->list = list;
    remote->own = xstrdup(own);
    remote->pool = pool_new(64 * 1024);
    digest_random(&remote->seed, sizeof(remote->seed));
    return remote;
}

/* What is kept of a full list. */
static void forget_list(struct mboxlist_remote *remote)
{
    free(remote->marks);
    remote->marks = NULL;
    remote->n_marks = remote->room = 0;
    mboxlist_iter_free(&remote->there);
    remote->ahead = NULL;
    remote->there_ended = false;
    buf_free(&remote->last);
    ids_free(&remote->ids);
    remote->full = false;
}

void mboxlist_remote_free(struct mboxlist_remote **remotep)
{
    struct mboxlist_remote *remote = *remotep;

    if (remote == NULL)
        return;
    *remotep = NULL;
    forget_list(remote);
    pool_free(&remote->pool);
    free(remote->own);
    free(remote);
}

void mboxlist_remote_set_observer(struct mboxlist_remote *remote, void (*fn)(const char *name, void *context),
                                  void *context)
{
    remote->observer = fn;
    remote->observer_context = context;
}

/* ---- one change ---- */

static bool same(const struct mboxlist_record *a, const struct mboxlist_record *b)
{
    return a->type == b->type && strcmp(a->server, b->server) == 0 &&
           strcmp(a->partition, b->partition) == 0 && strcmp(a->acl, b->acl) == 0;
}

/* Is a detail as it was told, if it was? */
static bool same_detail(const char *there, const char *told)
{
    return told == NULL || strcmp(there, told) == 0;
}

/* A renamed mailbox comes under its new name before the old one goes: the id moves on.  What is here has its id, whatever
 * a master says. */
static int free_id(struct mboxlist_txn *txn, struct mboxlist_record *record)
{
    struct mboxlist_record other;
    int r = mboxlist_txn_lookup_id(txn, record->id, txn->pool, &other);

    if (r < 0 || strcmp(other.name, record->name) == 0)
        return r == ERR_NOTFOUND ? 0 : r;
    if (other.type == MBOXLIST_LOCAL) {
        record->id = "";
        return 0;
    }
    other.id = "";
    r = mboxlist_txn_put(txn, &other);
    txn->renamed_from = other.name;
    return r;
}

static int note_id(struct mboxlist_remote *remote, const struct mboxlist_record *record)
{
    if (remote->ids == NULL || record->id == NULL || record->type != MBOXLIST_REMOTE)
        return 0;
    return ids_add(remote->ids, record->id, record->name);
}

static int remove_remote(struct mboxlist_remote *remote, struct mboxlist_txn *txn, const char *name)
{
    int r = mboxlist_txn_delete(txn, name, false);

    remote->counters.removed += r == 0;
    return r;
}

/* What the master says of a name that has a record of type local here. */
static int meet_local(struct mboxlist_remote *remote, const struct mboxlist_change *change,
                      const char *server)
{
    if (change->type == MBOXLIST_CHANGE_MAILBOX && strcmp(server, remote->own) != 0)
        remote->counters.conflicts++;
    return 0;
}

static int put_remote(struct mboxlist_remote *remote, struct mboxlist_txn *txn,
                      const struct mboxlist_record *wanted, const struct mboxlist_record *old,
                      const struct mboxlist_change *change)
{
    struct mboxlist_record record = *wanted;
    int r = 0;

    if (old != NULL && same(wanted, old) && same_detail(old->id, change->id) &&
        same_detail(old->special_use, change->special_use))
        return note_id(remote, old);
    if (old != NULL && strcmp(old->server, wanted->server) == 0) { /* what was not told, kept */
        record.id = old->id;
        record.special_use = old->special_use;
        record.uidvalidity = old->uidvalidity;
    }
    if (change->id != NULL)
        record.id = change->id;
    if (change->special_use != NULL)
        record.special_use = change->special_use;
    if (record.id != NULL && record.id[0] != '\0' && remote->ids == NULL)
        r = free_id(txn, &record);
    if (r == 0)
        r = mboxlist_txn_put(txn, &record);
    remote->counters.written += r == 0;
    return r == 0 ? note_id(remote, &record) : r;
}

/* What the master says of a name, as a record.  Its server's name is not looked at. */
static void to_record(struct pool *pool, const struct mboxlist_change *change,
                      struct mboxlist_record *record_r)
{
    bool active = change->type == MBOXLIST_CHANGE_MAILBOX;

    *record_r = (struct mboxlist_record){.name = change->name,
                                         .type = active ? MBOXLIST_REMOTE : MBOXLIST_RESERVED,
                                         .acl = active && change->acl != NULL ? change->acl : ""};
    mboxlist_location_split(pool, change->location, &record_r->server, &record_r->partition);
}

/* A name that there was no record of when the first list came to it.  ERR_EXISTS: there is one now. */
static int apply_fresh(struct mboxlist_remote *remote, struct mboxlist_txn *txn,
                       const struct mboxlist_change *change)
{
    struct mboxlist_record record;
    int r;

    to_record(txn->pool, change, &record);
    if (strcmp(record.server, remote->own) == 0)
        return ERR_EXISTS;
    record.id = change->id;
    record.special_use = change->special_use;
    r = txn_put_new(txn, &record);
    if (r < 0)
        return r;
    remote->counters.written++;
    return note_id(remote, &record);
}

static int apply(struct mboxlist_remote *remote, struct mboxlist_txn *txn,
                 const struct mboxlist_change *change)
{
    struct mboxlist_record old, wanted;
    int r = mboxlist_txn_lookup(txn, change->name, txn->pool, &old);
    bool known = r == 0;

    if (r < 0 && r != ERR_NOTFOUND)
        return r;
    to_record(txn->pool, change, &wanted);
    if (known && (old.type == MBOXLIST_LOCAL || old.type == MBOXLIST_INTERMEDIATE))
        return meet_local(remote, change, wanted.server);
    if (change->type == MBOXLIST_CHANGE_DELETE || strcmp(wanted.server, remote->own) == 0)
        return known ? remove_remote(remote, txn, change->name) : 0;
    return put_remote(remote, txn, &wanted, known ? &old : NULL, change);
}

/* Ends the transaction: commits when everything went well. */
static int finish(struct mboxlist_txn **txn, int r)
{
    if (r == 0)
        return mboxlist_commit(txn);
    mboxlist_abort(txn);
    return r;
}

static int write_position(struct mboxlist_remote *remote, struct mboxlist_txn *txn)
{
    bool known = remote->counters.conflicts == 0;
    int r = txn_number_put(txn, "mupdate-epoch", known ? remote->epoch : 0);

    return r < 0 ? r : txn_number_put(txn, "mupdate-sequence", known ? remote->sequence : 0);
}

static void tell_observer(const struct mboxlist_remote *remote)
{
    for (size_t i = 0; i < remote->count && remote->observer != NULL; i++)
        if (remote->changed[i])
            remote->observer(remote->changes[i].name, remote->observer_context);
}

int mboxlist_remote_flush(struct mboxlist_remote *remote)
{
    bool by_name = remote->count <= JOURNAL_REMOTE_MAX;
    struct mboxlist_txn *txn;
    int r;

    if (remote->count == 0 && !remote->set_position)
        return 0;
    r = mboxlist_begin(remote->list, &txn);
    if (r < 0)
        return r;
    txn->ids_later = remote->ids != NULL;
    if (remote->full &&
        !remote->set_position) /* who loses a part of a list has no position: it comes again */
        db_lazy(txn->db);
    if (!by_name)
        r = journal_txn_lost(txn);
    for (size_t i = 0; i < remote->count && r == 0; i++) {
        uint64_t before = remote->counters.written + remote->counters.removed;

        r = remote->fresh[i] && !by_name ? apply_fresh(remote, txn, &remote->changes[i]) : ERR_EXISTS;
        if (r == ERR_EXISTS)
            r = apply(remote, txn, &remote->changes[i]);
        remote->changed[i] = remote->counters.written + remote->counters.removed != before;
    }
    if (r == 0 && remote->set_position)
        r = write_position(remote, txn);
    r = finish(&txn, r);
    if (r == 0) {
        tell_observer(remote);
        remote->count = 0;
        remote->set_position = false;
        pool_reset(remote->pool);
    }
    return r;
}

/* ---- collecting ---- */

static bool change_ok(const struct mboxlist_change *change)
{
    const struct mboxlist_record record = {.name = change->name,
                                           .type = MBOXLIST_REMOTE,
                                           .server = change->location,
                                           .acl = change->acl,
                                           .id = change->id,
                                           .special_use = change->special_use};

    return mboxlist_record_check(&record) == 0;
}

/* FNV-1a from a random start, with a last mix. */
static uint64_t name_hash(const struct mboxlist_remote *remote, const char *name)
{
    uint64_t h = remote->seed;

    for (; *name != '\0'; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return h ^ (h >> 32);
}

static void mark(struct mboxlist_remote *remote, const char *name)
{
    if (remote->n_marks == remote->room) {
        remote->room = remote->room == 0 ? 4096 : 2 * remote->room;
        remote->marks = xreallocarray(remote->marks, remote->room, sizeof(*remote->marks));
    }
    remote->marks[remote->n_marks++] = name_hash(remote, name);
}

static int collect(struct mboxlist_remote *remote, const struct mboxlist_change *change, bool fresh)
{
    struct mboxlist_change *copy;
    int r;

    if (remote->count == MBOXLIST_REMOTE_BATCH) {
        r = mboxlist_remote_flush(remote);
        if (r < 0)
            return r;
    }
    remote->fresh[remote->count] = fresh;
    copy = &remote->changes[remote->count++];
    *copy = *change;
    copy->name = pool_strdup(remote->pool, change->name);
    copy->location = pool_strdup(remote->pool, change->location == NULL ? "" : change->location);
    copy->acl = pool_strdup(remote->pool, change->acl == NULL ? "" : change->acl);
    copy->id = change->id != NULL ? pool_strdup(remote->pool, change->id) : NULL;
    copy->special_use = change->special_use != NULL ? pool_strdup(remote->pool, change->special_use) : NULL;
    return 0;
}

static int collect_delete(struct mboxlist_remote *remote, const char *name)
{
    const struct mboxlist_change change = {.type = MBOXLIST_CHANGE_DELETE, .name = name};

    return collect(remote, &change, false); /* apply() leaves local ones alone */
}

/* Goes on to `name` (NULL: to the end) in what is there, and removes what it steps over.  *found_r: the name's own
 * record; NULL: none. */
static int step_over(struct mboxlist_remote *remote, const char *name, const struct mboxlist_record **found_r)
{
    int r = 0;

    while (r == 0) {
        int order;

        if (remote->ahead == NULL && !remote->there_ended) {
            r = mboxlist_iter_next(remote->there, &remote->ahead);
            remote->there_ended = r == 0;
        }
        if (r < 0 || remote->there_ended)
            return r;
        order = name == NULL ? -1 : mboxlist_name_compare(remote->ahead->name, name);
        if (order > 0)
            return 0;
        if (order == 0) {
            *found_r = remote->ahead;
            remote->ahead = NULL;
            return 0;
        }
        r = collect_delete(remote, remote->ahead->name);
        remote->ahead = NULL;
    }
    return r;
}

static bool has_location(const struct mboxlist_record *record, const char *location)
{
    size_t n = strcspn(location, "!");

    return strncmp(record->server, location, n) == 0 && record->server[n] == '\0' &&
           strcmp(record->partition, location[n] == '!' ? location + n + 1 : "") == 0;
}

/* Nothing is to be done where the record is as the list has it: no transaction, no lookup. */
static bool is_settled(const struct mboxlist_remote *remote, const struct mboxlist_record *there,
                       const struct mboxlist_change *change)
{
    bool active = change->type == MBOXLIST_CHANGE_MAILBOX;

    return there->type == (active ? MBOXLIST_REMOTE : MBOXLIST_RESERVED) &&
           has_location(there, change->location) && strcmp(there->server, remote->own) != 0 &&
           strcmp(there->acl, active ? change->acl : "") == 0 && same_detail(there->id, change->id) &&
           same_detail(there->special_use, change->special_use);
}

static int add_ordered(struct mboxlist_remote *remote, const struct mboxlist_change *change)
{
    const struct mboxlist_record *found = NULL;
    int r;

    if (change->type == MBOXLIST_CHANGE_DELETE ||
        (remote->last.len > 0 && mboxlist_name_compare(buf_cstr(&remote->last), change->name) >= 0))
        return ERR_PROTOCOL;
    buf_reset(&remote->last);
    buf_puts(&remote->last, change->name);
    r = step_over(remote, change->name, &found);
    if (r < 0)
        return r;
    if (found != NULL && is_settled(remote, found, change))
        return note_id(remote, found);
    return collect(remote, change, remote->ids != NULL && found == NULL);
}

int mboxlist_remote_add(struct mboxlist_remote *remote, const struct mboxlist_change *change)
{
    remote->counters.received++;
    if (!change_ok(change)) {
        remote->counters.invalid++;
        return 0;
    }
    if (remote->there != NULL)
        return add_ordered(remote, change);
    if (remote->full && change->type != MBOXLIST_CHANGE_DELETE)
        mark(remote, change->name);
    return collect(remote, change, false);
}

void mboxlist_remote_set_position(struct mboxlist_remote *remote, uint64_t epoch, uint64_t sequence)
{
    remote->set_position = true;
    remote->epoch = epoch;
    remote->sequence = sequence;
}

void mboxlist_remote_counters(const struct mboxlist_remote *remote, struct mboxlist_remote_counters *out)
{
    *out = remote->counters;
}

int mboxlist_remote_position(struct mboxlist *list, uint64_t *epoch_r, uint64_t *sequence_r)
{
    struct mboxlist_txn *txn;
    int r = mboxlist_begin(list, &txn);

    if (r < 0)
        return r;
    r = txn_number_get(txn, "mupdate-epoch", epoch_r);
    if (r == 0)
        r = txn_number_get(txn, "mupdate-sequence", sequence_r);
    mboxlist_abort(&txn);
    return r;
}

/* ---- a full list ---- */

static int compare_marks(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

void mboxlist_remote_full_begin(struct mboxlist_remote *remote, bool ordered)
{
    forget_list(remote);
    remote->full = true;
    if (ordered && mboxlist_remote_is_whole(remote->list) == 0)
        remote->ids = ids_new(remote->list);
    if (ordered)
        remote->there = mboxlist_iter_all(remote->list, NULL, REMOTE_TYPES);
}

static bool is_marked(const struct mboxlist_remote *remote, const char *name)
{
    uint64_t hash = name_hash(remote, name);

    return remote->n_marks > 0 &&
           bsearch(&hash, remote->marks, remote->n_marks, sizeof(hash), compare_marks) != NULL;
}

/* Adds DELETE changes for the records that no mark speaks for; apply() leaves local ones alone. */
static int sweep(struct mboxlist_remote *remote)
{
    struct mboxlist_iter *it = mboxlist_iter_all(remote->list, NULL, REMOTE_TYPES);
    const struct mboxlist_record *record;
    int r;

    while ((r = mboxlist_iter_next(it, &record)) > 0) {
        if (is_marked(remote, record->name))
            continue;
        r = collect_delete(remote, record->name);
        if (r < 0)
            break;
    }
    mboxlist_iter_free(&it);
    return r;
}

int mboxlist_remote_is_whole(struct mboxlist *list)
{
    struct db_txn *db;
    uint64_t whole;
    int r;

    MAGIC_CHECK(list, MBOXLIST_MAGIC);
    r = db_begin(list->env, false, &db);
    if (r < 0)
        return r;
    r = list_number_get(list, db, "mupdate-whole", &whole);
    db_abort(&db);
    return r < 0 ? r : whole != 0;
}

static int note_whole(struct mboxlist *list)
{
    struct mboxlist_txn *txn;
    int r = mboxlist_remote_is_whole(list);

    if (r != 0)
        return r < 0 ? r : 0;
    r = mboxlist_begin(list, &txn);
    return r < 0 ? r : finish(&txn, txn_number_put(txn, "mupdate-whole", 1));
}

int mboxlist_remote_full_end(struct mboxlist_remote *remote)
{
    bool set_position = remote->set_position;
    int r;

    BUG_ON(!remote->full);
    remote->set_position = false; /* only behind the removals: who dies before them begins anew */
    if (remote->there != NULL) {
        r = step_over(remote, NULL, NULL);
    } else {
        r = mboxlist_remote_flush(remote);
        if (remote->n_marks > 0)
            qsort(remote->marks, remote->n_marks, sizeof(*remote->marks), compare_marks);
        if (r == 0)
            r = sweep(remote);
    }
    if (r == 0 && remote->ids != NULL) {
        r = mboxlist_remote_flush(remote);
        if (r == 0)
            r = ids_write(remote->ids);
    }
    remote->set_position = set_position;
    if (r == 0)
        r = mboxlist_remote_flush(remote);
    if (r == 0)
        r = note_whole(remote->list);
    forget_list(remote);
    return r;
}
