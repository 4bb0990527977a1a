#include "imap/session/sources.h"

#include <string.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/name/namespace.h"

/* A client of whom nothing matters but how he calls mailboxes. */
struct somebody {
    struct pool *pool;
    struct name_config config;
    struct namespace ns;
    struct client client;
};

static void begin(struct somebody *s, bool alt)
{
    *s = (struct somebody){.pool = pool_new(0),
                           .config = {.separator = '/',
                                      .altnamespace = alt,
                                      .userprefix = "Other Users",
                                      .sharedprefix = "Shared Folders",
                                      .deletedprefix = "DELETED"}};
    namespace_init(&s->ns, &s->config, "fred", false, s->pool);
    s->client.ns = &s->ns;
}

static void end(struct somebody *s)
{
    pool_free(&s->pool);
}

static int read_source(struct somebody *s, const char *text, size_t len, unsigned allowed,
                       struct source *source)
{
    struct imap_args args;
    int r;

    imap_args_init(&args, s->pool, text, len);
    r = source_read(&s->client, &args, allowed, source);
    return r == 0 && imap_args_peek(&args) != '!' ? ERR_PROTOCOL : r; /* it stops there */
}

/* "KIND external=internal ..." */
static const char *shown(struct somebody *s, const struct source *source)
{
    struct buf text = BUF_INIT;
    const char *result;

    buf_printf(&text, "%u", (unsigned)source->kind);
    for (size_t i = 0; i < source->count; i++)
        buf_printf(&text, " %s=%s", source->names[i].external,
                   source->names[i].internal != NULL ? source->names[i].internal : "-");
    result = pool_strdup(s->pool, buf_cstr(&text));
    buf_free(&text);
    return result;
}

static void test_read(void)
{
    static const struct {
        const char *text, *want; /* NULL: a syntax error */
    } rows[] = {
        {"selected!", NULL}, /* "!" does not end a word */
        {"selected !", NULL},
        {"PERSONAL)!", NULL},
        {"mailboxes INBOX)!", NULL},
        {"mailboxes (INBOX)!", "7 INBOX=user.fred"},
        {"Mailboxes (inbox \"a b\" {3}\r\nx/y)!", "7 INBOX=user.fred a b=user.fred.a b x/y=user.fred.x.y"},
        {"mailboxes (a%)!", NULL}, /* an atom has no wildcards; in a string they are letters */
        {"mailboxes (\"a%\" b/)!", "7 a%=- b=user.fred.b"},
        {"subtree (\"Other Users\" \"Other Users/bob\")!", "5 Other Users=- Other Users/bob=user.bob"},
        {"subtree-one (inbox/x)!", "6 INBOX/x=user.fred.INBOX.x"},
        {"mailboxes ()!", NULL},
        {"mailboxes (a  b)!", NULL},
        {"mailboxes (a b!", NULL},
        {"mailboxes(a)!", NULL},
        {"mailboxes !", NULL},
        {"mailboxes  (a)!", NULL},
        {"subtree-two (a)!", NULL},
        {"(personal)!", NULL},
        {"", NULL},
    };
    struct somebody s;
    struct source source;

    begin(&s, true);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int r = read_source(&s, rows[i].text, strlen(rows[i].text), SOURCES_ALL, &source);

        CU_ASSERT((r == 0) == (rows[i].want != NULL));
        if (r == 0 && rows[i].want != NULL) {
            CU_ASSERT_STRING_EQUAL(shown(&s, &source), rows[i].want);
            for (size_t n = 0; n < strlen(rows[i].text); n++)
                CU_ASSERT(read_source(&s, rows[i].text, n, SOURCES_ALL, &source) < 0);
        }
    }
    end(&s);
}

/* Words without names end at a blank, a bracket or the end. */
static void test_words(void)
{
    static const struct {
        const char *word;
        enum source_kind kind;
        bool notify, esearch;
    } rows[] = {
        {"selected", SOURCE_SELECTED, true, true},
        {"selected-delayed", SOURCE_SELECTED_DELAYED, true, false},
        {"inboxes", SOURCE_INBOXES, true, true},
        {"personal", SOURCE_PERSONAL, true, true},
        {"subscribed", SOURCE_SUBSCRIBED, true, true},
        {"subtree a", SOURCE_SUBTREE, true, true},
        {"subtree-one a", SOURCE_SUBTREE_ONE, false, true},
        {"mailboxes a", SOURCE_MAILBOXES, true, true},
    };
    struct somebody s;

    begin(&s, true);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct imap_args args;
        struct source source;

        imap_args_init(&args, s.pool, rows[i].word, strlen(rows[i].word));
        CU_ASSERT_EQUAL(source_read(&s.client, &args, SOURCES_NOTIFY, &source),
                        rows[i].notify ? 0 : ERR_SYNTAX);
        imap_args_init(&args, s.pool, rows[i].word, strlen(rows[i].word));
        CU_ASSERT_EQUAL(source_read(&s.client, &args, SOURCES_ESEARCH, &source),
                        rows[i].esearch ? 0 : ERR_SYNTAX);
        if (rows[i].esearch)
            CU_ASSERT_EQUAL(source.kind, rows[i].kind);
    }
    end(&s);
}

static void test_many(void)
{
    struct buf text = BUF_INIT;
    struct source source;
    struct somebody s;

    begin(&s, true);
    buf_puts(&text, "mailboxes (");
    for (int i = 0; i < SOURCE_NAMES_MAX; i++)
        buf_printf(&text, "%sa%d", i > 0 ? " " : "", i);
    buf_puts(&text, ")!");
    CU_ASSERT_EQUAL(read_source(&s, text.data, text.len, SOURCES_ALL, &source), 0);
    CU_ASSERT_EQUAL(source.count, SOURCE_NAMES_MAX);
    CU_ASSERT_STRING_EQUAL(source.names[SOURCE_NAMES_MAX - 1].internal, "user.fred.a999");
    buf_truncate(&text, text.len - 2);
    buf_puts(&text, " more)!");
    CU_ASSERT_EQUAL(read_source(&s, text.data, text.len, SOURCES_ALL, &source), ERR_LIMIT);
    buf_free(&text);
    end(&s);
}

static void check_covers(bool alt, const char *filter, const char *internal, bool want)
{
    struct hash *subscribed = hash_new(NULL);
    struct imap_args args;
    struct source source;
    struct somebody s;

    begin(&s, alt);
    hash_set(subscribed, "user.fred.sub", &s);
    imap_args_init(&args, s.pool, filter, strlen(filter));
    CU_ASSERT_EQUAL(source_read(&s.client, &args, SOURCES_ALL, &source), 0);
    CU_ASSERT_EQUAL(source_covers(&s.client, &source, internal, subscribed), want);
    CU_ASSERT(source.kind != SOURCE_SUBSCRIBED || !source_covers(&s.client, &source, internal, NULL));
    hash_free(&subscribed);
    end(&s);
}

static void test_covers(void)
{
    static const struct {
        bool alt;
        const char *filter, *internal;
        bool want;
    } rows[] = {
        {true, "personal", "user.fred", true},
        {true, "inboxes", "user.fred.a.b", true},
        {true, "personal", "user.freddy", false},
        {true, "personal", "shared", false},
        {true, "personal", "DELETED.user.fred.a.6B01FFBC", false},
        {true, "subscribed", "user.fred.sub", true},
        {true, "subscribed", "user.fred.sub.x", false},
        {true, "selected", "user.fred", false},
        {true, "mailboxes (a INBOX)", "user.fred", true},
        {true, "mailboxes (a INBOX)", "user.fred.a", true},
        {true, "mailboxes a", "user.fred.a.b", false},
        {true, "subtree a", "user.fred.a", true},
        {true, "subtree a", "user.fred.a.b.c", true},
        {true, "subtree a", "user.fred.ab", false},
        {true, "subtree-one a", "user.fred.a", true},
        {true, "subtree-one a", "user.fred.a.b", true},
        {true, "subtree-one a", "user.fred.a.b.c", false},
        {true, "subtree inbox", "user.fred", true},
        {true, "subtree inbox", "user.fred.a", false}, /* stands beside it */
        {true, "subtree inbox", "user.fred.INBOX.a", true},
        {false, "subtree inbox", "user.fred.a", true},
        {false, "subtree-one INBOX", "user.fred.a.b", false},
        {true, "subtree \"Other Users\"", "user.bob.x", true},
        {true, "subtree-one \"Other Users\"", "user.bob.x", false},
        {true, "subtree-one \"Other Users\"", "user.bob", true},
        {true, "subtree \"Shared Folders\"", "archive.x", true},
        {false, "subtree user", "user.bob.x", true},
        {false, "subtree archive", "archive", true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        check_covers(rows[i].alt, rows[i].filter, rows[i].internal, rows[i].want);
}

static const struct unit_case cases[] = {{"filters that are read", test_read},
                                         {"filters of NOTIFY and ESEARCH", test_words},
                                         {"names up to the bound", test_many},
                                         {"what they cover", test_covers},
                                         {NULL, NULL}};
extern const struct unit_suite sources_suite;
const struct unit_suite sources_suite = {"sources", cases};
