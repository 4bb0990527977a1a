#include "lib/base/digest.h"

#include <string.h>

#include "cunit/unit.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

/* RFC 3720 B.4 and the check value of the polynomial. */
static void test_crc32c(void)
{
    unsigned char zeros[32] = {0}, ones[32], up[32], down[32];
    const struct {
        const void *data;
        size_t n;
        uint32_t crc;
    } rows[] = {
        {zeros, 32, 0x8a9136aa}, {ones, 32, 0x62a8ab43},        {up, 32, 0x46dd794e},
        {down, 32, 0x113fdb5c},  {"123456789", 9, 0xe3069283u}, {"", 0, 0},
    };

    memset(ones, 0xff, sizeof(ones));
    for (unsigned i = 0; i < 32; i++) {
        up[i] = (unsigned char)i;
        down[i] = (unsigned char)(31 - i);
    }
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        CU_ASSERT_EQUAL(digest_crc32c(rows[i].data, rows[i].n), rows[i].crc);
        CU_ASSERT_EQUAL(digest_crc32c_portable(0, rows[i].data, rows[i].n), rows[i].crc);
    }
}

/* Both ways agree at every length, offset and cut. */
static void test_crc32c_pieces(void)
{
    unsigned char data[100];
    int wrong = 0;

    digest_random(data, sizeof(data));
    for (size_t from = 0; from < 9; from++) {
        for (size_t n = 0; from + n <= sizeof(data); n++) {
            uint32_t whole = digest_crc32c(data + from, n);
            uint32_t two =
                digest_crc32c_more(digest_crc32c(data + from, n / 3), data + from + n / 3, n - n / 3);

            wrong += whole != two || whole != digest_crc32c_portable(0, data + from, n);
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* FIPS 180-2 appendices A.1, B.1. */
static void test_sha(void)
{
    unsigned char out[DIGEST_SHA256_SIZE];
    char hex[2 * DIGEST_SHA256_SIZE + 1];
    struct digest *d = digest_sha1_new();

    digest_update(d, "a", 1);
    digest_update(d, "bc", 2);
    digest_finish(&d, out);
    CU_ASSERT_PTR_NULL(d);
    str_hex(hex, out, DIGEST_SHA1_SIZE);
    CU_ASSERT_STRING_EQUAL(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
    digest_sha1("abc", 3, out);
    str_hex(hex, out, DIGEST_SHA1_SIZE);
    CU_ASSERT_STRING_EQUAL(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
    digest_sha256("abc", 3, out);
    str_hex(hex, out, DIGEST_SHA256_SIZE);
    CU_ASSERT_STRING_EQUAL(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    d = digest_sha1_new();
    digest_finish(&d, NULL);
}

/* Rows side by side give what each gives alone, whatever their number, length and distance. */
static void test_crc32c_rows(void)
{
    unsigned char data[2000];
    uint32_t crc[20];
    int wrong = 0;

    digest_random(data, sizeof(data));
    for (size_t rows = 0; rows < 10; rows++) {
        for (size_t n = 0; n < 100; n += 7) {
            digest_crc32c_rows(data, n, n + rows, rows, crc);
            for (size_t i = 0; i < rows; i++)
                wrong += crc[i] != digest_crc32c_portable(0, data + i * (n + rows), n);
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static const struct unit_case cases[] = {
    {"crc-32c", test_crc32c},
    {"crc-32c in pieces", test_crc32c_pieces},
    {"crc-32c in rows", test_crc32c_rows},
    {"sha", test_sha},
    {NULL, NULL},
};

extern const struct unit_suite digest_suite;
const struct unit_suite digest_suite = {"digest", cases};
