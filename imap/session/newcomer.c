#include "imap/session/newcomer.h"

#include "lib/base/error.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/name/identity.h"
#include "lib/name/namespace.h"

bool newcomer_is(const struct client *c)
{
    struct mboxlist_record record;
    struct pool *pool;
    int r;

    if (leg_program()->newcomer == NULL || *c->ns->inbox == '\0' || !identity_gets_inbox(c->identity))
        return false;
    pool = pool_new(0);
    r = mboxlist_lookup(c->list, c->ns->inbox, pool, &record);
    pool_free(&pool);
    return r == ERR_NOTFOUND;
}

enum step newcomer_step(struct command *cmd)
{
    const struct leg_program *program = leg_program();
    struct client *c = cmd->client;
    int r = program->newcomer(c, cmd, &c->newcomer);

    if (r == ERR_AGAIN || r > 0)
        return r > 0 ? STEP_MORE : STEP_WAIT;
    cmd->failure = NULL;
    cmd->step = NULL;
    if (r == 0 && program->barrier_begin != NULL && c->barrier == NULL)
        c->barrier = program->barrier_begin(c);
    return STEP_MORE;
}

void newcomer_cancel(struct client *c)
{
    if (c->newcomer != NULL)
        leg_program()->newcomer_cancel(&c->newcomer);
}
