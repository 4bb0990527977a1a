/* relocate.h: a mailbox's files go to another partition of this server.
 *
 * The caller has the lock of the mailbox's name, and commits the new partition to the mailbox list between
 * relocate_close() and relocate_finish().  Until then the mailbox is whole where it was; from the commit on it is
 * whole where it goes.  A process that dies leaves what relocate_recover() puts right. */
#ifndef IMAP_STORE_RELOCATE_H
#define IMAP_STORE_RELOCATE_H

struct store;
struct relocation;

/* Makes the new directory, without what an earlier attempt left there.  0; ERR_NOTFOUND (no such mailbox or
 * partition); ERR_INVALID (both are one directory); ERR_CORRUPT and others as mailbox_open(); ERR_DISKFULL, ERR_IO. */
int relocate_begin(struct store *store, const char *id, const char *from, const char *to,
                   struct relocation **relocation_r);

/* Copies the next messages (links them where both partitions are on one file system) while sessions and deliveries go
 * on with the mailbox.  1: there are more; 0: synced; ERR_DISKFULL, ERR_IO. */
int relocate_copy(struct relocation *relocation);

/* Takes the index's lock, copies what has changed meanwhile, index and cache, syncs, and removes the old index: whoever
 * has the mailbox open finds it gone (ERR_NOTFOUND).  0 with the lock held; ERR_TIMEOUT (lock); ERR_NOTFOUND
 * (deleted); ERR_DISKFULL, ERR_IO: the old place is as it was. */
int relocate_close(struct relocation *relocation);

/* Behind the commit: removes the old place, unlocks, frees. */
void relocate_finish(struct relocation **relocation);
/* Instead of it: makes the old place whole again, removes the new one, unlocks, frees.  *relocation may be NULL. */
void relocate_abort(struct relocation **relocation);

/* After a crash, under the lock of the name: the mailbox is on the partition `at`, as the list says; what is left of
 * it on the partition `other` is removed, unless it is not at `at` at all.  0; ERR_NOTFOUND: no such partition; ERR_IO and
 * others as file_remove_tree(). */
int relocate_recover(struct store *store, const char *id, const char *at, const char *other);

#endif
