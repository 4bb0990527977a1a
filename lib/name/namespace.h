/* namespace.h: names as a session sees them (external) and as the servers keep them (internal).
 *
 *     internal             altnamespace, '/'     standard, '.'     administrator, '/'
 *     user.me              INBOX                 INBOX             INBOX
 *     user.me.Sent         Sent                  INBOX.Sent        INBOX/Sent
 *     user.bob.x           Other Users/bob/x     user.bob.x        user/bob/x
 *     archive.x            Shared Folders/...    archive.x         archive/x
 *     other.org!user.al    (not seen)            (not seen)        user/al@other.org
 *
 * INBOX is recognised in any case (RFC 3501 5.1); an administrator always has the standard
 * namespace, and sees every domain unless he is user@domain himself.  External names are in
 * modified UTF-7, as IMAP sends them, or in UTF-8 (RFC 6855 3, RFC 9051 5.1) while `utf8` is set; internal ones never
 * are.  Immutable after namespace_init() but for that. */
#ifndef LIB_NAME_NAMESPACE_H
#define LIB_NAME_NAMESPACE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/pool.h"
#include "lib/name/name-config.h"

struct namespace
{
    const struct name_config *config;
    char separator;     /* external: '/' or '.' */
    bool alt;           /* altnamespace in force here */
    bool utf8;          /* external names are UTF-8; false after namespace_init() */
    bool all_domains;   /* an administrator of all: names carry @domain */
    bool one_domain;    /* an administrator of one: names from him may carry that */
    const char *domain; /* the session's own, "" when none */
    const char *inbox;  /* internal name of the own INBOX; "" when the user id cannot have one */
};

/* For the session of `userid` (anonymous: NULL).  Strings are kept in the pool. */
void namespace_init(struct namespace *ns, const struct name_config *config, const char *userid, bool is_admin,
                    struct pool *pool);

/* Appends the internal name.  0; ERR_BADNAME (also for what is only a prefix, as "Other Users");
 * ERR_TOOBIG.  In UTF-8, control characters are ERR_BADNAME too (RFC 6855 3).  The name passes mboxname_check() then.  A trailing separator (CREATE "a/", RFC 3501
 * 6.3.3) is the caller's to cut. */
int namespace_to_internal(const struct namespace *ns, const char *external, struct buf *internal);

/* Appends the external name; ERR_NOTFOUND, nothing appended, when this session has no name for it
 * (another domain; hidden by a prefix of the altnamespace; in UTF-8: no modified UTF-7, or control characters in it). */
int namespace_to_external(const struct namespace *ns, const char *internal, struct buf *external);

/* An internal prefix that covers every mailbox whose external name begins with `literal` (what
 * stands before the first wildcard), appended; nothing appended: all must be looked at. */
void namespace_scan_prefix(const struct namespace *ns, const char *literal, struct buf *prefix);

/* The three parts of the NAMESPACE response (RFC 2342 6), as `(("" "/")) (("Other Users/" "/"))
 * (("Shared Folders/" "/"))`; personal is NIL without an own INBOX. */
void namespace_response(const struct namespace *ns, bool has_inbox, struct buf *to);

#endif
