#include "imap/proxy/offers.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cunit/unit.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

static char directory[64];

/* A configdirectory of its own, and nothing seen. */
static void begin(void)
{
    struct buf text = BUF_INIT, path = BUF_INIT;
    char *error = NULL;

    strcpy(directory, "/tmp/ia-offers-XXXXXX");
    BUG_ON(mkdtemp(directory) == NULL);
    buf_printf(&path, "%s/imapd.conf", directory);
    buf_printf(&text, "configdirectory: %s\n", directory);
    BUG_ON(file_replace(buf_cstr(&path), text.data, text.len, 0600) != 0);
    BUG_ON(config_read(buf_cstr(&path), NULL, "test", &error) != 0);
    buf_free(&text);
    buf_free(&path);
}

static void end(void)
{
    offers_end();
    file_remove_tree(directory);
}

static void read_file(const char *server, struct buf *to)
{
    struct buf path = BUF_INIT;

    config_path(&path, "servers/%s", server);
    CU_ASSERT_EQUAL(file_read_all(buf_cstr(&path), 100000, to), 0);
    buf_free(&path);
}

static void write_file(const char *name, const char *text)
{
    struct buf path = BUF_INIT;

    config_path(&path, "servers/%s", name);
    CU_ASSERT_EQUAL(file_replace(buf_cstr(&path), text, strlen(text), 0600), 0);
    buf_free(&path);
}

/* When the server's file was written, in seconds before now. */
static void age_file(const char *server, int64_t age)
{
    struct timespec times[2] = {{.tv_sec = clock_wall() - age}, {.tv_sec = clock_wall() - age}};
    struct buf path = BUF_INIT;

    config_path(&path, "servers/%s", server);
    CU_ASSERT_EQUAL(utimensat(AT_FDCWD, buf_cstr(&path), times, 0), 0);
    buf_free(&path);
}

static void test_everywhere(void)
{
    unsigned before;

    begin();
    CU_ASSERT(offers_everywhere("SORT")); /* nobody is known to lack it */
    before = offers_change();
    offers_note("be1.lab", "IMAP4rev1 SORT ESORT QUOTA");
    CU_ASSERT_NOT_EQUAL(offers_change(), before);
    before = offers_change();
    offers_note("be1.lab", "IMAP4rev1 SORT ESORT QUOTA");
    CU_ASSERT_EQUAL(offers_change(), before);
    CU_ASSERT(offers_everywhere("SORT") && offers_everywhere("sort") && !offers_everywhere("MOVE"));
    offers_note("be2.lab:2143", "IMAP4rev1 ESORT QUOTA");
    CU_ASSERT(!offers_everywhere("SORT") && offers_everywhere("ESORT"));
    offers_note("be2.lab:2143", "IMAP4rev1 SORT");
    CU_ASSERT(offers_everywhere("SORT") && !offers_everywhere("ESORT"));
    end();
}

static void test_what_is_left_out(void)
{
    struct buf text = BUF_INIT;

    begin();
    offers_note("be1.lab",
                "  IMAP4rev1 AUTH=PLAIN compress=DEFLATE UNAUTHENTICATE SASL-IR STARTTLS LOGINDISABLED  X ");
    read_file("be1.lab", &text);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&text), "IMAP4rev1 X\n");
    buf_free(&text);
    offers_note("../be1.lab", "X"); /* not a file's name */
    offers_note("/a/socket", "X");
    offers_note("", "X");
    CU_ASSERT(offers_everywhere("IMAP4rev1"));
    end();
}

static void test_long_lists(void)
{
    struct buf words = BUF_INIT, text = BUF_INIT;

    begin();
    for (int i = 0; i < 5000; i++)
        buf_printf(&words, "%sWORD%d", i > 0 ? " " : "", i);
    offers_note("be1.lab", buf_cstr(&words));
    read_file("be1.lab", &text);
    CU_ASSERT(text.len > OFFERS_WORDS_MAX / 2 && text.len <= OFFERS_WORDS_MAX + 1);
    CU_ASSERT(offers_everywhere("WORD1") && !offers_everywhere("WORD4999"));
    offers_refresh();
    CU_ASSERT(offers_everywhere("WORD1"));
    buf_free(&words);
    buf_free(&text);
    end();
}

/* What one process learnt the others read, and the next one too. */
static void test_files(void)
{
    unsigned before;

    begin();
    offers_note("be1.lab", "A B");
    offers_note("be2.lab", "A");
    offers_end();
    CU_ASSERT(offers_everywhere("B"));
    before = offers_change();
    offers_refresh();
    CU_ASSERT_NOT_EQUAL(offers_change(), before);
    CU_ASSERT(!offers_everywhere("B") && offers_everywhere("A"));
    before = offers_change();
    offers_refresh();
    CU_ASSERT_EQUAL(offers_change(), before);
    end();
}

/* What another process is writing, or was when it died, is no server that has next to nothing. */
static void test_unfinished_files(void)
{
    struct buf text = BUF_INIT, path = BUF_INIT;
    struct stat st;

    begin();
    offers_note("be1.lab", "A B");
    write_file("be1.lab.4711.tmp", "A");
    offers_refresh();
    CU_ASSERT(offers_everywhere("B") && !offers_everywhere("C"));
    read_file("be1.lab.4711.tmp", &text);
    age_file("be1.lab.4711.tmp", OFFERS_KEEP_S + 60);
    offers_refresh();
    config_path(&path, "servers/be1.lab.4711.tmp");
    CU_ASSERT_NOT_EQUAL(stat(buf_cstr(&path), &st), 0);
    buf_free(&text);
    buf_free(&path);
    end();
}

static void test_forgetting(void)
{
    begin();
    offers_note("be1.lab", "A B");
    offers_note("old.lab", "A");
    age_file("be1.lab", OFFERS_KEEP_S - 60);
    age_file("old.lab", OFFERS_KEEP_S + 60);
    offers_refresh();
    CU_ASSERT(offers_everywhere("B") && offers_everywhere("A") && !offers_everywhere("C"));
    offers_note("be1.lab", "A B"); /* met again: for another day */
    age_file("be1.lab", 0);
    offers_refresh();
    CU_ASSERT(!offers_everywhere("C"));
    age_file("be1.lab", OFFERS_KEEP_S + 60);
    offers_refresh();
    CU_ASSERT(offers_everywhere("C"));
    end();
}

static const struct unit_case cases[] = {{"everywhere", test_everywhere},
                                         {"what_is_left_out", test_what_is_left_out},
                                         {"long_lists", test_long_lists},
                                         {"files", test_files},
                                         {"unfinished_files", test_unfinished_files},
                                         {"forgetting", test_forgetting},
                                         {NULL, NULL}};

extern const struct unit_suite offers_suite;
const struct unit_suite offers_suite = {"offers", cases};
