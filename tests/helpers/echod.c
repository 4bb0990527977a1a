/* echod: a service for the tests of master and of the skeleton: greets with its process id, and
 * obeys lines: "crash", "exit", "env NAME", "option LETTER"; anything else comes back. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/engine/engine.h"
#include "master/service-run.h"

struct echo {
    int fd;
    bool greeted;
    char line[256];
    size_t len;
};

static void say(const struct echo *e, const char *text)
{
    char out[400];
    int n = snprintf(out, sizeof(out), "%s\r\n", text);

    (void)!send(e->fd, out, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static bool obey(struct echo *e, char *line)
{
    char text[64];
    const char *value;

    if (strcmp(line, "crash") == 0)
        raise(SIGKILL);
    if (strcmp(line, "exit") == 0)
        _exit(3);
    if (strcmp(line, "quit") == 0)
        return false;
    if (strcmp(line, "pid") == 0) {
        snprintf(text, sizeof(text), "%d", (int)getpid());
        say(e, text);
    } else if (str_has_prefix(line, "env ")) {
        value = getenv(line + 4);
        say(e, value != NULL ? value : "(none)");
    } else if (str_has_prefix(line, "option ")) {
        value = service_option(line[7]);
        say(e, value != NULL ? value : "(none)");
    } else if (strcmp(line, "name") == 0) {
        say(e, service_name());
    } else {
        say(e, line);
    }
    return true;
}

static bool take_lines(struct echo *e)
{
    char *end;

    while ((end = memchr(e->line, '\n', e->len)) != NULL) {
        size_t n = (size_t)(end - e->line) + 1;

        *end = '\0';
        if (end > e->line && end[-1] == '\r')
            end[-1] = '\0';
        if (!obey(e, e->line))
            return false;
        memmove(e->line, e->line + n, e->len - n);
        e->len -= n;
    }
    return e->len < sizeof(e->line);
}

static enum engine_verdict echo_run(struct session *s, void *object)
{
    struct echo *e = object;
    char text[32];
    ssize_t n;

    if (!e->greeted) {
        snprintf(text, sizeof(text), "hello %d", (int)getpid());
        say(e, text);
        e->greeted = true;
    }
    if (session_stopping(s)) {
        say(e, "bye");
        return ENGINE_CLOSE;
    }
    n = recv(e->fd, e->line + e->len, sizeof(e->line) - e->len, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        return ENGINE_CLOSE;
    if (n > 0) {
        e->len += (size_t)n;
        return take_lines(e) ? ENGINE_AGAIN : ENGINE_CLOSE;
    }
    session_watch(s, 0, e->fd, POLLIN);
    return ENGINE_PARK;
}

static void echo_close(struct session *s, void *object)
{
    struct echo *e = object;

    session_watch(s, 0, -1, 0);
    close(e->fd);
    free(e);
}

static void accepted(struct engine *engine, int fd, void *context)
{
    static const struct engine_ops ops = {.name = "echo", .run = echo_run, .close = echo_close};
    struct echo *e = xcalloc(1, sizeof(*e));

    (void)context;
    e->fd = fd;
    session_new(engine, &ops, e, "echo");
}

static int start(struct engine *e, void *context, char **error_r)
{
    (void)e;
    (void)context;
    if (service_option('f') != NULL) {
        *error_r = xstrdup("told to fail");
        return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const struct service service = {
        .program = "echod", .name = "echo", .options = "fx:", .start = start, .accepted = accepted};

    return service_run(&service, argc, argv);
}
