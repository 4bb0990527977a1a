/* The power goes at every sync of operations on names: each mailbox is under exactly its old or its new name then, with its
 * messages, opens, gives no UID twice, and no number goes back; what was acknowledged holds (disk.h: what disks lose). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cunit/imap/mboxop/fake.h"
#include "cunit/imap/mboxop/node.h"
#include "cunit/imap/store/fixture.h"
#include "cunit/imap/store/power/disk.h"
#include "cunit/imap/store/power/trace.h"
#include "cunit/unit.h"
#include "imap/store/mailbox-private.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mboxlist/quota.h"

enum { NUMBERS = 40 /* messages that there are */ };

/* ---- what there is ---- */

/* "name id uidvalidity: uid=number ...", a line a mailbox; and "id modseq last-uid" of each. */
struct picture {
    struct buf names, numbers;
};

static void picture_free(struct picture *p)
{
    buf_free(&p->names);
    buf_free(&p->numbers);
}

static unsigned number_of(struct mailbox *m, uint32_t place, const struct mailbox_record *record)
{
    unsigned n = 1;

    while (n < NUMBERS && !fixture_has_text(m, place, record, n))
        n++;
    return n;
}

static void add_messages(struct mailbox *m, struct buf *to)
{
    struct mailbox_record r;

    for (uint32_t i = 0; i < mailbox_header(m)->records; i++) {
        if (mailbox_read_records(m, i, 1, &r) < 0)
            buf_puts(to, " damaged");
        else if (!(r.system & RECORD_EXPUNGED))
            buf_printf(to, " %" PRIu32 "=%u", r.uid, number_of(m, i, &r));
    }
}

static void add_mailbox(struct node *n, const struct mboxlist_record *record, struct picture *p)
{
    struct mailbox *m;

    buf_printf(&p->names, "%s %s %" PRIu32 ":", record->name, record->id, record->uidvalidity);
    if (mailbox_open(n->env.store, record->partition, record->id, &m) != 0) {
        buf_puts(&p->names, " does not open\n");
        return;
    }
    if (index_begin(m, 1000) < 0)
        buf_puts(&p->names, " does not recover");
    else
        index_end(m);
    add_messages(m, &p->names);
    buf_printf(&p->numbers, "%s %" PRIu64 " %" PRIu32 "\n", record->id, mailbox_header(m)->highest_modseq,
               mailbox_header(m)->last_uid);
    buf_putc(&p->names, '\n');
    mailbox_close(&m);
}

static int add_root(const char *root, const struct quota_limits *limits, void *context)
{
    buf_printf(context, "quota %s %" PRId64 "\n", root, limits->limit[QUOTA_MESSAGE]);
    return 0;
}

static void take_picture(struct node *n, struct picture *p)
{
    struct mboxlist_iter *it = mboxlist_iter_all(n->env.list, "", MBOXLIST_TYPES_ALL);
    const struct mboxlist_record *record;

    while (mboxlist_iter_next(it, &record) == 1)
        add_mailbox(n, record, p);
    mboxlist_iter_free(&it);
    BUG_ON(quota_roots_each(n->env.list, "", add_root, &p->names) != 0);
}

/* ---- the work: a mark, "B trees", before each operation, another, "E names NUL numbers", when it is answered ---- */

static void begin(const char *trees)
{
    char *mark = xstrprintf("B%s", trees);

    trace_mark(mark, strlen(mark) + 1);
    free(mark);
}

static void answered(struct node *n)
{
    struct picture p = {BUF_INIT, BUF_INIT};
    struct buf mark = BUF_INIT;

    take_picture(n, &p);
    buf_printf(&mark, "E%s", buf_cstr(&p.names));
    buf_append(&mark, "", 1);
    buf_puts(&mark, buf_cstr(&p.numbers));
    buf_append(&mark, "", 1);
    trace_mark(mark.data, mark.len);
    buf_free(&mark);
    picture_free(&p);
}

static void run(struct node *n, const char *trees, struct mboxop *op)
{
    begin(trees);
    BUG_ON(node_run(op) != 0);
    answered(n);
}

static void append(struct node *n, const char *name, unsigned number)
{
    struct pool *pool = pool_new(0);
    struct mboxlist_record record;
    struct mailbox *m;

    BUG_ON(mboxlist_lookup(n->env.list, name, pool, &record) != 0);
    BUG_ON(mailbox_open(n->env.store, record.partition, record.id, &m) != 0);
    BUG_ON(fixture_append(m, number, 2, 0) < 0);
    mailbox_close(&m);
    pool_free(&pool);
}

static void set_up(struct node *n)
{
    static const char *const names[] = {"user.fred",   "user.fred.a", "user.fred.a.b",
                                        "user.fred.c", "user.gone",   "user.gone.x",
                                        "user.bob",    "user.left",   "user.left.x"};
    const struct quota_limits limits = {{-1, 1000, -1, -1}};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        BUG_ON(node_create(n, names[i]) != 0);
        append(n, names[i], 1 + 2 * (unsigned)i);
    }
    BUG_ON(node_run(mboxop_setquota(&n->env, "user.fred", &limits)) != 0);
}

static void work(struct node *n)
{
    const struct mboxop_env *env = &n->env;

    run(n, "user.fred user.bob", mboxop_rename(env, "user.fred.a", "user.bob.x", NULL, 0));
    begin("user.bob");
    append(n, "user.bob.x.b", 30);
    answered(n);
    run(n, "user.bob user.fred", mboxop_rename(env, "user.bob.x", "user.fred.a", NULL, 0));
    run(n, "user.fred", mboxop_delete(env, "user.fred.a.b", 0));
    run(n, "user.fred", mboxop_delete(env, "user.fred.c", MBOXOP_DELETE_NOW));
    run(n, "user.fred user.al", mboxop_rename(env, "user.fred", "user.al", NULL, 0));
    run(n, "user.al", mboxop_rename(env, "user.al", "user.al.old", NULL, 0));
    begin("user.al");
    append(n, "user.al", 32);
    answered(n);
    run(n, "user.gone", mboxop_delete(env, "user.gone", 0));
    run(n, "user.left", mboxop_delete(env, "user.left", MBOXOP_DELETE_NOW));
    run(n, "user.fred", mboxop_create(env, "user.fred", NULL, NULL, NULL, 0, NULL));
}

/* ---- what must be left of it ---- */

struct known {
    const char *before, *before_numbers; /* the last picture that was answered */
    const char *after;                   /* the next, while an operation is under way; else NULL */
    const char *trees;
};

/* The numbers of the line "id modseq uid" of some text; false: it has none. */
static bool numbers_of(const char *text, const char *id, uint64_t *modseq_r, uint32_t *uid_r)
{
    const char *line = strstr(text, id);

    return line != NULL && sscanf(line + strlen(id), " %" SCNu64 " %" SCNu32, modseq_r, uid_r) == 2;
}

/* Of each mailbox that was there before. */
static void check_numbers(struct node *n, const struct known *known, struct buf *wrong)
{
    struct mboxlist_iter *it = mboxlist_iter_all(n->env.list, "", MBOXLIST_TYPES_ALL);
    const struct mboxlist_record *record;
    struct mailbox *m;

    while (mboxlist_iter_next(it, &record) == 1) {
        uint64_t modseq;
        uint32_t uid;

        if (!numbers_of(known->before_numbers, record->id, &modseq, &uid) ||
            mailbox_open(n->env.store, record->partition, record->id, &m) != 0)
            continue;
        if (mailbox_header(m)->highest_modseq < modseq)
            buf_printf(wrong, "%s: the modseq went back; ", record->name);
        if (fixture_append(m, 1, 1, 0) <= (int64_t)uid)
            buf_printf(wrong, "%s: a UID twice, or a message not taken; ", record->name);
        mailbox_close(&m);
    }
    mboxlist_iter_free(&it);
}

/* A name that is free again gets a greater UIDVALIDITY than it had. */
static void check_uidvalidity(struct node *n, const char *text, struct buf *wrong)
{
    char name[128], id[128];
    uint32_t uidvalidity;

    for (; sscanf(text, "%127s %127s %" SCNu32 ":", name, id, &uidvalidity) == 3;
         text = strchr(text, '\n') + 1) {
        if (strcmp(name, "quota") == 0 || str_has_prefix(name, "DELETED") || node_uidvalidity(n, name) != 0)
            continue;
        if (node_create(n, name) != 0 || node_uidvalidity(n, name) <= uidvalidity)
            buf_printf(wrong, "%s: no greater UIDVALIDITY; ", name);
        return;
    }
}

/* The next who takes the names' locks brings all to its end. */
static void take_trees(struct node *n, const char *trees)
{
    struct pool *pool = pool_new(0);
    struct str_list list = str_split(pool, trees, " ");

    for (size_t i = 0; i < list.count; i++) {
        const char *name = pool_printf(pool, "%s.taker", list.items[i]);

        CU_ASSERT_EQUAL(node_create(n, name), 0);
        CU_ASSERT_EQUAL(node_run(mboxop_delete(&n->env, name, MBOXOP_DELETE_NOW)), 0);
    }
    pool_free(&pool);
}

static struct {
    unsigned crashes, wrong, undone, done;
} seen;

static void check(const struct known *known, struct buf *wrong)
{
    struct picture now = {BUF_INIT, BUF_INIT};
    struct node n;
    const char *names;

    node_open(&n, false);
    if (known->after != NULL && seen.crashes % 3 == 0)
        take_trees(&n, known->trees);
    else
        CU_ASSERT_EQUAL(mboxop_recover(&n.env, NULL), 0);
    take_picture(&n, &now);
    names = buf_cstr(&now.names);
    if (strcmp(names, known->before) != 0 && (known->after == NULL || strcmp(names, known->after) != 0))
        buf_printf(wrong, "there is\n%sbut there was\n%sand was to be\n%s", names, known->before,
                   known->after != NULL ? known->after : "the same\n");
    seen.undone += known->after != NULL && strcmp(names, known->before) == 0;
    seen.done += known->after != NULL && strcmp(names, known->after) == 0;
    node_check(&n, wrong);
    check_numbers(&n, known, wrong);
    check_uidvalidity(&n, known->before, wrong);
    picture_free(&now);
    node_close(&n);
}

/* ---- the power goes ---- */

static void crash(const struct disk *disk, enum disk_loss loss, unsigned seed, const struct known *known,
                  size_t at)
{
    struct buf wrong = BUF_INIT;

    BUG_ON(file_remove_tree(node_directory()) != 0 || mkdir(node_directory(), 0700) != 0);
    disk_write(disk, loss, &seed, node_directory());
    check(known, &wrong);
    seen.crashes++;
    seen.wrong += wrong.len > 0;
    if (wrong.len > 0)
        printf("\nevent %zu, loss %d: %s\n", at, (int)loss, buf_cstr(&wrong));
    buf_free(&wrong);
}

static void learn(const struct trace *trace, size_t at, struct known *known)
{
    const struct trace_event *e = &trace->events[at];

    if (e->data[0] == 'E') {
        known->before = e->data + 1;
        known->before_numbers = known->before + strlen(known->before) + 1;
        known->after = NULL;
        return;
    }
    known->trees = e->data + 1;
    do
        e++;
    while (e->kind != TRACE_MARK);
    known->after = e->data + 1;
}

/* some: losses at random, besides the three that are not; 0: one of each sort. */
static void crash_here(const struct disk *disk, unsigned some, unsigned syncs, const struct known *known,
                       size_t at)
{
    if (some == 0)
        crash(disk, syncs % DISK_LOSES_SOME, 0, known, at);
    for (unsigned k = 0; some > 0 && k < DISK_LOSES_SOME; k++)
        crash(disk, k, 0, known, at);
    for (unsigned k = 0; k < some || k == 0; k++)
        crash(disk, DISK_LOSES_SOME, (unsigned)at * 100 + k, known, at);
}

static void replay(struct disk *disk, const struct trace *trace, unsigned some)
{
    struct known known = {0};
    unsigned syncs = 0;

    for (size_t i = 0; i < trace->count; i++) {
        const struct trace_event *e = &trace->events[i];

        if (e->kind == TRACE_MARK)
            learn(trace, i, &known);
        if (known.before == NULL) {
            disk_apply(disk, e);
            continue;
        }
        if (e->kind == TRACE_SYNC)
            crash_here(disk, some, syncs++, &known, i);
        disk_apply(disk, e);
    }
    for (unsigned loss = 0; loss < DISK_LOSES; loss++)
        crash(disk, loss, 1, &known, trace->count);
}

/* MBOXOP_TEST_POWER: how many losses at random at each sync. */
static void test_power(void)
{
    const char *some = getenv("MBOXOP_TEST_POWER");
    struct trace trace;
    struct disk *disk;
    struct node n;

    fake_reset();
    node_wipe();
    node_open(&n, false);
    set_up(&n);
    node_close(&n);
    disk = disk_new(node_directory());
    trace_begin(node_directory());
    node_open(&n, false);
    answered(&n);
    work(&n);
    node_close(&n);
    trace_end(&trace);
    memset(&seen, 0, sizeof(seen));
    trace_boot("11111111-1111-4111-8111-111111111111\n");
    replay(disk, &trace, some != NULL ? (unsigned)atoi(some) : 0);
    trace_boot(NULL);
    CU_ASSERT_EQUAL(seen.wrong, 0);
    CU_ASSERT(seen.crashes > 100);
    CU_ASSERT(seen.undone > 20);
    CU_ASSERT(seen.done > 20);
    if (some != NULL)
        printf("%zu events, %u crashes, %u undone, %u done\n", trace.count, seen.crashes, seen.undone,
               seen.done);
    disk_free(&disk);
    trace_free(&trace);
}

static const struct unit_case cases[] = {
    {"the power goes", test_power},
    {NULL, NULL},
};

extern const struct unit_suite mboxop_power_suite;
const struct unit_suite mboxop_power_suite = {"imap/mboxop/power", cases};
