/* scripts.h: the Sieve scripts of this server's users, as ManageSieve (RFC 5804) and the tools see them
 * (doc/formats/sieve-scripts.md).
 *
 * A user's scripts are files of a directory; at most one of them is the active one.  Whatever changes is complete on
 * disk when a function has returned 0: a crash leaves the old or the new.  Changes hold a lock of the directory, so that any
 * number of processes may make them at once; reading takes no lock.  A handle belongs to one thread at a time; it holds
 * nothing open. */
#ifndef IMAP_SIEVEHOST_SCRIPTS_H
#define IMAP_SIEVEHOST_SCRIPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/pool.h"
#include "lib/name/name-config.h"

struct scripts;

enum { SCRIPTS_NAME_MAX = 512 }; /* bytes of a script's name (RFC 5804 1.6: 128 characters) */

/* Those of a user (canonical id), whether or not there are any yet.  0; ERR_BADNAME; ERR_UNSUPPORTED: they lie in home
 * directories (sieveusehomedir), where no server changes them. */
int scripts_open(const struct name_config *config, const char *userid, struct scripts **scripts_r);
void scripts_close(struct scripts **scripts); /* *scripts may be NULL */

/* May a script be called so: UTF-8 without control characters and line separators, 1 to SCRIPTS_NAME_MAX bytes?  (That
 * it is in normal form C is not asked for.) */
bool scripts_name_is_ok(const char *name);

struct script_info {
    const char *name;
    uint64_t size; /* bytes */
    bool active;
};

/* All of them, by name, in the pool.  0, or ERR_IO... */
int scripts_list(struct scripts *scripts, struct pool *pool, struct script_info **list_r, size_t *count_r);

/* The text of one, appended.  0; ERR_NOTFOUND; ERR_BADNAME. */
int scripts_get(struct scripts *scripts, const char *name, struct buf *text);

/* ---- changes ---- */

/* Would the text do (CHECKSCRIPT)?  0; ERR_TOOBIG: above sieve_maxscriptsize; ERR_SYNTAX, with lines "line 3: ..." in
 * `errors`. */
int scripts_check(const char *text, size_t n, struct buf *errors);

/* Is there room for that many bytes under that name (HAVESPACE)?  0; ERR_TOOBIG (QUOTA/MAXSIZE); ERR_LIMIT:
 * sieve_maxscripts are there (QUOTA/MAXSCRIPTS); ERR_BADNAME. */
int scripts_have_space(struct scripts *scripts, const char *name, uint64_t size);

/* Stores a text that scripts_check() and scripts_have_space() let pass, in the place of one of that name.  0; as these;
 * ERR_TIMEOUT (lock), ERR_DISKFULL, ERR_IO... */
int scripts_put(struct scripts *scripts, const char *name, const char *text, size_t n, struct buf *errors);

/* Makes one the active one; "": none is.  0; ERR_NOTFOUND; ERR_BADNAME; as above. */
int scripts_activate(struct scripts *scripts, const char *name);

/* 0; ERR_NOTFOUND; ERR_BUSY: it is the active one; ERR_BADNAME; as above. */
int scripts_delete(struct scripts *scripts, const char *name);

/* The active one stays active under its new name.  0; ERR_NOTFOUND; ERR_EXISTS; ERR_BADNAME; as above. */
int scripts_rename(struct scripts *scripts, const char *from, const char *to);

/* ---- the language here ---- */

/* The extensions that scripts may use (sieve_extensions, less what this server cannot do), separated by blanks, for
 * ManageSieve's SIEVE capability; in the pool. */
const char *scripts_extensions(struct pool *pool);

/* How names of lists may begin (RFC 6134): schemes and namespaces of URIs, for ManageSieve's EXTLISTS capability; NULL: scripts may use none. */
const char *scripts_list_schemes(void);

/* What notify may be told to use: ManageSieve's NOTIFY capability. */
#define SCRIPTS_NOTIFY_METHODS "mailto"

/* Most redirects of one run: ManageSieve's MAXREDIRECTS. */
unsigned scripts_redirects_max(void);

/* ---- new users ---- */

/* Gives a user who has no script the one of autocreate_sieve_script, active.  0, also where nothing is to do; or what it
 * failed with, which is in the log. */
int scripts_autocreate(const struct name_config *config, const char *userid);

#endif
