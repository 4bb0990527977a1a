#include <arpa/inet.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "lib/backend/backend-private.h"
#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/options.h"
#include "lib/base/str.h"

static int parse_port(const char *s, unsigned *port_r)
{
    uint32_t port;

    if (str_parse_u32(s, strlen(s), &port) != 0 || port == 0 || port > 65535)
        return ERR_SYNTAX;
    *port_r = port;
    return 0;
}

static int copy_host(char *to, size_t size, const char *from, size_t n)
{
    if (n == 0 || n >= size)
        return ERR_SYNTAX;
    memcpy(to, from, n);
    to[n] = '\0';
    return 0;
}

int backend_parse_server(const char *server, char *host, size_t size, unsigned *port_r)
{
    const char *colon = strchr(server, ':'), *end;

    *port_r = 0;
    if (server[0] == '/') /* a Unix socket */
        return copy_host(host, size, server, strlen(server));
    if (server[0] == '[') {
        end = strchr(server, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':') ||
            copy_host(host, size, server + 1, (size_t)(end - server - 1)) != 0)
            return ERR_SYNTAX;
        return end[1] == ':' ? parse_port(end + 2, port_r) : 0;
    }
    if (colon == NULL || strchr(colon + 1, ':') != NULL) /* more than one: an IPv6 literal */
        return copy_host(host, size, server, strlen(server));
    if (copy_host(host, size, server, (size_t)(colon - server)) != 0)
        return ERR_SYNTAX;
    return parse_port(colon + 1, port_r);
}

/* A port by number or by name; 0: neither. */
static unsigned service_port(const char *name)
{
    struct servent entry, *found = NULL;
    char space[1024];
    unsigned port;

    if (parse_port(name, &port) == 0)
        return port;
    if (getservbyname_r(name, "tcp", &entry, space, sizeof(space), &found) == 0 && found != NULL)
        return ntohs((uint16_t)found->s_port);
    return 0;
}

unsigned backend_port(const struct backend_config *config, const char *service, unsigned standard)
{
    char host[256], option[64];
    const char *value;
    unsigned port = 0;

    if (config->port != 0)
        return config->port;
    if (backend_parse_server(config->server, host, sizeof(host), &port) == 0 && port != 0 &&
        config->protocol == BACKEND_IMAP)
        return port;
    snprintf(option, sizeof(option), "%s_port", service);
    value = config_host_overflow(config->server, option);
    if (value != NULL && service_port(value) != 0)
        return service_port(value);
    if (config->protocol == BACKEND_MUPDATE && opt_int(OPT_MUPDATE_PORT) > 0)
        return (unsigned)opt_int(OPT_MUPDATE_PORT);
    port = service_port(service);
    return port != 0 ? port : standard;
}

static int unix_address(const char *path, struct backend_address *to)
{
    struct sockaddr_un *a = (struct sockaddr_un *)&to->addr;

    memset(to, 0, sizeof(*to));
    a->sun_family = AF_UNIX;
    if (!str_copy(a->sun_path, sizeof(a->sun_path), path))
        return ERR_NOTFOUND;
    to->len = sizeof(*a);
    return 1;
}

/* Literals never reach a resolver. */
static int lookup(const char *host, const char *port, struct addrinfo **list_r)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};

    if (getaddrinfo(host, port, &hints, list_r) == 0)
        return 0;
    hints.ai_flags = AI_NUMERICSERV;
    return getaddrinfo(host, port, &hints, list_r) == 0 ? 0 : ERR_NOTFOUND;
}

int backend_resolve(const char *host, unsigned port, struct backend_address *to, int max)
{
    struct addrinfo *list = NULL;
    char service[16];
    int n = 0;

    if (host[0] == '/')
        return unix_address(host, to);
    snprintf(service, sizeof(service), "%u", port);
    if (lookup(host, service, &list) != 0)
        return ERR_NOTFOUND;
    for (const struct addrinfo *a = list; a != NULL && n < max; a = a->ai_next) {
        if (a->ai_addrlen > sizeof(to[n].addr))
            continue;
        memcpy(&to[n].addr, a->ai_addr, a->ai_addrlen);
        to[n].len = a->ai_addrlen;
        n++;
    }
    freeaddrinfo(list);
    return n > 0 ? n : ERR_NOTFOUND;
}

int backend_bind(int fd, int family)
{
    struct backend_address own[BACKEND_ADDRESSES_MAX];
    const char *name = opt_string(OPT_CLIENT_BIND_NAME);
    char host[256];
    unsigned port;
    int n;

    if (!opt_switch(OPT_CLIENT_BIND) || family == AF_UNIX)
        return 0;
    if (backend_parse_server(name != NULL ? name : config_servername(), host, sizeof(host), &port) != 0)
        return ERR_CONFIG;
    n = backend_resolve(host, 0, own, BACKEND_ADDRESSES_MAX);
    for (int i = 0; i < n; i++) {
        if (own[i].addr.ss_family == family)
            return bind(fd, (struct sockaddr *)&own[i].addr, own[i].len) == 0 ? 0 : ERR_CONFIG;
    }
    return ERR_CONFIG;
}
