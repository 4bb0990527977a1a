/* order.h: the order of messages by one text of each: a base subject, a name.  What has been read of a mailbox is kept (kept.h),
 * since reading and folding the texts of 10,000 messages takes longer than all else in a SORT.
 *
 * A query looks at messages in the view's order, adds the texts of those that are not known, and gives each a number when all
 * are there; numbers are compared instead of texts.  One thread at a time. */
#ifndef IMAP_STORE_ORDER_H
#define IMAP_STORE_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "imap/store/view.h"

struct order_query;

/* `what` names the text: the same text under the same name always.  It must outlive the query. */
struct order_query *order_begin(struct view *view, const char *what);
void order_end(struct order_query **query); /* *query may be NULL */

/* Is a message's text known?  Then *token_r stands for it.  Cheap in the order of UIDs; may be asked more than once. */
bool order_knows(struct order_query *q, const struct mailbox_record *record, uint32_t *token_r);

/* The text of one that is not, in the form on which bytes are compared; messages come in the view's order, each once.  keep:
 * false if the text is not what the message has (its file is gone).  What stands for it. */
uint32_t order_add(struct order_query *q, const struct mailbox_record *record, const char *text, size_t n,
                   bool keep);

/* Bytes that the query holds, all in all. */
size_t order_bytes(const struct order_query *q);

/* After the last: a piece of the work.  1: there is more; 0: values are there, and what is new is kept. */
int order_step(struct order_query *q);

/* Then: a number, smaller for smaller texts and the same for equal ones; 0 for the empty text alone. */
uint64_t order_value(const struct order_query *q, uint32_t token);

#endif
