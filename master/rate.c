#include "master/rate.h"

void rate_init(struct rate *r, unsigned per_second, unsigned burst)
{
    *r = (struct rate){.per_second = per_second, .burst = burst > 0 ? burst : 1};
}

/* A token is worth 1000 / per_second ms; the bucket is empty when level_ms is burst tokens ahead. */
int64_t rate_next(const struct rate *r, int64_t now_ms)
{
    int64_t at;

    if (r->per_second == 0)
        return now_ms;
    at = r->level_ms - (int64_t)(r->burst - 1) * 1000 / r->per_second;
    return at > now_ms ? at : now_ms;
}

bool rate_take(struct rate *r, int64_t now_ms)
{
    if (rate_next(r, now_ms) > now_ms)
        return false;
    if (r->per_second > 0)
        r->level_ms = (r->level_ms > now_ms ? r->level_ms : now_ms) + 1000 / r->per_second;
    return true;
}

bool failures_add(struct failures *f, int64_t now_ms)
{
    if (f->count == 0 || now_ms - f->first_ms > FAILURES_WINDOW_MS) {
        f->count = 0;
        f->first_ms = now_ms;
    }
    if (++f->count < FAILURES_MAX)
        return false;
    f->count = 0;
    return true;
}

void failures_forget(struct failures *f)
{
    f->count = 0;
}
