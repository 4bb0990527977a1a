/* leg.h: a mailbox's server as the session sees it.
 *
 * imap/local implements it over the store, imap/proxy over a backend connection; session knows
 * nothing of either.  A leg belongs to one client and lives until the session ends; a proxy's leg
 * may lose and renew its connection meanwhile.
 *
 * Two kinds of work:
 *  - whole commands: start() takes a command whose mailbox is this leg's, sets command.step and runs
 *    it to its tagged answer (command_ok/no/bad, or command_pass for a backend's);
 *  - primitives, for what spans legs (COPY, MOVE, LSUB): session calls them from its own step().
 *
 * Every primitive returns 0, or ERR_AGAIN: it waits, its sources are armed; return STEP_WAIT and call it
 * again with the same arguments when the session runs; or another error, with what the server
 * said in command.failure.  What a primitive opens (*source_r, *sink_r) is NULL before its first call and
 * may be there, to be closed, from then on, whatever it returned.
 *
 * A server that is away: start() answers NO [UNAVAILABLE] with the reason, primitives return
 * ERR_UNAVAILABLE.  If it goes away with the selected mailbox, the leg calls client_selection_lost()
 * and ends the running command with NO [UNAVAILABLE]; from then on session answers for it, until the
 * client selects again.  A response that was cut in the middle of a literal cannot be mended: the leg
 * then says client_bye(). */
#ifndef IMAP_SESSION_LEG_H
#define IMAP_SESSION_LEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "imap/session/command.h"
#include "lib/imapwire/seqset.h"

struct annotate_list;
struct buf;
struct leg_ops;
struct mboxlist_record;
struct metadata_request;
struct leg_reader;
struct leg_source;
struct leg_sink;

/* The head of every leg: an implementation's struct begins with it. */
struct leg {
    uint32_t magic;
    const struct leg_ops *ops;
    struct client *client;
    struct leg *next;
    const char *server; /* name as the mailbox list has it ("be1.lab", "be1.lab:2143"); in the client's
                           pool; NULL: this machine */
};
#define LEG_MAGIC 0x4c656721u

/* What the source of a copy says of a message.  Strings live until the next call on the source. */
struct leg_message {
    uint32_t uid;
    const char *flags;         /* as in STORE, without brackets and without \Recent: "\Seen $lab" */
    const char *internal_date; /* RFC 3501 date-time, without quotes: "21-Nov-2026 20:31:38 +0000" */
    uint64_t size;             /* bytes of the message */
    const struct annotate_list *annotations; /* shared ones, and the user's own (RFC 5257); NULL: none */
};

/* A message that is appended. */
struct leg_append {
    const char *flags;         /* as above */
    const char *internal_date; /* as above; NULL: none */
    bool strict;               /* a client sends it: NUL characters and bare newlines are refused */
    bool catenated;            /* it comes in any number of parts (RFC 4469); else in one */
    const struct annotate_list
        *annotations; /* in the command's pool; NULL: none.  strict: refused where they may not be
                                                set, or the server has none; else left out */
};

/* Bytes of a message that is there: what a URL names (lib/imapwire/url.h). */
struct leg_piece {
    const char *mailbox;  /* internal name */
    uint32_t uidvalidity; /* 0: any */
    uint32_t uid;
    const char *section; /* of struct imap_url */
    bool has_partial;    /* from `offset` on at most `size` bytes; size 0: all */
    uint64_t offset, size;
};

/* Bytes of it that come at once. */
struct leg_part {
    uint64_t size;
    bool binary; /* it may have NUL bytes (RFC 3516 4.4) */
    bool wait;   /* whoever sends them waits until the server says that it takes them */
};

struct leg_appended {
    uint32_t uidvalidity;
    struct seqset uids; /* in the command's pool; empty where the server does not say (no UIDPLUS) */
};

/* How a mailbox stands, for who is told of changes. */
struct leg_glance {
    uint32_t messages, uidnext, uidvalidity, unseen;
    uint64_t highest_modseq;
};

/* What LSUB gives: a name as the server wrote it, decoded to the internal form. */
typedef void leg_lsub_fn(const char *internal, void *context);

/* The special uses of a mailbox ("\\Sent \\Junk"; never ""). */
typedef void leg_special_fn(const char *internal, const char *uses, void *context);

/* Mailboxes of one leg that are asked about together. */
struct leg_batch {
    char **names; /* internal */
    size_t count, room;
    bool begun; /* the leg's */
};
void leg_batch_add(struct leg_batch *batch, const char *internal);
void leg_batch_free(struct leg_batch *batch);

/* A search of mailboxes of one leg (RFC 7377). */
struct leg_search {
    const struct leg_batch *batch; /* the selected mailbox may be one of them */
    const char *program;           /* as the client wrote it, behind the sources: "RETURN (ALL) UNSEEN" */
    size_t len;
    const char *
        answer; /* the leg's: what the client is told in place of OK, in the command's pool; NULL: nothing else */
    bool blocked; /* the leg's: it waits for another leg to come to the end of a response */
    void *state;  /* the leg's */
};

struct leg_ops {
    const char *name; /* "local", "proxy" */

    /* Frees the leg; whatever it runs is dropped. */
    void (*close)(struct leg *leg);

    /* ---- whole commands ---- */

    /* Begins a command: any that commands.def routes to a leg (SELECTED, MAILBOX, INBOX), SELECT and
     * EXAMINE, CREATE, RENAME, and COPY and MOVE whose both ends are this leg's.  Rights are checked by
     * the mailbox's own server.  SELECT and EXAMINE: session has unselected before; the leg calls
     * client_selected() before it answers OK.  CLOSE and UNSELECT: client_unselected(). */
    enum step (*start)(struct leg *leg, struct command *cmd);

    /* ---- the selected mailbox ---- */

    /* Tells what changed in the selected mailbox since the last time, in the order EXPUNGE (only with
     * `expunges`), EXISTS, RECENT, FETCH: called before every tagged answer, on the leg that has the
     * selection.  Never waits: a proxy hands on what has already arrived.  0: all told; ERR_AGAIN: more
     * to tell once the output has drained. */
    int (*sync)(struct leg *leg, bool expunges);

    /* NOOP with a mailbox selected: asks the mailbox's server for news (the proxy sends NOOP on), to be
     * told by sync(). */
    int (*poll)(struct leg *leg, struct command *cmd);

    /* Forgets the selection without expunging, at once: a proxy sends UNSELECT and drops the answer.
     * Does not call client_unselected(). */
    void (*unselect)(struct leg *leg);

    /* Called each time before the session parks with no command under way, on the leg that has the
     * selection: reads what its server says meanwhile and arms its slots, so that its death is noticed;
     * gives back memory that a parked session does not need.  When it wants to be called again at the latest
     * (clock.h; CLOCK_NEVER).  NULL: nothing to do. */
    int64_t (*between)(struct leg *leg);

    /* The same on the legs without the selection: gives back what the session does not need for now.  When it wants
     * to be called again at the latest.  NULL: nothing to do. */
    int64_t (*lull)(struct leg *leg);

    /* IDLE (RFC 2177): begin; 0 when the client may be told "+ idling".  idle_run is called whenever
     * the session runs meanwhile and writes what is new (EXPUNGE included): ERR_AGAIN as long as all is
     * well.  idle_stop: 0 when the answer to IDLE may be given.  All may set command.wake_at. */
    int (*idle_start)(struct leg *leg, struct command *cmd);
    int (*idle_run)(struct leg *leg, struct command *cmd);
    int (*idle_stop)(struct leg *leg, struct command *cmd);

    /* ---- NOTIFY (RFC 5465) ---- */

    /* While `on`, changes in the selected mailbox wake the session.  NULL: they do so anyway. */
    void (*listen)(struct leg *leg, bool on);
    /* The UIDs, as a set in the pool, of the messages that EXISTS has told of since the last call, if notify_fetch() asks
     * for something of them; NULL: none.  NULL: the mailbox's server sends that itself. */
    const char *(*fresh)(struct leg *leg, struct pool *pool);
    /* Are these items FETCH's, "(UID FLAGS)"?  0 or ERR_SYNTAX.  The local leg only, as the next two. */
    int (*fetch_check)(struct leg *leg, const char *items);
    /* The file that is written to when something happens in a mailbox, appended; and how it stands now.  0 or an error.
     * Rights are the caller's. */
    int (*watch_path)(struct leg *leg, const struct mboxlist_record *record, struct buf *path);
    int (*glance)(struct leg *leg, const struct mboxlist_record *record, struct leg_glance *glance_r);

    /* Tells a mailbox's server what to watch (notify_words()) and passes on what it answers, then how those mailboxes stand
     * that are new to it (notify_take_fresh()): a primitive.  ERR_UNSUPPORTED: it does not do so; ERR_REFUSED, ERR_SYNTAX: it
     * says NO, or BAD.  The proxy's leg only, as the next three. */
    int (*notify)(struct leg *leg, struct command *cmd, bool status);
    /* Another command may be begun while that goes on; the next call takes it up again. */
    void (*leave)(struct leg *leg);
    /* Without a command there: passes on what it says meanwhile and arms the leg's slot.  0; ERR_AGAIN: more when the
     * output has drained; ERR_UNAVAILABLE: it does not watch any more.  *until_r: when to call again at the latest, as the rest of
     * a response may not be waited for longer. */
    int (*hear)(struct leg *leg, int64_t *until_r);
    /* Nothing of it is watched any more: gives the connection back, if the selected mailbox is not there. */
    void (*deaf)(struct leg *leg);

    /* ---- copying from the selected mailbox of this leg ---- */

    /* Opens the messages of a sequence set as the client wrote it (numbers, or UIDs with `uid`); UIDs
     * that are not there are skipped, sequence numbers out of range are ERR_SYNTAX; messages that
     * are in the session's view but expunged by others: ERR_EXPUNGED.  Checks right r. */
    int (*source_open)(struct leg *leg, struct command *cmd, const char *set, bool uid,
                       struct leg_source **source_r);
    /* The UIDs of all of them, added to the set: before source_next(). */
    int (*source_uids)(struct leg_source *source, struct seqset *uids);
    /* The next message: 0; ERR_EOF after the last. */
    int (*source_next)(struct leg_source *source, struct leg_message *message_r);
    /* Its next bytes, as they come: 0 and *len_r > 0, valid until the next call; ERR_EOF after
     * message.size bytes.  All of them must be read before source_next(). */
    int (*source_read)(struct leg_source *source, const char **data_r, size_t *len_r);
    /* Sets *source to NULL; may be NULL; at any time. */
    void (*source_close)(struct leg_source **source);

    /* Removes messages by uid from the selected mailbox: what MOVE does after its copies are safe.
     * `uids` is a compact set ("4:7,9").  The EXPUNGEs are told by sync(). */
    int (*expunge_uids)(struct leg *leg, struct command *cmd, const char *uids);
    /* May the user remove messages of the selected mailbox (rights t and e, not read-only)?  For MOVE,
     * asked before anything is copied.  0, ERR_DENIED, ERR_READONLY; a proxy may not know: 0. */
    int (*may_expunge)(struct leg *leg);

    /* ---- appending to a mailbox of this leg, selected or not ---- */

    /* Messages that enter together or not at all: for each sink_message(), sink_part() and the part's bytes by
     * sink_write(); at last sink_commit().  After an error only sink_cancel() and sink_close(). */
    int (*sink_open)(struct leg *leg, struct command *cmd, const char *mailbox, struct leg_sink **sink_r);
    /* The one message that comes is to replace one of this leg's selected mailbox (RFC 8508), by its number or UID: only
     * the growth is judged by the quota.  Before sink_message().  0: it goes with the commit (another server also tells of both);
     * ERR_UNSUPPORTED: the caller removes it afterwards. */
    int (*sink_replace)(struct leg_sink *sink, const char *number, bool uid);
    /* ERR_UNSUPPORTED: this server takes one message at a time (RFC 3502 is missing): nothing has happened, those
     * before may be committed. */
    int (*sink_message)(struct leg_sink *sink, const struct leg_append *what);
    int (*sink_part)(struct leg_sink *sink, const struct leg_part *part);
    /* Bytes of another message of this leg, between two parts of one that is `catenated`, by a URL as imap_url_print()
     * writes it.  0: the server reads them itself when it gets there: what is wrong with the URL it says by sink_write()
     * or sink_commit().  ERR_UNSUPPORTED, or NULL: the caller reads them. */
    int (*sink_url)(struct leg_sink *sink, const char *url);
    /* How many bytes were taken (> 0, maybe fewer), ERR_AGAIN, or an error.  len 0: hands over what there is and
     * arms the sink's sources, as the bytes are still to come: 0. */
    int (*sink_write)(struct leg_sink *sink, const char *data, size_t len);
    /* 0: all are on disk. */
    int (*sink_commit)(struct leg_sink *sink, struct leg_appended *result_r);
    /* Ends it without a message, between two parts at best: what else is said meanwhile of the selected mailbox
     * is not lost.  0 or ERR_AGAIN. */
    int (*sink_cancel)(struct leg_sink *sink);
    /* Drops what is not committed; *sink = NULL; may be NULL; at any time. */
    void (*sink_close)(struct leg_sink **sink);

    /* Takes back messages that this session has just appended to `mailbox` (a copy that failed half
     * way): marks them \Deleted and expunges them by uid.  ERR_CONFLICT when the uidvalidity is another
     * now. */
    int (*undo)(struct leg *leg, struct command *cmd, const char *mailbox, uint32_t uidvalidity,
                const char *uids);

    /* ---- reading from a mailbox of this leg, selected or not ---- */

    /* Opens what a URL names, and says how many bytes it has; \Seen stays as it is.  An open reader of this leg, whose
     * bytes have all been read, may be used again.  ERR_NOTFOUND: there is no such mailbox, message or section, or the
     * user may not read it. */
    int (*reader_open)(struct leg *leg, struct command *cmd, const struct leg_piece *piece,
                       struct leg_reader **reader_r, uint64_t *size_r);
    /* As source_read(). */
    int (*reader_read)(struct leg_reader *reader, const char **data_r, size_t *len_r);
    /* Sets *reader to NULL; may be NULL; at any time. */
    void (*reader_close)(struct leg_reader **reader);

    /* ---- names ---- */

    /* Tells STATUS of a mailbox of this leg, at once; `items` as in the command: "(MESSAGES UNSEEN)".  0; an error, and
     * nothing told.  The local leg only (NULL: see the next). */
    int (*status)(struct leg *leg, struct command *cmd, const char *internal, const char *items);

    /* A primitive for those that have to be asked: STATUS of many mailboxes, told as it comes.  Nothing is told of those
     * that refuse.  Several legs may be asked at a time; none may be left before it has answered.  The proxy's leg only. */
    int (*status_many)(struct leg *leg, struct command *cmd, struct leg_batch *batch, const char *items);

    /* The same of annotations (RFC 5464), told behind a LIST (RFC 9590): of one mailbox, the local leg only; of many, the
     * proxy's only.  `entries` as in GETMETADATA.  They may hold literals, which are piped: no other leg may be asked
     * meanwhile. */
    int (*metadata)(struct leg *leg, struct command *cmd, const char *internal,
                    const struct metadata_request *entries);
    int (*metadata_many)(struct leg *leg, struct command *cmd, struct leg_batch *batch, const char *entries);

    /* A primitive likewise, of all legs: searches, and writes ESEARCH responses as the hits are known.  1: call again, others
     * may have their turn first; 0: done, or refused (s->answer).  Progress counts mailboxes.  search_end frees s->state,
     * at any time. */
    int (*search)(struct leg *leg, struct command *cmd, struct leg_search *s);
    void (*search_end)(struct leg *leg, struct leg_search *s);

    /* A primitive likewise: fn for each of the leg's mailboxes that has special uses of this user (RFC 6154).  The
     * proxy's leg only: of mailboxes here the list tells. */
    int (*specials)(struct leg *leg, struct command *cmd, leg_special_fn *fn, void *context);

    /* The user's subscriptions, as kept by the server of his INBOX: fn for each. */
    int (*lsub)(struct leg *leg, struct command *cmd, leg_lsub_fn *fn, void *context);
};

/* On an idle machine a barrier takes a millisecond, and one whose master is away is over at once; on a crowded one
 * (two cores, load 15) a few took more than 250 ms, and a mailbox just made was refused as missing. */
enum { LEG_BARRIER_MS = 2000 };

/* What a program's legs are; registered once in main(), before the service runs. */
struct leg_program {
    const struct leg_ops *local; /* NULL: a program without a store */
    const struct leg_ops *proxy; /* NULL: standalone */
    bool runs_scripts;           /* for what happens to messages here: IMAPSIEVE= (RFC 6785) */

    /* Make a leg; `server` as in struct leg.  Never NULL. */
    struct leg *(*local_new)(struct client *c);
    struct leg *(*proxy_new)(struct client *c, const char *server);

    /* Which server gets a new mailbox (DESIGN 7, CREATE) that has no parent to decide it: `wanted` is
     * the client's third argument (a server or NULL).  A primitive as above; *server_r NULL: here.
     * NULL: always here. */
    int (*place)(struct client *c, struct command *cmd, const char *mailbox, const char *wanted,
                 const char **server_r);

    /* Makes the INBOX of a user who has none (newcomer.h).  A primitive as above, and 1: call again at once.  *state is
     * NULL before the first call and after the last; cancel ends it early.  NULL pointers: nobody gets one. */
    int (*newcomer)(struct client *c, struct command *cmd, void **state);
    void (*newcomer_cancel)(void **state);

    /* The own-writes barrier (DESIGN 7): waits until the local mailbox list shows all that the master
     * had said when it was called.  Called after own changes, on a miss and at login.  begin gives NULL
     * when there is nothing to wait for; it promises session_wake().  result: ERR_AGAIN, or it is over and
     * freed (*barrier = NULL): 0, or ERR_UNAVAILABLE when the master is away or LEG_BARRIER_MS have passed: what
     * the list lacks may exist all the same.  NULL pointers: no such list. */
    void *(*barrier_begin)(struct client *c);
    int (*barrier_result)(void **barrier);
    void (*barrier_cancel)(void **barrier);

    /* Have all servers that this one was seen to need in the last day this capability?  servers_change() gives
     * another number (never 0) when the answers may be others.  Any thread.  NULL pointers: there are no other
     * servers. */
    bool (*servers_have)(const char *capability);
    unsigned (*servers_change)(void);
};

void leg_register(const struct leg_program *program);
const struct leg_program *leg_program(void);

#endif
