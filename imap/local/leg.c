#include <stdlib.h>
#include <string.h>

#include "imap/local/local-private.h"
#include "imap/store/metadata.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/name/identity.h"
#include "lib/name/mboxname.h"

static const struct local_env *the_env;

void local_setup(const struct local_env *env)
{
    the_env = env;
    metadata_setup();
}

struct leg *local_new(struct client *c)
{
    struct local_leg *l = xcalloc(1, sizeof(*l));

    l->leg = (struct leg){.magic = LEG_MAGIC, .ops = &local_leg_ops, .client = c};
    l->env = the_env;
    return &l->leg;
}

static void local_close(struct leg *leg)
{
    struct local_leg *l = (struct local_leg *)leg;

    local_drop_view(l);
    free(l);
}

/* ---- which function starts a command ---- */

static enum step (*const starts[COMMAND_END])(struct command *cmd) = {
    [COMMAND_CLOSE] = local_close_mailbox,
    [COMMAND_COPY] = local_copy,
    [COMMAND_CREATE] = local_create,
    [COMMAND_DELETE] = local_delete,
    [COMMAND_DELETEACL] = local_setacl,
    [COMMAND_EXAMINE] = local_select,
    [COMMAND_EXPUNGE] = local_expunge,
    [COMMAND_FETCH] = local_fetch,
    [COMMAND_GETANNOTATION] = local_getannotation,
    [COMMAND_GETMETADATA] = local_getmetadata,
    [COMMAND_GETQUOTA] = local_getquota,
    [COMMAND_GETQUOTAROOT] = local_getquotaroot,
    [COMMAND_LOCALCREATE] = local_localcreate,
    [COMMAND_LOCALDELETE] = local_localdelete,
    [COMMAND_MOVE] = local_copy,
    [COMMAND_MUPDATEPUSH] = local_mupdatepush,
    [COMMAND_RENAME] = local_rename,
    [COMMAND_SEARCH] = local_search,
    [COMMAND_SELECT] = local_select,
    [COMMAND_SETACL] = local_setacl,
    [COMMAND_SETMETADATA] = local_setmetadata,
    [COMMAND_SETQUOTA] = local_setquota,
    [COMMAND_SORT] = local_sort,
    [COMMAND_STATUS] = local_status,
    [COMMAND_STORE] = local_store,
    [COMMAND_SUBSCRIBE] = local_subscribe,
    [COMMAND_THREAD] = local_thread,
    [COMMAND_UNSELECT] = local_close_mailbox,
    [COMMAND_UNSUBSCRIBE] = local_subscribe,
};

static enum step local_start(struct leg *leg, struct command *cmd)
{
    cmd->leg = leg;
    BUG_ON(starts[cmd->def->id] == NULL);
    return starts[cmd->def->id](cmd);
}

const struct leg_ops local_leg_ops = {
    .name = "local",
    .close = local_close,
    .start = local_start,
    .sync = local_sync,
    .poll = local_poll,
    .unselect = local_unselect,
    .between = local_between,
    .idle_start = local_idle_start,
    .idle_run = local_idle_run,
    .idle_stop = local_idle_stop,
    .listen = local_listen,
    .fresh = local_fresh,
    .fetch_check = local_fetch_check,
    .watch_path = local_watch_path,
    .glance = local_glance,
    .source_open = local_source_open,
    .source_uids = local_source_uids,
    .source_next = local_source_next,
    .source_read = local_source_read,
    .source_close = local_source_close,
    .expunge_uids = local_expunge_uids,
    .may_expunge = local_may_expunge,
    .sink_open = local_sink_open,
    .sink_replace = local_sink_replace,
    .sink_message = local_sink_message,
    .sink_part = local_sink_part,
    .sink_write = local_sink_write,
    .sink_commit = local_sink_commit,
    .sink_cancel = local_sink_cancel,
    .sink_close = local_sink_close,
    .undo = local_undo,
    .reader_open = local_reader_open,
    .reader_read = local_reader_read,
    .reader_close = local_reader_close,
    .status = local_tell_status,
    .metadata = local_tell_metadata,
    .search = local_search_many,
    .search_end = local_search_end,
    .lsub = local_lsub,
};

/* ---- mailboxes ---- */

int local_lookup(struct command *cmd, const char *internal, struct local_mailbox *m)
{
    struct client *c = cmd->client;
    int r;

    *m = (struct local_mailbox){0};
    r = mboxlist_lookup(c->list, internal, cmd->pool, &m->record);
    if (r == 0 && m->record.type != MBOXLIST_LOCAL)
        r = ERR_NOTFOUND;
    if (r < 0)
        return r;
    m->rights = client_rights(c, m->record.name, m->record.acl);
    return (m->rights & ACL_LOOKUP) != 0 ? 0 : ERR_NOTFOUND;
}

int local_lookup_with(struct command *cmd, const char *internal, rights_t needs, struct local_mailbox *m)
{
    int r = local_lookup(cmd, internal, m);

    /* who may post to or read a mailbox that LIST does not show him may do so by its name */
    if (r == ERR_NOTFOUND && m->record.type == MBOXLIST_LOCAL && (m->rights & needs) == needs)
        return 0;
    if (r < 0)
        return r;
    return (m->rights & needs) == needs ? 0 : ERR_DENIED;
}

int local_open(struct local_leg *l, const struct local_mailbox *m, struct mailbox **mailbox_r)
{
    int r = mailbox_open(l->env->store, m->record.partition, m->record.id, mailbox_r);
    struct mboxlist_record record;
    struct pool *pool;

    if (r != ERR_NOTFOUND)
        return r;
    /* it may have gone to another partition since the list was looked at */
    pool = pool_new(0);
    if (mboxlist_lookup_id(l->leg.client->list, m->record.id, pool, &record) == 0 &&
        record.type == MBOXLIST_LOCAL)
        r = record.flags & MBOXLIST_MOVING
                ? ERR_BUSY
                : mailbox_open(l->env->store, record.partition, record.id, mailbox_r);
    pool_free(&pool);
    return r;
}

struct mailbox_reader local_reader(const struct local_leg *l, const char *internal,
                                   const struct mailbox_header *header)
{
    const char *userid = l->leg.client->identity->userid;

    if ((header->options & MAILBOX_OPT_SHARED_SEEN) != 0 ||
        mboxname_is_owner(name_config(), internal, userid))
        userid = NULL;
    return (struct mailbox_reader){userid};
}

int local_open_to_read(struct local_leg *l, struct command *cmd, const char *internal,
                       struct local_mailbox *m, struct mailbox **mailbox_r, struct mailbox_reader *reader_r)
{
    int r = local_lookup_with(cmd, internal, ACL_READ, m);

    if (r == 0)
        r = local_open(l, m, mailbox_r);
    if (r == 0)
        *reader_r = local_reader(l, m->record.name, mailbox_header(*mailbox_r));
    return r;
}

uint32_t local_settable(rights_t rights)
{
    uint32_t system = 0;

    if ((rights & ACL_SEEN) != 0)
        system |= RECORD_SEEN;
    if ((rights & ACL_DELETE_MSG) != 0)
        system |= RECORD_DELETED;
    if ((rights & ACL_WRITE) != 0)
        system |= RECORD_ANSWERED | RECORD_FLAGGED | RECORD_DRAFT;
    return system;
}

/* ---- sets ---- */

static int add_uids(struct local_leg *l, uint32_t first, uint32_t last, struct seqset *seqs)
{
    uint32_t low, high;
    int r = view_uids_to_seqs(l->view, first, last, &low, &high);

    if (r == 0 && low != 0)
        seqset_add_range(seqs, low, high);
    return r;
}

static int uids_as_seqs(struct local_leg *l, const struct seqset *uids, struct seqset *seqs_r)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < uids->count; i++)
        r = add_uids(l, uids->ranges[i].first, uids->ranges[i].last, seqs_r);
    return r;
}

static int saved_as_seqs(struct local_leg *l, struct seqset *seqs_r)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < l->saved.count; i++)
        r = add_uids(l, l->saved.ranges[i].first, l->saved.ranges[i].last, seqs_r);
    return r;
}

int local_set_max(struct view *view, bool uid, uint32_t *max_r)
{
    uint32_t exists = view_exists(view), got;
    struct view_message last;
    int r;

    *max_r = exists;
    if (exists == 0 || !uid)
        return 0;
    r = view_read(view, exists, 1, &last, &got);
    *max_r = r == 0 && got == 1 ? last.record.uid : 0;
    return r;
}

int local_seqs(struct local_leg *l, struct pool *pool, const char *set, bool uid, struct seqset *seqs_r)
{
    uint32_t exists = view_exists(l->view), max = exists;
    struct seqset uids;
    int r;

    seqset_init(seqs_r, pool);
    if (strcmp(set, "$") == 0)
        return saved_as_seqs(l, seqs_r);
    if (!uid) {
        r = seqset_parse(seqs_r, set, strlen(set), exists);
        return r == 0 && seqset_max(seqs_r) > exists ? ERR_SYNTAX : r;
    }
    r = local_set_max(l->view, true, &max);
    if (r < 0)
        return r;
    seqset_init(&uids, pool);
    r = seqset_parse(&uids, set, strlen(set), max);
    return r < 0 ? r : uids_as_seqs(l, &uids, seqs_r);
}

int local_uids(struct local_leg *l, struct pool *pool, const char *set, bool uid, struct uid_set *uids_r)
{
    struct seqset seqs;
    int r = local_seqs(l, pool, set, uid, &seqs);

    *uids_r = (struct uid_set){0};
    for (size_t i = 0; r == 0 && i < seqs.count; i++)
        r = view_seqs_to_uids(l->view, seqs.ranges[i].first, seqs.ranges[i].last, uids_r);
    if (r < 0)
        uid_set_free(uids_r);
    return r;
}

int local_uid_spans(struct local_leg *l, const struct seqset *seqs, struct uid_set *uids_r)
{
    uint32_t first, last;
    int r = 0;

    *uids_r = (struct uid_set){0};
    for (size_t i = 0; r == 0 && i < seqs->count; i++) {
        r = view_seqs_span(l->view, seqs->ranges[i].first, seqs->ranges[i].last, &first, &last);
        if (r == 0)
            r = uid_set_add(uids_r, first, last);
    }
    if (r < 0)
        uid_set_free(uids_r);
    return r;
}

int local_walk_next(struct local_leg *l, struct local_walk *walk, struct view_message *messages,
                    uint32_t *count_r)
{
    const struct seqset_range *range;
    uint32_t want;
    int r;

    *count_r = 0;
    if (walk->range >= walk->seqs.count)
        return 0;
    range = &walk->seqs.ranges[walk->range];
    if (walk->next == 0)
        walk->next = range->first;
    want = range->last - walk->next < LOCAL_BATCH ? range->last - walk->next + 1 : LOCAL_BATCH;
    r = view_read(l->view, walk->next, want, messages, count_r);
    if (r < 0)
        return r;
    if (*count_r < want || walk->next + (want - 1) == range->last) {
        walk->range++;
        walk->next = 0;
    } else {
        walk->next += want;
    }
    return 0;
}
