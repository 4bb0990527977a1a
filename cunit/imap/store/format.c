/* The bytes on disk: golden values, and that the documentation says the same as the code. */
#include <stdlib.h>
#include <string.h>

#include "cunit/imap/store/fixture.h"
#include "cunit/unit.h"
#include "imap/store/codec.h"
#include "imap/store/mailbox-private.h"
#include "imap/store/seen.h"
#include "imap/store/store-private.h"
#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/db/db.h"

static const char *source_path(const char *name)
{
    static char path[1024];
    const char *srcdir = getenv("srcdir");

    snprintf(path, sizeof(path), "%s/%s", srcdir != NULL ? srcdir : ".", name);
    return path;
}

/* Gives each field a value that its name decides. */
static void fill(const struct layout_field *fields, void *of)
{
    for (; fields->name != NULL; fields++) {
        uint32_t v = digest_crc32c(fields->name, strlen(fields->name));
        unsigned char *p = (unsigned char *)of + fields->at;

        for (size_t i = 0; i < fields->size * fields->count; i++)
            p[i] = (unsigned char)(v >> (i % 4 * 8)) ^ (unsigned char)(i / 4);
        if (fields->type == LAYOUT_TEXT)
            memset(p, 'a' + (int)(v % 26), fields->size - 1);
        if (fields->type == LAYOUT_TEXT)
            p[fields->size - 1] = '\0';
    }
}

/* Lines "name hex"; STORE_TEST_GOLDEN=write makes the file (after a change that was meant). */
static void check_golden(const char *name, const unsigned char *bytes, size_t n)
{
    const char *path = source_path("cunit/imap/store/golden.txt");
    char *line = xmalloc(strlen(name) + 2 * n + 3);
    struct buf golden = BUF_INIT;
    size_t at = (size_t)sprintf(line, "%s ", name);

    str_hex(line + at, bytes, n);
    strcat(line, "\n");
    (void)file_read_all(path, 1024 * 1024, &golden);
    if (getenv("STORE_TEST_GOLDEN") != NULL) {
        buf_puts(&golden, line);
        CU_ASSERT_EQUAL(file_replace(path, golden.data, golden.len, 0644), 0);
    } else {
        CU_ASSERT(strstr(buf_cstr(&golden), line) != NULL);
    }
    buf_free(&golden);
    free(line);
}

static void test_header(void)
{
    unsigned char raw[INDEX_HEADER_SIZE];
    struct mailbox_header h, again;

    memset(&h, 0, sizeof(h));
    fill(layout_header, &h);
    header_encode(raw, &h);
    check_golden("header", raw, sizeof(raw));
    CU_ASSERT_EQUAL(header_decode(raw, &again), 0);
    for (const struct layout_field *f = layout_header; f->name != NULL; f++)
        CU_ASSERT_EQUAL(memcmp((char *)&h + f->at, (char *)&again + f->at, f->size * f->count), 0);
    for (size_t i = 0; i < sizeof(raw); i++) { /* any flipped bit is noticed */
        raw[i] ^= (unsigned char)(1u << (i % 8));
        CU_ASSERT(header_decode(raw, &again) < 0);
        raw[i] ^= (unsigned char)(1u << (i % 8));
    }
}

static void test_header_version(void)
{
    unsigned char raw[INDEX_HEADER_SIZE];
    struct mailbox_header h = {.uidvalidity = 1};
    uint32_t crc;

    header_encode(raw, &h);
    raw[8] = 2;
    crc = digest_crc32c(raw, sizeof(raw) - 4);
    for (int i = 0; i < 4; i++)
        raw[sizeof(raw) - 4 + (size_t)i] = (unsigned char)(crc >> (8 * i));
    CU_ASSERT_EQUAL(header_decode(raw, &h), ERR_VERSION);
    memset(raw, 0, sizeof(raw));
    CU_ASSERT_EQUAL(header_decode(raw, &h), ERR_CORRUPT);
}

static void test_record(void)
{
    unsigned char raw[INDEX_RECORD_SIZE];
    struct mailbox_record r, again;

    memset(&r, 0, sizeof(r));
    fill(layout_record, &r);
    record_encode(raw, &r);
    CU_ASSERT_EQUAL(r.fixed_crc, digest_crc32c(raw, INDEX_RECORD_FIXED));
    CU_ASSERT_EQUAL(r.crc, digest_crc32c(raw, INDEX_RECORD_SIZE - 4));
    check_golden("record", raw, sizeof(raw));
    CU_ASSERT_EQUAL(record_decode(raw, &again), 0);
    for (const struct layout_field *f = layout_record; f->name != NULL; f++)
        CU_ASSERT_EQUAL(memcmp((char *)&r + f->at, (char *)&again + f->at, f->size * f->count), 0);
    for (size_t i = 0; i < sizeof(raw); i++) {
        raw[i] ^= 0x10;
        CU_ASSERT_EQUAL(record_decode(raw, &again), ERR_CORRUPT);
        CU_ASSERT_EQUAL(record_fixed_is_whole(raw), i >= INDEX_RECORD_FIXED + 4);
        raw[i] ^= 0x10;
    }
    r.size = (uint64_t)INT64_MAX + 1; /* no file's, though the checksums agree */
    record_encode(raw, &r);
    CU_ASSERT_EQUAL(record_decode(raw, &again), ERR_CORRUPT);
    CU_ASSERT_FALSE(record_fixed_is_whole(raw));
    CU_ASSERT_FALSE(records_are_whole(raw, 1));
    memset(raw, 0, sizeof(raw));
    CU_ASSERT_EQUAL(record_decode(raw, &again), ERR_CORRUPT); /* a hole of the file */
}

/* Side by side they get the bytes that each gets alone, whatever their number. */
static void test_records(void)
{
    enum { MOST = 70 };
    static unsigned char raw[MOST * INDEX_RECORD_SIZE], one[INDEX_RECORD_SIZE];
    static struct mailbox_record records[MOST], again[MOST];

    for (uint32_t count = 1; count <= MOST; count++) {
        unsigned wrong = 0;

        for (uint32_t i = 0; i < count; i++) {
            memset(&records[i], 0, sizeof(records[i]));
            fill(layout_record, &records[i]);
            records[i].uid = 7 * i + count;
            records[i].modseq = UINT64_C(1) << i % 64;
            again[i] = records[i];
        }
        records_encode(raw, records, count);
        for (uint32_t i = 0; i < count; i++) {
            record_encode(one, &again[i]);
            wrong += memcmp(raw + i * INDEX_RECORD_SIZE, one, sizeof(one)) != 0 ||
                     record_decode(one, &again[i]) != 0 || records[i].crc != again[i].crc ||
                     records[i].fixed_crc != again[i].fixed_crc;
        }
        CU_ASSERT_EQUAL(wrong, 0);
    }
}

static void test_cache_head(void)
{
    unsigned char raw[CACHE_HEAD_SIZE];
    struct cache_head head;

    memset(&head, 0, sizeof(head));
    fill(layout_cache_head, &head);
    cache_head_encode(raw, &head);
    check_golden("cache", raw, sizeof(raw));
}

static void test_flag_name(void)
{
    unsigned char raw[INDEX_FLAG_NAME_SIZE];
    char name[USER_FLAG_NAME_MAX + 1];

    flag_name_encode(raw, "$Forwarded");
    check_golden("flag", raw, sizeof(raw));
    CU_ASSERT_EQUAL(flag_name_decode(raw, name), 10);
    CU_ASSERT_STRING_EQUAL(name, "$Forwarded");
    raw[3] ^= 1;
    CU_ASSERT_EQUAL(flag_name_decode(raw, name), ERR_CORRUPT);
    memset(raw, 0, sizeof(raw));
    CU_ASSERT_EQUAL(flag_name_decode(raw, name), ERR_CORRUPT);
}

static int check_seen(const struct db_value *key, const struct db_value *value, void *context)
{
    unsigned char row[200];

    CU_ASSERT_FATAL(key->len + value->len <= sizeof(row) && value->len > 16);
    memcpy(row, key->data, key->len);
    memcpy(row + key->len, value->data, value->len);
    memset(row + key->len + 8, 0, 8); /* the time */
    check_golden("seen", row, key->len + value->len);
    ++*(unsigned *)context;
    return 0;
}

static void test_seen(void)
{
    struct uid_set uids = UID_SET_INIT;
    struct fixture f;
    struct db_txn *txn;
    unsigned rows = 0;

    CU_ASSERT_EQUAL(uid_set_add(&uids, 2, 3), 0);
    CU_ASSERT_EQUAL(uid_set_add(&uids, 1000, 1000), 0);
    fixture_begin(&f);
    CU_ASSERT_EQUAL(seen_change(f.store, FIXTURE_ID, "mary", &uids, NULL, 1001), 0);
    CU_ASSERT_EQUAL_FATAL(db_begin(f.store->seen, false, &txn), 0);
    CU_ASSERT_EQUAL(db_scan(txn, db_table(f.store->seen, "seen"), NULL, 0, NULL, 0, check_seen, &rows), 0);
    CU_ASSERT_EQUAL(rows, 1);
    db_abort(&txn);
    uid_set_free(&uids);
    fixture_end(&f);
}

/* Every byte belongs to exactly one field. */
static void check_complete(const struct layout_field *fields, unsigned size)
{
    unsigned char used[INDEX_HEADER_SIZE] = {0};

    for (; fields->name != NULL; fields++) {
        CU_ASSERT(fields->offset + fields->size * fields->count <= size);
        for (unsigned i = 0; i < fields->size * fields->count; i++)
            used[fields->offset + i]++;
    }
    for (unsigned i = 0; i < size; i++)
        CU_ASSERT_EQUAL(used[i], 1);
}

static void check_documented(const struct layout_field *fields, const char *page)
{
    for (; fields->name != NULL; fields++) {
        struct buf row = BUF_INIT;

        if (fields->type == LAYOUT_U32S)
            buf_printf(&row, "| %u | %u x 4 | %s | %s |\n", fields->offset, fields->count, fields->name,
                       fields->text);
        else
            buf_printf(&row, "| %u | %u | %s | %s |\n", fields->offset, fields->size, fields->name,
                       fields->text);
        if (strstr(page, buf_cstr(&row)) == NULL)
            fprintf(stderr, "doc/formats/mailbox.md lacks: %s", buf_cstr(&row));
        CU_ASSERT(strstr(page, buf_cstr(&row)) != NULL);
        buf_free(&row);
    }
}

static void test_documentation(void)
{
    struct buf page = BUF_INIT;

    check_complete(layout_header, INDEX_HEADER_SIZE);
    check_complete(layout_record, INDEX_RECORD_SIZE);
    check_complete(layout_cache_head, CACHE_HEAD_SIZE);
    CU_ASSERT_EQUAL_FATAL(file_read_all(source_path("doc/formats/mailbox.md"), 1024 * 1024, &page), 0);
    check_documented(layout_header, buf_cstr(&page));
    check_documented(layout_record, buf_cstr(&page));
    check_documented(layout_cache_head, buf_cstr(&page));
#define FLAG(bit, name, text)                                                                                \
    CU_ASSERT(strstr(buf_cstr(&page), "| " #bit " | " #name " | " text " |") != NULL);
#include "imap/store/record-flags.def"
#undef FLAG
    buf_free(&page);
}

static const struct unit_case cases[] = {
    {"header", test_header},
    {"header of another version", test_header_version},
    {"record", test_record},
    {"records", test_records},
    {"cache entry head", test_cache_head},
    {"flag name", test_flag_name},
    {"seen", test_seen},
    {"documentation", test_documentation},
    {NULL, NULL},
};

extern const struct unit_suite format_suite;
const struct unit_suite format_suite = {"format", cases};
