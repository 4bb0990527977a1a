#include "imap/session/select-params.h"

#include <string.h>

#include "imap/session/annotate-args.h"
#include "imap/session/capability.h"
#include "lib/base/error.h"

static int fail(struct imap_args *args, const char *text)
{
    args->error = text;
    return ERR_SYNTAX;
}

/* A set that does not depend on what is in the mailbox. */
static int read_known(struct imap_args *args, const char **set_r)
{
    if (imap_args_seqset(args, set_r) < 0)
        return ERR_SYNTAX;
    return strpbrk(*set_r, "*$") == NULL ? 0 : fail(args, "Not allowed in a set of known messages: * and $");
}

static uint64_t size_of(struct pool *pool, const char *text)
{
    struct seqset set;

    seqset_init(&set, pool);
    return seqset_parse(&set, text, strlen(text), 0) == 0 ? seqset_count(&set) : 0;
}

/* "(numbers uids)" */
static int read_match(struct imap_args *args, struct select_params *params)
{
    if (imap_args_char(args, '(') < 0 || read_known(args, &params->match_seqs) < 0 ||
        imap_args_space(args) < 0 || read_known(args, &params->match_uids) < 0 ||
        imap_args_char(args, ')') < 0)
        return ERR_SYNTAX;
    if (size_of(args->pool, params->match_seqs) != size_of(args->pool, params->match_uids))
        return fail(args, "Not as many UIDs as message numbers");
    return 0;
}

/* "(uidvalidity modseq [known-uids] [match])" */
static int read_qresync(struct imap_args *args, struct select_params *params)
{
    bool more;

    if (imap_args_space(args) < 0 || imap_args_char(args, '(') < 0 ||
        imap_args_nz_number(args, &params->uidvalidity) < 0 || imap_args_space(args) < 0 ||
        imap_args_modseq(args, false, &params->modseq) < 0)
        return ERR_SYNTAX;
    more = imap_args_skip(args, ' ');
    if (more && imap_args_peek(args) != '(') {
        if (read_known(args, &params->known_uids) < 0)
            return ERR_SYNTAX;
        more = imap_args_skip(args, ' ');
    }
    if (more && read_match(args, params) < 0)
        return ERR_SYNTAX;
    return imap_args_char(args, ')');
}

static int read_param(struct imap_args *args, struct select_params *params)
{
    if (!params->condstore && !capability_is_suppressed("CONDSTORE") && imap_args_word(args, "CONDSTORE")) {
        params->condstore = true;
        return 0;
    }
    if (!params->qresync && !capability_is_suppressed("QRESYNC") && imap_args_word(args, "QRESYNC")) {
        params->qresync = true;
        return read_qresync(args, params);
    }
    if (!params->annotate && !capability_is_suppressed(ANNOTATE_CAPABILITY) &&
        imap_args_word(args, "ANNOTATE")) {
        params->annotate = true;
        return 0;
    }
    return fail(args, "Invalid parameter");
}

int select_params_parse(struct imap_args *args, struct select_params *params)
{
    int r;

    memset(params, 0, sizeof(*params));
    if (imap_args_at_end(args))
        return imap_args_end(args);
    if (imap_args_space(args) < 0 || imap_args_char(args, '(') < 0)
        return ERR_SYNTAX;
    do {
        r = read_param(args, params);
    } while (r == 0 && imap_args_skip(args, ' '));
    if (r == 0)
        r = imap_args_char(args, ')');
    return r < 0 ? r : imap_args_end(args);
}
