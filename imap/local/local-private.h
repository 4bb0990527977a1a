/* local-private.h: what the files of imap/local share.  A file is a family of commands. */
#ifndef IMAP_LOCAL_LOCAL_PRIVATE_H
#define IMAP_LOCAL_LOCAL_PRIVATE_H

#include "imap/local/local.h"
#include "imap/mboxop/mboxop.h"
#include "imap/session/client.h"
#include "imap/session/enable.h"
#include "imap/store/mailbox.h"
#include "imap/store/uidset.h"
#include "imap/store/view.h"
#include "lib/imapwire/args.h"
#include "lib/mboxlist/record.h"
#include "lib/name/acl.h"

/* What view_refresh() found and has not all been told. */
struct local_news {
    struct pool *pool;
    struct view_news found;
    uint64_t since; /* the mod-sequence up to which there were none */
    uint32_t next_expunge, next_flags;
    struct uid_set vanished; /* the expunged UIDs, for VANISHED */
    bool vanished_known;
    size_t next_vanished;
};

struct local_leg {
    struct leg leg;
    const struct local_env *env;

    /* The selected mailbox; view is NULL without one. */
    struct view *view;
    char id[MAILBOX_ID_SIZE];
    rights_t rights;                            /* of the user, as of the last look at the list */
    bool examined;                              /* nothing may be changed, whatever the rights */
    bool annotates;                             /* changes of annotations are told (RFC 5257 section 4.2) */
    bool in_deleted;                            /* it was in the DELETED hierarchy when selected */
    unsigned char flags_told[USER_FLAGS_BYTES]; /* keyword slots that FLAGS has named */
    struct local_news *news;                    /* NULL: all told */
    bool watching;                              /* the index is watched, by IDLE or NOTIFY */
    uint32_t fresh;       /* the first UID of messages that NOTIFY's items are to be told of; 0: none */
    struct uid_set saved; /* what `$` is (RFC 5182): UIDs, some of them gone perhaps */
    uint64_t told_modseq; /* the highest MODSEQ told that HIGHESTMODSEQ has not reached yet */
    bool tell_modseq;     /* HIGHESTMODSEQ is to be told when the news have been */
};

struct select_params;

/* What local_tell_message() puts into an answer. */
enum local_tell {
    LOCAL_TELL_UID = 1,
    LOCAL_TELL_FLAGS = 2,
    LOCAL_TELL_ANNOTATIONS = 4, /* the entries that are news */
};

static inline struct local_leg *local_of(struct command *cmd)
{
    return (struct local_leg *)cmd->leg;
}

/* Has the client enabled all of `what` (ENABLED_*)? */
static inline bool local_enabled(const struct local_leg *l, unsigned what)
{
    return enable_is_on(l->leg.client, what);
}

/* Is \Recent told of it?  IMAP4rev2 knows no such flag. */
static inline bool local_tells_recent(const struct local_leg *l, const struct view_message *m)
{
    return m->recent && !local_enabled(l, ENABLED_IMAP4REV2);
}

enum {
    LOCAL_BATCH = 64,           /* messages a step */
    LOCAL_VANISHED_BATCH = 8192 /* records a step, of which little is looked at */
};

/* ---- mailboxes ---- */

/* A mailbox of this server, by the list, with the user's rights.  0; ERR_NOTFOUND (also when the
 * user may not know of it). */
struct local_mailbox {
    struct mboxlist_record record; /* in the command's pool */
    rights_t rights;
};
int local_lookup(struct command *cmd, const char *internal, struct local_mailbox *m);

/* The same, and demands rights: all of `needs`; ERR_DENIED. */
int local_lookup_with(struct command *cmd, const char *internal, rights_t needs, struct local_mailbox *m);

/* Opens its files.  As mailbox_open(). */
int local_open(struct local_leg *l, const struct local_mailbox *m, struct mailbox **mailbox_r);

/* Whose \Seen counts for this user in that mailbox: the index's own for the owner and under shared
 * seen. */
struct mailbox_reader local_reader(const struct local_leg *l, const char *internal,
                                   const struct mailbox_header *header);

/* All three for one that is only looked at, with the right r. */
int local_open_to_read(struct local_leg *l, struct command *cmd, const char *internal,
                       struct local_mailbox *m, struct mailbox **mailbox_r, struct mailbox_reader *reader_r);

/* The system flags (RECORD_* bits) that rights allow to set (RFC 4314 section 4). */
uint32_t local_settable(rights_t rights);

/* ---- flags ---- */

/* Splits a client's flags: system bits, and keywords (NULL-terminated, in the pool). */
void local_split_flags(struct pool *pool, const char *const *flags, uint32_t *system_r,
                       const char *const **keywords_r);

/* Appends a message's flags, blank-separated, without brackets; `recent` adds \Recent. */
void local_put_flags(struct mailbox *mailbox, const struct mailbox_record *record, bool recent,
                     struct buf *to);

/* Begins a FETCH response, up to the first item: with the UID as `* 7 UIDFETCH (` under UIDONLY (RFC 9586 section 3.3),
 * where the item UID is not told unless asked for. */
void local_put_fetch(const struct local_leg *l, const struct view_message *message, bool uid, struct buf *to);

/* Writes a FETCH response that the client has not asked for, or that answers STORE: `what` of LOCAL_TELL_*; to a client
 * that knows mod-sequences always UID and MODSEQ too (RFC 7162 section 3.2.4). */
void local_tell_message(struct local_leg *l, struct mailbox *mailbox, const struct view_message *message,
                        unsigned what);

/* Appends a message's EMAILID (RFC 8474 section 5.1): the same for the same bytes, wherever they are. */
void local_put_emailid(const struct mailbox_record *record, struct buf *to);
/* The GUID that it is made of; false: it is none of ours. */
bool local_read_emailid(const char *id, unsigned char guid_r[GUID_SIZE]);

/* Appends a message's THREADID (RFC 8474 section 5.2), "(T...)" or NIL; and the thread of one: 0: it is none of ours. */
void local_put_threadid(const struct mailbox_record *record, struct buf *to);
uint64_t local_read_threadid(const char *id);

/* Appends "MODSEQ (n)" and notes that it was told. */
void local_put_modseq(struct local_leg *l, uint64_t modseq, struct buf *to);

/* Writes FLAGS and PERMANENTFLAGS, or does so only if there are keywords that it has not named. */
int local_tell_flags(struct local_leg *l, struct mailbox *mailbox, bool always);

/* ---- sets ---- */

/* The client's set (checked by imap_args_seqset), `$` included, as ranges of sequence numbers in the view, ascending.
 * Numbers beyond the view are ERR_SYNTAX, UIDs that are not there are left out. */
int local_seqs(struct local_leg *l, struct pool *pool, const char *set, bool uid, struct seqset *seqs_r);
/* What `*` is in a set: the highest sequence number or UID of a view; 0 in an empty one. */
int local_set_max(struct view *view, bool uid, uint32_t *max_r);
/* The same as UIDs; freed by the caller. */
int local_uids(struct local_leg *l, struct pool *pool, const char *set, bool uid, struct uid_set *uids_r);

/* The ranges of UIDs in which those of local_seqs() lie, two reads each; freed by the caller.  What else lies in them is not in
 * the view: for flags_store() and expunge_messages(), which look at nothing else. */
int local_uid_spans(struct local_leg *l, const struct seqset *seqs, struct uid_set *uids_r);

/* The UIDs that a set names whether they are there or not, up to the last one given, which `*` stands for; NULL: all.
 * Freed by the caller.  As seqset_parse(). */
int local_known_uids(struct local_leg *l, struct pool *pool, const char *set, struct uid_set *uids_r);

/* The highest mod-sequence of messages given by UIDs or sequence numbers; 0 if there are none.  As view_read(). */
int local_highest_modseq(struct view *view, const struct uid_set *messages, bool uid, uint64_t *modseq_r);

/* Writes VANISHED for the ranges of `gone` from *range on, as far as the output takes them (RFC 7162 section
 * 3.2.10): true when all are out. */
bool local_tell_vanished(struct local_leg *l, const struct uid_set *gone, size_t *range, bool earlier);

/* Walks the messages of ranges of sequence numbers in batches. */
struct local_walk {
    struct seqset seqs;
    size_t range;
    uint32_t next; /* sequence number; 0: begin of the range */
};
/* The next messages, at most LOCAL_BATCH: how many in *count_r, 0 at the end. */
int local_walk_next(struct local_leg *l, struct local_walk *walk, struct view_message *messages,
                    uint32_t *count_r);

/* ---- commands: each starts one of its name ---- */

enum step local_close_mailbox(struct command *cmd); /* CLOSE, UNSELECT */
enum step local_copy(struct command *cmd);          /* COPY, MOVE */
enum step local_create(struct command *cmd);
enum step local_delete(struct command *cmd);
enum step local_expunge(struct command *cmd);
enum step local_fetch(struct command *cmd);
enum step local_getannotation(struct command *cmd);
enum step local_getmetadata(struct command *cmd);
enum step local_getquota(struct command *cmd);
enum step local_getquotaroot(struct command *cmd);
enum step local_localcreate(struct command *cmd);
enum step local_localdelete(struct command *cmd);
enum step local_mupdatepush(struct command *cmd);
enum step local_rename(struct command *cmd);
enum step local_search(struct command *cmd);
enum step local_select(struct command *cmd);
enum step local_setacl(struct command *cmd); /* SETACL, DELETEACL */
enum step local_setmetadata(struct command *cmd);
enum step local_setquota(struct command *cmd);
enum step local_sort(struct command *cmd);
enum step local_status(struct command *cmd);
enum step local_store(struct command *cmd);
enum step local_subscribe(struct command *cmd);

/* The QUOTA response to SETQUOTA: what the root's limits are now (RFC 9208 4.1.3). */
void local_tell_limits(struct command *cmd);

enum step local_thread(struct command *cmd);

/* After SELECT has told all else: what the client has missed, then OK with `code`. */
enum step local_resync(struct command *cmd, const struct select_params *params, const char *code);

/* Runs an operation on names to the command's answer. */
enum step local_run_operation(struct command *cmd, struct mboxop *op);

/* ---- primitives of struct leg_ops ---- */

int local_sync(struct leg *leg, bool expunges);
int local_poll(struct leg *leg, struct command *cmd);
void local_unselect(struct leg *leg);
int64_t local_between(struct leg *leg);
int local_idle_start(struct leg *leg, struct command *cmd);
int local_idle_run(struct leg *leg, struct command *cmd);
int local_idle_stop(struct leg *leg, struct command *cmd);
int local_source_open(struct leg *leg, struct command *cmd, const char *set, bool uid,
                      struct leg_source **source_r);
int local_source_uids(struct leg_source *source, struct seqset *uids);
int local_source_next(struct leg_source *source, struct leg_message *message_r);
int local_source_read(struct leg_source *source, const char **data_r, size_t *len_r);
void local_source_close(struct leg_source **source);
int local_expunge_uids(struct leg *leg, struct command *cmd, const char *uids);
int local_may_expunge(struct leg *leg);
int local_sink_open(struct leg *leg, struct command *cmd, const char *mailbox, struct leg_sink **sink_r);
int local_sink_replace(struct leg_sink *sink, const char *number, bool uid);
int local_sink_message(struct leg_sink *sink, const struct leg_append *what);
int local_sink_part(struct leg_sink *sink, const struct leg_part *part);
int local_sink_write(struct leg_sink *sink, const char *data, size_t len);
int local_sink_commit(struct leg_sink *sink, struct leg_appended *result_r);
int local_sink_cancel(struct leg_sink *sink);
void local_sink_close(struct leg_sink **sink);
int local_reader_open(struct leg *leg, struct command *cmd, const struct leg_piece *piece,
                      struct leg_reader **reader_r, uint64_t *size_r);
int local_reader_read(struct leg_reader *reader, const char **data_r, size_t *len_r);
void local_reader_close(struct leg_reader **reader);
int local_undo(struct leg *leg, struct command *cmd, const char *mailbox, uint32_t uidvalidity,
               const char *uids);
int local_tell_metadata(struct leg *leg, struct command *cmd, const char *internal,
                        const struct metadata_request *entries);
int local_tell_status(struct leg *leg, struct command *cmd, const char *internal, const char *items);
int local_search_many(struct leg *leg, struct command *cmd, struct leg_search *s);
void local_search_end(struct leg *leg, struct leg_search *s);
int local_lsub(struct leg *leg, struct command *cmd, leg_lsub_fn *fn, void *context);

void local_listen(struct leg *leg, bool on);
const char *local_fresh(struct leg *leg, struct pool *pool);
int local_fetch_check(struct leg *leg, const char *items);
int local_watch_path(struct leg *leg, const struct mboxlist_record *record, struct buf *path);
int local_glance(struct leg *leg, const struct mboxlist_record *record, struct leg_glance *glance_r);

/* The index of the selected mailbox wakes the session when it is written to (again, where another file is in its place);
 * and no more. */
void local_watch_index(struct local_leg *l);
void local_unwatch_index(struct local_leg *l);

/* Drops the view and what has not been told of it. */
void local_drop_view(struct local_leg *l);

/* ---- events.c: scripts that run for what commands do (RFC 6785) ---- */

struct local_flags;

/* Messages have come into a mailbox. */
void local_event_new(const struct local_leg *l, const struct command *cmd,
                     const struct mboxlist_record *record, const struct uid_set *uids);
/* FETCH has set \Seen. */
void local_event_seen(const struct local_leg *l, const struct uid_set *uids);
/* Before STORE: the flags of the selected mailbox's messages; NULL: nobody wants to know.  And behind it: tells those that have
 * changed, and frees. */
struct local_flags *local_flags_note(struct local_leg *l, const struct seqset *seqs);
void local_flags_tell(struct local_leg *l, struct local_flags **flags); /* *flags may be NULL */

#endif
