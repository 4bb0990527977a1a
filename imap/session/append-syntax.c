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

/* A number of n digits from min to max; -1. */
static int number(const char *s, size_t n, int min, int max)
{
    int v = 0;

    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return -1;
        v = v * 10 + (s[i] - '0');
    }
    return v >= min && v <= max ? v : -1;
}

static int days_of(int month, int year)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return month == 1 && !leap ? 28 : days[month];
}

/* "dd-Mon-yyyy", the day's first digit may be a blank. */
static bool is_date(const char *s)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int month = 0, year = number(s + 7, 4, 0, 9999);

    while (month < 12 && !str_ieq_n(s + 3, months + 3 * month, 3))
        month++;
    if (month == 12 || year < 0 || s[2] != '-' || s[6] != '-')
        return false;
    return s[0] == ' ' ? number(s + 1, 1, 1, 9) > 0 : number(s, 2, 1, days_of(month, year)) > 0;
}

/* RFC 3501 section 9, date-time: "dd-Mon-yyyy hh:mm:ss +zzzz". */
static bool is_date_time(const char *s)
{
    return strlen(s) == strlen("dd-Mon-yyyy hh:mm:ss +zzzz") && is_date(s) && s[11] == ' ' &&
           number(s + 12, 2, 0, 23) >= 0 && s[14] == ':' && number(s + 15, 2, 0, 59) >= 0 && s[17] == ':' &&
           number(s + 18, 2, 0, 60) >= 0 && s[20] == ' ' && (s[21] == '+' || s[21] == '-') &&
           number(s + 22, 4, 0, 9999) >= 0;
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
    return 0;
}

/* "WORD SP (" */
static bool takes_word(struct imap_args *args, const char *word)
{
    struct imap_args before = *args;

    if (imap_args_word(args, word) && imap_args_skip(args, ' ') && imap_args_skip(args, '('))
        return true;
    *args = before;
    return false;
}

/* RFC 5257 section 5, att-annotate, and the blank behind it.  1: a value is a literal. */
static int read_annotations(struct append_syntax *s)
{
    int r = annotate_reader_next(&s->reader, &s->args, s->announced);

    s->state = APPEND_IN_ANNOTATIONS;
    return r == 0 ? imap_args_char(&s->args, ' ') : r;
}

int append_syntax_value(struct append_syntax *s, const char *data, size_t len)
{
    return annotate_reader_value(&s->reader, s->args.pool, data, len, &s->args.error);
}

/* The literal must be announced right here. */
static int before_literal(struct append_syntax *s)
{
    if (!imap_args_at_end(&s->args))
        return imap_args_end(&s->args);
    if (s->args.at != s->args.end)
        return fail(s, "Unexpected blank");
    return s->announced ? 0 : fail(s, "Missing message literal");
}

static int begin_body(struct append_syntax *s);

static int go_on_annotations(struct append_syntax *s)
{
    int r = read_annotations(s);

    if (r == 1)
        return APPEND_ITEM_VALUE;
    return r < 0 ? ERR_SYNTAX : begin_body(s);
}

static int begin_message(struct append_syntax *s)
{
    if (s->done && !s->announced && s->args.at == s->args.end)
        return APPEND_ITEM_DONE;
    if (read_options(s) < 0)
        return ERR_SYNTAX;
    s->annotations = (struct annotate_list){0};
    if (s->annotate && imap_args_word(&s->args, "ANNOTATION")) {
        if (imap_args_char(&s->args, ' ') < 0)
            return ERR_SYNTAX;
        annotate_reader_init(&s->reader, &s->annotations);
        return go_on_annotations(s);
    }
    return begin_body(s);
}

static int begin_body(struct append_syntax *s)
{
    s->is_catenated = s->catenate && takes_word(&s->args, "CATENATE");
    if (s->is_catenated) {
        s->state = APPEND_BEFORE_PART;
        return APPEND_ITEM_MESSAGE;
    }
    s->state = s->utf8 && takes_word(&s->args, "UTF8") ? APPEND_BEFORE_UTF8 : APPEND_BEFORE_BYTES;
    return before_literal(s) < 0 ? ERR_SYNTAX : APPEND_ITEM_MESSAGE;
}

static int end_message(struct append_syntax *s)
{
    s->state = APPEND_BETWEEN;
    s->done = true;
    return APPEND_ITEM_END;
}

/* "URL SP astring", whose astring may be the literal that is announced. */
static int take_url(struct append_syntax *s)
{
    s->state = APPEND_BEHIND_PART;
    s->url = NULL;
    if (s->args.at == s->args.end && s->announced)
        return APPEND_ITEM_URL;
    return imap_args_astring(&s->args, &s->url) < 0 ? ERR_SYNTAX : APPEND_ITEM_URL;
}

/* cat-part (RFC 4469 section 5, RFC 6855 section 4) */
static int take_part(struct append_syntax *s)
{
    if (s->utf8 && takes_word(&s->args, "UTF8")) {
        s->state = APPEND_BEHIND_UTF8_PART;
        return before_literal(s) < 0 ? ERR_SYNTAX : APPEND_ITEM_UTF8;
    }
    if (imap_args_word(&s->args, "TEXT")) {
        s->state = APPEND_BEHIND_PART;
        return imap_args_char(&s->args, ' ') < 0 || before_literal(s) < 0 ? ERR_SYNTAX : APPEND_ITEM_TEXT;
    }
    if (imap_args_word(&s->args, "URL"))
        return imap_args_char(&s->args, ' ') < 0 ? ERR_SYNTAX : take_url(s);
    return fail(s, "Invalid part of a message");
}

static int behind_part(struct append_syntax *s)
{
    if (imap_args_skip(&s->args, ')'))
        return end_message(s);
    return imap_args_char(&s->args, ' ') < 0 ? ERR_SYNTAX : take_part(s);
}

int append_syntax_next(struct append_syntax *s)
{
    switch (s->state) {
    case APPEND_BETWEEN:
        return begin_message(s);
    case APPEND_IN_ANNOTATIONS:
        return go_on_annotations(s);
    case APPEND_BEFORE_BYTES:
        s->state = APPEND_BEHIND_BYTES;
        return APPEND_ITEM_LITERAL;
    case APPEND_BEFORE_UTF8:
        s->state = APPEND_BEHIND_UTF8;
        return APPEND_ITEM_UTF8;
    case APPEND_BEHIND_UTF8:
        return imap_args_char(&s->args, ')') < 0 ? ERR_SYNTAX : end_message(s);
    case APPEND_BEFORE_PART:
        return take_part(s);
    case APPEND_BEHIND_UTF8_PART:
        return imap_args_char(&s->args, ')') < 0 ? ERR_SYNTAX : behind_part(s);
    case APPEND_BEHIND_PART:
        return behind_part(s);
    case APPEND_BEHIND_BYTES:
        break;
    }
    return end_message(s);
}
