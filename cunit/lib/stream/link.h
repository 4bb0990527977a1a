/* link.h: two streams with a wire between them that delivers a few bytes at a time. */
#ifndef CUNIT_LIB_STREAM_LINK_H
#define CUNIT_LIB_STREAM_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/sasl/layer.h"
#include "lib/stream/stream.h"
#include "lib/stream/tls.h"

enum { LINK_TLS = 1, LINK_SASL = 2, LINK_DEFLATE = 4, LINK_COMBINATIONS = 6 };

/* The combinations of layers that are allowed: "plain", "tls"... */
extern const struct link_layers {
    const char *name;
    unsigned layers;
} link_layers[LINK_COMBINATIONS];

/* A SASL layer of the tests' own: packets of a 4-byte length and bytes with a bit turned over. */
struct fake_sasl {
    char in[70000], plain[70000], out[70000];
    size_t in_n;
};

struct link {
    struct stream *client, *server;
    int wire_client, wire_server; /* the wire's ends; -1 when cut */
    size_t step;                  /* bytes a round and direction */
    bool park;                    /* park both streams after each round */
    size_t carried[2];            /* bytes: client to server, server to client */
    struct fake_sasl *sasl[2];
};

/* No layer yet.  step 0: as much as there is. */
void link_open(struct link *l, size_t step);
void link_close(struct link *l);

/* Puts the layers on and shakes hands.  0, or the error of either side. */
int link_layer(struct link *l, unsigned layers);

/* One round of the wire.  Did anything move? */
bool link_round(struct link *l);

/* Rounds with fills and flushes of both until nothing moves. */
void link_settle(struct link *l);

/* The wire's ends close: what was delivered stays. */
void link_cut(struct link *l);

/* Contexts over certs(), without tickets, made once; kept until the program's end. */
struct tls_context *link_server_context(void);
struct tls_context *link_client_context(void);

void fake_sasl_layer(struct fake_sasl *f, struct sasl_layer *layer);

#endif
