/* journal.h: what has happened to the mailbox list of late, for those who watch it (RFC 5465).
 *
 * Each transaction that changes names, rights, subscriptions or annotations leaves rows behind, numbered without gaps, in
 * the list's environment (doc/formats/mailboxes.md).  The last JOURNAL_ROWS are kept: who looks later has lost something
 * and is told so. */
#ifndef LIB_MBOXLIST_JOURNAL_H
#define LIB_MBOXLIST_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/mboxlist/mboxlist.h"

enum {
    JOURNAL_ROWS = 4096,
    JOURNAL_TXN_ROWS = 1024 /* of one transaction: one that does more leaves JOURNAL_LOST instead */
};

/* The values are part of the format. */
enum journal_kind {
    JOURNAL_NAME = 1,         /* a mailbox came, went, got another name, or its ACL changed */
    JOURNAL_SUBSCRIPTION = 2, /* `is`: it is there now */
    JOURNAL_ANNOTATION = 3,   /* `is`: it has a value now */
    JOURNAL_LOST = 4          /* more than the journal tells */
};

struct journal_row {
    uint64_t number;
    enum journal_kind kind;
    bool was, is;       /* NAME: an active mailbox (local or remote) before, and after */
    const char *name;   /* internal name; of an annotation its mailbox's id, "" the server's */
    const char *from;   /* NAME: what the mailbox was called before this; "" */
    const char *userid; /* SUBSCRIPTION, ANNOTATION: whose; "" of a shared annotation */
    const char *entry;  /* ANNOTATION: as in annotations.h */
    const char *acl_before, *acl_after; /* NAME: "" where there was or is none */
};

/* The number of the last row; 0: there never was one. */
int journal_last(struct mboxlist *list, uint64_t *number_r);

/* Calls fn for each row behind `after`, outside any transaction (row and strings live as long as the call), until fn
 * returns non-zero, which is returned; else 0.  ERR_LIMIT: some of them are not kept any more. */
int journal_each(struct mboxlist *list, uint64_t after,
                 int (*fn)(const struct journal_row *row, void *context), void *context);

/* An annotation whose value is kept elsewhere was set: a row like the others'. */
int journal_txn_annotation(struct mboxlist_txn *txn, const char *id, const char *userid, const char *entry,
                           bool is);

/* The file to be watched for new rows, appended. */
void journal_path(const struct mboxlist *list, struct buf *path);

#endif
