/* conf.h: cyrus.conf(5), read into entries.
 *
 *     START { NAME cmd="..." }      SERVICES { NAME cmd="..." listen="..." prefork=1 ... }
 *     EVENTS { NAME cmd="..." period=30 }      DAEMON { NAME cmd="..." wait=y }
 *
 * An entry is a word and key=value pairs, in any order and on as many lines as one likes; a
 * value with blanks stands in double quotes (\" and \\ inside); # begins a comment. */
#ifndef MASTER_CONF_H
#define MASTER_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/pool.h"
#include "master/cron.h"

enum conf_section { CONF_START, CONF_SERVICES, CONF_EVENTS, CONF_DAEMON, CONF_SECTIONS };

struct conf_entry {
    enum conf_section section;
    const char *name;
    const char *cmd;
    char **argv; /* cmd's words, NULL-terminated; single quotes hold a word together */
    unsigned line, column;

    /* SERVICES */
    const char *listen;
    const char *proto;         /* "tcp", "tcp4", "tcp6", ... */
    int prefork;               /* processes with room to keep ready */
    int maxchild;              /* connections over all processes; -1: no bound */
    int maxfds;                /* descriptors for each session */
    int maxforkrate;           /* processes started in a second; 0: no bound */
    bool babysit;              /* keep at least one, however often it fails */
    int maxsessions;           /* sessions of one process; 0: no bound of its own */
    const char *proxyprotocol; /* NULL: not asked for */

    /* EVENTS: a time of day (`at` is one too), or every `period` minutes (0: once, at the start) */
    bool has_time;
    struct cron cron;
    int period;

    /* DAEMON */
    bool wait;

    struct conf_entry *next; /* of the same section, in the file's order */
};

struct conf {
    struct pool *pool; /* holds everything */
    struct conf_entry *sections[CONF_SECTIONS];
};

/* Parses the text of a file called `name` (for messages).  0, or ERR_CONFIG with
 * "NAME:LINE:COLUMN: what is wrong" in *error_r (malloc'ed).  Keys nobody knows are left out;
 * `unknown_key` (may be NULL) is called for each. */
int conf_parse(const char *name, const char *text, size_t n,
               void (*unknown_key)(const char *place, const char *key), struct conf **conf_r, char **error_r);
/* The same for a file of at most 1 MiB. */
int conf_read(const char *path, void (*unknown_key)(const char *place, const char *key), struct conf **conf_r,
              char **error_r);
void conf_free(struct conf **conf);

/* "SERVICES" and its like. */
const char *conf_section_name(enum conf_section section);

#endif
