/* node.h: a server in a directory of its own, and what must be true of it. */
#ifndef CUNIT_IMAP_MBOXOP_NODE_H
#define CUNIT_IMAP_MBOXOP_NODE_H

#include <stdbool.h>

#include "imap/mboxop/mboxop.h"
#include "lib/mboxlist/mboxlist.h"

struct node {
    struct mboxop_env env;
};

extern const struct name_config node_config;

/* imapd.conf is read at the first call (one configuration a process); the directory is emptied. */
void node_wipe(void);
/* That directory; what is in it may be replaced between node_close() and node_open(). */
const char *node_directory(void);
/* Opens list and store of the directory; `murder`: the fake master is this node's. */
void node_open(struct node *n, bool murder);
void node_close(struct node *n);

/* Runs an operation to its end. */
int node_create(struct node *n, const char *name);
int node_run(struct mboxop *op);

/* The names, blank-separated, "+" behind each with files ("2": on the second
 * partition); stamps of deleted ones as "T". */
void node_names(struct node *n, struct buf *to);
/* The ACL, id, uidvalidity of a name, "" or 0 when it is not there. */
void node_acl(struct node *n, const char *name, struct buf *to);
void node_id(struct node *n, const char *name, struct buf *to);
uint32_t node_uidvalidity(struct node *n, const char *name);

/* The invariants: each record has its files, and no others are there; the header has the record's UIDVALIDITY
 * and the quota root that the list says;
 * no intent is left; in a murder the master has exactly our names, active, here, with their ACLs.  What is wrong,
 * appended. */
void node_check(struct node *n, struct buf *wrong);

#endif
