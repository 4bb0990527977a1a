/* compiled.h: scripts compiled once in a process: looked up by path, known by inode, size and time of change, kept while
 * they are asked for.  Any thread. */
#ifndef IMAP_SIEVEHOST_COMPILED_H
#define IMAP_SIEVEHOST_COMPILED_H

#include "lib/base/buf.h"
#include "lib/name/name-config.h"
#include "lib/sieve/sieve.h"

struct compiled;

enum { COMPILED_MAX = 512 }; /* scripts that a process keeps */

/* A user's active script.  0, ERR_NOTFOUND: there is none, ERR_SYNTAX with the errors appended, ERR_IO...  What it gives
 * is the caller's to compiled_release(), and lives until then whatever becomes of the file. */
int compiled_active(const struct name_config *config, const char *userid, struct buf *errors,
                    struct compiled **compiled_r);

/* One by name (RFC 6609), of the user or a global one.  Likewise. */
int compiled_named(const struct name_config *config, const char *userid, const char *name, bool global,
                   struct buf *errors, struct compiled **compiled_r);

/* One by its file. Likewise. */
int compiled_file(const char *path, struct buf *errors, struct compiled **compiled_r);

const struct sieve_script *compiled_script(const struct compiled *compiled);
void compiled_release(struct compiled **compiled); /* *compiled may be NULL */

/* Compiles a text with the extensions that scripts may use here: as sieve_compile(). */
int compiled_compile(const char *text, size_t n, struct buf *errors, struct sieve_script **script_r);

/* Forgets all (at the end of the process). */
void compiled_forget(void);

#endif
