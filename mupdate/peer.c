/* peer.c: a connection to another member of a group. */
#include "mupdate/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

void peer_init(struct peer *peer, atomic_bool *stop)
{
    *peer = (struct peer){.stop = stop};
}

void peer_close(struct peer *peer)
{
    mupdate_conn_close(&peer->conn);
}

/* What is asked for here is not sent on to anybody else. */
static void say_member(struct mupdate_conn *conn)
{
    struct buf out = BUF_INIT;

    mupdate_put_line(&out, "M", "XMEMBER", NULL);
    mupdate_conn_write(conn, &out);
    buf_free(&out);
}

/* Connects; whoever is away for long is told of once. */
static int open_conn(struct peer *peer, int64_t deadline)
{
    struct mupdate_conn_config config = {.wake_fd = -1, .stop = peer->stop};
    char *host = xstrdup(peer->name), *colon = strrchr(host, ':');
    struct buf why = BUF_INIT;
    uint64_t port;
    int r;

    if (colon != NULL && str_parse_u64(colon + 1, strlen(colon + 1), &port) == 0 && port <= UINT16_MAX) {
        *colon = '\0';
        config.port = (unsigned)port;
    }
    config.server = host;
    r = mupdate_conn_open(&config, deadline, &peer->conn, &why);
    if (r < 0 && !peer->away)
        LOG(LOG_NOTICE, MUPDATE_GROUP_AWAY, LOG_STR(SERVER, peer->name), LOG_STR(ERROR, buf_cstr(&why)));
    peer->away = r < 0;
    buf_free(&why);
    free(host);
    return r;
}

/* Nothing was asked that is not answered: whatever has come is its end, or that of the process at its other one. */
static bool is_open(struct peer *peer)
{
    const struct mupdate_line *line;

    return peer->conn != NULL && mupdate_conn_line(peer->conn, &line) == 0;
}

int peer_call(struct peer *peer, const char *name, int64_t deadline)
{
    if (strcmp(peer->name, name) != 0) {
        peer_close(peer);
        peer->away = false;
    }
    str_copy(peer->name, sizeof(peer->name), name);
    if (is_open(peer))
        return 0;
    peer_close(peer);
    if (open_conn(peer, deadline) < 0)
        return ERR_UNAVAILABLE;
    say_member(peer->conn);
    return 0;
}

const char *peer_tag(struct peer *peer, char tag[24])
{
    snprintf(tag, 24, "G%llu", (unsigned long long)++peer->number);
    return tag;
}

int peer_line(struct peer *peer, int64_t deadline, const struct mupdate_line **line_r)
{
    int r;

    while ((r = mupdate_conn_line(peer->conn, line_r)) == 0) {
        r = clock_left(deadline) == 0 || atomic_load(peer->stop) ? ERR_TIMEOUT
                                                                 : mupdate_conn_wait(peer->conn, deadline);
        if (r < 0)
            return r;
    }
    return r < 0 ? r : 0;
}

int peer_answer(struct peer *peer, int64_t deadline, uint64_t number, const struct mupdate_line **line_r)
{
    uint64_t got;
    int r;

    while ((r = peer_line(peer, deadline, line_r)) == 0) {
        const char *tag = (*line_r)->tag;

        if (str_ieq((*line_r)->word, "BYE"))
            return ERR_EOF;
        if (tag[0] == 'G' && str_parse_u64(tag + 1, strlen(tag + 1), &got) == 0 && got == number)
            return 0;
    }
    return r;
}

int peer_ask(struct peer *peer, struct buf *question, int64_t ms, const struct mupdate_line **line_r)
{
    int64_t deadline = clock_deadline(ms);
    int r;

    mupdate_conn_write(peer->conn, question);
    r = peer_answer(peer, deadline, peer->number, line_r);
    if (r < 0)
        peer_close(peer);
    return r < 0 || !str_ieq((*line_r)->word, "OK") ? ERR_UNAVAILABLE : 0;
}

bool peer_line_number(const struct mupdate_line *line, unsigned i, uint64_t *number_r)
{
    return i < line->count && str_parse_u64(line->args[i], strlen(line->args[i]), number_r) == 0;
}
