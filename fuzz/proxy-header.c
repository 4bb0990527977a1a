/* The PROXY protocol's header, as a balancer sends it before anything else. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "imap/login/proxy-header.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Fed as a connection is read: never more than the header is certain to need.  Its length; 0: it is none, or not whole. */
static size_t take_header(const char *data, size_t size)
{
    size_t len = 0;
    int need;

    while ((need = proxy_header_need(data, len)) > 0) {
        if ((size_t)need > size - len)
            return 0;
        len += (size_t)need;
        BUG_ON(len > PROXY_HEADER_V2_MAX);
    }
    BUG_ON(need < 0 && need != ERR_PROTOCOL);
    return need == 0 ? len : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sockaddr_storage client = {0}, local = {0};
    char *copy = xmalloc(size + 1); /* of exactly that size, for the address sanitizer */
    size_t len;
    int r;

    memcpy(copy, data, size);
    len = take_header(copy, size);
    if (len > 0) {
        r = proxy_header_read(copy, len, &client, &local);
        BUG_ON(r != 0 && r != 1 && r != ERR_PROTOCOL);
        BUG_ON(r == 1 && client.ss_family != AF_INET && client.ss_family != AF_INET6);
        BUG_ON(r == 1 && local.ss_family != client.ss_family);
    }
    copy[size] = '\0';
    if (memchr(copy, '\0', size) == NULL && proxy_trusted_check(copy) == 0)
        proxy_trusted_has(copy, &client);
    free(copy);
    return 0;
}
