#include "lib/sieve/run-private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mail/header.h"
#include "lib/sieve/definition-private.h"
#include "lib/sieve/match-private.h"
#include "lib/sieve/strings-private.h"

enum {
    STRING_MAX = 256 * 1024,       /* bytes of a string with its variables replaced */
    MEMORY_MAX = 256 * 1024 * 1024 /* bytes of a run */
};

/* ---- scripts ---- */

int sieve_compile(const char *text, size_t n, struct buf *errors, struct sieve_script **script_r)
{
    return sieve_compile_allowed(text, n, NULL, errors, script_r);
}

int sieve_compile_allowed(const char *text, size_t n, bool (*allows)(const char *extension),
                          struct buf *errors, struct sieve_script **script_r)
{
    struct complaints complaints = {.text = errors};
    struct pool *pool;
    struct sieve_script *script;
    int r;

    *script_r = NULL;
    if (n > SIEVE_SCRIPT_MAX) {
        buf_printf(errors, "line 1: the script is larger than %d bytes.\n", SIEVE_SCRIPT_MAX);
        return ERR_TOOBIG;
    }
    pool = pool_new(16 * 1024);
    script = pool_alloc(pool, sizeof(*script));
    script->pool = pool;
    script->allows = allows;
    r = script_parse(script, text, n, &complaints);
    if (r == 0)
        r = script_check(script, &complaints);
    if (r == 0)
        *script_r = script;
    else
        sieve_script_free(&script);
    return r;
}

void sieve_script_free(struct sieve_script **sp)
{
    struct sieve_script *script = *sp;
    struct pool *pool; /* the script lives in it */

    *sp = NULL;
    if (script == NULL)
        return;
    match_free_patterns(script->patterns);
    pool = script->pool;
    pool_free(&pool);
}

bool sieve_script_requires(const struct sieve_script *script, const char *extension)
{
    int id = extension_find(extension, strlen(extension));

    return id > 0 && script->requires[id];
}

/* ---- for definitions ---- */

int run_error(struct sieve_run *run, const struct sieve_node *node, int error, const char *fmt, ...)
{
    struct buf text = BUF_INIT;
    va_list ap;

    if (run->error == NULL) {
        if (run->scope->name != NULL)
            buf_printf(&text, "script \"%s\", ", run->scope->name);
        buf_printf(&text, "line %u: ", node->line);
        va_start(ap, fmt);
        buf_vprintf(&text, fmt, ap);
        va_end(ap);
        run->error = pool_strdup(run->pool, buf_cstr(&text));
        buf_free(&text);
    }
    return error;
}

bool run_is_late(const struct sieve_run *run)
{
    return clock_left(run->deadline) == 0;
}

int run_spend(struct sieve_run *run, const struct sieve_node *node, size_t bytes)
{
    run->effort += bytes;
    if (run->host->effort != 0 && run->effort > run->host->effort)
        return run_error(run, node, ERR_AGAIN, "the script takes more than a moment");
    return run_is_late(run) ? run_error(run, node, ERR_LIMIT, "the script takes too long") : 0;
}

int64_t run_now(const struct sieve_run *run)
{
    return run->host->now != 0 ? run->host->now : (int64_t)time(NULL);
}

bool run_has(const struct sieve_run *run, enum extension extension)
{
    return run->scope->script->requires[extension];
}

struct sieve_string run_keep(struct sieve_run *run, const char *data, size_t len)
{
    char *copy = pool_alloc(run->pool, len + 1); /* a message may hold NULs */

    if (len > 0)
        memcpy(copy, data, len);
    return (struct sieve_string){copy, len};
}

struct sieve_string run_body(const struct sieve_run *run)
{
    size_t header = mail_header_size(run->message->data, run->message->len);

    return (struct sieve_string){run->message->data + header, run->message->len - header};
}

struct sieve_action *run_action(struct sieve_run *run, const struct sieve_node *node,
                                enum sieve_action_kind kind)
{
    struct sieve_action *action;

    if (++run->n_actions > SIEVE_ACTIONS_MAX) {
        run_error(run, node, ERR_LIMIT, "more than %d actions", SIEVE_ACTIONS_MAX);
        return NULL;
    }
    action = pool_alloc(run->pool, sizeof(*action));
    action->kind = kind;
    action->line = node->line;
    if (run->edited) {
        action->header = run->header;
        action->header_len = run->header_len;
    }
    *run->tail = action;
    run->tail = &action->next;
    return action;
}

/* ---- variables ---- */

static struct variable *find_variable(struct scope *scope, const char *name, size_t n)
{
    for (unsigned i = 0; i < scope->count; i++)
        if (strlen(scope->variables[i].name) == n && str_ieq_n(scope->variables[i].name, name, n))
            return &scope->variables[i];
    return NULL;
}

static int add_variable(struct sieve_run *run, const struct sieve_node *node, struct scope *scope,
                        const char *name, size_t n, struct variable **variable_r)
{
    *variable_r = find_variable(scope, name, n);
    if (*variable_r != NULL)
        return 0;
    if (scope->count == SIEVE_VARIABLES_MAX)
        return run_error(run, node, ERR_LIMIT, "more than %d variables", SIEVE_VARIABLES_MAX);
    if (scope->variables == NULL)
        scope->variables = pool_alloc(run->pool, SIEVE_VARIABLES_MAX * sizeof(*scope->variables));
    *variable_r = &scope->variables[scope->count++];
    **variable_r = (struct variable){.name = pool_strndup(run->pool, name, n), .value = {"", 0}};
    return 0;
}

/* "global.name": the rest of the name, or NULL (RFC 6609 3.4.2). */
static const char *global_name(const char *name, size_t *n)
{
    if (*n <= 7 || !str_ieq_n(name, "global.", 7))
        return NULL;
    *n -= 7;
    return name + 7;
}

const struct sieve_string *run_variable(struct sieve_run *run, const char *name, size_t n)
{
    const char *global = global_name(name, &n);
    struct variable *v =
        find_variable(global != NULL ? &run->globals : run->scope, global != NULL ? global : name, n);

    if (v != NULL && v->global)
        v = find_variable(&run->globals, v->name, n);
    return v != NULL ? &v->value : NULL;
}

int run_set_variable(struct sieve_run *run, const struct sieve_node *node, const char *name, size_t n,
                     struct sieve_string value)
{
    const char *global = global_name(name, &n);
    struct variable *v;
    int r = add_variable(run, node, global != NULL ? &run->globals : run->scope,
                         global != NULL ? global : name, n, &v);

    if (r == 0 && v->global)
        r = add_variable(run, node, &run->globals, v->name, n, &v);
    if (r < 0)
        return r;
    if (value.len > SIEVE_VARIABLE_MAX) { /* RFC 5229 6 lets it be cut; between characters */
        value.len = SIEVE_VARIABLE_MAX;
        while (value.len > 0 && ((unsigned char)value.data[value.len] & 0xc0) == 0x80)
            value.len--;
    }
    v->value = run_keep(run, value.data, value.len);
    return 0;
}

int run_declare_global(struct sieve_run *run, const struct sieve_node *node, const char *name, size_t n)
{
    struct variable *v;
    int r;

    if (find_variable(run->scope, name, n) != NULL && !find_variable(run->scope, name, n)->global)
        return run_error(run, node, ERR_SYNTAX, "global comes behind the first use of a variable");
    r = add_variable(run, node, run->scope, name, n, &v);
    if (r < 0)
        return r;
    v->global = true;
    return add_variable(run, node, &run->globals, name, n, &v);
}

void run_set_matches(struct sieve_run *run, const struct sieve_string *found, unsigned count)
{
    if (!run_has(run, EXT_VARIABLES))
        return;
    for (unsigned i = 0; i < count; i++) {
        size_t len = found[i].len < SIEVE_VARIABLE_MAX ? found[i].len : SIEVE_VARIABLE_MAX;

        run->scope->matches[i] = run_keep(run, found[i].data, found[i].data != NULL ? len : 0);
    }
    run->scope->n_matches = count;
}

static const struct sieve_string *match_variable(const struct sieve_run *run, const char *name, size_t n)
{
    uint32_t i;

    if (str_parse_u32(name, n, &i) < 0 || i >= run->scope->n_matches)
        return NULL;
    return &run->scope->matches[i];
}

struct sieve_string run_string(struct sieve_run *run, const struct sieve_string *s)
{
    struct buf text = BUF_INIT;
    struct sieve_string whole;
    size_t at = 0, done = 0, begin, n;
    const char *name;

    if (!run_has(run, EXT_VARIABLES) || !strings_has_variable(s))
        return *s;
    while (text.len < STRING_MAX && strings_next_variable(s, &at, &begin, &name, &n)) {
        const struct sieve_string *value =
            *name >= '0' && *name <= '9' ? match_variable(run, name, n) : run_variable(run, name, n);

        buf_append(&text, s->data + done, begin - done);
        if (value != NULL)
            buf_append(&text, value->data, value->len);
        done = at;
    }
    buf_append(&text, s->data + done, s->len - done);
    run->effort += text.len; /* looked at by the next step */
    whole = run_keep(run, text.data, text.len);
    buf_free(&text);
    return whole;
}

struct sieve_strings run_strings(struct sieve_run *run, const struct sieve_arg *arg)
{
    struct sieve_strings list = {NULL, 0};

    if (arg == NULL)
        return list;
    list.items = pool_alloc(run->pool, (arg->strings.count + 1) * sizeof(*list.items));
    list.count = arg->strings.count;
    for (size_t i = 0; i < list.count; i++)
        list.items[i] = run_string(run, &arg->strings.items[i]);
    return list;
}

const char *run_text(struct sieve_run *run, const struct sieve_arg *arg)
{
    return arg != NULL && arg->strings.count > 0 ? run_string(run, &arg->strings.items[0]).data : NULL;
}

/* ---- commands ---- */

/* Bounds on what a script may take, looked at before each command and test. */
static int step(struct sieve_run *run, const struct sieve_node *node)
{
    if (node->fault != NULL || node->definition == NULL)
        return run_error(run, node, ERR_SYNTAX, "%s", node->fault != NULL ? node->fault : "unknown");
    if (++run->steps > SIEVE_STEPS_MAX)
        return run_error(run, node, ERR_LIMIT, "the script takes too many steps");
    if (run->steps % 64 == 0 && pool_footprint(run->pool) > MEMORY_MAX)
        return run_error(run, node, ERR_LIMIT, "the script takes too much memory");
    return run_spend(run, node, SIEVE_EFFORT_STEP);
}

int run_test(struct sieve_run *run, const struct sieve_node *test)
{
    int r = step(run, test);

    return r < 0 ? r : test->definition->run(run, test);
}

/* if, elsif and else are one thing: the first whose test holds is run, the others are passed. */
static const struct sieve_node *choose(struct sieve_run *run, const struct sieve_node *node, int *r)
{
    for (;;) {
        *r = node->tests != NULL ? run_test(run, node->tests) : 1;
        if (*r != 0)
            return *r > 0 ? node : NULL;
        if (node->next == NULL || (!str_ieq(node->next->name, "elsif") && !str_ieq(node->next->name, "else")))
            return NULL;
        node = node->next;
    }
}

int run_block(struct sieve_run *run, const struct sieve_node *first)
{
    int r = 0;

    for (const struct sieve_node *node = first; node != NULL && r == 0; node = node->next) {
        if (run->stopped || run->returned)
            break;
        if (str_ieq(node->name, "elsif") || str_ieq(node->name, "else"))
            continue;
        r = step(run, node);
        if (r == 0 && str_ieq(node->name, "if")) {
            const struct sieve_node *chosen = choose(run, node, &r);

            if (chosen != NULL)
                r = run_block(run, chosen->block);
        } else if (r == 0) {
            r = node->definition->run(run, node);
        }
    }
    return r;
}

/* ---- RFC 6609 ---- */

static bool is_running(const struct sieve_run *run, const char *name, bool global)
{
    for (const struct scope *s = run->scope; s != NULL; s = s->outer)
        if (s->name != NULL && s->is_global == global && strcmp(s->name, name) == 0)
            return true;
    return false;
}

static bool was_included(const struct sieve_run *run, const char *name, bool global)
{
    for (const struct included *i = run->included; i != NULL; i = i->next)
        if (i->global == global && strcmp(i->name, name) == 0)
            return true;
    return false;
}

static bool is_for_new_messages(const struct sieve_string *extension)
{
    static const char *const names[] = {"reject", "ereject", "vacation", "vacation-seconds"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(extension->data, names[i]) == 0)
            return true;
    return false;
}

/* RFC 6785 3.11: what speaks to a sender may not even be required for messages that are in a mailbox already. */
static int check_event(struct sieve_run *run, const struct sieve_script *script)
{
    for (const struct sieve_node *node = script->first; node != NULL && run->message->flags != NULL;
         node = node->next) {
        if (!str_ieq(node->name, "require"))
            break;
        for (size_t i = 0; i < node->params[0]->strings.count; i++)
            if (is_for_new_messages(&node->params[0]->strings.items[i]))
                return run_error(run, node, ERR_SYNTAX, "\"%s\" is for new messages",
                                 node->params[0]->strings.items[i].data);
    }
    return 0;
}

static int run_in_scope(struct sieve_run *run, const char *name, bool global,
                        const struct sieve_script *script)
{
    struct scope scope = {.script = script, .name = name, .is_global = global, .outer = run->scope};
    int r;

    run->scope = &scope;
    r = check_event(run, script);
    if (r == 0)
        r = run_block(run, script->first);
    run->returned = false;
    run->scope = scope.outer;
    return r;
}

int run_include(struct sieve_run *run, const struct sieve_node *node, const char *name, bool global)
{
    const struct sieve_script *script = NULL;
    struct included *included;
    int r;

    if (node->slots[SLOT_ONCE] != NULL && (was_included(run, name, global) || is_running(run, name, global)))
        return 0;
    if (is_running(run, name, global))
        return run_error(run, node, ERR_SYNTAX, "script \"%s\" includes itself", name);
    if (run->depth == SIEVE_INCLUDES_MAX || run->n_included == SIEVE_INCLUDED_MAX)
        return run_error(run, node, ERR_LIMIT, "too many scripts are included");
    r = run_spend(run, node, SIEVE_EFFORT_ASK);
    if (r < 0)
        return r;
    r = ERR_NOTFOUND;
    if (run->host->include != NULL)
        r = run->host->include(run->host->context, name, global, &script);
    if (r == ERR_NOTFOUND && node->slots[SLOT_OPTIONAL] != NULL)
        return 0;
    if (r < 0)
        return run_error(run, node, r, "script \"%s\" cannot be included: %s", name, error_text(r));
    run->n_included++;
    included = pool_alloc(run->pool, sizeof(*included));
    *included = (struct included){run->included, pool_strdup(run->pool, name), global};
    run->included = included;
    run->depth++;
    r = run_in_scope(run, included->name, global, script);
    run->depth--;
    return r;
}

/* ---- the result ---- */

static void add_implicit_keep(struct sieve_run *run)
{
    struct sieve_action *action = pool_alloc(run->pool, sizeof(*action));

    action->kind = SIEVE_KEEP;
    action->implicit = true;
    if (run->edited && run->error == NULL) {
        action->header = run->header;
        action->header_len = run->header_len;
    }
    if (run->flags.len > 0 && run->error == NULL)
        action->target.flags = (const char *const *)str_split(run->pool, run->flags.data, " ").items;
    *run->tail = action;
}

int sieve_run(const struct sieve_script *script, const struct sieve_message *message,
              const struct sieve_host *host, struct pool *pool, struct sieve_result *result_r)
{
    struct scope scope = {.script = script};
    struct sieve_run run = {.message = message,
                            .host = host,
                            .pool = pool,
                            .scope = &scope,
                            .deadline = clock_deadline(SIEVE_RUN_MS),
                            .header = message->data,
                            .header_len = mail_header_size(message->data, message->len),
                            .flags = {"", 0}};
    int r;

    if (host->deadline != 0 && host->deadline < run.deadline)
        run.deadline = host->deadline;
    run.tail = &run.actions;
    if (message->flags != NULL)
        run.flags = (struct sieve_string){message->flags, strlen(message->flags)};
    r = check_event(&run, script);
    if (r == 0)
        r = run_block(&run, script->first);
    if (r < 0 && run.error == NULL)
        run.error = pool_strdup(pool, error_text(r));
    if (r < 0) {
        run.actions = NULL;
        run.tail = &run.actions;
        run.flags = (struct sieve_string){message->flags != NULL ? message->flags : "", 0};
        run.flags.len = strlen(run.flags.data);
    }
    if (r < 0 || !run.kept)
        add_implicit_keep(&run);
    *result_r = (struct sieve_result){
        .actions = run.actions, .error = run.error, .flags = run.flags.data, .effort = run.effort};
    return r;
}
