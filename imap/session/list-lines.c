/* list-lines.c: the patterns of LIST and LSUB, their lines, and the levels without a mailbox of their own. */
#include <stdlib.h>
#include <string.h>

#include "imap/session/list.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/imapwire/out.h"
#include "lib/name/namespace.h"
#include "lib/name/wildcard.h"
#include "lib/stream/stream.h"

/* ---- patterns ---- */

static int read_several(struct imap_args *args, struct list_patterns *p)
{
    int r;

    p->several = true;
    do {
        if (p->count == LIST_PATTERNS_MAX)
            return ERR_LIMIT;
        r = imap_args_list_mailbox(args, &p->texts[p->count++]);
    } while (r == 0 && imap_args_skip(args, ' '));
    return r == 0 ? imap_args_char(args, ')') : r;
}

int list_patterns_read(struct imap_args *args, bool may_be_several, struct list_patterns *p)
{
    *p = (struct list_patterns){0};
    if (imap_args_mailbox(args, &p->reference) < 0 || imap_args_space(args) < 0)
        return ERR_SYNTAX;
    if (opt_switch(OPT_IGNOREREFERENCE))
        p->reference = "";
    p->texts = pool_alloc(args->pool, LIST_PATTERNS_MAX * sizeof(*p->texts));
    p->wildcards = pool_alloc(args->pool, LIST_PATTERNS_MAX * sizeof(struct wildcard *));
    if (may_be_several && imap_args_skip(args, '('))
        return read_several(args, p);
    p->count = 1;
    return imap_args_list_mailbox(args, &p->texts[0]);
}

int list_patterns_compile(struct list_patterns *p, char separator, bool extended)
{
    size_t kept = 0;

    for (size_t i = 0; i < p->count; i++) {
        int r = extended && *p->texts[i] == '\0'
                    ? ERR_NOTFOUND
                    : wildcard_new(separator, p->reference, p->texts[i], &p->wildcards[kept]);

        if (r < 0 && !extended)
            return r;
        if (r == 0)
            p->texts[kept++] = p->texts[i];
    }
    p->count = kept;
    return 0;
}

void list_patterns_free(struct list_patterns *p)
{
    for (size_t i = 0; i < p->count; i++)
        wildcard_free(&p->wildcards[i]);
    p->count = 0;
}

bool list_matches(const struct list_patterns *p, const char *name, size_t len)
{
    for (size_t i = 0; i < p->count; i++)
        if (wildcard_match(p->wildcards[i], name, len))
            return true;
    return false;
}

/* RFC 3501 6.3.8: levels are told if the pattern ends in "%". */
static bool matches_as_level(const struct list_patterns *p, const char *name, size_t len)
{
    for (size_t i = 0; i < p->count; i++)
        if (wildcard_ends_in_percent(p->wildcards[i]) && wildcard_match(p->wildcards[i], name, len))
            return true;
    return false;
}

void list_patterns_prefix(const struct list_patterns *p, const struct namespace *ns, struct buf *prefix)
{
    struct buf other = BUF_INIT;

    for (size_t i = 0; i < p->count; i++) {
        size_t n = 0;

        buf_reset(&other);
        namespace_scan_prefix(ns, wildcard_literal(p->wildcards[i]), i == 0 ? prefix : &other);
        if (i == 0)
            continue;
        while (n < prefix->len && n < other.len && prefix->data[n] == other.data[n])
            n++;
        buf_truncate(prefix, n);
    }
    buf_free(&other);
}

/* ---- lines ---- */

void list_put(struct client *c, const char *word, const char *attributes, const char *external,
              const char *more)
{
    struct buf line = BUF_INIT;

    buf_printf(&line, "* %s (%s) \"%c\" ", word, attributes, c->ns->separator);
    client_put_name(c, external, &line);
    buf_printf(&line, "%s\r\n", more);
    stream_write(c->stream, line.data, line.len);
    buf_free(&line);
}

/* ---- levels ---- */

void list_levels_init(struct list_levels *l)
{
    *l = (struct list_levels){.told = hash_new(NULL)};
}

void list_levels_free(struct list_levels *l)
{
    hash_free(&l->told);
    buf_free(&l->last);
}

/* Has `level` (the first n bytes of a name) been seen as a mailbox just before?  Mailboxes stand before what is
 * below them, so the chain of the last visible name is enough. */
static bool is_level_of_last(const struct list_levels *l, const char *name, size_t n, char separator)
{
    return l->last.len >= n && memcmp(l->last.data, name, n) == 0 &&
           (l->last.len == n || l->last.data[n] == separator);
}

/* The next level of `name` to be looked at, from *at (NULL: the first) on: malloc'ed, and not seen before. */
static char *next_level(struct list_levels *l, const struct list_patterns *p, const char *name,
                        char separator, const char **at)
{
    const char *s = strchr(*at == NULL ? name : *at + 1, separator);

    for (; s != NULL; s = strchr(s + 1, separator)) {
        size_t n = (size_t)(s - name);
        char *level;

        if (n == 0 || is_level_of_last(l, name, n, separator) || !matches_as_level(p, name, n))
            continue;
        *at = s;
        level = xstrndup(name, n);
        if (hash_get(l->told, level) == NULL) {
            hash_set(l->told, level, l);
            return level;
        }
        free(level);
    }
    return NULL;
}

void list_levels_note(struct list_levels *l, const char *name)
{
    /* With altnamespace what is below INBOX does not follow it. */
    if (strcmp(name, "INBOX") == 0)
        hash_set(l->told, name, l);
    buf_reset(&l->last);
    buf_puts(&l->last, name);
}

void list_levels_tell(struct list_levels *l, struct client *c, const struct list_patterns *p,
                      const char *name, const char *word, const char *attributes)
{
    const char *at = NULL;
    char *level;

    while ((level = next_level(l, p, name, c->ns->separator, &at)) != NULL) {
        list_put(c, word, attributes, level, "");
        free(level);
    }
    list_levels_note(l, name);
}

void list_levels_tell_missing(struct list_levels *l, struct command *cmd, const struct list_patterns *p,
                              const char *name, list_exists_fn *exists)
{
    const char *at = NULL;
    char *level;

    while ((level = next_level(l, p, name, cmd->client->ns->separator, &at)) != NULL) {
        if (!exists(cmd, level))
            list_put(cmd->client, "LIST", "\\NonExistent \\HasChildren", level, "");
        free(level);
    }
    list_levels_note(l, name);
}
