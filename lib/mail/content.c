#include "lib/mail/content.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/charset/words.h"
#include "lib/mail/header.h"
#include "lib/mail/lexer-private.h"

#define TSPECIALS "()<>@,;:\\\"/[]?="

static char *pool_upper(struct pool *pool, const struct buf *b)
{
    char *s = pool_memdup(pool, buf_cstr(b), b->len);

    for (char *p = s; *p != '\0'; p++)
        *p = str_upper_c(*p);
    return s;
}

/* A token (RFC 2045 section 5.1) in upper case, or NULL. */
static char *read_token(struct pool *pool, struct mail_lexer *lx)
{
    struct buf b = BUF_INIT;
    char *s = NULL;

    mail_lexer_skip(lx, NULL);
    if (mail_lexer_word(lx, TSPECIALS, &b))
        s = pool_upper(pool, &b);
    buf_free(&b);
    return s;
}

/* A parameter's value: a quoted string, or what stands up to the next ';' (mailers forget quotes around
 * blanks). */
static const char *read_param_value(struct pool *pool, struct mail_lexer *lx)
{
    struct buf b = BUF_INIT;
    const char *value;

    mail_lexer_skip(lx, NULL);
    if (!mail_lexer_quoted(lx, &b)) {
        while (mail_lexer_word(lx, ";(", &b)) {
            if (mail_lexer_skip(lx, NULL))
                buf_putc(&b, ' ');
        }
        while (b.len > 0 && b.data[b.len - 1] == ' ')
            buf_truncate(&b, b.len - 1);
    }
    value = pool_memdup(pool, buf_cstr(&b), b.len);
    buf_free(&b);
    return value;
}

static void skip_to_semicolon(struct mail_lexer *lx)
{
    struct buf dropped = BUF_INIT;

    while (mail_lexer_peek(lx) >= 0 && mail_lexer_peek(lx) != ';') {
        if (!mail_lexer_skip(lx, NULL) && !mail_lexer_quoted(lx, &dropped) &&
            !mail_lexer_word(lx, ";\"(", &dropped))
            lx->at++;
        buf_reset(&dropped);
    }
    buf_free(&dropped);
}

/* ---- RFC 2231 section 3: continuations ---- */

/* Splits NAME*n or NAME*n*: the length of NAME, 0 when the name is neither. */
static size_t continuation(const char *name, unsigned *number_r, bool *encoded_r)
{
    const char *star = strchr(name, '*'), *p;
    unsigned v = 0;

    if (star == NULL || star == name || star[1] < '0' || star[1] > '9')
        return 0;
    for (p = star + 1; *p >= '0' && *p <= '9' && v < MAIL_PARAMS_MAX; p++)
        v = v * 10 + (unsigned)(*p - '0');
    *encoded_r = strcmp(p, "*") == 0;
    if (*p != '\0' && !*encoded_r)
        return 0;
    *number_r = v;
    return (size_t)(star - name);
}

static struct mail_param *find_piece(struct mail_param *list, const char *base, size_t n, unsigned wanted,
                                     bool *encoded_r)
{
    for (; list != NULL; list = list->next) {
        unsigned number;

        if (list->value != NULL && continuation(list->name, &number, encoded_r) == n && number == wanted &&
            strncmp(list->name, base, n) == 0)
            return list;
    }
    return NULL;
}

static bool any_encoded(struct mail_param *list, const char *base, size_t n)
{
    bool encoded;

    for (unsigned i = 0; find_piece(list, base, n, i, &encoded) != NULL; i++) {
        if (encoded)
            return true;
    }
    return false;
}

/* Appends plain text as ext-value characters (RFC 2231 section 7: attribute-char or %xx). */
static void append_percent(struct buf *to, const char *s)
{
    for (; *s != '\0'; s++) {
        if ((unsigned char)*s > ' ' && (unsigned char)*s < 0x7f && strchr("*'%" TSPECIALS, *s) == NULL)
            buf_putc(to, *s);
        else
            buf_printf(to, "%%%02X", (unsigned char)*s);
    }
}

/* Joins the pieces of the continuation that `first` (number 0) begins. */
static void join(struct pool *pool, struct mail_param *list, struct mail_param *first, size_t n)
{
    bool all_plain = !any_encoded(list, first->name, n), encoded;
    struct buf b = BUF_INIT;
    struct mail_param *piece;

    for (unsigned i = 0; (piece = find_piece(list, first->name, n, i, &encoded)) != NULL; i++) {
        if (i == 0 && !all_plain && !encoded)
            buf_puts(&b, "''");
        if (all_plain || encoded)
            buf_puts(&b, piece->value);
        else
            append_percent(&b, piece->value);
        if (piece != first)
            piece->value = NULL; /* taken */
    }
    first->name = pool_printf(pool, "%.*s%s", (int)n, first->name, all_plain ? "" : "*");
    first->value = pool_memdup(pool, buf_cstr(&b), b.len);
    buf_free(&b);
}

static struct mail_param *join_continuations(struct pool *pool, struct mail_param *list)
{
    struct mail_param **at = &list;

    for (struct mail_param *p = list; p != NULL; p = p->next) {
        unsigned number;
        bool encoded;
        size_t n = p->value == NULL ? 0 : continuation(p->name, &number, &encoded);

        if (n > 0 && number == 0)
            join(pool, list, p, n);
    }
    while (*at != NULL) {
        if ((*at)->value == NULL)
            *at = (*at)->next;
        else
            at = &(*at)->next;
    }
    return list;
}

/* `; name=value` until the end. */
static struct mail_param *read_params(struct pool *pool, struct mail_lexer *lx)
{
    struct mail_param *first = NULL, **tail = &first;

    for (unsigned count = 0; count < MAIL_PARAMS_MAX;) {
        char *name;

        skip_to_semicolon(lx);
        if (mail_lexer_peek(lx) < 0)
            break;
        lx->at++;
        name = read_token(pool, lx);
        mail_lexer_skip(lx, NULL);
        if (name == NULL || mail_lexer_peek(lx) != '=')
            continue;
        lx->at++;
        *tail = pool_alloc(pool, sizeof(**tail));
        (*tail)->name = name;
        (*tail)->value = read_param_value(pool, lx);
        tail = &(*tail)->next;
        count++;
    }
    return join_continuations(pool, first);
}

/* ---- the fields ---- */

static void set_type(struct pool *pool, struct mail_content *c, const char *type, const char *subtype)
{
    c->type = type;
    c->subtype = subtype;
    c->params = NULL;
    if (strcmp(type, "TEXT") == 0) {
        c->params = pool_alloc(pool, sizeof(*c->params));
        c->params->name = "CHARSET";
        c->params->value = "us-ascii";
    }
}

void mail_content_default(struct pool *pool, struct mail_content *content)
{
    set_type(pool, content, "TEXT", "PLAIN");
}

static void parse_type(struct pool *pool, const struct mail_field *f, struct mail_content *c)
{
    struct mail_lexer lx;
    const char *type, *subtype = NULL;

    mail_lexer_init(&lx, f->value, f->value_len);
    type = read_token(pool, &lx);
    mail_lexer_skip(&lx, NULL);
    if (type != NULL && mail_lexer_peek(&lx) == '/') {
        lx.at++;
        subtype = read_token(pool, &lx);
    }
    if (subtype == NULL) { /* RFC 2045 section 5.2 */
        set_type(pool, c, "TEXT", "PLAIN");
        return;
    }
    c->type = type;
    c->subtype = subtype;
    c->params = read_params(pool, &lx);
}

static void parse_encoding(struct pool *pool, const struct mail_field *f, struct mail_content *c)
{
    struct mail_lexer lx;
    const char *name;

    mail_lexer_init(&lx, f->value, f->value_len);
    name = read_token(pool, &lx);
    if (name == NULL)
        return;
    c->encoding = name;
    c->decoding = decode_by_name(name);
}

static void parse_disposition(struct pool *pool, const struct mail_field *f, struct mail_content *c)
{
    struct mail_lexer lx;

    mail_lexer_init(&lx, f->value, f->value_len);
    c->disposition = read_token(pool, &lx);
    if (c->disposition != NULL)
        c->disposition_params = read_params(pool, &lx);
}

static void parse_language(struct pool *pool, const struct mail_field *f, struct mail_content *c)
{
    struct mail_param **tail = &c->languages;
    struct mail_lexer lx;
    unsigned count = 0;

    mail_lexer_init(&lx, f->value, f->value_len);
    while (mail_lexer_peek(&lx) >= 0 && count < MAIL_PARAMS_MAX) {
        const char *tag = read_token(pool, &lx);

        if (tag != NULL) {
            *tail = pool_alloc(pool, sizeof(**tail));
            (*tail)->name = tag;
            tail = &(*tail)->next;
            count++;
        } else if (mail_lexer_peek(&lx) >= 0) {
            lx.at++;
        }
    }
}

static const char *unfolded(struct pool *pool, const struct mail_field *f, bool keep_blanks)
{
    struct buf b = BUF_INIT;
    char *s, *to;

    mail_field_unfold(f, &b);
    s = pool_memdup(pool, buf_cstr(&b), b.len);
    buf_free(&b);
    if (keep_blanks)
        return s;
    to = s;
    for (const char *p = s; *p != '\0'; p++) {
        if (*p != ' ' && *p != '\t')
            *to++ = *p;
    }
    *to = '\0';
    return s;
}

static void parse_field(struct pool *pool, const struct mail_field *f, struct mail_content *c)
{
    if (mail_field_is(f, "Content-Type") && c->type == NULL)
        parse_type(pool, f, c);
    else if (mail_field_is(f, "Content-Transfer-Encoding") && c->encoding == NULL)
        parse_encoding(pool, f, c);
    else if (mail_field_is(f, "Content-Disposition") && c->disposition == NULL)
        parse_disposition(pool, f, c);
    else if (mail_field_is(f, "Content-Language") && c->languages == NULL)
        parse_language(pool, f, c);
    else if (mail_field_is(f, "Content-ID") && c->id == NULL)
        c->id = unfolded(pool, f, true);
    else if (mail_field_is(f, "Content-Description") && c->description == NULL)
        c->description = unfolded(pool, f, true);
    else if (mail_field_is(f, "Content-MD5") && c->md5 == NULL)
        c->md5 = unfolded(pool, f, false);
    else if (mail_field_is(f, "Content-Location") && c->location == NULL)
        c->location = unfolded(pool, f, false); /* RFC 2557 section 4.4.2 */
}

void mail_content_parse(struct pool *pool, const char *header, size_t n, bool digest,
                        struct mail_content *content_r)
{
    struct mail_header_iter it;
    struct mail_field field;

    memset(content_r, 0, sizeof(*content_r));
    mail_header_begin(&it, header, n);
    while (mail_header_next(&it, &field)) {
        if (field.name_len > strlen("Content-") && str_ieq_n(field.name, "Content-", strlen("Content-")))
            parse_field(pool, &field, content_r);
    }
    if (content_r->type == NULL)
        set_type(pool, content_r, digest ? "MESSAGE" : "TEXT", digest ? "RFC822" : "PLAIN");
    if (content_r->encoding == NULL)
        content_r->encoding = "7BIT";
}

bool mail_content_is(const struct mail_content *content, const char *type, const char *subtype)
{
    return str_ieq(content->type, type) && (subtype == NULL || str_ieq(content->subtype, subtype));
}

const char *mail_param_get(const struct mail_param *params, const char *name)
{
    for (; params != NULL; params = params->next) {
        if (str_ieq(params->name, name))
            return params->value;
    }
    return NULL;
}

int mail_param_utf8(const struct mail_param *params, const char *name, struct buf *to)
{
    struct buf extended = BUF_INIT;
    const char *value;
    int r = ERR_NOTFOUND;

    buf_printf(&extended, "%s*", name);
    value = mail_param_get(params, buf_cstr(&extended));
    buf_free(&extended);
    if (value != NULL)
        r = words_decode_parameter(value, strlen(value), to);
    if (r == 0)
        return 0;
    value = mail_param_get(params, name);
    if (value == NULL)
        return ERR_NOTFOUND;
    words_decode(value, strlen(value), to);
    return 0;
}
