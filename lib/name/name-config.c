#include "lib/name/name-config.h"

#include <pthread.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

static struct name_config from_options; /* written once, by read_options() */
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Of its own, as it outlives a configuration that a test replaces. */
static const char *keep(const char *value)
{
    return value != NULL ? xstrdup(value) : NULL;
}

static void read_options(void)
{
    const char *deleteright = opt_string(OPT_DELETERIGHT);

    from_options = (struct name_config){
        .separator = opt_switch(OPT_UNIXHIERARCHYSEP) ? '/' : '.',
        .altnamespace = opt_switch(OPT_ALTNAMESPACE),
        .userprefix = keep(opt_string(OPT_USERPREFIX)),
        .sharedprefix = keep(opt_string(OPT_SHAREDPREFIX)),
        .virtdomains = (enum opt_virtdomains)opt_enum(OPT_VIRTDOMAINS),
        .defaultdomain = keep(opt_string(OPT_DEFAULTDOMAIN)),
        .deletedprefix = keep(opt_string(OPT_DELETEDPREFIX)),
        .admins = keep(opt_string(OPT_ADMINS)),
        .proxyservers = keep(opt_string(OPT_PROXYSERVERS)),
        .unix_groups = opt_switch(OPT_UNIX_GROUP_ENABLE),
        .implicit_owner_rights = keep(opt_string(OPT_IMPLICIT_OWNER_RIGHTS)),
        .delete_is_d = deleteright != NULL && str_ieq(deleteright, "d"),
        .defaultacl = keep(opt_string(OPT_DEFAULTACL)),
    };
}

const struct name_config *name_config(void)
{
    pthread_once(&once, read_options);
    return &from_options;
}
