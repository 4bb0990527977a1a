#include "imap/mboxop/autocreate.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/mboxlist/quota.h"
#include "lib/mboxlist/special-use.h"
#include "lib/mboxlist/subs.h"
#include "lib/name/namespace.h"

struct autocreate {
    const struct mboxop_env *env;
    const struct identity *identity;
    struct pool *pool;
    struct namespace ns;
    void (*wake)(void *context);
    void *wake_context;
    struct mboxop *op; /* under way */
    const char *name;  /* what it is about */
    unsigned stage;    /* INBOX, quota, then two for each folder: it, its rights */
    unsigned right;    /* the next of the folder's entries in autocreate_acl */
    struct str_list folders, acl;
    int result;
};

/* The words between bars, without the blanks around them. */
static struct str_list split_folders(struct pool *pool, const char *list)
{
    struct str_list words = str_split(pool, list != NULL ? list : "", "|");
    size_t kept = 0;

    for (size_t i = 0; i < words.count; i++) {
        char *word = words.items[i] + strspn(words.items[i], " \t");
        size_t len = strlen(word);

        while (len > 0 && strchr(" \t", word[len - 1]) != NULL)
            len--;
        word[len] = '\0';
        if (len > 0)
            words.items[kept++] = word;
    }
    words.items[kept] = NULL;
    words.count = kept;
    return words;
}

struct autocreate *autocreate_new(const struct mboxop_env *env, const struct identity *identity)
{
    struct pool *pool = pool_new(0);
    struct autocreate *a = pool_alloc(pool, sizeof(*a));
    const char *acl = opt_string(OPT_AUTOCREATE_ACL);

    a->env = env;
    a->identity = identity;
    a->pool = pool;
    a->folders = split_folders(pool, opt_string(OPT_AUTOCREATE_INBOX_FOLDERS));
    a->acl = str_split(pool, acl != NULL ? acl : "", " \t");
    namespace_init(&a->ns, env->config, identity->userid, false, pool);
    return a;
}

void autocreate_set_waker(struct autocreate *a, void (*wake)(void *context), void *context)
{
    a->wake = wake;
    a->wake_context = context;
}

int64_t autocreate_deadline(const struct autocreate *a)
{
    return a->op != NULL ? mboxop_deadline(a->op) : CLOCK_NEVER;
}

int autocreate_result(const struct autocreate *a)
{
    return a->result;
}

void autocreate_free(struct autocreate **ap)
{
    struct autocreate *a = *ap;
    struct pool *pool;

    *ap = NULL;
    if (a == NULL)
        return;
    pool = a->pool;
    if (a->op != NULL)
        mboxop_free(&a->op);
    pool_free(&pool);
}

/* ---- what is to be done ---- */

/* The internal name of one of the new folders; NULL: no mailbox can have it. */
static const char *folder_name(struct autocreate *a, const char *folder)
{
    struct buf external = BUF_INIT, internal = BUF_INIT;
    const char *name = NULL;

    if (!a->ns.alt)
        buf_printf(&external, "INBOX%c", a->ns.separator);
    buf_puts(&external, folder);
    if (namespace_to_internal(&a->ns, buf_cstr(&external), &internal) == 0)
        name = pool_strdup(a->pool, buf_cstr(&internal));
    buf_free(&external);
    buf_free(&internal);
    return name;
}

struct use_search {
    const char *folder;
    struct buf uses;
};

/* "xlist-sent: Sent Items" */
static void take_use(const char *name, const char *value, void *context)
{
    struct use_search *search = context;
    struct buf use = BUF_INIT;

    buf_printf(&use, "\\%s", name + strlen("xlist-"));
    if (strcmp(value, search->folder) == 0 && special_use_is_known(buf_cstr(&use)) &&
        special_use_is_settable(buf_cstr(&use)))
        buf_printf(&search->uses, "%s ", buf_cstr(&use));
    buf_free(&use);
}

static const char *folder_uses(struct autocreate *a, const char *folder)
{
    struct use_search search = {.folder = folder, .uses = BUF_INIT};
    const char *uses;

    config_overflow_each("xlist-", take_use, &search);
    special_use_read(buf_cstr(&search.uses), a->pool, &uses);
    buf_free(&search.uses);
    return *uses != '\0' ? uses : NULL;
}

/* autocreate_quota: KiB in imapd.conf, bytes here; none: no limit. */
static struct mboxop *limit_inbox(struct autocreate *a)
{
    struct quota_limits limits;
    int64_t bytes = opt_bytes(OPT_AUTOCREATE_QUOTA);

    if (bytes <= 0)
        return NULL;
    for (size_t i = 0; i < QUOTA_RESOURCES; i++)
        limits.limit[i] = QUOTA_UNLIMITED;
    limits.limit[QUOTA_STORAGE] = bytes;
    a->name = a->ns.inbox;
    return mboxop_setquota(a->env, a->name, &limits);
}

/* autocreate_acl: "folder identifier rights", and again.  The next that is for this folder. */
static struct mboxop *give_rights(struct autocreate *a, const char *folder)
{
    enum acl_edit edit;
    rights_t rights;

    while ((a->right + 1) * 3 <= a->acl.count) {
        char *const *words = a->acl.items + 3 * (size_t)a->right++;

        if (strcmp(words[0], folder) == 0 && acl_identifier_ok(words[1]) &&
            acl_parse_edit(a->env->config, words[2], &edit, &rights) == 0)
            return mboxop_setacl(a->env, a->name, words[1], edit, rights);
    }
    return NULL;
}

/* The operation of a stage; NULL: it has none (any more). */
static struct mboxop *begin(struct autocreate *a)
{
    const char *folder;

    if (a->stage == 0) {
        a->name = a->ns.inbox;
        return mboxop_create(a->env, a->name, NULL, NULL, NULL, 0, NULL);
    }
    if (a->stage == 1)
        return limit_inbox(a);
    folder = a->folders.items[(a->stage - 2) / 2];
    if (a->stage % 2 != 0)
        return a->name != NULL ? give_rights(a, folder) : NULL;
    a->right = 0;
    a->name = folder_name(a, folder);
    return a->name != NULL ? mboxop_create(a->env, a->name, NULL, NULL, NULL, 0, folder_uses(a, folder))
                           : NULL;
}

static void subscribe(struct autocreate *a, const char *name)
{
    struct mboxlist_record record;
    int r;

    if (name == NULL || mboxlist_lookup(a->env->list, name, a->pool, &record) < 0)
        return;
    r = mboxlist_subscribe(a->env->list, a->identity->userid, name, true);
    if (r < 0)
        LOG(LOG_WARNING, AUTOCREATE_FAILED, LOG_STR(USER, a->identity->userid), LOG_STR(MAILBOX, name),
            LOG_ERROR(r));
}

/* Shared folders are named as administrators name them. */
static void subscribe_shared(struct autocreate *a)
{
    struct str_list names = split_folders(a->pool, opt_string(OPT_AUTOCREATE_SUBSCRIBE_SHAREDFOLDERS));
    struct namespace admins;

    namespace_init(&admins, a->env->config, NULL, true, a->pool);
    for (size_t i = 0; i < names.count; i++) {
        struct buf internal = BUF_INIT;

        if (namespace_to_internal(&admins, names.items[i], &internal) == 0)
            subscribe(a, buf_cstr(&internal));
        buf_free(&internal);
    }
}

static void subscribe_all(struct autocreate *a)
{
    struct str_list names = split_folders(a->pool, opt_string(OPT_AUTOCREATE_SUBSCRIBE_FOLDERS));

    subscribe(a, a->ns.inbox);
    for (size_t i = 0; i < names.count; i++)
        subscribe(a, folder_name(a, names.items[i]));
    subscribe_shared(a);
}

/* An operation is over.  False: so is everything. */
static bool finish(struct autocreate *a)
{
    int r = mboxop_result(a->op);

    if (r < 0 && r != ERR_EXISTS) /* another session of his makes it */
        LOG(LOG_WARNING, AUTOCREATE_FAILED, LOG_STR(USER, a->identity->userid), LOG_STR(MAILBOX, a->name),
            LOG_STR(ERROR, mboxop_text(a->op)));
    else if (r == 0 && a->stage == 0)
        LOG(LOG_NOTICE, AUTOCREATE, LOG_STR(USER, a->identity->userid), LOG_STR(MAILBOX, a->name));
    mboxop_free(&a->op);
    if (a->stage == 0)
        a->result = r;
    return a->result == 0;
}

enum mboxop_verdict autocreate_step(struct autocreate *a)
{
    enum mboxop_verdict verdict;

    if (a->op == NULL && a->stage >= 2 + 2 * a->folders.count) {
        subscribe_all(a);
        return MBOXOP_DONE;
    }
    if (a->op == NULL) {
        a->op = begin(a);
        if (a->op == NULL) {
            a->stage++;
            return MBOXOP_MORE;
        }
        mboxop_set_waker(a->op, a->wake, a->wake_context);
    }
    verdict = mboxop_step(a->op);
    if (verdict != MBOXOP_DONE)
        return verdict;
    if (!finish(a))
        return MBOXOP_DONE;
    if (a->stage < 2 || a->stage % 2 == 0) /* of a folder's rights there may be more */
        a->stage++;
    return MBOXOP_MORE;
}
