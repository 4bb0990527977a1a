/* write.c: transactions on the index (doc/formats/mailbox.md, "Writing").
 *
 * The header copy that is known to be on disk is never overwritten, so a crash at any instruction, of the
 * process or the machine, leaves the last commit that was acknowledged or a later one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "imap/store/le-private.h"
#include "imap/store/mailbox-private.h"
#include "imap/store/replace-private.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

#define LOCK_FOLLOW_MAX 16 /* compactions in a row that a writer follows */

/* Locks the index that has the name now. */
static int lock_current(struct mailbox *m, int64_t timeout_ms)
{
    for (int i = 0; i < LOCK_FOLLOW_MAX; i++) {
        struct stat st;
        int r = lock_acquire(m->fd, LOCK_EXCLUSIVE, timeout_ms, &m->lock);

        if (r < 0)
            return r;
        if (fstat(m->fd, &st) != 0)
            r = error_from_errno(errno);
        else if (st.st_nlink > 0)
            return 0;
        lock_release(&m->lock);
        if (r == 0)
            r = mailbox_open_index(m);
        if (r < 0)
            return r;
    }
    return ERR_TIMEOUT;
}

static bool slot_used(const struct mailbox_header *h, unsigned n)
{
    return (h->flag_slots[n / 8] >> (n % 8)) & 1;
}

void index_end(struct mailbox *m)
{
    if (m->lock == NULL)
        return;
    /* a slot given in a transaction that was not committed may become another name's */
    for (unsigned n = 0; n < USER_FLAGS_MAX; n++) {
        if (!slot_used(&m->header, n)) {
            free(m->flag_names[n]);
            m->flag_names[n] = NULL;
        }
    }
    lock_release(&m->lock);
    m->dirty = false;
}

/* Which copy may be overwritten: never the one that is known to be on disk. */
static int choose_target(struct mailbox *m, const struct header_pair *pair, unsigned newest)
{
    unsigned other = 1 - newest;

    m->target = other;
    if (pair->synced == pair->copy[newest].generation)
        return 0;
    if (pair->result[other] == 0 && pair->synced == pair->copy[other].generation) {
        m->target = newest;
        return 0;
    }
    return store_sync_index(m->store, m->fd);
}

static unsigned state_of(const struct mailbox *m, const struct header_pair *pair)
{
    unsigned state = 0;

    if (m->next.dirty)
        state |= INDEX_DIRTY;
    if (memcmp(m->next.boot_id, m->store->boot_id, BOOT_ID_SIZE) != 0)
        state |= INDEX_OTHER_BOOT;
    if (pair->result[0] < 0 || pair->result[1] < 0)
        state |= INDEX_COPY_LOST;
    return state;
}

static int read_under_lock(struct mailbox *m, unsigned *state_r)
{
    struct header_pair pair;
    int newest, r = header_pair_read(m->fd, &pair);

    if (r < 0)
        return r;
    newest = header_pair_newest(&pair);
    if (newest < 0)
        return newest;
    m->header = m->next = pair.copy[newest];
    m->loaded = clock_ms();
    m->generation = m->header.generation;
    m->dirty = m->header.dirty != 0;
    if (strcmp(m->header.unique_id, m->id) != 0)
        return ERR_CORRUPT;
    *state_r = state_of(m, &pair);
    if (replace_look(m, pair.synced))
        *state_r |= INDEX_DIRTY;
    return choose_target(m, &pair, (unsigned)newest);
}

int index_begin_raw(struct mailbox *m, int64_t timeout_ms, unsigned *state_r)
{
    int r;

    BUG_ON(m->lock != NULL);
    r = m->cannot_write ? mailbox_open_index(m) : 0; /* it may have been made writable since */
    if (r == 0 && m->cannot_write)
        r = ERR_ROFS;
    if (r == 0)
        r = lock_current(m, timeout_ms);
    if (r < 0)
        return r;
    r = read_under_lock(m, state_r);
    if (r < 0)
        index_end(m);
    return r;
}

int index_begin(struct mailbox *m, int64_t timeout_ms)
{
    unsigned state;
    int r = index_begin_raw(m, timeout_ms, &state);

    if (r < 0)
        return r;
    if (state != 0) {
        r = index_recover(m, state);
        if (r < 0)
            index_end(m);
    }
    return r;
}

static int write_copy(struct mailbox *m, struct mailbox_header *h, bool dirty)
{
    unsigned char raw[INDEX_HEADER_SIZE];

    h->generation = ++m->generation;
    h->dirty = dirty;
    memcpy(h->boot_id, m->store->boot_id, BOOT_ID_SIZE);
    h->change_time_ns = (uint64_t)clock_wall_ns();
    header_encode(raw, h);
    return file_pwrite(m->fd, raw, sizeof(raw), m->target == 0 ? 0 : INDEX_HEADER_B);
}

int index_mark_dirty(struct mailbox *m)
{
    struct mailbox_header h;
    int r;

    BUG_ON(m->lock == NULL);
    if (m->dirty)
        return 0;
    h = m->header;
    r = write_copy(m, &h, true);
    if (r == 0)
        m->dirty = true;
    return r;
}

static int confirm(struct mailbox *m)
{
    unsigned char word[8];

    le_put64(word, m->generation);
    return file_pwrite(m->fd, word, sizeof(word), INDEX_SYNCED_AT);
}

/* The header could not be brought to the disk: readers may have seen it, so its numbers are spent. */
static void take_back(struct mailbox *m)
{
    m->header.last_uid = m->next.last_uid;
    m->header.highest_modseq = m->next.highest_modseq;
    ring_clear(&m->header);
    (void)write_copy(m, &m->header, m->dirty);
    m->next = m->header;
}

int index_commit(struct mailbox *m, bool sync)
{
    int r;

    BUG_ON(m->lock == NULL);
    r = write_copy(m, &m->next, false);
    if (r == 0 && sync)
        r = store_sync_index(m->store, m->fd);
    if (r < 0) {
        take_back(m);
        return r;
    }
    m->dirty = false;
    m->header = m->next;
    if (!sync)
        return 0;
    m->target = 1 - m->target;
    return confirm(m);
}

/* ---- the names of user flags ---- */

/* name NULL: the slot is free. */
static void set_flag_name(struct mailbox *m, unsigned n, const char *name)
{
    char *old = m->flag_names[n];

    if (old != NULL && name != NULL && strcmp(old, name) == 0)
        return;
    if (old != NULL) {
        m->old_flag_names = xreallocarray(m->old_flag_names, m->old_flag_name_count + 1, sizeof(char *));
        m->old_flag_names[m->old_flag_name_count++] = old;
    }
    m->flag_names[n] = name != NULL ? xstrdup(name) : NULL;
}

/* Reads the names of slots in use that are not known yet; of another index file all, since a slot may have
 * become another flag's (mailbox_drop_flags()). */
static int load_flag_names(struct mailbox *m, const struct mailbox_header *h)
{
    unsigned char raw[INDEX_FLAG_NAME_SIZE];
    char name[USER_FLAG_NAME_MAX + 1];
    bool all = m->flag_names_of != m->incarnation;

    for (unsigned n = 0; n < USER_FLAGS_MAX; n++) {
        int r;

        if (all && !slot_used(h, n))
            set_flag_name(m, n, NULL);
        if (!slot_used(h, n) || (!all && m->flag_names[n] != NULL))
            continue;
        r = file_pread(m->fd, raw, sizeof(raw), INDEX_FLAG_NAMES_AT + (int64_t)n * INDEX_FLAG_NAME_SIZE);
        if (r == ERR_EOF)
            continue;
        if (r < 0)
            return r;
        if (flag_name_decode(raw, name) >= 0)
            set_flag_name(m, n, name);
    }
    m->flag_names_of = m->incarnation;
    return 0;
}

int mailbox_flag_names(struct mailbox *m, const char *names_r[USER_FLAGS_MAX])
{
    const struct mailbox_header *h = m->lock != NULL ? &m->next : &m->header;
    int r = load_flag_names(m, h);

    for (unsigned n = 0; n < USER_FLAGS_MAX; n++)
        names_r[n] = slot_used(h, n) ? m->flag_names[n] : NULL;
    return r;
}

int mailbox_flag_number(struct mailbox *m, const char *name)
{
    const char *names[USER_FLAGS_MAX];
    int r = mailbox_flag_names(m, names);

    if (r < 0)
        return r;
    for (unsigned n = 0; n < USER_FLAGS_MAX; n++) {
        if (names[n] != NULL && str_ieq(names[n], name))
            return (int)n;
    }
    return ERR_NOTFOUND;
}

int index_flag_slot(struct mailbox *m, const char *name)
{
    unsigned char raw[INDEX_FLAG_NAME_SIZE];
    size_t len = strlen(name);
    unsigned n;
    int r = mailbox_flag_number(m, name);

    if (r != ERR_NOTFOUND)
        return r;
    if (len == 0 || len > USER_FLAG_NAME_MAX)
        return ERR_LIMIT;
    for (n = 0; n < USER_FLAGS_MAX && slot_used(&m->next, n); n++)
        ;
    if (n == USER_FLAGS_MAX)
        return ERR_LIMIT;
    flag_name_encode(raw, name);
    r = file_pwrite(m->fd, raw, sizeof(raw), INDEX_FLAG_NAMES_AT + (int64_t)n * INDEX_FLAG_NAME_SIZE);
    if (r < 0)
        return r;
    m->next.flag_slots[n / 8] |= (unsigned char)(1u << (n % 8));
    set_flag_name(m, n, name);
    return (int)n;
}
