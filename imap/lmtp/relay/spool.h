/* spool.h: a message on its way through: in memory up to SPOOL_MEMORY bytes, then in a file without a name
 * (option temp_path), which is gone when the process is. */
#ifndef IMAP_LMTP_RELAY_SPOOL_H
#define IMAP_LMTP_RELAY_SPOOL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/buf.h"

enum { SPOOL_MEMORY = 64 * 1024 };

struct spool {
    struct buf memory; /* the first bytes, if there is no file */
    int fd;            /* -1: all in memory */
    int64_t size;
    const char *dir;
};

/* `dir` must live as long as the spool. */
void spool_init(struct spool *s, const char *dir);
void spool_free(struct spool *s);

/* 0, ERR_DISKFULL, ERR_IO. */
int spool_write(struct spool *s, const void *data, size_t n);

/* Up to n bytes from `offset`: their number, 0 at the end; ERR_IO. */
ssize_t spool_read(const struct spool *s, int64_t offset, void *to, size_t n);

#endif
