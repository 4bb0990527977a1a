#include "mupdate/names.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cunit/unit.h"
#include "lib/base/clock.h"
#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/db/db.h"

static char dir[64];
static atomic_uint published;

static void on_published(void *context)
{
    (void)context;
    atomic_fetch_add(&published, 1);
}

static struct names *reopen(void)
{
    struct names *names;
    char *error;

    CU_ASSERT_EQUAL_FATAL(names_open(dir, 0, on_published, NULL, &names, &error), 0);
    return names;
}

static struct names *open_new(void)
{
    snprintf(dir, sizeof(dir), "/tmp/iatlas-names.XXXXXX");
    CU_ASSERT_FATAL(mkdtemp(dir) != NULL);
    published = 0;
    return reopen();
}

static void done(struct names **names)
{
    names_close(names);
    file_remove_tree(dir);
}

static int change(struct names *names, enum mupdate_verb verb, const char *name, const char *location,
                  const char *acl)
{
    struct names_txn *txn;
    int r, committed;

    CU_ASSERT_EQUAL_FATAL(names_begin(names, &txn), 0);
    r = names_apply(txn, verb, name, location, acl, NULL);
    committed = names_commit(&txn);
    CU_ASSERT_EQUAL(committed, 0);
    return r;
}

static void collect(const struct entry *entry, void *context)
{
    buf_printf(context, "%d:%s:%s ", entry->state, entry->name,
               entry->location == NULL ? "" : entry->location);
}

static const char *changes(struct names *names, uint64_t *after, unsigned most)
{
    static struct buf text;
    struct source *source = names_source(names);

    buf_reset(&text);
    CU_ASSERT_EQUAL(source->ops->changes(source, after, most, collect, &text), 0);
    return buf_cstr(&text);
}

static void test_apply(void)
{
    struct names *names = open_new();
    struct source *source = names_source(names);
    struct pool *pool = pool_new(0);
    struct entry entry;

    CU_ASSERT_EQUAL(change(names, MUPDATE_RESERVE, "a", "be1!p", NULL), NAMES_DONE);
    CU_ASSERT_EQUAL(change(names, MUPDATE_RESERVE, "a", "be2!p", NULL), NAMES_EXISTS);
    CU_ASSERT_EQUAL(change(names, MUPDATE_ACTIVATE, "a", "be2!p", "x\tl\t"), NAMES_DONE);
    CU_ASSERT_EQUAL(change(names, MUPDATE_ACTIVATE, "a", "be1!p", "x\tl\t"), NAMES_CONFLICT);
    CU_ASSERT_EQUAL(change(names, MUPDATE_ACTIVATE, "a", "be22!p", "x\tl\t"), NAMES_CONFLICT);
    CU_ASSERT_EQUAL(change(names, MUPDATE_ACTIVATE, "a", "be2!q", "y\tl\t"), NAMES_DONE);
    CU_ASSERT_EQUAL(source->ops->find(source, "a", pool, &entry), 0);
    CU_ASSERT_STRING_EQUAL(entry.location, "be2!q");
    CU_ASSERT_STRING_EQUAL(entry.acl, "y\tl\t");
    CU_ASSERT_EQUAL(change(names, MUPDATE_DELETE, "b", NULL, NULL), NAMES_NO_SUCH);
    CU_ASSERT_EQUAL(change(names, MUPDATE_DEACTIVATE, "b", "be1!p", NULL), NAMES_NO_SUCH);
    CU_ASSERT_EQUAL(change(names, MUPDATE_RESERVE, "..", "be1!p", NULL), NAMES_BAD);
    CU_ASSERT_EQUAL(change(names, MUPDATE_RESERVE, "b", "", NULL), NAMES_BAD);
    CU_ASSERT_EQUAL(source->ops->sequence(source), 3); /* refusals are no changes */
    CU_ASSERT_EQUAL(published, 3);
    names_close(&names);
    names = reopen();
    source = names_source(names);
    CU_ASSERT_EQUAL(source->ops->sequence(source), 3);
    CU_ASSERT_EQUAL(source->ops->find(source, "a", pool, &entry), 0);
    pool_free(&pool);
    done(&names);
}

static void test_changes(void)
{
    struct names *names = open_new();
    uint64_t after = 0;

    CU_ASSERT_STRING_EQUAL(changes(names, &after, 10), "");
    change(names, MUPDATE_RESERVE, "a", "be1!p", NULL);
    change(names, MUPDATE_ACTIVATE, "b", "be1!p", "");
    change(names, MUPDATE_DELETE, "a", NULL, NULL);
    CU_ASSERT_STRING_EQUAL(changes(names, &after, 2), "0:a: 2:b:be1!p "); /* the present state */
    CU_ASSERT_EQUAL(after, 2);
    CU_ASSERT_STRING_EQUAL(changes(names, &after, 2), "0:a: ");
    CU_ASSERT_STRING_EQUAL(changes(names, &after, 2), "");
    CU_ASSERT_EQUAL(after, 3);
    after = 100; /* of another epoch */
    CU_ASSERT_STRING_EQUAL(changes(names, &after, 2), "");
    done(&names);
}

/* What was aborted is not there, and its sequence is given again. */
static void test_abort(void)
{
    struct names *names = open_new();
    struct source *source = names_source(names);
    struct names_txn *txn;
    uint64_t after = 0;

    CU_ASSERT_EQUAL(names_begin(names, &txn), 0);
    CU_ASSERT_EQUAL(names_apply(txn, MUPDATE_RESERVE, "a", "be1!p", NULL, NULL), NAMES_DONE);
    names_abort(&txn);
    change(names, MUPDATE_RESERVE, "b", "be1!p", NULL);
    CU_ASSERT_EQUAL(source->ops->sequence(source), 1);
    CU_ASSERT_STRING_EQUAL(changes(names, &after, 10), "1:b:be1!p ");
    done(&names);
}

static void test_list(void)
{
    static const char *const wanted[] = {"a", "a.b", "a-b", "b"};
    struct names *names = open_new();
    struct source *source = names_source(names);

    for (size_t i = ARRAY_SIZE(wanted); i-- > 0;)
        change(names, MUPDATE_RESERVE, wanted[i], "be1!p", NULL);
    for (unsigned most = 1; most < 6; most++) {
        struct cursor *cursor = source->ops->list_begin(source);
        struct buf text = BUF_INIT;
        unsigned rounds = 0;
        int r;

        while ((r = source->ops->list_next(cursor, most, collect, &text)) > 0)
            rounds++;
        CU_ASSERT_EQUAL(r, 0);
        CU_ASSERT(rounds <= 4 / most);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&text), "1:a:be1!p 1:a.b:be1!p 1:a-b:be1!p 1:b:be1!p ");
        source->ops->list_end(&cursor);
        buf_free(&text);
    }
    done(&names);
}

enum { THREADS = 4, EACH = 25 };

static void *change_many(void *context)
{
    static atomic_uint number;
    char name[16];

    for (unsigned i = 0; i < EACH; i++) {
        snprintf(name, sizeof(name), "n%u", number++);
        CU_ASSERT_EQUAL(change(context, MUPDATE_RESERVE, name, "be1!p", NULL), NAMES_DONE);
    }
    return NULL;
}

/* Writers side by side: each change has its sequence, and what is published is complete. */
static void test_threads(void)
{
    struct names *names = open_new();
    struct source *source = names_source(names);
    pthread_t threads[THREADS];
    uint64_t after = 0;
    unsigned commas = 0;

    for (unsigned i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, change_many, names);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CU_ASSERT_EQUAL(source->ops->sequence(source), THREADS * EACH);
    for (const char *p = changes(names, &after, 1000); *p != '\0'; p++)
        commas += *p == ' ';
    CU_ASSERT_EQUAL(commas, THREADS * EACH);
    CU_ASSERT_EQUAL(after, THREADS * EACH);
    done(&names);
}

/* ---- what FIND found before ---- */

static const char *found(struct names *names, const char *name)
{
    struct source *source = names_source(names);
    static _Thread_local char text[64];
    struct pool *pool = pool_new(0);
    struct entry entry;
    int r = source->ops->find(source, name, pool, &entry);

    if (r == 0)
        snprintf(text, sizeof(text), "%d:%s:%s", entry.state, entry.location, entry.acl);
    else
        snprintf(text, sizeof(text), "%s", r == ERR_NOTFOUND ? "none" : error_text(r));
    pool_free(&pool);
    return text;
}

/* Each state is told of as soon as it is one, however often the one before was. */
static void test_found(void)
{
    static const struct {
        enum mupdate_verb verb;
        const char *location, *acl, *wanted;
    } rows[] = {
        {MUPDATE_RESERVE, "be1!p", NULL, "1:be1!p:"},
        {MUPDATE_ACTIVATE, "be1!p", "x\tl\t", "2:be1!p:x\tl\t"},
        {MUPDATE_ACTIVATE, "be1!q", "y\tl\t", "2:be1!q:y\tl\t"},
        {MUPDATE_DEACTIVATE, "be1!q", NULL, "1:be1!q:"},
        {MUPDATE_DELETE, NULL, NULL, "none"},
        {MUPDATE_RESERVE, "be2!p", NULL, "1:be2!p:"},
    };
    struct names *names = open_new();
    struct names_txn *txn;

    CU_ASSERT_STRING_EQUAL(found(names, "a"), "none");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        CU_ASSERT_EQUAL(change(names, rows[i].verb, "a", rows[i].location, rows[i].acl), NAMES_DONE);
        for (int times = 0; times < 3; times++)
            CU_ASSERT_STRING_EQUAL(found(names, "a"), rows[i].wanted);
    }
    CU_ASSERT_EQUAL(names_begin(names, &txn), 0);
    CU_ASSERT_EQUAL(names_apply(txn, MUPDATE_DELETE, "a", NULL, NULL, NULL), NAMES_DONE);
    names_abort(&txn);
    CU_ASSERT_STRING_EQUAL(found(names, "a"), "1:be2!p:");
    done(&names);
}

enum { FINDERS = 3, STATES = 40 };

static atomic_uint state; /* the last whose commit has returned */

/* Nobody is told of a state before one that he, or anybody, knew already. */
static void *find_often(void *names)
{
    unsigned known = 0, number = 0;

    while (known < STATES) {
        if (atomic_load(&state) > known)
            known = atomic_load(&state);
        CU_ASSERT_EQUAL_FATAL(sscanf(found(names, "a"), "2:be1!p:x\t%u", &number), 1);
        CU_ASSERT_FATAL(number >= known);
        known = number;
    }
    return NULL;
}

static void test_found_in_order(void)
{
    struct names *names = open_new();
    pthread_t threads[FINDERS];
    char acl[16];

    atomic_store(&state, 0);
    change(names, MUPDATE_ACTIVATE, "a", "be1!p", "x\t0\t");
    for (unsigned i = 0; i < FINDERS; i++)
        pthread_create(&threads[i], NULL, find_often, names);
    for (unsigned i = 1; i <= STATES; i++) {
        snprintf(acl, sizeof(acl), "x\t%u\t", i);
        CU_ASSERT_EQUAL(change(names, MUPDATE_ACTIVATE, "a", "be1!p", acl), NAMES_DONE);
        atomic_store(&state, i);
    }
    for (unsigned i = 0; i < FINDERS; i++)
        pthread_join(threads[i], NULL);
    done(&names);
}

/* ---- a disk that takes its time ---- */

static atomic_bool is_slow, is_syncing;

/* In place of the C library's, for libdb too. */
int fdatasync(int fd)
{
    if (is_slow) {
        is_syncing = true;
        while (is_slow)
            usleep(1000);
    }
    return (int)syscall(SYS_fdatasync, fd);
}

struct asker {
    struct names *names;
    const char *name;
    bool reserves;
    atomic_bool answered;
    bool too_early;
};

static void *ask(void *context)
{
    struct asker *asker = context;
    struct source *source = names_source(asker->names);
    struct pool *pool = pool_new(0);
    struct entry entry;

    if (asker->reserves)
        CU_ASSERT_EQUAL(change(asker->names, MUPDATE_RESERVE, asker->name, "be2!p", NULL), NAMES_EXISTS)
    else
        source->ops->find(source, asker->name, pool, &entry);
    asker->too_early = is_slow;
    asker->answered = true;
    pool_free(&pool);
    return NULL;
}

static void *reserve(void *names)
{
    CU_ASSERT_EQUAL(change(names, MUPDATE_RESERVE, "new", "be1!p", NULL), NAMES_DONE);
    CU_ASSERT_EQUAL(change(names, MUPDATE_DELETE, "old", NULL, NULL), NAMES_DONE);
    return NULL;
}

/* Nobody is told of what a crash would undo: a name, that one is gone, a refusal.  Other names are told of at once. */
static void test_lasting(void)
{
    struct names *names = open_new();
    struct asker rows[] = {
        {.name = "new"}, {.name = "new", .reserves = true}, {.name = "none"}, {.name = "other"}};
    int64_t deadline;

    CU_ASSERT_EQUAL(change(names, MUPDATE_RESERVE, "other", "be1!p", NULL), NAMES_DONE);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        pthread_t writer, asker;

        change(names, MUPDATE_DELETE, "new", NULL, NULL);
        change(names, MUPDATE_RESERVE, "old", "be1!p", NULL);
        rows[i].names = names;
        is_syncing = false;
        is_slow = true;
        pthread_create(&writer, NULL, reserve, names);
        while (!is_syncing)
            usleep(1000);
        pthread_create(&asker, NULL, ask, &rows[i]);
        deadline = clock_ms() + (i == ARRAY_SIZE(rows) - 1 ? 10000 : 100);
        while (!rows[i].answered && clock_ms() < deadline)
            usleep(1000);
        is_slow = false;
        pthread_join(writer, NULL);
        pthread_join(asker, NULL);
        CU_ASSERT_EQUAL(rows[i].too_early, i == ARRAY_SIZE(rows) - 1);
    }
    done(&names);
}

static void test_details(void)
{
    static const struct {
        struct mupdate_details details;
        int result;
    } rows[] = {
        {{"id", "e", "fred\t\\Sent\t"}, NAMES_DONE},
        {{"id", NULL, NULL}, NAMES_DONE},
        {{NULL, NULL, "x"}, NAMES_DONE},
        {{NULL, NULL, NULL}, NAMES_DONE},
        {{"0123456789012345678901234567890123456789012345678901234567890123", "12345678", ""}, NAMES_DONE},
        {{"01234567890123456789012345678901234567890123456789012345678901234", "", ""}, NAMES_BAD},
        {{"", "123456789", ""}, NAMES_BAD},
    };
    struct names *names = open_new();
    struct source *source = names_source(names);
    struct pool *pool = pool_new(0);
    struct entry entry;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct mupdate_details *d = &rows[i].details;
        struct names_txn *txn;

        CU_ASSERT_EQUAL(names_begin(names, &txn), 0);
        CU_ASSERT_EQUAL(names_apply(txn, MUPDATE_ACTIVATE, "a", "be1!p", "", d), rows[i].result);
        CU_ASSERT_EQUAL(names_commit(&txn), 0);
        CU_ASSERT_EQUAL(source->ops->find(source, "a", pool, &entry), 0);
        if (rows[i].result != NAMES_DONE)
            continue;
        CU_ASSERT_STRING_EQUAL(entry.details.id, d->id != NULL ? d->id : "");
        CU_ASSERT_STRING_EQUAL(entry.details.type, d->type != NULL ? d->type : "");
        CU_ASSERT_STRING_EQUAL(entry.details.special_use, d->special_use != NULL ? d->special_use : "");
    }
    pool_free(&pool);
    done(&names);
}

/* Appends "key value\n" in hexadecimal. */
static int show(const struct db_value *key, const struct db_value *value, void *context)
{
    char hex[512];

    str_hex(hex, key->data, key->len);
    buf_printf(context, "%s ", hex);
    str_hex(hex, value->data, value->len);
    buf_printf(context, "%s\n", hex);
    return 0;
}

/* The rows of version 1, as doc/formats/mupdate.md shows them: they never change. */
static void test_golden(void)
{
    static const char *const tables[] = {"names", "log", "meta", NULL};
    static const char *const golden =
        "757365721f611f62 010100000000000001000000000000000000000000000000000000000000000"
        "00b0000006265312164656661756c7400000000\n"
        "757365721f63 0102000000000000020000000000000000000000000000000000000000000000030"
        "000006265320600000063096c727309\n"
        "0000000000000001 757365721f611f62\n"
        "0000000000000002 757365721f63\n"
        "73657175656e6365 0200000000000000\n";
    struct names *names = open_new();
    char *path = xstrprintf("%s/mupdate", dir), *error = NULL;
    struct buf rows = BUF_INIT;
    struct db_env *env;
    struct db_txn *txn;

    CU_ASSERT_EQUAL(change(names, MUPDATE_RESERVE, "user.a.b", "be1!default", NULL), NAMES_DONE);
    CU_ASSERT_EQUAL(change(names, MUPDATE_ACTIVATE, "user.c", "be2", "c\tlrs\t"), NAMES_DONE);
    names_close(&names);
    CU_ASSERT_EQUAL_FATAL(db_open(DB_BERKELEY, path, 0, 1, tables, &env, &error), 0);
    CU_ASSERT_EQUAL_FATAL(db_begin(env, true, &txn), 0);
    for (unsigned i = 0; i < 2; i++)
        CU_ASSERT_EQUAL(db_scan(txn, db_table(env, tables[i]), NULL, 0, NULL, 0, show, &rows), 0);
    CU_ASSERT_EQUAL(db_delete(txn, db_table(env, "meta"), "epoch", 5), 0); /* random */
    CU_ASSERT_EQUAL(db_scan(txn, db_table(env, "meta"), NULL, 0, NULL, 0, show, &rows), 0);
    db_abort(&txn);
    db_close(&env);
    if (strcmp(buf_cstr(&rows), golden) != 0)
        printf("\n%s", buf_cstr(&rows));
    CU_ASSERT_STRING_EQUAL(buf_cstr(&rows), golden);
    buf_free(&rows);
    free(path);
    done(&names);
}

static const struct unit_case cases[] = {
    {"changing", test_apply},
    {"the log", test_changes},
    {"abort", test_abort},
    {"list", test_list},
    {"threads", test_threads},
    {"lasting", test_lasting},
    {"golden", test_golden},
    {"details", test_details},
    {"found", test_found},
    {"found in order", test_found_in_order},
    {NULL, NULL},
};

extern const struct unit_suite names_suite;
const struct unit_suite names_suite = {"names", cases};
