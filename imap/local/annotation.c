/* annotation.c: GETANNOTATION, the forerunner of GETMETADATA, as far as a Cyrus frontend asks for it
 * (doc/protocols/cyrus-private.md): how much space is free. */
#include <string.h>

#include "imap/local/local-private.h"
#include "imap/session/metadata-args.h"
#include "imap/store/metadata.h"
#include "lib/base/error.h"
#include "lib/base/str.h"
#include "lib/imapwire/out.h"
#include "lib/stream/stream.h"

struct request {
    const char *mailbox;
    const char **entries;
    size_t count;
};

/* "entry" or "(entry entry ...)" */
static int parse_entries(struct imap_args *args, struct request *r)
{
    bool list = imap_args_skip(args, '(');

    r->entries = pool_alloc(args->pool, METADATA_ENTRIES_MAX * sizeof(*r->entries));
    r->count = 0;
    do {
        if (r->count == METADATA_ENTRIES_MAX || imap_args_astring(args, &r->entries[r->count++]) < 0)
            return ERR_SYNTAX;
    } while (list && imap_args_skip(args, ' '));
    return list ? imap_args_char(args, ')') : 0;
}

/* "mailbox entries[ attributes]": the attributes ("value.shared", "*") are not looked at. */
static int parse(struct imap_args *args, struct request *r)
{
    if (imap_args_mailbox(args, &r->mailbox) < 0 || imap_args_space(args) < 0 || parse_entries(args, r) < 0 ||
        (imap_args_skip(args, ' ') && imap_args_skip_value(args) < 0))
        return ERR_SYNTAX;
    return imap_args_end(args);
}

static void tell(struct command *cmd, const char *entry, const char *value)
{
    struct buf line = BUF_INIT;

    buf_puts(&line, "* ANNOTATION \"\" ");
    imap_put_nstring(&line, entry);
    buf_puts(&line, " (\"value.shared\" ");
    imap_put_nstring(&line, value);
    buf_puts(&line, ")\r\n");
    stream_write(cmd->client->stream, line.data, line.len);
    buf_free(&line);
}

static void tell_server(struct command *cmd, const char *entry)
{
    char *name = pool_strdup(cmd->pool, entry);
    const struct metadata_def *def;

    str_lower(name);
    def = metadata_find(name, OF_SERVER, SHARED);
    if (def != NULL && (def->kind == METADATA_FREE_MOST || def->kind == METADATA_FREE_TOTAL))
        tell(cmd, entry, freespace_text(cmd->pool, def->kind == METADATA_FREE_MOST));
}

/* The mailbox must be there for the user, although nothing is told of it. */
static int check_mailbox(struct command *cmd, const char *external)
{
    struct local_mailbox m;
    const char *internal;
    int r = client_name_in(cmd->client, cmd->pool, external, &internal);

    return r < 0 ? r : local_lookup(cmd, internal, &m);
}

enum step local_getannotation(struct command *cmd)
{
    struct imap_args args;
    struct request request;
    int r = 0;

    command_args(cmd, &args);
    if (parse(&args, &request) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    if (*request.mailbox != '\0')
        r = check_mailbox(cmd, request.mailbox);
    if (r < 0)
        return command_error(cmd, r);
    for (size_t i = 0; *request.mailbox == '\0' && i < request.count; i++)
        tell_server(cmd, request.entries[i]);
    return command_ok(cmd, NULL, "Completed");
}
