/* status.c: STATUS (RFC 3501 6.3.10, RFC 7889 3.1). */
#include <stdlib.h>
#include <string.h>

#include "imap/local/local-private.h"
#include "imap/session/status-items.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/stream/stream.h"

enum { NONE = -1 }; /* NIL (RFC 7889 3.1) */

/* "mailbox (item ...)".  0: the answer has been made. */
static unsigned parse(struct command *cmd)
{
    struct imap_args args;
    const char *ignored;
    unsigned wanted;

    command_args(cmd, &args);
    if (imap_args_mailbox(&args, &ignored) == 0 && imap_args_space(&args) == 0 &&
        status_items_read(&args, &wanted) == 0 && imap_args_end(&args) == 0)
        return wanted;
    command_bad(cmd, "%s", imap_args_error(&args));
    return 0;
}

struct known {
    struct mailbox_status status;
    uint64_t deleted_storage; /* if asked for */
};

static int64_t value_of(const struct known *known, enum status_item item)
{
    const struct mailbox_status *s = &known->status;
    int64_t max = opt_bytes(OPT_MAXMESSAGESIZE);

    switch (item) {
    case STATUS_MESSAGES:
        return s->messages;
    case STATUS_RECENT:
        return s->recent;
    case STATUS_UIDNEXT:
        return s->uidnext;
    case STATUS_UIDVALIDITY:
        return s->uidvalidity;
    case STATUS_UNSEEN:
        return s->unseen;
    case STATUS_APPENDLIMIT:
        return max > 0 ? max : NONE;
    case STATUS_DELETED:
        return s->deleted;
    case STATUS_DELETED_STORAGE:
        return (int64_t)known->deleted_storage;
    case STATUS_SIZE:
        return (int64_t)s->size;
    case STATUS_HIGHESTMODSEQ:
        return (int64_t)s->highest_modseq;
    case STATUS_MAILBOXID:
    case STATUS_ITEMS:
        break;
    }
    return NONE;
}

static void put_value(struct buf *to, int64_t value)
{
    if (value == NONE)
        buf_puts(to, "NIL");
    else
        buf_printf(to, "%lld", (long long)value);
}

static void tell(struct command *cmd, const struct mboxlist_record *record, unsigned wanted,
                 const struct known *known)
{
    const char *separator = "";
    struct buf line = BUF_INIT;

    buf_printf(&line, "* STATUS %s (", client_name_out(cmd->client, cmd->pool, record->name));
    for (enum status_item item = 0; item < STATUS_ITEMS; item++) {
        if ((wanted & 1u << item) == 0)
            continue;
        buf_printf(&line, "%s%s ", separator, status_item_name(item));
        if (item == STATUS_MAILBOXID)
            buf_printf(&line, "(%s)", record->id);
        else
            put_value(&line, value_of(known, item));
        separator = " ";
    }
    buf_puts(&line, ")\r\n");
    stream_write(cmd->client->stream, line.data, line.len);
    buf_free(&line);
}

static int status_of(struct command *cmd, struct local_leg *l, const char *internal, unsigned wanted)
{
    struct known known = {.deleted_storage = 0};
    struct mailbox_reader reader;
    struct local_mailbox m;
    struct mailbox *mailbox;
    int r = local_open_to_read(l, cmd, internal, &m, &mailbox, &reader);

    if (r < 0)
        return r;
    r = mailbox_status(mailbox, &reader, &known.status);
    if (r == 0 && (wanted & 1u << STATUS_DELETED_STORAGE) != 0)
        r = mailbox_deleted_storage(mailbox, &known.deleted_storage);
    mailbox_close(&mailbox);
    if ((wanted & 1u << STATUS_HIGHESTMODSEQ) != 0)
        enable_on(cmd->client, ENABLED_CONDSTORE);
    if (r == 0)
        tell(cmd, &m.record, wanted, &known);
    return r;
}

enum step local_status(struct command *cmd)
{
    unsigned wanted = parse(cmd);
    int r;

    if (wanted == 0)
        return STEP_DONE;
    r = status_of(cmd, local_of(cmd), cmd->mailbox, wanted);
    return r < 0 ? command_error(cmd, r) : command_ok(cmd, NULL, "Completed");
}

int local_tell_status(struct leg *leg, struct command *cmd, const char *internal, const char *wanted_items)
{
    struct imap_args args;
    unsigned wanted;

    imap_args_init(&args, cmd->pool, wanted_items, strlen(wanted_items));
    if (status_items_read(&args, &wanted) < 0)
        return ERR_SYNTAX;
    return status_of(cmd, (struct local_leg *)leg, internal, wanted);
}
