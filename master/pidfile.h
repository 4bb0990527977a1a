/* pidfile.h: master.pid, its lock, and the ready file. */
#ifndef MASTER_PIDFILE_H
#define MASTER_PIDFILE_H

/* Takes PATH.lock, which keeps a second master out, and makes sure that PATH can be written; no
 * symbolic link is followed.  0, or ERR_BUSY (another master runs), or ERR_DENIED and its like, with
 * the reason in *error_r (malloc'ed). */
int pidfile_lock(const char *path, char **error_r);

/* Writes the process id.  0 or an error of file.h. */
int pidfile_write(const char *path);
/* Makes the ready file, empty. */
int pidfile_write_ready(const char *path);

#endif
