/* append.c: APPEND, and delivery of one message to many mailboxes. */
#include "imap/store/append.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "imap/store/annotate-private.h"
#include "imap/store/arrive-private.h"
#include "imap/store/seen.h"
#include "imap/store/stage-private.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

/* One message of a transaction. */
struct entrant {
    struct stage *stage;
    struct append_message how;
    char **keywords; /* own copy of how.keywords */
};

struct append {
    struct mailbox *mailbox;
    char *userid; /* of a private reader, or NULL */
    struct entrant *entrants;
    size_t count, room;
    uint64_t bytes;
    uint32_t replaces; /* UID; 0: none */
};

static bool keywords_fit(const char *const *keywords)
{
    size_t n = 0;

    for (; keywords != NULL && keywords[n] != NULL; n++) {
        size_t len = strlen(keywords[n]);

        if (n >= USER_FLAGS_MAX || len == 0 || len > USER_FLAG_NAME_MAX)
            return false;
    }
    return true;
}

static char **keywords_copy(const char *const *keywords)
{
    size_t n = 0;
    char **copy;

    while (keywords != NULL && keywords[n] != NULL)
        n++;
    copy = xcalloc(n + 1, sizeof(*copy));
    for (size_t i = 0; i < n; i++)
        copy[i] = xstrdup(keywords[i]);
    return copy;
}

static void keywords_free(char **keywords)
{
    for (char **k = keywords; *k != NULL; k++)
        free(*k);
    free(keywords);
}

void append_begin(struct mailbox *mailbox, const struct mailbox_reader *reader, struct append **append_r)
{
    struct append *a = xcalloc(1, sizeof(*a));

    a->mailbox = mailbox;
    if (reader != NULL && reader->userid != NULL)
        a->userid = xstrdup(reader->userid);
    *append_r = a;
}

int append_add(struct append *a, struct stage **stage, const struct append_message *how)
{
    struct stage *s = *stage;
    int r = 0;

    if (!s->finished)
        return ERR_INVALID;
    if (!keywords_fit(how->keywords))
        return ERR_LIMIT;
    if (strcmp(s->partition, a->mailbox->partition) != 0) {
        r = stage_copy(s, a->mailbox->partition, &s);
        if (r < 0)
            return r;
        stage_free(stage);
    }
    *stage = NULL;
    if (a->count == a->room) {
        a->room = a->room * 2 + 4;
        a->entrants = xreallocarray(a->entrants, a->room, sizeof(*a->entrants));
    }
    a->entrants[a->count++] = (struct entrant){s, *how, keywords_copy(how->keywords)};
    a->bytes += s->info.size;
    return 0;
}

void append_replace(struct append *a, uint32_t uid)
{
    a->replaces = uid;
}

/* What the caller asked for and the message itself make a record. */
static int fill_record(struct mailbox *m, const struct stage *stage, const struct append_message *how,
                       const char *const *keywords, bool private_seen, struct mailbox_record *record)
{
    record->internal_date = how->has_internal_date ? how->internal_date : clock_wall();
    record->internal_zone = (int16_t)(how->has_internal_date ? how->internal_zone : 0);
    record->save_date = how->save_date;
    stage_fill(stage, record);
    return arrive_flags(m, private_seen ? how->system & ~(uint32_t)RECORD_SEEN : how->system, keywords,
                        record);
}

static int append_link(struct arrivals *arrivals, size_t i, struct mailbox *m, uint32_t uid)
{
    struct append *a = arrivals->context;

    return message_file_link(m, uid, a->entrants[i].stage->fd);
}

/* fsync of a file after it got its name also keeps the name (ext4, XFS, btrfs). */
static int append_sync(struct arrivals *arrivals, struct mailbox *m)
{
    struct append *a = arrivals->context;
    int r = 0;

    for (size_t i = 0; r == 0 && i < a->count; i++)
        r = store_sync_file(m->store, a->entrants[i].stage->fd);
    return r;
}

static int append_fill(struct arrivals *arrivals, size_t i, struct mailbox *m, struct mailbox_record *record)
{
    struct append *a = arrivals->context;
    const struct entrant *e = &a->entrants[i];

    return fill_record(m, e->stage, &e->how, (const char *const *)e->keywords, a->userid != NULL, record);
}

static void append_entry(struct arrivals *arrivals, size_t i, struct mailbox *m, struct buf *to)
{
    struct append *a = arrivals->context;

    (void)m;
    buf_append(to, a->entrants[i].stage->entry.data, a->entrants[i].stage->entry.len);
}

/* What a message has from its beginning. */
static int append_annotate(struct arrivals *arrivals, size_t i, struct buf *to)
{
    struct append *a = arrivals->context;
    const struct append_message *how = &a->entrants[i].how;
    struct annotate_items items = {0};
    struct pool *pool;

    if (how->annotation_count == 0)
        return 0;
    pool = pool_new(0);
    annotate_apply(&items, how->annotations, how->annotation_count, arrivals->modseq, pool);
    annotate_encode(&items, to);
    pool_free(&pool);
    return 0;
}

static bool has_annotations(const struct append *a)
{
    for (size_t i = 0; i < a->count; i++)
        if (a->entrants[i].how.annotation_count > 0)
            return true;
    return false;
}

/* A private reader's \Seen of what was appended. */
static int write_seen(struct append *a, uint32_t first_uid)
{
    struct uid_set seen = UID_SET_INIT;
    int r = 0;

    for (size_t i = 0; i < a->count; i++) {
        if (a->entrants[i].how.system & RECORD_SEEN)
            uid_set_add(&seen, first_uid + (uint32_t)i, first_uid + (uint32_t)i);
    }
    if (seen.count > 0)
        r = seen_change(a->mailbox->store, a->mailbox->id, a->userid, &seen, NULL, 0);
    uid_set_free(&seen);
    return r;
}

int append_commit(struct append **append, enum quota_mode quota, struct append_result *result_r)
{
    struct append *a = *append;
    struct arrivals arrivals = {
        .count = a->count,
        .bytes = a->bytes,
        .quota = quota,
        .replaces = a->replaces,
        .link = append_link,
        .sync = append_sync,
        .fill = append_fill,
        .entry = append_entry,
        .annotate = has_annotations(a) ? append_annotate : NULL,
        .context = a,
    };
    int r;

    BUG_ON(a->replaces != 0 && a->count != 1);
    r = a->count == 0 ? 0 : arrive(a->mailbox, &arrivals);

    if (result_r != NULL)
        *result_r = (struct append_result){.uidvalidity = arrivals.uidvalidity, .modseq = arrivals.modseq};
    if (r == 0 && a->count > 0 && result_r != NULL)
        uid_set_add(&result_r->uids, arrivals.first_uid, arrivals.first_uid + (uint32_t)a->count - 1);
    /* the messages are safe; a flag that is not is no reason to refuse them */
    if (r == 0 && a->userid != NULL)
        (void)write_seen(a, arrivals.first_uid);
    append_abort(append);
    return r;
}

void append_abort(struct append **append)
{
    struct append *a = *append;

    if (a == NULL)
        return;
    for (size_t i = 0; i < a->count; i++) {
        stage_free(&a->entrants[i].stage);
        keywords_free(a->entrants[i].keywords);
    }
    free(a->entrants);
    free(a->userid);
    free(a);
    *append = NULL;
}

/* ---- one message to many mailboxes ---- */

struct delivery {
    struct stage *stage; /* on the target's partition */
    struct deliver_target *target;
    bool synced_later; /* the file is on disk under its stage name */
};

static int deliver_link(struct arrivals *a, size_t i, struct mailbox *m, uint32_t uid)
{
    struct delivery *d = a->context;

    (void)i;
    return message_file_link(m, uid, d->stage->fd);
}

static int deliver_sync(struct arrivals *a, struct mailbox *m)
{
    struct delivery *d = a->context;

    return d->synced_later ? 0 : store_sync_file(m->store, d->stage->fd);
}

static int deliver_fill(struct arrivals *a, size_t i, struct mailbox *m, struct mailbox_record *record)
{
    struct delivery *d = a->context;

    (void)i;
    return fill_record(m, d->stage, &d->target->how, d->target->how.keywords, false, record);
}

static void deliver_entry(struct arrivals *a, size_t i, struct mailbox *m, struct buf *to)
{
    struct delivery *d = a->context;

    (void)i;
    (void)m;
    buf_append(to, d->stage->entry.data, d->stage->entry.len);
}

static int deliver_admit(struct arrivals *a)
{
    struct deliver_target *t = ((struct delivery *)a->context)->target;

    return t->admit != NULL ? t->admit(t) : 0;
}

static void deliver_done(struct arrivals *a)
{
    struct delivery *d = a->context;

    d->target->uid = a->first_uid;
    d->target->uidvalidity = a->uidvalidity;
    if (d->target->done != NULL)
        d->target->done(d->target);
}

static void deliver_one(struct stage *stage, struct deliver_target *target, bool synced_later)
{
    struct delivery d = {stage, target, synced_later};
    struct arrivals a = {
        .count = 1,
        .bytes = stage->info.size,
        .quota = target->quota,
        .link = deliver_link,
        .sync = deliver_sync,
        .fill = deliver_fill,
        .entry = deliver_entry,
        .admit = deliver_admit,
        .done = deliver_done,
        .context = &d,
    };

    if (!keywords_fit(target->how.keywords))
        target->result = ERR_LIMIT;
    else
        target->result = arrive(target->mailbox, &a);
}

static bool on_partition(const struct deliver_target *t, const char *partition)
{
    return strcmp(t->mailbox->partition, partition) == 0;
}

static void fail_all(struct deliver_target *targets, size_t count, const char *partition, int error)
{
    for (size_t i = 0; i < count; i++) {
        if (on_partition(&targets[i], partition) && targets[i].result == 0)
            targets[i].result = error;
    }
}

/* The targets of one partition: alone, its own fsync keeps file and name; several share the file, which
 * recovery finds in the stage directory until one more fsync has kept all its names. */
static void deliver_to_partition(struct stage *stage, struct deliver_target *targets, size_t count)
{
    size_t here = 0;
    int r = 0;

    for (size_t i = 0; i < count; i++)
        here += on_partition(&targets[i], stage->partition);
    if (here > 1)
        r = stage_publish(stage);
    for (size_t i = 0; i < count; i++) {
        if (!on_partition(&targets[i], stage->partition))
            continue;
        if (r < 0)
            targets[i].result = r;
        else
            deliver_one(stage, &targets[i], here > 1);
    }
    if (r == 0 && here > 1) {
        r = store_sync_file(stage->store, stage->fd);
        if (r < 0) {
            stage_keep_name(stage); /* the records are committed, the sender's second try is a duplicate */
            fail_all(targets, count, stage->partition, r);
        }
    }
}

int deliver(struct stage *stage, struct deliver_target *targets, size_t count)
{
    int first = 0;

    if (!stage->finished)
        return ERR_INVALID;
    for (size_t i = 0; i < count; i++) {
        const char *partition = targets[i].mailbox->partition;
        struct stage *here = stage;
        size_t j;
        int r = 0;

        for (j = 0; j < i && !on_partition(&targets[j], partition); j++)
            ;
        if (j < i)
            continue; /* with the first of that partition */
        if (strcmp(stage->partition, partition) != 0)
            r = stage_copy(stage, partition, &here);
        for (size_t k = i; k < count; k++) {
            if (on_partition(&targets[k], partition))
                targets[k].result = r;
        }
        if (r == 0)
            deliver_to_partition(here, targets, count);
        if (r == 0 && here != stage)
            stage_free(&here);
    }
    for (size_t i = 0; i < count && first == 0; i++)
        first = targets[i].result;
    return first;
}
