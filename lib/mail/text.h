/* text.h: header text for people and for comparison: encoded words, base subject, message ids. */
#ifndef LIB_MAIL_TEXT_H
#define LIB_MAIL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/pool.h"

/* Appends unstructured header text with its RFC 2047 words decoded, as UTF-8.  Raw 8-bit text that is
 * no UTF-8 is taken as ISO-8859-1; an unknown charset leaves its word as it stands. */
void mail_words_decode(const char *s, size_t n, struct buf *to);

/* The base subject of RFC 5256 section 2.1 of a decoded (UTF-8) or raw subject, in upper case for ASCII,
 * appended.  *is_reply_r (may be NULL): whether it is a reply or forward (section 2.1, step 6). */
void mail_base_subject(const char *subject, size_t n, struct buf *to, bool *is_reply_r);

/* The message ids in a field's value ("<left@right>", quoting and comments normalised as RFC 5256 section
 * 3 "REFERENCES" asks), in order, each with its brackets, NULL-terminated, at most MAIL_IDS_MAX; never
 * NULL. */
enum { MAIL_IDS_MAX = 1000 };
char **mail_message_ids(struct pool *pool, const char *value, size_t n);

/* The first of them, or NULL. */
char *mail_message_id(struct pool *pool, const char *value, size_t n);

#endif
