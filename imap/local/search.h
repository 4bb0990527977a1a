/* search.h: what SEARCH, SORT, THREAD and ESEARCH have in common: the program, the return options, the result.
 *
 * A program is read against the view that it will run on: what `*` is, is known then. */
#ifndef IMAP_LOCAL_SEARCH_H
#define IMAP_LOCAL_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "imap/local/local-private.h"
#include "imap/store/search.h"
#include "lib/base/buf.h"
#include "lib/imapwire/args.h"

/* ---- search-parse.c: the program ---- */

struct search_program {
    struct search_node *root;
    struct search_owned *owned; /* nodes whose sets are to be freed */
    struct view *view;
    const struct uid_set *saved; /* what `$` is */
    struct pool *pool;
    struct imap_args *args;
    const char *charset; /* of the strings; NULL: UTF-8 */
    unsigned keys;
    bool uid_only; /* UIDONLY is enabled: sequence numbers are ERR_SYNTAX */
    bool numbered; /* there was one */
    bool modseq;   /* MODSEQ is among them: the answer tells the hits' highest one */
};

/* "CHARSET name SP", which may be missing (*charset_r is NULL then); as SORT has it, without the word, it may not.  0;
 * ERR_SYNTAX; ERR_UNSUPPORTED: an unknown charset. */
int search_parse_charset(struct imap_args *args, const char **charset_r);
int search_parse_bare_charset(struct imap_args *args, const char **charset_r);

/* Reads search keys to the end of the arguments.  pool, view, args, charset, saved and uid_only are set by the caller.  0; ERR_SYNTAX,
 * the text in args; another error. */
int search_parse_keys(struct search_program *p);
/* The answer to ERR_SYNTAX of any of these. */
enum step search_bad(struct command *cmd, const struct search_program *p);
void search_program_free(struct search_program *p);

/* NO [BADCHARSET (...)] with the charsets that are known. */
enum step search_bad_charset(struct command *cmd);

/* ---- search-return.c: what a search returns (RFC 4731, 5182, 5267, 9394) ---- */

enum search_return_option {
    RETURN_MIN = 1,
    RETURN_MAX = 2,
    RETURN_ALL = 4,
    RETURN_COUNT = 8,
    RETURN_SAVE = 16,
    RETURN_PARTIAL = 32
};

struct search_return {
    bool extended;            /* there was RETURN */
    unsigned options;         /* of RETURN_*; "()" is ALL */
    uint32_t first, last;     /* PARTIAL: first <= last */
    bool from_end;            /* ... counted from the last hit */
    uint32_t asked, asked_to; /* as they were asked for */
};

/* "RETURN (options) SP", which may be missing; `allowed`: RETURN_* that the command knows.  0 or ERR_SYNTAX. */
int search_parse_return(struct imap_args *args, unsigned allowed, struct search_return *ret);

/* The part of a set that PARTIAL asks for; freed by the caller.  0 or ERR_LIMIT. */
int search_slice(const struct search_return *ret, const struct uid_set *hits, struct uid_set *slice_r);

/* Sets what `$` is, by the hits' UIDs (RFC 5182 section 2.4, RFC 9394 section 3.2).  0; ERR_LIMIT: it cannot be kept, and
 * is empty now. */
int search_save(struct local_leg *l, const struct search_return *ret, const struct uid_set *uids);

/* The answer "* ESEARCH (TAG "x") UID MIN 2 COUNT 3 ALL ..." for hits in the mailbox's order; written in pieces. */
struct search_answer {
    struct buf head;           /* what comes before a set */
    const struct uid_set *set; /* ALL, or what PARTIAL gives; NULL: none */
    struct uid_set slice;      /* owned */
    const char *tail;          /* what comes behind it */
    size_t range;              /* the next one */
};
/* `correlator`: what stands between "(TAG "x"" and ")": "" or " MAILBOX ...". */
int search_answer_begin(struct search_answer *a, const struct search_return *ret, const char *tag,
                        const char *correlator, bool uid, const struct uid_set *hits);
/* Writes some of it: true if there is more. */
bool search_answer_write(struct search_answer *a, struct stream *out);
void search_answer_free(struct search_answer *a);

#endif
