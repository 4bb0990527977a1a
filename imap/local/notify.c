/* notify.c: what NOTIFY (RFC 5465) wants to know of mailboxes of this server. */
#include <string.h>

#include "imap/local/fetch.h"
#include "imap/local/local-private.h"
#include "imap/session/notify.h"
#include "lib/base/error.h"
#include "lib/engine/engine.h"

/* ---- the selected mailbox ---- */

void local_listen(struct leg *leg, bool on)
{
    struct local_leg *l = (struct local_leg *)leg;
    struct session *session = leg->client->session;

    if (on && (!l->watching || session_file_changed(session)))
        local_watch_index(l);
    else if (!on && l->watching)
        local_unwatch_index(l);
}

const char *local_fresh(struct leg *leg, struct pool *pool)
{
    struct local_leg *l = (struct local_leg *)leg;
    uint32_t first = l->fresh;

    l->fresh = 0;
    if (first == 0 || l->view == NULL || l->news != NULL || view_uidnext(l->view) <= first)
        return NULL;
    return pool_printf(pool, "%u:%u", first, view_uidnext(l->view) - 1);
}

int local_fetch_check(struct leg *leg, const char *items)
{
    struct pool *pool = pool_new(0);
    struct fetch_items parsed;
    struct imap_args args;
    int r;

    imap_args_init(&args, pool, items, strlen(items));
    memset(&parsed, 0, sizeof(parsed));
    r = fetch_parse(&args, leg->client->is_peer, &parsed);
    fetch_items_free(&parsed);
    pool_free(&pool);
    return r;
}

/* ---- others ---- */

int local_watch_path(struct leg *leg, const struct mboxlist_record *record, struct buf *path)
{
    struct local_leg *l = (struct local_leg *)leg;
    int r = mailbox_metadata_dir(l->env->store, record->partition, record->id, path);

    if (r == 0)
        buf_puts(path, "/index");
    return r;
}

int local_glance(struct leg *leg, const struct mboxlist_record *record, struct leg_glance *glance_r)
{
    struct local_leg *l = (struct local_leg *)leg;
    const struct local_mailbox m = {.record = *record};
    struct mailbox_reader reader;
    struct mailbox_status status;
    struct mailbox *mailbox;
    int r = local_open(l, &m, &mailbox);

    if (r < 0)
        return r;
    reader = local_reader(l, record->name, mailbox_header(mailbox));
    r = mailbox_status(mailbox, &reader, &status);
    mailbox_close(&mailbox);
    if (r == 0)
        *glance_r = (struct leg_glance){.messages = status.messages,
                                        .uidnext = status.uidnext,
                                        .uidvalidity = status.uidvalidity,
                                        .unseen = status.unseen,
                                        .highest_modseq = status.highest_modseq};
    return r;
}
