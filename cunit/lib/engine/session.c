#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cunit/lib/engine/helper.h"
#include "cunit/unit.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"

static void parks_and_wakes(void)
{
    struct engine *e = helper_engine(1, 2, 0);
    struct echo echo = {0};
    struct engine_counters c;
    uint64_t runs;

    echo_start(e, &echo);
    for (int i = 0; i < 3; i++)
        CU_ASSERT(echo_works(&echo));
    CU_ASSERT(helper_parked(e, 1));
    engine_counters(e, &c);
    CU_ASSERT_EQUAL(c.sessions, 1);
    CU_ASSERT_EQUAL(c.sessions_total, 1);
    runs = c.runs;
    CU_ASSERT(echo_works(&echo));
    CU_ASSERT(helper_parked(e, 1));
    engine_counters(e, &c);
    CU_ASSERT(c.runs > runs);
    CU_ASSERT(c.wakeups > 0);
    echo_stop(&echo);
    engine_stop(&e);
    CU_ASSERT_PTR_NULL(e);
}

static void input_before_the_first_park(void)
{
    struct engine *e = helper_engine(1, 1, 0);

    for (int i = 0; i < 50; i++) {
        struct echo echo = {0};

        echo_start(e, &echo);
        CU_ASSERT(echo_works(&echo));
        echo_stop(&echo);
    }
    engine_stop(&e);
}

static void deadline_expires(void)
{
    struct engine *e = helper_engine(1, 1, 0);
    struct echo soon = {.deadline = clock_deadline(40)}, late = {.deadline = clock_deadline(600000)},
                past = {.deadline = 1};

    echo_start(e, &late);
    echo_start(e, &soon);
    echo_start(e, &past);
    CU_ASSERT(helper_reach(&soon.expired, 1));
    CU_ASSERT(clock_ms() >= soon.deadline);
    CU_ASSERT(helper_reach(&past.expired, 1));
    CU_ASSERT_EQUAL(late.expired, 0);
    CU_ASSERT_EQUAL(soon.expired, 1);
    echo_stop(&soon);
    echo_stop(&late);
    echo_stop(&past);
    engine_stop(&e);
}

/* The heap keeps an entry where it is while deadlines move on; a sooner one must still be met. */
static bool deadline_moves_within(struct engine *e, int ms)
{
    struct echo echo = {.deadline = clock_deadline(ms)};
    int64_t first = echo.deadline;
    bool in_time;

    echo_start(e, &echo);
    CU_ASSERT(helper_parked(e, 1));
    echo.deadline = clock_deadline(5 * ms);
    CU_ASSERT(echo_works(&echo));
    in_time = clock_ms() < first; /* else this machine is too busy for it */
    if (in_time) {
        helper_sleep(2 * ms);
        CU_ASSERT(echo.expired == 0 || clock_ms() >= echo.deadline);
        CU_ASSERT(helper_reach(&echo.expired, 1));
        CU_ASSERT(clock_ms() >= echo.deadline);
        echo.deadline = clock_deadline(600000);
        CU_ASSERT(echo_works(&echo));
        echo.deadline = clock_deadline(ms);
        CU_ASSERT(echo_works(&echo));
        CU_ASSERT(helper_reach(&echo.expired, 2));
    }
    echo_stop(&echo);
    return in_time;
}

static void deadline_moves(void)
{
    struct engine *e = helper_engine(1, 1, 0);

    for (int ms = 30; !deadline_moves_within(e, ms); ms *= 4)
        CU_ASSERT_FATAL(ms < 10000);
    engine_stop(&e);
}

static void woken_by_another_thread(void)
{
    struct engine *e = helper_engine(2, 2, 0);
    struct echo echo = {0};

    echo_start(e, &echo);
    for (unsigned i = 1; i <= 20; i++) {
        session_wake(echo.session);
        CU_ASSERT(helper_reach(&echo.woken, i));
    }
    echo_stop(&echo);
    engine_stop(&e);
}

static void append_to(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    BUG_ON(fd < 0 || write(fd, "x", 1) != 1);
    close(fd);
}

static void file_changes(void)
{
    struct engine *e = helper_engine(1, 1, 0);
    char dir[] = "/tmp/iatlas-engine-XXXXXX";
    char path[64], fresh[64];
    struct echo a = {.file = path}, b = {.file = path};

    BUG_ON(mkdtemp(dir) == NULL);
    snprintf(path, sizeof(path), "%s/index", dir);
    snprintf(fresh, sizeof(fresh), "%s/index.new", dir);
    append_to(path);
    echo_start(e, &a);
    echo_start(e, &b);
    CU_ASSERT(helper_parked(e, 2));
    append_to(path);
    CU_ASSERT(helper_reach(&a.changed, 1));
    CU_ASSERT(helper_reach(&b.changed, 1));
    CU_ASSERT(helper_parked(e, 2));
    append_to(fresh);
    CU_ASSERT_EQUAL(rename(fresh, path), 0);
    CU_ASSERT(helper_reach(&a.changed, 2));
    CU_ASSERT(helper_parked(e, 2));
    helper_sleep(20);
    /* Each has put the watch on the new file; one of them leaves. */
    echo_stop(&b);
    append_to(path);
    CU_ASSERT(helper_reach(&a.changed, 3));
    echo_stop(&a);
    unlink(path);
    rmdir(dir);
    engine_stop(&e);
}

/* A session with two files beside that one, of which it says which has changed. */
struct reader {
    struct echo echo;
    const char *path[2];
    struct session_file *file[2];
    atomic_uint changed[2];
};

static enum engine_verdict reader_run(struct session *s, void *object)
{
    struct reader *r = object;

    if (session_stopping(s))
        return ENGINE_CLOSE;
    for (unsigned i = 0; i < 2; i++) {
        if (r->file[i] == NULL)
            r->file[i] = session_file_new(s);
        r->changed[i] += session_file_take(r->file[i]);
        CU_ASSERT_EQUAL(session_file_watch(r->file[i], r->path[i]), 0);
    }
    r->echo.changed += session_file_changed(s);
    return ENGINE_PARK;
}

static void reader_close(struct session *s, void *object)
{
    struct reader *r = object;

    (void)s;
    session_file_free(&r->file[0]);
    session_file_free(&r->file[1]);
    session_file_free(&r->file[1]); /* nothing is there */
    r->echo.closed++;
}

static const struct engine_ops reader_ops = {.name = "reader", .run = reader_run, .close = reader_close};

static void count_call(void *context)
{
    atomic_fetch_add((atomic_uint *)context, 1);
}

static void several_files(void)
{
    struct engine *e = helper_engine(1, 1, 0);
    char dir[] = "/tmp/iatlas-engine-XXXXXX";
    char path[3][64];
    struct reader r = {.path = {path[0], path[1]}};
    atomic_uint calls = 0;

    BUG_ON(mkdtemp(dir) == NULL);
    for (unsigned i = 0; i < 3; i++) {
        snprintf(path[i], sizeof(path[i]), "%s/file%u", dir, i);
        append_to(path[i]);
    }
    CU_ASSERT_EQUAL(engine_watch_file(e, path[2], count_call, &calls), 0);
    r.echo.session = session_new(e, &reader_ops, &r, "test-1");
    CU_ASSERT(helper_parked(e, 1));
    append_to(path[1]);
    CU_ASSERT(helper_reach(&r.changed[1], 1));
    CU_ASSERT(helper_parked(e, 1));
    CU_ASSERT_EQUAL(r.changed[0], 0);
    append_to(path[0]);
    CU_ASSERT(helper_reach(&r.changed[0], 1));
    CU_ASSERT(helper_parked(e, 1));
    CU_ASSERT_EQUAL(r.changed[1], 1);
    CU_ASSERT_EQUAL(calls, 0);
    append_to(path[2]);
    CU_ASSERT(helper_reach(&calls, 1));
    CU_ASSERT_EQUAL(engine_drain(e, clock_deadline(10000)), 0);
    CU_ASSERT_EQUAL(r.echo.closed, 1);
    for (unsigned i = 0; i < 3; i++)
        unlink(path[i]);
    rmdir(dir);
    engine_stop(&e);
}

/* A session with two descriptors, the second armed only every other time. */
struct pair {
    struct echo echo;
    int event;
    atomic_uint first, second;
};

static enum engine_verdict pair_run(struct session *s, void *object)
{
    struct pair *p = object;
    uint64_t count;
    char c;

    if (session_stopping(s))
        return ENGINE_CLOSE;
    if (session_ready(s, 0) && read(p->echo.fd, &c, 1) == 1)
        p->first++;
    if (session_ready(s, 1) && read(p->event, &count, sizeof(count)) == sizeof(count))
        p->second++;
    session_watch(s, 0, p->echo.fd, POLLIN);
    session_watch(s, 1, p->event, p->first % 2 == 0 ? POLLIN : 0);
    return ENGINE_PARK;
}

static void pair_close(struct session *s, void *object)
{
    struct pair *p = object;

    session_watch(s, 1, -1, 0);
    close(p->event);
    echo_ops.close(s, &p->echo);
}

static void several_sources(void)
{
    static const struct engine_ops ops = {.name = "pair", .run = pair_run, .close = pair_close};
    struct engine *e = helper_engine(2, 2, 0);
    struct pair p = {.event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    uint64_t one = 1;
    int fd[2];

    BUG_ON(pipe2(fd, O_NONBLOCK | O_CLOEXEC) < 0);
    p.echo.fd = fd[0];
    session_new(e, &ops, &p, "pair-1");
    CU_ASSERT(write(p.event, &one, sizeof(one)) == sizeof(one));
    CU_ASSERT(helper_reach(&p.second, 1));
    CU_ASSERT(write(fd[1], "x", 1) == 1);
    CU_ASSERT(helper_reach(&p.first, 1));
    /* Now the event is disarmed... */
    CU_ASSERT(write(p.event, &one, sizeof(one)) == sizeof(one));
    helper_sleep(20);
    CU_ASSERT_EQUAL(p.second, 1);
    /* ...and is not lost when armed again. */
    CU_ASSERT(write(fd[1], "x", 1) == 1);
    CU_ASSERT(helper_reach(&p.second, 2));
    CU_ASSERT_EQUAL(engine_drain(e, clock_deadline(30000)), 0);
    close(fd[1]);
    engine_stop(&e);
}

static void count_one(struct session *s, void *object, void *context)
{
    (void)object;
    if (session_id(s)[0] == 't')
        ++*(unsigned *)context;
}

static void each_and_drain(void)
{
    struct engine *e = helper_engine(2, 4, 0);
    struct echo echo[20] = {0};
    unsigned seen = 0;

    for (int i = 0; i < 20; i++)
        echo_start(e, &echo[i]);
    engine_each(e, count_one, &seen);
    CU_ASSERT_EQUAL(seen, 20);
    CU_ASSERT_EQUAL(engine_drain(e, clock_deadline(30000)), 0);
    for (int i = 0; i < 20; i++) {
        CU_ASSERT_EQUAL(echo[i].closed, 1);
        close(echo[i].peer);
    }
    engine_stop(&e);
}

static void stop_closes_what_is_parked(void)
{
    struct engine *e = helper_engine(1, 1, 0);
    struct echo echo = {0};

    echo_start(e, &echo);
    CU_ASSERT(echo_works(&echo));
    engine_stop(&e);
    CU_ASSERT_EQUAL(echo.closed, 1);
    close(echo.peer);
}

static const struct unit_case cases[] = {
    {"parks and wakes", parks_and_wakes},
    {"input before the first park", input_before_the_first_park},
    {"deadline expires", deadline_expires},
    {"deadline moves", deadline_moves},
    {"woken by another thread", woken_by_another_thread},
    {"file changes", file_changes},
    {"several files", several_files},
    {"several sources", several_sources},
    {"each and drain", each_and_drain},
    {"stop closes what is parked", stop_closes_what_is_parked},
    {NULL, NULL},
};

const struct unit_suite session_suite = {"session", cases};
