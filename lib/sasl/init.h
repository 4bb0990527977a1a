/* init.h: what both sides of SASL need once a process. */
#ifndef LIB_SASL_INIT_H
#define LIB_SASL_INIT_H

#include <stdbool.h>
#include <stddef.h>

enum {
    SASL_NAME_MAX = 255,           /* bytes of a user name */
    SASL_DATA_MAX = 32 * 1024,     /* bytes of one challenge or response, decoded */
    SASL_LAYER_BUFFER_MAX = 16384, /* packets of a security layer, wrapped */
};

/* What a start or step may return above 0. */
enum sasl_status {
    SASL_STATUS_DONE = 0,     /* authenticated; the data may be NULL (nothing to send) */
    SASL_STATUS_CONTINUE = 1, /* send the data (empty if NULL), give the answer to _step */
};

/* Makes libsasl2 ready: our mutexes, options (`sasl_NAME`, `sasl_PLUGIN_NAME` of imapd.conf), log.
 * Called by the first server or client of a process too; any thread.  0, or ERR_CONFIG. */
int sasl_setup(void);

/* The rules for names of users: 1 to SASL_NAME_MAX bytes of UTF-8 without control characters,
 * blanks at both ends cut; ASCII letters lowered when the option username_tolower says so; the default
 * domain cut where there are virtual domains.  Writes the
 * name with a NUL to `to` (SASL_NAME_MAX + 1 bytes).  0, or ERR_INVALID. */
int sasl_canonical_name(const char *name, size_t n, char *to);

#endif
