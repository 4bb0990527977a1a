/* tool.h: what every administrator's tool does first. */
#ifndef IMAP_TOOLS_TOOL_H
#define IMAP_TOOLS_TOOL_H

#include "imap/mboxop/mboxop.h"

/* Reads imapd.conf (NULL: the usual one), sets the umask, and, started by root, becomes the option cyrus_user,
 * so that no file of the servers ever belongs to root.  0, or an exit code of sysexits.h, the reason told on
 * standard error. */
int tool_start(const char *program, const char *config_path);

/* Opens the mailbox list and, unless this is a frontend, the store; link: ask for the MUPDATE master's.
 * As tool_start(). */
int tool_open(const char *program, bool link, struct mboxop_env *env_r);
void tool_close(struct mboxop_env *env);

#endif
