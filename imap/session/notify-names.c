/* notify-names.c: mailboxes that come, go and are renamed, subscriptions, annotations (RFC 5465 sections 5.4 to 5.7). */
#include <stdlib.h>
#include <string.h>

#include "imap/session/list.h"
#include "imap/session/notify-private.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/imapwire/out.h"
#include "lib/mboxlist/journal.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/name/identity.h"
#include "lib/name/mboxname.h"
#include "lib/name/namespace.h"
#include "lib/stream/stream.h"

bool notify_is_visible(const struct notify *n, const char *internal, const char *acl)
{
    const struct mboxlist_record record = {.name = internal, .acl = acl};

    return list_is_visible(n->client, &record);
}

/* ---- LIST ---- */

static bool is_there(const struct notify *n, const char *internal)
{
    struct pool *pool = pool_new(0);
    struct mboxlist_record record;
    bool there = mboxlist_lookup(n->client->list, internal, pool, &record) == 0 &&
                 (MBOXLIST_TYPE_BIT(record.type) & MBOXLIST_TYPES_ACTIVE) != 0 &&
                 list_is_visible(n->client, &record);

    pool_free(&pool);
    return there;
}

/* A frontend hears of a tree's rename mailbox by mailbox: its children may have their old names still.  Each gets the new one
 * before it loses the old one, so that is looked at first. */
static bool has_children(const struct client *c, struct pool *pool, const char *external,
                         const char *old_name)
{
    const char **identifiers = NULL;
    struct buf old = BUF_INIT;
    bool found = false;

    if (old_name != NULL && strcmp(old_name, c->ns->inbox) != 0 &&
        namespace_to_external(c->ns, old_name, &old) == 0)
        found = list_has_visible_below(c, pool, &identifiers, buf_cstr(&old));
    buf_free(&old);
    return found || list_has_visible_below(c, pool, &identifiers, external);
}

static void put_list(struct notify *n, const char *external, const char *internal, const char *lead,
                     const char *old_name)
{
    struct client *c = n->client;
    struct buf attributes = BUF_INIT, more = BUF_INIT;
    struct pool *pool = pool_new(0);
    const char *old = old_name != NULL ? client_name_out(c, pool, old_name) : NULL;

    buf_puts(&attributes, lead);
    if (internal == NULL || !is_there(n, internal))
        buf_puts(&attributes, "\\NonExistent ");
    if (internal != NULL && n->subs != NULL && hash_get(n->subs, internal) != NULL)
        buf_puts(&attributes, "\\Subscribed ");
    buf_puts(&attributes, has_children(c, pool, external, old_name) ? "\\HasChildren" : "\\HasNoChildren");
    if (old != NULL)
        buf_printf(&more, " (\"OLDNAME\" (%s))", old);
    list_put(c, "LIST", buf_cstr(&attributes), external, buf_cstr(&more));
    buf_free(&attributes);
    buf_free(&more);
    pool_free(&pool);
}

void notify_tell_list(struct notify *n, const char *internal, const char *lead, const char *old_name)
{
    struct buf external = BUF_INIT;

    if (namespace_to_external(n->client->ns, internal, &external) == 0)
        put_list(n, buf_cstr(&external), internal, lead, old_name);
    buf_free(&external);
}

/* ---- names ---- */

static bool wants(const struct notify *n, const char *internal, unsigned event)
{
    return (notify_wanted(n, internal) & event) != 0;
}

/* Section 5.4: a mailbox that comes or goes affects its parent, as the client sees it. */
static void tell_parent(struct notify *n, const char *internal)
{
    struct pool *pool = pool_new(0);
    struct buf external = BUF_INIT;
    const char *parent;
    char *end;

    if (namespace_to_external(n->client->ns, internal, &external) == 0) {
        char *name = pool_strdup(pool, buf_cstr(&external));

        end = strrchr(name, n->client->ns->separator);
        if (end != NULL && end != name) {
            *end = '\0';
            if (client_name_in(n->client, pool, name, &parent) == 0 && wants(n, parent, NOTIFY_MAILBOX_NAME))
                put_list(n, name, parent, "", NULL);
        }
    }
    buf_free(&external);
    pool_free(&pool);
}

static void tell_change(struct notify *n, const char *internal)
{
    if (wants(n, internal, NOTIFY_MAILBOX_NAME))
        notify_tell_list(n, internal, "", NULL);
    tell_parent(n, internal);
}

static bool is_at_or_below(const char *name, const char *root)
{
    return root != NULL && (strcmp(name, root) == 0 || mboxname_is_below(name, root));
}

/* Is it the rename of a mailbox below the one renamed last? */
static bool is_childs(const struct notify *n, const struct journal_row *row)
{
    return n->renamed_from != NULL && mboxname_is_below(row->from, n->renamed_from) &&
           mboxname_is_below(row->name, n->renamed_to) &&
           strcmp(row->from + strlen(n->renamed_from), row->name + strlen(n->renamed_to)) == 0;
}

static void note_rename(struct notify *n, const char *from, const char *to)
{
    free(n->renamed_from);
    free(n->renamed_to);
    n->renamed_from = from != NULL ? xstrdup(from) : NULL;
    n->renamed_to = to != NULL ? xstrdup(to) : NULL;
}

static void take_rename(struct notify *n, const struct journal_row *row)
{
    bool was = notify_is_visible(n, row->from, row->acl_after);
    bool is = row->is && notify_is_visible(n, row->name, row->acl_after);

    if (!was || !is) { /* a mailbox that is deleted and kept for a while is renamed */
        if (was &&
            !is_there(n, row->from)) { /* a frontend hears of its end separately, before or after this */
            tell_change(n, row->from);
            note_rename(n, row->from, row->name);
        }
        if (is)
            tell_change(n, row->name);
        return;
    }
    if (is_childs(n, row))
        return;
    note_rename(n, row->from, row->name);
    if (wants(n, row->name, NOTIFY_MAILBOX_NAME) || wants(n, row->from, NOTIFY_MAILBOX_NAME))
        notify_tell_list(n, row->name, "", row->from);
}

static void take_name(struct notify *n, const struct journal_row *row)
{
    bool was = row->was && notify_is_visible(n, row->name, row->acl_before);
    bool is = row->is && notify_is_visible(n, row->name, row->acl_after);
    bool of_rename = is_at_or_below(row->name, n->renamed_from);

    n->stale = true;
    if (*row->from != '\0') {
        take_rename(n, row);
        return;
    }
    if (was == is || (of_rename && was))
        return;
    if (is && of_rename) {
        bool inbox = strcmp(row->name, n->client->ns->inbox) == 0; /* there is always one */

        note_rename(n, NULL, NULL);
        if (inbox)
            return;
    }
    tell_change(n, row->name);
}

/* ---- subscriptions ---- */

void notify_subscribed(struct notify *n, const char *internal, bool is, bool tell)
{
    bool wanted;

    if (n->subs == NULL || is == (hash_get(n->subs, internal) != NULL))
        return;
    wanted = wants(n, internal, NOTIFY_SUBSCRIPTION);
    if (is)
        hash_set(n->subs, internal, n);
    else
        hash_delete(n->subs, internal);
    for (size_t i = 0; i < n->request.group_count; i++)
        n->stale = n->stale || n->request.groups[i].where.kind == SOURCE_SUBSCRIBED;
    if (tell && (wanted || wants(n, internal, NOTIFY_SUBSCRIPTION)))
        notify_tell_list(n, internal, "", NULL);
}

static bool is_users(const struct notify *n, const struct journal_row *row)
{
    return strcmp(row->userid, n->client->identity->userid) == 0;
}

/* ---- annotations ---- */

static void put_metadata(struct notify *n, const char *name, const struct journal_row *row)
{
    struct buf line = BUF_INIT, entry = BUF_INIT;

    buf_printf(&entry, "/%s%s", *row->userid == '\0' ? "shared" : "private", row->entry);
    buf_printf(&line, "* METADATA %s ", name);
    imap_put_astring(&line, buf_cstr(&entry));
    buf_puts(&line, "\r\n");
    stream_write(n->client->stream, line.data, line.len);
    buf_free(&entry);
    buf_free(&line);
}

static void take_annotation(struct notify *n, const struct journal_row *row)
{
    struct pool *pool = pool_new(0);
    struct mboxlist_record record;
    const char *name;

    if (*row->userid != '\0' && strcmp(row->userid, n->client->identity->userid) != 0) {
        pool_free(&pool);
        return;
    }
    if (*row->name == '\0') {
        if ((n->events & NOTIFY_SERVER_METADATA) != 0)
            put_metadata(n, "\"\"", row);
    } else if (mboxlist_lookup_id(n->client->list, row->name, pool, &record) == 0 &&
               list_is_visible(n->client, &record) &&
               (client_rights(n->client, record.name, record.acl) & ACL_READ) != 0 &&
               wants(n, record.name, NOTIFY_MAILBOX_METADATA)) {
        name = client_name_out(n->client, pool, record.name);
        if (name != NULL)
            put_metadata(n, name, row);
    }
    pool_free(&pool);
}

/* ---- the journal ---- */

struct reading {
    struct notify *n;
    const struct command *own; /* NULL */
    const char *own_id;        /* unique id of its mailbox; "" the server; NULL */
    uint64_t last;
};

static bool is_own(const struct reading *reading, const struct journal_row *row)
{
    const struct command *cmd = reading->own;

    if (cmd == NULL)
        return false;
    switch (row->kind) {
    case JOURNAL_NAME:
        return (cmd->def->flags & CMD_NAMES) != 0 && cmd->mailbox != NULL &&
               (is_at_or_below(row->name, cmd->mailbox) || is_at_or_below(row->from, cmd->mailbox));
    case JOURNAL_SUBSCRIPTION:
        return cmd->mailbox != NULL && strcmp(row->name, cmd->mailbox) == 0;
    case JOURNAL_ANNOTATION:
        return reading->own_id != NULL && strcmp(row->name, reading->own_id) == 0;
    case JOURNAL_LOST:
        break;
    }
    return false;
}

/* What is not told must be known all the same. */
static void take_own(struct notify *n, const struct journal_row *row)
{
    if (row->kind == JOURNAL_NAME) {
        n->stale = true;
        if (*row->from != '\0' && !is_childs(n, row))
            note_rename(n, row->from, row->name);
    } else if (row->kind == JOURNAL_SUBSCRIPTION && is_users(n, row)) {
        notify_subscribed(n, row->name, row->is, false);
    }
}

static int take_row(const struct journal_row *row, void *context)
{
    struct reading *reading = context;
    struct notify *n = reading->n;

    reading->last = row->number;
    if (is_own(reading, row)) {
        take_own(n, row);
        return 0;
    }
    switch (row->kind) {
    case JOURNAL_NAME:
        take_name(n, row);
        break;
    case JOURNAL_SUBSCRIPTION:
        if (is_users(n, row))
            notify_subscribed(n, row->name, row->is, true);
        break;
    case JOURNAL_ANNOTATION:
        take_annotation(n, row);
        break;
    case JOURNAL_LOST:
        return ERR_LIMIT;
    }
    return 0;
}

/* Of SETMETADATA: whose annotations it has set. */
static const char *own_id(const struct command *own)
{
    struct mboxlist_record record;

    if (own == NULL || own->def->id != COMMAND_SETMETADATA)
        return NULL;
    if (own->mailbox == NULL)
        return "";
    return mboxlist_lookup(own->client->list, own->mailbox, own->pool, &record) == 0 ? record.id : NULL;
}

void notify_read_journal(struct notify *n, const struct command *own)
{
    struct reading reading = {.n = n, .own = own, .own_id = own_id(own)};
    bool pending = notify_hub_take(&n->seat, &reading.last);

    if (!pending && own == NULL)
        return;
    if (journal_each(n->client->list, reading.last, take_row, &reading) < 0)
        notify_overflow(n);
    else
        notify_hub_done(&n->seat, reading.last);
}
