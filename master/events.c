#include "master/events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "master/program.h"

enum { MINUTE_S = 60 };

struct event_job {
    struct events *all;
    char *name, *cmd, *path; /* path NULL: absent */
    const struct conf_entry *entry;
    struct child *child;
    struct loop_timer *period; /* of those that have one */
    bool listed;
    int64_t began; /* seconds of the epoch, of the last run; 0: none */
    unsigned long runs, failures;
    struct event_job *next;
};

struct events {
    struct loop *loop;
    struct children *children;
    struct event_job *first;
    struct loop_timer *minute;
    time_t looked; /* the times up to here have had their events */
    bool running;
};

static void job_gone(struct event_job *j)
{
    struct event_job **at = &j->all->first;

    while (*at != j)
        at = &(*at)->next;
    *at = j->next;
    loop_timer_free(&j->period);
    free(j->name);
    free(j->cmd);
    free(j->path);
    free(j);
}

static void ended(struct child *c, int status, void *owner)
{
    struct event_job *j = owner;
    char text[32];

    j->child = NULL;
    if (!child_succeeded(status)) {
        j->failures++;
        LOG(LOG_WARNING, MASTER_EVENT, LOG_STR(NAME, j->name), LOG_INT(PID, child_pid(c)),
            LOG_STR(VALUE, child_status_text(status, text, sizeof(text))));
    }
    if (!j->listed)
        job_gone(j);
}

/* Never twice at a time. */
static void run(struct event_job *j)
{
    struct child_spec spec = {.path = j->path, .argv = j->entry->argv, .name = j->name, .pipe_fd = -1};

    if (!j->all->running || j->path == NULL)
        return;
    if (j->child != NULL) {
        LOG(LOG_NOTICE, MASTER_OVERRUN, LOG_STR(NAME, j->name), LOG_INT(PID, child_pid(j->child)));
        return;
    }
    j->child = child_spawn(j->all->children, &spec, ended, j);
    if (j->child == NULL) {
        LOG(LOG_ERR, MASTER_SPAWN, LOG_STR(SERVICE, j->name), LOG_STR(ERROR, strerror(errno)));
        return;
    }
    j->began = clock_wall();
    j->runs++;
}

/* Period 0: once. */
static int64_t next_run(const struct conf_entry *e)
{
    return e->period > 0 ? clock_deadline((int64_t)e->period * MINUTE_S * 1000) : CLOCK_NEVER;
}

static void period_over(void *context)
{
    struct event_job *j = context;

    loop_timer_set(j->period, next_run(j->entry));
    run(j);
}

/* A little after the next minute of the wall clock begins. */
static void set_minute(struct events *all)
{
    int64_t ms = clock_wall_ns() / 1000000;

    loop_timer_set(all->minute, clock_deadline(MINUTE_S * 1000 - ms % (MINUTE_S * 1000) + 5));
}

static void minute_over(void *context)
{
    struct events *all = context;
    time_t now = (time_t)clock_wall();

    for (struct event_job *j = all->first, *next; j != NULL; j = next) {
        next = j->next;
        if (j->listed && j->entry->has_time && cron_matches_between(&j->entry->cron, all->looked, now))
            run(j);
    }
    all->looked = now;
    set_minute(all);
}

struct events *events_new(struct loop *l, struct children *children)
{
    struct events *all = xcalloc(1, sizeof(*all));

    *all = (struct events){.loop = l, .children = children};
    all->minute = loop_timer_new(l, minute_over, all);
    return all;
}

/* ---- loading ---- */

static bool is_same(const struct event_job *j, const struct conf_entry *e)
{
    return !j->listed && strcmp(j->name, e->name) == 0 && strcmp(j->cmd, e->cmd) == 0 &&
           (j->period == NULL) == e->has_time;
}

static struct event_job *find(const struct events *all, const struct conf_entry *e)
{
    struct event_job *j = all->first;

    while (j != NULL && !is_same(j, e))
        j = j->next;
    return j;
}

static struct event_job *job_new(struct events *all, const struct conf_entry *e)
{
    struct event_job *j = xcalloc(1, sizeof(*j)), **at = &all->first;

    *j = (struct event_job){.all = all, .name = xstrdup(e->name), .cmd = xstrdup(e->cmd), .entry = e};
    if (!e->has_time) {
        j->period = loop_timer_new(all->loop, period_over, j);
        if (all->running)
            loop_timer_set(j->period, clock_ms());
    }
    while (*at != NULL)
        at = &(*at)->next;
    *at = j;
    return j;
}

static int find_program(struct event_job *j, char **error_r)
{
    const struct conf_entry *e = j->entry;
    enum program_state found;

    free(j->path);
    found = program_find(e->argv[0], &j->path);
    if (found == PROGRAM_UNKNOWN) {
        *error_r = xstrprintf("%u:%u: %s: no such program: %s", e->line, e->column, e->name, e->argv[0]);
        return ERR_NOTFOUND;
    }
    if (found == PROGRAM_ABSENT)
        LOG(LOG_NOTICE, MASTER_ABSENT, LOG_STR(NAME, j->name), LOG_STR(VALUE, e->argv[0]));
    return 0;
}

int events_load(struct events *all, const struct conf *conf, bool first, char **error_r)
{
    for (struct event_job *j = all->first; j != NULL; j = j->next)
        j->listed = false;
    for (const struct conf_entry *e = conf->sections[CONF_EVENTS]; e != NULL; e = e->next) {
        struct event_job *j = find(all, e);
        char *error = NULL;

        if (j == NULL)
            j = job_new(all, e);
        else if (j->period != NULL && j->entry->period != e->period)
            loop_timer_set(j->period, next_run(e));
        j->listed = true;
        j->entry = e;
        if (find_program(j, &error) < 0) {
            if (first) {
                *error_r = error;
                return ERR_CONFIG;
            }
            LOG(LOG_ERR, MASTER_CONF, LOG_STR(NAME, j->name), LOG_STR(ERROR, error));
            free(error);
        }
    }
    for (struct event_job *j = all->first, *next; j != NULL; j = next) {
        next = j->next;
        if (j->listed)
            continue;
        loop_timer_free(&j->period);
        if (j->child == NULL)
            job_gone(j);
    }
    return 0;
}

void events_run(struct events *all)
{
    all->running = true;
    all->looked = (time_t)clock_wall();
    set_minute(all);
    for (struct event_job *j = all->first, *next; j != NULL; j = next) {
        next = j->next;
        if (j->period != NULL)
            period_over(j);
    }
}

void events_stop(struct events *all, int signo)
{
    all->running = false;
    loop_timer_set(all->minute, CLOCK_NEVER);
    for (struct event_job *j = all->first; j != NULL; j = j->next) {
        if (j->child != NULL)
            child_signal(j->child, signo);
    }
}

unsigned events_running(const struct events *all)
{
    unsigned n = 0;

    for (const struct event_job *j = all->first; j != NULL; j = j->next)
        n += j->child != NULL;
    return n;
}

void events_free(struct events **ap)
{
    struct events *all = *ap;

    if (all == NULL)
        return;
    while (all->first != NULL)
        job_gone(all->first);
    loop_timer_free(&all->minute);
    free(all);
    *ap = NULL;
}

void events_status(const struct events *all, struct buf *to)
{
    for (const struct event_job *j = all->first; j != NULL; j = j->next)
        buf_printf(to, "event %s state=%s runs=%lu failures=%lu last=%lld\n", j->name,
                   j->path == NULL    ? "absent"
                   : j->child != NULL ? "running"
                                      : "waiting",
                   j->runs, j->failures, (long long)j->began);
}
