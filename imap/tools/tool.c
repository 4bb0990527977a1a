#include "imap/tools/tool.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "imap/store/store.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/options.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/mupdate/link.h"

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
    char *error = NULL;
    int r = config_read(config_path != NULL ? config_path : config_default_path(), NULL, program, &error);

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
