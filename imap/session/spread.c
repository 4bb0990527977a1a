#include "imap/session/spread.h"

#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

void leg_batch_add(struct leg_batch *batch, const char *internal)
{
    if (batch->count == batch->room) {
        batch->room = batch->room == 0 ? 32 : 2 * batch->room;
        batch->names = xreallocarray(batch->names, batch->room, sizeof(*batch->names));
    }
    batch->names[batch->count++] = xstrdup(internal);
}

void leg_batch_free(struct leg_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        free(batch->names[i]);
    free(batch->names);
    *batch = (struct leg_batch){0};
}

struct spread_part *spread_part(struct spread *s, struct leg *leg)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->parts[i].leg == leg)
            return &s->parts[i];
    if (s->count == s->room) {
        s->room = s->room == 0 ? 4 : 2 * s->room;
        s->parts = xreallocarray(s->parts, s->room, sizeof(*s->parts));
    }
    s->parts[s->count] = (struct spread_part){.leg = leg};
    return &s->parts[s->count++];
}

/* What a part waits for is told in cmd->wake_at: the earliest counts. */
static int run_part(struct command *cmd, struct spread_part *part, int64_t *wake_at,
                    int (*ask)(struct command *cmd, struct spread_part *part, void *context), void *context)
{
    int r;

    cmd->wake_at = CLOCK_NEVER;
    r = ask(cmd, part, context);
    if (r == ERR_AGAIN) {
        if (cmd->wake_at < *wake_at)
            *wake_at = cmd->wake_at;
        return r;
    }
    part->done = true;
    part->result = r;
    cmd->failure = NULL;
    return 0;
}

int spread_run(struct spread *s, struct command *cmd,
               int (*ask)(struct command *cmd, struct spread_part *part, void *context), void *context)
{
    int64_t wake_at = CLOCK_NEVER;
    unsigned running = 0, most = s->at_once != 0 ? s->at_once : SPREAD_AT_ONCE;

    for (size_t i = 0; i < s->count && running < most; i++)
        if (!s->parts[i].done && run_part(cmd, &s->parts[i], &wake_at, ask, context) == ERR_AGAIN)
            running++;
    cmd->wake_at = wake_at;
    return running > 0 ? ERR_AGAIN : 0;
}

void spread_reset(struct spread *s)
{
    for (size_t i = 0; i < s->count; i++)
        leg_batch_free(&s->parts[i].batch);
    free(s->parts);
    *s = (struct spread){0};
}
