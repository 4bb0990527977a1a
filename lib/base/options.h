/* options.h: imapd.conf: one table (options.def) that makes the accessors, the man page
 * imapd.conf(5) and the sample file.
 *
 * Read once by config_read(), immutable afterwards: any thread may ask.  Before that every
 * option has its default.  An option given as `<service>_<option>` wins over the plain one in
 * the process of that service (the name given to config_read).  Accessors of the wrong type
 * are bugs (BUG_ON).  Who reads an option for the first time runs build-aux/check-options --fix. */
#ifndef LIB_BASE_OPTIONS_H
#define LIB_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option {
#define OPTION(id, name, type, detail, def, text) OPT_##id,
#include "lib/base/options.def"
#undef OPTION
    OPT_END
};

/* STRING options: the value, or NULL when neither given nor defaulted.  A leading
 * {configdirectory} is replaced. */
const char *opt_string(enum option o);
bool opt_switch(enum option o);
int64_t opt_int(enum option o);
/* Milliseconds (the file says 32m, 10s, 1h30m, 500ms ...; a bare number is of the unit that
 * the table gives; -1 is -1).  -1 when neither given nor defaulted. */
int64_t opt_duration_ms(enum option o);
/* Bytes (the file says 64K, 10M, 1G, 2T; a bare number is of the unit that the table gives;
 * -1 is -1). */
int64_t opt_bytes(enum option o);
/* ENUM and STRINGLIST: the index of the value in the table's list (the enums below).  A word of a
 * STRINGLIST that the table does not have is reported, and the default stands. */
int opt_enum(enum option o);
/* BITFIELD: bit i is set when word i of the table's list is given. */
uint64_t opt_bitfield(enum option o);
/* Was it given in the file (in either form)? */
bool opt_is_set(enum option o);

/* The same notation from a command line: 3d, 1h30m; a bare number is of `unit` ("d").  Milliseconds in
 * *ms_r.  ERR_SYNTAX, ERR_TOOBIG. */
int option_parse_duration(const char *s, const char *unit, int64_t *ms_r);

/* The option's name, as in the file. */
const char *option_name(enum option o);
/* The option of that name (or old name), or OPT_END. */
enum option option_find(const char *name);
/* The value for a person: as it stands in the file, or the default; NULL: neither. */
const char *option_text(enum option o);
/* The default, as it would stand in the file; NULL: none. */
const char *option_default(enum option o);
/* Is its value the default's, given or not? */
bool option_is_default(enum option o);

/* The values of ENUM and STRINGLIST options that code asks for, in the table's order. */
enum opt_delete_mode { DELETE_IMMEDIATE, DELETE_DELAYED };
enum opt_expunge_mode { EXPUNGE_IMMEDIATE, EXPUNGE_SEMIDELAYED, EXPUNGE_DELAYED };
enum opt_mupdate_config { MUPDATE_STANDARD, MUPDATE_UNIFIED, MUPDATE_REPLICATED };
enum opt_mupdate_conflict { MUPDATE_CONFLICT_REFUSE, MUPDATE_CONFLICT_ACCEPT };
enum opt_select_mode {
    SELECT_RANDOM,
    SELECT_FREESPACE_MOST,
    SELECT_FREESPACE_PERCENT_MOST,
    SELECT_FREESPACE_PERCENT_WEIGHTED,
    SELECT_FREESPACE_PERCENT_WEIGHTED_DELTA
};
enum opt_serverinfo { SERVERINFO_OFF, SERVERINFO_MIN, SERVERINFO_ON };
enum opt_smtp_backend { SMTP_BACKEND_HOST, SMTP_BACKEND_SENDMAIL };
enum opt_tls_client_certs { TLS_CERTS_OFF, TLS_CERTS_OPTIONAL, TLS_CERTS_REQUIRE };
enum opt_virtdomains { VIRTDOMAINS_OFF, VIRTDOMAINS_USERID, VIRTDOMAINS_ON };

#endif
