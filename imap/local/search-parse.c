/* search-parse.c: reads search keys (RFC 3501 section 9, search-key) into a program for the store. */
#include <string.h>

#include "imap/local/search.h"
#include "imap/session/annotate-args.h"
#include "imap/session/capability.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/charset/convert.h"
#include "lib/mail/date.h"
#include "lib/name/identity.h"
#include "lib/name/wildcard.h"

enum { DEPTH_MAX = 32, KEYS_MAX = 1000, OBJECTID_MAX = 255 };

/* A node whose set, or pattern, is to be freed. */
struct search_owned {
    struct search_owned *next;
    struct search_node *node;
};

/* ---- keys ---- */

enum key_form {
    KEY_PLAIN,
    KEY_TEXT,
    KEY_FIELD,
    KEY_DATE,
    KEY_NUMBER,
    KEY_KEYWORD,
    KEY_INTERVAL,
    KEY_EMAILID,
    KEY_THREADID
};

static const struct key {
    const char *name;
    enum key_form form;
    enum search_op op;
    uint32_t flag;
    bool negated;
    const char *field;
    const char *capability; /* that brings it; NULL: RFC 3501 */
} keys[] = {
    {"ALL", KEY_PLAIN, SEARCH_ALL, 0, false, NULL, NULL},
    {"ANSWERED", KEY_PLAIN, SEARCH_FLAG, RECORD_ANSWERED, false, NULL, NULL},
    {"BCC", KEY_FIELD, SEARCH_HEADER, 0, false, "Bcc", NULL},
    {"BEFORE", KEY_DATE, SEARCH_BEFORE, 0, false, NULL, NULL},
    {"BODY", KEY_TEXT, SEARCH_BODY, 0, false, NULL, NULL},
    {"CC", KEY_FIELD, SEARCH_HEADER, 0, false, "Cc", NULL},
    {"DELETED", KEY_PLAIN, SEARCH_FLAG, RECORD_DELETED, false, NULL, NULL},
    {"DRAFT", KEY_PLAIN, SEARCH_FLAG, RECORD_DRAFT, false, NULL, NULL},
    {"EMAILID", KEY_EMAILID, SEARCH_GUID, 0, false, NULL, "OBJECTID"},
    {"FLAGGED", KEY_PLAIN, SEARCH_FLAG, RECORD_FLAGGED, false, NULL, NULL},
    {"FROM", KEY_FIELD, SEARCH_HEADER, 0, false, "From", NULL},
    {"KEYWORD", KEY_KEYWORD, SEARCH_KEYWORD, 0, false, NULL, NULL},
    {"LARGER", KEY_NUMBER, SEARCH_LARGER, 0, false, NULL, NULL},
    {"OLD", KEY_PLAIN, SEARCH_RECENT, 0, true, NULL, NULL},
    {"OLDER", KEY_INTERVAL, SEARCH_OLDER, 0, false, NULL, "WITHIN"},
    {"ON", KEY_DATE, SEARCH_ON, 0, false, NULL, NULL},
    {"RECENT", KEY_PLAIN, SEARCH_RECENT, 0, false, NULL, NULL},
    {"SAVEDATESUPPORTED", KEY_PLAIN, SEARCH_ALL, 0, false, NULL, "SAVEDATE"},
    {"SAVEDBEFORE", KEY_DATE, SEARCH_SAVEDBEFORE, 0, false, NULL, "SAVEDATE"},
    {"SAVEDON", KEY_DATE, SEARCH_SAVEDON, 0, false, NULL, "SAVEDATE"},
    {"SAVEDSINCE", KEY_DATE, SEARCH_SAVEDSINCE, 0, false, NULL, "SAVEDATE"},
    {"SEEN", KEY_PLAIN, SEARCH_FLAG, RECORD_SEEN, false, NULL, NULL},
    {"SENTBEFORE", KEY_DATE, SEARCH_SENTBEFORE, 0, false, NULL, NULL},
    {"SENTON", KEY_DATE, SEARCH_SENTON, 0, false, NULL, NULL},
    {"SENTSINCE", KEY_DATE, SEARCH_SENTSINCE, 0, false, NULL, NULL},
    {"SINCE", KEY_DATE, SEARCH_SINCE, 0, false, NULL, NULL},
    {"SMALLER", KEY_NUMBER, SEARCH_SMALLER, 0, false, NULL, NULL},
    {"SUBJECT", KEY_FIELD, SEARCH_HEADER, 0, false, "Subject", NULL},
    {"TEXT", KEY_TEXT, SEARCH_TEXT, 0, false, NULL, NULL},
    {"THREADID", KEY_THREADID, SEARCH_THREAD, 0, false, NULL, "OBJECTID"},
    {"TO", KEY_FIELD, SEARCH_HEADER, 0, false, "To", NULL},
    {"UNANSWERED", KEY_PLAIN, SEARCH_FLAG, RECORD_ANSWERED, true, NULL, NULL},
    {"UNDELETED", KEY_PLAIN, SEARCH_FLAG, RECORD_DELETED, true, NULL, NULL},
    {"UNDRAFT", KEY_PLAIN, SEARCH_FLAG, RECORD_DRAFT, true, NULL, NULL},
    {"UNFLAGGED", KEY_PLAIN, SEARCH_FLAG, RECORD_FLAGGED, true, NULL, NULL},
    {"UNKEYWORD", KEY_KEYWORD, SEARCH_KEYWORD, 0, true, NULL, NULL},
    {"UNSEEN", KEY_PLAIN, SEARCH_FLAG, RECORD_SEEN, true, NULL, NULL},
    {"YOUNGER", KEY_INTERVAL, SEARCH_YOUNGER, 0, false, NULL, "WITHIN"},
};

static int fail(struct search_program *p, const char *text)
{
    p->args->error = text;
    return ERR_SYNTAX;
}

static struct search_node *new_node(struct search_program *p, enum search_op op)
{
    struct search_node *n = pool_alloc(p->pool, sizeof(*n));

    n->op = op;
    return n;
}

static struct search_node *negate(struct search_program *p, struct search_node *child)
{
    struct search_node *n = new_node(p, SEARCH_NOT);

    n->children = child;
    return n;
}

/* What is searched, as UTF-8. */
static int as_utf8(struct search_program *p, const char **text)
{
    struct buf utf8 = BUF_INIT;
    int r = charset_to_utf8(p->charset != NULL ? p->charset : "UTF-8", *text, strlen(*text), &utf8);

    if (r == 0)
        *text = pool_strdup(p->pool, buf_cstr(&utf8));
    buf_free(&utf8);
    return r == 0 ? 0 : fail(p, "Search text does not match its charset");
}

static int read_text(struct search_program *p, const char **text_r)
{
    if (imap_args_space(p->args) < 0 || imap_args_astring(p->args, text_r) < 0)
        return ERR_SYNTAX;
    return as_utf8(p, text_r);
}

static int read_day(struct search_program *p, int64_t *day_r)
{
    const char *date;

    if (imap_args_space(p->args) < 0 || imap_args_date(p->args, &date) < 0)
        return ERR_SYNTAX;
    return mail_date_day_parse(date, strlen(date), day_r) < 0 ? fail(p, "Invalid date") : 0;
}

static int read_number(struct search_program *p, uint64_t *number_r)
{
    return imap_args_space(p->args) < 0 ? ERR_SYNTAX : imap_args_number64(p->args, number_r);
}

/* RFC 5032: seconds before now. */
static int read_interval(struct search_program *p, int64_t *time_r)
{
    uint32_t seconds;

    if (imap_args_space(p->args) < 0 || imap_args_nz_number(p->args, &seconds) < 0)
        return ERR_SYNTAX;
    *time_r = clock_wall() - seconds;
    return 0;
}

/* RFC 8474 section 7 */
static int read_objectid(struct search_program *p, const char **id_r)
{
    static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

    if (imap_args_space(p->args) < 0 || imap_args_atom(p->args, id_r) < 0)
        return ERR_SYNTAX;
    if (strlen(*id_r) > OBJECTID_MAX || (*id_r)[strspn(*id_r, chars)] != '\0')
        return fail(p, "Invalid object identifier");
    return 0;
}

/* What is no EMAILID of ours matches nothing. */
static int read_emailid(struct search_program *p, struct search_node *n)
{
    unsigned char *guid = pool_alloc(p->pool, GUID_SIZE);
    const char *id;
    int r = read_objectid(p, &id);

    if (r == 0 && local_read_emailid(id, guid))
        n->name = (const char *)guid;
    return r;
}

static int read_threadid(struct search_program *p, struct search_node *n)
{
    const char *id;
    int r = read_objectid(p, &id);

    n->number = r == 0 ? local_read_threadid(id) : 0;
    return r;
}

/* The arguments of a key of the table. */
static int read_arguments(struct search_program *p, const struct key *key, struct search_node *n)
{
    n->number = key->flag;
    n->name = key->field;
    switch (key->form) {
    case KEY_PLAIN:
        return 0;
    case KEY_TEXT:
    case KEY_FIELD:
        return read_text(p, &n->text);
    case KEY_DATE:
        return read_day(p, &n->day);
    case KEY_INTERVAL:
        return read_interval(p, &n->day);
    case KEY_NUMBER:
        return read_number(p, &n->number);
    case KEY_KEYWORD:
        return imap_args_space(p->args) < 0 ? ERR_SYNTAX : imap_args_atom(p->args, &n->text);
    case KEY_EMAILID:
        return read_emailid(p, n);
    case KEY_THREADID:
        return read_threadid(p, n);
    }
    return ERR_SYNTAX;
}

static int parse_table_key(struct search_program *p, const char *name, struct search_node **node_r)
{
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        struct search_node *n;

        if (!str_ieq(name, keys[i].name) ||
            (keys[i].capability != NULL && capability_is_suppressed(keys[i].capability)))
            continue;
        n = new_node(p, keys[i].op);
        *node_r = keys[i].negated ? negate(p, n) : n;
        return read_arguments(p, &keys[i], n);
    }
    return fail(p, "Invalid SEARCH key");
}

/* ---- sets ---- */

static struct search_node *new_set(struct search_program *p, enum search_op op)
{
    struct search_owned *owned = pool_alloc(p->pool, sizeof(*owned));
    struct search_node *n = new_node(p, op);

    *owned = (struct search_owned){p->owned, n};
    p->owned = owned;
    return n;
}

static int copy_set(const struct uid_set *from, struct uid_set *to)
{
    int r = 0;

    for (size_t i = 0; from != NULL && r == 0 && i < from->count; i++)
        r = uid_set_add(to, from->ranges[i].first, from->ranges[i].last);
    return r;
}

/* Numbers and UIDs that are not there match nothing (RFC 7377 section 2). */
static int parse_set(struct search_program *p, bool uid, struct search_node **node_r)
{
    struct search_node *n;
    struct seqset set;
    const char *text;
    uint32_t max = 0;
    int r;

    if (imap_args_seqset(p->args, &text) < 0)
        return ERR_SYNTAX;
    if (strcmp(text, "$") == 0) {
        *node_r = n = new_set(p, SEARCH_UIDS);
        return copy_set(p->saved, &n->set);
    }
    p->numbered = p->numbered || !uid;
    if (p->uid_only && !uid)
        return ERR_SYNTAX;
    *node_r = n = new_set(p, uid ? SEARCH_UIDS : SEARCH_SEQS);
    r = p->view != NULL ? local_set_max(p->view, uid, &max) : 0;
    if (r < 0)
        return r;
    seqset_init(&set, p->pool);
    r = seqset_parse(&set, text, strlen(text), max);
    for (size_t i = 0; r == 0 && i < set.count; i++)
        r = uid_set_add(&n->set, set.ranges[i].first, set.ranges[i].last);
    return r;
}

/* ---- the grammar ---- */

static int parse_list(struct search_program *p, unsigned depth, char until, struct search_node **node_r);
static int parse_key(struct search_program *p, unsigned depth, struct search_node **node_r);

static int parse_or(struct search_program *p, unsigned depth, struct search_node **node_r)
{
    struct search_node *n = new_node(p, SEARCH_OR);
    int r;

    *node_r = n;
    if (imap_args_space(p->args) < 0)
        return ERR_SYNTAX;
    r = parse_key(p, depth + 1, &n->children);
    if (r < 0)
        return r;
    if (imap_args_space(p->args) < 0)
        return ERR_SYNTAX;
    return parse_key(p, depth + 1, &n->children->next);
}

static int parse_header(struct search_program *p, struct search_node **node_r)
{
    struct search_node *n = new_node(p, SEARCH_HEADER);

    *node_r = n;
    if (imap_args_space(p->args) < 0 || imap_args_astring(p->args, &n->name) < 0)
        return ERR_SYNTAX;
    return read_text(p, &n->text);
}

static int parse_not(struct search_program *p, unsigned depth, struct search_node **node_r)
{
    struct search_node *child;
    int r = imap_args_space(p->args);

    if (r == 0)
        r = parse_key(p, depth + 1, &child);
    if (r == 0)
        *node_r = negate(p, child);
    return r;
}

/* "MODSEQ [entry type] n" (RFC 7162 3.1.5): of a message there is one mod-sequence, whatever the entry. */
static int parse_modseq(struct search_program *p, struct search_node **node_r)
{
    const char *entry;

    *node_r = new_node(p, SEARCH_MODSEQ);
    p->modseq = true;
    if (imap_args_space(p->args) < 0)
        return ERR_SYNTAX;
    if (imap_args_peek(p->args) == '"') {
        if (imap_args_string(p->args, &entry) < 0 || imap_args_space(p->args) < 0)
            return ERR_SYNTAX;
        if (!str_has_iprefix(entry, "/flags/"))
            return fail(p, "Invalid entry name");
        if (!imap_args_word(p->args, "priv") && !imap_args_word(p->args, "shared") &&
            !imap_args_word(p->args, "all"))
            return fail(p, "Invalid entry type");
        if (imap_args_space(p->args) < 0)
            return ERR_SYNTAX;
    }
    return imap_args_modseq(p->args, true, &(*node_r)->number);
}

/* ---- ANNOTATION entry attribute value (RFC 5257 section 4.8) ---- */

static int read_pattern(struct search_program *p, struct search_node *n)
{
    const char *entry;

    if (imap_args_space(p->args) < 0 || imap_args_list_mailbox(p->args, &entry) < 0)
        return ERR_SYNTAX;
    if (strpbrk(entry, "*%") == NULL && !annotate_is_entry(entry))
        return fail(p, "Invalid annotation entry");
    return wildcard_new('/', "", entry, &n->pattern) < 0 ? fail(p, "Annotation entry too long") : 0;
}

static int read_scope(struct search_program *p, struct search_node *n)
{
    const char *name;
    bool both, is_private;

    if (imap_args_space(p->args) < 0 || imap_args_astring(p->args, &name) < 0)
        return ERR_SYNTAX;
    both = strcmp(name, "value") == 0;
    is_private = both || strcmp(name, "value.priv") == 0;
    n->shared = both || strcmp(name, "value.shared") == 0;
    n->user = is_private ? p->userid : NULL;
    return is_private || n->shared ? 0 : fail(p, "Only values of annotations can be searched");
}

/* NIL: those that have no value there. */
static int read_annotation_text(struct search_program *p, struct search_node *n)
{
    const char *text;
    size_t len;

    if (imap_args_space(p->args) < 0 || imap_args_nstring8(p->args, &text, &len) < 0)
        return ERR_SYNTAX;
    if (text != NULL && strlen(text) != len)
        return fail(p, "NUL byte in search text");
    n->text = text;
    return text == NULL ? 0 : as_utf8(p, &n->text);
}

static int parse_annotation(struct search_program *p, struct search_node **node_r)
{
    struct search_node *n = new_set(p, SEARCH_ANNOTATION);
    int r = read_pattern(p, n);

    *node_r = n;
    if (r == 0)
        r = read_scope(p, n);
    return r == 0 ? read_annotation_text(p, n) : r;
}

/* NEW is "(RECENT UNSEEN)". */
static void make_new(struct search_program *p, struct search_node **node_r)
{
    struct search_node *n = new_node(p, SEARCH_AND), *seen = new_node(p, SEARCH_FLAG);

    seen->number = RECORD_SEEN;
    n->children = new_node(p, SEARCH_RECENT);
    n->children->next = negate(p, seen);
    *node_r = n;
}

static int parse_word(struct search_program *p, unsigned depth, struct search_node **node_r)
{
    const char *name;

    if (imap_args_atom(p->args, &name) < 0)
        return fail(p, "Invalid SEARCH key");
    if (str_ieq(name, "OR"))
        return parse_or(p, depth, node_r);
    if (str_ieq(name, "NOT"))
        return parse_not(p, depth, node_r);
    if (str_ieq(name, "HEADER"))
        return parse_header(p, node_r);
    if (str_ieq(name, "ANNOTATION") && !capability_is_suppressed(ANNOTATE_CAPABILITY))
        return parse_annotation(p, node_r);
    if (str_ieq(name, "UID"))
        return imap_args_space(p->args) < 0 ? ERR_SYNTAX : parse_set(p, true, node_r);
    if (str_ieq(name, "MODSEQ") && !capability_is_suppressed("CONDSTORE"))
        return parse_modseq(p, node_r);
    if (!str_ieq(name, "NEW"))
        return parse_table_key(p, name, node_r);
    make_new(p, node_r);
    return 0;
}

static int parse_key(struct search_program *p, unsigned depth, struct search_node **node_r)
{
    char c = imap_args_peek(p->args);

    if (depth > DEPTH_MAX)
        return fail(p, "SEARCH keys too deep");
    if (++p->keys > KEYS_MAX)
        return fail(p, "Too many SEARCH keys");
    if (imap_args_skip(p->args, '('))
        return parse_list(p, depth + 1, ')', node_r);
    if ((c >= '0' && c <= '9') || c == '*' || c == '$')
        return parse_set(p, false, node_r);
    return parse_word(p, depth, node_r);
}

/* Keys up to `until` (0: the end): all of them must match. */
static int parse_list(struct search_program *p, unsigned depth, char until, struct search_node **node_r)
{
    struct search_node *all = new_node(p, SEARCH_AND), **last = &all->children;

    *node_r = all;
    for (;;) {
        int r = parse_key(p, depth, last);

        if (r < 0)
            return r;
        last = &(*last)->next;
        if (until != '\0' ? imap_args_skip(p->args, until) : imap_args_at_end(p->args))
            return 0;
        if (imap_args_space(p->args) < 0)
            return ERR_SYNTAX;
    }
}

int search_parse_keys(struct search_program *p)
{
    return parse_list(p, 0, '\0', &p->root);
}

enum step search_bad(struct command *cmd, const struct search_program *p)
{
    return p->uid_only && p->numbered ? command_uid_required(cmd)
                                      : command_bad(cmd, "%s", imap_args_error(p->args));
}

static void search_node_free(struct search_node *n)
{
    uid_set_free(&n->set);
    wildcard_free(&n->pattern);
}

void search_program_free(struct search_program *p)
{
    for (struct search_owned *o = p->owned; o != NULL; o = o->next)
        search_node_free(o->node);
    p->owned = NULL;
}

/* ---- charsets ---- */

int search_parse_bare_charset(struct search_program *p)
{
    if (imap_args_astring(p->args, &p->charset) < 0 || imap_args_space(p->args) < 0)
        return ERR_SYNTAX;
    if (p->utf8 && !str_ieq(p->charset, "UTF-8"))
        return fail(p, "The charset is UTF-8");
    return *p->charset != '\0' && charset_is_known(p->charset) ? 0 : ERR_UNSUPPORTED;
}

void search_program_init(struct search_program *p, struct command *cmd, struct imap_args *args)
{
    struct local_leg *l = local_of(cmd);

    *p = (struct search_program){.pool = cmd->pool,
                                 .args = args,
                                 .view = l->view,
                                 .saved = &l->saved,
                                 .userid = cmd->client->identity->userid,
                                 .uid_only = local_enabled(l, ENABLED_UIDONLY),
                                 .utf8 = local_enabled(l, ENABLED_UTF8)};
}

int search_parse_charset(struct search_program *p)
{
    p->charset = NULL;
    if (!imap_args_word(p->args, "CHARSET"))
        return 0;
    if (p->utf8)
        return fail(p, "No CHARSET with UTF8=ACCEPT");
    return imap_args_space(p->args) < 0 ? ERR_SYNTAX : search_parse_bare_charset(p);
}

enum step search_bad_charset(struct command *cmd)
{
    struct buf code = BUF_INIT;
    enum step s;

    buf_puts(&code, "BADCHARSET (");
    charset_names(&code);
    buf_putc(&code, ')');
    s = command_no(cmd, buf_cstr(&code), "Unknown charset");
    buf_free(&code);
    return s;
}
