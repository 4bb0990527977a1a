/* link-private.h: a link with a connection of the test's choice. */
#ifndef LIB_MUPDATE_LINK_PRIVATE_H
#define LIB_MUPDATE_LINK_PRIVATE_H

#include "lib/mupdate/conn.h"
#include "lib/mupdate/link.h"

struct mupdate_link_config {
    struct mupdate_conn_config conn; /* wake_fd and stop are set by the link; strings are copied */
    int64_t retry_most_ms;
    int64_t answer_ms; /* a request that gets no answer for so long ends the connection */
    int64_t idle_ms;   /* after such a silence the link says NOOP */
};

struct mupdate_link *mupdate_link_new(const struct mupdate_link_config *config);
/* Ends the thread; requests that are not done are done then (ERR_UNAVAILABLE). */
void mupdate_link_free(struct mupdate_link **link);

#endif
