/* subs.c: subscriptions, kept in the mailbox list's environment. */
#include "lib/mboxlist/subs.h"

#include "imap/local/local-private.h"
#include "lib/base/error.h"
#include "lib/name/identity.h"

enum step local_subscribe(struct command *cmd)
{
    struct client *c = cmd->client;
    bool on = cmd->def->id == COMMAND_SUBSCRIBE;
    int r = mboxlist_subscribe(c->list, c->identity->userid, cmd->mailbox, on);

    return r < 0 ? command_error(cmd, r) : command_ok(cmd, NULL, "Completed");
}

struct lsub_call {
    leg_lsub_fn *fn;
    void *context;
};

static int tell(const char *name, void *context)
{
    struct lsub_call *call = context;

    call->fn(name, call->context);
    return 0;
}

int local_lsub(struct leg *leg, struct command *cmd, leg_lsub_fn *fn, void *context)
{
    struct client *c = leg->client;
    struct lsub_call call = {fn, context};

    (void)cmd;
    return mboxlist_subs_each(c->list, c->identity->userid, NULL, tell, &call);
}
