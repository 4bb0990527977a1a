/* message.h: the bytes of a message, and what the cache has of it ready to send.
 *
 * One thread at a time; a message may outlive the command but not its mailbox handle. */
#ifndef IMAP_STORE_MESSAGE_H
#define IMAP_STORE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "imap/store/mailbox.h"
#include "lib/base/buf.h"

/* The items of a cache entry, in its order. */
enum cache_item {
    CACHE_ENVELOPE,      /* as lib/mail/wire.h writes it */
    CACHE_BODY,          /* without its name */
    CACHE_BODYSTRUCTURE, /* without its name */
    CACHE_PARTS,         /* lib/mail/section.h */
    CACHE_HEADERS,       /* the fields that people search, as they stand in the message */
    CACHE_SPARE,         /* empty */
    CACHE_ITEMS
};

/* A cache entry's flags. */
enum {
    CACHE_8BIT = 1, /* ENVELOPE or BODYSTRUCTURE hold 8-bit text: under UTF8=ACCEPT format anew */
};

struct message;

/* Opens nothing yet.  The record is copied. */
void message_open(struct mailbox *mailbox, uint32_t number, const struct mailbox_record *record,
                  struct message **message_r);
void message_close(struct message **message); /* *message may be NULL */

/* The item, from the cache; if its entry is bad, from the message file (and the cache is healed).  data
 * lives as long as the message.  0; ERR_EXPUNGED: the file is needed and gone; ERR_IO. */
int message_item(struct message *message, enum cache_item item, const char **data_r, size_t *len_r);
/* The entry's flags; same results. */
int message_cache_flags(struct message *message, uint32_t *flags_r);

/* Is that header field (any case) among those that CACHE_HEADERS always has? */
bool message_header_is_cached(const char *name);

/* Reads bytes of the message file: how many (less than n only at its end), ERR_EXPUNGED if the file is
 * gone, ERR_IO. */
int64_t message_read(struct message *message, uint64_t offset, void *to, size_t n);

/* The descriptor of the file, for sendfile and the like; owned by the message.  Same errors; ERR_CORRUPT: it has not the size
 * that its record says. */
int message_fd(struct message *message);

/* Closes the file; it is opened again when it is needed. */
void message_close_file(struct message *message);

/* Many items in one go: the first message_item() reads the cache entries of `count` ascending records with as few preads as
 * their places allow, so that those that follow copy from memory.  0. */
struct message_batch;
int message_batch_open(struct mailbox *mailbox, const struct mailbox_record *records, const uint32_t *numbers,
                       uint32_t count, struct message_batch **batch_r);
/* The same for other records with the memory of a batch; what was got from it is gone. */
void message_batch_refill(struct message_batch *batch, struct mailbox *mailbox,
                          const struct mailbox_record *records, const uint32_t *numbers, uint32_t count);
/* The message of records[i]; owned by the batch. */
struct message *message_batch_get(struct message_batch *batch, uint32_t i);
void message_batch_close(struct message_batch **batch);

#endif
