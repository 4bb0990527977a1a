/* control.c: the commands that steer (RFC 5228 3, 5463, 6609) and set (RFC 5229 4). */
#include <stdio.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/sieve/definition-private.h"
#include "lib/sieve/strings-private.h"

/* ---- require ---- */

static void check_require(struct checker *c, struct sieve_node *node)
{
    const struct sieve_strings *names = &node->params[0]->strings;

    for (size_t i = 0; i < names->count; i++) {
        int id = script_extension(check_script(c), names->items[i].data, names->items[i].len);

        if (id < 0)
            check_complain(c, node, "unknown extension \"%s\"", names->items[i].data);
        else
            check_enable(c, (enum extension)id);
    }
    if (check_has(c, EXT_SPAMTESTPLUS)) /* RFC 5235 2.2 */
        check_enable(c, EXT_SPAMTEST);
    if (check_has(c, EXT_VACATION_SECONDS)) /* RFC 6131 2 */
        check_enable(c, EXT_VACATION);
}

static int run_nothing(struct sieve_run *run, const struct sieve_node *node)
{
    (void)run;
    (void)node;
    return 0;
}

static int run_stop(struct sieve_run *run, const struct sieve_node *node)
{
    (void)node;
    run->stopped = true;
    return 0;
}

/* RFC 5463 5. */
static int run_error_command(struct sieve_run *run, const struct sieve_node *node)
{
    return run_error(run, node, ERR_SYNTAX, "%s", run_text(run, node->params[0]));
}

/* ---- include ---- */

enum { LOCATION_PERSONAL, LOCATION_GLOBAL };

/* RFC 5804 1.6: no control characters, no line separators; and no path. */
static const char *check_script_name(const struct sieve_string *s)
{
    if (s->len == 0 || s->len > 512 || *s->data == '.' || memchr(s->data, '/', s->len) != NULL)
        return "is no name of a script";
    for (size_t i = 0; i < s->len; i++)
        if ((unsigned char)s->data[i] < ' ' || s->data[i] == 127)
            return "is no name of a script";
    return NULL;
}

static int run_include_command(struct sieve_run *run, const struct sieve_node *node)
{
    const struct sieve_arg *location = node->slots[SLOT_LOCATION];

    return run_include(run, node, node->params[0]->strings.items[0].data,
                       location != NULL && location->value == LOCATION_GLOBAL);
}

static int run_return(struct sieve_run *run, const struct sieve_node *node)
{
    (void)node;
    run->returned = true; /* in the outermost script that is its end */
    return 0;
}

static int run_global(struct sieve_run *run, const struct sieve_node *node)
{
    const struct sieve_strings *names = &node->params[0]->strings;
    int r = 0;

    for (size_t i = 0; i < names->count && r == 0; i++)
        r = run_declare_global(run, node, names->items[i].data, names->items[i].len);
    return r;
}

static void check_global(struct checker *c, struct sieve_node *node)
{
    if (!check_has(c, EXT_VARIABLES))
        check_complain(c, node, "global needs require \"variables\"");
}

static const struct tag tags_include[] = {{"personal", SLOT_LOCATION, EXT_NONE, TAG_ALONE, LOCATION_PERSONAL},
                                          {"global", SLOT_LOCATION, EXT_NONE, TAG_ALONE, LOCATION_GLOBAL},
                                          {"once", SLOT_ONCE, EXT_NONE, TAG_ALONE, 0},
                                          {"optional", SLOT_OPTIONAL, EXT_NONE, TAG_ALONE, 0},
                                          {NULL, 0, 0, 0, 0}};

/* ---- set ---- */

enum modifier {
    MODIFIER_LOWER,
    MODIFIER_UPPER,
    MODIFIER_LOWER_FIRST,
    MODIFIER_UPPER_FIRST,
    MODIFIER_QUOTE_WILDCARD,
    MODIFIER_QUOTE_REGEX,
    MODIFIER_ENCODE_URL,
    MODIFIER_LENGTH
};

const char *check_variable_name(const struct sieve_string *s)
{
    return strings_is_name(s->data, s->len) ? NULL : "is no name of a variable";
}

/* Only `global` is a namespace that can be set (RFC 6609 3.4.2). */
static const char *check_set_name(const struct sieve_string *s)
{
    struct sieve_string name = *s;

    if (s->len > 7 && str_ieq_n(s->data, "global.", 7))
        name = (struct sieve_string){s->data + 7, s->len - 7};
    return check_variable_name(&name);
}

static void check_set(struct checker *c, struct sieve_node *node)
{
    if (memchr(node->params[0]->strings.items[0].data, '.', node->params[0]->strings.items[0].len) != NULL &&
        !check_has(c, EXT_INCLUDE))
        check_complain(c, node, "the variables of global. need require \"include\"");
}

static void quote(struct buf *to, const struct sieve_string *s, const char *special)
{
    for (size_t i = 0; i < s->len; i++) {
        if (strchr(special, s->data[i]) != NULL)
            buf_putc(to, '\\');
        buf_putc(to, s->data[i]);
    }
}

/* RFC 5435 6: all but the unreserved characters of RFC 3986. */
static void encode_url(struct buf *to, const struct sieve_string *s)
{
    for (size_t i = 0; i < s->len; i++) {
        unsigned char c = (unsigned char)s->data[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            (c != 0 && strchr("-._~", c) != NULL))
            buf_putc(to, (char)c);
        else
            buf_printf(to, "%%%02X", c);
    }
}

static size_t count_characters(const struct sieve_string *s)
{
    size_t count = 0;

    for (size_t i = 0; i < s->len; i++)
        count += ((unsigned char)s->data[i] & 0xc0) != 0x80;
    return count;
}

static void change_case(struct buf *to, const struct sieve_string *s, size_t n, bool upper)
{
    for (size_t i = 0; i < n && i < s->len; i++)
        buf_putc(to, upper ? str_upper_c(s->data[i]) : str_lower_c(s->data[i]));
    if (n < s->len)
        buf_append(to, s->data + n, s->len - n);
}

static struct sieve_string modify(struct sieve_run *run, enum modifier modifier, struct sieve_string s)
{
    struct buf text = BUF_INIT;

    switch (modifier) {
    case MODIFIER_LOWER:
    case MODIFIER_UPPER:
        change_case(&text, &s, s.len, modifier == MODIFIER_UPPER);
        break;
    case MODIFIER_LOWER_FIRST:
    case MODIFIER_UPPER_FIRST:
        change_case(&text, &s, 1, modifier == MODIFIER_UPPER_FIRST);
        break;
    case MODIFIER_QUOTE_WILDCARD:
        quote(&text, &s, "*?\\");
        break;
    case MODIFIER_QUOTE_REGEX:
        quote(&text, &s, "\\^$.|?*+()[]{}");
        break;
    case MODIFIER_ENCODE_URL:
        encode_url(&text, &s);
        break;
    case MODIFIER_LENGTH:
        buf_printf(&text, "%zu", count_characters(&s));
    }
    s = run_keep(run, text.data, text.len);
    buf_free(&text);
    return s;
}

static int run_set(struct sieve_run *run, const struct sieve_node *node)
{
    const struct sieve_string *name = &node->params[0]->strings.items[0];
    struct sieve_string value = run_string(run, &node->params[1]->strings.items[0]);

    for (int slot = SLOT_CASE; slot <= SLOT_LENGTH; slot++) /* RFC 5229 4.1: highest precedence first */
        if (node->slots[slot] != NULL)
            value = modify(run, (enum modifier)node->slots[slot]->value, value);
    return run_set_variable(run, node, name->data, name->len, value);
}

static const struct tag tags_set[] = {
    {"lower", SLOT_CASE, EXT_NONE, TAG_ALONE, MODIFIER_LOWER},
    {"upper", SLOT_CASE, EXT_NONE, TAG_ALONE, MODIFIER_UPPER},
    {"lowerfirst", SLOT_FIRST, EXT_NONE, TAG_ALONE, MODIFIER_LOWER_FIRST},
    {"upperfirst", SLOT_FIRST, EXT_NONE, TAG_ALONE, MODIFIER_UPPER_FIRST},
    {"quotewildcard", SLOT_QUOTE, EXT_NONE, TAG_ALONE, MODIFIER_QUOTE_WILDCARD},
    {"quoteregex", SLOT_QUOTE, EXT_REGEX, TAG_ALONE, MODIFIER_QUOTE_REGEX},
    {"encodeurl", SLOT_ENCODE, EXT_ENOTIFY, TAG_ALONE, MODIFIER_ENCODE_URL},
    {"length", SLOT_LENGTH, EXT_NONE, TAG_ALONE, MODIFIER_LENGTH},
    {NULL, 0, 0, 0, 0}};

/* `if` and its kin are run by run_block(). */
const struct definition commands_control[] = {
    {.name = "require",
     .n_params = 1,
     .params = {{PARAM_STRINGS, true, NULL}},
     .check = check_require,
     .run = run_nothing},
    {.name = "if", .tests = ONE_TEST, .block = true, .run = run_nothing},
    {.name = "elsif", .tests = ONE_TEST, .block = true, .run = run_nothing},
    {.name = "else", .block = true, .run = run_nothing},
    {.name = "stop", .run = run_stop},
    {.name = "error",
     .extension = EXT_IHAVE,
     .n_params = 1,
     .params = {{PARAM_STRING, false, NULL}},
     .run = run_error_command},
    {.name = "include",
     .extension = EXT_INCLUDE,
     .n_params = 1,
     .params = {{PARAM_STRING, true, check_script_name}},
     .tags = {tags_include},
     .run = run_include_command},
    {.name = "return", .extension = EXT_INCLUDE, .run = run_return},
    {.name = "global",
     .extension = EXT_INCLUDE,
     .n_params = 1,
     .params = {{PARAM_STRINGS, true, check_variable_name}},
     .check = check_global,
     .run = run_global},
    {.name = "set",
     .extension = EXT_VARIABLES,
     .n_params = 2,
     .params = {{PARAM_STRING, true, check_set_name}, {PARAM_STRING, false, NULL}},
     .tags = {tags_set},
     .check = check_set,
     .run = run_set},
    {.name = NULL},
};
