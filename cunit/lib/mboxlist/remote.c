#include "lib/mboxlist/remote.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cunit/lib/mboxlist/fixture.h"
#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/mboxlist/ids.h"

static void add(struct mboxlist_remote *remote, char type, const char *name, const char *location,
                const char *acl)
{
    struct mboxlist_change change = {type == 'M'   ? MBOXLIST_CHANGE_MAILBOX
                                     : type == 'R' ? MBOXLIST_CHANGE_RESERVE
                                                   : MBOXLIST_CHANGE_DELETE,
                                     name,
                                     location,
                                     acl,
                                     NULL,
                                     NULL};

    CU_ASSERT_EQUAL(mboxlist_remote_add(remote, &change), 0);
}

/* Records by letters: lower case, capital: with another ACL, behind it `!`: reserved, `.`: local (where f is given). */
static void add_letters(struct fixture *f, struct mboxlist_remote *remote, const char *letters)
{
    for (; *letters != '\0'; letters++) {
        char name[2] = {(char)tolower(*letters), '\0'};

        if (letters[1] == '.')
            fixture_put(f, name, "");
        else
            add(remote, letters[1] == '!' ? 'R' : 'M', name, "be1!p",
                isupper(*letters) ? "fred\tl\t" : "fred\tlr\t");
        if (letters[1] == '!' || letters[1] == '.')
            letters++;
    }
}

/* The other way. */
static const char *letters(struct fixture *f)
{
    struct mboxlist_iter *it = mboxlist_iter_all(f->list, NULL, MBOXLIST_TYPES_ALL);
    const struct mboxlist_record *record;
    static char text[64];
    size_t n = 0;

    while (n + 3 < sizeof(text) && mboxlist_iter_next(it, &record) > 0) {
        bool other = strcmp(record->acl, "fred\tl\t") == 0;

        text[n++] = (char)(other ? toupper(record->name[0]) : record->name[0]);
        if (record->type != MBOXLIST_REMOTE)
            text[n++] = record->type == MBOXLIST_LOCAL ? '.' : '!';
    }
    text[n] = '\0';
    mboxlist_iter_free(&it);
    return text;
}

static const char *all(struct fixture *f)
{
    return fixture_names(f, mboxlist_iter_all(f->list, NULL, MBOXLIST_TYPES_ALL));
}

/* Every kind of change on every kind of record. */
static void test_changes(void)
{
    enum { NONE, LOCAL = MBOXLIST_LOCAL, REMOTE = MBOXLIST_REMOTE, RESERVED = MBOXLIST_RESERVED };
    static const struct {
        const char *before; /* changes as letters; L: a local record */
        char type;
        const char *location;
        int after;
        unsigned conflicts;
    } rows[] = {
        {"", 'M', "be1!p", REMOTE, 0},  {"", 'R', "be1!p", RESERVED, 0},  {"", 'D', NULL, NONE, 0},
        {"M", 'M', "be2!p", REMOTE, 0}, {"M", 'R', "be1!p", RESERVED, 0}, {"M", 'D', NULL, NONE, 0},
        {"R", 'M', "be1!p", REMOTE, 0}, {"R", 'D', NULL, NONE, 0},        {"L", 'M', "be1!p", LOCAL, 1},
        {"L", 'R', "be1!p", LOCAL, 0},  {"L", 'D', NULL, LOCAL, 0},       {"L", 'M', "own!p", LOCAL, 0},
        {"", 'M', "own!p", NONE, 0},    {"", 'R', "own!p", NONE, 0},      {"M", 'M', "own!p", NONE, 0},
        {"", 'M', "be1", REMOTE, 0},    {"", 'M', "be1!", REMOTE, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct mboxlist_remote_counters counters;
        struct mboxlist_remote *remote;
        struct fixture f;

        fixture_open(&f);
        remote = mboxlist_remote_new(f.list, "own");
        if (rows[i].before[0] == 'L')
            fixture_put(&f, "m", "fred\tlrs\t");
        else if (rows[i].before[0] != '\0')
            add(remote, rows[i].before[0], "m", "be1!p", "fred\tlr\t");
        CU_ASSERT_EQUAL(mboxlist_remote_flush(remote), 0);
        add(remote, rows[i].type, "m", rows[i].location, "fred\tl\t");
        CU_ASSERT_EQUAL(mboxlist_remote_flush(remote), 0);
        CU_ASSERT_EQUAL(fixture_type(&f, "m"), rows[i].after);
        mboxlist_remote_counters(remote, &counters);
        CU_ASSERT_EQUAL(counters.conflicts, rows[i].conflicts);
        mboxlist_remote_free(&remote);
        fixture_close(&f);
    }
}

static void test_same_is_not_written(void)
{
    struct mboxlist_remote_counters counters;
    struct mboxlist_remote *remote;
    struct mboxlist_record record;
    struct fixture f;

    fixture_open(&f);
    remote = mboxlist_remote_new(f.list, "own");
    for (unsigned i = 0; i < 3; i++) {
        add(remote, 'M', "m", "be1!p", "fred\tlr\t"); /* Cyrus sends each change several times */
        CU_ASSERT_EQUAL(mboxlist_remote_flush(remote), 0);
    }
    mboxlist_remote_counters(remote, &counters);
    CU_ASSERT(counters.written == 1 && counters.received == 3);
    CU_ASSERT_EQUAL(mboxlist_lookup(f.list, "m", f.pool, &record), 0);
    CU_ASSERT_STRING_EQUAL(record.server, "be1");
    CU_ASSERT_STRING_EQUAL(record.partition, "p");
    CU_ASSERT_STRING_EQUAL(record.acl, "fred\tlr\t");
    add(remote, 'M', "bad..name", "be1!p", "");
    add(remote, 'M', "", "be1!p", "");
    CU_ASSERT_EQUAL(mboxlist_remote_flush(remote), 0);
    mboxlist_remote_counters(remote, &counters);
    CU_ASSERT_EQUAL(counters.invalid, 2);
    mboxlist_remote_free(&remote);
    fixture_close(&f);
}

/* A full list takes away what it does not have, at its end and not before, and nothing local. */
static void test_full(void)
{
    struct mboxlist_remote *remote;
    struct fixture f;

    fixture_open(&f);
    fixture_put(&f, "local", "");
    remote = mboxlist_remote_new(f.list, "own");
    add(remote, 'M', "a", "be1!p", "");
    add(remote, 'M', "b", "be1!p", "");
    add(remote, 'R', "c", "be1!p", "");
    CU_ASSERT_EQUAL(mboxlist_remote_flush(remote), 0);

    mboxlist_remote_full_begin(remote, false); /* breaks off */
    add(remote, 'M', "b", "be1!p", "");
    CU_ASSERT_EQUAL(mboxlist_remote_flush(remote), 0);
    CU_ASSERT_STRING_EQUAL(all(&f), "a b c local");

    mboxlist_remote_full_begin(remote, false);
    add(remote, 'M', "b", "be1!p", "");
    add(remote, 'M', "d", "be2!p", "");
    CU_ASSERT_EQUAL(mboxlist_remote_flush(remote), 0);
    CU_ASSERT_STRING_EQUAL(all(&f), "a b c d local");
    CU_ASSERT_EQUAL(mboxlist_remote_is_whole(f.list), 0);
    CU_ASSERT_EQUAL(mboxlist_remote_full_end(remote), 0);
    CU_ASSERT_EQUAL(mboxlist_remote_is_whole(f.list), 1);
    CU_ASSERT_STRING_EQUAL(all(&f), "b d local");

    mboxlist_remote_full_begin(remote, false);
    CU_ASSERT_EQUAL(mboxlist_remote_full_end(remote), 0);
    CU_ASSERT_STRING_EQUAL(all(&f), "local");
    mboxlist_remote_free(&remote);
    fixture_close(&f);
}

/* An ordered list, against every way in which the list that is there can differ from it. */
static void test_ordered(void)
{
    static const struct {
        const char *before, *list,
            *after; /* letters are names; capitals: with another ACL, ! reserved, . local */
        unsigned written, removed, conflicts;
    } rows[] = {
        {"", "", "", 0, 0, 0},           {"", "abc", "abc", 3, 0, 0},     {"abc", "abc", "abc", 0, 0, 0},
        {"abc", "", "", 0, 3, 0},        {"abc", "b", "b", 0, 2, 0},      {"b", "abc", "abc", 2, 0, 0},
        {"bd", "ace", "ace", 3, 2, 0},   {"abc", "aBc", "aBc", 1, 0, 0},  {"abc", "ab!c", "ab!c", 1, 0, 0},
        {"ab!c", "abc", "abc", 1, 0, 0}, {"ab.c", "ac", "ab.c", 0, 0, 0}, {"ab.c", "abc", "ab.c", 0, 0, 1},
        {"abc", "c", "c", 0, 2, 0},      {"abc", "a", "a", 0, 2, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct mboxlist_remote_counters before, counters;
        struct mboxlist_remote *remote;
        struct fixture f;

        fixture_open(&f);
        remote = mboxlist_remote_new(f.list, "own");
        add_letters(&f, remote, rows[i].before);
        CU_ASSERT_EQUAL(mboxlist_remote_flush(remote), 0);
        mboxlist_remote_counters(remote, &before);
        mboxlist_remote_full_begin(remote, true);
        add_letters(NULL, remote, rows[i].list);
        CU_ASSERT_EQUAL(mboxlist_remote_full_end(remote), 0);
        mboxlist_remote_counters(remote, &counters);
        CU_ASSERT_EQUAL(counters.written - before.written, rows[i].written);
        CU_ASSERT_EQUAL(counters.removed - before.removed, rows[i].removed);
        CU_ASSERT_EQUAL(counters.conflicts - before.conflicts, rows[i].conflicts);
        CU_ASSERT_STRING_EQUAL(letters(&f), rows[i].after);
        mboxlist_remote_free(&remote);
        fixture_close(&f);
    }
}

static void tell(struct mboxlist_remote *remote, const char *name, const char *id, const char *uses)
{
    const struct mboxlist_change change = {MBOXLIST_CHANGE_MAILBOX, name, "be1!p", "", id, uses};

    CU_ASSERT_EQUAL(mboxlist_remote_add(remote, &change), 0);
    CU_ASSERT_EQUAL(mboxlist_remote_flush(remote), 0);
}

static void expect(struct fixture *f, const char *name, const char *id, const char *uses)
{
    struct mboxlist_record record;

    CU_ASSERT_EQUAL_FATAL(mboxlist_lookup(f->list, name, f->pool, &record), 0);
    CU_ASSERT_STRING_EQUAL(record.id, id);
    CU_ASSERT_STRING_EQUAL(record.special_use, uses);
}

/* What is told besides: written, kept when it is not told, moved to a new name before the old one goes. */
static void test_details(void)
{
    struct mboxlist_remote_counters counters;
    struct mboxlist_remote *remote;
    struct mboxlist_record record;
    struct fixture f;

    fixture_open(&f);
    remote = mboxlist_remote_new(f.list, "own");
    for (unsigned i = 0; i < 2; i++)
        tell(remote, "a", "id-a", "fred\t\\Sent\t");
    expect(&f, "a", "id-a", "fred\t\\Sent\t");
    tell(remote, "a", "id-a", ""); /* a use alone is a change */
    mboxlist_remote_counters(remote, &counters);
    CU_ASSERT_EQUAL(counters.written, 2);
    tell(remote, "a", NULL, NULL);
    expect(&f, "a", "id-a", "");
    tell(remote, "b", "id-a", "");
    expect(&f, "a", "", "");
    expect(&f, "b", "id-a", "");
    add(remote, 'D', "a", NULL, NULL);
    CU_ASSERT_EQUAL(mboxlist_remote_flush(remote), 0);
    CU_ASSERT_EQUAL(mboxlist_lookup_id(f.list, "id-a", f.pool, &record), 0);
    CU_ASSERT_STRING_EQUAL(record.name, "b");
    fixture_put(&f, "local", "");
    CU_ASSERT_EQUAL(mboxlist_lookup(f.list, "local", f.pool, &record), 0);
    CU_ASSERT(record.id[0] != '\0');
    tell(remote, "c", record.id, ""); /* what is here keeps its id */
    expect(&f, "c", "", "");
    expect(&f, "local", record.id, "");
    mboxlist_remote_full_begin(remote, true);
    tell(remote, "b", "id-b", "");
    tell(remote, "c", "", "");
    CU_ASSERT_EQUAL(mboxlist_remote_full_end(remote), 0);
    expect(&f, "b", "id-b", "");
    mboxlist_remote_free(&remote);
    fixture_close(&f);
}

/* What the list has come past is gone; what lies before it, or behind where it broke off, is not. */
static void test_ordered_broken(void)
{
    struct mboxlist_change out_of_order = {MBOXLIST_CHANGE_MAILBOX, "d", "be1!p", "", NULL, NULL};
    struct mboxlist_remote *remote;
    struct fixture f;

    fixture_open(&f);
    remote = mboxlist_remote_new(f.list, "own");
    add_letters(&f, remote, "abcdef");
    CU_ASSERT_EQUAL(mboxlist_remote_flush(remote), 0);
    mboxlist_remote_full_begin(remote, true);
    add_letters(NULL, remote, "bd");
    CU_ASSERT_EQUAL(mboxlist_remote_add(remote, &out_of_order), ERR_PROTOCOL);
    out_of_order.name = "c";
    CU_ASSERT_EQUAL(mboxlist_remote_add(remote, &out_of_order), ERR_PROTOCOL);
    CU_ASSERT_EQUAL(mboxlist_remote_flush(remote), 0);
    CU_ASSERT_STRING_EQUAL(letters(&f), "bdef");
    CU_ASSERT_EQUAL(mboxlist_remote_is_whole(f.list), 0);
    mboxlist_remote_free(&remote);
    fixture_close(&f);
}

/* The name that a local record hides is told again: the list is at no position. */
static void test_conflict_forgets_position(void)
{
    struct mboxlist_remote *remote;
    uint64_t epoch, sequence;
    struct fixture f;

    fixture_open(&f);
    remote = mboxlist_remote_new(f.list, "own");
    for (unsigned i = 0; i < 2; i++) {
        mboxlist_remote_set_position(remote, 5, 7);
        add_letters(i == 0 ? NULL : &f, remote, i == 0 ? "ab" : "c.");
        if (i == 1)
            add_letters(NULL, remote, "c");
        CU_ASSERT_EQUAL(mboxlist_remote_flush(remote), 0);
        CU_ASSERT_EQUAL(mboxlist_remote_position(f.list, &epoch, &sequence), 0);
        CU_ASSERT_EQUAL(epoch, i == 0 ? 5 : 0);
        CU_ASSERT_EQUAL(sequence, i == 0 ? 7 : 0);
    }
    mboxlist_remote_free(&remote);
    fixture_close(&f);
}

static void test_many(void)
{
    enum { COUNT = 3 * MBOXLIST_REMOTE_BATCH + 7 };
    struct mboxlist_remote_counters counters;
    struct mboxlist_remote *remote;
    struct fixture f;
    uint64_t count;
    char name[32];

    fixture_open(&f);
    remote = mboxlist_remote_new(f.list, "own");
    for (unsigned round = 0; round < 4; round++) { /* unordered and ordered */
        mboxlist_remote_full_begin(remote, round >= 2);
        for (unsigned i = round; i < COUNT; i++) { /* the first name is gone in the next round */
            snprintf(name, sizeof(name), "user.u%06u", i);
            add(remote, 'M', name, "be1!p", "anyone\tl\t");
        }
        CU_ASSERT_EQUAL(mboxlist_remote_full_end(remote), 0);
        CU_ASSERT_EQUAL(mboxlist_count(f.list, &count), 0);
        CU_ASSERT_EQUAL(count, COUNT - round);
    }
    mboxlist_remote_counters(remote, &counters);
    CU_ASSERT(counters.written == COUNT && counters.removed == 3);
    CU_ASSERT_EQUAL(fixture_type(&f, "user.u000000"), 0);
    mboxlist_remote_free(&remote);
    fixture_close(&f);
}

/* Names in order, ids at random, one of them the id of the name before. */
static void tell_first_list(struct mboxlist_remote *remote, unsigned from, unsigned to, const char *local_id)
{
    enum { SHUFFLE = 0x9e3779b1 };
    struct mboxlist_change change = {MBOXLIST_CHANGE_MAILBOX, NULL, "be1!p", "anyone\tl\t", NULL, ""};
    char name[32], id[40];

    for (unsigned i = from; i < to; i++) {
        snprintf(name, sizeof(name), "user.u%06u", i);
        snprintf(id, sizeof(id), "%08x-0000-0000-0000-%012u", (i == 5 ? 4 : i) * SHUFFLE, i == 5 ? 4 : i);
        change.name = name;
        change.id = i == 7 ? local_id : i % 10 == 9 ? "" : id;
        CU_ASSERT_EQUAL(mboxlist_remote_add(remote, &change), 0);
    }
}

/* The table of ids is written at the end of the first list, and has all of them, whatever broke off before. */
static void test_first_ids(void)
{
    enum { COUNT = IDS_PIECE / 45 + 1000 }; /* two pieces */
    struct mboxlist_record local, record, found;
    struct mboxlist_remote *remote;
    struct fixture f;
    char name[32];

    fixture_open(&f);
    fixture_put(&f, "local", "");
    CU_ASSERT_EQUAL_FATAL(mboxlist_lookup(f.list, "local", f.pool, &local), 0);
    remote = mboxlist_remote_new(f.list, "own");
    mboxlist_remote_full_begin(remote, true); /* breaks off */
    tell_first_list(remote, 0, 1000, local.id);
    CU_ASSERT_EQUAL(mboxlist_remote_flush(remote), 0);
    mboxlist_remote_full_begin(remote, true);
    tell_first_list(remote, 1, COUNT, local.id);
    CU_ASSERT_EQUAL(mboxlist_remote_full_end(remote), 0);
    for (unsigned i = 0; i < COUNT; i += i < 20 ? 1 : 997) {
        struct pool *pool = pool_new(0);
        bool has_id = i != 5 && i != 7 && i % 10 != 9;

        snprintf(name, sizeof(name), "user.u%06u", i);
        CU_ASSERT_EQUAL(mboxlist_lookup(f.list, name, pool, &record), i == 0 ? ERR_NOTFOUND : 0);
        CU_ASSERT_EQUAL(i > 0 && record.id[0] != '\0', i > 0 && has_id);
        if (i > 0 && has_id) {
            CU_ASSERT_EQUAL_FATAL(mboxlist_lookup_id(f.list, record.id, pool, &found), 0);
            CU_ASSERT_STRING_EQUAL(found.name, name);
        }
        pool_free(&pool);
    }
    CU_ASSERT_EQUAL(mboxlist_lookup_id(f.list, local.id, f.pool, &found), 0);
    CU_ASSERT_STRING_EQUAL(found.name, "local");
    mboxlist_remote_full_begin(remote, true); /* not the first any more */
    tell(remote, "user.u000002", "fresh-id", "");
    CU_ASSERT_EQUAL(mboxlist_remote_full_end(remote), 0);
    CU_ASSERT_EQUAL(mboxlist_lookup_id(f.list, "fresh-id", f.pool, &found), 0);
    mboxlist_remote_free(&remote);
    fixture_close(&f);
}

/* A first list, written in one piece, leaves alone what is local here and what the master says is. */
static void test_first_over_local(void)
{
    enum { COUNT = 1000 };
    struct mboxlist_change change = {MBOXLIST_CHANGE_MAILBOX, NULL, NULL, "anyone\tl\tfred\tlr\t", "", ""};
    struct mboxlist_remote_counters counters;
    struct mboxlist_remote *remote;
    struct mboxlist_record record;
    struct fixture f;
    uint64_t count;
    char name[32];

    fixture_open(&f);
    fixture_put(&f, "user.u0500", "anyone\tlrs\t");
    remote = mboxlist_remote_new(f.list, "own");
    mboxlist_remote_full_begin(remote, true);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof(name), "user.u%04u", i);
        change.name = name;
        change.type = i % 100 == 3 ? MBOXLIST_CHANGE_RESERVE : MBOXLIST_CHANGE_MAILBOX;
        change.location = i == 7 ? "own!p" : "be1!p";
        CU_ASSERT_EQUAL(mboxlist_remote_add(remote, &change), 0);
    }
    CU_ASSERT_EQUAL(mboxlist_remote_full_end(remote), 0);
    mboxlist_remote_counters(remote, &counters);
    CU_ASSERT_EQUAL(counters.written, COUNT - 2);
    CU_ASSERT_EQUAL(counters.conflicts, 1);
    CU_ASSERT_EQUAL(mboxlist_count(f.list, &count), 0);
    CU_ASSERT_EQUAL(count, COUNT - 1);
    CU_ASSERT_EQUAL(mboxlist_lookup(f.list, "user.u0500", f.pool, &record), 0);
    CU_ASSERT_EQUAL(record.type, MBOXLIST_LOCAL);
    CU_ASSERT_STRING_EQUAL(record.acl, "anyone\tlrs\t");
    CU_ASSERT_EQUAL(mboxlist_lookup(f.list, "user.u0007", f.pool, &record), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(mboxlist_lookup(f.list, "user.u0103", f.pool, &record), 0);
    CU_ASSERT_EQUAL(record.type, MBOXLIST_RESERVED);
    CU_ASSERT_STRING_EQUAL(record.acl, "");
    CU_ASSERT_EQUAL(mboxlist_lookup(f.list, "user.u0999", f.pool, &record), 0);
    CU_ASSERT_STRING_EQUAL(record.server, "be1");
    CU_ASSERT_STRING_EQUAL(record.acl, change.acl);
    mboxlist_remote_free(&remote);
    fixture_close(&f);
}

static void collect_name(const char *name, void *context)
{
    buf_printf(context, "%s ", name);
}

static void test_observer(void)
{
    struct mboxlist_remote *remote;
    struct buf names = BUF_INIT;
    struct fixture f;

    fixture_open(&f);
    remote = mboxlist_remote_new(f.list, "own");
    mboxlist_remote_set_observer(remote, collect_name, &names);
    add(remote, 'M', "a", "be1!p", "");
    add(remote, 'M', "a", "be1!p", "");
    add(remote, 'D', "b", NULL, NULL);
    CU_ASSERT_EQUAL(names.len, 0);
    CU_ASSERT_EQUAL(mboxlist_remote_flush(remote), 0);
    mboxlist_remote_full_begin(remote, false);
    CU_ASSERT_EQUAL(mboxlist_remote_full_end(remote), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&names), "a a ");
    buf_free(&names);
    mboxlist_remote_free(&remote);
    fixture_close(&f);
}

static void test_position(void)
{
    struct mboxlist_remote *remote;
    uint64_t epoch, sequence;
    struct fixture f;

    fixture_open(&f);
    CU_ASSERT_EQUAL(mboxlist_remote_position(f.list, &epoch, &sequence), 0);
    CU_ASSERT(epoch == 0 && sequence == 0);
    remote = mboxlist_remote_new(f.list, "own");
    mboxlist_remote_set_position(remote, 5, UINT64_MAX);
    CU_ASSERT_EQUAL(mboxlist_remote_flush(remote), 0);
    CU_ASSERT_EQUAL(mboxlist_remote_position(f.list, &epoch, &sequence), 0);
    CU_ASSERT(epoch == 5 && sequence == UINT64_MAX);
    mboxlist_remote_free(&remote);
    fixture_close(&f);
}

/* Who dies before the last removal must not find the list at the position. */
static void check_position(const char *name, void *context)
{
    struct fixture *f = context;
    uint64_t epoch, sequence;

    CU_ASSERT_EQUAL(mboxlist_remote_position(f->list, &epoch, &sequence), 0);
    CU_ASSERT_EQUAL(epoch == 5, strcmp(name, "old") == 0);
}

static void test_position_after_removals(void)
{
    struct mboxlist_remote *remote;
    struct fixture f;

    fixture_open(&f);
    remote = mboxlist_remote_new(f.list, "own");
    add(remote, 'M', "old", "be1!p", "");
    CU_ASSERT_EQUAL(mboxlist_remote_flush(remote), 0);
    mboxlist_remote_set_observer(remote, check_position, &f);
    mboxlist_remote_full_begin(remote, false);
    add(remote, 'M', "new", "be1!p", "");
    mboxlist_remote_set_position(remote, 5, 1);
    CU_ASSERT_EQUAL(mboxlist_remote_full_end(remote), 0);
    CU_ASSERT_STRING_EQUAL(all(&f), "new");
    mboxlist_remote_free(&remote);
    fixture_close(&f);
}

static const struct unit_case cases[] = {
    {"changes", test_changes},
    {"the same", test_same_is_not_written},
    {"a full list", test_full},
    {"an ordered list", test_ordered},
    {"details", test_details},
    {"an ordered list that breaks", test_ordered_broken},
    {"a conflict forgets the position", test_conflict_forgets_position},
    {"many", test_many},
    {"ids of a first list", test_first_ids},
    {"a first list over local names", test_first_over_local},
    {"observer", test_observer},
    {"position", test_position},
    {"position after removals", test_position_after_removals},
    {NULL, NULL},
};

extern const struct unit_suite remote_suite;
const struct unit_suite remote_suite = {"remote", cases};
