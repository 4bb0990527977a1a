/* stream-private.h: a stream's insides, for the files of lib/stream. */
#ifndef LIB_STREAM_STREAM_PRIVATE_H
#define LIB_STREAM_STREAM_PRIVATE_H

#include <openssl/types.h>

#include "lib/sasl/layer.h"
#include "lib/stream/block.h"
#include "lib/stream/stream.h"

struct deflate_layer;
struct tls_layer;

struct stream {
    unsigned magic;
    int fd;
    int in_error, out_error; /* sticky; 0: none */
    char *error;             /* text of the first failure */
    struct sbuf in;          /* what the application can read */
    size_t scanned;          /* bytes of it known to hold no LF */
    struct sbuf out;         /* what the application wrote */
    size_t logged;           /* bytes of it that telemetry has */
    struct sbuf coded_in;    /* compressed, not yet inflated */
    struct sbuf coded_out;   /* ready for the kernel, ahead of `out` */
    struct tls_layer *tls;
    struct sasl_layer *sasl;
    struct deflate_layer *deflate;
    int telemetry; /* a descriptor, or -1 */
    char telemetry_last;
    uint64_t bytes_in, bytes_out;
};

#define STREAM_MAGIC 0x57e4a3c1u

/* Records the first failure's text; returns `code`. */
int stream_fail(struct stream *s, int code, const char *text);

/* ---- the transport: the socket, or TLS over it ---- */

/* Up to n bytes: >0, ERR_AGAIN, ERR_EOF, ERR_IO, ERR_TLS. */
int stream_transport_read(struct stream *s, char *to, size_t n);
int stream_transport_write(struct stream *s, const char *from, size_t n);

int tls_layer_read(struct stream *s, char *to, size_t n);
int tls_layer_write(struct stream *s, const char *from, size_t n);
bool tls_layer_pending(const struct tls_layer *t);
/* What TLS needs of the descriptor for the operation that said ERR_AGAIN: POLLIN or POLLOUT. */
unsigned tls_layer_read_events(const struct tls_layer *t);
unsigned tls_layer_write_events(const struct tls_layer *t);
/* Says close_notify if it can, frees. */
void tls_layer_free(struct tls_layer **t);

SSL_CTX *tls_context_ssl(struct tls_context *ctx);
/* For unit tests; NULL without TLS. */
SSL *stream_ssl(struct stream *s);

/* ---- deflate ---- */

struct deflate_layer *deflate_layer_new(void);
void deflate_layer_free(struct deflate_layer **d);
/* Inflates from `from` to the end of `to`, about `max` bytes at most.  The number (0: needs more input), or
 * ERR_PROTOCOL. */
int deflate_layer_read(struct deflate_layer *d, struct sbuf *from, struct sbuf *to, size_t max);
/* May deflate_layer_read() give more without input? */
bool deflate_layer_pending(const struct deflate_layer *d);
/* Has all of it been inflated, up to the end of a flush? */
bool deflate_layer_at_rest(const struct deflate_layer *d);
/* Compresses n bytes to the end of `to`; `flush`: all of what came so far can be inflated from it. */
void deflate_layer_write(struct deflate_layer *d, const char *from, size_t n, bool flush, struct sbuf *to);
/* Frees the deflater; everything was flushed. */
void deflate_layer_park(struct deflate_layer *d);

#endif
