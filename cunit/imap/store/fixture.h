/* fixture.h: a store of its own for each test, and short ways to fill it. */
#ifndef CUNIT_IMAP_STORE_FIXTURE_H
#define CUNIT_IMAP_STORE_FIXTURE_H

#include <stdint.h>

#include "imap/store/append.h"
#include "imap/store/expunge.h"
#include "imap/store/flags.h"
#include "imap/store/mailbox.h"
#include "imap/store/store.h"
#include "imap/store/view.h"

#define FIXTURE_ID "11111111-2222-4333-8444-555555555555"

struct fixture {
    char *dir; /* with partitions one/ and two/ and the databases */
    struct store_options options;
    struct store *store;
};

/* A fresh directory and store; aborts the program if that fails. */
void fixture_begin(struct fixture *f);
void fixture_end(struct fixture *f);
/* The same in two steps: a directory with nothing in it, and the store over what has been put there. */
void fixture_begin_empty(struct fixture *f);
void fixture_open(struct fixture *f);
/* The metapartitions of both, for the options; used from the start where STORE_METAPARTITION is in the environment. */
const char *fixture_metapartition(const char *name);
/* Closes and opens the store, as another process would. */
void fixture_reopen(struct fixture *f);

/* A mailbox on partition "one" (uidvalidity 1000), opened. */
struct mailbox *fixture_mailbox(struct fixture *f, const char *id);

/* A message of its own: number n decides its bytes. */
char *fixture_text(unsigned n);
struct stage *fixture_stage(struct fixture *f, const char *partition, const char *text);
/* Appends `count` messages in one transaction; the first UID, or an error. */
int64_t fixture_append(struct mailbox *m, unsigned n, unsigned count, uint32_t system);

/* Puts message n in the place of the one with that UID; its UID, or an error. */
int64_t fixture_replace(struct mailbox *m, unsigned n, uint32_t uid);

/* Has the message of the record at that place text n? */
bool fixture_has_text(struct mailbox *m, uint32_t place, const struct mailbox_record *record, unsigned n);

struct view *fixture_view(struct fixture *f, const char *id);

/* STORE on one UID with all rights. */
int fixture_store(struct view *view, uint32_t uid, enum flag_operation operation, uint32_t system,
                  const char *keyword);

/* Overwrites bytes of a mailbox's file behind the store's back. */
void fixture_scribble(struct fixture *f, const char *id, const char *file, int64_t offset, const void *data,
                      size_t n);

#endif
