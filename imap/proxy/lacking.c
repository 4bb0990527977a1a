/* lacking.c: what a command asks for and the mailbox's server does not have. */
#include <string.h>

#include "imap/proxy/proxy-private.h"
#include "imap/session/capability.h"
#include "imap/session/enable.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

static bool has(void *context, const char *name)
{
    const struct proxy_leg *p = context;

    return backend_has(p->backend, name);
}

/* What the client has enabled changes all that is said of messages: a mailbox whose server cannot do so is not selected. */
static const char *lacks_enabled(struct proxy_leg *p)
{
    static const enum enable_bit strict[] = {ENABLE_BIT_UIDONLY};

    for (size_t i = 0; i < ARRAY_SIZE(strict); i++)
        if (enable_is_on(p->leg.client, 1u << strict[i]) && !backend_has(p->backend, enable_name(strict[i])))
            return enable_name(strict[i]);
    return NULL;
}

const char *proxy_lacks_command(struct proxy_leg *p, const struct command *cmd)
{
    const char *name = cmd->def->capability;

    if (cmd->def->id == COMMAND_SELECT || cmd->def->id == COMMAND_EXAMINE)
        return lacks_enabled(p);
    return name != NULL && capability_needs_server(name) && !backend_has(p->backend, name) ? name : NULL;
}

const char *proxy_lacks_words(struct proxy_leg *p, const struct command *cmd, const char *text, size_t len)
{
    bool bad = len >= 3 && str_ieq_n(text, "BAD", 3);

    return bad && p->backend != NULL ? capability_lacking(cmd, has, p) : NULL;
}

enum step proxy_lacking(const struct proxy_leg *p, struct command *cmd, const char *capability)
{
    return command_no(cmd, "CANNOT", "Server %s does not have %s", p->leg.server, capability);
}
