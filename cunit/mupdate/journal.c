#include "mupdate/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "mupdate/meta.h"

static char dir[64];

static struct db_env *reopen(void)
{
    static const char *const tables[] = {"names", "log", "meta", "journal", NULL};
    struct db_env *env;

    CU_ASSERT_EQUAL_FATAL(db_open(DB_BERKELEY, dir, 0, 1, tables, &env, NULL), 0);
    return env;
}

static struct db_env *open_new(void)
{
    snprintf(dir, sizeof(dir), "/tmp/iatlas-journal.XXXXXX");
    CU_ASSERT_FATAL(mkdtemp(dir) != NULL);
    return reopen();
}

static void again(struct db_env **env)
{
    db_close(env);
    *env = reopen();
}

static void done(struct db_env **env)
{
    db_close(env);
    file_remove_tree(dir);
}

/* ---- entries ---- */

static void add(struct journal_entry *entry, const char *key, const char *value)
{
    struct db_value k = {key, strlen(key)}, v = {value, value != NULL ? strlen(value) : 0};

    journal_entry_add(entry, &k, value != NULL ? &v : NULL);
}

static struct journal_entry changes(uint64_t index, unsigned count, const char *value)
{
    struct journal_entry entry = {.at = {3, index}, .kind = JOURNAL_CHANGES, .sequence = index * 100};
    char key[16];

    for (unsigned i = 0; i < count; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        add(&entry, key, i % 2 == 0 ? value : NULL);
    }
    return entry;
}

static struct raft_members some_members(unsigned count)
{
    struct raft_members members = {.count = count};

    for (unsigned i = 0; i < count; i++) {
        members.member[i].id = i + 1;
        snprintf(members.member[i].name, sizeof(members.member[i].name), "host%u:3905", i);
    }
    return members;
}

static bool same_members(const struct raft_members *a, const struct raft_members *b)
{
    bool same = a->count == b->count;

    for (unsigned i = 0; i < a->count && same; i++)
        same = a->member[i].id == b->member[i].id && strcmp(a->member[i].name, b->member[i].name) == 0;
    return same;
}

static void test_rows(void)
{
    struct journal_entry entry = {.kind = JOURNAL_CHANGES, .sequence = 1};
    struct db_value key, value;
    size_t place = 0, len;

    add(&entry, "a", "one");
    add(&entry, "b", NULL);
    add(&entry, "c", "");
    CU_ASSERT_EQUAL(entry.count, 3);
    CU_ASSERT(journal_entry_is_whole(&entry));
    CU_ASSERT(journal_entry_row(&entry, &place, &key, &value));
    CU_ASSERT(key.len == 1 && memcmp(key.data, "a", 1) == 0);
    CU_ASSERT(value.len == 3 && memcmp(value.data, "one", 3) == 0);
    CU_ASSERT(journal_entry_row(&entry, &place, &key, &value));
    CU_ASSERT(value.data == NULL);
    CU_ASSERT(journal_entry_row(&entry, &place, &key, &value));
    CU_ASSERT(value.data != NULL && value.len == 0);
    CU_ASSERT_FALSE(journal_entry_row(&entry, &place, &key, &value));
    CU_ASSERT_EQUAL(place, entry.rows.len);
    len = entry.rows.len;
    for (entry.rows.len = 0; entry.rows.len < len; entry.rows.len++)
        CU_ASSERT_FALSE(journal_entry_is_whole(&entry));
    for (unsigned count = 0; count < 6; count++) {
        entry.count = count;
        CU_ASSERT_EQUAL(journal_entry_is_whole(&entry), count == 3);
    }
    journal_entry_free(&entry);
    CU_ASSERT(entry.rows.data == NULL && entry.count == 0);
}

/* What somebody else may send. */
static void test_bad_rows(void)
{
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = {
        {"\0\0\0\0\0", 5},                    /* no key */
        {"\1\0\0\0k\2", 6},                   /* neither there nor gone */
        {"\1\0\0\0k\1", 6},                   /* no length */
        {"\1\0\0\0k\1\377\377\377\377v", 11}, /* a length behind the end */
        {"\377\377\377\377k\0", 6},           /* likewise */
        {"\0\2\0\0k\0", 6},                   /* a key that is too long */
        {"\1\0\0\0k\0\1", 7},                 /* something behind it */
        {"\1\0\0\0k\0\1\0\0\0l\0", 12},       /* another one */
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct journal_entry entry = {.kind = JOURNAL_CHANGES, .sequence = 1, .count = 1};

        buf_append(&entry.rows, rows[i].bytes, rows[i].len);
        CU_ASSERT_FALSE(journal_entry_is_whole(&entry));
        journal_entry_free(&entry);
    }
    for (unsigned len = DB_KEY_MAX; len < DB_KEY_MAX + 2; len++) {
        struct journal_entry entry = {.kind = JOURNAL_CHANGES, .sequence = 1, .count = 1};
        char *at = buf_reserve(&entry.rows, 4 + len + 1);

        memset(at, 0, 4 + len + 1);
        at[0] = (char)len;
        at[1] = (char)(len >> 8);
        buf_added(&entry.rows, 4 + len + 1);
        CU_ASSERT_EQUAL(journal_entry_is_whole(&entry), len == DB_KEY_MAX);
        journal_entry_free(&entry);
    }
}

static void test_members(void)
{
    struct journal_entry entry = JOURNAL_ENTRY_INIT;
    struct raft_members got;

    for (unsigned count = 0; count <= RAFT_MEMBERS_MAX; count++) {
        struct raft_members members = some_members(count);

        journal_members_put(&entry, &members);
        CU_ASSERT_EQUAL(journal_members_get(&entry, &got), 0);
        CU_ASSERT(same_members(&got, &members));
        CU_ASSERT(journal_entry_is_whole(&entry));
    }
    add(&entry, "more", "12345678");
    CU_ASSERT_EQUAL(journal_members_get(&entry, &got), ERR_CORRUPT);
    journal_entry_free(&entry);
    entry.kind = JOURNAL_CHANGES;
    CU_ASSERT_EQUAL(journal_members_get(&entry, &got), ERR_CORRUPT);
    journal_entry_free(&entry);
}

static void test_bad_members(void)
{
    static const struct {
        const char *name;
        size_t name_len;
        const char *id;
    } rows[] = {
        {"host", 4, "1234567"},
        {"host", 4, "123456789"},
        {"host", 4, NULL},
        {"ho\0t", 4, "12345678"},
        {NULL, RAFT_NAME_MAX + 1, "12345678"},
    };
    static char longest[RAFT_NAME_MAX + 1];

    memset(longest, 'n', sizeof(longest));
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct journal_entry entry = {.kind = JOURNAL_MEMBERS};
        struct db_value name = {rows[i].name != NULL ? rows[i].name : longest, rows[i].name_len};
        struct db_value id = {rows[i].id, rows[i].id != NULL ? strlen(rows[i].id) : 0};
        struct raft_members got;

        journal_entry_add(&entry, &name, rows[i].id != NULL ? &id : NULL);
        CU_ASSERT_EQUAL(journal_members_get(&entry, &got), ERR_CORRUPT);
        CU_ASSERT_FALSE(journal_entry_is_whole(&entry));
        journal_entry_free(&entry);
    }
}

/* ---- what is kept ---- */

/* "index.term.kind.sequence.count(bytes of rows) " of each entry. */
static void show(const struct journal_entry *entry, void *context)
{
    buf_printf(context, "%d.%d.%d.%d.%u(%zu) ", (int)entry->at.index, (int)entry->at.term, entry->kind,
               (int)entry->sequence, entry->count, entry->rows.len);
}

static int show_until(const struct journal_entry *entry, void *context)
{
    show(entry, context);
    return entry->at.index == 7 ? 77 : 0;
}

static const char *loaded(struct db_env *env, struct journal_state *state_r)
{
    static struct buf text;

    buf_reset(&text);
    CU_ASSERT_EQUAL(journal_load(env, state_r, show, &text), 0);
    return buf_cstr(&text);
}

static int load_error(struct db_env *env)
{
    struct journal_state state;
    struct buf text = BUF_INIT;
    int r = journal_load(env, &state, show, &text);

    buf_free(&text);
    return r;
}

static void append(struct db_env *env, uint64_t first, unsigned count)
{
    struct journal_entry entries[16];

    for (unsigned i = 0; i < count; i++)
        entries[i] = (struct journal_entry){.at = {1, first + i}, .kind = JOURNAL_TERM};
    CU_ASSERT_EQUAL(journal_append(env, entries, count), 0);
}

static void test_state(void)
{
    struct raft_members members = some_members(2);
    struct db_env *env = open_new();
    struct journal_state state;
    struct db_txn *txn;

    CU_ASSERT_STRING_EQUAL(loaded(env, &state), "");
    CU_ASSERT(state.id == 0 && state.term == 0 && !state.was_member && !state.copying);
    CU_ASSERT_EQUAL(journal_begin(env, 42), 0);
    again(&env);
    CU_ASSERT_STRING_EQUAL(loaded(env, &state), "");
    CU_ASSERT(state.id == 42 && state.term == 0 && state.voted == 0 && state.applied.index == 0);
    CU_ASSERT(state.members.count == 0 && !state.was_member);
    CU_ASSERT_EQUAL(journal_vote(env, 7, 42), 0);
    CU_ASSERT_EQUAL(journal_note_member(env), 0);
    append(env, 1, 3);
    CU_ASSERT_EQUAL_FATAL(db_begin(env, true, &txn), 0);
    CU_ASSERT_EQUAL(meta_put_position(txn, META_APPLIED, &(struct raft_position){1, 2}), 0);
    CU_ASSERT_EQUAL(meta_put_members(txn, &members), 0);
    CU_ASSERT_EQUAL(meta_put_position(txn, META_COPYING, &(struct raft_position){5, 6}), 0);
    CU_ASSERT_EQUAL(meta_end(&txn, 0), 0);
    again(&env);
    CU_ASSERT_STRING_EQUAL(loaded(env, &state), "1.1.1.0.0(0) 2.1.1.0.0(0) 3.1.1.0.0(0) ");
    CU_ASSERT(state.id == 42 && state.term == 7 && state.voted == 42 && state.was_member);
    CU_ASSERT(state.applied.term == 1 && state.applied.index == 2);
    CU_ASSERT(state.copying && state.floor.term == 5 && state.floor.index == 6);
    CU_ASSERT(same_members(&state.members, &members));
    CU_ASSERT_EQUAL(journal_begin(env, 43), 0); /* somebody else, with half a list */
    again(&env);
    CU_ASSERT_STRING_EQUAL(loaded(env, &state), "");
    CU_ASSERT(state.id == 43 && state.term == 0 && state.voted == 0 && !state.was_member);
    CU_ASSERT(state.applied.index == 0 && state.members.count == 0);
    CU_ASSERT(state.copying && state.floor.term == 0 && state.floor.index == 0);
    done(&env);
}

static void test_log(void)
{
    struct raft_members members = some_members(1);
    struct db_env *env = open_new();
    struct journal_entry entries[3] = {
        {.at = {3, 1}, .kind = JOURNAL_TERM}, changes(2, 3, "v"), {.at = {4, 3}}};
    struct journal_state state;
    struct buf text = BUF_INIT;

    journal_members_put(&entries[2], &members);
    CU_ASSERT_EQUAL(journal_begin(env, 1), 0);
    CU_ASSERT_EQUAL(journal_append(env, entries, 3), 0);
    CU_ASSERT_EQUAL(journal_append(env, &entries[2], 1), ERR_EXISTS);
    again(&env);
    CU_ASSERT_STRING_EQUAL(loaded(env, &state), "1.3.1.0.0(0) 2.3.2.200.3(0) 3.4.3.0.1(27) ");
    CU_ASSERT_EQUAL(journal_read(env, 1, 1000, show_until, &text), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&text), "1.3.1.0.0(0) 2.3.2.200.3(31) 3.4.3.0.1(27) ");
    buf_free(&text);
    for (unsigned i = 0; i < 3; i++)
        journal_entry_free(&entries[i]);
    done(&env);
}

static void test_read(void)
{
    static const struct {
        uint64_t index;
        size_t most;
        int result;
        const char *wanted;
    } rows[] = {
        {1, 1000, ERR_NOTFOUND, ""},
        {2, 0, 0, "2 "},
        {2, 1, 0, "2 "},
        {2, 43, 0, "2 "}, /* 22 bytes and no row */
        {2, 44, 0, "2 3 "},
        {2, 1000, 77, "2 3 4 5 6 7 "},
        {8, 1000, 0, "8 9 "},
        {9, 1000, 0, "9 "},
        {10, 1000, ERR_NOTFOUND, ""},
        {UINT64_MAX, 1000, ERR_NOTFOUND, ""},
    };
    struct db_env *env = open_new();
    struct buf text = BUF_INIT, wanted = BUF_INIT;

    append(env, 2, 8);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        buf_reset(&text);
        buf_reset(&wanted);
        CU_ASSERT_EQUAL(journal_read(env, rows[i].index, rows[i].most, show_until, &text), rows[i].result);
        for (const char *p = rows[i].wanted; *p != '\0'; p += 2)
            buf_printf(&wanted, "%c.1.1.0.0(0) ", *p);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&text), buf_cstr(&wanted));
    }
    buf_free(&text);
    buf_free(&wanted);
    done(&env);
}

/* first and last index; 0: none */
static void bounds(struct db_env *env, uint64_t *first_r, uint64_t *last_r)
{
    uint64_t count = 0;
    struct db_txn *txn;

    CU_ASSERT_EQUAL_FATAL(db_begin(env, false, &txn), 0);
    CU_ASSERT_EQUAL(db_count(txn, TABLE_JOURNAL, &count), 0);
    db_abort(&txn);
    for (*first_r = 1; *first_r < 2000 && count > 0; ++*first_r) {
        struct buf text = BUF_INIT;
        int r = journal_read(env, *first_r, 0, show_until, &text);

        buf_free(&text);
        if (r == 0)
            break;
    }
    *last_r = count > 0 ? *first_r + count - 1 : 0;
}

/* In several transactions. */
static void test_truncate_and_trim(void)
{
    enum { MANY = 1600 };
    struct db_env *env = open_new();
    uint64_t first, last;

    for (unsigned i = 0; i < MANY / 16; i++)
        append(env, 8 + 16 * i, 16); /* 7 would end show_until() */
    CU_ASSERT_EQUAL(journal_truncate(env, 1500), 0);
    again(&env);
    bounds(env, &first, &last);
    CU_ASSERT(first == 8 && last == 1500);
    CU_ASSERT_EQUAL(journal_truncate(env, 1500), 0);
    CU_ASSERT_EQUAL(journal_truncate(env, 5000), 0);
    CU_ASSERT_EQUAL(journal_truncate(env, UINT64_MAX), 0);
    CU_ASSERT_EQUAL(journal_trim(env, 8), 0);
    bounds(env, &first, &last);
    CU_ASSERT(first == 8 && last == 1500);
    CU_ASSERT_EQUAL(journal_trim(env, 900), 0);
    again(&env);
    bounds(env, &first, &last);
    CU_ASSERT(first == 900 && last == 1500);
    CU_ASSERT_EQUAL(journal_truncate(env, 900), 0);
    bounds(env, &first, &last);
    CU_ASSERT(first == 900 && last == 900);
    CU_ASSERT_EQUAL(journal_trim(env, 8 + 256 + 900), 0);
    bounds(env, &first, &last);
    CU_ASSERT_EQUAL(last, 0);
    append(env, 8, 16);
    CU_ASSERT_EQUAL(journal_truncate(env, 0), 0);
    bounds(env, &first, &last);
    CU_ASSERT_EQUAL(last, 0);
    done(&env);
}

/* ---- damage ---- */

static void put(struct db_env *env, unsigned table, const char *key, size_t key_len, const char *value,
                size_t value_len)
{
    struct db_txn *txn;

    CU_ASSERT_EQUAL_FATAL(db_begin(env, true, &txn), 0);
    CU_ASSERT_EQUAL(db_put(txn, table, key, key_len, value, value_len), 0);
    CU_ASSERT_EQUAL(db_commit(&txn), 0);
}

static void set_applied(struct db_env *env, uint64_t index)
{
    struct db_txn *txn;

    CU_ASSERT_EQUAL_FATAL(db_begin(env, true, &txn), 0);
    CU_ASSERT_EQUAL(meta_end(&txn, meta_put_position(txn, META_APPLIED, &(struct raft_position){1, index})),
                    0);
}

/* An entry of each kind, cut off anywhere, and with each of its head's bytes another. */
static void test_damaged_entries(void)
{
    enum { HEAD = 22 };
    static const char key[8] = {0, 0, 0, 0, 0, 0, 0, 2};
    struct db_env *env = open_new();
    struct buf text = BUF_INIT, value = BUF_INIT;
    struct raft_members members = some_members(2);
    struct journal_entry entry = {.at = {3, 2}};
    struct db_value stored;
    struct db_txn *txn;
    size_t len;

    CU_ASSERT_EQUAL(journal_begin(env, 1), 0);
    set_applied(env, 1);
    journal_members_put(&entry, &members);
    CU_ASSERT_EQUAL(journal_append(env, &entry, 1), 0);
    CU_ASSERT_EQUAL(load_error(env), 0);
    CU_ASSERT_EQUAL_FATAL(db_begin(env, false, &txn), 0);
    CU_ASSERT_EQUAL_FATAL(db_get(txn, TABLE_JOURNAL, key, 8, &stored), 0);
    buf_append(&value, stored.data, stored.len);
    db_abort(&txn);
    for (len = 0; len < value.len; len++) {
        put(env, TABLE_JOURNAL, key, 8, value.data, len);
        CU_ASSERT_EQUAL(load_error(env), ERR_CORRUPT);
        CU_ASSERT_EQUAL(journal_read(env, 2, 1000, show_until, &text), ERR_CORRUPT);
    }
    CU_ASSERT_EQUAL(text.len, 0);
    value.data[0]++;
    put(env, TABLE_JOURNAL, key, 8, value.data, value.len);
    CU_ASSERT_EQUAL(load_error(env), ERR_VERSION);
    value.data[0]--;
    for (char kind = 0; kind < 6; kind++) {
        value.data[1] = kind;
        put(env, TABLE_JOURNAL, key, 8, value.data, value.len);
        CU_ASSERT_EQUAL(journal_read(env, 2, 1000, show_until, &text),
                        kind == JOURNAL_MEMBERS ? 0 : ERR_CORRUPT);
        CU_ASSERT_EQUAL(load_error(env), kind > 0 && kind <= JOURNAL_MEMBERS ? 0 : ERR_CORRUPT);
    }
    value.data[1] = JOURNAL_MEMBERS;
    value.data[18]++; /* count */
    put(env, TABLE_JOURNAL, key, 8, value.data, value.len);
    CU_ASSERT_EQUAL(load_error(env), ERR_CORRUPT);
    value.data[18]--;
    put(env, TABLE_JOURNAL, key, 7, value.data, value.len);
    CU_ASSERT_EQUAL(load_error(env), ERR_CORRUPT);
    buf_free(&text);
    buf_free(&value);
    journal_entry_free(&entry);
    done(&env);
}

/* Gaps, terms that fall, and what does not meet what was done. */
static void test_damaged_order(void)
{
    static const struct {
        struct raft_position at[3];
        uint64_t applied;
        int result;
    } rows[] = {
        {{{1, 4}, {1, 5}, {2, 6}}, 4, 0},           {{{1, 4}, {1, 5}, {2, 6}}, 6, 0},
        {{{1, 4}, {1, 5}, {2, 6}}, 3, 0},           {{{1, 4}, {1, 5}, {2, 6}}, 2, ERR_CORRUPT},
        {{{1, 4}, {1, 5}, {2, 6}}, 7, ERR_CORRUPT}, {{{1, 4}, {1, 5}, {1, 7}}, 4, ERR_CORRUPT},
        {{{1, 4}, {2, 5}, {1, 6}}, 4, ERR_CORRUPT},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct db_env *env = open_new();
        struct journal_entry entries[3];
        struct raft_position floor = {1, 1};
        struct db_txn *txn;

        for (unsigned j = 0; j < 3; j++)
            entries[j] = (struct journal_entry){.at = rows[i].at[j], .kind = JOURNAL_TERM};
        CU_ASSERT_EQUAL(journal_begin(env, 1), 0);
        CU_ASSERT_EQUAL(journal_append(env, entries, 3), 0);
        set_applied(env, rows[i].applied);
        CU_ASSERT_EQUAL(load_error(env), rows[i].result);
        CU_ASSERT_EQUAL_FATAL(db_begin(env, true, &txn), 0); /* a copy's rest is what it is */
        CU_ASSERT_EQUAL(meta_end(&txn, meta_put_position(txn, META_COPYING, &floor)), 0);
        CU_ASSERT_EQUAL(load_error(env), i < 5 ? 0 : ERR_CORRUPT);
        done(&env);
    }
}

static void test_damaged_meta(void)
{
    static const struct {
        const char *word;
        size_t len;
    } rows[] = {{META_MEMBER, 8},  {META_VOTE, 16},      {META_APPLIED, 16},
                {META_MEMBERS, 4}, {META_WAS_MEMBER, 8}, {META_COPYING, 16}};
    static const char zeros[20];

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct db_env *env = open_new();

        CU_ASSERT_EQUAL(journal_begin(env, 1), 0);
        for (size_t len = 0; len < sizeof(zeros); len++) {
            put(env, TABLE_META, rows[i].word, strlen(rows[i].word), zeros, len);
            CU_ASSERT_EQUAL(load_error(env), len == rows[i].len ? 0 : ERR_CORRUPT);
        }
        done(&env);
    }
}

/* ---- what a crash leaves ---- */

/* 'b': begins, 'v': votes, 'n': notes that it is a member, 'a': appends three entries, 't': only the first one stays, 'r': that goes, too, some
 * time. */
static void end_behind(const char *steps)
{
    struct journal_entry entries[3];
    struct db_env *env = reopen();
    int r = 0;

    for (unsigned i = 0; i < 3; i++)
        entries[i] = (struct journal_entry){.at = {1, i + 1}, .kind = JOURNAL_TERM};
    for (; *steps != '\0' && r == 0; steps++) {
        if (*steps == 'b')
            r = journal_begin(env, 5);
        else if (*steps == 'v')
            r = journal_vote(env, 6, 7);
        else if (*steps == 'n')
            r = journal_note_member(env);
        else if (*steps == 'a')
            r = journal_append(env, entries, 3);
        else
            r = *steps == 't' ? journal_truncate(env, 1) : journal_trim(env, 2);
    }
    _exit(r == 0 ? 0 : 1);
}

static void test_crash(void)
{
    static const struct {
        const char *steps, *wanted;
    } rows[] = {
        {"b", "5.0.0.0:"},     {"bv", "5.6.7.0:"},     {"bn", "5.0.0.1:"},
        {"ba", "5.0.0.0:123"}, {"bat", "5.0.0.0:1"},   {"batv", "5.6.7.0:1"},
        {"br", "5.0.0.0:"},    {"barv", "5.6.7.0:23"}, {"bar", "5.0.0.0:123"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct db_env *env;
        struct journal_state state;
        char text[64] = "", *at = text;
        struct buf entries = BUF_INIT;
        pid_t pid;
        int status;

        snprintf(dir, sizeof(dir), "/tmp/iatlas-journal.XXXXXX");
        CU_ASSERT_FATAL(mkdtemp(dir) != NULL);
        pid = fork();
        if (pid == 0)
            end_behind(rows[i].steps);
        CU_ASSERT(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
        env = reopen();
        if (strcmp(rows[i].steps, "barv") == 0)
            set_applied(env, 1);
        CU_ASSERT_EQUAL(journal_load(env, &state, show, &entries), 0);
        at += snprintf(at, 32, "%d.%d.%d.%d:", (int)state.id, (int)state.term, (int)state.voted,
                       state.was_member);
        for (const char *p = buf_cstr(&entries); *p != '\0'; p = strchr(p, ' ') + 1)
            *at++ = *p;
        CU_ASSERT_STRING_EQUAL(text, rows[i].wanted);
        buf_free(&entries);
        done(&env);
    }
}

/* ---- the format ---- */

static int show_row(const struct db_value *key, const struct db_value *value, void *context)
{
    char hex[256];

    str_hex(hex, key->data, key->len);
    buf_printf(context, "%s ", hex);
    str_hex(hex, value->data, value->len);
    buf_printf(context, "%s\n", hex);
    return 0;
}

/* The rows of version 1, as doc/formats/mupdate.md shows them: they never change. */
static void test_golden(void)
{
    static const char *const golden =
        "0000000000000001 01010300000000000000000000000000000000000000\n"
        "0000000000000002 0102030000000000000007000000000000000200000001000000610101000000"
        "78010000006200\n"
        "0000000000000003 0103040000000000000000000000000000000100000004000000686f7374010800"
        "00000500000000000000\n"
        "6170706c696564 04000000000000000300000000000000\n"
        "636f7079696e67 01000000000000000200000000000000\n"
        "6d656d626572 0500000000000000\n"
        "6d656d62657273 0100000004000000686f737401080000000500000000000000\n"
        "766f7465 06000000000000000500000000000000\n"
        "7761732d6d656d626572 0100000000000000\n";
    struct journal_entry entries[3] = {{.at = {3, 1}, .kind = JOURNAL_TERM},
                                       {.at = {3, 2}, .kind = JOURNAL_CHANGES, .sequence = 7},
                                       {.at = {4, 3}}};
    struct raft_members members = {.count = 1, .member = {{5, "host"}}};
    struct db_env *env = open_new();
    struct buf rows = BUF_INIT;
    struct db_txn *txn;

    add(&entries[1], "a", "x");
    add(&entries[1], "b", NULL);
    journal_members_put(&entries[2], &members);
    CU_ASSERT_EQUAL(journal_begin(env, 5), 0);
    CU_ASSERT_EQUAL(journal_append(env, entries, 3), 0);
    CU_ASSERT_EQUAL(journal_vote(env, 6, 5), 0);
    CU_ASSERT_EQUAL(journal_note_member(env), 0);
    CU_ASSERT_EQUAL_FATAL(db_begin(env, true, &txn), 0);
    CU_ASSERT_EQUAL(meta_put_position(txn, META_APPLIED, &(struct raft_position){4, 3}), 0);
    CU_ASSERT_EQUAL(meta_put_position(txn, META_COPYING, &(struct raft_position){1, 2}), 0);
    CU_ASSERT_EQUAL(meta_put_members(txn, &members), 0);
    CU_ASSERT_EQUAL(db_scan(txn, TABLE_JOURNAL, NULL, 0, NULL, 0, show_row, &rows), 0);
    CU_ASSERT_EQUAL(db_scan(txn, TABLE_META, NULL, 0, NULL, 0, show_row, &rows), 0);
    db_abort(&txn);
    if (strcmp(buf_cstr(&rows), golden) != 0)
        printf("\n%s", buf_cstr(&rows));
    CU_ASSERT_STRING_EQUAL(buf_cstr(&rows), golden);
    buf_free(&rows);
    for (unsigned i = 0; i < 3; i++)
        journal_entry_free(&entries[i]);
    done(&env);
}

static const struct unit_case cases[] = {
    {"rows", test_rows},
    {"bad rows", test_bad_rows},
    {"members", test_members},
    {"bad members", test_bad_members},
    {"state", test_state},
    {"log", test_log},
    {"read", test_read},
    {"truncate and trim", test_truncate_and_trim},
    {"damaged entries", test_damaged_entries},
    {"damaged order", test_damaged_order},
    {"damaged meta", test_damaged_meta},
    {"crash", test_crash},
    {"golden", test_golden},
    {NULL, NULL},
};

extern const struct unit_suite journal_suite;
const struct unit_suite journal_suite = {"journal", cases};
