#include "imap/session/metadata-args.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/imapwire/out.h"
#include "lib/mboxlist/annotations.h"

static int fail(struct imap_args *args, const char *text)
{
    args->error = text;
    return ERR_SYNTAX;
}

/* ---- entry names (RFC 5464 section 3.2) ---- */

static bool is_name_char(char c)
{
    return c > 0x1f && c < 0x7f && c != '*' && c != '%';
}

/* What follows the scope: "" or "/component/component". */
static bool is_name(const char *s)
{
    for (; *s != '\0'; s++)
        if (!is_name_char(*s) || (*s == '/' && (s[1] == '/' || s[1] == '\0')))
            return false;
    return true;
}

static int set_name(struct imap_args *args, struct metadata_entry *e)
{
    const char *rest;
    char *name;

    e->is_private = str_has_iprefix(e->text, "/private");
    if (!e->is_private && !str_has_iprefix(e->text, "/shared"))
        return fail(args, "Entries begin with /shared/ or /private/");
    rest = e->text + strlen(e->is_private ? "/private" : "/shared");
    if (*rest != '\0' && *rest != '/')
        return fail(args, "Entries begin with /shared/ or /private/");
    if (!is_name(rest))
        return fail(args, "Invalid entry name");
    if (strlen(rest) > ANNOTATION_ENTRY_MAX)
        return fail(args, "Entry name too long");
    name = pool_strdup(args->pool, rest);
    str_lower(name);
    e->name = name;
    return 0;
}

static int take_entry(struct imap_args *args, struct metadata_entry *e)
{
    int r = imap_args_astring(args, &e->text);

    return r == 0 ? set_name(args, e) : r;
}

/* An entry that can be set has a name below its scope, and one of a vendor's at least "/vendor/token/name". */
static bool is_whole(const char *name)
{
    static const char vendor[] = "/vendor";
    const char *token;

    if (!str_has_prefix(name, vendor) || (name[strlen(vendor)] != '/' && name[strlen(vendor)] != '\0'))
        return *name != '\0';
    token = name + strlen(vendor);
    return *token == '/' && strchr(token + 1, '/') != NULL;
}

bool metadata_is_below(const char *name, const char *base, enum metadata_depth depth)
{
    size_t len = strlen(base);

    if (depth == METADATA_DEPTH_0 || !str_has_prefix(name, base) || name[len] != '/')
        return false;
    return depth == METADATA_DEPTH_INFINITY || strchr(name + len + 1, '/') == NULL;
}

/* ---- GETMETADATA ---- */

static int take_depth(struct imap_args *args, struct metadata_request *r)
{
    static const char *const words[] = {
        [METADATA_DEPTH_0] = "0", [METADATA_DEPTH_1] = "1", [METADATA_DEPTH_INFINITY] = "infinity"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (imap_args_word(args, words[i])) {
            r->depth = (enum metadata_depth)i;
            return 0;
        }
    }
    return fail(args, "DEPTH is 0, 1 or infinity");
}

static int take_option(struct imap_args *args, struct metadata_request *r)
{
    if (imap_args_word(args, "DEPTH"))
        return imap_args_space(args) < 0 ? ERR_SYNTAX : take_depth(args, r);
    if (!imap_args_word(args, "MAXSIZE"))
        return fail(args, "Unknown option");
    r->has_maxsize = true;
    return imap_args_space(args) < 0 ? ERR_SYNTAX : imap_args_number(args, &r->maxsize);
}

/* "(option ...) ", the bracket taken already. */
static int take_options(struct imap_args *args, struct metadata_request *r)
{
    do {
        if (take_option(args, r) < 0)
            return ERR_SYNTAX;
    } while (imap_args_skip(args, ' '));
    return imap_args_char(args, ')') < 0 ? ERR_SYNTAX : imap_args_space(args);
}

/* "entry" or "(entry ...)", the bracket taken already. */
static int take_entries(struct imap_args *args, bool list, struct metadata_request *r)
{
    do {
        if (r->count == METADATA_ENTRIES_MAX)
            return fail(args, "Too many entries");
        if (take_entry(args, &r->entries[r->count++]) < 0)
            return ERR_SYNTAX;
    } while (list && imap_args_skip(args, ' '));
    return list ? imap_args_char(args, ')') : 0;
}

static void begin(struct imap_args *args, struct metadata_request *r)
{
    *r = (struct metadata_request){.entries =
                                       pool_alloc(args->pool, METADATA_ENTRIES_MAX * sizeof(*r->entries))};
    memset(r->entries, 0, METADATA_ENTRIES_MAX * sizeof(*r->entries));
}

/* Behind a bracket an option is a word, and an entry begins with "/" or as a string does. */
static bool is_option_next(const struct imap_args *args)
{
    char c = imap_args_peek(args);

    return c != '/' && c != '"' && c != '{';
}

int metadata_parse_get(struct imap_args *args, struct metadata_request *r)
{
    bool options, list;

    begin(args, r);
    options = imap_args_skip(args, '(');
    if ((options && take_options(args, r) < 0) || imap_args_mailbox(args, &r->mailbox) < 0 ||
        imap_args_space(args) < 0)
        return ERR_SYNTAX;
    list = imap_args_skip(args, '(');
    if (list && !options && is_option_next(args)) {
        if (take_options(args, r) < 0)
            return ERR_SYNTAX;
        list = imap_args_skip(args, '(');
    }
    return take_entries(args, list, r) < 0 ? ERR_SYNTAX : imap_args_end(args);
}

/* ---- LIST ---- */

int metadata_parse_entries(struct imap_args *args, struct metadata_request *r)
{
    bool list;

    begin(args, r);
    list = imap_args_skip(args, '(');
    return take_entries(args, list, r);
}

const char *metadata_entries_text(const struct metadata_request *r, struct pool *pool)
{
    struct buf text = BUF_INIT;
    const char *copy;

    for (size_t i = 0; i < r->count; i++) {
        buf_putc(&text, i == 0 ? '(' : ' ');
        imap_put_nstring(&text, r->entries[i].text);
    }
    buf_putc(&text, ')');
    copy = pool_strdup(pool, buf_cstr(&text));
    buf_free(&text);
    return copy;
}

/* ---- SETMETADATA ---- */

static int take_pair(struct imap_args *args, struct metadata_entry *e)
{
    if (take_entry(args, e) < 0)
        return ERR_SYNTAX;
    if (!is_whole(e->name))
        return fail(args, "Incomplete entry name");
    return imap_args_space(args) < 0 ? ERR_SYNTAX : imap_args_nstring8(args, &e->value, &e->len);
}

int metadata_parse_set(struct imap_args *args, struct metadata_request *r)
{
    begin(args, r);
    if (imap_args_mailbox(args, &r->mailbox) < 0 || imap_args_space(args) < 0 ||
        imap_args_char(args, '(') < 0)
        return ERR_SYNTAX;
    do {
        if (r->count == METADATA_ENTRIES_MAX)
            return fail(args, "Too many entries");
        if (take_pair(args, &r->entries[r->count++]) < 0)
            return ERR_SYNTAX;
    } while (imap_args_skip(args, ' '));
    return imap_args_char(args, ')') < 0 ? ERR_SYNTAX : imap_args_end(args);
}
