#include "imap/proxy/offers.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/imapwire/response.h"

struct server {
    char *words;
    int64_t met; /* wall clock, seconds */
};

static struct {
    pthread_mutex_t mutex;
    struct hash *servers; /* by name; NULL before the first */
    atomic_uint change;
} offers = {.mutex = PTHREAD_MUTEX_INITIALIZER, .change = 1};

static void free_server(void *value)
{
    struct server *s = value;

    free(s->words);
    free(s);
}

static void changed(void)
{
    if (atomic_fetch_add(&offers.change, 1) + 1 == 0)
        atomic_fetch_add(&offers.change, 1);
}

/* Under the mutex.  Is it news? */
static bool put(struct hash *servers, const char *name, const char *words, int64_t met)
{
    struct server *old = hash_get(servers, name), *s;
    bool news = old == NULL || strcmp(old->words, words) != 0;

    if (old == NULL && hash_count(servers) >= OFFERS_SERVERS_MAX)
        return false;
    s = xcalloc(1, sizeof(*s));
    s->words = xstrdup(words);
    s->met = met;
    hash_set(servers, name, s);
    return news;
}

/* ---- files ---- */

enum {
    SERVER_NAME_MAX = 230
}; /* a file's new contents stand beside it, with ".<number>.tmp" behind its name */

static bool is_file_name(const char *server)
{
    size_t n = strlen(server);

    return n > 0 && n <= SERVER_NAME_MAX && server[0] != '.' && strchr(server, '/') == NULL;
}

/* What file_replace() is writing, or was when its process died. */
static bool is_unfinished(const char *name)
{
    size_t n = strlen(name);

    return n >= 4 && strcmp(name + n - 4, ".tmp") == 0;
}

/* Is that worth writing down? */
static bool is_news(const char *name, const char *words, int64_t now)
{
    const struct server *known = hash_get(offers.servers, name);

    if (!is_file_name(name) || is_unfinished(name) ||
        (known == NULL && hash_count(offers.servers) >= OFFERS_SERVERS_MAX))
        return false;
    return known == NULL || strcmp(known->words, words) != 0 || now - known->met >= OFFERS_RENEW_S;
}

static void write_server(const char *name, const char *words)
{
    struct buf path = BUF_INIT, text = BUF_INIT;
    int r;

    config_path(&path, "servers/%s", name);
    buf_printf(&text, "%s\n", words);
    r = file_make_parents(buf_cstr(&path), 0700, 0);
    if (r == 0)
        r = file_replace(buf_cstr(&path), text.data, text.len, 0600);
    if (r < 0)
        LOG(LOG_WARNING, PROXY_OFFERS, LOG_STR(FILE, buf_cstr(&path)), LOG_ERROR(r));
    buf_free(&path);
    buf_free(&text);
}

/* One file, into `servers`; an old one is removed. */
static void read_server(struct hash *servers, const char *name)
{
    struct buf path = BUF_INIT, text = BUF_INIT;
    struct stat st;

    config_path(&path, "servers/%s", name);
    if (!is_file_name(name) || stat(buf_cstr(&path), &st) != 0 || !S_ISREG(st.st_mode)) {
        /* not one of ours, or gone meanwhile */
    } else if (clock_wall() - st.st_mtime > OFFERS_KEEP_S) {
        unlink(buf_cstr(&path));
    } else if (!is_unfinished(name) && file_read_all(buf_cstr(&path), OFFERS_WORDS_MAX + 1, &text) == 0) {
        buf_truncate(&text, strcspn(buf_cstr(&text), "\n"));
        put(servers, name, buf_cstr(&text), st.st_mtime);
    }
    buf_free(&path);
    buf_free(&text);
}

static struct hash *read_servers(void)
{
    struct hash *servers = hash_new(free_server);
    struct buf path = BUF_INIT;
    struct dirent *e;
    DIR *dir;

    config_path(&path, "servers");
    dir = opendir(buf_cstr(&path));
    while (dir != NULL && (e = readdir(dir)) != NULL)
        read_server(servers, e->d_name);
    if (dir != NULL)
        closedir(dir);
    buf_free(&path);
    return servers;
}

/* ---- */

struct comparison {
    const struct hash *other;
    bool same;
};

static void compare(const char *name, void *value, void *context)
{
    struct comparison *c = context;
    const struct server *mine = value, *theirs = hash_get(c->other, name);

    c->same = c->same && theirs != NULL && strcmp(mine->words, theirs->words) == 0;
}

static bool is_same(const struct hash *a, const struct hash *b)
{
    struct comparison c = {.other = b, .same = a != NULL && hash_count(a) == hash_count(b)};

    if (c.same)
        hash_each(a, compare, &c);
    return c.same;
}

void offers_refresh(void)
{
    struct hash *servers;

    pthread_mutex_lock(&offers.mutex);
    servers = read_servers();
    if (!is_same(offers.servers, servers))
        changed();
    hash_free(&offers.servers);
    offers.servers = servers;
    pthread_mutex_unlock(&offers.mutex);
}

static bool is_of_connection(const char *word, size_t n)
{
    static const char *const words[] = {"AUTH=",   "COMPRESS=", "LOGINDISABLED",
                                        "SASL-IR", "STARTTLS",  "UNAUTHENTICATE"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (n >= strlen(words[i]) && strncasecmp(word, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

static void select_words(const char *words, struct buf *to)
{
    const char *s = words + strspn(words, " ");

    while (*s != '\0') {
        size_t n = strcspn(s, " ");

        if (!is_of_connection(s, n) && to->len + n < OFFERS_WORDS_MAX)
            buf_printf(to, "%s%.*s", to->len > 0 ? " " : "", (int)n, s);
        s += n;
        s += strspn(s, " ");
    }
}

void offers_note(const char *server, const char *words)
{
    struct buf list = BUF_INIT;
    int64_t now = clock_wall();

    select_words(words, &list);
    pthread_mutex_lock(&offers.mutex);
    if (offers.servers == NULL)
        offers.servers = hash_new(free_server);
    if (is_news(server, buf_cstr(&list), now)) {
        write_server(server, buf_cstr(&list));
        if (put(offers.servers, server, buf_cstr(&list), now))
            changed();
    }
    pthread_mutex_unlock(&offers.mutex);
    buf_free(&list);
}

struct question {
    const char *capability;
    bool all;
};

static void ask(const char *name, void *value, void *context)
{
    const struct server *s = value;
    struct question *q = context;
    struct imap_slice list = {s->words, strlen(s->words)};

    (void)name;
    q->all = q->all && imap_slice_has(list, q->capability);
}

bool offers_everywhere(const char *capability)
{
    struct question q = {capability, true};

    pthread_mutex_lock(&offers.mutex);
    if (offers.servers != NULL)
        hash_each(offers.servers, ask, &q);
    pthread_mutex_unlock(&offers.mutex);
    return q.all;
}

unsigned offers_change(void)
{
    return atomic_load(&offers.change);
}

void offers_end(void)
{
    pthread_mutex_lock(&offers.mutex);
    hash_free(&offers.servers);
    changed();
    pthread_mutex_unlock(&offers.mutex);
}
