/* list-status.c: what only a mailbox's server knows of it, for LIST: its STATUS (RFC 5819), its annotations (RFC 9590). */
#include "imap/session/list-private.h"
#include "imap/session/metadata-args.h"
#include "imap/session/route.h"
#include "lib/base/error.h"

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

static int ask_status(struct command *cmd, struct spread_part *part, void *context)
{
    const struct list *l = context;

    return part->leg->ops->status_many(part->leg, cmd, &part->batch, l->options.status);
}

int list_status_run(struct command *cmd)
{
    struct list *l = cmd->state;
    int r = spread_run(&l->spread, cmd, ask_status, l);

    if (r == ERR_AGAIN)
        return r;
    spread_reset(&l->spread);
    l->asked_count = 0;
    return 0;
}

void list_status_free(struct list *l)
{
    spread_reset(&l->spread);
    spread_reset(&l->notes);
}

/* ---- METADATA ---- */

/* RFC 9590 section 3: of one that cannot be asked nothing is told. */
void list_metadata_add(struct command *cmd, const struct mboxlist_record *record)
{
    struct list *l = cmd->state;
    struct leg *leg = route_leg(cmd->client, record);

    if (leg == NULL)
        return;
    if (leg->ops->metadata != NULL) {
        leg->ops->metadata(leg, cmd, record->name, l->options.metadata);
        cmd->failure = NULL;
        return;
    }
    if (l->entries == NULL)
        l->entries = metadata_entries_text(l->options.metadata, cmd->pool);
    leg_batch_add(&spread_part(&l->notes, leg)->batch, record->name);
    l->asked_count++;
}

int list_metadata_run(struct command *cmd)
{
    struct list *l = cmd->state;

    for (size_t i = 0; i < l->notes.count; i++) {
        struct spread_part *part = &l->notes.parts[i];

        if (!part->done &&
            part->leg->ops->metadata_many(part->leg, cmd, &part->batch, l->entries) == ERR_AGAIN)
            return ERR_AGAIN;
        part->done = true;
        cmd->failure = NULL;
    }
    spread_reset(&l->notes);
    return 0;
}
