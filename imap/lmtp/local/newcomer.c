/* The INBOX of a user who gets mail before he has ever logged in (autocreate_post). */
#include <stdlib.h>

#include "imap/lmtp/local/local-private.h"
#include "imap/mboxop/autocreate.h"
#include "imap/sievehost/scripts.h"
#include "imap/store/store.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/engine/engine.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/mupdate/link.h"
#include "lib/name/identity.h"

struct newcomer {
    struct identity *identity;
    struct mboxop_env env;
    struct autocreate *making;
};

static void wake(void *session)
{
    session_wake(session);
}

static bool has_inbox(const struct lmtpd_txn *txn, const struct local_state *s, const char *inbox)
{
    struct mboxlist_record record;

    return mboxlist_lookup(store_mboxlist(s->local->store), inbox, txn->pool, &record) != ERR_NOTFOUND;
}

static struct newcomer *newcomer_new(const struct lmtpd_txn *txn, const struct local_state *s,
                                     const struct lmtpd_names *names)
{
    struct newcomer *n;

    if (names->userid == NULL || !opt_switch(OPT_AUTOCREATE_POST) || has_inbox(txn, s, names->mailbox))
        return NULL;
    n = xcalloc(1, sizeof(*n));
    n->identity = identity_new(txn->naming->names, names->userid);
    if (identity_gets_inbox(n->identity)) {
        n->env = (struct mboxop_env){
            .config = txn->naming->names,
            .list = store_mboxlist(s->local->store),
            .store = s->local->store,
            .link = config_role() == CONFIG_STANDALONE ? NULL : mupdate_link(MUPDATE_MASTER),
            .server = config_servername(),
        };
        n->making = autocreate_new(&n->env, n->identity);
        autocreate_set_waker(n->making, wake, txn->session);
        return n;
    }
    local_newcomer_free(&n);
    return NULL;
}

void local_newcomer_free(struct newcomer **newcomer)
{
    struct newcomer *n = *newcomer;

    if (n == NULL)
        return;
    autocreate_free(&n->making);
    identity_free(&n->identity);
    free(n);
    *newcomer = NULL;
}

/* Made meanwhile by somebody else is as good. */
static void finish(struct lmtpd_txn *txn, struct local_state *s, struct lmtpd_rcpt *rcpt)
{
    int r = autocreate_result(s->newcomer->making);

    if (r == 0) /* what of it fails is in the log: he has his INBOX all the same */
        scripts_autocreate(txn->naming->names, rcpt->names.userid);
    local_newcomer_free(&s->newcomer);
    if (r < 0 && !has_inbox(txn, s, rcpt->names.mailbox))
        lmtpd_answer_error(txn, rcpt, r == ERR_EXISTS ? ERR_UNAVAILABLE : r);
}

enum lmtpd_verdict local_newcomer(struct lmtpd_txn *txn, struct local_state *s, struct lmtpd_rcpt *rcpt)
{
    if (s->newcomer == NULL)
        s->newcomer = newcomer_new(txn, s, &rcpt->names);
    if (s->newcomer == NULL)
        return LMTPD_DONE;
    switch (autocreate_step(s->newcomer->making)) {
    case MBOXOP_MORE:
        return LMTPD_MORE;
    case MBOXOP_WAIT:
        return LMTPD_WAIT;
    default:
        finish(txn, s, rcpt);
        return LMTPD_DONE;
    }
}

int64_t local_newcomer_deadline(const struct local_state *s)
{
    return s->newcomer != NULL ? autocreate_deadline(s->newcomer->making) : CLOCK_NEVER;
}
