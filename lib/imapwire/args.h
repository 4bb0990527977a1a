/* args.h: reading the arguments of an IMAP command (RFC 3501 section 9).
 *
 * Works on a whole command as the assembler made it: one range of bytes in which a literal stands as
 * it came, "{5}CRLF" (or "{5+}CRLF") and its bytes.  The same form holds a backend's response, so the
 * client side reads with this too.
 *
 * Each reader returns 0 and has moved on, or ERR_SYNTAX: then error() is a text for BAD and the
 * position is undefined.  Strings are copied into the pool, NUL-terminated; a NUL byte in a literal
 * is a syntax error (RFC 3501: CHAR8), so their length is strlen(). */
#ifndef LIB_IMAPWIRE_ARGS_H
#define LIB_IMAPWIRE_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/pool.h"
#include "lib/imapwire/seqset.h"

enum { IMAP_FLAGS_MAX = 256 }; /* in a list: twice what a mailbox can have */

struct imap_args {
    const char *at, *end;
    struct pool *pool;
    const char *error;           /* static; NULL until something failed */
    size_t max_word, max_quoted; /* bytes; set by init to no limit */
    bool utf8;                   /* what is quoted must be UTF-8 (RFC 6855 3); false after init */
};

void imap_args_init(struct imap_args *a, struct pool *pool, const char *data, size_t len);

/* The text of the last failure; never NULL. */
const char *imap_args_error(const struct imap_args *a);

/* ---- structure ---- */

/* Nothing left but blanks (which clients send there). */
bool imap_args_at_end(const struct imap_args *a);
int imap_args_end(struct imap_args *a);
/* Exactly one blank. */
int imap_args_space(struct imap_args *a);
/* The next byte (0 at the end), not taken; takes it if it is `c`; demands it. */
char imap_args_peek(const struct imap_args *a);
bool imap_args_skip(struct imap_args *a, char c);
int imap_args_char(struct imap_args *a, char c);
/* Takes the word (any case) if it stands here and ends here (blank, bracket or end follow). */
bool imap_args_word(struct imap_args *a, const char *word);

/* ---- strings ---- */

int imap_args_atom(struct imap_args *a, const char **s_r);
int imap_args_astring(struct imap_args *a, const char **s_r);
/* Quoted or literal. */
int imap_args_string(struct imap_args *a, const char **s_r);
/* *s_r is NULL for NIL. */
int imap_args_nstring(struct imap_args *a, const char **s_r);
/* The same, or a literal8 ("~{n}", RFC 4466), which may have NULs; one more stands behind its *len_r bytes. */
int imap_args_nstring8(struct imap_args *a, const char **s_r, size_t *len_r);
/* A mailbox name: an astring, INBOX in any case given as "INBOX". */
int imap_args_mailbox(struct imap_args *a, const char **s_r);
/* LIST's pattern: an astring in which % and * may stand outside quotes. */
int imap_args_list_mailbox(struct imap_args *a, const char **s_r);
/* The bytes up to a blank, a bracket ()[]<> or the end: FETCH items, section texts, LIST options. */
int imap_args_item(struct imap_args *a, const char **s_r);

/* ---- numbers ---- */

int imap_args_number(struct imap_args *a, uint32_t *n_r);
int imap_args_nz_number(struct imap_args *a, uint32_t *n_r);
int imap_args_number64(struct imap_args *a, uint64_t *n_r);
/* A mod-sequence: 63 bits (RFC 7162 section 7); 0 only with `zero`. */
int imap_args_modseq(struct imap_args *a, bool zero, uint64_t *n_r);
/* A sequence-set, as text (checked): what `*` is, only the mailbox knows.  Or "$" (RFC 5182), which only the session
 * does. */
int imap_args_seqset(struct imap_args *a, const char **s_r);

/* ---- flags and dates ---- */

/* `\Seen`, `$Forwarded`, `keyword`.  Of the backslash kind only the five that a client may set, unless
 * `any` (a server's answer, `\*` too). */
int imap_args_flag(struct imap_args *a, bool any, const char **s_r);
/* "(flags)", IMAP_FLAGS_MAX different ones at most; STORE may leave the brackets out (`bare`).  *flags_r: NULL-terminated, in the pool. */
int imap_args_flags(struct imap_args *a, bool bare, const char *const **flags_r, size_t *count_r);
/* The text of a date ("1-Feb-1994", quoted or not) and of a quoted date-time, not checked further: lib/mail
 * knows dates. */
int imap_args_date(struct imap_args *a, const char **s_r);
int imap_args_date_time(struct imap_args *a, const char **s_r);

/* Steps over any value whatever it is: atom, string, literal, list within lists (at most 32 deep). */
int imap_args_skip_value(struct imap_args *a);

/* ---- literals, as the assembler sees them ---- */

struct imap_literal {
    uint64_t size;
    bool synchronising; /* {n}; not {n+} */
    bool binary;        /* ~{n}: a literal8 (RFC 3516 7) */
    size_t at;          /* where the "{" or "~{" stands in the line */
};

/* Does the line (without CRLF) end in a literal's announcement (RFC 7888)?  1; 0: no; ERR_TOOBIG: a
 * number beyond 64 bits. */
int imap_literal_at_end(const char *line, size_t len, struct imap_literal *literal_r);

#endif
