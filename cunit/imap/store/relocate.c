#include "imap/store/relocate.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cunit/imap/store/fixture.h"
#include "cunit/unit.h"
#include "imap/store/mailbox-private.h"
#include "imap/store/message.h"
#include "imap/store/recover.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

enum { MESSAGES = 40 }; /* more than a step copies */

static struct fixture f;
static char far_dir[64];

/* Where another file system can be had the second partition is on it. */
static void go_far(void)
{
    char *near = xstrprintf("%s/two", f.dir);

    strcpy(far_dir, "/dev/shm/relocate.XXXXXX");
    if (mkdtemp(far_dir) == NULL)
        far_dir[0] = '\0';
    else
        BUG_ON(rmdir(near) != 0 || symlink(far_dir, near) != 0);
    free(near);
}

static void begin_on(bool far)
{
    struct mailbox *m;
    struct view *view;

    fixture_begin(&f);
    far_dir[0] = '\0';
    if (far)
        go_far();
    m = fixture_mailbox(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(fixture_append(m, 0, MESSAGES, 0), 1);
    view = fixture_view(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(fixture_store(view, 3, FLAGS_ADD, RECORD_FLAGGED, "kw"), 0);
    view_close(&view);
    mailbox_close(&m);
}

static bool is_there(const char *partition)
{
    struct mailbox *m;
    bool is = mailbox_open(f.store, partition, FIXTURE_ID, &m) == 0;

    if (is)
        mailbox_close(&m);
    return is;
}

static bool has_directory(const char *partition)
{
    struct buf dir = BUF_INIT;
    bool has;

    CU_ASSERT_EQUAL(mailbox_dir(f.store, partition, FIXTURE_ID, &dir), 0);
    has = access(buf_cstr(&dir), F_OK) == 0;
    buf_free(&dir);
    return has;
}

static void expect_messages(const char *partition, uint32_t count)
{
    struct mailbox_findings found;
    struct mailbox_record record;
    struct mailbox *m;

    CU_ASSERT_EQUAL(mailbox_check(f.store, partition, FIXTURE_ID, CHECK_CONTENTS, false, &found), 0);
    CU_ASSERT_FALSE(mailbox_findings_any(&found));
    CU_ASSERT_EQUAL_FATAL(mailbox_open(f.store, partition, FIXTURE_ID, &m), 0);
    CU_ASSERT_EQUAL(mailbox_header(m)->exists, count);
    CU_ASSERT_EQUAL(mailbox_header(m)->flagged, 1);
    CU_ASSERT_EQUAL(mailbox_flag_number(m, "kw"), 0);
    for (uint32_t i = 0; i < count; i++) {
        char *text = fixture_text(i), got[1024];
        struct message *message;

        CU_ASSERT_EQUAL(mailbox_read_records(m, i, 1, &record), 0);
        message_open(m, i, &record, &message);
        CU_ASSERT_EQUAL(message_read(message, 0, got, sizeof(got)), (int64_t)strlen(text));
        CU_ASSERT_EQUAL(memcmp(got, text, strlen(text)), 0);
        message_close(&message);
        free(text);
    }
    mailbox_close(&m);
}

static struct relocation *started(const char *from, const char *to)
{
    struct relocation *r;

    CU_ASSERT_EQUAL_FATAL(relocate_begin(f.store, FIXTURE_ID, from, to, &r), 0);
    return r;
}

static void copy(struct relocation *r)
{
    unsigned steps = 0;
    int more;

    while ((more = relocate_copy(r)) == 1)
        steps++;
    CU_ASSERT_EQUAL(more, 0);
    CU_ASSERT(steps > 0);
}

static void begin(void)
{
    begin_on(false);
}

static void end(void)
{
    if (far_dir[0] != '\0')
        CU_ASSERT_EQUAL(file_remove_tree(far_dir), 0);
    fixture_end(&f);
}

/* Work goes on in the mailbox until it is closed; those who have it open find it gone. */
static void relocate(bool far)
{
    struct uid_set one = UID_SET_INIT;
    struct relocation *r;
    struct mailbox *m;

    begin_on(far);
    CU_ASSERT_EQUAL(mailbox_open(f.store, "one", FIXTURE_ID, &m), 0);
    r = started("one", "two");
    copy(r);
    CU_ASSERT_EQUAL(fixture_append(m, MESSAGES, 2, 0), MESSAGES + 1);
    CU_ASSERT_EQUAL(uid_set_add(&one, MESSAGES + 2, MESSAGES + 2), 0);
    CU_ASSERT_EQUAL(expunge_uids(m, &one, NULL), 0);
    CU_ASSERT_EQUAL(relocate_close(r), 0);
    CU_ASSERT_FALSE(is_there("one"));
    relocate_finish(&r);
    CU_ASSERT_FALSE(has_directory("one"));
    CU_ASSERT_EQUAL(fixture_append(m, 0, 1, 0), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(mailbox_refresh(m), ERR_NOTFOUND);
    mailbox_close(&m);
    expect_messages("two", MESSAGES + 1);
    CU_ASSERT_EQUAL(mailbox_open(f.store, "two", FIXTURE_ID, &m), 0);
    CU_ASSERT_EQUAL(fixture_append(m, 0, 1, 0), MESSAGES + 3);
    mailbox_close(&m);
    uid_set_free(&one);
    end();
}

static void test_relocate(void)
{
    relocate(false);
    relocate(true);
}

static void test_abort(void)
{
    struct relocation *r;

    begin();
    for (int stage = 0; stage < 3; stage++) {
        r = started("one", "two");
        if (stage > 0)
            copy(r);
        if (stage > 1)
            CU_ASSERT_EQUAL(relocate_close(r), 0);
        relocate_abort(&r);
        CU_ASSERT_FALSE(has_directory("two"));
        expect_messages("one", MESSAGES);
    }
    end();
}

static void test_refused(void)
{
    struct relocation *r;

    begin();
    CU_ASSERT_EQUAL(relocate_begin(f.store, FIXTURE_ID, "one", "nowhere", &r), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(relocate_begin(f.store, FIXTURE_ID, "two", "one", &r), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(relocate_begin(f.store, FIXTURE_ID, "one", "one", &r), ERR_INVALID);
    CU_ASSERT_EQUAL(relocate_recover(f.store, FIXTURE_ID, "one", "one"), 0);
    expect_messages("one", MESSAGES);
    end();
}

/* A process dies in each stage; what the list says decides. */
static void die_in(int stage)
{
    struct relocation *r;

    fixture_reopen(&f);
    BUG_ON(relocate_begin(f.store, FIXTURE_ID, "one", "two", &r) != 0);
    if (stage == 1)
        relocate_copy(r);
    while (stage > 1 && relocate_copy(r) == 1)
        ;
    if (stage > 2)
        BUG_ON(relocate_close(r) != 0);
    _exit(0);
}

static void test_killed(void)
{
    for (int stage = 0; stage < 5; stage++) {
        bool committed = stage == 4;
        pid_t pid;
        int status;

        begin_on(stage % 2 == 1);
        pid = fork();
        if (pid == 0)
            die_in(stage);
        CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
        CU_ASSERT_EQUAL(status, 0);
        CU_ASSERT_EQUAL(is_there("one"), stage < 3);
        for (int i = 0; i < 2; i++) /* recovery may be killed too */
            CU_ASSERT_EQUAL(
                relocate_recover(f.store, FIXTURE_ID, committed ? "two" : "one", committed ? "one" : "two"),
                0);
        expect_messages(committed ? "two" : "one", MESSAGES);
        CU_ASSERT_FALSE(has_directory(committed ? "one" : "two"));
        end();
    }
}

/* A list that is wrong must not cost the mailbox. */
static void test_wrong_list(void)
{
    begin();
    CU_ASSERT_EQUAL(relocate_recover(f.store, FIXTURE_ID, "two", "one"), 0);
    expect_messages("one", MESSAGES);
    end();
}

static const struct unit_case cases[] = {
    {"relocate", test_relocate}, {"abort", test_abort},           {"refused", test_refused},
    {"killed", test_killed},     {"wrong list", test_wrong_list}, {NULL, NULL},
};

extern const struct unit_suite relocate_suite;
const struct unit_suite relocate_suite = {"relocate", cases};
