/* file.h: files and directories, with the syncs that durability asks for. */
#ifndef LIB_BASE_FILE_H
#define LIB_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/buf.h"

/* All of the file, at most `max` bytes (ERR_TOOBIG beyond). */
int file_read_all(const char *path, size_t max, struct buf *to);

/* Exactly n bytes, interrupted calls resumed.  file_pread returns ERR_EOF when the
 * file ends before; file_pread_some returns the number of bytes there were. */
int file_write(int fd, const void *data, size_t n);
int file_pwrite(int fd, const void *data, size_t n, int64_t offset);
int file_pread(int fd, void *data, size_t n, int64_t offset);
ssize_t file_pread_some(int fd, void *data, size_t n, int64_t offset);

/* Replaces `path` as a whole and durably: temporary file in the same directory,
 * fsync, rename, fsync of the directory. */
int file_replace(const char *path, const void *data, size_t n, mode_t mode);

/* Makes the directory and those above it that are missing.  With `sync`, every
 * directory that got an entry is synced. */
int file_make_dirs(const char *path, mode_t mode, int sync);
/* The same for the directory that `path` lies in. */
int file_make_parents(const char *path, mode_t mode, int sync);

/* fsync of a directory by name. */
int file_sync_dir(const char *path);
/* fsync of the directory that holds `path`. */
int file_sync_parent(const char *path);

/* Removes a directory tree (no symbolic link is followed).  A tree that is not
 * there is success. */
int file_remove_tree(const char *path);

#endif
