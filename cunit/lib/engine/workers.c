#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cunit/lib/engine/helper.h"
#include "cunit/unit.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"

/* A session that always wants to go on, until told to stop. */
struct busy {
    atomic_bool stop;
    atomic_uint runs, closed;
    int hold_ms; /* how long each run keeps its worker */
};

static enum engine_verdict busy_run(struct session *s, void *object)
{
    struct busy *b = object;

    (void)s;
    b->runs++;
    if (b->hold_ms > 0)
        helper_sleep(b->hold_ms);
    return b->stop ? ENGINE_CLOSE : ENGINE_AGAIN;
}

static void busy_close(struct session *s, void *object)
{
    struct busy *b = object;

    (void)s;
    b->closed++;
}

static const struct engine_ops busy_ops = {.name = "busy", .run = busy_run, .close = busy_close};

/* One worker, two sessions that never rest: a third is served all the same. */
static void fairness(void)
{
    struct engine *e = helper_engine(1, 1, 0);
    struct busy busy[2] = {{.hold_ms = 1}, {.hold_ms = 1}};
    struct echo echo = {0};

    for (int i = 0; i < 2; i++)
        session_new(e, &busy_ops, &busy[i], "busy-1");
    echo_start(e, &echo);
    for (int i = 0; i < 10; i++)
        CU_ASSERT(echo_works(&echo));
    CU_ASSERT(busy[0].runs > 0);
    CU_ASSERT(busy[1].runs > 0);
    for (int i = 0; i < 2; i++) {
        busy[i].stop = true;
        CU_ASSERT(helper_reach(&busy[i].closed, 1));
    }
    echo_stop(&echo);
    engine_stop(&e);
}

/* Workers that are held up make others come; the limit is kept; the idle ones go. */
static void pool_grows_and_shrinks(void)
{
    struct engine *e = helper_engine(2, 6, 0);
    struct busy busy[10] = {0};
    struct engine_counters c;
    unsigned most = 0;
    int64_t until;

    for (int i = 0; i < 10; i++) {
        busy[i].hold_ms = 50;
        session_new(e, &busy_ops, &busy[i], "busy-1");
    }
    for (int i = 0; i < 10; i++)
        CU_ASSERT(helper_reach(&busy[i].runs, 1));
    until = clock_deadline(30000);
    for (int settled = 0; settled < 10 && clock_ms() < until; settled += most == 6) {
        helper_sleep(1);
        engine_counters(e, &c);
        most = c.threads > most ? c.threads : most;
    }
    CU_ASSERT_EQUAL(most, 6);
    for (int i = 0; i < 10; i++)
        busy[i].stop = true;
    until = clock_deadline(30000);
    do {
        helper_sleep(20);
        engine_counters(e, &c);
    } while (c.threads > 2 && clock_ms() < until);
    CU_ASSERT_EQUAL(c.threads, 2);
    CU_ASSERT_EQUAL(c.sessions, 0);
    engine_stop(&e);
}

/* ---- accepting ---- */

struct listener {
    int fd;
    struct sockaddr_in address;
    struct echo echo[8];
    atomic_uint accepted;
    atomic_uint full, room;
};

static void on_accept(struct engine *e, int fd, void *context)
{
    struct listener *l = context;
    struct echo *echo = &l->echo[l->accepted];

    BUG_ON(fcntl(fd, F_SETFL, O_NONBLOCK) < 0);
    echo->fd = fd;
    echo->deadline = CLOCK_NEVER;
    echo->session = session_new(e, &echo_ops, echo, "tcp-1");
    l->accepted++;
}

static void on_full(bool is_full, void *context)
{
    struct listener *l = context;

    if (is_full)
        l->full++;
    else
        l->room++;
}

static void listener_open(struct listener *l)
{
    socklen_t n = sizeof(l->address);

    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    l->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    BUG_ON(l->fd < 0 || bind(l->fd, (struct sockaddr *)&l->address, n) < 0 || listen(l->fd, 16) < 0);
    BUG_ON(getsockname(l->fd, (struct sockaddr *)&l->address, &n) < 0);
}

static int listener_connect(const struct listener *l)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    BUG_ON(fd < 0 || connect(fd, (const struct sockaddr *)&l->address, sizeof(l->address)) < 0);
    return fd;
}

static void full_process_waits(void)
{
    struct listener l = {0};
    struct engine_config config = {.workers_min = 1, .workers_max = 2, .sessions_max = 2, .full = on_full};
    struct engine *e;
    int fd[3];

    listener_open(&l);
    config.context = &l;
    BUG_ON(engine_start(&config, &e) != 0);
    BUG_ON(engine_listen(e, l.fd, on_accept, &l) != 0);
    for (int i = 0; i < 3; i++)
        fd[i] = listener_connect(&l);
    CU_ASSERT(helper_reach(&l.full, 1));
    helper_sleep(30);
    CU_ASSERT_EQUAL(l.accepted, 2);
    CU_ASSERT_EQUAL(l.room, 0);
    close(fd[0]);
    CU_ASSERT(helper_reach(&l.room, 1));
    CU_ASSERT(helper_reach(&l.accepted, 3));
    CU_ASSERT(helper_reach(&l.full, 2));
    engine_stop_listening(e);
    /* The socket itself still listens for others. */
    close(listener_connect(&l));
    CU_ASSERT_EQUAL(engine_drain(e, clock_deadline(30000)), 0);
    close(fd[1]);
    close(fd[2]);
    engine_stop(&e);
    close(l.fd);
}

/* Ending an acceptor that sits in accept(2) or waits for room. */
static void acceptors_end(void)
{
    for (int i = 0; i < 20; i++) {
        struct listener l = {0};
        struct engine *e = helper_engine(1, 1, 0);

        listener_open(&l);
        BUG_ON(engine_listen(e, l.fd, on_accept, &l) != 0);
        BUG_ON(engine_listen(e, l.fd, on_accept, &l) != 0);
        if (i % 2 == 0)
            helper_sleep(1);
        engine_stop(&e);
        close(l.fd);
    }
}

static const struct unit_case cases[] = {
    {"fairness", fairness},
    {"the pool grows and shrinks", pool_grows_and_shrinks},
    {"a full process waits", full_process_waits},
    {"acceptors end", acceptors_end},
    {NULL, NULL},
};

const struct unit_suite workers_suite = {"workers", cases};
