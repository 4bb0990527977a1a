#include "imap/session/status-items.h"

#include "imap/session/capability.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static const struct {
    const char *name, *capability;
} items[STATUS_ITEMS] = {
#define STATUS_ITEM(id, name, capability) {name, capability},
#include "imap/session/status-items.def"
#undef STATUS_ITEM
};

const char *status_item_name(enum status_item item)
{
    return items[item].name;
}

static int take_item(struct imap_args *args, unsigned *items_r)
{
    for (size_t i = 0; i < ARRAY_SIZE(items); i++) {
        if ((items[i].capability != NULL && capability_is_suppressed(items[i].capability)) ||
            !imap_args_word(args, items[i].name))
            continue;
        *items_r |= 1u << i;
        return 0;
    }
    args->error = "Invalid STATUS item";
    return ERR_SYNTAX;
}

int status_items_read(struct imap_args *args, unsigned *items_r)
{
    int r = imap_args_char(args, '(');

    *items_r = 0;
    if (r < 0)
        return r;
    do {
        r = take_item(args, items_r);
    } while (r == 0 && imap_args_skip(args, ' '));
    return r == 0 ? imap_args_char(args, ')') : r;
}
