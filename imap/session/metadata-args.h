/* metadata-args.h: the arguments of GETMETADATA and SETMETADATA (RFC 5464 section 5), and of LIST's RETURN (METADATA ...)
 * (RFC 9590). */
#ifndef IMAP_SESSION_METADATA_ARGS_H
#define IMAP_SESSION_METADATA_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/imapwire/args.h"

enum { METADATA_ENTRIES_MAX = 100 /* in a command */ };

struct metadata_entry {
    const char *text; /* as the client wrote it: "/shared/Comment" */
    const char *name; /* without the scope, in lower case: "/comment"; "" for a scope alone */
    bool is_private;
    const char *value; /* SETMETADATA: any bytes; NULL: NIL */
    size_t len;
};

enum metadata_depth { METADATA_DEPTH_0, METADATA_DEPTH_1, METADATA_DEPTH_INFINITY };

struct metadata_request {
    const char *mailbox; /* "" is the server */
    struct metadata_entry *entries;
    size_t count;
    enum metadata_depth depth;
    bool has_maxsize;
    uint32_t maxsize;
};

/* "[(option ...) ]mailbox [(option ...) ]entries": the options stand first by the grammar, second by the RFC's examples;
 * unknown ones are an error.  0; ERR_SYNTAX. */
int metadata_parse_get(struct imap_args *args, struct metadata_request *request_r);

/* "mailbox (entry value ...)".  Entries of the vendor tree need all their components here. */
int metadata_parse_set(struct imap_args *args, struct metadata_request *request_r);

/* Is `name` in what a request for `base` asks for, `base` itself left out? */
bool metadata_is_below(const char *name, const char *base, enum metadata_depth depth);

/* "entry" or "(entry ...)", for LIST: what follows is the caller's.  Likewise. */
int metadata_parse_entries(struct imap_args *args, struct metadata_request *request_r);

/* The entries as an argument for another server, in the pool. */
const char *metadata_entries_text(const struct metadata_request *request, struct pool *pool);

#endif
