#include "cunit/imap/store/power/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

enum { BLOCK = 4096 };

/* A file or a directory. */
struct node {
    uint64_t ino;
    bool is_dir;
    struct buf synced;                   /* a file's content */
    const struct trace_event **unsynced; /* writes and truncations since */
    size_t count;
};

struct entry {
    uint64_t dir, ino;
    char *name;
};

struct entries {
    struct entry *items;
    size_t count;
};

struct disk {
    uint64_t root;
    struct node *nodes;
    size_t node_count;
    struct entries synced;
    const struct trace_event **changes; /* of names, not synced yet */
    size_t change_count;
};

/* ---- names ---- */

static void name_set(struct entries *e, uint64_t dir, const char *name, uint64_t ino)
{
    size_t i;

    for (i = 0; i < e->count && (e->items[i].dir != dir || strcmp(e->items[i].name, name) != 0); i++)
        ;
    if (ino == 0) {
        if (i == e->count)
            return;
        free(e->items[i].name);
        e->items[i] = e->items[--e->count];
        return;
    }
    if (i == e->count) {
        e->items = xreallocarray(e->items, ++e->count, sizeof(*e->items));
        e->items[i] = (struct entry){.dir = dir, .name = xstrdup(name)};
    }
    e->items[i].ino = ino;
}

static void name_change(struct entries *e, const struct trace_event *change)
{
    if (change->kind == TRACE_NAME) {
        name_set(e, change->dir, change->name, change->ino);
        return;
    }
    name_set(e, change->dir, change->name, 0);
    name_set(e, change->dir2, change->name2, change->ino);
}

static void entries_free(struct entries *e)
{
    for (size_t i = 0; i < e->count; i++)
        free(e->items[i].name);
    free(e->items);
}

/* Does a sync of that inode make the change last? */
static bool is_synced_by(const struct trace_event *change, uint64_t ino)
{
    return ino == 0 || change->ino == ino || (change->kind == TRACE_NAME ? change->dir : change->dir2) == ino;
}

/* ---- files ---- */

/* Its place among the nodes; their count: none. */
static size_t find(const struct disk *d, uint64_t ino)
{
    size_t i;

    for (i = 0; i < d->node_count && d->nodes[i].ino != ino; i++)
        ;
    return i;
}

static struct node *node_of(struct disk *d, uint64_t ino)
{
    size_t at = find(d, ino);

    if (at < d->node_count)
        return &d->nodes[at];
    d->nodes = xreallocarray(d->nodes, d->node_count + 1, sizeof(*d->nodes));
    memset(&d->nodes[d->node_count], 0, sizeof(*d->nodes));
    d->nodes[d->node_count].ino = ino;
    return &d->nodes[d->node_count++];
}

static void resize(struct buf *content, size_t size)
{
    if (size < content->len) {
        buf_truncate(content, size);
        return;
    }
    while (content->len < size)
        buf_putc(content, '\0');
}

static void overwrite(struct buf *content, int64_t offset, const char *data, size_t n)
{
    if (content->len < (size_t)offset + n)
        resize(content, (size_t)offset + n);
    memcpy(content->data + offset, data, n);
}

static void write_all(struct buf *content, const struct trace_event *e)
{
    if (e->kind == TRACE_TRUNCATE)
        resize(content, (size_t)e->offset);
    else
        overwrite(content, e->offset, e->data, e->len);
}

/* Some blocks of it. */
static void write_some(struct buf *content, const struct trace_event *e, unsigned *random)
{
    if (e->kind == TRACE_TRUNCATE) {
        if (rand_r(random) % 2)
            write_all(content, e);
        return;
    }
    for (size_t at = 0, n; at < e->len; at += n) {
        n = BLOCK - (size_t)(e->offset + (int64_t)at) % BLOCK;
        if (n > e->len - at)
            n = e->len - at;
        if (rand_r(random) % 2)
            overwrite(content, e->offset + (int64_t)at, e->data + at, n);
    }
}

static void node_sync(struct node *n)
{
    for (size_t i = 0; i < n->count; i++)
        write_all(&n->synced, n->unsynced[i]);
    n->count = 0;
}

/* ---- the disk ---- */

static void load(struct disk *d, const char *path, uint64_t dir)
{
    DIR *handle = opendir(path);
    struct dirent *e;

    BUG_ON(handle == NULL);
    node_of(d, dir)->is_dir = true;
    while ((e = readdir(handle)) != NULL) {
        char *child = xstrprintf("%s/%s", path, e->d_name);
        struct stat st;

        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            BUG_ON(lstat(child, &st) != 0);
            name_set(&d->synced, dir, e->d_name, st.st_ino);
            if (S_ISDIR(st.st_mode))
                load(d, child, st.st_ino);
            else
                BUG_ON(file_read_all(child, SIZE_MAX, &node_of(d, st.st_ino)->synced) < 0);
        }
        free(child);
    }
    closedir(handle);
}

struct disk *disk_new(const char *directory)
{
    struct disk *d = xcalloc(1, sizeof(*d));
    struct stat st;

    BUG_ON(stat(directory, &st) != 0);
    d->root = st.st_ino;
    load(d, directory, d->root);
    return d;
}

void disk_free(struct disk **disk)
{
    struct disk *d = *disk;

    for (size_t i = 0; i < d->node_count; i++) {
        buf_free(&d->nodes[i].synced);
        free(d->nodes[i].unsynced);
    }
    free(d->nodes);
    entries_free(&d->synced);
    free(d->changes);
    free(d);
    *disk = NULL;
}

static void sync_names(struct disk *d, uint64_t ino)
{
    size_t left = 0;

    for (size_t i = 0; i < d->change_count; i++) {
        if (is_synced_by(d->changes[i], ino))
            name_change(&d->synced, d->changes[i]);
        else
            d->changes[left++] = d->changes[i];
    }
    d->change_count = left;
}

void disk_apply(struct disk *d, const struct trace_event *e)
{
    struct node *n;

    switch (e->kind) {
    case TRACE_WRITE:
    case TRACE_TRUNCATE:
        n = node_of(d, e->ino);
        n->unsynced = xreallocarray(n->unsynced, n->count + 1, sizeof(struct trace_event *));
        n->unsynced[n->count++] = e;
        break;
    case TRACE_NAME:
    case TRACE_MOVE:
        if (e->ino != 0)
            node_of(d, e->ino)->is_dir |= e->is_dir;
        d->changes = xreallocarray(d->changes, d->change_count + 1, sizeof(struct trace_event *));
        d->changes[d->change_count++] = e;
        break;
    case TRACE_SYNC:
        sync_names(d, e->ino);
        for (size_t i = 0; i < d->node_count; i++) {
            if (e->ino == 0 || d->nodes[i].ino == e->ino)
                node_sync(&d->nodes[i]);
        }
        break;
    case TRACE_MARK:
        break;
    }
}

/* ---- after the power went ---- */

static struct entries names_left(const struct disk *d, enum disk_loss loss, unsigned *random)
{
    struct entries left = {0};

    for (size_t i = 0; i < d->synced.count; i++)
        name_set(&left, d->synced.items[i].dir, d->synced.items[i].name, d->synced.items[i].ino);
    for (size_t i = 0; i < d->change_count; i++) {
        if (loss == DISK_LOSES_DATA || (loss == DISK_LOSES_SOME && rand_r(random) % 2))
            name_change(&left, d->changes[i]);
    }
    return left;
}

static void write_content(const struct node *n, enum disk_loss loss, unsigned *random, const char *path)
{
    struct buf content = BUF_INIT;

    buf_append(&content, n->synced.data, n->synced.len);
    for (size_t i = 0; i < n->count; i++) {
        if (loss == DISK_LOSES_NAMES)
            write_all(&content, n->unsynced[i]);
        else if (loss == DISK_LOSES_SOME)
            write_some(&content, n->unsynced[i], random);
    }
    BUG_ON(file_replace(path, content.data, content.len, 0600) < 0);
    buf_free(&content);
}

/* What is being written: where each file was put first, for its other names. */
struct writing {
    const struct disk *disk;
    const struct entries *names;
    enum disk_loss loss;
    unsigned *random;
    char **paths; /* by node */
};

static void write_directory(struct writing *w, uint64_t dir, const char *path)
{
    for (size_t i = 0; i < w->names->count; i++) {
        const struct entry *e = &w->names->items[i];
        size_t at = find(w->disk, e->ino);
        const struct node *n = &w->disk->nodes[at];
        char *child;

        if (e->dir != dir)
            continue;
        child = xstrprintf("%s/%s", path, e->name);
        if (n->is_dir) {
            BUG_ON(mkdir(child, 0700) != 0);
            write_directory(w, n->ino, child);
        } else if (w->paths[at] != NULL) {
            BUG_ON(link(w->paths[at], child) != 0);
        } else {
            write_content(n, w->loss, w->random, child);
            w->paths[at] = xstrdup(child);
        }
        free(child);
    }
}

void disk_write(const struct disk *disk, enum disk_loss loss, unsigned *random, const char *directory)
{
    struct entries names = names_left(disk, loss, random);
    struct writing w = {disk, &names, loss, random, NULL};

    w.paths = xcalloc(disk->node_count, sizeof(char *));
    write_directory(&w, disk->root, directory);
    for (size_t i = 0; i < disk->node_count; i++)
        free(w.paths[i]);
    free(w.paths);
    entries_free(&names);
}
