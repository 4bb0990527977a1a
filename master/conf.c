#include "master/conf.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

enum { FILE_MAX = 1 << 20, ENTRIES_MAX = 1000, NUMBER_MAX = 1000000 };

enum token { TOKEN_END, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_WORD, TOKEN_KEY, TOKEN_BAD };

struct parser {
    const char *name; /* of the file */
    const char *at, *end;
    const char *line_start;
    unsigned line;
    enum token token;
    const char *text; /* of a word; a key's name */
    unsigned text_line, text_column;
    struct conf *conf;
    struct conf_entry **tail;
    unsigned entries;
    void (*unknown_key)(const char *place, const char *key);
    char **error_r;
};

static const char *const section_names[CONF_SECTIONS] = {"START", "SERVICES", "EVENTS", "DAEMON"};

const char *conf_section_name(enum conf_section section)
{
    return section_names[section];
}

/* An error at the token. */
static int __attribute__((format(printf, 2, 3))) fail(struct parser *p, const char *fmt, ...)
{
    struct buf b = BUF_INIT;
    va_list ap;

    buf_printf(&b, "%s:%u:%u: ", p->name, p->text_line, p->text_column);
    va_start(ap, fmt);
    buf_vprintf(&b, fmt, ap);
    va_end(ap);
    *p->error_r = buf_steal(&b);
    return ERR_CONFIG;
}

/* ---- the lexer ---- */

static void newline(struct parser *p)
{
    p->line++;
    p->line_start = p->at;
}

static void skip_blanks(struct parser *p)
{
    while (p->at < p->end) {
        char c = *p->at;

        if (c == '#') {
            while (p->at < p->end && *p->at != '\n')
                p->at++;
        } else if (c == '\n') {
            p->at++;
            newline(p);
        } else if (c == ' ' || c == '\t' || c == '\r' ||
                   (c == '\\' && p->at + 1 < p->end && (p->at[1] == '\n' || p->at[1] == '\r'))) {
            p->at++;
        } else {
            return;
        }
    }
}

static void mark(struct parser *p)
{
    p->text_line = p->line;
    p->text_column = (unsigned)(p->at - p->line_start) + 1;
}

/* "..." at p->at; \" and \\ inside.  NULL: it does not end on its line. */
static const char *quoted(struct parser *p)
{
    struct buf b = BUF_INIT;
    const char *text = NULL;

    for (p->at++; p->at < p->end && *p->at != '\n'; p->at++) {
        if (*p->at == '"') {
            text = pool_strdup(p->conf->pool, buf_cstr(&b));
            p->at++;
            break;
        }
        if (*p->at == '\\' && p->at + 1 < p->end && (p->at[1] == '"' || p->at[1] == '\\'))
            p->at++;
        buf_putc(&b, *p->at);
    }
    buf_free(&b);
    return text;
}

static const char *bare(struct parser *p)
{
    const char *from = p->at;

    while (p->at < p->end && strchr(" \t\r\n{}=\"#", *p->at) == NULL)
        p->at++;
    return pool_strndup(p->conf->pool, from, (size_t)(p->at - from));
}

/* The value behind "key=". */
static const char *value(struct parser *p)
{
    const char *from;

    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t'))
        p->at++;
    mark(p);
    if (p->at < p->end && *p->at == '"')
        return quoted(p);
    from = p->at;
    while (p->at < p->end && strchr(" \t\r\n}#", *p->at) == NULL)
        p->at++;
    return pool_strndup(p->conf->pool, from, (size_t)(p->at - from));
}

/* Is the next thing on this line an equals sign?  Then it is taken. */
static bool take_equals(struct parser *p)
{
    const char *at = p->at;

    while (at < p->end && (*at == ' ' || *at == '\t'))
        at++;
    if (at == p->end || *at != '=')
        return false;
    p->at = at + 1;
    return true;
}

static void next(struct parser *p)
{
    skip_blanks(p);
    mark(p);
    if (p->at == p->end) {
        p->token = TOKEN_END;
        p->text = "the end of the file";
    } else if (*p->at == '{' || *p->at == '}') {
        p->token = *p->at == '{' ? TOKEN_OPEN : TOKEN_CLOSE;
        p->text = *p->at == '{' ? "{" : "}";
        p->at++;
    } else if (*p->at == '=' || *p->at == '"') {
        p->token = TOKEN_BAD;
        p->text = pool_strndup(p->conf->pool, p->at, 1);
    } else {
        p->text = bare(p);
        p->token = take_equals(p) ? TOKEN_KEY : TOKEN_WORD;
    }
}

/* ---- keys ---- */

static int set_number(struct parser *p, const char *key, const char *s, int min, int *to)
{
    bool minus = *s == '-';
    uint32_t v;

    if (str_parse_u32(s + minus, strlen(s + minus), &v) < 0 || v > NUMBER_MAX ||
        (minus ? -(int)v : (int)v) < min)
        return fail(p, "%s: \"%s\" is no number from %d to %d", key, s, min, NUMBER_MAX);
    *to = minus ? -(int)v : (int)v;
    return 0;
}

static int set_switch(struct parser *p, const char *key, const char *s, bool *to)
{
    static const char *const words[] = {"0", "n", "no",  "f", "false", "off",
                                        "1", "y", "yes", "t", "true",  "on"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (str_ieq(s, words[i])) {
            *to = i >= ARRAY_SIZE(words) / 2;
            return 0;
        }
    }
    return fail(p, "%s: \"%s\" is neither yes nor no", key, s);
}

/* The words of a command; single quotes hold one together. */
static char **split_command(struct pool *pool, const char *s)
{
    char **argv = pool_alloc(pool, (strlen(s) / 2 + 2) * sizeof(char *));
    size_t n = 0;

    for (s += strspn(s, " \t"); *s != '\0'; s += strspn(s, " \t")) {
        char *to = pool_alloc(pool, strlen(s) + 1);
        bool in_quotes = false;

        argv[n++] = to;
        for (; *s != '\0' && (in_quotes || (*s != ' ' && *s != '\t')); s++) {
            if (*s == '\'')
                in_quotes = !in_quotes;
            else
                *to++ = *s;
        }
    }
    return argv;
}

static int set_cmd(struct parser *p, struct conf_entry *e, const char *v)
{
    e->cmd = v;
    e->argv = split_command(p->conf->pool, v);
    if (e->argv[0] == NULL)
        return fail(p, "cmd: names no program");
    return 0;
}

static int set_service_key(struct parser *p, struct conf_entry *e, const char *key, const char *v,
                           bool *known)
{
    if (strcmp(key, "listen") == 0)
        e->listen = v;
    else if (strcmp(key, "proto") == 0)
        e->proto = v;
    else if (strcmp(key, "prefork") == 0)
        return set_number(p, key, v, 0, &e->prefork);
    else if (strcmp(key, "maxchild") == 0)
        return set_number(p, key, v, -1, &e->maxchild);
    else if (strcmp(key, "maxfds") == 0)
        return set_number(p, key, v, 0, &e->maxfds);
    else if (strcmp(key, "maxforkrate") == 0)
        return set_number(p, key, v, 0, &e->maxforkrate);
    else if (strcmp(key, "babysit") == 0)
        return set_switch(p, key, v, &e->babysit);
    else if (strcmp(key, "maxsessions") == 0)
        return set_number(p, key, v, 0, &e->maxsessions);
    else if (strcmp(key, "proxyprotocol") == 0)
        e->proxyprotocol = v;
    else
        *known = false;
    return 0;
}

static int set_event_key(struct parser *p, struct conf_entry *e, const char *key, const char *v, bool *known)
{
    if (strcmp(key, "period") == 0)
        return set_number(p, key, v, 0, &e->period);
    if (strcmp(key, "at") != 0 && strcmp(key, "cron") != 0) {
        *known = false;
        return 0;
    }
    if (e->has_time)
        return fail(p, "%s: the time is given already", key);
    e->has_time = true;
    if (*key == 'a' && cron_parse_at(v, &e->cron) < 0)
        return fail(p, "at: \"%s\" is no time of day (hhmm)", v);
    if (*key == 'c' && cron_parse(v, &e->cron) < 0)
        return fail(p, "cron: \"%s\" is not \"minute hour day month weekday\"", v);
    return 0;
}

static int set_key(struct parser *p, struct conf_entry *e, const char *key, const char *v)
{
    bool known = true;
    int r = 0;

    if (strcmp(key, "cmd") == 0)
        return set_cmd(p, e, v);
    if (e->section == CONF_SERVICES)
        r = set_service_key(p, e, key, v, &known);
    else if (e->section == CONF_EVENTS)
        r = set_event_key(p, e, key, v, &known);
    else if (e->section == CONF_DAEMON && strcmp(key, "wait") == 0)
        r = set_switch(p, key, v, &e->wait);
    else
        known = false;
    if (!known && p->unknown_key != NULL)
        p->unknown_key(pool_printf(p->conf->pool, "%s:%u:%u", p->name, p->text_line, p->text_column), key);
    return r;
}

/* ---- the grammar ---- */

static int check_service(struct parser *p, const struct conf_entry *e)
{
    static const char *const protos[] = {"tcp", "tcp4", "tcp6"};
    bool known = false;

    if (e->listen == NULL || *e->listen == '\0')
        return fail(p, "%s: no listen= given", e->name);
    for (size_t i = 0; i < ARRAY_SIZE(protos); i++)
        known |= str_ieq(e->proto, protos[i]);
    if (!known)
        return fail(p, "%s: proto=%s is not supported (tcp, tcp4, tcp6)", e->name, e->proto);
    for (const struct conf_entry *o = p->conf->sections[CONF_SERVICES]; o != e; o = o->next) {
        if (strcmp(o->name, e->name) == 0)
            return fail(p, "%s: that service stands in line %u already", e->name, o->line);
    }
    return 0;
}

static int check_entry(struct parser *p, const struct conf_entry *e)
{
    p->text_line = e->line;
    p->text_column = e->column;
    if (e->cmd == NULL)
        return fail(p, "%s: no cmd= given", e->name);
    return e->section == CONF_SERVICES ? check_service(p, e) : 0;
}

static struct conf_entry *new_entry(struct parser *p, enum conf_section section)
{
    struct conf_entry *e = pool_alloc(p->conf->pool, sizeof(*e));

    e->section = section;
    e->name = p->text;
    e->line = p->text_line;
    e->column = p->text_column;
    e->proto = "tcp";
    e->maxchild = -1;
    e->maxfds = 256;
    *p->tail = e;
    p->tail = &e->next;
    return e;
}

/* A name, then its key=value pairs up to what is none. */
static int parse_entry(struct parser *p, enum conf_section section)
{
    struct conf_entry *e;

    if (p->token != TOKEN_WORD)
        return fail(p, "expected an entry's name or } before \"%s\"", p->text);
    if (++p->entries > ENTRIES_MAX)
        return fail(p, "more than %d entries", ENTRIES_MAX);
    e = new_entry(p, section);
    for (next(p); p->token == TOKEN_KEY; next(p)) {
        const char *key = p->text, *v = value(p);
        int r;

        if (v == NULL)
            return fail(p, "%s: the quoted value does not end on its line", key);
        r = set_key(p, e, key, v);
        if (r < 0)
            return r;
    }
    if (p->token != TOKEN_BAD)
        return 0;
    return fail(p, "expected key=value, an entry's name or } before \"%s\"", p->text);
}

static int parse_section(struct parser *p)
{
    enum conf_section section = 0;
    struct conf_entry *e;
    int r;

    while (section < CONF_SECTIONS && (p->token != TOKEN_WORD || !str_ieq(p->text, section_names[section])))
        section++;
    if (section == CONF_SECTIONS)
        return fail(p, "expected START, SERVICES, EVENTS or DAEMON before \"%s\"", p->text);
    for (p->tail = &p->conf->sections[section]; *p->tail != NULL;)
        p->tail = &(*p->tail)->next;
    next(p);
    if (p->token != TOKEN_OPEN)
        return fail(p, "expected { before \"%s\"", p->text);
    for (next(p); p->token != TOKEN_CLOSE;) {
        struct conf_entry **at = p->tail;
        struct parser place;

        r = parse_entry(p, section);
        if (r < 0)
            return r;
        e = *at;
        place = *p;
        r = check_entry(&place, e);
        if (r < 0)
            return r;
    }
    next(p);
    return 0;
}

int conf_parse(const char *name, const char *text, size_t n,
               void (*unknown_key)(const char *place, const char *key), struct conf **conf_r, char **error_r)
{
    struct parser p = {.name = name,
                       .at = text,
                       .end = text + n,
                       .line_start = text,
                       .line = 1,
                       .unknown_key = unknown_key,
                       .error_r = error_r};
    struct pool *pool = pool_new(0);
    int r = 0;

    *conf_r = NULL;
    *error_r = NULL;
    p.conf = pool_alloc(pool, sizeof(*p.conf));
    p.conf->pool = pool;
    for (next(&p); r == 0 && p.token != TOKEN_END;)
        r = parse_section(&p);
    if (r < 0)
        conf_free(&p.conf);
    *conf_r = p.conf;
    return r;
}

int conf_read(const char *path, void (*unknown_key)(const char *place, const char *key), struct conf **conf_r,
              char **error_r)
{
    struct buf text = BUF_INIT;
    int r = file_read_all(path, FILE_MAX, &text);

    *conf_r = NULL;
    if (r < 0) {
        *error_r = xstrprintf("%s: %s", path, error_text(r));
        r = ERR_CONFIG;
    } else {
        r = conf_parse(path, buf_cstr(&text), text.len, unknown_key, conf_r, error_r);
    }
    buf_free(&text);
    return r;
}

void conf_free(struct conf **cp)
{
    struct conf *c = *cp;
    struct pool *pool;

    if (c == NULL)
        return;
    pool = c->pool;
    *cp = NULL;
    pool_free(&pool);
}
