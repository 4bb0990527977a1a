/* Everything at once: input, a second descriptor, wakes, deadlines, file changes, sessions that end in
 * the middle of it.  Meant for ThreadSanitizer; IATLAS_STRESS_S makes it longer than half a second. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cunit/lib/engine/helper.h"
#include "cunit/unit.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"

enum { ACTORS = 24, DRIVERS = 3 };

/* One place that sessions live in, one after the other. */
struct actor {
    pthread_mutex_t lock;    /* guards session against close() */
    struct session *session; /* NULL: gone */
    int fd, event;           /* the session's; close() closes them */
    int peer, poke;          /* the driver's end, and its copy of the event's descriptor */
    atomic_uint echoed, closed;
    unsigned sent;
    const char *file;
    unsigned seed; /* the session's own */
};

static enum engine_verdict actor_run(struct session *s, void *object)
{
    struct actor *a = object;
    uint64_t count;
    ssize_t n;
    char c;

    if (session_stopping(s))
        return ENGINE_CLOSE;
    while ((n = read(a->fd, &c, 1)) == 1) {
        if (c == 'q')
            return ENGINE_CLOSE;
        a->echoed++;
    }
    if (n == 0 || errno != EAGAIN)
        return ENGINE_CLOSE;
    while (read(a->event, &count, sizeof(count)) == sizeof(count))
        ;
    a->seed = a->seed * 1103515245 + 12345;
    if ((a->seed >> 16) % 8 == 0)
        return ENGINE_AGAIN;
    session_watch(s, 0, a->fd, POLLIN);
    session_watch(s, 1, a->event, (a->seed >> 17) % 2 ? POLLIN : 0);
    session_set_deadline(s, clock_ms() + (a->seed >> 18) % 4);
    session_watch_file(s, (a->seed >> 20) % 4 ? a->file : NULL);
    return ENGINE_PARK;
}

static void actor_close(struct session *s, void *object)
{
    struct actor *a = object;

    pthread_mutex_lock(&a->lock);
    a->session = NULL;
    pthread_mutex_unlock(&a->lock);
    session_watch(s, 0, -1, 0);
    session_watch(s, 1, -1, 0);
    close(a->fd);
    close(a->event);
    a->closed++;
}

static const struct engine_ops actor_ops = {.name = "actor", .run = actor_run, .close = actor_close};

static void actor_start(struct engine *e, struct actor *a)
{
    int fd[2];

    BUG_ON(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) < 0);
    a->fd = fd[0];
    a->peer = fd[1];
    a->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    a->poke = fcntl(a->event, F_DUPFD_CLOEXEC, 0);
    a->echoed = a->closed = 0;
    a->sent = 0;
    pthread_mutex_lock(&a->lock);
    a->session = session_new(e, &actor_ops, a, "actor");
    pthread_mutex_unlock(&a->lock);
}

/* The session ends by a word of its peer, by its peer's leaving, or by both at once. */
static void actor_end(struct actor *a, unsigned how)
{
    if (how % 2 == 0)
        CU_ASSERT(write(a->peer, "q", 1) == 1);
    if (how % 3 != 0)
        shutdown(a->peer, SHUT_WR);
    else if (how % 2 != 0)
        CU_ASSERT(write(a->peer, "q", 1) == 1);
    CU_ASSERT(helper_reach(&a->closed, 1));
    CU_ASSERT_EQUAL(a->echoed, a->sent);
    close(a->peer);
    close(a->poke);
}

struct driver {
    struct engine *engine;
    struct actor *actors; /* ACTORS / DRIVERS of them are this driver's */
    const char *file;
    atomic_bool *stop;
    unsigned seed;
    unsigned ended;
};

static void file_touch(const char *path, unsigned how)
{
    char fresh[96];
    int fd;

    snprintf(fresh, sizeof(fresh), "%s.%u", path, how);
    fd = open(how % 4 == 0 ? fresh : path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    CU_ASSERT(write(fd, "x", 1) == 1);
    close(fd);
    if (how % 4 == 0)
        rename(fresh, path);
}

static void driver_step(struct driver *d)
{
    struct actor *a = &d->actors[rand_r(&d->seed) % (ACTORS / DRIVERS)];
    uint64_t one = 1;

    switch (rand_r(&d->seed) % 16) {
    case 0:
        actor_end(a, (unsigned)rand_r(&d->seed));
        actor_start(d->engine, a);
        d->ended++;
        break;
    case 1:
    case 2:
        file_touch(d->file, (unsigned)rand_r(&d->seed) % 16);
        break;
    case 3:
    case 4:
    case 5:
        CU_ASSERT(write(a->poke, &one, sizeof(one)) == sizeof(one));
        break;
    case 6:
    case 7:
    case 8:
        pthread_mutex_lock(&a->lock);
        if (a->session != NULL)
            session_wake(a->session);
        pthread_mutex_unlock(&a->lock);
        break;
    default:
        a->sent += write(a->peer, "x", 1) == 1;
    }
}

static void *driver_main(void *arg)
{
    struct driver *d = arg;

    while (!atomic_load(d->stop) || d->ended == 0)
        driver_step(d);
    return NULL;
}

static void run_drivers(struct engine *e, struct actor *actors, const char *file)
{
    const char *seconds = getenv("IATLAS_STRESS_S");
    struct driver driver[DRIVERS];
    pthread_t thread[DRIVERS];
    atomic_bool stop = false;

    for (unsigned i = 0; i < DRIVERS; i++) {
        driver[i] = (struct driver){.engine = e, .actors = actors + i * (ACTORS / DRIVERS)};
        driver[i].file = file;
        driver[i].stop = &stop;
        driver[i].seed = i + 1;
        BUG_ON(pthread_create(&thread[i], NULL, driver_main, &driver[i]) != 0);
    }
    helper_sleep(seconds != NULL ? atoi(seconds) * 1000 : 500);
    stop = true;
    for (unsigned i = 0; i < DRIVERS; i++) {
        pthread_join(thread[i], NULL);
        CU_ASSERT(driver[i].ended > 0);
    }
}

static void everything_at_once(void)
{
    struct engine *e = helper_engine(2, 6, 0);
    struct actor actors[ACTORS] = {0};
    char dir[] = "/tmp/iatlas-engine-XXXXXX";
    char path[64], command[80];
    struct engine_counters c;

    BUG_ON(mkdtemp(dir) == NULL);
    snprintf(path, sizeof(path), "%s/index", dir);
    file_touch(path, 1);
    for (unsigned i = 0; i < ACTORS; i++) {
        pthread_mutex_init(&actors[i].lock, NULL);
        actors[i].file = path;
        actors[i].seed = i;
        actor_start(e, &actors[i]);
    }
    run_drivers(e, actors, path);
    /* Nothing was lost: each still hears its peer. */
    for (unsigned i = 0; i < ACTORS; i++)
        actor_end(&actors[i], i);
    CU_ASSERT(helper_parked(e, 0));
    engine_counters(e, &c);
    CU_ASSERT_EQUAL(c.sessions, 0);
    engine_stop(&e);
    for (unsigned i = 0; i < ACTORS; i++)
        pthread_mutex_destroy(&actors[i].lock);
    snprintf(command, sizeof(command), "rm -r %s", dir);
    BUG_ON(system(command) != 0);
}

static const struct unit_case cases[] = {
    {"everything at once", everything_at_once},
    {NULL, NULL},
};

const struct unit_suite stress_suite = {"stress", cases};
