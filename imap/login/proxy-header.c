#include "imap/login/proxy-header.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/str.h"

static const char signature[] = "\r\n\r\n\0\r\nQUIT\n"; /* 12 bytes, and a NUL that is not part of it */

enum {
    SIGNATURE_LEN = 12,
    V2_HEAD = 16,
    V2_LOCAL = 0x20, /* version and command */
    V2_PROXY = 0x21,
    V2_TCP4 = 0x11,
    V2_TCP6 = 0x21,
};

static uint16_t get16(const char *p)
{
    uint16_t n;

    memcpy(&n, p, sizeof(n));
    return ntohs(n);
}

static int need_v1(const char *data, size_t len)
{
    static const char word[] = "PROXY ";
    size_t n = len < sizeof(word) - 1 ? len : sizeof(word) - 1;

    if (memcmp(data, word, n) != 0 || len > PROXY_HEADER_V1_MAX)
        return ERR_PROTOCOL;
    if (len >= 2 && data[len - 1] == '\n')
        return data[len - 2] == '\r' ? 0 : ERR_PROTOCOL;
    return len < PROXY_HEADER_V1_MAX ? 1 : ERR_PROTOCOL;
}

static int need_v2(const char *data, size_t len)
{
    size_t all;

    if (memcmp(data, signature, len < SIGNATURE_LEN ? len : SIGNATURE_LEN) != 0)
        return ERR_PROTOCOL;
    if (len < V2_HEAD)
        return (int)(V2_HEAD - len);
    all = (size_t)V2_HEAD + get16(data + 14);
    if (all > PROXY_HEADER_V2_MAX || len > all)
        return ERR_PROTOCOL;
    return (int)(all - len);
}

int proxy_header_need(const char *data, size_t len)
{
    if (len == 0)
        return 1;
    return data[0] == signature[0] ? need_v2(data, len) : need_v1(data, len);
}

static void put_in(struct sockaddr_storage *to, const void *address, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};

    memcpy(&in.sin_addr, address, sizeof(in.sin_addr));
    *to = (struct sockaddr_storage){0};
    memcpy(to, &in, sizeof(in));
}

static void put_in6(struct sockaddr_storage *to, const void *address, uint16_t port)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

    memcpy(&in6.sin6_addr, address, sizeof(in6.sin6_addr));
    *to = (struct sockaddr_storage){0};
    memcpy(to, &in6, sizeof(in6));
}

static int read_v2(const char *data, size_t len, struct sockaddr_storage *client_r,
                   struct sockaddr_storage *local_r)
{
    unsigned command = (unsigned char)data[12], family = (unsigned char)data[13];
    const char *p = data + V2_HEAD;
    size_t n = len - V2_HEAD;

    if (command != V2_LOCAL && command != V2_PROXY)
        return ERR_PROTOCOL;
    if (command == V2_LOCAL || (family != V2_TCP4 && family != V2_TCP6))
        return 0;
    if (n < (family == V2_TCP4 ? 12 : 36))
        return ERR_PROTOCOL;
    if (family == V2_TCP4) {
        put_in(client_r, p, get16(p + 8));
        put_in(local_r, p + 4, get16(p + 10));
    } else {
        put_in6(client_r, p, get16(p + 32));
        put_in6(local_r, p + 16, get16(p + 34));
    }
    return 1;
}

static bool read_end(const char *address, const char *port, int family, struct sockaddr_storage *to)
{
    unsigned char raw[16];
    uint32_t n;

    if (inet_pton(family, address, raw) != 1 || str_parse_u32(port, strlen(port), &n) < 0 || n > 65535)
        return false;
    if (family == AF_INET)
        put_in(to, raw, (uint16_t)n);
    else
        put_in6(to, raw, (uint16_t)n);
    return true;
}

/* "PROXY TCP4 client local port port" or "PROXY UNKNOWN ...", without CRLF. */
static int read_v1(const char *data, size_t len, struct sockaddr_storage *client_r,
                   struct sockaddr_storage *local_r)
{
    char line[PROXY_HEADER_V1_MAX + 1], *words[6], *next = line;
    size_t count = 0;
    int family;

    if (memchr(data, '\0', len) != NULL)
        return ERR_PROTOCOL;
    memcpy(line, data, len - 2);
    line[len - 2] = '\0';
    while (next != NULL && count < 6)
        words[count++] = strsep(&next, " ");
    if (count >= 2 && strcmp(words[1], "UNKNOWN") == 0)
        return 0;
    if (next != NULL || count != 6)
        return ERR_PROTOCOL;
    family = strcmp(words[1], "TCP4") == 0 ? AF_INET : strcmp(words[1], "TCP6") == 0 ? AF_INET6 : AF_UNSPEC;
    if (family == AF_UNSPEC || !read_end(words[2], words[4], family, client_r) ||
        !read_end(words[3], words[5], family, local_r))
        return ERR_PROTOCOL;
    return 1;
}

int proxy_header_read(const char *data, size_t len, struct sockaddr_storage *client_r,
                      struct sockaddr_storage *local_r)
{
    if (proxy_header_need(data, len) != 0)
        return ERR_PROTOCOL;
    return data[0] == signature[0] ? read_v2(data, len, client_r, local_r)
                                   : read_v1(data, len, client_r, local_r);
}

/* ---- who may say such things ---- */

struct network {
    unsigned char address[16]; /* IPv4 as ::ffff:a.b.c.d */
    unsigned bits;
};

static const unsigned char v4_prefix[12] = {[10] = 0xff, [11] = 0xff};

static bool read_network(const char *text, size_t len, struct network *n)
{
    char word[INET6_ADDRSTRLEN + 4], *slash;
    bool v4;
    uint32_t bits;

    if (len >= sizeof(word))
        return false;
    memcpy(word, text, len);
    word[len] = '\0';
    slash = strchr(word, '/');
    if (slash != NULL)
        *slash++ = '\0';
    v4 = inet_pton(AF_INET, word, n->address + 12) == 1;
    if (v4)
        memcpy(n->address, v4_prefix, sizeof(v4_prefix));
    else if (inet_pton(AF_INET6, word, n->address) != 1)
        return false;
    bits = v4 ? 32 : 128;
    if (slash != NULL && (str_parse_u32(slash, strlen(slash), &bits) < 0 || bits > (v4 ? 32 : 128)))
        return false;
    n->bits = bits + (v4 ? 96 : 0);
    return true;
}

static bool is_within(const struct network *n, const unsigned char address[16])
{
    unsigned whole = n->bits / 8, rest = n->bits % 8;

    if (memcmp(n->address, address, whole) != 0)
        return false;
    return rest == 0 || ((n->address[whole] ^ address[whole]) >> (8 - rest)) == 0;
}

/* Is `address` (NULL: none) in the list?  ERR_SYNTAX. */
static int walk(const char *list, const unsigned char *address)
{
    unsigned count = 0;
    int found = 0;

    for (list += strspn(list, " \t,"); *list != '\0'; list += strspn(list, " \t,")) {
        size_t n = strcspn(list, " \t,");
        struct network network;

        if (!read_network(list, n, &network) || ++count > PROXY_TRUSTED_MAX)
            return ERR_SYNTAX;
        if (address != NULL && is_within(&network, address))
            found = 1;
        list += n;
    }
    return found;
}

int proxy_trusted_check(const char *list)
{
    return walk(list, NULL) < 0 ? ERR_SYNTAX : 0;
}

bool proxy_trusted_has(const char *list, const struct sockaddr_storage *address)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
    unsigned char raw[16];

    if (address->ss_family == AF_INET) {
        memcpy(raw, v4_prefix, sizeof(v4_prefix));
        memcpy(raw + 12, &in->sin_addr, 4);
    } else if (address->ss_family == AF_INET6) {
        memcpy(raw, &in6->sin6_addr, 16);
    } else {
        return false;
    }
    return walk(list, raw) == 1;
}
