/* proxy-header.h: the PROXY protocol, versions 1 and 2: what a balancer says of its client before the client's first
 * byte (haproxy.org, "The PROXY protocol", sections 2.1 and 2.2).
 *
 * It is read from the socket itself, never a byte beyond its end: what follows may be a TLS handshake. */
#ifndef IMAP_LOGIN_PROXY_HEADER_H
#define IMAP_LOGIN_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum {
    PROXY_HEADER_V1_MAX = 107,  /* with CRLF */
    PROXY_HEADER_V2_MAX = 1024, /* with what follows the addresses, which is skipped */
    PROXY_TRUSTED_MAX = 64,     /* networks in a list */
};

/* How many more bytes are part of the header for certain, given its first `len` ones; 0: it is whole; ERR_PROTOCOL. */
int proxy_header_need(const char *data, size_t len);

/* The addresses of a whole header.  1; 0: it speaks of none (a check of the balancer's own, or no TCP): the
 * connection's own count; ERR_PROTOCOL. */
int proxy_header_read(const char *data, size_t len, struct sockaddr_storage *client_r,
                      struct sockaddr_storage *local_r);

/* A list of addresses and networks ("192.0.2.1 2001:db8::/32"; blanks or commas between them).  0, or ERR_SYNTAX. */
int proxy_trusted_check(const char *list);
/* Is the address (of a connection) in it?  An IPv4 address in IPv6 clothes is what it is. */
bool proxy_trusted_has(const char *list, const struct sockaddr_storage *address);

#endif
