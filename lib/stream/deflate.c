/* deflate.c: RFC 4978 over zlib: raw deflate (RFC 1951), flushed at the end of each write. */
#include <stdlib.h>
#include <zlib.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/stream/stream-private.h"

struct deflate_layer {
    z_stream in, out;
    bool out_open; /* the deflater exists: not after parking, until the next write */
    bool in_more;  /* the inflater filled all the room it had */
    bool in_ended; /* the peer finished its stream, and has not begun another */
};

struct deflate_layer *deflate_layer_new(void)
{
    struct deflate_layer *d = xcalloc(1, sizeof(*d));

    BUG_ON(inflateInit2(&d->in, -MAX_WBITS) != Z_OK);
    return d;
}

void deflate_layer_free(struct deflate_layer **d)
{
    if (*d == NULL)
        return;
    deflate_layer_park(*d);
    inflateEnd(&(*d)->in);
    free(*d);
    *d = NULL;
}

void deflate_layer_park(struct deflate_layer *d)
{
    if (d->out_open)
        deflateEnd(&d->out);
    d->out_open = false;
}

bool deflate_layer_pending(const struct deflate_layer *d)
{
    return d->in_more;
}

/* zlib.h, inflate(): 128 in data_type stands for the end of a block, the lowest bits for unused ones of the last byte. */
bool deflate_layer_at_rest(const struct deflate_layer *d)
{
    enum { BLOCK_END = 128, BITS = 63 };
    bool untouched = d->in.total_in == 0;

    return !d->in_more && (untouched || d->in_ended || (d->in.data_type & (BLOCK_END | BITS)) == BLOCK_END);
}

int deflate_layer_read(struct deflate_layer *d, struct sbuf *from, struct sbuf *to, size_t max)
{
    char *room = sbuf_reserve(to, max);
    int r;

    d->in.next_in = (unsigned char *)sbuf_head(from);
    d->in.avail_in = (unsigned)sbuf_used(from);
    d->in.next_out = (unsigned char *)room;
    d->in.avail_out = (unsigned)max;
    do {
        if (d->in.avail_in > 0)
            d->in_ended = false;
        r = inflate(&d->in, Z_SYNC_FLUSH);
        d->in_ended = d->in_ended || r == Z_STREAM_END;
        if (r == Z_STREAM_END && inflateReset(&d->in) != Z_OK) /* a peer that finishes begins anew */
            return ERR_PROTOCOL;
    } while (r == Z_STREAM_END && d->in.avail_in > 0 && d->in.avail_out > 0);
    if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
        return ERR_PROTOCOL;
    sbuf_consume(from, sbuf_used(from) - d->in.avail_in);
    d->in_more = d->in.avail_out == 0;
    sbuf_added(to, max - d->in.avail_out);
    return (int)(max - d->in.avail_out);
}

void deflate_layer_write(struct deflate_layer *d, const char *from, size_t n, bool flush, struct sbuf *to)
{
    if (!d->out_open) {
        /* With a new deflater after a full flush the peer's inflater goes on: the new one does not
         * refer to anything before its own beginning. */
        d->out = (z_stream){0};
        BUG_ON(deflateInit2(&d->out, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) !=
               Z_OK);
        d->out_open = true;
    }
    d->out.next_in = (unsigned char *)(uintptr_t)from;
    d->out.avail_in = (unsigned)n;
    do {
        size_t room = BLOCK_SIZE / 2;

        d->out.next_out = (unsigned char *)sbuf_reserve(to, room);
        d->out.avail_out = (unsigned)room;
        deflate(&d->out, flush ? Z_SYNC_FLUSH : Z_NO_FLUSH);
        sbuf_added(to, room - d->out.avail_out);
    } while (d->out.avail_out == 0);
}
