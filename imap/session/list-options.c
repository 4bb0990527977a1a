/* list-options.c: what a frontend's LIST says beside reference and pattern. */
#include "imap/session/list.h"
#include "lib/base/error.h"

static int unknown(struct imap_args *args)
{
    args->error = "Invalid LIST option";
    return ERR_SYNTAX;
}

static int take_selection(struct imap_args *args, struct list_options *o)
{
    if (imap_args_word(args, "SUBSCRIBED"))
        o->only_subscribed = o->subscribed = true;
    else if (imap_args_word(args, "SPECIAL-USE"))
        o->only_special = o->special = true;
    else
        return unknown(args);
    return 0;
}

int list_options_select(struct imap_args *args, struct list_options *o)
{
    int r = 0;

    if (!imap_args_skip(args, '('))
        return 0;
    if (!imap_args_skip(args, ')')) {
        do {
            r = take_selection(args, o);
        } while (r == 0 && imap_args_skip(args, ' '));
        if (r == 0)
            r = imap_args_char(args, ')');
    }
    return r == 0 ? imap_args_space(args) : r;
}

/* "STATUS (items)": the items as they stand; whoever tells them reads them. */
static int take_status(struct imap_args *args, struct list_options *o)
{
    const char *begin;

    if (imap_args_space(args) < 0 || imap_args_peek(args) != '(')
        return unknown(args);
    begin = args->at;
    if (imap_args_skip_value(args) < 0)
        return ERR_SYNTAX;
    o->status = pool_strndup(args->pool, begin, (size_t)(args->at - begin));
    return 0;
}

static int take_return(struct imap_args *args, struct list_options *o)
{
    if (imap_args_word(args, "SUBSCRIBED"))
        o->subscribed = true;
    else if (imap_args_word(args, "SPECIAL-USE"))
        o->special = true;
    else if (imap_args_word(args, "STATUS"))
        return take_status(args, o);
    else if (!imap_args_word(args, "CHILDREN"))
        return unknown(args);
    return 0;
}

int list_options_return(struct imap_args *args, struct list_options *o)
{
    int r = 0;

    if (imap_args_skip(args, ' ')) {
        if (!imap_args_word(args, "RETURN") || imap_args_space(args) < 0 || imap_args_char(args, '(') < 0)
            return unknown(args);
        if (imap_args_skip(args, ')'))
            return imap_args_end(args);
        do {
            r = take_return(args, o);
        } while (r == 0 && imap_args_skip(args, ' '));
        if (r == 0)
            r = imap_args_char(args, ')');
    }
    return r == 0 ? imap_args_end(args) : r;
}
