/* config-private.h: the lines of imapd.conf, before they mean anything. */
#ifndef LIB_BASE_CONFIG_PRIVATE_H
#define LIB_BASE_CONFIG_PRIVATE_H

#include <stddef.h>

struct config_line {
    char *name; /* lower case */
    char *value;
    char *file;
    unsigned number; /* of the line in its file, from 1 */
};

struct config_lines {
    struct config_line *items;
    size_t count;
};

/* Reads a file and those that it includes; appends.  ERR_CONFIG with "FILE:LINE: what is wrong"
 * in *error_r (malloc'ed). */
int config_lines_read(struct config_lines *lines, const char *path, char **error_r);
/* Appends one, as if it stood in that file and line. */
int config_lines_add(struct config_lines *lines, const char *path, unsigned number, const char *name,
                     const char *value, char **error_r);
void config_lines_free(struct config_lines *lines);

#endif
