#include "cunit/imap/store/fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "imap/store/message.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

/* The partitions of the test under way; set before it has threads. */
static char one[512], two[512], fast_one[512], fast_two[512];

static const char *partition(const char *name)
{
    if (strcmp(name, "one") == 0)
        return one;
    return strcmp(name, "two") == 0 ? two : NULL;
}

const char *fixture_metapartition(const char *name)
{
    if (strcmp(name, "one") == 0)
        return fast_one;
    return strcmp(name, "two") == 0 ? fast_two : NULL;
}

static char *make_dir(void)
{
    const char *tmp = getenv("TMPDIR");
    char *dir;

    /* in memory if possible: syncs are counted, not waited for */
    if (tmp == NULL)
        tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    dir = xstrprintf("%s/iatlas-store-XXXXXX", tmp);

    BUG_ON(mkdtemp(dir) == NULL);
    return dir;
}

/* Options that the databases ask for. */
static void read_config(const char *dir)
{
    static int done;
    char *path = xstrprintf("%s/imapd.conf", dir), *text, *error = NULL;

    if (!done) {
        text = xstrprintf("configdirectory: %s\ndb_map_size: 16M\nlog_target: file:/dev/null\n", dir);
        BUG_ON(file_replace(path, text, strlen(text), 0600) < 0);
        BUG_ON(config_read(path, NULL, "test", &error) < 0);
        free(text);
    }
    done = 1;
    free(path);
}

void fixture_open(struct fixture *f)
{
    char *error = NULL;
    int r = store_open(&f->options, &f->store, &error);

    if (r < 0)
        fprintf(stderr, "store_open: %s: %s\n", error_text(r), error);
    BUG_ON(r < 0);
}

void fixture_begin_empty(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->dir = make_dir();
    read_config(f->dir);
    snprintf(one, sizeof(one), "%s/one", f->dir);
    snprintf(two, sizeof(two), "%s/two", f->dir);
    snprintf(fast_one, sizeof(fast_one), "%s/fast/one", f->dir);
    snprintf(fast_two, sizeof(fast_two), "%s/fast/two", f->dir);
    f->options = (struct store_options){
        .directory = f->dir,
        .partition = partition,
        .expunge_mode = STORE_EXPUNGE_IMMEDIATE,
        .lock_ms = 20000,
        .session_ms = 0,
        .seen_batch_ms = 10000,
    };
    if (getenv("STORE_METAPARTITION") != NULL) {
        f->options.metapartition = fixture_metapartition;
        f->options.metadata_apart = true;
    }
}

void fixture_begin(struct fixture *f)
{
    fixture_begin_empty(f);
    BUG_ON(mkdir(one, 0700) != 0 || mkdir(two, 0700) != 0);
    fixture_open(f);
}

void fixture_reopen(struct fixture *f)
{
    store_close(&f->store);
    fixture_open(f);
}

void fixture_end(struct fixture *f)
{
    store_close(&f->store);
    BUG_ON(file_remove_tree(f->dir) < 0);
    free(f->dir);
}

struct mailbox *fixture_mailbox(struct fixture *f, const char *id)
{
    struct mailbox_create how = {.partition = "one", .id = id, .uidvalidity = 1000};
    struct mailbox *m = NULL;
    int r = mailbox_create(f->store, &how, &m);

    BUG_ON(r < 0);
    return m;
}

char *fixture_text(unsigned n)
{
    return xstrprintf("Date: Sat, 21 Nov 2026 12:00:%02u +0100\r\n"
                      "From: Fred <fred@example.com>\r\n"
                      "To: Mary <mary@example.com>\r\n"
                      "Subject: message %u\r\n"
                      "Message-Id: <%u@example.com>\r\n"
                      "\r\n"
                      "This is message %u.\r\n",
                      n % 60, n, n, n);
}

struct stage *fixture_stage(struct fixture *f, const char *where, const char *text)
{
    struct stage *s;

    BUG_ON(stage_new(f->store, where, &s) < 0);
    BUG_ON(stage_write(s, text, strlen(text)) < 0);
    BUG_ON(stage_finish(s, NULL) < 0);
    return s;
}

static int64_t append(struct mailbox *m, unsigned n, unsigned count, uint32_t system, uint32_t replaces)
{
    struct append_message how = {
        .system = system, .internal_date = 1700000000 + n, .has_internal_date = true};
    struct append_result result;
    struct append *a;
    int64_t uid;
    int r = 0;

    append_begin(m, NULL, &a);
    append_replace(a, replaces);
    for (unsigned i = 0; r == 0 && i < count; i++) {
        char *text = fixture_text(n + i);
        struct stage *s;

        r = stage_new(mailbox_store(m), mailbox_partition(m), &s);
        if (r == 0)
            r = stage_write(s, text, strlen(text));
        if (r == 0)
            r = stage_finish(s, NULL);
        if (r == 0)
            r = append_add(a, &s, &how);
        free(text);
    }
    if (r < 0) {
        append_abort(&a);
        return r;
    }
    r = append_commit(&a, QUOTA_STRICT, &result);
    uid = uid_set_first(&result.uids);
    uid_set_free(&result.uids);
    return r < 0 ? r : uid;
}

int64_t fixture_append(struct mailbox *m, unsigned n, unsigned count, uint32_t system)
{
    return append(m, n, count, system, 0);
}

int64_t fixture_replace(struct mailbox *m, unsigned n, uint32_t uid)
{
    return append(m, n, 1, 0, uid);
}

bool fixture_has_text(struct mailbox *m, uint32_t place, const struct mailbox_record *record, unsigned n)
{
    char *text = fixture_text(n), got[1024];
    struct message *msg;
    bool same;

    message_open(m, place, record, &msg);
    same = message_read(msg, 0, got, sizeof(got)) == (int64_t)strlen(text) &&
           memcmp(got, text, strlen(text)) == 0;
    message_close(&msg);
    free(text);
    return same;
}

struct view *fixture_view(struct fixture *f, const char *id)
{
    struct view *view = NULL;

    BUG_ON(view_open(f->store, "one", id, NULL, false, &view) < 0);
    return view;
}

int fixture_store(struct view *view, uint32_t uid, enum flag_operation operation, uint32_t system,
                  const char *keyword)
{
    const char *const keywords[] = {keyword, NULL};
    struct flag_change change = {.operation = operation,
                                 .system = system,
                                 .keywords = keywords,
                                 .may_system = RECORD_SYSTEM_FLAGS,
                                 .may_keywords = true};
    struct uid_set set = UID_SET_INIT;
    struct flag_result result;
    int r;

    uid_set_add(&set, uid, uid);
    r = flags_store(view, &set, &change, &result);
    uid_set_free(&result.modified);
    uid_set_free(&set);
    return r;
}

void fixture_scribble(struct fixture *f, const char *id, const char *file, int64_t offset, const void *data,
                      size_t n)
{
    struct buf path = BUF_INIT;
    bool is_message = file[0] >= '0' && file[0] <= '9';
    int fd;

    BUG_ON((is_message ? mailbox_dir : mailbox_metadata_dir)(f->store, "one", id, &path) < 0);
    buf_printf(&path, "/%s", file);
    fd = open(buf_cstr(&path), O_WRONLY);
    BUG_ON(fd < 0 || file_pwrite(fd, data, n, offset) < 0);
    close(fd);
    buf_free(&path);
}
