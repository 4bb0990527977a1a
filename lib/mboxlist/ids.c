#include "lib/mboxlist/ids.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/mboxlist/mboxlist-private.h"

enum { ROWS_AT_ONCE = 16384 /* in a transaction */ };

/* A piece that is sorted and in a file: id NUL name NUL, and so on. */
struct piece {
    FILE *file;
    char *id, *name; /* the next row; id NULL: none */
    size_t id_room, name_room;
};

struct sorting {
    struct mboxlist *list;
    struct buf bytes; /* rows that are collected, as in a file */
    size_t *rows;     /* places in it */
    size_t count, room;
    struct piece *pieces; /* as a heap, once they are merged: the least first */
    size_t n_pieces;
    /* writing */
    struct mboxlist_txn *txn;
    size_t written;
    struct buf last; /* the id before */
};

/* ---- pieces ---- */

static int compare_rows(const void *a, const void *b, void *bytes)
{
    const char *base = bytes;

    return strcmp(base + *(const size_t *)a, base + *(const size_t *)b); /* the name is behind the NUL */
}

static int write_piece(struct sorting *s, FILE *file)
{
    bool ok = true;

    for (size_t i = 0; i < s->count && ok; i++) {
        const char *id = s->bytes.data + s->rows[i];
        size_t len = strlen(id) + 1;

        len += strlen(id + len) + 1;
        ok = fwrite(id, 1, len, file) == len;
    }
    return ok && fflush(file) == 0 && fseek(file, 0, SEEK_SET) == 0 ? 0 : ERR_IO;
}

/* What is collected becomes a piece. */
static int end_piece(struct sorting *s)
{
    int fd = open(s->list->path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w+");

    if (file == NULL) {
        if (fd >= 0)
            close(fd);
        return error_from_errno(errno);
    }
    if (s->count > 0)
        qsort_r(s->rows, s->count, sizeof(*s->rows), compare_rows, s->bytes.data);
    s->pieces = xreallocarray(s->pieces, s->n_pieces + 1, sizeof(*s->pieces));
    s->pieces[s->n_pieces++] = (struct piece){.file = file};
    return write_piece(s, file);
}

static int collect_row(struct sorting *s, const struct mboxlist_record *record)
{
    int r;

    if (s->bytes.len + strlen(record->id) + strlen(record->name) + 2 > IDS_PIECE) {
        r = end_piece(s);
        if (r < 0)
            return r;
        s->count = 0;
        buf_reset(&s->bytes);
    }
    if (s->count == s->room) {
        s->room = s->room == 0 ? 1024 : 2 * s->room;
        s->rows = xreallocarray(s->rows, s->room, sizeof(*s->rows));
    }
    s->rows[s->count++] = s->bytes.len;
    buf_append(&s->bytes, record->id, strlen(record->id) + 1);
    buf_append(&s->bytes, record->name, strlen(record->name) + 1);
    return 0;
}

static int collect_rows(struct sorting *s)
{
    struct mboxlist_iter *it = mboxlist_iter_all(s->list, NULL, MBOXLIST_TYPE_BIT(MBOXLIST_REMOTE));
    const struct mboxlist_record *record;
    int r;

    while ((r = mboxlist_iter_next(it, &record)) == 1) {
        r = record->id[0] == '\0' ? 0 : collect_row(s, record);
        if (r < 0)
            break;
    }
    mboxlist_iter_free(&it);
    if (r == 0 && s->count > 0)
        r = end_piece(s);
    buf_free(&s->bytes);
    free(s->rows);
    s->rows = NULL;
    return r;
}

/* ---- merging ---- */

static int next_row(struct piece *p)
{
    if (getdelim(&p->id, &p->id_room, '\0', p->file) > 0 &&
        getdelim(&p->name, &p->name_room, '\0', p->file) > 0)
        return 0;
    free(p->id);
    p->id = NULL;
    return ferror(p->file) ? ERR_IO : 0;
}

/* Those that have ended are last. */
static bool is_less(const struct piece *a, const struct piece *b)
{
    return a->id != NULL && (b->id == NULL || strcmp(a->id, b->id) < 0);
}

static void sink(struct sorting *s, size_t i)
{
    for (size_t child; (child = 2 * i + 1) < s->n_pieces; i = child) {
        struct piece moved = s->pieces[i];

        if (child + 1 < s->n_pieces && is_less(&s->pieces[child + 1], &s->pieces[child]))
            child++;
        if (!is_less(&s->pieces[child], &moved))
            return;
        s->pieces[i] = s->pieces[child];
        s->pieces[child] = moved;
    }
}

/* ---- writing ---- */

static int without_id(struct sorting *s, const char *name)
{
    struct mboxlist_record record;
    int r = mboxlist_txn_lookup(s->txn, name, s->txn->pool, &record);

    if (r < 0 || record.type != MBOXLIST_REMOTE)
        return r == ERR_NOTFOUND ? 0 : r;
    record.id = "";
    return mboxlist_txn_put(s->txn, &record);
}

static bool is_local(struct sorting *s, const char *id, const char *name)
{
    struct mboxlist_record there;

    return mboxlist_txn_lookup_id(s->txn, id, s->txn->pool, &there) == 0 && strcmp(there.name, name) != 0 &&
           there.type == MBOXLIST_LOCAL;
}

static int write_row(struct sorting *s, const char *id, const char *name)
{
    bool again = s->last.len > 0 && strcmp(buf_cstr(&s->last), id) == 0;

    if (again || is_local(s, id, name))
        return without_id(s, name);
    buf_reset(&s->last);
    buf_puts(&s->last, id);
    return db_put(s->txn->db, s->list->tables[TABLE_IDS], id, strlen(id), name, strlen(name));
}

static int begin_rows(struct sorting *s)
{
    int r = mboxlist_begin(s->list, &s->txn);

    if (r == 0) {
        db_lazy(s->txn->db);
        s->txn->ids_later = true; /* rows are written here only */
    }
    return r;
}

static int write_one(struct sorting *s, const struct piece *p)
{
    int r = s->txn != NULL ? 0 : begin_rows(s);

    if (r == 0)
        r = write_row(s, p->id, p->name);
    if (r == 0 && ++s->written % ROWS_AT_ONCE == 0)
        r = mboxlist_commit(&s->txn);
    return r;
}

static int merge(struct sorting *s)
{
    int r = 0;

    for (size_t i = 0; i < s->n_pieces && r == 0; i++)
        r = next_row(&s->pieces[i]);
    for (size_t i = s->n_pieces; i-- > 0 && r == 0;)
        sink(s, i);
    while (r == 0 && s->n_pieces > 0 && s->pieces[0].id != NULL) {
        r = write_one(s, &s->pieces[0]);
        if (r == 0)
            r = next_row(&s->pieces[0]);
        sink(s, 0);
    }
    if (r == 0 && s->txn != NULL)
        return mboxlist_commit(&s->txn);
    mboxlist_abort(&s->txn);
    return r;
}

int ids_write(struct mboxlist *list)
{
    struct sorting s = {.list = list};
    int r = collect_rows(&s);

    if (r == 0)
        r = merge(&s);
    for (size_t i = 0; i < s.n_pieces; i++) {
        fclose(s.pieces[i].file);
        free(s.pieces[i].id);
        free(s.pieces[i].name);
    }
    free(s.pieces);
    buf_free(&s.last);
    return r;
}
