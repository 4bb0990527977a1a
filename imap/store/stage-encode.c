/* stage-encode.c: a message with NUL bytes made one that every client can be sent (RFC 3516 4.4). */
#include <string.h>

#include "imap/store/stage-private.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mail/header.h"
#include "lib/mail/message.h"

enum { LINE_BYTES = 57, CHUNK = 1000 * LINE_BYTES /* of a base64 line: 76 characters */ };

struct encoding {
    const char *data;
    uint64_t size, done; /* done: written, or stepped over */
    struct stage *to;
};

static int copy_up_to(struct encoding *e, uint64_t end)
{
    int r = stage_write(e->to, e->data + e->done, (size_t)(end - e->done));

    e->done = end;
    return r;
}

/* The header with the encoding that the body has now. */
static int write_header(struct encoding *e, const struct mail_part *part)
{
    static const char *const left_out[] = {"Content-Transfer-Encoding"};
    struct buf header = BUF_INIT;
    int r;

    mail_header_select(e->data + part->header_start, (size_t)part->header_size, left_out, 1, true, &header);
    buf_truncate(&header, header.len - 2); /* the empty line */
    buf_puts(&header, "Content-Transfer-Encoding: base64\r\n\r\n");
    r = stage_write(e->to, header.data, header.len);
    buf_free(&header);
    e->done += part->header_size;
    return r;
}

static int write_base64(struct encoding *e, uint64_t end)
{
    struct buf lines = BUF_INIT;
    int r = 0;

    while (r == 0 && e->done < end) {
        uint64_t chunk_end = end - e->done > CHUNK ? e->done + CHUNK : end;

        buf_reset(&lines);
        while (e->done < chunk_end) {
            size_t n = chunk_end - e->done > LINE_BYTES ? LINE_BYTES : (size_t)(chunk_end - e->done);

            str_base64_encode(&lines, e->data + e->done, n);
            buf_puts(&lines, "\r\n");
            e->done += n;
        }
        r = stage_write(e->to, lines.data, lines.len);
    }
    buf_free(&lines);
    return r;
}

static bool is_binary(const struct encoding *e, const struct mail_part *part)
{
    const char *body = e->data + part->header_start + part->header_size;

    return part->kind == MAIL_LEAF && part->content.decoding == DECODE_IDENTITY &&
           memchr(body, '\0', (size_t)part->body_size) != NULL;
}

static int encode_tree(struct encoding *e, const struct mail_part *part)
{
    int r = 0;

    if (is_binary(e, part)) {
        r = copy_up_to(e, part->header_start);
        if (r == 0)
            r = write_header(e, part);
        return r == 0 ? write_base64(e, e->done + part->body_size) : r;
    }
    for (const struct mail_part *child = part->children; r == 0 && child != NULL; child = child->next)
        r = encode_tree(e, child);
    return r;
}

static int encode(struct encoding *e)
{
    struct pool *pool = pool_new(0);
    int r = encode_tree(e, mail_parse(pool, e->data, (size_t)e->size));

    pool_free(&pool);
    return r == 0 ? copy_up_to(e, e->size) : r;
}

int stage_encode_binary(struct stage **stage, struct stage_info *info_r)
{
    struct encoding e = {.done = 0};
    struct stage *new;
    struct file_map map;
    int r = stage_new((*stage)->store, (*stage)->partition, &new);

    BUG_ON(!(*stage)->finished);
    if (r < 0)
        return r;
    e.to = new;
    r = file_map_open((*stage)->fd, &map);
    if (r == 0) {
        e.data = map.data;
        e.size = map.size;
        r = encode(&e);
        file_map_close(&map);
    }
    if (r == 0)
        r = stage_finish(new, info_r);
    if (r == 0 && info_r->has_nul)
        r = ERR_UNSUPPORTED;
    if (r < 0) {
        stage_free(&new);
        return r;
    }
    stage_free(stage);
    *stage = new;
    return 0;
}
