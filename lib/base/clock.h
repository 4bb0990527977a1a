/* clock.h: the clocks and deadlines.
 *
 * A deadline is a time of the monotonic clock in milliseconds. */
#ifndef LIB_BASE_CLOCK_H
#define LIB_BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_NEVER INT64_MAX

/* Milliseconds and microseconds of CLOCK_MONOTONIC. */
int64_t clock_ms(void);
int64_t clock_us(void);

/* Seconds of the epoch. */
int64_t clock_wall(void);

/* Nanoseconds of the epoch (for times stored in files). */
int64_t clock_wall_ns(void);

/* The deadline `ms` from now; CLOCK_NEVER stays CLOCK_NEVER, ms < 0 is never. */
int64_t clock_deadline(int64_t ms);

/* What is left of a deadline, for poll(2): milliseconds, 0 when past, -1 for
 * CLOCK_NEVER. */
int clock_left(int64_t deadline);

#endif
