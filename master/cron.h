/* cron.h: times of day, as cron=(crontab(5)) and at= give them. */
#ifndef MASTER_CRON_H
#define MASTER_CRON_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct cron {
    uint64_t minutes; /* bit i: minute i */
    uint32_t hours, days, months, weekdays;
    bool any_day, any_weekday; /* "*": the other one alone decides */
};

/* "minute hour day month weekday": each *, numbers, ranges, steps, lists ("1-5,10", "0-23/2", "* /15"
 * without the blank); months and weekdays also by three letters; weekday 0 and 7 are Sunday.
 * When day and weekday are both restricted, either will do.  0 or ERR_SYNTAX. */
int cron_parse(const char *s, struct cron *to);

/* "hhmm", "hh:mm", "hmm": once a day.  0 or ERR_SYNTAX. */
int cron_parse_at(const char *s, struct cron *to);

/* Does the minute of that broken-down time match? */
bool cron_matches(const struct cron *c, const struct tm *tm);

/* The same for any of the minutes (from, to], in seconds of the epoch and local time; looks at most
 * a day back. */
bool cron_matches_between(const struct cron *c, time_t from, time_t to);

#endif
