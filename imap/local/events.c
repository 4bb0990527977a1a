/* events.c: what happens to messages here, told to the scripts of their mailboxes (RFC 6785). */
#include <stdlib.h>
#include <string.h>

#include "imap/local/local-private.h"
#include "imap/login/login.h"
#include "imap/sievehost/imapsieve.h"
#include "lib/base/mem.h"

struct before {
    uint32_t uid, system;
    unsigned char user[USER_FLAGS_BYTES];
};

struct local_flags {
    struct before *messages;
    size_t count, room;
};

static bool is_wanted(const struct local_leg *l, const char *id)
{
    return l->env->sieve != NULL && !l->leg.client->is_script && imapsieve_is_set(l->leg.client->list, id);
}

static void submit(const struct local_leg *l, const char *cause, const char *id, const char *name,
                   const struct imapsieve_message *messages, size_t count)
{
    const struct client *c = l->leg.client;
    const struct imapsieve_event event = {.cause = cause,
                                          .userid = c->identity->userid,
                                          .session = c->login->id,
                                          .mailbox = name,
                                          .id = id,
                                          .messages = messages,
                                          .count = count};

    if (count > 0)
        imapsieve_submit(l->env->sieve, &event);
}

void local_event_new(const struct local_leg *l, const struct command *cmd,
                     const struct mboxlist_record *record, const struct uid_set *uids)
{
    bool is_copy = cmd->def->id == COMMAND_COPY || cmd->def->id == COMMAND_MOVE;
    struct imapsieve_message *messages;
    size_t n = 0;

    if (!is_wanted(l, record->id))
        return;
    messages = xcalloc(uid_set_size(uids), sizeof(*messages));
    for (size_t i = 0; i < uids->count; i++)
        for (uint32_t uid = uids->ranges[i].first; uid <= uids->ranges[i].last; uid++)
            messages[n++] = (struct imapsieve_message){uid, ""};
    submit(l, is_copy ? "COPY" : "APPEND", record->id, record->name, messages, n);
    free(messages);
}

/* ---- flags ---- */

static void submit_flags(const struct local_leg *l, const struct imapsieve_message *messages, size_t count)
{
    struct pool *pool = pool_new(0);
    struct mboxlist_record record;

    if (mboxlist_lookup_id(l->leg.client->list, l->id, pool, &record) == 0)
        submit(l, "FLAG", l->id, record.name, messages, count);
    pool_free(&pool);
}

void local_event_seen(const struct local_leg *l, const struct uid_set *uids)
{
    struct imapsieve_message *messages;
    size_t n = 0;

    if (uid_set_size(uids) == 0 || !is_wanted(l, l->id))
        return;
    messages = xcalloc(uid_set_size(uids), sizeof(*messages));
    for (size_t i = 0; i < uids->count; i++)
        for (uint32_t uid = uids->ranges[i].first; uid <= uids->ranges[i].last; uid++)
            messages[n++] = (struct imapsieve_message){uid, "\\Seen"};
    submit_flags(l, messages, n);
    free(messages);
}

static void note(struct local_flags *f, const struct mailbox_record *record)
{
    struct before *b;

    if (f->count == f->room) {
        f->room = f->room * 2 + LOCAL_BATCH;
        f->messages = xreallocarray(f->messages, f->room, sizeof(*f->messages));
    }
    b = &f->messages[f->count++];
    b->uid = record->uid;
    b->system = record->system;
    memcpy(b->user, record->user, sizeof(b->user));
}

struct local_flags *local_flags_note(struct local_leg *l, const struct seqset *seqs)
{
    struct local_walk walk = {.seqs = *seqs};
    struct view_message messages[LOCAL_BATCH];
    struct local_flags *f;
    uint32_t count;

    if (!is_wanted(l, l->id))
        return NULL;
    f = xcalloc(1, sizeof(*f));
    while (local_walk_next(l, &walk, messages, &count) == 0 && count > 0)
        for (uint32_t i = 0; i < count; i++)
            note(f, &messages[i].record);
    return f;
}

/* The names of the flags that differ, in the pool, or what they were of the message before; "": none. */
static const char *difference(struct pool *pool, struct mailbox *mailbox, const struct before *before,
                              const struct mailbox_record *after, const char *last)
{
    struct mailbox_record changed = *after;
    struct buf words = BUF_INIT;
    const char *kept;

    changed.system ^= before->system;
    for (size_t i = 0; i < USER_FLAGS_BYTES; i++)
        changed.user[i] ^= before->user[i];
    local_put_flags(mailbox, &changed, false, &words);
    kept = strcmp(buf_cstr(&words), last) == 0 ? last : pool_strdup(pool, buf_cstr(&words));
    buf_free(&words);
    return kept;
}

void local_flags_tell(struct local_leg *l, struct local_flags **flags)
{
    struct local_flags *f = *flags;
    struct imapsieve_message *messages;
    struct pool *pool;
    struct mailbox *mailbox;
    struct view_message now;
    size_t n = 0;

    if (f == NULL)
        return;
    *flags = NULL;
    pool = pool_new(0);
    messages = pool_alloc(pool, (f->count + 1) * sizeof(*messages));
    for (size_t i = 0; i < f->count && view_mailbox(l->view, &mailbox) == 0; i++) {
        messages[n].uid = f->messages[i].uid;
        if (view_read_uid(l->view, messages[n].uid, &now) < 0)
            continue;
        messages[n].flags =
            difference(pool, mailbox, &f->messages[i], &now.record, n > 0 ? messages[n - 1].flags : "");
        n += *messages[n].flags != '\0';
    }
    submit_flags(l, messages, n);
    pool_free(&pool);
    free(f->messages);
    free(f);
}
