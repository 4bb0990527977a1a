/* view-private.h: a view from within. */
#ifndef IMAP_STORE_VIEW_PRIVATE_H
#define IMAP_STORE_VIEW_PRIVATE_H

#include "imap/store/mailbox-private.h"
#include "imap/store/view.h"

/* Which records are the view's messages: those before `end` except the holes. */
struct view_map {
    bool valid;
    uint32_t incarnation; /* of the mailbox handle */
    uint32_t end;         /* the first record that is not in the view by its UID */
    uint32_t *holes;      /* ascending numbers of records before `end` that are not in the view */
    uint32_t hole_count, hole_room;
};

/* A private reader's \Seen. */
struct view_seen {
    char *userid;        /* NULL: the index's own */
    struct uid_set uids; /* with what is not written yet */
    struct uid_set add, remove;
    uint32_t recent_uid; /* to be written; 0: nothing */
    int64_t deadline;    /* of the writing; CLOCK_NEVER: nothing waits */
};

struct view {
    uint32_t magic;
    struct store *store;
    char *partition;
    char id[MAILBOX_ID_SIZE];
    bool read_only;
    uint32_t uidvalidity, uidnext, exists, recent_uid;
    uint64_t flags_modseq, expunge_modseq;
    bool is_settled;         /* view_settle() */
    bool holds;              /* between the two marks are expunges that could not be told */
    struct mailbox *mailbox; /* NULL: parked */
    struct view_map map;
    struct view_seen seen;
};
#define VIEW_MAGIC 0x76696577u

/* Makes mailbox and map ready.  0; ERR_EXPUNGED: the view cannot be continued; or as mailbox_open(). */
int view_ready(struct view *view);

/* The record number of a sequence number (1 to exists), and the other way; the map is ready. */
uint32_t view_number(const struct view *view, uint32_t seq);
uint32_t view_seq(const struct view *view, uint32_t number);

/* view_read() of records as they stand in the file (codec.h), verified, with their numbers; \Seen is the index's own. */
int view_read_raw(struct view *view, uint32_t seq, uint32_t count, unsigned char *raw, uint32_t *numbers,
                  uint32_t *got_r);
/* The message of such a record. */
void view_take_raw(const struct view *view, uint32_t seq, uint32_t number, const unsigned char *raw,
                   struct view_message *message_r);

/* Is that record a message of the view?  For records read in a transaction, when the map may be older. */
bool view_has(const struct view *view, const struct mailbox_record *record);

/* view-seen.c */
int view_seen_load(struct view *view);
void view_seen_free(struct view *view);
/* Puts \Seen of the reader into a record. */
void view_seen_apply(const struct view *view, struct mailbox_record *record);
/* Changes it, to be written later. */
int view_seen_change(struct view *view, const struct uid_set *uids, bool seen);
void view_seen_recent(struct view *view, uint32_t uid);

#endif
