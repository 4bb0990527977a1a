/* stage.h: a message on its way in: written to a file without a name on the partition, digested as it
 * passes.
 *
 * Nothing is locked meanwhile and nothing remains if the process dies.  One thread at a time. */
#ifndef IMAP_STORE_STAGE_H
#define IMAP_STORE_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "imap/store/record.h"
#include "imap/store/store.h"

struct stage;

/* Begins a message on a partition.  0, ERR_NOTFOUND, ERR_DISKFULL, ERR_IO. */
int stage_new(struct store *store, const char *partition, struct stage **stage_r);

/* The next bytes (CRLF line ends are the caller's matter).  0, ERR_DISKFULL, ERR_IO. */
int stage_write(struct stage *stage, const void *data, size_t n);

/* What is known once all bytes are written. */
struct stage_info {
    uint64_t size;
    uint32_t lines;
    unsigned char guid[GUID_SIZE];
    bool has_nul;     /* for the front to refuse (RFC 3501 section 9, CHAR8) */
    bool has_bare_lf; /* an LF without CR before it */
};

/* Takes what has been written of a message to another partition: the one that it was on has no room, or cannot be written.
 * Not after stage_finish().  0; or as stage_new(), and the stage is where it was. */
int stage_move(struct stage *stage, const char *partition);

/* The end of the message: parses it and makes its cache entry.  Once, before the stage is used below.
 * info_r may be NULL.  0, ERR_IO, ERR_DISKFULL. */
int stage_finish(struct stage *stage, struct stage_info *info_r);

/* Replaces a finished stage with NUL bytes by one without: the parts that have them become base64, everything else
 * stays as it is.  0; ERR_UNSUPPORTED: they stand elsewhere, or in a part that is encoded already; as stage_new(),
 * stage_write(), and the stage is as it was. */
int stage_encode_binary(struct stage **stage, struct stage_info *info_r);

/* Reads from a finished stage (a Sieve script looks at the message).  The number of bytes, less than n
 * only at the end; or ERR_IO. */
int64_t stage_read(struct stage *stage, uint64_t offset, void *to, size_t n);

/* The bytes of a finished stage as memory, which outlives the stage: stage_unmap() when nobody reads it any more.  0,
 * ERR_IO. */
int stage_map(const struct stage *stage, const char **data_r, size_t *n_r);
void stage_unmap(const char *data, size_t n);

/* Gives everything back; what was not appended is gone.  *stage may be NULL. */
void stage_free(struct stage **stage);

#endif
