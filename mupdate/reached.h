/* reached.h: how far a member's copy was when it last began to follow somebody, in a file.
 *
 * A copy that is being made anew is worth nothing for a while; what it had, the next elected member must have too. */
#ifndef MUPDATE_REACHED_H
#define MUPDATE_REACHED_H

#include "mupdate/names.h"

/* `dir`: the configuration directory.  Without a file: nothing, 0.  ERR_CORRUPT, or another error. */
int reached_load(const char *dir, struct names_position *at_r);
/* On disk when it returns 0. */
int reached_store(const char *dir, const struct names_position *at);

#endif
