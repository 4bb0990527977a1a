/* cmd-acl.c: GETACL, LISTRIGHTS, MYRIGHTS (RFC 4314), answered from the mailbox list. */
#include "imap/session/commands.h"
#include "imap/session/route.h"
#include "lib/base/error.h"
#include "lib/imapwire/args.h"
#include "lib/imapwire/out.h"
#include "lib/name/acl.h"
#include "lib/stream/stream.h"

struct acl_command {
    const char *identifier;
    /* Writes the response's data; the user's rights are known to suffice for `needs`. */
    void (*write)(struct command *cmd, const struct mboxlist_record *record, rights_t rights, struct buf *to);
    rights_t needs; /* one of these */
};

static enum step answer(struct command *cmd, const struct mboxlist_record *record)
{
    struct acl_command *a = cmd->state;
    struct client *c = cmd->client;
    rights_t rights = client_rights(c, record->name, record->acl);
    const char *name = client_name_out(c, cmd->pool, record->name);
    struct buf text = BUF_INIT;

    if ((rights & a->needs) == 0 || name == NULL) {
        bool visible = (rights & ACL_LOOKUP) != 0;

        return command_error(cmd, visible ? ERR_DENIED : ERR_NOTFOUND);
    }
    buf_printf(&text, "* %s %s", cmd->def->id == COMMAND_GETACL ? "ACL" : cmd->def->name, name);
    a->write(cmd, record, rights, &text);
    buf_puts(&text, "\r\n");
    stream_write(c->stream, text.data, text.len);
    buf_free(&text);
    return command_ok(cmd, NULL, "Completed");
}

static enum step lookup_step(struct command *cmd)
{
    struct mboxlist_record record;
    int r = route_lookup(cmd, cmd->mailbox, &record);

    if (r == ERR_AGAIN)
        return STEP_WAIT;
    return r < 0 ? command_error(cmd, r) : answer(cmd, &record);
}

/* Reads the mailbox and, for LISTRIGHTS, the identifier. */
static enum step begin(struct command *cmd, const struct acl_command *how, bool with_identifier)
{
    struct acl_command *a = pool_memdup(cmd->pool, how, sizeof(*how));
    struct imap_args args;
    const char *external;
    int r;

    command_args(cmd, &args);
    if (imap_args_mailbox(&args, &external) < 0 || (with_identifier && imap_args_space(&args) < 0) ||
        (with_identifier && imap_args_astring(&args, &a->identifier) < 0) || imap_args_end(&args) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    r = client_name_in(cmd->client, cmd->pool, external, &cmd->mailbox);
    if (r < 0)
        return command_error(cmd, r);
    cmd->state = a;
    cmd->step = lookup_step;
    return lookup_step(cmd);
}

static bool write_entry(const char *identifier, const char *rights, void *context)
{
    struct buf *to = context;

    buf_putc(to, ' ');
    imap_put_astring(to, identifier);
    buf_putc(to, ' ');
    imap_put_astring(to, rights);
    return true;
}

static void write_acl(struct command *cmd, const struct mboxlist_record *record, rights_t rights,
                      struct buf *to)
{
    (void)cmd;
    (void)rights;
    acl_each(record->acl, write_entry, to);
}

static void write_myrights(struct command *cmd, const struct mboxlist_record *record, rights_t rights,
                           struct buf *to)
{
    struct buf letters = BUF_INIT;

    (void)cmd;
    (void)record;
    acl_format_rights(name_config(), rights, &letters);
    buf_putc(to, ' ');
    imap_put_astring(to, buf_cstr(&letters));
    buf_free(&letters);
}

static void write_listrights(struct command *cmd, const struct mboxlist_record *record, rights_t rights,
                             struct buf *to)
{
    const struct acl_command *a = cmd->state;

    (void)rights;
    buf_putc(to, ' ');
    imap_put_astring(to, a->identifier);
    buf_putc(to, ' ');
    acl_listrights(name_config(), record->name, client_identifier(cmd->pool, a->identifier), to);
}

/* Needed rights: RFC 4314 section 4. */
enum step cmd_getacl(struct command *cmd)
{
    static const struct acl_command how = {NULL, write_acl, ACL_ADMIN};

    return begin(cmd, &how, false);
}

enum step cmd_myrights(struct command *cmd)
{
    static const struct acl_command how = {
        NULL, write_myrights, ACL_LOOKUP | ACL_READ | ACL_INSERT | ACL_CREATE | ACL_DELETE_MBOX | ACL_ADMIN};

    return begin(cmd, &how, false);
}

enum step cmd_listrights(struct command *cmd)
{
    static const struct acl_command how = {NULL, write_listrights, ACL_ADMIN};

    return begin(cmd, &how, true);
}
