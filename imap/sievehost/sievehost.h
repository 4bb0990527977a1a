/* sievehost.h: runs the recipients' Sieve scripts at final delivery, and does what they decide.
 *
 *     job = sieve_job_new(host, &envelope);                     takes the message over
 *     recipient = sieve_job_add(job, script, userid, address);  for each who has a script
 *     sieve_job_start(job, wake, context);
 *     ... the session parks until sieve_job_done(job) ...
 *     outcome = sieve_recipient_outcome(recipient);             what is left to do here: refuse, or file locally
 *     sieve_recipient_settle(recipient);                        the message is on disk
 *     sieve_job_free(&job);
 *
 * What is decided and done without waiting is done in sieve_job_start(), by the caller's thread.  Scripts that take more than
 * some milliseconds, and what has to wait for others (redirect, answers, mailboxes of other servers, new mailboxes), are work for threads of the process, before
 * anything is filed locally; what of it fails becomes a keep, and the log says so.  A script that does not compile, fails
 * or takes too long is a keep likewise: nobody loses mail by his script. */
#ifndef IMAP_SIEVEHOST_SIEVEHOST_H
#define IMAP_SIEVEHOST_SIEVEHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/name/name-config.h"

struct compiled;
struct sieve_job;
struct sieve_recipient;
struct sievehost;
struct store;

enum {
    SIEVEHOST_EFFORT_HERE =
        8 * 1024 * 1024,             /* of a message's scripts in sieve_job_start() (lib/sieve/sieve.h) */
    SIEVEHOST_ACTION_MS = 30 * 1000, /* one action that waits for others */
    SIEVEHOST_JOB_MS = 120 * 1000,  /* all of a message's: an MTA waits for 10 minutes (RFC 5321 4.5.3.2.6) */
    SIEVEHOST_QUEUE_MS = 60 * 1000, /* that a message may wait before the first of them */
    SIEVEHOST_LIST_MAX = 100,       /* addresses of a list that a message is redirected to */
    SIEVEHOST_HOPS_MAX = 50         /* Received fields of a message that is redirected once more */
};

/* What a process shares; any thread.  0, or an error with text in *error_r (malloc'ed). */
int sievehost_open(struct store *store, const struct name_config *names, struct sievehost **host_r,
                   char **error_r);
/* After all jobs. */
void sievehost_close(struct sievehost **host); /* *host may be NULL */

/* Once an hour: what scripts remember for too long. */
void sievehost_expire(struct sievehost *host);

/* A user's active script, to be given to sieve_job_add(); NULL: there is none, or none that runs (the log says
 * which). */
struct compiled *sievehost_script(struct sievehost *host, const char *userid);
void sievehost_script_release(struct compiled **script); /* *script may be NULL */

struct sieve_envelope {
    const char *from;       /* reverse path, "" for the null one */
    const char *auth;       /* MAIL AUTH=, or NULL */
    const char *peer;       /* the client's address, "" for none */
    const char *session;    /* the session's id, for the log */
    const char *message_id; /* what tells that the message has come before; NULL: not looked for */
    bool utf8;              /* SMTPUTF8 */
    const char *data;       /* the message, of stage_map(): taken over */
    size_t len;
};

/* Strings are copied. */
struct sieve_job *sieve_job_new(struct sievehost *host, const struct sieve_envelope *envelope);

/* `script` is taken over; `address` is the recipient's as his sender wrote it. */
struct sieve_recipient *sieve_job_add(struct sieve_job *job, struct compiled *script, const char *userid,
                                      const char *address);

/* Runs the scripts.  `wake` is called once, by any thread, when sieve_job_done() has become true after this has returned; it
 * must not wait, nor call this room. */
void sieve_job_start(struct sieve_job *job, void (*wake)(void *context), void *context);
bool sieve_job_done(struct sieve_job *job);

/* When it is done: was nothing done, because too much waits already for where its actions would go?  It has no outcome then; the
 * message is to come again. */
bool sieve_job_refused(const struct sieve_job *job);

/* Frees; a job that is not done is finished without anybody asking for its outcome, and wake() is not called; what it has
 * not begun is left, since the message comes again.  *job may
 * be NULL. */
void sieve_job_free(struct sieve_job **job);

/* A message into a mailbox of this server. */
struct sieve_filing {
    struct sieve_filing *next;
    const char *name; /* internal; NULL: the recipient's own mailbox (keep) */
    const char *partition, *id;
    const char *const *flags; /* NULL-terminated; NULL: none */
    const char *header;       /* NULL: the message as it came; else what stands in the place of its header */
    size_t header_len;
    bool is_copy; /* of a message that was sent (:fcc): `header` is all of it */
};

struct sieve_outcome {
    const char *refusal; /* not NULL: refuse the message, with this text (lines, LF) */
    struct sieve_filing *filings;
};

/* When the job is done; lives as long as the job. */
const struct sieve_outcome *sieve_recipient_outcome(const struct sieve_recipient *recipient);

/* All of it is done: remembers what the script wants remembered (RFC 7352 3). */
void sieve_recipient_settle(struct sieve_recipient *recipient);

#endif
