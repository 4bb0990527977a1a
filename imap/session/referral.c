#include "imap/session/referral.h"

#include <string.h>

#include "lib/base/options.h"
#include "lib/charset/utf7.h"
#include "lib/imapwire/url.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/name/acl.h"
#include "lib/name/identity.h"
#include "lib/name/namespace.h"

void referral_accept(struct client *c)
{
    c->takes_referrals = c->is_itself && !opt_switch(OPT_PROXYD_DISABLE_MAILBOX_REFERRALS);
}

/* The server of the user's INBOX is the one that he came for. */
static bool is_at_home(const struct client *c, const char *server)
{
    struct pool *pool = pool_new(0);
    struct mboxlist_record inbox;
    bool yes = *c->ns->inbox != '\0' && mboxlist_lookup(c->list, c->ns->inbox, pool, &inbox) == 0 &&
               strcmp(inbox.server, server) == 0;

    pool_free(&pool);
    return yes;
}

bool referral_is_due(const struct client *c, const struct mboxlist_record *record)
{
    return c->takes_referrals && record->type == MBOXLIST_REMOTE &&
           (client_rights(c, record->name, record->acl) & ACL_LOOKUP) != 0 && !is_at_home(c, record->server);
}

void referral_url(const char *userid, const char *server, const char *external, struct buf *to)
{
    struct buf name = BUF_INIT;

    if (utf7_to_utf8(external, strlen(external), &name) < 0)
        buf_puts(&name, external);
    buf_puts(to, "imap://");
    imap_url_escape(userid, "", to);
    buf_printf(to, ";AUTH=*@%s/", server);
    imap_url_escape(buf_cstr(&name), "/", to);
    buf_free(&name);
}

enum step referral_answer(struct command *cmd, const struct mboxlist_record *record)
{
    const struct client *c = cmd->client;
    struct buf external = BUF_INIT, code = BUF_INIT;
    struct namespace ns = *c->ns;

    ns.utf8 = false;
    namespace_to_external(&ns, record->name, &external);
    buf_puts(&code, "REFERRAL ");
    referral_url(c->identity->userid, record->server, buf_cstr(&external), &code);
    command_no(cmd, buf_cstr(&code), "Remote mailbox");
    buf_free(&external);
    buf_free(&code);
    return STEP_DONE;
}
