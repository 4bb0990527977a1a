/* check.c: binds a script's words to their definitions, and finds what is wrong with it before it runs. */
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/sieve/definition-private.h"
#include "lib/sieve/match-private.h"
#include "lib/sieve/strings-private.h"

struct checker {
    struct sieve_script *script;
    struct complaints *complaints;
    bool enabled[EXT_COUNT];
    bool began; /* a command other than require was seen */
    struct sieve_node *node;
};

static const struct definition *const command_lists[] = {commands_control, commands_action, commands_flag,
                                                         commands_edit};
static const struct definition *const test_lists[] = {tests_basic, tests_message, tests_date, tests_flag,
                                                      tests_world};

/* ---- extensions ---- */

static const char *const extension_names[] = {
    "",
#define EXTENSION(id, name) name,
#include "lib/sieve/extensions.def"
#undef EXTENSION
};

int extension_find(const char *name, size_t n)
{
    for (int i = 1; i < EXT_COUNT; i++)
        if (strlen(extension_names[i]) == n && memcmp(extension_names[i], name, n) == 0)
            return i;
    return -1;
}

int script_extension(const struct sieve_script *script, const char *name, size_t n)
{
    int id = extension_find(name, n);

    return id < 0 || script->allows == NULL || script->allows(extension_names[id]) ? id : -1;
}

const char *extension_name(enum extension extension)
{
    return extension_names[extension];
}

bool sieve_extension_is_known(const char *name, size_t n)
{
    return extension_find(name, n) >= 0;
}

const char *sieve_extensions(void)
{
    static const char all[] = ""
#define EXTENSION(id, name) name " "
#include "lib/sieve/extensions.def"
#undef EXTENSION
        ;

    return all;
}

/* ---- for definitions ---- */

bool check_has(const struct checker *c, enum extension extension)
{
    return extension == EXT_NONE || c->enabled[extension];
}

void check_enable(struct checker *c, enum extension extension)
{
    c->enabled[extension] = true;
    c->script->requires[extension] = true;
}

struct sieve_script *check_script(struct checker *c)
{
    return c->script;
}

/* With ihave a script may hold what this interpreter does not know, as long as it is not executed (RFC 5463 4). */
static void fault(struct checker *c, unsigned line, const char *what)
{
    if (c->node != NULL && c->enabled[EXT_IHAVE]) {
        if (c->node->fault == NULL)
            c->node->fault = what;
    } else {
        complain(c->complaints, line, "%s", what);
    }
}

void check_complain(struct checker *c, const struct sieve_node *node, const char *fmt, ...)
{
    struct buf text = BUF_INIT;
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    fault(c, node->line, pool_strdup(c->script->pool, buf_cstr(&text)));
    buf_free(&text);
}

bool check_is_constant(const struct checker *c, const struct sieve_string *s)
{
    return !c->enabled[EXT_VARIABLES] || !strings_has_variable(s);
}

void check_match(struct checker *c, struct sieve_node *node, struct sieve_arg *keys)
{
    const struct sieve_arg *match = node->slots[SLOT_MATCH], *comparator = node->slots[SLOT_COMPARATOR];
    const char *why = NULL;

    if (comparator != NULL) {
        const struct sieve_string *name = &comparator->strings.items[0];
        struct buf capability = BUF_INIT;
        int id;

        buf_puts(&capability, "comparator-");
        buf_append(&capability, name->data, name->len);
        id = script_extension(c->script, capability.data, capability.len);
        if (id < 0)
            check_complain(c, node, "unknown comparator \"%s\"", name->data);
        else if (id != EXT_COMPARATOR_OCTET && id != EXT_COMPARATOR_ASCII &&
                 !check_has(c, (enum extension)id))
            check_complain(c, node, "the comparator needs require \"%s\"", capability.data);
        buf_free(&capability);
    }
    if (match != NULL && match->strings.count > 0)
        why = match_check_relation(&match->strings.items[0]);
    if (why == NULL)
        why = match_check(node);
    if (why == NULL && match != NULL && match->value == MATCH_REGEX && keys != NULL)
        for (size_t i = 0; i < keys->strings.count && why == NULL; i++)
            if (check_is_constant(c, &keys->strings.items[i]))
                why = match_compile(c->script, node, keys, i);
    if (why != NULL)
        check_complain(c, node, "%s", why);
}

const char *check_header_name(const struct sieve_string *s)
{
    for (size_t i = 0; i < s->len; i++)
        if (s->data[i] <= ' ' || s->data[i] == ':' || s->data[i] == 127)
            return "is no name of a header field";
    return s->len == 0 ? "is no name of a header field" : NULL;
}

const char *check_mailbox(const struct sieve_string *s)
{
    if (s->len == 0 || s->len > 1000)
        return "is no name of a mailbox";
    return str_is_utf8(s->data, s->len) ? NULL : "is not UTF-8";
}

/* ---- arguments ---- */

static const struct tag *find_tag(const struct checker *c, const struct definition *d, const char *name,
                                  const struct tag **locked_r)
{
    *locked_r = NULL;
    for (size_t i = 0; i < 4 && d->tags[i] != NULL; i++)
        for (const struct tag *tag = d->tags[i]; tag->name != NULL; tag++) {
            if (!str_ieq(tag->name, name))
                continue;
            if (check_has(c, tag->extension))
                return tag;
            *locked_r = tag;
        }
    return NULL;
}

/* Expands ${hex: } and ${unicode: } (RFC 5228 2.4.2.4), and finds what is not UTF-8. */
static void check_strings(struct checker *c, struct sieve_arg *arg)
{
    for (size_t i = 0; i < arg->strings.count; i++) {
        struct sieve_string *s = &arg->strings.items[i];
        const char *why = NULL;

        if (!str_is_utf8(s->data, s->len))
            why = "a string is not UTF-8";
        else if (c->enabled[EXT_ENCODED_CHARACTER])
            why = strings_decode_characters(c->script->pool, s);
        if (why != NULL)
            complain(c->complaints, arg->line, "%s", why);
    }
}

/* The value behind a tag: the next argument, taken out of the list. */
static void take_tag_value(struct checker *c, struct sieve_node *node, const struct tag *tag,
                           struct sieve_arg *arg)
{
    struct sieve_arg *value = arg->next;
    bool fits = value != NULL && (tag->takes == TAG_NUMBER   ? value->kind == ARG_NUMBER
                                  : tag->takes == TAG_STRING ? value->kind == ARG_STRING
                                                             : /* TAG_STRINGS */ value->kind == ARG_STRING ||
                                                                   value->kind == ARG_STRINGS);

    if (!fits) {
        check_complain(c, node, ":%s needs a %s", tag->name,
                       tag->takes == TAG_NUMBER   ? "number"
                       : tag->takes == TAG_STRING ? "string"
                                                  : "list of strings");
        return;
    }
    arg->next = value->next;
    arg->number = value->number;
    arg->takes_number = value->kind == ARG_NUMBER;
    arg->strings = value->strings;
    check_strings(c, arg);
}

static void bind_tag(struct checker *c, struct sieve_node *node, struct sieve_arg *arg)
{
    const struct tag *locked, *tag = find_tag(c, node->definition, arg->tag, &locked);

    if (tag == NULL && locked != NULL) {
        check_complain(c, node, ":%s needs require \"%s\"", arg->tag, extension_name(locked->extension));
        return;
    }
    if (tag == NULL) {
        check_complain(c, node, "%s knows no :%s", node->name, arg->tag);
        return;
    }
    if (node->slots[tag->slot] != NULL) {
        check_complain(c, node, ":%s is given a second time, or beside another of its kind", arg->tag);
        if (tag->takes != TAG_ALONE)
            take_tag_value(c, node, tag, arg);
        return;
    }
    arg->value = tag->value;
    node->slots[tag->slot] = arg;
    if (tag->takes != TAG_ALONE)
        take_tag_value(c, node, tag, arg);
}

static bool kind_fits(enum param_kind kind, const struct sieve_arg *arg)
{
    return kind == PARAM_NUMBER   ? arg->kind == ARG_NUMBER
           : kind == PARAM_STRING ? arg->kind == ARG_STRING
                                  : arg->kind == ARG_STRING || arg->kind == ARG_STRINGS;
}

static void bind_param(struct checker *c, struct sieve_node *node, unsigned i, struct sieve_arg *arg)
{
    const struct param *param = &node->definition->params[i];

    if (!kind_fits(param->kind, arg)) {
        check_complain(c, node, "argument %u of %s must be a %s", i + 1, node->name,
                       param->kind == PARAM_NUMBER   ? "number"
                       : param->kind == PARAM_STRING ? "string"
                                                     : "list of strings");
        return;
    }
    check_strings(c, arg);
    node->params[i] = arg;
    for (size_t k = 0; k < arg->strings.count; k++) {
        const struct sieve_string *s = &arg->strings.items[k];
        const char *why = NULL;

        if (!check_is_constant(c, s))
            why = param->constant ? "must be constant" : NULL;
        else if (param->check != NULL)
            why = param->check(s);
        if (why != NULL)
            check_complain(c, node, "\"%s\" %s", s->data, why);
    }
}

static void bind_args(struct checker *c, struct sieve_node *node)
{
    const struct definition *d = node->definition;
    struct sieve_arg *arg, *first = NULL;
    unsigned count = 0, skip = 0;

    for (arg = node->args; arg != NULL; arg = arg->next) {
        if (arg->kind == ARG_TAG && first != NULL)
            check_complain(c, node, ":%s stands behind other arguments", arg->tag);
        else if (arg->kind == ARG_TAG)
            bind_tag(c, node, arg);
        else if (first == NULL)
            first = arg;
        count += arg->kind != ARG_TAG;
    }
    if (d->first_optional && count + 1 == d->n_params)
        skip = 1;
    if (count + skip != d->n_params && !(d->last_optional && count + 1 == d->n_params)) {
        check_complain(c, node, "%s takes %u argument%s, not %u", node->name, d->n_params,
                       d->n_params == 1 ? "" : "s", count);
        return;
    }
    for (unsigned i = skip; i < d->n_params && first != NULL; first = first->next)
        if (first->kind != ARG_TAG)
            bind_param(c, node, i++, first);
}

/* ---- nodes ---- */

static const struct definition *find(const struct definition *const *lists, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        for (const struct definition *d = lists[i]; d->name != NULL; d++)
            if (str_ieq(d->name, name))
                return d;
    return NULL;
}

static void check_node(struct checker *c, struct sieve_node *node, bool is_test);

static void check_tests(struct checker *c, struct sieve_node *node)
{
    const struct definition *d = node->definition;

    if (d->tests == NO_TESTS && (node->tests != NULL || node->has_list))
        check_complain(c, node, "%s takes no test (is a semicolon missing?)", node->name);
    else if (d->tests == ONE_TEST && (node->tests == NULL || node->has_list))
        check_complain(c, node, "%s needs one test", node->name);
    else if (d->tests == TEST_LIST && !node->has_list)
        check_complain(c, node, "%s needs a list of tests in parentheses", node->name);
}

/* Its own words; unknown ones are a fault. */
static void bind(struct checker *c, struct sieve_node *node, bool is_test)
{
    const struct definition *d = is_test ? find(test_lists, ARRAY_SIZE(test_lists), node->name)
                                         : find(command_lists, ARRAY_SIZE(command_lists), node->name);

    if (d == NULL) {
        check_complain(c, node, "unknown %s \"%s\"", is_test ? "test" : "command", node->name);
        return;
    }
    if (!check_has(c, d->extension) && (d->or_extension == EXT_NONE || !check_has(c, d->or_extension))) {
        check_complain(c, node, "%s needs require \"%s\"", node->name, extension_name(d->extension));
        return;
    }
    node->definition = d;
    bind_args(c, node);
    check_tests(c, node);
    if (node->has_block != d->block)
        check_complain(c, node, d->block ? "%s needs a block" : "%s takes no block", node->name);
}

static void check_block(struct checker *c, struct sieve_node *first)
{
    const struct sieve_node *before = NULL;

    for (struct sieve_node *node = first; node != NULL; before = node, node = node->next) {
        bool follows = str_ieq(node->name, "elsif") || str_ieq(node->name, "else");

        check_node(c, node, false);
        if (follows && (before == NULL || (!str_ieq(before->name, "if") && !str_ieq(before->name, "elsif"))))
            complain(c->complaints, node->line, "%s stands behind no if", node->name);
    }
}

static void check_node(struct checker *c, struct sieve_node *node, bool is_test)
{
    struct sieve_node *outer = c->node;

    c->node = node;
    if (!is_test && str_ieq(node->name, "require") && c->began)
        complain(c->complaints, node->line, "require stands behind other commands");
    c->began |= !str_ieq(node->name, "require");
    bind(c, node, is_test);
    if (node->definition == NULL || node->definition->tests != NO_TESTS)
        for (struct sieve_node *test = node->tests; test != NULL; test = test->next)
            check_node(c, test, true);
    if (node->definition != NULL && node->definition->check != NULL && node->fault == NULL &&
        c->complaints->count == 0)
        node->definition->check(c, node);
    check_block(c, node->block);
    c->node = outer;
}

int script_check(struct sieve_script *script, struct complaints *complaints)
{
    struct checker c = {.script = script, .complaints = complaints};

    check_block(&c, script->first);
    return complaints->count > 0 ? ERR_SYNTAX : 0;
}
