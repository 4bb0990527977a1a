/* annotate.h: annotations of messages (RFC 5257) in FETCH, STORE and SEARCH. */
#ifndef IMAP_LOCAL_ANNOTATE_H
#define IMAP_LOCAL_ANNOTATE_H

#include <stdbool.h>
#include <stddef.h>

#include "imap/local/local-private.h"
#include "imap/session/annotate-args.h"
#include "imap/store/annotate.h"
#include "imap/store/message.h"

/* What FETCH ANNOTATION asks for. */
struct annotate_wants;

/* "(entries attributes)" behind ANNOTATION and its blank.  0 or ERR_SYNTAX.  In args->pool; its wildcards are to be freed. */
int annotate_wants_read(struct imap_args *args, struct annotate_wants **wants_r);
void annotate_wants_free(struct annotate_wants **wants); /* *wants may be NULL */

/* Appends "ANNOTATION (...)" and true; false: there is nothing to tell. */
bool annotate_wants_put(const struct annotate_wants *wants, const struct annotate_items *items,
                        const char *userid, struct buf *to);

/* The parts of a message that entries are named of, one after the other; NULL: no more.  *i is 0 before the first. */
const char *annotate_wants_part(const struct annotate_wants *wants, size_t *i);

/* Appends " ANNOTATION (entries)": those that the user may know of and that were changed above a mod-sequence; nothing if
 * there are none (RFC 5257 section 4.4). */
void annotate_put_changed(const struct annotate_items *items, const char *userid, uint64_t since,
                          struct buf *to);

/* What the store is to change: values as a client wrote them, in the pool.  May the user?  0, ERR_DENIED. */
int annotate_changes_of(const struct annotate_list *list, const char *userid, rights_t rights,
                        struct pool *pool, struct annotate_change **changes_r);
/* The same for those that he may set; others are left out.  The number of them. */
size_t annotate_allowed_of(const struct annotate_list *list, const char *userid, rights_t rights,
                           struct pool *pool, struct annotate_change **changes_r);

/* Has the message a part ("1.2")?  1, 0, or an error. */
int annotate_has_part(struct message *message, const char *part);

/* What TOOBIG and TOOMANY are called (RFC 5257 section 5); NULL: another error. */
const char *annotate_code(int error);

#endif
