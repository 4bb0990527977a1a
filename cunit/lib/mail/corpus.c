/* Real mail: every message of a corpus beside the project, where there is one (MAIL_CORPUS, or
 * ../shared/corpus from the top of the source tree). */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "cunit/lib/mail/consistent.h"
#include "cunit/unit.h"
#include "lib/base/file.h"

enum { MESSAGE_MAX = 16 * 1024 * 1024, CUTS = 6 };

static void check(const char *path, const char *data, size_t n)
{
    const char *wrong = mail_consistent(data, n);

    if (wrong == NULL)
        return;
    printf("\n  %s, %zu bytes: %s\n", path, n, wrong);
    CU_FAIL("a message is inconsistent");
}

static void to_crlf(const struct buf *from, struct buf *to)
{
    for (size_t i = 0; i < from->len; i++) {
        if (from->data[i] == '\n' && (i == 0 || from->data[i - 1] != '\r'))
            buf_putc(to, '\r');
        buf_putc(to, from->data[i]);
    }
}

/* The message whole, with CRLF, and cut off in some places (always the same ones). */
static void check_message(const char *path)
{
    struct buf text = BUF_INIT, crlf = BUF_INIT;

    if (file_read_all(path, MESSAGE_MAX, &text) == 0) {
        to_crlf(&text, &crlf);
        check(path, buf_cstr(&text), text.len);
        check(path, buf_cstr(&crlf), crlf.len);
        srand((unsigned)crlf.len);
        for (int i = 0; i < CUTS && crlf.len > 0; i++)
            check(path, crlf.data, (size_t)rand() % crlf.len);
    }
    buf_free(&text);
    buf_free(&crlf);
}

static unsigned check_directory(const char *top, const char *name)
{
    struct buf path = BUF_INIT;
    struct dirent *e;
    unsigned count = 0;
    DIR *dir;

    buf_printf(&path, "%s/%s", top, name);
    dir = opendir(buf_cstr(&path));
    while (dir != NULL && (e = readdir(dir)) != NULL) {
        if (e->d_name[0] == '.')
            continue;
        buf_reset(&path);
        buf_printf(&path, "%s/%s/%s", top, name, e->d_name);
        check_message(buf_cstr(&path));
        count++;
    }
    if (dir != NULL)
        closedir(dir);
    buf_free(&path);
    return count;
}

static void test_corpus(void)
{
    const char *given = getenv("MAIL_CORPUS"), *source = getenv("srcdir");
    struct buf top = BUF_INIT;
    unsigned count;

    if (given != NULL)
        buf_puts(&top, given);
    else
        buf_printf(&top, "%s/../shared/corpus", source != NULL ? source : "..");
    count = check_directory(buf_cstr(&top), "lists") + check_directory(buf_cstr(&top), "odd");
    printf("(%u messages) ", count);
    CU_ASSERT(given == NULL || count > 0);
    buf_free(&top);
}

static const struct unit_case cases[] = {{"corpus", test_corpus}, {NULL, NULL}};
const struct unit_suite corpus_suite = {"lib/mail/corpus", cases};
