/* tls-tickets.h: the keys that TLS session tickets are sealed with, shared by all processes
 * through a file and rotated daily: doc/protocols/tls-tickets.  Any thread. */
#ifndef LIB_STREAM_TLS_TICKETS_H
#define LIB_STREAM_TLS_TICKETS_H

#include <stdbool.h>
#include <stdint.h>

enum {
    TICKET_NAME_SIZE = 16,
    TICKET_KEY_SIZE = 32,
    TICKET_KEYS_MAX = 8,
    TICKET_ROTATE_S = 24 * 60 * 60, /* a key seals for a day */
    TICKET_CHECK_S = 60,            /* how often a process looks whether another rotated */
};

struct ticket_key {
    int64_t created; /* seconds of the epoch */
    unsigned char name[TICKET_NAME_SIZE];
    unsigned char cipher[TICKET_KEY_SIZE]; /* AES-256-CBC */
    unsigned char mac[TICKET_KEY_SIZE];    /* HMAC-SHA-256 */
};

struct tickets;

/* lifetime_s: how long a sealed ticket may be used. */
struct tickets *tickets_new(const char *path, int64_t lifetime_s);
void tickets_free(struct tickets **t);

/* The key to seal with at time `now` (clock_wall()), rotating and reading the file as needed.  Where the
 * file cannot be written the keys are the process's own. */
void tickets_current(struct tickets *t, int64_t now, struct ticket_key *key_r);

/* The key of that name, while it may be used.  1: it is the current one; 2: an older one (give the
 * client a new ticket); 0: unknown or expired. */
int tickets_find(struct tickets *t, int64_t now, const unsigned char name[TICKET_NAME_SIZE],
                 struct ticket_key *key_r);

#endif
