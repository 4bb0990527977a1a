/* parser.c: tokens into a tree (RFC 5228 8.2); what the words mean is check.c's. */
#include <string.h>

#include "lib/base/error.h"
#include "lib/sieve/lexer-private.h"
#include "lib/sieve/script-private.h"

struct parser {
    struct sieve_script *script;
    struct lexer lx;
    struct complaints *complaints;
    unsigned depth;
    bool failed;
};

void complain(struct complaints *c, unsigned line, const char *fmt, ...)
{
    va_list ap;

    if (c->count++ >= SIEVE_ERRORS_MAX)
        return;
    buf_printf(c->text, "line %u: ", line);
    va_start(ap, fmt);
    buf_vprintf(c->text, fmt, ap);
    va_end(ap);
    buf_puts(c->text, ".\n");
}

/* The first error ends the parsing: what follows would only be its echo. */
static void fail(struct parser *p, const char *what)
{
    if (!p->failed)
        complain(p->complaints, p->lx.token_line, "%s",
                 p->lx.kind == TOKEN_BAD ? buf_cstr(&p->lx.text) : what);
    p->failed = true;
}

static bool at_mark(const struct parser *p, char mark)
{
    return !p->failed && p->lx.kind == TOKEN_MARK && p->lx.mark == mark;
}

/* Takes the mark if it is there. */
static bool take_mark(struct parser *p, char mark)
{
    if (!at_mark(p, mark))
        return false;
    lexer_next(&p->lx);
    return true;
}

static bool enter(struct parser *p)
{
    if (++p->depth <= SIEVE_NESTING_MAX)
        return true;
    fail(p, "blocks and tests are nested too deeply");
    return false;
}

/* ---- arguments ---- */

static struct sieve_string take_string(struct parser *p)
{
    struct sieve_string s = {pool_memdup(p->script->pool, buf_cstr(&p->lx.text), p->lx.text.len + 1),
                             p->lx.text.len};

    if (memchr(s.data, '\0', s.len) != NULL)
        fail(p, "a string holds a NUL");
    lexer_next(&p->lx);
    return s;
}

/* Doubles the room as it fills. */
static void add_string(struct parser *p, struct sieve_strings *list, struct sieve_string s)
{
    if ((list->count & (list->count - 1)) == 0) {
        size_t room = list->count == 0 ? 1 : 2 * list->count;
        struct sieve_string *more = pool_alloc(p->script->pool, room * sizeof(*more));

        if (list->count > 0)
            memcpy(more, list->items, list->count * sizeof(*more));
        list->items = more;
    }
    list->items[list->count++] = s;
}

static void read_string_list(struct parser *p, struct sieve_arg *arg)
{
    arg->kind = ARG_STRINGS;
    lexer_next(&p->lx);
    do {
        if (p->lx.kind != TOKEN_STRING) {
            fail(p, "a list of strings holds something else");
            return;
        }
        add_string(p, &arg->strings, take_string(p));
    } while (take_mark(p, ','));
    if (!take_mark(p, ']'))
        fail(p, "a comma or ] is missing in a list of strings");
}

/* NULL: no argument here. */
static struct sieve_arg *read_argument(struct parser *p)
{
    struct sieve_arg *arg;

    if (p->failed || (p->lx.kind != TOKEN_TAG && p->lx.kind != TOKEN_NUMBER && p->lx.kind != TOKEN_STRING &&
                      !at_mark(p, '[')))
        return NULL;
    arg = pool_alloc(p->script->pool, sizeof(*arg));
    arg->line = p->lx.token_line;
    if (p->lx.kind == TOKEN_TAG) {
        arg->kind = ARG_TAG;
        arg->tag = pool_strdup(p->script->pool, buf_cstr(&p->lx.text));
        lexer_next(&p->lx);
    } else if (p->lx.kind == TOKEN_NUMBER) {
        arg->kind = ARG_NUMBER;
        arg->number = p->lx.number;
        lexer_next(&p->lx);
    } else if (p->lx.kind == TOKEN_STRING) {
        arg->kind = ARG_STRING;
        add_string(p, &arg->strings, take_string(p));
    } else {
        read_string_list(p, arg);
    }
    return arg;
}

/* ---- commands and tests ---- */

static struct sieve_node *read_test(struct parser *p);

static void read_test_list(struct parser *p, struct sieve_node *node)
{
    struct sieve_node **tail = &node->tests;

    node->has_list = true;
    lexer_next(&p->lx);
    do {
        *tail = read_test(p);
        if (*tail == NULL)
            return;
        tail = &(*tail)->next;
    } while (take_mark(p, ','));
    if (!take_mark(p, ')'))
        fail(p, "a comma or ) is missing in a list of tests");
}

/* The name and what follows it, up to the end of the tests. */
static struct sieve_node *read_node(struct parser *p)
{
    struct sieve_node *node = pool_alloc(p->script->pool, sizeof(*node));
    struct sieve_arg **tail = &node->args;

    node->name = pool_strdup(p->script->pool, buf_cstr(&p->lx.text));
    node->line = p->lx.token_line;
    lexer_next(&p->lx);
    while ((*tail = read_argument(p)) != NULL)
        tail = &(*tail)->next;
    if (at_mark(p, '('))
        read_test_list(p, node);
    else if (!p->failed && p->lx.kind == TOKEN_IDENTIFIER)
        node->tests = read_test(p);
    return node;
}

static struct sieve_node *read_test(struct parser *p)
{
    struct sieve_node *node = NULL;

    if (p->failed || !enter(p))
        return NULL;
    if (p->lx.kind == TOKEN_IDENTIFIER)
        node = read_node(p);
    else
        fail(p, "a test is missing");
    p->depth--;
    return node;
}

static void read_commands(struct parser *p, struct sieve_node **tail);

static void read_block(struct parser *p, struct sieve_node *node)
{
    unsigned line = p->lx.token_line;

    node->has_block = true;
    lexer_next(&p->lx);
    if (!enter(p))
        return;
    read_commands(p, &node->block);
    p->depth--;
    if (!take_mark(p, '}') && !p->failed) {
        complain(p->complaints, line, "the block that begins here does not end");
        p->failed = true;
    }
}

/* Commands up to the end of the block or of the script. */
static void read_commands(struct parser *p, struct sieve_node **tail)
{
    while (!p->failed && p->lx.kind == TOKEN_IDENTIFIER) {
        struct sieve_node *node = read_node(p);

        *tail = node;
        tail = &node->next;
        if (at_mark(p, '{'))
            read_block(p, node);
        else if (!take_mark(p, ';'))
            fail(p, "a semicolon is missing");
    }
    if (!p->failed && p->lx.kind != TOKEN_END && !at_mark(p, '}'))
        fail(p, "a command is missing");
}

int script_parse(struct sieve_script *script, const char *text, size_t n, struct complaints *complaints)
{
    struct parser p = {.script = script, .complaints = complaints};

    lexer_init(&p.lx, text, n);
    read_commands(&p, &script->first);
    if (at_mark(&p, '}'))
        fail(&p, "a } closes nothing");
    lexer_deinit(&p.lx);
    return p.failed ? ERR_SYNTAX : 0;
}
