/* notify.c: the arguments of NOTIFY (RFC 5465 section 8). */
#include "imap/session/notify-args.h"

#include <stdlib.h>
#include <string.h>

#include "cunit/unit.h"
#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/name/namespace.h"

/* The request as a text, to compare. */
static void show(const struct notify_request *r, struct buf *to)
{
    buf_puts(to, r->none ? "none" : r->status ? "status" : "");
    for (size_t i = 0; i < r->group_count; i++) {
        buf_printf(to, " %d", (int)r->groups[i].where.kind);
        for (size_t k = 0; k < r->groups[i].where.count; k++)
            buf_printf(to, "%c%s", k == 0 ? '<' : ',', r->groups[i].where.names[k].external);
        buf_printf(to, ":%u", r->groups[i].events);
    }
    if (r->fetch != NULL)
        buf_printf(to, " %s", r->fetch);
}

static int parse(const char *text, size_t len, struct buf *shown)
{
    static const struct name_config config = {.separator = '/',
                                              .altnamespace = true,
                                              .userprefix = "Other Users",
                                              .sharedprefix = "Shared Folders"};
    struct pool *pool = pool_new(0);
    struct namespace ns;
    const struct client client = {.ns = &ns};
    char *copy = xmalloc(len > 0 ? len : 1); /* a reader beyond the end is seen */
    struct notify_request request;
    struct imap_args args;
    int r;

    namespace_init(&ns, &config, "fred", false, pool);
    memcpy(copy, text, len);
    imap_args_init(&args, pool, copy, len);
    r = notify_args_parse(&client, &args, &request);
    if (r == 0)
        show(&request, shown);
    if (r == ERR_SYNTAX)
        CU_ASSERT(*imap_args_error(&args) != '\0');
    free(copy);
    pool_free(&pool);
    return r;
}

#define NEW "(MessageNew MessageExpunge)"

static const struct {
    const char *in;
    int r;
    const char *out;
} rows[] = {
    {"NONE", 0, "none"},
    {"none", 0, "none"},
    {"NONE x", ERR_SYNTAX, NULL},
    {"", ERR_SYNTAX, NULL},
    {"SET", ERR_SYNTAX, NULL},
    {"SETS (personal NONE)", ERR_SYNTAX, NULL},
    {"SET STATUS", ERR_SYNTAX, NULL},
    {"SET (personal NONE)", 0, " 3:0"},
    {"set status (INBOXES none)", 0, "status 2:0"},
    {"SET (subscribed " NEW ") (selected NONE)", 0, " 4:3 0:0"},
    {"SET (subtree-one a (MailboxName))", ERR_SYNTAX, NULL}, /* of ESEARCH only */
    {"SET (selected-delayed (FlagChange MessageNew MessageExpunge))", 0, " 1:7"},
    {"SET (subtree a (MailboxName))", 0, " 5<a:8"},
    {"SET (subtree (a \"b c\" inbox) (MailboxName SubscriptionChange))", 0, " 5<a,b c,INBOX:24"},
    {"SET (mailboxes {3}\r\na*b (MailboxMetadataChange ServerMetadataChange))", 0, " 7<a*b:96"},
    {"SET (mailboxes a b (MailboxName))", ERR_SYNTAX, NULL},
    {"SET (mailboxes (a  b) (MailboxName))", ERR_SYNTAX, NULL},
    {"SET (mailboxes () (MailboxName))", ERR_SYNTAX, NULL},
    {"SET (personal a (MailboxName))", ERR_SYNTAX, NULL},
    {"SET (personal (MailboxName)", ERR_SYNTAX, NULL},
    {"SET (personal (MailboxName)))", ERR_SYNTAX, NULL},
    {"SET (personal (MailboxName ))", ERR_SYNTAX, NULL},
    {"SET (personal MailboxName)", ERR_SYNTAX, NULL},
    {"SET (personal (NONE MailboxName))", ERR_UNSUPPORTED, NULL},
    {"SET (selected (MessageNew (BODY[HEADER.FIELDS ({1}\r\n~)]) MessageExpunge))", 0,
     " 0:3 (BODY[HEADER.FIELDS (\"~\")])"},
    {"SET (selected (MessageNew (BODY[HEADER.FIELDS ({1}\r\n\x01)]) MessageExpunge))", ERR_SYNTAX, NULL},
    {"SET (selected (MessageNew (BODY[HEADER.FIELDS ({1}\r\n\x7f)]) MessageExpunge))", ERR_SYNTAX, NULL},
    {"SET (selected (MessageNew (BODY[HEADER.FIELDS ({1}\r\n\n)]) MessageExpunge))", ERR_SYNTAX, NULL},
    {"SET (personal (MessageNew))", ERR_SYNTAX, NULL},
    {"SET (personal (MessageExpunge))", ERR_SYNTAX, NULL},
    {"SET (personal (FlagChange))", ERR_SYNTAX, NULL},
    {"SET (personal (AnnotationChange))", ERR_SYNTAX, NULL},
    {"SET (personal (AnnotationChange MessageNew MessageExpunge))", ERR_UNSUPPORTED, NULL},
    {"SET (personal (Sunrise)) (personal)", ERR_SYNTAX, NULL},
    {"SET (selected (MailboxName))", ERR_SYNTAX, NULL},
    {"SET (selected " NEW ") (selected " NEW ")", ERR_SYNTAX, NULL},
    {"SET (selected " NEW ") (selected-delayed NONE)", ERR_SYNTAX, NULL},
    {"SET (selected (MessageNew (UID FLAGS) MessageExpunge))", 0, " 0:3 (UID FLAGS)"},
    {"SET (selected (MessageNew (BODY.PEEK[HEADER.FIELDS (To {4}\r\nFrom \"a)b\")]<0.9>) MessageExpunge))", 0,
     " 0:3 (BODY.PEEK[HEADER.FIELDS (To \"From\" \"a)b\")]<0.9>)"},
    {"SET (selected (MessageExpunge MessageNew (UID)))", 0, " 0:3 (UID)"},
    {"SET (selected (MessageNew(UID) MessageExpunge))", ERR_SYNTAX, NULL},
    {"SET (selected (MessageNew (UID] MessageExpunge))", ERR_SYNTAX, NULL},
    {"SET (selected (MessageNew (BODY[(((((((((1 MessageExpunge))", ERR_SYNTAX, NULL},
    {"SET (selected (MessageNew (BODY[1 MessageExpunge))", ERR_SYNTAX, NULL},
    {"SET (selected (MessageNew ({3}\r\na\rb) MessageExpunge))", ERR_SYNTAX, NULL},
    {"SET (selected (MessageNew (\"\xc3\xa9\") MessageExpunge))", ERR_SYNTAX, NULL},
    {"SET (personal (MessageNew (UID) MessageExpunge))", ERR_SYNTAX, NULL},
};

static void test_parse(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct buf shown = BUF_INIT;
        int r = parse(rows[i].in, strlen(rows[i].in), &shown);

        if (r != rows[i].r || (r == 0 && strcmp(buf_cstr(&shown), rows[i].out) != 0))
            printf("\n%s: %d %s", rows[i].in, r, buf_cstr(&shown));
        CU_ASSERT_EQUAL(r, rows[i].r);
        if (r == 0)
            CU_ASSERT_STRING_EQUAL(buf_cstr(&shown), rows[i].out);
        buf_free(&shown);
    }
}

/* Cut off anywhere, it is an error, unless what is left is whole; with a byte put into it, nothing breaks. */
static void test_truncated(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        size_t n = strlen(rows[i].in);

        for (size_t len = 0; len < n; len++) {
            struct buf shown = BUF_INIT;
            int r = parse(rows[i].in, len, &shown);

            CU_ASSERT(r == 0 || r == ERR_SYNTAX || r == ERR_UNSUPPORTED);
            CU_ASSERT(r != 0 || rows[i].in[len - 1] == ')' || strspn(rows[i].in, "NONEnone ") >= len);
            buf_free(&shown);
        }
        for (size_t at = 0; at < n; at++) {
            struct buf shown = BUF_INIT;
            char *changed = xstrndup(rows[i].in, n);

            changed[at] = "()[]\"{ \\"[at % 8];
            parse(changed, n, &shown);
            free(changed);
            buf_free(&shown);
        }
    }
}

static void repeat(struct buf *to, const char *what, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        buf_printf(to, "%s%s", i > 0 ? " " : "", what);
}

static void test_bounds(void)
{
    struct buf text = BUF_INIT, shown = BUF_INIT;

    for (unsigned more = 0; more < 2; more++) {
        buf_reset(&text);
        buf_puts(&text, "SET ");
        repeat(&text, "(personal NONE)", NOTIFY_GROUPS_MAX + more);
        CU_ASSERT_EQUAL(parse(text.data, text.len, &shown), more == 0 ? 0 : ERR_LIMIT);
        buf_reset(&text);
        buf_puts(&text, "SET (subtree x NONE) (mailboxes (");
        repeat(&text, "y", NOTIFY_NAMES_MAX - 1 + more);
        buf_puts(&text, ") (MailboxName))");
        CU_ASSERT_EQUAL(parse(text.data, text.len, &shown), more == 0 ? 0 : ERR_LIMIT);
        buf_reset(&text);
        buf_puts(&text, "SET (selected (MessageNew (");
        repeat(&text, "FLAGS", NOTIFY_FETCH_MAX / 6 - 1 + 10 * more);
        buf_puts(&text, ") MessageExpunge))");
        CU_ASSERT_EQUAL(parse(text.data, text.len, &shown), more == 0 ? 0 : ERR_SYNTAX);
        buf_reset(&text);
        buf_puts(&text, "SET (selected (MessageNew (BODY[HEADER.FIELDS (\"");
        for (size_t i = 0; i < (more == 0 ? NOTIFY_FETCH_MAX - 40 : 2 * NOTIFY_FETCH_MAX); i++)
            buf_putc(&text, 'x');
        buf_puts(&text, "\")]) MessageExpunge))");
        CU_ASSERT_EQUAL(parse(text.data, text.len, &shown), more == 0 ? 0 : ERR_SYNTAX);
    }
    buf_free(&text);
    buf_free(&shown);
}

static const struct unit_case cases[] = {
    {"grammar", test_parse},
    {"cut off", test_truncated},
    {"bounds", test_bounds},
    {NULL, NULL},
};

extern const struct unit_suite notify_suite;
const struct unit_suite notify_suite = {"notify", cases};
