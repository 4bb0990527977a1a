#include "master/cron.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

enum { MINUTE = 60, DAY = 86400 };

struct field {
    unsigned min, max;
    const char *names; /* three letters each, from `first_name` on; NULL: none */
    unsigned first_name;
};

static const struct field fields[] = {
    {0, 59, NULL, 0},
    {0, 23, NULL, 0},
    {1, 31, NULL, 0},
    {1, 12, "janfebmaraprmayjunjulaugsepoctnovdec", 1},
    {0, 7, "sunmontuewedthufrisat", 0},
};

/* A number or a name at *s, which moves behind it. */
static int parse_value(const struct field *f, const char **s, unsigned *value_r)
{
    size_t n = strspn(*s, "0123456789");
    uint32_t v;

    if (n > 0) {
        if (str_parse_u32(*s, n, &v) < 0 || v < f->min || v > f->max)
            return ERR_SYNTAX;
        *s += n;
        *value_r = v;
        return 0;
    }
    for (size_t i = 0; f->names != NULL && f->names[3 * i] != '\0'; i++) {
        if (str_ieq_n(*s, f->names + 3 * i, 3)) {
            *s += 3;
            *value_r = f->first_name + (unsigned)i;
            return 0;
        }
    }
    return ERR_SYNTAX;
}

/* "*", "5", "1-5", each with "/step"; sets the bits. */
static int parse_range(const struct field *f, const char **s, uint64_t *bits)
{
    unsigned from = f->min, to = f->max, step = 1;
    bool star = **s == '*';

    if (star)
        (*s)++;
    else if (parse_value(f, s, &from) < 0)
        return ERR_SYNTAX;
    if (!star)
        to = from;
    if (!star && **s == '-' && (++*s, parse_value(f, s, &to) < 0 || to < from))
        return ERR_SYNTAX;
    if (**s == '/') {
        size_t n = strspn(++*s, "0123456789");

        if (str_parse_u32(*s, n, &step) < 0 || step == 0)
            return ERR_SYNTAX;
        *s += n;
        to = !star && to == from ? f->max : to;
    }
    for (uint64_t v = from; v <= to; v += step)
        *bits |= UINT64_C(1) << v;
    return 0;
}

static int parse_field(const struct field *f, const char **s, uint64_t *bits)
{
    *bits = 0;
    for (;;) {
        if (parse_range(f, s, bits) < 0)
            return ERR_SYNTAX;
        if (**s != ',')
            return 0;
        (*s)++;
    }
}

int cron_parse(const char *s, struct cron *to)
{
    uint64_t bits[ARRAY_SIZE(fields)];
    bool star[ARRAY_SIZE(fields)];

    s += strspn(s, " \t");
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        size_t blanks;

        star[i] = *s == '*';
        if (parse_field(&fields[i], &s, &bits[i]) < 0)
            return ERR_SYNTAX;
        blanks = strspn(s, " \t");
        if (blanks == 0 && i + 1 < ARRAY_SIZE(fields))
            return ERR_SYNTAX;
        s += blanks;
    }
    if (*s != '\0')
        return ERR_SYNTAX;
    *to = (struct cron){
        .minutes = bits[0],
        .hours = (uint32_t)bits[1],
        .days = (uint32_t)bits[2],
        .months = (uint32_t)bits[3],
        .weekdays = (uint32_t)(bits[4] | bits[4] >> 7),
        .any_day = star[2],
        .any_weekday = star[4],
    };
    return 0;
}

int cron_parse_at(const char *s, struct cron *to)
{
    char digits[5] = "";
    size_t n = strlen(s);
    const char *colon = strchr(s, ':');
    uint32_t v;

    if (colon != NULL && n - (size_t)(colon - s) != 3)
        return ERR_SYNTAX;
    for (size_t i = 0, k = 0; i < n; i++) {
        if (s + i == colon)
            continue;
        if (k == 4)
            return ERR_SYNTAX;
        digits[k++] = s[i];
    }
    if (str_parse_u32(digits, strlen(digits), &v) < 0 || v / 100 > 23 || v % 100 > 59)
        return ERR_SYNTAX;
    *to = (struct cron){
        .minutes = UINT64_C(1) << (v % 100),
        .hours = 1u << (v / 100),
        .days = ~0u,
        .months = ~0u,
        .weekdays = ~0u,
        .any_day = true,
        .any_weekday = true,
    };
    return 0;
}

bool cron_matches(const struct cron *c, const struct tm *tm)
{
    bool day = c->days >> tm->tm_mday & 1, weekday = c->weekdays >> tm->tm_wday & 1;
    bool either = c->any_day || c->any_weekday ? day && weekday : day || weekday;

    return (c->minutes >> tm->tm_min & 1) && (c->hours >> tm->tm_hour & 1) &&
           (c->months >> (tm->tm_mon + 1) & 1) && either;
}

bool cron_matches_between(const struct cron *c, time_t from, time_t to)
{
    time_t first = from / MINUTE * MINUTE + MINUTE;

    if (first < to - DAY)
        first = (to - DAY) / MINUTE * MINUTE;
    for (time_t t = first; t <= to; t += MINUTE) {
        struct tm tm;

        if (localtime_r(&t, &tm) != NULL && cron_matches(c, &tm))
            return true;
    }
    return false;
}
