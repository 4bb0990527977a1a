#include "imap/session/search-return.h"

#include "imap/session/capability.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

static const struct {
    const char *name;
    enum search_return_option option;
    const char *capability;
} options[] = {
    {"MIN", RETURN_MIN, "ESEARCH"},     {"MAX", RETURN_MAX, "ESEARCH"},
    {"ALL", RETURN_ALL, "ESEARCH"},     {"COUNT", RETURN_COUNT, "ESEARCH"},
    {"SAVE", RETURN_SAVE, "SEARCHRES"}, {"PARTIAL", RETURN_PARTIAL, "PARTIAL"},
};

static int fail(struct imap_args *args, const char *text)
{
    args->error = text;
    return ERR_SYNTAX;
}

/* "23500:24000" or "-1:-100" (RFC 9394 section 4). */
static int parse_range(struct imap_args *args, struct search_return *ret)
{
    bool from_end = imap_args_skip(args, '-');

    if (imap_args_nz_number(args, &ret->asked) < 0 || imap_args_char(args, ':') < 0 ||
        (from_end && imap_args_char(args, '-') < 0) || imap_args_nz_number(args, &ret->asked_to) < 0)
        return fail(args, "Invalid PARTIAL range");
    ret->from_end = from_end;
    ret->first = ret->asked < ret->asked_to ? ret->asked : ret->asked_to;
    ret->last = ret->asked < ret->asked_to ? ret->asked_to : ret->asked;
    return 0;
}

static int parse_option(struct imap_args *args, unsigned allowed, struct search_return *ret)
{
    const char *name;

    if (imap_args_atom(args, &name) < 0)
        return ERR_SYNTAX;
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        if (!str_ieq(name, options[i].name) || (options[i].option & allowed) == 0 ||
            capability_is_suppressed(options[i].capability))
            continue;
        if (options[i].option == RETURN_PARTIAL && (ret->options & RETURN_PARTIAL) != 0)
            return fail(args, "More than one PARTIAL");
        ret->options |= options[i].option;
        if (options[i].option != RETURN_PARTIAL)
            return 0;
        return imap_args_space(args) < 0 ? ERR_SYNTAX : parse_range(args, ret);
    }
    return fail(args, "Unknown return option");
}

int search_parse_return(struct imap_args *args, unsigned allowed, struct search_return *ret)
{
    *ret = (struct search_return){0};
    if (!imap_args_word(args, "RETURN"))
        return 0;
    ret->extended = true;
    if (imap_args_space(args) < 0 || imap_args_char(args, '(') < 0)
        return ERR_SYNTAX;
    while (!imap_args_skip(args, ')')) {
        if ((ret->options != 0 && imap_args_space(args) < 0) || parse_option(args, allowed, ret) < 0)
            return ERR_SYNTAX;
    }
    if (ret->options == 0)
        ret->options = RETURN_ALL;
    if ((ret->options & RETURN_ALL) != 0 && (ret->options & RETURN_PARTIAL) != 0)
        return fail(args, "ALL and PARTIAL exclude each other");
    return imap_args_space(args);
}
