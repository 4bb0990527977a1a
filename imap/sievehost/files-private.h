/* files-private.h: names of scripts and their files. */
#ifndef IMAP_SIEVEHOST_FILES_PRIVATE_H
#define IMAP_SIEVEHOST_FILES_PRIVATE_H

#include <stdbool.h>

#include "lib/base/buf.h"

#define SCRIPT_SUFFIX ".script"
#define BYTECODE_SUFFIX                                                                                      \
    ".bc"                   /* of Cyrus's compiled scripts: the link names one, whether or not it is there */
#define LIST_SUFFIX ".list" /* a list's (RFC 6134) */
#define ACTIVE_LINK "defaultbc"

/* The file's name without its suffix, appended: the script's name; a digest for one that cannot be the name of a file. */
void script_base(const char *name, struct buf *base);
/* Is that such a digest? */
bool script_base_is_digest(const char *base);

/* Where the link points to, without path and suffix: the base of the active script, appended.  0; ERR_NOTFOUND. */
int script_active_base(const char *directory, struct buf *base);

#endif
