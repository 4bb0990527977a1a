#include "imap/tools/tool.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "imap/store/mailbox.h"
#include "imap/store/store.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/charset/utf7.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/mupdate/link.h"
#include "lib/name/namespace.h"

enum { MASTER_WAIT_MS = 10 * 1000 };

static int become_user(const char *program)
{
    const char *name = opt_string(OPT_CYRUS_USER) != NULL ? opt_string(OPT_CYRUS_USER) : "cyrus";
    const struct passwd *pw;

    if (geteuid() != 0 || strcmp(name, "root") == 0)
        return 0;
    pw = getpwnam(name);
    if (pw == NULL) { /* a server of its own, run by root throughout */
        if (!opt_is_set(OPT_CYRUS_USER))
            return 0;
        fprintf(stderr, "%s: no such user: %s (option cyrus_user)\n", program, name);
        return EX_NOUSER;
    }
    if (initgroups(name, pw->pw_gid) == 0 && setgid(pw->pw_gid) == 0 && setuid(pw->pw_uid) == 0)
        return 0;
    fprintf(stderr, "%s: cannot become user %s\n", program, name);
    return EX_OSERR;
}

static int complain(const char *program, int r, char *error)
{
    fprintf(stderr, "%s: %s\n", program, error != NULL ? error : error_text(r));
    free(error);
    return r == ERR_CONFIG ? EX_CONFIG : EX_TEMPFAIL;
}

int tool_start(const char *program, const char *config_path)
{
    return tool_start_as(program, config_path, NULL);
}

int tool_start_as(const char *program, const char *config_path, const char *service)
{
    char *error = NULL;
    int r = config_read(config_path != NULL ? config_path : config_default_path(), service, program, &error);

    if (r != 0)
        return complain(program, r, error);
    return become_user(program);
}

int tool_open(const char *program, bool link, struct mboxop_env *env_r)
{
    struct store_options options;
    char *error = NULL;
    int r;

    *env_r = (struct mboxop_env){.config = name_config(), .server = config_servername()};
    r = mboxlist_open(NULL, &env_r->list, &error);
    if (r != 0)
        return complain(program, r, error);
    if (config_role() != CONFIG_FRONTEND) {
        store_options_configured(&options);
        r = store_open(&options, &env_r->store, &error);
        if (r != 0)
            return complain(program, r, error);
    }
    env_r->link = link ? mupdate_link(MUPDATE_MASTER) : NULL;
    return 0;
}

void tool_close(struct mboxop_env *env)
{
    mupdate_links_stop();
    if (env->store != NULL)
        store_close(&env->store);
    if (env->list != NULL)
        mboxlist_close(&env->list);
}

bool tool_has_store(const char *program, const struct mboxop_env *env)
{
    if (env->store != NULL)
        return true;
    printf("%s: a frontend has no mailboxes of its own: nothing to do\n", program);
    return false;
}

int tool_wait_master(const char *program, const struct mboxop_env *env)
{
    struct buf why = BUF_INIT;
    int r;

    if (env->link == NULL)
        return 0;
    r = mupdate_link_wait_up(env->link, clock_deadline(MASTER_WAIT_MS), &why);
    if (r != 0)
        fprintf(stderr, "%s: the MUPDATE master is away (%s)\n", program,
                why.len > 0 ? buf_cstr(&why) : error_text(r));
    buf_free(&why);
    return r;
}

/* A fraction, with a unit or without: 0.5, 1.5h. */
static bool parse_fraction(const char *text, int64_t *ms_r)
{
    static const struct {
        char unit;
        double seconds;
    } units[] = {{'\0', 86400}, {'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
    size_t n = strspn(text, "0123456789.");
    const char *dot = strchr(text, '.');

    if (dot == NULL || strchr(dot + 1, '.') != NULL || n < 2 || n > 12)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (text[n] == units[i].unit && (text[n] == '\0' || text[n + 1] == '\0')) {
            *ms_r = (int64_t)(strtod(text, NULL) * units[i].seconds * 1000);
            return true;
        }
    }
    return false;
}

bool tool_duration(const char *program, const char *text, int64_t *seconds_r)
{
    int64_t ms;

    if (!parse_fraction(text, &ms) && (option_parse_duration(text, "d", &ms) != 0 || ms < 0)) {
        fprintf(stderr, "%s: no duration: %s (as in 3d, 12h, 1d12h; a bare number is days)\n", program, text);
        return false;
    }
    *seconds_r = ms / 1000;
    return true;
}

/* ---- names ---- */

static int lookup_utf7(struct mboxop_env *env, const char *name, struct pool *pool,
                       struct mboxlist_record *record_r)
{
    struct buf internal = BUF_INIT;
    struct namespace ns;
    int r;

    namespace_init(&ns, env->config, NULL, true, pool);
    r = namespace_to_internal(&ns, name, &internal);
    if (r == 0)
        r = mboxlist_lookup(env->list, internal.data, pool, record_r);
    if (r != 0 && mboxname_check(name) == 0)
        r = mboxlist_lookup(env->list, name, pool, record_r);
    buf_free(&internal);
    return r;
}

bool tool_internal(const struct mboxop_env *env, const char *given, struct buf *name)
{
    struct pool *pool = pool_new(0);
    struct buf utf7 = BUF_INIT;
    struct namespace ns;
    int r = utf7_from_utf8(given, strlen(given), &utf7);

    namespace_init(&ns, env->config, NULL, true, pool);
    if (r == 0)
        r = namespace_to_internal(&ns, buf_cstr(&utf7), name);
    buf_free(&utf7);
    pool_free(&pool);
    return r == 0;
}

static int no_name_is_not_found(int r)
{
    return r == ERR_BADNAME || r == ERR_SYNTAX || r == ERR_TOOBIG ? ERR_NOTFOUND : r;
}

int tool_lookup(struct mboxop_env *env, const char *given, bool utf7, struct pool *pool,
                struct mboxlist_record *record_r)
{
    struct buf name = BUF_INIT;
    int r = 0;

    if (utf7)
        buf_puts(&name, given);
    else
        r = utf7_from_utf8(given, strlen(given), &name);
    if (r == 0)
        r = lookup_utf7(env, buf_cstr(&name), pool, record_r);
    buf_free(&name);
    return no_name_is_not_found(r);
}

int tool_lookup_user(struct mboxop_env *env, const char *userid, struct pool *pool,
                     struct mboxlist_record *record_r)
{
    struct buf name = BUF_INIT;
    int r = mboxname_inbox(env->config, userid, &name);

    if (r == 0)
        r = mboxlist_lookup(env->list, name.data, pool, record_r);
    buf_free(&name);
    return no_name_is_not_found(r);
}

static bool is_real_path(const char *directory, const char *given)
{
    char *real = realpath(directory, NULL);
    bool is = real != NULL && strcmp(real, given) == 0;

    free(real);
    return is;
}

/* Where it has its messages, or its metadata. */
static bool is_place(const struct store *store, const struct mboxlist_record *record, const char *given)
{
    struct buf directory = BUF_INIT, metadata = BUF_INIT;
    bool is = mailbox_dir(store, record->partition, record->id, &directory) == 0 &&
              mailbox_metadata_dir(store, record->partition, record->id, &metadata) == 0 &&
              (is_real_path(buf_cstr(&directory), given) || is_real_path(buf_cstr(&metadata), given));

    buf_free(&directory);
    buf_free(&metadata);
    return is;
}

int tool_lookup_path(struct mboxop_env *env, const char *path, struct pool *pool,
                     struct mboxlist_record *record_r)
{
    char *given = realpath(path, NULL);
    const char *id = given != NULL ? strrchr(given, '/') + 1 : "";
    int r = mailbox_id_valid(id) ? mboxlist_lookup_id(env->list, id, pool, record_r) : ERR_NOTFOUND;

    if (r == 0 &&
        (record_r->type != MBOXLIST_LOCAL || env->store == NULL || !is_place(env->store, record_r, given)))
        r = ERR_NOTFOUND;
    free(given);
    return r;
}

const char *tool_external(const struct mboxop_env *env, const char *name, struct pool *pool)
{
    struct buf external = BUF_INIT;
    struct namespace ns;

    namespace_init(&ns, env->config, NULL, true, pool);
    if (namespace_to_external(&ns, name, &external) == 0)
        name = buf_cstr(&external);
    name = pool_strdup(pool, name);
    buf_free(&external);
    return name;
}

int tool_new_uidvalidity(struct mboxop_env *env, uint32_t *uidvalidity_r)
{
    struct mboxlist_txn *txn;
    int r = mboxlist_begin(env->list, &txn);

    if (r < 0)
        return r;
    r = mboxlist_txn_uidvalidity(txn, clock_wall(), uidvalidity_r);
    if (r == 0)
        return mboxlist_commit(&txn);
    mboxlist_abort(&txn);
    return r;
}

/* ---- many mailboxes ---- */

static int each_below(struct mboxop_env *env, const char *prefix, const char *userid,
                      int (*fn)(struct mboxop_env *env, const struct mboxlist_record *record, void *context),
                      void *context)
{
    struct mboxlist_iter *it = mboxlist_iter_all(env->list, prefix, MBOXLIST_TYPE_BIT(MBOXLIST_LOCAL));
    const struct mboxlist_record *record;
    int r;

    while ((r = mboxlist_iter_next(it, &record)) == 1) {
        if (userid != NULL && !mboxname_is_owner(env->config, record->name, userid))
            continue;
        r = fn(env, record, context);
        if (r != 0)
            break;
    }
    mboxlist_iter_free(&it);
    return r;
}

int tool_each_local(struct mboxop_env *env, const char *userid,
                    int (*fn)(struct mboxop_env *env, const struct mboxlist_record *record, void *context),
                    void *context)
{
    struct buf inbox = BUF_INIT, deleted = BUF_INIT, owner = BUF_INIT;
    const char *local;
    int r;

    if (userid == NULL)
        return each_below(env, NULL, NULL, fn, context);
    r = mboxname_inbox(env->config, userid, &inbox);
    if (r == 0) {
        local = mboxname_local(inbox.data, NULL);
        buf_append(&deleted, inbox.data, (size_t)(local - inbox.data));
        buf_printf(&deleted, "%s.%s", env->config->deletedprefix, local);
        mboxname_owner(env->config, inbox.data, &owner); /* without the default domain */
        r = each_below(env, buf_cstr(&inbox), buf_cstr(&owner), fn, context);
    }
    if (r == 0)
        r = each_below(env, buf_cstr(&deleted), buf_cstr(&owner), fn, context);
    buf_free(&inbox);
    buf_free(&deleted);
    buf_free(&owner);
    return r;
}

int tool_each_prefix(struct mboxop_env *env, const char *prefix,
                     int (*fn)(struct mboxop_env *env, const struct mboxlist_record *record, void *context),
                     void *context)
{
    return each_below(env, prefix, NULL, fn, context);
}
