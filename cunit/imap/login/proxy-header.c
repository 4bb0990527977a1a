#include "imap/login/proxy-header.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "cunit/unit.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"

static void show(const struct sockaddr_storage *a, char *to, size_t size)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)a;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)a;
    char text[INET6_ADDRSTRLEN];

    if (a->ss_family == AF_INET)
        snprintf(to, size, "%s %d", inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)),
                 ntohs(in->sin_port));
    else
        snprintf(to, size, "%s %d", inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text)),
                 ntohs(in6->sin6_port));
}

/* Feeds a header as the socket would, never more than is asked for.  As proxy_header_read(); `used`: its length. */
static int feed(const char *data, size_t n, size_t *used, char *client, char *local)
{
    struct sockaddr_storage from, to;
    size_t len = 0;
    int need, r;

    while ((need = proxy_header_need(data, len)) > 0) {
        if (len + (size_t)need > n)
            return ERR_AGAIN;
        len += (size_t)need;
    }
    *used = len;
    r = need < 0 ? need : proxy_header_read(data, len, &from, &to);
    if (r == 1) {
        show(&from, client, 64);
        show(&to, local, 64);
    }
    return r;
}

static void test_headers(void)
{
#define ROW(text, result, client, local)                                                                     \
    {                                                                                                        \
        text, sizeof(text) - 1, result, client, local                                                        \
    }
    static const struct {
        const char *text;
        size_t n;
        int result;
        const char *client, *local;
    } rows[] = {
        ROW("PROXY TCP4 192.0.2.1 198.51.100.2 56324 143\r\n", 1, "192.0.2.1 56324", "198.51.100.2 143"),
        ROW("PROXY TCP6 2001:db8::1 ::1 65535 0\r\n", 1, "2001:db8::1 65535", "::1 0"),
        ROW("PROXY UNKNOWN\r\n", 0, "", ""),
        ROW("PROXY UNKNOWN ffff::1 ::2 1 2 3 4 5\r\n", 0, "", ""),
        ROW("PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n", ERR_PROTOCOL, "", ""),
        ROW("PROXY TCP4 192.0.2.1 198.51.100.2 56324 143 5\r\n", ERR_PROTOCOL, "", ""),
        ROW("PROXY TCP4 192.0.2.1 198.51.100.2 65536 143\r\n", ERR_PROTOCOL, "", ""),
        ROW("PROXY TCP4 192.0.2.1 198.51.100.2 -1 143\r\n", ERR_PROTOCOL, "", ""),
        ROW("PROXY TCP4 192.0.2 198.51.100.2 1 143\r\n", ERR_PROTOCOL, "", ""),
        ROW("PROXY TCP4 ::1 ::2 1 143\r\n", ERR_PROTOCOL, "", ""),
        ROW("PROXY TCP6 192.0.2.1 192.0.2.2 1 143\r\n", ERR_PROTOCOL, "", ""),
        ROW("PROXY UDP4 192.0.2.1 192.0.2.2 1 143\r\n", ERR_PROTOCOL, "", ""),
        ROW("PROXY TCP4 192.0.2.1 198.51.100.2 56324 143\n", ERR_PROTOCOL, "", ""),
        ROW("PROXY TCP4 192.0.2.1\0 198.51.100.2 56324 143\r\n", ERR_PROTOCOL, "", ""),
        ROW("PROXY \r\n", ERR_PROTOCOL, "", ""),
        ROW("PROXYTCP4\r\n", ERR_PROTOCOL, "", ""),
        ROW("a LOGIN fred secret\r\n", ERR_PROTOCOL, "", ""),
        ROW("\x16\x03\x01", ERR_PROTOCOL, "", ""),
        ROW(V2 "\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\0\x8f", 1, "192.0.2.1 56324",
            "198.51.100.2 143"),
        ROW(V2 "\x21\x11\0\x10\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\0\x8fTLV!", 1, "192.0.2.1 56324",
            "198.51.100.2 143"),
        ROW(V2 "\x21\x21\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0"
               "\x05\0\x06",
            1, "2001:db8::1 5", "::1 6"),
        ROW(V2 "\x20\x00\0\0", 0, "", ""),
        ROW(V2 "\x20\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\0\x8f", 0, "", ""),
        ROW(V2 "\x21\x00\0\0", 0, "", ""),
        ROW(V2 "\x21\x31\0\x02xx", 0, "", ""),
        ROW(V2 "\x21\x11\0\x0b\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\0", ERR_PROTOCOL, "", ""),
        ROW(V2 "\x21\x21\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\0\x8f", ERR_PROTOCOL, "", ""),
        ROW(V2 "\x11\x11\0\0", ERR_PROTOCOL, "", ""),
        ROW(V2 "\x22\x11\0\0", ERR_PROTOCOL, "", ""),
        ROW(V2 "\x21\x11\xff\xff", ERR_PROTOCOL, "", ""),
        ROW("\r\n\r\n\0\r\nQUIX\n....", ERR_PROTOCOL, "", ""),
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char client[64] = "", local[64] = "";
        size_t used = 0;

        CU_ASSERT_EQUAL(feed(rows[i].text, rows[i].n, &used, client, local), rows[i].result);
        CU_ASSERT(rows[i].result < 0 || used == rows[i].n);
        CU_ASSERT_STRING_EQUAL(client, rows[i].client);
        CU_ASSERT_STRING_EQUAL(local, rows[i].local);
        for (size_t n = 0; n < rows[i].n && rows[i].result >= 0; n++)
            CU_ASSERT_EQUAL(feed(rows[i].text, n, &used, client, local), ERR_AGAIN);
    }
}

static void test_endless(void)
{
    char line[300] = "PROXY UNKNOWN ", client[64], local[64];
    size_t used;

    memset(line + strlen(line), 'x', sizeof(line) - strlen(line));
    CU_ASSERT_EQUAL(feed(line, sizeof(line), &used, client, local), ERR_PROTOCOL);
    memcpy(line + PROXY_HEADER_V1_MAX - 2, "\r\n", 2);
    CU_ASSERT_EQUAL(feed(line, sizeof(line), &used, client, local), 0);
    CU_ASSERT_EQUAL(used, PROXY_HEADER_V1_MAX);
}

static void test_trusted(void)
{
    static const struct {
        const char *list, *address;
        bool trusted;
    } rows[] = {
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"192.0.2.1", "::ffff:192.0.2.1", true},
        {"10.0.0.0/8, 192.0.2.0/25", "192.0.2.127", true},
        {"10.0.0.0/8, 192.0.2.0/25", "192.0.2.128", false},
        {"10.0.0.0/8\t192.0.2.0/25", "10.255.0.1", true},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"::/0", "192.0.2.1", true},
        {"", "192.0.2.1", false},
    };
    static const char *const bad[] = {
        "x",          "192.0.2.1/33",
        "192.0.2.1/", "::/129",
        "192.0.2",    "192.0.2.1 x",
        "/8",         "2001:db8:2001:db8:2001:db8:2001:db8:2001:db8:2001:db8:2001:db8"};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct sockaddr_storage a = {0};
        struct sockaddr_in *in = (struct sockaddr_in *)&a;
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a;
        bool v6 = strchr(rows[i].address, ':') != NULL;

        a.ss_family = v6 ? AF_INET6 : AF_INET;
        CU_ASSERT_EQUAL_FATAL(
            inet_pton(a.ss_family, rows[i].address, v6 ? (void *)&in6->sin6_addr : (void *)&in->sin_addr), 1);
        CU_ASSERT_EQUAL(proxy_trusted_check(rows[i].list), 0);
        CU_ASSERT_EQUAL(proxy_trusted_has(rows[i].list, &a), rows[i].trusted);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        CU_ASSERT_EQUAL(proxy_trusted_check(bad[i]), ERR_SYNTAX);
    CU_ASSERT(!proxy_trusted_has("0.0.0.0/0 ::/0", &(struct sockaddr_storage){.ss_family = AF_UNIX}));
}

static const struct unit_case cases[] = {
    {"headers", test_headers}, {"endless", test_endless}, {"trusted", test_trusted}, {NULL, NULL}};

extern const struct unit_suite proxy_header_suite;
const struct unit_suite proxy_header_suite = {"proxy_header", cases};
