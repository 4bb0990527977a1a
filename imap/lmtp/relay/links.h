/* links.h: the LMTP connections of a process that rest between transactions.  Any thread. */
#ifndef IMAP_LMTP_RELAY_LINKS_H
#define IMAP_LMTP_RELAY_LINKS_H

#include <stdbool.h>

struct backend;
struct lmtp;
struct links;

/* A connection on which a transaction may begin; belongs to one thread. */
struct link {
    struct backend *backend;
    struct lmtp *lmtp;
};

enum {
    LINKS_PER_SERVER = 8, /* that rest */
    LINKS_IDLE_MS = 60 * 1000,
};

struct links *links_new(void);
/* No link is out any more; *links = NULL. */
void links_free(struct links **links);

/* A resting connection to that server which its peer has not closed; false: there is none. */
bool links_take(struct links *links, const char *server, struct link *link_r);

/* Takes a connection back, or closes it if enough rest; *link is emptied. */
void links_put(struct links *links, const char *server, struct link *link);

/* Closes those that have rested for longer than LINKS_IDLE_MS. */
void links_expire(struct links *links);

/* Closes a connection, saying QUIT if polite; parts that are NULL are left out. */
void link_close(struct link *link, bool polite);

#endif
