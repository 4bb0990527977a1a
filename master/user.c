#include "master/user.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"

static const char *user_name(void)
{
    const char *name = opt_string(OPT_CYRUS_USER);

    return name != NULL ? name : "cyrus";
}

/* The user and the group to become; false: no such user or group. */
static bool find_user(uid_t *uid_r, gid_t *gid_r)
{
    const char *group = opt_string(OPT_CYRUS_GROUP);
    const struct passwd *pw = getpwnam(user_name());
    const struct group *gr = group != NULL ? getgrnam(group) : NULL;

    if (pw == NULL || (group != NULL && gr == NULL))
        return false;
    *uid_r = pw->pw_uid;
    *gid_r = gr != NULL ? gr->gr_gid : pw->pw_gid;
    return true;
}

int user_check(char **error_r)
{
    const char *group = opt_string(OPT_CYRUS_GROUP);
    uid_t uid;
    gid_t gid;

    if (geteuid() != 0 || find_user(&uid, &gid))
        return 0;
    if (group != NULL)
        *error_r =
            xstrprintf("there is no user %s or no group %s to run as; make them, or set cyrus_user and "
                       "cyrus_group:\n    groupadd --system %s\n    useradd --system --no-create-home "
                       "--shell /usr/sbin/nologin --gid %s %s",
                       user_name(), group, group, group, user_name());
    else
        *error_r =
            xstrprintf("there is no user %s to run as; make one, or set cyrus_user:\n    useradd --system "
                       "--no-create-home --shell /usr/sbin/nologin --user-group %s",
                       user_name(), user_name());
    return ERR_NOTFOUND;
}

void user_give(const char *path)
{
    uid_t uid;
    gid_t gid;

    if (geteuid() == 0 && find_user(&uid, &gid) && lchown(path, uid, gid) != 0)
        return;
}

bool user_assume(void)
{
    uid_t uid;
    gid_t gid;

    if (geteuid() != 0 || !find_user(&uid, &gid) || uid == 0 || setegid(gid) != 0)
        return false;
    BUG_ON(seteuid(uid) != 0);
    return true;
}

void user_resume(void)
{
    BUG_ON(seteuid(0) != 0 || setegid(0) != 0);
}

bool user_may_make(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir;
    bool may;

    if (!user_assume())
        return true;
    dir = slash == NULL ? xstrdup(".") : xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
    may = faccessat(AT_FDCWD, path, F_OK, AT_EACCESS) == 0
              ? faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0
              : faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) == 0;
    user_resume();
    free(dir);
    return may;
}

/* Capabilities survive setuid() in the permitted set only (PR_SET_KEEPCAPS); this reduces them to
 * one and makes it effective.  They end with exec. */
static void keep_bind(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};

    data[0].permitted = data[0].effective = 1u << CAP_NET_BIND_SERVICE;
    syscall(SYS_capset, &header, data);
}

int user_become(void)
{
    uid_t uid;
    gid_t gid;

    if (geteuid() != 0)
        return 0;
    if (!find_user(&uid, &gid))
        return ERR_DENIED;
    if (uid == 0)
        return 0; /* cyrus_user: root, as the administrator says */
    prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
    if (initgroups(user_name(), gid) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
        return ERR_DENIED;
    keep_bind();
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    return 0;
}
