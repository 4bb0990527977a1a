/* preview.h: the beginning of what a message says, for a list of messages (RFC 8970). */
#ifndef IMAP_LOCAL_PREVIEW_H
#define IMAP_LOCAL_PREVIEW_H

#include <stdbool.h>

#include "imap/store/message.h"
#include "lib/base/buf.h"
#include "lib/charset/decode.h"

enum {
    PREVIEW_CHARS = 200,        /* of a preview */
    PREVIEW_READ = 64 * 1024,   /* bytes of a part that are looked at */
    PREVIEW_HEADER = 16 * 1024, /* bytes of a part's header */
    PREVIEW_PARTS = 50          /* text parts of a message that are looked at */
};

/* Appends the preview in UTF-8, nothing if there is none to give: the first plain text that is no attachment, else the
 * first HTML without its tags; one line, quoted lines of plain text left out.  0, or as message_item() and
 * message_read(). */
int preview_of(struct message *message, struct buf *to);

/* What a part's bytes are. */
struct preview_kind {
    enum decode_encoding decoding;
    const char *charset; /* none ("") and what is not known is taken for UTF-8 */
    bool html;
    bool whole; /* they are all there, not only its beginning */
};

/* The same of a part's bytes, n of them. */
void preview_part(const char *raw, size_t n, const struct preview_kind *kind, struct buf *to);

/* The same of its text, decoded, in UTF-8; what is no UTF-8 gives U+FFFD. */
void preview_text(const char *text, size_t n, bool html, struct buf *to);

#endif
