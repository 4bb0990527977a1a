/* header.h: the fields of a message's or a part's header (RFC 5322 section 2.2), taken as they are.
 *
 * A header here is a byte range: fields, then optionally the empty line that ends it.  Line ends are
 * CRLF or a bare LF.  A line that is neither a field nor a continuation (an mbox "From " line, garbage)
 * is a field without a name.  Nothing is copied or allocated unless a function says so; any bytes are
 * allowed.  All functions are thread-safe. */
#ifndef LIB_MAIL_HEADER_H
#define LIB_MAIL_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/pool.h"

/* A field; the pointers are into the header. */
struct mail_field {
    const char *name;  /* blanks before the colon left out */
    size_t name_len;   /* 0: a line that is no field */
    const char *value; /* behind the colon, folds and blanks as they stand, without the last line end */
    size_t value_len;
    const char *raw; /* the whole field, with its line end(s) */
    size_t raw_len;
};

struct mail_header_iter {
    const char *at, *end;
};

/* The length of the header at the beginning of data: up to and with the empty line, or everything if
 * there is none. */
size_t mail_header_size(const char *data, size_t n);

void mail_header_begin(struct mail_header_iter *it, const char *header, size_t n);
/* The next field in order; false at the empty line or the end. */
bool mail_header_next(struct mail_header_iter *it, struct mail_field *field_r);

/* Has the field this name (any case)? */
bool mail_field_is(const struct mail_field *field, const char *name);

/* The next field of that name (any case); false at the end. */
bool mail_header_next_of(struct mail_header_iter *it, const char *name, struct mail_field *field_r);

/* The first field of that name; false if there is none. */
bool mail_header_find(const char *header, size_t n, const char *name, struct mail_field *field_r);

/* Appends the value unfolded (RFC 5322 section 2.2.3: line ends removed, NULs too) and with the
 * blanks at both ends cut. */
void mail_field_unfold(const struct mail_field *field, struct buf *to);

/* The first field's value unfolded, in the pool; NULL if there is no such field. */
char *mail_header_get(struct pool *pool, const char *header, size_t n, const char *name);

/* The values of all fields of that name, in order, unfolded, NULL-terminated, in the pool (never NULL). */
char **mail_header_get_all(struct pool *pool, const char *header, size_t n, const char *name);

/* Appends what BODY[HEADER.FIELDS (names)] is (RFC 3501 section 6.4.5): the fields whose name is in the
 * list, in the header's order, as they stand, and an empty line.  With `except` the fields that are not in
 * the list (HEADER.FIELDS.NOT); lines that are no field belong to neither. */
void mail_header_select(const char *header, size_t n, const char *const *names, size_t count, bool except,
                        struct buf *to);

#endif
