#include "master/listen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <netinet/in.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

static void test_ports(void)
{
    static const struct {
        const char *name;
        unsigned port;
    } rows[] = {{"imap", 143},    {"imaps", 993}, {"pop3", 110},     {"pop3s", 995},  {"nntp", 119},
                {"nntps", 563},   {"lmtp", 2003}, {"mupdate", 3905}, {"csync", 2005}, {"2143", 2143},
                {"65535", 65535}, {"65536", 0},   {"nosuch", 0},     {"", 0},         {"-1", 0}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        unsigned port = listen_port(rows[i].name);

        /* /etc/services may say otherwise about names */
        CU_ASSERT(port == rows[i].port || (rows[i].port > 0 && rows[i].name[0] > '9' && port > 0));
    }
}

static unsigned port_of(int fd)
{
    struct sockaddr_in a;
    socklen_t n = sizeof(a);

    return getsockname(fd, (struct sockaddr *)&a, &n) == 0 ? ntohs(a.sin_port) : 0;
}

/* A port that is free now. */
static unsigned free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    unsigned port;

    CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    port = port_of(fd);
    close(fd);
    return port;
}

static void test_tcp(void)
{
    struct listen_set set, again;
    char text[32], *error;
    unsigned port = free_port();

    snprintf(text, sizeof(text), "127.0.0.1:%u", port);
    CU_ASSERT_EQUAL(listen_open(text, "tcp", &set, &error), 0);
    CU_ASSERT_EQUAL(set.count, 1);
    CU_ASSERT_EQUAL(port_of(set.fds[0]), port);
    CU_ASSERT_EQUAL(listen_start(&set, 5), 0);
    CU_ASSERT_EQUAL(listen_open(text, "tcp4", &again, &error), ERR_BUSY);
    CU_ASSERT(error != NULL && strstr(error, text) != NULL);
    free(error);
    listen_close(&set, true);
    snprintf(text, sizeof(text), "%u", port);
    CU_ASSERT_EQUAL(listen_open(text, "tcp4", &set, &error), 0);
    CU_ASSERT_EQUAL(set.count, 1);
    listen_close(&set, true);
}

static void test_refused(void)
{
    static const struct {
        const char *listen;
        int r;
    } rows[] = {{"nosuchservice", ERR_NOTFOUND},  {"127.0.0.1:nosuchservice", ERR_NOTFOUND},
                {"127.0.0.1:", ERR_NOTFOUND},     {"192.0.2.1:2143", ERR_UNSUPPORTED},
                {"/proc/nosuch/x", ERR_NOTFOUND}, {"/tmp", ERR_EXISTS}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct listen_set set;
        char *error;

        CU_ASSERT_EQUAL(listen_open(rows[i].listen, "tcp", &set, &error), rows[i].r);
        CU_ASSERT_PTR_NOT_NULL(error);
        CU_ASSERT_EQUAL(set.count, 0);
        free(error);
    }
}

static void test_unix(void)
{
    struct listen_set set, again;
    char dir[] = "/tmp/iatlas-listen-XXXXXX", *error, *path;
    struct stat st;

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    path = xstrprintf("%s/socket/lmtp", dir);
    CU_ASSERT_EQUAL(listen_open(path, "tcp", &set, &error), 0);
    CU_ASSERT_EQUAL(listen_start(&set, 5), 0);
    CU_ASSERT(stat(path, &st) == 0 && (st.st_mode & 0777) == 0777);
    CU_ASSERT_EQUAL(listen_open(path, "tcp", &again, &error), ERR_BUSY);
    free(error);
    listen_close(&set, false); /* as a master that died */
    CU_ASSERT_EQUAL(listen_open(path, "tcp", &set, &error), 0);
    listen_close(&set, true);
    CU_ASSERT_NOT_EQUAL(stat(path, &st), 0);
    free(path);
    file_remove_tree(dir);
}

static const struct unit_case cases[] = {
    {"ports", test_ports}, {"tcp", test_tcp}, {"refused", test_refused}, {"unix", test_unix}, {NULL, NULL},
};

extern const struct unit_suite listen_suite;
const struct unit_suite listen_suite = {"listen", cases};
