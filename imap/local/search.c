/* search.c: SEARCH (RFC 3501 6.4.4): reads the keys into a program for the store, writes the hits. */
#include "imap/store/search.h"

#include <string.h>

#include "imap/local/local-private.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mail/date.h"
#include "lib/stream/stream.h"

enum { DEPTH_MAX = 32, KEYS_MAX = 1000, SEARCH_BATCH = 256, HITS_BATCH = 4096 };

/* A node whose set is to be freed. */
struct owned {
    struct owned *next;
    struct search_node *node;
};

struct search_state {
    struct local_leg *l;
    struct owned *owned;
    struct imap_args args;
    struct pool *pool;
    struct search *search;
    struct uid_set hits;
    size_t range;  /* writing: the range and the number in it */
    uint32_t next; /* 0: begin of the range */
    unsigned keys;
    bool bad_charset;
};

/* ---- keys ---- */

enum key_form { KEY_PLAIN, KEY_TEXT, KEY_FIELD, KEY_DATE, KEY_NUMBER, KEY_KEYWORD };

static const struct key {
    const char *name;
    enum key_form form;
    enum search_op op;
    uint32_t flag;
    bool negated;
    const char *field;
} keys[] = {
    {"ALL", KEY_PLAIN, SEARCH_ALL, 0, false, NULL},
    {"ANSWERED", KEY_PLAIN, SEARCH_FLAG, RECORD_ANSWERED, false, NULL},
    {"BCC", KEY_FIELD, SEARCH_HEADER, 0, false, "Bcc"},
    {"BEFORE", KEY_DATE, SEARCH_BEFORE, 0, false, NULL},
    {"BODY", KEY_TEXT, SEARCH_BODY, 0, false, NULL},
    {"CC", KEY_FIELD, SEARCH_HEADER, 0, false, "Cc"},
    {"DELETED", KEY_PLAIN, SEARCH_FLAG, RECORD_DELETED, false, NULL},
    {"DRAFT", KEY_PLAIN, SEARCH_FLAG, RECORD_DRAFT, false, NULL},
    {"FLAGGED", KEY_PLAIN, SEARCH_FLAG, RECORD_FLAGGED, false, NULL},
    {"FROM", KEY_FIELD, SEARCH_HEADER, 0, false, "From"},
    {"KEYWORD", KEY_KEYWORD, SEARCH_KEYWORD, 0, false, NULL},
    {"LARGER", KEY_NUMBER, SEARCH_LARGER, 0, false, NULL},
    {"OLD", KEY_PLAIN, SEARCH_RECENT, 0, true, NULL},
    {"ON", KEY_DATE, SEARCH_ON, 0, false, NULL},
    {"RECENT", KEY_PLAIN, SEARCH_RECENT, 0, false, NULL},
    {"SEEN", KEY_PLAIN, SEARCH_FLAG, RECORD_SEEN, false, NULL},
    {"SENTBEFORE", KEY_DATE, SEARCH_SENTBEFORE, 0, false, NULL},
    {"SENTON", KEY_DATE, SEARCH_SENTON, 0, false, NULL},
    {"SENTSINCE", KEY_DATE, SEARCH_SENTSINCE, 0, false, NULL},
    {"SINCE", KEY_DATE, SEARCH_SINCE, 0, false, NULL},
    {"SMALLER", KEY_NUMBER, SEARCH_SMALLER, 0, false, NULL},
    {"SUBJECT", KEY_FIELD, SEARCH_HEADER, 0, false, "Subject"},
    {"TEXT", KEY_TEXT, SEARCH_TEXT, 0, false, NULL},
    {"TO", KEY_FIELD, SEARCH_HEADER, 0, false, "To"},
    {"UNANSWERED", KEY_PLAIN, SEARCH_FLAG, RECORD_ANSWERED, true, NULL},
    {"UNDELETED", KEY_PLAIN, SEARCH_FLAG, RECORD_DELETED, true, NULL},
    {"UNDRAFT", KEY_PLAIN, SEARCH_FLAG, RECORD_DRAFT, true, NULL},
    {"UNFLAGGED", KEY_PLAIN, SEARCH_FLAG, RECORD_FLAGGED, true, NULL},
    {"UNKEYWORD", KEY_KEYWORD, SEARCH_KEYWORD, 0, true, NULL},
    {"UNSEEN", KEY_PLAIN, SEARCH_FLAG, RECORD_SEEN, true, NULL},
};

static int fail(struct search_state *s, const char *text)
{
    s->args.error = text;
    return ERR_SYNTAX;
}

static struct search_node *new_node(struct search_state *s, enum search_op op)
{
    struct search_node *n = pool_alloc(s->pool, sizeof(*n));

    n->op = op;
    return n;
}

static struct search_node *negate(struct search_state *s, struct search_node *child)
{
    struct search_node *n = new_node(s, SEARCH_NOT);

    n->children = child;
    return n;
}

/* What is searched must be UTF-8 (of which US-ASCII is a part). */
static int read_text(struct search_state *s, const char **text_r)
{
    if (imap_args_space(&s->args) < 0 || imap_args_astring(&s->args, text_r) < 0)
        return ERR_SYNTAX;
    return str_is_utf8(*text_r, strlen(*text_r)) ? 0 : fail(s, "Search text does not match its charset");
}

static int read_day(struct search_state *s, int64_t *day_r)
{
    const char *date;

    if (imap_args_space(&s->args) < 0 || imap_args_date(&s->args, &date) < 0)
        return ERR_SYNTAX;
    return mail_date_day_parse(date, strlen(date), day_r) < 0 ? fail(s, "Invalid date") : 0;
}

static int read_number(struct search_state *s, uint64_t *number_r)
{
    return imap_args_space(&s->args) < 0 ? ERR_SYNTAX : imap_args_number64(&s->args, number_r);
}

/* The arguments of a key of the table. */
static int read_arguments(struct search_state *s, const struct key *key, struct search_node *n)
{
    n->number = key->flag;
    n->name = key->field;
    switch (key->form) {
    case KEY_PLAIN:
        return 0;
    case KEY_TEXT:
    case KEY_FIELD:
        return read_text(s, &n->text);
    case KEY_DATE:
        return read_day(s, &n->day);
    case KEY_NUMBER:
        return read_number(s, &n->number);
    case KEY_KEYWORD:
        return imap_args_space(&s->args) < 0 ? ERR_SYNTAX : imap_args_atom(&s->args, &n->text);
    }
    return ERR_SYNTAX;
}

static int parse_table_key(struct search_state *s, const char *name, struct search_node **node_r)
{
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        struct search_node *n;

        if (!str_ieq(name, keys[i].name))
            continue;
        n = new_node(s, keys[i].op);
        *node_r = keys[i].negated ? negate(s, n) : n;
        return read_arguments(s, &keys[i], n);
    }
    return fail(s, "Invalid SEARCH key");
}

/* ---- sets ---- */

static int add_ranges(const struct seqset *set, struct uid_set *to)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < set->count; i++)
        r = uid_set_add(to, set->ranges[i].first, set->ranges[i].last);
    return r;
}

/* Both forms become sequence numbers here: what `*` is, is known.  Numbers beyond the view match nothing. */
static int parse_set(struct search_state *s, bool uid, struct search_node **node_r)
{
    struct owned *owned = pool_alloc(s->pool, sizeof(*owned));
    struct seqset seqs;
    const char *text;
    int r;

    if (imap_args_seqset(&s->args, &text) < 0)
        return ERR_SYNTAX;
    *node_r = new_node(s, SEARCH_SEQS);
    *owned = (struct owned){s->owned, *node_r};
    s->owned = owned;
    r = local_seqs(s->l, s->pool, text, uid, &seqs);
    if (r == ERR_SYNTAX)
        return fail(s, "Invalid message sequence number");
    return r < 0 ? r : add_ranges(&seqs, &(*node_r)->set);
}

/* ---- the grammar: search-key of RFC 3501 section 9 ---- */

static int parse_keys(struct search_state *s, unsigned depth, char until, struct search_node **node_r);
static int parse_key(struct search_state *s, unsigned depth, struct search_node **node_r);

static int parse_or(struct search_state *s, unsigned depth, struct search_node **node_r)
{
    struct search_node *n = new_node(s, SEARCH_OR);

    *node_r = n;
    if (imap_args_space(&s->args) < 0 || parse_key(s, depth + 1, &n->children) < 0 ||
        imap_args_space(&s->args) < 0)
        return ERR_SYNTAX;
    return parse_key(s, depth + 1, &n->children->next);
}

static int parse_header(struct search_state *s, struct search_node **node_r)
{
    struct search_node *n = new_node(s, SEARCH_HEADER);

    *node_r = n;
    if (imap_args_space(&s->args) < 0 || imap_args_astring(&s->args, &n->name) < 0)
        return ERR_SYNTAX;
    return read_text(s, &n->text);
}

/* NEW is "(RECENT UNSEEN)". */
static void make_new(struct search_state *s, struct search_node **node_r)
{
    struct search_node *n = new_node(s, SEARCH_AND), *seen = new_node(s, SEARCH_FLAG);

    seen->number = RECORD_SEEN;
    n->children = new_node(s, SEARCH_RECENT);
    n->children->next = negate(s, seen);
    *node_r = n;
}

static int parse_word(struct search_state *s, unsigned depth, struct search_node **node_r)
{
    struct search_node *child;
    const char *name;

    if (imap_args_atom(&s->args, &name) < 0)
        return fail(s, "Invalid SEARCH key");
    if (str_ieq(name, "OR"))
        return parse_or(s, depth, node_r);
    if (str_ieq(name, "HEADER"))
        return parse_header(s, node_r);
    if (str_ieq(name, "UID"))
        return imap_args_space(&s->args) < 0 ? ERR_SYNTAX : parse_set(s, true, node_r);
    if (str_ieq(name, "NEW")) {
        make_new(s, node_r);
        return 0;
    }
    if (!str_ieq(name, "NOT"))
        return parse_table_key(s, name, node_r);
    if (imap_args_space(&s->args) < 0 || parse_key(s, depth + 1, &child) < 0)
        return ERR_SYNTAX;
    *node_r = negate(s, child);
    return 0;
}

static int parse_key(struct search_state *s, unsigned depth, struct search_node **node_r)
{
    char c = imap_args_peek(&s->args);

    if (depth > DEPTH_MAX)
        return fail(s, "SEARCH keys too deep");
    if (++s->keys > KEYS_MAX)
        return fail(s, "Too many SEARCH keys");
    if (imap_args_skip(&s->args, '('))
        return parse_keys(s, depth + 1, ')', node_r);
    if ((c >= '0' && c <= '9') || c == '*')
        return parse_set(s, false, node_r);
    return parse_word(s, depth, node_r);
}

/* Keys up to `until` (0: the end): all of them must match. */
static int parse_keys(struct search_state *s, unsigned depth, char until, struct search_node **node_r)
{
    struct search_node *all = new_node(s, SEARCH_AND), **last = &all->children;

    *node_r = all;
    for (;;) {
        int r = parse_key(s, depth, last);

        if (r < 0)
            return r;
        last = &(*last)->next;
        if (until != '\0' ? imap_args_skip(&s->args, until) : imap_args_at_end(&s->args))
            return 0;
        if (imap_args_space(&s->args) < 0)
            return ERR_SYNTAX;
    }
}

/* "CHARSET name SP" */
static int parse_charset(struct search_state *s)
{
    const char *charset;

    if (!imap_args_word(&s->args, "CHARSET"))
        return 0;
    if (imap_args_space(&s->args) < 0 || imap_args_astring(&s->args, &charset) < 0 ||
        imap_args_space(&s->args) < 0)
        return ERR_SYNTAX;
    s->bad_charset = !str_ieq(charset, "UTF-8") && !str_ieq(charset, "US-ASCII");
    return 0;
}

/* ---- the answer ---- */

static void search_cleanup(struct command *cmd)
{
    struct search_state *s = cmd->state;

    search_end(&s->search);
    uid_set_free(&s->hits);
    for (struct owned *o = s->owned; o != NULL; o = o->next)
        uid_set_free(&o->node->set);
}

/* "* SEARCH 2 84 882", some thousand numbers a step. */
static enum step write_step(struct command *cmd)
{
    struct search_state *s = cmd->state;
    struct buf text = BUF_INIT;
    int i;

    for (i = 0; i < HITS_BATCH && s->range < s->hits.count; i++) {
        const struct uid_range *range = &s->hits.ranges[s->range];
        uint32_t n = s->next != 0 ? s->next : range->first;

        buf_printf(&text, " %u", n);
        s->next = n == range->last ? 0 : n + 1;
        s->range += n == range->last;
    }
    if (s->range == s->hits.count)
        buf_puts(&text, "\r\n");
    stream_write(cmd->client->stream, text.data, text.len);
    buf_free(&text);
    return s->range < s->hits.count ? STEP_MORE : command_ok(cmd, NULL, "Completed");
}

static enum step search_some(struct command *cmd)
{
    struct search_state *s = cmd->state;
    int r = search_step(s->search, SEARCH_BATCH, cmd->uid, &s->hits);

    if (r < 0)
        return command_error(cmd, r);
    if (r > 0)
        return STEP_MORE;
    stream_puts(cmd->client->stream, "* SEARCH");
    cmd->step = write_step;
    return write_step(cmd);
}

enum step local_search(struct command *cmd)
{
    struct search_state *s = pool_alloc(cmd->pool, sizeof(*s));
    struct search_node *program = NULL;
    int r;

    s->l = local_of(cmd);
    s->pool = cmd->pool;
    command_args(cmd, &s->args);
    cmd->state = s;
    cmd->cleanup = search_cleanup;
    r = parse_charset(s);
    if (r == 0 && s->bad_charset)
        return command_no(cmd, "BADCHARSET (US-ASCII UTF-8)", "Unknown charset");
    if (r == 0)
        r = parse_keys(s, 0, '\0', &program);
    if (r == ERR_SYNTAX)
        return command_bad(cmd, "%s", imap_args_error(&s->args));
    if (r == 0)
        r = search_begin(s->l->view, program, &s->search);
    if (r < 0)
        return command_error(cmd, r);
    cmd->step = search_some;
    return search_some(cmd);
}
