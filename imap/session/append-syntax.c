#include "imap/session/append-syntax.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

void append_syntax_init(struct append_syntax *s)
{
    *s = (struct append_syntax){.state = APPEND_BETWEEN};
}

void append_syntax_text(struct append_syntax *s, const struct imap_args *args, bool announced)
{
    s->args = *args;
    s->announced = announced;
}

static int fail(struct append_syntax *s, const char *text)
{
    s->args.error = text;
    return ERR_SYNTAX;
}

static bool are_digits(const char *s, size_t n, unsigned max)
{
    unsigned v = 0;

    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        v = v * 10 + (unsigned)(s[i] - '0');
    }
    return v <= max;
}

/* RFC 3501 section 9, date-time: "dd-Mon-yyyy hh:mm:ss +zzzz", the day's first digit may be a blank.  How long the month
 * is is the store's matter. */
static bool is_date_time(const char *s)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    bool is_month = false;

    if (strlen(s) != strlen("dd-Mon-yyyy hh:mm:ss +zzzz"))
        return false;
    for (const char *m = months; *m != '\0'; m += 3)
        is_month = is_month || str_ieq_n(s + 3, m, 3);
    return is_month && (s[0] == ' ' ? are_digits(s + 1, 1, 9) : are_digits(s, 2, 31)) && s[2] == '-' &&
           s[6] == '-' && are_digits(s + 7, 4, 9999) && s[11] == ' ' && are_digits(s + 12, 2, 23) &&
           s[14] == ':' && are_digits(s + 15, 2, 59) && s[17] == ':' && are_digits(s + 18, 2, 60) &&
           s[20] == ' ' && (s[21] == '+' || s[21] == '-') && are_digits(s + 22, 4, 9999);
}

static const char *join(struct pool *pool, const char *const *flags)
{
    struct buf all = BUF_INIT;
    const char *joined;

    for (; *flags != NULL; flags++)
        buf_printf(&all, "%s%s", all.len > 0 ? " " : "", *flags);
    joined = pool_strdup(pool, buf_cstr(&all));
    buf_free(&all);
    return joined;
}

/* "SP [flags SP] [date-time SP]" before the literal. */
static int read_options(struct append_syntax *s)
{
    struct imap_args *args = &s->args;
    const char *const *flags;
    size_t count;

    s->flags = "";
    s->date = NULL;
    if (imap_args_char(args, ' ') < 0)
        return ERR_SYNTAX;
    if (imap_args_peek(args) == '(') {
        if (imap_args_flags(args, false, &flags, &count) < 0 || imap_args_char(args, ' ') < 0)
            return ERR_SYNTAX;
        s->flags = join(args->pool, flags);
    }
    if (imap_args_peek(args) == '"') {
        if (imap_args_date_time(args, &s->date) < 0 || imap_args_char(args, ' ') < 0)
            return ERR_SYNTAX;
        if (!is_date_time(s->date))
            return fail(s, "Invalid date-time");
    }
    if (args->at == args->end)
        return 0;
    return imap_args_end(args) < 0 ? ERR_SYNTAX : fail(s, "Unexpected blank");
}

static int begin_message(struct append_syntax *s)
{
    if (s->done && !s->announced && s->args.at == s->args.end)
        return APPEND_ITEM_DONE;
    if (read_options(s) < 0)
        return ERR_SYNTAX;
    if (!s->announced)
        return fail(s, "Missing message literal");
    s->state = APPEND_BEFORE_BYTES;
    return APPEND_ITEM_MESSAGE;
}

int append_syntax_next(struct append_syntax *s)
{
    switch (s->state) {
    case APPEND_BETWEEN:
        return begin_message(s);
    case APPEND_BEFORE_BYTES:
        s->state = APPEND_BEHIND_BYTES;
        return APPEND_ITEM_LITERAL;
    case APPEND_BEHIND_BYTES:
        break;
    }
    s->state = APPEND_BETWEEN;
    s->done = true;
    return APPEND_ITEM_END;
}
