#include "imap/session/specials.h"

#include <string.h>

#include "imap/session/route.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/mboxlist/mboxlist.h"
#include "lib/mboxlist/special-use.h"
#include "lib/name/mboxname.h"
#include "lib/name/namespace.h"

int specials_begin(struct specials *s, struct command *cmd, const struct leg *except)
{
    static const char *const nobody[] = {NULL};
    struct client *c = cmd->client;
    const struct mboxlist_record *record;
    struct mboxlist_iter *iter;
    struct leg *leg;
    int r;

    *s = (struct specials){.uses = hash_new(NULL), .cmd = cmd};
    if (*c->ns->inbox == '\0')
        return 0;
    iter = mboxlist_iter_visible(c->list, NULL, c->ns->inbox, nobody, MBOXLIST_TYPE_BIT(MBOXLIST_REMOTE));
    while ((r = mboxlist_iter_next(iter, &record)) == 1)
        if ((leg = route_leg(c, record)) != NULL && leg != except)
            spread_part(&s->spread, leg);
    mboxlist_iter_free(&iter);
    return r;
}

static void take(const char *internal, const char *uses, void *context)
{
    struct specials *s = context;

    hash_set(s->uses, internal, pool_strdup(s->cmd->pool, uses));
}

static int ask(struct command *cmd, struct spread_part *part, void *context)
{
    return part->leg->ops->specials(part->leg, cmd, take, context);
}

int specials_run(struct specials *s)
{
    int r = spread_run(&s->spread, s->cmd, ask, s);

    if (r == 0)
        spread_reset(&s->spread);
    return r;
}

void specials_free(struct specials *s)
{
    spread_reset(&s->spread);
    hash_free(&s->uses);
}

const char *specials_of(const struct specials *s, const char *internal)
{
    const char *uses = s->uses != NULL ? hash_get(s->uses, internal) : NULL;

    return uses != NULL ? uses : "";
}

struct search {
    const char *wanted;
    bool found;
};

static void look_at(const char *internal, void *uses, void *context)
{
    struct search *search = context;

    (void)internal;
    search->found |= special_use_overlap(uses, search->wanted);
}

bool specials_have(const struct specials *s, const char *uses)
{
    struct search search = {.wanted = uses};

    hash_each(s->uses, look_at, &search);
    return search.found;
}
