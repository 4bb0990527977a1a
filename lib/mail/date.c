#include "lib/mail/date.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/mail/lexer-private.h"

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char weekdays[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

struct fields {
    int year, month, day; /* month 0 to 11; -1: not seen yet */
    int hour, minute, second;
    int zone; /* minutes east */
    bool has_time;
};

static const struct fields nothing = {.year = -1, .month = -1, .day = -1};

/* ---- the calendar ---- */

/* Days since 1970-01-01 of a proleptic Gregorian date: years counted from March, so that the leap day is
 * a year's last. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month < 2 ? year - 1 : year;
    int64_t m = (month + 10) % 12; /* 0: March */

    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month] + (month == 1 && leap);
}

static void fields_of(int64_t time, int zone, struct fields *f, int *weekday_r)
{
    const int64_t first = days_of(1, 0, 1) * 86400, last = days_of(10000, 0, 1) * 86400 - 1;
    int64_t local, days;

    time = time < first ? first : time > last ? last : time;
    local = time + zone * 60;
    local = local < first ? first : local > last ? last : local;
    days = local >= 0 ? local / 86400 : -((86399 - local) / 86400);
    *weekday_r = (int)(((days + 4) % 7 + 7) % 7);
    f->year = (int)(1970 + days / 366 - 1); /* at or below the year; a few steps up */
    if (days < 0)
        f->year = (int)(1970 + days / 365 - 1);
    if (f->year < 1)
        f->year = 1;
    while (days_of(f->year + 1, 0, 1) <= days)
        f->year++;
    for (f->month = 0; f->month < 11 && days_of(f->year, f->month + 1, 1) <= days; f->month++)
        ;
    f->day = (int)(days - days_of(f->year, f->month, 1)) + 1;
    local -= days * 86400;
    f->hour = (int)(local / 3600);
    f->minute = (int)(local / 60 % 60);
    f->second = (int)(local % 60);
    f->zone = zone;
}

static bool is_valid(const struct fields *f)
{
    return f->year >= 1 && f->year <= 9999 && f->month >= 0 && f->day >= 1 &&
           f->day <= days_in_month(f->year, f->month) && f->hour <= 23 && f->minute <= 59 && f->second <= 60;
}

static int64_t time_of(const struct fields *f)
{
    return days_of(f->year, f->month, f->day) * 86400 + f->hour * 3600 + f->minute * 60 + f->second -
           f->zone * 60;
}

static int month_by_name(const char *s, size_t n)
{
    for (int i = 0; n >= 3 && i < 12; i++) {
        if (str_ieq_n(s, months[i], 3))
            return i;
    }
    return -1;
}

/* ---- RFC 5322 ---- */

static int zone_by_name(const char *s, size_t n)
{
    static const struct {
        const char *name;
        int hours;
    } zones[] = {{"EDT", -4}, {"EST", -5}, {"CDT", -5}, {"CST", -6},
                 {"MDT", -6}, {"MST", -7}, {"PDT", -7}, {"PST", -8}};

    for (size_t i = 0; n == 3 && i < sizeof(zones) / sizeof(zones[0]); i++) {
        if (str_ieq_n(s, zones[i].name, 3))
            return zones[i].hours * 60;
    }
    return 0; /* UT, GMT, Z; others, single letters too, say nothing (RFC 5322 section 4.3) */
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Digits at the position; *count_r of them.  -1 when there are none or too many for a date. */
static int read_number(struct mail_lexer *lx, int *count_r)
{
    int v = 0, n = 0;

    for (; is_digit(mail_lexer_peek(lx)); lx->at++, n++)
        v = n < 6 ? v * 10 + (*lx->at - '0') : v;
    *count_r = n;
    return n >= 1 && n <= 6 ? v : -1;
}

/* `hour` was read, a ':' follows. */
static bool read_time(struct mail_lexer *lx, int hour, struct fields *f)
{
    int count;

    lx->at++;
    f->hour = hour;
    f->minute = read_number(lx, &count);
    f->second = 0;
    if (mail_lexer_peek(lx) == ':') {
        lx->at++;
        f->second = read_number(lx, &count);
    }
    f->has_time = true;
    return f->minute >= 0 && f->second >= 0;
}

static int year_of(int number, int digits)
{
    if (digits == 2)
        return number < 50 ? 2000 + number : 1900 + number;
    return digits == 3 ? 1900 + number : number;
}

static bool read_digits(struct mail_lexer *lx, struct fields *f)
{
    int count, v = read_number(lx, &count);

    if (v < 0)
        return false;
    if (mail_lexer_peek(lx) == ':' && !f->has_time)
        return read_time(lx, v, f);
    if (f->day < 0 && count <= 2)
        f->day = v;
    else if (f->year < 0 && f->month >= 0 && count <= 4)
        f->year = year_of(v, count);
    return true;
}

static void read_zone_offset(struct mail_lexer *lx, struct fields *f)
{
    int sign = *lx->at++ == '-' ? -1 : 1, count, v = read_number(lx, &count);

    if (f->has_time && count == 4 && v % 100 < 60 && v / 100 < 24)
        f->zone = sign * (v / 100 * 60 + v % 100);
}

static void read_letters(struct mail_lexer *lx, struct fields *f)
{
    const char *start = lx->at;
    size_t n;

    while (is_letter(mail_lexer_peek(lx)))
        lx->at++;
    n = (size_t)(lx->at - start);
    if (f->month < 0)
        f->month = month_by_name(start, n);
    else if (f->has_time)
        f->zone = zone_by_name(start, n);
}

int mail_date_parse(const char *s, size_t n, int64_t *time_r, int *zone_r)
{
    struct fields f = nothing;
    struct mail_lexer lx;

    mail_lexer_init(&lx, s, n);
    for (;;) {
        int c;

        mail_lexer_skip(&lx, NULL);
        c = mail_lexer_peek(&lx);
        if (c < 0)
            break;
        if (is_digit(c)) {
            if (!read_digits(&lx, &f))
                return ERR_SYNTAX;
        } else if (is_letter(c)) {
            read_letters(&lx, &f);
        } else if (c == '+' || (c == '-' && f.has_time)) {
            read_zone_offset(&lx, &f);
        } else {
            lx.at++;
        }
    }
    if (!is_valid(&f))
        return ERR_SYNTAX;
    *time_r = time_of(&f);
    if (zone_r != NULL)
        *zone_r = f.zone;
    return 0;
}

void mail_date_format(char to[MAIL_DATE_SIZE], int64_t time, int zone)
{
    struct fields f;
    int weekday, ahead = zone < 0 ? -zone : zone;

    fields_of(time, zone, &f, &weekday);
    snprintf(to, MAIL_DATE_SIZE, "%s, %02d %s %04d %02d:%02d:%02d %c%02d%02d", weekdays[weekday], f.day,
             months[f.month], f.year, f.hour, f.minute, f.second, zone < 0 ? '-' : '+', ahead / 60 % 100,
             ahead % 60);
}

/* ---- IMAP ---- */

/* Exactly `n` digits. */
static bool fixed_number(const char *s, size_t n, int *v_r)
{
    uint32_t v;

    if (str_parse_u32(s, n, &v) < 0)
        return false;
    *v_r = (int)v;
    return true;
}

/* date-day-fixed or date-day, "-", month, "-", 4 digits. */
static bool parse_day(const char *s, size_t n, struct fields *f)
{
    size_t day = n == 10 ? 1 : 2;

    if ((n != 10 && n != 11) || s[day] != '-' || s[day + 4] != '-')
        return false;
    f->month = month_by_name(s + day + 1, 3);
    if (s[0] == ' ' && n == 11)
        return fixed_number(s + 1, 1, &f->day) && fixed_number(s + 7, 4, &f->year);
    return fixed_number(s, day, &f->day) && fixed_number(s + day + 5, 4, &f->year);
}

int mail_date_day_parse(const char *s, size_t n, int64_t *time_r)
{
    struct fields f = nothing;

    if (!parse_day(s, n, &f) || !is_valid(&f))
        return ERR_SYNTAX;
    *time_r = time_of(&f);
    return 0;
}

int mail_date_time_parse(const char *s, size_t n, int64_t *time_r, int *zone_r)
{
    struct fields f = nothing;
    int zone;

    /* dd-Mon-yyyy hh:mm:ss +zzzz */
    if (n != 26 || s[11] != ' ' || s[14] != ':' || s[17] != ':' || s[20] != ' ' ||
        (s[21] != '+' && s[21] != '-') || !parse_day(s, 11, &f) || !fixed_number(s + 12, 2, &f.hour) ||
        !fixed_number(s + 15, 2, &f.minute) || !fixed_number(s + 18, 2, &f.second) ||
        !fixed_number(s + 22, 4, &zone) || !is_valid(&f) || zone % 100 > 59 || zone / 100 > 23)
        return ERR_SYNTAX;
    f.zone = zone / 100 * 60 + zone % 100;
    if (s[21] == '-')
        f.zone = -f.zone;
    *time_r = time_of(&f);
    if (zone_r != NULL)
        *zone_r = f.zone;
    return 0;
}

void mail_date_time_format(char to[MAIL_DATE_SIZE], int64_t time, int zone)
{
    struct fields f;
    int weekday, ahead = zone < 0 ? -zone : zone;

    fields_of(time, zone, &f, &weekday);
    snprintf(to, MAIL_DATE_SIZE, "%2d-%s-%04d %02d:%02d:%02d %c%02d%02d", f.day, months[f.month], f.year,
             f.hour, f.minute, f.second, zone < 0 ? '-' : '+', ahead / 60 % 100, ahead % 60);
}

int64_t mail_date_day(int64_t time, int zone)
{
    struct fields f;
    int weekday;

    fields_of(time, zone, &f, &weekday);
    return days_of(f.year, f.month, f.day) * 86400;
}

int mail_date_local_zone(int64_t time)
{
    time_t t = (time_t)time;
    struct tm tm;

    return localtime_r(&t, &tm) == NULL ? 0 : (int)(tm.tm_gmtoff / 60);
}
