#include "imap/local/preview.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/charset/convert.h"
#include "lib/charset/decode.h"
#include "lib/charset/utf8.h"
#include "lib/mail/content.h"
#include "lib/mail/section.h"

/* ---- text to a line ---- */

struct line {
    struct buf *to;
    unsigned chars;
    bool blank; /* a blank is due before the next character */
};

static bool is_full(const struct line *l)
{
    return l->chars >= PREVIEW_CHARS;
}

/* Blanks, controls, and characters that only steer how text is shown. */
static bool is_blank(uint32_t c)
{
    return c <= 0x20 || (c >= 0x7f && c <= 0xa0) || (c >= 0x2000 && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202f) || (c >= 0x2060 && c <= 0x206f) || c == 0x3000 || c == 0xad ||
           c == 0x34f || c == 0xfeff;
}

static void put(struct line *l, uint32_t c)
{
    if (is_blank(c)) {
        l->blank = l->chars > 0;
        return;
    }
    if (l->blank && l->chars + 1 < PREVIEW_CHARS) {
        buf_putc(l->to, ' ');
        l->chars++;
    } else if (l->blank) {
        l->chars = PREVIEW_CHARS; /* no room for more than the blank */
        return;
    }
    l->blank = false;
    utf8_append(l->to, c);
    l->chars++;
}

/* Plain text without quoted lines. */
static void put_plain(struct line *l, const char *s, const char *end)
{
    while (s < end && !is_full(l)) {
        const char *lf = memchr(s, '\n', (size_t)(end - s)), *stop = lf != NULL ? lf : end;

        for (const char *at = *s == '>' ? stop : s; at < stop;) {
            uint32_t c;

            at += utf8_next(at, (size_t)(stop - at), &c);
            if (is_full(l))
                return;
            put(l, c);
        }
        put(l, ' ');
        s = lf != NULL ? lf + 1 : end;
    }
}

static const struct {
    const char *name;
    uint32_t c;
} entities[] = {
    {"amp", '&'},      {"lt", '<'},        {"gt", '>'},       {"quot", '"'},     {"apos", '\''},
    {"nbsp", ' '},     {"zwnj", ' '},      {"auml", 0xe4},    {"ouml", 0xf6},    {"uuml", 0xfc},
    {"Auml", 0xc4},    {"Ouml", 0xd6},     {"Uuml", 0xdc},    {"szlig", 0xdf},   {"eacute", 0xe9},
    {"egrave", 0xe8},  {"agrave", 0xe0},   {"ccedil", 0xe7},  {"copy", 0xa9},    {"reg", 0xae},
    {"euro", 0x20ac},  {"hellip", 0x2026}, {"ndash", 0x2013}, {"mdash", 0x2014}, {"lsquo", 0x2018},
    {"rsquo", 0x2019}, {"ldquo", 0x201c},  {"rdquo", 0x201d}, {"bull", 0x2022},  {"trade", 0x2122},
};

/* "#n", "#xh": digits only.  False: it is none. */
static bool read_number(const char *s, size_t n, uint32_t *c_r)
{
    bool hex = n > 1 && (s[1] == 'x' || s[1] == 'X');
    size_t at = hex ? 2 : 1;
    uint64_t number = 0;

    if (s[0] != '#' || at == n)
        return false;
    for (; at < n; at++) { /* no overflow: read_entity() gives at most 10 bytes */
        const char *digits = "0123456789abcdef", *digit = memchr(digits, s[at] | 0x20, hex ? 16 : 10);

        if (digit == NULL || s[at] < '0')
            return false;
        number = number * (hex ? 16 : 10) + (uint64_t)(digit - digits);
    }
    *c_r = number > 0x10ffff || (number >= 0xd800 && number <= 0xdfff) ? UTF8_REPLACEMENT : (uint32_t)number;
    return true;
}

/* "&name;", "&#n;", "&#xh;" at s: how many bytes it takes; 0: none that we know. */
static size_t read_entity(const char *s, const char *end, uint32_t *c_r)
{
    const char *semicolon = memchr(s, ';', end - s < 12 ? (size_t)(end - s) : 12);
    size_t n = semicolon != NULL ? (size_t)(semicolon - s) - 1 : 0;

    if (n == 0)
        return 0;
    if (read_number(s + 1, n, c_r))
        return n + 2;
    for (size_t i = 0; i < ARRAY_SIZE(entities); i++) {
        if (strlen(entities[i].name) == n && memcmp(entities[i].name, s + 1, n) == 0) {
            *c_r = entities[i].c;
            return n + 2;
        }
    }
    return 0;
}

static bool is_tag(const char *s, const char *end, const char *name)
{
    size_t n = strlen(name);

    return (size_t)(end - s) > n && str_ieq_n(s, name, n) && strchr(" \t\r\n/>", s[n]) != NULL;
}

/* Behind the tag, comment or element without text that begins at s ('<'). */
static const char *skip_tag(const char *s, const char *end)
{
    static const char *const silent[] = {"head", "script", "style", "title"};
    const char *close;

    if (end - s >= 4 && memcmp(s, "<!--", 4) == 0) {
        close = memmem(s, (size_t)(end - s), "-->", 3);
        return close != NULL ? close + 3 : end;
    }
    for (size_t i = 0; i < ARRAY_SIZE(silent); i++) {
        if (!is_tag(s + 1, end, silent[i]))
            continue;
        for (s++; s < end && !(s[0] == '<' && end - s > 2 && s[1] == '/' && is_tag(s + 2, end, silent[i]));)
            s++;
        break;
    }
    close = s < end ? memchr(s, '>', (size_t)(end - s)) : NULL;
    return close != NULL ? close + 1 : end;
}

/* HTML's text: a tag parts words only if it may begin a new line, as most do that matter here. */
static void put_html(struct line *l, const char *s, const char *end)
{
    static const char *const within[] = {"a",  "b",   "/a",   "/b",    "i",    "/i",    "u",      "/u",
                                         "em", "/em", "span", "/span", "font", "/font", "strong", "/strong"};

    while (s < end && !is_full(l)) {
        uint32_t c;
        size_t n = *s == '&' ? read_entity(s, end, &c) : 0;

        if (*s == '<') {
            bool parts = true;

            for (size_t i = 0; i < ARRAY_SIZE(within); i++)
                parts = parts && !is_tag(s + 1, end, within[i]);
            if (parts)
                put(l, ' ');
            s = skip_tag(s, end);
            continue;
        }
        s += n > 0 ? n : utf8_next(s, (size_t)(end - s), &c);
        put(l, c);
    }
}

void preview_text(const char *text, size_t n, bool html, struct buf *to)
{
    struct line l = {.to = to};

    if (html)
        put_html(&l, text, text + n);
    else
        put_plain(&l, text, text + n);
}

/* ---- which part ---- */

struct choice {
    struct mail_entry entry;
    char charset[64];
    bool found, html;
};

static int read_range(struct message *message, uint64_t start, uint64_t size, size_t max, struct buf *to)
{
    size_t n = size < max ? (size_t)size : max;
    int64_t got = message_read(message, start, buf_reserve(to, n), n);

    if (got < 0)
        return (int)got;
    buf_added(to, (size_t)got);
    return 0;
}

/* Is a text part one to show?  The table does not say: its header does. */
static int look_at(struct message *message, const struct mail_entry *entry, struct choice *choice)
{
    struct pool *pool = pool_new(0);
    struct mail_content content;
    struct buf header = BUF_INIT;
    bool plain, html;
    int r = read_range(message, entry->header_start, entry->header_size, PREVIEW_HEADER, &header);

    if (r == 0) {
        mail_content_parse(pool, buf_cstr(&header), header.len, false, &content);
        plain = mail_content_is(&content, "TEXT", "PLAIN");
        html = mail_content_is(&content, "TEXT", "HTML");
        if ((plain || (html && !choice->found)) &&
            (content.disposition == NULL || !str_ieq(content.disposition, "ATTACHMENT"))) {
            choice->entry = *entry;
            choice->found = true;
            choice->html = html;
            snprintf(choice->charset, sizeof(choice->charset), "%.*s", (int)entry->charset_len,
                     entry->charset);
        }
    }
    buf_free(&header);
    pool_free(&pool);
    return r;
}

/* Parts of a message within the message are not its own words. */
static int choose(struct message *message, struct choice *choice)
{
    struct mail_table_iter it;
    struct mail_entry entry;
    unsigned depth, foreign = UINT_MAX, looks = 0;
    const char *table;
    size_t n;
    int r = message_item(message, CACHE_PARTS, &table, &n);

    if (r == 0)
        r = mail_table_begin(&it, table, n);
    while (r == 0 && (r = mail_table_next(&it, &entry, &depth)) == 1) {
        r = 0;
        if (depth <= foreign)
            foreign = entry.kind == MAIL_MESSAGE ? depth : UINT_MAX;
        if (foreign == UINT_MAX && entry.kind == MAIL_LEAF && entry.is_text) {
            r = look_at(message, &entry, choice);
            looks++;
        }
        if ((choice->found && !choice->html) || looks == PREVIEW_PARTS)
            break;
    }
    return r;
}

void preview_part(const char *raw, size_t n, const struct preview_kind *kind, struct buf *to)
{
    struct converter *converter = NULL;
    struct buf decoded = BUF_INIT, text = BUF_INIT;
    struct decoder decoder;

    decoder_init(&decoder, kind->decoding);
    decoder_feed(&decoder, raw, n, &decoded);
    if (kind->whole)
        decoder_finish(&decoder, &decoded, NULL);
    /* what is labelled with nothing is US-ASCII, or most likely UTF-8 */
    if (kind->charset[0] != '\0' && converter_new(kind->charset, &converter) == 0) {
        converter_feed(converter, decoded.data, decoded.len, &text);
        if (kind->whole)
            converter_finish(converter, &text);
    } else {
        charset_repair_utf8(decoded.data, decoded.len, &text);
    }
    preview_text(buf_cstr(&text), text.len, kind->html, to);
    converter_free(&converter);
    buf_free(&decoded);
    buf_free(&text);
}

int preview_of(struct message *message, struct buf *to)
{
    struct choice choice = {.found = false};
    struct buf raw = BUF_INIT;
    int r = choose(message, &choice);

    if (r == 0 && choice.found) {
        const struct mail_entry *e = &choice.entry;

        r = read_range(message, e->header_start + e->header_size, e->body_size, PREVIEW_READ, &raw);
        if (r == 0) {
            struct preview_kind kind = {e->decoding, choice.charset, choice.html, raw.len == e->body_size};

            preview_part(buf_cstr(&raw), raw.len, &kind, to);
        }
    }
    buf_free(&raw);
    return r == ERR_VERSION ? ERR_CORRUPT : r;
}
