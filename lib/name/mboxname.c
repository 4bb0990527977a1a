#include "lib/name/mboxname.h"

#include <inttypes.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/charset/utf7.h"

enum { STAMP_DIGITS = 8, USERID_MAX = 256 };

/* Printable ASCII that neither IMAP's patterns nor our own syntax need. */
static bool is_name_char(char c)
{
    return c >= 0x20 && c <= 0x7e && strchr("/*%!", c) == NULL;
}

static int check_domain(const char *domain, size_t n)
{
    if (n == 0 || domain[0] == '.' || domain[n - 1] == '.')
        return ERR_BADNAME;
    for (size_t i = 0; i < n; i++)
        if (!is_name_char(domain[i]) || strchr(" ^@", domain[i]) != NULL ||
            str_lower_c(domain[i]) != domain[i])
            return ERR_BADNAME;
    return 0;
}

const char *mboxname_local(const char *name, size_t *domain_len_r)
{
    const char *bang = strchr(name, '!');

    if (domain_len_r != NULL)
        *domain_len_r = bang != NULL ? (size_t)(bang - name) : 0;
    return bang != NULL ? bang + 1 : name;
}

static int check_components(const char *local)
{
    size_t in_component = 0;

    for (const char *p = local;; p++) {
        if (*p == '.' || *p == '\0') {
            if (in_component == 0)
                return ERR_BADNAME;
            in_component = 0;
        } else if (!is_name_char(*p)) {
            return ERR_BADNAME;
        } else {
            in_component++;
        }
        if (*p == '\0')
            return 0;
    }
}

int mboxname_check(const char *name)
{
    size_t domain_len;
    const char *local = mboxname_local(name, &domain_len);

    if (strlen(name) > MBOXNAME_MAX)
        return ERR_TOOBIG;
    if (local != name && check_domain(name, domain_len) != 0)
        return ERR_BADNAME;
    return check_components(local);
}

/* The first component of a local name is `word` (in any case), alone or with more behind it. */
static bool first_is(const char *local, const char *word, bool *alone_r)
{
    size_t n = strlen(word);

    if (!str_ieq_n(local, word, n) || (local[n] != '.' && local[n] != '\0'))
        return false;
    *alone_r = local[n] == '\0';
    return true;
}

/* What stands behind `user.NAME.`, or NULL. */
static const char *below_inbox(const char *local)
{
    const char *dot = str_has_prefix(local, "user.") ? strchr(local + 5, '.') : NULL;

    return dot != NULL ? dot + 1 : NULL;
}

int mboxname_check_new(const struct name_config *config, const char *name)
{
    int r = mboxname_check(name);
    const char *local = mboxname_local(name, NULL);
    const char *below = below_inbox(local);
    bool alone;

    if (r != 0)
        return r;
    /* there must be room for the name that it gets when it is deleted */
    if (strlen(name) + strlen(config->deletedprefix) + 2 + STAMP_DIGITS > MBOXNAME_MAX)
        return ERR_TOOBIG;
    if (!utf7_is_valid(local, strlen(local)) || mboxname_is_deleted(config, name))
        return ERR_BADNAME;
    if (strcmp(local, "user") == 0 || first_is(local, "INBOX", &alone))
        return ERR_BADNAME;
    if (below != NULL && first_is(below, "INBOX", &alone) && (alone || !str_has_prefix(below, "INBOX")))
        return ERR_BADNAME;
    return 0;
}

/* ---- users ---- */

static int check_userid(const char *userid, size_t n)
{
    if (n == 0 || n > USERID_MAX)
        return ERR_BADNAME;
    for (size_t i = 0; i < n; i++)
        if (!is_name_char(userid[i]) || userid[i] == '^')
            return ERR_BADNAME;
    return 0;
}

/* Appends the domain in lower case and '!', unless it is the default one. */
static int put_domain(const struct name_config *config, const char *domain, struct buf *name)
{
    size_t at = name->len, n = strlen(domain);

    if (config->defaultdomain != NULL && str_ieq(domain, config->defaultdomain))
        return 0;
    if (n == 0)
        return ERR_BADNAME;
    buf_puts(name, domain);
    str_lower(name->data + at);
    if (check_domain(name->data + at, n) != 0)
        return ERR_BADNAME;
    buf_putc(name, '!');
    return 0;
}

int mboxname_inbox(const struct name_config *config, const char *userid, struct buf *name)
{
    const char *at = config->virtdomains != VIRTDOMAINS_OFF ? strrchr(userid, '@') : NULL;
    size_t n = at != NULL ? (size_t)(at - userid) : strlen(userid);
    size_t before = name->len;

    if (check_userid(userid, n) != 0)
        return ERR_BADNAME;
    if (at != NULL && put_domain(config, at + 1, name) != 0) {
        buf_truncate(name, before);
        return ERR_BADNAME;
    }
    buf_puts(name, "user.");
    for (size_t i = 0; i < n; i++)
        buf_putc(name, userid[i] == '.' ? '^' : userid[i]);
    return 0;
}

bool mboxname_is_deleted(const struct name_config *config, const char *name)
{
    const char *local = mboxname_local(name, NULL);
    size_t n = strlen(config->deletedprefix);

    return strncmp(local, config->deletedprefix, n) == 0 && (local[n] == '.' || local[n] == '\0');
}

bool mboxname_owner(const struct name_config *config, const char *name, struct buf *userid)
{
    size_t domain_len, n;
    const char *local = mboxname_local(name, &domain_len);

    if (mboxname_is_deleted(config, name)) {
        local += strlen(config->deletedprefix);
        local += *local == '.';
    }
    if (!str_has_prefix(local, "user."))
        return false;
    local += 5;
    n = strcspn(local, ".");
    if (n == 0)
        return false;
    for (size_t i = 0; i < n; i++)
        buf_putc(userid, local[i] == '^' ? '.' : local[i]);
    if (domain_len > 0) {
        buf_putc(userid, '@');
        buf_append(userid, name, domain_len);
    }
    return true;
}

bool mboxname_is_owner(const struct name_config *config, const char *name, const char *userid)
{
    struct buf owner = BUF_INIT;
    bool is = mboxname_owner(config, name, &owner) && strcmp(buf_cstr(&owner), userid) == 0;

    buf_free(&owner);
    return is;
}

bool mboxname_is_user(const char *name)
{
    const char *local = mboxname_local(name, NULL);

    return str_has_prefix(local, "user.") && local[5] != '\0';
}

bool mboxname_is_inbox(const char *name)
{
    return mboxname_is_user(name) && strchr(mboxname_local(name, NULL) + 5, '.') == NULL;
}

/* ---- the tree ---- */

bool mboxname_parent(const char *name, struct buf *parent)
{
    const char *dot = strrchr(mboxname_local(name, NULL), '.');

    if (dot == NULL || mboxname_is_inbox(name))
        return false;
    buf_append(parent, name, (size_t)(dot - name));
    return true;
}

bool mboxname_is_below(const char *name, const char *ancestor)
{
    size_t n = strlen(ancestor);

    return strncmp(name, ancestor, n) == 0 && name[n] == '.';
}

int mboxname_rebase(const char *name, const char *from, const char *to, struct buf *renamed)
{
    const char *rest = name + strlen(from);

    if (strlen(to) + strlen(rest) > MBOXNAME_MAX)
        return ERR_TOOBIG;
    buf_puts(renamed, to);
    buf_puts(renamed, rest);
    return 0;
}

/* ---- the DELETED hierarchy ---- */

int mboxname_to_deleted(const struct name_config *config, const char *name, int64_t when, struct buf *deleted)
{
    size_t before = deleted->len;
    const char *local = mboxname_local(name, NULL);

    buf_append(deleted, name, (size_t)(local - name));
    buf_printf(deleted, "%s.%s.%0*" PRIX64, config->deletedprefix, local, STAMP_DIGITS, (uint64_t)when);
    if (deleted->len - before <= MBOXNAME_MAX)
        return 0;
    buf_truncate(deleted, before);
    return ERR_TOOBIG;
}

/* The value of a stamp: at least eight upper-case hex digits. */
static bool parse_stamp(const char *s, int64_t *when_r)
{
    size_t n = strlen(s);
    uint64_t value = 0;

    if (n < STAMP_DIGITS || n > 15 || strspn(s, "0123456789ABCDEF") != n)
        return false;
    for (size_t i = 0; i < n; i++)
        value = value << 4 | (uint64_t)(s[i] <= '9' ? s[i] - '0' : s[i] - 'A' + 10);
    *when_r = (int64_t)value;
    return true;
}

bool mboxname_from_deleted(const struct name_config *config, const char *deleted, struct buf *name,
                           int64_t *when_r)
{
    const char *local = mboxname_local(deleted, NULL), *stamp;
    size_t prefix = strlen(config->deletedprefix);

    if (!mboxname_is_deleted(config, deleted) || local[prefix] != '.')
        return false;
    stamp = strrchr(local, '.') + 1;
    if (stamp <= local + prefix + 1 || !parse_stamp(stamp, when_r))
        return false;
    buf_append(name, deleted, (size_t)(local - deleted));
    buf_append(name, local + prefix + 1, (size_t)(stamp - 1 - (local + prefix + 1)));
    return true;
}
