#include "lib/name/namespace.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/charset/utf7.h"
#include "lib/charset/utf8.h"
#include "lib/name/mboxname.h"

void namespace_init(struct namespace *ns, const struct name_config *config, const char *userid, bool is_admin,
                    struct pool *pool)
{
    struct buf inbox = BUF_INIT;
    size_t domain_len = 0;

    if (userid == NULL || mboxname_inbox(config, userid, &inbox) != 0)
        buf_reset(&inbox);
    mboxname_local(buf_cstr(&inbox), &domain_len);
    ns->config = config;
    ns->separator = config->separator;
    ns->alt = config->altnamespace && !is_admin;
    ns->domain = pool_strndup(pool, buf_cstr(&inbox), domain_len);
    ns->inbox = pool_strdup(pool, buf_cstr(&inbox));
    ns->utf8 = false;
    ns->all_domains = is_admin && domain_len == 0 && config->virtdomains != VIRTDOMAINS_OFF;
    ns->one_domain = is_admin && domain_len > 0;
    buf_free(&inbox);
}

/* ---- UTF-8 outside, modified UTF-7 inside ---- */

/* What no name may have (RFC 6855 3); the text is UTF-8. */
static bool has_controls(const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t c;

        i += utf8_next(s + i, n - i, &c);
        if (c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029)
            return true;
    }
    return false;
}

static int encode(const char *utf8, struct buf *to)
{
    size_t n = strlen(utf8);

    return has_controls(utf8, n) || utf7_from_utf8(utf8, n, to) < 0 ? ERR_BADNAME : 0;
}

/* Puts the UTF-8 of what stands behind `before` in its place. */
static int decode(struct buf *name, size_t before)
{
    struct buf utf8 = BUF_INIT;
    bool ok = utf7_to_utf8(name->data + before, name->len - before, &utf8) == 0 &&
              !has_controls(utf8.data, utf8.len);

    buf_truncate(name, before);
    if (ok)
        buf_append(name, utf8.data, utf8.len);
    buf_free(&utf8);
    return ok ? 0 : ERR_NOTFOUND;
}

/* ---- external to internal ---- */

/* Appends what the external components s[0..n) are internally; how many bytes could be converted. */
static size_t put_internal(const struct namespace *ns, const char *s, size_t n, struct buf *to)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] == ns->separator)
            buf_putc(to, '.');
        else if (ns->separator == '/' && s[i] == '^')
            return i; /* would come back as a dot */
        else if (ns->separator == '/' && s[i] == '.')
            buf_putc(to, '^');
        else
            buf_putc(to, s[i]);
    }
    return n;
}

/* Behind `prefix` and a separator; NULL when the name does not begin so. */
static const char *behind(const struct namespace *ns, const char *name, size_t len, const char *prefix)
{
    size_t n = strlen(prefix);

    return len > n && strncmp(name, prefix, n) == 0 && name[n] == ns->separator ? name + n + 1 : NULL;
}

static bool is_inbox_word(const struct namespace *ns, const char *name, size_t len)
{
    return len >= 5 && str_ieq_n(name, "INBOX", 5) && (len == 5 || name[5] == ns->separator);
}

static bool equals(const char *name, size_t len, const char *word)
{
    return len == strlen(word) && memcmp(name, word, len) == 0;
}

/* Where an external name (or the beginning of one) lies: the internal beginning is appended, and what is
 * left to convert returned; NULL: nowhere. */
static const char *put_place(const struct namespace *ns, const char *name, size_t len, const char *domain,
                             struct buf *to)
{
    const char *rest;

    if (is_inbox_word(ns, name, len)) {
        if (ns->inbox[0] == '\0')
            return NULL;
        buf_puts(to, ns->inbox);
        if (len > 5)
            buf_puts(to, ns->alt ? ".INBOX." : ".");
        return len > 5 ? name + 6 : name + 5;
    }
    if (ns->alt && behind(ns, name, len, ns->config->userprefix) == NULL &&
        behind(ns, name, len, ns->config->sharedprefix) == NULL) {
        if (ns->inbox[0] == '\0' || equals(name, len, ns->config->userprefix) ||
            equals(name, len, ns->config->sharedprefix))
            return NULL;
        buf_puts(to, ns->inbox);
        buf_putc(to, '.');
        return name;
    }
    if (domain[0] != '\0')
        buf_printf(to, "%s!", domain);
    if (!ns->alt)
        return name;
    rest = behind(ns, name, len, ns->config->userprefix);
    if (rest != NULL) {
        buf_puts(to, "user.");
        return rest;
    }
    rest = behind(ns, name, len, ns->config->sharedprefix);
    return is_inbox_word(ns, rest, len - (size_t)(rest - name)) ? NULL : rest;
}

/* Below the shared prefix nothing of a user can be named. */
static bool names_user_as_shared(const struct namespace *ns, const char *name, size_t len)
{
    const char *rest = ns->alt ? behind(ns, name, len, ns->config->sharedprefix) : NULL;

    return rest != NULL && (behind(ns, rest, len - (size_t)(rest - name), "user") != NULL ||
                            equals(rest, len - (size_t)(rest - name), "user"));
}

static bool ends_in_own_domain(const struct namespace *ns, const char *external)
{
    const char *at = ns->one_domain ? strrchr(external, '@') : NULL;

    return at != NULL && str_ieq(at + 1, ns->domain);
}

/* Splits `@domain` off for an administrator; the domain in lower case, the default one as none, is appended to `domain`.
 * One of one domain may write that; another is part of the name. */
static size_t cut_domain(const struct namespace *ns, const char *external, struct buf *domain)
{
    const char *at = ns->all_domains || ends_in_own_domain(ns, external) ? strrchr(external, '@') : NULL;

    if (at == NULL || ns->one_domain) {
        buf_puts(domain, ns->domain);
        return at != NULL ? (size_t)(at - external) : strlen(external);
    }
    if (ns->config->defaultdomain == NULL || !str_ieq(at + 1, ns->config->defaultdomain)) {
        buf_puts(domain, at + 1);
        if (domain->len > 0)
            str_lower(domain->data);
    }
    return (size_t)(at - external);
}

static int to_internal(const struct namespace *ns, const char *external, const char *domain, size_t len,
                       struct buf *internal)
{
    const char *rest;
    size_t left;

    if (names_user_as_shared(ns, external, len))
        return ERR_BADNAME;
    /* the own INBOX has no other domain */
    if (is_inbox_word(ns, external, len) && strcmp(domain, ns->domain) != 0)
        return ERR_BADNAME;
    rest = put_place(ns, external, len, domain, internal);
    if (rest == NULL)
        return ERR_BADNAME;
    left = len - (size_t)(rest - external);
    return put_internal(ns, rest, left, internal) == left ? 0 : ERR_BADNAME;
}

static int wire_to_internal(const struct namespace *ns, const char *external, struct buf *internal)
{
    size_t before = internal->len, len;
    struct buf domain = BUF_INIT;
    int r;

    if (strlen(external) > 2 * MBOXNAME_MAX)
        return ERR_TOOBIG;
    len = cut_domain(ns, external, &domain);
    r = len == 0 || strchr(external, '!') != NULL
            ? ERR_BADNAME
            : to_internal(ns, external, buf_cstr(&domain), len, internal);
    if (r == 0)
        r = mboxname_check(buf_cstr(internal) + before);
    if (r != 0)
        buf_truncate(internal, before);
    buf_free(&domain);
    return r;
}

int namespace_to_internal(const struct namespace *ns, const char *external, struct buf *internal)
{
    struct buf utf7 = BUF_INIT;
    int r;

    if (!ns->utf8)
        return wire_to_internal(ns, external, internal);
    r = encode(external, &utf7);
    if (r == 0)
        r = wire_to_internal(ns, buf_cstr(&utf7), internal);
    buf_free(&utf7);
    return r;
}

/* ---- internal to external ---- */

static void put_external(const struct namespace *ns, const char *s, struct buf *to)
{
    for (; *s != '\0'; s++) {
        if (*s == '.')
            buf_putc(to, ns->separator);
        else if (*s == '^' && ns->separator == '/')
            buf_putc(to, '.');
        else
            buf_putc(to, *s);
    }
}

/* Would these components, at the top of the altnamespace, be taken for something else? */
static bool is_hidden(const struct namespace *ns, const char *external)
{
    size_t len = strlen(external);

    return equals(external, len, ns->config->userprefix) ||
           behind(ns, external, len, ns->config->userprefix) != NULL ||
           equals(external, len, ns->config->sharedprefix) ||
           behind(ns, external, len, ns->config->sharedprefix) != NULL ||
           (is_inbox_word(ns, external, len) && (len == 5 || !str_has_prefix(external, "INBOX")));
}

/* A mailbox below the own INBOX. */
static int put_own(const struct namespace *ns, const char *rest, struct buf *to)
{
    size_t before = to->len;

    if (!ns->alt) {
        buf_puts(to, "INBOX");
        buf_putc(to, ns->separator);
        put_external(ns, rest, to);
        return 0;
    }
    put_external(ns, rest, to);
    if (!is_hidden(ns, to->data + before))
        return 0;
    buf_truncate(to, before);
    return ERR_NOTFOUND;
}

/* A mailbox that is not the session's own; `local` is the name without domain. */
static int put_other(const struct namespace *ns, const char *local, struct buf *to)
{
    if (is_inbox_word(&(struct namespace){.separator = '.'}, local, strlen(local)))
        return ERR_NOTFOUND;
    if (ns->alt && str_has_prefix(local, "user.")) {
        buf_puts(to, ns->config->userprefix);
        local += 4;
    } else if (ns->alt) {
        buf_puts(to, ns->config->sharedprefix);
        buf_putc(to, ns->separator);
    }
    put_external(ns, local, to);
    return 0;
}

/* `@domain` for an administrator; the default domain only where the name would be split otherwise. */
static void put_at_domain(const struct namespace *ns, const char *name, size_t domain_len, size_t before,
                          struct buf *to)
{
    if (domain_len > 0) {
        buf_putc(to, '@');
        buf_append(to, name, domain_len);
    } else if (ns->config->defaultdomain != NULL && strchr(to->data + before, '@') != NULL) {
        buf_printf(to, "@%s", ns->config->defaultdomain);
    }
}

int namespace_to_external(const struct namespace *ns, const char *internal, struct buf *external)
{
    size_t domain_len, before = external->len;
    const char *local = mboxname_local(internal, &domain_len);
    int r = 0;

    if (!ns->all_domains && !equals(internal, domain_len, ns->domain))
        return ERR_NOTFOUND;
    if (ns->inbox[0] != '\0' && strcmp(internal, ns->inbox) == 0)
        buf_puts(external, "INBOX");
    else if (ns->inbox[0] != '\0' && mboxname_is_below(internal, ns->inbox))
        r = put_own(ns, internal + strlen(ns->inbox) + 1, external);
    else
        r = put_other(ns, local, external);
    if (r == 0 && ends_in_own_domain(ns, buf_cstr(external) + before))
        buf_printf(external, "@%s", ns->domain);
    if (r == 0 && ns->all_domains)
        put_at_domain(ns, internal, domain_len, before, external);
    return r == 0 && ns->utf8 ? decode(external, before) : r;
}

/* ---- listing ---- */

/* Could a longer name than `literal` begin with `word` (in any case for INBOX)? */
static bool may_become(const char *literal, const char *word)
{
    size_t n = strlen(literal);

    return n <= strlen(word) && str_ieq_n(literal, word, n);
}

static void scan_prefix(const struct namespace *ns, const char *literal, struct buf *prefix)
{
    size_t before = prefix->len, len = strlen(literal);
    const char *rest;

    if (may_become(literal, "INBOX") || (ns->alt && (may_become(literal, ns->config->userprefix) ||
                                                     may_become(literal, ns->config->sharedprefix)))) {
        if (ns->domain[0] != '\0')
            buf_printf(prefix, "%s!", ns->domain);
        return;
    }
    rest = put_place(ns, literal, len, ns->domain, prefix);
    if (rest == NULL)
        buf_truncate(prefix, before);
    else
        put_internal(ns, rest, len - (size_t)(rest - literal), prefix);
}

void namespace_scan_prefix(const struct namespace *ns, const char *literal, struct buf *prefix)
{
    size_t same = 0;
    struct buf begin = BUF_INIT;

    if (ns->all_domains)
        return;
    if (!ns->utf8) {
        scan_prefix(ns, literal, prefix);
        return;
    }
    /* what the next character would be in modified UTF-7 depends on what follows it */
    while (literal[same] >= 0x20 && literal[same] < 0x7f && literal[same] != '&')
        same++;
    buf_append(&begin, literal, same);
    scan_prefix(ns, buf_cstr(&begin), prefix);
    buf_free(&begin);
}

static void put_space(const struct namespace *ns, const char *prefix, bool with_separator, struct buf *to)
{
    struct buf utf8 = BUF_INIT;

    if (ns->utf8 && utf7_to_utf8(prefix, strlen(prefix), &utf8) == 0)
        prefix = buf_cstr(&utf8);
    buf_puts(to, "((\"");
    for (; *prefix != '\0'; prefix++) {
        if (*prefix == '"' || *prefix == '\\')
            buf_putc(to, '\\');
        buf_putc(to, *prefix);
    }
    buf_free(&utf8);
    if (with_separator)
        buf_putc(to, ns->separator);
    buf_printf(to, "\" \"%c\"))", ns->separator);
}

void namespace_response(const struct namespace *ns, bool has_inbox, struct buf *to)
{
    if (!has_inbox)
        buf_puts(to, "NIL");
    else
        put_space(ns, ns->alt ? "" : "INBOX", !ns->alt, to);
    buf_putc(to, ' ');
    put_space(ns, ns->alt ? ns->config->userprefix : "user", true, to);
    buf_putc(to, ' ');
    put_space(ns, ns->alt ? ns->config->sharedprefix : "", ns->alt, to);
}
