#include "lib/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

enum { VALUE_MAX = 512, LINE_MAX_BYTES = 4096 };

static const char *const event_names[] = {
#define EVENT(id, name, text) name,
#include "lib/base/log-events.def"
#undef EVENT
};

static const char *const key_names[] = {
    "",
#define KEY(id, name, text) name,
#include "lib/base/log-keys.def"
#undef KEY
};

enum target { TARGET_STDERR, TARGET_FILE, TARGET_SYSLOG };

/* Guarded by `lock`: written by log_open() only. */
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct {
    enum target target;
    int fd; /* file or socket */
    int facility;
    bool debug;
    char ident[64];
    struct sockaddr_un address; /* of the syslog socket */
    char path[PATH_MAX];        /* of the file */
} out = {.target = TARGET_STDERR, .fd = -1, .facility = LOG_LOCAL6, .ident = "iatlas"};

static atomic_uint_fast64_t dropped;
static atomic_uint_fast64_t reported; /* of `dropped` */

static _Thread_local const char *session_id;

void log_set_session(const char *id)
{
    session_id = id;
}

uint64_t log_dropped(void)
{
    return dropped;
}

bool log_is_stderr(void)
{
    bool yes;

    pthread_rwlock_rdlock(&lock);
    yes = out.target == TARGET_STDERR;
    pthread_rwlock_unlock(&lock);
    return yes;
}

int log_facility(const char *name)
{
    static const struct {
        const char *name;
        int facility;
    } rows[] = {
        {"auth", LOG_AUTH},     {"authpriv", LOG_AUTHPRIV}, {"cron", LOG_CRON},     {"daemon", LOG_DAEMON},
        {"ftp", LOG_FTP},       {"kern", LOG_KERN},         {"lpr", LOG_LPR},       {"mail", LOG_MAIL},
        {"news", LOG_NEWS},     {"syslog", LOG_SYSLOG},     {"user", LOG_USER},     {"uucp", LOG_UUCP},
        {"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1},     {"local2", LOG_LOCAL2}, {"local3", LOG_LOCAL3},
        {"local4", LOG_LOCAL4}, {"local5", LOG_LOCAL5},     {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (str_ieq(rows[i].name, name))
            return rows[i].facility;
    }
    return ERR_NOTFOUND;
}

/* ---- a line ---- */

/* Quoted, so that no value can end the line or begin another key: " and \ with a backslash,
 * control characters and what is not UTF-8 as \xHH. */
static void append_quoted(struct buf *to, const char *s)
{
    size_t n = strnlen(s, VALUE_MAX + 1);
    bool cut = n > VALUE_MAX, utf8;

    n = cut ? VALUE_MAX : n;
    while (cut && n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
        n--; /* not in the middle of a character */
    utf8 = str_is_utf8(s, n);
    buf_putc(to, '"');
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8))
            buf_printf(to, "\\x%02x", c);
        else if (c == '"' || c == '\\')
            buf_printf(to, "\\%c", c);
        else
            buf_putc(to, (char)c);
    }
    buf_puts(to, cut ? "...\"" : "\"");
}

static void append_fields(struct buf *to, const struct log_field *fields)
{
    for (; fields->key != LOG_KEY_NONE; fields++) {
        buf_printf(to, " %s=", key_names[fields->key]);
        if (fields->type == LOG_TYPE_INT)
            buf_printf(to, "%lld", (long long)fields->num);
        else
            append_quoted(to, fields->str != NULL ? fields->str : "");
    }
    if (session_id != NULL) {
        buf_printf(to, " %s=", key_names[LOG_KEY_SESSION]);
        append_quoted(to, session_id);
    }
}

/* RFC 3164 section 4.1: <PRI>Mmm dd hh:mm:ss TAG[pid]: ...; the local socket has no host. */
static void append_syslog_head(struct buf *to, int level)
{
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = time(NULL);
    struct tm tm;

    localtime_r(&now, &tm);
    buf_printf(to, "<%d>%s %2d %02d:%02d:%02d %s[%d]: ", out.facility | level, months[tm.tm_mon], tm.tm_mday,
               tm.tm_hour, tm.tm_min, tm.tm_sec, out.ident, (int)getpid());
}

static void append_file_head(struct buf *to, int level)
{
    static const char *const levels[] = {"emerg",   "alert",  "crit", "error",
                                         "warning", "notice", "info", "debug"};
    struct timespec now;
    struct tm tm;
    char stamp[32];

    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &tm);
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
    buf_printf(to, "%s.%03ld %s[%d] %s: ", stamp, now.tv_nsec / 1000000, out.ident, (int)getpid(),
               levels[level & 7]);
}

/* ---- the targets ---- */

static bool deliver(const struct buf *line)
{
    ssize_t n;

    if (out.target != TARGET_SYSLOG)
        return file_write(out.target == TARGET_FILE ? out.fd : STDERR_FILENO, line->data, line->len) == 0;
    do {
        n = sendto(out.fd, line->data, line->len, MSG_DONTWAIT | MSG_NOSIGNAL,
                   (const struct sockaddr *)&out.address, sizeof(out.address));
    } while (n < 0 && errno == EINTR);
    return n >= 0;
}

static bool write_line(int level, enum log_event_id event, const struct log_field *fields)
{
    struct buf line = BUF_INIT;
    bool ok;

    if (out.target == TARGET_SYSLOG)
        append_syslog_head(&line, level);
    else
        append_file_head(&line, level);
    buf_puts(&line, event_names[event]);
    append_fields(&line, fields);
    if (line.len >= LINE_MAX_BYTES)
        buf_truncate(&line, LINE_MAX_BYTES - 1);
    if (out.target != TARGET_SYSLOG)
        buf_putc(&line, '\n');
    ok = deliver(&line);
    buf_free(&line);
    return ok;
}

/* Once the target takes messages again: how many it did not. */
static void report_dropped(void)
{
    uint64_t before = reported, now = dropped;

    if (now > before && atomic_compare_exchange_strong(&reported, &before, now))
        write_line(LOG_WARNING, LOG_EVENT_LOG_DROPPED,
                   (const struct log_field[]){LOG_INT(COUNT, now - before), {0}});
}

void log_event(int level, enum log_event_id event, const struct log_field *fields)
{
    int saved = errno;

    BUG_ON(event >= LOG_EVENT_END);
    pthread_rwlock_rdlock(&lock);
    if (level < LOG_DEBUG || out.debug) {
        if (write_line(level, event, fields))
            report_dropped();
        else
            atomic_fetch_add(&dropped, 1);
    }
    pthread_rwlock_unlock(&lock);
    errno = saved;
}

/* ---- opening ---- */

/* A descriptor for "syslog[:PATH]"; ERR_NOTFOUND where there is no such socket. */
static int open_syslog(const char *path, struct sockaddr_un *address)
{
    int fd;

    address->sun_family = AF_UNIX;
    if (!str_copy(address->sun_path, sizeof(address->sun_path), path))
        return ERR_TOOBIG;
    if (access(path, F_OK) != 0)
        return ERR_NOTFOUND;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd < 0 ? error_from_errno(errno) : fd;
}

static int open_log_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);

    return fd < 0 ? error_from_errno(errno) : fd;
}

/* 0 and the descriptor (-1 for standard error), or an error. */
static int open_target(const char *target, enum target *kind_r, struct sockaddr_un *address, int *fd_r)
{
    int fd = -1;

    *kind_r = TARGET_STDERR;
    *fd_r = -1;
    if (strcmp(target, "stderr") == 0)
        return 0;
    if (str_has_prefix(target, "file:")) {
        *kind_r = TARGET_FILE;
        fd = open_log_file(target + 5);
    } else if (strcmp(target, "syslog") == 0 || str_has_prefix(target, "syslog:")) {
        fd = open_syslog(target[6] == ':' ? target + 7 : "/dev/log", address);
        if (fd == ERR_NOTFOUND)
            return 0;
        *kind_r = TARGET_SYSLOG;
    } else {
        return ERR_INVALID;
    }
    *fd_r = fd;
    return fd < 0 ? fd : 0;
}

int log_open(const char *ident, const char *target, int facility, int debug)
{
    struct sockaddr_un address = {0};
    enum target kind;
    int fd, r = open_target(target, &kind, &address, &fd);

    if (r < 0)
        return r;
    pthread_rwlock_wrlock(&lock);
    if (out.target != TARGET_STDERR)
        close(out.fd);
    out.target = kind;
    out.fd = fd;
    out.facility = facility;
    out.debug = debug != 0;
    out.address = address;
    str_copy(out.path, sizeof(out.path), kind == TARGET_FILE ? target + 5 : "");
    str_copy(out.ident, sizeof(out.ident), ident);
    pthread_rwlock_unlock(&lock);
    return 0;
}

void log_reopen(void)
{
    int fd;

    pthread_rwlock_wrlock(&lock);
    if (out.target == TARGET_FILE && (fd = open_log_file(out.path)) >= 0) {
        close(out.fd);
        out.fd = fd;
    }
    pthread_rwlock_unlock(&lock);
}
