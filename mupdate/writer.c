/* writer.c: group commit. */
#include "mupdate/writer.h"

#include <pthread.h>
#include <stdlib.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/pool.h"
#include "lib/engine/engine.h"

enum {
    WRITERS = 2,
    GROUP_MOST = 2048,            /* commands in one transaction, about, */
    GROUP_BYTES = 4 * 1024 * 1024 /* and bytes of them */
};

struct writer {
    struct names *names;
    void (*write)(void *context, struct write_job *jobs);
    void *context;
    pthread_t threads[WRITERS];
    unsigned count;
    pthread_mutex_t mutex;
    pthread_cond_t queued, done;
    bool stop;
    struct write_job *first, **last;
};

/* ---- jobs ---- */

struct write_job *write_job_new(void)
{
    struct write_job *job = xcalloc(1, sizeof(*job));

    job->pool = pool_new(0);
    job->last = &job->first;
    return job;
}

void write_job_free(struct write_job **job)
{
    if (*job == NULL)
        return;
    pool_free(&(*job)->pool);
    free(*job);
    *job = NULL;
}

static const char *copy(struct pool *pool, const char *s)
{
    return s != NULL ? pool_strdup(pool, s) : NULL;
}

void write_job_add(struct write_job *job, const struct write_command *command)
{
    struct write_command *c = pool_memdup(job->pool, command, sizeof(*command));

    c->tag = copy(job->pool, command->tag);
    c->name = copy(job->pool, command->name);
    c->location = copy(job->pool, command->location);
    c->acl = copy(job->pool, command->acl);
    if (command->details != NULL) {
        struct mupdate_details *details = pool_memdup(job->pool, command->details, sizeof(*details));

        details->id = copy(job->pool, details->id);
        details->type = copy(job->pool, details->type);
        details->special_use = copy(job->pool, details->special_use);
        c->details = details;
    }
    c->next = NULL;
    *job->last = c;
    job->last = &c->next;
    job->count++;
}

/* ---- the threads ---- */

static int apply_job(struct names_txn *txn, struct write_job *job)
{
    for (struct write_command *c = job->first; c != NULL; c = c->next) {
        c->result = names_apply(txn, c->verb, c->name, c->location, c->acl, c->details);
        if (c->result < 0)
            return c->result;
    }
    return 0;
}

/* Begins a transaction and does all in it; *count_r commands. */
static int apply_all(struct names *names, struct write_job *group, struct names_txn **txn_r,
                     unsigned *count_r)
{
    int r = names_begin(names, txn_r);

    *count_r = 0;
    if (r < 0)
        return r;
    for (struct write_job *job = group; job != NULL && r == 0; job = job->next) {
        r = apply_job(*txn_r, job);
        *count_r += job->count;
    }
    if (r < 0)
        names_abort(txn_r);
    return r;
}

static int write_all(struct names *names, struct write_job *group)
{
    struct names_txn *txn;
    unsigned count;
    int r = apply_all(names, group, &txn, &count);

    if (r == 0)
        r = names_commit(&txn);
    if (r < 0)
        LOG(LOG_ERR, MUPDATE_COMMIT, LOG_ERROR(r), LOG_INT(COUNT, count));
    return r;
}

int writer_decide(struct names *names, struct write_job *jobs, struct journal_entry *entry_r)
{
    struct names_txn *txn;
    unsigned count;
    int r = apply_all(names, jobs, &txn, &count);

    if (r == 0)
        names_decided(&txn, entry_r);
    else if (r != ERR_AGAIN)
        LOG(LOG_ERR, MUPDATE_COMMIT, LOG_ERROR(r), LOG_INT(COUNT, count));
    return r;
}

static void set_errors(struct write_job *jobs, int r)
{
    for (; jobs != NULL; jobs = jobs->next)
        jobs->error = r;
}

/* What waits, as far as it fits into a transaction. */
static struct write_job *take_group(struct writer *w)
{
    struct write_job *group = w->first, **end = &w->first;
    unsigned count = 0;
    size_t bytes = 0;

    while (*end != NULL && count < GROUP_MOST && bytes < GROUP_BYTES) {
        count += (*end)->count;
        bytes += pool_footprint((*end)->pool);
        end = &(*end)->next;
    }
    w->first = *end;
    *end = NULL;
    if (w->first == NULL)
        w->last = &w->first;
    return group;
}

/* A job is its session's again once `done` is set and the mutex is free. */
static void hand_back(struct writer *w, struct write_job *group)
{
    while (group != NULL) {
        struct write_job *job = group;

        group = job->next;
        job->done = true;
        if (job->session != NULL)
            session_wake(job->session);
    }
    pthread_cond_broadcast(&w->done);
}

static void *run(void *context)
{
    struct writer *w = context;

    pthread_mutex_lock(&w->mutex);
    for (;;) {
        struct write_job *group;

        while (w->first == NULL && !w->stop)
            pthread_cond_wait(&w->queued, &w->mutex);
        if (w->first == NULL)
            break;
        group = take_group(w);
        pthread_mutex_unlock(&w->mutex);
        if (w->write != NULL)
            w->write(w->context, group);
        else
            set_errors(group, write_all(w->names, group));
        pthread_mutex_lock(&w->mutex);
        hand_back(w, group);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

struct writer *writer_new(struct names *names, void (*write)(void *context, struct write_job *jobs),
                          void *context)
{
    struct writer *w = xcalloc(1, sizeof(*w));

    w->names = names;
    w->write = write;
    w->context = context;
    w->last = &w->first;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->queued, NULL);
    pthread_cond_init(&w->done, NULL);
    w->count =
        write != NULL ? 1 : WRITERS; /* a group's entries are settled one by one: two would do no more */
    for (unsigned i = 0; i < w->count; i++)
        BUG_ON(pthread_create(&w->threads[i], NULL, run, w) != 0);
    return w;
}

void writer_free(struct writer **wp)
{
    struct writer *w = *wp;

    if (w == NULL)
        return;
    *wp = NULL;
    pthread_mutex_lock(&w->mutex);
    w->stop = true;
    pthread_cond_broadcast(&w->queued);
    pthread_mutex_unlock(&w->mutex);
    for (unsigned i = 0; i < w->count; i++)
        pthread_join(w->threads[i], NULL);
    pthread_cond_destroy(&w->queued);
    pthread_cond_destroy(&w->done);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}

void writer_submit(struct writer *w, struct write_job *job, struct session *session)
{
    job->session = session;
    job->next = NULL;
    pthread_mutex_lock(&w->mutex);
    *w->last = job;
    w->last = &job->next;
    pthread_cond_signal(&w->queued);
    pthread_mutex_unlock(&w->mutex);
}

bool writer_done(struct writer *w, const struct write_job *job)
{
    bool done;

    pthread_mutex_lock(&w->mutex);
    done = job->done;
    pthread_mutex_unlock(&w->mutex);
    return done;
}

void writer_wait(struct writer *w, const struct write_job *job)
{
    pthread_mutex_lock(&w->mutex);
    while (!job->done)
        pthread_cond_wait(&w->done, &w->mutex);
    pthread_mutex_unlock(&w->mutex);
}
