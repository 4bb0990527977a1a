/* link.c: the link against a scripted server at the other end of a socket pair. */
#include "lib/mupdate/link.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cunit/unit.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mupdate/link-private.h"

struct script {
    pthread_mutex_t mutex;
    struct buf heard; /* what the server was told, a word and the first argument each */
    atomic_uint connections, noops;
    atomic_bool refuse, hold; /* no connection; no answer to NOOP */
    pthread_t threads[16];
    int fds[16];
};

static void answer(struct buf *out, const struct mupdate_line *line)
{
    const char *name = line->count > 0 ? line->args[0] : "", *tag = line->tag;

    if (str_ieq(line->word, "FIND") && strcmp(name, "user.active") == 0)
        mupdate_put_line(out, tag, "MAILBOX", name, "be1!p", "fred\tlrs\t", NULL);
    if (str_ieq(line->word, "FIND") && strcmp(name, "user.reserved") == 0)
        mupdate_put_line(out, tag, "RESERVE", name, "be2!p", NULL);
    if (strcmp(name, "user.slow") == 0)
        usleep(250000); /* of the 300 ms that an answer may take */
    if (str_ieq(line->word, "DETAILS"))
        mupdate_put_line(out, tag, "MAILBOX", "a", "be1!p", "x\tl\t", "id", "e", "u", NULL);
    if (str_ieq(line->word, "LIST")) {
        mupdate_put_line(out, tag, "MAILBOX", "a", "be1!p", "x\tl\t", NULL);
        mupdate_put_line(out, tag, "RESERVE", "b", "be1!p", NULL);
        mupdate_put_line(out, tag, "MAILBOX", "c", "be1!p", "", NULL);
    }
    if (strcmp(name, "user.taken") == 0)
        mupdate_put_line(out, tag, "NO", "mailbox already exists", NULL);
    else if (strcmp(name, "user.bad") == 0)
        mupdate_put_line(out, tag, "BAD", "read-only session", NULL);
    else if (strcmp(name, "user.mute") != 0)
        mupdate_put_line(out, tag, "OK", "done", NULL);
}

struct server {
    struct script *script;
    int fd;
};

/* False: the server closes. */
static bool serve_line(struct server *server, const struct mupdate_line *line)
{
    struct buf out = BUF_INIT;
    bool go_on = line->count == 0 || strcmp(line->args[0], "user.die") != 0;

    pthread_mutex_lock(&server->script->mutex);
    buf_printf(&server->script->heard, "%s %s", line->word, line->count > 0 ? line->args[0] : "");
    for (size_t i = 3; i < line->count; i++) /* details */
        buf_printf(&server->script->heard, " %s", line->args[i]);
    buf_puts(&server->script->heard, ";");
    pthread_mutex_unlock(&server->script->mutex);
    if (str_ieq(line->word, "NOOP")) {
        atomic_fetch_add(&server->script->noops, 1);
        while (server->script->hold)
            usleep(500);
    }
    answer(&out, line);
    if (go_on && out.len > 0 && write(server->fd, out.data, out.len) < 0)
        go_on = false;
    buf_free(&out);
    return go_on;
}

static void *serve(void *context)
{
    struct server *server = context;
    struct mupdate_parser *parser = mupdate_parser_new();
    const struct mupdate_line *line;
    char data[4096];
    bool go_on = true;
    ssize_t n;

    while (go_on && (n = read(server->fd, data, sizeof(data))) > 0) {
        size_t at = 0, used;

        while (go_on && at < (size_t)n) {
            int r = mupdate_parser_feed(parser, data + at, (size_t)n - at, &used, &line);

            at += used;
            go_on = r >= 0 && (r == 0 || serve_line(server, line));
        }
    }
    mupdate_parser_free(&parser);
    shutdown(server->fd, SHUT_RDWR);
    close(server->fd);
    free(server);
    return NULL;
}

static int connect_script(void *context)
{
    struct script *script = context;
    struct server *server;
    int fds[2];

    if (script->refuse || script->connections == ARRAY_SIZE(script->threads))
        return -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return -1;
    server = xmalloc(sizeof(*server));
    *server = (struct server){script, fds[1]};
    pthread_create(&script->threads[script->connections++], NULL, serve, server);
    return fds[0];
}

static struct mupdate_link *start_patient(struct script *script, int64_t answer_ms, int64_t idle_ms)
{
    const struct mupdate_link_config config = {
        .conn = {.server = "script", .connect = connect_script, .context = script},
        .retry_most_ms = 200,
        .answer_ms = answer_ms,
        .idle_ms = idle_ms};

    *script = (struct script){.mutex = PTHREAD_MUTEX_INITIALIZER};
    return mupdate_link_new(&config);
}

static struct mupdate_link *start_announcing(struct script *script, const char *announced)
{
    const struct mupdate_link_config config = {
        .conn = {.server = "script", .connect = connect_script, .context = script, .announced = announced},
        .retry_most_ms = 200,
        .answer_ms = 30000,
        .idle_ms = 60000};

    *script = (struct script){.mutex = PTHREAD_MUTEX_INITIALIZER};
    return mupdate_link_new(&config);
}

static struct mupdate_link *start(struct script *script)
{
    return start_patient(script, 30000, 60000);
}

static void end(struct mupdate_link **link, struct script *script)
{
    mupdate_link_free(link);
    for (unsigned i = 0; i < script->connections; i++)
        pthread_join(script->threads[i], NULL);
    buf_free(&script->heard);
}

static int64_t soon(void)
{
    return clock_deadline(30000);
}

static void test_verbs(void)
{
    static const struct {
        enum mupdate_verb verb;
        const char *name;
        int result;
        const char *heard;
    } rows[] = {
        {MUPDATE_RESERVE, "user.x", 0, "RESERVE user.x;"},
        {MUPDATE_RESERVE, "user.taken", ERR_CONFLICT, "RESERVE user.taken;"},
        {MUPDATE_ACTIVATE, "user.x", 0, "ACTIVATE user.x;"},
        {MUPDATE_ACTIVATE, "user.bad", ERR_PROTOCOL, "ACTIVATE user.bad;"},
        {MUPDATE_FIND, "user.x", 0, "FIND user.x;"},
        {MUPDATE_DELETE, "user.active", 0, "FIND user.active;DELETE user.active;"},
        {MUPDATE_DELETE, "user.gone", 0, "FIND user.gone;"}, /* never sent: it kills a Cyrus master */
        {MUPDATE_DEACTIVATE, "user.active", 0, "FIND user.active;DEACTIVATE user.active;"},
        {MUPDATE_DEACTIVATE, "user.gone", ERR_NOTFOUND, "FIND user.gone;"},
        {MUPDATE_DELETE, "user.taken", ERR_CONFLICT, "FIND user.taken;"},
    };
    struct script script;
    struct mupdate_link *link = start(&script);

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        buf_reset(&script.heard);
        CU_ASSERT_EQUAL(mupdate_call(link, rows[i].verb, rows[i].name, "be1!p", "x\tl\t", soon(), NULL),
                        rows[i].result);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&script.heard), rows[i].heard);
    }
    CU_ASSERT_TRUE(mupdate_link_is_up(link));
    CU_ASSERT_EQUAL(script.connections, 1);
    CU_ASSERT_EQUAL(mupdate_link_connections(link), 1);
    end(&link, &script);
}

static void test_find(void)
{
    static const struct {
        const char *name;
        enum mupdate_state state;
        const char *location, *acl;
    } rows[] = {{"user.active", MUPDATE_ACTIVE, "be1!p", "fred\tlrs\t"},
                {"user.reserved", MUPDATE_IS_RESERVED, "be2!p", ""},
                {"user.x", MUPDATE_ABSENT, "", ""}};
    struct script script;
    struct mupdate_link *link = start(&script);

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct mupdate_request *r = mupdate_send(link, MUPDATE_FIND, rows[i].name, NULL, NULL, NULL, NULL);

        CU_ASSERT(mupdate_request_wait(r, soon()) && mupdate_request_result(r) == 0);
        CU_ASSERT_EQUAL(mupdate_request_state(r), rows[i].state);
        CU_ASSERT_STRING_EQUAL(mupdate_request_location(r), rows[i].location);
        CU_ASSERT_STRING_EQUAL(mupdate_request_acl(r), rows[i].acl);
        CU_ASSERT_STRING_EQUAL(mupdate_request_text(r), "done");
        mupdate_request_free(&r);
        CU_ASSERT_PTR_NULL(r);
    }
    end(&link, &script);
}

static int collect(const struct mupdate_entry *entry, void *context)
{
    buf_printf(context, "%d:%s:%s:%s ", entry->state, entry->name, entry->location, entry->acl);
    if (entry->details != NULL)
        buf_printf(context, "(%s %s %s) ", entry->details->id, entry->details->type,
                   entry->details->special_use);
    return 0;
}

static void test_list(void)
{
    struct buf entries = BUF_INIT;
    struct script script;
    struct mupdate_link *link = start(&script);

    CU_ASSERT_EQUAL(mupdate_list(link, "be1!", collect, &entries, soon()), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&entries), "2:a:be1!p:x\tl\t 1:b:be1!p: 2:c:be1!p: ");
    CU_ASSERT_STRING_EQUAL(buf_cstr(&script.heard), "LIST be1!;");
    buf_free(&entries);
    end(&link, &script);
}

/* Details go to who announces that he takes them. */
static void test_details(void)
{
    const struct mupdate_details details = {"id", MUPDATE_TYPE_MAIL, NULL};

    for (unsigned takes = 0; takes < 2; takes++) {
        struct buf entries = BUF_INIT;
        struct mupdate_request *r;
        struct script script;
        struct mupdate_link *link = start_announcing(&script, takes ? "X-DETAILS" : NULL);

        r = mupdate_activate(link, "user.a", "be1!p", "x\tl\t", &details, NULL, NULL);
        CU_ASSERT(mupdate_request_wait(r, soon()));
        CU_ASSERT_EQUAL(mupdate_request_result(r), 0);
        mupdate_request_free(&r);
        CU_ASSERT_EQUAL(mupdate_list(link, "be1!", collect, &entries, soon()), 0);
        CU_ASSERT_STRING_EQUAL(buf_cstr(&script.heard),
                               takes ? "ACTIVATE user.a id e ;DETAILS be1!;" : "ACTIVATE user.a;LIST be1!;");
        CU_ASSERT_EQUAL(strcmp(buf_cstr(&entries), "2:a:be1!p:x\tl\t (id e u) ") == 0, takes == 1);
        buf_free(&entries);
        end(&link, &script);
    }
}

static void count_wake(void *context)
{
    atomic_fetch_add((atomic_uint *)context, 1);
}

/* Pipelined, in order; those behind a DELETE wait for its FIND. */
static void test_order(void)
{
    struct mupdate_request *r[4];
    atomic_uint woken = 0;
    struct script script;
    struct mupdate_link *link = start(&script);

    r[0] = mupdate_send(link, MUPDATE_RESERVE, "a", "l", NULL, count_wake, &woken);
    r[1] = mupdate_send(link, MUPDATE_DELETE, "user.active", NULL, NULL, count_wake, &woken);
    r[2] = mupdate_send(link, MUPDATE_RESERVE, "user.active", "l", NULL, count_wake, &woken);
    r[3] = mupdate_send(link, MUPDATE_ACTIVATE, "b", "l", NULL, count_wake, &woken);
    CU_ASSERT(mupdate_request_wait(r[3], soon()));
    CU_ASSERT_STRING_EQUAL(buf_cstr(&script.heard),
                           "RESERVE a;FIND user.active;DELETE user.active;RESERVE user.active;ACTIVATE b;");
    for (size_t i = 0; i < ARRAY_SIZE(r); i++) {
        CU_ASSERT_TRUE(mupdate_request_done(r[i]));
        mupdate_request_free(&r[i]);
    }
    CU_ASSERT_EQUAL(woken, 4);
    end(&link, &script);
}

static void test_barrier(void)
{
    struct mupdate_request *r[20];
    atomic_uint woken = 0;
    struct script script;
    struct mupdate_link *link = start(&script);

    script.hold = true;
    for (size_t i = 0; i < ARRAY_SIZE(r); i++)
        r[i] = mupdate_barrier(link, count_wake, &woken);
    script.hold = false;
    for (size_t i = 0; i < ARRAY_SIZE(r); i++) {
        CU_ASSERT(mupdate_request_wait(r[i], soon()) && mupdate_request_result(r[i]) == 0);
        mupdate_request_free(&r[i]);
    }
    CU_ASSERT_EQUAL(woken, 20);
    CU_ASSERT(script.noops >= 1 && script.noops <= 2);
    end(&link, &script);
}

/* One that is asked for while another is under way is sent when that is answered. */
static void test_second_barrier(void)
{
    struct mupdate_request *r[2];
    struct script script;
    struct mupdate_link *link = start(&script);

    script.hold = true;
    r[0] = mupdate_barrier(link, NULL, NULL);
    while (script.noops == 0)
        usleep(500);
    r[1] = mupdate_barrier(link, NULL, NULL);
    script.hold = false;
    CU_ASSERT_TRUE(mupdate_request_wait(r[1], soon()));
    CU_ASSERT_TRUE(mupdate_request_done(r[0]));
    CU_ASSERT_EQUAL(mupdate_request_result(r[1]), 0);
    CU_ASSERT_EQUAL(script.noops, 2);
    mupdate_request_free(&r[0]);
    mupdate_request_free(&r[1]);
    end(&link, &script);
}

/* The server closes under a request; the link comes back by itself. */
static void test_lost(void)
{
    struct script script;
    struct mupdate_link *link = start(&script);
    struct buf why = BUF_INIT;
    int r = ERR_UNAVAILABLE;

    CU_ASSERT_EQUAL(mupdate_call(link, MUPDATE_RESERVE, "user.die", "l", NULL, soon(), NULL),
                    ERR_UNAVAILABLE);
    for (int64_t until = soon(); r != 0 && clock_left(until) != 0; usleep(10000))
        r = mupdate_call(link, MUPDATE_RESERVE, "a", "l", NULL, soon(), NULL);
    CU_ASSERT_EQUAL(r, 0);
    CU_ASSERT_EQUAL(mupdate_link_wait_up(link, soon(), &why), 0);
    CU_ASSERT_EQUAL(script.connections, 2);
    buf_free(&why);
    end(&link, &script);
}

/* No answer: the connection is given up, and everything that waits ends. */
static void test_mute(void)
{
    struct mupdate_request *r[2];
    struct script script;
    struct mupdate_link *link = start_patient(&script, 300, 60000);

    r[0] = mupdate_send(link, MUPDATE_RESERVE, "user.mute", "l", NULL, NULL, NULL);
    r[1] = mupdate_send(link, MUPDATE_RESERVE, "user.mute", "l", NULL, NULL, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(r); i++) {
        CU_ASSERT(mupdate_request_wait(r[i], soon()));
        CU_ASSERT_EQUAL(mupdate_request_result(r[i]), ERR_UNAVAILABLE);
        mupdate_request_free(&r[i]);
    }
    end(&link, &script);
}

/* Each answer may take its time, however long those before it took. */
static void test_slow(void)
{
    struct mupdate_request *r[3];
    struct script script;
    struct mupdate_link *link = start(&script);

    for (size_t i = 0; i < ARRAY_SIZE(r); i++)
        r[i] = mupdate_send(link, MUPDATE_RESERVE, "user.slow", "l", NULL, NULL, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(r); i++) {
        CU_ASSERT(mupdate_request_wait(r[i], soon()));
        CU_ASSERT_EQUAL(mupdate_request_result(r[i]), 0);
        mupdate_request_free(&r[i]);
    }
    end(&link, &script);
}

/* A silent line is tried with a NOOP of the link's own. */
static void test_idle(void)
{
    int64_t deadline = soon();
    struct script script;
    struct mupdate_link *link = start_patient(&script, 30000, 50);

    while (script.noops < 2 && clock_left(deadline) > 0)
        usleep(5000);
    CU_ASSERT(script.noops >= 2);
    CU_ASSERT_TRUE(mupdate_link_is_up(link));
    CU_ASSERT_EQUAL(script.connections, 1);
    end(&link, &script);
}

static void test_away(void)
{
    struct script script;
    struct mupdate_link *link = start(&script);
    struct buf why = BUF_INIT;
    int64_t began;
    int r = ERR_UNAVAILABLE;

    script.refuse = true;
    mupdate_call(link, MUPDATE_RESERVE, "user.die", "l", NULL, soon(), NULL);
    began = clock_ms();
    for (unsigned i = 0; i < 5; i++) /* each at the next attempt */
        CU_ASSERT_EQUAL(mupdate_call(link, MUPDATE_RESERVE, "a", "l", NULL, soon(), NULL), ERR_UNAVAILABLE);
    CU_ASSERT(clock_ms() - began < 30000);
    CU_ASSERT_EQUAL(mupdate_link_wait_up(link, clock_deadline(50), &why), ERR_UNAVAILABLE);
    CU_ASSERT_STRING_NOT_EQUAL(buf_cstr(&why), "");
    script.refuse = false;
    for (int64_t until = soon(); r != 0 && clock_left(until) != 0; usleep(10000))
        r = mupdate_call(link, MUPDATE_RESERVE, "a", "l", NULL, soon(), NULL);
    CU_ASSERT_EQUAL(r, 0);
    buf_free(&why);
    end(&link, &script);
}

/* Requests that nobody waits for any more, at every moment. */
static void test_forgotten(void)
{
    atomic_uint woken = 0;
    struct script script;
    struct mupdate_link *link = start(&script);

    for (unsigned i = 0; i < 200; i++) {
        struct mupdate_request *r = mupdate_send(link, i % 3 ? MUPDATE_FIND : MUPDATE_DELETE, "user.active",
                                                 NULL, NULL, count_wake, &woken);
        unsigned before;

        if (i % 2)
            usleep(i);
        mupdate_request_free(&r);
        before = woken;
        usleep(20);
        CU_ASSERT_EQUAL(woken, before); /* never after it was freed */
    }
    CU_ASSERT_EQUAL(mupdate_call(link, MUPDATE_RESERVE, "a", "l", NULL, soon(), NULL), 0);
    end(&link, &script);
}

static void test_backoff(void)
{
    struct mupdate_backoff backoff = {.most_ms = 3000};
    int64_t want = 500;

    for (unsigned i = 0; i < 6; i++) {
        int64_t delay = mupdate_backoff_next(&backoff);

        CU_ASSERT(delay >= want * 3 / 4 && delay <= want * 5 / 4);
        want = want * 2 > 3000 ? 3000 : want * 2;
    }
}

/* One after the other; a round is over when all have failed since the last that was good. */
static void test_servers(void)
{
    struct mupdate_servers servers;

    mupdate_servers_init(&servers, " a\tb:1  c ");
    CU_ASSERT(servers.several);
    CU_ASSERT_STRING_EQUAL(mupdate_servers_now(&servers), "a");
    CU_ASSERT(!mupdate_servers_next(&servers));
    CU_ASSERT_STRING_EQUAL(mupdate_servers_now(&servers), "b:1");
    mupdate_servers_good(&servers);
    CU_ASSERT(!mupdate_servers_next(&servers));
    CU_ASSERT_STRING_EQUAL(mupdate_servers_now(&servers), "c");
    CU_ASSERT(!mupdate_servers_next(&servers));
    CU_ASSERT(mupdate_servers_next(&servers));
    CU_ASSERT_STRING_EQUAL(mupdate_servers_now(&servers), "b:1");
    mupdate_servers_free(&servers);
    mupdate_servers_init(&servers, "/path");
    CU_ASSERT(!servers.several);
    CU_ASSERT(mupdate_servers_next(&servers));
    CU_ASSERT_STRING_EQUAL(mupdate_servers_now(&servers), "/path");
    mupdate_servers_free(&servers);
}

static const struct unit_case cases[] = {
    {"verbs", test_verbs},
    {"FIND", test_find},
    {"LIST", test_list},
    {"details", test_details},
    {"order", test_order},
    {"barrier", test_barrier},
    {"a second barrier", test_second_barrier},
    {"lost", test_lost},
    {"mute", test_mute},
    {"slow", test_slow},
    {"idle", test_idle},
    {"away", test_away},
    {"forgotten", test_forgotten},
    {"back-off", test_backoff},
    {"servers", test_servers},
    {NULL, NULL},
};

extern const struct unit_suite link_suite;
const struct unit_suite link_suite = {"link", cases};
