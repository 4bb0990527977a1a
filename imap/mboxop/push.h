/* push.h: telling the MUPDATE master what is here: at a backend's start (ctl_mboxlist -m) and after the master
 * was away (the keeper).
 *
 * The master's list of this server and ours are compared; each name that differs is then looked at again under
 * its tree's lock, so that operations under way are not disturbed, and neither are those of other servers: a
 * name that is active elsewhere is never taken, and never deleted at the master. */
#ifndef IMAP_MBOXOP_PUSH_H
#define IMAP_MBOXOP_PUSH_H

#include <stdbool.h>
#include <stdint.h>

#include "imap/mboxop/mboxop.h"

enum push_finding {
    PUSH_ONLY_HERE,  /* or otherwise at the master: pushed */
    PUSH_ELSEWHERE,  /* here, but active on another server: moved to the DELETED hierarchy */
    PUSH_ONLY_THERE, /* at the master as ours, not here: removed there */
    PUSH_FINDINGS
};

struct push_options {
    bool show_only;     /* ctl_mboxlist -w: nothing is changed */
    bool authoritative; /* -a: what is here is right: PUSH_ELSEWHERE is pushed too (the master decides), never
                           moved */
    /* -i: may it be done?  NULL: yes. */
    bool (*ask)(enum push_finding finding, const char *name, const char *location, void *context);
    /* What was found, after it was dealt with: `result` 0 or why that failed.  `location`: the master's, ""
     * when it has none.  May be NULL. */
    void (*report)(enum push_finding finding, const char *name, const char *location, int result,
                   void *context);
    void *context;
};

/* Waits for the master as long as it takes: for tools and the keeper's thread.  counts_r (may be NULL): how
 * many of each.  0; ERR_UNAVAILABLE: no master, or it went away in the middle; ERR_CONFIG: the list was last
 * pushed under another servername (logged; <configdirectory>/mupdate.servername, to be removed by who means it:
 * every mailbox would be taken for another server's and set aside); ERR_LIMIT: too large a share of what the
 * master has of this server is not here (logged; mupdate_remove_max), and nothing was done; ERR_BUSY, ERR_CONFLICT...: some
 * names were left out (all others were dealt with); or an error of the list.  It may be repeated. */
int mboxop_push(const struct mboxop_env *env, const struct push_options *options,
                uint64_t counts_r[PUSH_FINDINGS]);

/* For mboxop_keeper_new(): pushes without questions; conflicts are logged.  context is not used. */
int mboxop_push_quietly(const struct mboxop_env *env, void *context);

#endif
