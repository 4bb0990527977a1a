/* cache.c: the file `cache.<generation>`: entries with what FETCH and SEARCH need, ready to send. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "imap/store/le-private.h"
#include "imap/store/mailbox-private.h"
#include "imap/store/message.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mail/date.h"
#include "lib/mail/header.h"
#include "lib/mail/section.h"
#include "lib/mail/text.h"
#include "lib/mail/wire.h"

#define CACHE_CRC_AT  12                 /* what the checksum covers begins here */
#define CACHE_MAX     (64 * 1024 * 1024) /* bytes of an entry that is believed */
#define CACHE_NAME    24                 /* "cache.4294967295" */
#define HEADERS_BYTES (256 * 1024)       /* of CACHE_HEADERS; a longer header is not cached */

static const char file_magic[8] = {'I', 'A', 'T', 'L', 'A', 'S', 'C', 'A'};

/* Those that clients ask for in lists of messages and that SEARCH and SORT need. */
static const char *const cached_headers[] = {
    "Bcc",        "Cc",       "Content-Type", "Date",     "From",   "Importance", "In-Reply-To", "List-Id",
    "Message-Id", "Priority", "References",   "Reply-To", "Sender", "Subject",    "To",          "X-Priority",
};

bool message_header_is_cached(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(cached_headers); i++) {
        if (str_ieq(name, cached_headers[i]))
            return true;
    }
    return false;
}

/* ---- the file ---- */

static void cache_name(char to[CACHE_NAME], uint32_t generation)
{
    snprintf(to, CACHE_NAME, "cache.%" PRIu32, generation);
}

static void head_of_file(unsigned char to[CACHE_FILE_HEAD], uint32_t generation)
{
    memset(to, 0, CACHE_FILE_HEAD);
    memcpy(to, file_magic, sizeof(file_magic));
    le_put32(to + 8, CACHE_VERSION);
    le_put32(to + 12, generation);
    le_put32(to + CACHE_FILE_HEAD - 4, digest_crc32c(to, CACHE_FILE_HEAD - 4));
}

int cache_create(int dir_fd, uint32_t generation)
{
    unsigned char head[CACHE_FILE_HEAD];
    char name[CACHE_NAME];
    int fd, r;

    cache_name(name, generation);
    if (unlinkat(dir_fd, name, 0) != 0 && errno != ENOENT)
        return error_from_errno(errno);
    fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_from_errno(errno);
    head_of_file(head, generation);
    r = file_pwrite(fd, head, sizeof(head), 0);
    if (r < 0) {
        close(fd);
        return r;
    }
    return fd;
}

int cache_unlink(int dir_fd, uint32_t generation)
{
    char name[CACHE_NAME];

    cache_name(name, generation);
    return unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT ? 0 : error_from_errno(errno);
}

bool cache_exists(int dir_fd, uint32_t generation)
{
    char name[CACHE_NAME];

    cache_name(name, generation);
    return faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int create_missing(struct mailbox *m, uint32_t generation)
{
    int dir = mailbox_metadata_fd(m);

    return dir < 0 ? dir : cache_create(dir, generation);
}

/* The descriptor of the header's cache. */
static int cache_fd(struct mailbox *m)
{
    uint32_t generation = m->lock != NULL ? m->next.cache_generation : m->header.cache_generation;
    char name[CACHE_NAME];

    if (m->cache_fd >= 0 && m->cache_generation == generation)
        return m->cache_fd;
    if (m->cache_fd >= 0)
        close(m->cache_fd);
    cache_name(name, generation);
    m->cache_fd = mailbox_open_metadata(m, name, m->cannot_write ? O_RDONLY : O_RDWR);
    if (m->cache_fd < 0 && errno == ENOENT && m->lock != NULL)
        m->cache_fd = create_missing(m, generation);
    m->cache_generation = generation;
    if (m->cache_fd == -1)
        return errno == ENOENT ? ERR_CORRUPT : error_from_errno(errno);
    return m->cache_fd;
}

/* ---- entries ---- */

int cache_verify(const unsigned char *entry, size_t n, uint32_t uid)
{
    struct cache_head head;
    uint64_t sum = CACHE_HEAD_SIZE;

    if (n < CACHE_HEAD_SIZE)
        return ERR_CORRUPT;
    cache_head_decode(entry, &head);
    if (head.magic != CACHE_ENTRY_MAGIC || head.size != n || head.version != CACHE_VERSION)
        return ERR_CORRUPT;
    /* uid 0: made, not yet in a mailbox */
    if (head.uid != uid || head.crc != digest_crc32c(entry + CACHE_CRC_AT, n - CACHE_CRC_AT))
        return ERR_CORRUPT;
    for (unsigned i = 0; i < CACHE_ENTRY_ITEMS; i++)
        sum += head.item_size[i];
    return sum == n ? 0 : ERR_CORRUPT;
}

bool cache_place_is_sane(const struct mailbox_record *record)
{
    return record->cache_offset >= CACHE_FILE_HEAD && record->cache_offset <= INT64_MAX - CACHE_MAX &&
           record->cache_size >= CACHE_HEAD_SIZE && record->cache_size <= CACHE_MAX;
}

int64_t cache_read_range(struct mailbox *m, uint64_t offset, void *to, size_t n)
{
    int fd = cache_fd(m);

    return fd < 0 ? fd : file_pread_some(fd, to, n, (int64_t)offset);
}

int cache_read(struct mailbox *m, const struct mailbox_record *record, struct buf *to)
{
    uint32_t n = record->cache_size;
    int64_t got;

    buf_reset(to);
    if (!cache_place_is_sane(record))
        return ERR_CORRUPT;
    got = cache_read_range(m, record->cache_offset, buf_reserve(to, n), n);
    if (got < 0)
        return (int)got;
    buf_added(to, (size_t)got);
    return cache_verify((const unsigned char *)to->data, to->len, record->uid);
}

void cache_stamp(struct buf *entry, uint32_t uid)
{
    unsigned char *p = (unsigned char *)entry->data;

    BUG_ON(entry->len < CACHE_HEAD_SIZE);
    le_put32(p + 12, uid);
    le_put32(p + 8, digest_crc32c(p + CACHE_CRC_AT, entry->len - CACHE_CRC_AT));
}

int cache_append(struct mailbox *m, struct buf *entry, struct mailbox_record *record)
{
    struct stat st;
    int64_t at;
    int fd = cache_fd(m), r;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) != 0)
        return error_from_errno(errno);
    at = st.st_size < CACHE_FILE_HEAD ? CACHE_FILE_HEAD : st.st_size;
    cache_stamp(entry, record->uid);
    r = file_pwrite(fd, entry->data, entry->len, at);
    if (r < 0)
        return r;
    record->cache_offset = (uint64_t)at;
    record->cache_size = (uint32_t)entry->len;
    return 0;
}

/* ---- making an entry ---- */

static void put_headers(struct buf *entry, const char *data, size_t header_size)
{
    if (header_size <= HEADERS_BYTES)
        mail_header_select(data, header_size, cached_headers, ARRAY_SIZE(cached_headers), false, entry);
}

static void find_date(const char *data, size_t header_size, struct cache_facts *facts)
{
    struct mail_field field;

    facts->has_sent_date =
        mail_header_find(data, header_size, "Date", &field) &&
        mail_date_parse(field.value, field.value_len, &facts->sent_date, &facts->sent_zone) == 0;
}

/* Its first 8 bytes. */
static uint64_t id_of_digest(const unsigned char *digest)
{
    uint64_t id = 0;

    for (int i = 0; i < 8; i++)
        id = id << 8 | digest[i];
    return id != 0 ? id : 1;
}

/* A thread has the name of its first message: which References begins with (RFC 5322 3.6.4), or which this one answers,
 * or which it is.  So it is the same in every mailbox and on every server, and never changes. */
static void find_thread(struct pool *pool, const char *data, size_t header_size, struct cache_facts *facts)
{
    static const char *const fields[] = {"References", "In-Reply-To", "Message-ID"};
    unsigned char digest[DIGEST_SHA1_SIZE];
    struct mail_field field;
    const char *id = NULL;

    for (size_t i = 0; id == NULL && i < ARRAY_SIZE(fields); i++)
        if (mail_header_find(data, header_size, fields[i], &field))
            id = mail_message_id(pool, field.value, field.value_len);
    facts->thread_id = 0;
    if (id == NULL)
        return;
    digest_sha1(id, strlen(id), digest);
    facts->thread_id = id_of_digest(digest);
}

uint64_t cache_thread_id(const struct cache_facts *facts, const unsigned char guid[GUID_SIZE])
{
    return facts->thread_id != 0 ? facts->thread_id : id_of_digest(guid);
}

static uint32_t count_lines(const char *data, size_t n)
{
    uint32_t lines = 0;
    const char *end = data + n;

    while (n > 0 && data < end && (data = memchr(data, '\n', (size_t)(end - data))) != NULL) {
        lines++;
        data++;
    }
    return lines;
}

void cache_build(struct buf *entry, const char *data, size_t n, struct cache_facts *facts_r)
{
    struct pool *pool = pool_new(16 * 1024);
    struct mail_part *root = mail_parse(pool, data, n);
    struct cache_head head = {.magic = CACHE_ENTRY_MAGIC, .version = CACHE_VERSION};
    size_t at;
    int bits = 0;

    buf_reset(entry);
    buf_reserve(entry, 4096);
    buf_added(entry, CACHE_HEAD_SIZE);
#define ITEM(i, call)                                                                                        \
    at = entry->len;                                                                                         \
    call;                                                                                                    \
    head.item_size[i] = (uint32_t)(entry->len - at);
    ITEM(CACHE_ENVELOPE, bits |= mail_wire_envelope(entry, data, root, MAIL_WIRE_PLAIN))
    ITEM(CACHE_BODY, bits |= mail_wire_body(entry, data, root, MAIL_WIRE_PLAIN))
    ITEM(CACHE_BODYSTRUCTURE, bits |= mail_wire_bodystructure(entry, data, root, MAIL_WIRE_PLAIN))
    ITEM(CACHE_PARTS, mail_table_encode(entry, root))
    ITEM(CACHE_HEADERS, put_headers(entry, data, root->header_size))
#undef ITEM
    head.size = (uint32_t)entry->len;
    head.flags = bits & MAIL_WIRE_8BIT ? CACHE_8BIT : 0;
    cache_head_encode((unsigned char *)entry->data, &head);
    cache_stamp(entry, 0);
    facts_r->header_bytes = (uint32_t)root->header_size;
    facts_r->lines = count_lines(data, n);
    find_date(data, root->header_size, facts_r);
    find_thread(pool, data, root->header_size, facts_r);
    pool_free(&pool);
}
