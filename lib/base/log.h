/* log.h: the log: an event name and key=value pairs, both from checked lists.
 *
 *     LOG(LOG_INFO, LOGIN_OK, LOG_STR(USER, user), LOG_STR(MECH, mech));
 *
 * writes `login.ok user="fred" mech="PLAIN" session="be1-1795293321-6019-2"`.
 * Events stand in log-events.def, keys in log-keys.def, sorted; `make check` knows
 * both.  Values are escaped (no line can be forged), and cut at 512 bytes.  Never a
 * password, never message content.
 *
 * The target is the option log_target: a datagram to /dev/log in the form of RFC 3164
 * (non-blocking: what the socket does not take is counted and reported later as one
 * log.dropped event), a file (O_APPEND, one write(2) a line), or standard error, which is
 * also used where there is no /dev/log.  Any thread may log. */
#ifndef LIB_BASE_LOG_H
#define LIB_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h> /* LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG */

enum log_event_id {
#define EVENT(id, name, text) LOG_EVENT_##id,
#include "lib/base/log-events.def"
#undef EVENT
    LOG_EVENT_END
};

enum log_key {
    LOG_KEY_NONE = 0,
#define KEY(id, name, text) LOG_KEY_##id,
#include "lib/base/log-keys.def"
#undef KEY
    LOG_KEY_END
};

struct log_field {
    enum log_key key;
    enum { LOG_TYPE_STR, LOG_TYPE_INT } type;
    const char *str; /* NULL is written as "" */
    int64_t num;
};

#define LOG_STR(k, v) ((struct log_field){.key = LOG_KEY_##k, .type = LOG_TYPE_STR, .str = (v)})
#define LOG_INT(k, v) ((struct log_field){.key = LOG_KEY_##k, .type = LOG_TYPE_INT, .num = (int64_t)(v)})
/* The text of an error code, as key `error`. */
#define LOG_ERROR(code) LOG_STR(ERROR, error_text(code))

#define LOG(level, event, ...)                                                                               \
    log_event((level), LOG_EVENT_##event, (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}})

/* `fields` ends with key LOG_KEY_NONE. */
void log_event(int level, enum log_event_id event, const struct log_field *fields);

/* Opens the target; may be called again (a rotated file is opened anew).  `ident` is the program's name as the log shows it (copied;
 * syslog_prefix goes before it); `target` as the option log_target; `debug` lets
 * LOG_DEBUG through.  Before the first call everything goes to standard error.
 * 0, or what kept the file from being opened. */
int log_open(const char *ident, const char *target, int facility, int debug);

/* The session that this thread works for: its id goes into every line until the
 * next call (NULL: none).  The string is not copied. */
void log_set_session(const char *id);

/* Opens a file target anew (after it was rotated); what cannot be opened stays as it is. */
void log_reopen(void);

/* The number of a facility's name ("mail", "local6"...), or ERR_NOTFOUND. */
int log_facility(const char *name);

/* Does the log go to standard error (by option or for want of /dev/log)? */
bool log_is_stderr(void);

/* Messages the target did not take since the program began. */
uint64_t log_dropped(void);

#endif
