#include "imap/session/create-args.h"

#include <string.h>

#include "imap/session/capability.h"
#include "lib/base/buf.h"
#include "lib/base/error.h"

enum { USES_MAX = 32 };

/* use-attr = "\" atom */
static int read_use(struct imap_args *args, struct buf *uses)
{
    const char *name;

    if (imap_args_char(args, '\\') < 0 || imap_args_atom(args, &name) < 0)
        return ERR_SYNTAX;
    buf_printf(uses, "%s\\%s", uses->len > 0 ? " " : "", name);
    return 0;
}

/* "(" [use-attr *(SP use-attr)] ")" */
static int read_uses(struct imap_args *args, struct buf *uses)
{
    unsigned count = 0;
    int r = imap_args_char(args, '(');

    if (r < 0 || imap_args_skip(args, ')'))
        return r;
    do {
        if (count++ == USES_MAX) {
            args->error = "Too many special uses";
            return ERR_SYNTAX;
        }
        r = read_use(args, uses);
    } while (r == 0 && imap_args_skip(args, ' '));
    return r == 0 ? imap_args_char(args, ')') : r;
}

/* RFC 4466 section 2.2: the parameters that there are. */
static int read_params(struct imap_args *args, struct create_args *a)
{
    struct buf uses = BUF_INIT;
    int r;

    if (capability_is_suppressed("CREATE-SPECIAL-USE") || !imap_args_word(args, "USE")) {
        args->error = "Invalid CREATE parameter";
        return ERR_SYNTAX;
    }
    r = imap_args_space(args);
    if (r == 0)
        r = read_uses(args, &uses);
    a->uses = pool_strdup(args->pool, buf_cstr(&uses));
    buf_free(&uses);
    return r == 0 ? imap_args_char(args, ')') : r;
}

int create_args_read(struct imap_args *args, struct create_args *a)
{
    int r = 0;

    *a = (struct create_args){0};
    if (imap_args_skip(args, ' ') && !imap_args_at_end(args))
        r = imap_args_skip(args, '(') ? read_params(args, a) : imap_args_astring(args, &a->place);
    return r == 0 ? imap_args_end(args) : r;
}
