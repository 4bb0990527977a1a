/* balance.c: how many processes a service has. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "master/services-private.h"

enum {
    IDLE_MS = 60000,          /* a process beyond prefork is kept so long without a session */
    BABYSIT_PAUSE_MS = 10000, /* between attempts at a service that may not be given up */
    SPAWN_RETRY_MS = 1000,    /* when the system had no room for a process */
};

unsigned service_live(const struct master_service *s)
{
    unsigned n = 0;

    for (const struct process *p = s->processes; p != NULL; p = p->next)
        n += !p->retired;
    return n;
}

unsigned service_rooms(const struct master_service *s)
{
    unsigned n = 0;

    for (const struct process *p = s->processes; p != NULL; p = p->next)
        n += !p->retired && p->room;
    return n;
}

static unsigned wanted(const struct master_service *s)
{
    unsigned n = (unsigned)s->entry->prefork;

    return n == 0 && s->entry->babysit ? 1 : n;
}

void service_watch_stop(struct master_service *s)
{
    for (size_t i = 0; i < LISTEN_MAX; i++)
        loop_watch_free(&s->watches[i]);
}

/* When the next process may start. */
static int64_t next_start(const struct master_service *s)
{
    int64_t now = clock_ms(), by_forks = rate_next(&s->fork_rate, now),
            by_crashes = rate_next(&s->crash_rate, now);
    int64_t at = by_forks > by_crashes ? by_forks : by_crashes;

    return at > s->not_before ? at : s->not_before;
}

/* Starts one, as the rates allow; else comes back when they do. */
static bool start_one(struct master_service *s)
{
    int64_t now = clock_ms(), next = next_start(s);

    if (next > now) {
        loop_timer_set(s->retry, next);
        return false;
    }
    if (!process_start(s)) {
        loop_timer_set(s->retry, now + SPAWN_RETRY_MS);
        return false;
    }
    rate_take(&s->fork_rate, now);
    return true;
}

static void connection_waits(int fd, unsigned events, void *context)
{
    struct master_service *s = context;

    (void)fd;
    (void)events;
    service_watch_stop(s);
    if (service_rooms(s) == 0 && process_share(s) > 0)
        start_one(s);
    else
        service_balance(s);
}

static void watch_start(struct master_service *s)
{
    for (size_t i = 0; i < s->sockets.count; i++)
        s->watches[i] = loop_watch_new(s->all->loop, s->sockets.fds[i], POLLIN, connection_waits, s);
}

void service_balance(struct master_service *s)
{
    if (!s->all->running || s->state != SERVICE_ACTIVE)
        return;
    while (service_rooms(s) < wanted(s) && process_share(s) > 0) {
        if (!start_one(s))
            break;
    }
    if (service_rooms(s) > 0 || process_share(s) == 0) {
        service_watch_stop(s);
    } else if (next_start(s) > clock_ms()) {
        service_watch_stop(s);
        loop_timer_set(s->retry, next_start(s));
    } else if (s->watches[0] == NULL) {
        /* Nobody takes connections and the bounds allow one more who does: when one waits. */
        watch_start(s);
    }
}

static void disable(struct master_service *s)
{
    if (s->entry->babysit) {
        LOG(LOG_ERR, MASTER_BABYSIT, LOG_STR(SERVICE, s->name), LOG_INT(COUNT, FAILURES_MAX));
        s->not_before = clock_ms() + BABYSIT_PAUSE_MS;
        return;
    }
    LOG(LOG_ERR, MASTER_DISABLED, LOG_STR(SERVICE, s->name), LOG_INT(COUNT, FAILURES_MAX));
    s->state = SERVICE_DISABLED;
    service_close_sockets(s);
    for (struct process *p = s->processes; p != NULL; p = p->next)
        process_retire(p);
}

/* Did it fail by itself?  SIGKILL and its like come from outside. */
static bool failed_by_itself(int status)
{
    static const int sent[] = {SIGKILL, SIGTERM, SIGHUP, SIGINT, SIGQUIT};

    for (size_t i = 0; i < ARRAY_SIZE(sent) && WIFSIGNALED(status); i++) {
        if (WTERMSIG(status) == sent[i])
            return false;
    }
    return true;
}

void service_process_ended(struct master_service *s, const struct process *p, int status)
{
    char text[32];

    if (child_succeeded(status) || (p->retired && !p->ready && !failed_by_itself(status)))
        return;
    s->crashes++;
    LOG(LOG_WARNING, MASTER_DIED, LOG_STR(SERVICE, s->name), LOG_INT(PID, p->pid),
        LOG_STR(VALUE, child_status_text(status, text, sizeof(text))), LOG_INT(COUNT, p->sessions));
    if (p->retired || s->state != SERVICE_ACTIVE || !s->all->running)
        return;
    rate_take(&s->crash_rate, clock_ms());
    if (!p->ready && failed_by_itself(status) && failures_add(&s->failures, clock_ms()))
        disable(s);
}

void service_sweep(struct master_service *s)
{
    unsigned rooms = service_rooms(s), keep;
    int64_t before = clock_ms() - IDLE_MS;

    if (s->state != SERVICE_ACTIVE)
        return;
    keep = wanted(s);
    for (struct process *p = s->processes; p != NULL && rooms > keep; p = p->next) {
        if (!p->retired && p->room && p->ready && p->sessions == 0 && p->idle_since < before) {
            process_retire(p);
            rooms--;
        }
    }
}
