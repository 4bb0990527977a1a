#include "lib/base/digest.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/evp.h>

#ifdef __x86_64__
#include <nmmintrin.h>
#endif

#include "lib/base/mem.h"

struct digest {
    EVP_MD_CTX *context;
};

/* Fetched once: EVP_sha1() is looked up at each use. */
static EVP_MD *sha1;
static pthread_once_t sha1_once = PTHREAD_ONCE_INIT;

static void sha1_fetch(void)
{
    sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    BUG_ON(sha1 == NULL);
}

static const EVP_MD *sha1_get(void)
{
    pthread_once(&sha1_once, sha1_fetch);
    return sha1;
}

struct digest *digest_sha1_new(void)
{
    struct digest *d = xcalloc(1, sizeof(*d));

    d->context = EVP_MD_CTX_new();
    BUG_ON(d->context == NULL || EVP_DigestInit_ex(d->context, sha1_get(), NULL) != 1);
    return d;
}

void digest_update(struct digest *d, const void *data, size_t n)
{
    BUG_ON(EVP_DigestUpdate(d->context, data, n) != 1);
}

void digest_finish(struct digest **dp, unsigned char out[DIGEST_SHA1_SIZE])
{
    struct digest *d = *dp;

    if (d == NULL)
        return;
    if (out != NULL)
        BUG_ON(EVP_DigestFinal_ex(d->context, out, NULL) != 1);
    EVP_MD_CTX_free(d->context);
    free(d);
    *dp = NULL;
}

void digest_sha1(const void *data, size_t n, unsigned char out[DIGEST_SHA1_SIZE])
{
    BUG_ON(EVP_Digest(data, n, out, NULL, sha1_get(), NULL) != 1);
}

void digest_sha256(const void *data, size_t n, unsigned char out[DIGEST_SHA256_SIZE])
{
    BUG_ON(EVP_Digest(data, n, out, NULL, EVP_sha256(), NULL) != 1);
}

void digest_random(void *to, size_t n)
{
    unsigned char *p = to;

    while (n > 0) {
        ssize_t k = getrandom(p, n, 0);

        BUG_ON(k < 0 && errno != EINTR);
        if (k > 0) {
            p += k;
            n -= (size_t)k;
        }
    }
}

/* ---- CRC-32C ---- */

/* The remainders of the 256 bytes, of the polynomial 0x1EDC6F41 reflected. */
static uint32_t crc_table[256];

static void __attribute__((constructor)) crc_fill_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;

        for (int bit = 0; bit < 8; bit++)
            c = c & 1 ? c >> 1 ^ 0x82f63b78u : c >> 1;
        crc_table[i] = c;
    }
}

static uint32_t crc_by_table(uint32_t crc, const unsigned char *p, size_t n)
{
    for (; n > 0; n--, p++)
        crc = crc_table[(crc ^ *p) & 0xff] ^ crc >> 8;
    return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc_by_processor(uint32_t crc, const unsigned char *p,
                                                                   size_t n)
{
    uint64_t c = crc;

    for (; n >= 8; n -= 8, p += 8) {
        uint64_t v;

        memcpy(&v, p, 8);
        c = _mm_crc32_u64(c, v);
    }
    for (; n > 0; n--, p++)
        c = _mm_crc32_u8((uint32_t)c, *p);
    return (uint32_t)c;
}

static inline uint64_t word_at(const unsigned char *p)
{
    uint64_t v;

    memcpy(&v, p, 8);
    return v;
}

/* Four rows side by side. */
__attribute__((target("sse4.2"))) static void crc_four(const unsigned char *p, size_t n, size_t stride,
                                                       uint32_t *crc_r)
{
    uint64_t a = UINT32_MAX, b = UINT32_MAX, c = UINT32_MAX, d = UINT32_MAX;
    size_t words = n / 8 * 8;

    for (size_t i = 0; i < words; i += 8) {
        a = _mm_crc32_u64(a, word_at(p + i));
        b = _mm_crc32_u64(b, word_at(p + stride + i));
        c = _mm_crc32_u64(c, word_at(p + 2 * stride + i));
        d = _mm_crc32_u64(d, word_at(p + 3 * stride + i));
    }
    crc_r[0] = ~crc_by_processor((uint32_t)a, p + words, n - words);
    crc_r[1] = ~crc_by_processor((uint32_t)b, p + stride + words, n - words);
    crc_r[2] = ~crc_by_processor((uint32_t)c, p + 2 * stride + words, n - words);
    crc_r[3] = ~crc_by_processor((uint32_t)d, p + 3 * stride + words, n - words);
}
#endif

uint32_t digest_crc32c_portable(uint32_t crc, const void *data, size_t n)
{
    return ~crc_by_table(~crc, data, n);
}

uint32_t digest_crc32c_more(uint32_t crc, const void *data, size_t n)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc_by_processor(~crc, data, n);
#endif
    return digest_crc32c_portable(crc, data, n);
}

uint32_t digest_crc32c(const void *data, size_t n)
{
    return digest_crc32c_more(0, data, n);
}

void digest_crc32c_rows(const void *data, size_t n, size_t stride, size_t rows, uint32_t *crc_r)
{
    const unsigned char *p = data;
    size_t i = 0;

#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2")) {
        for (; rows - i >= 4; i += 4)
            crc_four(p + i * stride, n, stride, crc_r + i);
    }
#endif
    for (; i < rows; i++)
        crc_r[i] = digest_crc32c(p + i * stride, n);
}
