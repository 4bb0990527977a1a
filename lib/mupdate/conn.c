/* conn.c: one connection to a MUPDATE server. */
#include "lib/mupdate/conn.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/backend/backend.h"
#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/stream/stream.h"

enum { BACKOFF_FIRST_MS = 500, CONNECT_MS = 30 * 1000, CONNECT_ONE_OF_SEVERAL_MS = 5 * 1000 };

struct mupdate_conn {
    struct backend *backend; /* NULL in tests */
    struct stream *stream;   /* the backend's, or our own in tests */
    struct mupdate_parser *parser;
    int wake_fd;
    const char *announced; /* tests' */
};

/* Waits for the descriptor or the eventfd, which is emptied. */
static void wait_for(int fd, unsigned events, int wake_fd, int64_t deadline)
{
    struct pollfd fds[2] = {{.fd = fd, .events = (short)events}, {.fd = wake_fd, .events = POLLIN}};
    uint64_t count;

    if (poll(fds, 2, clock_left(deadline)) > 0 && (fds[1].revents & POLLIN))
        while (read(wake_fd, &count, sizeof(count)) > 0)
            ;
}

static bool told_to_stop(const struct mupdate_conn_config *config)
{
    return config->stop != NULL && atomic_load(config->stop);
}

static int log_in(const struct mupdate_conn_config *config, int64_t deadline, struct backend *backend)
{
    int r;

    while ((r = backend_step(backend)) > 0) {
        int64_t limit = backend_deadline(backend);

        if (r == BACKEND_MORE)
            continue;
        if (clock_left(deadline) == 0 || told_to_stop(config))
            return ERR_TIMEOUT;
        wait_for(backend_fd(backend), backend_events(backend), config->wake_fd,
                 limit < deadline ? limit : deadline);
    }
    return r;
}

static int connect_backend(const struct mupdate_conn_config *config, int64_t deadline,
                           struct backend **backend_r, struct buf *why)
{
    const struct backend_config target = {.protocol = BACKEND_MUPDATE,
                                          .server = config->server,
                                          .port = config->port,
                                          .anonymous = config->anonymous,
                                          .eager = true};
    struct backend *backend = backend_new(&target);
    int r = log_in(config, deadline, backend);

    if (r < 0) {
        buf_puts(why, r == ERR_TIMEOUT ? "no answer in time" : backend_error(backend));
        backend_free(&backend);
        return r;
    }
    *backend_r = backend;
    return 0;
}

int mupdate_conn_open(const struct mupdate_conn_config *config, int64_t deadline,
                      struct mupdate_conn **conn_r, struct buf *why)
{
    struct mupdate_conn conn = {.wake_fd = config->wake_fd, .announced = config->announced};
    int fd, r;

    if (config->connect != NULL) {
        fd = config->connect(config->context);
        if (fd < 0) {
            buf_puts(why, "refused");
            return ERR_UNAVAILABLE;
        }
        conn.stream = stream_new(fd);
    } else {
        r = connect_backend(config, deadline, &conn.backend, why);
        if (r < 0)
            return r;
        conn.stream = backend_stream(conn.backend);
    }
    conn.parser = mupdate_parser_new();
    *conn_r = xmalloc(sizeof(conn));
    **conn_r = conn;
    return 0;
}

void mupdate_conn_close(struct mupdate_conn **connp)
{
    struct mupdate_conn *conn = *connp;

    if (conn == NULL)
        return;
    *connp = NULL;
    mupdate_parser_free(&conn->parser);
    if (conn->backend != NULL)
        backend_free(&conn->backend);
    else
        stream_free(&conn->stream);
    free(conn);
}

const char *mupdate_conn_role(const struct mupdate_conn *conn)
{
    return conn->backend == NULL ? "(master)" : backend_greeting(conn->backend);
}

bool mupdate_conn_has(const struct mupdate_conn *conn, const char *capability)
{
    if (conn->backend == NULL)
        return conn->announced != NULL && strcmp(conn->announced, capability) == 0;
    return backend_has(conn->backend, capability);
}

void mupdate_conn_write(struct mupdate_conn *conn, const struct buf *text)
{
    stream_write(conn->stream, text->data, text->len);
}

size_t mupdate_conn_unsent(const struct mupdate_conn *conn)
{
    return stream_unsent(conn->stream);
}

/* A line from what has been read already. */
static int parse(struct mupdate_conn *conn, const struct mupdate_line **line_r)
{
    size_t len, used;
    const char *data = stream_data(conn->stream, &len);
    int r;

    if (len == 0)
        return 0;
    r = mupdate_parser_feed(conn->parser, data, len, &used, line_r);
    stream_consume(conn->stream, used);
    if (mupdate_parser_go_ahead(conn->parser))
        stream_puts(conn->stream, "+ go ahead\r\n");
    return r < 0 ? ERR_PROTOCOL : r;
}

int mupdate_conn_line(struct mupdate_conn *conn, const struct mupdate_line **line_r)
{
    int r;

    while ((r = parse(conn, line_r)) == 0) {
        r = stream_fill(conn->stream);
        if (r <= 0)
            return r == ERR_AGAIN ? 0 : r;
    }
    return r;
}

int mupdate_conn_wait(struct mupdate_conn *conn, int64_t deadline)
{
    int r = stream_flush(conn->stream);

    if (r < 0 && r != ERR_AGAIN)
        return r;
    if (!stream_has_input(conn->stream))
        wait_for(stream_fd(conn->stream), stream_poll_events(conn->stream, true), conn->wake_fd, deadline);
    return 0;
}

int64_t mupdate_backoff_next(struct mupdate_backoff *backoff)
{
    uint32_t random;
    int64_t jitter;

    backoff->delay_ms = backoff->delay_ms == 0 ? BACKOFF_FIRST_MS : 2 * backoff->delay_ms;
    if (backoff->delay_ms > backoff->most_ms)
        backoff->delay_ms = backoff->most_ms;
    digest_random(&random, sizeof(random));
    jitter = backoff->delay_ms / 4;
    return backoff->delay_ms - jitter + (jitter == 0 ? 0 : (int64_t)(random % (uint64_t)(2 * jitter)));
}

/* ---- one of several servers ---- */

void mupdate_servers_init(struct mupdate_servers *servers, const char *list)
{
    struct buf names = BUF_INIT;
    unsigned count = 0;

    for (list += strspn(list, " \t"); *list != '\0'; list += strspn(list, " \t")) {
        size_t len = strcspn(list, " \t");

        count++;
        buf_append(&names, list, len);
        buf_putc(&names, '\0');
        list += len;
    }
    *servers = (struct mupdate_servers){.len = names.len, .several = count > 1};
    servers->names = buf_steal(&names);
}

void mupdate_servers_free(struct mupdate_servers *servers)
{
    free(servers->names);
    servers->names = NULL;
}

const char *mupdate_servers_now(const struct mupdate_servers *servers)
{
    return servers->len > 0 ? servers->names + servers->at : "";
}

bool mupdate_servers_next(struct mupdate_servers *servers)
{
    servers->at += servers->len > 0 ? strlen(mupdate_servers_now(servers)) + 1 : 0;
    if (servers->at >= servers->len)
        servers->at = 0;
    return servers->at == servers->round;
}

void mupdate_servers_good(struct mupdate_servers *servers)
{
    servers->round = servers->at;
}

int64_t mupdate_servers_connect_ms(const struct mupdate_servers *servers)
{
    return servers->several ? CONNECT_ONE_OF_SEVERAL_MS : CONNECT_MS;
}
