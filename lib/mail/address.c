#include "lib/mail/address.h"

#include <string.h>

#include "lib/mail/lexer-private.h"

struct parser {
    struct pool *pool;
    struct mail_lexer lx;
    struct mail_address *first, **tail;
    size_t left; /* entries that may still be added */
    bool in_group;
    /* What was read of the address at hand. */
    struct buf phrase;  /* words with blanks between them */
    struct buf local;   /* the same as a local part: no blanks around dots */
    struct buf host;    /* behind the last '@' */
    struct buf comment; /* the last one */
    bool has_host;
};

static const char *pool_text(struct pool *pool, const struct buf *b)
{
    return pool_memdup(pool, buf_cstr(b), b->len);
}

static const char *pool_text_or_null(struct pool *pool, const struct buf *b)
{
    return b->len > 0 ? pool_text(pool, b) : NULL;
}

static struct mail_address *add(struct parser *p, enum mail_address_kind kind)
{
    struct mail_address *a;

    if (p->left == 0)
        return NULL;
    p->left--;
    a = pool_alloc(p->pool, sizeof(*a));
    a->kind = kind;
    *p->tail = a;
    p->tail = &a->next;
    return a;
}

static void forget_words(struct parser *p)
{
    buf_reset(&p->phrase);
    buf_reset(&p->local);
    buf_reset(&p->host);
    buf_reset(&p->comment);
    p->has_host = false;
}

/* A word was appended to phrase at `start`: the same for local. */
static void add_to_local(struct parser *p, size_t start, bool spaced)
{
    size_t n = p->phrase.len - start;
    const char *word;

    if (n == 0)
        return;
    word = p->phrase.data + start;
    if (spaced && p->local.len > 0 && p->local.data[p->local.len - 1] != '.' && *word != '.')
        buf_putc(&p->local, ' ');
    buf_append(&p->local, word, n);
}

/* Reads words up to a special character: a display name, a group's name or a local part. */
static void read_words(struct parser *p, const char *stop)
{
    for (;;) {
        bool spaced = mail_lexer_skip(&p->lx, &p->comment);
        size_t start;

        if (spaced && p->phrase.len > 0)
            buf_putc(&p->phrase, ' ');
        start = p->phrase.len;
        if (!mail_lexer_quoted(&p->lx, &p->phrase) && !mail_lexer_word(&p->lx, stop, &p->phrase)) {
            if (mail_lexer_peek(&p->lx) != '"' || !p->lx.no_quotes)
                break;
            p->lx.at++; /* a stray quote */
        }
        add_to_local(p, start, spaced);
    }
    while (p->phrase.len > 0 && p->phrase.data[p->phrase.len - 1] == ' ')
        buf_truncate(&p->phrase, p->phrase.len - 1);
}

/* Behind an '@': a dot-atom with blanks around its dots, or a domain literal. */
static void read_domain(struct parser *p)
{
    mail_lexer_skip(&p->lx, &p->comment);
    if (mail_lexer_peek(&p->lx) == '[') {
        while (mail_lexer_peek(&p->lx) >= 0 && p->lx.at[0] != ']') {
            mail_lexer_skip(&p->lx, NULL);
            if (!mail_lexer_word(&p->lx, "]", &p->host))
                break;
        }
        if (mail_lexer_peek(&p->lx) == ']')
            buf_putc(&p->host, *p->lx.at++);
        return;
    }
    while (mail_lexer_word(&p->lx, "<>,;:@\"()[]", &p->host)) {
        bool dot = p->host.data[p->host.len - 1] == '.';

        mail_lexer_skip(&p->lx, &p->comment);
        if (!dot && mail_lexer_peek(&p->lx) != '.')
            break;
    }
}

/* At an '@' behind a local part.  Of several the last separates: `a@b@c` is `a@b` at c. */
static void read_host(struct parser *p)
{
    while (mail_lexer_peek(&p->lx) == '@') {
        p->lx.at++;
        if (p->has_host) {
            buf_putc(&p->local, '@');
            buf_append(&p->local, buf_cstr(&p->host), p->host.len);
            buf_reset(&p->host);
        }
        p->has_host = true;
        read_domain(p);
        mail_lexer_skip(&p->lx, &p->comment);
    }
}

static void add_address(struct parser *p, const char *name, const char *route)
{
    struct mail_address *a = add(p, MAIL_ADDRESS);

    if (a == NULL)
        return;
    a->name = name;
    a->route = route;
    a->mailbox = pool_text(p->pool, &p->local);
    a->host = p->has_host ? pool_text(p->pool, &p->host) : NULL;
}

/* Behind '<', at an '@': the obsolete route up to its colon; without one it is no route. */
static const char *read_route(struct parser *p)
{
    struct buf route = BUF_INIT;
    struct mail_lexer before = p->lx;
    const char *text = NULL;

    while (mail_lexer_word(&p->lx, ":>\"()", &route) || mail_lexer_skip(&p->lx, NULL))
        ;
    if (mail_lexer_peek(&p->lx) == ':') {
        p->lx.at++;
        text = pool_text(p->pool, &route);
    } else {
        p->lx = before;
    }
    buf_free(&route);
    return text;
}

/* At a '<': route, address and '>'; what stood before is the display name. */
static void read_angle(struct parser *p)
{
    const char *name, *route = NULL;

    if (p->has_host) { /* `a@b <c@d>`: somebody's unquoted display name */
        buf_putc(&p->local, '@');
        buf_append(&p->local, buf_cstr(&p->host), p->host.len);
        buf_reset(&p->phrase);
        buf_append(&p->phrase, buf_cstr(&p->local), p->local.len);
    }
    name = pool_text_or_null(p->pool, &p->phrase);
    forget_words(p);
    p->lx.at++;
    mail_lexer_skip(&p->lx, NULL);
    if (mail_lexer_peek(&p->lx) == '@')
        route = read_route(p);
    read_words(p, "<>@,;\"()");
    read_host(p);
    while (mail_lexer_peek(&p->lx) >= 0 && strchr(">,;", p->lx.at[0]) == NULL)
        p->lx.at++;
    if (mail_lexer_peek(&p->lx) == '>')
        p->lx.at++;
    if (name != NULL || p->local.len > 0 || p->has_host)
        add_address(p, name, route);
    forget_words(p);
    read_words(p, "<>@,;:\"()"); /* noise, unless another address follows without a comma */
    if (mail_lexer_peek(&p->lx) != '<' && mail_lexer_peek(&p->lx) != '@')
        forget_words(p);
}

static void read_group_begin(struct parser *p)
{
    struct mail_address *a = add(p, MAIL_GROUP_BEGIN);

    if (a != NULL)
        a->mailbox = pool_text(p->pool, &p->phrase);
    p->lx.at++;
    p->in_group = true;
    forget_words(p);
}

/* At ',', ';' or the end: what was read is a bare address; its comment is its name. */
static void read_bare(struct parser *p)
{
    if (p->local.len > 0 || p->has_host)
        add_address(p, pool_text_or_null(p->pool, &p->comment), NULL);
    forget_words(p);
}

static void end_group(struct parser *p)
{
    if (p->in_group)
        add(p, MAIL_GROUP_END);
    p->in_group = false;
}

static void read_item(struct parser *p)
{
    size_t local = p->local.len;

    read_words(p, "<>@,;:\"()");
    if (p->has_host) /* words behind a complete address: noise */
        buf_truncate(&p->local, local);
    switch (mail_lexer_peek(&p->lx)) {
    case '@':
        read_host(p);
        if (mail_lexer_peek(&p->lx) == '<')
            read_angle(p);
        return;
    case '<':
        read_angle(p);
        return;
    case ':':
        if (!p->in_group && !p->has_host && p->phrase.len > 0)
            read_group_begin(p);
        else
            p->lx.at++;
        return;
    case ',':
        read_bare(p);
        p->lx.at++;
        return;
    case ';':
        read_bare(p);
        end_group(p);
        p->lx.at++;
        return;
    default:
        if (mail_lexer_peek(&p->lx) >= 0)
            p->lx.at++; /* '>', ')' out of place */
    }
}

struct mail_address *mail_addresses_parse(struct pool *pool, const char *value, size_t n, size_t max)
{
    struct parser p = {.pool = pool, .left = max};

    p.tail = &p.first;
    mail_lexer_init(&p.lx, value, n);
    while (p.left > 0 && mail_lexer_peek(&p.lx) >= 0)
        read_item(&p);
    read_bare(&p);
    end_group(&p);
    buf_free(&p.phrase);
    buf_free(&p.local);
    buf_free(&p.host);
    buf_free(&p.comment);
    return p.first;
}

/* A dot-atom (RFC 5322 section 3.2.3; 8-bit as in RFC 6532)? */
static bool is_dot_atom(const char *s)
{
    const char *p = s;

    for (; *p != '\0'; p++) {
        if ((unsigned char)*p <= ' ' || *p == 0x7f || strchr("()<>[]:;@\\,\"", *p) != NULL)
            return false;
        if (*p == '.' && (p == s || p[1] == '.' || p[1] == '\0'))
            return false;
    }
    return p > s;
}

void mail_address_spec(const struct mail_address *a, struct buf *to)
{
    const char *local = a->mailbox != NULL ? a->mailbox : "";

    if (is_dot_atom(local)) {
        buf_puts(to, local);
    } else {
        buf_putc(to, '"');
        for (; *local != '\0'; local++) {
            if (*local == '"' || *local == '\\')
                buf_putc(to, '\\');
            buf_putc(to, *local);
        }
        buf_putc(to, '"');
    }
    if (a->host != NULL)
        buf_printf(to, "@%s", a->host);
}
