/* mailboxes.c: the mailboxes that a script names. */
#include <string.h>

#include "imap/sievehost/host-private.h"
#include "imap/store/store.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/charset/utf7.h"
#include "lib/mupdate/link.h"
#include "lib/name/acl.h"
#include "lib/name/identity.h"

enum { FIND_MS = 5000 };

static struct mupdate_link *master(void)
{
    return config_role() == CONFIG_STANDALONE ? NULL : mupdate_link(MUPDATE_MASTER);
}

/* What the master says of a name that is not in this server's list.  One that hangs costs a message no more time than
 * it has: a script may name many mailboxes. */
static int ask_master(struct sieve_recipient *r, const char *internal, struct mboxlist_record *record)
{
    struct mupdate_request *request = mupdate_send(master(), MUPDATE_FIND, internal, NULL, NULL, NULL, NULL);
    int64_t deadline = clock_deadline(FIND_MS);
    int result;

    deadline = deadline < r->job->deadline ? deadline : r->job->deadline;
    result = mupdate_request_wait(request, deadline) ? mupdate_request_result(request) : ERR_UNAVAILABLE;

    memset(record, 0, sizeof(*record));
    if (result == 0 && mupdate_request_state(request) == MUPDATE_ACTIVE) {
        record->type = MBOXLIST_REMOTE;
        record->name = internal;
        record->id = record->special_use = "";
        record->acl = pool_strdup(r->pool, mupdate_request_acl(request));
        mboxlist_location_split(r->pool, mupdate_request_location(request), &record->server,
                                &record->partition);
    } else if (result == 0) {
        result = ERR_NOTFOUND;
    }
    mupdate_request_free(&request);
    return result;
}

static bool may_put(struct sieve_recipient *r, const struct mboxlist_record *record)
{
    rights_t rights = identity_rights(r->job->host->names, record->acl, r->identity, record->name);

    return (rights & (ACL_INSERT | ACL_POST)) != 0;
}

/* 0, or an error; ERR_NOTFOUND. */
static int look_up(struct sieve_recipient *r, const char *internal, struct mboxlist_record *record)
{
    int result = mboxlist_lookup(r->job->host->list, internal, r->pool, record);

    if (result == 0 && record->type != MBOXLIST_LOCAL && record->type != MBOXLIST_REMOTE)
        result = ERR_NOTFOUND;
    if (result == ERR_NOTFOUND && config_role() != CONFIG_STANDALONE)
        result = r->may_wait ? ask_master(r, internal, record) : ERR_AGAIN;
    return result;
}

int mailbox_place(struct sieve_recipient *r, const char *internal, struct mboxlist_record *record)
{
    int result = look_up(r, internal, record);

    if (result == ERR_NOTFOUND)
        return PLACE_NOWHERE;
    if (result < 0)
        return result;
    if (record->flags & MBOXLIST_MOVING)
        return ERR_BUSY;
    if (record->type == MBOXLIST_LOCAL)
        return PLACE_HERE;
    /* the master names this server for what our list does not have: it is being made or deleted */
    return strcmp(record->server, config_servername()) != 0 ? PLACE_ELSEWHERE : PLACE_NOWHERE;
}

int mailbox_find(struct sieve_recipient *r, const char *internal, struct mboxlist_record *record)
{
    int place = mailbox_place(r, internal, record);

    return place <= 0 || may_put(r, record) ? place : PLACE_NOWHERE;
}

const char *mailbox_internal(struct sieve_recipient *r, const char *name)
{
    struct buf external = BUF_INIT, internal = BUF_INIT;
    const char *kept = NULL;
    int result = 0;

    if (opt_switch(OPT_SIEVE_UTF8FILEINTO) || !str_is_ascii(name, strlen(name)))
        result = utf7_from_utf8(name, strlen(name), &external);
    else
        buf_puts(&external, name);
    if (result == 0)
        result = namespace_to_internal(&r->ns, buf_cstr(&external), &internal);
    if (result == 0 && mboxname_check(buf_cstr(&internal)) == 0)
        kept = pool_strdup(r->pool, buf_cstr(&internal));
    buf_free(&external);
    buf_free(&internal);
    return kept;
}

bool mailbox_has_use(struct sieve_recipient *r, const struct mboxlist_record *record, const char *use)
{
    struct str_list uses = str_split(r->pool, mboxlist_special_use(record, r->userid, r->pool), " ");

    for (size_t i = 0; i < uses.count; i++)
        if (str_ieq(uses.items[i], use))
            return true;
    return false;
}

int mailbox_of_use(struct sieve_recipient *r, const char *use, struct mboxlist_record *record)
{
    struct mboxlist_iter *it =
        mboxlist_iter_all(r->job->host->list, pool_printf(r->pool, "%s.", r->inbox), MBOXLIST_TYPES_ACTIVE);
    const struct mboxlist_record *found;
    const char *name = NULL;
    int result;

    while ((result = mboxlist_iter_next(it, &found)) == 1 && name == NULL)
        if (mailbox_has_use(r, found, use))
            name = pool_strdup(r->pool, found->name);
    mboxlist_iter_free(&it);
    if (result < 0)
        return result;
    result = name != NULL ? mailbox_find(r, name, record) : PLACE_NOWHERE;
    return result > 0 ? 1 : result;
}

/* An id is an id of this server's mailboxes; others' ids are not in its list. */
static int mailbox_of_id(struct sieve_recipient *r, const char *id, struct mboxlist_record *record)
{
    int result = mboxlist_lookup_id(r->job->host->list, id, r->pool, record);

    return result == 0              ? mailbox_find(r, record->name, record)
           : result == ERR_NOTFOUND ? PLACE_NOWHERE
                                    : result;
}

int mailbox_of_target(struct sieve_recipient *r, const struct sieve_target *target, const char **internal_r,
                      struct mboxlist_record *record)
{
    int result = PLACE_NOWHERE;

    *internal_r = mailbox_internal(r, target->mailbox);
    if (target->mailbox_id != NULL)
        result = mailbox_of_id(r, target->mailbox_id, record);
    if (result == PLACE_NOWHERE && target->special_use != NULL) {
        result = mailbox_of_use(r, target->special_use, record);
        if (result == 1)
            result = record->type == MBOXLIST_LOCAL ? PLACE_HERE : PLACE_ELSEWHERE;
    }
    if (result == PLACE_NOWHERE && *internal_r != NULL)
        result = mailbox_find(r, *internal_r, record);
    return result;
}

int mailbox_make(struct sieve_recipient *r, const char *internal, const char *use, struct buf *why)
{
    const struct sievehost *host = r->job->host;
    const struct mboxop_env env = {
        .config = host->names,
        .list = host->list,
        .store = host->store,
        .link = master(),
        .server = config_servername(),
    };
    struct mboxop *op;
    int result = mboxop_may_create(&env, r->identity, internal);

    if (result < 0) {
        buf_puts(why, error_text(result));
        return result;
    }
    op = mboxop_create(&env, internal, NULL, NULL, NULL, 0, use);
    result = mboxop_run(&op, why);
    return result == ERR_EXISTS ? 0 : result;
}
