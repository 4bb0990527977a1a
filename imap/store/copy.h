/* copy.h: COPY between mailboxes of this server (RFC 3501 section 6.4.7, RFC 4315 section 3). */
#ifndef IMAP_STORE_COPY_H
#define IMAP_STORE_COPY_H

#include <stdbool.h>

#include "imap/store/mailbox.h"
#include "imap/store/quota.h"
#include "imap/store/uidset.h"
#include "imap/store/view.h"

struct copy_options {
    enum quota_mode quota;
    bool may_seen;                       /* ACL `s` in the destination: else \Seen is not kept */
    bool may_deleted;                    /* ACL `t`: \Deleted */
    bool may_flags;                      /* ACL `w`: all others */
    const struct mailbox_reader *reader; /* whose \Seen in the destination */
    bool may_annotate;                   /* ACL `n`: shared annotations */
    const char *annotator;               /* whose private ones are kept (ACL `r`); NULL: nobody's */
};

/* For COPYUID: source and destination UIDs correspond in ascending order. */
struct copy_result {
    uint32_t uidvalidity;
    struct uid_set source, destination; /* the caller frees with copy_result_free() */
    uint64_t modseq;
};
void copy_result_free(struct copy_result *result);

/* Copies the messages of a view whose UIDs are in the set (those not in the view are left out), all or
 * nothing.  Flags, internal dates and keywords are kept.  On one partition by hard links: one fsync of
 * the directory and one fdatasync, however many; else one fsync more a message.  Only the destination is
 * locked.  0; ERR_EXPUNGED (a message's file is gone: NO [EXPUNGEISSUED], nothing copied);
 * else as append_commit(). */
int copy_messages(struct view *from, const struct uid_set *uids, struct mailbox *to,
                  const struct copy_options *options, struct copy_result *result_r);

#endif
