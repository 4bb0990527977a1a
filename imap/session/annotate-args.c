#include "imap/session/annotate-args.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/imapwire/out.h"

enum { QUOTED_MAX = 1000 };

/* ---- names ---- */

/* RFC 5257 section 3.2: no empty level, no wildcards, ASCII. */
bool annotate_is_entry(const char *name)
{
    size_t n = strlen(name);

    if (*name != '/' || n < 2 || n > ANNOTATE_NAME_MAX || name[n - 1] == '/' || strstr(name, "//") != NULL)
        return false;
    for (const char *s = name; *s != '\0'; s++)
        if (*s <= 0x20 || *s >= 0x7f || *s == '*' || *s == '%')
            return false;
    return strcmp(name, "/flags") != 0 && strncmp(name, "/flags/", 7) != 0; /* section 3.5 */
}

/* The bytes of "1.2" at the front; 0. */
static size_t part_length(const char *s)
{
    const char *begin = s;

    for (;;) {
        size_t digits = strspn(s, "0123456789");

        if (digits == 0 || digits > 5 || *s == '0')
            return 0;
        s += digits;
        if (*s != '.')
            return (size_t)(s - begin);
        s++;
    }
}

const char *annotate_part(const char *entry, struct pool *pool)
{
    size_t n = part_length(entry + 1);

    return n > 0 && entry[1 + n] == '/' ? pool_strndup(pool, entry + 1, n) : NULL;
}

static bool is_flag(const char *name)
{
    return strcmp(name, "seen") == 0 || strcmp(name, "answered") == 0 || strcmp(name, "flagged") == 0 ||
           strcmp(name, "forwarded") == 0;
}

/* Section 3.2.1: what is registered, and what is a vendor's. */
bool annotate_is_settable(const char *name)
{
    size_t part = annotate_is_entry(name) ? part_length(name + 1) : 0;
    const char *rest = name;

    if (!annotate_is_entry(name))
        return false;
    if (part > 0)
        rest = name + 1 + part;
    if (strcmp(rest, "/comment") == 0 || (str_has_prefix(rest, "/vendor/") && rest[8] != '\0'))
        return true;
    if (part == 0)
        return strcmp(rest, "/altsubject") == 0;
    return str_has_prefix(rest, "/flags/") && is_flag(rest + 7);
}

/* ---- reading ---- */

void annotate_reader_init(struct annotate_reader *r, struct annotate_list *list)
{
    *list = (struct annotate_list){0};
    *r = (struct annotate_reader){.list = list};
}

static int fail(struct imap_args *args, const char *text)
{
    args->error = text;
    return ERR_SYNTAX;
}

/* Why a value cannot be; NULL. */
static const char *judge(const struct annotate_reader *r, const char *value, size_t len)
{
    size_t part = part_length(r->entry + 1);

    if (r->list->count == ANNOTATE_ARGS_MAX)
        return "Too many annotations";
    if (part > 0 && str_has_prefix(r->entry + 1 + part, "/flags/") && value != NULL &&
        (len != 1 || (*value != '0' && *value != '1')))
        return "A flag of a part is \"0\", \"1\" or NIL";
    return NULL;
}

int annotate_reader_value(struct annotate_reader *r, struct pool *pool, const char *data, size_t len,
                          const char **error_r)
{
    struct annotate_list *list = r->list;

    *error_r = judge(r, data, len);
    if (*error_r != NULL)
        return ERR_SYNTAX;
    if (list->values == NULL)
        list->values = pool_alloc(pool, ANNOTATE_ARGS_MAX * sizeof(*list->values));
    list->values[list->count++] = (struct annotate_value){r->entry, r->is_private, data, len};
    r->state = ANNOTATE_BEHIND_VALUE;
    return 0;
}

/* A list's beginning, or what parts it from the one before. */
static int read_entry(struct annotate_reader *r, struct imap_args *args)
{
    if (imap_args_astring(args, &r->entry) < 0)
        return ERR_SYNTAX;
    if (!annotate_is_settable(r->entry))
        return fail(args, "Invalid annotation entry");
    r->state = ANNOTATE_AT_ATTRIBUTE;
    return imap_args_space(args) < 0 ? ERR_SYNTAX : imap_args_char(args, '(');
}

static int read_attribute(struct annotate_reader *r, struct imap_args *args)
{
    const char *name;

    if (imap_args_astring(args, &name) < 0)
        return ERR_SYNTAX;
    r->is_private = strcmp(name, "value.priv") == 0;
    if (!r->is_private && strcmp(name, "value.shared") != 0)
        return fail(args, "Only value.priv and value.shared can be set");
    r->state = ANNOTATE_AT_VALUE;
    return imap_args_char(args, ' '); /* a literal may be all that follows */
}

/* 1: it is the literal that is announced. */
static int read_value(struct annotate_reader *r, struct imap_args *args, bool announced)
{
    const char *value;
    size_t len;

    if (announced && args->at == args->end)
        return 1;
    if (imap_args_nstring8(args, &value, &len) < 0)
        return ERR_SYNTAX;
    return annotate_reader_value(r, args->pool, value, len, &args->error);
}

/* 0: the list's end. */
static int read_behind(struct annotate_reader *r, struct imap_args *args)
{
    if (imap_args_skip(args, ' ')) {
        r->state = ANNOTATE_AT_ATTRIBUTE;
        return 2;
    }
    if (imap_args_char(args, ')') < 0)
        return ERR_SYNTAX;
    if (imap_args_skip(args, ' ')) {
        r->state = ANNOTATE_AT_ENTRY;
        return 2;
    }
    return imap_args_char(args, ')');
}

int annotate_reader_next(struct annotate_reader *r, struct imap_args *args, bool announced)
{
    for (;;) {
        int result = 0;

        switch (r->state) {
        case ANNOTATE_AT_LIST:
            result = imap_args_char(args, '(');
            r->state = ANNOTATE_AT_ENTRY;
            break;
        case ANNOTATE_AT_ENTRY:
            result = read_entry(r, args);
            break;
        case ANNOTATE_AT_ATTRIBUTE:
            result = read_attribute(r, args);
            break;
        case ANNOTATE_AT_VALUE:
            result = read_value(r, args, announced);
            break;
        case ANNOTATE_BEHIND_VALUE:
            result = read_behind(r, args);
            if (result == 0)
                return 0;
            break;
        }
        if (result < 0 || result == 1)
            return result;
    }
}

/* ---- writing ---- */

static bool is_quotable(const struct annotate_value *v)
{
    for (size_t i = 0; i < v->len; i++)
        if (v->value[i] < 0x20 || v->value[i] == 0x7f) /* 8-bit characters are below it */
            return false;
    return v->len <= QUOTED_MAX;
}

static void put_value(const struct annotate_value *v, struct buf *to)
{
    if (v->value == NULL) {
        buf_puts(to, "NIL");
    } else if (is_quotable(v)) {
        imap_put_string(to, v->value, v->len);
    } else {
        buf_printf(to, "%s{%zu+}\r\n", memchr(v->value, '\0', v->len) != NULL ? "~" : "", v->len);
        buf_append(to, v->value, v->len);
    }
}

void annotate_list_put(const struct annotate_list *list, struct buf *to)
{
    buf_puts(to, " ANNOTATION (");
    for (size_t i = 0; i < list->count; i++) {
        const struct annotate_value *v = &list->values[i];

        if (i > 0)
            buf_putc(to, ' ');
        imap_put_astring(to, v->entry);
        buf_printf(to, " (value.%s ", v->is_private ? "priv" : "shared");
        put_value(v, to);
        buf_putc(to, ')');
    }
    buf_putc(to, ')');
}
