/* replace.c: the old message of a REPLACE: expunged by the header first, then by its record. */
#include "imap/store/replace-private.h"

#include "lib/base/error.h"

int replace_find(struct mailbox *m, uint32_t uid, struct replaced *old_r)
{
    int r = mailbox_find_uid(m, uid, &old_r->number);

    if (r < 0)
        return r;
    if (old_r->number == m->next.records)
        return ERR_EXPUNGED;
    r = mailbox_read_records(m, old_r->number, 1, &old_r->record);
    if (r < 0)
        return r;
    return old_r->record.uid != uid || (old_r->record.system & RECORD_EXPUNGED) ? ERR_EXPUNGED : 0;
}

int replace_settle(struct mailbox *m)
{
    int r = m->next.replaced != 0 ? store_sync_index(m->store, m->fd) : 0;

    if (r == 0)
        m->next.replaced = 0;
    return r;
}

void replace_note(struct mailbox *m, const struct replaced *old, uint64_t modseq)
{
    struct mailbox_header *h = &m->next;
    struct mailbox_record record = old->record;
    bool unlink = m->store->options.expunge_mode == STORE_EXPUNGE_IMMEDIATE;

    totals_remove(h, &record);
    h->replaced = old->number + 1;
    h->replaced_modseq = modseq;
    h->replaced_generation = m->generation + 1;
    h->replaced_system = RECORD_EXPUNGED | (unlink ? RECORD_UNLINKED : 0u);
    replace_apply(h, old->number, &record);
    totals_add_expunged(h, &record, old->number);
    ring_push(h, old->number);
}

void replace_finish(struct mailbox *m, const struct replaced *old)
{
    struct mailbox_record record = old->record;

    if (replace_apply(&m->header, old->number, &record) && records_write(m, old->number, 1, &record) == 0 &&
        (record.system & RECORD_UNLINKED))
        message_file_unlink(m, record.uid);
}

bool replace_apply(const struct mailbox_header *h, uint32_t number, struct mailbox_record *record)
{
    if (h->replaced != number + 1 || (record->system & RECORD_EXPUNGED))
        return false;
    record->system |= h->replaced_system;
    record->modseq = h->replaced_modseq;
    record->last_updated = h->last_append;
    return true;
}

bool replace_look(struct mailbox *m, uint64_t synced)
{
    struct mailbox_record record;
    uint64_t bad = 0;

    if (m->next.replaced == 0)
        return false;
    if (synced > m->next.replaced_generation) {
        m->next.replaced = 0;
        return false;
    }
    return records_read_raw(m->fd, m->next.replaced - 1, 1, &record, &bad, NULL) != 1 || bad != 0 ||
           !(record.system & RECORD_EXPUNGED);
}
