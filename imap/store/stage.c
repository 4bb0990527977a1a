/* stage.c: messages on their way in. */
#include "imap/store/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "imap/store/stage-private.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

int stage_new(struct store *store, const char *partition, struct stage **stage_r)
{
    int dir = store_stage_dir(store, partition), fd;
    struct stage *s;

    *stage_r = NULL;
    if (dir < 0)
        return dir;
    fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        int r = error_from_errno(errno);

        close(dir);
        return r;
    }
    close(dir);
    s = xcalloc(1, sizeof(*s));
    s->store = store;
    s->partition = xstrdup(partition);
    s->fd = fd;
    s->digest = digest_sha1_new();
    *stage_r = s;
    return 0;
}

/* Lines, and what a front may have to refuse. */
static void look_at(struct stage *s, const char *data, size_t n)
{
    const char *end = data + n, *at = data;

    if (memchr(data, '\0', n) != NULL)
        s->info.has_nul = true;
    while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        if ((at == data ? s->last : at[-1]) != '\r')
            s->info.has_bare_lf = true;
        s->info.lines++;
        at++;
    }
    s->last = end[-1];
}

int stage_write(struct stage *s, const void *data, size_t n)
{
    int r;

    BUG_ON(s->finished);
    if (n == 0)
        return 0;
    r = file_pwrite(s->fd, data, n, (int64_t)s->info.size);
    if (r < 0)
        return r;
    digest_update(s->digest, data, n);
    look_at(s, data, n);
    s->info.size += n;
    return 0;
}

int stage_finish(struct stage *s, struct stage_info *info_r)
{
    struct file_map map;
    int r;

    BUG_ON(s->finished);
    r = file_map_open(s->fd, &map);
    if (r < 0)
        return r;
    cache_build(&s->entry, map.data, map.size, &s->facts);
    file_map_close(&map);
    digest_finish(&s->digest, s->info.guid);
    s->finished = true;
    if (info_r != NULL)
        *info_r = s->info;
    return 0;
}

int64_t stage_read(struct stage *s, uint64_t offset, void *to, size_t n)
{
    if (offset >= s->info.size)
        return 0;
    return file_pread_some(s->fd, to, n, (int64_t)offset);
}

int stage_map(const struct stage *s, const char **data_r, size_t *n_r)
{
    void *data;

    BUG_ON(!s->finished);
    *data_r = "";
    *n_r = s->info.size;
    if (s->info.size == 0)
        return 0;
    data = mmap(NULL, s->info.size, PROT_READ, MAP_SHARED, s->fd, 0);
    if (data == MAP_FAILED)
        return ERR_IO;
    *data_r = data;
    return 0;
}

void stage_unmap(const char *data, size_t n)
{
    if (n > 0)
        munmap((void *)data, n);
}

static void unpublish(struct stage *s)
{
    int dir = store_stage_dir(s->store, s->partition);

    if (dir >= 0) {
        (void)unlinkat(dir, s->name, 0);
        close(dir);
    }
    free(s->name);
    s->name = NULL;
}

void stage_keep_name(struct stage *s)
{
    free(s->name);
    s->name = NULL;
}

void stage_free(struct stage **stage)
{
    struct stage *s = *stage;

    if (s == NULL)
        return;
    if (s->name != NULL)
        unpublish(s);
    digest_finish(&s->digest, NULL);
    close(s->fd);
    buf_free(&s->entry);
    free(s->partition);
    free(s);
    *stage = NULL;
}

int stage_publish(struct stage *s)
{
    char hex[2 * GUID_SIZE + 1], random_hex[17], from[32];
    unsigned char random[8];
    int dir = store_stage_dir(s->store, s->partition), r = 0;

    if (dir < 0)
        return dir;
    digest_random(random, sizeof(random));
    str_hex(random_hex, random, sizeof(random));
    str_hex(hex, s->info.guid, GUID_SIZE);
    s->name = xstrprintf("%s.%s", hex, random_hex);
    fd_path(from, s->fd);
    if (linkat(AT_FDCWD, from, dir, s->name, AT_SYMLINK_FOLLOW) != 0)
        r = error_from_errno(errno);
    close(dir);
    return r == 0 ? store_sync_file(s->store, s->fd) : r;
}

void stage_fill(const struct stage *s, struct mailbox_record *record)
{
    record->header_bytes = s->facts.header_bytes;
    record->size = s->info.size;
    record->lines = s->info.lines;
    memcpy(record->guid, s->info.guid, GUID_SIZE);
    record->thread_id = cache_thread_id(&s->facts, record->guid);
    if (s->facts.has_sent_date) {
        record->sent_date = s->facts.sent_date;
        record->sent_zone = (int16_t)s->facts.sent_zone;
    } else {
        record->sent_date = record->internal_date;
        record->sent_zone = record->internal_zone;
    }
}

/* ---- copies ---- */

static int copy_bytes(int from, int to)
{
    char chunk[64 * 1024];

    for (int64_t at = 0;;) {
        ssize_t n = file_pread_some(from, chunk, sizeof(chunk), at);
        int r = n > 0 ? file_pwrite(to, chunk, (size_t)n, at) : 0;

        if (n <= 0 || r < 0)
            return n < 0 ? (int)n : r;
        at += n;
    }
}

int stage_copy_file(int from, int dir_fd)
{
    int fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), r;

    if (fd < 0)
        return error_from_errno(errno);
    r = copy_bytes(from, fd);
    if (r < 0) {
        close(fd);
        return r;
    }
    return fd;
}

int stage_move(struct stage *s, const char *partition)
{
    int dir = store_stage_dir(s->store, partition), fd;

    BUG_ON(s->finished);
    if (dir < 0)
        return dir;
    fd = stage_copy_file(s->fd, dir);
    close(dir);
    if (fd < 0)
        return fd;
    close(s->fd);
    s->fd = fd;
    free(s->partition);
    s->partition = xstrdup(partition);
    return 0;
}

int stage_copy(struct stage *stage, const char *partition, struct stage **copy_r)
{
    struct stage *s;
    int r = stage_new(stage->store, partition, copy_r);

    BUG_ON(!stage->finished);
    if (r < 0)
        return r;
    s = *copy_r;
    r = copy_bytes(stage->fd, s->fd);
    if (r < 0) {
        stage_free(copy_r);
        return r;
    }
    digest_finish(&s->digest, NULL);
    s->info = stage->info;
    s->facts = stage->facts;
    s->finished = true;
    buf_append(&s->entry, stage->entry.data, stage->entry.len);
    return 0;
}
