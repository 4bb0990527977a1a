#include "imap/session/enable.h"

#include "imap/session/capability.h"
#include "imap/session/client.h"
#include "imap/session/notify.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/name/namespace.h"

static const struct {
    const char *capability;
    unsigned implied;
} table[ENABLE_BITS] = {
#define ENABLE(id, capability, implied) {capability, implied},
#include "imap/session/enable.def"
#undef ENABLE
};

const char *enable_name(enum enable_bit bit)
{
    BUG_ON(bit >= ENABLE_BITS);
    return table[bit].capability;
}

void enable_on(struct client *c, unsigned what)
{
    unsigned before = c->enabled;

    for (unsigned i = 0; i < ENABLE_BITS; i++)
        if ((what & (1u << i)) != 0 && !capability_is_suppressed(table[i].capability))
            c->enabled |= (1u << i) | table[i].implied;
    if (c->ns != NULL)
        c->ns->utf8 = (c->enabled & (ENABLED_UTF8 | ENABLED_IMAP4REV2)) != 0;
    if (c->enabled != before)
        notify_enabled(c);
}

bool enable_is_on(const struct client *c, unsigned what)
{
    return (c->enabled & what) == what;
}

unsigned enable_find(const struct client *c, const char *name)
{
    for (unsigned i = 0; i < ENABLE_BITS; i++)
        if (str_ieq(name, table[i].capability))
            return capability_is_announced(c, table[i].capability) ? 1u << i : 0;
    return 0;
}

void enable_put(unsigned what, struct buf *to)
{
    for (unsigned i = 0; i < ENABLE_BITS; i++)
        if ((what & (1u << i)) != 0)
            buf_printf(to, " %s", table[i].capability);
}
