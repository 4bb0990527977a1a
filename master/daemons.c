#include "master/daemons.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "master/program.h"
#include "master/rate.h"

enum { QUICK_MS = 10000 /* a daemon that lived shorter has failed */ };

static const char ready_word[] = "ok\r\n";

enum daemon_state { DAEMON_IDLE, DAEMON_STARTING, DAEMON_RUNNING, DAEMON_ABSENT, DAEMON_DISABLED };

struct daemon_job {
    struct daemons *all;
    char *name, *cmd, *path;
    char *const *argv; /* of the current configuration */
    bool wait, listed;
    enum daemon_state state;
    struct child *child;
    int ready_fd; /* -1: closed */
    struct loop_watch *ready_watch;
    char said[sizeof(ready_word)];
    size_t said_len;
    struct failures failures;
    int64_t began;
    unsigned long starts, crashes;
    struct daemon_job *next; /* in the file's order */
};

struct daemons {
    struct loop *loop;
    struct children *children;
    struct daemon_job *first;
    bool running;
    struct daemon_job *awaited; /* of daemons_start_waiting() */
    void (*done)(const char *error, void *context);
    void *context;
};

struct daemons *daemons_new(struct loop *l, struct children *children)
{
    struct daemons *all = xcalloc(1, sizeof(*all));

    *all = (struct daemons){.loop = l, .children = children};
    return all;
}

static void start_next_waiting(struct daemons *all);

/* Ends the wait for the daemon that is awaited. */
static void awaited_over(struct daemon_job *d, const char *why)
{
    struct daemons *all = d->all;
    char *text;

    if (all->awaited != d)
        return;
    if (why == NULL) {
        start_next_waiting(all);
        return;
    }
    all->awaited = NULL;
    text = xstrprintf("daemon %s: %s", d->name, why);
    all->done(text, all->context);
    free(text);
}

static void close_ready(struct daemon_job *d)
{
    loop_watch_free(&d->ready_watch);
    if (d->ready_fd >= 0)
        close(d->ready_fd);
    d->ready_fd = -1;
}

/* What the daemon says on descriptor 3: "ok\r\n", or its start has failed. */
static void ready_readable(int fd, unsigned events, void *context)
{
    struct daemon_job *d = context;
    ssize_t n = read(fd, d->said + d->said_len, sizeof(ready_word) - 1 - d->said_len);

    (void)events;
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    d->said_len += n > 0 ? (size_t)n : 0;
    if (n > 0 && d->said_len < sizeof(ready_word) - 1 && memcmp(d->said, ready_word, d->said_len) == 0)
        return;
    close_ready(d);
    if (d->said_len == sizeof(ready_word) - 1 && memcmp(d->said, ready_word, d->said_len) == 0) {
        d->state = DAEMON_RUNNING;
        failures_forget(&d->failures);
        awaited_over(d, NULL);
    } else {
        awaited_over(d, "did not say ok on descriptor 3");
    }
}

static void start(struct daemon_job *d);
static void job_gone(struct daemon_job *d);

static void ended(struct child *c, int status, void *owner)
{
    struct daemon_job *d = owner;
    char text[32];

    d->child = NULL;
    close_ready(d);
    child_status_text(status, text, sizeof(text));
    if (d->all->running && d->listed) {
        d->crashes++;
        LOG(LOG_WARNING, MASTER_DIED, LOG_STR(SERVICE, d->name), LOG_INT(PID, child_pid(c)),
            LOG_STR(VALUE, text));
    }
    d->state = DAEMON_IDLE;
    if (d->all->awaited == d)
        awaited_over(d, text);
    else if (!d->listed)
        job_gone(d);
    else if (d->all->running && clock_ms() - d->began < QUICK_MS && failures_add(&d->failures, clock_ms())) {
        LOG(LOG_ERR, MASTER_DISABLED, LOG_STR(SERVICE, d->name), LOG_INT(COUNT, FAILURES_MAX));
        d->state = DAEMON_DISABLED;
    } else {
        start(d);
    }
}

/* Starts it, where it has a program and does not run. */
static void start(struct daemon_job *d)
{
    struct child_spec spec = {
        .path = d->path, .argv = d->argv, .name = d->name, .is_daemon = true, .pipe_fd = -1};

    if (d->state == DAEMON_IDLE && d->path == NULL)
        d->state = DAEMON_ABSENT;
    if (d->state != DAEMON_IDLE || !d->all->running)
        return;
    d->ready_fd = -1;
    d->said_len = 0;
    if (d->wait && child_pipe(&d->ready_fd, &spec.pipe_fd) < 0)
        spec.pipe_fd = -1;
    d->child = child_spawn(d->all->children, &spec, ended, d);
    if (spec.pipe_fd >= 0)
        close(spec.pipe_fd);
    if (d->child == NULL) {
        LOG(LOG_ERR, MASTER_SPAWN, LOG_STR(SERVICE, d->name), LOG_STR(ERROR, strerror(errno)));
        close_ready(d);
        d->state = DAEMON_DISABLED;
        awaited_over(d, "cannot be started");
        return;
    }
    if (d->ready_fd >= 0)
        d->ready_watch = loop_watch_new(d->all->loop, d->ready_fd, POLLIN, ready_readable, d);
    d->state = d->wait ? DAEMON_STARTING : DAEMON_RUNNING;
    d->began = clock_ms();
    d->starts++;
}

/* ---- loading ---- */

static void job_gone(struct daemon_job *d)
{
    struct daemon_job **at = &d->all->first;

    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    close_ready(d);
    free(d->name);
    free(d->cmd);
    free(d->path);
    free(d);
}

static struct daemon_job *find(const struct daemons *all, const struct conf_entry *e)
{
    struct daemon_job *d = all->first;

    while (d != NULL &&
           (d->listed || strcmp(d->name, e->name) != 0 || strcmp(d->cmd, e->cmd) != 0 || d->wait != e->wait))
        d = d->next;
    return d;
}

static struct daemon_job *job_new(struct daemons *all, const struct conf_entry *e)
{
    struct daemon_job *d = xcalloc(1, sizeof(*d)), **at = &all->first;

    *d = (struct daemon_job){
        .all = all, .name = xstrdup(e->name), .cmd = xstrdup(e->cmd), .wait = e->wait, .ready_fd = -1};
    while (*at != NULL)
        at = &(*at)->next;
    *at = d;
    return d;
}

/* Finds the program; ERR_NOTFOUND as in services. */
static int find_program(struct daemon_job *d, const struct conf_entry *e, char **error_r)
{
    enum program_state found;

    free(d->path);
    found = program_find(e->argv[0], &d->path);
    if (found == PROGRAM_FOUND) {
        if (d->state == DAEMON_ABSENT || d->state == DAEMON_DISABLED)
            d->state = DAEMON_IDLE;
        return 0;
    }
    if (d->child == NULL)
        d->state = DAEMON_ABSENT;
    if (found == PROGRAM_UNKNOWN) {
        *error_r = xstrprintf("%u:%u: %s: no such program: %s", e->line, e->column, e->name, e->argv[0]);
        return ERR_NOTFOUND;
    }
    LOG(LOG_NOTICE, MASTER_ABSENT, LOG_STR(NAME, d->name), LOG_STR(VALUE, e->argv[0]));
    return 0;
}

int daemons_load(struct daemons *all, const struct conf *conf, bool first, char **error_r)
{
    for (struct daemon_job *d = all->first; d != NULL; d = d->next)
        d->listed = false;
    for (const struct conf_entry *e = conf->sections[CONF_DAEMON]; e != NULL; e = e->next) {
        struct daemon_job *d = find(all, e);
        char *error = NULL;

        if (d == NULL)
            d = job_new(all, e);
        d->listed = true;
        d->argv = e->argv;
        if (find_program(d, e, &error) < 0) {
            if (first) {
                *error_r = error;
                return ERR_CONFIG;
            }
            LOG(LOG_ERR, MASTER_CONF, LOG_STR(NAME, d->name), LOG_STR(ERROR, error));
            free(error);
        }
        if (!first)
            start(d);
    }
    for (struct daemon_job *d = all->first, *next; d != NULL; d = next) {
        next = d->next;
        if (!d->listed && d->child != NULL)
            child_signal(d->child, SIGTERM);
        else if (!d->listed)
            job_gone(d);
    }
    return 0;
}

/* ---- start and stop ---- */

static void start_next_waiting(struct daemons *all)
{
    struct daemon_job *d = all->awaited != NULL ? all->awaited->next : all->first;

    while (d != NULL && (!d->wait || d->state == DAEMON_ABSENT))
        d = d->next;
    all->awaited = d;
    if (d != NULL)
        start(d);
    else
        all->done(NULL, all->context);
}

void daemons_start_waiting(struct daemons *all, void (*done)(const char *error, void *context), void *context)
{
    all->running = true;
    all->done = done;
    all->context = context;
    start_next_waiting(all);
}

void daemons_start_plain(struct daemons *all)
{
    for (struct daemon_job *d = all->first; d != NULL; d = d->next) {
        if (!d->wait)
            start(d);
    }
}

void daemons_stop(struct daemons *all)
{
    all->running = false;
    all->awaited = NULL;
}

void daemons_stop_plain(struct daemons *all, int signo)
{
    for (const struct daemon_job *d = all->first; d != NULL; d = d->next) {
        if (!d->wait && d->child != NULL)
            child_signal(d->child, signo);
    }
}

void daemons_stop_last_waiting(struct daemons *all, int signo)
{
    const struct daemon_job *last = NULL;

    for (const struct daemon_job *d = all->first; d != NULL; d = d->next) {
        if (d->wait && d->child != NULL)
            last = d;
    }
    if (last != NULL)
        child_signal(last->child, signo);
}

static unsigned count_running(const struct daemons *all, bool wait)
{
    unsigned n = 0;

    for (const struct daemon_job *d = all->first; d != NULL; d = d->next)
        n += d->wait == wait && d->child != NULL;
    return n;
}

unsigned daemons_plain_running(const struct daemons *all)
{
    return count_running(all, false);
}

unsigned daemons_waiting_running(const struct daemons *all)
{
    return count_running(all, true);
}

void daemons_free(struct daemons **ap)
{
    struct daemons *all = *ap;

    if (all == NULL)
        return;
    while (all->first != NULL)
        job_gone(all->first);
    free(all);
    *ap = NULL;
}

void daemons_status(const struct daemons *all, struct buf *to)
{
    static const char *const states[] = {"idle", "starting", "running", "absent", "disabled"};

    for (const struct daemon_job *d = all->first; d != NULL; d = d->next)
        buf_printf(to, "daemon %s state=%s pid=%ld wait=%d starts=%lu crashes=%lu\n", d->name,
                   states[d->state], d->child != NULL ? (long)child_pid(d->child) : 0L, d->wait, d->starts,
                   d->crashes);
}
