/* text.h: what threads are made of: base subject and message ids (encoded words: lib/charset/words.h). */
#ifndef LIB_MAIL_TEXT_H
#define LIB_MAIL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/pool.h"

/* Appends the base subject (RFC 5256 section 2.1) of a Subject field's value: UTF-8, case as it
 * is.  *is_reply_r (may be NULL): was anything removed that marks a reply or a forward? */
void mail_base_subject(const char *subject, size_t n, struct buf *to, bool *is_reply_r);

/* The message ids in a field's value ("<left@right>", quoting and comments normalised as RFC 5256 section
 * 3 "REFERENCES" asks), in order, each with its brackets, NULL-terminated, at most MAIL_IDS_MAX; never
 * NULL. */
enum { MAIL_IDS_MAX = 1000 };
char **mail_message_ids(struct pool *pool, const char *value, size_t n);

/* The first of them, or NULL. */
char *mail_message_id(struct pool *pool, const char *value, size_t n);

#endif
