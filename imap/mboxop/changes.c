#include <string.h>

#include "imap/mboxop/op-private.h"
#include "imap/store/listed.h"
#include "imap/store/mailbox.h"
#include "imap/store/quota.h"
#include "imap/store/record.h"
#include "imap/store/seen.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/mboxlist/annotations.h"
#include "lib/mboxlist/quota.h"
#include "lib/mboxlist/subs.h"

int env_nearest(const struct mboxop_env *env, const char *name, struct pool *pool,
                struct mboxlist_record *record_r)
{
    struct buf parent = BUF_INIT, up = BUF_INIT;
    int r = ERR_NOTFOUND;

    buf_puts(&parent, name);
    while (r == ERR_NOTFOUND && mboxname_parent(buf_cstr(&parent), &up)) {
        struct buf shorter = up;

        up = parent;
        parent = shorter;
        buf_reset(&up);
        r = mboxlist_lookup(env->list, buf_cstr(&parent), pool, record_r);
        if (r == 0 && !(MBOXLIST_TYPE_BIT(record_r->type) & MBOXLIST_TYPES_ACTIVE))
            r = ERR_NOTFOUND;
    }
    buf_free(&parent);
    buf_free(&up);
    return r;
}

const char *op_partition(struct mboxop *op, const char *location)
{
    const char *server, *partition;

    mboxlist_location_split(op->pool, location, &server, &partition);
    return partition;
}

struct change *op_add_record(struct mboxop *op, const struct mboxlist_record *record)
{
    struct change *c = op_add_change(op);

    c->id = pool_strdup(op->pool, record->id);
    c->partition = pool_strdup(op->pool, record->partition);
    c->acl = c->old_acl = pool_strdup(op->pool, record->acl);
    c->special_use = pool_strdup(op->pool, record->special_use);
    c->uidvalidity = record->uidvalidity;
    return c;
}

int op_collect(struct mboxop *op, const char *name, bool below)
{
    struct mboxlist_record record;
    const struct mboxlist_record *next;
    struct mboxlist_iter *it;
    int r = mboxlist_lookup(op->env->list, name, op->pool, &record);

    if (r == 0 && record.type != MBOXLIST_LOCAL)
        r = ERR_NOTFOUND;
    if (r != 0)
        return r;
    op_add_record(op, &record)->old_name = pool_strdup(op->pool, name);
    if (!below)
        return 0;
    it = mboxlist_iter_all(op->env->list, pool_printf(op->pool, "%s.", name),
                           MBOXLIST_TYPE_BIT(MBOXLIST_LOCAL));
    while ((r = mboxlist_iter_next(it, &next)) == 1)
        op_add_record(op, next)->old_name = pool_strdup(op->pool, next->name);
    mboxlist_iter_free(&it);
    return r;
}

int op_new_uidvalidity(struct mboxop *op, struct mboxlist_txn *txn, const char *name, uint32_t *uidvalidity_r)
{
    struct mboxlist_record tombstone;
    int64_t at_least = clock_wall();

    if (mboxlist_tombstone(op->env->list, name, op->pool, &tombstone) == 0 &&
        tombstone.uidvalidity >= at_least)
        at_least = (int64_t)tombstone.uidvalidity + 1;
    return mboxlist_txn_uidvalidity(txn, at_least, uidvalidity_r);
}

int op_check_quota(struct mboxop *op, const char *name, uint64_t mailboxes)
{
    struct buf root = BUF_INIT;
    int r = quota_root_of(op->env->list, name, &root);

    if (r == 0) {
        (void)store_quota_prepare(op->env->store);
        r = store_quota_check_mailboxes(op->env->store, buf_cstr(&root), mailboxes);
    }
    buf_free(&root);
    return r == ERR_NOTFOUND ? 0 : r;
}

/* The quota root of a name and its limits; *root stays empty if there is none.  0 or an error of the list. */
static int find_root(struct mboxop *op, const char *name, struct buf *root, struct mailbox_listed *listed)
{
    int r = quota_root_of(op->env->list, name, root);

    if (r == 0)
        listed->has_limits = quota_limits_get(op->env->list, buf_cstr(root), &listed->limits) == 0;
    return r == ERR_NOTFOUND ? 0 : r;
}

int op_make_mailbox(struct mboxop *op, const struct mboxlist_record *record)
{
    struct buf root = BUF_INIT;
    struct mailbox_listed listed = {record->name, record->acl, record->special_use, false, {{0}}};
    struct mailbox_create how = {.partition = record->partition,
                                 .id = record->id,
                                 .uidvalidity = record->uidvalidity,
                                 .listed = &listed};
    int r;

    if (find_root(op, record->name, &root, &listed) == 0 && root.len > 0)
        how.quota_root = buf_cstr(&root);
    r = mailbox_create(op->env->store, &how, NULL);
    buf_free(&root);
    return r;
}

int op_commit_rename(struct mboxop *op, struct mboxlist_txn *txn, const struct change *change)
{
    struct mboxlist_record record;
    int r = mboxlist_txn_rename(txn, change->old_name, change->new_name);

    if (r == 0)
        r = mboxlist_txn_lookup(txn, change->new_name, op->pool, &record);
    if (r != 0)
        return r;
    record.acl = change->acl;
    if (change->special_use != NULL)
        record.special_use = change->special_use;
    record.uidvalidity = change->uidvalidity;
    record.mtime = 0;
    return mboxlist_txn_put(txn, &record);
}

int op_adjust_mailbox(struct mboxop *op, const struct change *change)
{
    struct buf root = BUF_INIT;
    struct mailbox_listed listed = {.name = change->new_name};
    struct mboxlist_record record;
    struct mailbox *mailbox;
    int r = find_root(op, change->new_name, &root, &listed);

    if (r != 0)
        return r;
    if (mboxlist_lookup(op->env->list, change->new_name, op->pool, &record) == 0) {
        listed.acl = record.acl;
        listed.special_use = record.special_use;
    }
    r = mailbox_open(op->env->store, change->partition, change->id, &mailbox);
    if (r == 0) {
        r = mailbox_set_listed(mailbox, &listed, root.len > 0 ? buf_cstr(&root) : NULL, change->uidvalidity);
        mailbox_close(&mailbox);
    }
    buf_free(&root);
    /* damage is reconstruct's; it must not hold up the operation for ever */
    return r == ERR_NOTFOUND || r == ERR_CORRUPT || r == ERR_VERSION ? 0 : r;
}

int op_commit_no_user(struct mboxop *op, struct mboxlist_txn *txn, const char *name)
{
    struct buf owner = BUF_INIT;
    int r = 0;

    if (mboxname_is_inbox(name) && mboxname_owner(op->env->config, name, &owner))
        r = mboxlist_txn_subs_rekey(txn, owner.data, NULL);
    if (r == 0 && owner.len > 0)
        r = annotations_txn_rekey(txn, owner.data, NULL);
    buf_free(&owner);
    return r;
}

int op_forget_user(struct mboxop *op, const char *name)
{
    struct buf owner = BUF_INIT;
    int r = 0;

    if (mboxname_is_inbox(name) && mboxname_owner(op->env->config, name, &owner)) {
        op_remove_scripts(op->env, owner.data);
        r = seen_forget_user(op->env->store, owner.data);
    }
    buf_free(&owner);
    return r;
}

struct renaming {
    const char *from, *to;
    struct buf out;
};

static bool rename_one(const char *identifier, const char *value, void *context)
{
    struct renaming *renaming = context;
    bool negative = identifier[0] == '-' && strcmp(identifier + 1, renaming->from) == 0;

    if (negative || strcmp(identifier, renaming->from) == 0)
        buf_printf(&renaming->out, "%s%s\t%s\t", negative ? "-" : "", renaming->to, value);
    else
        buf_printf(&renaming->out, "%s\t%s\t", identifier, value);
    return true;
}

const char *op_rename_identifier(struct pool *pool, const char *list, const char *from, const char *to)
{
    struct renaming renaming = {.from = from, .to = to, .out = BUF_INIT};
    const char *renamed;

    acl_each(list, rename_one, &renaming);
    renamed = pool_strdup(pool, buf_cstr(&renaming.out));
    buf_free(&renaming.out);
    return renamed;
}
