/* REPLACE within a mailbox: one commit, whoever is killed and wherever. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cunit/imap/store/fixture.h"
#include "cunit/unit.h"
#include "imap/store/mailbox-private.h"
#include "imap/store/recover.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

static struct fixture f;

static void begin(int mode, struct mailbox **m_r)
{
    fixture_begin(&f);
    f.options.expunge_mode = mode;
    fixture_reopen(&f);
    *m_r = fixture_mailbox(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(fixture_append(*m_r, 1, 3, RECORD_FLAGGED), 1);
}

static bool is_there(struct mailbox *m, uint32_t number)
{
    struct mailbox_record r;

    CU_ASSERT_EQUAL(mailbox_read_records(m, number, 1, &r), 0);
    return !(r.system & RECORD_EXPUNGED);
}

static unsigned index_syncs(void)
{
    struct store_counters c;

    store_counters(f.store, &c);
    return c.index_syncs;
}

static void check_clean(void)
{
    struct mailbox_findings found;

    CU_ASSERT_EQUAL(mailbox_check(f.store, "one", FIXTURE_ID, CHECK_CONTENTS, false, &found), 0);
    CU_ASSERT_FALSE(mailbox_findings_any(&found));
}

static void test_commit(void)
{
    struct mailbox *m;
    struct pool *pool = pool_new(0);
    struct view_news news;
    struct view *view;
    unsigned syncs;

    begin(STORE_EXPUNGE_IMMEDIATE, &m);
    view = fixture_view(&f, FIXTURE_ID);
    syncs = index_syncs();
    CU_ASSERT_EQUAL(fixture_replace(m, 4, 2), 4);
    CU_ASSERT_EQUAL(index_syncs(), syncs + 1);
    CU_ASSERT(mailbox_header(m)->exists == 3 && mailbox_header(m)->flagged == 2 && !is_there(m, 1));
    CU_ASSERT_FALSE(message_file_exists(m, 2));
    CU_ASSERT_EQUAL(view_refresh(view, true, pool, &news), 0);
    CU_ASSERT(news.expunged_count == 1 && news.expunged[0] == 2 && news.exists == 3);
    /* the next one waits for the record of the first */
    CU_ASSERT_EQUAL(fixture_replace(m, 5, 4), 5);
    CU_ASSERT_EQUAL(index_syncs(), syncs + 3);
    CU_ASSERT_EQUAL(fixture_store(view, 1, FLAGS_ADD, RECORD_SEEN, "x"), 0);
    CU_ASSERT_EQUAL(fixture_replace(m, 6, 1), 6);
    CU_ASSERT_EQUAL(index_syncs(), syncs + 5);
    CU_ASSERT_EQUAL(mailbox_header(m)->exists, 3);
    check_clean();
    view_close(&view);
    mailbox_close(&m);
    pool_free(&pool);
    fixture_end(&f);
}

static void test_gone(void)
{
    struct uid_set one = UID_SET_INIT;
    struct mailbox *m;

    begin(STORE_EXPUNGE_DELAYED, &m);
    uid_set_add(&one, 2, 2);
    CU_ASSERT_EQUAL(expunge_uids(m, &one, NULL), 0);
    CU_ASSERT_EQUAL(fixture_replace(m, 4, 2), ERR_EXPUNGED);
    CU_ASSERT_EQUAL(fixture_replace(m, 4, 9), ERR_EXPUNGED);
    CU_ASSERT(mailbox_header(m)->exists == 2 && mailbox_header(m)->last_uid == 3);
    CU_ASSERT_EQUAL(fixture_replace(m, 4, 3), 4);
    CU_ASSERT(message_file_exists(m, 3)); /* until compaction */
    uid_set_free(&one);
    mailbox_close(&m);
    fixture_end(&f);
}

/* What the file has of record 1 when a writer was killed right behind the commit: as before, or torn. */
static void take_back(const unsigned char *raw, bool torn)
{
    unsigned char bytes[INDEX_RECORD_SIZE];

    memcpy(bytes, raw, sizeof(bytes));
    bytes[INDEX_RECORD_SIZE - 1] ^= torn;
    fixture_scribble(&f, FIXTURE_ID, "index", INDEX_RECORDS_AT + INDEX_RECORD_SIZE, bytes, sizeof(bytes));
}

static void read_record(struct mailbox *m, unsigned char *raw)
{
    CU_ASSERT_EQUAL(file_pread(m->fd, raw, INDEX_RECORD_SIZE, INDEX_RECORDS_AT + INDEX_RECORD_SIZE), 0);
}

/* Readers see it done at once, in every way that they have, and the next writer does it. */
static void test_killed(void)
{
    unsigned char before[INDEX_RECORD_SIZE], raw[3 * INDEX_RECORD_SIZE];
    struct pool *pool = pool_new(0);
    struct mailbox_record r;
    struct view_news news;
    struct view *view;
    struct mailbox *m;

    begin(STORE_EXPUNGE_DELAYED, &m);
    view = fixture_view(&f, FIXTURE_ID);
    read_record(m, before);
    CU_ASSERT_EQUAL(fixture_replace(m, 4, 2), 4);
    take_back(before, false);
    CU_ASSERT_FALSE(is_there(m, 1));
    CU_ASSERT_EQUAL(mailbox_read_raw(m, 0, 3, raw), 0);
    CU_ASSERT_EQUAL(record_decode(raw + INDEX_RECORD_SIZE, &r), 0);
    CU_ASSERT((r.system & RECORD_EXPUNGED) && r.modseq == mailbox_header(m)->highest_modseq);
    CU_ASSERT_EQUAL(view_refresh(view, true, pool, &news), 0);
    CU_ASSERT(news.expunged_count == 1 && news.expunged_uids[0] == 2 && news.exists == 3);
    CU_ASSERT_EQUAL(fixture_store(view, 3, FLAGS_ADD, RECORD_SEEN, "x"), 0);
    read_record(m, before);
    CU_ASSERT(mailbox_refresh(m) == 0 && record_decode(before, &r) == 0);
    CU_ASSERT((r.system & RECORD_EXPUNGED) && r.modseq < mailbox_header(m)->highest_modseq);
    CU_ASSERT_EQUAL(fixture_store(view, 3, FLAGS_ADD, RECORD_DRAFT, "y"), 0);
    CU_ASSERT(mailbox_refresh(m) == 0 && mailbox_header(m)->replaced == 0);
    check_clean();
    view_close(&view);
    mailbox_close(&m);
    pool_free(&pool);
    fixture_end(&f);
}

static void test_torn(void)
{
    unsigned char before[INDEX_RECORD_SIZE];
    struct mailbox *m;

    begin(STORE_EXPUNGE_DELAYED, &m);
    read_record(m, before);
    CU_ASSERT_EQUAL(fixture_replace(m, 4, 2), 4);
    take_back(before, true);
    CU_ASSERT_FALSE(is_there(m, 1));
    CU_ASSERT(mailbox_refresh(m) == 0 && mailbox_header(m)->exists == 3);
    check_clean();
    mailbox_close(&m);
    fixture_end(&f);
}

static void test_reconstruct(void)
{
    unsigned char before[INDEX_RECORD_SIZE];
    static const char zero[INDEX_HEADERS_SIZE];
    struct reconstruct_report report;
    struct mailbox *m;

    for (int lost = 0; lost < 2; lost++) {
        begin(STORE_EXPUNGE_DELAYED, &m);
        read_record(m, before);
        CU_ASSERT_EQUAL(fixture_replace(m, 4, 2), 4);
        take_back(before, false);
        mailbox_close(&m);
        if (lost)
            fixture_scribble(&f, FIXTURE_ID, "index", 0, zero, sizeof(zero));
        CU_ASSERT_EQUAL(mailbox_reconstruct(f.store, "one", FIXTURE_ID, 1000, &report), 0);
        CU_ASSERT_EQUAL(report.messages, 3);
        CU_ASSERT_EQUAL(mailbox_open(f.store, "one", FIXTURE_ID, &m), 0);
        CU_ASSERT(mailbox_header(m)->exists == 3 && !is_there(m, 1) && is_there(m, 3));
        mailbox_close(&m);
        fixture_end(&f);
    }
}

/* ---- killed at any instruction ---- */

static void child_run(int fd, unsigned random)
{
    struct mailbox *m;

    fixture_reopen(&f);
    BUG_ON(mailbox_open(f.store, "one", FIXTURE_ID, &m) < 0);
    for (unsigned n = 1;; n++) {
        struct mailbox_record r;
        int64_t uid = 0;

        BUG_ON(mailbox_refresh(m) < 0);
        for (uint32_t i = 0; i < mailbox_header(m)->records; i++) {
            BUG_ON(mailbox_read_records(m, i, 1, &r) < 0);
            if (!(r.system & RECORD_EXPUNGED) && (uid == 0 || rand_r(&random) % 2))
                uid = r.uid;
        }
        if (uid == 0) /* others have replaced them all meanwhile */
            continue;
        uid = fixture_replace(m, n, (uint32_t)uid);
        BUG_ON(uid < 0 && uid != ERR_EXPUNGED);
        if (n % 16 == 0)
            BUG_ON(mailbox_compact(m, INT64_MAX, NULL) < 0);
        BUG_ON(write(fd, &random, 1) != 1);
    }
}

static void kill_some(unsigned round)
{
    pid_t pids[3];
    int fds[2], status;

    BUG_ON(pipe(fds) != 0);
    store_close(&f.store);
    for (unsigned i = 0; i < 3; i++) {
        pids[i] = fork();
        BUG_ON(pids[i] < 0);
        if (pids[i] == 0)
            child_run(fds[1], round * 3 + i);
    }
    close(fds[1]);
    poll(&(struct pollfd){.fd = fds[0], .events = POLLIN}, 1, 30000);
    usleep(round * 7919 % 20000);
    for (unsigned i = 0; i < 3; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], &status, 0);
        CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    close(fds[0]);
    fixture_reopen(&f);
}

/* STORE_TEST_KILLS: how often. */
static void test_kill(void)
{
    const char *more = getenv("STORE_TEST_KILLS");
    unsigned rounds = more != NULL ? (unsigned)atoi(more) : 8;
    struct mailbox *m;

    begin(STORE_EXPUNGE_IMMEDIATE, &m);
    f.options.session_ms = -2000;
    mailbox_close(&m);
    for (unsigned i = 0; i < rounds; i++) {
        uint32_t there = 0;

        kill_some(i);
        CU_ASSERT_EQUAL_FATAL(mailbox_open(f.store, "one", FIXTURE_ID, &m), 0);
        for (uint32_t k = 0; k < mailbox_header(m)->records; k++)
            there += is_there(m, k);
        CU_ASSERT_EQUAL(there, 3); /* for readers, before anybody has recovered */
        CU_ASSERT_EQUAL(index_begin(m, 1000), 0);
        CU_ASSERT_EQUAL(m->next.exists, 3);
        index_end(m);
        mailbox_close(&m);
    }
    check_clean();
    fixture_end(&f);
}

static const struct unit_case cases[] = {
    {"one commit, its syncs", test_commit},
    {"what is gone", test_gone},
    {"killed behind the commit", test_killed},
    {"a torn record", test_torn},
    {"reconstructed", test_reconstruct},
    {"processes killed", test_kill},
    {NULL, NULL},
};

extern const struct unit_suite replace_suite;
const struct unit_suite replace_suite = {"replace", cases};
