#include "master/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "master/user.h"

/* Descriptors of our own stay away from the numbers that children get. */
enum { FIRST_OWN_FD = 64 };

unsigned listen_port(const char *name)
{
    static const struct {
        const char *name;
        unsigned port;
    } rows[] = {{"imap", 143},  {"imaps", 993},  {"pop3", 110},  {"pop3s", 995},    {"nntp", 119},
                {"nntps", 563}, {"sieve", 4190}, {"lmtp", 2003}, {"mupdate", 3905}, {"csync", 2005}};
    struct servent entry, *found = NULL;
    char room[1024];
    uint32_t n;

    if (str_parse_u32(name, strlen(name), &n) == 0)
        return n <= 65535 ? n : 0;
    if (getservbyname_r(name, "tcp", &entry, room, sizeof(room), &found) == 0 && found != NULL)
        return ntohs((uint16_t)found->s_port);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].port;
    }
    return 0;
}

static int add_fd(struct listen_set *to, int fd)
{
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_OWN_FD);

    close(fd);
    if (moved < 0)
        return ERR_IO;
    to->fds[to->count++] = moved;
    return 0;
}

/* 0 when bound, 1 when this machine has no such kind of address, or an error. */
static int bind_one(struct listen_set *to, const struct addrinfo *a)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    if (fd < 0)
        return errno == EAFNOSUPPORT ? 1 : ERR_IO;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (a->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(fd, a->ai_addr, a->ai_addrlen) != 0) {
        int e = errno;

        close(fd);
        if (e == EADDRNOTAVAIL || e == EAFNOSUPPORT)
            return 1;
        return e == EADDRINUSE ? ERR_BUSY : e == EACCES ? ERR_DENIED : ERR_IO;
    }
    return add_fd(to, fd);
}

/* Binds to the addresses of one family. */
static int bind_family(struct listen_set *to, const struct addrinfo *list, int family)
{
    for (const struct addrinfo *a = list; a != NULL && to->count < LISTEN_MAX; a = a->ai_next) {
        int r = a->ai_family == family ? bind_one(to, a) : 0;

        if (r < 0)
            return r;
    }
    return 0;
}

/* Cuts "host:port" or "[v6]:port" in place; without a colon it is all port. */
static void split_address(char *s, char **host_r, char **port_r)
{
    char *colon = strrchr(s, ':');
    size_t n;

    *host_r = NULL;
    *port_r = s;
    if (colon == NULL)
        return;
    *colon = '\0';
    *port_r = colon + 1;
    n = strlen(s);
    if (n >= 2 && s[0] == '[' && s[n - 1] == ']') {
        s[n - 1] = '\0';
        s++;
    }
    if (*s != '\0' && strcmp(s, "*") != 0)
        *host_r = s;
}

static int open_tcp(const char *listen, const char *proto, struct listen_set *to)
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *list;
    char *copy = xstrdup(listen), *host, *name, port[8];
    unsigned number;
    int r;

    hints.ai_family = str_ieq(proto, "tcp4") ? AF_INET : str_ieq(proto, "tcp6") ? AF_INET6 : AF_UNSPEC;
    split_address(copy, &host, &name);
    number = listen_port(name);
    snprintf(port, sizeof(port), "%u", number);
    r = number == 0 || getaddrinfo(host, port, &hints, &list) != 0 ? ERR_NOTFOUND : 0;
    free(copy);
    if (r < 0)
        return r;
    r = bind_family(to, list, AF_INET);
    if (r == 0)
        r = bind_family(to, list, AF_INET6);
    freeaddrinfo(list);
    return r < 0 ? r : to->count == 0 ? ERR_UNSUPPORTED : 0;
}

/* Does a living server listen there? */
static bool is_served(const struct sockaddr_un *a)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool yes = fd >= 0 && (connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0 || errno == EAGAIN);

    if (fd >= 0)
        close(fd);
    return yes;
}

/* The directories that are missing above a socket become the user's that master runs as: services make sockets
 * beside it, and a later master its own anew. */
static int make_parents(const char *path)
{
    char *copy = xstrdup(path);
    int r = 0;

    for (char *slash = strchr(copy + 1, '/'); r == 0 && slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(copy, 0755) == 0)
            user_give(copy);
        else if (errno != EEXIST)
            r = error_from_errno(errno);
        *slash = '/';
    }
    free(copy);
    return r;
}

static int bind_unix(const struct sockaddr_un *a, struct listen_set *to)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mode_t before = umask(0); /* who may connect is for the directories' modes to say */
    int r = fd < 0 ? ERR_IO : make_parents(a->sun_path);

    if (r == 0 && bind(fd, (const struct sockaddr *)a, sizeof(*a)) != 0)
        r = error_from_errno(errno);
    umask(before);
    if (r == 0)
        return add_fd(to, fd);
    if (fd >= 0)
        close(fd);
    return r;
}

static int place_unix(const char *path, struct listen_set *to)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct stat st;
    int r;

    if (!str_copy(a.sun_path, sizeof(a.sun_path), path))
        return ERR_TOOBIG;
    if (lstat(path, &st) == 0) {
        if (!S_ISSOCK(st.st_mode))
            return ERR_EXISTS;
        if (is_served(&a))
            return ERR_BUSY;
        unlink(path);
    }
    r = bind_unix(&a, to);
    if (r == 0)
        to->unix_path = xstrdup(path);
    return r;
}

/* The socket and its directory belong to the user who is to replace and remove them, where that user may make
 * them. */
static int open_unix(const char *path, struct listen_set *to)
{
    bool assumed = user_assume();
    int r = place_unix(path, to);

    if (assumed)
        user_resume();
    return assumed && r == ERR_DENIED ? place_unix(path, to) : r;
}

int listen_open(const char *listen, const char *proto, struct listen_set *to, char **error_r)
{
    int r;

    *to = (struct listen_set){.count = 0};
    *error_r = NULL;
    r = listen[0] == '/' ? open_unix(listen, to) : open_tcp(listen, proto, to);
    if (r < 0) {
        *error_r = xstrprintf("cannot listen on %s: %s", listen,
                              r == ERR_BUSY          ? "the address is in use"
                              : r == ERR_NOTFOUND    ? "no such host or service"
                              : r == ERR_UNSUPPORTED ? "this machine has no such address"
                                                     : error_text(r));
        listen_close(to, true);
    }
    return r;
}

int listen_start(const struct listen_set *set, int backlog)
{
    for (size_t i = 0; i < set->count; i++) {
        if (listen(set->fds[i], backlog) != 0)
            return errno == EADDRINUSE ? ERR_BUSY : ERR_IO;
    }
    return 0;
}

void listen_close(struct listen_set *set, bool remove)
{
    for (size_t i = 0; i < set->count; i++)
        close(set->fds[i]);
    if (remove && set->unix_path != NULL)
        unlink(set->unix_path);
    free(set->unix_path);
    *set = (struct listen_set){.count = 0};
}
