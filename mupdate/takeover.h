/* takeover.h: a lone master's list becomes a group's, and back: by an administrator, while no mupdate runs.
 *
 * The database is moved, never copied: there is no older list that somebody could take for the true one. */
#ifndef MUPDATE_TAKEOVER_H
#define MUPDATE_TAKEOVER_H

#include <stdbool.h>

/* <dir>/mupdate becomes <dir>/mupdate.group, the copy of a group's first member, whom the others ask to be taken in.  0;
 * ERR_NOTFOUND: there is no lone master's list; ERR_EXISTS: there is a group's; ERR_BUSY: mupdate runs; or another error.
 * Text in *error_r (malloc'ed). */
int takeover_by_group(const char *dir, char **error_r);

/* The reverse; what the group has left in the database is names_open()'s to do, who refuses a copy that is not whole.
 * ERR_CONFLICT: as far as this copy knows the group has other members, who may know more; unless `forced`. */
int takeover_by_one(const char *dir, bool forced, char **error_r);

/* Is there a list in the other's place and none in ours, so that a start would begin with an empty one?  ERR_CONFIG, and what
 * to do in *error_r; else 0. */
int takeover_check(const char *dir, bool group, char **error_r);

/* For a member that takes part: so many members the group has now; from then on what it has is a list.  0 or an error. */
int takeover_note_members(const char *dir, unsigned count);

#endif
