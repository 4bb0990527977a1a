/* verify.h: ctl_mboxlist -v: the mailbox list, the directories on the partitions and the master's conflicts. */
#ifndef TOOLS_VERIFY_H
#define TOOLS_VERIFY_H

#include "imap/mboxop/mboxop.h"

/* Tells, a line each on standard output: mailboxes of this server whose files cannot be opened; directories of mailboxes
 * that nothing in the list names; where a MUPDATE server runs on this machine: names that one server claims while they are active on
 * another.  An exit status: 0: nothing; 65: something; 75: an error, told. */
int verify_list(const char *program, const struct mboxop_env *env);

#endif
