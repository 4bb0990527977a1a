#include "lib/mail/header.h"

#include <string.h>

#include "lib/base/str.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Behind the line that begins at `at`. */
static const char *line_end(const char *at, const char *end)
{
    const char *lf = memchr(at, '\n', (size_t)(end - at));

    return lf != NULL ? lf + 1 : end;
}

static bool is_empty_line(const char *at, const char *end)
{
    return at < end && (at[0] == '\n' || (end - at >= 2 && at[0] == '\r' && at[1] == '\n'));
}

size_t mail_header_size(const char *data, size_t n)
{
    const char *at = data, *end = data + n;

    while (at < end && !is_empty_line(at, end))
        at = line_end(at, end);
    if (at < end)
        at = line_end(at, end);
    return (size_t)(at - data);
}

void mail_header_begin(struct mail_header_iter *it, const char *header, size_t n)
{
    it->at = header;
    it->end = header + n;
}

/* The length of the name in a field's first line, 0 if the line is no field: RFC 5322 names are printable
 * ASCII; blanks before the colon are obsolete syntax (4.5). */
static size_t name_length(const char *line, const char *end)
{
    const char *p = line, *name_end;

    while (p<end && * p> ' ' && *p < 0x7f && *p != ':')
        p++;
    name_end = p;
    while (p < end && is_blank(*p))
        p++;
    return p < end && *p == ':' ? (size_t)(name_end - line) : 0;
}

/* The range without a line end at its end. */
static size_t without_line_end(const char *s, size_t n)
{
    if (n > 0 && s[n - 1] == '\n')
        n--;
    if (n > 0 && s[n - 1] == '\r')
        n--;
    return n;
}

bool mail_header_next(struct mail_header_iter *it, struct mail_field *field_r)
{
    const char *start = it->at, *end;

    if (start >= it->end || is_empty_line(start, it->end))
        return false;
    end = line_end(start, it->end);
    while (end < it->end && is_blank(*end))
        end = line_end(end, it->end);
    it->at = end;
    field_r->raw = start;
    field_r->raw_len = (size_t)(end - start);
    field_r->name = start;
    field_r->name_len = name_length(start, end);
    field_r->value = start;
    if (field_r->name_len > 0)
        field_r->value = (const char *)memchr(start, ':', field_r->raw_len) + 1;
    field_r->value_len = without_line_end(field_r->value, (size_t)(end - field_r->value));
    return true;
}

bool mail_field_is(const struct mail_field *field, const char *name)
{
    return field->name_len > 0 && strlen(name) == field->name_len &&
           str_ieq_n(field->name, name, field->name_len);
}

/* Could a field of that name begin here?  Cheaper than taking every field to pieces. */
static bool may_begin(const char *at, const char *end, const char *name, size_t len)
{
    return (size_t)(end - at) > len && str_ieq_n(at, name, len) && (at[len] == ':' || is_blank(at[len]));
}

bool mail_header_next_of(struct mail_header_iter *it, const char *name, struct mail_field *field_r)
{
    size_t len = strlen(name);

    while (it->at < it->end && !is_empty_line(it->at, it->end)) {
        if (!may_begin(it->at, it->end, name, len))
            it->at = line_end(it->at, it->end);
        else if (mail_header_next(it, field_r) && mail_field_is(field_r, name))
            return true;
    }
    return false;
}

bool mail_header_find(const char *header, size_t n, const char *name, struct mail_field *field_r)
{
    struct mail_header_iter it;

    mail_header_begin(&it, header, n);
    return mail_header_next_of(&it, name, field_r);
}

void mail_field_unfold(const struct mail_field *field, struct buf *to)
{
    const char *s = field->value, *end = s + field->value_len;
    size_t start = to->len;

    while (s < end && (is_blank(*s) || *s == '\r' || *s == '\n'))
        s++;
    for (; s < end; s++) {
        if (*s == '\0' || *s == '\n' || (*s == '\r' && (s + 1 == end || s[1] == '\n')))
            continue;
        buf_putc(to, *s);
    }
    while (to->len > start && is_blank(to->data[to->len - 1]))
        buf_truncate(to, to->len - 1);
}

static char *unfold_to_pool(struct pool *pool, const struct mail_field *field)
{
    struct buf b = BUF_INIT;
    char *s;

    mail_field_unfold(field, &b);
    s = pool_memdup(pool, buf_cstr(&b), b.len);
    buf_free(&b);
    return s;
}

char *mail_header_get(struct pool *pool, const char *header, size_t n, const char *name)
{
    struct mail_field field;

    return mail_header_find(header, n, name, &field) ? unfold_to_pool(pool, &field) : NULL;
}

char **mail_header_get_all(struct pool *pool, const char *header, size_t n, const char *name)
{
    struct mail_header_iter it;
    struct mail_field field;
    size_t count = 0;
    char **values;

    for (mail_header_begin(&it, header, n); mail_header_next(&it, &field);)
        count += mail_field_is(&field, name);
    values = pool_alloc(pool, (count + 1) * sizeof(*values));
    count = 0;
    for (mail_header_begin(&it, header, n); mail_header_next(&it, &field);) {
        if (mail_field_is(&field, name))
            values[count++] = unfold_to_pool(pool, &field);
    }
    return values;
}

static bool is_listed(const struct mail_field *field, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (mail_field_is(field, names[i]))
            return true;
    }
    return false;
}

void mail_header_select(const char *header, size_t n, const char *const *names, size_t count, bool except,
                        struct buf *to)
{
    struct mail_header_iter it;
    struct mail_field field;
    size_t start = to->len;

    mail_header_begin(&it, header, n);
    while (mail_header_next(&it, &field)) {
        if (field.name_len > 0 && is_listed(&field, names, count) != except)
            buf_append(to, field.raw, field.raw_len);
    }
    if (to->len > start && to->data[to->len - 1] != '\n')
        buf_puts(to, "\r\n");
    buf_puts(to, "\r\n");
}
