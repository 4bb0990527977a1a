/* name-config.h: what imapd.conf says about names and rights, gathered once.
 *
 * Everything in lib/name takes it as an argument, so that tests can have several.  Immutable
 * once made: any thread may read it. */
#ifndef LIB_NAME_NAME_CONFIG_H
#define LIB_NAME_NAME_CONFIG_H

#include <stdbool.h>

#include "lib/base/options.h"

struct name_config {
    char separator;                    /* unixhierarchysep: '/', else '.' */
    bool altnamespace;                 /* for those who are not administrators */
    const char *userprefix;            /* "Other Users" (altnamespace only) */
    const char *sharedprefix;          /* "Shared Folders" (altnamespace only) */
    enum opt_virtdomains virtdomains;  /* where the domain of a user comes from */
    const char *defaultdomain;         /* user@defaultdomain is user; may be NULL */
    const char *deletedprefix;         /* "DELETED" */
    const char *admins;                /* blank-separated user ids and group:NAME */
    const char *proxyservers;          /* likewise */
    bool unix_groups;                  /* unix_group_enable */
    const char *implicit_owner_rights; /* "lkxan" */
    bool delete_is_d;                  /* deleteright: the old d, not the old c, stands for x */
    const char *defaultacl;            /* "anyone lrs" */
};

/* That of imapd.conf, after config_read(); static storage.  The same pointer each time. */
const struct name_config *name_config(void);

#endif
