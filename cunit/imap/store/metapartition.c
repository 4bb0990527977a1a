/* metapartitions: where index, cache and annotations are, and how they get there */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cunit/imap/store/fixture.h"
#include "cunit/unit.h"
#include "imap/store/annotate.h"
#include "imap/store/mailbox-private.h"
#include "imap/store/recover.h"
#include "imap/store/relocate.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

enum { MESSAGES = 5 };

static struct fixture f;

/* ---- ways to configure it ---- */

static const char *shared(const char *name)
{
    return fixture_metapartition(name) != NULL ? fixture_metapartition("one") : NULL;
}

static const char *only_one(const char *name)
{
    return strcmp(name, "one") == 0 ? fixture_metapartition(name) : NULL;
}

static const char *only_two(const char *name)
{
    return strcmp(name, "two") == 0 ? fixture_metapartition(name) : NULL;
}

/* The partition itself, by another path. */
static const char *itself(const char *name)
{
    static char path[600];

    snprintf(path, sizeof(path), "%s/../%s", f.options.partition("one"), name);
    return path;
}

static void configure(const char *(*metapartition)(const char *name), bool apart)
{
    f.options.metapartition = metapartition;
    f.options.metadata_apart = apart;
    fixture_reopen(&f);
}

/* ---- looking ---- */

static bool has(const char *root, const char *file)
{
    struct buf path = BUF_INIT;
    bool is;

    CU_ASSERT_EQUAL(mailbox_dir_under(root, FIXTURE_ID, &path), 0);
    buf_printf(&path, "/%s", file);
    is = access(buf_cstr(&path), F_OK) == 0;
    buf_free(&path);
    return is;
}

static bool beside(const char *file)
{
    return has(f.options.partition("one"), file);
}

static bool apart(const char *file)
{
    return has(fixture_metapartition("one"), file);
}

/* With annotations on the first message. */
static struct mailbox *filled(void)
{
    const struct annotate_change change = {"", "/comment", "mine", 4};
    const struct annotate_changes changes = {.changes = &change, .count = 1};
    struct mailbox *m = fixture_mailbox(&f, FIXTURE_ID);
    struct uid_set uids = UID_SET_INIT;
    struct flag_result result;
    struct view *view;

    CU_ASSERT_EQUAL(fixture_append(m, 0, MESSAGES, 0), 1);
    view = fixture_view(&f, FIXTURE_ID);
    uid_set_add(&uids, 1, 1);
    CU_ASSERT_EQUAL(annotate_store(view, &uids, &changes, &result), 0);
    CU_ASSERT_EQUAL(fixture_store(view, 2, FLAGS_ADD, RECORD_FLAGGED, "kw"), 0);
    uid_set_free(&result.modified);
    uid_set_free(&uids);
    view_close(&view);
    return m;
}

static void expect_whole(struct mailbox *m, uint32_t count)
{
    struct mailbox_record record;
    struct annotate_items items;
    struct pool *pool = pool_new(0);
    struct buf entry = BUF_INIT;

    CU_ASSERT_EQUAL(mailbox_refresh(m), 0);
    CU_ASSERT_EQUAL(mailbox_header(m)->uidvalidity, 1000);
    CU_ASSERT_EQUAL(mailbox_header(m)->exists, count);
    CU_ASSERT_EQUAL(mailbox_header(m)->flagged, 1);
    CU_ASSERT_EQUAL(mailbox_flag_number(m, "kw"), 0);
    for (uint32_t i = 0; i < count; i++) {
        CU_ASSERT_EQUAL_FATAL(mailbox_read_records(m, i, 1, &record), 0);
        CU_ASSERT_TRUE(fixture_has_text(m, i, &record, i));
        CU_ASSERT_EQUAL(cache_read(m, &record, &entry), 0);
        buf_reset(&entry);
        CU_ASSERT_EQUAL(annotate_read(m, &record, pool, &items), 0);
        CU_ASSERT_EQUAL(items.count, i == 0);
        CU_ASSERT(i > 0 || strcmp(items.items[0].value, "mine") == 0);
    }
    buf_free(&entry);
    pool_free(&pool);
}

static void expect_at(const char *partition, uint32_t count)
{
    struct mailbox *m;

    CU_ASSERT_EQUAL_FATAL(mailbox_open(f.store, partition, FIXTURE_ID, &m), 0);
    expect_whole(m, count);
    mailbox_close(&m);
}

static struct mailbox_findings findings(void)
{
    struct mailbox_findings found;

    CU_ASSERT_EQUAL(mailbox_check(f.store, "one", FIXTURE_ID, CHECK_CONTENTS, false, &found), 0);
    return found;
}

static int reconstruct(void)
{
    struct reconstruct_report report;
    int r = mailbox_reconstruct(f.store, "one", FIXTURE_ID, 2000, &report);

    CU_ASSERT(r < 0 || (report.messages == MESSAGES && report.missing == 0));
    return r;
}

/* ---- the cases ---- */

static void test_places(void)
{
    struct store_counters before, after;
    struct mailbox_create again = {.partition = "one", .id = FIXTURE_ID, .uidvalidity = 5};
    struct buf path = BUF_INIT;
    struct mailbox *m;

    fixture_begin(&f);
    configure(fixture_metapartition, true);
    store_counters(f.store, &before);
    m = filled();
    CU_ASSERT(apart("index") && apart("cache.1") && apart("annotations.1") && !apart("1."));
    CU_ASSERT(!beside("index") && !beside("cache.1") && !beside("annotations.1") && beside("1."));
    store_counters(f.store, &after);
    CU_ASSERT_EQUAL(after.dir_syncs - before.dir_syncs, 8); /* each directory and the three above it */
    mailbox_index_path(m, &path);
    CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&path), fixture_metapartition("one")));
    buf_reset(&path);
    CU_ASSERT_EQUAL(mailbox_metadata_dir(f.store, "one", FIXTURE_ID, &path), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&path), m->apart_dir);
    CU_ASSERT_EQUAL(mailbox_create(f.store, &again, NULL), ERR_EXISTS);
    configure(fixture_metapartition, false);
    CU_ASSERT_EQUAL(mailbox_create(f.store, &again, NULL), ERR_EXISTS); /* where another would be, too */
    mailbox_close(&m);
    expect_at("one", MESSAGES);
    CU_ASSERT_EQUAL(mailbox_delete(f.store, "one", FIXTURE_ID), 0);
    CU_ASSERT(!apart("") && !beside(""));
    buf_free(&path);
    fixture_end(&f);
}

/* The option comes and goes: mailboxes work where they are until they are rebuilt, and open handles go along. */
static void test_move(void)
{
    struct mailbox *m, *open;
    struct view *view;

    fixture_begin(&f);
    configure(NULL, false);
    m = filled();
    mailbox_close(&m);
    for (int round = 0; round < 2; round++) {
        configure(fixture_metapartition, true);
        expect_at("one", MESSAGES);
        CU_ASSERT_TRUE(findings().misplaced);
        CU_ASSERT_EQUAL(mailbox_open(f.store, "one", FIXTURE_ID, &open), 0);
        view = fixture_view(&f, FIXTURE_ID);
        expect_whole(open, MESSAGES);
        CU_ASSERT_EQUAL(reconstruct(), 0);
        CU_ASSERT(apart("index") && !beside("index") && beside("1."));
        CU_ASSERT(!beside("cache.1") && !beside("annotations.1"));
        expect_whole(open, MESSAGES);
        CU_ASSERT_EQUAL(fixture_store(view, 2, FLAGS_REMOVE, 0, "kw"), 0);
        CU_ASSERT_EQUAL(fixture_store(view, 2, FLAGS_ADD, 0, "kw"), 0);
        CU_ASSERT_FALSE(findings().misplaced);
        CU_ASSERT_EQUAL(reconstruct(), 0); /* again, in its place */
        expect_whole(open, MESSAGES);
        mailbox_close(&open);
        view_close(&view);
        configure(fixture_metapartition, false);
        CU_ASSERT_TRUE(findings().misplaced);
        CU_ASSERT_EQUAL(mailbox_open(f.store, "one", FIXTURE_ID, &open), 0);
        CU_ASSERT_EQUAL(reconstruct(), 0);
        CU_ASSERT(!apart("") && beside("index"));
        expect_whole(open, MESSAGES);
        mailbox_close(&open);
        configure(NULL, false);
        expect_at("one", MESSAGES);
    }
    fixture_end(&f);
}

/* An index on the metapartition that one beside the messages hides stays hidden, whatever becomes of that. */
static void test_hidden(void)
{
    struct relocation *r;
    struct mailbox *m;

    for (int what = 0; what < 3; what++) {
        fixture_begin(&f);
        configure(fixture_metapartition, true);
        m = filled();
        mailbox_close(&m);
        configure(NULL, false); /* taken away, and made anew without it */
        CU_ASSERT_EQUAL(mailbox_open(f.store, "one", FIXTURE_ID, &m), ERR_NOTFOUND);
        CU_ASSERT_EQUAL(reconstruct(), 0);
        CU_ASSERT_EQUAL(mailbox_open(f.store, "one", FIXTURE_ID, &m), 0);
        CU_ASSERT(fixture_append(m, MESSAGES, 1, 0) > RECOVER_SKIP);
        mailbox_close(&m);
        configure(fixture_metapartition, true);
        CU_ASSERT(apart("index") && beside("index"));
        CU_ASSERT_EQUAL(mailbox_open(f.store, "one", FIXTURE_ID, &m), 0);
        CU_ASSERT_EQUAL(mailbox_header(m)->uidvalidity, 2000);
        CU_ASSERT_EQUAL(mailbox_header(m)->exists, MESSAGES + 1);
        if (what == 0) {
            struct reconstruct_report report;

            CU_ASSERT_EQUAL(mailbox_reconstruct(f.store, "one", FIXTURE_ID, 3000, &report), 0);
            CU_ASSERT_FALSE(beside("index"));
            CU_ASSERT_EQUAL(mailbox_refresh(m), 0);
            CU_ASSERT_EQUAL(mailbox_header(m)->uidvalidity, 2000);
            CU_ASSERT_EQUAL(mailbox_header(m)->exists, MESSAGES + 1);
        } else if (what == 1) {
            CU_ASSERT_EQUAL(mailbox_unlink_index(m), 0);
            CU_ASSERT_EQUAL(mailbox_refresh(m), ERR_NOTFOUND);
        } else {
            CU_ASSERT_EQUAL(relocate_begin(f.store, FIXTURE_ID, "one", "two", &r), 0);
            CU_ASSERT_EQUAL(relocate_copy(r), 0);
            CU_ASSERT_EQUAL(relocate_close(r), 0);
            CU_ASSERT(!apart("index") && !beside("index"));
            relocate_abort(&r);
            CU_ASSERT_EQUAL(mailbox_refresh(m), 0);
            CU_ASSERT_EQUAL(mailbox_header(m)->exists, MESSAGES + 1);
        }
        mailbox_close(&m);
        fixture_end(&f);
    }
}

static void remove_file(const char *root, const char *file)
{
    struct buf path = BUF_INIT;

    CU_ASSERT_EQUAL(mailbox_dir_under(root, FIXTURE_ID, &path), 0);
    buf_printf(&path, "/%s", file);
    CU_ASSERT_EQUAL(unlink(buf_cstr(&path)), 0);
    buf_free(&path);
}

static void test_lost_index(void)
{
    struct mailbox_record record;
    struct annotate_items items;
    struct mailbox *m;
    struct pool *pool = pool_new(0);
    char *root, *away;

    for (int was_apart = 0; was_apart < 2; was_apart++) {
        fixture_begin(&f);
        configure(fixture_metapartition, was_apart);
        m = filled();
        mailbox_close(&m);
        remove_file((was_apart ? fixture_metapartition : f.options.partition)("one"), "index");
        configure(fixture_metapartition, true);
        CU_ASSERT_TRUE(findings().no_header);
        CU_ASSERT_EQUAL(reconstruct(), 0);
        CU_ASSERT(apart("index") && !beside("index"));
        CU_ASSERT_EQUAL_FATAL(mailbox_open(f.store, "one", FIXTURE_ID, &m), 0);
        CU_ASSERT_EQUAL(mailbox_header(m)->uidvalidity, 2000);
        CU_ASSERT_EQUAL(mailbox_read_records(m, 0, 1, &record), 0);
        CU_ASSERT_EQUAL(annotate_read(m, &record, pool, &items), 0);
        CU_ASSERT_EQUAL(items.count, 1); /* found where they were */
        mailbox_close(&m);
        fixture_end(&f);
    }
    /* no messages' directory */
    fixture_begin(&f);
    configure(fixture_metapartition, true);
    m = fixture_mailbox(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(file_remove_tree(m->dir), 0);
    mailbox_close(&m);
    CU_ASSERT_TRUE(findings().no_directory);
    fixture_end(&f);
    /* a metapartition that is not there now must not get a rival beside the messages */
    fixture_begin(&f);
    configure(fixture_metapartition, true);
    m = filled();
    mailbox_close(&m);
    root = xstrprintf("%s/fast", f.dir);
    away = xstrprintf("%s/away", f.dir);
    CU_ASSERT(rename(root, away) == 0 && file_replace(root, "", 0, 0600) == 0);
    CU_ASSERT(mailbox_open(f.store, "one", FIXTURE_ID, &m) < 0);
    CU_ASSERT(reconstruct() < 0);
    CU_ASSERT_FALSE(beside("index"));
    CU_ASSERT(unlink(root) == 0 && rename(away, root) == 0);
    free(root);
    free(away);
    expect_at("one", MESSAGES);
    fixture_end(&f);
    pool_free(&pool);
}

/* Both options name one directory. */
static void test_same(void)
{
    struct mailbox *m;

    fixture_begin(&f);
    configure(NULL, false);
    m = filled();
    mailbox_close(&m);
    for (int apart = 0; apart < 2; apart++) {
        configure(itself, apart);
        CU_ASSERT_FALSE(findings().misplaced);
        CU_ASSERT_EQUAL(reconstruct(), 0);
        expect_at("one", MESSAGES);
    }
    CU_ASSERT_EQUAL(mailbox_delete(f.store, "one", FIXTURE_ID), 0);
    m = filled();
    CU_ASSERT_EQUAL(reconstruct(), 0);
    expect_whole(m, MESSAGES);
    mailbox_close(&m);
    fixture_end(&f);
}

/* ---- between partitions ---- */

struct way {
    const char *(*before)(const char *name); /* when it was made */
    const char *(*now)(const char *name);
};

static void die_in(int stage)
{
    struct relocation *r;

    fixture_reopen(&f);
    BUG_ON(relocate_begin(f.store, FIXTURE_ID, "one", "two", &r) != 0);
    while (stage > 0 && relocate_copy(r) == 1)
        ;
    if (stage > 1)
        BUG_ON(relocate_close(r) != 0);
    _exit(0);
}

/* Stages 0 to 2: killed; 3: also, behind the commit; 4: given up; 5: done. */
static void relocate(const struct way *way, int stage)
{
    bool there = stage == 3 || stage == 5;
    struct relocation *r;
    struct mailbox *m;
    int status = 0;
    pid_t pid;

    fixture_begin(&f);
    configure(way->before, way->before != NULL);
    m = filled();
    mailbox_close(&m);
    configure(way->now, true);
    if (stage < 4) {
        pid = fork();
        if (pid == 0)
            die_in(stage);
        CU_ASSERT(waitpid(pid, &status, 0) == pid && status == 0);
        for (int i = 0; i < 2; i++)
            CU_ASSERT_EQUAL(
                relocate_recover(f.store, FIXTURE_ID, there ? "two" : "one", there ? "one" : "two"), 0);
    } else {
        CU_ASSERT_EQUAL(relocate_begin(f.store, FIXTURE_ID, "one", "two", &r), 0);
        CU_ASSERT_EQUAL(relocate_copy(r), 0);
        CU_ASSERT_EQUAL(relocate_close(r), 0);
        CU_ASSERT_EQUAL(mailbox_open(f.store, "one", FIXTURE_ID, &m), ERR_NOTFOUND);
        (there ? relocate_finish : relocate_abort)(&r);
    }
    expect_at(there ? "two" : "one", MESSAGES);
    if (there || way->now != shared) /* where two would have its index is that of one */
        CU_ASSERT_EQUAL(mailbox_open(f.store, there ? "one" : "two", FIXTURE_ID, &m), ERR_NOTFOUND);
    CU_ASSERT_FALSE(has(f.options.partition(there ? "one" : "two"), ""));
    if (there && way->now == fixture_metapartition)
        CU_ASSERT(!apart("") && has(fixture_metapartition("two"), "index"));
    CU_ASSERT(there || !has(fixture_metapartition("two"), ""));
    fixture_end(&f);
}

static void test_relocate(void)
{
    static const struct way ways[] = {
        {fixture_metapartition, fixture_metapartition},
        {NULL, fixture_metapartition},
        {shared, shared},
        {NULL, shared},
        {only_one, only_one},
        {NULL, only_two},
        {itself, itself},
    };

    for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
        for (int stage = 0; stage < 6; stage++)
            relocate(&ways[i], stage);
}

static const char *other_partition(const char *name)
{
    return f.options.partition(strcmp(name, "one") == 0 ? "two" : "one");
}

/* A metapartition that is the other partition. */
static void test_crossed(void)
{
    struct relocation *r;
    struct mailbox *m;

    fixture_begin(&f);
    configure(other_partition, true);
    m = filled();
    mailbox_close(&m);
    CU_ASSERT_EQUAL(relocate_begin(f.store, FIXTURE_ID, "one", "two", &r), ERR_INVALID);
    CU_ASSERT_EQUAL(relocate_recover(f.store, FIXTURE_ID, "one", "two"), 0);
    expect_at("one", MESSAGES);
    fixture_end(&f);
}

static const struct unit_case cases[] = {
    {"places", test_places},         {"move", test_move}, {"hidden", test_hidden},
    {"lost index", test_lost_index}, {"same", test_same}, {"relocate", test_relocate},
    {"crossed", test_crossed},       {NULL, NULL},
};

extern const struct unit_suite metapartition_suite;
const struct unit_suite metapartition_suite = {"metapartition", cases};
