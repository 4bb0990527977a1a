/* search-return.h: what a search returns (RFC 4731, 5182, 9394): the options of SEARCH, SORT and ESEARCH, as they are read. */
#ifndef IMAP_SESSION_SEARCH_RETURN_H
#define IMAP_SESSION_SEARCH_RETURN_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/imapwire/args.h"

enum search_return_option {
    RETURN_MIN = 1,
    RETURN_MAX = 2,
    RETURN_ALL = 4,
    RETURN_COUNT = 8,
    RETURN_SAVE = 16,
    RETURN_PARTIAL = 32
};

struct search_return {
    bool extended;            /* there was RETURN */
    unsigned options;         /* of RETURN_*; "()" is ALL */
    uint32_t first, last;     /* PARTIAL: first <= last */
    bool from_end;            /* ... counted from the last hit */
    uint32_t asked, asked_to; /* as they were asked for */
};

/* "RETURN (options) SP", which may be missing; `allowed`: RETURN_* that the command knows.  0 or ERR_SYNTAX. */
int search_parse_return(struct imap_args *args, unsigned allowed, struct search_return *ret);

#endif
