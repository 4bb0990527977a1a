/* quota.c: GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208). */
#include "imap/store/quota.h"

#include <string.h>

#include "imap/local/local-private.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/name/mboxname.h"
#include "lib/stream/stream.h"

static const struct {
    enum quota_resource resource;
    const char *name;
    int64_t unit; /* what the protocol counts in */
} resources[] = {
    {QUOTA_STORAGE, "STORAGE", 1024},
    {QUOTA_MESSAGE, "MESSAGE", 1},
    {QUOTA_MAILBOX, "MAILBOX", 1},
    {QUOTA_MAILBOX, "X-NUM-FOLDERS", 1}, /* Cyrus's name for it: understood, not said */
};

enum { RESOURCES_TOLD = ARRAY_SIZE(resources) - 1 };

/* "* QUOTA root (STORAGE 10 512)": limits that there are. */
static int tell_root(struct command *cmd, const char *root, const struct quota_limits *limits)
{
    const char *name = client_name_out(cmd->client, cmd->pool, root), *separator = "";
    struct quota_usage usage;
    struct buf line = BUF_INIT;
    int r = store_quota_usage(local_of(cmd)->env->store, root, &usage);

    if (r < 0 || name == NULL)
        return r < 0 ? r : ERR_NOTFOUND;
    buf_printf(&line, "* QUOTA %s (", name);
    for (size_t i = 0; i < RESOURCES_TOLD; i++) {
        int64_t limit = limits->limit[resources[i].resource], unit = resources[i].unit;

        if (limit == QUOTA_UNLIMITED)
            continue;
        buf_printf(&line, "%s%s %lld %lld", separator, resources[i].name,
                   (long long)((usage.used[resources[i].resource] + unit - 1) / unit),
                   (long long)(limit / unit));
        separator = " ";
    }
    buf_puts(&line, ")\r\n");
    stream_write(cmd->client->stream, line.data, line.len);
    buf_free(&line);
    return 0;
}

void local_tell_limits(struct command *cmd)
{
    struct quota_limits limits;
    int r = quota_limits_get(cmd->client->list, cmd->mailbox, &limits);

    if (r == 0)
        tell_root(cmd, cmd->mailbox, &limits);
    else if (r == ERR_NOTFOUND)
        stream_printf(cmd->client->stream, "* QUOTA %s ()\r\n",
                      client_name_out(cmd->client, cmd->pool, cmd->mailbox));
}

static enum step no_root(struct command *cmd)
{
    return command_no(cmd, "NONEXISTENT", "Quota root does not exist");
}

/* Reads the only argument again (session has looked it up). */
static int only_mailbox(struct command *cmd)
{
    struct imap_args args;
    const char *ignored;

    command_args(cmd, &args);
    if (imap_args_mailbox(&args, &ignored) == 0 && imap_args_end(&args) == 0)
        return 0;
    command_bad(cmd, "%s", imap_args_error(&args));
    return ERR_SYNTAX;
}

enum step local_getquota(struct command *cmd)
{
    struct client *c = cmd->client;
    struct quota_limits limits;
    int r;

    if (only_mailbox(cmd) < 0)
        return STEP_DONE;
    if (!c->identity->is_admin && !mboxname_is_owner(name_config(), cmd->mailbox, c->identity->userid))
        return command_error(cmd, ERR_DENIED);
    r = quota_limits_get(c->list, cmd->mailbox, &limits);
    if (r == 0)
        r = tell_root(cmd, cmd->mailbox, &limits);
    if (r == ERR_NOTFOUND)
        return no_root(cmd);
    return r < 0 ? command_error(cmd, r) : command_ok(cmd, NULL, "Completed");
}

/* May the user know what is used there?  Of a mailbox that there is not (RFC 9208 4.1.2) that says the nearest one above
 * it. */
static int check_rights(struct command *cmd)
{
    struct buf name = BUF_INIT, parent = BUF_INIT;
    struct mboxlist_record record;
    struct local_mailbox m;
    int r;

    buf_puts(&name, cmd->mailbox);
    while ((r = mboxlist_lookup(cmd->client->list, buf_cstr(&name), cmd->pool, &record)) == ERR_NOTFOUND &&
           mboxname_parent(buf_cstr(&name), &parent)) {
        buf_reset(&name);
        buf_append(&name, parent.data, parent.len);
        buf_reset(&parent);
    }
    if (r == 0)
        r = local_lookup(cmd, buf_cstr(&name), &m);
    if (r == 0 && !cmd->client->identity->is_admin && (m.rights & ACL_READ) == 0)
        r = ERR_DENIED;
    buf_free(&name);
    buf_free(&parent);
    return r;
}

enum step local_getquotaroot(struct command *cmd)
{
    struct client *c = cmd->client;
    struct quota_limits limits;
    struct buf root = BUF_INIT;
    const char *name;
    int r;

    if (only_mailbox(cmd) < 0)
        return STEP_DONE;
    r = check_rights(cmd);
    if (r < 0)
        return command_error(cmd, r);
    name = client_name_out(c, cmd->pool, cmd->mailbox);
    r = quota_root_of(c->list, cmd->mailbox, &root);
    if (r == 0)
        r = quota_limits_get(c->list, buf_cstr(&root), &limits);
    stream_printf(c->stream, "* QUOTAROOT %s%s%s\r\n", name, r == 0 ? " " : "",
                  r == 0 ? client_name_out(c, cmd->pool, buf_cstr(&root)) : "");
    if (r == 0)
        r = tell_root(cmd, buf_cstr(&root), &limits);
    buf_free(&root);
    return r < 0 && r != ERR_NOTFOUND ? command_error(cmd, r) : command_ok(cmd, NULL, "Completed");
}

/* ---- SETQUOTA ---- */

struct wish {
    struct quota_limits limits;
    bool empty;          /* no limit is left */
    const char *unknown; /* a resource that is not limited here; NULL: none */
    const char *too_big; /* one whose limit cannot be kept; NULL: none */
};

static int set_limit(struct imap_args *args, const char *name, struct wish *wish)
{
    uint64_t value;

    if (imap_args_space(args) < 0 || imap_args_number64(args, &value) < 0)
        return ERR_SYNTAX;
    for (size_t i = 0; i < ARRAY_SIZE(resources); i++) {
        if (!str_ieq(name, resources[i].name))
            continue;
        if (value > (uint64_t)(INT64_MAX / resources[i].unit)) { /* a number it is (RFC 9208 section 7) */
            wish->too_big = name;
            return 0;
        }
        wish->limits.limit[resources[i].resource] = (int64_t)value * resources[i].unit;
        return 0;
    }
    wish->unknown = name;
    return 0;
}

/* "root (resource limit ...)" */
static int parse_limits(struct command *cmd, struct wish *wish)
{
    struct imap_args args;
    const char *s;
    int r;

    *wish = (struct wish){.empty = true};
    for (size_t i = 0; i < QUOTA_RESOURCES; i++)
        wish->limits.limit[i] = QUOTA_UNLIMITED;
    command_args(cmd, &args);
    r = imap_args_mailbox(&args, &s);
    if (r == 0 && (r = imap_args_space(&args)) == 0)
        r = imap_args_char(&args, '(');
    while (r == 0 && !imap_args_skip(&args, ')')) {
        if (!wish->empty)
            r = imap_args_space(&args);
        if (r == 0 && (r = imap_args_atom(&args, &s)) == 0)
            r = set_limit(&args, s, wish);
        wish->empty = false;
    }
    if (r == 0)
        r = imap_args_end(&args);
    if (r < 0)
        command_bad(cmd, "%s", imap_args_error(&args));
    return r;
}

enum step local_setquota(struct command *cmd)
{
    struct client *c = cmd->client;
    struct quota_limits before;
    struct wish wish;
    int r;

    if (parse_limits(cmd, &wish) < 0)
        return STEP_DONE;
    if (!c->identity->is_admin)
        return command_error(cmd, ERR_DENIED);
    if (wish.unknown != NULL)
        return command_no(cmd, "CANNOT", "%s is not limited here", wish.unknown);
    if (wish.too_big != NULL)
        return command_no(cmd, "LIMIT", "The limit of %s is too large", wish.too_big);
    r = wish.empty ? quota_limits_get(c->list, cmd->mailbox, &before) : 0;
    if (r == ERR_NOTFOUND)
        return no_root(cmd);
    if (r < 0)
        return command_error(cmd, r);
    return local_run_operation(
        cmd, mboxop_setquota(local_of(cmd)->env->mboxop, cmd->mailbox, wish.empty ? NULL : &wish.limits));
}
