/* section.h: the part table of a cache entry, and IMAP section specifications over it.
 *
 * The table is what FETCH BODY[...] and SEARCH need of a message's structure, so that neither parses the
 * message again; its bytes are described in doc/formats/part-table.md. */
#ifndef LIB_MAIL_SECTION_H
#define LIB_MAIL_SECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/mail/message.h"

/* ---- the table ---- */

/* Appends the table of a message. */
void mail_table_encode(struct buf *to, const struct mail_part *root);

/* A part as the table has it. */
struct mail_entry {
    enum mail_kind kind;
    enum decode_encoding decoding;
    bool is_text; /* text/..., the kind that SEARCH BODY decodes */
    unsigned children;
    uint64_t header_start, header_size, body_size, body_lines;
    const char *charset; /* as the message names it, "" if it does not; not terminated */
    size_t charset_len;
};

/* Reads the entries in the tree's order, a part before its children.  depth_r (may be NULL) is 0 for the
 * root.  Begin with mail_table_begin.  1: an entry; 0: the end; ERR_CORRUPT; ERR_VERSION. */
struct mail_table_iter {
    const unsigned char *at, *end;
    unsigned depth;
    unsigned left[MAIL_DEPTH_MAX + 1]; /* entries still to come at each depth */
};
int mail_table_begin(struct mail_table_iter *it, const void *table, size_t n);
int mail_table_next(struct mail_table_iter *it, struct mail_entry *entry_r, unsigned *depth_r);

/* ---- sections (RFC 3501 section 6.4.5) ---- */

enum mail_section_what {
    MAIL_SECTION_ALL,        /* [] or a part's body */
    MAIL_SECTION_HEADER,     /* HEADER */
    MAIL_SECTION_FIELDS,     /* HEADER.FIELDS (...) */
    MAIL_SECTION_FIELDS_NOT, /* HEADER.FIELDS.NOT (...) */
    MAIL_SECTION_TEXT,       /* TEXT */
    MAIL_SECTION_MIME,       /* MIME */
};

struct mail_section {
    uint32_t path[MAIL_DEPTH_MAX];
    unsigned depth; /* numbers in path */
    enum mail_section_what what;
    /* Of the two FIELDS forms; the caller's command parser fills these (names may be literals). */
    const char *const *fields;
    size_t field_count;
};

/* Parses what stands between the brackets, up to the field list: "", "1.2", "HEADER", "3.MIME",
 * "4.HEADER.FIELDS.NOT".  Sets fields to none.  0, ERR_SYNTAX, ERR_TOOBIG (path too deep). */
int mail_section_parse(const char *s, size_t n, struct mail_section *section_r);

/* Appends the specification as FETCH answers repeat it: `1.HEADER.FIELDS (To Subject)`. */
void mail_section_format(const struct mail_section *section, struct buf *to);

/* The bytes of the message that a section is; for the two FIELDS forms the header to select from with
 * mail_header_select(). */
struct mail_range {
    uint64_t start, size;
};

/* 0; ERR_NOTFOUND: the message has no such section (FETCH answers NIL); ERR_CORRUPT, ERR_VERSION: the
 * table is damaged or newer: build it again. */
int mail_section_locate(const void *table, size_t n, const struct mail_section *section,
                        struct mail_range *range_r);

/* The same of a part's body (what: ALL, a path), and how it is encoded: multiparts and messages are not. */
int mail_section_locate_encoded(const void *table, size_t n, const struct mail_section *section,
                                struct mail_range *range_r, enum decode_encoding *encoding_r);

#endif
