/* tests-world.c: what a script asks of its surroundings: RFC 5183, 5490, 6134, 7352, 8579, 9042, 5435. */
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/mail/text.h"
#include "lib/sieve/definition-private.h"
#include "lib/sieve/header-private.h"
#include "lib/sieve/match-private.h"
#include "lib/sieve/uri-private.h"

static void check_keys(struct checker *c, struct sieve_node *node)
{
    check_match(c, node, node->params[node->definition->n_params - 1]);
}

/* The answer of a host's function about one value: matched where there is one. */
static int match_answer(struct sieve_run *run, const struct sieve_node *node, int r, struct buf *answer)
{
    struct sieve_string value = run_keep(run, answer->data, answer->len);
    struct match m;

    buf_free(answer);
    if (r < 0)
        return run_error(run, node, r, "%s: %s", node->name, error_text(r));
    match_begin(&m, run, node, node->params[node->definition->n_params - 1]);
    r = r > 0 ? match_value(&m, &value, NULL) : 0;
    return r != 0 ? r : match_end(&m);
}

/* Before the host is asked something: 1, or an error. */
static int may_ask(struct sieve_run *run, const struct sieve_node *node)
{
    int r = run_spend(run, node, SIEVE_EFFORT_ASK);

    return r < 0 ? r : 1;
}

/* ---- environment ---- */

static int run_environment(struct sieve_run *run, const struct sieve_node *node)
{
    const struct sieve_host *host = run->host;
    const char *item = run_text(run, node->params[0]);
    struct buf value = BUF_INIT;
    int r = host->environment != NULL ? host->environment(host->context, item, &value) : 0;

    return match_answer(run, node, r, &value);
}

/* ---- mailboxes ---- */

static int ask_all_mailboxes(struct sieve_run *run, const struct sieve_node *node,
                             enum sieve_mailbox_fact fact)
{
    struct sieve_strings names = run_strings(run, node->params[0]);
    const struct sieve_host *host = run->host;
    int r = 1;

    for (size_t i = 0; i < names.count && r == 1 && (r = may_ask(run, node)) == 1; i++)
        r = host->mailbox != NULL ? host->mailbox(host->context, fact, names.items[i].data) : 0;
    return r < 0 ? run_error(run, node, r, "%s: %s", node->name, error_text(r)) : r;
}

static int run_mailboxexists(struct sieve_run *run, const struct sieve_node *node)
{
    return ask_all_mailboxes(run, node, SIEVE_MAILBOX_EXISTS);
}

static int run_mailboxidexists(struct sieve_run *run, const struct sieve_node *node)
{
    return ask_all_mailboxes(run, node, SIEVE_MAILBOX_HAS_ID);
}

static int run_specialuse_exists(struct sieve_run *run, const struct sieve_node *node)
{
    const char *mailbox = run_text(run, node->params[0]);
    struct sieve_strings flags = run_strings(run, node->params[1]);
    const struct sieve_host *host = run->host;
    int r = 1;

    for (size_t i = 0; i < flags.count && r == 1 && (r = may_ask(run, node)) == 1; i++)
        r = host->special_use != NULL ? host->special_use(host->context, mailbox, flags.items[i].data) : 0;
    return r < 0 ? run_error(run, node, r, "%s: %s", node->name, error_text(r)) : r;
}

/* ---- annotations ---- */

static int ask_metadata(struct sieve_run *run, const struct sieve_node *node, const char *mailbox,
                        const char *name, struct buf *value)
{
    const struct sieve_host *host = run->host;
    int r = may_ask(run, node);

    if (r < 0)
        return r;
    return host->metadata != NULL ? host->metadata(host->context, mailbox, name, value) : 0;
}

static int run_metadata(struct sieve_run *run, const struct sieve_node *node)
{
    struct buf value = BUF_INIT;
    int r = ask_metadata(run, node, run_text(run, node->params[0]), run_text(run, node->params[1]), &value);

    return match_answer(run, node, r, &value);
}

static int run_servermetadata(struct sieve_run *run, const struct sieve_node *node)
{
    struct buf value = BUF_INIT;
    int r = ask_metadata(run, node, NULL, run_text(run, node->params[0]), &value);

    return match_answer(run, node, r, &value);
}

static int ask_all_metadata(struct sieve_run *run, const struct sieve_node *node, const char *mailbox,
                            const struct sieve_arg *arg)
{
    struct sieve_strings names = run_strings(run, arg);
    struct buf value = BUF_INIT;
    int r = 1;

    for (size_t i = 0; i < names.count && r == 1; i++) {
        buf_reset(&value);
        r = ask_metadata(run, node, mailbox, names.items[i].data, &value);
    }
    buf_free(&value);
    return r < 0 ? run_error(run, node, r, "%s: %s", node->name, error_text(r)) : r;
}

static int run_metadataexists(struct sieve_run *run, const struct sieve_node *node)
{
    return ask_all_metadata(run, node, run_text(run, node->params[0]), node->params[1]);
}

static int run_servermetadataexists(struct sieve_run *run, const struct sieve_node *node)
{
    return ask_all_metadata(run, node, NULL, node->params[0]);
}

/* ---- lists ---- */

static int run_valid_ext_list(struct sieve_run *run, const struct sieve_node *node)
{
    struct sieve_strings names = run_strings(run, node->params[0]);
    const struct sieve_host *host = run->host;
    int r = 1;

    for (size_t i = 0; i < names.count && r == 1 && (r = may_ask(run, node)) == 1; i++)
        r = host->list_is_known != NULL ? host->list_is_known(host->context, names.items[i].data) : 0;
    return r < 0 ? run_error(run, node, r, "%s: %s", node->name, error_text(r)) : r;
}

/* ---- notify ---- */

static int run_valid_notify_method(struct sieve_run *run, const struct sieve_node *node)
{
    struct sieve_strings uris = run_strings(run, node->params[0]);

    for (size_t i = 0; i < uris.count; i++)
        if (uri_check_mailto(&uris.items[i]) != NULL)
            return 0;
    return 1;
}

/* Whether a person is online cannot be told by mail (RFC 5436 2.3: "maybe"). */
static int run_notify_method_capability(struct sieve_run *run, const struct sieve_node *node)
{
    struct sieve_string uri = run_string(run, &node->params[0]->strings.items[0]);
    const char *capability = run_text(run, node->params[1]);
    struct buf value = BUF_INIT;
    bool known = uri_check_mailto(&uri) == NULL && str_ieq(capability, "online");

    if (known)
        buf_puts(&value, "maybe");
    return match_answer(run, node, known, &value);
}

/* ---- duplicate ---- */

enum { ID_HEADER, ID_VALUE };

static const struct tag tags_duplicate[] = {{"handle", SLOT_HANDLE, EXT_NONE, TAG_STRING, 0},
                                            {"header", SLOT_ID, EXT_NONE, TAG_STRING, ID_HEADER},
                                            {"uniqueid", SLOT_ID, EXT_NONE, TAG_STRING, ID_VALUE},
                                            {"seconds", SLOT_DAYS, EXT_NONE, TAG_NUMBER, 0},
                                            {"last", SLOT_LAST, EXT_NONE, TAG_ALONE, 0},
                                            {NULL, 0, 0, 0, 0}};

/* What identifies the message; false: nothing does (RFC 7352 3). */
static bool unique_id(struct sieve_run *run, const struct sieve_node *node, struct sieve_string *id_r)
{
    const struct sieve_arg *id = node->slots[SLOT_ID];
    const char *text = run_text(run, id);

    if (id != NULL && id->value == ID_VALUE) {
        *id_r = (struct sieve_string){text, strlen(text)};
        return true;
    }
    return header_first(run, text != NULL ? text : "Message-ID", id_r) && id_r->len > 0;
}

static bool is_remembered(const struct sieve_run *run, const struct sieve_string *key)
{
    for (const struct sieve_action *a = run->actions; a != NULL; a = a->next)
        if (a->kind == SIEVE_DUPLICATE && a->handle.len == key->len &&
            memcmp(a->handle.data, key->data, key->len) == 0)
            return true;
    return false;
}

static int run_duplicate(struct sieve_run *run, const struct sieve_node *node)
{
    const char *handle = run_text(run, node->slots[SLOT_HANDLE]);
    const struct sieve_arg *seconds = node->slots[SLOT_DAYS];
    struct buf text = BUF_INIT;
    struct sieve_string id, key;
    struct sieve_action *action;
    int r = 0;

    if (!unique_id(run, node, &id))
        return 0;
    buf_printf(&text, "%s%c", handle != NULL ? handle : "", '\n');
    buf_append(&text, id.data, id.len);
    key = run_keep(run, text.data, text.len);
    buf_free(&text);
    r = may_ask(run, node);
    if (r > 0)
        r = 0;
    if (r == 0 && run->host->is_duplicate != NULL)
        r = run->host->is_duplicate(run->host->context, &key);
    if (r < 0)
        return run_error(run, node, r, "duplicate: %s", error_text(r));
    if (is_remembered(run, &key) || (r == 1 && node->slots[SLOT_LAST] == NULL))
        return r;
    action = run_action(run, node, SIEVE_DUPLICATE);
    if (action == NULL)
        return ERR_LIMIT;
    action->handle = key;
    action->seconds = seconds == NULL                ? 0
                      : seconds->number < UINT32_MAX ? (unsigned)seconds->number
                                                     : UINT32_MAX;
    action->last = node->slots[SLOT_LAST] != NULL;
    return r;
}

const struct definition tests_world[] = {
    {.name = "environment",
     .extension = EXT_ENVIRONMENT,
     .n_params = 2,
     .params = {{PARAM_STRING, false, NULL}, {PARAM_STRINGS, false, NULL}},
     .tags = {tags_match},
     .check = check_keys,
     .run = run_environment},
    {.name = "mailboxexists",
     .extension = EXT_MAILBOX,
     .n_params = 1,
     .params = {{PARAM_STRINGS, false, check_mailbox}},
     .run = run_mailboxexists},
    {.name = "mailboxidexists",
     .extension = EXT_MAILBOXID,
     .n_params = 1,
     .params = {{PARAM_STRINGS, false, NULL}},
     .run = run_mailboxidexists},
    {.name = "specialuse_exists",
     .extension = EXT_SPECIAL_USE,
     .n_params = 2,
     .params = {{PARAM_STRING, false, check_mailbox}, {PARAM_STRINGS, false, NULL}},
     .first_optional = true,
     .run = run_specialuse_exists},
    {.name = "metadata",
     .extension = EXT_MBOXMETADATA,
     .n_params = 3,
     .params = {{PARAM_STRING, false, check_mailbox},
                {PARAM_STRING, false, NULL},
                {PARAM_STRINGS, false, NULL}},
     .tags = {tags_match},
     .check = check_keys,
     .run = run_metadata},
    {.name = "metadataexists",
     .extension = EXT_MBOXMETADATA,
     .n_params = 2,
     .params = {{PARAM_STRING, false, check_mailbox}, {PARAM_STRINGS, false, NULL}},
     .run = run_metadataexists},
    {.name = "servermetadata",
     .extension = EXT_SERVERMETADATA,
     .n_params = 2,
     .params = {{PARAM_STRING, false, NULL}, {PARAM_STRINGS, false, NULL}},
     .tags = {tags_match},
     .check = check_keys,
     .run = run_servermetadata},
    {.name = "servermetadataexists",
     .extension = EXT_SERVERMETADATA,
     .n_params = 1,
     .params = {{PARAM_STRINGS, false, NULL}},
     .run = run_servermetadataexists},
    {.name = "valid_ext_list",
     .extension = EXT_EXTLISTS,
     .n_params = 1,
     .params = {{PARAM_STRINGS, false, NULL}},
     .run = run_valid_ext_list},
    {.name = "valid_notify_method",
     .extension = EXT_ENOTIFY,
     .n_params = 1,
     .params = {{PARAM_STRINGS, false, NULL}},
     .run = run_valid_notify_method},
    {.name = "notify_method_capability",
     .extension = EXT_ENOTIFY,
     .n_params = 3,
     .params = {{PARAM_STRING, false, NULL}, {PARAM_STRING, false, NULL}, {PARAM_STRINGS, false, NULL}},
     .tags = {tags_match},
     .check = check_keys,
     .run = run_notify_method_capability},
    {.name = "duplicate", .extension = EXT_DUPLICATE, .tags = {tags_duplicate}, .run = run_duplicate},
    {.name = NULL},
};
