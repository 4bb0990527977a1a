/* date.h: the dates of mail and of IMAP, to seconds of the epoch and back.
 *
 * Years 1 to 9999, proleptic Gregorian; zones in minutes east of UTC.  Thread-safe, no locale. */
#ifndef LIB_MAIL_DATE_H
#define LIB_MAIL_DATE_H

#include <stddef.h>
#include <stdint.h>

enum { MAIL_DATE_SIZE = 40 }; /* room that every format here needs */

/* RFC 5322 sections 3.3 and 4.3, and what mailers write instead: comments, obsolete zones, two-digit
 * years, missing seconds or zone (UTC), the weekday anywhere or wrong.  0, or ERR_SYNTAX (outputs
 * untouched).  zone_r may be NULL. */
int mail_date_parse(const char *s, size_t n, int64_t *time_r, int *zone_r);

/* "Sat, 21 Nov 2026 12:00:00 +0000" */
void mail_date_format(char to[MAIL_DATE_SIZE], int64_t time, int zone);

/* IMAP date-time without its quotes (RFC 3501 section 9): " 7-Jul-1996 02:44:25 -0700".  Strict; 0 or
 * ERR_SYNTAX. */
int mail_date_time_parse(const char *s, size_t n, int64_t *time_r, int *zone_r);
/* The same, written. */
void mail_date_time_format(char to[MAIL_DATE_SIZE], int64_t time, int zone);

/* IMAP date ("1-Feb-1994", RFC 3501 section 9) as seconds of its midnight in UTC.  0 or ERR_SYNTAX. */
int mail_date_day_parse(const char *s, size_t n, int64_t *time_r);

/* The day that a time falls on in its zone, as seconds of that day's midnight in UTC: what SENTON and ON
 * compare ("disregarding time and timezone"). */
int64_t mail_date_day(int64_t time, int zone);

/* Minutes east of UTC that this machine's time zone has at that time. */
int mail_date_local_zone(int64_t time);

#endif
