/* newcomer.c: the INBOX of a user who logs in without one, and what goes with it. */
#include "imap/local/local-private.h"
#include "imap/mboxop/autocreate.h"
#include "imap/sievehost/scripts.h"
#include "lib/base/error.h"
#include "lib/engine/engine.h"
#include "lib/name/namespace.h"

static void wake(void *session)
{
    session_wake(session);
}

int local_newcomer(struct client *c, struct command *cmd, void **state)
{
    struct autocreate *a = *state;
    int r;

    if (a == NULL) {
        struct local_leg *l = (struct local_leg *)client_leg(c, NULL);

        *state = a = autocreate_new(l->env->mboxop, c->identity);
        autocreate_set_waker(a, wake, c->session);
    }
    switch (autocreate_step(a)) {
    case MBOXOP_MORE:
        return 1;
    case MBOXOP_WAIT:
        cmd->wake_at = autocreate_deadline(a);
        return ERR_AGAIN;
    default:
        r = autocreate_result(a);
        if (r == 0) /* what of it fails is in the log: he has his mailboxes all the same */
            scripts_autocreate(c->ns->config, c->identity->userid);
        local_newcomer_cancel(state);
        return r;
    }
}

void local_newcomer_cancel(void **state)
{
    autocreate_free((struct autocreate **)state);
}
