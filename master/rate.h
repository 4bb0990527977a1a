/* rate.h: how often something may happen, and when it has failed too often. */
#ifndef MASTER_RATE_H
#define MASTER_RATE_H

#include <stdbool.h>
#include <stdint.h>

/* A bucket of `burst` tokens that gets `per_second` new ones; per_second 0: no bound. */
struct rate {
    unsigned per_second, burst;
    int64_t level_ms; /* when the bucket would be full; monotonic */
};

void rate_init(struct rate *r, unsigned per_second, unsigned burst);
/* Takes a token; false: there is none now. */
bool rate_take(struct rate *r, int64_t now_ms);
/* When there will be one. */
int64_t rate_next(const struct rate *r, int64_t now_ms);

/* Failures without a success between them, in quick succession. */
enum { FAILURES_MAX = 5, FAILURES_WINDOW_MS = 60000 };
struct failures {
    unsigned count;
    int64_t first_ms;
};

/* Counts one; true: that was one too many (and the count starts anew). */
bool failures_add(struct failures *f, int64_t now_ms);
void failures_forget(struct failures *f);

#endif
