/* group-fetch.c: the listener of a member that follows: it fetches the log's entries from the elected one, or a whole copy. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "mupdate/group-private.h"

enum {
    FETCHED_MOST = 64 * 1024 * 1024, /* bytes of one answer's rows */
    AGAIN_MS = 10
};

/* An answer, as its lines come. */
struct fetched {
    struct journal_entry *entries; /* of a copy: one, its rows */
    unsigned count;
    size_t bytes;
    uint64_t back;
    bool copy, bad;
    const struct mupdate_line *end; /* its OK; good until the next line is read */
};

static void free_fetched(struct fetched *f)
{
    for (unsigned i = 0; i < f->count; i++)
        journal_entry_free(&f->entries[i]);
    free(f->entries);
}

static struct journal_entry *another_entry(struct fetched *f)
{
    f->entries = xreallocarray(f->entries, f->count + 1, sizeof(*f->entries));
    f->entries[f->count] = (struct journal_entry)JOURNAL_ENTRY_INIT;
    return &f->entries[f->count++];
}

static void take_entry(struct fetched *f, const struct mupdate_line *line)
{
    struct journal_entry *entry = another_entry(f);
    uint64_t kind = 0;

    f->bad = f->bad || !peer_line_number(line, 0, &entry->at.term) ||
             !peer_line_number(line, 1, &entry->at.index) || !peer_line_number(line, 2, &kind) ||
             !peer_line_number(line, 3, &entry->sequence) || kind < JOURNAL_TERM || kind > JOURNAL_MEMBERS;
    entry->kind = (enum journal_kind)kind;
}

static void take_row(struct fetched *f, const struct mupdate_line *line)
{
    struct buf key = BUF_INIT, value = BUF_INIT;
    struct db_value k, v;

    if (f->count == 0 || line->count < 1 ||
        str_base64_decode(&key, line->args[0], strlen(line->args[0])) < 0 ||
        (line->count > 1 && str_base64_decode(&value, line->args[1], strlen(line->args[1])) < 0) ||
        key.len == 0 || key.len > DB_KEY_MAX || (f->bytes += key.len + value.len) > FETCHED_MOST) {
        f->bad = true;
    } else {
        k = (struct db_value){key.data, key.len};
        v = (struct db_value){value.len > 0 ? value.data : "", value.len};
        journal_entry_add(&f->entries[f->count - 1], &k, line->count > 1 ? &v : NULL);
    }
    buf_free(&key);
    buf_free(&value);
}

/* Sends a question with the last tag, and takes its answer's lines, the next one within `ms`.  0: its OK is in f->end. */
static int ask(struct peer *peer, struct buf *question, const char *tag, int64_t ms, struct fetched *f)
{
    int64_t deadline = clock_deadline(ms);
    const struct mupdate_line *line;
    int r;

    mupdate_conn_write(peer->conn, question);
    buf_reset(question);
    while ((r = peer_line(peer, deadline, &line)) == 0) {
        deadline = clock_deadline(ms); /* it goes on */
        if (strcmp(line->tag, tag) != 0) {
            if (str_ieq(line->word, "BYE"))
                r = ERR_EOF;
        } else if (str_ieq(line->word, "XROW")) {
            take_row(f, line);
        } else if (str_ieq(line->word, "XENTRY")) {
            take_entry(f, line);
        } else if (str_ieq(line->word, "XBACK")) {
            f->bad = f->bad || !peer_line_number(line, 0, &f->back);
        } else if (str_ieq(line->word, "XCOPY")) {
            f->copy = true;
        } else {
            f->end = line;
            return f->bad ? ERR_PROTOCOL : str_ieq(line->word, "OK") ? 0 : ERR_UNAVAILABLE;
        }
        if (r < 0)
            break;
    }
    peer_close(peer);
    return r;
}

/* ---- conflicts ---- */

static void learn_conflict(struct mupdate_group *g, const struct mupdate_line *line)
{
    uint64_t count, age;

    if (peer_line_number(line, 3, &count) && peer_line_number(line, 4, &age) &&
        age < CONFLICTS_KEPT_MS / 1000)
        conflicts_learn(g->conflicts, line->args[0], line->args[2], count, clock_ms() - (int64_t)age * 1000);
}

/* The elected one hears of all claims, whoever they were made at; we are to know them should he go. */
static int fetch_conflicts(struct mupdate_group *g, uint64_t version)
{
    int64_t deadline = clock_deadline(GROUP_ANSWER_MS);
    const struct mupdate_line *line;
    struct buf question = BUF_INIT;
    char tag[24];
    int r;

    if (version == g->conflicts_known)
        return 0;
    mupdate_put_line(&question, peer_tag(&g->listens, tag), "CONFLICTS", NULL);
    mupdate_conn_write(g->listens.conn, &question);
    buf_free(&question);
    while ((r = peer_line(&g->listens, deadline, &line)) == 0) {
        if (strcmp(line->tag, tag) != 0)
            continue;
        if (!str_ieq(line->word, "CONFLICT"))
            break;
        learn_conflict(g, line);
    }
    if (r < 0)
        peer_close(&g->listens);
    else
        g->conflicts_known = version;
    return r;
}

/* ---- a whole copy ---- */

static void put_copier(struct mupdate_group *g, const char *tag, const char *word, struct buf *to)
{
    pthread_mutex_lock(&g->mutex);
    buf_printf(to, "%s %s \"%llu\" \"%llu\"", tag, word, (unsigned long long)g->raft.self.id,
               (unsigned long long)g->raft.term);
    pthread_mutex_unlock(&g->mutex);
}

/* The elected one's place, members and numbers. */
static int ask_summary(struct mupdate_group *g, struct names_summary *summary_r)
{
    struct fetched f = {0};
    struct buf question = BUF_INIT;
    char tag[24];
    int r;

    another_entry(&f)->kind = JOURNAL_MEMBERS;
    put_copier(g, peer_tag(&g->listens, tag), "XCOPY", &question);
    buf_puts(&question, "\r\n");
    r = ask(&g->listens, &question, tag, GROUP_ANSWER_MS, &f);
    if (r == 0 && (f.count != 1 || !peer_line_number(f.end, 0, &summary_r->epoch) ||
                   !peer_line_number(f.end, 1, &summary_r->sequence) ||
                   !peer_line_number(f.end, 2, &summary_r->applied.term) ||
                   !peer_line_number(f.end, 3, &summary_r->applied.index)))
        r = ERR_PROTOCOL;
    if (r == 0)
        r = journal_members_get(&f.entries[0], &summary_r->members);
    free_fetched(&f);
    buf_free(&question);
    return r;
}

/* The last key among rows; none: what it is. */
static void last_key(const struct journal_entry *rows, struct buf *key)
{
    struct db_value k, v;
    size_t place = 0;

    while (journal_entry_row(rows, &place, &k, &v)) {
        buf_reset(key);
        buf_append(key, k.data, k.len);
    }
}

/* The rows of a table behind a key, which is then the last of them.  1: there are more. */
static int copy_piece(struct mupdate_group *g, unsigned table, struct buf *after)
{
    struct db_value behind = {after->data, after->len}, until;
    struct buf question = BUF_INIT, last = BUF_INIT;
    struct fetched f = {0};
    uint64_t more = 0;
    char tag[24];
    int r;

    another_entry(&f)->kind = JOURNAL_CHANGES;
    put_copier(g, peer_tag(&g->listens, tag), "XROWS", &question);
    buf_printf(&question, " \"%u\" ", table);
    group_put_bytes(&behind, &question);
    buf_puts(&question, "\r\n");
    r = ask(&g->listens, &question, tag, GROUP_ANSWER_MS, &f);
    if (r == 0 && (f.count != 1 || !peer_line_number(f.end, 0, &more)))
        r = ERR_PROTOCOL;
    if (r == 0) {
        last_key(&f.entries[0], &last);
        until = (struct db_value){last.data, last.len};
        if (more != 0 && last.len == 0)
            r = ERR_PROTOCOL;
        else
            r = names_copy_write(g->names, table, &behind, more != 0 ? &until : NULL, &f.entries[0]);
    }
    buf_free(after);
    *after = last;
    buf_free(&question);
    free_fetched(&f);
    return r < 0 ? r : more != 0;
}

static int copy_table(struct mupdate_group *g, unsigned table)
{
    struct buf after = BUF_INIT;
    int r;

    do
        r = copy_piece(g, table, &after);
    while (r == 1 && !g->stop);
    buf_free(&after);
    return r == 1 ? ERR_UNAVAILABLE : r;
}

/* The names are not whole from here on.  What we had of another group, which we were no member of, does not count. */
static int begin_copy(struct mupdate_group *g, uint64_t epoch)
{
    struct raft_position floor;
    bool others = epoch != names_source(g->names)->ops->epoch(names_source(g->names)), bound;

    pthread_mutex_lock(&g->mutex);
    bound = group_is_bound(g);
    if (!others || !bound)
        raft_copy_begins(&g->raft);
    if (others && !bound)
        g->raft.floor = (struct raft_position){0, 0};
    floor = g->raft.floor;
    g->whole_at = 0;
    pthread_mutex_unlock(&g->mutex);
    return others && bound ? ERR_UNAVAILABLE : names_copy_begin(g->names, &floor);
}

/* Reads the elected one's names and log, which change meanwhile: the entries behind where he was when that began put
 * right what is too new, and what is there when it ends must be done before anybody sees it.  With log_lock. */
static int copy_all(struct mupdate_group *g)
{
    struct names_summary began, ended;
    int r = ask_summary(g, &began);

    LOG(LOG_NOTICE, MUPDATE_GROUP_COPY, LOG_STR(SERVER, g->listens.name));
    if (r == 0)
        r = begin_copy(g, began.epoch);
    if (r == 0)
        r = copy_table(g, NAMES_TABLE_NAMES);
    if (r == 0)
        r = copy_table(g, NAMES_TABLE_LOG);
    if (r == 0)
        r = ask_summary(g, &ended);
    if (r == 0)
        r = names_copy_end(g->names, &began);
    if (r < 0)
        return r;
    pthread_mutex_lock(&g->mutex);
    raft_copy_has(&g->raft, &began.applied, &began.members);
    g->applied = began.applied.index;
    g->whole_at = ended.applied.index;
    g->mark = g->mark_before = g->applied;
    g->bytes = g->bytes_before = 0;
    pthread_mutex_unlock(&g->mutex);
    return 0;
}

/* With log_lock: the copy may be whole now. */
static int finish_copy(struct mupdate_group *g)
{
    struct raft_position last;
    bool whole;
    int r;

    pthread_mutex_lock(&g->mutex);
    last = raft_last(&g->raft);
    whole = g->raft.copying && g->whole_at != 0 && g->applied >= g->whole_at &&
            !raft_is_before(&last, &g->raft.floor);
    pthread_mutex_unlock(&g->mutex);
    if (!whole)
        return 0;
    r = names_copy_whole(g->names);
    if (r < 0)
        return r;
    pthread_mutex_lock(&g->mutex);
    BUG_ON(!raft_copy_is_whole(&g->raft));
    pthread_mutex_unlock(&g->mutex);
    return 0;
}

/* ---- entries ---- */

/* With both locks: those that are the log's next ones; the mutex is free while they are written. */
static int append(struct mupdate_group *g, struct fetched *f)
{
    uint64_t next = g->raft.last + 1;
    struct raft_members members;
    bool joins = false;
    int r;

    for (unsigned i = 0; i < f->count; i++)
        if (f->entries[i].at.index != next + i || !journal_entry_is_whole(&f->entries[i]) ||
            f->entries[i].at.term < (i > 0 ? f->entries[i - 1].at.term : raft_last(&g->raft).term) ||
            (f->entries[i].kind == JOURNAL_MEMBERS && journal_members_get(&f->entries[i], &members) < 0))
            return ERR_PROTOCOL;
    if (f->count == 0)
        return 0;
    pthread_mutex_unlock(&g->mutex);
    r = group_write_log(g, f->entries, f->count);
    pthread_mutex_lock(&g->mutex);
    for (unsigned i = 0; i < f->count && r == 0; i++) {
        const struct journal_entry *entry = &f->entries[i];
        bool changes = entry->kind == JOURNAL_MEMBERS && journal_members_get(entry, &members) == 0;

        raft_append(&g->raft, &entry->at, changes ? &members : NULL);
        group_note_kept(g, entry->at.index, entry->rows.len);
        joins = joins || changes;
    }
    if (r == 0) {
        raft_stored(&g->raft, g->raft.last);
        journal_entry_free(&g->tail); /* it will be done next, most likely */
        g->tail = f->entries[f->count - 1];
        f->count--;
    }
    if (joins)
        group_make_canvassers(g);
    return r;
}

/* With both locks: what is not the elected one's goes. */
static int go_back(struct mupdate_group *g, uint64_t index)
{
    int r;

    if (!raft_truncate(&g->raft, index)) {
        LOG(LOG_ERR, MUPDATE_GROUP_DIVERGED, LOG_STR(SERVER, g->listens.name));
        group_give_up(g);
        return ERR_CORRUPT;
    }
    pthread_mutex_unlock(&g->mutex);
    r = journal_truncate(g->env, index);
    g->torn = g->torn || r < 0;
    pthread_mutex_lock(&g->mutex);
    return r;
}

/* With log_lock. */
static int take_answer(struct mupdate_group *g, const struct raft_member *leader, struct fetched *f,
                       uint64_t term, uint64_t commit)
{
    bool follows;
    int r = 0;

    pthread_mutex_lock(&g->mutex);
    follows = raft_leader_came(&g->raft, leader, term, clock_ms()) && group_save(g);
    if (follows && f->back != 0)
        r = go_back(g, f->back);
    else if (follows && !f->copy)
        r = append(g, f);
    if (follows && r == 0 && !f->copy && f->back == 0) {
        raft_settled(&g->raft, commit);
        g->good_at = clock_ms();
        group_progressed(g);
    }
    pthread_mutex_unlock(&g->mutex);
    if (!follows)
        return ERR_UNAVAILABLE;
    if (r == 0 && f->copy)
        r = copy_all(g);
    if (r == 0)
        r = group_do_settled_locked(g);
    return r == 0 ? finish_copy(g) : r;
}

/* ---- the listener ---- */

/* With the mutex. */
static void put_question(struct mupdate_group *g, const char *tag, uint64_t round, struct buf *to)
{
    struct raft_position last = raft_last(&g->raft);
    bool broken_off = g->raft.copying && g->whole_at == 0; /* then the copy begins again */
    uint64_t epoch =
        g->was_member ? group_epoch(g) : names_source(g->names)->ops->epoch(names_source(g->names));

    buf_printf(
        to,
        "%s XFOLLOW \"%s\" \"%llu\" \"%llu\" \"%d\" \"%d\" \"%llu\" \"%llu\" \"%llu\" \"%llu\" \"%llu\"\r\n",
        tag, g->raft.self.name, (unsigned long long)epoch, (unsigned long long)g->raft.self.id,
        !g->was_member, g->raft.copying, (unsigned long long)g->raft.term,
        broken_off ? 0 : (unsigned long long)last.term, broken_off ? 0 : (unsigned long long)last.index,
        (unsigned long long)round, (unsigned long long)g->raft.commit);
}

/* What the OK says besides: who is heard of. */
static int take_end(struct mupdate_group *g, const struct mupdate_line *line, uint64_t numbers[4])
{
    for (unsigned i = 0; i < 4; i++)
        if (!peer_line_number(line, i, &numbers[i]))
            return ERR_PROTOCOL;
    if (line->count < 5)
        return ERR_PROTOCOL;
    pthread_mutex_lock(&g->mutex);
    str_copy(g->heard, sizeof(g->heard), line->args[4]);
    pthread_mutex_unlock(&g->mutex);
    return 0;
}

/* Asks him whom we follow for what is new.  *round: what he said last. */
static int fetch(struct mupdate_group *g, const struct raft_member *leader, uint64_t *round)
{
    int r = peer_call(&g->listens, leader->name, clock_deadline(GROUP_FOLLOW_ANSWER_MS));
    uint64_t numbers[4]; /* term, round, commit, version of conflicts */
    struct buf question = BUF_INIT;
    struct fetched f = {0};
    char tag[24];

    if (r < 0)
        return r;
    peer_tag(&g->listens, tag);
    pthread_mutex_lock(&g->mutex);
    put_question(g, tag, *round, &question);
    pthread_mutex_unlock(&g->mutex);
    r = ask(&g->listens, &question, tag, GROUP_FOLLOW_ANSWER_MS, &f);
    if (r == 0)
        r = take_end(g, f.end, numbers);
    if (r == 0) {
        pthread_mutex_lock(&g->log_lock);
        r = take_answer(g, leader, &f, numbers[0], numbers[2]);
        pthread_mutex_unlock(&g->log_lock);
    }
    free_fetched(&f);
    buf_free(&question);
    if (r < 0)
        return r;
    *round = numbers[1];
    return fetch_conflicts(g, numbers[3]);
}

/* That he is away, or no longer elected, is told as the group's state. */
static void log_failure(const struct raft_member *leader, int r)
{
    if (r != ERR_UNAVAILABLE && r != ERR_TIMEOUT && r != ERR_EOF)
        LOG(LOG_ERR, MUPDATE_GROUP_LOG, LOG_STR(SERVER, leader->name), LOG_ERROR(r));
}

void *group_run_listener(void *context)
{
    struct mupdate_group *g = context;
    uint64_t round = 0;

    pthread_mutex_lock(&g->mutex);
    while (!g->stop) {
        struct raft_member leader = g->raft.leader;
        int r = ERR_UNAVAILABLE;

        if (leader.id == 0 || leader.id == g->raft.self.id || group_is_removed(g) || g->given_up) {
            group_wait(g, clock_deadline(RAFT_PATIENCE));
            continue;
        }
        pthread_mutex_unlock(&g->mutex);
        r = fetch(g, &leader, &round);
        pthread_mutex_lock(&g->mutex);
        if (r == 0)
            continue;
        round = 0;
        log_failure(&leader, r);
        if (r == ERR_CORRUPT)
            group_give_up(g);
        if (g->raft.leader.id == leader.id)
            raft_leader_gone(&g->raft, clock_ms());
        group_changed(g);
        group_wait(g, clock_deadline(AGAIN_MS));
    }
    pthread_mutex_unlock(&g->mutex);
    return NULL;
}
