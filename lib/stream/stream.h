/* stream.h: a buffered byte stream with layers.
 *
 *     application <-> [deflate] <-> [SASL layer | TLS] <-> socket, telemetry beside
 *
 * The descriptor is always non-blocking and no call here ever waits except those whose name
 * ends in _wait.  Every layer works when fed byte by byte.  Input that a layer has already
 * taken from the kernel is never forgotten: stream_has_input() tells whether one may sleep
 * on the descriptor.
 *
 * Errors are sticky, each direction its own: what arrived before the peer went can still be read.
 * The first stream of a process ignores SIGPIPE, unless the program has a handler of its own.
 *
 * Memory: the 16 KiB input and output blocks come from a per-thread cache and go back to it in
 * stream_park(); a parked stream keeps its leftover bytes only.
 *
 * A stream belongs to one thread at a time, which may change between calls. */
#ifndef LIB_STREAM_STREAM_H
#define LIB_STREAM_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sasl_layer; /* lib/sasl/layer.h */
struct stream;
struct tls_context; /* tls.h */

enum {
    STREAM_FILL_LEAST = 4096,    /* a stream_fill() that gave less has taken what there was, as a rule */
    STREAM_IN_MAX = 64 * 1024,   /* unread input is never more than this: ERR_TOOBIG */
    STREAM_OUT_HIGH = 64 * 1024, /* writers should flush and yield above this */
};

/* Takes the socket (or pipe) over: non-blocking, close-on-exec, TCP_NODELAY. */
struct stream *stream_new(int fd);

struct stream_probes {
    int idle_s, interval_s, count; /* 0: the system's default */
};
/* Lets the kernel notice that a peer's machine is gone, or the way to it, without a word: by probes when nothing
 * passes; and when all of these times are given, what was sent may go unacknowledged no longer than they take
 * together.  Nothing for what is no TCP. */
void stream_probe_peer(int fd, const struct stream_probes *probes);
/* What the options say: between clients and servers; and between servers, where nothing is left to the system. */
struct stream_probes stream_probes_configured(bool servers);

/* Closes descriptor and layers (a TLS close_notify is tried, never waited for); *s = NULL;
 * unsent output is dropped: flush first. *s may be NULL. */
void stream_free(struct stream **s);

int stream_fd(const struct stream *s);

/* Has the peer sent something that was not read?  Whoever closes then resets the connection, and takes back what is on its way
 * to the peer. */
bool stream_is_unread(const struct stream *s);

/* Nothing more is sent: close_notify, FIN.  What was read and what comes is of no interest any more; nothing but
 * stream_drop(), stream_poll_events() and stream_free() may follow. */
void stream_end(struct stream *s);

/* After stream_end(): drops what has come, *left bytes at most, which it counts down.  ERR_AGAIN: there may come more; ERR_EOF:
 * the peer has closed, or *left is 0; ERR_IO. */
int stream_drop(struct stream *s, size_t *left);

/* ---- input ---- */

/* Takes what the transport has, a block at most, without waiting.  >0: the number of bytes that
 * became readable; ERR_AGAIN: nothing now; ERR_EOF: the peer closed; ERR_TOOBIG: STREAM_IN_MAX
 * bytes unread; ERR_TLS, ERR_IO, ERR_PROTOCOL (bad deflate or SASL data). */
int stream_fill(struct stream *s);

/* What can be read now; valid until the next call on s.  Never NULL. */
const char *stream_data(const struct stream *s, size_t *len_r);

/* Drops n bytes of it. */
void stream_consume(struct stream *s, size_t n);

/* Is a complete line (ending in LF) readable?  *line_r, *len_r: it, without CRLF or LF; the
 * line stays valid until the next call, and has been consumed.  1; 0: not complete;
 * ERR_TOOBIG: more than `max` bytes without LF. */
int stream_line(struct stream *s, size_t max, const char **line_r, size_t *len_r);

/* Could stream_fill() give more without new bytes on the descriptor (pending in TLS, in a SASL
 * packet, in the inflater)?  While true, fill again before parking.  What stream_data() shows
 * does not count: the caller sees it, and may park on half a line. */
bool stream_has_input(const struct stream *s);

/* ---- output ---- */

/* Appends to the output buffer; never waits, never fails (errors show at the flush).  The
 * caller bounds what it appends: above STREAM_OUT_HIGH flush and yield. */
void stream_write(struct stream *s, const void *data, size_t n);
void stream_puts(struct stream *s, const char *text);
void stream_printf(struct stream *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Hands output to the kernel: 0 when all is gone, ERR_AGAIN when some is left, or an error
 * (ERR_IO: the peer is gone; all later calls give the same). */
int stream_flush(struct stream *s);

/* Bytes written and not yet handed to the kernel, in all layers. */
size_t stream_unsent(const struct stream *s);

/* Sends a range of a file, as stream_write would, reading it in pieces; at most `n` bytes,
 * returns how many were appended (less when the output is above STREAM_OUT_HIGH: flush and call
 * again), or an error of reading (ERR_EOF: the file is shorter). */
int64_t stream_write_file(struct stream *s, int fd, int64_t offset, int64_t n);

/* ---- waiting ---- */

/* What to poll the descriptor for now, given that the caller wants input and/or has output
 * left: TLS may need the other direction.  POLLIN | POLLOUT bits. */
unsigned stream_poll_events(const struct stream *s, bool want_input);

/* For programs that talk as one plain thread (tools, connecting to a server): wait until
 * input is readable (and fill), or until all output is gone.  deadline as clock.h.  As
 * stream_fill/stream_flush, with ERR_TIMEOUT in place of ERR_AGAIN. */
int stream_fill_wait(struct stream *s, int64_t deadline);
int stream_flush_wait(struct stream *s, int64_t deadline);
int stream_handshake_wait(struct stream *s, int64_t deadline);
/* A whole line, as stream_line, waiting for it. */
int stream_line_wait(struct stream *s, size_t max, int64_t deadline, const char **line_r, size_t *len_r);

/* ---- parking ---- */

/* Gives the blocks back to the thread's cache.  Leftover input and output bytes are kept in
 * memory of their own size; the deflater (263 KiB) is finished and freed, the next write makes
 * another.  Returns how many leftover bytes there are.  What stream_data() gave is invalid. */
size_t stream_park(struct stream *s);

/* Called by a thread that has run streams, as its last act with them: gives back what OpenSSL keeps
 * a thread.  (The blocks go by themselves.) */
void stream_thread_exit(void);

/* ---- layers ---- */

/* Begins TLS, the first layer of all; flush before.  Plain input read ahead of it is dropped,
 * as server and as client (it was never protected; RFC 3501 6.2.1).  As a client `peer_name` (a
 * host name or an address literal) is verified where the context has a CA, and a host name is
 * sent (SNI).  Then call stream_handshake() until it is not ERR_AGAIN.  0; ERR_TLS; ERR_INVALID:
 * another layer is on. */
int stream_tls_begin(struct stream *s, struct tls_context *ctx, bool server, const char *peer_name);
/* 0: done; ERR_AGAIN: poll for stream_poll_events(); ERR_TLS with text in stream_error(); ERR_EOF:
 * the peer left in the middle. */
int stream_handshake(struct stream *s);
bool stream_in_handshake(const struct stream *s);
bool stream_is_tls(const struct stream *s);
/* "TLSv1.3", the cipher's name, secret bits, and the subject that a verified client certificate
 * names (common name, or NULL).  Static or owned by s. */
const char *stream_tls_protocol(const struct stream *s);
const char *stream_tls_cipher(const struct stream *s);
int stream_tls_bits(const struct stream *s);
const char *stream_tls_peer(const struct stream *s);
/* Was the peer's certificate verified (as a client: with its name)? */
bool stream_tls_verified(const struct stream *s);
/* Did a ticket spare the full handshake? */
bool stream_tls_resumed(const struct stream *s);

/* Puts a SASL security layer on: what is written from here on and what is still unread is
 * wrapped; flush before.  *layer is copied; its context must outlive s. */
void stream_sasl_begin(struct stream *s, const struct sasl_layer *layer);
bool stream_is_sasl(const struct stream *s);

/* RFC 4978 deflate in both directions, from here on: over TLS or the SASL layer, never below;
 * flush before.  Input that is unread now counts as compressed (flush the command's own line
 * before; a client that compresses at once is right).  0; ERR_INVALID: it is on already. */
int stream_deflate_begin(struct stream *s);
bool stream_is_deflate(const struct stream *s);

/* Ends what is on above TLS, deflate and then the SASL layer, behind what was written and read so far (RFC 8437 3, 4.1);
 * either may begin anew.  0; ERR_AGAIN: the peer's last bytes under deflate (a flush ends with an empty block) are
 * not here yet: wait for input, and call again; ERR_PROTOCOL: it has sent more than was read; or as stream_fill(). */
int stream_layers_end(struct stream *s);

/* Copies what passes, in clear, to a descriptor that the stream takes over (-1 ends it):
 * <configdirectory>/log/<user>/SERVICE-PID.  A change of direction is marked `<SECONDS<` before
 * what the peer sent, `>SECONDS>` before what it gets. */
void stream_set_telemetry(struct stream *s, int fd);

/* ---- moving bytes ---- */

/* Moves what is readable at `from` to the output of `to`, at most n bytes, stopping at
 * STREAM_OUT_HIGH; returns the number moved (0 when there is nothing or no room). */
size_t stream_move(struct stream *from, struct stream *to, size_t n);

/* One round of piping both ways without waiting: fills, moves, flushes.  1: something moved, call
 * again (or yield); 0: wait for stream_pump_events() of both; ERR_EOF: one side closed and all that
 * it sent is delivered; another error: of either side. */
int stream_pump(struct stream *a, struct stream *b);
/* What to poll s for in between: input only while `peer` has room for it. */
unsigned stream_pump_events(const struct stream *s, const struct stream *peer);

/* Totals of plain bytes, and the text of the last failure ("" if none). */
uint64_t stream_bytes_in(const struct stream *s);
uint64_t stream_bytes_out(const struct stream *s);
const char *stream_error(const struct stream *s);

#endif
