#include "lib/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cunit/unit.h"
#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/base/file.h"

static char dir[40];
static char target[80];

static void setup(const char *kind)
{
    snprintf(dir, sizeof(dir), "/tmp/iatlas-log-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    snprintf(target, sizeof(target), "%s:%s/log", kind, dir);
}

static void teardown(void)
{
    CU_ASSERT_EQUAL(log_open("test", "stderr", LOG_LOCAL6, 0), 0);
    file_remove_tree(dir);
}

/* What the file holds behind the head of its lines. */
static void read_log(struct buf *to)
{
    buf_reset(to);
    CU_ASSERT_EQUAL(file_read_all(strchr(target, ':') + 1, 100000, to), 0);
}

static void test_file(void)
{
    struct buf b = BUF_INIT;
    char *text, expected[80];

    setup("file");
    CU_ASSERT_EQUAL(log_open("prog", target, LOG_LOCAL6, 0), 0);
    CU_ASSERT(!log_is_stderr());
    log_set_session("s\"1");
    LOG(LOG_NOTICE, CONFIG_WORD, LOG_STR(NAME, "a\"b\\c\nd\x7f"), LOG_STR(VALUE, NULL), LOG_INT(COUNT, -7));
    log_set_session(NULL);
    LOG(LOG_DEBUG, CONFIG_UNKNOWN, LOG_STR(NAME, "unseen"));
    LOG(LOG_ERR, CONFIG_UNKNOWN, LOG_STR(NAME, "\xc3\xa9"), LOG_ERROR(ERR_TIMEOUT));
    LOG(LOG_ERR, CONFIG_UNKNOWN, LOG_STR(NAME, "\xc3"));
    read_log(&b);
    snprintf(expected, sizeof(expected), " prog[%d] notice: config.word", (int)getpid());
    text = strstr(buf_cstr(&b), expected);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(text, " name=\"a\\\"b\\\\c\\x0ad\\x7f\" value=\"\" count=-7 session=\"s\\\"1\"\n"));
    CU_ASSERT_PTR_NULL(strstr(text, "unseen"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "config.unknown name=\"\xc3\xa9\" error=\"timed out\"\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "name=\"\\xc3\"\n"));
    buf_free(&b);
    teardown();
}

static void test_cut(void)
{
    struct buf b = BUF_INIT;
    char value[600];

    setup("file");
    CU_ASSERT_EQUAL(log_open("prog", target, LOG_LOCAL6, 1), 0);
    memset(value, 'x', sizeof(value));
    value[599] = '\0';
    memcpy(value + 511, "\xc3\xa9", 2); /* the limit falls into a character */
    LOG(LOG_DEBUG, CONFIG_UNKNOWN, LOG_STR(NAME, value));
    read_log(&b);
    CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&b), "xxx...\"\n"));
    CU_ASSERT_PTR_NULL(strstr(buf_cstr(&b), "\\x"));
    buf_free(&b);
    teardown();
}

static void test_reopen(void)
{
    struct buf b = BUF_INIT;

    setup("file");
    CU_ASSERT_EQUAL(log_open("prog", target, LOG_LOCAL6, 0), 0);
    LOG(LOG_ERR, CONFIG_UNKNOWN, LOG_STR(NAME, "before"));
    CU_ASSERT_EQUAL(unlink(strchr(target, ':') + 1), 0);
    log_reopen();
    LOG(LOG_ERR, CONFIG_UNKNOWN, LOG_STR(NAME, "after"));
    read_log(&b);
    CU_ASSERT_PTR_NULL(strstr(buf_cstr(&b), "before"));
    CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&b), "after"));
    buf_free(&b);
    teardown();
}

static int bind_socket(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", strchr(target, ':') + 1);
    CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static void test_syslog(void)
{
    char line[2000], expected[80];
    int fd, sent;
    ssize_t n;

    setup("syslog");
    fd = bind_socket();
    CU_ASSERT_EQUAL(log_open("prog", target, LOG_MAIL, 0), 0);
    LOG(LOG_INFO, CONFIG_UNKNOWN, LOG_STR(NAME, "x"));
    n = recv(fd, line, sizeof(line) - 1, MSG_DONTWAIT);
    CU_ASSERT_FATAL(n > 0);
    line[n] = '\0';
    /* RFC 3164: <PRI>Mmm dd hh:mm:ss TAG: mail is 2, info is 6 */
    CU_ASSERT_NSTRING_EQUAL(line, "<22>", 4);
    CU_ASSERT(line[7] == ' ' && line[10] == ' ' && line[13] == ':' && line[16] == ':');
    snprintf(expected, sizeof(expected), " prog[%d]: config.unknown name=\"x\"", (int)getpid());
    CU_ASSERT_STRING_EQUAL(line + 19, expected);

    for (sent = 0; log_dropped() == 0 && sent < 100000; sent++) /* nobody reads */
        LOG(LOG_INFO, CONFIG_UNKNOWN, LOG_STR(NAME, "y"));
    CU_ASSERT_EQUAL_FATAL(log_dropped(), 1);
    while (recv(fd, line, sizeof(line), MSG_DONTWAIT) > 0)
        ;
    LOG(LOG_INFO, CONFIG_UNKNOWN, LOG_STR(NAME, "z"));
    CU_ASSERT(recv(fd, line, sizeof(line), MSG_DONTWAIT) > 0);
    n = recv(fd, line, sizeof(line) - 1, MSG_DONTWAIT);
    CU_ASSERT_FATAL(n > 0);
    line[n] = '\0';
    CU_ASSERT_PTR_NOT_NULL(strstr(line, "log.dropped count=1"));
    close(fd);
    teardown();
}

static void test_open(void)
{
    setup("syslog");
    CU_ASSERT_EQUAL(log_open("prog", target, LOG_MAIL, 0), 0); /* no such socket */
    CU_ASSERT(log_is_stderr());
    CU_ASSERT_EQUAL(log_open("prog", "file:/nonexistent/x", LOG_MAIL, 0), ERR_NOTFOUND);
    CU_ASSERT_EQUAL(log_open("prog", "tape", LOG_MAIL, 0), ERR_INVALID);
    CU_ASSERT_EQUAL(log_facility("Local3"), LOG_LOCAL3);
    CU_ASSERT_EQUAL(log_facility("local9"), ERR_NOTFOUND);
    teardown();
}

static const struct unit_case cases[] = {
    {"file", test_file},     {"cut", test_cut},   {"reopen", test_reopen},
    {"syslog", test_syslog}, {"open", test_open}, {NULL, NULL},
};

extern const struct unit_suite log_suite;
const struct unit_suite log_suite = {"log", cases};
