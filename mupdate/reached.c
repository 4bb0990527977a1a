/* reached.c: a line with a term and a sequence. */
#include "mupdate/reached.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

enum { LINE_MAX_BYTES = 64 };

static char *path_of(const char *dir)
{
    return xstrprintf("%s/mupdate.group.reached", dir);
}

static int parse(const struct buf *text, struct names_position *at_r)
{
    const char *end = memchr(text->data, '\n', text->len), *blank;

    if (end == NULL || (blank = memchr(text->data, ' ', (size_t)(end - text->data))) == NULL)
        return ERR_CORRUPT;
    return str_parse_u64(text->data, (size_t)(blank - text->data), &at_r->term) == 0 &&
                   str_parse_u64(blank + 1, (size_t)(end - blank - 1), &at_r->sequence) == 0
               ? 0
               : ERR_CORRUPT;
}

int reached_load(const char *dir, struct names_position *at_r)
{
    char *path = path_of(dir);
    struct buf text = BUF_INIT;
    int r = file_read_all(path, LINE_MAX_BYTES, &text);

    *at_r = (struct names_position){0, 0};
    if (r == 0)
        r = text.len == 0 ? ERR_CORRUPT : parse(&text, at_r);
    buf_free(&text);
    free(path);
    return r == ERR_NOTFOUND ? 0 : r;
}

int reached_store(const char *dir, const struct names_position *at)
{
    char line[LINE_MAX_BYTES], *path = path_of(dir);
    int n = snprintf(line, sizeof(line), "%" PRIu64 " %" PRIu64 "\n", at->term, at->sequence), r;

    r = file_replace(path, line, (size_t)n, 0600);
    free(path);
    return r;
}
