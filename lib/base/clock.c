#include "lib/base/clock.h"

#include <limits.h>
#include <time.h>

static int64_t read_clock(clockid_t id, int64_t per_second)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return ts.tv_sec * per_second + ts.tv_nsec / (1000000000 / per_second);
}

int64_t clock_ms(void)
{
    return read_clock(CLOCK_MONOTONIC, 1000);
}

int64_t clock_us(void)
{
    return read_clock(CLOCK_MONOTONIC, 1000000);
}

int64_t clock_wall(void)
{
    return read_clock(CLOCK_REALTIME, 1);
}

int64_t clock_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME, 1000000000);
}

int64_t clock_deadline(int64_t ms)
{
    int64_t now = clock_ms();

    return ms < 0 || ms > CLOCK_NEVER - now ? CLOCK_NEVER : now + ms;
}

int clock_left(int64_t deadline)
{
    int64_t left;

    if (deadline == CLOCK_NEVER)
        return -1;
    left = deadline - clock_ms();
    return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}
