/* proc.h: what the sessions of a process do, in one file for cyr_info proc (doc/formats/proc.md).
 *
 * A record of fixed size a session, written in place: making a file for each login and removing it
 * took a third of a login's time.  Any thread; nothing here fails visibly, it is only for show. */
#ifndef IMAP_LOGIN_PROC_H
#define IMAP_LOGIN_PROC_H

#include <stddef.h>
#include <stdint.h>

enum { PROC_RECORD = 512 };

struct proc_table;

/* Makes <dir>/<pid>-<service>, and <dir>.  Never NULL. */
struct proc_table *proc_open(const char *dir, const char *service);
/* Removes the file; *table may be NULL and is set to NULL. */
void proc_close(struct proc_table **table);

/* A record of one's own, empty; and back. */
uint32_t proc_take(struct proc_table *table);
void proc_give_back(struct proc_table *table, uint32_t record);

/* Shows a line (ending in LF; cut when longer than a record). */
void proc_show(struct proc_table *table, uint32_t record, const char *line, size_t len);

#endif
