/* slave.c: the slave against a master that is a script at the other end of a socket pair. */
#include "mupdate/slave.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cunit/unit.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/mboxlist/remote.h"

struct play {
    char dir[64];
    struct mboxlist *list;
    struct hub *hub;
    struct slave *slave;
    struct pool *pool;
    atomic_int fd;    /* the master's end; -1: not connected */
    atomic_bool hold; /* let a connection wait */
    atomic_bool refuse;
};

static int connect_play(void *context)
{
    struct play *p = context;
    int fds[2];

    while (p->hold)
        usleep(1000);
    if (p->refuse || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return -1;
    p->fd = fds[1];
    return fds[0];
}

static void begin_config(struct play *p, struct slave_config *config, bool hold)
{
    char *error;

    *p = (struct play){.fd = -1, .hold = hold};
    snprintf(p->dir, sizeof(p->dir), "/tmp/iatlas-slave.XXXXXX");
    CU_ASSERT_FATAL(mkdtemp(p->dir) != NULL);
    CU_ASSERT_EQUAL_FATAL(mboxlist_open(p->dir, &p->list, &error), 0);
    p->hub = hub_new();
    p->pool = pool_new(0);
    config->list = p->list;
    config->hub = p->hub;
    p->slave = slave_new(config);
}

static void begin_as(struct play *p, int64_t answer_ms, bool hold, int64_t retry_most_ms)
{
    struct slave_config config = {.conn = {.server = "play", .connect = connect_play, .context = p},
                                  .retry_most_ms = retry_most_ms,
                                  .own = "own",
                                  .answer_ms = answer_ms};

    begin_config(p, &config, hold);
}

static void begin_with(struct play *p, int64_t answer_ms, bool hold)
{
    begin_as(p, answer_ms, hold, 50);
}

static void begin(struct play *p)
{
    begin_with(p, SLAVE_ANSWER_MS, false);
}

static void finish(struct play *p)
{
    slave_free(&p->slave);
    if (p->fd >= 0)
        close(p->fd);
    mboxlist_close(&p->list);
    hub_free(&p->hub);
    pool_free(&p->pool);
    file_remove_tree(p->dir);
}

/* Waits until what the slave says ends with `text`. */
static void hear(struct play *p, const char *text)
{
    char heard[256];
    size_t len = 0;
    int64_t deadline = clock_deadline(30000);

    while (p->fd < 0 && clock_left(deadline) > 0)
        usleep(1000);
    while (len < strlen(text) && clock_left(deadline) > 0) {
        ssize_t n = recv(p->fd, heard + len, sizeof(heard) - 1 - len, MSG_DONTWAIT);

        if (n > 0)
            len += (size_t)n;
        else
            usleep(1000);
    }
    heard[len] = '\0';
    CU_ASSERT_STRING_EQUAL(heard, text);
}

static void say(struct play *p, const char *text)
{
    CU_ASSERT_EQUAL(send(p->fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static int type_of(struct play *p, const char *name)
{
    struct mboxlist_record record;

    return mboxlist_lookup(p->list, name, p->pool, &record) == 0 ? (int)record.type : 0;
}

static void wait_type(struct play *p, const char *name, int type)
{
    int64_t deadline = clock_deadline(30000);

    while (type_of(p, name) != type && clock_left(deadline) > 0)
        usleep(1000);
    CU_ASSERT_EQUAL(type_of(p, name), type);
}

static void wait_position(struct play *p, uint64_t epoch, uint64_t sequence)
{
    int64_t deadline = clock_deadline(30000);
    uint64_t e = 0, s = 0;

    while (mboxlist_remote_position(p->list, &e, &s) == 0 && (e != epoch || s != sequence) &&
           clock_left(deadline) > 0)
        usleep(1000);
    CU_ASSERT(e == epoch && s == sequence);
}

/* Waits until the slave has given the connection up. */
static void hear_again(struct play *p, int fd)
{
    int64_t deadline = clock_deadline(30000);
    char byte;

    while (p->fd < 0 && clock_left(deadline) > 0)
        usleep(1000);
    CU_ASSERT_EQUAL(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
    close(fd);
}

static void test_follow(void)
{
    struct play p;

    begin(&p);
    hear(&p, "U01 UPDATE\r\n");
    CU_ASSERT_FALSE(slave_is_synced(p.slave));
    say(&p,
        "U01 MAILBOX {6+}\r\nuser.a {6+}\r\nbe1!p1 \"a\tlrs\t\"\r\nU01 RESERVE \"user.b\" \"be1!p1\"\r\n");
    say(&p, "U01 OK \"streaming starts\"\r\n");
    wait_type(&p, "user.a", MBOXLIST_REMOTE);
    wait_type(&p, "user.b", MBOXLIST_RESERVED);
    say(&p,
        "U01 MAILBOX \"user.b\" \"be1!p1\" \"\"\r\nU01 DELETE \"user.a\"\r\nU01 DELETE \"user.never\"\r\n");
    wait_type(&p, "user.a", 0);
    wait_type(&p, "user.b", MBOXLIST_REMOTE);
    finish(&p);
}

/* The connection breaks in the middle of the list: nothing is lost; the next list takes away what is gone. */
static void test_broken_list(void)
{
    struct play p;

    begin(&p);
    hear(&p, "U01 UPDATE\r\n");
    say(&p, "U01 MAILBOX \"a\" \"be1!p\" \"\"\r\nU01 MAILBOX \"b\" \"be1!p\" \"\"\r\nU01 OK \"\"\r\n");
    wait_type(&p, "b", MBOXLIST_REMOTE);
    for (unsigned i = 0; i < 2; i++) {
        int fd = p.fd;

        p.fd = -1;
        close(fd);
        hear(&p, "U01 UPDATE\r\n");
        say(&p, "U01 MAILBOX \"b\" \"be1!p\" \"\"\r\n");
        usleep(20000);
        CU_ASSERT_EQUAL(type_of(&p, "a"), MBOXLIST_REMOTE);
    }
    say(&p, "U01 OK \"\"\r\n");
    wait_type(&p, "a", 0);
    CU_ASSERT_EQUAL(type_of(&p, "b"), MBOXLIST_REMOTE);
    finish(&p);
}

static void begin_resuming(struct play *p)
{
    struct slave_config config = {
        .conn = {.server = "play", .connect = connect_play, .context = p, .announced = "X-RESUME"},
        .retry_most_ms = 50,
        .own = "own",
        .answer_ms = SLAVE_ANSWER_MS};

    begin_config(p, &config, false);
}

static void reconnect(struct play *p)
{
    int fd = p->fd;

    p->fd = -1;
    close(fd);
}

/* From a list to changes, over connections that break at every place. */
static void test_resume(void)
{
    struct play p;

    begin_resuming(&p);
    hear(&p, "U01 XUPDATE \"0\" \"0\"\r\n");
    say(&p, "U01 XLIST \"5\" \"70\"\r\nU01 MAILBOX \"a\" \"be1!p\" \"\"\r\n");
    reconnect(&p); /* in the list: at no position */
    hear(&p, "U01 XUPDATE \"0\" \"0\"\r\n");
    say(&p, "U01 XLIST \"5\" \"72\"\r\nU01 MAILBOX \"b\" \"be1!p\" \"\"\r\nU01 OK \"\"\r\n");
    wait_type(&p, "b", MBOXLIST_REMOTE);
    wait_position(&p, 5, 72);
    CU_ASSERT_EQUAL(type_of(&p, "a"), 0);
    reconnect(&p);
    hear(&p, "U01 XUPDATE \"5\" \"72\"\r\n");
    say(&p, "U01 XCHANGES \"5\" \"72\"\r\nU01 OK \"\"\r\nU01 MAILBOX \"c\" \"be1!p\" \"\"\r\n");
    wait_type(&p, "c", MBOXLIST_REMOTE);
    CU_ASSERT_EQUAL(type_of(&p, "b"), MBOXLIST_REMOTE);
    reconnect(&p); /* before the position of c: it is told again */
    hear(&p, "U01 XUPDATE \"5\" \"72\"\r\n");
    say(&p, "U01 XCHANGES \"5\" \"72\"\r\nU01 OK \"\"\r\nU01 MAILBOX \"c\" \"be1!p\" \"\"\r\n"
            "U01 DELETE \"b\"\r\nU01 XPOSITION \"5\" \"75\"\r\n");
    wait_type(&p, "b", 0);
    wait_position(&p, 5, 75);
    reconnect(&p);
    hear(&p, "U01 XUPDATE \"5\" \"75\"\r\n");
    say(&p, "U01 XLIST \"6\" \"1\"\r\n"); /* another master: all anew, the old list serves */
    wait_position(&p, 0, 0);
    CU_ASSERT_EQUAL(type_of(&p, "c"), MBOXLIST_REMOTE);
    say(&p, "U01 OK \"\"\r\n");
    wait_type(&p, "c", 0);
    wait_position(&p, 6, 1);
    finish(&p);
}

static void wait_id(struct play *p, const char *name, const char *id)
{
    int64_t deadline = clock_deadline(30000);
    struct mboxlist_record record = {.id = ""};

    while ((mboxlist_lookup(p->list, name, p->pool, &record) != 0 || strcmp(record.id, id) != 0) &&
           clock_left(deadline) > 0)
        usleep(1000);
    CU_ASSERT_STRING_EQUAL(record.id, id);
}

/* Unique ids, and mailboxes that are none of mail's. */
static void test_details(void)
{
    struct play p;

    begin_resuming(&p);
    hear(&p, "U01 XUPDATE \"0\" \"0\"\r\n");
    say(&p, "U01 XLIST \"5\" \"70\"\r\nU01 MAILBOX \"a\" \"be1!p\" \"\" \"id-a\" \"e\" \"\"\r\n"
            "U01 MAILBOX \"b\" \"be1!p\" \"\" \"id-b\" \"c\" \"\"\r\nU01 OK \"\"\r\n");
    wait_id(&p, "a", "id-a");
    wait_position(&p, 5, 70);
    CU_ASSERT_EQUAL(type_of(&p, "b"), 0);
    say(&p, "U01 MAILBOX \"c\" \"be1!p\" \"\" \"id-a\" \"\" \"\"\r\nU01 DELETE \"a\"\r\n");
    wait_type(&p, "a", 0);
    wait_id(&p, "c", "id-a");
    say(&p, "U01 MAILBOX \"c\" \"be1!p\" \"\" \"id-a\" \"c\" \"\"\r\n");
    wait_type(&p, "c", 0);
    finish(&p);
}

/* A master without positions (Cyrus's): what was known of ours before is forgotten. */
static void test_foreign_master(void)
{
    struct mboxlist_remote *remote;
    struct play p;

    begin_with(&p, SLAVE_ANSWER_MS, true);
    remote = mboxlist_remote_new(p.list, "own");
    mboxlist_remote_set_position(remote, 5, 7);
    CU_ASSERT_EQUAL(mboxlist_remote_flush(remote), 0);
    mboxlist_remote_free(&remote);
    p.hold = false;
    hear(&p, "U01 UPDATE\r\n");
    wait_position(&p, 0, 0);
    finish(&p);
}

/* Numbers that are none, and names out of the list's order: the connection is given up. */
static void test_bad_positions(void)
{
    static const char *const said[] = {
        "U01 XLIST \"x\" \"1\"\r\n",
        "U01 XLIST \"1\"\r\n",
        "U01 XLIST \"1\" \"1\"\r\nU01 MAILBOX \"b\" \"be1!p\" \"\"\r\nU01 MAILBOX \"a\" \"be1!p\" \"\"\r\n",
    };
    struct play p;

    begin_resuming(&p);
    for (size_t i = 0; i < ARRAY_SIZE(said); i++) {
        int fd;

        hear(&p, "U01 XUPDATE \"0\" \"0\"\r\n");
        say(&p, said[i]);
        fd = p.fd;
        p.fd = -1;
        hear_again(&p, fd);
    }
    finish(&p);
}

/* A master that falls silent in the middle of the list is left, not waited for. */
static void test_silent(void)
{
    struct play p;
    int fd;

    begin_with(&p, 200, false);
    hear(&p, "U01 UPDATE\r\n");
    say(&p, "U01 MAILBOX \"a\" \"be1!p\" \"\"\r\n");
    slave_barrier_ask(p.slave);
    hear(&p, "N1 NOOP\r\n");
    fd = p.fd;
    p.fd = -1; /* silent, not closed */
    hear(&p, "U01 UPDATE\r\nN2 NOOP\r\n");
    close(fd);
    finish(&p);
}

/* What becomes of it; 0: nothing, in 30 s. */
static int await_barrier(struct play *p, uint64_t ticket)
{
    int64_t deadline = clock_deadline(30000);
    int r;

    while ((r = slave_barrier_done(p->slave, ticket)) == 0 && clock_left(deadline) > 0)
        usleep(1000);
    return r;
}

static void test_barrier(void)
{
    int64_t deadline = clock_deadline(30000);
    uint64_t first, second;
    struct play p;

    begin(&p);
    hear(&p, "U01 UPDATE\r\n");
    say(&p, "U01 OK \"\"\r\n");
    while (!slave_is_synced(p.slave) && clock_left(deadline) > 0)
        usleep(1000);
    first = slave_barrier_ask(p.slave);
    hear(&p, "N1 NOOP\r\n");
    second = slave_barrier_ask(p.slave); /* too late for that one */
    CU_ASSERT_EQUAL(slave_barrier_done(p.slave, first), 0);
    say(&p, "U01 MAILBOX \"a\" \"be1!p\" \"\"\r\nN1 OK \"\"\r\n");
    hear(&p, "N2 NOOP\r\n");
    CU_ASSERT_EQUAL(slave_barrier_done(p.slave, first), 1);
    CU_ASSERT_EQUAL(slave_barrier_done(p.slave, second), 0);
    CU_ASSERT_EQUAL(type_of(&p, "a"), MBOXLIST_REMOTE);
    p.refuse = true;
    shutdown(p.fd, SHUT_RDWR); /* the master goes: the next attempt shows it */
    CU_ASSERT_EQUAL(await_barrier(&p, second), ERR_UNAVAILABLE);
    finish(&p);
}

/* A lost connection is made again for who waits, long before the delay is over. */
static void test_barrier_reconnects(void)
{
    int64_t began = clock_ms();
    struct play p;
    uint64_t ticket;

    begin_as(&p, SLAVE_ANSWER_MS, true, 600 * 1000);
    p.refuse = true;
    p.hold = false;
    for (unsigned i = 0; i < 8; i++) /* the delay has doubled to a minute */
        CU_ASSERT_EQUAL(await_barrier(&p, slave_barrier_ask(p.slave)), ERR_UNAVAILABLE);
    p.refuse = false;
    ticket = slave_barrier_ask(p.slave);
    hear(&p, "U01 UPDATE\r\nN1 NOOP\r\n");
    say(&p, "U01 OK \"\"\r\nN1 OK \"\"\r\n");
    CU_ASSERT_EQUAL(await_barrier(&p, ticket), 1);
    CU_ASSERT(clock_ms() - began < 30 * 1000);
    finish(&p);
}

/* At its start it waits for the master to answer, as long as it may be there. */
static void test_first_barrier(void)
{
    struct play p;
    uint64_t ticket;

    begin_with(&p, SLAVE_ANSWER_MS, true);
    ticket = slave_barrier_ask(p.slave);
    usleep(20000);
    CU_ASSERT_EQUAL(slave_barrier_done(p.slave, ticket), 0);
    p.refuse = true;
    p.hold = false;
    CU_ASSERT_EQUAL(await_barrier(&p, ticket), ERR_UNAVAILABLE);
    finish(&p);
}

static void collect(const struct entry *entry, void *context)
{
    buf_printf(context, "%d:%s:%s ", entry->state, entry->name, entry->location);
}

static void test_source(void)
{
    struct buf text = BUF_INIT;
    struct source *source;
    struct cursor *cursor;
    uint64_t after = 0;
    struct play p;

    begin(&p);
    source = slave_source(p.slave);
    hear(&p, "U01 UPDATE\r\n");
    say(&p, "U01 MAILBOX \"a\" \"be1!p\" \"\"\r\nU01 RESERVE \"b\" \"be1\"\r\nU01 OK \"\"\r\n");
    wait_type(&p, "b", MBOXLIST_RESERVED);
    say(&p, "U01 DELETE \"a\"\r\n");
    wait_type(&p, "a", 0);
    usleep(1000);
    cursor = source->ops->list_begin(source);
    CU_ASSERT_EQUAL(source->ops->list_next(cursor, 10, collect, &text), 0);
    source->ops->list_end(&cursor);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&text), "1:b:be1! ");
    buf_reset(&text);
    CU_ASSERT_EQUAL(source->ops->sequence(source), 3);
    CU_ASSERT_EQUAL(source->ops->changes(source, &after, 2, collect, &text), 0);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&text), "0:a: 1:b:be1! ");
    CU_ASSERT_EQUAL(source->ops->changes(source, &after, 2, collect, &text), 0);
    CU_ASSERT_EQUAL(after, 3);
    buf_free(&text);
    finish(&p);
}

/* Nonsense from the master: the connection is given up, the list stays. */
static void test_nonsense(void)
{
    static const char *const lines[] = {"U01 FROB \"x\"\r\n", "U01 MAILBOX \"x\"\r\n", "U01 {\r\n",
                                        "U01 NO \"\"\r\n", "* BYE \"\"\r\n"};
    struct play p;

    begin(&p);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        int fd;

        hear(&p, "U01 UPDATE\r\n");
        fd = p.fd;
        p.fd = -1;
        CU_ASSERT(send(fd, lines[i], strlen(lines[i]), MSG_NOSIGNAL) > 0);
        for (int64_t deadline = clock_deadline(30000); p.fd < 0 && clock_left(deadline) > 0;)
            usleep(1000);
        close(fd);
    }
    hear(&p, "U01 UPDATE\r\n");
    finish(&p);
}

static const struct unit_case cases[] = {
    {"following", test_follow},
    {"a broken list", test_broken_list},
    {"barrier", test_barrier},
    {"a barrier reconnects", test_barrier_reconnects},
    {"silent", test_silent},
    {"the first barrier", test_first_barrier},
    {"as a source", test_source},
    {"nonsense", test_nonsense},
    {"resuming", test_resume},
    {"details", test_details},
    {"a foreign master", test_foreign_master},
    {"bad positions", test_bad_positions},
    {NULL, NULL},
};

extern const struct unit_suite slave_suite;
const struct unit_suite slave_suite = {"slave", cases};
