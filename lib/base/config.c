#include "lib/base/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/config-private.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options-private.h"
#include "lib/base/str.h"

/* Immutable once config_read() has returned. */
static struct {
    struct config_lines lines;
    char *path;
    char *service;
    char *hostname;
} config;

static const char *lookup_line(const char *name)
{
    for (size_t i = config.lines.count; i > 0; i--) {
        if (strcmp(config.lines.items[i - 1].name, name) == 0)
            return config.lines.items[i - 1].value;
    }
    return NULL;
}

const char *config_overflow(const char *name)
{
    const char *value = NULL;

    if (config.service != NULL) {
        char *own = xstrprintf("%s_%s", config.service, name);

        value = lookup_line(own);
        free(own);
    }
    return value != NULL ? value : lookup_line(name);
}

void config_overflow_each(const char *prefix, void (*fn)(const char *name, const char *value, void *context),
                          void *context)
{
    for (size_t i = 0; i < config.lines.count; i++) {
        if (str_has_prefix(config.lines.items[i].name, prefix))
            fn(config.lines.items[i].name, config.lines.items[i].value, context);
    }
}

static const char *named(const char *prefix, const char *name)
{
    char *key = xstrprintf("%s%s", prefix, name);
    const char *value;

    str_lower(key);
    value = config_overflow(key);
    free(key);
    return value;
}

const char *config_partition(const char *name)
{
    return named("partition-", name);
}

const char *config_metapartition(const char *name)
{
    return named("metapartition-", name);
}

static bool is_address(const char *host)
{
    unsigned char to[16];

    return inet_pton(AF_INET, host, to) == 1 || inet_pton(AF_INET6, host, to) == 1;
}

/* Cuts "host:port", "[v6]:port" or a bare host in place; the port, or NULL. */
static char *split_port(char **host)
{
    char *end, *colon;

    if (**host == '[' && (end = strchr(*host, ']')) != NULL) {
        *end = '\0';
        (*host)++;
        return end[1] == ':' ? end + 2 : NULL;
    }
    colon = strchr(*host, ':');
    if (colon == NULL || strchr(colon + 1, ':') != NULL)
        return NULL;
    *colon = '\0';
    return colon + 1;
}

/* The host as an option's name has it: up to the first dot, or an address with underscores. */
static void host_key(char *host)
{
    str_lower(host);
    if (!is_address(host)) {
        host[strcspn(host, ".")] = '\0';
        return;
    }
    for (; *host != '\0'; host++) {
        if (*host == '.' || *host == ':')
            *host = '_';
    }
}

const char *config_host_overflow(const char *server, const char *suffix)
{
    char *copy = xstrdup(server), *host = copy, *port = split_port(&host);
    const char *value = NULL;
    char *key;

    host_key(host);
    if (port != NULL) {
        key = xstrprintf("%s_%s_%s", host, port, suffix);
        value = config_overflow(key);
        free(key);
    }
    if (value == NULL) {
        key = xstrprintf("%s_%s", host, suffix);
        value = config_overflow(key);
        free(key);
    }
    free(copy);
    return value;
}

void config_path(struct buf *to, const char *fmt, ...)
{
    const char *dir = opt_string(OPT_CONFIGDIRECTORY);
    va_list ap;

    buf_reset(to);
    buf_puts(to, dir != NULL ? dir : ".");
    buf_putc(to, '/');
    va_start(ap, fmt);
    buf_vprintf(to, fmt, ap);
    va_end(ap);
}

const char *config_servername(void)
{
    const char *name = opt_string(OPT_SERVERNAME);

    if (name != NULL)
        return name;
    return config.hostname != NULL ? config.hostname : "localhost";
}

const char *config_default_path(void)
{
    const char *path = getenv("IATLAS_CONFIG");

    return path != NULL && *path != '\0' ? path : "/etc/imapd.conf";
}

const char *config_file(void)
{
    return config.path;
}

bool config_list_has(const char *list, const char *userid)
{
    size_t n = strlen(userid);

    if (list == NULL || n == 0)
        return false;
    for (list += strspn(list, " \t"); *list != '\0'; list += strspn(list, " \t")) {
        size_t len = strcspn(list, " \t");

        if (len == n && memcmp(list, userid, n) == 0)
            return true;
        list += len;
    }
    return false;
}

enum config_role config_role(void)
{
    if (opt_string(OPT_MUPDATE_SERVER) == NULL)
        return CONFIG_STANDALONE;
    if (opt_enum(OPT_MUPDATE_CONFIG) == MUPDATE_UNIFIED)
        return CONFIG_UNIFIED;
    return opt_string(OPT_PROXYSERVERS) == NULL ? CONFIG_FRONTEND : CONFIG_BACKEND;
}

/* ---- what is strange in the file ---- */

static const char *const cyrus_options[] = {
#define CYRUS_OPTION(name) name,
#include "lib/base/options-cyrus.def"
#undef CYRUS_OPTION
};

static const struct {
    const char *prefix, *suffix;
} patterns[] = {
#define PATTERN(prefix, suffix, shown, text) {prefix, suffix},
#include "lib/base/options-pattern.def"
#undef PATTERN
};

static bool is_pattern(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
        size_t n = strlen(patterns[i].prefix) + strlen(patterns[i].suffix);

        if (strlen(name) > n && str_has_prefix(name, patterns[i].prefix) &&
            str_has_suffix(name, patterns[i].suffix))
            return true;
    }
    return false;
}

static bool is_cyrus_option(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(cyrus_options); i++) {
        const char *option = cyrus_options[i];

        if (strcmp(option, name) == 0 || (str_has_suffix(option, "-") && str_has_prefix(name, option)))
            return true;
    }
    return false;
}

enum line_kind { LINE_OPTION, LINE_PATTERN, LINE_CYRUS, LINE_UNKNOWN };

/* What a line sets: by its whole name, else by what follows `<service>_` in it. */
static enum line_kind classify(const char *name, enum option *option_r)
{
    for (const char *p = name, *cut; p != NULL; p = cut != NULL ? cut + 1 : NULL) {
        *option_r = option_find(p);
        if (*option_r != OPT_END)
            return LINE_OPTION;
        if (is_pattern(p))
            return LINE_PATTERN;
        cut = strchr(p, '_');
        if (is_cyrus_option(p))
            return LINE_CYRUS;
    }
    return LINE_UNKNOWN;
}

static bool is_repeated(size_t i)
{
    for (size_t k = i + 1; k < config.lines.count; k++) {
        if (strcmp(config.lines.items[i].name, config.lines.items[k].name) == 0)
            return true;
    }
    return false;
}

/* Is there something to say about line i?  Then *problem_r is set. */
static bool line_problem(size_t i, enum config_problem *problem_r)
{
    const char *name = config.lines.items[i].name;
    enum option o = OPT_END;
    enum line_kind kind = classify(name, &o);

    if (is_repeated(i)) {
        *problem_r = CONFIG_REPEATED;
        return true;
    }
    switch (kind) {
    case LINE_OPTION:
        *problem_r = option_is_used(o) ? CONFIG_BAD_WORD : CONFIG_UNUSED;
        return !option_is_used(o) || option_has_unknown_word(o);
    case LINE_PATTERN:
        return false;
    case LINE_CYRUS:
        *problem_r = CONFIG_UNSUPPORTED;
        return true;
    case LINE_UNKNOWN:
        *problem_r = CONFIG_UNKNOWN;
        return true;
    }
    return false;
}

void config_problems(void (*fn)(enum config_problem problem, const char *name, const char *value,
                                void *context),
                     void *context)
{
    enum config_problem problem;

    for (size_t i = 0; i < config.lines.count; i++) {
        if (line_problem(i, &problem))
            fn(problem, config.lines.items[i].name, config.lines.items[i].value, context);
    }
}

static void report(enum config_problem problem, const char *name, const char *value, void *context)
{
    (void)context;
    switch (problem) {
    case CONFIG_UNKNOWN:
        LOG(LOG_WARNING, CONFIG_UNKNOWN, LOG_STR(NAME, name));
        break;
    case CONFIG_UNSUPPORTED:
        LOG(LOG_NOTICE, CONFIG_UNSUPPORTED, LOG_STR(NAME, name));
        break;
    case CONFIG_UNUSED:
        LOG(LOG_NOTICE, CONFIG_UNUSED, LOG_STR(NAME, name));
        break;
    case CONFIG_BAD_WORD:
        LOG(LOG_WARNING, CONFIG_WORD, LOG_STR(NAME, name), LOG_STR(VALUE, value));
        break;
    case CONFIG_REPEATED:
        LOG(LOG_WARNING, CONFIG_REPEATED, LOG_STR(NAME, name));
        break;
    }
}

void config_report(void)
{
    config_problems(report, NULL);
}

/* ---- reading ---- */

static int set_umask(char **error_r)
{
    const char *text = opt_string(OPT_UMASK);
    char *end;
    unsigned long mask = strtoul(text, &end, 8);

    if (*text < '0' || *text > '7' || *end != '\0' || mask > 0777) {
        *error_r = xstrprintf("umask: no octal mode: \"%s\"", text);
        return ERR_CONFIG;
    }
    umask((mode_t)mask);
    return 0;
}

static int open_log(const char *ident, char **error_r)
{
    const char *prefix = opt_string(OPT_SYSLOG_PREFIX);
    const char *facility = opt_string(OPT_SYSLOG_FACILITY);
    int number = log_facility(facility != NULL ? facility : "local6");
    char *name;
    int r;

    if (number < 0) {
        *error_r = xstrprintf("syslog_facility: no such facility: \"%s\"", facility);
        return ERR_CONFIG;
    }
    name = prefix != NULL ? xstrprintf("%s/%s", prefix, ident) : xstrdup(ident);
    r = log_open(name, opt_string(OPT_LOG_TARGET), number, opt_switch(OPT_DEBUG));
    free(name);
    if (r < 0)
        *error_r = xstrprintf("log_target: \"%s\": %s", opt_string(OPT_LOG_TARGET), error_text(r));
    return r < 0 ? ERR_CONFIG : 0;
}

/* "NAME: what" becomes "FILE:LINE: NAME: what" where a line gave NAME. */
static void add_place(char **error, const char *path)
{
    size_t n = strcspn(*error, ":");
    char *placed = NULL;

    for (size_t i = 0; i < config.lines.count; i++) {
        const struct config_line *l = &config.lines.items[i];
        size_t len = strlen(l->name);

        if (len >= n && strncmp(l->name + len - n, *error, n) == 0) {
            free(placed);
            placed = xstrprintf("%s:%u: %s", l->file, l->number, *error);
        }
    }
    if (placed == NULL)
        placed = xstrprintf("%s: %s", path, *error);
    free(*error);
    *error = placed;
}

static int apply(const char *path, const char *ident, char **error_r)
{
    int r = options_load(config_overflow, error_r);

    if (r == 0 && opt_string(OPT_CONFIGDIRECTORY) == NULL) {
        *error_r = xstrdup("configdirectory: not given");
        r = ERR_CONFIG;
    }
    if (r == 0)
        r = set_umask(error_r);
    if (r == 0)
        r = open_log(ident, error_r);
    if (r < 0)
        add_place(error_r, path);
    return r;
}

static char *own_hostname(void)
{
    char name[HOST_NAME_MAX + 1] = "";

    if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0')
        return NULL;
    return xstrdup(name);
}

int config_read(const char *path, const char *service, const char *ident, char **error_r)
{
    int r;

    *error_r = NULL;
    config_lines_free(&config.lines);
    free(config.path);
    free(config.service);
    free(config.hostname);
    config.path = xstrdup(path);
    config.service = service != NULL ? xstrdup(service) : NULL;
    config.hostname = own_hostname();
    if (config.service != NULL)
        str_lower(config.service);
    r = config_lines_read(&config.lines, path, error_r);
    return r < 0 ? r : apply(path, ident, error_r);
}

int config_set(const char *name, const char *value, char **error_r)
{
    int r;

    *error_r = NULL;
    r = config_lines_add(&config.lines, "command line", 0, name, value, error_r);
    return r < 0 ? r : options_load(config_overflow, error_r);
}
