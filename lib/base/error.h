/* error.h: one enum of error codes for the whole program.
 *
 * A function that can fail returns 0 (or a positive result) or one of these
 * negative codes.  The leaf does not log what it returns; the top logs once.
 * Text for a client is made from the code by the protocol's front, never here. */
#ifndef LIB_BASE_ERROR_H
#define LIB_BASE_ERROR_H

enum error_index {
    ERROR_INDEX_NONE = 0,
#define ERROR(name, text) ERROR_INDEX_##name,
#include "lib/base/error.def"
#undef ERROR
    ERROR_INDEX_END
};

enum error {
    ERR_OK = 0,
#define ERROR(name, text) ERR_##name = -ERROR_INDEX_##name,
#include "lib/base/error.def"
#undef ERROR
};

/* The text of a code, for logs and administrators; static storage, never NULL.
 * Any int is allowed: what is no code gives "unknown error". */
const char *error_text(int code);

/* The code that stands for an errno value (ENOSPC and EDQUOT: ERR_DISKFULL,
 * EROFS: ERR_ROFS, EMFILE and ENFILE: ERR_DESCRIPTORS, ENOENT: ERR_NOTFOUND, ...; what has no code of its own:
 * ERR_IO).  Never returns 0. */
int error_from_errno(int errnum);

#endif
