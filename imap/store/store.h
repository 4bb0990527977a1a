/* store.h: the mail store of a process: what its mailboxes have in common.
 *
 * A program opens one store at its start and gives it to everything here.  A store is immutable but
 * for its databases, its counters and what it keeps in memory (kept.h), which all guard themselves, so every thread uses the same one.  What belongs to a session (mailbox
 * handles, views, stages) is confined to the thread that runs the session. */
#ifndef IMAP_STORE_STORE_H
#define IMAP_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"

struct store;

enum store_expunge_mode {
    STORE_EXPUNGE_IMMEDIATE, /* files are removed once the expunge is on disk */
    STORE_EXPUNGE_DELAYED    /* files and records stay until cyr_expire */
};

struct store_options {
    const char *directory;                          /* configdirectory: where the databases are */
    const char *(*partition)(const char *name);     /* a partition's directory, or NULL */
    const char *(*metapartition)(const char *name); /* where its mailboxes' metadata may be too, or NULL */
    bool metadata_apart;                            /* new metadata go there */
    enum store_expunge_mode expunge_mode;
    int64_t lock_ms;       /* how long to wait for a mailbox's lock */
    int64_t session_ms;    /* compaction keeps what was expunged within this time (the longest that a
                               session may stay without a command) */
    int64_t seen_batch_ms; /* how long a private \Seen may wait for its write */
};

/* Fills in what imapd.conf says (config_read() first). */
void store_options_configured(struct store_options *options_r);

/* Opens the mailbox list and the databases `seen` and `volatile`; the strings of the options must live as long as the store.
 * 0, or an error of the database with a text in *error_r (malloc'ed). */
int store_open(const struct store_options *options, struct store **store_r, char **error_r);
void store_close(struct store **store);

struct mboxlist;
struct db_env;

/* The databases, for those who work on them beside the store (duplicate suppression: `volatile`). */
struct mboxlist *store_mboxlist(const struct store *store);
struct db_env *store_volatile(const struct store *store);

/* What every service process calls once a minute: frees what dead processes left (reader slots), and what is kept in memory
 * and not used (kept.h). */
void store_housekeeping(struct store *store);

/* Counters of the process, for tests of the sync budget (doc/formats/mailbox.md, "Durability") and for
 * the status. */
struct store_counters {
    uint64_t file_syncs;   /* fsync of message or stage files */
    uint64_t index_syncs;  /* fdatasync of an index */
    uint64_t dir_syncs;    /* fsync of directories */
    uint64_t read_retries; /* a header or record was read while it was written */
    uint64_t recoveries;
    uint64_t cache_misses; /* a message file was parsed because its cache entry was bad */
};
void store_counters(const struct store *store, struct store_counters *counters_r);

#endif
