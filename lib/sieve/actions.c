/* actions.c: the actions of RFC 5228 4, reject (5429), vacation (5230, 6131) and notify (5435, 5436), with their
 * arguments of RFC 3894, 5232, 5490, 6134, 8579, 8580 and 9042. */
#include <stdio.h>
#include <string.h>

#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mail/address.h"
#include "lib/sieve/definition-private.h"
#include "lib/sieve/flags-private.h"
#include "lib/sieve/header-private.h"
#include "lib/sieve/uri-private.h"

enum { DAY_S = 86400, DAYS_DEFAULT = 7, DAYS_MOST = 90, REASON_MAX = 64 * 1024 };

/* ---- addresses ---- */

/* One mailbox with a host, and nothing else. */
static const struct mail_address *read_address(struct pool *pool, const char *text, size_t n)
{
    const struct mail_address *a = mail_addresses_parse(pool, text, n, 2);

    if (a == NULL || a->next != NULL || a->kind != MAIL_ADDRESS || a->host == NULL || *a->host == '\0' ||
        a->mailbox == NULL || *a->mailbox == '\0')
        return NULL;
    return a;
}

const char *check_address(const struct sieve_string *s)
{
    struct pool *pool = pool_new(0);
    const char *why = read_address(pool, s->data, s->len) != NULL ? NULL : "is no mail address";

    for (size_t i = 0; i < s->len; i++)
        if ((unsigned char)s->data[i] < ' ' || s->data[i] == 127)
            why = "is no mail address";
    pool_free(&pool);
    return why;
}

/* "local@host" of an address that has been checked. */
static const char *spec_of(struct sieve_run *run, const char *text)
{
    const struct mail_address *a = read_address(run->pool, text, strlen(text));
    struct buf spec = BUF_INIT;
    const char *kept;

    if (a == NULL)
        return text;
    mail_address_spec(a, &spec);
    kept = run_keep(run, spec.data, spec.len).data;
    buf_free(&spec);
    return kept;
}

/* ---- what goes with what ---- */

static bool has_action(const struct sieve_run *run, unsigned kinds)
{
    for (const struct sieve_action *a = run->actions; a != NULL; a = a->next)
        if ((kinds >> a->kind & 1) != 0)
            return true;
    return false;
}

enum {
    REFUSALS = 1 << SIEVE_REJECT | 1 << SIEVE_EREJECT,
    DELIVERIES = 1 << SIEVE_KEEP | 1 << SIEVE_FILEINTO | 1 << SIEVE_REDIRECT | 1 << SIEVE_VACATION
};

/* RFC 5429 2.4: a message is refused or it is delivered. */
static int check_conflict(struct sieve_run *run, const struct sieve_node *node, enum sieve_action_kind kind)
{
    unsigned others = (1 << kind & REFUSALS) != 0 ? REFUSALS | DELIVERIES : REFUSALS;

    if ((1 << kind & (REFUSALS | DELIVERIES)) != 0 && has_action(run, others))
        return run_error(run, node, ERR_SYNTAX, "%s cannot go with what was done before", node->name);
    return 0;
}

static int add(struct sieve_run *run, const struct sieve_node *node, enum sieve_action_kind kind,
               struct sieve_action **action_r)
{
    int r = check_conflict(run, node, kind);

    *action_r = r == 0 ? run_action(run, node, kind) : NULL;
    return r == 0 && *action_r == NULL ? ERR_LIMIT : r;
}

/* ---- keep, fileinto, discard ---- */

const struct tag tags_target[] = {
    {"flags", SLOT_FLAGS, EXT_IMAP4FLAGS, TAG_STRINGS, 0},
    {"create", SLOT_CREATE, EXT_MAILBOX, TAG_ALONE, 0},
    {"specialuse", SLOT_SPECIAL_USE, EXT_SPECIAL_USE, TAG_STRING, 0},
    {"mailboxid", SLOT_MAILBOX_ID, EXT_MAILBOXID, TAG_STRING, 0},
    {NULL, 0, 0, 0, 0},
};
static const struct tag tags_keep[] = {{"flags", SLOT_FLAGS, EXT_IMAP4FLAGS, TAG_STRINGS, 0},
                                       {NULL, 0, 0, 0, 0}};
static const struct tag tags_copy[] = {{"copy", SLOT_COPY, EXT_COPY, TAG_ALONE, 0}, {NULL, 0, 0, 0, 0}};

/* The mailbox is given by a parameter or by :fcc. */
static int read_target(struct sieve_run *run, const struct sieve_node *node, const char *mailbox,
                       struct sieve_target *target)
{
    struct sieve_string name = {mailbox, strlen(mailbox)};
    const char *why = check_mailbox(&name);

    if (why != NULL)
        return run_error(run, node, ERR_SYNTAX, "\"%s\" %s", mailbox, why);
    *target = (struct sieve_target){.mailbox = mailbox,
                                    .mailbox_id = run_text(run, node->slots[SLOT_MAILBOX_ID]),
                                    .special_use = run_text(run, node->slots[SLOT_SPECIAL_USE]),
                                    .create = node->slots[SLOT_CREATE] != NULL,
                                    .flags = flags_of(run, node)};
    return 0;
}

/* An action of this kind into the same mailbox: it is done once, with the last flags (RFC 5232 3). */
static struct sieve_action *same_target(struct sieve_run *run, enum sieve_action_kind kind,
                                        const char *mailbox)
{
    for (struct sieve_action *a = run->actions; a != NULL; a = a->next)
        if (a->kind == kind && a->header == (run->edited ? run->header : NULL) &&
            (mailbox == NULL || strcmp(a->target.mailbox, mailbox) == 0))
            return a;
    return NULL;
}

static int run_keep_command(struct sieve_run *run, const struct sieve_node *node)
{
    struct sieve_action *action = same_target(run, SIEVE_KEEP, NULL);
    int r = action != NULL ? 0 : add(run, node, SIEVE_KEEP, &action);

    if (r < 0)
        return r;
    action->target.flags = flags_of(run, node);
    run->kept = true;
    return 0;
}

static int run_fileinto(struct sieve_run *run, const struct sieve_node *node)
{
    struct sieve_target target;
    struct sieve_action *action;
    int r = read_target(run, node, run_text(run, node->params[0]), &target);

    if (r < 0)
        return r;
    action = same_target(run, SIEVE_FILEINTO, target.mailbox);
    if (action == NULL)
        r = add(run, node, SIEVE_FILEINTO, &action);
    if (r < 0)
        return r;
    action->target = target;
    run->kept |= node->slots[SLOT_COPY] == NULL;
    return 0;
}

static int run_discard(struct sieve_run *run, const struct sieve_node *node)
{
    (void)node;
    run->kept = true;
    return 0;
}

/* RFC 8579 3: a flag as IMAP has it; RFC 9042: an id. */
static void check_target(struct checker *c, struct sieve_node *node)
{
    const struct sieve_arg *use = node->slots[SLOT_SPECIAL_USE], *id = node->slots[SLOT_MAILBOX_ID];

    if (use != NULL && check_is_constant(c, &use->strings.items[0]) && *use->strings.items[0].data != '\\')
        check_complain(c, node, "a special use begins with a backslash");
    if (id != NULL && id->strings.items[0].len == 0)
        check_complain(c, node, "a mailbox id cannot be empty");
}

/* ---- redirect ---- */

static const struct tag tags_redirect[] = {{"list", SLOT_LIST, EXT_EXTLISTS, TAG_ALONE, 0},
                                           {NULL, 0, 0, 0, 0}};

static void check_redirect(struct checker *c, struct sieve_node *node)
{
    const struct sieve_string *s = &node->params[0]->strings.items[0];

    if (node->slots[SLOT_LIST] == NULL && check_is_constant(c, s) && check_address(s) != NULL)
        check_complain(c, node, "\"%s\" %s", s->data, check_address(s));
}

static bool is_redirected(const struct sieve_run *run, const char *address, bool list)
{
    for (const struct sieve_action *a = run->actions; a != NULL; a = a->next)
        if (a->kind == SIEVE_REDIRECT && a->list == list && str_ieq(a->address, address))
            return true;
    return false;
}

static int run_redirect(struct sieve_run *run, const struct sieve_node *node)
{
    struct sieve_string to = run_string(run, &node->params[0]->strings.items[0]);
    unsigned most = run->host->redirects > 0 && run->host->redirects < SIEVE_REDIRECTS_MAX
                        ? run->host->redirects
                        : SIEVE_REDIRECTS_MAX;
    bool list = node->slots[SLOT_LIST] != NULL;
    struct sieve_action *action;
    const char *address;
    int r;

    if (!list && check_address(&to) != NULL)
        return run_error(run, node, ERR_SYNTAX, "\"%s\" %s", to.data, check_address(&to));
    address = list ? to.data : spec_of(run, to.data);
    run->kept |= node->slots[SLOT_COPY] == NULL;
    if (is_redirected(run, address, list))
        return 0;
    if (++run->n_redirects > most)
        return run_error(run, node, ERR_LIMIT, "more than %u redirects", most);
    r = add(run, node, SIEVE_REDIRECT, &action);
    if (r < 0)
        return r;
    action->address = address;
    action->list = list;
    return 0;
}

/* ---- reject, ereject ---- */

static int refuse(struct sieve_run *run, const struct sieve_node *node, enum sieve_action_kind kind)
{
    struct sieve_action *action;
    int r;

    if (run->message->flags != NULL)
        return run_error(run, node, ERR_SYNTAX, "%s is for new messages", node->name);
    r = add(run, node, kind, &action);
    if (r < 0)
        return r;
    action->reason = run_string(run, &node->params[0]->strings.items[0]);
    if (action->reason.len > REASON_MAX)
        return run_error(run, node, ERR_LIMIT, "the reason is too long");
    run->kept = true;
    return 0;
}

static int run_reject(struct sieve_run *run, const struct sieve_node *node)
{
    return refuse(run, node, SIEVE_REJECT);
}

static int run_ereject(struct sieve_run *run, const struct sieve_node *node)
{
    return refuse(run, node, SIEVE_EREJECT);
}

/* ---- :fcc (RFC 8580) ---- */

const struct tag tags_fcc[] = {
    {"fcc", SLOT_FCC, EXT_FCC, TAG_STRING, 0},
    {NULL, 0, 0, 0, 0},
};

static void check_fcc(struct checker *c, struct sieve_node *node)
{
    if (node->slots[SLOT_FCC] == NULL &&
        (node->slots[SLOT_FLAGS] != NULL || node->slots[SLOT_CREATE] != NULL ||
         node->slots[SLOT_SPECIAL_USE] != NULL || node->slots[SLOT_MAILBOX_ID] != NULL))
        check_complain(c, node, "%s takes arguments of a mailbox only with :fcc", node->name);
    check_target(c, node);
}

/* A copy of what is sent gets the flags that it is given, not those of the message. */
static int read_fcc(struct sieve_run *run, const struct sieve_node *node, struct sieve_action *action)
{
    int r;

    if (node->slots[SLOT_FCC] == NULL)
        return 0;
    r = read_target(run, node, run_text(run, node->slots[SLOT_FCC]), &action->target);
    if (node->slots[SLOT_FLAGS] == NULL)
        action->target.flags = NULL;
    action->has_fcc = r == 0;
    return r;
}

/* ---- vacation ---- */

enum { UNIT_DAYS, UNIT_SECONDS };

static const struct tag tags_vacation[] = {
    {"days", SLOT_DAYS, EXT_NONE, TAG_NUMBER, UNIT_DAYS},
    {"seconds", SLOT_DAYS, EXT_VACATION_SECONDS, TAG_NUMBER, UNIT_SECONDS},
    {"subject", SLOT_SUBJECT, EXT_NONE, TAG_STRING, 0},
    {"from", SLOT_FROM, EXT_NONE, TAG_STRING, 0},
    {"addresses", SLOT_ADDRESSES, EXT_NONE, TAG_STRINGS, 0},
    {"mime", SLOT_MIME, EXT_NONE, TAG_ALONE, 0},
    {"handle", SLOT_HANDLE, EXT_NONE, TAG_STRING, 0},
    {NULL, 0, 0, 0, 0}};

static void check_from(struct checker *c, struct sieve_node *node)
{
    const struct sieve_arg *from = node->slots[SLOT_FROM];

    if (from != NULL && check_is_constant(c, &from->strings.items[0]) &&
        check_address(&from->strings.items[0]) != NULL)
        check_complain(c, node, "\"%s\" %s", from->strings.items[0].data,
                       check_address(&from->strings.items[0]));
}

/* :from, maybe made of variables (RFC 5230 4.3, 5435 3.3); NULL: not given. */
static int read_from(struct sieve_run *run, const struct sieve_node *node, const char **from_r)
{
    const char *from = run_text(run, node->slots[SLOT_FROM]);
    struct sieve_string text = {from, from != NULL ? strlen(from) : 0};

    *from_r = from;
    if (from != NULL && check_address(&text) != NULL)
        return run_error(run, node, ERR_SYNTAX, "\"%s\" %s", from, check_address(&text));
    return 0;
}

static void check_vacation(struct checker *c, struct sieve_node *node)
{
    check_from(c, node);
    check_fcc(c, node);
}

/* Is it, in the local part, an address that programs use (RFC 5230 4.6)? */
static bool is_automatic(const char *address)
{
    static const char *const names[] = {"mailer-daemon", "listserv", "majordomo",   "owner",
                                        "noreply",       "no-reply", "do-not-reply"};
    const char *at = strrchr(address, '@');
    size_t n = at != NULL ? (size_t)(at - address) : strlen(address);

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (n == strlen(names[i]) && str_ieq_n(address, names[i], n))
            return true;
    return (n > 6 && str_ieq_n(address, "owner-", 6)) ||
           (n > 8 && str_ieq_n(address + n - 8, "-request", 8)) ||
           (n > 8 && str_ieq_n(address + n - 8, "-bounces", 8)) ||
           (n > 6 && str_ieq_n(address + n - 6, "-owner", 6));
}

/* RFC 3834 5: a keyword, maybe with parameters. */
static bool is_auto_submitted(struct sieve_run *run)
{
    struct sieve_string value;

    if (!header_first(run, "Auto-Submitted", &value))
        return false;
    return strcspn(value.data, "; \t(") != 2 || !str_ieq_n(value.data, "no", 2);
}

/* Was it sent by a program or a list, as its header says? */
static bool is_from_program(struct sieve_run *run)
{
    static const char *const fields[] = {"List-Id",   "List-Help",  "List-Subscribe", "List-Unsubscribe",
                                         "List-Post", "List-Owner", "List-Archive"};
    struct sieve_string value;

    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        if (header_first(run, fields[i], &value))
            return true;
    if (is_auto_submitted(run))
        return true;
    if (!header_first(run, "Precedence", &value))
        return false;
    return str_ieq(value.data, "bulk") || str_ieq(value.data, "list") || str_ieq(value.data, "junk");
}

static bool is_one_of(const char *address, const struct sieve_strings *given, const char *const *own,
                      const char *to)
{
    for (size_t i = 0; i < given->count; i++)
        if (str_ieq(given->items[i].data, address))
            return true;
    for (; own != NULL && *own != NULL; own++)
        if (str_ieq(*own, address))
            return true;
    return to != NULL && str_ieq(to, address);
}

/* Is the owner named as a recipient (RFC 5230 4.5)? */
static bool is_personal(struct sieve_run *run, const struct sieve_node *node)
{
    static const char *const fields[] = {"To", "Cc", "Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc"};
    struct sieve_strings given = run_strings(run, node->slots[SLOT_ADDRESSES]);
    struct mail_field field;
    struct mail_header_iter it;

    for (size_t i = 0; i < given.count; i++)
        given.items[i].data = spec_of(run, given.items[i].data);
    mail_header_begin(&it, run->header, run->header_len);
    while (mail_header_next(&it, &field))
        for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
            const struct mail_address *a;
            struct buf spec = BUF_INIT;
            bool found = false;

            if (field.name_len == 0 || !mail_field_is(&field, fields[i]))
                continue;
            a = mail_addresses_parse(run->pool, field.value, field.value_len, MAIL_ADDRESSES_MAX);
            for (; a != NULL && !found; a = a->next) {
                buf_reset(&spec);
                mail_address_spec(a, &spec);
                found = a->kind == MAIL_ADDRESS &&
                        is_one_of(buf_cstr(&spec), &given, run->host->addresses, run->message->to);
            }
            buf_free(&spec);
            if (found)
                return true;
        }
    return false;
}

/* What is the same answer: by :handle, else by everything that it says (RFC 5230 4.2). */
static struct sieve_string handle_of(struct sieve_run *run, const struct sieve_node *node,
                                     const struct sieve_action *action)
{
    const char *handle = run_text(run, node->slots[SLOT_HANDLE]);
    struct buf all = BUF_INIT;
    unsigned char digest[DIGEST_SHA1_SIZE];
    char hex[2 * sizeof(digest) + 1];

    if (handle != NULL)
        return run_keep(run, handle, strlen(handle));
    buf_printf(&all, "%s\n%s\n%d\n", action->subject != NULL ? action->subject : "",
               action->from != NULL ? action->from : "", action->mime);
    buf_append(&all, action->reason.data, action->reason.len);
    digest_sha1(all.data, all.len, digest);
    str_hex(hex, digest, sizeof(digest));
    buf_free(&all);
    return run_keep(run, hex, strlen(hex));
}

static unsigned interval_of(const struct sieve_run *run, const struct sieve_node *node)
{
    const struct sieve_arg *days = node->slots[SLOT_DAYS];
    uint64_t least = run->host->vacation_least_s != 0 ? run->host->vacation_least_s : DAY_S;
    uint64_t most =
        run->host->vacation_most_s != 0 ? run->host->vacation_most_s : DAYS_MOST * (uint64_t)DAY_S;
    uint64_t s = DAYS_DEFAULT * (uint64_t)DAY_S;

    if (days != NULL)
        s = days->value == UNIT_SECONDS          ? days->number
            : days->number > DAYS_MOST * 1000ULL ? most
                                                 : days->number * DAY_S;
    return (unsigned)(s < least ? least : s > most ? most : s);
}

static int run_vacation(struct sieve_run *run, const struct sieve_node *node)
{
    const char *sender = run->message->from, *from;
    struct sieve_action *action;
    int r = 0;

    if (run->message->flags != NULL)
        return run_error(run, node, ERR_SYNTAX, "%s is for new messages", node->name);
    if (run->vacation_done)
        return run_error(run, node, ERR_SYNTAX, "vacation is done a second time"); /* RFC 5230 4.7 */
    run->vacation_done = true;
    r = check_conflict(run, node, SIEVE_VACATION);
    if (r < 0)
        return r;
    r = read_from(run, node, &from);
    if (r < 0)
        return r;
    if (sender == NULL || *sender == '\0' || is_automatic(sender) || is_from_program(run) ||
        (run->message->to != NULL && str_ieq(sender, run->message->to)) || !is_personal(run, node))
        return 0;
    r = add(run, node, SIEVE_VACATION, &action);
    if (r < 0)
        return r;
    action->address = pool_strdup(run->pool, sender);
    action->reason = run_string(run, &node->params[0]->strings.items[0]);
    action->subject = run_text(run, node->slots[SLOT_SUBJECT]);
    action->from = from;
    action->mime = node->slots[SLOT_MIME] != NULL;
    action->seconds = interval_of(run, node);
    action->handle = handle_of(run, node, action);
    return read_fcc(run, node, action);
}

/* ---- notify ---- */

static const char *check_importance(const struct sieve_string *s)
{
    return s->len == 1 && *s->data >= '1' && *s->data <= '3' ? NULL
                                                             : "is no importance: \"1\", \"2\" or \"3\"";
}

static const struct tag tags_notify[] = {{"from", SLOT_FROM, EXT_NONE, TAG_STRING, 0},
                                         {"importance", SLOT_IMPORTANCE, EXT_NONE, TAG_STRING, 0},
                                         {"options", SLOT_OPTIONS, EXT_NONE, TAG_STRINGS, 0},
                                         {"message", SLOT_MESSAGE, EXT_NONE, TAG_STRING, 0},
                                         {NULL, 0, 0, 0, 0}};

static void check_notify(struct checker *c, struct sieve_node *node)
{
    const struct sieve_arg *importance = node->slots[SLOT_IMPORTANCE];
    const struct sieve_string *method = &node->params[0]->strings.items[0];

    if (importance != NULL && check_is_constant(c, &importance->strings.items[0]) &&
        check_importance(&importance->strings.items[0]) != NULL)
        check_complain(c, node, "\"%s\" %s", importance->strings.items[0].data,
                       check_importance(&importance->strings.items[0]));
    if (check_is_constant(c, method) && uri_check_mailto(method) != NULL)
        check_complain(c, node, "\"%s\" %s", method->data, uri_check_mailto(method));
    check_from(c, node);
    check_fcc(c, node);
}

static const char *const *options_of(struct sieve_run *run, const struct sieve_node *node)
{
    struct sieve_strings given = run_strings(run, node->slots[SLOT_OPTIONS]);
    const char **list;

    if (given.count == 0)
        return NULL;
    list = pool_alloc(run->pool, (given.count + 1) * sizeof(*list));
    for (size_t i = 0; i < given.count; i++)
        list[i] = given.items[i].data;
    return list;
}

static int run_notify(struct sieve_run *run, const struct sieve_node *node)
{
    struct sieve_string method = run_string(run, &node->params[0]->strings.items[0]), importance = {"2", 1};
    struct sieve_action *action;
    const char *from;
    int r;

    if (uri_check_mailto(&method) != NULL)
        return run_error(run, node, ERR_SYNTAX, "\"%s\" %s", method.data, uri_check_mailto(&method));
    if (node->slots[SLOT_IMPORTANCE] != NULL)
        importance = run_string(run, &node->slots[SLOT_IMPORTANCE]->strings.items[0]);
    if (check_importance(&importance) != NULL)
        return run_error(run, node, ERR_SYNTAX, "\"%s\" %s", importance.data, check_importance(&importance));
    r = read_from(run, node, &from);
    if (r < 0 || is_auto_submitted(run)) /* RFC 5436 2.7 */
        return r;
    r = add(run, node, SIEVE_NOTIFY, &action);
    if (r < 0)
        return r;
    action->address = method.data;
    action->from = from;
    action->importance = *importance.data;
    action->options = options_of(run, node);
    if (node->slots[SLOT_MESSAGE] != NULL)
        action->reason = run_string(run, &node->slots[SLOT_MESSAGE]->strings.items[0]);
    else
        action->reason = (struct sieve_string){"", 0};
    return read_fcc(run, node, action);
}

const struct definition commands_action[] = {
    {.name = "keep", .tags = {tags_keep}, .run = run_keep_command},
    {.name = "discard", .run = run_discard},
    {.name = "fileinto",
     .extension = EXT_FILEINTO,
     .n_params = 1,
     .params = {{PARAM_STRING, false, check_mailbox}},
     .tags = {tags_copy, tags_target},
     .check = check_target,
     .run = run_fileinto},
    {.name = "redirect",
     .n_params = 1,
     .params = {{PARAM_STRING, false, NULL}},
     .tags = {tags_copy, tags_redirect},
     .check = check_redirect,
     .run = run_redirect},
    {.name = "reject",
     .extension = EXT_REJECT,
     .n_params = 1,
     .params = {{PARAM_STRING, false, NULL}},
     .run = run_reject},
    {.name = "ereject",
     .extension = EXT_EREJECT,
     .n_params = 1,
     .params = {{PARAM_STRING, false, NULL}},
     .run = run_ereject},
    {.name = "vacation",
     .extension = EXT_VACATION,
     .n_params = 1,
     .params = {{PARAM_STRING, false, NULL}},
     .tags = {tags_vacation, tags_fcc, tags_target},
     .check = check_vacation,
     .run = run_vacation},
    {.name = "notify",
     .extension = EXT_ENOTIFY,
     .n_params = 1,
     .params = {{PARAM_STRING, false, NULL}},
     .tags = {tags_notify, tags_fcc, tags_target},
     .check = check_notify,
     .run = run_notify},
    {.name = NULL},
};
