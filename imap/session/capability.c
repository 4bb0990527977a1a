#include "imap/session/capability.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "imap/login/login.h"
#include "imap/session/client.h"
#include "lib/base/config.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"

enum { MUPDATE_PORT = 3905 };
enum when { ALWAYS, BEFORE, AFTER, TRUSTED };
enum through { SERVER, FRONT };

struct row {
    const char *name;
    enum when when;
    enum through through;
    const char *words;
};

static const struct row table[] = {
#define ROW(name, when, through, words, ...) {name, when, through, words},
#define CAPABILITY(...)                      ROW(__VA_ARGS__, SERVER, NULL, )
#include "imap/session/capability.def"
#undef CAPABILITY
#undef ROW
};

/* Which rows some server lacks, as of the record's change `known`; asked anew when there was another. */
static struct {
    pthread_mutex_t mutex;
    atomic_uint known;
    atomic_bool lacked[ARRAY_SIZE(table)];
} servers = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* Without copying the option: this is asked for every command. */
static bool is_in_option(const char *name)
{
    const char *s = opt_string(OPT_SUPPRESS_CAPABILITIES);
    size_t n = strlen(name);

    while (s != NULL && *s != '\0') {
        size_t word = strcspn(s, " \t");

        if (word == n && str_ieq_n(s, name, n))
            return true;
        s += word;
        s += strspn(s, " \t");
    }
    return false;
}

/* RFC 9051 made these a part of the protocol (appendix E): without one of them it is not IMAP4rev2. */
static const char *const rev2_parts[] = {
    "BINARY", "ENABLE",    "ESEARCH", "IDLE",      "LIST-EXTENDED", "LIST-STATUS", "LITERAL+", "LITERAL-",
    "MOVE",   "NAMESPACE", "SASL-IR", "SEARCHRES", "STATUS=SIZE",   "UIDPLUS",     "UNSELECT"};

bool capability_is_suppressed(const char *name)
{
    bool suppressed = is_in_option(name);

    for (size_t i = 0; !suppressed && strcmp(name, "IMAP4rev2") == 0 && i < ARRAY_SIZE(rev2_parts); i++)
        suppressed = is_in_option(rev2_parts[i]);
    return suppressed;
}

bool capability_needs_server(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].through == SERVER;
    return false;
}

/* ---- what the servers behind this one lack ---- */

static void ask_servers(const struct leg_program *program, unsigned change)
{
    pthread_mutex_lock(&servers.mutex);
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        atomic_store(&servers.lacked[i], table[i].through == SERVER && !program->servers_have(table[i].name));
    atomic_store(&servers.known, change);
    pthread_mutex_unlock(&servers.mutex);
}

/* A frontend that asks wants to know of this machine's own mailboxes. */
static bool is_lacked(const struct client *c, size_t row)
{
    const struct leg_program *program = leg_program();
    unsigned change;

    if (program->servers_have == NULL || (program->local != NULL && c->is_proxied))
        return false;
    change = program->servers_change();
    if (change != atomic_load(&servers.known))
        ask_servers(program, change);
    return atomic_load(&servers.lacked[row]);
}

/* The next word outside strings and literals from *at on; false: there is none. */
static bool next_word(const char *args, size_t len, size_t *at, size_t *begin_r, size_t *len_r)
{
    static const char ends[] = " ()[]<>\r\n\"{";
    size_t i = *at, literal = 0;

    while (i < len && (args[i] == '\0' || strchr(ends, args[i]) != NULL)) {
        if (args[i] == '"') {
            for (i++; i < len && args[i] != '"'; i++)
                i += args[i] == '\\';
        } else if (args[i] == '{') {
            for (i++; i < len && args[i] >= '0' && args[i] <= '9' && literal < len; i++)
                literal = literal * 10 + (size_t)(args[i] - '0');
            while (i < len && args[i] != '\n')
                i++;
            i += literal;
            literal = 0;
        }
        i++;
    }
    if (i >= len)
        return false;
    *begin_r = i;
    while (i < len && args[i] != '\0' && strchr(ends, args[i]) == NULL)
        i++;
    *len_r = i - *begin_r;
    *at = i;
    return true;
}

static bool has_word(const struct command *cmd, const char *word, size_t n)
{
    size_t at = 0, begin, len;

    if ((strlen(cmd->def->name) == n && str_ieq_n(cmd->def->name, word, n)) ||
        (cmd->uid && n == 3 && str_ieq_n("UID", word, n)))
        return true;
    while (next_word(cmd->args, cmd->args_len, &at, &begin, &len))
        if (len == n && str_ieq_n(cmd->args + begin, word, n))
            return true;
    return false;
}

/* Are all words of one of the groups there? */
static bool has_group(const struct command *cmd, const char *groups)
{
    const char *s = groups;

    while (*s != '\0') {
        bool all = true;

        while (*s != '\0' && *s != ',') {
            size_t n = strcspn(s, " ,");

            all = all && has_word(cmd, s, n);
            s += n;
            s += strspn(s, " ");
        }
        if (all)
            return true;
        s += strspn(s, ", ");
    }
    return false;
}

bool capability_is_used(const char *name, const struct command *cmd)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].words != NULL && has_group(cmd, table[i].words);
    return false;
}

const char *capability_lacking(const struct command *cmd, bool (*has)(void *context, const char *name),
                               void *context)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (table[i].words != NULL && table[i].through == SERVER && has_group(cmd, table[i].words) &&
            !has(context, table[i].name))
            return table[i].name;
    return NULL;
}

/* ---- the list ---- */

static void add(struct buf *to, const char *name)
{
    if (capability_is_suppressed(name))
        return;
    if (to->len > 0)
        buf_putc(to, ' ');
    buf_puts(to, name);
}

/* Before authentication: how to authenticate.  RFC 4959 goes with the mechanisms. */
static void add_login(struct client *c, struct buf *to)
{
    const char *mechanisms = login_mechanisms(c->login);
    struct pool *pool = pool_new(0);
    struct str_list words = str_split(pool, mechanisms, " ");
    struct buf name = BUF_INIT;

    for (size_t i = 0; i < words.count; i++) {
        buf_reset(&name);
        buf_printf(&name, "AUTH=%s", words.items[i]);
        add(to, buf_cstr(&name));
    }
    buf_free(&name);
    if (words.count > 0)
        add(to, "SASL-IR");
    pool_free(&pool);
    if (login_may_starttls(c->login))
        add(to, "STARTTLS");
    if (!login_may_plain(c->login))
        add(to, "LOGINDISABLED");
}

/* RFC 7889.  Where mailboxes are on several servers, each has its own limit, which STATUS tells. */
static void add_appendlimit(struct buf *to)
{
    int64_t max = opt_bytes(OPT_MAXMESSAGESIZE);
    struct buf name = BUF_INIT;

    if (capability_is_suppressed("APPENDLIMIT"))
        return;
    buf_puts(&name, "APPENDLIMIT");
    if (max > 0 && leg_program()->local != NULL && opt_string(OPT_MUPDATE_SERVER) == NULL)
        buf_printf(&name, "=%lld", (long long)max);
    add(to, buf_cstr(&name));
    buf_free(&name);
}

/* RFC 6785 2.1 */
static void add_imapsieve(struct buf *to)
{
    const char *host = config_servername();
    struct buf name = BUF_INIT;

    if (!leg_program()->runs_scripts || capability_is_suppressed("IMAPSIEVE"))
        return;
    buf_printf(&name, "IMAPSIEVE=sieve://%.*s", (int)strcspn(host, ":"), host);
    add(to, buf_cstr(&name));
    buf_free(&name);
}

/* Where the mailbox list's authority is: with its port where that is not the usual one. */
static void add_mupdate(struct buf *to)
{
    const char *server = opt_string(OPT_MUPDATE_SERVER);
    int64_t port = opt_int(OPT_MUPDATE_PORT);
    struct buf name = BUF_INIT;

    if (server == NULL)
        return;
    buf_printf(&name, "MUPDATE=mupdate://%.*s", (int)strcspn(server, " "), server);
    if (port != MUPDATE_PORT && strchr(server, ':') == NULL)
        buf_printf(&name, ":%lld", (long long)port);
    buf_putc(&name, '/');
    add(to, buf_cstr(&name));
    buf_free(&name);
}

static bool is_configured(const char *name)
{
    return strcmp(name, "INPROGRESS") != 0 || opt_duration_ms(OPT_IMAP_INPROGRESS_INTERVAL) > 0;
}

static bool is_due(const struct client *c, enum when when)
{
    bool authenticated = c->state != CLIENT_NOAUTH;

    switch (when) {
    case ALWAYS:
        return true;
    case BEFORE:
        return !authenticated;
    case AFTER:
        return authenticated;
    case TRUSTED:
        return authenticated && c->is_peer;
    }
    return false;
}

bool capability_is_announced(const struct client *c, const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (str_ieq(table[i].name, name))
            return is_due(c, table[i].when) && !is_lacked(c, i) && !capability_is_suppressed(name);
    return false;
}

void capability_list(struct client *c, struct buf *to)
{
    bool authenticated = c->state != CLIENT_NOAUTH;
    struct buf list = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        if (is_due(c, table[i].when) && is_configured(table[i].name) && !is_lacked(c, i))
            add(&list, table[i].name);
        if (i == 0)
            add(&list, opt_switch(OPT_LITERALMINUS) ? "LITERAL-" : "LITERAL+");
    }
    if (authenticated)
        add_appendlimit(&list);
    if (authenticated)
        add_imapsieve(&list);
    add_mupdate(&list);
    if (!authenticated)
        add_login(c, &list);
    buf_append(to, list.data, list.len);
    buf_free(&list);
}
