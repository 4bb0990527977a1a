/* Processes are killed at any instruction, threads and processes work at once: what was acknowledged is there,
 * no UID is used twice, no number goes back. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cunit/imap/store/fixture.h"
#include "cunit/unit.h"
#include "imap/store/copy.h"
#include "imap/store/mailbox-private.h"
#include "imap/store/message.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

enum { UIDS_MAX = 100000, OTHER_BATCH = 5 };
#define OTHER_ID "other-mailbox"

static struct fixture f;

static int rounds(const char *variable, int normal)
{
    const char *more = getenv(variable);

    return more != NULL ? atoi(more) : normal;
}

/* What a child tells before it goes on: this is acknowledged.  Another may tell sooner what it did with the message. */
struct ack {
    enum { ACK_APPEND, ACK_EXPUNGE, ACK_COPY, ACK_FLAG } what;
    uint32_t uid;    /* of COPY: the first in the other mailbox */
    unsigned number; /* of the text */
    uint64_t modseq; /* the mailbox's highest then */
};

/* ---- the child ---- */

static void tell(int fd, struct ack ack)
{
    BUG_ON(write(fd, &ack, sizeof(ack)) != sizeof(ack));
}

static void child_append(int fd, struct mailbox *m, unsigned number)
{
    int64_t uid = fixture_append(m, number, 1, 0);

    BUG_ON(uid < 0);
    tell(fd, (struct ack){ACK_APPEND, (uint32_t)uid, number, mailbox_header(m)->highest_modseq});
}

/* Some message of the view; false: there is none, or compaction has ended the view. */
static bool pick(struct view *view, unsigned *random, uint32_t *uid_r)
{
    struct view_message message;
    uint32_t got;
    int r;

    if (view_exists(view) == 0)
        return false;
    r = view_read(view, (uint32_t)rand_r(random) % view_exists(view) + 1, 1, &message, &got);
    BUG_ON(r < 0 ? r != ERR_EXPUNGED : got != 1);
    *uid_r = message.record.uid;
    return r == 0;
}

static void child_expunge(int fd, struct view *view, unsigned *random)
{
    struct uid_set one = UID_SET_INIT, gone;
    struct mailbox *m;
    uint32_t uid;

    if (!pick(view, random, &uid))
        return;
    uid_set_add(&one, uid, uid);
    BUG_ON(expunge_messages(view, &(struct expunge_what){&one, true}, &gone) < 0);
    view_mailbox(view, &m);
    if (gone.count > 0)
        tell(fd, (struct ack){ACK_EXPUNGE, uid, 0, mailbox_header(m)->highest_modseq});
    uid_set_free(&one);
    uid_set_free(&gone);
}

static void child_flag(int fd, struct view *view, unsigned *random)
{
    struct mailbox *m;
    uint32_t uid;

    if (!pick(view, random, &uid))
        return;
    BUG_ON(fixture_store(view, uid, FLAGS_ADD, RECORD_FLAGGED, "$crash") < 0);
    view_mailbox(view, &m);
    tell(fd, (struct ack){ACK_FLAG, uid, 0, mailbox_header(m)->highest_modseq});
}

static void child_copy(int fd, struct view *view, struct mailbox *other)
{
    static const struct copy_options options = {.may_flags = true};
    struct uid_set some = UID_SET_INIT;
    struct copy_result result;
    int r;

    if (view_exists(view) < OTHER_BATCH)
        return;
    r = view_seqs_to_uids(view, 1, OTHER_BATCH, &some);
    if (r == 0)
        r = copy_messages(view, &some, other, &options, &result);
    BUG_ON(r < 0 && r != ERR_EXPUNGED);
    if (r == 0) {
        tell(fd, (struct ack){ACK_COPY, uid_set_first(&result.destination), 0, result.modseq});
        copy_result_free(&result);
    }
    uid_set_free(&some);
}

static void child_run(int fd, unsigned random, unsigned number)
{
    struct pool *pool = pool_new(0);
    struct mailbox *m, *other;
    struct view *view;
    struct view_news news;

    fixture_reopen(&f);
    BUG_ON(mailbox_open(f.store, "one", FIXTURE_ID, &m) < 0);
    BUG_ON(mailbox_open(f.store, "one", OTHER_ID, &other) < 0);
    view = fixture_view(&f, FIXTURE_ID);
    for (;;) {
        unsigned what = (unsigned)rand_r(&random) % 10;
        int r;

        if (what < 5)
            child_append(fd, m, number++);
        else if (what < 7)
            child_expunge(fd, view, &random);
        else if (what < 8)
            child_copy(fd, view, other);
        else
            child_flag(fd, view, &random);
        if (rand_r(&random) % 50 == 0)
            (void)mailbox_compact(m, INT64_MAX, NULL);
        r = view_refresh(view, true, pool, &news);
        pool_reset(pool);
        if (r == ERR_EXPUNGED) {
            view_close(&view);
            view = fixture_view(&f, FIXTURE_ID);
        } else {
            BUG_ON(r < 0);
        }
    }
}

/* ---- the parent ---- */

static struct {
    unsigned char state[UIDS_MAX]; /* acknowledged: 1 appended, 2 expunged, 4 flagged */
    unsigned number[UIDS_MAX];
    uint64_t modseq;
    uint32_t copies; /* acknowledged messages in the other mailbox */
} known;

static unsigned wrong;

static void learn(const struct ack *ack)
{
    if (ack->modseq > known.modseq && ack->what != ACK_COPY)
        known.modseq = ack->modseq;
    if (ack->uid >= UIDS_MAX)
        return;
    switch (ack->what) {
    case ACK_APPEND:
        wrong += known.state[ack->uid] & 1; /* a UID twice */
        known.state[ack->uid] |= 1;
        known.number[ack->uid] = ack->number;
        break;
    case ACK_EXPUNGE:
        known.state[ack->uid] |= 2;
        break;
    case ACK_FLAG:
        known.state[ack->uid] |= 4;
        break;
    case ACK_COPY:
        known.copies += OTHER_BATCH;
        break;
    }
}

/* One process may have been killed between an operation and its word: each of `children` leaves one operation
 * that is done or not. */
static void verify(unsigned children)
{
    unsigned char *there = xcalloc(1, UIDS_MAX);
    unsigned lost = 0, back = 0;
    struct mailbox *m, *other;
    uint32_t last = 0;

    BUG_ON(mailbox_open(f.store, "one", FIXTURE_ID, &m) < 0);
    BUG_ON(index_begin(m, 1000) < 0); /* recovers */
    index_end(m);
    for (uint32_t i = 0; i < mailbox_header(m)->records; i++) {
        struct mailbox_record record;

        wrong += mailbox_read_records(m, i, 1, &record) < 0;
        wrong += record.uid <= last || record.uid > mailbox_header(m)->last_uid;
        wrong += record.modseq > mailbox_header(m)->highest_modseq;
        last = record.uid;
        if ((record.system & RECORD_EXPUNGED) || record.uid >= UIDS_MAX)
            continue;
        there[record.uid] = 1;
        back += (known.state[record.uid] & 2) != 0;
        wrong += (known.state[record.uid] & 4) && !(record.system & RECORD_FLAGGED);
        if (known.state[record.uid] & 1)
            wrong += !fixture_has_text(m, i, &record, known.number[record.uid]);
    }
    for (uint32_t uid = 1; uid < UIDS_MAX; uid++) {
        if ((known.state[uid] & 3) == 1 && !there[uid]) {
            lost++; /* an expunge whose word was cut off, at most one a child */
            known.state[uid] |= 2;
        }
    }
    wrong += back > 0 || lost > children;
    wrong += mailbox_header(m)->highest_modseq < known.modseq;
    known.modseq = mailbox_header(m)->highest_modseq;
    BUG_ON(mailbox_open(f.store, "one", OTHER_ID, &other) < 0);
    BUG_ON(index_begin(other, 1000) < 0);
    index_end(other);
    wrong += mailbox_header(other)->exists % OTHER_BATCH != 0; /* all or nothing */
    wrong += mailbox_header(other)->exists < known.copies;
    wrong += mailbox_header(other)->exists > known.copies + children * OTHER_BATCH;
    known.copies = mailbox_header(other)->exists;
    mailbox_close(&m);
    mailbox_close(&other);
    free(there);
}

static unsigned acks;

static void read_acks(int fd)
{
    struct ack ack;

    for (; read(fd, &ack, sizeof(ack)) == sizeof(ack); acks++)
        learn(&ack);
}

/* Every other time a busy machine's children get as far as an answer before they are killed. */
static void let_them_work(int fd, unsigned round)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    if (round % 2 == 0)
        poll(&p, 1, 30000);
    usleep(20000 + (round * 7919) % 60000);
}

static void run_and_kill(unsigned children, unsigned round)
{
    pid_t pids[8];
    int fds[2];

    BUG_ON(pipe(fds) != 0);
    store_close(&f.store);
    for (unsigned i = 0; i < children; i++) {
        pids[i] = fork();
        BUG_ON(pids[i] < 0);
        if (pids[i] == 0) {
            close(fds[0]);
            child_run(fds[1], round * 8 + i + 1, (round * 8 + i) * 1000);
            _exit(0);
        }
    }
    close(fds[1]);
    let_them_work(fds[0], round);
    for (unsigned i = 0; i < children; i++) {
        int status;

        kill(pids[i], SIGKILL);
        waitpid(pids[i], &status, 0);
        wrong += !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL; /* it found something wrong */
    }
    read_acks(fds[0]);
    close(fds[0]);
    fixture_reopen(&f);
}

static void test_kill(void)
{
    struct mailbox *m;
    int n = rounds("STORE_TEST_KILLS", 12);

    memset(&known, 0, sizeof(known));
    wrong = acks = 0;
    fixture_begin(&f);
    f.options.session_ms = -2000;
    fixture_reopen(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    mailbox_close(&m);
    m = fixture_mailbox(&f, OTHER_ID);
    mailbox_close(&m);
    for (int i = 0; i < n && wrong == 0; i++) {
        unsigned children = 1 + (unsigned)i % 3;

        run_and_kill(children, (unsigned)i);
        verify(children);
        CU_ASSERT_EQUAL(wrong, 0);
    }
    CU_ASSERT(acks >= (unsigned)n / 2); /* it did work */
    fixture_end(&f);
}

/* ---- at once ---- */

static atomic_bool stop;
static atomic_uint bad_reads, good_reads;

/* A reader without locks: every header and record it sees is whole, and no number goes back. */
static void *reader(void *context)
{
    struct mailbox *m;
    uint32_t last_uid = 0, incarnation = 0;
    uint64_t modseq = 0, generation = 0;

    (void)context;
    BUG_ON(mailbox_open(f.store, "one", FIXTURE_ID, &m) < 0);
    for (unsigned done = 0; !stop || done < 10; done++) {
        const struct mailbox_header *h = mailbox_header(m);
        struct mailbox_record batch[RECORD_BATCH];
        uint32_t from = h->records > RECORD_BATCH ? h->records - RECORD_BATCH : 0, n = h->records - from;

        bad_reads += h->last_uid < last_uid || h->highest_modseq < modseq;
        bad_reads += m->incarnation == incarnation && h->generation < generation;
        bad_reads += mailbox_read_records(m, from, n, batch) < 0;
        for (uint32_t i = 1; i < n; i++)
            bad_reads += batch[i].uid <= batch[i - 1].uid;
        last_uid = h->last_uid;
        modseq = h->highest_modseq;
        generation = h->generation;
        incarnation = m->incarnation;
        good_reads++;
        bad_reads += mailbox_refresh(m) < 0;
    }
    mailbox_close(&m);
    return NULL;
}

static void *writer(void *context)
{
    unsigned number = *(unsigned *)context * 1000, random = number + 1;
    struct mailbox *m;

    BUG_ON(mailbox_open(f.store, "one", FIXTURE_ID, &m) < 0);
    for (int i = 0; i < 25; i++) {
        struct view *view = fixture_view(&f, FIXTURE_ID);
        uint32_t any = (uint32_t)rand_r(&random) % (view_uidnext(view) + 1) + 1;
        struct uid_set set = UID_SET_INIT;

        BUG_ON(fixture_append(m, number++, 1, 0) < 0);
        BUG_ON(fixture_store(view, any, FLAGS_ADD, RECORD_FLAGGED, "$x") < 0);
        uid_set_add(&set, any, any);
        if (i % 3 == 0)
            BUG_ON(expunge_uids(m, &set, NULL) < 0);
        if (i % 10 == 9)
            BUG_ON(mailbox_compact(m, INT64_MAX, NULL) < 0);
        uid_set_free(&set);
        view_close(&view);
    }
    mailbox_close(&m);
    return NULL;
}

static void test_threads(void)
{
    pthread_t readers[2], writers[3];
    unsigned which[3] = {1, 2, 3};
    struct mailbox *m;
    uint32_t exists = 0;

    fixture_begin(&f);
    f.options.session_ms = -2000;
    fixture_reopen(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    stop = false;
    bad_reads = good_reads = 0;
    for (int i = 0; i < 2; i++)
        pthread_create(&readers[i], NULL, reader, NULL);
    for (int i = 0; i < 3; i++)
        pthread_create(&writers[i], NULL, writer, &which[i]);
    for (int i = 0; i < 3; i++)
        pthread_join(writers[i], NULL);
    stop = true;
    for (int i = 0; i < 2; i++)
        pthread_join(readers[i], NULL);
    CU_ASSERT_EQUAL(bad_reads, 0);
    CU_ASSERT(good_reads >= 20);
    CU_ASSERT_EQUAL(mailbox_refresh(m), 0);
    CU_ASSERT_EQUAL(mailbox_header(m)->last_uid, 75);
    for (uint32_t i = 0; i < mailbox_header(m)->records; i++) {
        struct mailbox_record record;

        CU_ASSERT_EQUAL(mailbox_read_records(m, i, 1, &record), 0);
        exists += !(record.system & RECORD_EXPUNGED);
        CU_ASSERT((record.system & RECORD_EXPUNGED) || message_file_exists(m, record.uid));
    }
    CU_ASSERT_EQUAL(exists, mailbox_header(m)->exists);
    mailbox_close(&m);
    fixture_end(&f);
}

/* A mailbox is deleted under open handles. */
static void test_deleted(void)
{
    struct mailbox *m, *other;
    struct view *view;
    struct pool *pool = pool_new(0);
    struct view_news news;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(mailbox_open(f.store, "one", FIXTURE_ID, &other), 0);
    fixture_append(m, 0, 3, 0);
    view = fixture_view(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(mailbox_delete(f.store, "one", FIXTURE_ID), 0);
    CU_ASSERT_EQUAL(mailbox_refresh(m), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(fixture_append(other, 9, 1, 0), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(view_refresh(view, true, pool, &news), ERR_NOTFOUND);
    view_park(view);
    CU_ASSERT_EQUAL(view_refresh(view, true, pool, &news), ERR_NOTFOUND);
    view_close(&view);
    mailbox_close(&m);
    mailbox_close(&other);
    pool_free(&pool);
    fixture_end(&f);
}

static const struct unit_case cases[] = {
    {"processes killed", test_kill},
    {"threads at once", test_threads},
    {"deleted while open", test_deleted},
    {NULL, NULL},
};

extern const struct unit_suite crash_suite;
const struct unit_suite crash_suite = {"crash", cases};
