/* reader.c: the bytes that a URL names (RFC 5092 section 6), of a message of any mailbox here that the user may read. */
#include <stdlib.h>
#include <string.h>

#include "imap/local/fetch.h"
#include "imap/local/local-private.h"
#include "imap/store/message.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/mail/header.h"
#include "lib/mail/section.h"

enum { READ_SIZE = 32 * 1024, HEADER_MAX = 16 * 1024 * 1024 };

struct leg_reader {
    struct mailbox *mailbox;
    struct message *message;
    struct buf fields; /* of a section that is chosen fields */
    bool is_fields;
    uint64_t offset, left; /* in the file, or in `fields` */
    char data[READ_SIZE];
};

/* The record of a UID.  ERR_NOTFOUND: expunged, or never there. */
static int find(struct mailbox *mailbox, uint32_t uid, uint32_t *number_r, struct mailbox_record *record_r)
{
    int r;

    do {
        r = mailbox_find_uid(mailbox, uid, number_r);
        if (r == 0 && *number_r == mailbox_header(mailbox)->records)
            return ERR_NOTFOUND;
        if (r == 0)
            r = mailbox_read_records(mailbox, *number_r, 1, record_r);
    } while (r == ERR_AGAIN);
    if (r == 0 && (record_r->uid != uid || (record_r->system & RECORD_EXPUNGED) != 0))
        return ERR_NOTFOUND;
    return r;
}

static int open_message(struct leg_reader *rd, const struct leg_piece *piece, uint64_t *size_r)
{
    struct mailbox_record record;
    uint32_t number;
    int r = mailbox_refresh(rd->mailbox);

    if (r == 0 && piece->uidvalidity != 0 && piece->uidvalidity != mailbox_header(rd->mailbox)->uidvalidity)
        return ERR_NOTFOUND;
    if (r == 0)
        r = find(rd->mailbox, piece->uid, &number, &record);
    if (r < 0)
        return r;
    message_open(rd->mailbox, number, &record, &rd->message);
    *size_r = record.size;
    r = message_fd(rd->message); /* it stays there from here on */
    return r == ERR_EXPUNGED ? ERR_NOTFOUND : (r < 0 ? r : 0);
}

static int read_fields(struct leg_reader *rd, const struct mail_section *section,
                       const struct mail_range *range)
{
    struct buf header = BUF_INIT;
    int64_t n = range->size > HEADER_MAX
                    ? ERR_TOOBIG
                    : message_read(rd->message, range->start, buf_reserve(&header, (size_t)range->size),
                                   (size_t)range->size);

    if (n >= 0) {
        buf_added(&header, (size_t)n);
        mail_header_select(header.data, header.len, section->fields, section->field_count,
                           section->what == MAIL_SECTION_FIELDS_NOT, &rd->fields);
        rd->is_fields = true;
        rd->offset = 0;
        rd->left = rd->fields.len;
    }
    buf_free(&header);
    return n < 0 ? (int)n : 0;
}

static int find_section(struct leg_reader *rd, struct command *cmd, const char *text)
{
    struct mail_section section;
    struct mail_range range;
    struct imap_args args;
    const char *table;
    size_t n;
    int r;

    text = pool_printf(cmd->pool, "%s]", text);
    imap_args_init(&args, cmd->pool, text, strlen(text));
    r = fetch_parse_section(&args, &section) < 0 ? ERR_NOTFOUND : 0;
    if (r == 0)
        r = message_item(rd->message, CACHE_PARTS, &table, &n);
    if (r == 0)
        r = mail_section_locate(table, n, &section, &range);
    if (r < 0)
        return r;
    rd->offset = range.start;
    rd->left = range.size;
    return section.fields != NULL ? read_fields(rd, &section, &range) : 0;
}

static void cut_partial(struct leg_reader *rd, const struct leg_piece *piece)
{
    uint64_t skip = piece->offset < rd->left ? piece->offset : rd->left;

    rd->offset += skip;
    rd->left -= skip;
    if (piece->size != 0 && rd->left > piece->size)
        rd->left = piece->size;
}

static int open_piece(struct leg_reader *rd, struct command *cmd, struct local_leg *l,
                      const struct leg_piece *piece, uint64_t *size_r)
{
    struct local_mailbox m;
    int r = local_lookup_with(cmd, piece->mailbox, ACL_READ, &m);

    if (r == 0)
        r = local_open(l, &m, &rd->mailbox);
    if (r == 0)
        r = open_message(rd, piece, &rd->left);
    if (r == 0 && *piece->section != '\0')
        r = find_section(rd, cmd, piece->section);
    if (r < 0)
        return r;
    if (piece->has_partial)
        cut_partial(rd, piece);
    *size_r = rd->left;
    return 0;
}

int local_reader_open(struct leg *leg, struct command *cmd, const struct leg_piece *piece,
                      struct leg_reader **reader_r, uint64_t *size_r)
{
    local_reader_close(reader_r);
    *reader_r = xcalloc(1, sizeof(**reader_r));
    return open_piece(*reader_r, cmd, (struct local_leg *)leg, piece, size_r);
}

int local_reader_read(struct leg_reader *rd, const char **data_r, size_t *len_r)
{
    uint64_t size = rd->left < READ_SIZE ? rd->left : READ_SIZE;
    int64_t n;

    if (size == 0)
        return ERR_EOF;
    if (rd->is_fields) {
        n = (int64_t)size;
        *data_r = rd->fields.data + rd->offset;
    } else {
        n = message_read(rd->message, rd->offset, rd->data, (size_t)size);
        *data_r = rd->data;
    }
    if (n <= 0)
        return n < 0 ? (int)n : ERR_CORRUPT; /* the file is shorter than its record says */
    rd->offset += (uint64_t)n;
    rd->left -= (uint64_t)n;
    *len_r = (size_t)n;
    return 0;
}

void local_reader_close(struct leg_reader **reader)
{
    struct leg_reader *rd = *reader;

    if (rd == NULL)
        return;
    message_close(&rd->message);
    mailbox_close(&rd->mailbox);
    buf_free(&rd->fields);
    free(rd);
    *reader = NULL;
}
