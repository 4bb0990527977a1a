/* search-text.c: SEARCH keys that look into messages: header fields from the cache where it has them, parts of the body
 * decoded. */
#include <string.h>

#include "imap/store/search-private.h"
#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/charset/convert.h"
#include "lib/charset/decode.h"
#include "lib/charset/words.h"
#include "lib/mail/header.h"
#include "lib/mail/section.h"

#define PIECE      (64 * 1024)   /* decoded at once */
#define HEADER_MAX 256           /* KiB of a header of which CACHE_HEADERS is not kept: see cache.c */
#define READ_MAX   (1024 * 1024) /* a larger file is mapped */

/* ---- the file ---- */

static int read_file(struct candidate *c)
{
    struct search *s = c->search;
    size_t size = (size_t)c->seen->record.size;
    int64_t got;

    buf_reset(&s->file);
    got = message_read(c->message, 0, buf_reserve(&s->file, size), size);
    if (got < 0)
        return (int)got;
    buf_added(&s->file, (size_t)got);
    c->data = buf_cstr(&s->file);
    c->size = s->file.len;
    return 0;
}

static int map_file(struct candidate *c)
{
    int fd = message_fd(c->message), r = fd < 0 ? fd : file_map_open(fd, &c->map);

    if (r < 0)
        return r;
    c->mapped = true;
    c->data = c->map.data;
    c->size = c->map.size;
    return 0;
}

/* A message that is gone or damaged is not found; what else keeps it from being read ends the search. */
static bool is_read(struct search *s, int r)
{
    if (r < 0 && r != ERR_EXPUNGED && r != ERR_CORRUPT && s->error == 0)
        s->error = r;
    return r >= 0;
}

/* The message file in memory, or false if it is gone. */
static bool open_file(struct candidate *c)
{
    if (c->open || c->gone)
        return c->open;
    c->gone = !is_read(c->search, c->seen->record.size <= READ_MAX ? read_file(c) : map_file(c));
    c->open = !c->gone;
    message_close_file(c->message);
    c->search->bytes += c->size;
    return c->open;
}

void search_candidate_close(struct candidate *c)
{
    if (c->mapped)
        file_map_close(&c->map);
}

/* ---- header fields ---- */

/* Is a field's value what it says, without folds and encoded words?  Then it is searched where it lies. */
static bool is_plain(const char *s, size_t n)
{
    const char *at = s, *end = s + n;

    if (memchr(s, '\n', n) != NULL || memchr(s, '\0', n) != NULL)
        return false;
    while (at < end && (at = memchr(at, '=', (size_t)(end - at))) != NULL) {
        if (++at < end && *at == '?')
            return false;
    }
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool find_in_field(struct search *s, struct searcher *searcher, const struct mail_field *field)
{
    const char *value = field->value;
    size_t n = field->value_len;

    if (is_plain(value, n)) {
        for (; n > 0 && is_blank(*value); n--)
            value++;
        while (n > 0 && is_blank(value[n - 1]))
            n--;
        return searcher_find(searcher, value, n);
    }
    buf_reset(&s->unfolded);
    buf_reset(&s->plain);
    mail_field_unfold(field, &s->unfolded);
    words_decode(buf_cstr(&s->unfolded), s->unfolded.len, &s->plain);
    return searcher_find(searcher, buf_cstr(&s->plain), s->plain.len);
}

static bool find_in_fields(struct search *s, struct searcher *searcher, const char *header, size_t n,
                           const char *name)
{
    struct mail_header_iter it;
    struct mail_field field;

    mail_header_begin(&it, header, n);
    while (mail_header_next_of(&it, name, &field)) {
        if (find_in_field(s, searcher, &field))
            return true;
    }
    return false;
}

/* In every field, its name too. */
static bool find_in_header(struct search *s, struct searcher *searcher, const char *header, size_t n)
{
    struct mail_header_iter it;
    struct mail_field field;

    mail_header_begin(&it, header, n);
    while (mail_header_next(&it, &field)) {
        if (find_in_field(s, searcher, &field) || searcher_find(searcher, field.name, field.name_len))
            return true;
    }
    return false;
}

static size_t header_size(const struct candidate *c)
{
    return c->seen->record.header_bytes < c->size ? c->seen->record.header_bytes : c->size;
}

bool search_match_header(struct candidate *c, const struct search_node *n)
{
    struct searcher *searcher = c->search->searchers[n->number];
    const char *data;
    size_t len;

    if (message_header_is_cached(n->name) && c->seen->record.header_bytes <= HEADER_MAX * 1024) {
        if (!is_read(c->search, message_item(c->message, CACHE_HEADERS, &data, &len)))
            return false;
        return find_in_fields(c->search, searcher, data, len, n->name);
    }
    return open_file(c) && find_in_fields(c->search, searcher, c->data, header_size(c), n->name);
}

/* ---- the body ---- */

/* What a part that names no charset, or US-ASCII, may hold all the same. */
static const char *charset_of(const struct mail_entry *entry, char charset[64])
{
    if (entry->charset_len >= 64)
        return "utf-8";
    memcpy(charset, entry->charset, entry->charset_len);
    charset[entry->charset_len] = '\0';
    return charset[0] == '\0' || str_ieq(charset, "us-ascii") ? "utf-8" : charset;
}

/* A part's content, decoded and converted piece by piece; converter NULL: as UTF-8, whatever it is. */
static bool feed_part(struct search *s, struct searcher *searcher, const char *data, size_t n,
                      enum decode_encoding encoding, struct converter *converter)
{
    struct decoder decoder;
    bool found = false;
    size_t at = 0;

    decoder_init(&decoder, encoding);
    searcher_reset(searcher);
    do {
        size_t piece = n - at < PIECE ? n - at : PIECE;

        buf_reset(&s->decoded);
        decoder_feed(&decoder, data + at, piece, &s->decoded);
        at += piece;
        if (at == n)
            decoder_finish(&decoder, &s->decoded, NULL);
        buf_reset(&s->plain);
        if (converter != NULL)
            converter_feed(converter, buf_cstr(&s->decoded), s->decoded.len, &s->plain);
        found = converter != NULL ? searcher_feed(searcher, buf_cstr(&s->plain), s->plain.len)
                                  : searcher_feed(searcher, buf_cstr(&s->decoded), s->decoded.len);
    } while (at < n && !found);
    return found;
}

static bool is_unencoded(enum decode_encoding encoding)
{
    return encoding == DECODE_IDENTITY || encoding == DECODE_UNKNOWN;
}

/* RFC 5255 section 4.5: what cannot be converted is compared as it is, decoded (its ASCII without regard to case). */
static bool find_in_part(struct search *s, struct searcher *searcher, const char *data, size_t n,
                         const struct mail_entry *entry)
{
    char buffer[64];
    const char *charset = charset_of(entry, buffer);
    struct converter *converter = NULL;
    bool found, failed;

    if (str_ieq(charset, "utf-8") && is_unencoded(entry->decoding))
        return searcher_find(searcher, data, n);
    if (str_ieq(charset, "utf-8") || converter_new(charset, &converter) < 0)
        return feed_part(s, searcher, data, n, entry->decoding, NULL);
    found = feed_part(s, searcher, data, n, entry->decoding, converter);
    failed = converter_had_errors(converter);
    converter_free(&converter);
    return found || (failed && feed_part(s, searcher, data, n, entry->decoding, NULL));
}

/* The headers of messages within the message are body, too. */
static bool find_in_entry(struct candidate *c, struct searcher *searcher, const struct mail_entry *entry,
                          bool is_message)
{
    uint64_t start = entry->header_start + entry->header_size;

    if (start > c->size || entry->body_size > c->size - start)
        return false;
    if (is_message &&
        find_in_header(c->search, searcher, c->data + entry->header_start, (size_t)entry->header_size))
        return true;
    return entry->kind == MAIL_LEAF && entry->is_text &&
           find_in_part(c->search, searcher, c->data + start, (size_t)entry->body_size, entry);
}

static bool find_in_body(struct candidate *c, struct searcher *searcher)
{
    struct mail_table_iter it;
    struct mail_entry entry;
    const char *table;
    bool is_message = false;
    size_t len;

    if (!is_read(c->search, message_item(c->message, CACHE_PARTS, &table, &len)) || !open_file(c) ||
        mail_table_begin(&it, table, len) < 0)
        return false;
    while (mail_table_next(&it, &entry, NULL) == 1) {
        if (find_in_entry(c, searcher, &entry, is_message))
            return true;
        is_message = entry.kind == MAIL_MESSAGE; /* what it holds is the next entry */
    }
    return false;
}

bool search_match_text(struct candidate *c, const struct search_node *n)
{
    struct searcher *searcher = c->search->searchers[n->number];

    if (n->text[0] == '\0')
        return true;
    if (n->op == SEARCH_TEXT &&
        (!open_file(c) || find_in_header(c->search, searcher, c->data, header_size(c))))
        return c->open;
    return find_in_body(c, searcher);
}
