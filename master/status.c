#include "master/status.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "master/listen.h"

enum { READERS_MAX = 16, READER_MS = 10000, BACKLOG = 16 };

struct reader {
    struct status *status;
    int fd;
    struct loop_watch *watch;
    struct loop_timer *limit;
    struct buf text;
    struct reader *next, **link;
};

struct status {
    struct loop *loop;
    struct listen_set sockets;
    struct loop_watch *watch;
    void (*write_status)(struct buf *to, void *context);
    void *context;
    struct reader *readers;
    unsigned count;
};

static void reader_free(void *context)
{
    struct reader *r = context;

    loop_watch_free(&r->watch);
    loop_timer_free(&r->limit);
    close(r->fd);
    buf_free(&r->text);
    *r->link = r->next;
    if (r->next != NULL)
        r->next->link = r->link;
    r->status->count--;
    free(r);
}

static void reader_writable(int fd, unsigned events, void *context)
{
    struct reader *r = context;
    ssize_t n = send(fd, r->text.data, r->text.len, MSG_DONTWAIT | MSG_NOSIGNAL);

    (void)events;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        buf_consume(&r->text, (size_t)n);
    if (n <= 0 || r->text.len == 0)
        reader_free(r);
}

static void reader_new(struct status *s, int fd)
{
    struct reader *r = xcalloc(1, sizeof(*r));

    r->status = s;
    r->fd = fd;
    s->write_status(&r->text, s->context);
    r->watch = loop_watch_new(s->loop, fd, POLLOUT, reader_writable, r);
    r->limit = loop_timer_new(s->loop, reader_free, r);
    loop_timer_set(r->limit, clock_deadline(READER_MS));
    r->next = s->readers;
    r->link = &s->readers;
    if (r->next != NULL)
        r->next->link = &r->next;
    s->readers = r;
    s->count++;
}

static void connection(int fd, unsigned events, void *context)
{
    struct status *s = context;
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)events;
    if (client < 0)
        return;
    if (s->count < READERS_MAX)
        reader_new(s, client);
    else
        close(client);
}

int status_open(struct loop *l, const char *path, void (*write_status)(struct buf *to, void *context),
                void *context, struct status **status_r)
{
    struct status *s = xcalloc(1, sizeof(*s));
    char *error;
    int r = listen_open(path, "tcp", &s->sockets, &error);

    free(error);
    *status_r = NULL;
    if (r == 0)
        r = chmod(path, 0600) != 0 ? ERR_IO : listen_start(&s->sockets, BACKLOG);
    if (r < 0) {
        listen_close(&s->sockets, true);
        free(s);
        return r;
    }
    fcntl(s->sockets.fds[0], F_SETFL, O_NONBLOCK); /* a client may be gone again */
    s->loop = l;
    s->write_status = write_status;
    s->context = context;
    s->watch = loop_watch_new(l, s->sockets.fds[0], POLLIN, connection, s);
    *status_r = s;
    return 0;
}

void status_close(struct status **sp)
{
    struct status *s = *sp;

    if (s == NULL)
        return;
    while (s->readers != NULL)
        reader_free(s->readers);
    loop_watch_free(&s->watch);
    listen_close(&s->sockets, true);
    free(s);
    *sp = NULL;
}
