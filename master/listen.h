/* listen.h: the sockets of a service. */
#ifndef MASTER_LISTEN_H
#define MASTER_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

enum { LISTEN_MAX = 8 };

/* A service's sockets: one for each address; IPv4 first. */
struct listen_set {
    size_t count;
    int fds[LISTEN_MAX]; /* close-on-exec, blocking */
    char *unix_path;     /* to be removed at the end; NULL for TCP */
};

/* Opens and binds (without listen(2)) what `listen` says: a port or service's name on all addresses,
 * "host:port", "[v6]:port", or a path.  `proto`: tcp, tcp4, tcp6.  A socket left at that path by a
 * dead master is replaced.  0, or ERR_CONFIG, ERR_BUSY (in use by another), ERR_IO with
 * what was tried in *error_r (malloc'ed). */
int listen_open(const char *listen, const char *proto, struct listen_set *to, char **error_r);

/* listen(2) on all.  0, ERR_BUSY, ERR_IO. */
int listen_start(const struct listen_set *set, int backlog);

/* Closes; with `remove`, the path goes too. */
void listen_close(struct listen_set *set, bool remove);

/* The port of a service name: /etc/services, else our own table; a number stands for itself.
 * 0: none such. */
unsigned listen_port(const char *name);

#endif
