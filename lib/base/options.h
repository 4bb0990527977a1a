/* options.h: imapd.conf: one table (options.def) that makes the accessors, the man page
 * imapd.conf(5) and the sample file.
 *
 * Read once by config_read(), immutable afterwards: any thread may ask.  An option given
 * as `<service>_<option>` wins over the plain one in the process of that service (the
 * name given to config_read).  Accessors of the wrong type are bugs (BUG_ON). */
#ifndef LIB_BASE_OPTIONS_H
#define LIB_BASE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum option {
#define OPTION(id, name, type, def, text) OPT_##id,
#include "lib/base/options.def"
#undef OPTION
    OPT_END
};

/* STRING options: the value, or NULL when neither given nor defaulted.  A leading
 * {configdirectory} is replaced. */
const char *opt_string(enum option o);
bool opt_switch(enum option o);
int64_t opt_int(enum option o);
/* Milliseconds (the file says 32m, 10s, 500ms ...; a bare number is of the unit that the
 * table gives). */
int64_t opt_duration_ms(enum option o);
/* Bytes. */
int64_t opt_bytes(enum option o);
/* ENUM: the index of the value in the table's list. */
int opt_enum(enum option o);
/* Was it given in the file (in either form)? */
bool opt_is_set(enum option o);

#endif
