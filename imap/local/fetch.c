/* fetch.c: FETCH's answers (RFC 3501 6.4.5, 7.4.2).
 *
 * A batch of records is read at once, with its cache entries.  What the cache has is copied as it stands; what
 * needs the message file is streamed, however long, and yields when the output is full. */
#include "imap/local/fetch.h"

#include <stdlib.h>
#include <string.h>

#include "imap/local/annotate.h"
#include "imap/local/fetch-binary.h"
#include "imap/local/local-private.h"
#include "imap/local/preview.h"
#include "imap/store/flags.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/imapwire/out.h"
#include "lib/mail/date.h"
#include "lib/mail/header.h"
#include "lib/name/identity.h"
#include "lib/stream/stream.h"

enum {
    HEADER_MAX = 16 * 1024 * 1024, /* bytes of a header that fields are selected from */
    LAZY_MAX = 100,                /* PREVIEW (LAZY) of one command */
};

struct fetch {
    struct fetch_items items;
    struct local_walk walk;

    struct view_message messages[LOCAL_BATCH];
    bool now_seen[LOCAL_BATCH]; /* \Seen was set by this command: its flags are told */
    uint32_t count, next;       /* of the batch: how many, the one being answered */
    struct message_batch *batch;

    struct fetch_item *item; /* the one being written */
    bool begun;              /* "* n FETCH (" is out */
    uint64_t offset, left;   /* of a literal being streamed from the file */
    struct buf line;         /* what is not handed to the stream yet */
    struct fetch_binary binary;
    bool expunged;         /* the file of some message was gone */
    int error;             /* why some message could not be read; 0: all could */
    bool damaged;          /* the annotations of some message cannot be read */
    bool no_part;          /* an annotation was asked for of a part that some message does not have */
    bool unknown_encoding; /* some message has a part that cannot be decoded */
    bool done;             /* there are no more batches */
    unsigned lazy;         /* previews that were asked for LAZY and made */
    struct uid_set
        known; /* VANISHED: what of these is gone is looked for, then told first, from this range on */
    struct view_vanished vanished;
    bool vanishing;
    size_t gone_next;
};

static void fetch_cleanup(struct command *cmd)
{
    struct fetch *f = cmd->state;

    fetch_binary_end(&f->binary);
    fetch_items_free(&f->items);
    message_batch_close(&f->batch);
    buf_free(&f->line);
    uid_set_free(&f->known);
    uid_set_free(&f->vanished.gone);
}

static void hand_over(struct command *cmd, struct fetch *f)
{
    stream_write(cmd->client->stream, f->line.data, f->line.len);
    buf_reset(&f->line);
}

/* ---- items ---- */

static void put_literal(struct buf *to, const char *data, size_t n)
{
    buf_printf(to, "{%zu}\r\n", n);
    buf_append(to, data, n);
}

/* The part of n bytes that a partial fetch means. */
static void cut_partial(const struct fetch_item *item, uint64_t *start, uint64_t *size)
{
    uint64_t skip = item->has_partial ? item->partial_start : 0;

    if (skip > *size)
        skip = *size;
    *start += skip;
    *size -= skip;
    if (item->has_partial && *size > item->partial_size)
        *size = item->partial_size;
}

static void put_selected(const struct fetch_item *item, const char *header, size_t n, struct buf *to)
{
    struct buf chosen = BUF_INIT;
    uint64_t start = 0, size;

    mail_header_select(header, n, item->section.fields, item->section.field_count,
                       item->section.what == MAIL_SECTION_FIELDS_NOT, &chosen);
    size = chosen.len;
    cut_partial(item, &start, &size);
    put_literal(to, buf_cstr(&chosen) + start, (size_t)size);
    buf_free(&chosen);
}

/* Reads the whole of a range into memory. */
static int read_range(struct message *message, const struct mail_range *range, struct buf *to)
{
    int64_t n;

    if (range->size > HEADER_MAX)
        return ERR_TOOBIG;
    n = message_read(message, range->start, buf_reserve(to, (size_t)range->size), (size_t)range->size);
    if (n < 0)
        return (int)n;
    buf_added(to, (size_t)n);
    return 0;
}

static int put_fields(struct message *message, const struct fetch_item *item, const struct mail_range *range,
                      struct buf *to)
{
    struct buf header = BUF_INIT;
    int r = read_range(message, range, &header);

    if (r == 0)
        put_selected(item, header.data, header.len, to);
    buf_free(&header);
    return r;
}

/* Where the section lies; the whole message needs no table. */
static int locate(struct fetch *f, struct message *message, const struct fetch_item *item,
                  struct mail_range *range_r)
{
    const struct mail_section *s = &item->section;
    const char *table;
    size_t n;
    int r;

    if (s->depth == 0 && s->what == MAIL_SECTION_ALL) {
        *range_r = (struct mail_range){0, f->messages[f->next].record.size};
        return 0;
    }
    r = message_item(message, CACHE_PARTS, &table, &n);
    return r < 0 ? r : mail_section_locate(table, n, s, range_r);
}

/* Announces a literal of the file; its bytes are streamed by later steps. */
static int begin_literal(struct fetch *f, struct message *message, const struct fetch_item *item,
                         struct mail_range range)
{
    int fd;

    cut_partial(item, &range.start, &range.size);
    fd = range.size > 0 ? message_fd(message) : 0;
    if (fd < 0)
        return fd;
    buf_printf(&f->line, "%s {%llu}\r\n", item->name, (unsigned long long)range.size);
    f->offset = range.start;
    f->left = range.size;
    return 0;
}

static int put_section(struct fetch *f, struct message *message, const struct fetch_item *item)
{
    size_t begin = f->line.len, n;
    struct mail_range range;
    const char *header;
    int r;

    if (item->cached_fields && message_item(message, CACHE_HEADERS, &header, &n) == 0) {
        buf_printf(&f->line, "%s ", item->name);
        put_selected(item, header, n, &f->line);
        return 0;
    }
    r = locate(f, message, item, &range);
    if (r == 0 && item->section.fields == NULL)
        return begin_literal(f, message, item, range);
    buf_printf(&f->line, "%s ", item->name);
    if (r == 0)
        r = put_fields(message, item, &range, &f->line);
    if (r == ERR_NOTFOUND || r == ERR_TOOBIG) {
        buf_puts(&f->line, "NIL");
        return 0;
    }
    if (r < 0)
        buf_truncate(&f->line, begin);
    return r;
}

static int put_binary(struct fetch *f, struct message *message, const struct fetch_item *item)
{
    int r = fetch_binary_begin(&f->binary, message, f->messages[f->next].record.size, item);

    if (r == ERR_NOTFOUND)
        buf_printf(&f->line, "%s %s", item->name, item->kind == FETCH_BINARY ? "NIL" : "0");
    return r == ERR_NOTFOUND ? 0 : r;
}

static int put_cached(struct fetch *f, struct message *message, const struct fetch_item *item)
{
    const char *data;
    size_t n;
    int r = message_item(message, item->cached, &data, &n);

    if (r < 0)
        return r;
    buf_printf(&f->line, "%s ", item->name);
    buf_append(&f->line, data, n);
    return 0;
}

static int put_flags(struct local_leg *l, struct fetch *f, const struct view_message *m)
{
    struct mailbox *mailbox;
    int r = view_mailbox(l->view, &mailbox);

    if (r < 0)
        return r;
    buf_puts(&f->line, "FLAGS (");
    local_put_flags(mailbox, &m->record, local_tells_recent(l, m), &f->line);
    buf_putc(&f->line, ')');
    return 0;
}

/* A list that asks for more LAZY ones than a screen shows gets NIL for the rest: each may be a read of the disk. */
static int put_preview(struct fetch *f, struct message *message, const struct fetch_item *item)
{
    struct buf text = BUF_INIT;
    int r;

    if (item->lazy && f->lazy == LAZY_MAX) {
        buf_puts(&f->line, "PREVIEW NIL");
        return 0;
    }
    f->lazy += item->lazy;
    r = preview_of(message, &text);
    if (r == 0) {
        buf_puts(&f->line, "PREVIEW ");
        imap_put_string(&f->line, buf_cstr(&text), text.len);
    }
    buf_free(&text);
    return r;
}

/* RFC 5257 section 3.2.1: of parts that are not there nothing may be asked. */
static int check_parts(struct fetch *f, struct message *message, const struct fetch_item *item)
{
    const char *part;
    size_t i = 0;

    while ((part = annotate_wants_part(item->annotations, &i)) != NULL) {
        int r = annotate_has_part(message, part);

        if (r < 0)
            return r;
        f->no_part = f->no_part || r == 0;
    }
    return 0;
}

/* Where there is nothing to tell the UID stands in its place, since an answer cannot be empty. */
static int put_annotations(struct local_leg *l, struct fetch *f, struct message *message,
                           const struct fetch_item *item)
{
    const struct view_message *m = &f->messages[f->next];
    struct pool *pool = pool_new(0);
    struct annotate_items items;
    int r = check_parts(f, message, item);

    if (r == 0)
        r = annotate_read_view(l->view, m, pool, &items);
    if (r == ERR_CORRUPT) { /* of the message all else is there */
        f->damaged = true;
        r = 0;
    }
    if (r == 0 && !annotate_wants_put(item->annotations, &items, l->leg.client->identity->userid, &f->line)) {
        if (f->line.len > 0 && f->line.data[f->line.len - 1] == ' ')
            buf_truncate(&f->line, f->line.len - 1);
        else
            buf_printf(&f->line, "UID %u", m->record.uid);
    }
    pool_free(&pool);
    return r;
}

static int put_item(struct local_leg *l, struct fetch *f, const struct fetch_item *item)
{
    const struct view_message *m = &f->messages[f->next];
    struct message *message = message_batch_get(f->batch, f->next);
    char date[MAIL_DATE_SIZE];

    switch (item->kind) {
    case FETCH_FLAGS:
        return put_flags(l, f, m);
    case FETCH_UID:
        buf_printf(&f->line, "UID %u", m->record.uid);
        return 0;
    case FETCH_INTERNALDATE:
        mail_date_time_format(date, m->record.internal_date, m->record.internal_zone);
        buf_printf(&f->line, "INTERNALDATE \"%s\"", date);
        return 0;
    case FETCH_SIZE:
        buf_printf(&f->line, "RFC822.SIZE %llu", (unsigned long long)m->record.size);
        return 0;
    case FETCH_MODSEQ:
        local_put_modseq(l, m->record.modseq, &f->line);
        return 0;
    case FETCH_EMAILID:
        buf_puts(&f->line, "EMAILID (");
        local_put_emailid(&m->record, &f->line);
        buf_putc(&f->line, ')');
        return 0;
    case FETCH_THREADID:
        buf_puts(&f->line, "THREADID ");
        local_put_threadid(&m->record, &f->line);
        return 0;
    case FETCH_SAVEDATE:
        mail_date_time_format(date, m->record.save_date, 0);
        buf_printf(&f->line, "SAVEDATE \"%s\"", date);
        return 0;
    case FETCH_PREVIEW:
        return put_preview(f, message, item);
    case FETCH_ANNOTATION:
        return put_annotations(l, f, message, item);
    case FETCH_CACHED:
        return put_cached(f, message, item);
    case FETCH_SECTION:
        return put_section(f, message, item);
    case FETCH_BINARY:
    case FETCH_BINARY_SIZE:
        return put_binary(f, message, item);
    }
    return 0;
}

/* ---- one message ---- */

static void begin_message(const struct local_leg *l, struct fetch *f, bool uid)
{
    f->begun = true;
    f->item = f->items.first;
    local_put_fetch(l, &f->messages[f->next], uid, &f->line);
}

/* What was not asked for: \Seen was set, so the flags are told. */
static void put_now_seen(struct local_leg *l, struct fetch *f)
{
    const struct view_message *m = &f->messages[f->next];

    if (!f->items.flags && put_flags(l, f, m) == 0)
        buf_putc(&f->line, ' ');
    if (!f->items.modseq && local_enabled(l, ENABLED_CONDSTORE)) {
        local_put_modseq(l, m->record.modseq, &f->line);
        buf_putc(&f->line, ' ');
    }
}

/* Every item has left a blank behind it. */
static void end_message(struct command *cmd, struct fetch *f)
{
    if (f->now_seen[f->next])
        put_now_seen(local_of(cmd), f);
    buf_truncate(&f->line, f->line.len - 1);
    buf_puts(&f->line, ")\r\n");
    hand_over(cmd, f);
    f->begun = false;
    f->next++;
}

/* A message whose file is gone, or cannot be read: nothing of it may be out yet, or the session cannot go on. */
static int lose_message(struct command *cmd, struct fetch *f, int error, bool partly_told)
{
    if (error == ERR_EXPUNGED) {
        f->expunged = true;
    } else {
        if (f->error == 0)
            LOG(LOG_ERR, IMAP_MESSAGE, LOG_STR(MAILBOX, cmd->client->selected_name),
                LOG_INT(UID, f->messages[f->next].record.uid), LOG_ERROR(error));
        f->error = error;
    }
    if (partly_told) {
        client_bye(cmd->client, NULL,
                   error == ERR_EXPUNGED ? "Message is no longer there"
                                         : "Message cannot be read to its end");
        return error;
    }
    buf_reset(&f->line);
    f->begun = false;
    f->next++;
    return 0;
}

/* Bytes of a literal, as many as the output takes: 0 when it is complete. */
static int stream_literal(struct command *cmd, struct fetch *f)
{
    int fd = message_fd(message_batch_get(f->batch, f->next));
    int64_t n;

    hand_over(cmd, f);
    n = fd < 0 ? fd : stream_write_file(cmd->client->stream, fd, (int64_t)f->offset, (int64_t)f->left);
    if (n < 0)
        return lose_message(cmd, f, (int)n, true);
    f->offset += (uint64_t)n;
    f->left -= (uint64_t)n;
    return f->left > 0 ? ERR_AGAIN : 0;
}

/* Goes on with a part that is decoded, as stream_literal(). */
static int run_binary(struct command *cmd, struct fetch *f, bool *told)
{
    int r = fetch_binary_run(&f->binary, &f->line, cmd->client->stream);

    *told = *told || f->line.len == 0;
    if (r == ERR_AGAIN || r == 0)
        return r;
    f->binary.item = NULL;
    f->item = NULL;
    r = lose_message(cmd, f, r, *told);
    return r == 0 ? ERR_AGAIN : r;
}

/* A message with a part of an unknown encoding is left out, and the command fails (RFC 3516 4.3). */
static bool may_decode(struct local_leg *l, struct fetch *f)
{
    struct message *message = message_batch_get(f->batch, f->next);
    struct mailbox *mailbox;
    bool may = true;

    if (!f->items.binary)
        return true;
    for (const struct fetch_item *item = f->items.first; item != NULL && may; item = item->next)
        if (item->kind == FETCH_BINARY || item->kind == FETCH_BINARY_SIZE)
            may = fetch_binary_check(message, item) != ERR_UNSUPPORTED;
    if (may)
        return true;
    f->unknown_encoding = true;
    if (f->now_seen[f->next] && view_mailbox(l->view, &mailbox) == 0)
        local_tell_message(l, mailbox, &f->messages[f->next], LOCAL_TELL_UID | LOCAL_TELL_FLAGS);
    f->next++;
    return false;
}

/* RFC 7162 3.2.4, RFC 9051 7.5.2: with flags that were not asked for. */
static bool tells_uid(struct command *cmd, const struct fetch *f)
{
    const struct local_leg *l = local_of(cmd);

    return f->now_seen[f->next] &&
           (local_enabled(l, ENABLED_CONDSTORE) || local_enabled(l, ENABLED_IMAP4REV2));
}

/* Goes on with the message under way: 0 when its answer is complete (or it is lost). */
static int write_message(struct command *cmd, struct fetch *f)
{
    bool told = f->begun && f->line.len == 0;
    int r;

    if (!f->begun && !may_decode(local_of(cmd), f))
        return 0;
    if (!f->begun)
        begin_message(local_of(cmd), f, !f->items.uid && (cmd->uid || tells_uid(cmd, f)));
    while (f->item != NULL || f->left > 0 || f->binary.item != NULL) {
        if (f->left > 0) {
            r = stream_literal(cmd, f);
            told = true;
        } else if (f->binary.item != NULL) {
            r = run_binary(cmd, f, &told);
        } else {
            r = put_item(local_of(cmd), f, f->item);
            if (r < 0 && r != ERR_AGAIN)
                return lose_message(cmd, f, r, told);
            f->item = f->item->next;
        }
        if (r < 0)
            return r;
        if (f->left == 0 && f->binary.item == NULL)
            buf_putc(&f->line, ' ');
    }
    end_message(cmd, f);
    return 0;
}

/* ---- batches ---- */

/* The mod-sequences that the messages have now, a private reader's too. */
static int read_modseqs(struct local_leg *l, struct fetch *f)
{
    int r = view_write_seen(l->view);

    for (uint32_t i = 0; r == 0 && i < f->count; i++) {
        struct view_message now;
        uint32_t got;

        if (!f->now_seen[i])
            continue;
        r = view_read(l->view, f->messages[i].seq, 1, &now, &got);
        if (r == 0 && got == 1)
            f->messages[i].record.modseq = now.record.modseq;
    }
    return r;
}

/* Sets \Seen on the messages of the batch that lack it, at once. */
static int set_seen(struct local_leg *l, struct fetch *f)
{
    struct uid_set uids = {0};
    uint64_t before, after;
    int r = 0;

    for (uint32_t i = 0; i < f->count; i++) {
        struct mailbox_record *record = &f->messages[i].record;

        f->now_seen[i] = f->items.sets_seen && (record->system & RECORD_SEEN) == 0;
        if (f->now_seen[i] && r == 0)
            r = uid_set_add(&uids, record->uid, record->uid);
    }
    if (r == 0 && uids.count > 0)
        r = flags_set_seen(l->view, &uids, &before, &after);
    if (r == ERR_DISKFULL || r == ERR_ROFS) { /* what can be read is read all the same */
        LOG(LOG_ERR, IMAP_SEEN, LOG_STR(MAILBOX, l->leg.client->selected_name), LOG_ERROR(r));
        f->items.sets_seen = false;
        memset(f->now_seen, 0, sizeof(f->now_seen));
        uid_set_free(&uids);
        return 0;
    }
    if (r == 0 && uids.count > 0) {
        view_absorb(l->view, before, after);
        local_event_seen(l, &uids);
    }
    for (uint32_t i = 0; r == 0 && i < f->count; i++)
        if (f->now_seen[i])
            f->messages[i].record.system |= RECORD_SEEN;
    if (r == 0 && uids.count > 0 && local_enabled(l, ENABLED_CONDSTORE))
        r = read_modseqs(l, f);
    uid_set_free(&uids);
    return r;
}

static int open_batch(struct local_leg *l, struct fetch *f)
{
    struct mailbox_record records[LOCAL_BATCH];
    uint32_t numbers[LOCAL_BATCH];
    struct mailbox *mailbox;
    int r = view_mailbox(l->view, &mailbox);

    for (uint32_t i = 0; i < f->count; i++) {
        records[i] = f->messages[i].record;
        numbers[i] = f->messages[i].number;
    }
    if (r < 0)
        return r;
    if (f->batch == NULL)
        return message_batch_open(mailbox, records, numbers, f->count, &f->batch);
    message_batch_refill(f->batch, mailbox, records, numbers, f->count);
    return 0;
}

/* CHANGEDSINCE: leaves the others out. */
static void keep_changed(struct fetch *f)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < f->count; i++)
        if (f->messages[i].record.modseq > f->items.changed_since)
            f->messages[kept++] = f->messages[i];
    f->count = kept;
}

/* The next messages, of which it may leave none; at the end f->done. */
static int next_batch(struct local_leg *l, struct fetch *f)
{
    int r;

    f->next = 0;
    memset(f->now_seen, 0, sizeof(f->now_seen));
    r = local_walk_next(l, &f->walk, f->messages, &f->count);
    f->done = f->count == 0;
    if (r == 0 && f->items.changed_since != 0)
        keep_changed(f);
    if (r == 0 && f->items.sets_seen)
        r = set_seen(l, f);
    return r == 0 && f->count > 0 ? open_batch(l, f) : r;
}

static enum step answer(struct command *cmd, const struct fetch *f)
{
    if (f->expunged)
        return command_no(cmd, "EXPUNGEISSUED", "Some of the messages no longer exist");
    if (f->no_part)
        return command_bad(cmd, "Annotations of a part that a message does not have");
    if (f->error != 0)
        return command_error(cmd, f->error);
    if (f->damaged)
        return command_error(cmd, ERR_CORRUPT);
    if (f->unknown_encoding)
        return command_no(cmd, "UNKNOWN-CTE", "Some parts have an unknown encoding");
    return command_ok(cmd, NULL, "Completed");
}

static enum step fetch_step(struct command *cmd)
{
    struct fetch *f = cmd->state;
    int r = 0;

    if (f->vanishing) {
        r = view_vanished_step(&f->vanished, LOCAL_VANISHED_BATCH);
        f->vanishing = r > 0;
        return r < 0 ? command_error(cmd, r) : STEP_MORE;
    }
    if (!local_tell_vanished(local_of(cmd), &f->vanished.gone, &f->gone_next, true))
        return STEP_MORE;
    if (f->next == f->count) {
        r = next_batch(local_of(cmd), f);
        if (r < 0)
            return command_error(cmd, r);
        if (f->done)
            return answer(cmd, f);
    }
    while (f->next < f->count && r == 0 && stream_unsent(cmd->client->stream) < STREAM_OUT_HIGH)
        r = write_message(cmd, f);
    return r < 0 && r != ERR_AGAIN ? command_error(cmd, r) : STEP_MORE;
}

/* Keywords that the answers may show are named first. */
static int prepare(struct local_leg *l, struct fetch *f)
{
    struct mailbox *mailbox;
    int r = view_mailbox(l->view, &mailbox);

    if ((l->rights & ACL_SEEN) == 0 || view_is_read_only(l->view))
        f->items.sets_seen = false;
    if (r == 0 && (f->items.flags || f->items.sets_seen))
        r = local_tell_flags(l, mailbox, false);
    return r;
}

/* RFC 9394 3.3: leaves the messages from the nth to the mth of the set, from its end on if it says so. */
static void keep_partial(struct pool *pool, const struct fetch_items *items, struct seqset *seqs)
{
    uint64_t total = seqset_count(seqs), first = items->partial_first, last = items->partial_last, at = 0;
    struct seqset kept;

    if (items->partial_from_end) {
        uint64_t from = last < total ? total - last + 1 : 1;

        last = first <= total ? total - first + 1 : 0;
        first = from;
    }
    seqset_init(&kept, pool);
    for (size_t i = 0; i < seqs->count; i++) {
        uint64_t n =
            (uint64_t)seqs->ranges[i].last - seqs->ranges[i].first + 1; /* numbered at + 1 to at + n */
        uint64_t low = first > at ? first - at : 1, high = last < at + n ? last - at : n;

        if (last > at && low <= high)
            seqset_add_range(&kept, (uint32_t)(seqs->ranges[i].first + low - 1),
                             (uint32_t)(seqs->ranges[i].first + high - 1));
        at += n;
    }
    *seqs = kept;
}

/* RFC 7162 3.2.6: what is gone of the UIDs asked for. */
static int find_vanished(struct command *cmd, struct fetch *f, const char *set)
{
    struct local_leg *l = local_of(cmd);

    f->vanished =
        (struct view_vanished){.view = l->view, .wanted = &f->known, .since = f->items.changed_since};
    f->vanishing = true;
    return local_known_uids(l, cmd->pool, set, &f->known);
}

static const char *refuse(const struct command *cmd, const struct fetch_items *items)
{
    if ((items->vanished || items->partial_first != 0) && !cmd->uid)
        return "VANISHED and PARTIAL are for UID FETCH";
    if (items->vanished && !enable_is_on(cmd->client, ENABLED_QRESYNC))
        return "QRESYNC has not been enabled";
    return NULL;
}

enum step local_fetch(struct command *cmd)
{
    struct local_leg *l = local_of(cmd);
    struct fetch *f = pool_alloc(cmd->pool, sizeof(*f));
    struct imap_args args;
    const char *set, *why;
    int r;

    cmd->state = f;
    cmd->cleanup = fetch_cleanup;
    command_args(cmd, &args);
    if (imap_args_seqset(&args, &set) < 0 || imap_args_space(&args) < 0 ||
        fetch_parse(&args, cmd->client->is_peer, &f->items) < 0)
        return command_bad(cmd, "%s", imap_args_error(&args));
    why = refuse(cmd, &f->items);
    if (why != NULL)
        return command_bad(cmd, "%s", why);
    if (f->items.modseq)
        enable_on(cmd->client, ENABLED_CONDSTORE);
    r = local_seqs(l, cmd->pool, set, cmd->uid, &f->walk.seqs);
    if (r == ERR_SYNTAX)
        return command_bad(cmd, "Invalid message sequence number");
    if (r == 0 && f->items.partial_first != 0)
        keep_partial(cmd->pool, &f->items, &f->walk.seqs);
    if (r == 0 && f->items.vanished)
        r = find_vanished(cmd, f, set);
    if (r == 0)
        r = prepare(l, f);
    if (r < 0)
        return command_error(cmd, r);
    cmd->step = fetch_step;
    return fetch_step(cmd);
}
