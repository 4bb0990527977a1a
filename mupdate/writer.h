/* writer.h: group commit: what sessions want changed at the same time shares a transaction and its sync.
 *
 * A session collects the commands that stand in its buffer one behind the other in a job, submits it, parks, and is
 * woken when all of it is durable or refused.  Two threads take what is there by turns: one's commands are applied
 * while the other's are synced. */
#ifndef MUPDATE_WRITER_H
#define MUPDATE_WRITER_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/mupdate/link.h"
#include "mupdate/names.h"

struct session;
struct writer;

/* `write` (NULL: names_* in one transaction) does what stands in the jobs, a list by `next`, and sets their errors; one
 * thread calls it. */
struct write_job;
struct writer *writer_new(struct names *names, void (*write)(void *context, struct write_job *jobs),
                          void *context);
/* A member's: what the commands of the jobs change, and their results if that is settled.  0, or an error. */
int writer_decide(struct names *names, struct write_job *jobs, struct journal_entry *entry_r);
void writer_free(struct writer **writer); /* no job may be under way; *writer may be NULL */

struct write_command {
    enum mupdate_verb verb;
    const char *tag, *name, *location, *acl; /* in the job's pool; location, acl: NULL where there is none */
    const struct mupdate_details *details;   /* NULL: nothing is known */
    int result;                              /* enum names_result, once the job is done without error */
    struct write_command *next;
};

struct write_job {
    struct pool *pool;
    struct write_command *first, **last;
    unsigned count;
    int error; /* once it is done: nothing of it was done (ERR_UNKNOWN: maybe it was); 0: see the commands */
    bool forwarded; /* it comes from another member of the group */
    bool sent;      /* it has been sent to another one */
    /* the writer's */
    struct session *session;
    bool done;
    struct write_job *next;
};

struct write_job *write_job_new(void);
void write_job_free(
    struct write_job **job); /* before it is submitted, or once it is done; *job may be NULL */

/* Everything is copied. */
void write_job_add(struct write_job *job, const struct write_command *command);

/* Queues the job; the session (NULL: none; it lives until writer_done() or writer_wait() says so) is woken when it is
 * done. */
void writer_submit(struct writer *writer, struct write_job *job, struct session *session);
bool writer_done(struct writer *writer, const struct write_job *job);
/* Waits on this thread: at the end of a session. */
void writer_wait(struct writer *writer, const struct write_job *job);

#endif
