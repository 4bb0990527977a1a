/* user.h: whom master runs as. */
#ifndef MASTER_USER_H
#define MASTER_USER_H

#include <stdbool.h>

/* Are we root, and cyrus_user exists?  0; ERR_NOTFOUND: there is no such user, *error_r (malloc'ed) says
 * how to make it.  0 too when we are not root: we stay who we are. */
int user_check(char **error_r);

/* As root: gives the file to that user.  Never fails loudly: what matters shows later. */
void user_give(const char *path);

/* As root: acts as that user for a while, in what files it may touch.  True: it does, and user_resume() has
 * to follow; false: nothing to do (we are not root, or there is no such user). */
bool user_assume(void);
void user_resume(void);

/* Will that user be able to make or write the file?  True when we are not root. */
bool user_may_make(const char *path);

/* As root: becomes that user, with its groups, keeping only the right to bind ports below 1024 (for
 * services that a SIGHUP brings).  0 or ERR_DENIED. */
int user_become(void);

#endif
