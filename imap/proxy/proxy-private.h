/* proxy-private.h: what the files of imap/proxy share. */
#ifndef IMAP_PROXY_PRIVATE_H
#define IMAP_PROXY_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "imap/proxy/proxy.h"
#include "imap/session/client.h"
#include "lib/backend/backend.h"
#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "lib/imapwire/response.h"
#include "lib/stream/stream.h"

struct proxy_leg {
    struct leg leg;          /* first */
    struct backend *backend; /* NULL: no connection */
    struct stream *stream;   /* backend's, once it is authenticated; NULL before */
    int slot;                /* of the engine, while it is waited for; -1 */
    bool selected;           /* the backend has the client's mailbox selected */
    bool drop;               /* the response that is passing is not for the client */
    bool passing;            /* the client has got the beginning of a response, and not its end */
    uint32_t tag;            /* of the last command sent: "P<tag>" */
    uint32_t open;           /* of the command that is under way, 0: none */
    uint32_t last;    /* of those that were sent behind it and are to be answered too; or not above `open` */
    unsigned enabled; /* ENABLED_* bits that have been said there */
    uint32_t enable_tag;    /* of the ENABLE under way, whose answer is for nobody; 0: none */
    uint32_t ignore;        /* answers up to this tag are dropped, untagged ones before them too; 0: none */
    bool watching;          /* NOTIFY: it says what happens in other mailboxes too */
    bool linking;           /* ... and is being told to */
    bool listing;           /* a LIST of ours is under way */
    bool news;              /* such a response is passing */
    unsigned notify_number; /* what it was told last, as notify_number(); 0: nothing */
    uint64_t notify_print;  /* a fingerprint of the words; 0: nothing */
    uint32_t notify_tag;    /* of a NOTIFY whose answer nobody waits for; 0: none */
    bool left;              /* ... as another command was to begin */
    uint32_t unheard;  /* answers up to this tag are dropped, not so untagged ones before them; 0: none */
    bool unselecting;  /* ... that is an UNSELECT of ours */
    int64_t lull_at;   /* without a selection: when to give the connection back; 0: not resting */
    int64_t silent_at; /* when the backend will have been silent too long; 0: not waited for yet */
    struct imap_reader reader;
    struct buf line; /* a whole response, see proxy_collect() */
    bool line_complete;
    unsigned phase;  /* of a primitive that takes several exchanges; in IDLE see exchange.c */
    int64_t poll_at; /* IDLE of a backend without it: when to ask next */
    bool reading;    /* it is reader.c's own, and not among the client's legs */
    bool undoing;    /* undo: the mailbox is selected, */
    bool same;       /* its UIDVALIDITY is the expected one */
};

/* ---- conn.c: the connection ---- */

/* The session needs it no more: for others, if it is between two commands. */
void proxy_release(struct proxy_leg *p);

/* Makes sure that there is one: 0; ERR_AGAIN (sources armed); ERR_UNAVAILABLE with cmd->failure set. */
int proxy_connect(struct proxy_leg *p, struct command *cmd);

/* A leg of its own to the same server, for reader.c. */
struct proxy_leg *proxy_reading(const struct proxy_leg *of);

/* The connection is gone or out of step: closes it; a selection there is lost (client_selection_lost). */
void proxy_disconnect(struct proxy_leg *p, const char *why);

/* The same in the course of a command: sets cmd->failure, returns ERR_UNAVAILABLE. */
int proxy_fail(struct proxy_leg *p, struct command *cmd, int error);

/* Nobody waits for the command under way any more: the rest of its answer will be dropped. */
void proxy_abandon(struct proxy_leg *p);

/* Begins a command: appends "P<n> " to the output.  The answer to one that was left open is dropped. */
void proxy_begin(struct proxy_leg *p);
/* The same behind one that is under way: p->open is the one whose answer comes next. */
void proxy_begin_another(struct proxy_leg *p);

/* Has the backend been waited for too long?  Counts from the first call after the last byte of either side. */
bool proxy_is_silent(struct proxy_leg *p);

/* Arms the connection's descriptor for input if wanted, and for output that is left; sets cmd->wake_at.
 * Buffers go back, as the session may park now. */
void proxy_arm(struct proxy_leg *p, struct command *cmd, bool input);
/* The same when no command is under way there. */
void proxy_rest(struct proxy_leg *p);

/* Hands output over: 0 when less than STREAM_OUT_HIGH is left; ERR_AGAIN (armed); ERR_UNAVAILABLE.  While the
 * backend takes nothing, what it says is read, so that two full pipes do not wait for each other. */
int proxy_push(struct proxy_leg *p, struct command *cmd);

/* ---- relay.c: responses ---- */

enum reply {
    REPLY_NONE, /* more bytes must come: arm and wait */
    REPLY_BLOCKED, /* the client's output is full: dispatch calls again when it has drained; or another leg is in the
                       middle of a response */
    REPLY_TAGGED,   /* the answer to our command */
    REPLY_CONTINUE, /* "+" */
    REPLY_UNTAGGED, /* proxy_collect() only */
    REPLY_LOST,     /* closed, BYE, or nonsense */
    REPLY_IGNORED,  /* relay.c's own: not for anybody */
};

/* What a response is by its first line or piece. */
enum reply proxy_classify(struct proxy_leg *p, const char *line, size_t len, struct imap_response *response);

/* Whom untagged responses to a command are for: the client; NULL when the command is our own, on a server whose
 * mailbox the client has not selected. */
struct stream *proxy_listener(const struct proxy_leg *p, const struct command *cmd);

/* Reads responses and passes untagged ones to `to` (NULL: drops them), as many as have arrived, up to
 * REPLY_TAGGED or REPLY_CONTINUE: *text_r is what follows the tag, valid until the next call. */
enum reply proxy_relay(struct proxy_leg *p, struct stream *to, const char **text_r, size_t *len_r);

/* Reads one whole response of at most PROXY_LINE_MAX bytes into p->line, for what must be understood;
 * *response_r points into it.  REPLY_BLOCKED: the client's output is full, what comes may be for it. */
enum reply proxy_collect(struct proxy_leg *p, struct imap_response *response_r);
/* The same of at most `max` bytes. */
enum reply proxy_collect_long(struct proxy_leg *p, size_t max, struct imap_response *response_r);
/* stream_fill(), noting that the backend lives. */
int proxy_fill(struct proxy_leg *p);
/* Writes a piece of a response to the client, noting whether more of it must follow. */
void proxy_pass_piece(struct proxy_leg *p, const struct imap_piece *piece);
/* It was for the client after all. */
void proxy_pass_line(struct proxy_leg *p);

/* What to return when a reply is not the awaited one: ERR_AGAIN (armed if need be), ERR_UNAVAILABLE. */
int proxy_waiting(struct proxy_leg *p, struct command *cmd, enum reply reply);

/* Reads what the backend says while a command is still being sent: 0: nothing that matters; ERR_AGAIN: the client's
 * output is full; ERR_UNAVAILABLE: an answer too, as it comes too early: what is left of a literal would be
 * read as commands, so the connection ends. */
int proxy_hear(struct proxy_leg *p, struct command *cmd);

/* A tagged answer: 0 with an OK; ERR_REFUSED with cmd->failure the backend's words.  *ok_r (ok_r may be
 * NULL) gets what follows the tag, in the command's pool.  The connection rests then. */
int proxy_judge(struct proxy_leg *p, struct command *cmd, const char *text, size_t len, const char **ok_r);

/* proxy_relay() up to the tagged answer, judged. */
int proxy_answer(struct proxy_leg *p, struct command *cmd, struct stream *to, const char **ok_r);

/* ---- send.c: commands as the client wrote them ---- */

struct outgoing {
    const char *at; /* what is left of the arguments */
    size_t left;
    bool waiting;     /* a synchronising literal was announced: "+" must come */
    uint64_t literal; /* its bytes */
};

/* May arguments be passed on: are quotes closed at each end of a line? */
bool proxy_is_balanced(const char *args, size_t len);

void proxy_outgoing(struct outgoing *out, const char *args, size_t len);
/* Sends what can be sent, literals in the form that the backend takes: 0 when all of it is in the output
 * (without the final CRLF); ERR_AGAIN (armed); 1: the backend answered instead of "+": *text_r, *len_r as
 * proxy_relay(); ERR_UNAVAILABLE. */
int proxy_send(struct proxy_leg *p, struct command *cmd, struct outgoing *out, const char **text_r,
               size_t *len_r);
/* May a literal of that size be sent without waiting? */
bool proxy_nonsync(const struct proxy_leg *p, uint64_t size);

/* ---- pass.c: whole commands ---- */

enum step proxy_start(struct leg *leg, struct command *cmd);
/* What the final answer of a command changes (the selection), and the command's end. */
enum step proxy_final(struct proxy_leg *p, struct command *cmd, const char *text, size_t len);

/* ---- lacking.c ---- */

/* The capability that a command needs by commands.def and the connected backend lacks (capability.def: SERVER), or that
 * the client has enabled and SELECT would need there; NULL: none.  The second: that its words show it to need, asked once the backend has answered BAD. */
const char *proxy_lacks_command(struct proxy_leg *p, const struct command *cmd);
const char *proxy_lacks_words(struct proxy_leg *p, const struct command *cmd, const char *text, size_t len);
/* Answers NO [CANNOT]. */
enum step proxy_lacking(const struct proxy_leg *p, struct command *cmd, const char *capability);

/* ---- without.c ---- */

/* Is it a command whose extension the backend lacks and the frontend can do without?  *step_r: it was begun so. */
bool proxy_does_without(struct proxy_leg *p, struct command *cmd, enum step *step_r);

/* ---- place.c ---- */

/* Does a word, where a backend would take a partition, name a server?  A Cyrus would begin to move the mailbox. */
bool proxy_is_server(const char *word);

/* ---- choose.c ---- */

/* One of the servers, by serverlist_select_mode and serverlist_select_soft_usage_limit: they are asked one after the
 * other, those that are away left out.  0; ERR_AGAIN; ERR_UNAVAILABLE: all are away. */
int proxy_choose(struct command *cmd, const struct str_list *servers, const char **server_r);

/* ---- exchange.c: small commands of our own, IDLE ---- */

/* Runs a command text (no tag, no CRLF) to its answer, over several calls with the same text.  Results as
 * proxy_answer(). */
int proxy_exchange(struct proxy_leg *p, struct command *cmd, struct stream *to, const char **ok_r,
                   const char *text);
/* Sends a command's text unless one is under way.  As proxy_connect(). */
int proxy_begin_once(struct proxy_leg *p, struct command *cmd, const char *text);
int proxy_poll(struct leg *leg, struct command *cmd);
int proxy_idle_start(struct leg *leg, struct command *cmd);
int proxy_idle_run(struct leg *leg, struct command *cmd);
int proxy_idle_stop(struct leg *leg, struct command *cmd);
int proxy_expunge_uids(struct leg *leg, struct command *cmd, const char *uids);
int proxy_may_expunge(struct leg *leg);
int proxy_undo(struct leg *leg, struct command *cmd, const char *mailbox, uint32_t uidvalidity,
               const char *uids);

/* ---- notify.c ---- */

/* What the client has asked for by NOTIFY counts on a connection that hears of it only now: not waited for. */
void proxy_say_notify(struct proxy_leg *p);
/* Is there something else to be told than what it knows? */
bool proxy_notify_is_new(struct proxy_leg *p);
/* A LIST response that nobody has asked for: a subscription has come or gone. */
void proxy_take_list(struct proxy_leg *p, const struct imap_response *response);
int proxy_notify(struct leg *leg, struct command *cmd, bool status);
void proxy_leave_notify(struct leg *leg);
int proxy_hear_notify(struct leg *leg, int64_t *until_r);
void proxy_deaf(struct leg *leg);

/* ---- names.c ---- */

int proxy_lsub(struct leg *leg, struct command *cmd, leg_lsub_fn *fn, void *context);
int proxy_metadata_many(struct leg *leg, struct command *cmd, struct leg_batch *batch, const char *entries);
int proxy_status_many(struct leg *leg, struct command *cmd, struct leg_batch *batch, const char *items);
int proxy_specials(struct leg *leg, struct command *cmd, leg_special_fn *fn, void *context);

/* ---- search.c ---- */

int proxy_search_many(struct leg *leg, struct command *cmd, struct leg_search *s);
void proxy_search_end(struct leg *leg, struct leg_search *s);

/* ---- source.c, sink.c: copying between servers ---- */

int proxy_source_open(struct leg *leg, struct command *cmd, const char *set, bool uid,
                      struct leg_source **source_r);
int proxy_source_uids(struct leg_source *source, struct seqset *uids);
int proxy_source_next(struct leg_source *source, struct leg_message *message_r);
int proxy_source_read(struct leg_source *source, const char **data_r, size_t *len_r);
void proxy_source_close(struct leg_source **source);
int proxy_sink_open(struct leg *leg, struct command *cmd, const char *mailbox, struct leg_sink **sink_r);
int proxy_sink_replace(struct leg_sink *sink, const char *number, bool uid);
int proxy_sink_message(struct leg_sink *sink, const struct leg_append *what);
int proxy_sink_part(struct leg_sink *sink, const struct leg_part *part);
int proxy_sink_url(struct leg_sink *sink, const char *url);
int proxy_sink_write(struct leg_sink *sink, const char *data, size_t len);
int proxy_sink_commit(struct leg_sink *sink, struct leg_appended *result_r);
int proxy_sink_cancel(struct leg_sink *sink);
void proxy_sink_close(struct leg_sink **sink);

/* ---- reader.c: pieces of messages of any mailbox ---- */

int proxy_reader_open(struct leg *leg, struct command *cmd, const struct leg_piece *piece,
                      struct leg_reader **reader_r, uint64_t *size_r);
int proxy_reader_read(struct leg_reader *reader, const char **data_r, size_t *len_r);
void proxy_reader_close(struct leg_reader **reader);

#endif
