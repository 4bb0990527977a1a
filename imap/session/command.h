/* command.h: a command while it runs.
 *
 * The assembler (input.h) collects a command; dispatch (dispatch.c) looks it up in commands.def
 * and starts it, in session or in a leg.  From then on its step() is called until it gives
 * STEP_DONE: a short command is done at its start, a long one is a small state machine.  No step
 * waits for a peer; one that has run long or written STREAM_OUT_HIGH bytes returns STEP_MORE.
 *
 * One command of a session runs at a time; what the client pipelines behind it waits. */
#ifndef IMAP_SESSION_COMMAND_H
#define IMAP_SESSION_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/pool.h"

struct client;
struct command;
struct imap_args;
struct leg;
struct stream;

enum command_id {
#define COMMAND(id, name, start, states, capability, route, flags) COMMAND_##id,
#include "imap/session/commands.def"
#undef COMMAND
    COMMAND_END
};

enum step {
    STEP_MORE,      /* call again: at once, or when the output has drained below STREAM_OUT_HIGH */
    STEP_WAIT,      /* call again when a source is ready.  The step has armed them: session_watch()
                  slots of its legs, a promise of session_wake(), command.wake_at,
                  command.wants_input.  It may be called for nothing and then says STEP_WAIT
                  again. */
    STEP_ELSEWHERE, /* only before anything was told: the leg's server says that the mailbox is not there;
                       command.failure holds its words.  Dispatch takes the barrier, looks the mailbox
                       up again and starts the command once more where it is now, or answers NO. */
    STEP_DONE,      /* command_ok/no/bad has been called: what changed in the selected mailbox is told,
                  then the tagged line */
};

enum command_route {
    ROUTE_FRONT,
    ROUTE_LOGIN, /* imap/login: STARTTLS, AUTHENTICATE, LOGIN */
    ROUTE_SELECTED,
    ROUTE_MAILBOX,
    ROUTE_HERE,
    ROUTE_INBOX,
    ROUTE_SPANS
};

enum command_flags {
    CMD_UID = 1,      /* has a UID form */
    CMD_SINK = 2,     /* message literals are streamed */
    CMD_QUIET = 4,    /* no EXPUNGE before its tagged answer, unless it came with UID */
    CMD_WRITES = 8,   /* changes something */
    CMD_NAMES = 16,   /* changes the mailbox list */
    CMD_PEER = 32,    /* for servers of a murder and administrators only, where there is a store */
    CMD_ITSELF = 64,  /* and not while they act for another user */
    CMD_TRUSTED = 128 /* for proxyservers and administrators only */
};

struct command_def {
    enum command_id id;
    const char *name;
    enum step (*start)(struct command *cmd); /* NULL: the leg's start */
    unsigned states;                         /* of 1 << enum client_state */
    const char *capability;                  /* or NULL */
    enum command_route route;
    unsigned flags;
};

/* A message literal of a command with CMD_SINK, streamed as it arrives: the first, or the one that
 * command_literal_text() has found behind it. */
struct command_literal {
    uint64_t size;
    uint64_t left;      /* bytes that command_literal_consume() has not taken */
    bool announced;     /* there is one */
    bool synchronising; /* the client waits for "+" */
    bool binary;        /* it may have NUL bytes (RFC 3516) */
    bool accepted;
};

struct command {
    uint32_t magic;
    struct client *client;
    const struct command_def *def;
    const char *tag;
    bool uid; /* it came as UID COPY, UID FETCH ... */

    /* The arguments exactly as received, after "tag SP [UID SP] name [SP]" and without the final
     * CRLF; literals stand inside as {n}CRLF or {n+}CRLF and their n bytes.  With CMD_SINK and a message
     * literal it ends before that one's "{" (a blank before it included).  args[args_len] is NUL. */
    const char *args;
    size_t args_len;
    struct command_literal literal; /* CMD_SINK only */

    struct pool *pool; /* freed after cleanup() */

    /* The state machine, set by whoever starts it. */
    enum step (*step)(struct command *cmd);
    /* Called once at the end, however it comes (done, client gone): closes what is not in the pool.
     * May be NULL. */
    void (*cleanup)(struct command *cmd);
    void *state;
    /* Called once right before the tagged line of an OK.  May be NULL. */
    void (*before)(struct command *cmd);
    /* Called once right behind the tagged line, while the output is still buffered; not when the client is gone. */
    void (*after)(struct client *c);

    /* Filled by dispatch for ROUTE_MAILBOX, and by session's own functions for what they route. */
    struct leg *leg;
    const char *mailbox; /* internal name of the first argument */

    int64_t wake_at;  /* for STEP_WAIT: the latest (clock.h); CLOCK_NEVER */
    bool wants_input; /* for STEP_WAIT: the client's bytes wake it too (literal, IDLE) */

    /* For primitives of leg.h that fail with an answer of a server: what the tagged NO says ("[TRYCREATE]
     * Mailbox does not exist"); NULL: by the error code (command_error). */
    const char *failure;

    void *placing; /* leg_program.place's own, in the pool */

    /* Dispatch's own. */
    char *text;         /* the whole command; args points into it */
    char *final;        /* the answer behind the tag, malloc'ed */
    void *barrier;      /* of leg_program.barrier_begin, while it is waited for */
    bool barrier_taken; /* once for the lookup of a mailbox that is missing */
    bool list_is_old;   /* that barrier found the master away */
    bool final_barrier; /* once before the answer to a change of names */
    bool failed;        /* the answer was NO or BAD */
    bool literal_over;  /* the message literal and its line's end have been taken */
    int64_t began_us;
    int64_t progress_at; /* when the client should hear that it goes on (RFC 9585); CLOCK_NEVER */
    uint64_t bytes_out;  /* the client's, when that was set */
    uint32_t done, goal; /* what command_progress() has said */
};

/* Begins to read the arguments, within the bounds of the options maxword and maxquoted. */
void command_args(const struct command *cmd, struct imap_args *args);
/* The same for a text that came behind a message literal. */
void command_args_of(const struct command *cmd, const char *text, size_t len, struct imap_args *args);

/* ---- progress (RFC 9585) ---- */

/* A command that may take long says how far it is, at a place where a response may be written: `done` of `goal` (0: not
 * known), in whatever it counts.  The client is told every imap_inprogress_interval at most, and only while it gets
 * nothing else. */
void command_progress(struct command *cmd, uint32_t done, uint32_t goal);

/* Dispatch's own, for a command that waits: tells the client if it is time; when it will be. */
int64_t command_progress_due(struct command *cmd);

/* ---- ending: each returns STEP_DONE ---- */

/* `code` is a response code without brackets, such as "TRYCREATE", or NULL. */
enum step command_ok(struct command *cmd, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
enum step command_no(struct command *cmd, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
enum step command_bad(struct command *cmd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* NO (or BAD for ERR_SYNTAX) with the response code of RFC 5530 and the text that an error code has
 * for a client; command.failure, if set, wins. */
enum step command_error(struct command *cmd, int error);

/* NO [UNAVAILABLE]: the selected mailbox's server went away (client_selection_lost). */
enum step command_lost(struct command *cmd);

/* What BAD says of a sequence number once UIDONLY is enabled (RFC 9586 section 3); and the answer. */
#define COMMAND_UID_REQUIRED "[UIDREQUIRED] Messages are named by their UIDs, as UIDONLY is enabled"
enum step command_uid_required(struct command *cmd);

/* The tagged answer came from a backend: `rest` is what follows the tag ("OK [COPYUID ...] done", no
 * CRLF, copied).  Told as it is. */
enum step command_pass(struct command *cmd, const char *rest, size_t len);

/* Takes an answer just made back, so that the command goes on: "NO [CODE] text", in the command's pool. */
const char *command_take_back(struct command *cmd);

/* ---- the message literal (CMD_SINK) ---- */

/* Asks for the bytes: "+ go ahead" when the literal synchronises; may be called again.  A command
 * that ends without it costs the client nothing; literal bytes that come all the same (LITERAL+)
 * are dropped by dispatch. */
void command_literal_accept(struct command *cmd);

/* The bytes there are now, at most literal.left; NULL and 0 if none: then set wants_input and return
 * STEP_WAIT.  Valid until the next call on the stream. */
const char *command_literal_data(struct command *cmd, size_t *len_r);
void command_literal_consume(struct command *cmd, size_t n);

/* Moves up to `max` of them to another stream without a look inside; the number moved. */
size_t command_literal_move(struct command *cmd, struct stream *to, size_t max);

/* After the last byte: what follows the literal in the line, in the pool.  1: another literal is announced behind the
 * text, and is `literal` now (RFC 3502); 0: the command ends with the text; ERR_AGAIN: it is not all there (wait for
 * input); ERR_SYNTAX: too long, or no number; ERR_TOOBIG: a literal that may not come so (RFC 7888 5). */
int command_literal_text(struct command *cmd, const char **text_r, size_t *len_r);

/* ---- the table ---- */

/* The row of a command by its name in any case; NULL. */
const struct command_def *command_find(const char *name, size_t len);

/* How often each has run, how many answered NO or BAD, and the microseconds spent, since the process
 * began; any thread. */
struct command_counter {
    uint64_t runs, failed, microseconds;
};
void command_counters(enum command_id id, struct command_counter *out);

#endif
