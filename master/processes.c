/* processes.c: the processes of a service and what they say on the status pipe. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "master/services-private.h"

enum { NOFILE_LEAST = 256 };

/* ---- shares ---- */

static unsigned long reserved(const struct master_service *s)
{
    unsigned long sum = 0;

    for (const struct process *p = s->processes; p != NULL; p = p->next)
        sum += p->retired || p->sessions > p->share ? p->sessions : p->share;
    return sum;
}

unsigned process_share(const struct master_service *s)
{
    unsigned most = s->entry->maxsessions > 0 ? (unsigned)s->entry->maxsessions : UINT_MAX;
    unsigned long max, used, processes, part;

    if (s->entry->maxchild < 0)
        return most;
    max = (unsigned long)s->entry->maxchild;
    used = reserved(s);
    if (used >= max)
        return 0;
    processes = s->entry->prefork > 0 ? (unsigned long)s->entry->prefork : 1;
    part = (max + processes - 1) / processes;
    part = part < max - used ? part : max - used;
    return part < most ? (unsigned)part : most;
}

/* ---- the status pipe ---- */

static void close_pipe(struct process *p)
{
    loop_watch_free(&p->watch);
    if (p->status_fd >= 0)
        close(p->status_fd);
    p->status_fd = -1;
}

/* Who speaks without a load report serves one connection after the other, as Cyrus's services do. */
static void set_foreign(struct process *p)
{
    if (!p->ours)
        p->share = 1;
}

static void set_load(struct process *p, unsigned sessions, bool full)
{
    p->ours = true;
    p->room = !full;
    if (sessions == 0 && p->sessions > 0)
        p->idle_since = clock_ms();
    p->sessions = sessions;
}

static void message(struct process *p, int32_t m)
{
    unsigned sessions;
    bool full;

    p->ready = true;
    failures_forget(&p->service->failures);
    if (status_is_load(m, &sessions, &full)) {
        set_load(p, sessions, full);
        return;
    }
    switch (m) {
    case STATUS_AVAILABLE:
        set_foreign(p);
        p->room = true;
        p->sessions = p->ours ? p->sessions : 0;
        p->idle_since = clock_ms();
        break;
    case STATUS_UNAVAILABLE:
        set_foreign(p);
        p->room = false;
        p->sessions = p->ours ? p->sessions : 1;
        break;
    case STATUS_CONNECTION:
    case STATUS_MULTI:
        p->connections++;
        p->service->connections++;
        p->idle_since = clock_ms();
        break;
    default:
        LOG(LOG_WARNING, MASTER_MESSAGE, LOG_STR(SERVICE, p->service->name), LOG_INT(PID, p->pid),
            LOG_INT(VALUE, m));
    }
}

/* Takes what there is; false: nothing more will come. */
static bool read_messages(struct process *p)
{
    for (;;) {
        ssize_t n =
            read(p->status_fd, (char *)&p->partial + p->partial_len, sizeof(p->partial) - p->partial_len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 && errno == EAGAIN;
        p->partial_len += (size_t)n;
        if (p->partial_len == sizeof(p->partial)) {
            p->partial_len = 0;
            message(p, p->partial.message);
        }
    }
}

static void pipe_ready(int fd, unsigned events, void *context)
{
    struct process *p = context;

    (void)fd;
    (void)events;
    if (!read_messages(p))
        close_pipe(p);
    service_balance(p->service);
}

/* ---- start and end ---- */

static void unlink_process(struct process *p)
{
    struct process **at = &p->service->processes;

    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
}

static void process_ended(struct child *c, int status, void *owner)
{
    struct process *p = owner;
    struct master_service *s = p->service;

    (void)c;
    if (p->status_fd >= 0)
        read_messages(p); /* its last words count */
    close_pipe(p);
    unlink_process(p);
    service_process_ended(s, p, status);
    free(p);
    service_balance(s);
    service_gone(s);
}

/* maxfds is for each session; without a bound of sessions the process gets all there are. */
static unsigned nofile(const struct master_service *s, unsigned share)
{
    unsigned long n;

    if (share == UINT_MAX)
        return 0;
    n = (unsigned long)share * (unsigned long)s->entry->maxfds;
    return n < NOFILE_LEAST ? NOFILE_LEAST : n > INT_MAX ? 0 : (unsigned)n;
}

static struct child *spawn(struct process *p, int write_fd)
{
    struct master_service *s = p->service;
    struct child_spec spec = {
        .path = s->path,
        .argv = s->entry->argv,
        .name = s->name,
        .pipe_fd = write_fd,
        .listen = &s->sockets,
        .proxyprotocol = s->entry->proxyprotocol,
        .sessions_max = p->share == UINT_MAX ? 0 : p->share,
        .nofile = nofile(s, p->share),
    };

    return child_spawn(s->all->children, &spec, process_ended, p);
}

bool process_start(struct master_service *s)
{
    struct process *p = xcalloc(1, sizeof(*p));
    int write_fd;

    *p = (struct process){.service = s, .status_fd = -1, .room = true, .share = process_share(s)};
    p->began = p->idle_since = clock_ms();
    if (child_pipe(&p->status_fd, &write_fd) == 0) {
        p->child = spawn(p, write_fd);
        close(write_fd);
    }
    if (p->child == NULL) {
        LOG(LOG_ERR, MASTER_SPAWN, LOG_STR(SERVICE, s->name), LOG_STR(ERROR, strerror(errno)));
        close_pipe(p);
        free(p);
        return false;
    }
    p->pid = child_pid(p->child);
    p->watch = loop_watch_new(s->all->loop, p->status_fd, POLLIN, pipe_ready, p);
    p->next = s->processes;
    s->processes = p;
    s->forks++;
    LOG(LOG_DEBUG, MASTER_FORK, LOG_STR(SERVICE, s->name), LOG_INT(PID, p->pid));
    return true;
}

void process_retire(struct process *p)
{
    if (p->retired)
        return;
    p->retired = true;
    p->room = false;
    child_signal(p->child, SIGHUP);
}
