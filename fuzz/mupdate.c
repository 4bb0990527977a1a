/* MUPDATE: lines, whole and byte by byte, against what is written of them; stored records of the mailbox list. */
#include <stdint.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/mboxlist/record.h"
#include "lib/mupdate/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void describe(const struct mupdate_line *line, int r, struct buf *to)
{
    buf_printf(to, "%d %s", r, line->tag);
    if (r == 1)
        buf_printf(to, " %s", line->word);
    for (size_t i = 0; r == 1 && i < line->count; i++) {
        buf_putc(to, ' ');
        mupdate_put_string(to, line->args[i]);
    }
    buf_puts(to, "\r\n");
}

static void parse(const char *s, size_t n, size_t piece, struct buf *to)
{
    struct mupdate_parser *parser = mupdate_parser_new();
    const struct mupdate_line *line;
    size_t at = 0, used;
    int r = 0;

    while (at < n && r != ERR_TOOBIG) {
        r = mupdate_parser_feed(parser, s + at, n - at < piece ? n - at : piece, &used, &line);
        BUG_ON(used == 0 || used > n - at);
        at += used;
        if (r == 1 || r == ERR_SYNTAX)
            describe(line, r, to);
        mupdate_parser_go_ahead(parser);
    }
    buf_printf(to, "%d", r);
    mupdate_parser_free(&parser);
}

static void read_record(const uint8_t *data, size_t size)
{
    struct pool *pool = pool_new(0);
    struct mboxlist_record record;

    if (mboxlist_record_decode(data, size, pool, &record) == 0)
        BUG_ON(record.name == NULL || record.special_use == NULL);
    pool_free(&pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole = BUF_INIT, bytes = BUF_INIT;

    parse((const char *)data, size, size, &whole);
    parse((const char *)data, size, 1, &bytes);
    BUG_ON(strcmp(buf_cstr(&whole), buf_cstr(&bytes)) != 0);
    buf_free(&whole);
    buf_free(&bytes);
    read_record(data, size);
    return 0;
}
