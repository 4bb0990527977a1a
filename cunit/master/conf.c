#include "master/conf.h"

#include <stdlib.h>
#include <string.h>

#include "cunit/unit.h"
#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static const char classic[] =
    "# standard standalone server implementation\n"
    "START {\n"
    "  # do not delete this entry!\n"
    "  recover\tcmd=\"ctl_cyrusdb -r\"\n"
    "}\n"
    "SERVICES {\n"
    "  imap\t\tcmd=\"imapd -U 30\" listen=\"imap\" prefork=5 maxchild=100\n"
    "  imaps\t\tcmd=\"imapd -s\" listen=\"[::1]:993\" proto=tcp6 babysit=1 maxfds=512\n"
    "# sieve\tcmd=\"timsieved\" listen=\"sieve\" prefork=0\n"
    "  lmtp-unix\tlisten=\"/var/imap/socket/lmtp\" cmd=lmtpd maxforkrate=10\n"
    "            maxsessions=1\n"
    "}\n"
    "EVENTS {\n"
    "  checkpoint cmd=\"ctl_cyrusdb -c\" period=30\n"
    "  delprune cmd=\"cyr_expire -E 3\" at=0400\n"
    "  tlsprune cmd=\"tls_prune\" cron=\"0 4 * * mon\"\n"
    "}\n"
    "DAEMON { idled cmd=\"idled\" wait=y  plain cmd=\"x 'a b' c\" }\n";

static struct conf *must_parse(const char *text)
{
    struct conf *c;
    char *error;

    CU_ASSERT_EQUAL_FATAL(conf_parse("c", text, strlen(text), NULL, &c, &error), 0);
    CU_ASSERT_PTR_NULL(error);
    return c;
}

static void test_classic(void)
{
    struct conf *c = must_parse(classic);
    const struct conf_entry *e = c->sections[CONF_SERVICES];

    CU_ASSERT_STRING_EQUAL(c->sections[CONF_START]->argv[1], "-r");
    CU_ASSERT_PTR_NULL(c->sections[CONF_START]->next);
    CU_ASSERT_STRING_EQUAL(e->name, "imap");
    CU_ASSERT_STRING_EQUAL(e->argv[2], "30");
    CU_ASSERT_PTR_NULL(e->argv[3]);
    CU_ASSERT(e->prefork == 5 && e->maxchild == 100 && e->maxfds == 256 && !e->babysit &&
              e->maxsessions == 0);
    CU_ASSERT_STRING_EQUAL(e->proto, "tcp");
    CU_ASSERT(e->line == 7 && e->column == 3);
    e = e->next;
    CU_ASSERT_STRING_EQUAL(e->listen, "[::1]:993");
    CU_ASSERT(e->babysit && e->maxfds == 512 && e->maxchild == -1);
    e = e->next;
    CU_ASSERT_STRING_EQUAL(e->name, "lmtp-unix");
    CU_ASSERT(e->maxforkrate == 10 && e->maxsessions == 1);
    CU_ASSERT_PTR_NULL(e->next);
    e = c->sections[CONF_EVENTS];
    CU_ASSERT(e->period == 30 && !e->has_time);
    CU_ASSERT(e->next->has_time && e->next->cron.hours == 1u << 4 && e->next->cron.minutes == 1);
    CU_ASSERT(e->next->next->cron.weekdays == 1u << 1);
    e = c->sections[CONF_DAEMON];
    CU_ASSERT(e->wait && !e->next->wait);
    CU_ASSERT_STRING_EQUAL(e->next->argv[1], "a b");
    CU_ASSERT_STRING_EQUAL(e->next->argv[2], "c");
    conf_free(&c);
    CU_ASSERT_PTR_NULL(c);
}

/* On one line, as the installation guide is often quoted; odd but allowed spellings. */
static void test_forms(void)
{
    struct conf *c = must_parse("start{a cmd=\"x\\\"y\\\\z\\q\"b cmd = y}START{c cmd=z}\n"
                                "SERVICES{\\\nm\\\r\n listen=3905 cmd=\"mupdate -m\" wait=y}#end");

    CU_ASSERT_STRING_EQUAL(c->sections[CONF_START]->cmd, "x\"y\\z\\q");
    CU_ASSERT_STRING_EQUAL(c->sections[CONF_START]->next->cmd, "y");
    CU_ASSERT_STRING_EQUAL(c->sections[CONF_START]->next->next->name, "c");
    CU_ASSERT_STRING_EQUAL(c->sections[CONF_SERVICES]->listen, "3905");
    conf_free(&c);
    c = must_parse("");
    CU_ASSERT_PTR_NULL(c->sections[CONF_SERVICES]);
    conf_free(&c);
}

static void test_errors(void)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"SERVISES {\n}", "c:1:1: expected START, SERVICES, EVENTS or DAEMON before \"SERVISES\""},
        {"\n  }", "c:2:3: expected START, SERVICES, EVENTS or DAEMON before \"}\""},
        {"START x", "c:1:7: expected { before \"x\""},
        {"START {\n a cmd=\"x\n}", "c:2:8: cmd: the quoted value does not end on its line"},
        {"START {\n a cmd=x", "c:2:9: expected an entry's name or } before \"the end of the file\""},
        {"START { a }", "c:1:9: a: no cmd= given"},
        {"START { a cmd=\" \" }", "c:1:15: cmd: names no program"},
        {"START { cmd=x }", "c:1:9: expected an entry's name or } before \"cmd\""},
        {"START { a cmd=x = }", "c:1:17: expected key=value, an entry's name or } before \"=\""},
        {"START { a cmd=x \"y\" }", "c:1:17: expected key=value, an entry's name or } before \"\"\""},
        {"SERVICES { a cmd=x }", "c:1:12: a: no listen= given"},
        {"SERVICES { a cmd=x listen=1 prefork=-1 }",
         "c:1:37: prefork: \"-1\" is no number from 0 to 1000000"},
        {"SERVICES { a cmd=x listen=1 maxchild=-2 }",
         "c:1:38: maxchild: \"-2\" is no number from -1 to 1000000"},
        {"SERVICES { a cmd=x listen=1 prefork=5x }",
         "c:1:37: prefork: \"5x\" is no number from 0 to 1000000"},
        {"SERVICES { a cmd=x listen=1 prefork= }", "c:1:38: prefork: \"\" is no number from 0 to 1000000"},
        {"SERVICES { a cmd=x listen=1 babysit=perhaps }",
         "c:1:37: babysit: \"perhaps\" is neither yes nor no"},
        {"SERVICES { a cmd=x listen=1 proto=udp }",
         "c:1:12: a: proto=udp is not supported (tcp, tcp4, tcp6)"},
        {"SERVICES {\na cmd=x listen=1\na cmd=x listen=2 }",
         "c:3:1: a: that service stands in line 2 already"},
        {"EVENTS { a cmd=x at=2500 }", "c:1:21: at: \"2500\" is no time of day (hhmm)"},
        {"EVENTS { a cmd=x cron=\"1 2 3\" }",
         "c:1:23: cron: \"1 2 3\" is not \"minute hour day month weekday\""},
        {"EVENTS { a cmd=x at=1200 cron=\"* * * * *\" }", "c:1:31: cron: the time is given already"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct conf *c;
        char *error;

        CU_ASSERT_EQUAL(conf_parse("c", rows[i].text, strlen(rows[i].text), NULL, &c, &error), ERR_CONFIG);
        CU_ASSERT_PTR_NULL(c);
        CU_ASSERT_PTR_NOT_NULL_FATAL(error);
        CU_ASSERT_STRING_EQUAL(error, rows[i].error);
        free(error);
    }
}

/* However it is cut or damaged, the parser ends, with an error that names a place. */
static void test_damaged(void)
{
    static const char odd[] = {'{', '}', '=', '"', '\\', '\0', '\n', '#', '\xff'};
    size_t n = sizeof(classic) - 1;

    for (size_t cut = 0; cut <= n; cut++) {
        char *text = xstrndup(classic, n), *error;
        struct conf *c;

        if (conf_parse("c", classic, cut, NULL, &c, &error) < 0)
            CU_ASSERT_NSTRING_EQUAL(error, "c:", 2);
        conf_free(&c);
        free(error);
        text[cut < n ? cut : 0] = odd[cut % sizeof(odd)];
        if (conf_parse("c", text, n, NULL, &c, &error) < 0)
            CU_ASSERT_NSTRING_EQUAL(error, "c:", 2);
        conf_free(&c);
        free(error);
        free(text);
    }
}

static struct buf unknown = BUF_INIT;

static void note_unknown(const char *place, const char *key)
{
    buf_printf(&unknown, "%s %s;", place, key);
}

static void test_unknown(void)
{
    static const char text[] = "START { a cmd=x listen=1 }\nSERVICES { b cmd=y listen=2 nice=5 }";
    struct conf *c;
    char *error;

    buf_reset(&unknown);
    CU_ASSERT_EQUAL(conf_parse("c", text, strlen(text), note_unknown, &c, &error), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&unknown), "c:1:24 listen;c:2:34 nice;");
    conf_free(&c);
    buf_free(&unknown);
    CU_ASSERT_EQUAL(conf_read("/nonexistent/cyrus.conf", NULL, &c, &error), ERR_CONFIG);
    CU_ASSERT_STRING_EQUAL(error, "/nonexistent/cyrus.conf: not found");
    free(error);
}

static const struct unit_case cases[] = {
    {"classic", test_classic}, {"forms", test_forms},     {"errors", test_errors},
    {"damaged", test_damaged}, {"unknown", test_unknown}, {NULL, NULL},
};

extern const struct unit_suite conf_suite;
const struct unit_suite conf_suite = {"conf", cases};
