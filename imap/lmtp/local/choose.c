/* Which mailbox a recipient means, and whether it may have the message. */
#include <string.h>

#include "imap/lmtp/local/local-private.h"
#include "imap/store/quota.h"
#include "imap/store/store.h"
#include "lib/base/error.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/name/acl.h"
#include "lib/name/identity.h"
#include "lib/name/mboxname.h"

/* What the sender may do: a trusted client told who he is, else he is anybody. */
static rights_t posters_rights(struct lmtpd_txn *txn, struct local_state *s,
                               const struct mboxlist_record *record)
{
    const struct name_config *names = txn->naming->names;

    if (s->poster == NULL)
        s->poster = identity_new(names, txn->auth);
    return identity_rights(names, record->acl, s->poster, record->name);
}

static bool is_excluded(struct lmtpd_txn *txn, const struct mboxlist_record *record, const char *userid)
{
    const char *option = opt_string(OPT_LMTP_EXCLUDE_SPECIALUSE);
    struct str_list excluded = str_split(txn->pool, option != NULL ? option : "", " ");
    struct str_list uses = str_split(txn->pool, mboxlist_special_use(record, userid, txn->pool), " ");

    for (size_t i = 0; i < uses.count; i++) {
        if (str_list_has(&excluded, uses.items[i]))
            return true;
    }
    return false;
}

/* Does the detail's folder take the message?  With lmtp_fuzzy_mailbox_match the closest parent stands for
 * one that does not exist. */
static bool find_folder(struct lmtpd_txn *txn, struct local_state *s, const struct lmtpd_names *names,
                        struct mboxlist_record *record_r)
{
    struct mboxlist *list = store_mboxlist(s->local->store);
    const char *folder = names->folder;
    int r = mboxlist_lookup(list, folder, txn->pool, record_r);

    while (r == ERR_NOTFOUND && opt_switch(OPT_LMTP_FUZZY_MAILBOX_MATCH)) {
        struct buf parent = BUF_INIT;
        bool any = mboxname_parent(folder, &parent);

        folder = pool_memdup(txn->pool, buf_cstr(&parent), parent.len);
        buf_free(&parent);
        if (!any || strcmp(folder, names->mailbox) == 0)
            return false;
        r = mboxlist_lookup(list, folder, txn->pool, record_r);
    }
    return r == 0 && record_r->type == MBOXLIST_LOCAL && (posters_rights(txn, s, record_r) & ACL_POST) != 0 &&
           !is_excluded(txn, record_r, names->userid);
}

/* 0, ERR_NOTFOUND, ERR_DENIED, ERR_UNAVAILABLE (on another server), ERR_BUSY (being moved), or the list's. */
static int find_mailbox(struct lmtpd_txn *txn, struct local_state *s, const struct lmtpd_names *names,
                        struct mboxlist_record *record_r)
{
    rights_t rights;
    int r;

    if (names->folder != NULL && find_folder(txn, s, names, record_r))
        return record_r->flags & MBOXLIST_MOVING ? ERR_BUSY : 0;
    r = mboxlist_lookup(store_mboxlist(s->local->store), names->mailbox, txn->pool, record_r);
    if (r < 0)
        return r;
    if (record_r->type != MBOXLIST_LOCAL)
        return record_r->type == MBOXLIST_INTERMEDIATE ? ERR_NOTFOUND : ERR_UNAVAILABLE;
    if (record_r->flags & MBOXLIST_MOVING)
        return ERR_BUSY;
    if (names->userid != NULL)
        return 0;
    rights = posters_rights(txn, s, record_r);
    return rights & ACL_POST ? 0 : rights & ACL_LOOKUP ? ERR_DENIED : ERR_NOTFOUND;
}

/* The recipient, or who gets the mail of those who do not exist. */
static int find_recipient(struct lmtpd_txn *txn, struct local_state *s, const struct lmtpd_names *names,
                          struct mboxlist_record *record_r)
{
    const char *catchall = opt_string(OPT_LMTP_CATCHALL_MAILBOX);
    struct lmtpd_names instead;
    int r = find_mailbox(txn, s, names, record_r);

    if (r != ERR_NOTFOUND || catchall == NULL || names->userid == NULL ||
        lmtpd_names_resolve(txn->naming, txn->pool, catchall, &instead) < 0)
        return r;
    return find_mailbox(txn, s, &instead, record_r);
}

static int check_quota(const struct lmtpd_txn *txn, const struct local_state *s,
                       const struct mboxlist_record *record)
{
    enum quota_mode mode = opt_switch(OPT_LMTP_STRICT_QUOTA) ? QUOTA_STRICT : QUOTA_ALREADY;
    struct buf root = BUF_INIT;
    int r = quota_root_of(store_mboxlist(s->local->store), record->name, &root);

    if (r == 0)
        r = store_quota_check(s->local->store, buf_cstr(&root), mode, (uint64_t)txn->declared, 1);
    buf_free(&root);
    return r == ERR_OVERQUOTA ? r : 0;
}

struct target *local_target(struct local_state *s, const char *name, const char *partition, const char *id,
                            struct edition *edition)
{
    struct target **at = &s->targets;

    while (*at != NULL && (strcmp((*at)->id, id) != 0 || (*at)->edition != edition))
        at = &(*at)->next;
    if (*at == NULL) {
        *at = pool_alloc(s->pool, sizeof(**at));
        (*at)->name = name;
        (*at)->partition = partition;
        (*at)->id = id;
        (*at)->edition = edition;
        (*at)->state = s;
    }
    return *at;
}

void local_choose(struct lmtpd_txn *txn, struct local_state *s, struct lmtpd_rcpt *rcpt)
{
    struct mboxlist_record record;
    struct addressee *addressee;
    int r = find_recipient(txn, s, &rcpt->names, &record);

    if (r == 0 && !rcpt->ignore_quota)
        r = check_quota(txn, s, &record);
    if (r < 0) {
        lmtpd_answer_error(txn, rcpt, r);
        return;
    }
    rcpt->target = addressee = pool_alloc(txn->pool, sizeof(*addressee));
    addressee->own = local_target(s, record.name, record.partition, record.id, NULL);
    addressee->own->ignore_quota |= rcpt->ignore_quota;
    lmtpd_answer(txn, rcpt, 250, "2.1.5", "ok");
}
