/* quota.c: GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 2087; resource names as Cyrus has them). */
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
    {QUOTA_ANNOTATION_STORAGE, "X-ANNOTATION-STORAGE", 1024},
    {QUOTA_MAILBOX, "X-NUM-FOLDERS", 1},
};

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
    for (size_t i = 0; i < ARRAY_SIZE(resources); i++) {
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

enum step local_getquotaroot(struct command *cmd)
{
    struct client *c = cmd->client;
    struct quota_limits limits;
    struct buf root = BUF_INIT;
    struct local_mailbox m;
    const char *name;
    int r;

    if (only_mailbox(cmd) < 0)
        return STEP_DONE;
    r = local_lookup(cmd, cmd->mailbox, &m);
    if (r == 0 && !c->identity->is_admin && (m.rights & ACL_READ) == 0)
        r = ERR_DENIED;
    if (r < 0)
        return command_error(cmd, r);
    name = client_name_out(c, cmd->pool, m.record.name);
    r = quota_root_of(c->list, m.record.name, &root);
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

static int set_limit(struct imap_args *args, const char *name, struct quota_limits *limits)
{
    uint64_t value;

    if (imap_args_space(args) < 0 || imap_args_number64(args, &value) < 0)
        return ERR_SYNTAX;
    for (size_t i = 0; i < ARRAY_SIZE(resources); i++) {
        if (!str_ieq(name, resources[i].name))
            continue;
        if (value > (uint64_t)(INT64_MAX / resources[i].unit))
            break;
        limits->limit[resources[i].resource] = (int64_t)value * resources[i].unit;
        return 0;
    }
    args->error = "Invalid quota resource or limit";
    return ERR_SYNTAX;
}

/* "root (resource limit ...)"; *empty_r: no limit is left. */
static int parse_limits(struct command *cmd, struct quota_limits *limits, bool *empty_r)
{
    struct imap_args args;
    const char *s;
    int r;

    for (size_t i = 0; i < QUOTA_RESOURCES; i++)
        limits->limit[i] = QUOTA_UNLIMITED;
    *empty_r = true;
    command_args(cmd, &args);
    r = imap_args_mailbox(&args, &s);
    if (r == 0 && (r = imap_args_space(&args)) == 0)
        r = imap_args_char(&args, '(');
    while (r == 0 && !imap_args_skip(&args, ')')) {
        if (!*empty_r)
            r = imap_args_space(&args);
        if (r == 0 && (r = imap_args_atom(&args, &s)) == 0)
            r = set_limit(&args, s, limits);
        *empty_r = false;
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
    struct quota_limits limits, before;
    bool empty;
    int r;

    if (parse_limits(cmd, &limits, &empty) < 0)
        return STEP_DONE;
    if (!c->identity->is_admin)
        return command_error(cmd, ERR_DENIED);
    r = empty ? quota_limits_get(c->list, cmd->mailbox, &before) : 0;
    if (r == ERR_NOTFOUND)
        return no_root(cmd);
    if (r < 0)
        return command_error(cmd, r);
    return local_run_operation(
        cmd, mboxop_setquota(local_of(cmd)->env->mboxop, cmd->mailbox, empty ? NULL : &limits));
}
