/* copy.c: COPY and MOVE between mailboxes of this server, and the source of a copy to another. */
#include <stdlib.h>
#include <string.h>

#include "imap/local/annotate.h"
#include "imap/local/local-private.h"
#include "imap/store/copy.h"
#include "imap/store/expunge.h"
#include "imap/store/message.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/mail/date.h"
#include "lib/name/identity.h"
#include "lib/stream/stream.h"

enum { READ_SIZE = 32 * 1024 };

/* ---- COPY, MOVE ---- */

int local_may_expunge(struct leg *leg)
{
    struct local_leg *l = (struct local_leg *)leg;
    rights_t needs = ACL_DELETE_MSG | ACL_EXPUNGE;

    if (view_is_read_only(l->view))
        return ERR_READONLY;
    return (l->rights & needs) == needs ? 0 : ERR_DENIED;
}

/* MOVE within one quota root adds nothing to it: who is at the limit must be able to put mail into the trash. */
static enum quota_mode quota_for(const struct local_leg *l, bool is_move, const struct mailbox *to)
{
    struct mailbox *from;

    if (!is_move || view_mailbox(l->view, &from) < 0)
        return QUOTA_STRICT;
    return strcmp(mailbox_header(from)->quota_root, mailbox_header(to)->quota_root) == 0 ? QUOTA_IGNORE
                                                                                         : QUOTA_STRICT;
}

/* Copies; *result_r is to be freed. */
static int copy(struct local_leg *l, const struct uid_set *uids, const struct local_mailbox *to, bool is_move,
                struct copy_result *result_r)
{
    struct mailbox_reader reader;
    struct copy_options options;
    struct mailbox *mailbox;
    int r = local_open(l, to, &mailbox);

    if (r < 0)
        return r;
    reader = local_reader(l, to->record.name, mailbox_header(mailbox));
    options = (struct copy_options){.quota = quota_for(l, is_move, mailbox),
                                    .may_seen = (to->rights & ACL_SEEN) != 0,
                                    .may_deleted = (to->rights & ACL_DELETE_MSG) != 0,
                                    .may_flags = (to->rights & ACL_WRITE) != 0,
                                    .reader = &reader,
                                    .may_annotate = (to->rights & ACL_ANNOTATE) != 0,
                                    .annotator = (to->rights & ACL_READ) != 0 && (l->rights & ACL_READ) != 0
                                                     ? l->leg.client->identity->userid
                                                     : NULL};
    r = copy_messages(l->view, uids, mailbox, &options, result_r);
    mailbox_close(&mailbox);
    return r;
}

static const char *copyuid(struct command *cmd, const struct copy_result *result)
{
    struct buf b = BUF_INIT;
    const char *code;

    buf_printf(&b, "COPYUID %u ", result->uidvalidity);
    uid_set_format(&result->source, &b);
    buf_putc(&b, ' ');
    uid_set_format(&result->destination, &b);
    code = pool_strdup(cmd->pool, buf_cstr(&b));
    buf_free(&b);
    return code;
}

/* The copies are safe: MOVE tells where they are, then expunges (RFC 6851 4.3). */
static enum step finish(struct command *cmd, const struct copy_result *result)
{
    struct local_leg *l = local_of(cmd);
    struct expunge_what what = {&result->source, true};
    const char *code;
    int r;

    if (uid_set_size(&result->source) == 0)
        return command_ok(cmd, NULL, "No matching messages");
    code = copyuid(cmd, result);
    if (cmd->def->id == COMMAND_COPY)
        return command_ok(cmd, code, "Completed");
    stream_printf(cmd->client->stream, "* OK [%s] Completed\r\n", code);
    r = expunge_messages(l->view, &what, NULL);
    l->tell_modseq = l->tell_modseq || local_enabled(l, ENABLED_QRESYNC); /* RFC 6851 4.4 */
    return r < 0 ? command_error(cmd, r) : command_ok(cmd, NULL, "Completed");
}

/* Reads set and destination; 0, or the answer has been made. */
static int parse(struct command *cmd, const char **set_r, struct local_mailbox *to)
{
    struct imap_args args;
    const char *external, *internal;
    int r;

    command_args(cmd, &args);
    if (imap_args_seqset(&args, set_r) < 0 || imap_args_space(&args) < 0 ||
        imap_args_mailbox(&args, &external) < 0 || imap_args_end(&args) < 0) {
        command_bad(cmd, "%s", imap_args_error(&args));
        return ERR_SYNTAX;
    }
    r = client_name_in(cmd->client, cmd->pool, external, &internal);
    if (r == 0)
        r = local_lookup_with(cmd, internal, ACL_INSERT, to);
    if (r == ERR_NOTFOUND)
        command_no(cmd, "TRYCREATE", "Mailbox does not exist");
    else if (r < 0)
        command_error(cmd, r);
    return r;
}

enum step local_copy(struct command *cmd)
{
    struct local_leg *l = local_of(cmd);
    struct copy_result result = {0};
    struct local_mailbox to;
    struct uid_set uids;
    const char *set;
    enum step s;
    int r;

    if (parse(cmd, &set, &to) < 0)
        return STEP_DONE;
    if (cmd->def->id == COMMAND_MOVE && (r = local_may_expunge(&l->leg)) < 0)
        return command_error(cmd, r);
    r = local_uids(l, cmd->pool, set, cmd->uid, &uids);
    if (r == ERR_SYNTAX)
        return command_bad(cmd, "Invalid message sequence number");
    if (r == 0)
        r = copy(l, &uids, &to, cmd->def->id == COMMAND_MOVE, &result);
    uid_set_free(&uids);
    if (r == 0)
        local_event_new(l, cmd, &to.record, &result.destination);
    s = r < 0 ? command_error(cmd, r) : finish(cmd, &result);
    copy_result_free(&result);
    return s;
}

/* ---- the source of a copy to another server ---- */

struct leg_source {
    struct local_leg *l;
    struct pool *pool;
    struct local_walk walk;
    struct view_message batch[LOCAL_BATCH];
    uint32_t count, next;
    struct message *message;
    uint64_t offset, size;
    struct buf flags;
    char date[MAIL_DATE_SIZE];
    char data[READ_SIZE];
    struct pool *told; /* of the annotations of the last message */
    struct annotate_list annotations;
};

int local_source_open(struct leg *leg, struct command *cmd, const char *set, bool uid,
                      struct leg_source **source_r)
{
    struct leg_source *s = xcalloc(1, sizeof(*s));

    (void)cmd;
    *source_r = s;
    s->l = (struct local_leg *)leg;
    s->pool = pool_new(0);
    s->told = pool_new(0);
    return local_seqs(s->l, s->pool, set, uid, &s->walk.seqs);
}

/* Those that the user may know of; what cannot be read is lost. */
static const struct annotate_list *annotations_of(struct leg_source *s, const struct view_message *m)
{
    const char *userid = s->l->leg.client->identity->userid;
    struct annotate_items items;

    pool_reset(s->told);
    s->annotations = (struct annotate_list){0};
    if (m->record.annotation_size == 0 || annotate_read_view(s->l->view, m, s->told, &items) < 0)
        return NULL;
    s->annotations.values = pool_alloc(s->told, (items.count + 1) * sizeof(*s->annotations.values));
    for (size_t i = 0; i < items.count; i++) {
        const struct annotate_item *item = &items.items[i];
        bool is_private = *item->owner != '\0';

        if (item->value != NULL && (!is_private || strcmp(item->owner, userid) == 0))
            s->annotations.values[s->annotations.count++] =
                (struct annotate_value){item->entry, is_private, item->value, item->len};
    }
    return &s->annotations;
}

static int describe(struct leg_source *s, struct mailbox *mailbox, const struct mailbox_record *record,
                    struct leg_message *message_r)
{
    int fd;

    buf_reset(&s->flags);
    local_put_flags(mailbox, record, false, &s->flags);
    mail_date_time_format(s->date, record->internal_date, record->internal_zone);
    s->offset = 0;
    s->size = record->size;
    *message_r = (struct leg_message){record->uid, buf_cstr(&s->flags), s->date, record->size, NULL};
    fd = message_fd(s->message);
    return fd < 0 ? fd : 0;
}

int local_source_uids(struct leg_source *s, struct seqset *uids)
{
    struct uid_set found = {0};
    int r = 0;

    for (size_t i = 0; r == 0 && i < s->walk.seqs.count; i++)
        r = view_seqs_to_uids(s->l->view, s->walk.seqs.ranges[i].first, s->walk.seqs.ranges[i].last, &found);
    for (size_t i = 0; r == 0 && i < found.count; i++)
        seqset_add_range(uids, found.ranges[i].first, found.ranges[i].last);
    uid_set_free(&found);
    return r;
}

int local_source_next(struct leg_source *s, struct leg_message *message_r)
{
    const struct view_message *m;
    struct mailbox *mailbox;
    int r;

    message_close(&s->message);
    if (s->next == s->count) {
        s->next = 0;
        r = local_walk_next(s->l, &s->walk, s->batch, &s->count);
        if (r < 0)
            return r;
        if (s->count == 0)
            return ERR_EOF;
    }
    r = view_mailbox(s->l->view, &mailbox);
    if (r < 0)
        return r;
    m = &s->batch[s->next++];
    message_open(mailbox, m->number, &m->record, &s->message);
    r = describe(s, mailbox, &m->record, message_r);
    message_r->annotations = annotations_of(s, m);
    return r;
}

int local_source_read(struct leg_source *s, const char **data_r, size_t *len_r)
{
    int64_t n;

    if (s->offset == s->size)
        return ERR_EOF;
    n = message_read(s->message, s->offset, s->data, sizeof(s->data));
    if (n < 0)
        return (int)n;
    if (n == 0)
        return ERR_CORRUPT; /* the file is shorter than its record says */
    if ((uint64_t)n > s->size - s->offset)
        n = (int64_t)(s->size - s->offset);
    s->offset += (uint64_t)n;
    *data_r = s->data;
    *len_r = (size_t)n;
    return 0;
}

void local_source_close(struct leg_source **source)
{
    struct leg_source *s = *source;

    if (s == NULL)
        return;
    message_close(&s->message);
    buf_free(&s->flags);
    pool_free(&s->told);
    pool_free(&s->pool);
    free(s);
    *source = NULL;
}
