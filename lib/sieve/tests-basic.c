/* tests-basic.c: the tests of RFC 5228 5, and those of variables (5229) and ihave (5463). */
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mail/address.h"
#include "lib/sieve/definition-private.h"
#include "lib/sieve/header-private.h"
#include "lib/sieve/match-private.h"

const struct tag tags_match[] = {
    {"is", SLOT_MATCH, EXT_NONE, TAG_ALONE, MATCH_IS},
    {"contains", SLOT_MATCH, EXT_NONE, TAG_ALONE, MATCH_CONTAINS},
    {"matches", SLOT_MATCH, EXT_NONE, TAG_ALONE, MATCH_MATCHES},
    {"regex", SLOT_MATCH, EXT_REGEX, TAG_ALONE, MATCH_REGEX},
    {"value", SLOT_MATCH, EXT_RELATIONAL, TAG_STRING, MATCH_VALUE},
    {"count", SLOT_MATCH, EXT_RELATIONAL, TAG_STRING, MATCH_COUNT},
    {"list", SLOT_MATCH, EXT_EXTLISTS, TAG_ALONE, MATCH_LIST},
    {"comparator", SLOT_COMPARATOR, EXT_NONE, TAG_STRING, 0},
    {NULL, 0, 0, 0, 0},
};

enum part { PART_ALL, PART_LOCAL, PART_DOMAIN, PART_USER, PART_DETAIL };

const struct tag tags_part[] = {
    {"all", SLOT_PART, EXT_NONE, TAG_ALONE, PART_ALL},
    {"localpart", SLOT_PART, EXT_NONE, TAG_ALONE, PART_LOCAL},
    {"domain", SLOT_PART, EXT_NONE, TAG_ALONE, PART_DOMAIN},
    {"user", SLOT_PART, EXT_SUBADDRESS, TAG_ALONE, PART_USER},
    {"detail", SLOT_PART, EXT_SUBADDRESS, TAG_ALONE, PART_DETAIL},
    {NULL, 0, 0, 0, 0},
};

const struct tag tags_index[] = {
    {"index", SLOT_INDEX, EXT_INDEX, TAG_NUMBER, 0},
    {"last", SLOT_LAST, EXT_INDEX, TAG_ALONE, 0},
    {NULL, 0, 0, 0, 0},
};

/* ---- logic ---- */

static int run_true(struct sieve_run *run, const struct sieve_node *node)
{
    (void)run;
    (void)node;
    return 1;
}

static int run_false(struct sieve_run *run, const struct sieve_node *node)
{
    (void)run;
    (void)node;
    return 0;
}

static int run_not(struct sieve_run *run, const struct sieve_node *node)
{
    int r = run_test(run, node->tests);

    return r < 0 ? r : !r;
}

static int run_anyof(struct sieve_run *run, const struct sieve_node *node)
{
    int r = 0;

    for (const struct sieve_node *test = node->tests; test != NULL && r == 0; test = test->next)
        r = run_test(run, test);
    return r;
}

static int run_allof(struct sieve_run *run, const struct sieve_node *node)
{
    int r = 1;

    for (const struct sieve_node *test = node->tests; test != NULL && r == 1; test = test->next)
        r = run_test(run, test);
    return r;
}

/* ---- header, exists, size ---- */

/* The last parameter is the keys. */
static void check_keys(struct checker *c, struct sieve_node *node)
{
    check_match(c, node, node->params[node->definition->n_params - 1]);
    if (node->slots[SLOT_LAST] != NULL && node->slots[SLOT_INDEX] == NULL)
        check_complain(c, node, ":last needs :index");
}

static int run_header(struct sieve_run *run, const struct sieve_node *node)
{
    struct sieve_strings names = run_strings(run, node->params[0]);
    struct field_list fields;
    struct match m;
    int r = header_fields(run, node, &names, &fields);

    if (r < 0)
        return r;
    match_begin(&m, run, node, node->params[1]);
    for (size_t i = 0; i < fields.count && r == 0; i++) {
        struct sieve_string value = header_value(run, &fields.items[i]);

        r = match_value(&m, &value, NULL);
    }
    return r != 0 ? r : match_end(&m);
}

static int run_exists(struct sieve_run *run, const struct sieve_node *node)
{
    struct sieve_strings names = run_strings(run, node->params[0]);
    struct mail_field field;

    for (size_t i = 0; i < names.count; i++) {
        int r = run_spend(run, node, run->header_len);

        if (r < 0)
            return r;
        if (!mail_header_find(run->header, run->header_len, names.items[i].data, &field))
            return 0;
    }
    return 1;
}

enum { SIZE_OVER, SIZE_UNDER };

static const struct tag tags_size[] = {{"over", SLOT_OVER, EXT_NONE, TAG_ALONE, SIZE_OVER},
                                       {"under", SLOT_OVER, EXT_NONE, TAG_ALONE, SIZE_UNDER},
                                       {NULL, 0, 0, 0, 0}};

static void check_size(struct checker *c, struct sieve_node *node)
{
    if (node->slots[SLOT_OVER] == NULL)
        check_complain(c, node, "size needs :over or :under");
}

static int run_size(struct sieve_run *run, const struct sieve_node *node)
{
    uint64_t limit = node->params[0]->number;

    return node->slots[SLOT_OVER]->value == SIZE_OVER ? run->message->len > limit : run->message->len < limit;
}

/* ---- address, envelope ---- */

/* RFC 5228 5.1: fields that hold addresses. */
static const char *check_address_field(const struct sieve_string *s)
{
    static const char *const fields[] = {"from",
                                         "to",
                                         "cc",
                                         "bcc",
                                         "sender",
                                         "reply-to",
                                         "resent-from",
                                         "resent-to",
                                         "resent-cc",
                                         "resent-bcc",
                                         "resent-sender",
                                         "resent-reply-to",
                                         "return-path",
                                         "delivered-to",
                                         "x-original-to",
                                         "envelope-to",
                                         "x-envelope-to",
                                         "errors-to",
                                         "disposition-notification-to",
                                         "mail-followup-to",
                                         "mail-reply-to",
                                         "approved",
                                         "list-post",
                                         "return-receipt-to",
                                         "apparently-to",
                                         "x-sender",
                                         "original-recipient"};

    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        if (str_ieq(fields[i], s->data))
            return NULL;
    return "is no header field that holds addresses";
}

/* The part of an address; false: it has none (RFC 5233 4: no separator, no detail). */
static bool address_part(struct sieve_run *run, const struct sieve_node *node, const struct mail_address *a,
                         struct sieve_string *part_r)
{
    const char *local = a->mailbox != NULL ? a->mailbox : "", *domain = a->host != NULL ? a->host : "";
    enum part part = node->slots[SLOT_PART] != NULL ? (enum part)node->slots[SLOT_PART]->value : PART_ALL;
    const char *separator = strchr(local, run->host->separator != 0 ? run->host->separator : '+');
    struct buf spec = BUF_INIT;

    switch (part) {
    case PART_LOCAL:
        *part_r = run_keep(run, local, strlen(local));
        break;
    case PART_DOMAIN:
        *part_r = run_keep(run, domain, strlen(domain));
        break;
    case PART_USER:
        *part_r = run_keep(run, local, separator != NULL ? (size_t)(separator - local) : strlen(local));
        break;
    case PART_DETAIL:
        if (separator == NULL)
            return false;
        *part_r = run_keep(run, separator + 1, strlen(separator + 1));
        break;
    default:
        mail_address_spec(a, &spec);
        *part_r = run_keep(run, spec.data, spec.len);
        buf_free(&spec);
    }
    return true;
}

static int match_addresses(struct match *m, const char *text, size_t n)
{
    struct mail_address *a = mail_addresses_parse(m->run->pool, text, n, MAIL_ADDRESSES_MAX);
    struct sieve_string part;
    int r = 0;

    for (; a != NULL && r == 0; a = a->next)
        if (a->kind == MAIL_ADDRESS && address_part(m->run, m->node, a, &part))
            r = match_value(m, &part, NULL);
    return r;
}

static int run_address(struct sieve_run *run, const struct sieve_node *node)
{
    struct sieve_strings names = run_strings(run, node->params[0]);
    struct buf unfolded = BUF_INIT;
    struct field_list fields;
    struct match m;
    size_t count = 0;
    int r = 0;

    for (size_t i = 0; i < names.count; i++) /* a variable may have brought what is none */
        if (check_address_field(&names.items[i]) == NULL)
            names.items[count++] = names.items[i];
    names.count = count;
    r = header_fields(run, node, &names, &fields);
    if (r < 0)
        return r;
    match_begin(&m, run, node, node->params[1]);
    for (size_t i = 0; i < fields.count && r == 0; i++) {
        buf_reset(&unfolded);
        mail_field_unfold(&fields.items[i], &unfolded);
        r = match_addresses(&m, buf_cstr(&unfolded), unfolded.len);
    }
    buf_free(&unfolded);
    return r != 0 ? r : match_end(&m);
}

static const char *check_envelope_part(const struct sieve_string *s)
{
    return str_ieq(s->data, "from") || str_ieq(s->data, "to") || str_ieq(s->data, "auth")
               ? NULL
               : "is no part of the envelope";
}

/* The null reverse path is an address too, of nothing (RFC 5228 5.4). */
static int match_envelope(struct match *m, const char *text)
{
    static const struct sieve_string nothing = {"", 0};
    const struct sieve_arg *part = m->node->slots[SLOT_PART];

    if (text == NULL)
        return 0;
    if (*text == '\0')
        return part != NULL && part->value == PART_DETAIL ? 0 : match_value(m, &nothing, NULL);
    return match_addresses(m, text, strlen(text));
}

static int run_envelope(struct sieve_run *run, const struct sieve_node *node)
{
    const struct sieve_message *message = run->message;
    struct sieve_strings parts = run_strings(run, node->params[0]);
    struct match m;
    int r = 0;

    if (message->flags != NULL) /* RFC 6785 4.6 */
        return run_error(run, node, ERR_SYNTAX, "envelope is for new messages");
    match_begin(&m, run, node, node->params[1]);
    for (size_t i = 0; i < parts.count && r == 0; i++) {
        if (str_ieq(parts.items[i].data, "from"))
            r = match_envelope(&m, message->from);
        else if (str_ieq(parts.items[i].data, "to"))
            r = match_envelope(&m, message->to);
        else if (str_ieq(parts.items[i].data, "auth") && message->auth != NULL)
            r = match_addresses(&m, message->auth, strlen(message->auth));
    }
    return r != 0 ? r : match_end(&m);
}

/* ---- string (RFC 5229 5), ihave (RFC 5463 4) ---- */

static int run_string_test(struct sieve_run *run, const struct sieve_node *node)
{
    struct sieve_strings source = run_strings(run, node->params[0]);
    struct match m;
    int r = 0;

    match_begin(&m, run, node, node->params[1]);
    for (size_t i = 0; i < source.count && r == 0; i++)
        if (m.type != MATCH_COUNT || source.items[i].len > 0) /* RFC 5229 5: empty ones are not counted */
            r = match_value(&m, &source.items[i], NULL);
    return r != 0 ? r : match_end(&m);
}

static bool knows_all(const struct sieve_script *script, const struct sieve_arg *names)
{
    for (size_t i = 0; i < names->strings.count; i++)
        if (script_extension(script, names->strings.items[i].data, names->strings.items[i].len) < 0)
            return false;
    return true;
}

/* What it asks for is there for what follows, as if it had been required. */
static void check_ihave(struct checker *c, struct sieve_node *node)
{
    const struct sieve_strings *names = &node->params[0]->strings;

    if (knows_all(check_script(c), node->params[0]))
        for (size_t i = 0; i < names->count; i++)
            check_enable(c, (enum extension)extension_find(names->items[i].data, names->items[i].len));
}

static int run_ihave(struct sieve_run *run, const struct sieve_node *node)
{
    return knows_all(run->scope->script, node->params[0]);
}

const struct definition tests_basic[] = {
    {.name = "true", .run = run_true},
    {.name = "false", .run = run_false},
    {.name = "not", .tests = ONE_TEST, .run = run_not},
    {.name = "anyof", .tests = TEST_LIST, .run = run_anyof},
    {.name = "allof", .tests = TEST_LIST, .run = run_allof},
    {.name = "header",
     .n_params = 2,
     .params = {{PARAM_STRINGS, false, check_header_name}, {PARAM_STRINGS, false, NULL}},
     .tags = {tags_match, tags_index},
     .check = check_keys,
     .run = run_header},
    {.name = "exists",
     .n_params = 1,
     .params = {{PARAM_STRINGS, false, check_header_name}},
     .run = run_exists},
    {.name = "size",
     .n_params = 1,
     .params = {{PARAM_NUMBER, false, NULL}},
     .tags = {tags_size},
     .check = check_size,
     .run = run_size},
    {.name = "address",
     .n_params = 2,
     .params = {{PARAM_STRINGS, false, check_address_field}, {PARAM_STRINGS, false, NULL}},
     .tags = {tags_match, tags_part, tags_index},
     .check = check_keys,
     .run = run_address},
    {.name = "envelope",
     .extension = EXT_ENVELOPE,
     .n_params = 2,
     .params = {{PARAM_STRINGS, false, check_envelope_part}, {PARAM_STRINGS, false, NULL}},
     .tags = {tags_match, tags_part},
     .check = check_keys,
     .run = run_envelope},
    {.name = "string",
     .extension = EXT_VARIABLES,
     .n_params = 2,
     .params = {{PARAM_STRINGS, false, NULL}, {PARAM_STRINGS, false, NULL}},
     .tags = {tags_match},
     .check = check_keys,
     .run = run_string_test},
    {.name = "ihave",
     .extension = EXT_IHAVE,
     .n_params = 1,
     .params = {{PARAM_STRINGS, true, NULL}},
     .check = check_ihave,
     .run = run_ihave},
    {.name = NULL},
};
