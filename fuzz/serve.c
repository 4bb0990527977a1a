#include "fuzz/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "imap/login/login.h"
#include "lib/base/clock.h"
#include "lib/base/config.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/engine/engine.h"

enum { HANG_MS = 60 * 1000 };

static struct engine *engine;
static char dir[64];
static void (*close_server)(void);

const char *serve_dir(void)
{
    return dir;
}

static void make_folders(void)
{
    struct buf path = BUF_INIT;

    for (unsigned i = 0; i < 2; i++) {
        buf_reset(&path);
        buf_printf(&path, "%s/%s", dir, i == 0 ? "conf" : "spool");
        BUG_ON(mkdir(buf_cstr(&path), 0700) != 0);
    }
    buf_free(&path);
}

static void configure(const char *service)
{
    struct buf conf = BUF_INIT, path = BUF_INIT;
    char *error = NULL;

    buf_printf(&path, "%s/imapd.conf", dir);
    buf_printf(
        &conf,
        "configdirectory: %s/conf\npartition-default: %s/spool\nlog_target: file:/dev/null\n"
        "servername: fuzz\nadmins: cyrus\nproxyservers: murder\nunix_group_enable: no\ndb_map_size: 256M\n"
        "failedloginpause: 0\nsasl_pwcheck_method: auxprop\nsasl_auxprop_plugin: sasldb\n"
        "sasl_sasldb_path: %s/sasldb2\nsasl_mech_list: PLAIN LOGIN SCRAM-SHA-1\nallowplaintext: yes\n"
        "maxmessagesize: 1M\nmaxliteral: 64K\nsievedir: %s/conf/sieve\n",
        dir, dir, dir, dir);
    BUG_ON(file_replace(buf_cstr(&path), conf.data, conf.len, 0600) != 0);
    BUG_ON(config_read(buf_cstr(&path), service, "fuzz", &error) != 0);
    buf_free(&conf);
    buf_free(&path);
}

/* The client sees the end before the session is gone. */
static void wait_idle(void)
{
    int64_t deadline = clock_deadline(HANG_MS);
    struct engine_counters counters;

    for (engine_counters(engine, &counters); counters.sessions > 0; engine_counters(engine, &counters)) {
        BUG_ON(clock_left(deadline) == 0);
        usleep(100);
    }
}

static void end(void)
{
    wait_idle();
    if (close_server != NULL) {
        engine_stop(&engine);
        close_server();
    }
    file_remove_tree(dir);
}

void serve_begin(const char *service, void (*close)(void))
{
    const struct engine_config few = {.workers_min = 1, .workers_max = 2, .sessions_max = 10};

#ifdef __SANITIZE_THREAD__
    puts("skipped: one connection at a time, and libraries that the thread sanitizer does not see into");
    exit(77);
#endif
    close_server = close;
    strcpy(dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/fuzz.XXXXXX" : "/tmp/fuzz.XXXXXX");
    BUG_ON(mkdtemp(dir) == NULL);
    make_folders();
    configure(service);
    BUG_ON(engine_start(&few, &engine) != 0);
    atexit(end);
}

void serve_wipe(void)
{
    struct buf path = BUF_INIT;

    wait_idle();
    for (unsigned i = 0; i < 2; i++) {
        buf_reset(&path);
        buf_printf(&path, "%s/%s", dir, i == 0 ? "conf" : "spool");
        BUG_ON(file_remove_tree(buf_cstr(&path)) != 0);
    }
    make_folders();
    buf_free(&path);
}

/* Says what fits; what is left. */
static size_t say(int fd, const char *data, size_t n)
{
    ssize_t r = send(fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (r < 0 || (size_t)r == n)
        shutdown(fd, SHUT_WR);
    return r < 0 ? 0 : n - (size_t)r;
}

/* Moves bytes both ways until the server closes; a server that does nothing any more is a bug. */
static void talk(int fd, const char *data, size_t n)
{
    const char *end = data + n;
    char answer[16384];
    ssize_t r = 1;

    while (r != 0) {
        struct pollfd p = {.fd = fd, .events = (short)(POLLIN | (n > 0 ? POLLOUT : 0))};
        int ready = poll(&p, 1, HANG_MS);

        if (ready < 0 && errno == EINTR) /* libFuzzer's timer */
            continue;
        BUG_ON(ready <= 0);
        if (n > 0 && (p.revents & (POLLOUT | POLLHUP)) != 0)
            n = say(fd, end - n, n);
        r = (p.revents & (POLLIN | POLLHUP)) != 0 ? recv(fd, answer, sizeof(answer), MSG_DONTWAIT) : 1;
    }
}

void serve_talk(struct login_service *service, const void *data, size_t n)
{
    int fds[2];

    BUG_ON(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0);
    BUG_ON(fcntl(fds[0], F_SETFL, O_NONBLOCK) != 0);
    login_accept(engine, fds[0], service);
    if (n == 0)
        shutdown(fds[1], SHUT_WR);
    talk(fds[1], data, n);
    close(fds[1]);
}

void serve_say(struct login_service *service, const char *text)
{
    serve_talk(service, text, strlen(text));
}
