/* Processes that create, rename and delete trees and append to them are killed at any instruction, hundreds of times: each
 * mailbox is in the list once then, with its files and with every message that was acknowledged, or gone as a whole. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cunit/imap/mboxop/fake.h"
#include "cunit/imap/mboxop/node.h"
#include "cunit/imap/store/fixture.h"
#include "cunit/unit.h"
#include "imap/store/mailbox-private.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

enum { MAILBOXES = 4000, ID_SIZE = 40, KILLS = 25, LIFE_US = 40000 };

/* What the child tells before it goes on.  GOING: its mailbox is about to be deleted. */
struct ack {
    enum { ACK_APPEND, ACK_GOING, ACK_GONE } what;
    char id[ID_SIZE];
    uint32_t uid;
};

static const char *const places[] = {"user.fred", "user.fred.a", "user.bob.x", "user.al", "shared.a"};

/* ---- the child ---- */

static void tell(int fd, int what, const char *id, uint32_t uid)
{
    struct ack ack = {.what = what, .uid = uid};

    snprintf(ack.id, sizeof(ack.id), "%s", id);
    BUG_ON(write(fd, &ack, sizeof(ack)) != sizeof(ack));
}

static bool look_up(struct node *n, const char *name, struct pool *pool, struct mboxlist_record *record)
{
    return mboxlist_lookup(n->env.list, name, pool, record) == 0;
}

static void child_append(int fd, struct node *n, const char *name, struct pool *pool)
{
    struct mboxlist_record record;
    struct mailbox *m;
    int64_t uid;

    if (!look_up(n, name, pool, &record))
        return;
    BUG_ON(mailbox_open(n->env.store, record.partition, record.id, &m) != 0);
    uid = fixture_append(m, 1, 1, 0);
    BUG_ON(uid < 0);
    tell(fd, ACK_APPEND, record.id, (uint32_t)uid);
    mailbox_close(&m);
}

static void child_create(int fd, struct node *n, const char *name, struct pool *pool)
{
    const char *below = pool_printf(pool, "%s.k", name);

    if (node_create(n, name) == 0)
        child_append(fd, n, name, pool);
    if (node_create(n, below) == 0)
        child_append(fd, n, below, pool);
}

/* Of an INBOX with what is below it. */
static void child_delete(int fd, struct node *n, const char *name, unsigned flags, struct pool *pool)
{
    struct mboxlist_iter *it = mboxlist_iter_all(n->env.list, name, MBOXLIST_TYPES_ALL);
    const struct mboxlist_record *record;
    const char *ids[16];
    size_t count = 0;

    while (mboxlist_iter_next(it, &record) == 1 && count < ARRAY_SIZE(ids))
        if (strcmp(record->name, name) == 0 ||
            (mboxname_is_inbox(name) && mboxname_is_below(record->name, name)))
            ids[count++] = pool_strdup(pool, record->id);
    mboxlist_iter_free(&it);
    for (size_t i = 0; i < count; i++)
        tell(fd, ACK_GOING, ids[i], 0);
    if (node_run(mboxop_delete(&n->env, name, flags)) == 0)
        for (size_t i = 0; i < count; i++)
            tell(fd, ACK_GONE, ids[i], 0);
}

static void child_run(int fd, unsigned random)
{
    struct node n;
    struct pool *pool = pool_new(0);

    node_open(&n, false);
    for (;;) {
        const char *one = places[(unsigned)rand_r(&random) % ARRAY_SIZE(places)];
        const char *two = places[(unsigned)rand_r(&random) % ARRAY_SIZE(places)];

        switch (rand_r(&random) % 8) {
        case 0:
        case 1:
            child_create(fd, &n, one, pool);
            break;
        case 2:
            child_delete(fd, &n, one, MBOXOP_DELETE_NOW, pool);
            break;
        case 3:
            child_append(fd, &n, pool_printf(pool, "%s.k", one), pool);
            break;
        default:
            (void)node_run(mboxop_rename(&n.env, one, two, NULL, 0));
            break;
        }
        pool_reset(pool);
    }
}

/* ---- the parent ---- */

static struct mailbox_known {
    char id[ID_SIZE];
    uint32_t messages, last_uid;
    bool going, gone;
} * known;
static size_t known_count;

static struct mailbox_known *know(const char *id)
{
    for (size_t i = 0; i < known_count; i++)
        if (strcmp(known[i].id, id) == 0)
            return &known[i];
    BUG_ON(known_count == MAILBOXES);
    memcpy(known[known_count].id, id, ID_SIZE);
    return &known[known_count++];
}

static void learn(const struct ack *ack, struct buf *wrong)
{
    struct mailbox_known *k = know(ack->id);

    switch (ack->what) {
    case ACK_APPEND:
        if (ack->uid <= k->last_uid)
            buf_printf(wrong, "%s: UID %u twice; ", k->id, ack->uid);
        k->messages++;
        k->last_uid = ack->uid;
        break;
    case ACK_GOING:
        k->going = true;
        break;
    case ACK_GONE:
        k->gone = true;
        break;
    }
}

static void check_one(struct node *n, struct mailbox_known *k, struct buf *wrong)
{
    struct pool *pool = pool_new(0);
    struct mboxlist_record record;
    struct mailbox *m;
    int r = mboxlist_lookup_id(n->env.list, k->id, pool, &record);

    if (r == 0 && k->gone)
        buf_printf(wrong, "%s (%s) was deleted; ", k->id, record.name);
    else if (r != 0 && !k->going)
        buf_printf(wrong, "%s is lost; ", k->id);
    else if (r == 0 && mailbox_open(n->env.store, record.partition, k->id, &m) == 0) {
        /* one may have been appended and not told */
        if (mailbox_header(m)->exists < k->messages || mailbox_header(m)->exists > k->messages + 1)
            buf_printf(wrong, "%s (%s) has %u messages, not %u; ", k->id, record.name,
                       mailbox_header(m)->exists, k->messages);
        k->messages = mailbox_header(m)->exists;
        k->last_uid = mailbox_header(m)->last_uid;
        mailbox_close(&m);
    }
    k->gone = r != 0;
    k->going = k->gone;
    pool_free(&pool);
}

static void check(struct buf *wrong)
{
    struct node n;

    node_open(&n, false);
    CU_ASSERT_EQUAL(mboxop_recover(&n.env, NULL), 0);
    node_check(&n, wrong);
    for (size_t i = 0; i < known_count; i++)
        check_one(&n, &known[i], wrong);
    node_close(&n);
}

static void kill_one(unsigned random, struct buf *wrong)
{
    struct pollfd p = {.events = POLLIN};
    struct ack ack;
    int pipes[2];
    pid_t pid;

    BUG_ON(pipe2(pipes, O_CLOEXEC) != 0);
    pid = fork();
    if (pid == 0)
        child_run(pipes[1], random);
    close(pipes[1]);
    p.fd = pipes[0];
    (void)poll(&p, 1, 2000); /* until it works */
    usleep((useconds_t)rand_r(&random) % LIFE_US);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    while (read(pipes[0], &ack, sizeof(ack)) == sizeof(ack))
        learn(&ack, wrong);
    close(pipes[0]);
}

/* MBOXOP_TEST_KILLS: how often. */
static void test_random(void)
{
    const char *more = getenv("MBOXOP_TEST_KILLS");
    int kills = more != NULL ? atoi(more) : KILLS;

    fake_reset();
    node_wipe();
    known = xcalloc(MAILBOXES, sizeof(*known));
    known_count = 0;
    for (int i = 0; i < kills; i++) {
        struct buf wrong = BUF_INIT;

        if (known_count > MAILBOXES / 2) {
            node_wipe();
            known_count = 0;
            memset(known, 0, MAILBOXES * sizeof(*known));
        }
        kill_one((unsigned)i, &wrong);
        check(&wrong);
        if (wrong.len > 0)
            printf("\nkill %d: %s\n", i, buf_cstr(&wrong));
        CU_ASSERT_EQUAL(wrong.len, 0);
        buf_free(&wrong);
    }
    CU_ASSERT(known_count > 2);
    free(known);
}

static const struct unit_case cases[] = {
    {"trees, at random", test_random},
    {NULL, NULL},
};

extern const struct unit_suite random_suite;
const struct unit_suite random_suite = {"killed at random", cases};
