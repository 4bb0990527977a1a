#include "imap/lmtp/engine/data.h"

#include <string.h>

void lmtpd_data_begin(struct lmtpd_data *d)
{
    d->state = LMTPD_DATA_LINE;
    d->has_nul = false;
}

/* A character within a line. */
static void take_text(struct lmtpd_data *d, char c, struct buf *to)
{
    d->state = LMTPD_DATA_TEXT;
    if (c == '\r')
        d->state = LMTPD_DATA_CR;
    else if (c == '\n')
        buf_puts(to, "\r\n"); /* bare: not a line's beginning as far as dots go */
    else if (c == '\0')
        d->has_nul = true;
    else
        buf_putc(to, c);
}

static void take(struct lmtpd_data *d, char c, struct buf *to)
{
    switch (d->state) {
    case LMTPD_DATA_LINE:
        if (c == '.')
            d->state = LMTPD_DATA_DOT;
        else
            take_text(d, c, to);
        break;
    case LMTPD_DATA_CR:
        take_text(d, c, to);
        if (c == '\n')
            d->state = LMTPD_DATA_LINE;
        break;
    case LMTPD_DATA_DOT:
        if (c == '\r')
            d->state = LMTPD_DATA_DOT_CR;
        else
            take_text(d, c, to);
        break;
    case LMTPD_DATA_DOT_CR:
        if (c == '\n')
            d->state = LMTPD_DATA_END;
        else
            take_text(d, c, to);
        break;
    default:
        take_text(d, c, to);
    }
}

/* The length of a run that is copied as it stands. */
static size_t plain_run(const char *in, size_t n)
{
    size_t i = 0;

    while (i < n && in[i] != '\r' && in[i] != '\n' && in[i] != '\0')
        i++;
    return i;
}

void lmtpd_data_text(struct lmtpd_data *d, const char *in, size_t n, struct buf *to)
{
    for (size_t i = 0; i < n;) {
        size_t run = plain_run(in + i, n - i);

        buf_append(to, in + i, run);
        i += run;
        if (i < n)
            take_text(d, in[i++], to);
    }
}

bool lmtpd_data_feed(struct lmtpd_data *d, const char *in, size_t n, size_t *used_r, struct buf *to)
{
    size_t i = 0;

    while (i < n && d->state != LMTPD_DATA_END) {
        size_t run = d->state == LMTPD_DATA_TEXT ? plain_run(in + i, n - i) : 0;

        buf_append(to, in + i, run);
        i += run;
        if (i < n)
            take(d, in[i++], to);
    }
    *used_r = i;
    return d->state == LMTPD_DATA_END;
}
