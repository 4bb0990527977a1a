/* files.c: message files: `<uid>.`, immutable, linked, never opened for writing under their name. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "imap/store/mailbox-private.h"
#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

void message_name(char to[MESSAGE_NAME_SIZE], uint32_t uid)
{
    snprintf(to, MESSAGE_NAME_SIZE, "%" PRIu32 ".", uid);
}

void fd_path(char to[32], int fd)
{
    snprintf(to, 32, "/proc/self/fd/%d", fd);
}

int message_file_open(struct mailbox *m, uint32_t uid)
{
    char name[MESSAGE_NAME_SIZE];
    int fd;

    message_name(name, uid);
    fd = mailbox_open_message(m, name, O_RDONLY);
    if (fd < 0)
        return errno == ENOENT ? ERR_EXPUNGED : error_from_errno(errno);
    return fd;
}

bool message_file_exists(struct mailbox *m, uint32_t uid)
{
    char name[MESSAGE_NAME_SIZE];
    int dir = mailbox_dir_fd(m);

    message_name(name, uid);
    return dir >= 0 && faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int message_file_link(struct mailbox *m, uint32_t uid, int fd)
{
    char name[MESSAGE_NAME_SIZE], from[32];
    int dir = mailbox_dir_fd(m);

    if (dir < 0)
        return dir;
    message_name(name, uid);
    fd_path(from, fd);
    if (linkat(AT_FDCWD, from, dir, name, AT_SYMLINK_FOLLOW) == 0)
        return 0;
    if (errno != EEXIST)
        return error_from_errno(errno);
    /* left by an append that was never committed: perhaps a link to a message elsewhere */
    if (unlinkat(dir, name, 0) != 0 && errno != ENOENT)
        return error_from_errno(errno);
    return linkat(AT_FDCWD, from, dir, name, AT_SYMLINK_FOLLOW) == 0 ? 0 : error_from_errno(errno);
}

void message_file_unlink(struct mailbox *m, uint32_t uid)
{
    char name[MESSAGE_NAME_SIZE];
    int dir = mailbox_dir_fd(m);

    message_name(name, uid);
    if (dir >= 0)
        (void)unlinkat(dir, name, 0);
}

/* ---- listing ---- */

/* "123." as written by message_name(): the UID, else 0. */
static uint32_t parse_name(const char *name)
{
    size_t n = strlen(name);
    uint32_t uid;

    if (n < 2 || name[n - 1] != '.' || name[0] == '0')
        return 0;
    return str_parse_u32(name, n - 1, &uid) == 0 && uid <= UID_MAX ? uid : 0;
}

static int compare_uids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

int message_files_list(int dir_fd, uint32_t **uids_r, uint32_t *count_r)
{
    uint32_t *uids = NULL, count = 0, room = 0;
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;
    int r = 0;

    if (d == NULL) {
        r = error_from_errno(errno);
        if (fd >= 0)
            close(fd);
        return r;
    }
    while (errno = 0, (e = readdir(d)) != NULL) {
        uint32_t uid = parse_name(e->d_name);

        if (uid == 0)
            continue;
        if (count == room) {
            room = room * 2 + 64;
            uids = xreallocarray(uids, room, sizeof(*uids));
        }
        uids[count++] = uid;
    }
    if (errno != 0)
        r = error_from_errno(errno);
    closedir(d);
    if (count > 0)
        qsort(uids, count, sizeof(*uids), compare_uids);
    *uids_r = uids;
    *count_r = count;
    return r;
}

bool message_files_have(const uint32_t *uids, uint32_t count, uint32_t uid)
{
    return count > 0 && bsearch(&uid, uids, count, sizeof(*uids), compare_uids) != NULL;
}

/* ---- contents ---- */

/* Mapping is safe here, unlike with the index: message files are never truncated. */
int file_map_open(int fd, struct file_map *map_r)
{
    struct stat st;
    void *p;

    if (fstat(fd, &st) != 0)
        return error_from_errno(errno);
    *map_r = (struct file_map){"", (size_t)st.st_size, st.st_mtime};
    if (st.st_size == 0)
        return 0;
    p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return error_from_errno(errno);
    map_r->data = p;
    return 0;
}

void file_map_close(struct file_map *map)
{
    if (map->size > 0)
        munmap((void *)(uintptr_t)map->data, map->size);
    map->size = 0;
}

static void fill_record(struct mailbox_record *record, const struct file_map *map,
                        const struct cache_facts *facts)
{
    record->header_bytes = facts->header_bytes;
    record->lines = facts->lines;
    record->size = map->size;
    record->internal_date = map->mtime;
    record->save_date = record->last_updated = clock_wall();
    record->sent_date = facts->has_sent_date ? facts->sent_date : map->mtime;
    record->sent_zone = (int16_t)(facts->has_sent_date ? facts->sent_zone : 0);
    digest_sha1(map->data, map->size, record->guid);
    record->thread_id = cache_thread_id(facts, record->guid);
}

int message_file_examine(struct mailbox *m, uint32_t uid, struct mailbox_record *record, struct buf *entry)
{
    struct cache_facts facts;
    struct file_map map;
    int fd = message_file_open(m, uid), r;

    if (fd < 0)
        return fd;
    r = file_map_open(fd, &map);
    close(fd);
    if (r < 0)
        return r;
    memset(record, 0, sizeof(*record));
    record->uid = uid;
    cache_build(entry, map.data, map.size, &facts);
    fill_record(record, &map, &facts);
    file_map_close(&map);
    return 0;
}

/* ---- the stage directory ---- */

static int find_staged(int stage_dir, const unsigned char guid[GUID_SIZE], char name_r[256])
{
    char hex[2 * GUID_SIZE + 1];
    int fd = openat(stage_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;
    int r = ERR_NOTFOUND;

    if (d == NULL) {
        if (fd >= 0)
            close(fd);
        return ERR_NOTFOUND;
    }
    str_hex(hex, guid, GUID_SIZE);
    while (r != 0 && (e = readdir(d)) != NULL) {
        if (str_has_prefix(e->d_name, hex) && str_copy(name_r, 256, e->d_name))
            r = 0;
    }
    closedir(d);
    return r;
}

/* Is the file behind fd really that message? */
static bool has_guid(int fd, const unsigned char guid[GUID_SIZE])
{
    unsigned char sha[DIGEST_SHA1_SIZE];
    struct file_map map;

    if (file_map_open(fd, &map) < 0)
        return false;
    digest_sha1(map.data, map.size, sha);
    file_map_close(&map);
    return memcmp(sha, guid, GUID_SIZE) == 0;
}

int message_file_from_stage(struct mailbox *m, uint32_t uid, const unsigned char guid[GUID_SIZE])
{
    char name[256];
    int stage_dir = store_stage_dir(m->store, m->partition), fd, r;

    if (stage_dir < 0)
        return ERR_NOTFOUND;
    r = find_staged(stage_dir, guid, name);
    fd = r == 0 ? openat(stage_dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
    close(stage_dir);
    if (fd < 0)
        return ERR_NOTFOUND;
    r = has_guid(fd, guid) ? message_file_link(m, uid, fd) : ERR_NOTFOUND;
    if (r == 0)
        r = store_sync_file(m->store, fd);
    close(fd);
    return r < 0 ? ERR_NOTFOUND : 0;
}
