#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "master/program.h"
#include "master/services-private.h"

enum {
    SWEEP_MS = 10000,
    BIND_RETRY_MS = 300,     /* a retiring process may still have the address */
    BIND_FIRST_MS = 3000,    /* at the start: so may one of a master that died */
    CRASH_BURST = 100,       /* crashes of processes that had worked: restarted at once, */
    CRASHES_PER_SECOND = 20, /* then at this rate */
};

static void sweep(void *context)
{
    struct services *all = context;

    for (struct master_service *s = all->first; s != NULL; s = s->next)
        service_sweep(s);
    loop_timer_set(all->sweep, clock_deadline(SWEEP_MS));
}

struct services *services_new(struct loop *l, struct children *children, int backlog)
{
    struct services *all = xcalloc(1, sizeof(*all));

    *all = (struct services){.loop = l, .children = children, .backlog = backlog};
    all->sweep = loop_timer_new(l, sweep, all);
    return all;
}

/* ---- a service ---- */

void service_close_sockets(struct master_service *s)
{
    service_watch_stop(s);
    listen_close(&s->sockets, true);
    free(s->listen);
    free(s->proto);
    s->listen = s->proto = NULL;
}

static void service_free(struct master_service *s)
{
    struct master_service **at = &s->all->first;

    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    service_close_sockets(s);
    loop_timer_free(&s->retry);
    free(s->name);
    free(s->path);
    free(s);
}

void service_gone(struct master_service *s)
{
    if (s->state == SERVICE_REMOVED && s->processes == NULL)
        service_free(s);
}

/* Opens and, when the others listen too, listens.  0, or what listen_open() returns. */
static int open_sockets(struct master_service *s, char **error_r)
{
    int r = listen_open(s->entry->listen, s->entry->proto, &s->sockets, error_r);

    if (r == 0 && s->all->running && (r = listen_start(&s->sockets, s->all->backlog)) < 0) {
        *error_r = xstrprintf("cannot listen on %s: %s", s->entry->listen, error_text(r));
        listen_close(&s->sockets, true);
    }
    if (r < 0)
        return r;
    s->listen = xstrdup(s->entry->listen);
    s->proto = xstrdup(s->entry->proto);
    return 0;
}

/* The retry timer: for an address that was not free, else for a process that could not start. */
static void retry(void *context)
{
    struct master_service *s = context;
    char *error = NULL;

    if (s->state == SERVICE_UNBOUND) {
        if (open_sockets(s, &error) == 0) {
            LOG(LOG_NOTICE, MASTER_BOUND, LOG_STR(SERVICE, s->name), LOG_STR(VALUE, s->listen));
            s->state = SERVICE_ACTIVE;
        } else {
            loop_timer_set(s->retry, clock_deadline(BIND_RETRY_MS));
        }
        free(error);
    }
    service_balance(s);
}

static struct master_service *find(const struct services *all, const char *name)
{
    for (struct master_service *s = all->first; s != NULL; s = s->next) {
        if (s->state != SERVICE_REMOVED && strcmp(s->name, name) == 0)
            return s;
    }
    return NULL;
}

static struct master_service *service_new(struct services *all, const char *name)
{
    struct master_service *s = xcalloc(1, sizeof(*s)), **at = &all->first;

    s->all = all;
    s->name = xstrdup(name);
    s->state = SERVICE_UNBOUND;
    s->retry = loop_timer_new(all->loop, retry, s);
    while (*at != NULL)
        at = &(*at)->next;
    *at = s;
    return s;
}

/* ---- loading ---- */

/* Makes the services of the sections's entries listed, with what their entries say. */
static void list_entries(struct services *all, const struct conf *conf)
{
    for (struct master_service *s = all->first; s != NULL; s = s->next)
        s->listed = false;
    for (const struct conf_entry *e = conf->sections[CONF_SERVICES]; e != NULL; e = e->next) {
        struct master_service *s = find(all, e->name);
        unsigned rate = (unsigned)e->maxforkrate;

        if (s == NULL)
            s = service_new(all, e->name);
        s->listed = true;
        s->entry = e;
        s->not_before = 0;
        failures_forget(&s->failures);
        rate_init(&s->fork_rate, rate, rate);
        rate_init(&s->crash_rate, CRASHES_PER_SECOND, CRASH_BURST);
    }
}

/* Processes are retired; sockets close that nobody names any more, all of them before any is opened. */
static void drop_old(struct services *all)
{
    for (struct master_service *s = all->first, *next; s != NULL; s = next) {
        bool moved = s->listen != NULL && s->listed &&
                     (strcmp(s->listen, s->entry->listen) != 0 || strcmp(s->proto, s->entry->proto) != 0);

        next = s->next;
        for (struct process *p = s->processes; p != NULL; p = p->next)
            process_retire(p);
        if (!s->listed || moved)
            service_close_sockets(s);
        if (!s->listed) {
            s->state = SERVICE_REMOVED;
            s->entry = NULL;
            loop_timer_set(s->retry, CLOCK_NEVER);
            service_gone(s);
        }
    }
}

/* Finds the service's program.  0; ERR_NOTFOUND: no such program, and that is no program of Cyrus. */
static int find_program(struct master_service *s, char **error_r)
{
    enum program_state found;

    free(s->path);
    found = program_find(s->entry->argv[0], &s->path);
    if (found == PROGRAM_FOUND)
        return 0;
    service_close_sockets(s);
    s->state = SERVICE_ABSENT;
    if (found == PROGRAM_UNKNOWN) {
        *error_r = xstrprintf("%u:%u: %s: no such program: %s", s->entry->line, s->entry->column, s->name,
                              s->entry->argv[0]);
        return ERR_NOTFOUND;
    }
    LOG(LOG_NOTICE, MASTER_ABSENT, LOG_STR(NAME, s->name), LOG_STR(VALUE, s->entry->argv[0]));
    return 0;
}

/* Opens the sockets; at the start it waits a little for addresses that are just being given up. */
static int open_patiently(struct master_service *s, bool first, char **error_r)
{
    int64_t deadline = clock_deadline(BIND_FIRST_MS);
    int r;

    while ((r = open_sockets(s, error_r)) == ERR_BUSY && first && clock_left(deadline) > 0) {
        free(*error_r);
        usleep(100000);
    }
    return r;
}

static int load_service(struct master_service *s, bool first, char **error_r)
{
    int r = find_program(s, error_r);
    char *why;

    if (r < 0 || s->path == NULL)
        return r;
    s->state = SERVICE_ACTIVE;
    if (s->listen != NULL)
        return 0;
    r = open_patiently(s, first, &why);
    if (r < 0) {
        *error_r = xstrprintf("%u:%u: %s: %s", s->entry->line, s->entry->column, s->name, why);
        free(why);
        s->state = SERVICE_UNBOUND;
        loop_timer_set(s->retry, clock_deadline(BIND_RETRY_MS));
    }
    return r;
}

int services_load(struct services *all, const struct conf *conf, bool first, char **error_r)
{
    list_entries(all, conf);
    drop_old(all);
    for (struct master_service *s = all->first; s != NULL; s = s->next) {
        char *error = NULL;
        int r = s->listed ? load_service(s, first, &error) : 0;

        if (r < 0 && first) {
            *error_r = error;
            return ERR_CONFIG;
        }
        if (r < 0)
            LOG(LOG_ERR, MASTER_CONF, LOG_STR(NAME, s->name), LOG_STR(ERROR, error));
        free(error);
        service_balance(s);
    }
    return 0;
}

int services_listen(struct services *all, char **error_r)
{
    for (struct master_service *s = all->first; s != NULL; s = s->next) {
        int r = listen_start(&s->sockets, all->backlog);

        if (r < 0) {
            *error_r = xstrprintf("%s: cannot listen on %s: %s", s->name, s->listen, error_text(r));
            return ERR_CONFIG;
        }
    }
    return 0;
}

void services_run(struct services *all)
{
    all->running = true;
    for (struct master_service *s = all->first; s != NULL; s = s->next)
        service_balance(s);
    loop_timer_set(all->sweep, clock_deadline(SWEEP_MS));
}

/* ---- the end ---- */

void services_signal(struct services *all, int signo)
{
    for (const struct master_service *s = all->first; s != NULL; s = s->next) {
        for (const struct process *p = s->processes; p != NULL; p = p->next)
            child_signal(p->child, signo);
    }
}

void services_stop(struct services *all, int signo)
{
    all->running = false;
    loop_timer_set(all->sweep, CLOCK_NEVER);
    for (struct master_service *s = all->first; s != NULL; s = s->next) {
        loop_timer_set(s->retry, CLOCK_NEVER);
        service_close_sockets(s);
    }
    services_signal(all, signo);
}

unsigned services_processes(const struct services *all)
{
    unsigned n = 0;

    for (const struct master_service *s = all->first; s != NULL; s = s->next) {
        for (const struct process *p = s->processes; p != NULL; p = p->next)
            n++;
    }
    return n;
}

unsigned long services_crashes(const struct services *all)
{
    unsigned long n = 0;

    for (const struct master_service *s = all->first; s != NULL; s = s->next)
        n += s->crashes;
    return n;
}

void services_free(struct services **ap)
{
    struct services *all = *ap;

    if (all == NULL)
        return;
    while (all->first != NULL)
        service_free(all->first);
    loop_timer_free(&all->sweep);
    free(all);
    *ap = NULL;
}

/* ---- status ---- */

static const char *state_text(enum service_state state)
{
    static const char *const texts[] = {"active", "absent", "unbound", "disabled", "removed"};

    return texts[state];
}

static unsigned sessions_of(const struct master_service *s)
{
    unsigned n = 0;

    for (const struct process *p = s->processes; p != NULL; p = p->next)
        n += p->sessions;
    return n;
}

static unsigned processes_of(const struct master_service *s)
{
    unsigned n = 0;

    for (const struct process *p = s->processes; p != NULL; p = p->next)
        n++;
    return n;
}

static void process_status(const struct process *p, struct buf *to)
{
    const char *state = p->retired ? "retired" : !p->ready ? "starting" : p->room ? "available" : "full";

    buf_printf(to, "  process %ld state=%s sessions=%u connections=%lu age=%lld\n", (long)p->pid, state,
               p->sessions, p->connections, (long long)(clock_ms() - p->began) / 1000);
}

void services_status(const struct services *all, struct buf *to)
{
    for (const struct master_service *s = all->first; s != NULL; s = s->next) {
        buf_printf(
            to,
            "service %s state=%s listen=%s processes=%u sessions=%u connections=%lu forks=%lu crashes=%lu\n",
            s->name, state_text(s->state), s->listen != NULL ? s->listen : "-", processes_of(s),
            sessions_of(s), s->connections, s->forks, s->crashes);
        for (const struct process *p = s->processes; p != NULL; p = p->next)
            process_status(p, to);
    }
}

void services_log(const struct services *all)
{
    for (const struct master_service *s = all->first; s != NULL; s = s->next)
        LOG(LOG_NOTICE, MASTER_STATUS, LOG_STR(SERVICE, s->name), LOG_STR(STATE, state_text(s->state)),
            LOG_INT(PROCESSES, processes_of(s)), LOG_INT(SESSIONS, sessions_of(s)),
            LOG_INT(CONNECTIONS, s->connections), LOG_INT(FORKS, s->forks), LOG_INT(CRASHES, s->crashes));
}
