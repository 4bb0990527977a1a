/* annotate-file.c: the file `annotations.<generation>`. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "imap/store/annotate-private.h"
#include "imap/store/le-private.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

#define WASTE_MIN (4 * ANNOTATE_MESSAGE_MAX) /* bytes of a file that is worth a look */

static const char file_magic[8] = {'I', 'A', 'T', 'L', 'A', 'S', 'A', 'N'};

void annotate_name(char to[32], uint32_t generation)
{
    snprintf(to, 32, "annotations.%" PRIu32, generation);
}

static int write_head(int fd, uint32_t generation)
{
    unsigned char head[ANNOTATE_FILE_HEAD] = {0};

    memcpy(head, file_magic, sizeof(file_magic));
    le_put32(head + 8, ANNOTATE_VERSION);
    le_put32(head + 12, generation);
    le_put32(head + ANNOTATE_FILE_HEAD - 4, digest_crc32c(head, ANNOTATE_FILE_HEAD - 4));
    return file_pwrite(fd, head, sizeof(head), 0);
}

int annotate_create(int dir_fd, uint32_t generation)
{
    char name[32];
    int fd, r = annotate_unlink(dir_fd, generation);

    if (r < 0)
        return r;
    annotate_name(name, generation);
    fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_from_errno(errno);
    r = write_head(fd, generation);
    if (r == 0)
        return fd;
    close(fd);
    return r;
}

int annotate_unlink(int dir_fd, uint32_t generation)
{
    char name[32];

    annotate_name(name, generation);
    return unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT ? 0 : error_from_errno(errno);
}

/* The descriptor of the header's file. */
static int open_file(struct mailbox *m, bool make)
{
    uint32_t generation = m->lock != NULL ? m->next.cache_generation : m->header.cache_generation;
    int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | (make ? O_CREAT : 0);
    int dir = mailbox_metadata_fd(m);
    char name[32];

    if (m->annotate_fd >= 0 && m->annotate_generation == generation)
        return m->annotate_fd;
    if (dir < 0)
        return dir;
    if (m->annotate_fd >= 0)
        close(m->annotate_fd);
    annotate_name(name, generation);
    m->annotate_fd = openat(dir, name, flags, 0600);
    if (m->annotate_fd < 0 && errno == EROFS && !make)
        m->annotate_fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    m->annotate_generation = generation;
    if (m->annotate_fd < 0)
        return errno == ENOENT ? ERR_CORRUPT : error_from_errno(errno);
    return m->annotate_fd;
}

/* ---- reading ---- */

int annotate_read_raw(struct mailbox *m, const struct mailbox_record *record, struct buf *to)
{
    uint32_t n = record->annotation_size;
    size_t before = to->len;
    int fd, r;

    if (n == 0)
        return 0;
    if (n > ANNOTATE_MESSAGE_MAX || record->annotation_offset > INT64_MAX - ANNOTATE_MESSAGE_MAX)
        return ERR_CORRUPT;
    fd = open_file(m, false);
    if (fd < 0)
        return fd;
    r = file_pread(fd, buf_reserve(to, n), n, (int64_t)record->annotation_offset);
    if (r < 0)
        return r == ERR_EOF ? ERR_CORRUPT : r;
    buf_added(to, n);
    r = annotate_verify((const unsigned char *)to->data + before, n, record->uid);
    if (r < 0)
        buf_truncate(to, before);
    return r;
}

int annotate_read(struct mailbox *m, const struct mailbox_record *record, struct pool *pool,
                  struct annotate_items *items_r)
{
    struct buf bytes = BUF_INIT;
    int r = annotate_read_raw(m, record, &bytes);

    *items_r = (struct annotate_items){0};
    if (r == 0 && bytes.len > 0)
        r = annotate_decode((const unsigned char *)bytes.data, bytes.len, pool, items_r);
    buf_free(&bytes);
    return r;
}

/* ---- writing ---- */

int annotate_append(struct mailbox *m, struct buf *bytes, struct mailbox_record *record)
{
    struct stat st;
    int fd, r = 0;

    BUG_ON(m->lock == NULL);
    record->annotation_offset = record->annotation_size = 0;
    if (bytes->len == 0)
        return 0;
    fd = open_file(m, true);
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) != 0)
        return error_from_errno(errno);
    if (st.st_size < ANNOTATE_FILE_HEAD) { /* new, or its maker was killed */
        r = write_head(fd, m->next.cache_generation);
        st.st_size = ANNOTATE_FILE_HEAD;
    }
    annotate_stamp(bytes, record->uid);
    if (r == 0)
        r = file_pwrite(fd, bytes->data, bytes->len, st.st_size);
    if (r < 0)
        return r;
    record->annotation_offset = (uint64_t)st.st_size;
    record->annotation_size = (uint32_t)bytes->len;
    return 0;
}

int annotate_sync(struct mailbox *m)
{
    return m->annotate_fd >= 0 ? store_sync_file(m->store, m->annotate_fd) : 0;
}

bool annotate_is_wasteful(struct mailbox *m)
{
    const struct mailbox_header *h = m->lock != NULL ? &m->next : &m->header;
    int dir = mailbox_metadata_fd(m);
    char name[32];
    struct stat st;

    annotate_name(name, h->cache_generation);
    return dir >= 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > WASTE_MIN &&
           (uint64_t)st.st_size / 4 > h->annotation_storage;
}

/* ---- after damage ---- */

static int by_uid(const void *a, const void *b)
{
    const struct annotate_place *x = a, *y = b;

    if (x->uid != y->uid)
        return x->uid < y->uid ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void note(struct annotate_map *map, uint32_t uid, uint64_t offset, uint32_t size)
{
    if (map->count == map->room) {
        map->room = map->room * 2 + 16;
        map->places = xreallocarray(map->places, map->room, sizeof(*map->places));
    }
    map->places[map->count++] = (struct annotate_place){uid, size, offset};
}

/* What a killed writer left may be anything, and of any length: behind it the next whole one is looked for. */
static void scan(struct annotate_map *map, const unsigned char *data, size_t n)
{
    size_t at = ANNOTATE_FILE_HEAD;

    while (n >= ANNOTATE_HEAD_SIZE && at <= n - ANNOTATE_HEAD_SIZE) {
        uint32_t size = le_get32(data + at + 4);

        if (le_get32(data + at) == ANNOTATE_MAGIC && size <= n - at &&
            annotate_verify(data + at, size, 0) == 0) {
            note(map, le_get32(data + at + 12), at, size);
            at += size;
        } else {
            at++;
        }
    }
}

static void load(struct mailbox *m, struct annotate_map *map)
{
    int fd = open_file(m, false);
    struct file_map file;

    map->loaded = true;
    if (fd < 0 || file_map_open(fd, &file) < 0)
        return;
    scan(map, (const unsigned char *)file.data, file.size);
    file_map_close(&file);
    if (map->count > 0)
        qsort(map->places, map->count, sizeof(*map->places), by_uid);
}

void annotate_recover(struct mailbox *m, struct annotate_map *map, struct mailbox_record *record)
{
    if (!map->loaded)
        load(m, map);
    record->annotation_offset = record->annotation_size = 0;
    for (size_t low = 0, high = map->count; low < high;) {
        size_t mid = low + (high - low) / 2;

        if (map->places[mid].uid <= record->uid) {
            low = mid + 1;
            if (map->places[mid].uid == record->uid) {
                record->annotation_offset = map->places[mid].offset; /* the last of them is met last */
                record->annotation_size = map->places[mid].size;
            }
        } else {
            high = mid;
        }
    }
}

void annotate_map_free(struct annotate_map *map)
{
    free(map->places);
    *map = (struct annotate_map){0};
}
