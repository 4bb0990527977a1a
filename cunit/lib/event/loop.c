#include "lib/event/loop.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cunit/unit.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"

struct scene {
    struct loop *loop;
    struct loop_timer *timer, *limit;
    struct loop_watch *watch;
    int fired, wanted;
    unsigned events;
    int status_sum;
};

static void give_up(void *context)
{
    struct scene *s = context;

    s->fired = -1000;
    loop_stop(s->loop);
}

static void begin(struct scene *s)
{
    *s = (struct scene){.loop = loop_new()};
    s->limit = loop_timer_new(s->loop, give_up, s);
    loop_timer_set(s->limit, clock_deadline(30000));
}

static void tick(void *context)
{
    struct scene *s = context;

    if (++s->fired < 3)
        loop_timer_set(s->timer, clock_deadline(5));
    else
        loop_stop(s->loop);
}

static void never(void *context)
{
    ((struct scene *)context)->fired += 100;
}

static void test_timers(void)
{
    struct scene s;
    struct loop_timer *off;
    int64_t began = clock_ms();

    begin(&s);
    s.timer = loop_timer_new(s.loop, tick, &s);
    off = loop_timer_new(s.loop, never, &s);
    loop_timer_set(off, clock_deadline(1));
    loop_timer_set(off, CLOCK_NEVER);
    loop_timer_set(s.timer, began - 1);
    loop_run(s.loop);
    CU_ASSERT_EQUAL(s.fired, 3);
    CU_ASSERT(clock_ms() - began >= 9);
    loop_timer_free(&off);
    CU_ASSERT_PTR_NULL(off);
    loop_free(&s.loop);
    CU_ASSERT_PTR_NULL(s.loop);
}

static void on_ready(int fd, unsigned events, void *context)
{
    struct scene *s = context;
    char c;

    s->events = events;
    if (events & POLLIN && read(fd, &c, 1) == 0)
        loop_watch_free(&s->watch); /* in its own callback */
    if (++s->fired == s->wanted)
        loop_stop(s->loop);
}

static void test_watch(void)
{
    struct scene s;
    int p[2];

    begin(&s);
    CU_ASSERT_EQUAL_FATAL(pipe(p), 0);
    s.watch = loop_watch_new(s.loop, p[0], POLLIN, on_ready, &s);
    CU_ASSERT_EQUAL(write(p[1], "xy", 2), 2);
    s.wanted = 2;
    loop_run(s.loop);
    CU_ASSERT_EQUAL(s.fired, 2);
    CU_ASSERT_EQUAL(s.events, POLLIN);
    close(p[1]);
    s.wanted = 3;
    loop_run(s.loop);
    CU_ASSERT_EQUAL(s.fired, 3);
    CU_ASSERT_PTR_NULL(s.watch);
    close(p[0]);
    loop_free(&s.loop);
}

/* A pipe whose reader is gone: how a service sees that master died. */
static void test_hang_up(void)
{
    struct scene s;
    int p[2];

    begin(&s);
    CU_ASSERT_EQUAL_FATAL(pipe(p), 0);
    s.watch = loop_watch_new(s.loop, p[1], POLLIN, on_ready, &s);
    close(p[0]);
    s.wanted = 1;
    loop_run(s.loop);
    CU_ASSERT_EQUAL(s.fired, 1);
    loop_watch_free(&s.watch);
    close(p[1]);
    loop_free(&s.loop);
}

static void on_signal(int signo, void *context)
{
    struct scene *s = context;

    s->fired += signo;
    loop_stop(s->loop);
}

static void test_signal(void)
{
    struct scene s;

    begin(&s);
    loop_signal(s.loop, SIGUSR1, on_signal, &s);
    loop_signal(s.loop, SIGUSR2, on_signal, &s);
    kill(getpid(), SIGUSR2);
    loop_run(s.loop);
    CU_ASSERT_EQUAL(s.fired, SIGUSR2);
    loop_free(&s.loop);
}

static void on_child(pid_t pid, int status, void *context)
{
    struct scene *s = context;

    CU_ASSERT(pid > 0);
    s->status_sum += WEXITSTATUS(status);
    if (++s->fired == s->wanted)
        loop_stop(s->loop);
}

static void test_children(void)
{
    char *const argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char[]){"exit 3"}, NULL};
    struct scene s;

    begin(&s);
    loop_children(s.loop, on_child, &s);
    s.wanted = 20;
    for (int i = 0; i < s.wanted; i++) {
        pid_t pid;

        CU_ASSERT_EQUAL(posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, NULL), 0);
    }
    loop_run(s.loop);
    CU_ASSERT_EQUAL(s.fired, 20);
    CU_ASSERT_EQUAL(s.status_sum, 60);
    loop_free(&s.loop);
}

static const struct unit_case cases[] = {
    {"timers", test_timers}, {"watch", test_watch},       {"hang-up", test_hang_up},
    {"signal", test_signal}, {"children", test_children}, {NULL, NULL},
};

extern const struct unit_suite loop_suite;
const struct unit_suite loop_suite = {"loop", cases};
