/* entries.c: which entries of METADATA there are, and which values they take. */
#include <stdlib.h>
#include <string.h>

#include "imap/store/metadata.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"
#include "lib/mail/date.h"
#include "lib/mboxlist/annotations.h"
#include "lib/name/name-config.h"

static const struct metadata_def table[] = {
#define ENTRY(name, where, scopes, kind, needs) {name, where, scopes, kind, needs},
#include "imap/store/entries.def"
#undef ENTRY
};

/* What annotation_definitions adds: set before the first session, never changed. */
static struct {
    struct pool *pool;
    struct metadata_def *defs;
    size_t count;
} more;

const struct metadata_def *metadata_def(size_t n)
{
    return n < ARRAY_SIZE(table) ? &table[n] : NULL;
}

static const struct metadata_def *find_in(const struct metadata_def *defs, size_t count, const char *name,
                                          unsigned where, unsigned scope)
{
    for (size_t i = 0; i < count; i++)
        if ((defs[i].where & where) != 0 && (defs[i].scopes & scope) != 0 && strcmp(defs[i].name, name) == 0)
            return &defs[i];
    return NULL;
}

const struct metadata_def *metadata_find(const char *name, enum metadata_where where,
                                         enum metadata_scope scope)
{
    const struct metadata_def *def = find_in(table, ARRAY_SIZE(table), name, where, scope);

    return def != NULL ? def : find_in(more.defs, more.count, name, where, scope);
}

/* ---- values ---- */

static bool is_uint(const char *s, size_t n)
{
    uint64_t value;

    return str_parse_u64(s, n, &value) == 0;
}

/* RFC 3986 section 3.1: what begins with a scheme. */
static bool is_uri(const char *s, size_t n)
{
    size_t i = 0;

    if (!str_is_ascii(s, n) || memchr(s, ' ', n) != NULL || memchr(s, '\0', n) != NULL)
        return false;
    while (i < n && (str_lower_c(s[i]) >= 'a' && str_lower_c(s[i]) <= 'z'))
        i++;
    if (i == 0)
        return false;
    while (i < n && ((str_lower_c(s[i]) >= 'a' && str_lower_c(s[i]) <= 'z') || (s[i] >= '0' && s[i] <= '9') ||
                     s[i] == '+' || s[i] == '-' || s[i] == '.'))
        i++;
    return i + 1 < n && s[i] == ':';
}

static bool is_word(const char *s, size_t n, const char *word)
{
    return n == strlen(word) && str_ieq_n(s, word, n);
}

bool metadata_is_true(const char *s, size_t n)
{
    return is_word(s, n, "true") || is_word(s, n, "1");
}

static bool is_boolean(const char *s, size_t n)
{
    return metadata_is_true(s, n) || is_word(s, n, "false") || is_word(s, n, "0");
}

int metadata_check(enum metadata_kind kind, const char *value, size_t len)
{
    int64_t ms, time;
    bool good = true;

    switch (kind) {
    case METADATA_URI:
        good = is_uri(value, len);
        break;
    case METADATA_BOOLEAN:
    case METADATA_DUPDELIVER:
    case METADATA_SHAREDSEEN:
        good = is_boolean(value, len);
        break;
    case METADATA_INT:
        good = is_uint(value + (len > 0 && *value == '-'), len - (len > 0 && *value == '-'));
        break;
    case METADATA_UINT:
        good = is_uint(value, len);
        break;
    case METADATA_DATE:
        good = mail_date_time_parse(value, len, &time, NULL) == 0;
        break;
    case METADATA_DAYS:
        good = len > 0 && strlen(value) == len && option_parse_duration(value, "d", &ms) == 0 && ms >= 0;
        break;
    default:
        break;
    }
    return good ? 0 : ERR_INVALID;
}

/* ---- annotation_definitions ---- */

enum { FIELDS = 6, DEFINITIONS_MAX = 1024 * 1024 /* bytes of the file */ };

static const struct {
    const char *word;
    unsigned value;
} scopes[] = {{"server", OF_SERVER}, {"mailbox", OF_MAILBOX}, {"message", 0}},
  types[] = {{"string", METADATA_TEXT},
             {"content-type", METADATA_TEXT},
             {"boolean", METADATA_BOOLEAN},
             {"int", METADATA_INT},
             {"uint", METADATA_UINT}},
  proxies[] = {{"backend", 0}, {"proxy", 0}, {"proxy_and_backend", 0}},
  attributes[] = {{"value.shared", SHARED}, {"value.priv", PRIVATE}, {"value", SHARED | PRIVATE}};

#define LOOK_UP(rows, word, value_r) look_up(rows, ARRAY_SIZE(rows), word, value_r)

static int look_up(const void *rows, size_t count, const char *word, unsigned *value_r)
{
    const struct {
        const char *word;
        unsigned value;
    } *row = rows;

    for (size_t i = 0; i < count; i++, row++) {
        if (str_ieq(row->word, word)) {
            *value_r = row->value;
            return 0;
        }
    }
    return ERR_SYNTAX;
}

/* The text between blanks. */
static char *trim(char *s)
{
    size_t n;

    s += strspn(s, " \t\r");
    n = strlen(s);
    while (n > 0 && strchr(" \t\r", s[n - 1]) != NULL)
        s[--n] = '\0';
    return s;
}

/* Cuts a line at its commas; the last field may be left out. */
static bool split(char *line, char *fields[FIELDS])
{
    for (size_t i = 0; i < FIELDS; i++) {
        char *comma = line != NULL ? strchr(line, ',') : NULL;

        if (line == NULL && i < FIELDS - 1)
            return false;
        if (comma != NULL)
            *comma = '\0';
        fields[i] = line != NULL ? trim(line) : NULL;
        line = comma != NULL ? comma + 1 : NULL;
    }
    return line == NULL;
}

/* "name, scope, type, where it is kept, attributes[, rights]" */
static int define_line(struct pool *pool, char *line, struct metadata_def *def)
{
    struct str_list words;
    unsigned ignored, kind, scope;
    char *fields[FIELDS];

    if (!split(line, fields) || *fields[0] != '/' || strlen(fields[0]) > ANNOTATION_ENTRY_MAX ||
        LOOK_UP(scopes, fields[1], &def->where) < 0 || LOOK_UP(types, fields[2], &kind) < 0 ||
        LOOK_UP(proxies, fields[3], &ignored) < 0)
        return ERR_SYNTAX;
    str_lower(fields[0]);
    def->name = pool_strdup(pool, fields[0]);
    def->kind = (enum metadata_kind)kind;
    words = str_split(pool, fields[4], " \t");
    for (size_t i = 0; i < words.count; i++) {
        if (LOOK_UP(attributes, words.items[i], &scope) < 0)
            return ERR_SYNTAX;
        def->scopes |= scope;
    }
    return fields[5] == NULL || *fields[5] == '\0' ? 0
                                                   : acl_parse_rights(name_config(), fields[5], &def->needs);
}

int metadata_define(const char *text, unsigned *line_r)
{
    struct pool *pool = pool_new(0);
    char *all = pool_strdup(pool, text);
    size_t room = 1;

    for (const char *p = text; *p != '\0'; p++)
        room += *p == '\n';
    pool_free(&more.pool);
    more.pool = pool;
    more.defs = pool_alloc(pool, room * sizeof(*more.defs));
    more.count = 0;
    memset(more.defs, 0, room * sizeof(*more.defs));
    for (*line_r = 1; all != NULL; ++*line_r) {
        char *line = trim(strsep(&all, "\n"));

        if (*line == '\0' || *line == '#')
            continue;
        if (define_line(pool, line, &more.defs[more.count]) < 0)
            return ERR_SYNTAX;
        more.count++;
    }
    return 0;
}

void metadata_setup(void)
{
    const char *path = opt_string(OPT_ANNOTATION_DEFINITIONS);
    struct buf text = BUF_INIT;
    unsigned line = 0;
    int r;

    if (path == NULL)
        return;
    r = file_read_all(path, DEFINITIONS_MAX, &text);
    if (r == 0)
        r = metadata_define(buf_cstr(&text), &line);
    if (r < 0)
        LOG(LOG_ERR, METADATA_DEFINITIONS, LOG_STR(FILE, path), LOG_INT(LINE, line), LOG_ERROR(r));
    buf_free(&text);
}
