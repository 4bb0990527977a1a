/* acl.h: access control lists in Cyrus's text form, `identifier<TAB>rights<TAB>` repeated, with the
 * rights of RFC 4314: l r s w i p k x t e a, n (RFC 5257) and 0-9.
 *
 * The old c and d are no rights of their own here: c stands for k and x, d for e and t (with
 * `deleteright: d` x goes with d).  They are written wherever a member is present, as RFC 4314
 * 2.1.1 asks.  `-identifier` takes rights away.  Pure functions; any thread. */
#ifndef LIB_NAME_ACL_H
#define LIB_NAME_ACL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/name/identity.h"
#include "lib/name/name-config.h"

typedef uint32_t rights_t;

enum {
    ACL_LOOKUP = 1 << 0,      /* l */
    ACL_READ = 1 << 1,        /* r */
    ACL_SEEN = 1 << 2,        /* s */
    ACL_WRITE = 1 << 3,       /* w: flags other than \Seen, \Deleted */
    ACL_INSERT = 1 << 4,      /* i */
    ACL_POST = 1 << 5,        /* p */
    ACL_CREATE = 1 << 6,      /* k: mailboxes below */
    ACL_DELETE_MBOX = 1 << 7, /* x: this mailbox, RENAME */
    ACL_DELETE_MSG = 1 << 8,  /* t: \Deleted */
    ACL_EXPUNGE = 1 << 9,     /* e */
    ACL_ADMIN = 1 << 10,      /* a */
    ACL_ANNOTATE = 1 << 11,   /* n: shared annotations */
    ACL_USER0 = 1 << 12,      /* 0 ... 9: bits 12 to 21 */
    ACL_ALL = ACL_USER0 - 1,  /* everything that has a meaning */
    ACL_EVERY = (1 << 22) - 1
};

enum { ACL_MAX = 64 * 1024 /* bytes of a list's text */, ACL_IDENTIFIER_MAX = 256 };

/* Rights as a client writes them: c and d are expanded.  0; ERR_SYNTAX for a letter that is none
 * (RFC 4314 3.1: BAD). */
int acl_parse_rights(const struct name_config *config, const char *text, rights_t *rights_r);

/* The letters, in the order lrswipkxtecdan0123456789, appended. */
void acl_format_rights(const struct name_config *config, rights_t rights, struct buf *to);

/* Is it a well-formed list?  0; ERR_SYNTAX; ERR_TOOBIG. */
int acl_check(const struct name_config *config, const char *acl);

/* What the list alone gives: the union over all identifiers of this identity, less the union of what
 * -identifiers take. */
rights_t acl_rights(const struct name_config *config, const char *acl, const struct identity *identity);

/* ---- editing ---- */

enum acl_edit { ACL_REPLACE, ACL_ADD, ACL_REMOVE };

/* A rights argument of SETACL: "+lr", "-w", "lrs".  0 or ERR_SYNTAX. */
int acl_parse_edit(const struct name_config *config, const char *text, enum acl_edit *edit_r,
                   rights_t *rights_r);

/* Is it an identifier?  Not empty, at most ACL_IDENTIFIER_MAX, no TAB, no control characters, UTF-8. */
bool acl_identifier_ok(const char *identifier);

/* `acl` with the rights of `identifier` edited, appended to `to`; an entry left without rights is
 * dropped; a new one goes to the end.  0; ERR_INVALID (identifier); ERR_TOOBIG. */
int acl_set(const struct name_config *config, const char *acl, const char *identifier, enum acl_edit edit,
            rights_t rights, struct buf *to);

/* Calls fn for each entry in order; false from fn stops. */
void acl_each(const char *acl, bool (*fn)(const char *identifier, const char *rights, void *context),
              void *context);

/* ---- per mailbox ---- */

/* What an identity may do with a mailbox: acl_rights(), the owner's implicit_owner_rights, an
 * administrator's implicit l and a (and of a missing list: the same). */
rights_t identity_rights(const struct name_config *config, const char *acl, const struct identity *identity,
                         const char *mailbox);

/* The rights that the owner of `mailbox` cannot lose, if `identifier` is that owner; else 0. */
rights_t acl_implicit(const struct name_config *config, const char *mailbox, const char *identifier);

/* The data of a LISTRIGHTS response (RFC 4314 3.7) behind mailbox and identifier: the rights that
 * `identifier` always has ("" when none), then what can be granted, one by one; appended. */
void acl_listrights(const struct name_config *config, const char *mailbox, const char *identifier,
                    struct buf *to);

/* The list of a new mailbox, appended: a user's INBOX: everything for the user; else the list of its
 * nearest existing ancestor; NULL, there is none: the option defaultacl. */
void acl_for_new(const struct name_config *config, const char *mailbox, const char *ancestor_acl,
                 struct buf *to);

#endif
