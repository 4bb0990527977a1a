/* The housekeeper: one thread that fires deadlines, reads the kernel's file notices and gives
 * memory back after a burst. */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/engine/engine-private.h"

enum { TRIM_INTERVAL_MS = 10 * 1000 };

/* malloc_trim locks every arena in turn: seldom, and only after the pool has shrunk.  Returns when to
 * look again. */
static int64_t maybe_trim(struct engine *e, int64_t now, int64_t *last)
{
    if (!atomic_load(&e->shrunk))
        return CLOCK_NEVER;
    if (now - *last < TRIM_INTERVAL_MS)
        return *last + TRIM_INTERVAL_MS;
    atomic_store(&e->shrunk, false);
    malloc_trim(0);
    *last = now;
    return CLOCK_NEVER;
}

static void keeper_wait(struct engine *e, int64_t until)
{
    struct pollfd fds[2] = {
        {.fd = e->keeper_fd, .events = POLLIN}, {.fd = e->watcher.fd, .events = POLLIN}, /* poll ignores -1 */
    };
    uint64_t count;

    BUG_ON(poll(fds, 2, clock_left(until)) < 0 && errno != EINTR);
    if (fds[0].revents & POLLIN)
        BUG_ON(read(e->keeper_fd, &count, sizeof(count)) < 0 && errno != EAGAIN);
    if (fds[1].revents & POLLIN)
        watcher_run(e);
}

static void *keeper_main(void *arg)
{
    struct engine *e = arg;
    int64_t last_trim = clock_ms() - TRIM_INTERVAL_MS;

    while (!atomic_load(&e->stopping)) {
        int64_t now = clock_ms();
        int64_t next = timer_run(e, now), trim = maybe_trim(e, now, &last_trim);

        keeper_wait(e, next < trim ? next : trim);
    }
    return NULL;
}

int keeper_start(struct engine *e)
{
    return engine_thread(&e->keeper, keeper_main, e);
}

void keeper_wake(struct engine *e)
{
    uint64_t one = 1;

    BUG_ON(write(e->keeper_fd, &one, sizeof(one)) != sizeof(one));
}

void keeper_stop(struct engine *e)
{
    keeper_wake(e);
    pthread_join(e->keeper, NULL);
}
