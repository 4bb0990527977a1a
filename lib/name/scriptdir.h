/* scriptdir.h: where the Sieve scripts of a user are (doc/formats/sieve-scripts.md):
 *
 *     <sievedir>/f/fred                            fred's, by the first letter (others than a to z: q)
 *     <sievedir>/domain/e/example.org/f/fred       fred@example.org's, where domains count (virtdomains)
 *     <sievedir>/global, <sievedir>/domain/e/example.org/global
 *
 * With fulldirhash the letter is A to W, of the whole name.  Pure functions; any thread. */
#ifndef LIB_NAME_SCRIPTDIR_H
#define LIB_NAME_SCRIPTDIR_H

#include "lib/base/buf.h"
#include "lib/name/name-config.h"

/* Appends the directory of a user's scripts.  0; ERR_BADNAME: nobody can be called so. */
int scriptdir_user(const struct name_config *config, const char *userid, struct buf *path);

/* Appends the directory of the scripts that a user may include as global ones. Likewise. */
int scriptdir_global(const struct name_config *config, const char *userid, struct buf *path);

#endif
