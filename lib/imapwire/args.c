#include "lib/imapwire/args.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

enum { SKIP_DEPTH_MAX = 32 };

void imap_args_init(struct imap_args *a, struct pool *pool, const char *data, size_t len)
{
    *a = (struct imap_args){
        .at = data, .end = data + len, .pool = pool, .max_word = SIZE_MAX, .max_quoted = SIZE_MAX};
}

const char *imap_args_error(const struct imap_args *a)
{
    return a->error != NULL ? a->error : "Syntax error";
}

static int fail(struct imap_args *a, const char *text)
{
    a->error = text;
    return ERR_SYNTAX;
}

/* ---- character classes (RFC 3501 section 9) ---- */

static bool is_ctl_or_8bit(char c)
{
    unsigned char u = (unsigned char)c;

    return u < 0x20 || u >= 0x7f;
}

static bool is_atom_char(char c)
{
    return !is_ctl_or_8bit(c) && strchr("(){ %*\"\\]", c) == NULL;
}

static bool is_astring_char(char c)
{
    return is_atom_char(c) || c == ']';
}

static bool is_list_char(char c)
{
    return is_astring_char(c) || c == '%' || c == '*';
}

static bool is_item_char(char c)
{
    return !is_ctl_or_8bit(c) && strchr(" ()[]<>\"{", c) == NULL;
}

static bool is_tag_or_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* ---- structure ---- */

bool imap_args_at_end(const struct imap_args *a)
{
    const char *p = a->at;

    while (p < a->end && *p == ' ')
        p++;
    return p == a->end;
}

int imap_args_end(struct imap_args *a)
{
    return imap_args_at_end(a) ? 0 : fail(a, "Unexpected extra arguments");
}

char imap_args_peek(const struct imap_args *a)
{
    return a->at < a->end ? *a->at : '\0';
}

bool imap_args_skip(struct imap_args *a, char c)
{
    if (a->at == a->end || *a->at != c)
        return false;
    a->at++;
    return true;
}

int imap_args_char(struct imap_args *a, char c)
{
    if (imap_args_skip(a, c))
        return 0;
    return fail(a, c == '(' ? "Missing open parenthesis"
                            : (c == ')' ? "Missing close parenthesis" : "Syntax error in arguments"));
}

int imap_args_space(struct imap_args *a)
{
    if (imap_args_at_end(a))
        return fail(a, "Missing required argument");
    return imap_args_skip(a, ' ') ? 0 : fail(a, "Missing space between arguments");
}

bool imap_args_word(struct imap_args *a, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(a->end - a->at) < n || !str_ieq_n(a->at, word, n))
        return false;
    if (a->at + n < a->end && strchr(" ()[]", a->at[n]) == NULL)
        return false;
    a->at += n;
    return true;
}

/* ---- strings ---- */

static int take(struct imap_args *a, bool (*allowed)(char c), const char *missing, const char **s_r)
{
    const char *begin = a->at;

    while (a->at < a->end && allowed(*a->at))
        a->at++;
    if (a->at == begin)
        return fail(a, missing);
    if ((size_t)(a->at - begin) > a->max_word)
        return fail(a, "Word too long");
    *s_r = pool_strndup(a->pool, begin, (size_t)(a->at - begin));
    return 0;
}

static int take_quoted(struct imap_args *a, const char **s_r)
{
    const char *begin = ++a->at;
    char *to;

    for (; a->at < a->end && *a->at != '"'; a->at++) {
        if (*a->at == '\0' || *a->at == '\r' || *a->at == '\n')
            return fail(a, "Invalid character in quoted string");
        if (*a->at == '\\' && (++a->at == a->end || (*a->at != '"' && *a->at != '\\')))
            return fail(a, "Invalid escape in quoted string");
    }
    if (a->at == a->end)
        return fail(a, "Missing closing quote");
    if ((size_t)(a->at - begin) > a->max_quoted)
        return fail(a, "Quoted string too long");
    if (a->utf8 && !str_is_utf8(begin, (size_t)(a->at - begin)))
        return fail(a, "Invalid UTF-8 in quoted string");
    *s_r = to = pool_alloc(a->pool, (size_t)(a->at - begin) + 1);
    for (; begin < a->at; begin++) {
        if (*begin == '\\')
            begin++;
        *to++ = *begin;
    }
    a->at++;
    return 0;
}

/* "{n}CRLF" or "{n+}CRLF"; the assembler has seen to it that n bytes follow, a backend's response may lie. */
static int take_literal8(struct imap_args *a, const char **s_r, size_t *len_r)
{
    const char *digits = ++a->at;
    char *copy;
    uint64_t n;

    while (a->at < a->end && is_tag_or_digit(*a->at))
        a->at++;
    if (str_parse_u64(digits, (size_t)(a->at - digits), &n) < 0)
        return fail(a, "Invalid literal");
    imap_args_skip(a, '+');
    if (!imap_args_skip(a, '}') || !imap_args_skip(a, '\r') || !imap_args_skip(a, '\n') ||
        n > (uint64_t)(a->end - a->at))
        return fail(a, "Invalid literal");
    *s_r = copy = pool_alloc(a->pool, (size_t)n + 1);
    memcpy(copy, a->at, (size_t)n);
    copy[n] = '\0';
    *len_r = (size_t)n;
    a->at += n;
    return 0;
}

static int take_literal(struct imap_args *a, const char **s_r)
{
    size_t n;

    if (take_literal8(a, s_r, &n) < 0)
        return ERR_SYNTAX;
    return strlen(*s_r) == n ? 0 : fail(a, "NUL byte in literal");
}

int imap_args_atom(struct imap_args *a, const char **s_r)
{
    return take(a, is_atom_char, "Missing atom", s_r);
}

int imap_args_string(struct imap_args *a, const char **s_r)
{
    switch (imap_args_peek(a)) {
    case '"':
        return take_quoted(a, s_r);
    case '{':
        return take_literal(a, s_r);
    default:
        return fail(a, "Missing string");
    }
}

static bool is_string_next(const struct imap_args *a)
{
    char c = imap_args_peek(a);

    return c == '"' || c == '{';
}

int imap_args_astring(struct imap_args *a, const char **s_r)
{
    if (is_string_next(a))
        return imap_args_string(a, s_r);
    return take(a, is_astring_char, "Missing required argument", s_r);
}

int imap_args_nstring(struct imap_args *a, const char **s_r)
{
    if (is_string_next(a))
        return imap_args_string(a, s_r);
    *s_r = NULL;
    return imap_args_word(a, "NIL") ? 0 : fail(a, "Missing string or NIL");
}

int imap_args_nstring8(struct imap_args *a, const char **s_r, size_t *len_r)
{
    if (imap_args_skip(a, '~')) {
        if (imap_args_peek(a) != '{')
            return fail(a, "Missing literal");
        return take_literal8(a, s_r, len_r);
    }
    if (imap_args_nstring(a, s_r) < 0)
        return ERR_SYNTAX;
    *len_r = *s_r != NULL ? strlen(*s_r) : 0;
    return 0;
}

int imap_args_mailbox(struct imap_args *a, const char **s_r)
{
    int r = imap_args_astring(a, s_r);

    if (r == 0 && str_ieq(*s_r, "INBOX"))
        *s_r = "INBOX";
    return r;
}

int imap_args_list_mailbox(struct imap_args *a, const char **s_r)
{
    if (is_string_next(a))
        return imap_args_string(a, s_r);
    return take(a, is_list_char, "Missing mailbox pattern", s_r);
}

int imap_args_item(struct imap_args *a, const char **s_r)
{
    return take(a, is_item_char, "Missing item", s_r);
}

/* ---- numbers ---- */

static const char *digits_end(const struct imap_args *a)
{
    const char *p = a->at;

    while (p < a->end && is_tag_or_digit(*p))
        p++;
    return p;
}

int imap_args_number64(struct imap_args *a, uint64_t *n_r)
{
    const char *end = digits_end(a);

    if (str_parse_u64(a->at, (size_t)(end - a->at), n_r) < 0 || *n_r > INT64_MAX)
        return fail(a, "Invalid number");
    a->at = end;
    return 0;
}

int imap_args_number(struct imap_args *a, uint32_t *n_r)
{
    uint64_t n;

    if (imap_args_number64(a, &n) < 0 || n > UINT32_MAX)
        return fail(a, "Invalid number");
    *n_r = (uint32_t)n;
    return 0;
}

int imap_args_nz_number(struct imap_args *a, uint32_t *n_r)
{
    if (imap_args_number(a, n_r) < 0 || *n_r == 0)
        return fail(a, "Invalid number");
    return 0;
}

int imap_args_modseq(struct imap_args *a, bool zero, uint64_t *n_r)
{
    if (imap_args_number64(a, n_r) < 0 || (*n_r == 0 && !zero))
        return fail(a, "Invalid mod-sequence");
    return 0;
}

static bool is_seqset_char(char c)
{
    return is_tag_or_digit(c) || c == '*' || c == ':' || c == ',';
}

int imap_args_seqset(struct imap_args *a, const char **s_r)
{
    if (imap_args_skip(a, '$')) {
        *s_r = "$";
        return 0;
    }
    if (take(a, is_seqset_char, "Missing message set", s_r) < 0)
        return ERR_SYNTAX;
    return seqset_check(*s_r, strlen(*s_r)) < 0 ? fail(a, "Invalid message set") : 0;
}

/* ---- flags and dates ---- */

/* The system flags a client may set, in the case that answers use (RFC 3501 2.3.2). */
static const char *const system_flags[] = {"\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft"};

static int take_system_flag(struct imap_args *a, bool any, const char **s_r)
{
    const char *name;

    a->at++;
    if (any && imap_args_skip(a, '*')) {
        *s_r = "\\*";
        return 0;
    }
    if (imap_args_atom(a, &name) < 0)
        return fail(a, "Invalid flag");
    for (size_t i = 0; i < ARRAY_SIZE(system_flags); i++) {
        if (str_ieq(system_flags[i] + 1, name)) {
            *s_r = system_flags[i];
            return 0;
        }
    }
    if (!any)
        return fail(a, "Invalid system flag");
    *s_r = pool_printf(a->pool, "\\%s", name);
    return 0;
}

int imap_args_flag(struct imap_args *a, bool any, const char **s_r)
{
    if (imap_args_peek(a) == '\\')
        return take_system_flag(a, any, s_r);
    return take(a, is_atom_char, "Invalid flag", s_r);
}

struct flag_list {
    const char **items;
    size_t count, cap;
};

/* False: too many. */
static bool flag_list_add(struct pool *pool, struct flag_list *l, const char *flag)
{
    for (size_t i = 0; i < l->count; i++)
        if (str_ieq(l->items[i], flag))
            return true;
    if (l->count == IMAP_FLAGS_MAX)
        return false;
    if (l->count + 1 >= l->cap) {
        const char **more = pool_alloc(pool, (l->cap = l->cap != 0 ? l->cap * 2 : 8) * sizeof(*more));

        if (l->count > 0)
            memcpy(more, l->items, l->count * sizeof(*more));
        l->items = more;
    }
    l->items[l->count++] = flag;
    l->items[l->count] = NULL;
    return true;
}

int imap_args_flags(struct imap_args *a, bool bare, const char *const **flags_r, size_t *count_r)
{
    static const char *const none[] = {NULL};
    bool bracketed = imap_args_skip(a, '(');
    struct flag_list l = {NULL, 0, 0};
    const char *flag;

    if (!bracketed && !bare)
        return fail(a, "Missing flag list");
    while (!(bracketed && imap_args_skip(a, ')'))) {
        if (imap_args_flag(a, false, &flag) < 0)
            return ERR_SYNTAX;
        if (!flag_list_add(a->pool, &l, flag))
            return fail(a, "Too many flags");
        if (!bracketed && imap_args_at_end(a))
            break;
        if (imap_args_peek(a) != ')' && imap_args_space(a) < 0)
            return ERR_SYNTAX;
    }
    *flags_r = l.count > 0 ? l.items : none;
    *count_r = l.count;
    return 0;
}

int imap_args_date(struct imap_args *a, const char **s_r)
{
    if (imap_args_peek(a) == '"')
        return take_quoted(a, s_r);
    return take(a, is_atom_char, "Missing date", s_r);
}

int imap_args_date_time(struct imap_args *a, const char **s_r)
{
    return imap_args_peek(a) == '"' ? take_quoted(a, s_r) : fail(a, "Missing date-time");
}

/* ---- any value ---- */

static int skip_scalar(struct imap_args *a)
{
    const char *ignored;

    if (is_string_next(a))
        return imap_args_string(a, &ignored);
    if (imap_args_peek(a) == '\\')
        return imap_args_flag(a, true, &ignored);
    return take(a, is_list_char, "Syntax error in arguments", &ignored);
}

int imap_args_skip_value(struct imap_args *a)
{
    unsigned depth = 0;

    do {
        if (imap_args_skip(a, '(')) {
            if (++depth > SKIP_DEPTH_MAX)
                return fail(a, "Lists too deep");
            if (imap_args_peek(a) != ')')
                continue;
        } else if (skip_scalar(a) < 0) {
            return ERR_SYNTAX;
        }
        while (depth > 0 && imap_args_skip(a, ')'))
            depth--;
        if (depth > 0 && imap_args_peek(a) != '(' && imap_args_space(a) < 0)
            return ERR_SYNTAX;
    } while (depth > 0);
    return 0;
}

/* ---- the assembler's view ---- */

int imap_literal_at_end(const char *line, size_t len, struct imap_literal *literal_r)
{
    size_t digits_to = len, at;
    bool plus;

    if (len < 3 || line[len - 1] != '}')
        return 0;
    digits_to = len - 1;
    plus = line[digits_to - 1] == '+';
    if (plus)
        digits_to--;
    for (at = digits_to; at > 0 && is_tag_or_digit(line[at - 1]); at--)
        ;
    if (at == 0 || line[at - 1] != '{' || at == digits_to)
        return 0;
    if (str_parse_u64(line + at, digits_to - at, &literal_r->size) < 0)
        return ERR_TOOBIG;
    literal_r->synchronising = !plus;
    literal_r->binary = at >= 2 && line[at - 2] == '~';
    literal_r->at = at - (literal_r->binary ? 2 : 1);
    return 1;
}
