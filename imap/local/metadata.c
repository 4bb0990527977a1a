/* metadata.c: GETMETADATA (RFC 5464) and its forerunner GETANNOTATION, as far as a Cyrus frontend asks for them
 * (doc/protocols/cyrus-private.md): how much space is free.  Mailboxes have no metadata here. */
#include <string.h>
#include <sys/statvfs.h>

#include "imap/local/local-private.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/imapwire/out.h"
#include "lib/stream/stream.h"

enum { ENTRIES_MAX = 100, FILESYSTEMS_MAX = 64 };

#define FREESPACE "/vendor/cmu/cyrus-imapd/freespace"

/* ---- how much is free ---- */

struct space {
    uint64_t free_kib, total_kib;
};

struct survey {
    unsigned long seen[FILESYSTEMS_MAX]; /* file systems counted: partitions may share one */
    size_t count;
    struct space all, emptiest; /* emptiest: by its percentage */
};

static bool is_new(struct survey *s, unsigned long filesystem)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->seen[i] == filesystem)
            return false;
    if (s->count < FILESYSTEMS_MAX)
        s->seen[s->count++] = filesystem;
    return true;
}

static double share(struct space space)
{
    return space.total_kib > 0 ? (double)space.free_kib / (double)space.total_kib : 0;
}

static void survey_partition(const char *name, const char *directory, void *context)
{
    struct survey *s = context;
    struct space space;
    struct statvfs fs;

    (void)name;
    if (statvfs(directory, &fs) < 0 || !is_new(s, fs.f_fsid))
        return;
    space.free_kib = (uint64_t)fs.f_bavail * fs.f_frsize / 1024;
    space.total_kib = (uint64_t)fs.f_blocks * fs.f_frsize / 1024;
    s->all.free_kib += space.free_kib;
    s->all.total_kib += space.total_kib;
    if (s->emptiest.total_kib == 0 || share(space) > share(s->emptiest))
        s->emptiest = space;
}

/* The value of a server entry, in the pool; NULL: it has none. */
static const char *server_value(struct pool *pool, const char *entry)
{
    struct survey s = {.count = 0};
    struct space space;

    if (!str_has_iprefix(entry, FREESPACE "/"))
        return NULL;
    entry += strlen(FREESPACE "/");
    config_overflow_each("partition-", survey_partition, &s);
    if (str_ieq(entry, "total"))
        space = s.all;
    else if (str_ieq(entry, "percent/most"))
        space = s.emptiest;
    else
        return NULL;
    return pool_printf(pool, "%llu;%llu", (unsigned long long)space.free_kib,
                       (unsigned long long)space.total_kib);
}

/* ---- what both commands have in common ---- */

struct entries {
    const char *mailbox;  /* as the client wrote it, "" for the server */
    const char **entries; /* NULL-terminated */
};

/* "entry" or "(entry entry ...)" */
static int parse_entries(struct imap_args *args, struct entries *e)
{
    bool list = imap_args_skip(args, '(');
    size_t n = 0;
    int r;

    e->entries = pool_alloc(args->pool, (ENTRIES_MAX + 1) * sizeof(*e->entries));
    do {
        r = n < ENTRIES_MAX ? imap_args_astring(args, &e->entries[n++]) : ERR_SYNTAX;
    } while (r == 0 && list && imap_args_skip(args, ' '));
    return r == 0 && list ? imap_args_char(args, ')') : r;
}

static int parse(struct imap_args *args, struct entries *e)
{
    if (imap_args_mailbox(args, &e->mailbox) < 0 || imap_args_space(args) < 0)
        return ERR_SYNTAX;
    return parse_entries(args, e);
}

/* The mailbox must be there for the user, although nothing is known of it. */
static int check_mailbox(struct command *cmd, const struct entries *e)
{
    struct local_mailbox m;
    const char *internal;
    int r;

    if (*e->mailbox == '\0')
        return 0;
    r = client_name_in(cmd->client, cmd->pool, e->mailbox, &internal);
    return r < 0 ? r : local_lookup(cmd, internal, &m);
}

/* ---- GETMETADATA ---- */

static bool has_scope(const char *entry)
{
    return str_has_iprefix(entry, "/shared/") || str_has_iprefix(entry, "/private/");
}

static const char *metadata_value(struct command *cmd, const struct entries *e, const char *entry)
{
    if (*e->mailbox != '\0' || !str_has_iprefix(entry, "/shared/"))
        return NULL;
    return server_value(cmd->pool, entry + strlen("/shared"));
}

static void tell_metadata(struct command *cmd, const struct entries *e)
{
    struct buf line = BUF_INIT;
    const char *separator = "";

    buf_puts(&line, "* METADATA ");
    imap_put_astring(&line, e->mailbox);
    buf_puts(&line, " (");
    for (const char **entry = e->entries; *entry != NULL; entry++) {
        const char *value = metadata_value(cmd, e, *entry);

        buf_puts(&line, separator);
        imap_put_nstring(&line, *entry);
        buf_putc(&line, ' ');
        imap_put_nstring(&line, value);
        separator = " ";
    }
    buf_puts(&line, ")\r\n");
    stream_write(cmd->client->stream, line.data, line.len);
    buf_free(&line);
}

enum step local_getmetadata(struct command *cmd)
{
    struct imap_args args;
    struct entries e;
    int r;

    command_args(cmd, &args);
    if (parse(&args, &e) < 0 || imap_args_end(&args) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    for (const char **entry = e.entries; *entry != NULL; entry++)
        if (!has_scope(*entry))
            return command_bad(cmd, "Entries begin with /shared/ or /private/");
    r = check_mailbox(cmd, &e);
    if (r < 0)
        return command_error(cmd, r);
    tell_metadata(cmd, &e);
    return command_ok(cmd, NULL, "Completed");
}

/* ---- GETANNOTATION: mailbox, entries, attributes ("value.shared", "*"), which a 3.6 frontend leaves out ---- */

static void tell_annotation(struct command *cmd, const char *entry, const char *value)
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

enum step local_getannotation(struct command *cmd)
{
    struct imap_args args;
    struct entries e;
    int r;

    command_args(cmd, &args);
    if (parse(&args, &e) < 0 || (imap_args_skip(&args, ' ') && imap_args_skip_value(&args) < 0) ||
        imap_args_end(&args) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    r = check_mailbox(cmd, &e);
    if (r < 0)
        return command_error(cmd, r);
    for (const char **entry = e.entries; *e.mailbox == '\0' && *entry != NULL; entry++) {
        const char *value = server_value(cmd->pool, *entry);

        if (value != NULL)
            tell_annotation(cmd, *entry, value);
    }
    return command_ok(cmd, NULL, "Completed");
}
