/* tests-date.c: date and currentdate (RFC 5260). */
#include <stdio.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mail/date.h"
#include "lib/sieve/definition-private.h"
#include "lib/sieve/header-private.h"
#include "lib/sieve/match-private.h"

enum { DAY_S = 86400, JULIAN_OF_EPOCH = 40587 };
enum { ZONE_GIVEN, ZONE_ORIGINAL };

static const struct tag tags_date_zone[] = {{"zone", SLOT_ZONE, EXT_NONE, TAG_STRING, ZONE_GIVEN},
                                            {"originalzone", SLOT_ZONE, EXT_NONE, TAG_ALONE, ZONE_ORIGINAL},
                                            {NULL, 0, 0, 0, 0}};
static const struct tag tags_current_zone[] = {{"zone", SLOT_ZONE, EXT_NONE, TAG_STRING, ZONE_GIVEN},
                                               {NULL, 0, 0, 0, 0}};

/* A moment as its zone's clock shows it. */
struct moment {
    int64_t time, local; /* seconds of the epoch; the same as if the zone were UTC */
    int zone;            /* minutes east */
    int year, month, day, hour, minute, second;
};

/* Days of the epoch to a date of the Gregorian calendar; eras of 400 years that begin in March. */
static void civil(int64_t days, struct moment *m)
{
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t of_era = z - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;

    m->day = (int)(of_year - (153 * month + 2) / 5 + 1);
    m->month = (int)(month < 10 ? month + 3 : month - 9);
    m->year = (int)(year + era * 400 + (m->month <= 2));
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static struct moment moment_at(int64_t time, int zone)
{
    struct moment m = {.time = time, .local = time + 60 * (int64_t)zone, .zone = zone};
    int of_day = (int)(m.local - floor_div(m.local, DAY_S) * DAY_S);

    civil(floor_div(m.local, DAY_S), &m);
    m.hour = of_day / 3600;
    m.minute = of_day / 60 % 60;
    m.second = of_day % 60;
    return m;
}

static void put_zone(struct buf *to, int zone, const char *colon)
{
    int minutes = zone < 0 ? -zone : zone;

    buf_printf(to, "%c%02d%s%02d", zone < 0 ? '-' : '+', minutes / 60, colon, minutes % 60);
}

static void put_year(const struct moment *m, struct buf *to)
{
    buf_printf(to, "%04d", m->year);
}

static void put_month(const struct moment *m, struct buf *to)
{
    buf_printf(to, "%02d", m->month);
}

static void put_day(const struct moment *m, struct buf *to)
{
    buf_printf(to, "%02d", m->day);
}

static void put_date(const struct moment *m, struct buf *to)
{
    buf_printf(to, "%04d-%02d-%02d", m->year, m->month, m->day);
}

static void put_julian(const struct moment *m, struct buf *to)
{
    buf_printf(to, "%lld", (long long)(floor_div(m->local, DAY_S) + JULIAN_OF_EPOCH));
}

static void put_hour(const struct moment *m, struct buf *to)
{
    buf_printf(to, "%02d", m->hour);
}

static void put_minute(const struct moment *m, struct buf *to)
{
    buf_printf(to, "%02d", m->minute);
}

static void put_second(const struct moment *m, struct buf *to)
{
    buf_printf(to, "%02d", m->second);
}

static void put_time(const struct moment *m, struct buf *to)
{
    buf_printf(to, "%02d:%02d:%02d", m->hour, m->minute, m->second);
}

static void put_iso8601(const struct moment *m, struct buf *to)
{
    put_date(m, to);
    buf_putc(to, 'T');
    put_time(m, to);
    if (m->zone == 0)
        buf_putc(to, 'Z');
    else
        put_zone(to, m->zone, ":");
}

static void put_std11(const struct moment *m, struct buf *to)
{
    char text[MAIL_DATE_SIZE];

    mail_date_format(text, m->time, m->zone);
    buf_puts(to, text);
}

static void put_zone_part(const struct moment *m, struct buf *to)
{
    put_zone(to, m->zone, "");
}

static void put_weekday(const struct moment *m, struct buf *to)
{
    int64_t days = floor_div(m->local, DAY_S) + 4; /* the epoch was a Thursday */

    buf_printf(to, "%d", (int)(days - floor_div(days, 7) * 7));
}

static const struct part {
    const char *name;
    void (*put)(const struct moment *m, struct buf *to);
} parts[] = {{"year", put_year},       {"month", put_month},   {"day", put_day},
             {"date", put_date},       {"julian", put_julian}, {"hour", put_hour},
             {"minute", put_minute},   {"second", put_second}, {"time", put_time},
             {"iso8601", put_iso8601}, {"std11", put_std11},   {"zone", put_zone_part},
             {"weekday", put_weekday}};

static const struct part *find_part(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        if (str_ieq(parts[i].name, name))
            return &parts[i];
    return NULL;
}

static const char *check_part(const struct sieve_string *s)
{
    return find_part(s->data) != NULL ? NULL : "is no part of a date";
}

/* "+hhmm" in minutes; false: it is none. */
static bool read_zone(const char *s, int *zone_r)
{
    uint32_t number;

    if ((*s != '+' && *s != '-') || strlen(s) != 5 || str_parse_u32(s + 1, 4, &number) < 0 ||
        number % 100 > 59 || number / 100 > 23)
        return false;
    *zone_r = (int)(number / 100 * 60 + number % 100) * (*s == '-' ? -1 : 1);
    return true;
}

static void check_date(struct checker *c, struct sieve_node *node)
{
    const struct sieve_arg *zone = node->slots[SLOT_ZONE];
    int minutes;

    if (zone != NULL && zone->value == ZONE_GIVEN && check_is_constant(c, &zone->strings.items[0]) &&
        !read_zone(zone->strings.items[0].data, &minutes))
        check_complain(c, node, "a zone is written +hhmm or -hhmm");
    if (node->slots[SLOT_LAST] != NULL && node->slots[SLOT_INDEX] == NULL)
        check_complain(c, node, ":last needs :index");
    check_match(c, node, node->params[node->definition->n_params - 1]);
}

static int match_moment(struct sieve_run *run, const struct sieve_node *node, bool valid, int64_t time,
                        int original)
{
    const struct sieve_arg *arg = node->slots[SLOT_ZONE];
    const struct part *part = find_part(run_text(run, node->params[node->definition->n_params - 2]));
    struct buf text = BUF_INIT;
    struct sieve_string value;
    struct moment moment;
    struct match m;
    int zone = original, r;

    match_begin(&m, run, node, node->params[node->definition->n_params - 1]);
    if (arg == NULL)
        zone = mail_date_local_zone(time);
    else if (arg->value == ZONE_GIVEN && !read_zone(run_text(run, arg), &zone))
        return run_error(run, node, ERR_SYNTAX, "a zone is written +hhmm or -hhmm");
    if (!valid || part == NULL)
        return match_end(&m);
    moment = moment_at(time, zone);
    part->put(&moment, &text);
    value = run_keep(run, text.data, text.len);
    buf_free(&text);
    r = match_value(&m, &value, NULL);
    return r != 0 ? r : match_end(&m);
}

static int run_currentdate(struct sieve_run *run, const struct sieve_node *node)
{
    if (run->now == 0)
        run->now = run_now(run);
    return match_moment(run, node, true, run->now, 0);
}

static int run_date(struct sieve_run *run, const struct sieve_node *node)
{
    struct sieve_strings names = run_strings(run, node->params[0]);
    struct field_list fields;
    struct buf text = BUF_INIT;
    const char *date, *semicolon;
    int64_t time = 0;
    bool valid = false;
    int zone = 0, r = header_fields(run, node, &names, &fields);

    if (r < 0)
        return r;
    if (fields.count > 0) {
        mail_field_unfold(&fields.items[0], &text);
        date = buf_cstr(&text);
        semicolon = strrchr(date, ';'); /* Received: the date is behind it */
        if (semicolon != NULL)
            date = semicolon + 1;
        valid = mail_date_parse(date, strlen(date), &time, &zone) == 0;
        buf_free(&text);
    }
    return match_moment(run, node, valid, time, zone);
}

const struct definition tests_date[] = {
    {.name = "date",
     .extension = EXT_DATE,
     .n_params = 3,
     .params = {{PARAM_STRING, false, check_header_name},
                {PARAM_STRING, false, check_part},
                {PARAM_STRINGS, false, NULL}},
     .tags = {tags_match, tags_date_zone, tags_index},
     .check = check_date,
     .run = run_date},
    {.name = "currentdate",
     .extension = EXT_DATE,
     .n_params = 2,
     .params = {{PARAM_STRING, false, check_part}, {PARAM_STRINGS, false, NULL}},
     .tags = {tags_match, tags_current_zone},
     .check = check_date,
     .run = run_currentdate},
    {.name = NULL},
};
