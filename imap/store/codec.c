#include "imap/store/codec.h"

#include <inttypes.h>
#include <string.h>

#include "imap/store/le-private.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

static const char header_magic[8] = {'I', 'A', 'T', 'L', 'A', 'S', 'I', 'X'};

/* ---- encoding ---- */

#define I16(offset, name, text) le_put16(to + (offset), (uint16_t)from->name);
#define U32(offset, name, text) le_put32(to + (offset), from->name);
#define U64(offset, name, text) le_put64(to + (offset), from->name);
#define I64(offset, name, text) le_put64(to + (offset), (uint64_t)from->name);
#define U32S(offset, count, name, text)                                                                      \
    for (unsigned i = 0; i < (count); i++)                                                                   \
        le_put32(to + (offset) + 4 * i, from->name[i]);
#define RAW(offset, size, name, text)  memcpy(to + (offset), from->name, (size));
#define TEXT(offset, size, name, text) memcpy(to + (offset), from->name, (size));

static void header_put(unsigned char *to, const struct mailbox_header *from)
{
#include "imap/store/index-header.def"
}

static void record_put(unsigned char *to, const struct mailbox_record *from)
{
#include "imap/store/index-record.def"
}

static void cache_head_put(unsigned char *to, const struct cache_head *from)
{
#include "imap/store/cache-entry.def"
}

#undef I16
#undef U32
#undef U64
#undef I64
#undef U32S
#undef RAW
#undef TEXT

/* ---- decoding ---- */

#define I16(offset, name, text) to->name = (int16_t)le_get16(from + (offset));
#define U32(offset, name, text) to->name = le_get32(from + (offset));
#define U64(offset, name, text) to->name = le_get64(from + (offset));
#define I64(offset, name, text) to->name = (int64_t)le_get64(from + (offset));
#define U32S(offset, count, name, text)                                                                      \
    for (unsigned i = 0; i < (count); i++)                                                                   \
        to->name[i] = le_get32(from + (offset) + 4 * i);
#define RAW(offset, size, name, text) memcpy(to->name, from + (offset), (size));
#define TEXT(offset, size, name, text)                                                                       \
    memcpy(to->name, from + (offset), (size));                                                               \
    to->name[(size)-1] = '\0';

static void header_get(struct mailbox_header *to, const unsigned char *from)
{
#include "imap/store/index-header.def"
}

static void record_get(struct mailbox_record *to, const unsigned char *from)
{
#include "imap/store/index-record.def"
}

static void cache_head_get(struct cache_head *to, const unsigned char *from)
{
#include "imap/store/cache-entry.def"
}

#undef I16
#undef U32
#undef U64
#undef I64
#undef U32S
#undef RAW
#undef TEXT

/* ---- tables ---- */

#define FIELD(type, offset, size, count, name, text)                                                         \
    {#name, type, offset, size, count, offsetof(struct OF, name), text},
#define I16(offset, name, text)         FIELD(LAYOUT_I16, offset, 2, 1, name, text)
#define U32(offset, name, text)         FIELD(LAYOUT_U32, offset, 4, 1, name, text)
#define U64(offset, name, text)         FIELD(LAYOUT_U64, offset, 8, 1, name, text)
#define I64(offset, name, text)         FIELD(LAYOUT_I64, offset, 8, 1, name, text)
#define U32S(offset, count, name, text) FIELD(LAYOUT_U32S, offset, 4, count, name, text)
#define RAW(offset, size, name, text)   FIELD(LAYOUT_RAW, offset, size, 1, name, text)
#define TEXT(offset, size, name, text)  FIELD(LAYOUT_TEXT, offset, size, 1, name, text)
#define LAYOUT_LAST                                                                                          \
    {                                                                                                        \
        NULL, LAYOUT_U32, 0, 0, 0, 0, NULL                                                                   \
    }

#define OF mailbox_header
const struct layout_field layout_header[] = {
#include "imap/store/index-header.def"
    LAYOUT_LAST};
#undef OF
#define OF mailbox_record
const struct layout_field layout_record[] = {
#include "imap/store/index-record.def"
    LAYOUT_LAST};
#undef OF
#define OF cache_head
const struct layout_field layout_cache_head[] = {
#include "imap/store/cache-entry.def"
    LAYOUT_LAST};
#undef OF

/* ---- what callers see ---- */

enum {
    INDEX_CRC_ROWS = 64, /* records whose sums are computed side by side */
    HEADER_AT_generation = 24
};
_Static_assert(HEADER_AT_generation % 8 == 0, "a word that is written at once");

void header_encode(unsigned char to[INDEX_HEADER_SIZE], struct mailbox_header *header)
{
    memcpy(header->magic, header_magic, sizeof(header_magic));
    header->version = INDEX_VERSION;
    header->header_size = INDEX_HEADER_SIZE;
    header->record_size = INDEX_RECORD_SIZE;
    header->records_offset = INDEX_RECORDS_AT;
    header->flag_names_offset = INDEX_FLAG_NAMES_AT;
    header->flag_name_size = INDEX_FLAG_NAME_SIZE;
    header_put(to, header);
    header->header_crc = digest_crc32c(to, INDEX_HEADER_SIZE - 4);
    le_put32(to + INDEX_HEADER_SIZE - 4, header->header_crc);
}

uint64_t header_generation(const unsigned char from[INDEX_HEADER_SIZE])
{
    return le_get64(from + HEADER_AT_generation);
}

int header_decode(const unsigned char from[INDEX_HEADER_SIZE], struct mailbox_header *header_r)
{
    uint32_t size = le_get32(from + 12);

    if (memcmp(from, header_magic, sizeof(header_magic)) != 0)
        return ERR_CORRUPT;
    /* the first 16 bytes and the checksum's place are the same in all versions */
    if (size < 20 || size > INDEX_HEADER_SIZE)
        return le_get32(from + 8) == INDEX_VERSION ? ERR_CORRUPT : ERR_VERSION;
    if (digest_crc32c(from, size - 4) != le_get32(from + size - 4))
        return ERR_CORRUPT;
    header_get(header_r, from);
    if (header_r->version != INDEX_VERSION || size != INDEX_HEADER_SIZE ||
        header_r->record_size != INDEX_RECORD_SIZE || header_r->records_offset != INDEX_RECORDS_AT ||
        header_r->flag_names_offset != INDEX_FLAG_NAMES_AT ||
        header_r->flag_name_size != INDEX_FLAG_NAME_SIZE)
        return ERR_VERSION;
    return 0;
}

void records_encode(unsigned char *to, struct mailbox_record *records, uint32_t count)
{
    uint32_t fixed[INDEX_CRC_ROWS], whole[INDEX_CRC_ROWS];

    for (uint32_t n; count > 0; count -= n, records += n, to += (size_t)n * INDEX_RECORD_SIZE) {
        n = count < INDEX_CRC_ROWS ? count : INDEX_CRC_ROWS;
        for (uint32_t i = 0; i < n; i++)
            record_put(to + (size_t)i * INDEX_RECORD_SIZE, &records[i]);
        digest_crc32c_rows(to, INDEX_RECORD_FIXED, INDEX_RECORD_SIZE, n, fixed);
        for (uint32_t i = 0; i < n; i++)
            le_put32(to + (size_t)i * INDEX_RECORD_SIZE + RECORD_AT_fixed_crc,
                     records[i].fixed_crc = fixed[i]);
        digest_crc32c_rows(to, RECORD_AT_crc, INDEX_RECORD_SIZE, n, whole);
        for (uint32_t i = 0; i < n; i++)
            le_put32(to + (size_t)i * INDEX_RECORD_SIZE + RECORD_AT_crc, records[i].crc = whole[i]);
    }
}

void record_encode(unsigned char to[INDEX_RECORD_SIZE], struct mailbox_record *record)
{
    records_encode(to, record, 1);
}

/* Nobody has written it if not, whatever its checksum says. */
static bool is_possible(const unsigned char *record)
{
    return le_get32(record + RECORD_AT_uid) != 0 && le_get64(record + RECORD_AT_size) <= INT64_MAX;
}

int record_decode(const unsigned char from[INDEX_RECORD_SIZE], struct mailbox_record *record_r)
{
    record_get(record_r, from);
    if (digest_crc32c(from, INDEX_RECORD_SIZE - 4) != record_r->crc || !is_possible(from))
        return ERR_CORRUPT;
    return 0;
}

void record_take(const unsigned char from[INDEX_RECORD_SIZE], struct mailbox_record *record_r)
{
    record_get(record_r, from);
}

bool records_are_whole(const unsigned char *from, uint32_t count)
{
    uint32_t crc[INDEX_CRC_ROWS];

    for (uint32_t n; count > 0; count -= n, from += (size_t)n * INDEX_RECORD_SIZE) {
        n = count < INDEX_CRC_ROWS ? count : INDEX_CRC_ROWS;
        digest_crc32c_rows(from, RECORD_AT_crc, INDEX_RECORD_SIZE, n, crc);
        for (uint32_t i = 0; i < n; i++) {
            const unsigned char *record = from + (size_t)i * INDEX_RECORD_SIZE;

            if (crc[i] != le_get32(record + RECORD_AT_crc) || !is_possible(record))
                return false;
        }
    }
    return true;
}

bool record_fixed_is_whole(const unsigned char from[INDEX_RECORD_SIZE])
{
    return digest_crc32c(from, INDEX_RECORD_FIXED) == le_get32(from + INDEX_RECORD_FIXED) &&
           is_possible(from);
}

void cache_head_encode(unsigned char to[CACHE_HEAD_SIZE], const struct cache_head *head)
{
    cache_head_put(to, head);
}

void cache_head_decode(const unsigned char from[CACHE_HEAD_SIZE], struct cache_head *head_r)
{
    cache_head_get(head_r, from);
}

void flag_name_encode(unsigned char to[INDEX_FLAG_NAME_SIZE], const char *name)
{
    size_t n = strlen(name);

    BUG_ON(n == 0 || n > USER_FLAG_NAME_MAX);
    memset(to, 0, INDEX_FLAG_NAME_SIZE);
    to[0] = (unsigned char)n;
    memcpy(to + 1, name, n);
    le_put32(to + INDEX_FLAG_NAME_SIZE - 4, digest_crc32c(to, INDEX_FLAG_NAME_SIZE - 4));
}

int flag_name_decode(const unsigned char from[INDEX_FLAG_NAME_SIZE], char name_r[USER_FLAG_NAME_MAX + 1])
{
    size_t n = from[0];

    if (le_get32(from + INDEX_FLAG_NAME_SIZE - 4) != digest_crc32c(from, INDEX_FLAG_NAME_SIZE - 4))
        return ERR_CORRUPT;
    if (n == 0 || n > USER_FLAG_NAME_MAX || memchr(from + 1, '\0', n) != NULL)
        return ERR_CORRUPT;
    memcpy(name_r, from + 1, n);
    name_r[n] = '\0';
    return (int)n;
}

/* Only the places that are not zero: the arrays are long. */
static void format_numbers(const uint32_t *v, unsigned count, struct buf *to)
{
    for (unsigned i = 0; i < count; i++) {
        if (v[i] != 0 && v[i] != UINT32_MAX)
            buf_printf(to, "%s%u:%" PRIu32, to->len > 0 ? " " : "", i, v[i]);
    }
}

static void format_text(const char *text, struct buf *to)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n' || *text == '\t')
            buf_puts(to, *text == '\n' ? "\\n" : "\\t");
        else
            buf_putc(to, *text);
    }
}

void layout_format(const struct layout_field *field, const void *of, struct buf *to)
{
    const unsigned char *p = (const unsigned char *)of + field->at;

    switch (field->type) {
    case LAYOUT_I16:
        buf_printf(to, "%d", *(const int16_t *)(const void *)p);
        break;
    case LAYOUT_U32:
        buf_printf(to, "%" PRIu32, *(const uint32_t *)(const void *)p);
        break;
    case LAYOUT_U64:
        buf_printf(to, "%" PRIu64, *(const uint64_t *)(const void *)p);
        break;
    case LAYOUT_I64:
        buf_printf(to, "%" PRId64, *(const int64_t *)(const void *)p);
        break;
    case LAYOUT_U32S:
        format_numbers((const uint32_t *)(const void *)p, field->count, to);
        break;
    case LAYOUT_RAW:
        for (unsigned i = 0; i < field->size; i++)
            buf_printf(to, "%02x", p[i]);
        break;
    case LAYOUT_TEXT:
        format_text((const char *)p, to);
        break;
    }
}
