#include "imap/lmtp/engine/address.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/charset/utf7.h"
#include "lib/mail/address.h"
#include "lib/name/identity.h"
#include "lib/name/mboxname.h"
#include "lib/name/namespace.h"

/* Behind a quoted string that begins at s[i], or n when it is not closed. */
static size_t skip_quoted(const char *s, size_t n, size_t i)
{
    for (i++; i < n && s[i] != '"'; i++) {
        if (s[i] == '\\')
            i++;
    }
    return i < n ? i + 1 : n;
}

/* The position of `c` outside of quotes, or n. */
static size_t find_unquoted(const char *s, size_t n, size_t i, char c)
{
    while (i < n && s[i] != c)
        i = s[i] == '"' ? skip_quoted(s, n, i) : i + 1;
    return i < n ? i : n;
}

static bool has_controls(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
            return true;
    }
    return false;
}

int lmtpd_path_parse(const char *s, size_t n, struct buf *path, size_t *used_r)
{
    size_t end, from = 1;

    if (n == 0 || s[0] != '<')
        return ERR_SYNTAX;
    end = find_unquoted(s, n, 1, '>');
    if (end == n || has_controls(s, end))
        return ERR_SYNTAX;
    if (end > 1 && s[1] == '@') { /* a source route is ignored (RFC 5321 appendix C) */
        from = find_unquoted(s, end, 1, ':') + 1;
        if (from > end)
            return ERR_SYNTAX;
    }
    if (end - from > LMTPD_PATH_MAX)
        return ERR_TOOBIG;
    buf_append(path, s + from, end - from);
    *used_r = end + 1;
    return 0;
}

/* ---- recipients ---- */

/* A local part without quotes and backslashes. */
static char *unquote(struct pool *pool, const char *s, size_t n)
{
    char *to = pool_alloc(pool, n + 1), *p = to;

    for (size_t i = 0; i < n; i++) {
        if (s[i] == '"')
            continue;
        if (s[i] == '\\' && i + 1 < n)
            i++;
        *p++ = s[i];
    }
    return to;
}

/* A path in the pool, its local part quoted where RFC 5321 asks for it. */
static const char *path_of(struct pool *pool, const char *local, const char *domain)
{
    struct mail_address address = {.mailbox = local, .host = domain};
    struct buf b = BUF_INIT;
    const char *path;

    mail_address_spec(&address, &b);
    path = pool_memdup(pool, buf_cstr(&b), b.len);
    buf_free(&b);
    return path;
}

struct address {
    char *user;   /* up to the '+' */
    char *detail; /* behind it; NULL */
    char *domain; /* NULL: none, or "internal" */
};

static int split(const struct lmtpd_naming *naming, struct pool *pool, const char *path, struct address *a)
{
    size_t n = strlen(path), at = find_unquoted(path, n, 0, '@');

    a->user = unquote(pool, path, at);
    a->detail = strchr(a->user, '+');
    if (a->detail != NULL)
        *a->detail++ = '\0';
    a->domain = at < n ? pool_strdup(pool, path + at + 1) : NULL;
    if (a->domain != NULL && a->domain[0] == '\0')
        return ERR_SYNTAX;
    if (a->domain != NULL && str_ieq(a->domain, "internal"))
        a->domain = NULL;
    if (naming->downcase) {
        str_lower(a->user);
        if (a->domain != NULL)
            str_lower(a->domain);
    }
    return 0;
}

/* The internal name of what the detail names, by itself: hierarchy separators as an administrator writes
 * them, UTF-8 as IMAP has it. */
static int detail_to_internal(const struct lmtpd_naming *naming, struct pool *pool, const char *external,
                              struct buf *internal)
{
    struct namespace ns;
    struct buf name = BUF_INIT;
    int r = 0;

    namespace_init(&ns, naming->names, NULL, true, pool);
    if (str_is_ascii(external, strlen(external)))
        buf_puts(&name, external);
    else
        r = utf7_from_utf8(external, strlen(external), &name);
    if (r == 0)
        r = namespace_to_internal(&ns, buf_cstr(&name), internal);
    buf_free(&name);
    return r;
}

static const char *pool_text(struct pool *pool, const struct buf *b)
{
    return pool_memdup(pool, buf_cstr(b), b->len);
}

/* +folder, postuser+folder */
static int resolve_shared(const struct lmtpd_naming *naming, struct pool *pool, const struct address *a,
                          struct lmtpd_names *names)
{
    const char *domain = naming->names->virtdomains != VIRTDOMAINS_OFF ? a->domain : NULL;
    const char *external = domain != NULL ? pool_printf(pool, "%s@%s", a->detail, domain) : a->detail;
    struct buf b = BUF_INIT;
    int r = detail_to_internal(naming, pool, external, &b);

    if (r == 0)
        r = mboxname_check(buf_cstr(&b));
    if (r == 0 && mboxname_is_user(buf_cstr(&b)))
        r = ERR_BADNAME; /* users are addressed by their own names */
    names->mailbox = pool_text(pool, &b);
    buf_free(&b);
    names->forward = path_of(pool, pool_printf(pool, "+%s", a->detail), domain != NULL ? domain : "internal");
    return r;
}

/* INBOX and the detail's internal name; NULL when no mailbox can be called so. */
static const char *folder_of(const struct lmtpd_naming *naming, struct pool *pool, const char *inbox,
                             const char *detail)
{
    struct buf b = BUF_INIT, relative = BUF_INIT;
    const char *folder = NULL;

    if (detail[0] != '\0' && detail_to_internal(naming, pool, detail, &relative) == 0 &&
        strchr(buf_cstr(&relative), '!') == NULL) {
        buf_printf(&b, "%s.%s", inbox, buf_cstr(&relative));
        if (mboxname_check(buf_cstr(&b)) == 0)
            folder = pool_text(pool, &b);
    }
    buf_free(&b);
    buf_free(&relative);
    return folder;
}

static int resolve_user(const struct lmtpd_naming *naming, struct pool *pool, const struct address *a,
                        struct lmtpd_names *names)
{
    const char *domain = naming->names->virtdomains != VIRTDOMAINS_OFF ? a->domain : NULL;
    const char *given = domain != NULL ? pool_printf(pool, "%s@%s", a->user, domain) : a->user;
    struct buf userid = BUF_INIT, b = BUF_INIT;
    int r = identity_canonical(naming->names, given, naming->downcase, &userid);

    if (r == 0)
        r = mboxname_inbox(naming->names, buf_cstr(&userid), &b);
    names->userid = pool_text(pool, &userid);
    names->mailbox = pool_text(pool, &b);
    if (r == 0 && a->detail != NULL)
        names->folder = folder_of(naming, pool, names->mailbox, a->detail);
    names->forward =
        path_of(pool, a->detail != NULL ? pool_printf(pool, "%s+%s", a->user, a->detail) : a->user,
                domain != NULL ? domain : "internal");
    buf_free(&b);
    buf_free(&userid);
    return r;
}

int lmtpd_names_resolve(const struct lmtpd_naming *naming, struct pool *pool, const char *path,
                        struct lmtpd_names *names_r)
{
    struct address a;
    int r;

    memset(names_r, 0, sizeof(*names_r));
    r = split(naming, pool, path, &a);
    if (r < 0)
        return r;
    names_r->detail = a.detail;
    if (a.detail != NULL &&
        (a.user[0] == '\0' || (naming->postuser[0] != '\0' && strcmp(a.user, naming->postuser) == 0)))
        return resolve_shared(naming, pool, &a, names_r);
    return resolve_user(naming, pool, &a, names_r);
}
