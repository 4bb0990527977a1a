#include "lib/event/loop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"

struct loop_timer {
    struct loop *loop;
    struct event *event;
    void (*fn)(void *context);
    void *context;
    struct loop_timer *next, **link;
};

struct loop_watch {
    struct loop *loop;
    struct event *event;
    int fd;
    void (*fn)(int fd, unsigned events, void *context);
    void *context;
    struct loop_watch *next, **link;
};

enum { SIGNALS = 64 };

struct loop {
    struct event_base *base;
    struct loop_timer *timers;
    struct loop_watch *watches;
    struct loop_watch *stop_watch, *signal_watch;
    int stop_fd;   /* eventfd */
    int signal_fd; /* signalfd of `signals`, or -1 */
    sigset_t signals;
    struct {
        void (*fn)(int signo, void *context);
        void *context;
    } handlers[SIGNALS];
    void (*child_fn)(pid_t pid, int status, void *context);
    void *child_context;
};

static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base;

    BUG_ON(config == NULL);
    /* One loop one thread: no locks. */
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    base = event_base_new_with_config(config);
    BUG_ON(base == NULL);
    event_config_free(config);
    return base;
}

static void stop_ready(int fd, unsigned events, void *context)
{
    struct loop *l = context;
    eventfd_t count;

    (void)events;
    eventfd_read(fd, &count);
    event_base_loopbreak(l->base);
}

struct loop *loop_new(void)
{
    struct loop *l = xcalloc(1, sizeof(*l));

    l->base = new_base();
    l->signal_fd = -1;
    sigemptyset(&l->signals);
    l->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    BUG_ON(l->stop_fd < 0);
    l->stop_watch = loop_watch_new(l, l->stop_fd, POLLIN, stop_ready, l);
    return l;
}

void loop_free(struct loop **lp)
{
    struct loop *l = *lp;

    if (l == NULL)
        return;
    while (l->timers != NULL) {
        struct loop_timer *t = l->timers;

        loop_timer_free(&t);
    }
    while (l->watches != NULL) {
        struct loop_watch *w = l->watches;

        loop_watch_free(&w);
    }
    close(l->stop_fd);
    if (l->signal_fd >= 0)
        close(l->signal_fd);
    event_base_free(l->base);
    free(l);
    *lp = NULL;
}

/* The loop that this thread runs. */
static _Thread_local struct loop *running;

void loop_run(struct loop *l)
{
    struct loop *outer = running;

    running = l;
    event_base_loop(l->base, EVLOOP_NO_EXIT_ON_EMPTY);
    running = outer;
}

void loop_stop(struct loop *l)
{
    if (running == l)
        event_base_loopbreak(l->base);
    else
        eventfd_write(l->stop_fd, 1);
}

/* ---- timers ---- */

static void timer_due(evutil_socket_t fd, short what, void *context)
{
    struct loop_timer *t = context;

    (void)fd;
    (void)what;
    t->fn(t->context);
}

struct loop_timer *loop_timer_new(struct loop *l, void (*fn)(void *context), void *context)
{
    struct loop_timer *t = xcalloc(1, sizeof(*t));

    t->loop = l;
    t->fn = fn;
    t->context = context;
    t->event = evtimer_new(l->base, timer_due, t);
    BUG_ON(t->event == NULL);
    t->next = l->timers;
    t->link = &l->timers;
    if (t->next != NULL)
        t->next->link = &t->next;
    l->timers = t;
    return t;
}

void loop_timer_set(struct loop_timer *t, int64_t deadline)
{
    int64_t left = deadline - clock_ms();
    struct timeval tv;

    if (deadline == CLOCK_NEVER) {
        evtimer_del(t->event);
        return;
    }
    left = left < 0 ? 0 : left;
    tv.tv_sec = (time_t)(left / 1000);
    tv.tv_usec = (suseconds_t)(left % 1000 * 1000);
    BUG_ON(evtimer_add(t->event, &tv) != 0);
}

void loop_timer_free(struct loop_timer **tp)
{
    struct loop_timer *t = *tp;

    if (t == NULL)
        return;
    event_free(t->event);
    *t->link = t->next;
    if (t->next != NULL)
        t->next->link = t->link;
    free(t);
    *tp = NULL;
}

/* ---- descriptors ---- */

static void watch_ready(evutil_socket_t fd, short what, void *context)
{
    struct loop_watch *w = context;
    unsigned events = (what & EV_READ ? POLLIN : 0u) | (what & EV_WRITE ? POLLOUT : 0u);

    w->fn((int)fd, events, w->context);
}

static void watch_arm(struct loop_watch *w, unsigned events)
{
    short what = (short)(EV_PERSIST | (events & POLLIN ? EV_READ : 0) | (events & POLLOUT ? EV_WRITE : 0));

    BUG_ON(event_assign(w->event, w->loop->base, w->fd, what, watch_ready, w) != 0);
    if (events != 0)
        BUG_ON(event_add(w->event, NULL) != 0);
}

struct loop_watch *loop_watch_new(struct loop *l, int fd, unsigned events,
                                  void (*fn)(int fd, unsigned events, void *context), void *context)
{
    struct loop_watch *w = xcalloc(1, sizeof(*w));

    w->loop = l;
    w->fd = fd;
    w->fn = fn;
    w->context = context;
    w->event = event_new(l->base, fd, EV_PERSIST, watch_ready, w);
    BUG_ON(w->event == NULL);
    w->next = l->watches;
    w->link = &l->watches;
    if (w->next != NULL)
        w->next->link = &w->next;
    l->watches = w;
    watch_arm(w, events);
    return w;
}

void loop_watch_set(struct loop_watch *w, unsigned events)
{
    event_del(w->event);
    watch_arm(w, events);
}

void loop_watch_free(struct loop_watch **wp)
{
    struct loop_watch *w = *wp;

    if (w == NULL)
        return;
    event_free(w->event);
    *w->link = w->next;
    if (w->next != NULL)
        w->next->link = w->link;
    free(w);
    *wp = NULL;
}

/* ---- signals and children ---- */

static void signals_ready(int fd, unsigned events, void *context)
{
    struct loop *l = context;
    struct signalfd_siginfo info;

    (void)events;
    while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo < SIGNALS && l->handlers[info.ssi_signo].fn != NULL)
            l->handlers[info.ssi_signo].fn((int)info.ssi_signo, l->handlers[info.ssi_signo].context);
    }
}

void loop_signal(struct loop *l, int signo, void (*fn)(int signo, void *context), void *context)
{
    int fd;

    BUG_ON(signo <= 0 || signo >= SIGNALS);
    l->handlers[signo].fn = fn;
    l->handlers[signo].context = context;
    sigaddset(&l->signals, signo);
    pthread_sigmask(SIG_BLOCK, &l->signals, NULL);
    fd = signalfd(l->signal_fd, &l->signals, SFD_CLOEXEC | SFD_NONBLOCK);
    BUG_ON(fd < 0);
    l->signal_fd = fd;
    if (l->signal_watch == NULL)
        l->signal_watch = loop_watch_new(l, fd, POLLIN, signals_ready, l);
}

static void reap(int signo, void *context)
{
    struct loop *l = context;
    int status;
    pid_t pid;

    (void)signo;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0 || (pid < 0 && errno == EINTR)) {
        if (pid > 0)
            l->child_fn(pid, status, l->child_context);
    }
}

void loop_children(struct loop *l, void (*fn)(pid_t pid, int status, void *context), void *context)
{
    l->child_fn = fn;
    l->child_context = context;
    loop_signal(l, SIGCHLD, reap, l);
}
