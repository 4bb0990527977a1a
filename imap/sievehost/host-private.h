/* host-private.h: a message and its recipients, as the files of this room share them. */
#ifndef IMAP_SIEVEHOST_HOST_PRIVATE_H
#define IMAP_SIEVEHOST_HOST_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "imap/mboxop/mboxop.h"
#include "imap/sievehost/courier.h"
#include "imap/sievehost/sievehost.h"
#include "lib/base/pool.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/name/namespace.h"
#include "lib/sieve/sieve.h"

struct memory;

struct sievehost {
    struct store *store;
    struct mboxlist *list;
    const struct name_config *names;
    struct memory *memory;
    struct courier *courier;
    atomic_size_t event_messages; /* of IMAP's events that wait or run */
    _Atomic int64_t events_end;   /* when no more scripts begin for these; 0: not yet known */
};

#define SIEVE_JOB_MAGIC 0x53694a6fu

/* What a script runs for that is no delivery (RFC 6785). */
struct job_event {
    const char *cause, *userid, *email;
    const char *mailbox; /* internal name */
    const char *changed; /* flags */
    const char *flags;   /* that the message has */
};

struct sieve_job {
    struct courier_task task; /* the first member */
    unsigned magic;
    struct sievehost *host;
    struct pool *pool;
    struct sieve_envelope envelope;
    const struct job_event *event; /* NULL: a delivery */
    struct sieve_recipient *recipients, **tail;
    int64_t deadline;     /* of scripts, and of what waits for others */
    int64_t submitted;    /* to the courier, at first */
    bool decided;         /* all scripts have run; the task knows its places */
    bool refused;         /* nothing was done: too much waits already */
    uint64_t effort_left; /* of SIEVEHOST_EFFORT_HERE */
    pthread_mutex_t mutex;
    /* Guarded by it: */
    bool done, abandoned;
    void (*wake)(void *context);
    void *context;
};

struct included {
    struct included *next;
    struct compiled *script;
};

/* A list that was read, in the job's pool but for the hash. */
struct list {
    struct list *next;
    const char *name;
    const char **members; /* lines */
    size_t count;
    struct hash *folded; /* lines, folded */
};

struct sieve_recipient {
    struct sieve_recipient *next;
    struct sieve_job *job;
    struct compiled *script;
    struct included *included;
    struct list *lists;
    struct pool *pool; /* of the run; its strings live as long as the job */
    const char *userid;
    const char *address;      /* the envelope's, without a domain that means none */
    const char *owner;        /* an address with a domain, without detail */
    const char *addresses[4]; /* NULL-terminated: whoever writes to these writes to the owner */
    struct identity *identity;
    struct namespace ns;
    const char *inbox; /* internal name */
    bool may_wait;     /* the thread may wait for others */
    bool undecided;    /* the script must run again where it may wait */
    bool has_run;
    struct sieve_result result;
    struct sieve_outcome outcome;
    struct sieve_filing **tail;
    bool kept;   /* there is a filing into the own mailbox */
    bool failed; /* an action that was to take the message has failed */
};

/* ---- the script (ask.c) ---- */

/* Runs it.  Afterwards result is there, or `undecided`: it has to wait for an answer, or takes more effort than a worker
 * has for it. */
void recipient_run(struct sieve_recipient *r);

/* ---- mailboxes (mailboxes.c) ---- */

enum { PLACE_NOWHERE, PLACE_HERE, PLACE_ELSEWHERE };

/* Where is the mailbox of that internal name?  ERR_AGAIN: to be asked where one may wait; or another error. */
int mailbox_place(struct sieve_recipient *r, const char *internal, struct mboxlist_record *record_r);
/* The same for one that the owner may put messages into: others are nowhere. */
int mailbox_find(struct sieve_recipient *r, const char *internal, struct mboxlist_record *record_r);

/* The internal name of what a script calls a mailbox, in the pool; NULL: no mailbox can be called so. */
const char *mailbox_internal(struct sieve_recipient *r, const char *name);

/* Has the mailbox that special use, for the owner? */
bool mailbox_has_use(struct sieve_recipient *r, const struct mboxlist_record *record, const char *use);
/* The owner's mailbox with that special use.  1, 0 or an error. */
int mailbox_of_use(struct sieve_recipient *r, const char *use, struct mboxlist_record *record_r);

/* Which mailbox does a target mean: by id, by special use, by name?  As mailbox_find(); *internal_r is what it is called
 * (NULL: it cannot be). */
int mailbox_of_target(struct sieve_recipient *r, const struct sieve_target *target, const char **internal_r,
                      struct mboxlist_record *record_r);

/* Makes it, as the owner.  0, or why not, with text appended.  Waits. */
int mailbox_make(struct sieve_recipient *r, const char *internal, const char *use, struct buf *why);

/* ---- annotations (annotations.c) ---- */

/* RFC 5490: 1 with the value of an annotation of a mailbox (NULL: of the server) appended; 0: none, or none that the owner may
 * see; ERR_AGAIN: to be asked where one may wait; or another error. */
int annotation_of(struct sieve_recipient *r, const char *mailbox, const char *entry, struct buf *value);

/* ---- lists (lists.c) ---- */

/* RFC 6134.  0; ERR_NOTFOUND: there is no such list; ERR_AGAIN: it is to be read where one may wait; or another error. */
int list_find(struct sieve_recipient *r, const char *name, const struct list **list_r);
bool list_has(const struct list *list, const struct sieve_string *value);
/* The addresses in a list, NULL-terminated, in the pool.  Likewise; ERR_INVALID: there are none, ERR_LIMIT: more than
 * SIEVEHOST_LIST_MAX. */
int list_addresses(struct sieve_recipient *r, const char *name, const char *const **addresses_r);
void lists_free(struct sieve_recipient *r);

/* ---- actions (perform.c) ---- */

/* Adds to the job's task where the actions will wait. */
void recipient_add_places(struct sieve_recipient *r);
/* Does an action have to wait for others? */
bool recipient_has_to_wait(struct sieve_recipient *r);
/* Does them all: the outcome is there afterwards. */
void recipient_perform(struct sieve_recipient *r);

#endif
