#include "lib/name/acl.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/name/mboxname.h"

/* The virtual rights, as bits that no other code sees. */
enum { VIRTUAL_C = 1 << 30, VIRTUAL_D = 1 << 29 };

/* Every letter, in the order in which lists are written. */
static const struct {
    char letter;
    rights_t right;
} letters[] = {
    {'l', ACL_LOOKUP},     {'r', ACL_READ},       {'s', ACL_SEEN},       {'w', ACL_WRITE},
    {'i', ACL_INSERT},     {'p', ACL_POST},       {'k', ACL_CREATE},     {'x', ACL_DELETE_MBOX},
    {'t', ACL_DELETE_MSG}, {'e', ACL_EXPUNGE},    {'c', VIRTUAL_C},      {'d', VIRTUAL_D},
    {'a', ACL_ADMIN},      {'n', ACL_ANNOTATE},   {'0', ACL_USER0},      {'1', ACL_USER0 << 1},
    {'2', ACL_USER0 << 2}, {'3', ACL_USER0 << 3}, {'4', ACL_USER0 << 4}, {'5', ACL_USER0 << 5},
    {'6', ACL_USER0 << 6}, {'7', ACL_USER0 << 7}, {'8', ACL_USER0 << 8}, {'9', ACL_USER0 << 9},
};

static rights_t members_of_c(const struct name_config *config)
{
    return config->delete_is_d ? ACL_CREATE : ACL_CREATE | ACL_DELETE_MBOX;
}

static rights_t members_of_d(const struct name_config *config)
{
    return ACL_DELETE_MSG | ACL_EXPUNGE | (config->delete_is_d ? ACL_DELETE_MBOX : 0);
}

static int parse_letters(const char *text, size_t n, rights_t *rights_r)
{
    *rights_r = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;

        while (k < ARRAY_SIZE(letters) && letters[k].letter != text[i])
            k++;
        if (k == ARRAY_SIZE(letters))
            return ERR_SYNTAX;
        *rights_r |= letters[k].right;
    }
    return 0;
}

/* A client's c means all members, whatever stands beside it (RFC 4314 2.1.1). */
int acl_parse_rights(const struct name_config *config, const char *text, rights_t *rights_r)
{
    int r = parse_letters(text, strlen(text), rights_r);

    if (*rights_r & VIRTUAL_C)
        *rights_r |= members_of_c(config);
    if (*rights_r & VIRTUAL_D)
        *rights_r |= members_of_d(config);
    *rights_r &= ACL_EVERY;
    return r;
}

/* In a stored list the virtual rights were written because of a member; only a list older than RFC 4314 has
 * them alone. */
static int parse_stored(const struct name_config *config, const char *text, size_t n, rights_t *rights_r)
{
    int r = parse_letters(text, n, rights_r);
    rights_t explicitly = *rights_r;

    if ((explicitly & VIRTUAL_C) && !(explicitly & (ACL_CREATE | ACL_DELETE_MBOX)))
        *rights_r |= members_of_c(config);
    if ((explicitly & VIRTUAL_D) && !(explicitly & members_of_d(config)))
        *rights_r |= members_of_d(config);
    *rights_r &= ACL_EVERY;
    return r;
}

static rights_t with_virtual(const struct name_config *config, rights_t rights)
{
    if (rights & members_of_c(config))
        rights |= VIRTUAL_C;
    if (rights & members_of_d(config))
        rights |= VIRTUAL_D;
    return rights;
}

void acl_format_rights(const struct name_config *config, rights_t rights, struct buf *to)
{
    rights = with_virtual(config, rights);
    for (size_t i = 0; i < ARRAY_SIZE(letters); i++)
        if (rights & letters[i].right)
            buf_putc(to, letters[i].letter);
}

/* ---- reading a list ---- */

struct entry {
    const char *identifier, *rights;
    size_t identifier_len, rights_len;
};

/* The entry at *p, which moves behind it.  1; 0 at the end; ERR_SYNTAX. */
static int next_entry(const char **p, struct entry *e)
{
    const char *tab = strchr(*p, '\t');

    if (**p == '\0')
        return 0;
    if (tab == NULL || tab == *p)
        return ERR_SYNTAX;
    e->identifier = *p;
    e->identifier_len = (size_t)(tab - *p);
    e->rights = tab + 1;
    e->rights_len = strcspn(e->rights, "\t");
    *p = e->rights + e->rights_len;
    *p += **p == '\t';
    return 1;
}

static bool entry_is(const struct entry *e, const char *identifier)
{
    return strlen(identifier) == e->identifier_len &&
           memcmp(e->identifier, identifier, e->identifier_len) == 0;
}

int acl_check(const struct name_config *config, const char *acl)
{
    struct entry e;
    rights_t rights;
    int r;

    if (strlen(acl) > ACL_MAX)
        return ERR_TOOBIG;
    while ((r = next_entry(&acl, &e)) == 1)
        if (parse_stored(config, e.rights, e.rights_len, &rights) != 0)
            return ERR_SYNTAX;
    return r;
}

/* Copies an identifier, so that it ends in NUL; false: longer than any of ours. */
static bool copy_identifier(const struct entry *e, char to[ACL_IDENTIFIER_MAX + 1])
{
    if (e->identifier_len > ACL_IDENTIFIER_MAX)
        return false;
    memcpy(to, e->identifier, e->identifier_len);
    to[e->identifier_len] = '\0';
    return true;
}

rights_t acl_rights(const struct name_config *config, const char *acl, const struct identity *identity)
{
    char identifier[ACL_IDENTIFIER_MAX + 1];
    rights_t given = 0, taken = 0, rights;
    struct entry e;

    while (next_entry(&acl, &e) == 1) {
        bool negative = e.identifier[0] == '-';

        if (!copy_identifier(&e, identifier) || !identity_is(identity, identifier + negative))
            continue;
        parse_stored(config, e.rights, e.rights_len, &rights);
        if (negative)
            taken |= rights;
        else
            given |= rights;
    }
    return given & ~taken;
}

void acl_each(const char *acl, bool (*fn)(const char *identifier, const char *rights, void *context),
              void *context)
{
    struct buf identifier = BUF_INIT, rights = BUF_INIT;
    struct entry e;
    bool more = true;

    while (more && next_entry(&acl, &e) == 1) {
        buf_reset(&identifier);
        buf_reset(&rights);
        buf_append(&identifier, e.identifier, e.identifier_len);
        buf_append(&rights, e.rights, e.rights_len);
        more = fn(buf_cstr(&identifier), buf_cstr(&rights), context);
    }
    buf_free(&identifier);
    buf_free(&rights);
}

/* ---- editing ---- */

int acl_parse_edit(const struct name_config *config, const char *text, enum acl_edit *edit_r,
                   rights_t *rights_r)
{
    *edit_r = text[0] == '+' ? ACL_ADD : text[0] == '-' ? ACL_REMOVE : ACL_REPLACE;
    return acl_parse_rights(config, text + (*edit_r != ACL_REPLACE), rights_r);
}

bool acl_identifier_ok(const char *identifier)
{
    size_t n = strlen(identifier);

    if (n == 0 || n > ACL_IDENTIFIER_MAX || strcmp(identifier, "-") == 0 || !str_is_utf8(identifier, n))
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)identifier[i] < 0x20 || identifier[i] == 0x7f)
            return false;
    return true;
}

static rights_t edited(rights_t old, enum acl_edit edit, rights_t rights)
{
    switch (edit) {
    case ACL_ADD:
        return old | rights;
    case ACL_REMOVE:
        return old & ~rights;
    case ACL_REPLACE:
        break;
    }
    return rights;
}

static void put_entry(const struct name_config *config, const char *identifier, rights_t rights,
                      struct buf *to)
{
    if (rights == 0)
        return;
    buf_printf(to, "%s\t", identifier);
    acl_format_rights(config, rights, to);
    buf_putc(to, '\t');
}

/* Copies the list with the entry of `identifier` replaced (a second one of the same name is dropped). */
static int edit_list(const struct name_config *config, const char *acl, const char *identifier,
                     enum acl_edit edit, rights_t rights, struct buf *to)
{
    bool found = false;
    struct entry e;
    rights_t old;
    int r;

    while ((r = next_entry(&acl, &e)) == 1) {
        if (!entry_is(&e, identifier)) {
            buf_append(to, e.identifier, e.identifier_len);
            buf_putc(to, '\t');
            buf_append(to, e.rights, e.rights_len);
            buf_putc(to, '\t');
        } else if (!found) {
            parse_stored(config, e.rights, e.rights_len, &old);
            put_entry(config, identifier, edited(old, edit, rights), to);
            found = true;
        }
    }
    if (!found)
        put_entry(config, identifier, edited(0, edit, rights), to);
    return r;
}

int acl_set(const struct name_config *config, const char *acl, const char *identifier, enum acl_edit edit,
            rights_t rights, struct buf *to)
{
    size_t before = to->len;
    int r;

    if (!acl_identifier_ok(identifier))
        return ERR_INVALID;
    r = edit_list(config, acl, identifier, edit, rights, to);
    if (r == 0 && to->len - before > ACL_MAX)
        r = ERR_TOOBIG;
    if (r != 0)
        buf_truncate(to, before);
    return r;
}

/* ---- per mailbox ---- */

rights_t acl_implicit(const struct name_config *config, const char *mailbox, const char *identifier)
{
    rights_t rights;

    if (!mboxname_is_owner(config, mailbox, identifier) ||
        acl_parse_rights(config, config->implicit_owner_rights, &rights) != 0)
        return 0;
    return rights;
}

rights_t identity_rights(const struct name_config *config, const char *acl, const struct identity *identity,
                         const char *mailbox)
{
    rights_t rights = acl != NULL ? acl_rights(config, acl, identity) : 0;

    if (!identity->is_anonymous)
        rights |= acl_implicit(config, mailbox, identity->userid);
    if (identity->is_admin)
        rights |= ACL_LOOKUP | ACL_ADMIN;
    return rights;
}

void acl_listrights(const struct name_config *config, const char *mailbox, const char *identifier,
                    struct buf *to)
{
    rights_t always = with_virtual(config, acl_implicit(config, mailbox, identifier));

    if (always == 0)
        buf_puts(to, "\"\"");
    else
        acl_format_rights(config, always, to);
    for (size_t i = 0; i < ARRAY_SIZE(letters); i++)
        if (!(always & letters[i].right))
            buf_printf(to, " %c", letters[i].letter);
}

/* The option defaultacl: "anyone lrs group:staff lrsp". */
static void put_defaultacl(const struct name_config *config, struct buf *to)
{
    struct pool *pool = pool_new(0);
    struct str_list words = str_split(pool, config->defaultacl, " \t");
    rights_t rights;

    for (size_t i = 0; i + 1 < words.count; i += 2)
        if (acl_identifier_ok(words.items[i]) && acl_parse_rights(config, words.items[i + 1], &rights) == 0)
            put_entry(config, words.items[i], rights, to);
    pool_free(&pool);
}

void acl_for_new(const struct name_config *config, const char *mailbox, const char *ancestor_acl,
                 struct buf *to)
{
    struct buf owner = BUF_INIT;
    bool owned = mboxname_owner(config, mailbox, &owner);

    if (owned && (ancestor_acl == NULL || mboxname_is_inbox(mailbox)))
        put_entry(config, buf_cstr(&owner), ACL_ALL, to);
    else if (ancestor_acl != NULL)
        buf_puts(to, ancestor_acl);
    else
        put_defaultacl(config, to);
    buf_free(&owner);
}
