/* list-options.c: what LIST says beside reference and pattern. */
#include "imap/session/capability.h"
#include "imap/session/list.h"
#include "imap/session/metadata-args.h"
#include "imap/session/status-items.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

/* An option is there with the capability that it came with. */
struct list_option {
    const char *word, *capability;
    size_t place;
};

#define OPTION(word, capability, field)                                                                      \
    {                                                                                                        \
        word, capability, offsetof(struct list_options, field)                                               \
    }

static const struct list_option selections[] = {
    OPTION("SUBSCRIBED", "LIST-EXTENDED", only_subscribed),
    OPTION("REMOTE", "LIST-EXTENDED", remote),
    OPTION("RECURSIVEMATCH", "LIST-EXTENDED", recursive),
    OPTION("SPECIAL-USE", "SPECIAL-USE", only_special),
};

static const struct list_option returns[] = {
    OPTION("SUBSCRIBED", "LIST-EXTENDED", subscribed),
    OPTION("CHILDREN", "LIST-EXTENDED", children),
    OPTION("SPECIAL-USE", "SPECIAL-USE", special),
    OPTION("MYRIGHTS", "LIST-MYRIGHTS", myrights),
};

static int unknown(struct imap_args *args)
{
    args->error = "Invalid LIST option";
    return ERR_SYNTAX;
}

static bool take(struct imap_args *args, const struct list_option *table, size_t count,
                 struct list_options *o)
{
    for (size_t i = 0; i < count; i++) {
        if (capability_is_suppressed(table[i].capability) || !imap_args_word(args, table[i].word))
            continue;
        *(bool *)((char *)o + table[i].place) = true;
        return true;
    }
    return false;
}

/* RFC 5258 section 6: RECURSIVEMATCH wants a list-select-base-opt beside it, which SPECIAL-USE is not (RFC 6154 section
 * 6). */
static int check_selection(struct imap_args *args, struct list_options *o)
{
    if (o->recursive && !o->only_subscribed) {
        args->error = "RECURSIVEMATCH needs another selection option";
        return ERR_SYNTAX;
    }
    o->subscribed |= o->only_subscribed; /* implied */
    o->special |= o->only_special;
    return 0;
}

int list_options_select(struct imap_args *args, struct list_options *o)
{
    int r = 0;

    if (!imap_args_skip(args, '('))
        return 0;
    o->extended = true;
    if (!imap_args_skip(args, ')')) {
        do {
            r = take(args, selections, ARRAY_SIZE(selections), o) ? 0 : unknown(args);
        } while (r == 0 && imap_args_skip(args, ' '));
        if (r == 0)
            r = imap_args_char(args, ')');
    }
    if (r == 0)
        r = check_selection(args, o);
    return r == 0 ? imap_args_space(args) : r;
}

/* "STATUS (items)": checked, and kept as they stand for whoever tells them. */
static int take_status(struct imap_args *args, struct list_options *o)
{
    const char *begin;
    unsigned items;

    if (imap_args_space(args) < 0)
        return unknown(args);
    begin = args->at;
    if (status_items_read(args, &items) < 0)
        return ERR_SYNTAX;
    o->status = pool_strndup(args->pool, begin, (size_t)(args->at - begin));
    return 0;
}

static int take_metadata(struct imap_args *args, struct list_options *o)
{
    struct metadata_request *request = pool_alloc(args->pool, sizeof(*request));

    if (imap_args_space(args) < 0)
        return unknown(args);
    o->metadata = request;
    return metadata_parse_entries(args, request);
}

static int take_return(struct imap_args *args, struct list_options *o)
{
    if (take(args, returns, ARRAY_SIZE(returns), o))
        return 0;
    if (!capability_is_suppressed("LIST-STATUS") && imap_args_word(args, "STATUS"))
        return take_status(args, o);
    if (!capability_is_suppressed("LIST-METADATA") && imap_args_word(args, "METADATA"))
        return take_metadata(args, o);
    return unknown(args);
}

int list_options_return(struct imap_args *args, struct list_options *o)
{
    int r = 0;

    if (!imap_args_skip(args, ' '))
        return imap_args_end(args);
    if (!imap_args_word(args, "RETURN") || imap_args_space(args) < 0 || imap_args_char(args, '(') < 0)
        return unknown(args);
    o->extended = true;
    if (!imap_args_skip(args, ')')) {
        do {
            r = take_return(args, o);
        } while (r == 0 && imap_args_skip(args, ' '));
        if (r == 0)
            r = imap_args_char(args, ')');
    }
    return r == 0 ? imap_args_end(args) : r;
}
