#include "imap/local/annotate.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/imapwire/out.h"
#include "lib/mail/section.h"
#include "lib/name/wildcard.h"

enum { ENTRIES_MAX = 100, ATTRIBUTES_MAX = 12 };

struct annotate_wants {
    struct {
        const char *name;
        struct wildcard *pattern; /* NULL: this very entry */
    } entries[ENTRIES_MAX];
    size_t entry_count;
    struct {
        bool size, is_private;
    } attributes[ATTRIBUTES_MAX];
    size_t attribute_count;
    struct pool *pool;
};

static int fail(struct imap_args *args, const char *text)
{
    args->error = text;
    return ERR_SYNTAX;
}

/* ---- what is asked for ---- */

static int read_entry(struct imap_args *args, struct annotate_wants *w)
{
    const char *name;

    if (imap_args_list_mailbox(args, &name) < 0)
        return ERR_SYNTAX;
    if (w->entry_count == ENTRIES_MAX)
        return fail(args, "Too many annotation entries");
    w->entries[w->entry_count].name = name;
    if (strpbrk(name, "*%") == NULL) {
        if (!annotate_is_entry(name))
            return fail(args, "Invalid annotation entry");
    } else if (wildcard_new('/', "", name, &w->entries[w->entry_count].pattern) < 0) {
        return fail(args, "Annotation entry too long");
    }
    w->entry_count++;
    return 0;
}

static int add_attribute(struct imap_args *args, struct annotate_wants *w, bool size, bool is_private)
{
    if (w->attribute_count == ATTRIBUTES_MAX)
        return fail(args, "Too many annotation attributes");
    w->attributes[w->attribute_count].size = size;
    w->attributes[w->attribute_count++].is_private = is_private;
    return 0;
}

/* Without .priv or .shared it is both (RFC 5257 section 3.2.2). */
static int read_attribute(struct imap_args *args, struct annotate_wants *w)
{
    static const struct {
        const char *name;
        bool size, priv, shared;
    } rows[] = {{"value", false, true, true},         {"value.priv", false, true, false},
                {"value.shared", false, false, true}, {"size", true, true, true},
                {"size.priv", true, true, false},     {"size.shared", true, false, true}};
    const char *name;
    int r = 0;

    if (imap_args_astring(args, &name) < 0)
        return ERR_SYNTAX;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (strcmp(name, rows[i].name) != 0)
            continue;
        if (rows[i].priv)
            r = add_attribute(args, w, rows[i].size, true);
        if (r == 0 && rows[i].shared)
            r = add_attribute(args, w, rows[i].size, false);
        return r;
    }
    return fail(args, "Unknown annotation attribute");
}

/* One, or "(one ...)". */
static int read_some(struct imap_args *args, struct annotate_wants *w,
                     int (*read)(struct imap_args *args, struct annotate_wants *w))
{
    int r;

    if (!imap_args_skip(args, '('))
        return read(args, w);
    do {
        r = read(args, w);
    } while (r == 0 && imap_args_skip(args, ' '));
    return r == 0 ? imap_args_char(args, ')') : r;
}

int annotate_wants_read(struct imap_args *args, struct annotate_wants **wants_r)
{
    struct annotate_wants *w = pool_alloc(args->pool, sizeof(*w));
    int r = imap_args_char(args, '(');

    *wants_r = w;
    w->pool = args->pool;
    if (r == 0)
        r = read_some(args, w, read_entry);
    if (r == 0)
        r = imap_args_space(args);
    if (r == 0)
        r = read_some(args, w, read_attribute);
    return r == 0 ? imap_args_char(args, ')') : r;
}

void annotate_wants_free(struct annotate_wants **wants)
{
    struct annotate_wants *w = *wants;

    for (size_t i = 0; w != NULL && i < w->entry_count; i++)
        wildcard_free(&w->entries[i].pattern);
    *wants = NULL;
}

const char *annotate_wants_part(const struct annotate_wants *w, size_t *i)
{
    while (*i < w->entry_count) {
        size_t at = (*i)++;
        const char *part =
            w->entries[at].pattern == NULL ? annotate_part(w->entries[at].name, w->pool) : NULL;

        if (part != NULL)
            return part;
    }
    return NULL;
}

/* ---- the answer ---- */

/* Among what is told of several users only the shared ones and his own are for him. */
static bool is_visible(const struct annotate_item *item, const char *userid)
{
    return *item->owner == '\0' || strcmp(item->owner, userid) == 0;
}

static void put_attribute(const struct annotate_item *item, bool size, bool is_private, struct buf *to)
{
    buf_printf(to, "%s.%s ", size ? "size" : "value", is_private ? "priv" : "shared");
    if (size)
        buf_printf(to, "\"%zu\"", item != NULL ? item->len : 0);
    else if (item == NULL)
        buf_puts(to, "NIL");
    else
        imap_put_string8(to, item->value, item->len);
}

static void put_entry(const struct annotate_wants *w, const struct annotate_items *items, const char *userid,
                      const char *entry, struct buf *to)
{
    imap_put_astring(to, entry);
    buf_puts(to, " (");
    for (size_t i = 0; i < w->attribute_count; i++) {
        bool is_private = w->attributes[i].is_private;

        if (i > 0)
            buf_putc(to, ' ');
        put_attribute(annotate_find(items, is_private ? userid : "", entry), w->attributes[i].size,
                      is_private, to);
    }
    buf_putc(to, ')');
}

/* Is the entry named, or has it one of the attributes and is meant by a pattern? */
static bool is_wanted(const struct annotate_wants *w, const struct annotate_item *item, const char *userid)
{
    bool scope = false, wanted = false;

    for (size_t i = 0; i < w->attribute_count; i++)
        scope = scope || w->attributes[i].is_private == (*item->owner != '\0');
    for (size_t i = 0; i < w->entry_count && scope; i++)
        wanted = wanted || (w->entries[i].pattern != NULL &&
                            wildcard_match(w->entries[i].pattern, item->entry, strlen(item->entry)));
    return wanted && item->value != NULL && is_visible(item, userid);
}

static bool is_named(const struct annotate_wants *w, size_t count, const char *entry)
{
    for (size_t i = 0; i < count; i++)
        if (w->entries[i].pattern == NULL && strcmp(w->entries[i].name, entry) == 0)
            return true;
    return false;
}

bool annotate_wants_put(const struct annotate_wants *w, const struct annotate_items *items,
                        const char *userid, struct buf *to)
{
    static const char begin[] = "ANNOTATION (";
    size_t before = to->len;
    const char *last = "";

    buf_puts(to, begin);
    for (size_t i = 0; i < w->entry_count; i++) {
        if (w->entries[i].pattern != NULL || is_named(w, i, w->entries[i].name))
            continue;
        put_entry(w, items, userid, w->entries[i].name, to);
        buf_putc(to, ' ');
    }
    for (size_t i = 0; i < items->count; i++) {
        const struct annotate_item *item = &items->items[i];

        if (!is_wanted(w, item, userid) || strcmp(item->entry, last) == 0 ||
            is_named(w, w->entry_count, item->entry))
            continue;
        last = item->entry;
        put_entry(w, items, userid, item->entry, to);
        buf_putc(to, ' ');
    }
    if (to->len == before + sizeof(begin) - 1) {
        buf_truncate(to, before);
        return false;
    }
    buf_truncate(to, to->len - 1);
    buf_putc(to, ')');
    return true;
}

void annotate_put_changed(const struct annotate_items *items, const char *userid, uint64_t since,
                          struct buf *to)
{
    const char *last = "";
    bool some = false;

    for (size_t i = 0; i < items->count; i++) {
        const struct annotate_item *item = &items->items[i];

        if (item->modseq <= since || !is_visible(item, userid) || strcmp(item->entry, last) == 0)
            continue;
        buf_puts(to, some ? " " : "ANNOTATION (");
        imap_put_astring(to, item->entry);
        last = item->entry;
        some = true;
    }
    if (some)
        buf_puts(to, ") ");
}

/* ---- changes ---- */

/* RFC 5257 section 3.4 */
static bool may_set(const struct annotate_value *v, rights_t rights)
{
    return (rights & (v->is_private ? ACL_READ : ACL_ANNOTATE)) != 0;
}

size_t annotate_allowed_of(const struct annotate_list *list, const char *userid, rights_t rights,
                           struct pool *pool, struct annotate_change **changes_r)
{
    struct annotate_change *changes = pool_alloc(pool, (list->count + 1) * sizeof(*changes));
    size_t n = 0;

    for (size_t i = 0; i < list->count; i++) {
        const struct annotate_value *v = &list->values[i];

        if (may_set(v, rights))
            changes[n++] = (struct annotate_change){v->is_private ? userid : "", v->entry, v->value, v->len};
    }
    *changes_r = changes;
    return n;
}

int annotate_changes_of(const struct annotate_list *list, const char *userid, rights_t rights,
                        struct pool *pool, struct annotate_change **changes_r)
{
    return annotate_allowed_of(list, userid, rights, pool, changes_r) == list->count ? 0 : ERR_DENIED;
}

int annotate_has_part(struct message *message, const char *part)
{
    struct mail_section section;
    struct mail_range range;
    const char *table;
    size_t n;
    int r = mail_section_parse(part, strlen(part), &section);

    if (r < 0)
        return 0;
    r = message_item(message, CACHE_PARTS, &table, &n);
    if (r == 0)
        r = mail_section_locate(table, n, &section, &range);
    return r == 0 ? 1 : (r == ERR_NOTFOUND ? 0 : r);
}

const char *annotate_code(int error)
{
    if (error == ERR_TOOBIG)
        return "ANNOTATE TOOBIG";
    return error == ERR_LIMIT ? "ANNOTATE TOOMANY" : NULL;
}
