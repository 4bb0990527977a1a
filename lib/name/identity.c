#include "lib/name/identity.h"

#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/name/mboxname.h"

enum { CACHE_MS = 5 * 60 * 1000, CACHE_SLOTS = 1024, NSS_BUFFER_MAX = 1024 * 1024 };

/* ---- groups from NSS ---- */

/* -1 when only /etc/group, or nothing, knows the user. */
static gid_t primary_group(const char *userid)
{
    struct passwd pw, *found = NULL;
    gid_t gid = (gid_t)-1;
    int r = ERANGE;

    for (size_t size = 4096; r == ERANGE && size <= NSS_BUFFER_MAX; size *= 4) {
        char *b = xmalloc(size);

        r = getpwnam_r(userid, &pw, b, size, &found);
        if (r == 0 && found != NULL)
            gid = pw.pw_gid;
        free(b);
    }
    return gid;
}

static char *group_name(gid_t gid)
{
    struct group gr, *found = NULL;
    char *name = NULL;
    int r = ERANGE;

    for (size_t size = 4096; r == ERANGE && size <= NSS_BUFFER_MAX; size *= 4) {
        char *b = xmalloc(size);

        r = getgrgid_r(gid, &gr, b, size, &found);
        if (r == 0 && found != NULL)
            name = xstrdup(gr.gr_name);
        free(b);
    }
    return name;
}

/* The names of a user's groups, NULL-terminated.  A user whom only /etc/group knows has no primary
 * group, but may have others. */
static char **lookup_groups(const char *userid)
{
    gid_t primary = primary_group(userid), ids[IDENTITY_GROUPS_MAX];
    char **names = xcalloc(IDENTITY_GROUPS_MAX + 1, sizeof(*names));
    int n = IDENTITY_GROUPS_MAX, count = 0;

    if (getgrouplist(userid, primary, ids, &n) < 0)
        n = n > IDENTITY_GROUPS_MAX ? IDENTITY_GROUPS_MAX : n;
    for (int i = 0; i < n; i++) {
        char *name = ids[i] != (gid_t)-1 ? group_name(ids[i]) : NULL;

        if (name != NULL)
            names[count++] = name;
    }
    return xreallocarray(names, (size_t)count + 1, sizeof(*names));
}

static void free_names(char **names)
{
    for (size_t i = 0; names != NULL && names[i] != NULL; i++)
        free(names[i]);
    free(names);
}

/* ---- their cache ---- */

/* One user a slot: a later one of the same hash takes the slot. */
struct slot {
    char *userid; /* NULL: empty */
    char **names;
    int64_t expires;
};

static pthread_mutex_t cache_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct slot cache[CACHE_SLOTS]; /* guarded by cache_mutex */

static struct slot *slot_of(const char *userid)
{
    uint32_t h = 2166136261u; /* FNV-1a */

    for (; *userid != '\0'; userid++)
        h = (h ^ (unsigned char)*userid) * 16777619u;
    return &cache[h % CACHE_SLOTS];
}

static char **copy_names(char **names)
{
    size_t n = 0;
    char **copy;

    while (names[n] != NULL)
        n++;
    copy = xcalloc(n + 1, sizeof(*copy));
    for (size_t i = 0; i < n; i++)
        copy[i] = xstrdup(names[i]);
    return copy;
}

static char **cache_get(const char *userid)
{
    struct slot *slot = slot_of(userid);
    char **names = NULL;

    pthread_mutex_lock(&cache_mutex);
    if (slot->userid != NULL && strcmp(slot->userid, userid) == 0 && slot->expires > clock_ms())
        names = copy_names(slot->names);
    pthread_mutex_unlock(&cache_mutex);
    return names;
}

static void cache_put(const char *userid, char **names)
{
    struct slot *slot = slot_of(userid);

    pthread_mutex_lock(&cache_mutex);
    free(slot->userid);
    free_names(slot->names);
    *slot = (struct slot){xstrdup(userid), copy_names(names), clock_deadline(CACHE_MS)};
    pthread_mutex_unlock(&cache_mutex);
}

/* NSS is asked without the lock: it may take its time. */
static char **groups_of(const char *userid)
{
    char **names = cache_get(userid);

    if (names == NULL) {
        names = lookup_groups(userid);
        cache_put(userid, names);
    }
    return names;
}

/* ---- identities ---- */

struct identity *identity_new(const struct name_config *config, const char *userid)
{
    struct identity *identity = xcalloc(1, sizeof(*identity));

    identity->is_anonymous = userid == NULL || strcmp(userid, "anonymous") == 0;
    identity->userid = xstrdup(identity->is_anonymous ? "anonymous" : userid);
    identity->groups =
        config->unix_groups && !identity->is_anonymous ? groups_of(userid) : xcalloc(1, sizeof(char *));
    while (identity->groups[identity->group_count] != NULL)
        identity->group_count++;
    identity->is_admin = identity_in_list(identity, config->admins);
    identity->is_proxy = identity_in_list(identity, config->proxyservers);
    return identity;
}

void identity_free(struct identity **identity)
{
    if (*identity == NULL)
        return;
    free_names((*identity)->groups);
    free((*identity)->userid);
    free(*identity);
    *identity = NULL;
}

bool identity_is(const struct identity *identity, const char *identifier)
{
    if (strcmp(identifier, "anyone") == 0)
        return true;
    if (str_has_prefix(identifier, "group:")) {
        for (size_t i = 0; i < identity->group_count; i++)
            if (strcmp(identity->groups[i], identifier + 6) == 0)
                return true;
        return false;
    }
    return strcmp(identity->userid, identifier) == 0;
}

bool identity_in_list(const struct identity *identity, const char *list)
{
    struct pool *pool;
    struct str_list words;
    bool found = false;

    if (list == NULL || identity->is_anonymous)
        return false;
    pool = pool_new(0);
    words = str_split(pool, list, " \t");
    for (size_t i = 0; i < words.count && !found; i++)
        found = strcmp(words.items[i], "anyone") != 0 && identity_is(identity, words.items[i]);
    pool_free(&pool);
    return found;
}

int identity_canonical(const struct name_config *config, const char *given, bool tolower, struct buf *userid)
{
    struct buf name = BUF_INIT;
    const char *at = config->virtdomains != VIRTDOMAINS_OFF ? strrchr(given, '@') : NULL;
    size_t n = at != NULL ? (size_t)(at - given) : strlen(given);
    int r = mboxname_inbox(config, given, &name);

    if (r == 0) {
        for (size_t i = 0; i < n; i++)
            buf_putc(userid, tolower ? str_lower_c(given[i]) : given[i]);
        if (strchr(buf_cstr(&name), '!') != NULL) {
            buf_putc(userid, '@');
            buf_append(userid, name.data, strcspn(name.data, "!"));
        }
    }
    buf_free(&name);
    return r;
}

void identity_canonical_identifier(const struct name_config *config, const char *given, bool tolower,
                                   struct buf *identifier)
{
    bool negative = given[0] == '-';
    struct buf userid = BUF_INIT;
    const char *name = given + negative;

    if (!str_has_prefix(name, "group:") && identity_canonical(config, name, tolower, &userid) == 0)
        name = buf_cstr(&userid);
    buf_puts(identifier, negative ? "-" : "");
    buf_puts(identifier, name);
    buf_free(&userid);
}

static bool group_exists(const char *name)
{
    struct group gr, *found = NULL;
    int r = ERANGE;

    for (size_t size = 4096; r == ERANGE && size <= NSS_BUFFER_MAX; size *= 4) {
        char *b = xmalloc(size);

        r = getgrnam_r(name, &gr, b, size, &found);
        free(b);
    }
    return found != NULL;
}

bool identity_may_be(const struct name_config *config, const char *identifier)
{
    const char *name = identifier + (identifier[0] == '-');

    return !config->unix_groups || !str_has_prefix(name, "group:") || group_exists(name + strlen("group:"));
}

bool identity_gets_inbox(const struct identity *identity)
{
    const char *users = opt_string(OPT_AUTOCREATE_USERS);

    return opt_bytes(OPT_AUTOCREATE_QUOTA) >= 0 && !identity->is_admin && !identity->is_anonymous &&
           !identity->is_proxy && users != NULL &&
           (identity_in_list(identity, users) || strcmp(users, "anyone") == 0);
}
