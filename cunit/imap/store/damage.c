/* Damage, crashes of the machine, unfinished writers: found, put right, and no message lost. */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cunit/imap/store/fixture.h"
#include "cunit/unit.h"
#include "imap/store/mailbox-private.h"
#include "imap/store/message.h"
#include "imap/store/recover.h"
#include "imap/store/stage-private.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

static struct fixture f;
static unsigned seed;

static unsigned roll(unsigned n)
{
    return (unsigned)rand_r(&seed) % n;
}

/* How many of the texts 0 to count - 1 are in the mailbox, each counted once. */
static unsigned count_texts(struct mailbox *m, unsigned count)
{
    bool *found = xcalloc(count, sizeof(*found));
    unsigned n = 0;

    for (uint32_t i = 0; i < mailbox_header(m)->records; i++) {
        struct mailbox_record record;
        struct message *msg;
        char text[1024];
        unsigned number;
        int64_t got;
        const char *subject;

        if (mailbox_read_records(m, i, 1, &record) < 0 || (record.system & RECORD_EXPUNGED))
            continue;
        message_open(m, i, &record, &msg);
        got = message_read(msg, 0, text, sizeof(text) - 1);
        text[got > 0 ? got : 0] = '\0';
        subject = strstr(text, "Subject: message ");
        number = subject != NULL ? (unsigned)atoi(subject + 17) : count;
        if (number < count && !found[number]) {
            found[number] = true;
            n++;
        }
        message_close(&msg);
    }
    free(found);
    return n;
}

/* Random bytes over [offset, offset + n). */
static void scribble(const char *file, int64_t offset, size_t n)
{
    unsigned char *junk = xmalloc(n);

    for (size_t i = 0; i < n; i++)
        junk[i] = (unsigned char)roll(256);
    fixture_scribble(&f, FIXTURE_ID, file, offset, junk, n);
    free(junk);
}

static struct mailbox *begin(unsigned messages)
{
    struct mailbox *m;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    for (unsigned i = 0; i < messages; i++)
        CU_ASSERT_EQUAL(fixture_append(m, i, 1, 0), i + 1);
    return m;
}

static void end(struct mailbox **m)
{
    mailbox_close(m);
    fixture_end(&f);
}

static int64_t record_at(uint32_t n)
{
    return INDEX_RECORDS_AT + (int64_t)n * INDEX_RECORD_SIZE;
}

/* One copy is scribbled over: the other is used, and nothing is lost once a writer has looked. */
static void test_header_copies(void)
{
    struct mailbox *m = begin(10), *again;
    struct header_pair pair;

    for (unsigned i = 0; i < 6; i++) {
        uint32_t exists = mailbox_header(m)->exists;
        int newest;

        CU_ASSERT_EQUAL(header_pair_read(m->fd, &pair), 0);
        newest = header_pair_newest(&pair);
        scribble("index", (i % 2 ? 1 - newest : newest) * INDEX_HEADER_B + roll(3000), 1 + roll(500));
        CU_ASSERT_EQUAL(mailbox_open(f.store, "one", FIXTURE_ID, &again), 0);
        CU_ASSERT(mailbox_header(again)->exists >= exists - 1);
        CU_ASSERT_EQUAL(fixture_append(again, 10 + i, 1, 0), 11 + i); /* no UID twice */
        CU_ASSERT_EQUAL(mailbox_header(again)->exists, exists + 1);
        mailbox_close(&again);
        CU_ASSERT_EQUAL(mailbox_refresh(m), 0);
        CU_ASSERT_EQUAL(count_texts(m, 11 + i), 11 + i);
    }
    end(&m);
}

static void test_record_mutable(void)
{
    struct mailbox *m = begin(200), *again;
    struct mailbox_record before, after;

    CU_ASSERT_EQUAL(mailbox_read_records(m, 100, 1, &before), 0);
    scribble("index", record_at(100) + INDEX_RECORD_FIXED + 4, 40);
    CU_ASSERT_EQUAL(mailbox_open(f.store, "one", FIXTURE_ID, &again), 0);
    CU_ASSERT_EQUAL(mailbox_read_records(again, 100, 1, &after), 0); /* repaired by reading */
    CU_ASSERT_EQUAL(after.uid, before.uid);
    CU_ASSERT_EQUAL(after.internal_date, before.internal_date);
    CU_ASSERT_EQUAL(memcmp(after.guid, before.guid, GUID_SIZE), 0);
    CU_ASSERT(after.modseq > before.modseq);
    CU_ASSERT_EQUAL(mailbox_header(again)->highest_modseq, after.modseq);
    mailbox_close(&again);
    end(&m);
}

static void test_record_whole(void)
{
    static const uint32_t gone[] = {0, 57, 58, 59, 99};
    struct mailbox *m = begin(100), *again;
    struct mailbox_record before[5], after;

    for (unsigned i = 0; i < 5; i++)
        CU_ASSERT_EQUAL(mailbox_read_records(m, gone[i], 1, &before[i]), 0);
    for (unsigned i = 0; i < 5; i++)
        scribble("index", record_at(gone[i]), INDEX_RECORD_SIZE);
    CU_ASSERT_EQUAL(mailbox_open(f.store, "one", FIXTURE_ID, &again), 0);
    for (unsigned i = 0; i < 5; i++) {
        CU_ASSERT_EQUAL(mailbox_read_records(again, gone[i], 1, &after), 0);
        CU_ASSERT_EQUAL(after.uid, before[i].uid);
        CU_ASSERT_EQUAL(after.size, before[i].size);
        CU_ASSERT_EQUAL(memcmp(after.guid, before[i].guid, GUID_SIZE), 0);
        CU_ASSERT(after.system & RECORD_REBUILT);
    }
    CU_ASSERT_EQUAL(count_texts(again, 100), 100);
    mailbox_close(&again);
    end(&m);
}

/* Anything anywhere: reading never crashes, and after a writer (or reconstruction) every message is there. */
static void test_random_damage(void)
{
    const char *more = getenv("STORE_TEST_DAMAGE");
    int rounds = more != NULL ? atoi(more) : 20;

    for (int i = 0; i < rounds; i++) {
        struct mailbox *m = begin(20), *again = NULL;
        struct reconstruct_report report;
        struct stat st;
        unsigned places = 1 + roll(3);

        fstat(m->fd, &st);
        mailbox_close(&m);
        while (places-- > 0)
            scribble("index", roll((unsigned)st.st_size - 300), 1 + roll(300));
        if (roll(10) == 0) {
            struct buf path = BUF_INIT;

            mailbox_metadata_dir(f.store, "one", FIXTURE_ID, &path);
            buf_puts(&path, "/index");
            CU_ASSERT_EQUAL(truncate(buf_cstr(&path), roll((unsigned)st.st_size)), 0);
            buf_free(&path);
        }
        if (mailbox_open(f.store, "one", FIXTURE_ID, &again) == 0)
            (void)count_texts(again, 20);
        if (again == NULL || fixture_append(again, 20, 1, 0) < 0 || count_texts(again, 21) < 21) {
            mailbox_close(&again);
            CU_ASSERT_EQUAL(mailbox_reconstruct(f.store, "one", FIXTURE_ID, 2000, &report), 0);
            CU_ASSERT_EQUAL(mailbox_open(f.store, "one", FIXTURE_ID, &again), 0);
        }
        CU_ASSERT(count_texts(again, 20) == 20);
        end(&again);
    }
}

static void test_cache(void)
{
    struct mailbox *m = begin(30);
    struct mailbox_record records[30];
    struct store_counters before, after;
    struct stat st;

    CU_ASSERT_EQUAL(mailbox_read_records(m, 0, 30, records), 0);
    for (unsigned round = 0; round < 3; round++) {
        if (round == 0) {
            struct buf path = BUF_INIT;

            mailbox_metadata_dir(f.store, "one", FIXTURE_ID, &path);
            buf_puts(&path, "/cache.1");
            CU_ASSERT_EQUAL(stat(buf_cstr(&path), &st), 0);
            buf_free(&path);
            for (unsigned i = 0; i < 30; i++)
                scribble("cache.1", (int64_t)records[i].cache_offset + roll(records[i].cache_size), 1);
        }
        store_counters(f.store, &before);
        for (unsigned i = 0; i < 30; i++) {
            struct message *msg;
            const char *data;
            char want[64];
            size_t len;

            CU_ASSERT_EQUAL(mailbox_read_records(m, i, 1, &records[i]), 0);
            message_open(m, i, &records[i], &msg);
            CU_ASSERT_EQUAL(message_item(msg, CACHE_ENVELOPE, &data, &len), 0);
            snprintf(want, sizeof(want), "\"message %u\"", i);
            CU_ASSERT(memmem(data, len, want, strlen(want)) != NULL);
            message_close(&msg);
        }
        store_counters(f.store, &after);
        if (round == 0)
            CU_ASSERT(after.cache_misses - before.cache_misses >= 29); /* a byte may stay what it was */
        if (round > 0)
            CU_ASSERT_EQUAL(after.cache_misses, before.cache_misses); /* healed */
    }
    end(&m);
}

/* ---- crashes ---- */

/* The header as another boot of the machine left it. */
static void set_boot(struct mailbox *m)
{
    struct header_pair pair;
    unsigned char raw[INDEX_HEADER_SIZE];

    CU_ASSERT_EQUAL(header_pair_read(m->fd, &pair), 0);
    for (int i = 0; i < 2; i++) {
        memset(pair.copy[i].boot_id, 7, BOOT_ID_SIZE);
        header_encode(raw, &pair.copy[i]);
        fixture_scribble(&f, FIXTURE_ID, "index", i * INDEX_HEADER_B, raw, sizeof(raw));
    }
}

static void test_other_boot(void)
{
    struct mailbox *m = begin(10);
    struct mailbox_record record;
    uint64_t modseq = mailbox_header(m)->highest_modseq;
    struct view *view = fixture_view(&f, FIXTURE_ID);
    struct pool *pool = pool_new(0);
    struct view_news news;

    set_boot(m);
    message_file_unlink(m, 4); /* its name was never on disk */
    CU_ASSERT_EQUAL(fixture_append(m, 10, 1, 0), 11 + RECOVER_SKIP);
    CU_ASSERT(mailbox_header(m)->highest_modseq > modseq + RECOVER_SKIP);
    CU_ASSERT_EQUAL(mailbox_header(m)->exists, 10);
    CU_ASSERT_EQUAL(mailbox_read_records(m, 3, 1, &record), 0);
    CU_ASSERT(record.system & RECORD_EXPUNGED);
    CU_ASSERT_EQUAL(view_refresh(view, true, pool, &news), 0);
    CU_ASSERT(news.expunged_count == 1 && news.expunged[0] == 4 && news.exists == 10);
    CU_ASSERT_EQUAL(fixture_append(m, 11, 1, 0), 12 + RECOVER_SKIP); /* once */
    view_close(&view);
    pool_free(&pool);
    end(&m);
}

/* Delivery to several, the machine dies before the names are on disk: the stage still has the message. */
static void test_stage_lookup(void)
{
    struct mailbox *m = begin(3);
    char *text = fixture_text(1);
    struct stage *s = fixture_stage(&f, "one", text);
    struct mailbox_record record;

    CU_ASSERT_EQUAL(stage_publish(s), 0);
    message_file_unlink(m, 2);
    set_boot(m);
    CU_ASSERT_EQUAL(fixture_append(m, 3, 1, 0), 4 + RECOVER_SKIP);
    CU_ASSERT_EQUAL(mailbox_header(m)->exists, 4);
    CU_ASSERT_EQUAL(mailbox_read_records(m, 1, 1, &record), 0);
    CU_ASSERT(record.uid == 2 && !(record.system & RECORD_EXPUNGED));
    CU_ASSERT_EQUAL(count_texts(m, 4), 4);
    stage_free(&s);
    CU_ASSERT_EQUAL(stage_clean(f.store, "one"), 0);
    free(text);
    end(&m);
}

/* A writer dies between the records and the header. */
static void test_dirty(void)
{
    struct mailbox *m = begin(100), *dead;
    struct mailbox_record batch[10];
    struct store_counters before, after;

    CU_ASSERT_EQUAL(mailbox_open(f.store, "one", FIXTURE_ID, &dead), 0);
    CU_ASSERT_EQUAL(index_begin(dead, 1000), 0);
    CU_ASSERT_EQUAL(index_mark_dirty(dead), 0);
    CU_ASSERT_EQUAL(mailbox_read_records(dead, 20, 10, batch), 0);
    for (int i = 0; i < 10; i++) {
        batch[i].system |= RECORD_SEEN | (i < 3 ? (uint32_t)RECORD_EXPUNGED : 0);
        batch[i].modseq = dead->next.highest_modseq + 1;
    }
    CU_ASSERT_EQUAL(records_write(dead, 20, 10, batch), 0);
    mailbox_close(&dead); /* no commit */
    CU_ASSERT_EQUAL(mailbox_refresh(m), 0);
    CU_ASSERT_EQUAL(mailbox_header(m)->exists, 100);
    store_counters(f.store, &before);
    CU_ASSERT_EQUAL(fixture_append(m, 100, 1, 0), 101); /* no skip: the kernel lost nothing */
    store_counters(f.store, &after);
    CU_ASSERT_EQUAL(after.recoveries, before.recoveries + 1);
    CU_ASSERT_EQUAL(mailbox_header(m)->exists, 98);
    CU_ASSERT_EQUAL(mailbox_header(m)->expunged, 3);
    CU_ASSERT_EQUAL(mailbox_header(m)->unseen, 91);
    CU_ASSERT(mailbox_header(m)->highest_modseq > batch[0].modseq);
    end(&m);
}

/* An append that linked its file and wrote its record, and died: the UID is given again, the orphan goes. */
static void test_orphan(void)
{
    struct mailbox *m = begin(2);
    char *text = fixture_text(77);
    struct stage *s = fixture_stage(&f, "one", text);

    CU_ASSERT_EQUAL(message_file_link(m, 3, s->fd), 0);
    stage_free(&s);
    CU_ASSERT_EQUAL(fixture_append(m, 2, 1, 0), 3);
    CU_ASSERT_EQUAL(count_texts(m, 3), 3);
    free(text);
    end(&m);
}

/* The copy that is on disk is never the one that is written, whatever was committed without a sync. */
static void test_synced_copy(void)
{
    struct mailbox *m = begin(1);
    struct header_pair before, after;

    for (int i = 0; i < 50; i++) {
        unsigned safe;

        CU_ASSERT_EQUAL(header_pair_read(m->fd, &before), 0);
        safe = before.copy[1].generation == before.synced;
        CU_ASSERT_EQUAL(before.copy[safe].generation, before.synced);
        CU_ASSERT_EQUAL(index_begin(m, 1000), 0);
        if (roll(2))
            CU_ASSERT_EQUAL(index_mark_dirty(m), 0);
        CU_ASSERT_EQUAL(index_commit(m, roll(3) == 0), 0);
        index_end(m);
        CU_ASSERT_EQUAL(header_pair_read(m->fd, &after), 0);
        CU_ASSERT_EQUAL(before.copy[safe].generation, after.copy[safe].generation);
    }
    end(&m);
}

/* ---- reconstruction ---- */

static void test_reconstruct(void)
{
    struct reconstruct_report report;
    struct mailbox *m = begin(20);
    struct view *view = fixture_view(&f, FIXTURE_ID);
    struct mailbox_record record;
    struct buf path = BUF_INIT;
    struct uid_set gone = UID_SET_INIT;

    CU_ASSERT_EQUAL(fixture_store(view, 5, FLAGS_ADD, RECORD_FLAGGED, "$lab"), 0);
    uid_set_add(&gone, 7, 7);
    CU_ASSERT_EQUAL(expunge_uids(m, &gone, NULL), 0);
    uid_set_free(&gone);
    view_close(&view);
    CU_ASSERT_EQUAL(mailbox_reconstruct(f.store, "one", FIXTURE_ID, 2000, &report), 0); /* nothing to do */
    CU_ASSERT(report.messages == 19 && report.rebuilt == 0 && report.missing == 0 && report.new_uids == 0);
    CU_ASSERT(!report.new_uidvalidity);
    CU_ASSERT_EQUAL(mailbox_refresh(m), 0);
    message_file_unlink(m, 9);
    scribble("index", 0, INDEX_HEADERS_SIZE); /* both headers */
    scribble("index", record_at(10), 300);    /* and two records */
    mailbox_close(&m);
    CU_ASSERT_EQUAL(mailbox_open(f.store, "one", FIXTURE_ID, &m), ERR_CORRUPT);
    CU_ASSERT_EQUAL(mailbox_reconstruct(f.store, "one", FIXTURE_ID, 2000, &report), 0);
    CU_ASSERT(report.messages == 18 && report.rebuilt == 2 && report.missing == 1 && report.new_uidvalidity);
    CU_ASSERT_EQUAL(mailbox_open(f.store, "one", FIXTURE_ID, &m), 0);
    CU_ASSERT_EQUAL(mailbox_header(m)->uidvalidity, 2000);
    CU_ASSERT_EQUAL(count_texts(m, 20), 18);
    CU_ASSERT_EQUAL(mailbox_read_records(m, 4, 1, &record), 0);
    CU_ASSERT(record.uid == 5 && (record.system & RECORD_FLAGGED)); /* flags too */
    CU_ASSERT(record_has_user_flag(&record, (unsigned)mailbox_flag_number(m, "$lab")));
    mailbox_index_path(m, &path);
    CU_ASSERT_EQUAL(unlink(buf_cstr(&path)), 0); /* no index at all */
    mailbox_close(&m);
    CU_ASSERT_EQUAL(mailbox_reconstruct(f.store, "one", FIXTURE_ID, 3000, &report), 0);
    CU_ASSERT(report.messages == 18 && report.rebuilt == 18);
    CU_ASSERT_EQUAL(mailbox_open(f.store, "one", FIXTURE_ID, &m), 0);
    CU_ASSERT_EQUAL(count_texts(m, 20), 18);
    CU_ASSERT(fixture_append(m, 20, 1, 0) > RECOVER_SKIP);
    buf_free(&path);
    end(&m);
}

/* A message file that no record knows, in the middle of a mailbox: it comes in at the end. */
static void test_reconstruct_stray(void)
{
    struct reconstruct_report report;
    struct mailbox *m = begin(5);
    struct uid_set gone = UID_SET_INIT;
    char *text = fixture_text(2);
    struct stage *s = fixture_stage(&f, "one", text);

    uid_set_add(&gone, 3, 3);
    CU_ASSERT_EQUAL(expunge_uids(m, &gone, NULL), 0);
    f.store->options.session_ms = -2000;
    CU_ASSERT_EQUAL(mailbox_compact(m, INT64_MAX, NULL), 0);
    CU_ASSERT_EQUAL(mailbox_header(m)->records, 4);
    CU_ASSERT_EQUAL(message_file_link(m, 3, s->fd), 0);
    CU_ASSERT_EQUAL(mailbox_reconstruct(f.store, "one", FIXTURE_ID, 2000, &report), 0);
    CU_ASSERT(report.messages == 5 && report.new_uids == 1);
    CU_ASSERT_EQUAL(mailbox_refresh(m), 0);
    CU_ASSERT_EQUAL(mailbox_header(m)->last_uid, 6);
    CU_ASSERT_EQUAL(count_texts(m, 5), 5);
    CU_ASSERT_EQUAL(message_file_open(m, 3), ERR_EXPUNGED);
    uid_set_free(&gone);
    stage_free(&s);
    free(text);
    end(&m);
}

static void *reconstruct_thread(void *context)
{
    (void)context;
    CU_ASSERT_EQUAL(mailbox_reconstruct(f.store, "one", FIXTURE_ID, 2000, &(struct reconstruct_report){0}),
                    0);
    return NULL;
}

/* Reconstruction that waits behind a compaction works on what that has put in place. */
static void test_reconstruct_behind_compaction(void)
{
    struct mailbox *m = begin(2);
    struct mailbox_record records[2];
    struct rewriter w;
    pthread_t thread;

    CU_ASSERT_EQUAL(index_begin(m, 1000), 0);
    pthread_create(&thread, NULL, reconstruct_thread, NULL);
    usleep(50000); /* it waits for the lock */
    CU_ASSERT_EQUAL(mailbox_read_records(m, 0, 2, records), 0);
    CU_ASSERT_EQUAL(rewrite_begin(m, m->apart, &w), 0);
    CU_ASSERT_EQUAL(rewrite_add(&w, &records[0], NULL), 0);
    CU_ASSERT_EQUAL(rewrite_add(&w, &records[1], NULL), 0);
    w.header.last_uid = 77;
    CU_ASSERT_EQUAL(rewrite_finish(&w), 0);
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(mailbox_refresh(m), 0);
    CU_ASSERT_EQUAL(mailbox_header(m)->last_uid, 77);
    CU_ASSERT_EQUAL(count_texts(m, 2), 2);
    end(&m);
}

static struct buf path_of(const struct mailbox *m, const char *file)
{
    bool is_message = file[0] >= '0' && file[0] <= '9';
    struct buf path = BUF_INIT;

    buf_printf(&path, "%s/%s", m->apart && !is_message ? m->apart_dir : m->dir, file);
    return path;
}

/* Nobody writes to a new index whose name is not on disk yet. */
static void test_rewrite_lock(void)
{
    struct mailbox *m = begin(1);
    struct buf path = path_of(m, "index.new");
    struct lock *lock;
    struct rewriter w;
    int fd;

    CU_ASSERT_EQUAL(index_begin(m, 1000), 0);
    CU_ASSERT_EQUAL(rewrite_begin(m, m->apart, &w), 0);
    fd = open(buf_cstr(&path), O_RDWR | O_CLOEXEC);
    CU_ASSERT_EQUAL(lock_acquire(fd, LOCK_SHARED, 0, &lock), ERR_TIMEOUT);
    CU_ASSERT_EQUAL(rewrite_finish(&w), 0);
    CU_ASSERT_EQUAL(lock_acquire(fd, LOCK_SHARED, 0, &lock), 0);
    lock_release(&lock);
    close(fd);
    buf_free(&path);
    end(&m);
}

/* Compaction that dies between its steps leaves no file that nobody knows to be expunged. */
static void test_compact_unlinks_first(void)
{
    struct mailbox *m = begin(3);
    struct buf path = path_of(m, "index"), keep = path_of(m, "keep");
    struct uid_set gone = UID_SET_INIT;
    uint32_t removed;

    f.store->options.session_ms = -2000;
    f.store->options.expunge_mode = STORE_EXPUNGE_DELAYED;
    uid_set_add(&gone, 2, 2);
    CU_ASSERT_EQUAL(expunge_uids(m, &gone, NULL), 0);
    CU_ASSERT(message_file_exists(m, 2));
    /* what cannot be replaced by a file */
    CU_ASSERT(rename(buf_cstr(&path), buf_cstr(&keep)) == 0 && mkdir(buf_cstr(&path), 0700) == 0);
    CU_ASSERT(mailbox_compact(m, INT64_MAX, &removed) < 0);
    CU_ASSERT(!message_file_exists(m, 2));
    CU_ASSERT(rmdir(buf_cstr(&path)) == 0 && rename(buf_cstr(&keep), buf_cstr(&path)) == 0);
    CU_ASSERT_EQUAL(mailbox_compact(m, INT64_MAX, &removed), 0);
    CU_ASSERT_EQUAL(removed, 1);
    CU_ASSERT_EQUAL(count_texts(m, 3), 2);
    uid_set_free(&gone);
    buf_free(&path);
    buf_free(&keep);
    end(&m);
}

/* A message file that has not the size that it should is not told in part. */
static void test_cut_message(void)
{
    static const off_t lost[] = {0, 1, 100, -1};
    struct mailbox *m = begin(1);
    struct buf path = path_of(m, "1.");
    struct stat st;

    CU_ASSERT_EQUAL(stat(buf_cstr(&path), &st), 0);
    for (size_t i = 0; i < ARRAY_SIZE(lost); i++) {
        struct mailbox_record record;
        struct message *msg;
        const char *item;
        char c;
        size_t n;

        CU_ASSERT_EQUAL(truncate(buf_cstr(&path), st.st_size - lost[i]), 0);
        CU_ASSERT_EQUAL(mailbox_read_records(m, 0, 1, &record), 0);
        message_open(m, 0, &record, &msg);
        CU_ASSERT_EQUAL(message_fd(msg) < 0 ? message_fd(msg) : 0, lost[i] != 0 ? ERR_CORRUPT : 0);
        CU_ASSERT_EQUAL(message_read(msg, 0, &c, 1), lost[i] != 0 ? ERR_CORRUPT : 1);
        CU_ASSERT_EQUAL(message_item(msg, CACHE_ENVELOPE, &item, &n), 0); /* the cache has it */
        message_close(&msg);
    }
    buf_free(&path);
    end(&m);
}

static const struct unit_case cases[] = {
    {"header copies", test_header_copies},
    {"record, its changing part", test_record_mutable},
    {"record, all of it", test_record_whole},
    {"random damage", test_random_damage},
    {"cache", test_cache},
    {"another boot", test_other_boot},
    {"message found in stage", test_stage_lookup},
    {"dirty mark", test_dirty},
    {"orphan file", test_orphan},
    {"synced header copy", test_synced_copy},
    {"reconstruct", test_reconstruct},
    {"a message cut short", test_cut_message},
    {"reconstruct a stray file", test_reconstruct_stray},
    {"reconstruct behind a compaction", test_reconstruct_behind_compaction},
    {"rewrite holds the new index", test_rewrite_lock},
    {"compaction unlinks first", test_compact_unlinks_first},
    {NULL, NULL},
};

extern const struct unit_suite damage_suite;
const struct unit_suite damage_suite = {"damage", cases};
