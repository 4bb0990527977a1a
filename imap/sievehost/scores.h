/* scores.h: what filters before this server have said of a message (RFC 5235), by the fields of its header that imapd.conf
 * names.  Any thread. */
#ifndef IMAP_SIEVEHOST_SCORES_H
#define IMAP_SIEVEHOST_SCORES_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"

/* The message's header as it came: the first field of that name counts, which is the last that was put before it.  1 with the
 * score appended: 1 to 10, with `percent` 0 to 100; 0: it was not tested. */
int score_spam(const char *header, size_t n, bool percent, struct buf *value);
/* Likewise, 1 to 5. */
int score_virus(const char *header, size_t n, struct buf *value);

/* The same for a score's text: "5.3", "-1", "****" (that many), of `most`, which is certain spam.  -1: it is none. */
int score_of_text(const char *text, double most, bool percent);
/* For a text as `values` ("clean=1 infected=5") has it; a digit from 0 to 5 stands for itself.  0: none of them. */
int score_of_word(const char *text, const char *values);

#endif
