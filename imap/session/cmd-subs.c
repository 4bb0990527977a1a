/* cmd-subs.c: LSUB, RLSUB, SUBSCRIBE, UNSUBSCRIBE: kept by the server of the user's INBOX, filtered by the mailbox
 * list here. */
#include <string.h>

#include "imap/session/commands.h"
#include "imap/session/list.h"
#include "imap/session/referral.h"
#include "imap/session/route.h"
#include "lib/base/error.h"
#include "lib/base/options.h"
#include "lib/imapwire/args.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/name/identity.h"
#include "lib/name/namespace.h"

/* ---- LSUB, RLSUB ---- */

struct lsub {
    struct list_patterns patterns;
    struct list_levels levels;
    struct command *cmd;
    bool unfiltered; /* names that are not in the list are told too */
    struct buf name;
};

/* The user's uses of a mailbox, as far as the list here has them. */
static const char *uses_of(const struct client *c, const struct mboxlist_record *record, struct pool *pool)
{
    if (record->type != MBOXLIST_LOCAL || !opt_switch(OPT_SPECIALUSEALWAYS))
        return "";
    return mboxlist_special_use(record, c->identity->userid, pool);
}

/* One subscription.  A frontend asks its backend for all of a user's: it filters by its own list. */
static void take_subscription(const char *internal, void *context)
{
    struct lsub *l = context;
    struct client *c = l->cmd->client;
    struct pool *pool = pool_new(0);
    struct mboxlist_record record;
    bool listed = mboxlist_lookup(c->list, internal, pool, &record) == 0 && list_is_visible(c, &record);

    buf_reset(&l->name);
    if ((listed || l->unfiltered) && namespace_to_external(c->ns, internal, &l->name) == 0) {
        list_levels_tell(&l->levels, c, &l->patterns, buf_cstr(&l->name), "LSUB", "\\Noselect");
        if (list_matches(&l->patterns, l->name.data, l->name.len))
            list_put(c, "LSUB", listed ? uses_of(c, &record, pool) : "", buf_cstr(&l->name), "");
    }
    pool_free(&pool);
}

static enum step lsub_step(struct command *cmd)
{
    struct lsub *l = cmd->state;
    int r = cmd->leg == NULL ? route_list(cmd) : 0;

    if (r == 0)
        r = route_subscriptions(cmd, take_subscription, l);
    if (r == ERR_AGAIN)
        return STEP_WAIT;
    return r < 0 ? command_error(cmd, r) : command_ok(cmd, NULL, "Completed");
}

static void lsub_cleanup(struct command *cmd)
{
    struct lsub *l = cmd->state;

    list_patterns_free(&l->patterns);
    list_levels_free(&l->levels);
    buf_free(&l->name);
}

enum step cmd_lsub(struct command *cmd)
{
    struct lsub *l = pool_alloc(cmd->pool, sizeof(*l));
    struct client *c = cmd->client;
    struct imap_args args;

    if (cmd->def->id == COMMAND_RLSUB)
        referral_accept(c);
    command_args(cmd, &args);
    cmd->state = l;
    cmd->cleanup = lsub_cleanup;
    if (list_patterns_read(&args, false, &l->patterns) < 0 || imap_args_end(&args) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    if (list_patterns_compile(&l->patterns, c->ns->separator, false) < 0)
        return command_no(cmd, "LIMIT", "Pattern too long");
    l->cmd = cmd;
    l->unfiltered = opt_switch(OPT_ALLOWALLSUBSCRIBE) || c->is_proxied;
    list_levels_init(&l->levels);
    if (*l->patterns.texts[0] == '\0') {
        list_put(c, "LSUB", "\\Noselect", "", "");
        return command_ok(cmd, NULL, "Completed");
    }
    cmd->step = lsub_step;
    return lsub_step(cmd);
}

/* ---- SUBSCRIBE, UNSUBSCRIBE ---- */

static enum step pass_step(struct command *cmd)
{
    int r = route_inbox(cmd, &cmd->leg);

    if (r == ERR_AGAIN)
        return STEP_WAIT;
    if (r < 0)
        return command_error(cmd, r);
    return cmd->leg->ops->start(cmd->leg, cmd);
}

/* Only what exists can be subscribed; a backend leaves that to the frontend that knows the whole list. */
static enum step check_step(struct command *cmd)
{
    struct client *c = cmd->client;
    struct mboxlist_record record;
    int r = route_lookup(cmd, cmd->mailbox, &record);

    if (r == ERR_AGAIN)
        return STEP_WAIT;
    if (r == 0 && !list_is_visible(c, &record))
        r = ERR_NOTFOUND;
    if (r < 0)
        return command_error(cmd, r);
    cmd->step = pass_step;
    return pass_step(cmd);
}

enum step cmd_subscribe(struct command *cmd)
{
    struct imap_args args;
    const char *external;
    bool any = cmd->def->id == COMMAND_UNSUBSCRIBE || opt_switch(OPT_ALLOWALLSUBSCRIBE);
    int r;

    command_args(cmd, &args);
    if (imap_args_mailbox(&args, &external) < 0 || imap_args_end(&args) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    r = client_name_in(cmd->client, cmd->pool, external, &cmd->mailbox);
    if (r < 0)
        return command_error(cmd, r);
    cmd->step = any || cmd->client->is_proxied ? pass_step : check_step;
    return cmd->step(cmd);
}
