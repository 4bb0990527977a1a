#include "lib/imapwire/out.h"

#include <stdbool.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/str.h"

enum { QUOTED_MAX = 1000 };

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f;
}

static bool is_quotable(const char *s, size_t n, bool utf8)
{
    if (n > QUOTED_MAX || (utf8 && !str_is_utf8(s, n)))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_plain((unsigned char)s[i]) && s[i] != '\t' && s[i] != '\0' &&
            !(utf8 && (unsigned char)s[i] >= 0x80))
            return false;
    return true;
}

static void put_quoted(struct buf *to, const char *s, size_t n)
{
    buf_putc(to, '"');
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '"' || s[i] == '\\')
            buf_putc(to, '\\');
        if (s[i] != '\0')
            buf_putc(to, s[i]);
    }
    buf_putc(to, '"');
}

static void put_literal(struct buf *to, const char *s, size_t n, const char *plus)
{
    size_t nuls = 0;

    for (size_t i = 0; i < n; i++)
        nuls += s[i] == '\0';
    buf_printf(to, "{%zu%s}\r\n", n - nuls, plus);
    if (nuls == 0) {
        buf_append(to, s, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (s[i] != '\0')
            buf_putc(to, s[i]);
}

static void put_string(struct buf *to, const char *s, size_t n, bool utf8)
{
    if (is_quotable(s, n, utf8))
        put_quoted(to, s, n);
    else
        put_literal(to, s, n, "");
}

void imap_put_string(struct buf *to, const char *s, size_t n)
{
    put_string(to, s, n, false);
}

void imap_put_utf8_string(struct buf *to, const char *s, size_t n)
{
    put_string(to, s, n, true);
}

void imap_put_string8(struct buf *to, const char *s, size_t n)
{
    if (memchr(s, '\0', n) == NULL) {
        imap_put_string(to, s, n);
        return;
    }
    buf_printf(to, "~{%zu}\r\n", n);
    buf_append(to, s, n);
}

void imap_put_nstring(struct buf *to, const char *s)
{
    if (s == NULL)
        buf_puts(to, "NIL");
    else
        imap_put_string(to, s, strlen(s));
}

static bool is_atom(const char *s)
{
    if (*s == '\0' || str_ieq(s, "NIL"))
        return false;
    for (; *s != '\0'; s++)
        if (!is_plain((unsigned char)*s) || strchr("(){ %*\"\\]", *s) != NULL)
            return false;
    return true;
}

void imap_put_astring(struct buf *to, const char *s)
{
    if (is_atom(s))
        buf_puts(to, s);
    else
        imap_put_string(to, s, strlen(s));
}

void imap_put_utf8_astring(struct buf *to, const char *s)
{
    if (is_atom(s))
        buf_puts(to, s);
    else
        imap_put_utf8_string(to, s, strlen(s));
}

int imap_put_argument(struct buf *to, const char *s, int literal_plus)
{
    size_t n = strlen(s);

    if (is_atom(s))
        buf_puts(to, s);
    else if (is_quotable(s, n, false))
        put_quoted(to, s, n);
    else if (literal_plus)
        put_literal(to, s, n, "+");
    else
        return ERR_UNSUPPORTED;
    return 0;
}

void imap_put_flags(struct buf *to, const char *const *flags)
{
    buf_putc(to, '(');
    for (size_t i = 0; flags[i] != NULL; i++) {
        if (i > 0)
            buf_putc(to, ' ');
        buf_puts(to, flags[i]);
    }
    buf_putc(to, ')');
}

void imap_put_text(struct buf *to, const char *text)
{
    if (*text == '[')
        buf_putc(to, ' ');
    for (; *text != '\0'; text++)
        buf_putc(to, is_plain((unsigned char)*text) ? *text : '?');
}
