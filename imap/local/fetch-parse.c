#include <string.h>

#include "imap/local/annotate.h"
#include "imap/local/fetch.h"
#include "imap/session/capability.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/imapwire/out.h"

enum { ITEMS_MAX = 1000, FIELDS_MAX = 1000 };

static struct fetch_item *add(struct imap_args *args, struct fetch_items *items, enum fetch_kind kind,
                              const char *name)
{
    struct fetch_item *item = pool_alloc(args->pool, sizeof(*item));

    item->kind = kind;
    item->name = name;
    *items->last = item;
    items->last = &item->next;
    return item;
}

static int fail(struct imap_args *args, const char *text)
{
    args->error = text;
    return ERR_SYNTAX;
}

/* ---- items without a section ---- */

static const struct {
    const char *name;
    enum fetch_kind kind;
    enum cache_item cached;
    const char *capability; /* what it belongs to; NULL: the base protocol */
} plain_items[] = {
    {"FLAGS", FETCH_FLAGS, 0, NULL},
    {"UID", FETCH_UID, 0, NULL},
    {"INTERNALDATE", FETCH_INTERNALDATE, 0, NULL},
    {"RFC822.SIZE", FETCH_SIZE, 0, NULL},
    {"ENVELOPE", FETCH_CACHED, CACHE_ENVELOPE, NULL},
    {"BODY", FETCH_CACHED, CACHE_BODY, NULL},
    {"BODYSTRUCTURE", FETCH_CACHED, CACHE_BODYSTRUCTURE, NULL},
    {"MODSEQ", FETCH_MODSEQ, 0, "CONDSTORE"},
    {"EMAILID", FETCH_EMAILID, 0, "OBJECTID"},
    {"THREADID", FETCH_THREADID, 0, "OBJECTID"},
    {"SAVEDATE", FETCH_SAVEDATE, 0, "SAVEDATE"},
};

static bool is_there(const char *capability)
{
    return capability == NULL || !capability_is_suppressed(capability);
}

/* " (LAZY LAZY ...)" (RFC 8970 section 6); other brackets are not PREVIEW's. */
static int parse_lazy(struct imap_args *args, struct fetch_item *item)
{
    struct imap_args before = *args;

    item->lazy = imap_args_skip(args, ' ') && imap_args_skip(args, '(') && imap_args_word(args, "LAZY");
    if (!item->lazy) {
        *args = before;
        return 0;
    }
    while (imap_args_skip(args, ' '))
        if (!imap_args_word(args, "LAZY"))
            return fail(args, "Invalid PREVIEW modifier");
    return imap_args_char(args, ')');
}

static int parse_annotation(struct imap_args *args, struct fetch_item *item)
{
    return imap_args_space(args) < 0 ? ERR_SYNTAX : annotate_wants_read(args, &item->annotations);
}

static bool add_plain(struct imap_args *args, struct fetch_items *items, const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(plain_items); i++) {
        if (!str_ieq(name, plain_items[i].name) || !is_there(plain_items[i].capability))
            continue;
        add(args, items, plain_items[i].kind, plain_items[i].name)->cached = plain_items[i].cached;
        items->flags = items->flags || plain_items[i].kind == FETCH_FLAGS;
        items->uid = items->uid || plain_items[i].kind == FETCH_UID;
        items->modseq = items->modseq || plain_items[i].kind == FETCH_MODSEQ;
        return true;
    }
    return false;
}

/* RFC822, RFC822.HEADER, RFC822.TEXT are sections by other names; RFC822.PEEK is RFC822 that leaves \Seen alone,
 * and is answered as RFC822. */
static bool add_rfc822(struct imap_args *args, struct fetch_items *items, const char *name)
{
    static const struct {
        const char *name, *answer;
        enum mail_section_what what;
        bool sets_seen, peer;
    } rows[] = {{"RFC822", "RFC822", MAIL_SECTION_ALL, true, false},
                {"RFC822.HEADER", "RFC822.HEADER", MAIL_SECTION_HEADER, false, false},
                {"RFC822.PEEK", "RFC822", MAIL_SECTION_ALL, false, true},
                {"RFC822.TEXT", "RFC822.TEXT", MAIL_SECTION_TEXT, true, false}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (!str_ieq(name, rows[i].name) || (rows[i].peer && !items->peer))
            continue;
        add(args, items, FETCH_SECTION, rows[i].answer)->section.what = rows[i].what;
        items->sets_seen = items->sets_seen || rows[i].sets_seen;
        return true;
    }
    return false;
}

/* ---- BODY[section]<partial> ---- */

/* " (field field ...)" */
static int parse_fields(struct imap_args *args, struct mail_section *section)
{
    const char **fields = pool_alloc(args->pool, FIELDS_MAX * sizeof(*fields));
    size_t n = 0;

    if (imap_args_space(args) < 0 || imap_args_char(args, '(') < 0)
        return ERR_SYNTAX;
    do {
        if (n == FIELDS_MAX)
            return fail(args, "Too many header fields");
        if (imap_args_astring(args, &fields[n++]) < 0)
            return ERR_SYNTAX;
    } while (imap_args_skip(args, ' '));
    section->fields = fields;
    section->field_count = n;
    return imap_args_char(args, ')');
}

static bool has_fields(const struct mail_section *section)
{
    return section->what == MAIL_SECTION_FIELDS || section->what == MAIL_SECTION_FIELDS_NOT;
}

int fetch_parse_section(struct imap_args *args, struct mail_section *section)
{
    const char *text = "";

    if (imap_args_peek(args) != ']' && imap_args_item(args, &text) < 0)
        return ERR_SYNTAX;
    if (mail_section_parse(text, strlen(text), section) < 0)
        return fail(args, "Invalid body section");
    if (has_fields(section) && parse_fields(args, section) < 0)
        return ERR_SYNTAX;
    return imap_args_char(args, ']');
}

/* "<start.size>" (RFC 9051 section 9, partial): the size is not 0. */
static int parse_partial(struct imap_args *args, struct fetch_item *item)
{
    uint64_t start, size;

    if (!imap_args_skip(args, '<'))
        return 0;
    if (imap_args_number64(args, &start) < 0 || imap_args_char(args, '.') < 0 ||
        imap_args_number64(args, &size) < 0 || size == 0 || imap_args_char(args, '>') < 0)
        return fail(args, "Invalid partial fetch");
    item->has_partial = true;
    item->partial_start = start;
    item->partial_size = size;
    return 0;
}

/* The name that the answer repeats: BODY[...], and the partial's start. */
static const char *section_name(struct pool *pool, const struct fetch_item *item, const char *word)
{
    struct buf b = BUF_INIT;
    const char *name;

    buf_printf(&b, "%s[", word);
    mail_section_format(&item->section, &b);
    buf_putc(&b, ']');
    if (item->has_partial)
        buf_printf(&b, "<%llu>", (unsigned long long)item->partial_start);
    name = pool_strdup(pool, buf_cstr(&b));
    buf_free(&b);
    return name;
}

static bool fields_are_cached(const struct mail_section *section)
{
    if (section->what != MAIL_SECTION_FIELDS || section->depth > 0)
        return false;
    for (size_t i = 0; i < section->field_count; i++)
        if (!message_header_is_cached(section->fields[i]))
            return false;
    return true;
}

static int add_section(struct imap_args *args, struct fetch_items *items, bool peek)
{
    struct fetch_item *item = add(args, items, FETCH_SECTION, NULL);

    if (fetch_parse_section(args, &item->section) < 0 || parse_partial(args, item) < 0)
        return ERR_SYNTAX;
    item->name = section_name(args->pool, item, "BODY");
    item->cached_fields = fields_are_cached(&item->section);
    items->sets_seen = items->sets_seen || !peek;
    return 0;
}

/* ---- BINARY[part]<partial>, BINARY.SIZE[part] (RFC 3516 7) ---- */

static const struct binary_word {
    const char *word, *answer;
    enum fetch_kind kind;
    bool sets_seen;
} binary_words[] = {{"BINARY", "BINARY", FETCH_BINARY, true},
                    {"BINARY.PEEK", "BINARY", FETCH_BINARY, false},
                    {"BINARY.SIZE", "BINARY.SIZE", FETCH_BINARY_SIZE, false}};

static int add_binary(struct imap_args *args, struct fetch_items *items, const struct binary_word *word)
{
    struct fetch_item *item = add(args, items, word->kind, NULL);

    if (fetch_parse_section(args, &item->section) < 0)
        return ERR_SYNTAX;
    if (item->section.what != MAIL_SECTION_ALL)
        return fail(args, "Invalid body section");
    if (word->kind == FETCH_BINARY && parse_partial(args, item) < 0)
        return ERR_SYNTAX;
    item->name = section_name(args->pool, item, word->answer);
    items->binary = true;
    items->sets_seen = items->sets_seen || word->sets_seen;
    return 0;
}

static const struct binary_word *find_binary(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(binary_words); i++)
        if (str_ieq(name, binary_words[i].word) && !capability_is_suppressed("BINARY"))
            return &binary_words[i];
    return NULL;
}

/* ---- the list ---- */

static int parse_item(struct imap_args *args, struct fetch_items *items)
{
    const char *name;

    if (imap_args_item(args, &name) < 0)
        return ERR_SYNTAX;
    if (imap_args_skip(args, '[')) {
        if (str_ieq(name, "BODY"))
            return add_section(args, items, false);
        if (str_ieq(name, "BODY.PEEK"))
            return add_section(args, items, true);
        if (find_binary(name) != NULL)
            return add_binary(args, items, find_binary(name));
    } else if (str_ieq(name, "PREVIEW") && is_there("PREVIEW")) {
        return parse_lazy(args, add(args, items, FETCH_PREVIEW, "PREVIEW"));
    } else if (str_ieq(name, "ANNOTATION") && is_there(ANNOTATE_CAPABILITY)) {
        return parse_annotation(args, add(args, items, FETCH_ANNOTATION, "ANNOTATION"));
    } else if (add_plain(args, items, name) || add_rfc822(args, items, name)) {
        return 0;
    }
    return fail(args, "Invalid FETCH item");
}

/* RFC 3501 6.4.5 */
static bool take_macro(struct imap_args *args, struct fetch_items *items)
{
    static const char *const expansion[] = {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"};
    size_t n;

    if (imap_args_word(args, "FAST"))
        n = 3;
    else if (imap_args_word(args, "ALL"))
        n = 4;
    else if (imap_args_word(args, "FULL"))
        n = 5;
    else
        return false;
    for (size_t i = 0; i < n; i++)
        add_plain(args, items, expansion[i]);
    return true;
}

static int parse_list(struct imap_args *args, struct fetch_items *items)
{
    int count = 0, r;

    if (take_macro(args, items))
        return 0;
    if (!imap_args_skip(args, '('))
        return parse_item(args, items);
    do {
        if (++count > ITEMS_MAX)
            return fail(args, "Too many FETCH items");
        r = parse_item(args, items);
    } while (r == 0 && imap_args_skip(args, ' '));
    return r == 0 ? imap_args_char(args, ')') : r;
}

/* ---- modifiers ---- */

/* "5:1", "-1:-30": first and last, in any order */
static int parse_partial_range(struct imap_args *args, struct fetch_items *items)
{
    uint32_t a, b;

    items->partial_from_end = imap_args_skip(args, '-');
    if (imap_args_nz_number(args, &a) < 0 || imap_args_char(args, ':') < 0 ||
        (items->partial_from_end && imap_args_char(args, '-') < 0) || imap_args_nz_number(args, &b) < 0)
        return fail(args, "Invalid range");
    items->partial_first = a < b ? a : b;
    items->partial_last = a < b ? b : a;
    return 0;
}

static int parse_modifier(struct imap_args *args, struct fetch_items *items)
{
    if (items->changed_since == 0 && is_there("CONDSTORE") && imap_args_word(args, "CHANGEDSINCE")) {
        if (imap_args_space(args) < 0)
            return ERR_SYNTAX;
        return imap_args_modseq(args, false, &items->changed_since);
    }
    if (!items->vanished && is_there("QRESYNC") && imap_args_word(args, "VANISHED")) {
        items->vanished = true;
        return 0;
    }
    if (items->partial_first == 0 && is_there("PARTIAL") && imap_args_word(args, "PARTIAL"))
        return imap_args_space(args) < 0 ? ERR_SYNTAX : parse_partial_range(args, items);
    return fail(args, "Invalid FETCH modifier");
}

/* " (modifier ...)", or nothing */
static int parse_modifiers(struct imap_args *args, struct fetch_items *items)
{
    int r;

    if (imap_args_at_end(args))
        return 0;
    if (imap_args_space(args) < 0 || imap_args_char(args, '(') < 0)
        return ERR_SYNTAX;
    do {
        r = parse_modifier(args, items);
    } while (r == 0 && imap_args_skip(args, ' '));
    if (r == 0)
        r = imap_args_char(args, ')');
    if (r == 0 && items->vanished && items->changed_since == 0)
        return fail(args, "VANISHED needs CHANGEDSINCE");
    if (r == 0 && items->changed_since != 0 && !items->modseq)
        add_plain(args, items, "MODSEQ");
    return r;
}

void fetch_items_free(struct fetch_items *items)
{
    for (struct fetch_item *item = items->first; item != NULL; item = item->next)
        annotate_wants_free(&item->annotations);
}

int fetch_parse(struct imap_args *args, bool peer, struct fetch_items *items)
{
    int r;

    *items = (struct fetch_items){.last = &items->first, .peer = peer};
    r = parse_list(args, items);
    if (r == 0)
        r = parse_modifiers(args, items);
    return r < 0 ? r : imap_args_end(args);
}
