/* link.h: this process's connection to the MUPDATE server: one per process and target, a thread of its own,
 * requests pipelined from any thread.
 *
 *     struct mupdate_request *r = mupdate_send(link, MUPDATE_RESERVE, name, "be1.lab!default", NULL, wake, s);
 *     ... the session parks; wake(s) is called ...
 *     if (mupdate_request_done(r)) { result = mupdate_request_result(r); mupdate_request_free(&r); }
 *
 * Requests on one link are executed in the order they were sent.  While the server is away the link tries again by
 * itself, with back-off, and for a request within 100 ms: it fails with ERR_UNAVAILABLE when that attempt does.  A
 * request that was under way when the connection broke fails with ERR_UNAVAILABLE too, its outcome unknown: every
 * operation may be repeated.
 *
 * DELETE and DEACTIVATE are only sent behind a FIND that showed the name (they kill a Cyrus master otherwise):
 * the link does so itself. */
#ifndef LIB_MUPDATE_LINK_H
#define LIB_MUPDATE_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"

struct mupdate_link;
struct mupdate_request;

enum mupdate_target {
    MUPDATE_MASTER,     /* mupdate_server: the authority */
    MUPDATE_LOCAL_SLAVE /* this machine's slave, by <configdirectory>/socket/mupdate.target */
};

enum mupdate_verb {
    MUPDATE_RESERVE,    /* name, location */
    MUPDATE_ACTIVATE,   /* name, location, acl */
    MUPDATE_DEACTIVATE, /* name, location */
    MUPDATE_DELETE,     /* name; of a name that is not there: success */
    MUPDATE_FIND,       /* name */
    MUPDATE_NOOP        /* to a slave: the barrier, see mupdate_barrier() */
};

enum mupdate_state { MUPDATE_ABSENT, MUPDATE_IS_RESERVED, MUPDATE_ACTIVE };

/* What a server of ours tells of a mailbox besides (X-DETAILS, doc/protocols/mupdate.md).  Each may be "" or NULL:
 * nothing is known of it. */
struct mupdate_details {
    const char *id;          /* unique id */
    const char *type;        /* MUPDATE_TYPE_MAIL */
    const char *special_use; /* "user TAB uses TAB ...", as in the mailbox list */
};
#define MUPDATE_TYPE_MAIL "e"
enum { MUPDATE_TYPE_MAX = 8 /* bytes */ };

/* The process's link; made, and connecting, at the first call.  NULL when no mupdate_server is configured.  It
 * lives until mupdate_links_stop(). */
struct mupdate_link *mupdate_link(enum mupdate_target target);
/* Ends all links and their threads, at the end of the process. */
void mupdate_links_stop(void);

/* Is it connected and authenticated now? */
bool mupdate_link_is_up(struct mupdate_link *link);
/* How many connections there have been, the present one included: another number is an outage in between. */
uint64_t mupdate_link_connections(struct mupdate_link *link);

/* Queues a request; never waits, never NULL.  `wake` (may be NULL) is called exactly once, by the link's
 * thread, when the request is done; it must not call this room, and not wait.  Strings are copied. */
struct mupdate_request *mupdate_send(struct mupdate_link *link, enum mupdate_verb verb, const char *name,
                                     const char *location, const char *acl, void (*wake)(void *context),
                                     void *context);

/* ACTIVATE with the details, as far as the server takes them. */
struct mupdate_request *mupdate_activate(struct mupdate_link *link, const char *name, const char *location,
                                         const char *acl, const struct mupdate_details *details,
                                         void (*wake)(void *context), void *context);

/* Done?  (Once true, it stays.) */
bool mupdate_request_done(struct mupdate_request *request);

/* What became of it; for a done request only.  0; ERR_CONFLICT: the server said NO; ERR_UNAVAILABLE: no
 * connection; ERR_PROTOCOL: the server said BAD. */
int mupdate_request_result(const struct mupdate_request *request);
/* The server's words, or why there is no connection; for logs and for the client's NO. */
const char *mupdate_request_text(const struct mupdate_request *request);
/* FIND's answer. */
enum mupdate_state mupdate_request_state(const struct mupdate_request *request);
const char *
mupdate_request_location(const struct mupdate_request *request);        /* "" unless reserved or active */
const char *mupdate_request_acl(const struct mupdate_request *request); /* "" unless active */

/* Frees; one that is not done is forgotten (it may still be executed); when this has returned, wake() is not
 * running and will not be called. *request may be NULL. */
void mupdate_request_free(struct mupdate_request **request);

/* Waits for it on this thread (tools, recovery): true when done, false when the deadline (clock.h) passed. */
bool mupdate_request_wait(struct mupdate_request *request, int64_t deadline);

/* A request from a slave's list: everything the master had acknowledged before this call is in the local list
 * when it is done.  Calls that have not gone out yet share one NOOP.  Same handle, same rules. */
struct mupdate_request *mupdate_barrier(struct mupdate_link *link, void (*wake)(void *context),
                                        void *context);

/* ---- blocking, for tools ---- */

/* Connects now, waiting at most until `deadline`: 0, or ERR_UNAVAILABLE, ERR_AUTH with the reason in `why`. */
int mupdate_link_wait_up(struct mupdate_link *link, int64_t deadline, struct buf *why);

/* One request, waited for.  `text` (may be NULL) gets the server's words. */
int mupdate_call(struct mupdate_link *link, enum mupdate_verb verb, const char *name, const char *location,
                 const char *acl, int64_t deadline, struct buf *text);

struct mupdate_entry {
    enum mupdate_state state; /* MUPDATE_IS_RESERVED or MUPDATE_ACTIVE */
    const char *name, *location, *acl;
    const struct mupdate_details *details; /* NULL: the server does not have them */
};

/* LIST with a prefix of locations (NULL: all), with details from a server that has them.  `fn` is called in the order of the answers, by the link's thread:
 * it must not use this link, and returns non-zero to get no more.  0 when the list was complete. */
int mupdate_list(struct mupdate_link *link, const char *prefix,
                 int (*fn)(const struct mupdate_entry *entry, void *context), void *context,
                 int64_t deadline);

#endif
