/* job.c: a message, its recipients' scripts, and who works on them when. */
#include <stdlib.h>
#include <string.h>

#include "imap/sievehost/compiled.h"
#include "imap/sievehost/host-private.h"
#include "imap/sievehost/imapsieve.h"
#include "imap/sievehost/memory.h"
#include "imap/store/stage.h"
#include "imap/store/store.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/name/identity.h"

/* ---- the process ---- */

int sievehost_open(struct store *store, const struct name_config *names, struct sievehost **host_r,
                   char **error_r)
{
    struct sievehost *host = xcalloc(1, sizeof(*host));
    int r = memory_open(&host->memory, error_r);

    if (r < 0) {
        free(host);
        return r;
    }
    host->store = store;
    host->list = store_mboxlist(store);
    host->names = names;
    host->courier = courier_new();
    *host_r = host;
    return 0;
}

void sievehost_close(struct sievehost **host)
{
    if (*host == NULL)
        return;
    imapsieve_stop(*host);
    courier_free(&(*host)->courier);
    memory_close(&(*host)->memory);
    compiled_forget();
    free(*host);
    *host = NULL;
}

void sievehost_expire(struct sievehost *host)
{
    int r = memory_expire(host->memory, clock_wall());

    if (r < 0)
        LOG(LOG_ERR, SIEVE_MEMORY, LOG_ERROR(r));
}

struct compiled *sievehost_script(struct sievehost *host, const char *userid)
{
    struct buf errors = BUF_INIT;
    struct compiled *script;
    int r = compiled_active(host->names, userid, &errors, &script);

    if (r < 0 && r != ERR_NOTFOUND)
        LOG(LOG_WARNING, SIEVE_SCRIPT, LOG_STR(USER, userid), LOG_ERROR(r), LOG_STR(TEXT, buf_cstr(&errors)));
    buf_free(&errors);
    return script;
}

void sievehost_script_release(struct compiled **script)
{
    compiled_release(script);
}

/* ---- a job ---- */

static void run_task(struct courier_task *task);

struct sieve_job *sieve_job_new(struct sievehost *host, const struct sieve_envelope *envelope)
{
    struct sieve_job *job = xcalloc(1, sizeof(*job));
    struct sieve_envelope *e = &job->envelope;

    job->magic = SIEVE_JOB_MAGIC;
    job->task.run = run_task;
    job->host = host;
    job->pool = pool_new(0);
    job->tail = &job->recipients;
    pthread_mutex_init(&job->mutex, NULL);
    *e = *envelope;
    e->from = pool_strdup(job->pool, e->from);
    e->peer = pool_strdup(job->pool, e->peer);
    e->session = pool_strdup(job->pool, e->session);
    e->auth = e->auth != NULL ? pool_strdup(job->pool, e->auth) : NULL;
    e->message_id = e->message_id != NULL ? pool_strdup(job->pool, e->message_id) : NULL;
    return job;
}

static void free_recipient(struct sieve_recipient *r)
{
    for (struct included *i = r->included; i != NULL; i = i->next)
        compiled_release(&i->script);
    compiled_release(&r->script);
    lists_free(r);
    identity_free(&r->identity);
    pool_free(&r->pool);
}

static void destroy(struct sieve_job *job)
{
    for (struct sieve_recipient *r = job->recipients; r != NULL; r = r->next)
        free_recipient(r);
    stage_unmap(job->envelope.data, job->envelope.len);
    pthread_mutex_destroy(&job->mutex);
    pool_free(&job->pool);
    job->magic = 0;
    free(job);
}

void sieve_job_free(struct sieve_job **jobp)
{
    struct sieve_job *job = *jobp;
    bool done;

    if (job == NULL)
        return;
    MAGIC_CHECK(job, SIEVE_JOB_MAGIC);
    *jobp = NULL;
    pthread_mutex_lock(&job->mutex);
    done = job->done;
    job->abandoned = true;
    job->wake = NULL;
    pthread_mutex_unlock(&job->mutex);
    if (done)
        destroy(job);
}

/* ---- who it is for ---- */

/* The part of an address before its detail, with its domain, in the pool. */
static const char *without_detail(struct pool *pool, const char *address)
{
    const char *at = strrchr(address, '@'), *plus = strchr(address, '+');

    if (*address == '"' || plus == NULL || plus == address || (at != NULL && plus > at))
        return address;
    return pool_printf(pool, "%.*s%s", (int)(plus - address), address, at != NULL ? at : "");
}

static void set_addresses(struct sieve_recipient *r, const char *address)
{
    const char *host = config_servername();
    size_t n = 0;

    if (str_has_suffix(address, "@internal")) /* a frontend's word for none */
        address = pool_strndup(r->job->pool, address, strlen(address) - strlen("@internal"));
    r->address = pool_strdup(r->job->pool, address);
    if (strchr(address, '@') != NULL)
        r->addresses[n++] = without_detail(r->job->pool, r->address);
    r->addresses[n++] = strchr(r->userid, '@') != NULL
                            ? r->userid
                            : pool_printf(r->job->pool, "%s@%.*s", r->userid, (int)strcspn(host, ":"), host);
    r->owner = r->addresses[0];
}

struct sieve_recipient *sieve_job_add(struct sieve_job *job, struct compiled *script, const char *userid,
                                      const char *address)
{
    struct sieve_recipient *r = pool_alloc(job->pool, sizeof(*r));
    const struct name_config *names = job->host->names;
    struct buf inbox = BUF_INIT;

    r->job = job;
    r->script = script;
    r->pool = pool_new(0);
    r->userid = pool_strdup(job->pool, userid);
    r->identity = identity_new(names, r->userid);
    namespace_init(&r->ns, names, r->userid, false, r->pool);
    mboxname_inbox(names, r->userid, &inbox);
    r->inbox = pool_strdup(job->pool, buf_cstr(&inbox));
    buf_free(&inbox);
    set_addresses(r, address);
    *job->tail = r;
    job->tail = &r->next;
    return r;
}

/* ---- work ---- */

/* What can be done without waiting.  Is anything left? */
static bool run_here(struct sieve_job *job)
{
    bool left = false;

    for (struct sieve_recipient *r = job->recipients; r != NULL; r = r->next) {
        recipient_run(r);
        if (r->undecided || recipient_has_to_wait(r))
            left = true;
    }
    return left;
}

/* Runs what could not run before, and says where the actions will wait. */
static void decide_all(struct sieve_job *job)
{
    const char *id = job->envelope.message_id;

    for (struct sieve_recipient *r = job->recipients; r != NULL; r = r->next) {
        r->may_wait = true;
        if (r->undecided)
            recipient_run(r);
        recipient_add_places(r);
    }
    /* One that comes again while it is still under way would find nothing remembered. */
    if (id != NULL)
        courier_place_add(&job->task, pool_printf(job->pool, "message %s", id), 1);
    job->decided = true;
}

static void perform_all(struct sieve_job *job)
{
    job->deadline = clock_deadline(SIEVEHOST_JOB_MS);
    for (struct sieve_recipient *r = job->recipients; r != NULL; r = r->next)
        recipient_perform(r);
}

/* Whoever waits for the job is woken under its mutex: he may not end meanwhile. */
static void finish(struct sieve_job *job)
{
    bool abandoned;

    pthread_mutex_lock(&job->mutex);
    job->done = true;
    abandoned = job->abandoned;
    if (job->wake != NULL)
        job->wake(job->context);
    pthread_mutex_unlock(&job->mutex);
    if (abandoned)
        destroy(job);
}

static bool is_abandoned(struct sieve_job *job)
{
    bool abandoned;

    pthread_mutex_lock(&job->mutex);
    abandoned = job->abandoned;
    pthread_mutex_unlock(&job->mutex);
    return abandoned;
}

/* In a thread of the courier's, twice: what is decided says where it has to wait. */
static void run_task(struct courier_task *task)
{
    struct sieve_job *job = (struct sieve_job *)task;

    MAGIC_CHECK(job, SIEVE_JOB_MAGIC);
    log_set_session(job->envelope.session);
    if (!job->decided) {
        decide_all(job);
        if (courier_submit(job->host->courier, task) == 0) {
            log_set_session(NULL);
            return;
        }
        job->refused = true;
    }
    if (is_abandoned(job) || clock_ms() - job->submitted > SIEVEHOST_QUEUE_MS)
        job->refused = true;
    if (!job->refused)
        perform_all(job);
    log_set_session(NULL);
    finish(job);
}

void sieve_job_start(struct sieve_job *job, void (*wake)(void *context), void *context)
{
    job->deadline = clock_deadline(SIEVEHOST_JOB_MS);
    job->effort_left = SIEVEHOST_EFFORT_HERE;
    if (run_here(job)) {
        job->wake = wake;
        job->context = context;
        job->submitted = clock_ms();
        if (courier_submit(job->host->courier, &job->task) == 0)
            return;
        job->refused = true;
        job->done = true;
        return;
    }
    for (struct sieve_recipient *r = job->recipients; r != NULL; r = r->next)
        recipient_perform(r);
    job->done = true;
}

bool sieve_job_refused(const struct sieve_job *job)
{
    return job->refused;
}

bool sieve_job_done(struct sieve_job *job)
{
    bool done;

    pthread_mutex_lock(&job->mutex);
    done = job->done;
    pthread_mutex_unlock(&job->mutex);
    return done;
}

const struct sieve_outcome *sieve_recipient_outcome(const struct sieve_recipient *r)
{
    return &r->outcome;
}
