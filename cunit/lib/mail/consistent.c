#include "cunit/lib/mail/consistent.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/mail/address.h"
#include "lib/mail/date.h"
#include "lib/mail/header.h"
#include "lib/mail/section.h"
#include "lib/mail/text.h"
#include "lib/mail/wire.h"

enum { LOCATED_MAX = 200 }; /* sections looked up in one message: each walks the table */

struct check {
    const char *data;
    size_t n;
    struct buf table;
    struct mail_section section;
    unsigned located;
    const char *wrong;
};

#define HOLDS(c, cond)                                                                                       \
    do {                                                                                                     \
        if (!(cond))                                                                                         \
            (c)->wrong = #cond;                                                                              \
    } while (0)

/* ---- the tree ---- */

static uint64_t count_lines(const char *s, uint64_t n)
{
    uint64_t lines = 0;

    for (uint64_t i = 0; i < n; i++)
        lines += s[i] == '\n';
    return lines;
}

static uint64_t body_start(const struct mail_part *p)
{
    return p->header_start + p->header_size;
}

static uint64_t part_end(const struct mail_part *p)
{
    return body_start(p) + p->body_size;
}

static void check_part_bytes(struct check *c, const struct mail_part *p)
{
    HOLDS(c, part_end(p) <= c->n);
    if (c->wrong != NULL)
        return;
    HOLDS(c, p->header_lines == count_lines(c->data + p->header_start, p->header_size));
    HOLDS(c, p->body_lines == count_lines(c->data + body_start(p), p->body_size));
    HOLDS(c, mail_header_size(c->data + p->header_start, p->header_size) == p->header_size);
    HOLDS(c, (p->kind == MAIL_LEAF) == (p->children == NULL));
    HOLDS(c, p->content.type[0] != '\0' && p->content.subtype[0] != '\0' && p->content.encoding[0] != '\0');
}

static unsigned check_tree(struct check *c, const struct mail_part *p, unsigned depth)
{
    uint64_t from = body_start(p);
    unsigned parts = 1;

    HOLDS(c, depth < MAIL_DEPTH_MAX);
    check_part_bytes(c, p);
    for (const struct mail_part *k = p->children; k != NULL && c->wrong == NULL; k = k->next) {
        HOLDS(c, k->parent == p);
        HOLDS(c, k->header_start >= from && part_end(k) <= part_end(p));
        HOLDS(c, p->kind != MAIL_MESSAGE || (k->next == NULL && part_end(k) == part_end(p)));
        from = part_end(k);
        parts += check_tree(c, k, depth + 1);
    }
    return parts;
}

/* ---- the table ---- */

static const struct mail_part *next_in_tree(const struct mail_part *p)
{
    if (p->children != NULL)
        return p->children;
    while (p != NULL && p->next == NULL)
        p = p->parent;
    return p != NULL ? p->next : NULL;
}

static void check_table(struct check *c, const struct mail_part *root)
{
    struct mail_table_iter it;
    struct mail_entry e;
    const struct mail_part *p = root;
    int r = mail_table_begin(&it, c->table.data, c->table.len);

    HOLDS(c, r == 0);
    while ((r = mail_table_next(&it, &e, NULL)) > 0 && p != NULL && c->wrong == NULL) {
        HOLDS(c, e.kind == p->kind && e.decoding == p->content.decoding);
        HOLDS(c, e.header_start == p->header_start && e.header_size == p->header_size);
        HOLDS(c, e.body_size == p->body_size && e.body_lines == p->body_lines);
        p = next_in_tree(p);
    }
    HOLDS(c, r == 0 && p == NULL);
}

/* ---- sections ---- */

static void expect(struct check *c, enum mail_section_what what, int result, uint64_t start, uint64_t size)
{
    struct mail_range range = {0};
    struct mail_section again;
    struct buf text = BUF_INIT;
    int r;

    if (c->located++ > LOCATED_MAX)
        return;
    c->section.what = what;
    r = mail_section_locate(c->table.data, c->table.len, &c->section, &range);
    HOLDS(c, r == result);
    HOLDS(c, r < 0 || (range.start == start && range.size == size));
    mail_section_format(&c->section, &text);
    HOLDS(c, mail_section_parse(buf_cstr(&text), text.len, &again) == 0);
    HOLDS(c, memcmp(&again, &c->section, sizeof(again)) == 0);
    buf_free(&text);
}

static void push(struct check *c, uint32_t number)
{
    c->section.path[c->section.depth++] = number;
}

static void pop(struct check *c)
{
    c->section.path[--c->section.depth] = 0;
}

static void check_message_sections(struct check *c, const struct mail_part *m);

static void check_children_sections(struct check *c, const struct mail_part *p);

static void check_part_sections(struct check *c, const struct mail_part *p)
{
    expect(c, MAIL_SECTION_ALL, 0, body_start(p), p->body_size);
    expect(c, MAIL_SECTION_MIME, 0, p->header_start, p->header_size);
    if (p->kind == MAIL_MESSAGE) {
        check_message_sections(c, p->children);
        return;
    }
    expect(c, MAIL_SECTION_HEADER, ERR_NOTFOUND, 0, 0);
    expect(c, MAIL_SECTION_TEXT, ERR_NOTFOUND, 0, 0);
    check_children_sections(c, p);
}

static void check_children_sections(struct check *c, const struct mail_part *p)
{
    uint32_t number = 1;

    for (const struct mail_part *k = p->children; k != NULL && c->wrong == NULL; k = k->next) {
        push(c, number++);
        check_part_sections(c, k);
        pop(c);
    }
    if (c->section.depth == MAIL_DEPTH_MAX)
        return;
    push(c, number);
    expect(c, MAIL_SECTION_ALL, ERR_NOTFOUND, 0, 0);
    pop(c);
}

static void check_message_sections(struct check *c, const struct mail_part *m)
{
    expect(c, MAIL_SECTION_HEADER, 0, m->header_start, m->header_size);
    expect(c, MAIL_SECTION_FIELDS, 0, m->header_start, m->header_size);
    expect(c, MAIL_SECTION_TEXT, 0, body_start(m), m->body_size);
    if (m->kind == MAIL_MULTIPART) {
        check_children_sections(c, m);
        return;
    }
    push(c, 1);
    check_part_sections(c, m);
    pop(c);
}

/* ---- what is sent ---- */

static const char *skip_literal(const char *s, const char *end)
{
    uint64_t n = 0;

    for (s++; s < end && *s >= '0' && *s <= '9' && n < UINT32_MAX; s++)
        n = n * 10 + (uint64_t)(*s - '0');
    if (end - s < 3 || memcmp(s, "}\r\n", 3) != 0 || (uint64_t)(end - s - 3) < n)
        return NULL;
    return memchr(s + 3, '\0', n) == NULL ? s + 3 + n : NULL;
}

static const char *skip_quoted(const char *s, const char *end)
{
    for (s++; s < end && *s != '"'; s++) {
        if (*s == '\\' && ++s < end && *s != '"' && *s != '\\')
            return NULL;
        if (s == end || *s == '\r' || *s == '\n' || *s == '\0')
            return NULL;
    }
    return s < end ? s + 1 : NULL;
}

static const char *skip_atom(const char *s, const char *end)
{
    const char *start = s;

    while (s<end && * s> ' ' && strchr("(){\"\\%*]", *s) == NULL)
        s++;
    return s > start ? s : NULL;
}

int mail_wire_is_wellformed(const char *s, size_t n)
{
    const char *end = s + n;
    long depth = 0;

    if (n == 0)
        return 0;
    while (s != NULL && s < end) {
        if (*s == '(' || *s == ')') {
            depth += *s++ == '(' ? 1 : -1;
            if (depth < 0)
                return 0;
        } else if (*s == ' ') {
            s++;
        } else if (*s == '{') {
            s = skip_literal(s, end);
        } else if (*s == '"') {
            s = skip_quoted(s, end);
        } else {
            s = skip_atom(s, end);
        }
    }
    return s != NULL && depth == 0;
}

static void check_wire(struct check *c, const struct mail_part *root)
{
    static int (*const renderers[])(struct buf *, const char *, const struct mail_part *,
                                    enum mail_wire_mode) = {mail_wire_envelope, mail_wire_body,
                                                            mail_wire_bodystructure};

    for (size_t i = 0; i < 3 && c->wrong == NULL; i++) {
        struct buf plain = BUF_INIT, utf8 = BUF_INIT;
        int r = renderers[i](&plain, c->data, root, MAIL_WIRE_PLAIN);

        HOLDS(c, renderers[i](&utf8, c->data, root, MAIL_WIRE_UTF8) == r);
        HOLDS(c, mail_wire_is_wellformed(plain.data, plain.len));
        HOLDS(c, mail_wire_is_wellformed(utf8.data, utf8.len));
        HOLDS(c,
              r == MAIL_WIRE_8BIT || (plain.len == utf8.len && memcmp(plain.data, utf8.data, utf8.len) == 0));
        buf_free(&plain);
        buf_free(&utf8);
    }
}

/* Each field read as each kind of field: for crashes only. */
static void read_fields(const char *data, size_t n)
{
    struct mail_header_iter it;
    struct mail_field f;
    struct pool *pool = pool_new(0);
    struct buf b = BUF_INIT;
    int64_t t;

    for (mail_header_begin(&it, data, n); mail_header_next(&it, &f);) {
        mail_date_parse(f.value, f.value_len, &t, NULL);
        mail_date_time_parse(f.value, f.value_len, &t, NULL);
        mail_date_day_parse(f.value, f.value_len, &t);
        mail_addresses_parse(pool, f.value, f.value_len, MAIL_ADDRESSES_MAX);
        mail_message_ids(pool, f.value, f.value_len);
        mail_base_subject(f.value, f.value_len, &b, NULL);
        buf_reset(&b);
        pool_reset(pool);
    }
    pool_free(&pool);
    buf_free(&b);
}

const char *mail_consistent(const char *data, size_t n)
{
    struct check c = {.data = data, .n = n};
    struct pool *pool = pool_new(0);
    struct mail_part *root = mail_parse(pool, data, n);

    HOLDS(&c, part_end(root) == n);
    HOLDS(&c, check_tree(&c, root, 0) <= MAIL_PARTS_MAX);
    if (c.wrong == NULL) {
        mail_table_encode(&c.table, root);
        check_table(&c, root);
        expect(&c, MAIL_SECTION_ALL, 0, 0, n);
        check_message_sections(&c, root);
        check_wire(&c, root);
        read_fields(data, n);
    }
    pool_free(&pool);
    buf_free(&c.table);
    return c.wrong;
}
