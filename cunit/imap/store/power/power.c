/* The power goes at every sync of a record of work, and in between: what was acknowledged is there, every mailbox opens,
 * no UID is used twice, no number goes back.  Disks lose what they may (disk.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cunit/imap/store/fixture.h"
#include "cunit/imap/store/power/disk.h"
#include "cunit/imap/store/power/trace.h"
#include "cunit/unit.h"
#include "imap/store/annotate.h"
#include "imap/store/copy.h"
#include "imap/store/mailbox-private.h"
#include "lib/base/mem.h"

enum { UIDS_MAX = 1000, BATCH = 3 };
#define OTHER_ID "22222222-2222-4333-8444-555555555555"
#define NEXT_ID  "33333333-2222-4333-8444-555555555555"
#define SWAP_ID  "44444444-2222-4333-8444-555555555555" /* where messages are replaced and nothing else */

/* What was acknowledged of one message of a mailbox. */
struct message_known {
    bool appended, expunged, flagged, annotated;
    bool expunging;  /* and not answered yet: it may be there or not */
    unsigned number; /* of its text */
};

struct known {
    struct message_known messages[UIDS_MAX];
    uint64_t modseq;
    uint32_t last_uid;
};

/* A mark in the trace: an operation was answered (EXPUNGING: begun). */
struct ack {
    enum { ACK_APPEND, ACK_EXPUNGING, ACK_EXPUNGE, ACK_FLAG, ACK_ANNOTATE } what;
    unsigned mailbox; /* 0; 1: the other one; 2: SWAP_ID */
    uint32_t uid, count;
    unsigned number;
    uint64_t modseq;
};

/* ---- the work ---- */

static void tell(const struct mailbox *m, struct ack ack)
{
    ack.modseq = mailbox_header(m)->highest_modseq;
    trace_mark(&ack, sizeof(ack));
}

static void append(struct mailbox *m, unsigned number, unsigned count)
{
    int64_t uid = fixture_append(m, number, count, 0);

    BUG_ON(uid < 0);
    tell(m, (struct ack){ACK_APPEND, 0, (uint32_t)uid, count, number, 0});
}

static void flag(struct fixture *f, uint32_t uid)
{
    struct view *view = fixture_view(f, FIXTURE_ID);
    struct mailbox *m;

    BUG_ON(fixture_store(view, uid, FLAGS_ADD, RECORD_FLAGGED, "$power") < 0);
    view_mailbox(view, &m);
    tell(m, (struct ack){ACK_FLAG, 0, uid, 1, 0, 0});
    view_close(&view);
}

static void annotate(struct fixture *f, uint32_t uid, const char *value)
{
    const struct annotate_change change = {"", "/comment", value, strlen(value)};
    const struct annotate_changes changes = {.changes = &change, .count = 1};
    struct view *view = fixture_view(f, FIXTURE_ID);
    struct uid_set one = UID_SET_INIT;
    struct flag_result result;
    struct mailbox *m;

    uid_set_add(&one, uid, uid);
    BUG_ON(annotate_store(view, &one, &changes, &result) < 0 || result.after == result.before);
    view_mailbox(view, &m);
    tell(m, (struct ack){ACK_ANNOTATE, 0, uid, 1, 0, 0});
    uid_set_free(&one);
    view_close(&view);
}

static void expunge(struct mailbox *m, uint32_t uid)
{
    struct uid_set one = UID_SET_INIT;

    uid_set_add(&one, uid, uid);
    tell(m, (struct ack){ACK_EXPUNGING, 0, uid, 1, 0, 0});
    BUG_ON(expunge_uids(m, &one, NULL) < 0);
    tell(m, (struct ack){ACK_EXPUNGE, 0, uid, 1, 0, 0});
    uid_set_free(&one);
}

static void copy(struct fixture *f, struct mailbox *other, uint32_t uid, unsigned number)
{
    static const struct copy_options options = {.may_flags = true, .may_annotate = true};
    struct view *view = fixture_view(f, FIXTURE_ID);
    struct uid_set set = UID_SET_INIT;
    struct copy_result result;

    uid_set_add(&set, uid, uid + BATCH - 1);
    BUG_ON(copy_messages(view, &set, other, &options, &result) < 0);
    tell(other, (struct ack){ACK_APPEND, 1, uid_set_first(&result.destination), BATCH, number, 0});
    tell(other, (struct ack){ACK_ANNOTATE, 1, uid_set_first(&result.destination), 1, 0, 0});
    copy_result_free(&result);
    uid_set_free(&set);
    view_close(&view);
}

/* SWAP_ID keeps two messages whatever happens. */
static void replace(struct fixture *f)
{
    struct view *view = fixture_view(f, SWAP_ID);
    struct mailbox *m;
    int64_t uid = 1;

    BUG_ON(mailbox_open(f->store, "one", SWAP_ID, &m) < 0);
    for (unsigned n = 3; n < 9; n++) {
        tell(m, (struct ack){ACK_EXPUNGING, 2, (uint32_t)uid, 1, 0, 0});
        uid = fixture_replace(m, n, (uint32_t)uid);
        BUG_ON(uid != n);
        tell(m, (struct ack){ACK_EXPUNGE, 2, n == 3 ? 1 : n - 1, 1, 0, 0});
        tell(m, (struct ack){ACK_APPEND, 2, n, 1, n, 0});
        if (n % 2 == 0)
            BUG_ON(fixture_store(view, 2, FLAGS_ADD, RECORD_FLAGGED, n == 4 ? "$4" : "$6") < 0);
        if (n == 6)
            BUG_ON(mailbox_compact(m, INT64_MAX, NULL) < 0);
    }
    view_close(&view);
    mailbox_close(&m);
}

/* All that a mailbox goes through.  Message n of the first mailbox has the text n. */
static void work(struct fixture *f)
{
    struct mailbox *m, *other, *next;

    BUG_ON(mailbox_open(f->store, "one", FIXTURE_ID, &m) < 0 ||
           mailbox_open(f->store, "one", OTHER_ID, &other) < 0);
    for (unsigned n = 1; n <= 4; n++)
        append(m, n, 1);
    append(m, 5, BATCH);
    annotate(f, 5, "note 1");
    annotate(f, 4, "note 1");
    copy(f, other, 5, 5);
    flag(f, 2);
    expunge(m, 3);
    append(m, 8, 1);
    next = fixture_mailbox(f, NEXT_ID);
    BUG_ON(fixture_append(next, 1, 1, 0) != 1);
    flag(f, 5);
    annotate(f, 4, "note 2");
    expunge(m, 1);
    BUG_ON(mailbox_compact(m, INT64_MAX, NULL) < 0);
    append(m, 9, BATCH);
    flag(f, 9);
    annotate(f, 9, "note 1");
    copy(f, other, 9, 9);
    replace(f);
    mailbox_close(&next);
    mailbox_close(&other);
    mailbox_close(&m);
}

/* ---- what must be left of it ---- */

static void learn(struct known known[3], const struct ack *ack)
{
    struct known *k = &known[ack->mailbox];

    if (ack->modseq > k->modseq)
        k->modseq = ack->modseq;
    for (uint32_t i = 0; i < ack->count; i++) {
        struct message_known *m = &k->messages[ack->uid + i];

        m->appended |= ack->what == ACK_APPEND;
        m->expunging |= ack->what == ACK_EXPUNGING;
        m->expunged |= ack->what == ACK_EXPUNGE;
        m->flagged |= ack->what == ACK_FLAG;
        m->annotated |= ack->what == ACK_ANNOTATE;
        if (ack->what == ACK_APPEND)
            m->number = ack->number + i;
        if (ack->uid + i > k->last_uid)
            k->last_uid = ack->uid + i;
    }
}

static bool has_note(struct mailbox *m, const struct mailbox_record *r)
{
    struct annotate_items items;
    struct pool *pool = pool_new(0);
    bool has = annotate_read(m, r, pool, &items) == 0 && annotate_find(&items, "", "/comment") != NULL;

    pool_free(&pool);
    return has;
}

/* Why the record is wrong; NULL. */
static const char *look_at(struct mailbox *m, uint32_t place, const struct mailbox_record *r,
                           const struct message_known *k)
{
    bool expunged = (r->system & RECORD_EXPUNGED) != 0;

    if (r->modseq > mailbox_header(m)->highest_modseq)
        return "a modseq above the highest";
    if (expunged)
        return k->appended && !k->expunging ? "an acknowledged message is expunged" : NULL;
    if (k->expunged)
        return "an expunged message came back";
    if (k->flagged && !(r->system & RECORD_FLAGGED))
        return "an acknowledged flag is lost";
    if (k->annotated && !has_note(m, r))
        return "an acknowledged annotation is lost";
    return k->appended && !fixture_has_text(m, place, r, k->number)
               ? "an acknowledged message has another text"
               : NULL;
}

static const char *look_through(struct mailbox *m, const struct known *known)
{
    bool found[UIDS_MAX] = {false};
    const char *wrong = NULL;
    uint32_t last = 0;

    for (uint32_t i = 0; wrong == NULL && i < mailbox_header(m)->records; i++) {
        struct mailbox_record r;

        if (mailbox_read_records(m, i, 1, &r) < 0)
            return "a record cannot be read";
        if (r.uid <= last || r.uid > mailbox_header(m)->last_uid)
            return "UIDs out of order";
        last = r.uid;
        if (r.uid < UIDS_MAX) {
            found[r.uid] = true;
            wrong = look_at(m, i, &r, &known->messages[r.uid]);
        }
    }
    for (uint32_t uid = 1; wrong == NULL && uid < UIDS_MAX; uid++) {
        const struct message_known *k = &known->messages[uid];

        if (k->appended && !k->expunging && !found[uid])
            wrong = "an acknowledged message is lost";
    }
    if (wrong == NULL && mailbox_header(m)->highest_modseq < known->modseq)
        wrong = "the highest modseq went back";
    return wrong;
}

static const char *check_mailbox(struct store *store, const char *id, const struct known *known)
{
    struct mailbox *m;
    const char *wrong;

    if (mailbox_open(store, "one", id, &m) < 0)
        return "a mailbox does not open";
    if (index_begin(m, 1000) < 0) {
        mailbox_close(&m);
        return "a mailbox does not recover";
    }
    index_end(m);
    wrong = look_through(m, known);
    if (wrong == NULL && strcmp(id, SWAP_ID) == 0 && mailbox_header(m)->exists != 2)
        wrong = "a message was not replaced by one commit";
    if (wrong == NULL && fixture_append(m, 100, 1, 0) <= (int64_t)known->last_uid)
        wrong = "a UID is given twice, or a message not taken";
    mailbox_close(&m);
    return wrong;
}

/* ---- the power goes ---- */

static struct {
    unsigned crashes;
    unsigned wrong;
} seen;

static void crash(const struct disk *disk, enum disk_loss loss, unsigned seed, const struct known known[3],
                  size_t at)
{
    struct fixture after;
    const char *wrong;

    fixture_begin_empty(&after);
    disk_write(disk, loss, &seed, after.dir);
    fixture_open(&after);
    wrong = check_mailbox(after.store, FIXTURE_ID, &known[0]);
    if (wrong == NULL)
        wrong = check_mailbox(after.store, OTHER_ID, &known[1]);
    if (wrong == NULL)
        wrong = check_mailbox(after.store, SWAP_ID, &known[2]);
    seen.crashes++;
    seen.wrong += wrong != NULL;
    if (wrong != NULL)
        printf("\nevent %zu, loss %d: %s\n", at, loss, wrong);
    fixture_end(&after);
}

static void replay(struct disk *disk, const struct trace *trace, unsigned some)
{
    struct known *known = xcalloc(3, sizeof(*known));

    for (size_t i = 0; i < trace->count; i++) {
        const struct trace_event *e = &trace->events[i];
        struct ack ack;

        if (e->kind == TRACE_MARK) {
            memcpy(&ack, e->data, sizeof(ack));
            learn(known, &ack);
        }
        for (unsigned k = 0; e->kind == TRACE_SYNC && k < DISK_LOSES_SOME + some; k++)
            crash(disk, k < DISK_LOSES_SOME ? k : DISK_LOSES_SOME, (unsigned)i * 100 + k + 1, known, i);
        disk_apply(disk, e);
    }
    for (unsigned loss = 0; loss < DISK_LOSES; loss++)
        crash(disk, loss, 1, known, trace->count);
    free(known);
}

/* STORE_TEST_POWER: how many losses at random at each sync. */
static void test_power(void)
{
    const char *some = getenv("STORE_TEST_POWER");
    struct fixture f;
    struct trace trace;
    struct disk *disk;
    struct mailbox *m;

    fixture_begin(&f);
    f.options.session_ms = -2000;
    fixture_reopen(&f);
    m = fixture_mailbox(&f, FIXTURE_ID);
    mailbox_close(&m);
    m = fixture_mailbox(&f, OTHER_ID);
    mailbox_close(&m);
    m = fixture_mailbox(&f, SWAP_ID);
    BUG_ON(fixture_append(m, 1, 2, 0) != 1);
    mailbox_close(&m);
    disk = disk_new(f.dir);
    trace_begin(f.dir);
    work(&f);
    trace_end(&trace);
    fixture_end(&f);
    memset(&seen, 0, sizeof(seen));
    trace_boot("11111111-1111-4111-8111-111111111111\n");
    replay(disk, &trace, some != NULL ? (unsigned)atoi(some) : 4);
    trace_boot(NULL);
    CU_ASSERT_EQUAL(seen.wrong, 0);
    CU_ASSERT(seen.crashes > 100);
    if (some != NULL)
        printf("%zu events, %u crashes\n", trace.count, seen.crashes);
    disk_free(&disk);
    trace_free(&trace);
}

static const struct unit_case cases[] = {
    {"the power goes", test_power},
    {NULL, NULL},
};

const struct unit_suite power_suite = {"imap/store/power", cases};
