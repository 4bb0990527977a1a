#include "lib/imapwire/url.h"

#include <ctype.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/imapwire/args.h"

/* ---- characters ---- */

static bool is_unreserved(char c)
{
    return (unsigned char)c < 0x80 && (isalnum((unsigned char)c) || (c != '\0' && strchr("-._~", c) != NULL));
}

/* RFC 5092 section 11: bchar, without pct-encoded, and ";". */
static bool is_url_char(char c)
{
    return is_unreserved(c) || (c != '\0' && strchr("!$'()*+,&=:@/;", c) != NULL);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that "%XX" stands for; -1: it is none, or NUL. */
static int decode_byte(const char *s)
{
    int high = hex_value(s[1]), low = high < 0 ? -1 : hex_value(s[2]);

    return low < 0 || high * 16 + low == 0 ? -1 : high * 16 + low;
}

static bool is_clean(const char *url)
{
    for (; *url != '\0'; url++) {
        if (*url == '%' && decode_byte(url) >= 0)
            url += 2;
        else if (!is_url_char(*url))
            return false;
    }
    return true;
}

/* Of what is_clean() has passed. */
static void decode(const char *s, size_t n, struct buf *to)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '%') {
            buf_putc(to, (char)decode_byte(s + i));
            i += 2;
        } else {
            buf_putc(to, s[i]);
        }
    }
}

void imap_url_escape(const char *s, const char *also, struct buf *to)
{
    for (; *s != '\0'; s++) {
        if (is_unreserved(*s) || strchr(also, *s) != NULL)
            buf_putc(to, *s);
        else
            buf_printf(to, "%%%02X", (unsigned char)*s);
    }
}

/* ---- segments ---- */

struct segments {
    const char **s; /* each in the pool */
    size_t count;
};

/* What stands between slashes; "." and ".." are resolved (RFC 3986 section 5.2.4). */
static void split(const char *path, struct pool *pool, struct segments *to)
{
    to->s = pool_alloc(pool, (strlen(path) + 1) * sizeof(*to->s));
    to->count = 0;
    for (;;) {
        size_t n = strcspn(path, "/");
        const char *segment = pool_strndup(pool, path, n);
        bool last = path[n] == '\0';

        if (strcmp(segment, "..") == 0 && to->count > 0)
            to->count--;
        if (strcmp(segment, ".") != 0 && strcmp(segment, "..") != 0)
            to->s[to->count++] = segment;
        if (last)
            return;
        path += n + 1;
    }
}

/* The value of a segment ";NAME=value" by its name in any case; NULL. */
static const char *value_of(const char *segment, const char *name)
{
    size_t n = strlen(name);

    return str_ieq_n(segment, name, n) ? segment + n : NULL;
}

static int nz_number(const char *s, size_t n, uint32_t *n_r)
{
    return n > 0 && *s >= '1' && *s <= '9' ? str_parse_u32(s, n, n_r) : ERR_SYNTAX;
}

/* ---- the mailbox ---- */

/* enc-mailbox [uidvalidity]: the segments before ";UID=". */
static int take_mailbox(const struct segments *path, size_t count, struct pool *pool, struct imap_url *url)
{
    static const char uidvalidity[] = ";UIDVALIDITY=";
    struct buf name = BUF_INIT;
    int r = count > 0 ? 0 : ERR_SYNTAX;

    for (size_t i = 0; r == 0 && i < count; i++) {
        size_t n = strcspn(path->s[i], ";");
        const char *value = value_of(path->s[i] + n, uidvalidity);

        if (i > 0)
            buf_putc(&name, '/');
        decode(path->s[i], n, &name);
        if (path->s[i][n] != '\0')
            r = value != NULL && i + 1 == count ? nz_number(value, strlen(value), &url->uidvalidity)
                                                : ERR_SYNTAX;
    }
    if (r == 0 && (name.len == 0 || !str_is_utf8(name.data, name.len)))
        r = ERR_SYNTAX;
    if (r == 0)
        url->mailbox = pool_strdup(pool, buf_cstr(&name));
    buf_free(&name);
    return r;
}

/* ---- the section (RFC 3501 section 9, section-spec) ---- */

/* "1.2." or "1.2" at the front, checked; what is behind it, or NULL. */
static const char *behind_path(const char *s)
{
    while (*s >= '1' && *s <= '9') {
        uint32_t part;
        size_t n = strspn(s, "0123456789");

        if (str_parse_u32(s, n, &part) < 0 || (s[n] != '.' && s[n] != '\0'))
            return NULL;
        s += n;
        if (*s == '\0')
            return s;
        s++;
        if (*s == '\0')
            return NULL;
    }
    return s;
}

/* A header field's name that can be an atom anywhere: RFC 5322 allows more, which nobody uses. */
static bool is_field_name(const char *name)
{
    for (const char *s = name; *s != '\0'; s++)
        if (!is_unreserved(*s) && strchr("!#$&'+^`|", *s) == NULL)
            return false;
    return *name != '\0';
}

/* " (To \"From\")" */
static int put_fields(const char *s, struct pool *pool, struct buf *to)
{
    struct imap_args args;
    const char *name;
    size_t count = 0;

    imap_args_init(&args, pool, s, strlen(s));
    if (imap_args_space(&args) < 0 || imap_args_char(&args, '(') < 0)
        return ERR_SYNTAX;
    buf_puts(to, " (");
    do {
        if (count++ == IMAP_URL_FIELDS_MAX || imap_args_peek(&args) == '{' ||
            imap_args_astring(&args, &name) < 0 || !is_field_name(name))
            return ERR_SYNTAX;
        buf_printf(to, "%s%s", count > 1 ? " " : "", name);
    } while (imap_args_skip(&args, ' '));
    buf_putc(to, ')');
    return imap_args_char(&args, ')') == 0 && args.at == args.end ? 0 : ERR_SYNTAX;
}

static int put_section(const char *s, struct pool *pool, struct buf *to)
{
    static const char *const words[] = {"HEADER", "TEXT", "MIME"};
    static const char *const lists[] = {"HEADER.FIELDS.NOT", "HEADER.FIELDS"};
    const char *word = behind_path(s);

    if (word == NULL || *s == '\0')
        return ERR_SYNTAX;
    buf_append(to, s, (size_t)(word - s));
    if (*word == '\0')
        return 0;
    for (size_t i = 0; i < 3; i++) {
        if (str_ieq(word, words[i])) {
            buf_puts(to, words[i]);
            return i == 2 && word == s ? ERR_SYNTAX : 0; /* MIME is a part's */
        }
    }
    for (size_t i = 0; i < 2; i++) {
        if (value_of(word, lists[i]) != NULL) {
            buf_puts(to, lists[i]);
            return put_fields(word + strlen(lists[i]), pool, to);
        }
    }
    return ERR_SYNTAX;
}

static int take_section(const char *value, struct pool *pool, struct imap_url *url)
{
    struct buf decoded = BUF_INIT, section = BUF_INIT;
    int r;

    decode(value, strlen(value), &decoded);
    r = put_section(buf_cstr(&decoded), pool, &section);
    if (r == 0)
        url->section = pool_strdup(pool, buf_cstr(&section));
    buf_free(&decoded);
    buf_free(&section);
    return r;
}

/* ---- the rest ---- */

/* number ["." nz-number] */
static int take_partial(const char *value, struct imap_url *url)
{
    size_t n = strspn(value, "0123456789");
    uint32_t offset, size = 0;

    if (n == 0 || str_parse_u32(value, n, &offset) < 0)
        return ERR_SYNTAX;
    if (value[n] == '.' && nz_number(value + n + 1, strlen(value + n + 1), &size) < 0)
        return ERR_SYNTAX;
    if (value[n] != '.' && value[n] != '\0')
        return ERR_SYNTAX;
    url->has_partial = true;
    url->offset = offset;
    url->size = size;
    return 0;
}

/* iuid [isection] [ipartial] */
static int take_part(const char *const *s, size_t count, struct pool *pool, struct imap_url *url)
{
    const char *value = value_of(s[0], ";UID=");
    size_t i = 1;
    int r = nz_number(value, strlen(value), &url->uid);

    if (r == 0 && i < count && (value = value_of(s[i], ";SECTION=")) != NULL) {
        r = take_section(value, pool, url);
        i++;
    }
    if (r == 0 && i < count && (value = value_of(s[i], ";PARTIAL=")) != NULL) {
        r = take_partial(value, url);
        i++;
    }
    return r == 0 && i < count ? ERR_SYNTAX : r;
}

static bool is_of_other_kind(const char *url)
{
    static const char scheme[] = "imap:";

    return str_ieq_n(url, scheme, strlen(scheme)) || str_has_prefix(url, "//") || strchr(url, '?') != NULL ||
           strcasestr(url, ";URLAUTH=") != NULL;
}

int imap_url_parse(const char *url, struct pool *pool, struct imap_url *url_r)
{
    struct segments path;
    size_t uid = 0;
    int r = 0;

    *url_r = (struct imap_url){.section = ""};
    if (strlen(url) > IMAP_URL_MAX)
        return ERR_TOOBIG;
    if (is_of_other_kind(url))
        return ERR_UNSUPPORTED;
    if (!is_clean(url))
        return ERR_SYNTAX;
    split(*url == '/' ? url + 1 : url, pool, &path);
    while (uid < path.count && value_of(path.s[uid], ";UID=") == NULL)
        uid++;
    if (uid == path.count)
        return *url == '/' ? ERR_UNSUPPORTED : ERR_SYNTAX;
    if (*url == '/')
        r = take_mailbox(&path, uid, pool, url_r);
    else if (uid > 0)
        r = ERR_SYNTAX; /* RFC 5092 section 7.2 */
    return r == 0 ? take_part(path.s + uid, path.count - uid, pool, url_r) : r;
}

/* A dot behind a slash is no dot segment. */
static void put_mailbox(const char *name, struct buf *to)
{
    for (const char *s = name; *s != '\0';) {
        size_t n = strcspn(s, "/");
        struct buf segment = BUF_INIT;

        buf_append(&segment, s, n);
        if (*s == '.') {
            buf_puts(to, "%2E");
            imap_url_escape(buf_cstr(&segment) + 1, "", to);
        } else {
            imap_url_escape(buf_cstr(&segment), "", to);
        }
        buf_free(&segment);
        s += n;
        if (*s == '/')
            buf_puts(to, s++ == name ? "%2F" : "/");
    }
}

void imap_url_print(const struct imap_url *url, struct buf *to)
{
    buf_putc(to, '/');
    put_mailbox(url->mailbox, to);
    if (url->uidvalidity != 0)
        buf_printf(to, ";UIDVALIDITY=%u", url->uidvalidity);
    buf_printf(to, "/;UID=%u", url->uid);
    if (*url->section != '\0') {
        buf_puts(to, "/;SECTION=");
        imap_url_escape(url->section, "", to);
    }
    if (url->has_partial)
        buf_printf(to, "/;PARTIAL=%llu", (unsigned long long)url->offset);
    if (url->has_partial && url->size != 0)
        buf_printf(to, ".%llu", (unsigned long long)url->size);
}
