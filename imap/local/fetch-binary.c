#include "imap/local/fetch-binary.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/mail/header.h"

enum { PIECE = 64 * 1024 };

enum { HEADER_MAX = 64 * 1024 };

/* The table says only that its encoding is none of MIME's: what does the part's header say? */
static bool is_uuencoded(struct message *message, const char *table, size_t n,
                         const struct mail_section *section)
{
    struct mail_section header = {.depth = section->depth, .what = MAIL_SECTION_MIME};
    struct buf text = BUF_INIT;
    struct pool *pool;
    struct mail_range range;
    const char *name;
    int64_t got;
    bool yes = false;

    memcpy(header.path, section->path, sizeof(header.path));
    if (mail_section_locate(table, n, &header, &range) < 0 || range.size > HEADER_MAX)
        return false;
    got = message_read(message, range.start, buf_reserve(&text, (size_t)range.size), (size_t)range.size);
    if (got > 0) {
        buf_added(&text, (size_t)got);
        pool = pool_new(0);
        name = mail_header_get(pool, text.data, text.len, "Content-Transfer-Encoding");
        yes = name != NULL && decode_is_uuencode(name);
        pool_free(&pool);
    }
    buf_free(&text);
    return yes;
}

/* Where the part lies, and how it is encoded.  What has parts of its own is not encoded (RFC 2045 6.4), nor is a whole
 * message. */
static int find(struct message *message, uint64_t size, const struct fetch_item *item,
                struct mail_range *range_r, enum decode_encoding *encoding_r)
{
    const char *table;
    size_t n;
    int r;

    *encoding_r = DECODE_IDENTITY;
    if (item->section.depth == 0) {
        *range_r = (struct mail_range){0, size};
        return 0;
    }
    r = message_item(message, CACHE_PARTS, &table, &n);
    if (r == 0)
        r = mail_section_locate_encoded(table, n, &item->section, range_r, encoding_r);
    if (r == 0 && *encoding_r == DECODE_UNKNOWN && is_uuencoded(message, table, n, &item->section))
        *encoding_r = DECODE_UUENCODE;
    return r;
}

int fetch_binary_check(struct message *message, const struct fetch_item *item)
{
    enum decode_encoding encoding;
    struct mail_range range;
    int r = find(message, 0, item, &range, &encoding);

    if (r == ERR_NOTFOUND)
        return 0;
    return r == 0 && encoding == DECODE_UNKNOWN ? ERR_UNSUPPORTED : r;
}

static void rewind_to(struct fetch_binary *b, bool counted)
{
    decoder_init(&b->decoder, b->encoding);
    buf_reset(&b->piece);
    b->done = b->at = 0;
    b->counted = counted;
}

int fetch_binary_begin(struct fetch_binary *b, struct message *message, uint64_t size,
                       const struct fetch_item *item)
{
    int r = find(message, size, item, &b->range, &b->encoding);

    if (r < 0)
        return r;
    if (b->encoding == DECODE_UNKNOWN)
        return ERR_UNSUPPORTED;
    b->item = item;
    b->message = message;
    b->has_nul = false;
    b->from = item->has_partial ? item->partial_start : 0;
    b->end = item->has_partial ? b->from + item->partial_size : UINT64_MAX;
    rewind_to(b, false);
    return 0;
}

void fetch_binary_end(struct fetch_binary *b)
{
    buf_free(&b->piece);
    b->item = NULL;
}

/* The next piece, decoded: 1; 0 behind the last. */
static int next_piece(struct fetch_binary *b)
{
    uint64_t left = b->range.size - b->done;
    char data[PIECE / 4];
    int64_t n;

    b->at += b->piece.len;
    buf_reset(&b->piece);
    if (b->done > b->range.size)
        return 0;
    if (left == 0) {
        decoder_finish(&b->decoder, &b->piece, NULL);
        b->done = b->range.size + 1; /* the end has been said */
        return 1;
    }
    n = message_read(b->message, b->range.start + b->done, data, left < sizeof(data) ? left : sizeof(data));
    if (n <= 0)
        return n < 0 ? (int)n : ERR_IO; /* shorter than its record says */
    b->done += (uint64_t)n;
    decoder_feed(&b->decoder, data, (size_t)n, &b->piece);
    return 1;
}

/* What is wanted of the piece. */
static size_t wanted(const struct fetch_binary *b, const char **data_r)
{
    uint64_t first = b->at > b->from ? b->at : b->from, last = b->at + b->piece.len;

    last = last < b->end ? last : b->end;
    *data_r = buf_cstr(&b->piece) + (first < last ? first - b->at : 0);
    return first < last ? (size_t)(last - first) : 0;
}

static void announce(struct fetch_binary *b, struct buf *line)
{
    if (b->item->kind == FETCH_BINARY_SIZE) {
        buf_printf(line, "%s %llu", b->item->name, (unsigned long long)b->at);
        b->item = NULL;
        return;
    }
    b->end = b->end < b->at ? b->end : b->at;
    b->from = b->from < b->end ? b->from : b->end;
    buf_printf(line, "%s %s{%llu}\r\n", b->item->name, b->has_nul ? "~" : "",
               (unsigned long long)(b->end - b->from));
    rewind_to(b, true);
}

/* A piece is counted.  1: there are more. */
static int count_piece(struct fetch_binary *b, struct buf *line)
{
    const char *data;
    size_t n;
    int r = next_piece(b);

    if (r < 0)
        return r;
    if (r == 0) {
        announce(b, line);
        return 1;
    }
    n = wanted(b, &data);
    b->has_nul = b->has_nul || memchr(data, '\0', n) != NULL;
    return 1;
}

static int send_piece(struct fetch_binary *b, struct buf *line, struct stream *to)
{
    const char *data;
    size_t n;
    int r;

    stream_write(to, line->data, line->len);
    buf_reset(line);
    r = b->at + b->piece.len < b->end ? next_piece(b) : 0;
    if (r == 0)
        b->item = NULL;
    if (r <= 0)
        return r;
    n = wanted(b, &data);
    stream_write(to, data, n);
    return 1;
}

int fetch_binary_run(struct fetch_binary *b, struct buf *line, struct stream *to)
{
    enum { PIECES = 64 }; /* then others have their turn */
    int r = 1;

    for (int i = 0; b->item != NULL && i < PIECES && stream_unsent(to) < STREAM_OUT_HIGH; i++) {
        r = b->counted ? send_piece(b, line, to) : count_piece(b, line);
        if (r < 0)
            return r;
    }
    return b->item != NULL ? ERR_AGAIN : 0;
}
