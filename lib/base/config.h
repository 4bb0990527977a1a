/* config.h: reading imapd.conf.
 *
 * A line is `name: value`; blank lines and lines starting with # are ignored; a value runs
 * to the end of its line, blanks at both ends cut; `@include: FILE` reads another file at
 * that place (nesting at most 16 deep).  Options that Cyrus knows and iatlas does not are
 * named once in the log, as are lines nobody knows; neither is fatal. */
#ifndef LIB_BASE_CONFIG_H
#define LIB_BASE_CONFIG_H

#include <stdbool.h>

#include "lib/base/buf.h"

/* The path that -C has by default. */
#define CONFIG_DEFAULT_PATH "/etc/imapd.conf"

/* Reads the file for the service of that name (as in cyrus.conf: "imap", "lmtp"...; NULL for
 * a tool).  Once per process; the log is opened from it under `ident`.  On failure a
 * message with file and line is in *error_r (malloc'ed) and ERR_CONFIG is returned. */
int config_read(const char *path, const char *service, const char *ident, char **error_r);

/* A name that is no option of the table but is configured by pattern: `be1_password`,
 * `partition-default`, `sasl_mech_list`, `<host>_<service>_port`...  NULL when not given.
 * As everywhere, `<service>_NAME` wins. */
const char *config_overflow(const char *name);

/* Calls fn for every such name that starts with `prefix`, in the file's order. */
void config_overflow_each(const char *prefix, void (*fn)(const char *name, const char *value, void *context),
                          void *context);

/* The directory of a partition, or NULL. */
const char *config_partition(const char *name);

/* `<host>_<suffix>` for a server name that may carry a port ("be1.lab:2143"): the host up to
 * its first dot, with the port first (`be1_2143_password`), then without; an address
 * literal whole, its '.' and ':' as '_'.  NULL when neither is given. */
const char *config_host_overflow(const char *server, const char *suffix);

/* configdirectory + "/" + a formatted rest, into `to`. */
void config_path(struct buf *to, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* servername, or the machine's own host name. */
const char *config_servername(void);

/* Is `userid` in the blank-separated list of the option (exactly; "group:x" names a group
 * whose members `in_group` decides, may be NULL)? */
bool config_list_has(const char *list, const char *userid);

enum config_role { CONFIG_STANDALONE, CONFIG_FRONTEND, CONFIG_BACKEND, CONFIG_UNIFIED };
/* By mupdate_server, proxyservers and mupdate_config (tools: "Roles"). */
enum config_role config_role(void);

#endif
