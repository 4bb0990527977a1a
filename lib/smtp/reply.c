#include "lib/smtp/reply.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/pool.h"
#include "lib/base/str.h"
#include "lib/stream/stream.h"

void smtp_reply_init(struct smtp_reply *r)
{
    memset(r, 0, sizeof(*r));
}

void smtp_reply_free(struct smtp_reply *r)
{
    buf_free(&r->text);
    smtp_reply_init(r);
}

void smtp_reply_set(struct smtp_reply *r, int code, const char *enhanced, const char *text)
{
    r->code = code;
    r->partial = false;
    str_copy(r->enhanced, sizeof(r->enhanced), enhanced);
    buf_reset(&r->text);
    buf_puts(&r->text, text);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* RFC 3463 section 2: class "." subject "." detail, the class as the reply code's; then a blank or the end.  Its
 * length, 0 if there is none. */
static size_t enhanced_length(const char *s, size_t n, char class)
{
    size_t at = 0, dots = 0, digits = 0;

    while (at < n && (is_digit(s[at]) || s[at] == '.')) {
        digits = s[at] == '.' ? 0 : digits + 1;
        dots += s[at] == '.';
        if (digits > 3 || (s[at] == '.' && at > 0 && s[at - 1] == '.'))
            return 0;
        at++;
    }
    if (dots != 2 || digits == 0 || s[0] != class || s[1] != '.' || (at < n && s[at] != ' '))
        return 0;
    return at;
}

/* One line without CRLF.  1: the last of its reply; 0: more follow. */
static int add_line(struct smtp_reply *r, const char *line, size_t n)
{
    size_t k;
    int code;

    if (n < 3 || line[0] < '2' || line[0] > '5' || !is_digit(line[1]) || !is_digit(line[2]))
        return ERR_PROTOCOL;
    if (n > 3 && line[3] != ' ' && line[3] != '-')
        return ERR_PROTOCOL;
    code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
    if (r->partial && code != r->code)
        return ERR_PROTOCOL;
    if (!r->partial)
        smtp_reply_set(r, code, "", "");
    else
        buf_putc(&r->text, '\n');
    r->partial = n > 3 && line[3] == '-';
    line += n > 3 ? 4 : 3;
    n -= n > 3 ? 4 : 3;
    k = enhanced_length(line, n, (char)('0' + code / 100));
    if (k > 0 && k < sizeof(r->enhanced)) {
        memcpy(r->enhanced, line, k);
        r->enhanced[k] = '\0';
        k += k < n; /* the blank */
        line += k;
        n -= k;
    }
    if (r->text.len + n > SMTP_REPLY_MAX)
        return ERR_TOOBIG;
    buf_append(&r->text, line, n);
    return r->partial ? 0 : 1;
}

int smtp_reply_read(struct smtp_reply *r, struct stream *s)
{
    const char *line;
    size_t n;
    int k;

    while ((k = stream_line(s, SMTP_LINE_MAX, &line, &n)) > 0) {
        if (memchr(line, '\0', n) != NULL)
            return ERR_PROTOCOL;
        k = add_line(r, line, n);
        if (k != 0)
            return k;
    }
    return k;
}

static void parse_line(struct smtp_caps *caps, const char *line)
{
    static const struct {
        const char *word;
        size_t at;
    } switches[] = {
        {"PIPELINING", offsetof(struct smtp_caps, pipelining)},
        {"8BITMIME", offsetof(struct smtp_caps, eightbitmime)},
        {"ENHANCEDSTATUSCODES", offsetof(struct smtp_caps, enhanced)},
        {"STARTTLS", offsetof(struct smtp_caps, starttls)},
        {"IGNOREQUOTA", offsetof(struct smtp_caps, ignorequota)},
        {"AUTH", offsetof(struct smtp_caps, auth_param)},
        {"SIZE", offsetof(struct smtp_caps, size)},
        {"SMTPUTF8", offsetof(struct smtp_caps, smtputf8)},
        {"XORCPT", offsetof(struct smtp_caps, xorcpt)},
        {"CHUNKING", offsetof(struct smtp_caps, chunking)},
        {"BINARYMIME", offsetof(struct smtp_caps, binarymime)},
    };
    size_t n = strcspn(line, " \t=");

    for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
        if (strlen(switches[i].word) == n && str_ieq_n(line, switches[i].word, n))
            *(bool *)((char *)caps + switches[i].at) = true;
    }
    if (n == 4 && str_ieq_n(line, "SIZE", 4) && line[4] == ' ' &&
        str_parse_u64(line + 5, strlen(line + 5), &caps->size_max) != 0)
        caps->size_max = 0;
}

void smtp_caps_parse(struct smtp_caps *caps, const char *text)
{
    struct pool *pool = pool_new(0);
    struct str_list lines = str_split(pool, text, "\n");

    memset(caps, 0, sizeof(*caps));
    for (size_t i = 0; i < lines.count; i++)
        parse_line(caps, lines.items[i]);
    pool_free(&pool);
}
