/* group-log.c: a group's log: what the elected one appends, who gets it, and what of it is done to the names. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/db/db.h"
#include "mupdate/group-private.h"

bool group_save(struct mupdate_group *g)
{
    int r = g->raft.unsaved ? journal_vote(g->env, g->raft.term, g->raft.voted) : 0;

    if (r == 0) {
        g->raft.unsaved = false;
        return !g->given_up;
    }
    LOG(LOG_ERR, MUPDATE_GROUP_LOG, LOG_ERROR(r));
    group_give_up(g);
    return false;
}

/* ---- doing what is settled ---- */

/* Entries that were read, to be done once the transaction that read them has ended. */
struct batch {
    struct journal_entry *entries;
    unsigned count;
    uint64_t until;
};

static void copy_entry(struct journal_entry *to, const struct journal_entry *from)
{
    *to = *from;
    to->rows = (struct buf)BUF_INIT;
    buf_append(&to->rows, from->rows.data, from->rows.len);
}

static int take_entry(const struct journal_entry *entry, void *context)
{
    struct batch *batch = context;

    if (entry->at.index > batch->until)
        return 1;
    batch->entries = xreallocarray(batch->entries, batch->count + 1, sizeof(*batch->entries));
    copy_entry(&batch->entries[batch->count++], entry);
    return 0;
}

static void free_batch(struct batch *batch)
{
    for (unsigned i = 0; i < batch->count; i++)
        journal_entry_free(&batch->entries[i]);
    free(batch->entries);
}

/* With log_lock. */
static int do_entry(struct mupdate_group *g, const struct journal_entry *entry)
{
    int r = names_do(g->names, entry);

    if (r < 0)
        return r;
    pthread_mutex_lock(&g->mutex);
    g->applied = entry->at.index;
    group_progressed(g);
    pthread_mutex_unlock(&g->mutex);
    return 0;
}

/* With log_lock, which keeps the tail what it is: is it the entry with that index? */
static bool is_tail(struct mupdate_group *g, uint64_t index)
{
    bool is;

    pthread_mutex_lock(&g->mutex);
    is = g->tail.at.index == index && g->tail.at.term == raft_term_at(&g->raft, index);
    pthread_mutex_unlock(&g->mutex);
    return is;
}

/* The next ones, up to `commit`. */
static int do_some(struct mupdate_group *g, uint64_t from, uint64_t commit)
{
    struct batch batch = {.until = commit};
    int r;

    if (is_tail(g, from))
        return do_entry(g, &g->tail);
    r = journal_read(g->env, from, GROUP_PIECE_BYTES, take_entry, &batch);

    r = r > 0 ? 0 : r;
    for (unsigned i = 0; i < batch.count && r == 0; i++)
        r = do_entry(g, &batch.entries[i]);
    if (r == 0 && batch.count == 0)
        r = ERR_CORRUPT;
    free_batch(&batch);
    return r;
}

/* A full disk may have room again; a damaged database must be recovered. */
static void fail_to_do(struct mupdate_group *g, int r)
{
    LOG(LOG_ERR, MUPDATE_GROUP_LOG, LOG_ERROR(r));
    pthread_mutex_lock(&g->mutex);
    if (r == ERR_CORRUPT || r == ERR_INVALID || r == ERR_VERSION)
        group_give_up(g);
    pthread_mutex_unlock(&g->mutex);
}

int group_do_settled_locked(struct mupdate_group *g)
{
    uint64_t applied, commit;
    bool some = false;
    int r = 0;

    for (;;) {
        pthread_mutex_lock(&g->mutex);
        applied = g->applied;
        commit = g->raft.commit < g->raft.stored ? g->raft.commit : g->raft.stored;
        pthread_mutex_unlock(&g->mutex);
        if (r < 0 || applied >= commit)
            break;
        r = do_some(g, applied + 1, commit);
        some = true;
    }
    if (some)
        hub_wake(g->hub);
    if (r < 0)
        fail_to_do(g, r);
    return r;
}

int group_do_settled(struct mupdate_group *g)
{
    int r;

    pthread_mutex_lock(&g->log_lock);
    r = group_do_settled_locked(g);
    pthread_mutex_unlock(&g->log_lock);
    return r;
}

/* ---- appending ---- */

int group_write_log(struct mupdate_group *g, const struct journal_entry *entries, unsigned count)
{
    int r = g->torn ? journal_truncate(g->env, entries[0].at.index - 1) : 0;

    if (r == 0)
        r = journal_append(g->env, entries, count);
    g->torn = r < 0;
    return r;
}

bool group_is_settled(const struct mupdate_group *g)
{
    return raft_leads(&g->raft) && g->raft.commit == g->raft.last && g->applied == g->raft.commit;
}

int group_append(struct mupdate_group *g, struct journal_entry *entry, struct raft_position *at_r)
{
    struct raft_members members;
    bool changes = entry->kind == JOURNAL_MEMBERS && journal_members_get(entry, &members) == 0;
    int r;

    entry->at = *at_r = raft_next(&g->raft);
    journal_entry_free(&g->tail);
    g->tail = *entry;
    g->tail_waits = changes; /* who founds a group must not forget whom it has taken in */
    raft_append(&g->raft, at_r, changes ? &members : NULL);
    group_note_kept(g, at_r->index, g->tail.rows.len);
    pthread_mutex_unlock(&g->mutex);
    if (!changes)
        hub_wake(g->hub); /* the others' disks need not wait for ours */
    r = group_write_log(g, &g->tail, 1);
    pthread_mutex_lock(&g->mutex);
    if (r == 0) {
        g->tail_waits = false;
        raft_stored(&g->raft, at_r->index);
        group_progressed(g);
        if (changes)
            hub_wake(g->hub);
    } else {
        LOG(LOG_ERR, MUPDATE_GROUP_LOG, LOG_ERROR(r));
        group_give_up(g);
    }
    *entry = (struct journal_entry)JOURNAL_ENTRY_INIT;
    return r;
}

int group_await(struct mupdate_group *g, const struct raft_position *at, int64_t deadline)
{
    while (g->raft.commit < at->index && clock_left(deadline) != 0 && !g->stop && !g->given_up)
        group_wait_progress(g, deadline);
    if (g->raft.commit < at->index)
        return ERR_UNKNOWN;
    if (raft_term_at(&g->raft, at->index) != at->term)
        return raft_term_at(&g->raft, at->index) != 0 ? ERR_UNAVAILABLE : ERR_UNKNOWN;
    pthread_mutex_unlock(&g->mutex);
    group_do_settled(g);
    pthread_mutex_lock(&g->mutex);
    return g->applied >= at->index ? 0 : ERR_UNKNOWN;
}

/* ---- members ---- */

/* With the mutex: is a majority of those there?  Else it could never be settled that they are the members. */
static bool are_there(const struct mupdate_group *g, const struct raft_members *members)
{
    int64_t now = clock_ms();
    unsigned some = 0;

    for (unsigned i = 0; i < members->count; i++)
        some += members->member[i].id == g->raft.self.id || raft_hears(&g->raft, members->member[i].id, now);
    return 2 * some > members->count;
}

int group_change_members(struct mupdate_group *g, const struct raft_members *members,
                         struct raft_position *at_r)
{
    struct journal_entry entry = JOURNAL_ENTRY_INIT;

    if (!group_is_settled(g) || !raft_may_change(&g->raft))
        return ERR_AGAIN;
    if (!are_there(g, members))
        return ERR_UNAVAILABLE;
    journal_members_put(&entry, members);
    return group_append(g, &entry, at_r);
}

static int find_member(const struct raft_members *members, const char *name)
{
    for (unsigned i = 0; i < members->count; i++)
        if (str_ieq(members->member[i].name, name))
            return (int)i;
    return -1;
}

/* With both locks. */
static int take_out(struct mupdate_group *g, const char *name, struct raft_position *at_r)
{
    struct raft_members members = *raft_members(&g->raft);
    int i = find_member(&members, name);

    if (i < 0)
        return ERR_NOTFOUND;
    if (members.member[i].id == g->raft.self.id)
        return ERR_BUSY;
    members.member[i] = members.member[--members.count];
    return group_change_members(g, &members, at_r);
}

int group_remove_here(struct mupdate_group *g, const char *name)
{
    int64_t deadline = clock_deadline(GROUP_ANSWER_MS);
    struct raft_position at;
    int r;

    do {
        pthread_mutex_lock(&g->log_lock);
        pthread_mutex_lock(&g->mutex);
        r = raft_leads(&g->raft) ? take_out(g, name, &at) : ERR_UNAVAILABLE;
        pthread_mutex_unlock(&g->log_lock);
        if (r == 0)
            r = group_await(g, &at, deadline);
        pthread_mutex_unlock(&g->mutex);
        if (r == ERR_AGAIN)
            group_pause(1);
    } while (r == ERR_AGAIN && clock_left(deadline) != 0 && !g->stop);
    return r == ERR_AGAIN || r == ERR_UNKNOWN ? ERR_UNAVAILABLE : r;
}

/* ---- what is kept ---- */

void group_note_kept(struct mupdate_group *g, uint64_t index, uint64_t bytes)
{
    g->bytes += bytes + 64; /* about what a row needs besides */
    if (g->bytes < GROUP_KEPT_BYTES)
        return;
    g->mark_before = g->mark;
    g->mark = index;
    g->bytes_before += g->bytes;
    g->bytes = 0;
}

/* Somebody who is there still needs it. */
static bool is_needed(const struct mupdate_group *g, uint64_t first, int64_t now)
{
    const struct raft *raft = &g->raft;

    if (raft->role != RAFT_ELECTED || g->bytes_before > GROUP_KEPT_MOST)
        return false;
    if (now - g->copied_at < GROUP_ANSWER_MS && g->copied_from < first)
        return true;
    for (unsigned i = 0; i < raft->copy_count; i++)
        if (now - raft->copies[i].heard < RAFT_SILENCE && raft->copies[i].match < first &&
            raft->copies[i].match >= raft_first(raft))
            return true;
    return false;
}

void group_trim(struct mupdate_group *g)
{
    uint64_t first;
    int r;

    pthread_mutex_lock(&g->log_lock);
    pthread_mutex_lock(&g->mutex);
    first = g->mark_before;
    if (first > g->applied || first <= raft_first(&g->raft) || g->raft.copying ||
        is_needed(g, first, clock_ms())) {
        pthread_mutex_unlock(&g->mutex);
        pthread_mutex_unlock(&g->log_lock);
        return;
    }
    raft_trim(&g->raft, first);
    g->bytes_before = 0;
    pthread_mutex_unlock(&g->mutex);
    r = journal_trim(g->env, first);
    if (r < 0)
        LOG(LOG_ERR, MUPDATE_GROUP_LOG, LOG_ERROR(r));
    pthread_mutex_unlock(&g->log_lock);
}

/* ---- for those who fetch ---- */

void group_put_bytes(const struct db_value *value, struct buf *to)
{
    struct buf base64 = BUF_INIT;

    str_base64_encode(&base64, value->data, value->len);
    mupdate_put_string(to, buf_cstr(&base64));
    buf_free(&base64);
}

static void put_row(struct buf *to, const char *tag, const struct db_value *key, const struct db_value *value)
{
    buf_printf(to, "%s XROW ", tag);
    group_put_bytes(key, to);
    if (value->data != NULL) {
        buf_putc(to, ' ');
        group_put_bytes(value, to);
    }
    buf_puts(to, "\r\n");
}

void mupdate_group_put_rows(const struct journal_entry *entry, const char *tag, struct buf *to)
{
    struct db_value key, value;
    size_t place = 0;

    while (journal_entry_row(entry, &place, &key, &value))
        put_row(to, tag, &key, &value);
}

struct answer {
    const char *tag;
    struct buf *to;
    uint64_t until;
};

static int put_entry(const struct journal_entry *entry, void *context)
{
    struct answer *answer = context;

    if (entry->at.index > answer->until)
        return 1;
    buf_printf(answer->to, "%s XENTRY \"%llu\" \"%llu\" \"%u\" \"%llu\"\r\n", answer->tag,
               (unsigned long long)entry->at.term, (unsigned long long)entry->at.index, (unsigned)entry->kind,
               (unsigned long long)entry->sequence);
    mupdate_group_put_rows(entry, answer->tag, answer->to);
    return 0;
}

/* With the mutex: the last entry that others are given. */
static uint64_t last_given(const struct mupdate_group *g)
{
    return g->tail_waits ? g->raft.stored : g->raft.last;
}

/* With the mutex, which is free meanwhile: entries behind that index.  Those are in the log as long as he who asks follows. */
static int put_entries(struct mupdate_group *g, uint64_t after, const char *tag, struct buf *to)
{
    struct answer answer = {tag, to, g->raft.last};
    int r;

    if (after >= last_given(g))
        return 0;
    if (!g->tail_waits && g->tail.at.index == after + 1 && g->tail.at.index == g->raft.last &&
        g->tail.at.term == raft_term_at(&g->raft, g->raft.last)) {
        put_entry(&g->tail, &answer);
        return 0;
    }
    answer.until = g->raft.stored;
    if (after >= answer.until)
        return 0;
    pthread_mutex_unlock(&g->mutex);
    r = journal_read(g->env, after + 1, GROUP_PIECE_BYTES, put_entry, &answer);
    pthread_mutex_lock(&g->mutex);
    return r > 0 ? 0 : r;
}

/* With the mutex: whom the elected one hears, itself among them. */
static void put_heard(struct mupdate_group *g, struct buf *to)
{
    const struct raft_members *members = raft_members(&g->raft);
    int64_t now = clock_ms();

    buf_putc(to, '"');
    for (unsigned i = 0; i < members->count; i++)
        if (members->member[i].id == g->raft.self.id || raft_hears(&g->raft, members->member[i].id, now))
            buf_printf(to, "%s ", members->member[i].name);
    buf_putc(to, '"');
}

/* With the mutex. */
static int answer_fetch(struct mupdate_group *g, const struct group_fetch *fetch, const char *tag,
                        struct buf *to)
{
    uint64_t term = g->raft.term;
    int r = 0;

    if (fetch->back != 0)
        buf_printf(to, "%s XBACK \"%llu\"\r\n", tag, (unsigned long long)fetch->back);
    else if (fetch->copy)
        buf_printf(to, "%s XCOPY\r\n", tag);
    else
        r = put_entries(g, fetch->last.index, tag, to);
    if (r < 0 || g->raft.role != RAFT_ELECTED || g->raft.term != term)
        return ERR_UNAVAILABLE;
    buf_printf(to, "%s OK \"%llu\" \"%llu\" \"%llu\" \"%llu\" ", tag, (unsigned long long)term,
               (unsigned long long)g->raft.round, (unsigned long long)g->raft.commit,
               (unsigned long long)conflicts_version(g->conflicts));
    put_heard(g, to);
    buf_puts(to, "\r\n");
    return 0;
}

/* With the mutex: does it ask to join with the copy of a group that it was no member of? */
static bool has_anothers(const struct mupdate_group *g, const struct group_fetch *fetch)
{
    return fetch->who.joins && fetch->epoch != 0 &&
           fetch->epoch != names_source(g->names)->ops->epoch(names_source(g->names));
}

/* With the mutex: who fetches is heard of. */
static int hear(struct mupdate_group *g, struct group_fetch *fetch)
{
    uint64_t commit = g->raft.commit;
    enum raft_fetched what = RAFT_REFUSED;

    if (has_anothers(g, fetch))
        fetch->last = (struct raft_position){0, 0};
    if (fetch->who.joins || group_is_ours(g, fetch->epoch))
        what = raft_fetch_came(&g->raft, &fetch->who, fetch->term, &fetch->last, clock_ms(), &fetch->back);
    if (!group_save(g) || what == RAFT_REFUSED) {
        group_changed(g);
        return ERR_UNAVAILABLE;
    }
    fetch->copy = what == RAFT_COPY_ALL;
    fetch->back = what == RAFT_GO_BACK ? fetch->back : 0;
    fetch->in = g->raft.term;
    if (fetch->who.copying && what == RAFT_FETCHED) {
        g->copied_from = fetch->last.index;
        g->copied_at = clock_ms();
    }
    group_progressed(g);
    return g->raft.commit != commit;
}

int mupdate_group_fetch(void *group, struct group_fetch *fetch, bool first, bool late, const char *tag,
                        struct buf *to)
{
    struct mupdate_group *g = group;
    bool settled;
    int r = 0;

    pthread_mutex_lock(&g->mutex);
    if (first)
        r = hear(g, fetch);
    settled = r > 0;
    if (r >= 0 && (g->raft.role != RAFT_ELECTED || g->raft.term != fetch->in))
        r = ERR_UNAVAILABLE;
    if (r >= 0 &&
        (late || fetch->copy || fetch->back != 0 || fetch->last.index < last_given(g) ||
         fetch->commit != g->raft.commit || fetch->who.round != g->raft.round || fetch->term != g->raft.term))
        r = answer_fetch(g, fetch, tag, to) < 0 ? ERR_UNAVAILABLE : 1;
    else if (r > 0)
        r = 0;
    pthread_mutex_unlock(&g->mutex);
    if (settled)
        hub_wake(g->hub);
    return r;
}

int mupdate_group_copy(void *group, uint64_t id, uint64_t term, struct names_summary *summary_r)
{
    struct mupdate_group *g = group;
    int r = names_summary(g->names, summary_r);

    pthread_mutex_lock(&g->mutex);
    raft_copies(&g->raft, id, term, clock_ms());
    if (r == 0 && !raft_leads(&g->raft))
        r = ERR_UNAVAILABLE;
    if (r == 0 && summary_r->applied.index < raft_first(&g->raft))
        r = ERR_AGAIN;
    if (r == 0 && clock_ms() - g->copied_at >= GROUP_ANSWER_MS)
        g->copied_from = summary_r->applied.index;
    g->copied_at = r == 0 ? clock_ms() : g->copied_at;
    pthread_mutex_unlock(&g->mutex);
    return r;
}

int mupdate_group_copy_rows(void *group, uint64_t id, uint64_t term, unsigned table,
                            const struct db_value *after, struct journal_entry *rows, bool *more_r)
{
    struct mupdate_group *g = group;
    bool leads;

    pthread_mutex_lock(&g->mutex);
    leads = raft_leads(&g->raft);
    raft_copies(&g->raft, id, term, clock_ms());
    g->copied_at = clock_ms();
    pthread_mutex_unlock(&g->mutex);
    return leads ? names_copy_read(g->names, table, after, GROUP_PIECE_BYTES, rows, more_r) : ERR_UNAVAILABLE;
}
