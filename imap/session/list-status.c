/* list-status.c: what only a mailbox's server knows of it, for LIST: its STATUS (RFC 5819), its special uses. */
#include <string.h>

#include "imap/session/list-private.h"
#include "imap/session/route.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/name/mboxname.h"
#include "lib/name/namespace.h"

/* ---- STATUS ---- */

int list_status_add(struct command *cmd, const struct mboxlist_record *record)
{
    struct list *l = cmd->state;
    struct leg *leg = route_leg(cmd->client, record);
    int r = 0;

    if (leg == NULL)
        return 0;
    if (leg->ops->status != NULL) {
        r = leg->ops->status(leg, cmd, record->name, l->options.status);
        cmd->failure = NULL;
        return r == ERR_SYNTAX ? r : 0; /* RFC 5819 section 2: nothing is told of one that fails */
    }
    leg_batch_add(&spread_part(&l->spread, leg)->batch, record->name);
    l->asked_count++;
    return 0;
}

static int ask_status(struct command *cmd, struct spread_part *part)
{
    struct list *l = cmd->state;

    return part->leg->ops->status_many(part->leg, cmd, &part->batch, l->options.status);
}

int list_status_run(struct command *cmd)
{
    struct list *l = cmd->state;
    int r = spread_run(&l->spread, cmd, ask_status);

    if (r == ERR_AGAIN)
        return r;
    spread_reset(&l->spread);
    l->asked_count = 0;
    return 0;
}

void list_status_free(struct list *l)
{
    spread_reset(&l->spread);
}

/* ---- special uses ---- */

int list_specials_begin(struct command *cmd)
{
    struct list *l = cmd->state;
    struct client *c = cmd->client;
    const struct mboxlist_record *record;
    struct mboxlist_iter *iter;
    struct leg *leg;
    int r = 0;

    l->specials = hash_new(NULL);
    if (*c->ns->inbox == '\0')
        return 0;
    iter = mboxlist_iter_all(c->list, c->ns->inbox, MBOXLIST_TYPE_BIT(MBOXLIST_REMOTE));
    while ((r = mboxlist_iter_next(iter, &record)) == 1)
        if ((strcmp(record->name, c->ns->inbox) == 0 || mboxname_is_below(record->name, c->ns->inbox)) &&
            (leg = route_leg(c, record)) != NULL)
            spread_part(&l->spread, leg);
    mboxlist_iter_free(&iter);
    return r;
}

static void take_special(const char *internal, const char *uses, void *context)
{
    struct command *cmd = context;
    struct list *l = cmd->state;

    hash_set(l->specials, internal, pool_strdup(cmd->pool, uses));
}

static int ask_specials(struct command *cmd, struct spread_part *part)
{
    return part->leg->ops->specials(part->leg, cmd, take_special, cmd);
}

int list_specials_run(struct command *cmd)
{
    struct list *l = cmd->state;
    int r = spread_run(&l->spread, cmd, ask_specials);

    if (r == 0)
        spread_reset(&l->spread);
    return r;
}
