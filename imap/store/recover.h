/* recover.h: putting a mailbox right.
 *
 * Writers do the first by themselves when they find a dirty mark or another boot id; nobody needs to run
 * anything after a crash. */
#ifndef IMAP_STORE_RECOVER_H
#define IMAP_STORE_RECOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "imap/store/mailbox.h"

/* Scans the records under the lock and sets the header's totals, last uid and highest modseq right.
 * After another boot id also: skips 65,536 UIDs and modseqs (readers may have seen numbers that never
 * reached the disk), and expunges records that have no file (their append was never acknowledged),
 * unless it is found in the stage directory by GUID.  0, ERR_TIMEOUT, ERR_CORRUPT, ERR_IO. */
int mailbox_recover(struct mailbox *mailbox);

/* How deep a check goes. */
enum check_depth {
    CHECK_INDEX,   /* the index alone */
    CHECK_FILES,   /* and which message files there are */
    CHECK_CONTENTS /* and what is in each, and the cache */
};

struct mailbox_findings {
    bool no_directory; /* no directory (or the mailbox was deleted meanwhile): nothing else is looked at */
    bool no_header;    /* no whole header, or no index: nothing else is looked at */
    bool header_copy;  /* one of the header's two copies is damaged */
    bool order;        /* UIDs do not ascend, or are beyond the last one */
    bool
        misplaced; /* index, cache and annotations are not where those of a new mailbox would be: on the metapartition,
                           or beside the messages */
    bool totals;       /* the header's totals are not those of the records: mailbox_recover() */
    uint32_t records;  /* damaged records */
    uint32_t missing;  /* messages without a file */
    uint32_t unknown;  /* message files without a record, those of unfinished appends left out */
    uint32_t contents; /* files that are not what their record says */
    uint32_t cache;    /* damaged cache entries, or annotations */
};
bool mailbox_findings_any(const struct mailbox_findings *findings);

/* Looks whether a mailbox is sound.  What a writer left unfinished that died is no finding (the next one mends it);
 * recover: mend it now.  Nothing else is changed.  Holds the lock while it looks at the index, not while it
 * reads messages.  0, ERR_VERSION, ERR_TIMEOUT, ERR_IO. */
int mailbox_check(struct store *store, const char *partition, const char *id, enum check_depth depth,
                  bool recover, struct mailbox_findings *findings_r);

struct reconstruct_report {
    uint32_t messages;    /* in the mailbox now */
    uint32_t rebuilt;     /* records made from message files */
    uint32_t new_uids;    /* files that could not keep their UID */
    uint32_t missing;     /* records without a file: expunged */
    bool new_uidvalidity; /* the header was lost */
};

/* Rebuilds index and cache, where those of a new mailbox would be, from what is there: keeps every record that is whole, makes one for each message
 * file that has none, loses no message.  uidvalidity: for the case that both headers are lost.
 * Works on a mailbox that mailbox_open() calls damaged.  0, ERR_NOTFOUND (no such directory),
 * ERR_TIMEOUT, ERR_DISKFULL, ERR_IO. */
int mailbox_reconstruct(struct store *store, const char *partition, const char *id, uint32_t uidvalidity,
                        struct reconstruct_report *report_r);

/* The message files of a directory that is no mailbox's of the list become new messages of a mailbox on the same partition, in the
 * order of their UIDs: flags and UIDs are not taken over.  The directory stays as it is.  ERR_NOTFOUND: it is not there;
 * otherwise as mailbox_reconstruct(). */
int mailbox_take_files(struct store *store, const char *partition, const char *id, const char *directory,
                       struct reconstruct_report *report_r);

/* Removes files of the stage directories that no delivery owns any more (START's ctl_cyrusdb -r). */
int stage_clean(struct store *store, const char *partition);

#endif
