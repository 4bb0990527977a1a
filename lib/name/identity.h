/* identity.h: who somebody is: user id, groups, roles. */
#ifndef LIB_NAME_IDENTITY_H
#define LIB_NAME_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/name/name-config.h"

struct identity {
    char *userid;       /* canonical; "anonymous" for nobody in particular */
    char **groups;      /* names without "group:", NULL-terminated */
    size_t group_count; /* at most IDENTITY_GROUPS_MAX */
    bool is_anonymous;
    bool is_admin; /* in admins, by user id or group */
    bool is_proxy; /* in proxyservers: may act for others */
};

enum { IDENTITY_GROUPS_MAX = 1024 };

/* Makes the identity of a user (NULL: anonymous).  Groups come from NSS (getgrouplist, cached for
 * five minutes per process; it may wait for a directory server).  Never fails: a user whom NSS does not
 * know has no groups.  The caller frees. */
struct identity *identity_new(const struct name_config *config, const char *userid);
void identity_free(struct identity **identity);

/* Does an ACL identifier ("fred", "anyone", "anonymous", "group:staff"; no leading '-') mean them? */
bool identity_is(const struct identity *identity, const char *identifier);

/* Is one of the words of a blank-separated option (admins, lmtp_admins, proxyservers...) this user or
 * one of the groups? */
bool identity_in_list(const struct identity *identity, const char *list);

/* The canonical form of a user id from outside, appended: username_tolower, the domain in lower case
 * and cut when it is the default one.  ERR_BADNAME as mboxname_inbox(). */
int identity_canonical(const struct name_config *config, const char *given, bool tolower, struct buf *userid);

/* An ACL identifier from a client as the list keeps it, appended: a user's name, behind a '-' or not, canonical, so that it
 * can mean somebody; a group, or what can be no user's name, as it is. */
void identity_canonical_identifier(const struct name_config *config, const char *given, bool tolower,
                                   struct buf *identifier);

/* Can an ACL identifier ever mean anybody: not a group that the system does not know (asks NSS)? */
bool identity_may_be(const struct name_config *config, const char *identifier);

/* Is his INBOX made by itself (autocreate_quota, autocreate_users)?  Administrators, the servers of a murder and the anonymous are
 * no users. */
bool identity_gets_inbox(const struct identity *identity);

#endif
