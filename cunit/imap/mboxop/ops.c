#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cunit/imap/mboxop/fake.h"
#include "cunit/imap/mboxop/node.h"
#include "cunit/unit.h"
#include "imap/mboxop/op-private.h"
#include "imap/mboxop/push.h"
#include "imap/store/mailbox.h"
#include "imap/store/record.h"
#include "imap/store/seen.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/mboxlist/quota.h"
#include "lib/mboxlist/subs.h"
#include "lib/name/scriptdir.h"

static struct node node;

static void begin(bool murder, const char *const *names)
{
    node_wipe();
    fake_reset();
    node_open(&node, murder);
    for (; *names != NULL; names++)
        CU_ASSERT_EQUAL_FATAL(node_create(&node, *names), 0);
}

static void expect_names(const char *names)
{
    struct buf b = BUF_INIT;

    node_names(&node, &b);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), names);
    buf_free(&b);
}

static void finish(void)
{
    struct buf wrong = BUF_INIT;

    node_check(&node, &wrong);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&wrong), "");
    buf_free(&wrong);
    node_close(&node);
}

static const char *const some[] = {"user.fred", "user.fred.a", "user.fred.a.b", "user.bob", NULL};

static void expect_acl(const char *name, const char *acl)
{
    struct buf b = BUF_INIT;

    node_acl(&node, name, &b);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), acl);
    buf_free(&b);
}

static void test_create(void)
{
    static const struct {
        const char *name, *partition, *id;
        int result;
    } rows[] = {
        {"archive", NULL, NULL, 0},
        {"archive.x", "default", "abcdefgh-1", 0},
        {"archive.y", NULL, "abcdefgh-1", 0}, /* taken: a fresh one */
        {"archive.z", NULL, "../../etc", 0},
        {"archive", NULL, NULL, ERR_EXISTS},
        {"a..b", NULL, NULL, ERR_BADNAME},
        {"user", NULL, NULL, ERR_BADNAME},
        {"DELETED.x", NULL, NULL, ERR_BADNAME},
        {"archive.w", "nonesuch", NULL, ERR_INVALID},
    };
    struct buf id = BUF_INIT;

    begin(false, some);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        CU_ASSERT_EQUAL(
            node_run(mboxop_create(&node.env, rows[i].name, rows[i].partition, NULL, rows[i].id, 0, NULL)),
            rows[i].result);
    node_id(&node, "archive.x", &id);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&id), "abcdefgh-1");
    node_id(&node, "archive.y", &id);
    CU_ASSERT(id.len > 8 && strcmp(buf_cstr(&id), "abcdefgh-1") != 0);
    expect_acl("archive.x", "anyone\tlrs\t");
    expect_acl("user.fred.a", "fred\tlrswipkxtecdan\t");
    buf_free(&id);
    finish();
}

static void test_create_wishes(void)
{
    struct pool *pool = pool_new(0);
    struct mboxlist_record record;
    struct mboxop *op;

    begin(true, some);
    op = mboxop_create(&node.env, "user.fred.s", NULL, "bob\tlr\t", NULL, 4242, "\\Sent");
    while (mboxop_step(op) != MBOXOP_DONE)
        ;
    CU_ASSERT_EQUAL(mboxop_result(op), 0);
    CU_ASSERT_STRING_EQUAL(mboxop_text(op), "Completed");
    CU_ASSERT_EQUAL(mboxlist_lookup(node.env.list, "user.fred.s", pool, &record), 0);
    CU_ASSERT_STRING_EQUAL(mboxop_uniqueid(op), record.id);
    CU_ASSERT_STRING_EQUAL(record.acl, "bob\tlr\t");
    CU_ASSERT_EQUAL(record.uidvalidity, 4242);
    CU_ASSERT_STRING_EQUAL(mboxlist_special_use(&record, "fred", pool), "\\Sent");
    CU_ASSERT_STRING_EQUAL(fake_details("user.fred.s"), pool_printf(pool, "%s e fred\t\\Sent\t", record.id));
    mboxop_free(&op);
    pool_free(&pool);
    finish();
}

static void test_conflict(void)
{
    struct buf text = BUF_INIT;
    struct mboxop *op;

    begin(true, some);
    fake_put("user.zoe", MUPDATE_ACTIVE, "be2!default", "zoe\tlrs\t");
    op = mboxop_create(&node.env, "user.zoe", NULL, NULL, NULL, 0, NULL);
    CU_ASSERT_EQUAL(mboxop_run(&op, &text), ERR_CONFLICT);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&text),
                           "Mailbox already exists on another server (mailbox already exists)");
    /* one of a tree's new names is elsewhere: none is taken */
    fake_put("user.bob.x.b", MUPDATE_ACTIVE, "be2!default", "");
    CU_ASSERT_EQUAL(node_run(mboxop_rename(&node.env, "user.fred.a", "user.bob.x", NULL, 0)), ERR_CONFLICT);
    CU_ASSERT_EQUAL(fake_state("user.bob.x"), MUPDATE_ABSENT);
    CU_ASSERT_EQUAL(fake_state("user.bob.x.b"), MUPDATE_ACTIVE);
    fake_put("user.zoe", MUPDATE_ABSENT, "", "");
    fake_put("user.bob.x.b", MUPDATE_ABSENT, "", "");
    expect_names("user.bob+ user.fred+ user.fred.a+ user.fred.a.b+");
    buf_free(&text);
    finish();
}

static struct mboxop *make(unsigned i)
{
    switch (i) {
    case 0:
        return mboxop_create(&node.env, "user.fred.n", NULL, NULL, NULL, 0, NULL);
    case 1:
        return mboxop_delete(&node.env, "user.fred.a", 0);
    case 2:
        return mboxop_delete(&node.env, "user.fred.a", MBOXOP_DELETE_NOW);
    case 3:
        return mboxop_rename(&node.env, "user.fred.a", "user.fred.c", NULL, 0);
    case 4:
        return mboxop_setacl(&node.env, "user.fred.a", "bob", ACL_REPLACE, ACL_READ);
    default:
        return NULL;
    }
}

/* No master: refused with the reason, nothing changed. */
static void test_away(void)
{
    struct buf text = BUF_INIT;
    struct mboxop *op;

    begin(true, some);
    fake_set_up(false);
    op = make(0);
    CU_ASSERT_EQUAL(mboxop_run(&op, &text), ERR_UNAVAILABLE);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&text),
                           "The MUPDATE server cannot be reached: nothing was changed (no connection)");
    CU_ASSERT_EQUAL(mboxop_recover(&node.env, NULL), ERR_UNAVAILABLE);
    expect_names("user.bob+ user.fred+ user.fred.a+ user.fred.a.b+");
    buf_free(&text);
    finish();
}

/* The master goes away in the middle: what was refused is undone once it is back, what was done is told
 * then. */
static void test_lost(void)
{
    for (unsigned i = 0; i < 5; i++)
        for (int requests = 0; requests < 8; requests++) {
            struct buf before = BUF_INIT, after = BUF_INIT;
            struct mboxop *op;
            int r;

            begin(true, some);
            node_names(&node, &before);
            fake_fail_after(requests);
            op = make(i);
            r = mboxop_run(&op, NULL);
            CU_ASSERT(r == 0 || r == ERR_UNAVAILABLE);
            CU_ASSERT(requests > 0 || r == ERR_UNAVAILABLE);
            fake_fail_after(-1);
            fake_set_up(true);
            CU_ASSERT_EQUAL(mboxop_recover(&node.env, NULL), 0);
            node_names(&node, &after);
            if (r != 0)
                CU_ASSERT_STRING_EQUAL(buf_cstr(&after), buf_cstr(&before));
            if (r == 0 && i != 4)
                CU_ASSERT_STRING_NOT_EQUAL(buf_cstr(&after), buf_cstr(&before));
            buf_free(&before);
            buf_free(&after);
            finish();
        }
}

static void test_delete(void)
{
    begin(true, some);
    CU_ASSERT_EQUAL(node_run(mboxop_delete(&node.env, "user.fred.x", 0)), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(node_run(mboxop_delete(&node.env, "user.fred.a", 0)), 0);
    expect_names("DELETED.user.fred.a.T+ user.bob+ user.fred+ user.fred.a.b+");
    /* again within the second: both are kept */
    CU_ASSERT_EQUAL(node_create(&node, "user.fred.a"), 0);
    CU_ASSERT_EQUAL(node_run(mboxop_delete(&node.env, "user.fred.a", 0)), 0);
    expect_names("DELETED.user.fred.a.T+ DELETED.user.fred.a.T+ user.bob+ user.fred+ user.fred.a.b+");
    CU_ASSERT_EQUAL(node_run(mboxop_delete(&node.env, "user.fred", MBOXOP_DELETE_NOW)), 0);
    expect_names("DELETED.user.fred.a.T+ DELETED.user.fred.a.T+ user.bob+");
    finish();
}

/* A deleted name is deleted at once, and a name that is made anew has a higher UIDVALIDITY. */
static void test_delete_again(void)
{
    struct mboxlist_iter *it;
    const struct mboxlist_record *record;
    char *deleted;
    uint32_t before;

    begin(true, some);
    before = node_uidvalidity(&node, "user.fred.a");
    CU_ASSERT_EQUAL(node_run(mboxop_delete(&node.env, "user.fred.a", 0)), 0);
    CU_ASSERT_EQUAL(node_create(&node, "user.fred.a"), 0);
    CU_ASSERT(node_uidvalidity(&node, "user.fred.a") > before);
    it = mboxlist_iter_all(node.env.list, "DELETED.", MBOXLIST_TYPES_ALL);
    CU_ASSERT_EQUAL_FATAL(mboxlist_iter_next(it, &record), 1);
    deleted = xstrdup(record->name);
    mboxlist_iter_free(&it);
    CU_ASSERT_EQUAL(node_run(mboxop_delete(&node.env, deleted, 0)), 0);
    expect_names("user.bob+ user.fred+ user.fred.a+ user.fred.a.b+");
    free(deleted);
    finish();
}

static void test_undelete(void)
{
    struct mboxlist_iter *it;
    const struct mboxlist_record *record;
    char *deleted;

    begin(true, some);
    CU_ASSERT_EQUAL(node_run(mboxop_delete(&node.env, "user.fred.a", 0)), 0);
    it = mboxlist_iter_all(node.env.list, "DELETED.", MBOXLIST_TYPES_ALL);
    CU_ASSERT_EQUAL_FATAL(mboxlist_iter_next(it, &record), 1);
    deleted = xstrdup(record->name);
    mboxlist_iter_free(&it);
    CU_ASSERT_EQUAL(node_run(mboxop_rename(&node.env, deleted, "user.fred.a", NULL, 0)), 0);
    expect_names("user.bob+ user.fred+ user.fred.a+ user.fred.a.b+");
    free(deleted);
    finish();
}

static void test_rename(void)
{
    static const struct {
        const char *from, *to, *partition;
        int result;
    } rows[] = {
        {"user.fred.x", "user.fred.y", NULL, ERR_NOTFOUND},
        {"user.fred.a", "user.bob", NULL, ERR_EXISTS},
        {"user.fred.a", "user.fred.a", NULL, ERR_EXISTS},
        {"user.fred.a", "user.fred.a.c", NULL, ERR_BADNAME},
        {"user.fred.a", "a..b", NULL, ERR_BADNAME},
        {"user.fred.a", "user.fred.c", "other", ERR_UNSUPPORTED},
        {"user.fred.a", "user.fred.c", "default", 0},
        {"user.fred.c", "archive", NULL, 0},
    };
    struct buf id = BUF_INIT, now = BUF_INIT;
    uint32_t uidvalidity;

    begin(true, some);
    node_id(&node, "user.fred.a", &id);
    uidvalidity = node_uidvalidity(&node, "user.fred.a");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        CU_ASSERT_EQUAL(node_run(mboxop_rename(&node.env, rows[i].from, rows[i].to, rows[i].partition, 0)),
                        rows[i].result);
    expect_names("archive+ archive.b+ user.bob+ user.fred+");
    node_id(&node, "archive", &now);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&id), buf_cstr(&now));
    CU_ASSERT_EQUAL(node_uidvalidity(&node, "archive"), uidvalidity);
    buf_free(&id);
    buf_free(&now);
    finish();
}

static void test_move(void)
{
    static const struct {
        const char *name, *partition;
        int result;
        const char *after;
    } rows[] = {
        {"user.fred.x", "second", ERR_NOTFOUND, "user.bob+ user.fred+ user.fred.a+ user.fred.a.b+"},
        {"user.fred.a", "nowhere", ERR_INVALID, "user.bob+ user.fred+ user.fred.a+ user.fred.a.b+"},
        {"user.fred.a", "default", ERR_EXISTS, "user.bob+ user.fred+ user.fred.a+ user.fred.a.b+"},
        {"user.fred.a", "second", 0, "user.bob+ user.fred+ user.fred.a2 user.fred.a.b2"},
        {"user.fred.a", "second", ERR_EXISTS, "user.bob+ user.fred+ user.fred.a2 user.fred.a.b2"},
        {"user.fred", "second", 0, "user.bob+ user.fred2 user.fred.a2 user.fred.a.b2"},
        {"user.fred", "default", 0, "user.bob+ user.fred+ user.fred.a+ user.fred.a.b+"},
    };
    struct buf id = BUF_INIT, now = BUF_INIT;
    uint32_t uidvalidity;

    for (int murder = 0; murder < 2; murder++) {
        begin(murder, some);
        node_id(&node, "user.fred.a", &id);
        uidvalidity = node_uidvalidity(&node, "user.fred.a");
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
            const char *name = rows[i].name;

            CU_ASSERT_EQUAL(node_run(mboxop_rename(&node.env, name, name, rows[i].partition, 0)),
                            rows[i].result);
            expect_names(rows[i].after);
        }
        node_id(&node, "user.fred.a", &now);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&id), buf_cstr(&now));
        CU_ASSERT_EQUAL(node_uidvalidity(&node, "user.fred.a"), uidvalidity);
        finish();
    }
    buf_free(&id);
    buf_free(&now);
}

/* The last of the tree cannot go: those before it have, and the master knows. */
static void test_move_fails(void)
{
    struct pool *pool = pool_new(0);
    struct mboxlist_record record;
    struct buf dir = BUF_INIT;

    begin(true, some);
    CU_ASSERT_EQUAL(mboxlist_lookup(node.env.list, "user.fred.a.b", pool, &record), 0);
    CU_ASSERT_EQUAL(mailbox_dir(node.env.store, "default", record.id, &dir), 0);
    buf_puts(&dir, "/index");
    CU_ASSERT_EQUAL(truncate(buf_cstr(&dir), 0), 0);
    CU_ASSERT(node_run(mboxop_rename(&node.env, "user.fred", "user.fred", "second", 0)) < 0);
    expect_names("user.bob+ user.fred2 user.fred.a2 user.fred.a.b");
    CU_ASSERT_EQUAL(node_run(mboxop_delete(&node.env, "user.fred.a.b", MBOXOP_DELETE_NOW)), 0);
    buf_free(&dir);
    pool_free(&pool);
    finish();
}

/* UIDVALIDITY is kept by a rename unless the new name has had as high a one. */
static void test_rename_uidvalidity(void)
{
    uint32_t old;

    begin(false, some);
    old = node_uidvalidity(&node, "user.fred.a");
    CU_ASSERT_EQUAL(node_create(&node, "user.fred.c"), 0);
    CU_ASSERT_EQUAL(node_run(mboxop_delete(&node.env, "user.fred.c", MBOXOP_DELETE_NOW)), 0);
    CU_ASSERT_EQUAL(node_run(mboxop_rename(&node.env, "user.fred.a", "user.fred.c", NULL, 0)), 0);
    CU_ASSERT(node_uidvalidity(&node, "user.fred.c") > old + 1);
    finish();
}

static void test_renamed_lines(void)
{
    const char *from, *to;
    struct mboxop *op;

    begin(false, some);
    op = mboxop_rename(&node.env, "user.fred", "user.al", NULL, 0);
    while (mboxop_step(op) != MBOXOP_DONE)
        ;
    CU_ASSERT_EQUAL(mboxop_renamed(op, 2, &from, &to), 3);
    CU_ASSERT_STRING_EQUAL(from, "user.fred.a.b");
    CU_ASSERT_STRING_EQUAL(to, "user.al.a.b");
    mboxop_free(&op);
    finish();
}

static int count_one(const char *name, void *context)
{
    buf_printf(context, "%s ", name);
    return 0;
}

static void test_rename_user(void)
{
    struct buf subs = BUF_INIT, root = BUF_INIT, id = BUF_INIT;
    struct quota_limits limits = {{1000, QUOTA_UNLIMITED, QUOTA_UNLIMITED, QUOTA_UNLIMITED}};
    struct uid_set seen = UID_SET_INIT;
    struct seen_state state;

    begin(true, some);
    CU_ASSERT_EQUAL(quota_limits_set(node.env.list, "user.fred", &limits), 0);
    CU_ASSERT_EQUAL(mboxlist_subscribe(node.env.list, "fred", "user.fred.a", true), 0);
    CU_ASSERT_EQUAL(mboxlist_subscribe(node.env.list, "fred", "user.bob", true), 0);
    CU_ASSERT_EQUAL(node_run(mboxop_setacl(&node.env, "user.bob", "anyone", ACL_ADD, ACL_LOOKUP | ACL_READ)),
                    0);
    CU_ASSERT_EQUAL(node_run(mboxop_setacl(&node.env, "user.fred.a", "-fred", ACL_ADD, ACL_POST)), 0);
    node_id(&node, "user.bob", &id);
    CU_ASSERT_EQUAL(uid_set_add(&seen, 3, 7), 0);
    CU_ASSERT_EQUAL(seen_change(node.env.store, id.data, "fred", &seen, NULL, 9), 0);

    CU_ASSERT_EQUAL(node_run(mboxop_rename(&node.env, "user.fred", "user.al", NULL, 0)), 0);

    expect_acl("user.al", "al\tlrswipkxtecdan\t");
    expect_acl("user.al.a", "al\tlrswipkxtecdan\t-al\tp\t");
    CU_ASSERT_EQUAL(mboxlist_subs_each(node.env.list, "al", NULL, count_one, &subs), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&subs), "user.al.a user.bob ");
    buf_reset(&subs);
    CU_ASSERT_EQUAL(mboxlist_subs_each(node.env.list, "fred", NULL, count_one, &subs), 0);
    CU_ASSERT_EQUAL(subs.len, 0);
    CU_ASSERT_EQUAL(quota_root_of(node.env.list, "user.al.a", &root), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&root), "user.al");
    CU_ASSERT_EQUAL(seen_get(node.env.store, id.data, "al", &state), 0);
    CU_ASSERT(state.recent_uid == 9 && uid_set_has(&state.uids, 5));
    uid_set_free(&state.uids);
    uid_set_free(&seen);
    buf_free(&subs);
    buf_free(&root);
    buf_free(&id);
    finish();
}

static bool has_scripts(const char *userid)
{
    struct buf path = BUF_INIT;
    bool has;

    CU_ASSERT_EQUAL(scriptdir_user(node.env.config, userid, &path), 0);
    buf_puts(&path, "/x.script");
    has = access(buf_cstr(&path), F_OK) == 0;
    buf_free(&path);
    return has;
}

static void make_scripts(const char *userid)
{
    struct buf path = BUF_INIT;

    CU_ASSERT_EQUAL(scriptdir_user(node.env.config, userid, &path), 0);
    CU_ASSERT_EQUAL(file_make_dirs(buf_cstr(&path), 0700, 0), 0);
    buf_puts(&path, "/x.script");
    CU_ASSERT_EQUAL(file_replace(buf_cstr(&path), "keep;", 5, 0600), 0);
    buf_free(&path);
}

/* They go with the user; an unlike user's stay, and what a dead one has left is nobody's. */
static void test_scripts(void)
{
    begin(true, some);
    make_scripts("fred");
    make_scripts("bob");
    make_scripts("al");
    CU_ASSERT_EQUAL(node_run(mboxop_rename(&node.env, "user.fred.a", "user.fred.c", NULL, 0)), 0);
    CU_ASSERT(has_scripts("fred"));
    CU_ASSERT_EQUAL(node_run(mboxop_rename(&node.env, "user.fred", "user.al", NULL, 0)), 0);
    CU_ASSERT(has_scripts("al") && !has_scripts("fred") && has_scripts("bob"));
    CU_ASSERT_EQUAL(node_run(mboxop_delete(&node.env, "user.al.c", 0)), 0);
    CU_ASSERT(has_scripts("al"));
    CU_ASSERT_EQUAL(node_run(mboxop_delete(&node.env, "user.al", 0)), 0);
    CU_ASSERT(!has_scripts("al") && has_scripts("bob"));
    CU_ASSERT_EQUAL(node_run(mboxop_delete(&node.env, "user.bob", MBOXOP_DELETE_NOW)), 0);
    CU_ASSERT(!has_scripts("bob"));
    finish();
}

static const char *quota_root_in_header(const char *name, struct buf *root)
{
    struct pool *pool = pool_new(0);
    struct mboxlist_record record;
    struct mailbox *mailbox;

    buf_reset(root);
    CU_ASSERT_EQUAL_FATAL(mboxlist_lookup(node.env.list, name, pool, &record), 0);
    CU_ASSERT_EQUAL_FATAL(mailbox_open(node.env.store, record.partition, record.id, &mailbox), 0);
    buf_puts(root, mailbox_header(mailbox)->quota_root);
    mailbox_close(&mailbox);
    pool_free(&pool);
    return buf_cstr(root);
}

static void test_quota_roots(void)
{
    struct quota_limits limits = {{1000, QUOTA_UNLIMITED, QUOTA_UNLIMITED, QUOTA_UNLIMITED}};
    struct buf root = BUF_INIT;

    begin(false, (const char *const[]){"user.bob", "archive", "archive.x", NULL});
    CU_ASSERT_EQUAL(quota_limits_set(node.env.list, "user.bob", &limits), 0);
    CU_ASSERT_EQUAL(node_create(&node, "user.bob.x"), 0);
    CU_ASSERT_STRING_EQUAL(quota_root_in_header("user.bob.x", &root), "user.bob");
    CU_ASSERT_EQUAL(node_run(mboxop_rename(&node.env, "user.bob.x", "archive.y", NULL, 0)), 0);
    CU_ASSERT_STRING_EQUAL(quota_root_in_header("archive.y", &root), "");
    CU_ASSERT_EQUAL(node_run(mboxop_rename(&node.env, "archive.y", "user.bob.y", NULL, 0)), 0);
    CU_ASSERT_STRING_EQUAL(quota_root_in_header("user.bob.y", &root), "user.bob");
    CU_ASSERT_EQUAL(node_run(mboxop_delete(&node.env, "user.bob", 0)), 0);
    buf_reset(&root);
    CU_ASSERT_EQUAL(quota_root_of(node.env.list, "user.bob.z", &root), ERR_NOTFOUND);
    buf_free(&root);
    finish();
}

static void test_inbox_move(void)
{
    struct buf before = BUF_INIT, after = BUF_INIT;
    uint32_t uidvalidity;

    begin(true, some);
    node_id(&node, "user.fred", &before);
    uidvalidity = node_uidvalidity(&node, "user.fred");
    CU_ASSERT_EQUAL(node_run(mboxop_rename(&node.env, "user.fred", "user.fred.a", NULL, 0)), ERR_EXISTS);
    CU_ASSERT_EQUAL(node_run(mboxop_rename(&node.env, "user.fred", "user.fred.old", NULL, 0)), 0);
    expect_names("user.bob+ user.fred+ user.fred.a+ user.fred.a.b+ user.fred.old+");
    node_id(&node, "user.fred.old", &after);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&before), buf_cstr(&after));
    node_id(&node, "user.fred", &after);
    CU_ASSERT_STRING_NOT_EQUAL(buf_cstr(&before), buf_cstr(&after));
    CU_ASSERT(node_uidvalidity(&node, "user.fred") > uidvalidity);
    expect_acl("user.fred", "fred\tlrswipkxtecdan\t");
    buf_free(&before);
    buf_free(&after);
    finish();
}

static void test_setacl(void)
{
    begin(true, some);
    CU_ASSERT_EQUAL(
        node_run(mboxop_setacl(&node.env, "user.fred.a", "bob", ACL_REPLACE, ACL_LOOKUP | ACL_READ)), 0);
    expect_acl("user.fred.a", "fred\tlrswipkxtecdan\tbob\tlr\t");
    CU_ASSERT_EQUAL(node_run(mboxop_setacl(&node.env, "user.fred.a", "bob", ACL_REPLACE, 0)), 0);
    expect_acl("user.fred.a", "fred\tlrswipkxtecdan\t");
    CU_ASSERT_EQUAL(node_run(mboxop_setacl(&node.env, "user.fred.a", "a\tb", ACL_ADD, ACL_READ)),
                    ERR_INVALID);
    CU_ASSERT_EQUAL(node_run(mboxop_setacl(&node.env, "user.fred.x", "bob", ACL_ADD, ACL_READ)),
                    ERR_NOTFOUND);
    finish();
}

/* Somebody alive holds the tree: he is waited for, and recovery leaves his intent alone. */
static void test_locked(void)
{
    struct mboxop *first, *second;
    unsigned recovered = 7;

    begin(true, some);
    first = mboxop_rename(&node.env, "user.fred.a", "user.bob.x", NULL, 0);
    for (int i = 0; i < 6; i++)
        CU_ASSERT_NOT_EQUAL(mboxop_step(first), MBOXOP_DONE);
    second = mboxop_create(&node.env, "user.bob.y", NULL, NULL, NULL, 0, NULL);
    CU_ASSERT_EQUAL(mboxop_step(second), MBOXOP_MORE);
    CU_ASSERT_EQUAL(mboxop_step(second), MBOXOP_WAIT);
    CU_ASSERT(mboxop_deadline(second) < INT64_MAX);
    CU_ASSERT_EQUAL(mboxop_recover(&node.env, &recovered), 0);
    CU_ASSERT_EQUAL(recovered, 0);
    CU_ASSERT_EQUAL(mboxop_run(&first, NULL), 0);
    CU_ASSERT_EQUAL(mboxop_run(&second, NULL), 0);
    expect_names("user.bob+ user.bob.x+ user.bob.x.b+ user.bob.y+ user.fred+");
    finish();
}

/* The name is taken between RESERVE and ACTIVATE: the client is told, the keeper's next push sets ours aside. */
static void test_stolen(void)
{
    struct mboxop_keeper *keeper;
    struct mboxop *op;
    struct buf text = BUF_INIT;

    begin(true, some);
    keeper = mboxop_keeper_new(&node.env, mboxop_push_quietly, NULL);
    mboxop_keeper_tick(keeper);
    op = mboxop_create(&node.env, "user.zoe", NULL, NULL, NULL, 0, NULL);
    while (fake_state("user.zoe") != MUPDATE_IS_RESERVED)
        CU_ASSERT_NOT_EQUAL_FATAL(mboxop_step(op), MBOXOP_DONE);
    fake_put("user.zoe", MUPDATE_ACTIVE, "be2!default", "zoe\tlrs\t");
    CU_ASSERT_EQUAL(mboxop_run(&op, &text), ERR_CONFLICT);
    mboxop_keeper_tick(keeper);
    mboxop_keeper_free(&keeper);
    CU_ASSERT_EQUAL(fake_state("user.zoe"), MUPDATE_ACTIVE);
    fake_put("user.zoe", MUPDATE_ABSENT, "", NULL);
    expect_names("DELETED.user.zoe.T+ user.bob+ user.fred+ user.fred.a+ user.fred.a.b+");
    buf_free(&text);
    finish();
}

/* An intent whose mailbox somebody has taken out of the list must not hold the tree for ever. */
static void test_stale_intent(void)
{
    static const struct {
        enum intent_operation operation;
        unsigned phase;
        const char *new_name;
    } rows[] = {
        {INTENT_RENAME, PHASE_BEGUN, "user.fred.y"},
        {INTENT_RENAME, PHASE_COMMITTED, "user.fred.y"},
        {INTENT_DELETE, PHASE_BEGUN, ""},
        {INTENT_DELETE, PHASE_COMMITTED, ""},
        {INTENT_DELETE, PHASE_REFUSED, ""},
        {INTENT_DELETE, PHASE_BEGUN, "DELETED.user.fred.x.1"},
        {INTENT_DELETE, PHASE_COMMITTED, "DELETED.user.fred.x.00000001"},
        {INTENT_SETACL, PHASE_BEGUN, ""},
        {INTENT_CREATE, PHASE_BEGUN, ""},
    };

    begin(false, some);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct intent intent = {.operation = rows[i].operation,
                                .phase = rows[i].phase,
                                .name = "user.fred.x",
                                .new_name = rows[i].new_name,
                                .id = "gone-gone",
                                .location = "be1!default",
                                .acl = ""};
        char *name = xstrprintf("user.fred.n%zu", i);

        CU_ASSERT_EQUAL(intent_add(node.env.list, &intent), 0);
        CU_ASSERT_EQUAL(node_create(&node, name), 0);
        free(name);
    }
    finish();
}

static int add_left(const char *name, const char *location)
{
    struct intent intent = {.operation = INTENT_DELETE,
                            .phase = PHASE_COMMITTED,
                            .name = name,
                            .new_name = "",
                            .id = "gone-gone",
                            .location = location,
                            .acl = ""};

    CU_ASSERT_EQUAL(intent_add(node.env.list, &intent), 0);
    return (int)intent.number;
}

/* One that cannot be brought to its end (its partition is not configured) keeps no other from it. */
static void test_left_behind(void)
{
    unsigned recovered = 0;
    int number;

    begin(false, some);
    number = add_left("user.fred.x", "be1!nonesuch");
    add_left("user.bob.x", "be1!default");
    CU_ASSERT_EQUAL(mboxop_recover(&node.env, &recovered), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(recovered, 1);
    CU_ASSERT_EQUAL(intent_remove(node.env.list, (uint64_t)number), 0);
    finish();
}

static int pushed;

static int count_push(const struct mboxop_env *env, void *context)
{
    (void)env;
    (void)context;
    pushed++;
    return 0;
}

static void test_keeper(void)
{
    struct mboxop_keeper *keeper, *other;
    struct mboxop *op;

    begin(true, some);
    pushed = 0;
    keeper = mboxop_keeper_new(&node.env, count_push, NULL);
    other = mboxop_keeper_new(&node.env, count_push, NULL);
    mboxop_keeper_tick(keeper);
    mboxop_keeper_tick(keeper);
    mboxop_keeper_tick(other);
    CU_ASSERT_EQUAL(pushed, 1);
    op = mboxop_rename(&node.env, "user.fred.a", "user.bob.x", NULL, 0);
    for (int i = 0; i < 6; i++)
        mboxop_step(op);
    mboxop_free(&op);
    fake_set_up(false);
    mboxop_keeper_tick(keeper);
    fake_set_up(true);
    mboxop_keeper_tick(keeper);
    CU_ASSERT_EQUAL(pushed, 2);
    fake_set_up(false); /* nobody looked meanwhile */
    fake_set_up(true);
    mboxop_keeper_tick(keeper);
    CU_ASSERT_EQUAL(pushed, 3);
    mboxop_keeper_rest(keeper);
    mboxop_keeper_tick(other);
    CU_ASSERT_EQUAL(pushed, 4);
    mboxop_keeper_tick(keeper);
    CU_ASSERT_EQUAL(pushed, 4);
    mboxop_keeper_free(&keeper);
    mboxop_keeper_free(&other);
    finish();
}

static void test_roots(void)
{
    static const char *const rows[][2] = {
        {"user.fred", "user.fred"},
        {"user.fred.a.b", "user.fred"},
        {"DELETED.user.fred.a.6B01FFBD", "user.fred"},
        {"d.org!user.al.x", "d.org!user.al"},
        {"d.org!DELETED.user.al.6B01FFBD", "d.org!user.al"},
        {"archive.x", "archive"},
        {"DELETED.archive.x.6B01FFBD", "archive"},
    };
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        buf_reset(&b);
        tree_root(&node_config, rows[i][0], &b);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&b), rows[i][1]);
    }
    buf_free(&b);
}

static const struct unit_case cases[] = {
    {"create", test_create},
    {"create with wishes", test_create_wishes},
    {"conflict", test_conflict},
    {"master away", test_away},
    {"master lost", test_lost},
    {"delete", test_delete},
    {"delete again", test_delete_again},
    {"undelete", test_undelete},
    {"rename", test_rename},
    {"move to a partition", test_move},
    {"move that fails", test_move_fails},
    {"rename and UIDVALIDITY", test_rename_uidvalidity},
    {"renamed names", test_renamed_lines},
    {"rename a user", test_rename_user},
    {"scripts", test_scripts},
    {"quota roots", test_quota_roots},
    {"move INBOX", test_inbox_move},
    {"setacl", test_setacl},
    {"locked", test_locked},
    {"stolen name", test_stolen},
    {"stale intent", test_stale_intent},
    {"left behind", test_left_behind},
    {"keeper", test_keeper},
    {"trees", test_roots},
    {NULL, NULL},
};

extern const struct unit_suite ops_suite;
const struct unit_suite ops_suite = {"operations", cases};
