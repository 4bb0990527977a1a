/* lock.h: file locks that threads and processes both respect.
 *
 * An F_OFD lock belongs to the open file description, so threads that share one do not
 * exclude each other: each lock here is a mutex per inode within the process plus an OFD
 * lock on a descriptor between processes.  Waits are bounded.  Not recursive: who holds a
 * lock on an inode and asks again waits for itself.  Any thread may release.  Threads that
 * share a lock do so on descriptors of their own open(2), or on the same number (never on
 * dup(2)s of it). */
#ifndef LIB_BASE_LOCK_H
#define LIB_BASE_LOCK_H

#include <stdint.h>

enum lock_mode { LOCK_SHARED, LOCK_EXCLUSIVE };

struct lock;

/* Locks the whole file behind fd (open for writing when exclusive), waiting at most
 * timeout_ms (0: not at all, negative: for ever).  The caller keeps fd open until
 * lock_release().  0, ERR_TIMEOUT, ERR_IO; *lock_r is NULL then. */
int lock_acquire(int fd, enum lock_mode mode, int64_t timeout_ms, struct lock **lock_r);

/* Opens (makes, mode 0600) the lock file at `path` with its parent directories and locks it
 * exclusively; makes sure that the path still names the file that was locked. */
int lock_acquire_path(const char *path, int64_t timeout_ms, struct lock **lock_r);

/* Unlocks explicitly; *lock may be NULL and is set to NULL. */
void lock_release(struct lock **lock);

#endif
