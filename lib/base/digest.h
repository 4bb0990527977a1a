/* digest.h: SHA-1 (message GUIDs), SHA-256, CRC-32C (records on disk), random bytes. */
#ifndef LIB_BASE_DIGEST_H
#define LIB_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define DIGEST_SHA1_SIZE   20
#define DIGEST_SHA256_SIZE 32

struct digest; /* a running SHA-1 */

struct digest *digest_sha1_new(void);
void digest_update(struct digest *d, const void *data, size_t n);
/* Writes the digest and frees; *d becomes NULL.  out may be NULL to only free. */
void digest_finish(struct digest **d, unsigned char out[DIGEST_SHA1_SIZE]);

void digest_sha1(const void *data, size_t n, unsigned char out[DIGEST_SHA1_SIZE]);
void digest_sha256(const void *data, size_t n, unsigned char out[DIGEST_SHA256_SIZE]);

/* CRC-32C (Castagnoli, reflected, initial and final complement; RFC 3720 B.4), in hardware
 * where the processor has it. */
uint32_t digest_crc32c(const void *data, size_t n);
/* Goes on from the CRC of the bytes before. */
uint32_t digest_crc32c_more(uint32_t crc, const void *data, size_t n);

/* The CRCs of `rows` rows of n bytes that begin `stride` bytes apart.  One CRC waits for its own last step; several side
 * by side do not wait for one another. */
void digest_crc32c_rows(const void *data, size_t n, size_t stride, size_t rows, uint32_t *crc_r);

/* The same without the processor's help (for its test). */
uint32_t digest_crc32c_portable(uint32_t crc, const void *data, size_t n);

/* Cryptographic randomness; never fails. */
void digest_random(void *to, size_t n);

#endif
