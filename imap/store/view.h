/* view.h: what one session knows of its selected mailbox (RFC 3501 sections 5.2, 7.4.1; RFC 7162).
 *
 * A message is in the view if its UID is below `uidnext` and it is not expunged, or was expunged above
 * `expunge_modseq`.  So the view is a handful of numbers, whatever the mailbox's size, and sequence
 * numbers stay as told until view_refresh() says EXPUNGE.  A parked view holds a few hundred bytes and no
 * descriptor.  One thread at a time. */
#ifndef IMAP_STORE_VIEW_H
#define IMAP_STORE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "imap/store/mailbox.h"
#include "imap/store/uidset.h"
#include "lib/base/pool.h"

struct view;

/* Opens the view of a mailbox: SELECT, or with read_only EXAMINE (which leaves \Recent alone).
 * 0, or as mailbox_open(). */
int view_open(struct store *store, const char *partition, const char *id, const struct mailbox_reader *reader,
              bool read_only, struct view **view_r);
/* The same of a handle that has just been opened, which it takes: *mailbox is NULL then.  0, or an error of the seen
 * database. */
int view_of(struct mailbox **mailbox, const struct mailbox_reader *reader, bool read_only,
            struct view **view_r);
/* Writes private seen that is not written yet, and compacts the mailbox if that is worth it.  *view may be
 * NULL. */
void view_close(struct view **view);

/* Lets a view that was opened read-only change flags: \Recent is left to others all the same. */
void view_allow_changes(struct view *view);

/* Gives back the descriptor and the map; the next call that needs them gets them again.  Writes private
 * seen that is due, and says when it wants to be called again for that (clock.h; CLOCK_NEVER). */
int64_t view_park(struct view *view);

/* The handle, opened anew if parked (owned by the view).  0, or as mailbox_open(). */
int view_mailbox(struct view *view, struct mailbox **mailbox_r);

/* ---- what SELECT tells ---- */

uint32_t view_exists(const struct view *view);
uint32_t view_recent(struct view *view); /* messages that are \Recent in this session */
uint32_t view_uidnext(const struct view *view);
uint32_t view_uidvalidity(const struct view *view);
/* The lower of the two marks. */
uint64_t view_highest_modseq(const struct view *view);
/* The sequence number of the first message without \Seen; 0: none.  Costs little with the index's own
 * seen. */
int view_first_unseen(struct view *view, uint32_t *seq_r);
bool view_is_read_only(const struct view *view);
/* The reader's id for private seen, or NULL. */
const char *view_userid(const struct view *view);

/* ---- sequence numbers ---- */

/* A message in the view, with the reader's own \Seen in record.system. */
struct view_message {
    uint32_t seq;
    uint32_t number; /* of its record */
    bool recent;
    struct mailbox_record record;
};

/* Reads up to `count` messages from sequence number `seq` on: how many in *got_r (fewer only at the end
 * of the view).  Built for batches: one pread each.  0; ERR_INVALID: seq is 0; ERR_CORRUPT, ERR_IO,
 * ERR_NOTFOUND (deleted mailbox). */
int view_read(struct view *view, uint32_t seq, uint32_t count, struct view_message *messages,
              uint32_t *got_r);

/* One message, by UID: ERR_NOTFOUND if it is not in the view. */
int view_read_uid(struct view *view, uint32_t uid, struct view_message *message_r);

/* The sequence numbers of the messages with first <= UID <= last: [*low_r, *high_r], 0 and 0 if none. */
int view_uids_to_seqs(struct view *view, uint32_t first, uint32_t last, uint32_t *low_r, uint32_t *high_r);

/* Adds the UIDs of sequence numbers low to high (ERR_INVALID beyond the view) to a set. */
int view_seqs_to_uids(struct view *view, uint32_t low, uint32_t high, struct uid_set *to);
/* The first and the last of those UIDs; between them there may be some of messages that are not in the view. */
int view_seqs_span(struct view *view, uint32_t low, uint32_t high, uint32_t *first_r, uint32_t *last_r);

/* Of the UIDs `wanted` those above `above` whose messages were expunged after mod-sequence `since` and are not in the
 * view; where compaction has removed what would tell, all that are not there (RFC 7162 section 3.2.6).  The first four
 * are the caller's to set, the rest is 0 at first; `gone` is his to free, whatever comes. */
struct view_vanished {
    struct view *view;
    const struct uid_set *wanted;
    uint64_t since;
    uint32_t above;
    struct uid_set gone;

    bool begun;           /* view_vanished_step()'s own from here on */
    bool missing;         /* compaction has removed some: what is there is looked at */
    uint32_t incarnation; /* of the mailbox handle */
    uint32_t at, next;    /* the hole, or the sequence number and the UID, to go on from */
    size_t range;         /* of wanted: no earlier one can match any more */
};

/* Looks at some `batch` messages more: 1: call again; 0: gone is complete; ERR_LIMIT; or as view_read(). */
int view_vanished_step(struct view_vanished *v, uint32_t batch);

/* ---- news ---- */

/* What has happened since the last time, in the order to tell it: EXPUNGE for each of `expunged` (sequence
 * numbers as they are at that moment: already lowered by the ones before; descending, so none needs it),
 * then EXISTS (if exists_changed) and RECENT (also after an EXPUNGE), then FETCH FLAGS for `flags` (sequence numbers after all that). */
struct view_news {
    uint32_t *expunged; /* descending sequence numbers */
    uint32_t *expunged_uids;
    uint32_t expunged_count;
    bool exists_changed;
    uint32_t exists, recent;
    struct view_message *flags;
    uint32_t flag_count;
};

/* Brings the view up to date.  expunge_allowed: false during FETCH, STORE and SEARCH (RFC 3501 section
 * 7.4.1).  The arrays are in the pool.  Costs two reads if nothing happened.
 * 0; ERR_EXPUNGED: the view is older than what compaction has removed; ERR_NOTFOUND: the mailbox is
 * gone or has another UIDVALIDITY (all three: BYE); ERR_CORRUPT, ERR_IO. */
int view_refresh(struct view *view, bool expunge_allowed, struct pool *pool, struct view_news *news_r);

/* The next view_refresh() may go by what was read of the mailbox a few milliseconds ago: for the end of a command that has
 * looked at it anyway. */
void view_settle(struct view *view);

/* When private seen must be written at the latest (clock.h; CLOCK_NEVER: nothing waits), and the writing,
 * which also bumps the messages' modseqs.  0, or as flags_store(). */
int64_t view_seen_deadline(const struct view *view);
int view_write_seen(struct view *view);

/* After an own STORE whose answers were told (or .SILENT): its change is no news to this session.
 * `before`, `after`: as flags_store() gave. */
void view_absorb(struct view *view, uint64_t before, uint64_t after);

#endif
