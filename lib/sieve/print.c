/* print.c: a compiled script as text. */
#include <string.h>

#include "lib/sieve/definition-private.h"

enum { INDENT = 4 };

static void put_string(const struct sieve_string *s, struct buf *to)
{
    buf_putc(to, '"');
    for (size_t i = 0; i < s->len; i++) {
        if (s->data[i] == '"' || s->data[i] == '\\')
            buf_putc(to, '\\');
        buf_putc(to, s->data[i]);
    }
    buf_putc(to, '"');
}

static void put_strings(const struct sieve_strings *strings, struct buf *to)
{
    if (strings->count != 1)
        buf_putc(to, '[');
    for (size_t i = 0; i < strings->count; i++) {
        buf_puts(to, i > 0 ? ", " : "");
        put_string(&strings->items[i], to);
    }
    if (strings->count != 1)
        buf_putc(to, ']');
}

/* A tag has taken the value behind it. */
static void put_arg(const struct sieve_arg *arg, struct buf *to)
{
    if (arg->kind == ARG_TAG)
        buf_printf(to, " :%s", arg->tag);
    if (arg->kind == ARG_NUMBER || (arg->kind == ARG_TAG && arg->takes_number))
        buf_printf(to, " %llu", (unsigned long long)arg->number);
    if (arg->strings.count > 0) {
        buf_putc(to, ' ');
        put_strings(&arg->strings, to);
    }
}

/* The name, what follows it, and the tests: all of a test, a command up to its block. */
static void put_node(const struct sieve_node *node, struct buf *to)
{
    buf_puts(to, node->definition != NULL ? node->definition->name : node->name);
    for (const struct sieve_arg *arg = node->args; arg != NULL; arg = arg->next)
        put_arg(arg, to);
    buf_puts(to, node->has_list ? " (" : node->tests != NULL ? " " : "");
    for (const struct sieve_node *test = node->tests; test != NULL; test = test->next) {
        put_node(test, to);
        buf_puts(to, test->next != NULL ? ", " : "");
    }
    buf_puts(to, node->has_list ? ")" : "");
}

static void put_block(const struct sieve_node *node, int depth, struct buf *to)
{
    for (; node != NULL; node = node->next) {
        buf_printf(to, "%*s", depth * INDENT, "");
        put_node(node, to);
        if (!node->has_block) {
            buf_puts(to, ";\n");
            continue;
        }
        buf_puts(to, " {\n");
        put_block(node->block, depth + 1, to);
        buf_printf(to, "%*s}\n", depth * INDENT, "");
    }
}

void sieve_script_print(const struct sieve_script *script, struct buf *to)
{
    put_block(script->first, 0, to);
}
