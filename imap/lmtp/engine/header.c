#include "imap/lmtp/engine/header.h"

#include <ctype.h>
#include <string.h>

static const char return_path[] = "return-path:";

void lmtpd_header_begin(struct lmtpd_header *h, bool drop, bool munge)
{
    memset(h, 0, sizeof(*h));
    h->drop = drop;
    h->munge = munge;
}

static void put(struct lmtpd_header *h, char c, struct buf *to)
{
    if (h->dropping)
        return;
    h->has_8bit |= (c & 0x80) != 0;
    buf_putc(to, h->munge && (c & 0x80) ? 'X' : c);
}

void lmtpd_header_end(struct lmtpd_header *h, struct buf *to)
{
    buf_append(to, h->name, h->name_len);
    h->name_len = 0;
}

static void within(struct lmtpd_header *h, char c, struct buf *to)
{
    put(h, c, to);
    h->state = c == '\n' ? LMTPD_HEADER_LINE : LMTPD_HEADER_FIELD;
}

/* The next character of a name, which is ours to drop as long as it agrees. */
static void take_name(struct lmtpd_header *h, char c, struct buf *to)
{
    if (!h->drop || tolower((unsigned char)c) != return_path[h->name_len]) {
        lmtpd_header_end(h, to);
        within(h, c, to);
        return;
    }
    h->name[h->name_len++] = c;
    h->state = LMTPD_HEADER_NAME;
    if (h->name_len == sizeof(return_path) - 1) {
        h->name_len = 0;
        h->dropping = true;
        h->state = LMTPD_HEADER_FIELD;
    }
}

static void take_line(struct lmtpd_header *h, char c, struct buf *to)
{
    if (c == ' ' || c == '\t') { /* goes on with the field before */
        within(h, c, to);
        return;
    }
    h->dropping = false;
    if (c == '\r' || c == '\n') {
        put(h, c, to);
        h->state = c == '\r' ? LMTPD_HEADER_CR : LMTPD_HEADER_BODY;
        return;
    }
    take_name(h, c, to);
}

static void take(struct lmtpd_header *h, char c, struct buf *to)
{
    switch (h->state) {
    case LMTPD_HEADER_LINE:
        take_line(h, c, to);
        break;
    case LMTPD_HEADER_NAME:
        take_name(h, c, to);
        break;
    case LMTPD_HEADER_CR:
        within(h, c, to);
        if (c == '\n')
            h->state = LMTPD_HEADER_BODY;
        break;
    default:
        within(h, c, to);
    }
}

void lmtpd_header_feed(struct lmtpd_header *h, const char *in, size_t n, struct buf *to)
{
    size_t i = 0;

    while (i < n && h->state != LMTPD_HEADER_BODY)
        take(h, in[i++], to);
    buf_append(to, in + i, n - i);
}
