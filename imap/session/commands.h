/* commands.h: the start functions that commands.def names, and what the files of this room share. */
#ifndef IMAP_SESSION_COMMANDS_H
#define IMAP_SESSION_COMMANDS_H

#include "imap/session/client.h"
#include "imap/session/command.h"
#include "lib/imapwire/args.h"

/* Each begins a command of its name (RFC 3501 section 6 unless said otherwise); see command.h. */
enum step cmd_append(struct command *cmd); /* APPEND, LOCALAPPEND; with RFC 3502 */
enum step cmd_capability(struct command *cmd);
enum step cmd_compress(struct command *cmd); /* RFC 4978 */
enum step cmd_copy(struct command *cmd);     /* COPY, MOVE (RFC 6851) */
enum step cmd_create(struct command *cmd);
enum step cmd_enable(struct command *cmd);     /* RFC 5161 */
enum step cmd_esearch(struct command *cmd);    /* RFC 7377 */
enum step cmd_getacl(struct command *cmd);     /* RFC 4314 3.3 */
enum step cmd_id(struct command *cmd);         /* RFC 2971 */
enum step cmd_idle(struct command *cmd);       /* RFC 2177 */
enum step cmd_list(struct command *cmd);       /* and XLIST; RFC 3348, 5258 */
enum step cmd_listrights(struct command *cmd); /* RFC 4314 3.4 */
enum step cmd_logout(struct command *cmd);
enum step cmd_lsub(struct command *cmd);
enum step cmd_metadata(struct command *cmd);  /* GETMETADATA, SETMETADATA (RFC 5464) */
enum step cmd_myrights(struct command *cmd);  /* RFC 4314 3.5 */
enum step cmd_namespace(struct command *cmd); /* RFC 2342 */
enum step cmd_noop(struct command *cmd);      /* NOOP, CHECK */
enum step cmd_notify(struct command *cmd);    /* RFC 5465 */
enum step cmd_rename(struct command *cmd);
enum step cmd_replace(struct command *cmd);        /* RFC 8508 */
enum step cmd_select(struct command *cmd);         /* SELECT, EXAMINE */
enum step cmd_subscribe(struct command *cmd);      /* SUBSCRIBE, UNSUBSCRIBE */
enum step cmd_unauthenticate(struct command *cmd); /* RFC 8437 */

/* A message literal was announced. */
void command_literal_begin(struct command *cmd, const struct imap_literal *literal);

/* How many bytes a literal may have whose client does not wait for "+". */
uint64_t command_nonsync_max(void);

/* Adds a finished command to the counters of its row. */
void command_count(const struct command *cmd, int64_t microseconds);

/* STARTTLS, AUTHENTICATE, LOGIN: hand over to imap/login.  Each writes what it refuses itself; the others'
 * answers come by the hooks of front.c. */
void login_command(struct command *cmd);

#endif
