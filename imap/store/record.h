/* record.h: a message as the index knows it, and a mailbox's header (doc/formats/mailbox.md).
 *
 * Both structures are made from the tables index-record.def and index-header.def. */
#ifndef IMAP_STORE_RECORD_H
#define IMAP_STORE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#define U16(offset, name, text)         uint16_t name;
#define I16(offset, name, text)         int16_t name;
#define U32(offset, name, text)         uint32_t name;
#define U64(offset, name, text)         uint64_t name;
#define I64(offset, name, text)         int64_t name;
#define U32S(offset, count, name, text) uint32_t name[count];
#define RAW(offset, size, name, text)   unsigned char name[size];
#define TEXT(offset, size, name, text)  char name[size];

struct mailbox_record {
#include "imap/store/index-record.def"
};

struct mailbox_header {
#include "imap/store/index-header.def"
};

#undef U16
#undef I16
#undef U32
#undef U64
#undef I64
#undef U32S
#undef RAW
#undef TEXT

/* Bits of mailbox_record.system. */
enum {
#define FLAG(bit, name, text) RECORD_##name = (int)(1u << (bit)),
#include "imap/store/record-flags.def"
#undef FLAG
    RECORD_SYSTEM_FLAGS = 0x1f /* the five that a client may set */
};

enum {
    USER_FLAGS_MAX = 128,
    USER_FLAG_NAME_MAX = 110, /* bytes of a keyword */
    USER_FLAGS_BYTES = USER_FLAGS_MAX / 8,
    GUID_SIZE = 20
};

/* Does the record have user flag n? */
static inline bool record_has_user_flag(const struct mailbox_record *r, unsigned n)
{
    return (r->user[n / 8] >> (n % 8)) & 1;
}

#endif
