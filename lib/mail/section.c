#include "lib/mail/section.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/mail/wire.h"

enum { TABLE_VERSION = 1, CHARSET_MAX = 64, VARINT_MAX = 10 };

/* The first byte of an entry: doc/formats/part-table.md. */
enum { KIND_MASK = 0x03, DECODING_SHIFT = 2, DECODING_MASK = 0x03, IS_TEXT = 0x10, KNOWN_BITS = 0x1f };

/* ---- the table, written ---- */

static void put_number(struct buf *to, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        buf_putc(to, (char)(v | 0x80));
    buf_putc(to, (char)v);
}

static unsigned decoding_code(enum decode_encoding decoding)
{
    switch (decoding) {
    case DECODE_IDENTITY:
        return 0;
    case DECODE_QUOTED_PRINTABLE:
        return 1;
    case DECODE_BASE64:
        return 2;
    default:
        return 3;
    }
}

static enum decode_encoding decoding_of(unsigned code)
{
    static const enum decode_encoding known[] = {DECODE_IDENTITY, DECODE_QUOTED_PRINTABLE, DECODE_BASE64,
                                                 DECODE_UNKNOWN};

    return known[code & DECODING_MASK];
}

static void encode_part(struct buf *to, const struct mail_part *part)
{
    bool is_text = mail_content_is(&part->content, "TEXT", NULL);
    const char *charset = is_text ? mail_param_get(part->content.params, "CHARSET") : NULL;
    size_t charset_len = charset == NULL ? 0 : strnlen(charset, CHARSET_MAX);
    unsigned children = 0;

    for (const struct mail_part *p = part->children; p != NULL; p = p->next)
        children++;
    buf_putc(to, (char)(part->kind | decoding_code(part->content.decoding) << DECODING_SHIFT |
                        (is_text ? IS_TEXT : 0)));
    if (part->kind != MAIL_LEAF)
        put_number(to, children);
    put_number(to, part->header_start);
    put_number(to, part->header_size);
    put_number(to, part->body_size);
    put_number(to, part->body_lines);
    if (is_text) {
        put_number(to, charset_len);
        buf_append(to, charset, charset_len);
    }
    for (const struct mail_part *p = part->children; p != NULL; p = p->next)
        encode_part(to, p);
}

void mail_table_encode(struct buf *to, const struct mail_part *root)
{
    buf_putc(to, TABLE_VERSION);
    encode_part(to, root);
}

/* ---- the table, read ---- */

static bool get_number(struct mail_table_iter *it, uint64_t *v_r)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < VARINT_MAX && it->at < it->end; i++) {
        unsigned char c = *it->at++;

        if (i == VARINT_MAX - 1 && c > 1)
            return false; /* more than 64 bits */
        v |= (uint64_t)(c & 0x7f) << (7 * i);
        if ((c & 0x80) == 0) {
            *v_r = v;
            return true;
        }
    }
    return false;
}

static bool get_children(struct mail_table_iter *it, struct mail_entry *e)
{
    uint64_t n;

    e->children = 0;
    if (e->kind == MAIL_LEAF)
        return true;
    if (!get_number(it, &n) || n < 1 || n > MAIL_PARTS_MAX || (e->kind == MAIL_MESSAGE && n != 1))
        return false;
    e->children = (unsigned)n;
    return true;
}

static bool get_charset(struct mail_table_iter *it, struct mail_entry *e)
{
    uint64_t n = 0;

    if (e->is_text && (!get_number(it, &n) || n > CHARSET_MAX || n > (uint64_t)(it->end - it->at)))
        return false;
    e->charset = (const char *)it->at;
    e->charset_len = (size_t)n;
    it->at += n;
    return true;
}

static bool get_entry(struct mail_table_iter *it, struct mail_entry *e)
{
    unsigned char bits;
    uint64_t end;

    if (it->at == it->end)
        return false;
    bits = *it->at++;
    if ((bits & KIND_MASK) > MAIL_MESSAGE || (bits & ~KNOWN_BITS) != 0)
        return false;
    e->kind = (enum mail_kind)(bits & KIND_MASK);
    e->decoding = decoding_of(bits >> DECODING_SHIFT);
    e->is_text = (bits & IS_TEXT) != 0;
    if (!get_children(it, e) || !get_number(it, &e->header_start) || !get_number(it, &e->header_size) ||
        !get_number(it, &e->body_size) || !get_number(it, &e->body_lines) || !get_charset(it, e))
        return false;
    return !__builtin_add_overflow(e->header_start, e->header_size, &end) &&
           !__builtin_add_overflow(end, e->body_size, &end);
}

int mail_table_begin(struct mail_table_iter *it, const void *table, size_t n)
{
    memset(it, 0, sizeof(*it));
    it->at = table;
    it->end = it->at + n;
    it->left[0] = 1;
    if (n == 0)
        return ERR_CORRUPT;
    return *it->at++ == TABLE_VERSION ? 0 : ERR_VERSION;
}

int mail_table_next(struct mail_table_iter *it, struct mail_entry *entry_r, unsigned *depth_r)
{
    while (it->depth > 0 && it->left[it->depth] == 0)
        it->depth--;
    if (it->left[it->depth] == 0)
        return it->at == it->end ? 0 : ERR_CORRUPT;
    it->left[it->depth]--;
    if (!get_entry(it, entry_r))
        return ERR_CORRUPT;
    if (depth_r != NULL)
        *depth_r = it->depth;
    if (entry_r->children > 0) {
        if (it->depth == MAIL_DEPTH_MAX)
            return ERR_CORRUPT;
        it->left[++it->depth] = entry_r->children;
    }
    return 1;
}

/* ---- specifications ---- */

static int parse_word(const char *s, size_t n, struct mail_section *section)
{
    static const struct {
        const char *word;
        enum mail_section_what what;
    } words[] = {{"HEADER", MAIL_SECTION_HEADER},
                 {"HEADER.FIELDS", MAIL_SECTION_FIELDS},
                 {"HEADER.FIELDS.NOT", MAIL_SECTION_FIELDS_NOT},
                 {"TEXT", MAIL_SECTION_TEXT},
                 {"MIME", MAIL_SECTION_MIME}};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strlen(words[i].word) == n && str_ieq_n(words[i].word, s, n)) {
            section->what = words[i].what;
            return words[i].what == MAIL_SECTION_MIME && section->depth == 0 ? ERR_SYNTAX : 0;
        }
    }
    return ERR_SYNTAX;
}

int mail_section_parse(const char *s, size_t n, struct mail_section *section_r)
{
    const char *end = s + n;

    memset(section_r, 0, sizeof(*section_r));
    if (n == 0)
        return 0;
    while (s < end && *s >= '0' && *s <= '9') {
        const char *dot = memchr(s, '.', (size_t)(end - s));
        const char *stop = dot != NULL ? dot : end;
        uint32_t v;

        if (str_parse_u32(s, (size_t)(stop - s), &v) < 0 || *s == '0')
            return ERR_SYNTAX;
        if (section_r->depth == MAIL_DEPTH_MAX)
            return ERR_TOOBIG;
        section_r->path[section_r->depth++] = v;
        if (dot == NULL)
            return 0;
        s = dot + 1;
    }
    return parse_word(s, (size_t)(end - s), section_r);
}

/* Field names came from the client, who may have sent anything as a literal: what is no atom is quoted. */
static void format_field(const char *name, struct buf *to)
{
    bool atom = *name != '\0';

    for (const char *s = name; *s != '\0'; s++)
        atom = atom && *s > 0x20 && *s < 0x7f && strchr("(){%*\"\\]", *s) == NULL;
    if (atom)
        buf_puts(to, name);
    else
        mail_wire_string(to, name, strlen(name), MAIL_WIRE_PLAIN);
}

static void format_fields(const struct mail_section *section, struct buf *to)
{
    for (size_t i = 0; i < section->field_count; i++) {
        buf_puts(to, i == 0 ? " (" : " ");
        format_field(section->fields[i], to);
    }
    if (section->field_count > 0)
        buf_putc(to, ')');
}

void mail_section_format(const struct mail_section *section, struct buf *to)
{
    static const char *const words[] = {[MAIL_SECTION_ALL] = "",
                                        [MAIL_SECTION_HEADER] = "HEADER",
                                        [MAIL_SECTION_FIELDS] = "HEADER.FIELDS",
                                        [MAIL_SECTION_FIELDS_NOT] = "HEADER.FIELDS.NOT",
                                        [MAIL_SECTION_TEXT] = "TEXT",
                                        [MAIL_SECTION_MIME] = "MIME"};

    for (unsigned i = 0; i < section->depth; i++)
        buf_printf(to, "%s%u", i == 0 ? "" : ".", section->path[i]);
    if (section->depth > 0 && section->what != MAIL_SECTION_ALL)
        buf_putc(to, '.');
    buf_puts(to, words[section->what]);
    format_fields(section, to);
}

/* ---- sections, located ---- */

struct walk {
    struct mail_table_iter it;
    struct mail_entry entry; /* the last one read: where the walk stands */
    unsigned depth;          /* of it */
    bool as_message;         /* stands at a message as such, not at its part 1 */
};

static int read_entry(struct walk *w)
{
    int r = mail_table_next(&w->it, &w->entry, &w->depth);

    return r == 0 ? ERR_CORRUPT : r < 0 ? r : 0;
}

/* To the number-th child of the entry. */
static int enter_child(struct walk *w, uint32_t number)
{
    unsigned depth = w->depth + 1;

    if (number > w->entry.children)
        return ERR_NOTFOUND;
    while (number > 0) {
        int r = read_entry(w);

        if (r < 0)
            return r;
        if (w->depth == depth)
            number--;
    }
    return 0;
}

/* One number of the path (RFC 3501 section 6.4.5): a message that is no multipart has one part, its body. */
static int enter_part(struct walk *w, uint32_t number)
{
    int r;

    if (!w->as_message && w->entry.kind == MAIL_LEAF)
        return ERR_NOTFOUND;
    if (!w->as_message && w->entry.kind == MAIL_MESSAGE) {
        r = enter_child(w, 1);
        if (r < 0)
            return r;
        w->as_message = true;
    }
    if (w->entry.kind != MAIL_MULTIPART && number != 1)
        return ERR_NOTFOUND;
    r = w->entry.kind == MAIL_MULTIPART ? enter_child(w, number) : 0;
    w->as_message = false;
    return r;
}

/* The walk stands where the path led: to the message whose HEADER and TEXT are meant. */
static int enter_message(struct walk *w)
{
    if (w->as_message)
        return 0;
    return w->entry.kind == MAIL_MESSAGE ? enter_child(w, 1) : ERR_NOTFOUND;
}

static void range_of(const struct mail_entry *e, bool header, bool body, struct mail_range *range_r)
{
    range_r->start = header ? e->header_start : e->header_start + e->header_size;
    range_r->size = (header ? e->header_size : 0) + (body ? e->body_size : 0);
}

static int follow_path(struct walk *w, const void *table, size_t n, const struct mail_section *section)
{
    int r = mail_table_begin(&w->it, table, n);

    w->as_message = true;
    if (r == 0)
        r = read_entry(w);
    for (unsigned i = 0; r == 0 && i < section->depth; i++)
        r = enter_part(w, section->path[i]);
    return r;
}

int mail_section_locate_encoded(const void *table, size_t n, const struct mail_section *section,
                                struct mail_range *range_r, enum decode_encoding *encoding_r)
{
    struct walk w = {.depth = 0};
    int r = follow_path(&w, table, n, section);

    if (r < 0)
        return r;
    range_of(&w.entry, false, true, range_r);
    *encoding_r = w.entry.kind == MAIL_LEAF ? w.entry.decoding : DECODE_IDENTITY;
    return 0;
}

int mail_section_locate(const void *table, size_t n, const struct mail_section *section,
                        struct mail_range *range_r)
{
    struct walk w = {.depth = 0};
    int r = follow_path(&w, table, n, section);

    if (r == 0 && section->what != MAIL_SECTION_ALL && section->what != MAIL_SECTION_MIME)
        r = enter_message(&w);
    if (r < 0)
        return r;
    if (section->what == MAIL_SECTION_ALL)
        range_of(&w.entry, section->depth == 0, true, range_r);
    else
        range_of(&w.entry, section->what != MAIL_SECTION_TEXT, section->what == MAIL_SECTION_TEXT, range_r);
    return 0;
}
