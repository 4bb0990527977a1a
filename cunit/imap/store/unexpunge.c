#include "imap/store/unexpunge.h"

#include <unistd.h>

#include "cunit/imap/store/fixture.h"
#include "cunit/unit.h"
#include "imap/store/mailbox-private.h"
#include "imap/store/recover.h"

enum { MESSAGES = 6 };

static struct fixture f;

static int count(struct mailbox *m, uint32_t number, const struct mailbox_record *record, void *context)
{
    (void)m;
    (void)number;
    (void)record;
    ++*(unsigned *)context;
    return 0;
}

static unsigned listed(struct mailbox *m)
{
    unsigned n = 0;

    CU_ASSERT_EQUAL(mailbox_expunged_each(m, count, &n), 0);
    return n;
}

/* How many came back. */
static uint64_t bring_back(struct mailbox *m, const struct uid_set *uids)
{
    const struct unexpunge_what what = {.uids = uids};
    struct copy_result result;
    uint64_t n;

    CU_ASSERT_EQUAL(mailbox_unexpunge(m, &what, &result), 0);
    n = uid_set_size(&result.source);
    CU_ASSERT_EQUAL(uid_set_size(&result.destination), n);
    copy_result_free(&result);
    return n;
}

static struct mailbox *with_expunged(uint32_t first, uint32_t last)
{
    struct uid_set gone = UID_SET_INIT;
    struct mailbox *m;

    fixture_begin(&f);
    f.store->options.expunge_mode = STORE_EXPUNGE_DELAYED;
    m = fixture_mailbox(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(fixture_append(m, 0, MESSAGES, 0), 1);
    CU_ASSERT_EQUAL(uid_set_add(&gone, first, last), 0);
    CU_ASSERT_EQUAL(expunge_uids(m, &gone, NULL), 0);
    uid_set_free(&gone);
    return m;
}

/* As if the process had died right behind the commit that brought `count` messages back. */
static void die_behind_commit(struct mailbox *m, uint32_t first, uint32_t returned, uint32_t count)
{
    CU_ASSERT_EQUAL(index_begin(m, 1000), 0);
    CU_ASSERT_EQUAL(index_mark_dirty(m), 0);
    for (uint32_t i = 0; i < count; i++) {
        struct mailbox_record old;
        int fd = message_file_open(m, returned + i);

        CU_ASSERT_EQUAL(mailbox_read_records(m, first + i - 1, 1, &old), 0);
        CU_ASSERT(old.uid == first + i && (old.system & RECORD_UNLINKED));
        old.system &= ~(uint32_t)RECORD_UNLINKED;
        CU_ASSERT_EQUAL(records_write(m, first + i - 1, 1, &old), 0);
        m->next.expunged_storage += old.size;
        CU_ASSERT_EQUAL(message_file_link(m, old.uid, fd), 0);
        close(fd);
    }
    CU_ASSERT_EQUAL(index_commit(m, true), 0);
    index_end(m);
}

static void test_once(void)
{
    struct uid_set some = UID_SET_INIT;
    struct mailbox *m = with_expunged(2, 4);
    uint32_t removed;

    CU_ASSERT_EQUAL(listed(m), 3);
    uid_set_add(&some, 1, 3);
    CU_ASSERT_EQUAL(bring_back(m, &some), 2);
    CU_ASSERT_EQUAL(listed(m), 1);
    die_behind_commit(m, 2, MESSAGES + 1, 2);
    CU_ASSERT_EQUAL(listed(m), 1);
    CU_ASSERT_EQUAL(bring_back(m, &some), 0);
    CU_ASSERT_EQUAL(bring_back(m, NULL), 1);
    CU_ASSERT_EQUAL(bring_back(m, NULL), 0);
    CU_ASSERT_EQUAL(mailbox_header(m)->exists, MESSAGES);
    /* what it left goes as any that is expunged */
    f.store->options.session_ms = -1000;
    CU_ASSERT_EQUAL(mailbox_compact(m, INT64_MAX, &removed), 0);
    CU_ASSERT_EQUAL(removed, 3);
    CU_ASSERT_EQUAL(mailbox_header(m)->expunged_storage, 0);
    CU_ASSERT_FALSE(message_file_exists(m, 2));
    CU_ASSERT(message_file_exists(m, MESSAGES + 1));
    uid_set_free(&some);
    mailbox_close(&m);
    fixture_end(&f);
}

/* A message that came back may go and come back again. */
static void test_again(void)
{
    struct uid_set all = UID_SET_INIT;
    struct mailbox *m = with_expunged(1, 2);

    uid_set_add(&all, 1, 100);
    for (unsigned i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(bring_back(m, NULL), i == 0 ? 2 : MESSAGES);
        CU_ASSERT_EQUAL(expunge_uids(m, &all, NULL), 0);
        CU_ASSERT_EQUAL(listed(m), MESSAGES);
    }
    uid_set_free(&all);
    mailbox_close(&m);
    fixture_end(&f);
}

/* Killed before the commit: what is linked already is nobody's, and the next append takes the names. */
static void test_before_commit(void)
{
    struct mailbox *m = with_expunged(2, 4);
    struct mailbox_findings found;

    for (uint32_t uid = 2; uid <= 4; uid++) {
        int fd = message_file_open(m, uid);

        CU_ASSERT_EQUAL(message_file_link(m, MESSAGES + uid - 1, fd), 0);
        close(fd);
    }
    CU_ASSERT_EQUAL(mailbox_check(f.store, "one", FIXTURE_ID, CHECK_CONTENTS, true, &found), 0);
    CU_ASSERT_FALSE(mailbox_findings_any(&found));
    CU_ASSERT_EQUAL(fixture_append(m, 7, 1, 0), MESSAGES + 1);
    CU_ASSERT_EQUAL(bring_back(m, NULL), 3);
    CU_ASSERT_EQUAL(mailbox_check(f.store, "one", FIXTURE_ID, CHECK_CONTENTS, true, &found), 0);
    CU_ASSERT_FALSE(mailbox_findings_any(&found));
    CU_ASSERT_EQUAL(mailbox_header(m)->exists, MESSAGES + 1);
    mailbox_close(&m);
    fixture_end(&f);
}

static const struct unit_case cases[] = {
    {"killed behind the commit", test_once},
    {"killed before the commit", test_before_commit},
    {"again and again", test_again},
    {NULL, NULL},
};

extern const struct unit_suite unexpunge_suite;
const struct unit_suite unexpunge_suite = {"unexpunge", cases};
