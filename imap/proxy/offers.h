/* offers.h: what the servers behind this one were seen to announce, so that a frontend offers no more.
 *
 * Learnt when a connection is made; shared by the processes of a node, and kept over their ends, by one file a server
 * (doc/formats/servers.md).  A server that nobody has connected to for OFFERS_KEEP_S is forgotten.  Any thread. */
#ifndef IMAP_PROXY_OFFERS_H
#define IMAP_PROXY_OFFERS_H

#include <stdbool.h>

enum {
    OFFERS_KEEP_S = 24 * 3600,
    OFFERS_RENEW_S = 3600,   /* the file tells of a server that says the same as before this often */
    OFFERS_WORDS_MAX = 8192, /* bytes of a capability list; of a longer one the beginning */
    OFFERS_SERVERS_MAX = 1000,
};

/* A server has been connected to, and announces these words (blank-separated) to a user.  Those that speak of the
 * connection or of who it is (AUTH=, STARTTLS, COMPRESS=, UNAUTHENTICATE...) are left out. */
void offers_note(const char *server, const char *words);

/* Reads what other processes have learnt; forgets what is old.  At start, and now and then. */
void offers_refresh(void);

/* For struct leg_program: servers_have, servers_change. */
bool offers_everywhere(const char *capability);
unsigned offers_change(void);

/* Forgets all, but not the files. */
void offers_end(void);

#endif
