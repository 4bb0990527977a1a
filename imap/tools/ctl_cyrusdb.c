/* ctl_cyrusdb: -r puts right what a crash left, before the services start; -c is the checkpoint that old
 * cyrus.conf files ask for. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "imap/store/recover.h"
#include "imap/tools/tool.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/mboxlist/mboxlist.h"

static const char program[] = "ctl_cyrusdb";

struct cleaning {
    struct mboxop_env *env;
    int r;
};

static void clean_partition(const char *name, const char *directory, void *context)
{
    struct cleaning *cleaning = context;
    int r = stage_clean(cleaning->env->store, name + strlen("partition-"));

    if (r == 0 || r == ERR_NOTFOUND)
        return;
    fprintf(stderr, "%s: %s: %s\n", program, directory, error_text(r));
    cleaning->r = r;
}

/* In a murder the operations of the dead wait for the master, whom nobody waits for here: the keeper of
 * mupdate.lock ends them when there is one. */
static int recover(struct mboxop_env *env)
{
    struct cleaning cleaning = {.env = env};
    int r;

    mboxlist_housekeeping(env->list);
    if (env->store == NULL)
        return 0;
    config_overflow_each("partition-", clean_partition, &cleaning);
    if (config_role() != CONFIG_STANDALONE)
        return cleaning.r;
    r = mboxop_recover(env, NULL);
    return r != 0 ? r : cleaning.r;
}

static int usage(void)
{
    fprintf(stderr, "usage: %s [-C imapd.conf] -r | -c\n", program);
    return EX_USAGE;
}

static int run(char action)
{
    struct mboxop_env env;
    int status = tool_open(program, false, &env);
    int r = 0;

    if (status == 0) {
        r = action == 'r' ? recover(&env) : mboxlist_checkpoint(env.list);
        if (r != 0) {
            fprintf(stderr, "%s: %s\n", program, error_text(r));
            status = EX_TEMPFAIL;
        }
    }
    tool_close(&env);
    return status;
}

int main(int argc, char **argv)
{
    const char *config = NULL;
    char action = '\0';
    int c, status;

    while ((c = getopt(argc, argv, "C:rcx")) != -1) {
        if (c == 'C')
            config = optarg;
        else if (c == 'r' || c == 'c')
            action = (char)c;
        else if (c != 'x') /* of Cyrus: "recover only"; here nothing else is done */
            return usage();
    }
    if (action == '\0' || optind != argc)
        return usage();
    status = tool_start(program, config);
    return status == 0 ? run(action) : status;
}
