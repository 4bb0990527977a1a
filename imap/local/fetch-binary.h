/* fetch-binary.h: the decoded bytes of a part (RFC 3516): what BINARY[...] and BINARY.SIZE[...] tell.
 *
 * Read twice, in pieces, however long the part is: first for how many bytes there are, then to send them. */
#ifndef IMAP_LOCAL_FETCH_BINARY_H
#define IMAP_LOCAL_FETCH_BINARY_H

#include <stdbool.h>
#include <stdint.h>

#include "imap/local/fetch.h"
#include "lib/charset/decode.h"
#include "lib/stream/stream.h"

struct fetch_binary {
    const struct fetch_item *item; /* NULL: nothing is under way */
    struct message *message;
    struct mail_range range; /* of the encoded bytes in the message */
    enum decode_encoding encoding;

    struct decoder decoder;
    struct buf piece;   /* decoded */
    uint64_t done;      /* encoded bytes that have been read */
    uint64_t at;        /* decoded bytes that came before the piece */
    uint64_t from, end; /* those that are wanted */
    bool counted, has_nul;
};

/* May the item be told of this message?  0, ERR_UNSUPPORTED: not its encoding; or as message_item(). */
int fetch_binary_check(struct message *message, const struct fetch_item *item);

/* Begins an item of a message of `size` bytes, which is kept.  0; ERR_NOTFOUND: there is no such part; as above. */
int fetch_binary_begin(struct fetch_binary *b, struct message *message, uint64_t size,
                       const struct fetch_item *item);

/* Goes on.  `line` gets what stands before the bytes, they go to the stream behind it.  0: the item is told (b->item is
 * NULL); ERR_AGAIN: more to do, at once or when the output has drained; ERR_EXPUNGED, ERR_IO. */
int fetch_binary_run(struct fetch_binary *b, struct buf *line, struct stream *to);

void fetch_binary_end(struct fetch_binary *b);

#endif
