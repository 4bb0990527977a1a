/* replace-private.h: a message that goes in the commit that brings another (RFC 8508; "REPLACE" in
 * doc/formats/mailbox.md).  All but replace_apply() within a transaction. */
#ifndef IMAP_STORE_REPLACE_PRIVATE_H
#define IMAP_STORE_REPLACE_PRIVATE_H

#include "imap/store/mailbox-private.h"

struct replaced {
    uint32_t number;
    struct mailbox_record record; /* as it was */
};

/* Before the commit: finds the message.  Nothing is changed in the file.  0; ERR_EXPUNGED (also where it never was); ERR_IO,
 * ERR_CORRUPT. */
int replace_find(struct mailbox *m, uint32_t uid, struct replaced *old_r);
/* Makes room in the header for one more: syncs if it is not known that the record of the last one is on disk. */
int replace_settle(struct mailbox *m);
/* Takes the old message out of m->next, right before index_commit(). */
void replace_note(struct mailbox *m, const struct replaced *old, uint64_t modseq);
/* After it: marks the record.  What fails here the next writer does. */
void replace_finish(struct mailbox *m, const struct replaced *old);

/* Is that record expunged by the header, and does not say so yet?  Then makes it say so. */
bool replace_apply(const struct mailbox_header *h, uint32_t number, struct mailbox_record *record);

/* When a transaction begins, with m->next: forgets what is on disk.  true: a writer did not come to replace_finish(). */
bool replace_look(struct mailbox *m, uint64_t synced);

#endif
