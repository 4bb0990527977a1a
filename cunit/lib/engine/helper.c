#include "cunit/lib/engine/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cunit/unit.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"

enum { HELPER_WAIT_MS = 30000 };

struct engine *helper_engine(unsigned workers_min, unsigned workers_max, unsigned sessions_max)
{
    struct engine_config config = {
        .workers_min = workers_min, .workers_max = workers_max, .sessions_max = sessions_max};
    struct engine *e;

    BUG_ON(engine_start(&config, &e) != 0);
    return e;
}

static enum engine_verdict echo_run(struct session *s, void *object)
{
    struct echo *echo = object;
    char buf[256];
    ssize_t n;

    echo->runs++;
    echo->expired += session_expired(s);
    echo->changed += session_file_changed(s);
    echo->woken += session_woken(s);
    if (session_stopping(s))
        return ENGINE_CLOSE;
    while ((n = read(echo->fd, buf, sizeof(buf))) > 0)
        if (write(echo->fd, buf, (size_t)n) < 0)
            return ENGINE_CLOSE;
    if (n == 0 || (errno != EAGAIN && errno != EINTR))
        return ENGINE_CLOSE;
    if (echo->file != NULL)
        CU_ASSERT_EQUAL(session_watch_file(s, echo->file), 0);
    session_watch(s, 0, echo->fd, POLLIN);
    session_set_deadline(s, session_expired(s) ? CLOCK_NEVER : echo->deadline);
    return ENGINE_PARK;
}

static void echo_close(struct session *s, void *object)
{
    struct echo *echo = object;

    (void)s;
    close(echo->fd);
    echo->closed++;
}

const struct engine_ops echo_ops = {.name = "echo", .run = echo_run, .close = echo_close};

void echo_start(struct engine *e, struct echo *echo)
{
    struct timeval limit = {.tv_sec = HELPER_WAIT_MS / 1000};
    int fd[2];

    BUG_ON(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0);
    BUG_ON(fcntl(fd[0], F_SETFL, O_NONBLOCK) < 0);
    setsockopt(fd[1], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    echo->fd = fd[0];
    echo->peer = fd[1];
    if (echo->deadline == 0)
        echo->deadline = CLOCK_NEVER;
    echo->session = session_new(e, &echo_ops, echo, "test-1");
}

bool echo_works(struct echo *echo)
{
    char c = 'x';

    return write(echo->peer, &c, 1) == 1 && read(echo->peer, &c, 1) == 1 && c == 'x';
}

void echo_stop(struct echo *echo)
{
    close(echo->peer);
    CU_ASSERT(helper_reach(&echo->closed, 1));
}

bool helper_reach(const atomic_uint *counter, unsigned n)
{
    int64_t until = clock_deadline(HELPER_WAIT_MS);

    while (atomic_load(counter) < n) {
        if (clock_ms() > until)
            return false;
        helper_sleep(1);
    }
    return true;
}

bool helper_parked(struct engine *e, unsigned n)
{
    int64_t until = clock_deadline(HELPER_WAIT_MS);
    struct engine_counters c;

    for (;;) {
        engine_counters(e, &c);
        if (c.parked == n && c.running == 0 && c.queued == 0)
            return true;
        if (clock_ms() > until)
            return false;
        helper_sleep(1);
    }
}

void helper_sleep(int ms)
{
    poll(NULL, 0, ms);
}
