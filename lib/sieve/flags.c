/* flags.c: imap4flags (RFC 5232). */
#include "lib/sieve/flags-private.h"

#include <string.h>

#include "lib/base/str.h"
#include "lib/sieve/definition-private.h"
#include "lib/sieve/match-private.h"

/* RFC 3501 9, flag: an atom, or a backslash and a word that the system knows. */
static bool is_flag(const char *s)
{
    static const char *const system_flags[] = {"\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft"};

    if (*s == '\\') {
        for (size_t i = 0; i < sizeof(system_flags) / sizeof(*system_flags); i++)
            if (str_ieq(s, system_flags[i]))
                return true;
        return false;
    }
    if (*s == '\0' || strlen(s) > 255)
        return false;
    for (; *s != '\0'; s++)
        if (*s <= ' ' || (unsigned char)*s >= 127 || strchr("(){%*\"\\]", *s) != NULL)
            return false;
    return true;
}

static size_t find(const struct flag_list *list, const char *flag)
{
    size_t i = 0;

    while (i < list->count && !str_ieq(list->items[i], flag))
        i++;
    return i;
}

void flags_add(struct sieve_run *run, struct flag_list *list, const struct sieve_string *words)
{
    struct str_list split = str_split(run->pool, words->data, " ");

    for (size_t i = 0; i < split.count; i++)
        if (is_flag(split.items[i]) && list->count < FLAGS_MAX && find(list, split.items[i]) == list->count)
            list->items[list->count++] = split.items[i];
    list->items[list->count] = NULL;
}

static void remove_flags(struct sieve_run *run, struct flag_list *list, const struct sieve_string *words)
{
    struct str_list split = str_split(run->pool, words->data, " ");

    for (size_t i = 0; i < split.count; i++) {
        size_t at = find(list, split.items[i]);

        if (at < list->count)
            list->items[at] = list->items[--list->count];
    }
    list->items[list->count] = NULL;
}

const char *const *flags_of(struct sieve_run *run, const struct sieve_node *node)
{
    const struct sieve_arg *arg = node->slots[SLOT_FLAGS];
    struct flag_list *list;
    struct sieve_strings words;

    if (!run_has(run, EXT_IMAP4FLAGS))
        return NULL;
    list = pool_alloc(run->pool, sizeof(*list));
    if (arg == NULL) {
        flags_add(run, list, &run->flags);
        return list->items;
    }
    words = run_strings(run, arg);
    for (size_t i = 0; i < words.count; i++)
        flags_add(run, list, &words.items[i]);
    return list->items;
}

/* ---- setflag, addflag, removeflag ---- */

static struct sieve_string join(struct sieve_run *run, const struct flag_list *list)
{
    struct buf text = BUF_INIT;
    struct sieve_string joined;

    for (size_t i = 0; i < list->count; i++)
        buf_printf(&text, "%s%s", i > 0 ? " " : "", list->items[i]);
    joined = run_keep(run, text.data, text.len);
    buf_free(&text);
    return joined;
}

/* What the variable holds: the named one, or the internal. */
static struct sieve_string present(struct sieve_run *run, const struct sieve_string *name)
{
    static const struct sieve_string nothing = {"", 0};
    const struct sieve_string *value = name != NULL ? run_variable(run, name->data, name->len) : &run->flags;

    return value != NULL ? *value : nothing;
}

static int change(struct sieve_run *run, const struct sieve_node *node, bool keep_old,
                  void (*apply)(struct sieve_run *run, struct flag_list *list,
                                const struct sieve_string *words))
{
    const struct sieve_string *name = node->params[0] != NULL ? &node->params[0]->strings.items[0] : NULL;
    struct sieve_strings words = run_strings(run, node->params[1]);
    struct sieve_string old = present(run, name);
    struct flag_list list = {.count = 0};

    if (keep_old)
        flags_add(run, &list, &old);
    for (size_t i = 0; i < words.count; i++)
        apply(run, &list, &words.items[i]);
    if (name != NULL)
        return run_set_variable(run, node, name->data, name->len, join(run, &list));
    run->flags = join(run, &list);
    return 0;
}

static int run_setflag(struct sieve_run *run, const struct sieve_node *node)
{
    return change(run, node, false, flags_add);
}

static int run_addflag(struct sieve_run *run, const struct sieve_node *node)
{
    return change(run, node, true, flags_add);
}

static int run_removeflag(struct sieve_run *run, const struct sieve_node *node)
{
    return change(run, node, true, remove_flags);
}

/* RFC 5232 3: a name needs variables. */
static void check_flag_command(struct checker *c, struct sieve_node *node)
{
    if (node->params[0] != NULL && !check_has(c, EXT_VARIABLES))
        check_complain(c, node, "a variable's name needs require \"variables\"");
}

/* ---- hasflag ---- */

static void check_hasflag(struct checker *c, struct sieve_node *node)
{
    check_flag_command(c, node);
    check_match(c, node, node->params[1]);
}

/* A key may be several flags, except for the types whose keys are numbers. */
static struct sieve_arg *split_keys(struct sieve_run *run, const struct sieve_node *node)
{
    const struct sieve_arg *match = node->slots[SLOT_MATCH];
    struct sieve_strings words = run_strings(run, node->params[1]);
    struct sieve_arg *keys = pool_alloc(run->pool, sizeof(*keys));
    struct flag_list list = {.count = 0};

    if (match != NULL && match->value != MATCH_IS && match->value != MATCH_CONTAINS)
        return node->params[1];
    for (size_t i = 0; i < words.count; i++) {
        struct str_list split = str_split(run->pool, words.items[i].data, " ");

        for (size_t k = 0; k < split.count && list.count < FLAGS_MAX; k++)
            list.items[list.count++] = split.items[k];
    }
    keys->strings.items = pool_alloc(run->pool, list.count * sizeof(*keys->strings.items));
    for (size_t i = 0; i < list.count; i++)
        keys->strings.items[keys->strings.count++] =
            (struct sieve_string){list.items[i], strlen(list.items[i])};
    return keys;
}

static int run_hasflag(struct sieve_run *run, const struct sieve_node *node)
{
    struct sieve_strings names = run_strings(run, node->params[0]);
    struct match m;
    int r = 0;

    match_begin(&m, run, node, split_keys(run, node));
    for (size_t i = 0; i < (node->params[0] != NULL ? names.count : 1) && r == 0; i++) {
        struct sieve_string words = present(run, node->params[0] != NULL ? &names.items[i] : NULL);
        struct flag_list list = {.count = 0};

        flags_add(run, &list, &words);
        for (size_t k = 0; k < list.count && r == 0; k++) {
            struct sieve_string flag = {list.items[k], strlen(list.items[k])};

            r = match_value(&m, &flag, NULL);
        }
    }
    return r != 0 ? r : match_end(&m);
}

const struct definition commands_flag[] = {
    {.name = "setflag",
     .extension = EXT_IMAP4FLAGS,
     .n_params = 2,
     .params = {{PARAM_STRING, true, check_variable_name}, {PARAM_STRINGS, false, NULL}},
     .first_optional = true,
     .check = check_flag_command,
     .run = run_setflag},
    {.name = "addflag",
     .extension = EXT_IMAP4FLAGS,
     .n_params = 2,
     .params = {{PARAM_STRING, true, check_variable_name}, {PARAM_STRINGS, false, NULL}},
     .first_optional = true,
     .check = check_flag_command,
     .run = run_addflag},
    {.name = "removeflag",
     .extension = EXT_IMAP4FLAGS,
     .n_params = 2,
     .params = {{PARAM_STRING, true, check_variable_name}, {PARAM_STRINGS, false, NULL}},
     .first_optional = true,
     .check = check_flag_command,
     .run = run_removeflag},
    {.name = NULL},
};

const struct definition tests_flag[] = {
    {.name = "hasflag",
     .extension = EXT_IMAP4FLAGS,
     .n_params = 2,
     .params = {{PARAM_STRINGS, true, check_variable_name}, {PARAM_STRINGS, false, NULL}},
     .first_optional = true,
     .tags = {tags_match},
     .check = check_hasflag,
     .run = run_hasflag},
    {.name = NULL},
};
