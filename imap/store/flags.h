/* flags.h: STORE (RFC 3501 section 6.4.6; RFC 7162 section 3.1.3). */
#ifndef IMAP_STORE_FLAGS_H
#define IMAP_STORE_FLAGS_H

#include <stdbool.h>
#include <stdint.h>

#include "imap/store/uidset.h"
#include "imap/store/view.h"

enum flag_operation { FLAGS_REPLACE, FLAGS_ADD, FLAGS_REMOVE };

struct flag_change {
    enum flag_operation operation;
    uint32_t system;             /* RECORD_SEEN, ... */
    const char *const *keywords; /* NULL-terminated; NULL: none */
    uint32_t may_system;         /* the system flags that the rights `s`, `t`, `w` allow to change */
    bool may_keywords;           /* right `w` */
    bool has_unchanged_since;
    uint64_t unchanged_since;
};

struct flag_result {
    uint64_t before, after;  /* highest modseq around the change; equal: nothing was changed (view_absorb) */
    struct uid_set modified; /* refused by UNCHANGEDSINCE; the caller frees */
    bool expunged;           /* some message is expunged already: the answer is NO or OK [EXPUNGEISSUED] */
};

/* Changes the flags of the messages of the set that are in the view: one lock, one modseq, one
 * sync, however many; no change, no sync.  Keywords that are new get a slot (not with FLAGS_REMOVE).
 * \Seen of a private reader goes to his own seen state and is written in batches.
 * 0; ERR_LIMIT: no slot or too long a name (nothing changed); ERR_READONLY (view); ERR_TIMEOUT,
 * ERR_NOTFOUND, ERR_CORRUPT, ERR_DISKFULL, ERR_IO. */
int flags_store(struct view *view, const struct uid_set *uids, const struct flag_change *change,
                struct flag_result *result_r);

/* What FETCH BODY[] does: adds \Seen; `before` and `after` as above. */
int flags_set_seen(struct view *view, const struct uid_set *uids, uint64_t *before_r, uint64_t *after_r);

#endif
