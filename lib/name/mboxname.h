/* mboxname.h: mailbox names in their internal form.
 *
 *     user.fred                    fred's INBOX
 *     user.fred.Sent.2026          below it
 *     user.john^doe.Sent           of the user john.doe: '^' stands for a dot inside a component
 *     example.com!user.fred        of fred@example.com (virtdomains)
 *     archive.cyrus-devel          shared
 *     DELETED.user.fred.Sent.6B01FFBC   deleted at that second (hex), kept for a while
 *
 * Components are separated by '.', hold printable ASCII without / * % ! and carry other
 * characters as modified UTF-7 (RFC 3501 5.1.3).  doc/formats/acl-and-names.md is the page. */
#ifndef LIB_NAME_MBOXNAME_H
#define LIB_NAME_MBOXNAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/name/name-config.h"

enum { MBOXNAME_MAX = 490 /* bytes of an internal name */ };

/* May this be the name of a mailbox?  For names from outside (the wire, a dump).  0; ERR_BADNAME; ERR_TOOBIG. */
int mboxname_check(const char *name);

/* The same, and what only creation asks: strict modified UTF-7, not "user", no second INBOX directly
 * below a user's (altnamespace could not show it), not in the DELETED hierarchy. */
int mboxname_check_new(const struct name_config *config, const char *name);

/* Where the name starts behind `domain!`; the domain's length without '!' in *domain_len_r if not NULL
 * (0: none). */
const char *mboxname_local(const char *name, size_t *domain_len_r);

/* ---- users ---- */

/* The internal name of a user's INBOX, appended: fred, john.doe, fred@example.com (the domain counts
 * when virtdomains is on and it is not the default domain).  ERR_BADNAME for what cannot be a user id:
 * empty, too long, with / * % ! ^ or control characters. */
int mboxname_inbox(const struct name_config *config, const char *userid, struct buf *name);

/* The user id that a name belongs to, appended (in the DELETED hierarchy too); false: shared, nothing
 * appended. */
bool mboxname_owner(const struct name_config *config, const char *name, struct buf *userid);

/* Is `userid` that owner? */
bool mboxname_is_owner(const struct name_config *config, const char *name, const char *userid);

/* Is it exactly some user's INBOX (user.x, of any domain)? */
bool mboxname_is_inbox(const char *name);

/* Is it a user's mailbox, INBOX or below? */
bool mboxname_is_user(const char *name);

/* ---- the tree ---- */

/* The parent's name, appended; false when there is none (top level, a user's INBOX). */
bool mboxname_parent(const char *name, struct buf *parent);

/* Is `name` somewhere below `ancestor` (not equal)? */
bool mboxname_is_below(const char *name, const char *ancestor);

/* `name`, which is `from` or below it, as it is called when `from` becomes `to`, appended.
 * ERR_TOOBIG when that is too long. */
int mboxname_rebase(const char *name, const char *from, const char *to, struct buf *renamed);

/* ---- the DELETED hierarchy ---- */

bool mboxname_is_deleted(const struct name_config *config, const char *name);

/* The name that a mailbox gets when it is deleted at `when` (seconds), appended: two deletions of a
 * name within one second need two different stamps (the caller counts up until the name is free).
 * ERR_TOOBIG. */
int mboxname_to_deleted(const struct name_config *config, const char *name, int64_t when,
                        struct buf *deleted);

/* The reverse: the former name, appended, and the stamp.  false: not of that form. */
bool mboxname_from_deleted(const struct name_config *config, const char *deleted, struct buf *name,
                           int64_t *when_r);

#endif
