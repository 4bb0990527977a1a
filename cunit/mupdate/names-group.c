#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "mupdate/meta.h"
#include "mupdate/names.h"

enum { WORD = 64 };

/* Two masters side by side, each with a directory of its own. */
struct master {
    char dir[WORD];
    struct names *names;
    struct raft_position last; /* done */
    unsigned published;
};

static void on_published(void *context)
{
    ((struct master *)context)->published++;
}

static void open_lone(struct master *m)
{
    char *error;

    CU_ASSERT_EQUAL_FATAL(names_open(m->dir, 0, on_published, m, &m->names, &error), 0);
}

static void open_member(struct master *m)
{
    char *error;

    CU_ASSERT_EQUAL_FATAL(names_open_group(m->dir, 0, on_published, m, &m->names, &error), 0);
}

static void make_dir(struct master *m)
{
    *m = (struct master){.last = {1, 0}};
    snprintf(m->dir, sizeof(m->dir), "/tmp/iatlas-names.XXXXXX");
    CU_ASSERT_FATAL(mkdtemp(m->dir) != NULL);
}

static void new_lone(struct master *m)
{
    make_dir(m);
    open_lone(m);
}

static void new_member_at(struct master *m)
{
    open_member(m);
    CU_ASSERT_EQUAL(journal_begin(names_env(m->names), 1), 0);
}

static void new_member(struct master *m)
{
    make_dir(m);
    new_member_at(m);
}

static void new_founder(struct master *m)
{
    new_member(m);
    CU_ASSERT_EQUAL(names_found(m->names), 0);
    names_set_readable(m->names, true);
}

static void again(struct master *m)
{
    bool readable = names_is_readable(m->names);

    names_close(&m->names);
    open_member(m);
    CU_ASSERT_FALSE(names_is_readable(m->names));
    names_set_readable(m->names, readable);
}

static void done(struct master *m)
{
    names_close(&m->names);
    file_remove_tree(m->dir);
}

/* ---- what is in a database ---- */

static int show(const struct db_value *key, const struct db_value *value, void *context)
{
    char hex[1100];

    str_hex(hex, key->data, key->len);
    buf_printf(context, "%s ", hex);
    CU_ASSERT_FATAL(value->len < 500);
    str_hex(hex, value->data, value->len);
    buf_printf(context, "%s\n", hex);
    return 0;
}

static struct buf content(struct names *names)
{
    struct buf text = BUF_INIT;
    struct names_summary summary;
    struct db_txn *txn;

    CU_ASSERT_EQUAL_FATAL(db_begin(names_env(names), false, &txn), 0);
    CU_ASSERT_EQUAL(db_scan(txn, TABLE_NAMES, NULL, 0, NULL, 0, show, &text), 0);
    buf_puts(&text, "log\n");
    CU_ASSERT_EQUAL(db_scan(txn, TABLE_LOG, NULL, 0, NULL, 0, show, &text), 0);
    db_abort(&txn);
    CU_ASSERT_EQUAL(names_summary(names, &summary), 0);
    buf_printf(&text, "%d %d\n", (int)summary.sequence,
               (int)names_source(names)->ops->sequence(names_source(names)));
    return text;
}

static bool is_same(struct names *a, struct names *b)
{
    struct buf of_a = content(a), of_b = content(b);
    bool same = strcmp(buf_cstr(&of_a), buf_cstr(&of_b)) == 0;

    if (!same)
        printf("\n%s\n%s", buf_cstr(&of_a), buf_cstr(&of_b));
    buf_free(&of_a);
    buf_free(&of_b);
    return same;
}

/* ---- commands ---- */

/* Conflicts are logged one by one: here there are thousands. */
static void log_to(const char *target)
{
    CU_ASSERT_EQUAL(log_open("test", target, LOG_LOCAL6, 0), 0);
}

struct command {
    enum mupdate_verb verb;
    char name[32], location[32];
    struct mupdate_details details;
    bool has_details;
};

static struct command any_command(unsigned *seed, unsigned names)
{
    static const char *const ids[] = {NULL, "", "id1", "id2"};
    struct command c = {.verb = (enum mupdate_verb)(rand_r(seed) % (MUPDATE_DELETE + 1))};

    snprintf(c.name, sizeof(c.name), rand_r(seed) % 20 == 0 ? ".." : "user.n%u", rand_r(seed) % names);
    snprintf(c.location, sizeof(c.location), "be%d!p%d", rand_r(seed) % 3, rand_r(seed) % 2);
    c.has_details = c.verb == MUPDATE_ACTIVATE && rand_r(seed) % 2;
    c.details.id = ids[(unsigned)rand_r(seed) % ARRAY_SIZE(ids)];
    return c;
}

static int apply(struct names_txn *txn, const struct command *c)
{
    return names_apply(txn, c->verb, c->name, c->verb == MUPDATE_DELETE ? NULL : c->location,
                       c->verb == MUPDATE_ACTIVATE ? "a\tlrs\t" : NULL, c->has_details ? &c->details : NULL);
}

static void do_next(struct master *m, struct journal_entry *entry)
{
    m->last.index++;
    entry->at = m->last;
    CU_ASSERT_EQUAL(names_do(m->names, entry), 0);
}

/* The entry that is done with it, which the caller frees. */
static struct journal_entry change_many(struct master *m, const struct command *commands, unsigned count)
{
    struct journal_entry entry;
    struct names_txn *txn;

    CU_ASSERT_EQUAL_FATAL(names_begin(m->names, &txn), 0);
    for (unsigned i = 0; i < count; i++)
        CU_ASSERT(apply(txn, &commands[i]) >= 0);
    names_decided(&txn, &entry);
    if (entry.count > 0)
        do_next(m, &entry);
    return entry;
}

static void change(struct master *m, enum mupdate_verb verb, const char *name, const char *location)
{
    struct command c = {.verb = verb};
    struct journal_entry entry;

    str_copy(c.name, sizeof(c.name), name);
    str_copy(c.location, sizeof(c.location), location != NULL ? location : "");
    entry = change_many(m, &c, 1);
    CU_ASSERT_EQUAL(entry.count, 1);
    journal_entry_free(&entry);
}

/* ---- deciding ---- */

/* What is decided is what a lone master does, command for command, in transactions of any size. */
static void test_decisions(void)
{
    enum { ROUNDS = 400, MOST = 12, NAMES = 6 };
    struct master lone, member;
    unsigned seed = 11, results[NAMES_BAD + 1] = {0}, empty = 0;

    log_to("file:/dev/null");
    new_lone(&lone);
    new_founder(&member);
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned count = (unsigned)rand_r(&seed) % MOST + 1;
        bool aborts = rand_r(&seed) % 10 == 0;
        struct names_txn *of_lone, *of_member;
        struct journal_entry entry;

        CU_ASSERT_EQUAL_FATAL(names_begin(lone.names, &of_lone), 0);
        CU_ASSERT_EQUAL_FATAL(names_begin(member.names, &of_member), 0);
        for (unsigned i = 0; i < count; i++) {
            struct command c = any_command(&seed, NAMES);
            int result = apply(of_lone, &c);

            CU_ASSERT_FATAL(result >= 0 && result <= NAMES_BAD);
            CU_ASSERT_EQUAL(apply(of_member, &c), result);
            results[result]++;
        }
        if (aborts) {
            names_abort(&of_lone);
            names_abort(&of_member);
            continue;
        }
        CU_ASSERT_EQUAL(names_commit(&of_lone), 0);
        names_decided(&of_member, &entry);
        CU_ASSERT(entry.count == 0 || journal_entry_is_whole(&entry));
        empty += entry.count == 0;
        if (entry.count > 0)
            do_next(&member, &entry);
        journal_entry_free(&entry);
    }
    CU_ASSERT(is_same(lone.names, member.names));
    again(&member);
    CU_ASSERT(is_same(lone.names, member.names));
    for (unsigned i = 0; i <= NAMES_BAD; i++)
        CU_ASSERT(results[i] > 0);
    CU_ASSERT(empty > 0);
    CU_ASSERT_EQUAL(lone.published, member.published);
    log_to("stderr");
    done(&lone);
    done(&member);
}

/* Nothing is written before it is done. */
static void test_only_decided(void)
{
    struct master m;
    struct names_txn *txn;
    struct journal_entry entry;
    struct buf before, after;

    new_founder(&m);
    change(&m, MUPDATE_RESERVE, "a", "be1!p");
    before = content(m.names);
    CU_ASSERT_EQUAL_FATAL(names_begin(m.names, &txn), 0);
    CU_ASSERT_EQUAL(names_apply(txn, MUPDATE_DELETE, "a", NULL, NULL, NULL), NAMES_DONE);
    CU_ASSERT_EQUAL(names_apply(txn, MUPDATE_DELETE, "a", NULL, NULL, NULL), NAMES_NO_SUCH);
    CU_ASSERT_EQUAL(names_apply(txn, MUPDATE_RESERVE, "b", "be1!p", NULL, NULL), NAMES_DONE);
    CU_ASSERT_EQUAL(names_apply(txn, MUPDATE_RESERVE, "b", "be2!p", NULL, NULL), NAMES_EXISTS);
    names_decided(&txn, &entry);
    CU_ASSERT_PTR_NULL(txn);
    CU_ASSERT(entry.kind == JOURNAL_CHANGES && entry.sequence == 2 && entry.count == 2);
    again(&m);
    after = content(m.names);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&before), buf_cstr(&after));
    buf_free(&before);
    buf_free(&after);
    journal_entry_free(&entry);
    done(&m);
}

/* ---- doing ---- */

static void collect(const struct entry *entry, void *context)
{
    buf_printf(context, "%d:%s:%s ", entry->state, entry->name,
               entry->location == NULL ? "" : entry->location);
}

static void test_do(void)
{
    struct raft_members members = {.count = 1, .member = {{7, "host:3905"}}};
    struct journal_entry entry = JOURNAL_ENTRY_INIT, first = {.kind = JOURNAL_CHANGES, .sequence = 1};
    struct names_summary summary;
    struct master m;

    new_founder(&m);
    change(&m, MUPDATE_RESERVE, "a", "be1!p");
    change(&m, MUPDATE_DELETE, "a", NULL);
    CU_ASSERT_EQUAL(m.published, 2);
    journal_entry_add(&first, &(struct db_value){"b", 1}, NULL);
    for (first.at = (struct raft_position){1, 1}; first.at.index <= 2; first.at.index++)
        CU_ASSERT_EQUAL(names_do(m.names, &first), 0); /* done before */
    CU_ASSERT_EQUAL(names_do(m.names, &first), ERR_CORRUPT);
    first.sequence = 4;
    CU_ASSERT_EQUAL(names_do(m.names, &first), ERR_CORRUPT);
    first.sequence = 3;
    first.at.index = 4;
    CU_ASSERT_EQUAL(names_do(m.names, &first), ERR_INVALID);
    first.at.index = 3;
    first.count = 2;
    CU_ASSERT_EQUAL(names_do(m.names, &first), ERR_CORRUPT);
    first.count = 1;
    CU_ASSERT_EQUAL(names_summary(m.names, &summary), 0);
    CU_ASSERT(summary.epoch != 0 && summary.sequence == 2 && summary.applied.index == 2);
    CU_ASSERT_EQUAL(m.published, 2);
    CU_ASSERT_EQUAL(names_do(m.names, &first), 0);
    journal_members_put(&entry, &members);
    entry.at = (struct raft_position){2, 4};
    CU_ASSERT_EQUAL(names_do(m.names, &entry), 0);
    journal_entry_free(&entry);
    entry = (struct journal_entry){.at = {3, 5}, .kind = JOURNAL_TERM};
    CU_ASSERT_EQUAL(names_do(m.names, &entry), 0);
    again(&m);
    CU_ASSERT_EQUAL(names_summary(m.names, &summary), 0);
    CU_ASSERT(summary.sequence == 3 && summary.applied.term == 3 && summary.applied.index == 5);
    CU_ASSERT(summary.members.count == 1 && summary.members.member[0].id == 7);
    CU_ASSERT_STRING_EQUAL(summary.members.member[0].name, "host:3905");
    journal_entry_free(&first);
    done(&m);
}

static int count_row(const struct db_value *key, const struct db_value *value, void *context)
{
    (void)value;
    if (*(unsigned *)context == 0)
        CU_ASSERT(key->len == 8 && memcmp(key->data, "\0\0\0\0\0\0\x4e\x21", 8) == 0); /* 20001 */
    ++*(unsigned *)context;
    return 0;
}

static void test_log_kept(void)
{
    enum { ROWS = 40000, ENTRIES = 3 };
    struct journal_entry entry = {.kind = JOURNAL_CHANGES, .sequence = 1};
    struct master m;
    struct db_txn *txn;
    unsigned count = 0;

    new_founder(&m);
    for (unsigned i = 0; i < ROWS; i++)
        journal_entry_add(&entry, &(struct db_value){"k", 1}, NULL);
    for (unsigned i = 0; i < ENTRIES; i++, entry.sequence += ROWS)
        do_next(&m, &entry);
    CU_ASSERT_EQUAL_FATAL(db_begin(names_env(m.names), false, &txn), 0);
    CU_ASSERT_EQUAL(db_scan(txn, TABLE_LOG, NULL, 0, NULL, 0, count_row, &count), 0);
    db_abort(&txn);
    CU_ASSERT_EQUAL(count, NAMES_LOG_KEPT);
    journal_entry_free(&entry);
    done(&m);
}

/* A copy may lack what goes. */
static void test_do_behind_copy(void)
{
    struct names_summary at = {.epoch = 1, .sequence = 2 * NAMES_LOG_KEPT, .applied = {2, 9}};
    struct journal_entry entry = {.at = {2, 10}, .kind = JOURNAL_CHANGES, .sequence = 2 * NAMES_LOG_KEPT + 1};
    struct master m;

    new_member(&m);
    CU_ASSERT_EQUAL(names_copy_begin(m.names, &(struct raft_position){0}), 0);
    CU_ASSERT_EQUAL(names_copy_end(m.names, &at), 0);
    journal_entry_add(&entry, &(struct db_value){"k", 1}, NULL);
    CU_ASSERT_EQUAL(names_do(m.names, &entry), 0);
    journal_entry_free(&entry);
    done(&m);
}

/* ---- readers beside the one who does ---- */

struct follower {
    struct master *master;
    uint64_t after;
    atomic_bool stop;
    unsigned seen, wrong;
};

static void count_change(const struct entry *entry, void *context)
{
    struct follower *f = context;

    f->seen++;
    f->wrong += entry->state != MUPDATE_IS_RESERVED || entry->location[0] != 'b';
}

static void *follow(void *context)
{
    struct follower *f = context;
    struct source *source = names_source(f->master->names);
    struct pool *pool = pool_new(0);
    struct names_summary summary;
    struct entry entry;

    do {
        int r = source->ops->changes(source, &f->after, 10, count_change, f);

        CU_ASSERT(r == 0 || r == ERR_AGAIN);
        r = source->ops->find(source, "user.n0", pool, &entry);
        CU_ASSERT(r == 0 || r == ERR_AGAIN || (r == ERR_NOTFOUND && f->seen == 0));
        CU_ASSERT_EQUAL(names_summary(f->master->names, &summary), 0);
        CU_ASSERT_EQUAL(summary.sequence, summary.applied.index);
        pool_reset(pool);
    } while (!f->stop || f->after < source->ops->sequence(source));
    pool_free(&pool);
    return NULL;
}

static void test_threads(void)
{
    enum { FOLLOWERS = 3, CHANGES = 200 };
    struct follower followers[FOLLOWERS];
    pthread_t threads[FOLLOWERS];
    struct master m;

    new_founder(&m);
    for (unsigned i = 0; i < FOLLOWERS; i++) {
        followers[i] = (struct follower){.master = &m};
        pthread_create(&threads[i], NULL, follow, &followers[i]);
    }
    for (unsigned i = 0; i < CHANGES; i++) {
        char name[16];

        snprintf(name, sizeof(name), "user.n%u", i);
        names_set_readable(m.names, i % 8 != 0);
        change(&m, MUPDATE_RESERVE, name, "be1!p");
    }
    names_set_readable(m.names, true);
    for (unsigned i = 0; i < FOLLOWERS; i++) {
        followers[i].stop = true;
        pthread_join(threads[i], NULL);
        CU_ASSERT(followers[i].seen == CHANGES && followers[i].after == CHANGES && followers[i].wrong == 0);
    }
    done(&m);
}

static void test_readable(void)
{
    struct buf text = BUF_INIT;
    struct pool *pool = pool_new(0);
    struct source *source;
    struct cursor *cursor;
    struct entry found;
    uint64_t after = 0;
    struct master m;

    new_founder(&m);
    change(&m, MUPDATE_RESERVE, "a", "be1!p");
    source = names_source(m.names);
    cursor = source->ops->list_begin(source);
    names_set_readable(m.names, false);
    CU_ASSERT_EQUAL(source->ops->find(source, "a", pool, &found), ERR_AGAIN);
    CU_ASSERT_EQUAL(source->ops->find(source, "b", pool, &found), ERR_AGAIN);
    CU_ASSERT_EQUAL(source->ops->list_next(cursor, 10, collect, &text), ERR_AGAIN);
    CU_ASSERT_EQUAL(source->ops->changes(source, &after, 10, collect, &text), ERR_AGAIN);
    after = 100;
    CU_ASSERT_EQUAL(source->ops->changes(source, &after, 10, collect, &text), ERR_AGAIN);
    after = 0;
    CU_ASSERT_EQUAL(text.len, 0);
    names_set_readable(m.names, true);
    CU_ASSERT_EQUAL(source->ops->find(source, "a", pool, &found), 0);
    CU_ASSERT_EQUAL(source->ops->find(source, "b", pool, &found), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(source->ops->list_next(cursor, 10, collect, &text), 0);
    CU_ASSERT_EQUAL(source->ops->changes(source, &after, 10, collect, &text), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&text), "1:a:be1!p 1:a:be1!p ");
    source->ops->list_end(&cursor);
    pool_free(&pool);
    buf_free(&text);
    done(&m);
}

static void test_epoch(void)
{
    struct names_summary summary;
    struct source *source;
    uint64_t epoch;
    struct master m;

    new_member(&m);
    source = names_source(m.names);
    CU_ASSERT_EQUAL(names_summary(m.names, &summary), 0);
    CU_ASSERT(summary.epoch == 0 && summary.sequence == 0 && summary.applied.index == 0);
    CU_ASSERT_EQUAL(source->ops->epoch(source), 0);
    CU_ASSERT_EQUAL(names_found(m.names), 0);
    epoch = source->ops->epoch(source);
    CU_ASSERT(epoch != 0);
    CU_ASSERT_EQUAL(names_found(m.names), 0); /* another group */
    CU_ASSERT(source->ops->epoch(source) != epoch);
    epoch = source->ops->epoch(source);
    again(&m);
    source = names_source(m.names);
    CU_ASSERT_EQUAL(source->ops->epoch(source), epoch);
    done(&m);
}

/* ---- a whole list ---- */

enum { COPIED_NAMES = 1200, PIECE = 3000 };

struct kept { /* the giver's entries behind the summary */
    struct journal_entry entries[4096];
    unsigned count;
};

static void change_at_random(struct master *m, struct kept *kept, unsigned *seed, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        struct command commands[8];
        struct journal_entry entry;

        for (unsigned j = 0; j < ARRAY_SIZE(commands); j++)
            commands[j] = any_command(seed, COPIED_NAMES);
        entry = change_many(m, commands, (unsigned)rand_r(seed) % ARRAY_SIZE(commands) + 1);
        if (kept == NULL || entry.count == 0) {
            journal_entry_free(&entry);
            continue;
        }
        CU_ASSERT_FATAL(kept->count < ARRAY_SIZE(kept->entries));
        kept->entries[kept->count++] = entry;
    }
}

static void copy_table(struct master *giver, struct master *taker, enum names_table table, struct kept *kept,
                       unsigned *seed)
{
    struct journal_entry rows = JOURNAL_ENTRY_INIT;
    struct buf after = BUF_INIT;
    unsigned pieces = 0;
    bool more = true;

    while (more) {
        struct db_value from = {after.data, after.len}, until = {0}, value;
        size_t place = 0;

        CU_ASSERT_EQUAL_FATAL(names_copy_read(giver->names, table, &from, PIECE, &rows, &more), 0);
        while (journal_entry_row(&rows, &place, &until, &value))
            ;
        change_at_random(giver, kept, seed, 2);
        CU_ASSERT_EQUAL_FATAL(
            names_copy_write(taker->names, table, from.len > 0 ? &from : NULL, more ? &until : NULL, &rows),
            0);
        if (rand_r(seed) % 4 == 0) /* twice is no harm */
            CU_ASSERT_EQUAL(names_copy_write(taker->names, table, &from, more ? &until : NULL, &rows), 0);
        buf_reset(&after);
        buf_append(&after, until.data != NULL ? until.data : "", until.len);
        pieces++;
    }
    CU_ASSERT(pieces > 5);
    journal_entry_free(&rows);
    buf_free(&after);
}

static void check_anchor(const struct journal_entry *entry, void *context)
{
    struct raft_position *at = context;

    CU_ASSERT(at->index == 0 && entry->kind == JOURNAL_TERM);
    *at = entry->at;
}

/* While the giver goes on; and the taker has some list or other, and is opened anew at times. */
static void check_copy(unsigned seed, unsigned before)
{
    const struct raft_position floor = {1, 5};
    struct kept *kept = xcalloc(1, sizeof(*kept));
    struct raft_members members = {.count = 1, .member = {{9, "host"}}};
    struct journal_entry entry = JOURNAL_ENTRY_INIT;
    struct raft_position anchor = {0};
    struct names_summary at, now;
    struct journal_state state;
    struct master giver, taker;

    new_founder(&giver);
    new_founder(&taker);
    journal_members_put(&entry, &members);
    do_next(&giver, &entry);
    journal_entry_free(&entry);
    change_at_random(&giver, NULL, &seed, 500);
    change_at_random(&taker, NULL, &seed, before);
    CU_ASSERT_EQUAL(names_summary(giver.names, &at), 0);
    CU_ASSERT_EQUAL(names_copy_begin(taker.names, &floor), 0);
    CU_ASSERT_FALSE(names_is_readable(taker.names));
    copy_table(&giver, &taker, NAMES_TABLE_NAMES, kept, &seed);
    again(&taker);
    copy_table(&giver, &taker, NAMES_TABLE_LOG, kept, &seed);
    CU_ASSERT_EQUAL(names_copy_end(taker.names, &at), 0);
    CU_ASSERT_EQUAL(names_source(taker.names)->ops->sequence(names_source(taker.names)), at.sequence);
    again(&taker);
    for (unsigned i = 0; i < kept->count; i++) {
        CU_ASSERT_EQUAL_FATAL(names_do(taker.names, &kept->entries[i]), 0);
        journal_entry_free(&kept->entries[i]);
    }
    CU_ASSERT(kept->count > 10);
    CU_ASSERT(is_same(giver.names, taker.names));
    CU_ASSERT_EQUAL(journal_load(names_env(taker.names), &state, check_anchor, &anchor), 0);
    CU_ASSERT(state.copying && state.floor.index == floor.index);
    CU_ASSERT(anchor.term == at.applied.term && anchor.index == at.applied.index);
    CU_ASSERT_EQUAL(names_copy_whole(taker.names), 0);
    CU_ASSERT(names_is_readable(taker.names));
    again(&taker);
    CU_ASSERT(is_same(giver.names, taker.names));
    CU_ASSERT_EQUAL(names_summary(giver.names, &at), 0);
    CU_ASSERT_EQUAL(names_summary(taker.names, &now), 0);
    CU_ASSERT_EQUAL(memcmp(&at, &now, sizeof(at)), 0);
    free(kept);
    done(&giver);
    done(&taker);
}

static void test_copy(void)
{
    log_to("file:/dev/null");
    for (unsigned seed = 1; seed <= 4; seed++)
        check_copy(seed, seed % 2 == 0 ? 0 : 700);
    log_to("stderr");
}

/* Rows that a table has already, many more than there are to be, before, between and behind these. */
static void test_copy_write(void)
{
    static const struct {
        const char *after, *until, *rows, *wanted;
    } cases[] = {
        {NULL, NULL, "", ""},       {NULL, NULL, "bd", "bd"},      {NULL, "c", "b", "bdef"},
        {"b", "d", "", "abef"},     {"b", "d", "cd", "abcdef"},    {"c", "e", "e", "abcef"},
        {"c", NULL, "gh", "abcgh"}, {"f", NULL, "gh", "abcdefgh"}, {"f", NULL, "", "abcdef"},
        {"", "a", "", "bcdef"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct journal_entry rows = JOURNAL_ENTRY_INIT, got = JOURNAL_ENTRY_INIT;
        struct db_value after = {cases[i].after, 1}, until = {cases[i].until, 1}, key, value;
        char text[16] = "";
        size_t place = 0;
        struct master m;
        bool more;

        if (cases[i].after != NULL)
            after.len = strlen(cases[i].after);
        new_member(&m);
        for (const char *p = "abcdef"; *p != '\0'; p++)
            journal_entry_add(&rows, &(struct db_value){p, 1}, &(struct db_value){"old", 3});
        CU_ASSERT_EQUAL(names_copy_begin(m.names, &(struct raft_position){0}), 0);
        CU_ASSERT_EQUAL(names_copy_write(m.names, NAMES_TABLE_NAMES, NULL, NULL, &rows), 0);
        journal_entry_free(&rows);
        for (const char *p = cases[i].rows; *p != '\0'; p++)
            journal_entry_add(&rows, &(struct db_value){p, 1}, &(struct db_value){"new", 3});
        CU_ASSERT_EQUAL(names_copy_write(m.names, NAMES_TABLE_NAMES, cases[i].after != NULL ? &after : NULL,
                                         cases[i].until != NULL ? &until : NULL, &rows),
                        0);
        CU_ASSERT_EQUAL(names_copy_whole(m.names), 0);
        CU_ASSERT_EQUAL(names_copy_read(m.names, NAMES_TABLE_NAMES, NULL, 1000, &got, &more), 0);
        CU_ASSERT_FALSE(more);
        while (journal_entry_row(&got, &place, &key, &value)) {
            bool is_new = strchr(cases[i].rows, *(const char *)key.data) != NULL;

            strncat(text, key.data, 1);
            CU_ASSERT_EQUAL(memcmp(value.data, is_new ? "new" : "old", 3), 0);
        }
        CU_ASSERT_STRING_EQUAL(text, cases[i].wanted);
        journal_entry_free(&rows);
        journal_entry_free(&got);
        done(&m);
    }
}

/* More rows than one transaction looks at: of 5000 every seventh stays. */
static void test_copy_write_many(void)
{
    enum { MANY = 5000 };
    struct journal_entry rows = JOURNAL_ENTRY_INIT, got = JOURNAL_ENTRY_INIT;
    char key[16];
    struct master m;
    bool more;

    new_member(&m);
    CU_ASSERT_EQUAL(names_copy_begin(m.names, &(struct raft_position){0}), 0);
    for (unsigned step = 1; step <= 7; step += 6) {
        journal_entry_free(&rows);
        for (unsigned i = 0; i < MANY; i += step) {
            snprintf(key, sizeof(key), "%06u", i);
            journal_entry_add(&rows, &(struct db_value){key, 6}, &(struct db_value){key, step});
        }
        CU_ASSERT_EQUAL(names_copy_write(m.names, NAMES_TABLE_NAMES, NULL, NULL, &rows), 0);
    }
    CU_ASSERT_EQUAL(names_copy_whole(m.names), 0);
    CU_ASSERT_EQUAL(names_copy_read(m.names, NAMES_TABLE_NAMES, NULL, SIZE_MAX, &got, &more), 0);
    CU_ASSERT(!more && got.count == (MANY + 6) / 7 && got.rows.len == rows.rows.len);
    CU_ASSERT_EQUAL(memcmp(got.rows.data, rows.rows.data, rows.rows.len), 0);
    journal_entry_free(&rows);
    journal_entry_free(&got);
    done(&m);
}

static void test_copy_refusals(void)
{
    static const struct {
        enum names_table table;
        const char *after, *until;
        const char *first, *second, *value;
    } cases[] = {
        {NAMES_TABLE_NAMES, NULL, NULL, "b", "a", "v"},
        {NAMES_TABLE_NAMES, NULL, NULL, "a", "a", "v"},
        {NAMES_TABLE_NAMES, "a", NULL, "a", "b", "v"},
        {NAMES_TABLE_NAMES, NULL, "b", "b", "c", "v"},
        {NAMES_TABLE_NAMES, NULL, NULL, "a", "b", NULL},
        {NAMES_TABLE_LOG, NULL, NULL, "1234567", "12345678", "v"},
        {NAMES_TABLE_LOG, NULL, NULL, "1234567", "12345678", "v"},
        {NAMES_TABLE_LOG, NULL, NULL, "12345678", "12345679", ""},
        {(enum names_table)2, NULL, NULL, "a", "b", "v"},
    };
    static const char long_key[DB_KEY_MAX + 1] = "k";
    struct journal_entry rows = JOURNAL_ENTRY_INIT;
    struct names_summary at = {0};
    struct master m;
    bool more;

    new_member(&m);
    CU_ASSERT_EQUAL(names_copy_begin(m.names, &(struct raft_position){0}), 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct db_value after = {cases[i].after, 1}, until = {cases[i].until, 1};
        struct db_value value = {cases[i].value, cases[i].value != NULL ? strlen(cases[i].value) : 0};

        journal_entry_free(&rows);
        journal_entry_add(&rows, &(struct db_value){cases[i].first, strlen(cases[i].first)},
                          cases[i].value != NULL ? &value : NULL);
        journal_entry_add(&rows, &(struct db_value){cases[i].second, strlen(cases[i].second)},
                          cases[i].value != NULL ? &value : NULL);
        CU_ASSERT_EQUAL(names_copy_write(m.names, cases[i].table, cases[i].after != NULL ? &after : NULL,
                                         cases[i].until != NULL ? &until : NULL, &rows),
                        ERR_INVALID);
    }
    journal_entry_free(&rows);
    CU_ASSERT_EQUAL(names_copy_end(m.names, &at), ERR_INVALID);
    names_set_readable(m.names, true);
    CU_ASSERT_EQUAL(names_copy_read(m.names, (enum names_table)2, NULL, 1, &rows, &more), ERR_INVALID);
    CU_ASSERT_EQUAL(names_copy_read(m.names, NAMES_TABLE_LOG, &(struct db_value){long_key, sizeof(long_key)},
                                    1, &rows, &more),
                    ERR_INVALID);
    done(&m);
}

static void ignore(const struct journal_entry *entry, void *context)
{
    (void)entry;
    (void)context;
}

/* What a taker's crash leaves, behind so many steps: the mark is on disk before anything else, and goes behind everything else. */
static void test_copy_crash(void)
{
    static const struct {
        uint64_t sequence;
        bool copying;
    } wanted[] = {{0, false}, {0, true}, {0, true}, {7, true}, {7, false}};

    for (unsigned steps = 0; steps < ARRAY_SIZE(wanted); steps++) {
        struct names_summary at = {.epoch = 1, .sequence = 7, .applied = {2, 9}};
        struct journal_entry rows = JOURNAL_ENTRY_INIT;
        struct journal_state state;
        struct master m;
        pid_t pid;
        int status, r = 0;

        make_dir(&m);
        pid = fork();
        if (pid == 0) {
            new_member_at(&m);
            if (steps > 0)
                r = names_copy_begin(m.names, &(struct raft_position){1, 1});
            journal_entry_add(&rows, &(struct db_value){"k", 1}, &(struct db_value){"v", 1});
            if (steps > 1 && r == 0)
                r = names_copy_write(m.names, NAMES_TABLE_NAMES, NULL, NULL, &rows);
            if (steps > 2 && r == 0)
                r = names_copy_end(m.names, &at);
            if (steps > 3 && r == 0)
                r = names_copy_whole(m.names);
            _exit(r == 0 ? 0 : 1);
        }
        CU_ASSERT(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
        open_member(&m);
        CU_ASSERT_EQUAL(journal_load(names_env(m.names), &state, ignore, NULL), 0);
        CU_ASSERT_EQUAL(state.copying, wanted[steps].copying);
        CU_ASSERT_EQUAL(state.applied.index, wanted[steps].sequence > 0 ? 9 : 0);
        CU_ASSERT_EQUAL(names_source(m.names)->ops->sequence(names_source(m.names)), wanted[steps].sequence);
        done(&m);
    }
}

/* ---- a lone master again ---- */

static void move(struct master *m, const char *from, const char *to)
{
    char *old = xstrprintf("%s/%s", m->dir, from), *new = xstrprintf("%s/%s", m->dir, to);

    names_close(&m->names);
    CU_ASSERT_EQUAL_FATAL(rename(old, new), 0);
    free(old);
    free(new);
}

static const char *all(struct master *m)
{
    struct source *source = names_source(m->names);
    struct cursor *cursor = source->ops->list_begin(source);
    static struct buf text;

    buf_reset(&text);
    CU_ASSERT_EQUAL(source->ops->list_next(cursor, 1000, collect, &text), 0);
    source->ops->list_end(&cursor);
    return buf_cstr(&text);
}

/* What the journal has, and a crash has undone, is done by a lone master, who forgets the rest. */
static void test_leave(void)
{
    enum { ENTRIES = 150 };
    struct journal_entry entries[2] = {{.at = {1, 1}, .kind = JOURNAL_TERM}, JOURNAL_ENTRY_INIT};
    struct journal_state state;
    struct names_txn *txn;
    struct master m;

    new_founder(&m);
    CU_ASSERT_EQUAL(names_begin(m.names, &txn), 0);
    CU_ASSERT_EQUAL(names_apply(txn, MUPDATE_RESERVE, "a", "be1!p", NULL, NULL), NAMES_DONE);
    names_decided(&txn, &entries[1]);
    entries[1].at = (struct raft_position){1, 2};
    CU_ASSERT_EQUAL(journal_append(names_env(m.names), entries, 2), 0);
    for (unsigned i = 3; i <= ENTRIES; i++) {
        entries[1].at.index = i;
        entries[1].sequence = i - 1;
        CU_ASSERT_EQUAL(journal_append(names_env(m.names), &entries[1], 1), 0);
    }
    CU_ASSERT_EQUAL(names_do(m.names, &entries[0]), 0);
    journal_entry_free(&entries[1]);
    CU_ASSERT_STRING_EQUAL(all(&m), "");
    move(&m, "mupdate.group", "mupdate");
    open_lone(&m);
    CU_ASSERT_STRING_EQUAL(all(&m), "1:a:be1!p ");
    CU_ASSERT_EQUAL(names_source(m.names)->ops->sequence(names_source(m.names)), ENTRIES - 1);
    CU_ASSERT_EQUAL(journal_load(names_env(m.names), &state, ignore, NULL), 0);
    CU_ASSERT_EQUAL(state.id, 0);
    CU_ASSERT_EQUAL(journal_read(names_env(m.names), 1, 1, NULL, NULL), ERR_NOTFOUND);
    move(&m, "mupdate", "mupdate.group");
    open_member(&m);
    CU_ASSERT_EQUAL(journal_begin(names_env(m.names), 5), 0);
    CU_ASSERT_EQUAL(journal_load(names_env(m.names), &state, ignore, NULL), 0);
    CU_ASSERT(state.id == 5 && state.applied.index == 0 && !state.was_member);
    names_set_readable(m.names, true);
    CU_ASSERT_STRING_EQUAL(all(&m), "1:a:be1!p ");
    done(&m);
}

/* Half a copy is nobody's list, also not as another member's. */
static void test_leave_half(void)
{
    char *error = NULL;
    struct master m;

    new_founder(&m);
    CU_ASSERT_EQUAL(names_copy_begin(m.names, &(struct raft_position){1, 1}), 0);
    for (unsigned i = 0; i < 2; i++) {
        move(&m, "mupdate.group", "mupdate");
        CU_ASSERT_EQUAL(names_open(m.dir, 0, NULL, NULL, &m.names, &error), ERR_CORRUPT);
        CU_ASSERT_PTR_NULL(m.names);
        CU_ASSERT(error != NULL && strstr(error, "not whole") != NULL);
        free(error);
        move(&m, "mupdate", "mupdate.group");
        open_member(&m);
        CU_ASSERT_EQUAL(journal_begin(names_env(m.names), 5), 0);
    }
    CU_ASSERT_EQUAL(names_copy_whole(m.names), 0);
    move(&m, "mupdate.group", "mupdate");
    open_lone(&m);
    done(&m);
}

static const struct unit_case cases[] = {
    {"decisions", test_decisions},
    {"only decided", test_only_decided},
    {"do", test_do},
    {"log kept", test_log_kept},
    {"do behind a copy", test_do_behind_copy},
    {"threads", test_threads},
    {"readable", test_readable},
    {"epoch", test_epoch},
    {"copy", test_copy},
    {"copy write", test_copy_write},
    {"copy write many", test_copy_write_many},
    {"copy refusals", test_copy_refusals},
    {"copy crash", test_copy_crash},
    {"leave", test_leave},
    {"leave half", test_leave_half},
    {NULL, NULL},
};

extern const struct unit_suite names_group_suite;
const struct unit_suite names_group_suite = {"names of a group", cases};
