/* search.h: what SEARCH, SORT, THREAD and ESEARCH have in common: the program, the return options, the result.
 *
 * A program is read against the view that it will run on: what `*` is, is known then. */
#ifndef IMAP_LOCAL_SEARCH_H
#define IMAP_LOCAL_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "imap/local/local-private.h"
#include "imap/session/search-return.h"
#include "imap/store/search.h"
#include "lib/base/buf.h"
#include "lib/imapwire/args.h"

/* ---- search-parse.c: the program ---- */

struct search_program {
    struct search_node *root;
    struct search_owned *owned;  /* nodes whose sets are to be freed */
    struct view *view;           /* NULL: only the grammar counts */
    const struct uid_set *saved; /* what `$` is */
    const char *userid;          /* whose private annotations count */
    struct pool *pool;
    struct imap_args *args;
    const char *charset; /* of the strings; NULL: UTF-8 */
    unsigned keys;
    bool uid_only; /* UIDONLY is enabled: sequence numbers are ERR_SYNTAX */
    bool utf8;     /* UTF8=ACCEPT is enabled: other charsets are ERR_SYNTAX */
    bool numbered; /* there was one */
    bool modseq;   /* MODSEQ is among them: the answer tells the hits' highest one */
};

/* One for a command on the selected mailbox, its arguments from there on. */
void search_program_init(struct search_program *p, struct command *cmd, struct imap_args *args);

/* Reads "CHARSET name SP", which may be missing, into p->charset (NULL then); as SORT has it, without the word, it may not.
 * With p->utf8 the first may not be there at all, and the second can only be UTF-8 (RFC 6855 3, erratum 4029).  0;
 * ERR_SYNTAX; ERR_UNSUPPORTED: an unknown charset. */
int search_parse_charset(struct search_program *p);
int search_parse_bare_charset(struct search_program *p);

/* Reads search keys to the end of the arguments.  pool, view, args, charset, saved, uid_only and utf8 are set by the caller.  0; ERR_SYNTAX,
 * the text in args; another error. */
int search_parse_keys(struct search_program *p);
/* The answer to ERR_SYNTAX of any of these. */
enum step search_bad(struct command *cmd, const struct search_program *p);
void search_program_free(struct search_program *p);

/* NO [BADCHARSET (...)] with the charsets that are known. */
enum step search_bad_charset(struct command *cmd);

/* ---- search-return.c: what the return options give (RFC 4731, 5182, 5267, 9394) ---- */

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

/* ---- search-run.c: a search of one view, for SEARCH and ESEARCH ---- */

struct search_run {
    /* the caller's */
    struct view *view;           /* NULL: only the grammar is looked at */
    struct pool *pool;           /* of the program */
    const struct uid_set *saved; /* what `$` is; NULL: nothing */
    const char *userid;          /* as in the program */
    bool uid;                    /* UIDs are told, not sequence numbers */
    bool uid_only, utf8;         /* as in the program */

    struct search_return ret;
    struct search_program program;
    struct search *search;
    struct uid_set hits; /* what the answer tells: UIDs or sequence numbers */
    struct uid_set uids; /* for `$`, where the hits are not UIDs */
    uint64_t highest;    /* mod-sequence of the hits, where it is asked for */
    struct search_answer answer;
};

/* Reads what stands behind SEARCH, or behind ESEARCH's sources.  0; ERR_SYNTAX with args->error; ERR_UNSUPPORTED: an unknown
 * charset; another error. */
int search_run_parse(struct search_run *run, struct imap_args *args);

/* Searches on: 1: there is more; 0: all done; an error. */
int search_run_step(struct search_run *run);

/* Makes the ESEARCH response of the hits, as search_answer_begin(). */
int search_run_answer(struct search_run *run, const char *tag, const char *correlator);

bool search_run_saves(const struct search_run *run);
const struct uid_set *search_run_uids(const struct search_run *run);

/* Frees what is not in the pool; all zero then. */
void search_run_end(struct search_run *run);

enum { SEARCH_RUN_BATCH = 8192 /* messages a step */ };

#endif
