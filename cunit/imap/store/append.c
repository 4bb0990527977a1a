#include "imap/store/append.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cunit/imap/store/fixture.h"
#include "cunit/unit.h"
#include "imap/store/copy.h"
#include "imap/store/mailbox-private.h"
#include "imap/store/message.h"
#include "imap/store/stage-private.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static struct fixture f;

static void check_text(struct mailbox *m, uint32_t number, unsigned n)
{
    struct mailbox_record record;
    struct message *msg;
    const char *data;
    char *text = fixture_text(n), got[1024], want[64];
    size_t len;

    CU_ASSERT_EQUAL(mailbox_read_records(m, number, 1, &record), 0);
    CU_ASSERT_EQUAL(record.size, strlen(text));
    message_open(m, number, &record, &msg);
    CU_ASSERT_EQUAL(message_read(msg, 0, got, sizeof(got)), (int64_t)strlen(text));
    CU_ASSERT_EQUAL(memcmp(got, text, strlen(text)), 0);
    CU_ASSERT_EQUAL(message_item(msg, CACHE_ENVELOPE, &data, &len), 0);
    snprintf(want, sizeof(want), "\"message %u\"", n);
    CU_ASSERT(memmem(data, len, want, strlen(want)) != NULL);
    CU_ASSERT_EQUAL(message_item(msg, CACHE_HEADERS, &data, &len), 0);
    CU_ASSERT(memmem(data, len, "Subject: ", 9) != NULL);
    message_close(&msg);
    free(text);
}

static struct store_counters syncs_since(const struct store_counters *before)
{
    struct store_counters c;

    store_counters(f.store, &c);
    c.file_syncs -= before->file_syncs;
    c.index_syncs -= before->index_syncs;
    c.dir_syncs -= before->dir_syncs;
    return c;
}

static void check_syncs(const struct store_counters *before, unsigned file, unsigned index, unsigned dir)
{
    struct store_counters c = syncs_since(before);

    CU_ASSERT_EQUAL(c.file_syncs, file);
    CU_ASSERT_EQUAL(c.index_syncs, index);
    CU_ASSERT_EQUAL(c.dir_syncs, dir);
}

static void test_create(void)
{
    struct mailbox_create how = {.partition = "one", .id = FIXTURE_ID, .uidvalidity = 5, .uidnext = 100};
    struct mailbox_status status;
    struct store_counters before;
    struct mailbox *m = NULL;

    fixture_begin(&f);
    CU_ASSERT_EQUAL(mailbox_open(f.store, "one", FIXTURE_ID, &m), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(mailbox_create(f.store, &how, NULL), 0);
    CU_ASSERT_EQUAL(mailbox_create(f.store, &how, NULL), ERR_EXISTS);
    CU_ASSERT_EQUAL(mailbox_open(f.store, "one", FIXTURE_ID, &m), 0);
    CU_ASSERT_EQUAL(mailbox_status(m, NULL, &status), 0);
    CU_ASSERT(status.messages == 0 && status.uidnext == 100 && status.uidvalidity == 5);
    CU_ASSERT_EQUAL(status.highest_modseq, 1);
    mailbox_close(&m);
    CU_ASSERT_EQUAL(mailbox_open(f.store, "nope", FIXTURE_ID, &m), ERR_NOTFOUND);
    how.id = "../../../etc";
    CU_ASSERT_EQUAL(mailbox_create(f.store, &how, NULL), ERR_BADNAME);
    how.id = "short";
    CU_ASSERT_EQUAL(mailbox_create(f.store, &how, NULL), ERR_BADNAME);
    store_counters(f.store, &before);
    CU_ASSERT_EQUAL(mailbox_delete(f.store, "one", FIXTURE_ID), 0);
    check_syncs(&before, 0, 0, f.options.metadata_apart ? 2 : 1);
    CU_ASSERT_EQUAL(mailbox_delete(f.store, "one", FIXTURE_ID), 0);
    CU_ASSERT_EQUAL(mailbox_open(f.store, "one", FIXTURE_ID, &m), ERR_NOTFOUND);
    fixture_end(&f);
}

static void test_append(void)
{
    struct mailbox_status status;
    struct store_counters before;
    struct mailbox *m;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(fixture_append(m, 0, 1, RECORD_SEEN), 1);
    store_counters(f.store, &before);
    CU_ASSERT_EQUAL(fixture_append(m, 1, 1, 0), 2);
    check_syncs(&before, 1, 1, 0); /* 2 syncs a message */
    store_counters(f.store, &before);
    CU_ASSERT_EQUAL(fixture_append(m, 2, 100, RECORD_FLAGGED), 3);
    check_syncs(&before, 100, 1, 0);
    CU_ASSERT_EQUAL(mailbox_status(m, NULL, &status), 0);
    CU_ASSERT(status.messages == 102 && status.unseen == 101 && status.recent == 102);
    CU_ASSERT(status.uidnext == 103 && status.highest_modseq == 4);
    for (unsigned i = 0; i < 102; i++)
        check_text(m, i, i);
    mailbox_close(&m);
    fixture_end(&f);
}

static void test_stage(void)
{
    static const struct {
        const char *text;
        uint32_t lines;
        bool bare, nul;
        size_t n;
    } rows[] = {
        {"", 0, false, false, 0},           {"a: b\r\n\r\nx\r\n", 3, false, false, 11},
        {"a: b\n\r\nx", 2, true, false, 8}, {"\n", 1, true, false, 1},
        {"a\0b\r\n", 1, false, true, 5},
    };

    fixture_begin(&f);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        for (size_t piece = 1; piece <= rows[i].n + 1; piece++) {
            struct stage_info info;
            struct stage *s;

            CU_ASSERT_EQUAL(stage_new(f.store, "two", &s), 0);
            for (size_t at = 0; at < rows[i].n; at += piece)
                stage_write(s, rows[i].text + at, rows[i].n - at < piece ? rows[i].n - at : piece);
            CU_ASSERT_EQUAL(stage_finish(s, &info), 0);
            CU_ASSERT(info.size == rows[i].n && info.lines == rows[i].lines);
            CU_ASSERT(info.has_bare_lf == rows[i].bare && info.has_nul == rows[i].nul);
            stage_free(&s);
        }
    }
    fixture_end(&f);
}

/* A message that is taken to another partition while it comes, at each of its bytes. */
static void test_stage_move(void)
{
    struct mailbox *m;
    char *text = fixture_text(3);
    size_t n = strlen(text);

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    for (size_t at = 0; at <= n; at += at < 4 ? 1 : 97) {
        struct deliver_target t = {.mailbox = m};
        struct stage_info info;
        struct stage *s;

        CU_ASSERT_EQUAL(stage_new(f.store, "two", &s), 0);
        CU_ASSERT_EQUAL(stage_write(s, text, at), 0);
        CU_ASSERT_EQUAL(stage_move(s, "three"), ERR_NOTFOUND); /* as it was */
        CU_ASSERT_STRING_EQUAL(s->partition, "two");
        CU_ASSERT_EQUAL(stage_move(s, "one"), 0);
        CU_ASSERT_STRING_EQUAL(s->partition, "one");
        CU_ASSERT_EQUAL(stage_write(s, text + at, n - at), 0);
        CU_ASSERT_EQUAL(stage_finish(s, &info), 0);
        CU_ASSERT_EQUAL(info.size, n);
        CU_ASSERT_EQUAL(deliver(s, &t, 1), 0);
        stage_free(&s);
        mailbox_refresh(m);
        check_text(m, mailbox_header(m)->records - 1, 3);
    }
    mailbox_close(&m);
    free(text);
    fixture_end(&f);
}

static int refuse(struct deliver_target *target)
{
    return target->context != NULL ? ERR_EXISTS : 0;
}

static void test_deliver(void)
{
    static const char *const ids[] = {"mailbox-0", "mailbox-1", "mailbox-2", "mailbox-3"};
    struct deliver_target t[4] = {{0}};
    struct store_counters before;
    char *text = fixture_text(9);
    struct stage *s;
    struct stat a, b;
    char path[600];

    fixture_begin(&f);
    for (int i = 0; i < 4; i++) {
        t[i].mailbox = fixture_mailbox(&f, ids[i]);
        t[i].admit = refuse;
    }
    s = fixture_stage(&f, "one", text);
    store_counters(f.store, &before);
    t[3].context = &f; /* a duplicate there */
    CU_ASSERT_EQUAL(deliver(s, t, 4), ERR_EXISTS);
    check_syncs(&before, 2, 3, 0); /* 2 + n */
    stage_free(&s);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT(t[i].result == 0 && t[i].uid == 1 && t[i].uidvalidity == 1000);
        mailbox_refresh(t[i].mailbox);
        check_text(t[i].mailbox, 0, 9);
    }
    CU_ASSERT_EQUAL(t[3].result, ERR_EXISTS);
    snprintf(path, sizeof(path), "%s/1.", t[0].mailbox->dir);
    CU_ASSERT_EQUAL(stat(path, &a), 0);
    snprintf(path, sizeof(path), "%s/1.", t[2].mailbox->dir);
    CU_ASSERT_EQUAL(stat(path, &b), 0);
    CU_ASSERT(a.st_ino == b.st_ino && a.st_nlink == 3); /* one file, no stage name left */
    s = fixture_stage(&f, "two", text);
    store_counters(f.store, &before);
    CU_ASSERT_EQUAL(deliver(s, t, 1), 0); /* another partition: copied */
    check_syncs(&before, 1, 1, 0);
    stage_free(&s);
    mailbox_refresh(t[0].mailbox);
    check_text(t[0].mailbox, 1, 9);
    for (int i = 0; i < 4; i++)
        mailbox_close(&t[i].mailbox);
    free(text);
    fixture_end(&f);
}

/* From here on the stage cannot be synced. */
static void break_sync(struct deliver_target *t)
{
    struct stage *s = t->context;
    int fds[2];

    CU_ASSERT_EQUAL(pipe(fds), 0);
    dup2(fds[0], s->fd);
    close(fds[0]);
    close(fds[1]);
}

static unsigned staged_files(void)
{
    int fd = store_stage_dir(f.store, "one");
    DIR *d = fdopendir(fd);
    struct dirent *e;
    unsigned n = 0;

    while ((e = readdir(d)) != NULL)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* The names may not be on disk: nobody is told that they are, and recovery can still find the message. */
static void test_deliver_not_synced(void)
{
    struct deliver_target t[2] = {{0}};
    char *text = fixture_text(9);
    struct stage *s;

    fixture_begin(&f);
    t[0].mailbox = fixture_mailbox(&f, "mailbox-0");
    t[1].mailbox = fixture_mailbox(&f, "mailbox-1");
    s = fixture_stage(&f, "one", text);
    t[1].done = break_sync;
    t[1].context = s;
    CU_ASSERT(deliver(s, t, 2) < 0);
    CU_ASSERT(t[0].result < 0 && t[1].result < 0);
    stage_free(&s);
    CU_ASSERT_EQUAL(staged_files(), 1);
    mailbox_close(&t[0].mailbox);
    mailbox_close(&t[1].mailbox);
    free(text);
    fixture_end(&f);
}

static const struct copy_options all_rights = {
    .quota = QUOTA_STRICT, .may_seen = true, .may_deleted = true, .may_flags = true};

static void test_copy(void)
{
    struct mailbox_create two = {.partition = "two", .id = "other-two", .uidvalidity = 7};
    struct mailbox *m, *one, *far;
    struct store_counters before;
    struct copy_result result;
    struct uid_set uids = UID_SET_INIT;
    struct mailbox_record record;
    struct buf text = BUF_INIT;
    struct view *view;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    one = fixture_mailbox(&f, "other-one");
    CU_ASSERT_EQUAL(mailbox_create(f.store, &two, &far), 0);
    fixture_append(one, 90, 1, 0);
    fixture_append(m, 0, 200, RECORD_ANSWERED);
    view = fixture_view(&f, FIXTURE_ID);
    CU_ASSERT_EQUAL(fixture_store(view, 150, FLAGS_ADD, RECORD_SEEN, "$lab"), 0);
    uid_set_add(&uids, 11, 180);
    uid_set_add(&uids, 500, 600); /* not there: left out */
    store_counters(f.store, &before);
    CU_ASSERT_EQUAL(copy_messages(view, &uids, one, &all_rights, &result), 0);
    check_syncs(&before, 0, 1, 1); /* whatever the number */
    uid_set_format(&result.source, &text);
    buf_putc(&text, ' ');
    uid_set_format(&result.destination, &text);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&text), "11:180 2:171");
    CU_ASSERT_EQUAL(result.uidvalidity, 1000);
    copy_result_free(&result);
    CU_ASSERT_EQUAL(mailbox_read_records(one, 140, 1, &record), 0);
    CU_ASSERT_EQUAL(record.system, RECORD_SEEN | RECORD_ANSWERED);
    CU_ASSERT(record_has_user_flag(&record, (unsigned)mailbox_flag_number(one, "$LAB")));
    CU_ASSERT_EQUAL(record.internal_date, 1700000000);
    for (unsigned i = 0; i < 170; i++)
        check_text(one, i + 1, i + 10);
    uid_set_free(&uids);
    uid_set_add(&uids, 3, 5);
    store_counters(f.store, &before);
    CU_ASSERT_EQUAL(copy_messages(view, &uids, far, &all_rights, &result), 0);
    check_syncs(&before, 3, 1, 0);
    copy_result_free(&result);
    check_text(far, 2, 4);
    CU_ASSERT_EQUAL(copy_messages(view, &uids, m, &all_rights, &result), 0); /* to itself */
    CU_ASSERT_EQUAL(uid_set_first(&result.destination), 201);
    copy_result_free(&result);
    view_close(&view);
    uid_set_free(&uids);
    buf_free(&text);
    mailbox_close(&m);
    mailbox_close(&one);
    mailbox_close(&far);
    fixture_end(&f);
}

/* A message whose file is gone: nothing is copied. */
static void test_copy_gone(void)
{
    struct mailbox *m, *one;
    struct copy_result result;
    struct uid_set uids = UID_SET_INIT;
    struct view *view, *other;

    fixture_begin(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    one = fixture_mailbox(&f, "other-one");
    fixture_append(m, 0, 5, RECORD_DELETED);
    view = fixture_view(&f, FIXTURE_ID);
    other = fixture_view(&f, FIXTURE_ID);
    uid_set_add(&uids, 3, 3);
    CU_ASSERT_EQUAL(expunge_messages(other, &(struct expunge_what){&uids, false}, NULL), 0);
    uid_set_add(&uids, 1, 5);
    CU_ASSERT_EQUAL(copy_messages(view, &uids, one, &all_rights, &result), ERR_EXPUNGED);
    CU_ASSERT_EQUAL(mailbox_refresh(one), 0);
    CU_ASSERT_EQUAL(mailbox_header(one)->exists, 0);
    message_file_unlink(m, 2); /* behind the store's back, found while linking */
    uid_set_remove(&uids, 3, 3);
    CU_ASSERT_EQUAL(copy_messages(view, &uids, one, &all_rights, &result), ERR_EXPUNGED);
    CU_ASSERT_EQUAL(mailbox_refresh(one), 0);
    CU_ASSERT_EQUAL(mailbox_header(one)->exists, 0);
    CU_ASSERT_EQUAL(message_file_open(one, 1), ERR_EXPUNGED);
    view_close(&view);
    view_close(&other);
    uid_set_free(&uids);
    mailbox_close(&m);
    mailbox_close(&one);
    fixture_end(&f);
}

/* RFC 3516 4.4: where NUL bytes stand decides: a body that is not encoded becomes base64, anywhere else is refused. */
static void test_encode_binary(void)
{
#define B(s)    s, sizeof(s) - 1
#define PART(s) "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" s "\r\n--b--\r\n"
    static const struct {
        const char *text;
        size_t n;
        const char *encoded; /* NULL: refused */
    } rows[] = {
        {B("A: b\r\n\r\nx\0y"), "A: b\r\nContent-Transfer-Encoding: base64\r\n\r\neAB5\r\n"},
        {B("Content-Transfer-Encoding:\r\n binary\r\nA: b\r\n\r\n\0"),
         "A: b\r\nContent-Transfer-Encoding: base64\r\n\r\nAA==\r\n"},
        {B(PART("\r\n\0")), PART("Content-Transfer-Encoding: base64\r\n\r\nAA==\r\n")},
        {B(PART("Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\n\0")),
         PART("Content-Type: message/rfc822\r\n\r\nA: b\r\nContent-Transfer-Encoding: "
              "base64\r\n\r\nAA==\r\n")},
        {B("A: \0\r\n\r\nx"), NULL},
        {B("A: \0"), NULL},
        {B("Content-Transfer-Encoding: base64\r\n\r\nAA\0"), NULL},
        {B("Content-Transfer-Encoding: x-frob\r\n\r\nAA\0"), NULL},
        {B(PART("\r\nx") "\0"), NULL},
    };

    fixture_begin(&f);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct stage_info info;
        struct stage *s;
        char got[1024];
        int64_t n;

        CU_ASSERT_EQUAL(stage_new(f.store, "one", &s), 0);
        CU_ASSERT_EQUAL(stage_write(s, rows[i].text, rows[i].n), 0);
        CU_ASSERT_EQUAL(stage_finish(s, &info), 0);
        CU_ASSERT(info.has_nul);
        CU_ASSERT_EQUAL(stage_encode_binary(&s, &info), rows[i].encoded != NULL ? 0 : ERR_UNSUPPORTED);
        n = stage_read(s, 0, got, sizeof(got));
        if (rows[i].encoded != NULL) {
            CU_ASSERT_EQUAL(n, (int64_t)strlen(rows[i].encoded));
            CU_ASSERT_EQUAL(memcmp(got, rows[i].encoded, strlen(rows[i].encoded)), 0);
            CU_ASSERT(!info.has_nul);
        } else {
            CU_ASSERT_EQUAL(n, (int64_t)rows[i].n); /* as it was */
        }
        stage_free(&s);
    }
    fixture_end(&f);
#undef B
#undef PART
}

static const struct unit_case cases[] = {
    {"create, open, delete", test_create},
    {"encode NUL bytes", test_encode_binary},
    {"append, its syncs", test_append},
    {"stage", test_stage},
    {"stage, moved", test_stage_move},
    {"deliver, its syncs", test_deliver},
    {"deliver, not synced", test_deliver_not_synced},
    {"copy, its syncs", test_copy},
    {"copy what is gone", test_copy_gone},
    {NULL, NULL},
};

extern const struct unit_suite append_suite;
const struct unit_suite append_suite = {"append", cases};
