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

struct row {
    uint64_t head; /* the id's first bytes: most comparisons need no more */
    size_t at;     /* of the id, in the bytes */
};

struct ids {
    struct mboxlist *list;
    struct buf bytes; /* rows that are collected, as in a file */
    struct row *rows;
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
    const struct row *x = a, *y = b;
    const char *base = bytes;
    int order;

    if (x->head != y->head)
        return x->head < y->head ? -1 : 1;
    order = strcmp(base + x->at, base + y->at);
    return order != 0 ? order : (x->at > y->at) - (x->at < y->at);
}

static int write_piece(struct ids *s, FILE *file)
{
    bool ok = true;

    for (size_t i = 0; i < s->count && ok; i++) {
        const char *id = s->bytes.data + s->rows[i].at;
        size_t len = strlen(id) + 1;

        len += strlen(id + len) + 1;
        ok = fwrite(id, 1, len, file) == len;
    }
    return ok && fflush(file) == 0 && fseek(file, 0, SEEK_SET) == 0 ? 0 : ERR_IO;
}

/* What is collected becomes a piece. */
static int end_piece(struct ids *s)
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

static uint64_t head_of(const char *id)
{
    uint64_t head = 0;

    for (unsigned i = 0; i < 8; i++) {
        head = head << 8 | (unsigned char)*id;
        id += *id != '\0';
    }
    return head;
}

int ids_add(struct ids *s, const char *id, const char *name)
{
    size_t id_len = strlen(id), name_len = strlen(name);
    int r;

    if (id_len == 0)
        return 0;
    if (s->bytes.len + id_len + name_len + 2 > IDS_PIECE) {
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
    s->rows[s->count++] = (struct row){head_of(id), s->bytes.len};
    buf_append(&s->bytes, id, id_len + 1);
    buf_append(&s->bytes, name, name_len + 1);
    return 0;
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

static void sink(struct ids *s, size_t i)
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

static int without_id(struct ids *s, const char *name)
{
    struct mboxlist_record record;
    int r = mboxlist_txn_lookup(s->txn, name, s->txn->pool, &record);

    if (r < 0 || record.type != MBOXLIST_REMOTE)
        return r == ERR_NOTFOUND ? 0 : r;
    record.id = "";
    return mboxlist_txn_put(s->txn, &record);
}

static bool is_local(struct ids *s, const char *id, const char *name)
{
    struct mboxlist_record there;

    return mboxlist_txn_lookup_id(s->txn, id, s->txn->pool, &there) == 0 && strcmp(there.name, name) != 0 &&
           there.type == MBOXLIST_LOCAL;
}

static int write_row(struct ids *s, const char *id, const char *name)
{
    bool again = s->last.len > 0 && strcmp(buf_cstr(&s->last), id) == 0;

    if (again || is_local(s, id, name))
        return without_id(s, name);
    buf_reset(&s->last);
    buf_puts(&s->last, id);
    return db_put(s->txn->db, s->list->tables[TABLE_IDS], id, strlen(id), name, strlen(name));
}

static int begin_rows(struct ids *s)
{
    int r = mboxlist_begin(s->list, &s->txn);

    if (r == 0) {
        db_lazy(s->txn->db);
        s->txn->ids_later = true; /* rows are written here only */
    }
    return r;
}

static int write_one(struct ids *s, const struct piece *p)
{
    int r = s->txn != NULL ? 0 : begin_rows(s);

    if (r == 0)
        r = write_row(s, p->id, p->name);
    if (r == 0 && ++s->written % ROWS_AT_ONCE == 0)
        r = mboxlist_commit(&s->txn);
    return r;
}

static int merge(struct ids *s)
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

int ids_write(struct ids *s)
{
    int r = s->count > 0 ? end_piece(s) : 0;

    s->count = 0;
    buf_free(&s->bytes);
    free(s->rows);
    s->rows = NULL;
    return r < 0 ? r : merge(s);
}

struct ids *ids_new(struct mboxlist *list)
{
    struct ids *s = xcalloc(1, sizeof(*s));

    s->list = list;
    return s;
}

void ids_free(struct ids **ids)
{
    struct ids *s = *ids;

    if (s == NULL)
        return;
    *ids = NULL;
    for (size_t i = 0; i < s->n_pieces; i++) {
        fclose(s->pieces[i].file);
        free(s->pieces[i].id);
        free(s->pieces[i].name);
    }
    free(s->pieces);
    free(s->rows);
    buf_free(&s->bytes);
    buf_free(&s->last);
    free(s);
}
