/* lines.h: capabilities that are lines of words (LMTP, MUPDATE, ManageSieve). */
#ifndef LIB_BACKEND_LINES_H
#define LIB_BACKEND_LINES_H

#include <stdbool.h>

#include "lib/base/buf.h"

/* The rest of the first line that begins with the word (any case), and its length; NULL: none. */
const char *backend_lines_find(const struct buf *lines, const char *word, size_t *len_r);
/* Appends what stands behind the word, without quotes. */
void backend_lines_args(const struct buf *lines, const char *word, struct buf *to);

#endif
