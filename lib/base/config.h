/* config.h: reading imapd.conf.
 *
 * A line is `name: value`; blank lines and lines starting with # are ignored; a value runs
 * to the end of its line, blanks at both ends cut; a backslash at the end of a line joins the
 * next one to it; names are case-insensitive, and of two lines with one name the last counts;
 * `@include: FILE` reads another file at that place (nesting at most 16 deep; a relative name
 * is relative to the including file).  Options that Cyrus knows and iatlas does not are named
 * once in the log, as are lines nobody knows; neither is fatal.  A line of another form, or a
 * value that the option cannot have, is. */
#ifndef LIB_BASE_CONFIG_H
#define LIB_BASE_CONFIG_H

#include <stdbool.h>

#include "lib/base/buf.h"

/* The path that -C has by default: the environment variable IATLAS_CONFIG, which master sets for all
 * that it starts, else /etc/imapd.conf. */
const char *config_default_path(void);

/* Reads the file for the service of that name (as in cyrus.conf: "imap", "lmtp"...; NULL for
 * a tool).  Once per process, before there are threads; the log is opened from it under
 * `ident`, the umask set.  On failure a message with file and line is in *error_r (malloc'ed)
 * and ERR_CONFIG is returned.  (Unit tests may call it again: everything is replaced.) */
int config_read(const char *path, const char *service, const char *ident, char **error_r);

/* One more line, as if it stood last: a tool's command line.  After config_read(), or without any; before there are
 * threads.  0, or ERR_CONFIG with what is wrong in *error_r (malloc'ed). */
int config_set(const char *name, const char *value, char **error_r);

/* The path that config_read() was given. */
const char *config_file(void);

/* What is wrong with the file without being fatal. */
enum config_problem {
    CONFIG_UNKNOWN,     /* a line that nobody knows */
    CONFIG_UNSUPPORTED, /* an option of Cyrus that iatlas does not have */
    CONFIG_UNUSED,      /* an option of the table that no code reads yet */
    CONFIG_BAD_WORD,    /* a word that the option does not have; ignored */
    CONFIG_REPEATED,    /* given before; the last counts */
};
/* Calls fn for each, in the file's order. */
void config_problems(void (*fn)(enum config_problem problem, const char *name, const char *value,
                                void *context),
                     void *context);
/* Writes them to the log.  master does, for its own file; a service does that runs without our
 * master or with a file of its own. */
void config_report(void);

/* The value of a name that is configured by pattern: `be1_password`, `partition-default`,
 * `sasl_mech_list`, `<host>_<service>_port`...  NULL when not given.  As everywhere,
 * `<service>_NAME` wins. */
const char *config_overflow(const char *name);

/* Calls fn for every line whose name starts with `prefix`, in the file's order. */
void config_overflow_each(const char *prefix, void (*fn)(const char *name, const char *value, void *context),
                          void *context);

/* The directory of a partition, or NULL. */
const char *config_partition(const char *name);
/* The directory for the metadata of a partition's mailboxes, or NULL: beside their messages. */
const char *config_metapartition(const char *name);

/* `<host>_<suffix>` for a server name that may carry a port ("be1.lab:2143"): the host up to
 * its first dot, with the port first (`be1_2143_password`), then without; an address
 * literal whole, its '.' and ':' as '_'.  NULL when neither is given. */
const char *config_host_overflow(const char *server, const char *suffix);

/* configdirectory + "/" + a formatted rest, into `to` (replaced). */
void config_path(struct buf *to, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* servername, or the machine's own host name. */
const char *config_servername(void);

/* Is `userid` in the blank-separated list (exactly)?  list may be NULL. */
bool config_list_has(const char *list, const char *userid);

enum config_role { CONFIG_STANDALONE, CONFIG_FRONTEND, CONFIG_BACKEND, CONFIG_UNIFIED };
/* By mupdate_server, proxyservers and mupdate_config: without mupdate_server standalone; with
 * `unified` both; else a frontend where proxyservers is not given, a backend where it is. */
enum config_role config_role(void);

#endif
