/* select-params.h: the parameters of SELECT and EXAMINE (RFC 4466 section 2.1; RFC 7162 sections 3.1.8, 3.2.5). */
#ifndef IMAP_SESSION_SELECT_PARAMS_H
#define IMAP_SESSION_SELECT_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/imapwire/args.h"

struct select_params {
    bool condstore;
    bool qresync;
    bool annotate; /* RFC 5257 section 4.2 */
    /* With qresync, what the client remembers: */
    uint32_t uidvalidity;
    uint64_t modseq;
    const char *known_uids;              /* a set without `*`; NULL: all */
    const char *match_seqs, *match_uids; /* as many numbers as UIDs, without `*`; NULL: none */
};

/* Reads what follows the mailbox: nothing, or " (parameter ...)", to the end.  Texts are in the pool of `args`.
 * 0 or ERR_SYNTAX: also for what a suppressed capability would bring, and for a parameter that comes twice. */
int select_params_parse(struct imap_args *args, struct select_params *params);

#endif
