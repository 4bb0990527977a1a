#include "lib/base/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"

static char dir[40];
static char path[64];

/* Reads a file of that text (behind a configdirectory and a quiet log). */
static int read_text(const char *text, const char *service, char **error_r)
{
    char *whole = xstrprintf("configdirectory: /var/x\nlog_target: stderr\n%s", text);
    int r;

    snprintf(dir, sizeof(dir), "/tmp/iatlas-config-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/imapd.conf", dir);
    CU_ASSERT_EQUAL(file_replace(path, whole, strlen(whole), 0600), 0);
    free(whole);
    r = config_read(path, service, "test", error_r);
    file_remove_tree(dir);
    return r;
}

static void must_read(const char *text, const char *service)
{
    char *error;

    CU_ASSERT_EQUAL(read_text(text, service, &error), 0);
    CU_ASSERT_PTR_NULL(error);
    free(error);
}

static void test_defaults(void)
{
    must_read("", NULL);
    CU_ASSERT_STRING_EQUAL(opt_string(OPT_LMTPSOCKET), "/var/x/socket/lmtp");
    CU_ASSERT_PTR_NULL(opt_string(OPT_SERVERLIST));
    CU_ASSERT_STRING_EQUAL(opt_string(OPT_ADMINS), "");
    CU_ASSERT(opt_switch(OPT_ALTNAMESPACE) && !opt_switch(OPT_ALLOWPLAINTEXT));
    CU_ASSERT_EQUAL(opt_int(OPT_MUPDATE_PORT), 3905);
    CU_ASSERT_EQUAL(opt_duration_ms(OPT_TIMEOUT), 32 * 60000);
    CU_ASSERT_EQUAL(opt_duration_ms(OPT_IMAPIDLETIMEOUT), -1);
    CU_ASSERT_EQUAL(opt_duration_ms(OPT_POPEXPIRETIME), -1);
    CU_ASSERT_EQUAL(opt_bytes(OPT_DB_MAP_SIZE), INT64_C(64) << 30);
    CU_ASSERT_EQUAL(opt_bytes(OPT_AUTOCREATE_QUOTA), -1);
    CU_ASSERT_EQUAL(opt_enum(OPT_DELETE_MODE), DELETE_DELAYED);
    CU_ASSERT_EQUAL(opt_enum(OPT_SERVERLIST_SELECT_MODE), SELECT_FREESPACE_MOST);
    CU_ASSERT_EQUAL(opt_bitfield(OPT_SIEVE_EXTENSIONS), UINT64_C(0x1ffffffff));
    CU_ASSERT(!opt_is_set(OPT_TIMEOUT) && opt_is_set(OPT_CONFIGDIRECTORY));
    CU_ASSERT_STRING_EQUAL(opt_string(OPT_TLS_VERSIONS), "tls1_2 tls1_3");
}

static void test_values(void)
{
    static const struct {
        const char *line;
        enum option option;
        int64_t value; /* ERR_CONFIG: refused */
    } rows[] = {
        {"timeout: 45", OPT_TIMEOUT, 45 * 60000},
        {"timeout: 1h30m", OPT_TIMEOUT, 90 * 60000},
        {"timeout: 500ms", OPT_TIMEOUT, 500},
        {"imapidlepoll: 7", OPT_IMAPIDLEPOLL, 7000},
        {"timeout: -1", OPT_TIMEOUT, -1},
        {"timeout:", OPT_TIMEOUT, ERR_CONFIG},
        {"timeout: 5x", OPT_TIMEOUT, ERR_CONFIG},
        {"timeout: -5m", OPT_TIMEOUT, ERR_CONFIG},
        {"timeout: 99999999999999999d", OPT_TIMEOUT, ERR_CONFIG},
        {"maxliteral: 64K", OPT_MAXLITERAL, 65536},
        {"maxliteral: 1mb", OPT_MAXLITERAL, 1 << 20},
        {"maxliteral: 1MiB", OPT_MAXLITERAL, 1 << 20},
        {"maxliteral: 77", OPT_MAXLITERAL, 77},
        {"sieve_maxscriptsize: 40", OPT_SIEVE_MAXSCRIPTSIZE, 40960},
        {"maxliteral: 9999999999G", OPT_MAXLITERAL, ERR_CONFIG},
        {"maxliteral: K", OPT_MAXLITERAL, ERR_CONFIG},
        {"maxliteral: 5Q", OPT_MAXLITERAL, ERR_CONFIG},
        {"mupdate_port: 4000", OPT_MUPDATE_PORT, 4000},
        {"mupdate_port: 4000 # no", OPT_MUPDATE_PORT, ERR_CONFIG},
        {"mupdate_port: 99999999999999999999", OPT_MUPDATE_PORT, ERR_CONFIG},
        {"allowplaintext: T", OPT_ALLOWPLAINTEXT, 1},
        {"altnamespace: off", OPT_ALTNAMESPACE, 0},
        {"altnamespace: maybe", OPT_ALTNAMESPACE, ERR_CONFIG},
        {"virtdomains: userid", OPT_VIRTDOMAINS, VIRTDOMAINS_USERID},
        {"virtdomains: useri", OPT_VIRTDOMAINS, ERR_CONFIG},
        {"quota_db: twoskip", OPT_QUOTA_DB, 5},
        {"quota_db: cyrusdb9", OPT_QUOTA_DB, 3}, /* an unknown engine: the default, reported */
        {"sieve_extensions: vacation fileinto foo", OPT_SIEVE_EXTENSIONS, 5},
        {"umask: 9", OPT_UMASK, ERR_CONFIG},
        {"syslog_facility: nosuch", OPT_SYSLOG_FACILITY, ERR_CONFIG},
        {"log_target: nosuch", OPT_LOG_TARGET, ERR_CONFIG},
        {"no colon", OPT_TIMEOUT, ERR_CONFIG},
        {"two words: x", OPT_TIMEOUT, ERR_CONFIG},
        {": x", OPT_TIMEOUT, ERR_CONFIG},
    };
    char *error;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int r = read_text(rows[i].line, NULL, &error);
        enum option o = rows[i].option;
        int64_t v = r;

        if (r == 0)
            v = o == OPT_TIMEOUT || o == OPT_IMAPIDLEPOLL             ? opt_duration_ms(o)
                : o == OPT_MAXLITERAL || o == OPT_SIEVE_MAXSCRIPTSIZE ? opt_bytes(o)
                : o == OPT_MUPDATE_PORT                               ? opt_int(o)
                : o == OPT_ALLOWPLAINTEXT || o == OPT_ALTNAMESPACE    ? opt_switch(o)
                : o == OPT_SIEVE_EXTENSIONS                           ? (int64_t)opt_bitfield(o)
                                                                      : opt_enum(o);
        CU_ASSERT_EQUAL(v, rows[i].value);
        if (v != rows[i].value)
            fprintf(stderr, "%s: %lld\n", rows[i].line, (long long)v);
        CU_ASSERT(r == 0 || strstr(error, "imapd.conf:3: ") != NULL);
        free(error);
    }
}

static void test_lines(void)
{
    must_read("# a comment: x\n\n  AdMins :  cyrus \t murder  \r\n"
              "serverlist: one \\\n two\nlast: x",
              NULL);
    CU_ASSERT_STRING_EQUAL(opt_string(OPT_ADMINS), "cyrus \t murder");
    CU_ASSERT_STRING_EQUAL(opt_string(OPT_SERVERLIST), "one   two");
    CU_ASSERT_STRING_EQUAL(config_overflow("last"), "x");
    CU_ASSERT(config_list_has(opt_string(OPT_ADMINS), "murder"));
    CU_ASSERT(!config_list_has(opt_string(OPT_ADMINS), "murde"));
    CU_ASSERT(!config_list_has(opt_string(OPT_ADMINS), ""));
    CU_ASSERT(!config_list_has(NULL, "x"));
}

static void test_service(void)
{
    static const char text[] = "lmtp_admins: postman\nadmins: cyrus\nlmtp_sasl_mech_list: PLAIN\n"
                               "sasl_mech_list: GSSAPI\nimap_timeout: 5m\n";

    must_read(text, "lmtp");
    CU_ASSERT_STRING_EQUAL(opt_string(OPT_ADMINS), "postman");
    CU_ASSERT_STRING_EQUAL(config_overflow("sasl_mech_list"), "PLAIN");
    CU_ASSERT_EQUAL(opt_duration_ms(OPT_TIMEOUT), 32 * 60000);
    must_read(text, "imap");
    CU_ASSERT_STRING_EQUAL(opt_string(OPT_ADMINS), "cyrus");
    CU_ASSERT_STRING_EQUAL(config_overflow("sasl_mech_list"), "GSSAPI");
    CU_ASSERT_EQUAL(opt_duration_ms(OPT_TIMEOUT), 5 * 60000);
}

static void test_old_names(void)
{
    must_read("tls_cert_file: old\ntls_key_file: old\ntls_server_key: new\n", NULL);
    CU_ASSERT_STRING_EQUAL(opt_string(OPT_TLS_SERVER_CERT), "old");
    CU_ASSERT_STRING_EQUAL(opt_string(OPT_TLS_SERVER_KEY), "new");
    must_read("imap_tls_cert_file: own\ntls_cert_file: old\n", "imap");
    CU_ASSERT_STRING_EQUAL(opt_string(OPT_TLS_SERVER_CERT), "own");
}

static void append_name(const char *name, const char *value, void *context)
{
    buf_printf(context, "%s=%s;", name, value);
}

static void test_overflow(void)
{
    static const struct {
        const char *server, *suffix, *value;
    } rows[] = {
        {"be1", "password", "one"},
        {"be1.lab.example", "password", "one"},
        {"BE1.lab.example:2143", "password", "two"},
        {"be1:9", "password", "one"},
        {"be2", "password", NULL},
        {"127.0.0.1:2143", "password", "three"},
        {"127.0.0.1", "lmtp_port", "2003"},
        {"[::1]:143", "password", "four"},
        {"::1", "password", "four"},
        {"be1:2143", "lmtp_port", "2004"},
    };
    struct buf names = BUF_INIT;

    must_read("be1_password: one\nbe1_2143_password: two\n127_0_0_1_2143_password: three\n"
              "__1_password: four\n127_0_0_1_lmtp_port: 2003\nbe1_2143_lmtp_port: 2004\n"
              "partition-default: /spool\npartition-News: /news\n",
              NULL);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *v = config_host_overflow(rows[i].server, rows[i].suffix);

        CU_ASSERT((v == NULL) == (rows[i].value == NULL));
        if (v != NULL)
            CU_ASSERT_STRING_EQUAL(v, rows[i].value);
    }
    CU_ASSERT_STRING_EQUAL(config_partition("default"), "/spool");
    CU_ASSERT_STRING_EQUAL(config_partition("news"), "/news");
    CU_ASSERT_PTR_NULL(config_partition("none"));
    config_overflow_each("partition-", append_name, &names);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&names), "partition-default=/spool;partition-news=/news;");
    config_path(&names, "db/%s", "x");
    CU_ASSERT_STRING_EQUAL(buf_cstr(&names), "/var/x/db/x");
    buf_free(&names);
}

static void write_file(const char *name, const char *text)
{
    CU_ASSERT_EQUAL(file_replace(name, text, strlen(text), 0600), 0);
}

static void test_include(void)
{
    char inner[64], text[128], expected[128], *error;

    snprintf(inner, sizeof(inner), "/tmp/iatlas-config-inner-%d", (int)getpid());
    write_file(inner, "servername: inner\n");
    snprintf(text, sizeof(text), "servername: a\n@include: %s\nadmins: b\n", inner);
    must_read(text, NULL);
    CU_ASSERT_STRING_EQUAL(config_servername(), "inner");
    CU_ASSERT_STRING_EQUAL(opt_string(OPT_ADMINS), "b");

    snprintf(text, sizeof(text), "\n@include: %s\n", strrchr(inner, '/') + 1);
    write_file(inner, text);
    snprintf(text, sizeof(text), "@include: %s", inner);
    CU_ASSERT_EQUAL(read_text(text, NULL, &error), ERR_CONFIG);
    CU_ASSERT_PTR_NOT_NULL_FATAL(error);
    snprintf(expected, sizeof(expected), "%s:2: @include: nested too deeply", inner);
    CU_ASSERT_STRING_EQUAL(error, expected);
    free(error);
    unlink(inner);

    CU_ASSERT_EQUAL(read_text("@include: nosuch", NULL, &error), ERR_CONFIG);
    CU_ASSERT(error != NULL && strstr(error, "/nosuch: not found") != NULL);
    free(error);
}

static void add_problem(enum config_problem problem, const char *name, const char *value, void *context)
{
    (void)value;
    buf_printf(context, "%d:%s ", (int)problem, name);
}

static void test_problems(void)
{
    struct buf b = BUF_INIT;
    char expected[200];

    must_read("servername: x\nservername: y\nnosuchthing: 1\nhttpmodules: caldav\n"
              "sasl_anything: 1\nbe_password: 2\nlmtp_debug: 1\nfoo_bar: 2\npartition-: 3\n"
              "lmtp_htttpmodules: x\nlmtp_httpmodules: x\npartition-x: 4\nsearchpartition-x: 5\n"
              "tls_cert_file: x\n",
              NULL);
    config_problems(add_problem, &b);
    snprintf(expected, sizeof(expected),
             "%1$d:servername %2$d:nosuchthing %3$d:httpmodules %2$d:foo_bar %2$d:partition- "
             "%2$d:lmtp_htttpmodules %3$d:lmtp_httpmodules "
             "%3$d:searchpartition-x ",
             CONFIG_REPEATED, CONFIG_UNKNOWN, CONFIG_UNSUPPORTED);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&b), expected);
    buf_free(&b);
}

static void test_role(void)
{
    static const struct {
        const char *text;
        enum config_role role;
    } rows[] = {
        {"", CONFIG_STANDALONE},
        {"proxyservers: p\n", CONFIG_STANDALONE},
        {"mupdate_server: m\n", CONFIG_FRONTEND},
        {"mupdate_server: m\nproxyservers: p\n", CONFIG_BACKEND},
        {"mupdate_server: m\nproxyservers: p\nmupdate_config: replicated\n", CONFIG_BACKEND},
        {"mupdate_server: m\nmupdate_config: unified\n", CONFIG_UNIFIED},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        must_read(rows[i].text, NULL);
        CU_ASSERT_EQUAL(config_role(), rows[i].role);
    }
}

static void test_failures(void)
{
    char *error, name[64];

    CU_ASSERT_EQUAL(config_read("/nonexistent/imapd.conf", NULL, "test", &error), ERR_CONFIG);
    CU_ASSERT_STRING_EQUAL(error, "/nonexistent/imapd.conf: not found");
    free(error);
    snprintf(name, sizeof(name), "/tmp/iatlas-config-none-%d", (int)getpid());
    write_file(name, "admins: x\n");
    CU_ASSERT_EQUAL(config_read(name, NULL, "test", &error), ERR_CONFIG);
    CU_ASSERT(error != NULL && strstr(error, ": configdirectory: not given") != NULL);
    free(error);
    unlink(name);
    must_read("", NULL);
}

/* A tool's command line: the last line counts, and a bad one is refused. */
static void test_set(void)
{
    char *error;

    must_read("admins: one\n", NULL);
    CU_ASSERT_EQUAL(config_set("Admins", "two", &error), 0);
    CU_ASSERT_STRING_EQUAL(opt_string(OPT_ADMINS), "two");
    CU_ASSERT_EQUAL(config_set("sasl_made_up", "x", &error), 0);
    CU_ASSERT_STRING_EQUAL(config_overflow("sasl_made_up"), "x");
    CU_ASSERT_EQUAL(config_set("sasl_minimum_layer", "many", &error), ERR_CONFIG);
    CU_ASSERT(error != NULL && strstr(error, "sasl_minimum_layer") != NULL);
    free(error);
    must_read("", NULL);
    CU_ASSERT_PTR_NULL(config_overflow("sasl_made_up"));
}

static const struct unit_case cases[] = {
    {"defaults", test_defaults}, {"values", test_values},       {"lines", test_lines},
    {"service", test_service},   {"old names", test_old_names}, {"overflow", test_overflow},
    {"include", test_include},   {"problems", test_problems},   {"role", test_role},
    {"set", test_set},           {"failures", test_failures},   {NULL, NULL},
};

extern const struct unit_suite config_suite;
const struct unit_suite config_suite = {"config", cases};
