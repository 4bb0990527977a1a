#include "lib/sieve/uri-private.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/mail/address.h"

/* Percent-decoded (RFC 3986 2.1); ERR_SYNTAX for a bad escape or a control character. */
static int decode(const char *s, size_t n, struct buf *to)
{
    unsigned char c;

    for (size_t i = 0; i < n; i++) {
        c = (unsigned char)s[i];
        if (c == '%') {
            if (i + 2 >= n || str_unhex(&c, s + i + 1, 1) < 0)
                return ERR_SYNTAX;
            i += 2;
        }
        if (c < ' ' || c == 127)
            return ERR_SYNTAX;
        buf_putc(to, (char)c);
    }
    return 0;
}

/* Addresses with hosts, at least one. */
static bool is_address_list(const char *s, size_t n)
{
    struct pool *pool = pool_new(0);
    const struct mail_address *a = mail_addresses_parse(pool, s, n, 100);
    bool good = a != NULL;

    for (; a != NULL; a = a->next)
        good = good && a->kind == MAIL_ADDRESS && a->mailbox != NULL && a->host != NULL && *a->host != '\0';
    pool_free(&pool);
    return good;
}

/* "name=value&name=value", each decodable; is there an address in `to` or `cc`? */
static int check_fields(const char *s, const char *end, bool *addressed)
{
    while (s < end) {
        const char *stop = memchr(s, '&', (size_t)(end - s)), *equals;
        struct buf value = BUF_INIT;
        int r;

        stop = stop != NULL ? stop : end;
        equals = memchr(s, '=', (size_t)(stop - s));
        if (equals == NULL || equals == s)
            return ERR_SYNTAX;
        r = decode(equals + 1, (size_t)(stop - equals - 1), &value);
        if (r == 0 && equals - s == 2 && (str_ieq_n(s, "to", 2) || str_ieq_n(s, "cc", 2)))
            *addressed |= is_address_list(buf_cstr(&value), value.len);
        buf_free(&value);
        if (r < 0)
            return r;
        s = stop + (stop < end);
    }
    return 0;
}

const char *uri_check_mailto(const struct sieve_string *uri)
{
    const char *end = uri->data + uri->len, *to = uri->data + 7, *query;
    struct buf address = BUF_INIT;
    bool addressed = false;
    int r;

    if (uri->len <= 7 || !str_ieq_n(uri->data, "mailto:", 7))
        return "is no notification method that is known here: mailto: is";
    query = memchr(to, '?', (size_t)(end - to));
    r = decode(to, (size_t)((query != NULL ? query : end) - to), &address);
    if (r == 0 && address.len > 0) {
        addressed = is_address_list(buf_cstr(&address), address.len);
        r = addressed ? 0 : ERR_SYNTAX;
    }
    buf_free(&address);
    if (r == 0 && query != NULL)
        r = check_fields(query + 1, end, &addressed);
    return r == 0 && addressed ? NULL : "is no valid mailto: URI";
}
