/* peer.c: a connection to the elected member of a group. */
#include "mupdate/peer.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/options.h"
#include "lib/base/str.h"

void peer_init(struct peer *peer, struct db_env *env, atomic_bool *stop)
{
    *peer = (struct peer){.env = env, .stop = stop};
}

void peer_close(struct peer *peer)
{
    mupdate_conn_close(&peer->conn);
}

/* His host, "" without one. */
static void elected_host(struct db_env *env, char host[DB_GROUP_NAME_MAX + 1])
{
    struct db_group_state state;
    char *colon;

    host[0] = '\0';
    db_group_state(env, &state);
    for (unsigned i = 1; i < state.count && state.role == DB_GROUP_FOLLOWS; i++)
        if (state.members[i].elected)
            str_copy(host, DB_GROUP_NAME_MAX + 1, state.members[i].name);
    colon = strrchr(host, ':');
    if (colon != NULL)
        *colon = '\0';
}

/* What is asked for here is not sent on to anybody else. */
static void say_member(struct mupdate_conn *conn)
{
    struct buf out = BUF_INIT;

    mupdate_put_line(&out, "M", "XMEMBER", NULL);
    mupdate_conn_write(conn, &out);
    buf_free(&out);
}

int peer_call(struct peer *peer, int64_t deadline)
{
    struct mupdate_conn_config config = {
        .port = opt_is_set(OPT_MUPDATE_PORT) ? (unsigned)opt_int(OPT_MUPDATE_PORT) : 0,
        .wake_fd = -1,
        .stop = peer->stop};
    char host[DB_GROUP_NAME_MAX + 1];
    struct buf why = BUF_INIT;
    int r;

    elected_host(peer->env, host);
    if (peer->conn != NULL && strcmp(peer->host, host) != 0)
        peer_close(peer);
    if (host[0] == '\0' || peer->conn != NULL)
        return peer->conn != NULL ? 0 : ERR_UNAVAILABLE;
    config.server = host;
    r = mupdate_conn_open(&config, deadline, &peer->conn, &why);
    if (r < 0)
        LOG(LOG_NOTICE, MUPDATE_GROUP_AWAY, LOG_STR(SERVER, host), LOG_STR(ERROR, buf_cstr(&why)));
    else
        say_member(peer->conn);
    buf_free(&why);
    str_copy(peer->host, sizeof(peer->host), host);
    return r < 0 ? ERR_UNAVAILABLE : 0;
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
