/* peer.h: a scripted server on 127.0.0.1, in a thread of its own.
 *
 * A script is a list of steps, ended by NULL: "> text" sends a line; "< text" expects exactly that
 * line; "<* text" one that begins so; "~" shakes hands as a TLS server (certs()); "!" closes (as the end
 * does); "." waits until the client has closed. */
#ifndef CUNIT_LIB_BACKEND_PEER_H
#define CUNIT_LIB_BACKEND_PEER_H

#include <pthread.h>
#include <stdbool.h>

struct peer {
    int listener;
    unsigned port;
    char server[32]; /* "127.0.0.1:port" */
    const char *const *script;
    bool slowly; /* a byte at a time */
    pthread_t thread;
    char failure[300]; /* what was not as scripted; "" */
};

/* Listens and serves one connection; script NULL: accepts nobody. */
void peer_start(struct peer *p, const char *const *script, bool slowly);
/* Waits for the script's end.  Was all as scripted (else it is printed)? */
bool peer_stop(struct peer *p);

#endif
