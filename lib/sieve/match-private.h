/* match-private.h: match types (RFC 5228 2.7.1, 5231, regex, 6134) and comparators (2.7.3, RFC 4790, 5051). */
#ifndef LIB_SIEVE_MATCH_PRIVATE_H
#define LIB_SIEVE_MATCH_PRIVATE_H

#include "lib/sieve/run-private.h"

enum match_type {
    MATCH_IS,
    MATCH_CONTAINS,
    MATCH_MATCHES,
    MATCH_REGEX,
    MATCH_VALUE,
    MATCH_COUNT,
    MATCH_LIST
};
enum comparator { COMPARE_ASCII, COMPARE_OCTET, COMPARE_NUMERIC, COMPARE_UNICODE, COMPARE_KINDS };
enum relation { RELATION_GT, RELATION_GE, RELATION_LT, RELATION_LE, RELATION_EQ, RELATION_NE };

/* ---- when the script is checked; each NULL, or what is wrong ---- */

const char *match_check_relation(const struct sieve_string *name);
/* Do match type and comparator go together? */
const char *match_check(const struct sieve_node *node);
/* Compiles key i, a constant, into keys->compiled. */
const char *match_compile(struct sieve_script *script, const struct sieve_node *node, struct sieve_arg *keys,
                          size_t i);
void match_free_patterns(struct pattern *patterns);

/* ---- when it runs ---- */

/* Folded forms of a value that many tests look at; zeroed, made when first needed. */
struct match_cache {
    struct sieve_string folded[COMPARE_KINDS];
};

struct match {
    struct sieve_run *run;
    const struct sieve_node *node;
    enum match_type type;
    enum comparator comparator;
    enum relation relation;
    const struct sieve_arg *arg;
    struct sieve_strings keys;   /* expanded */
    struct sieve_strings folded; /* for the types that compare folded forms */
    uint64_t count;
};

/* Reads match type, comparator and keys of a test. */
void match_begin(struct match *m, struct sieve_run *run, const struct sieve_node *node,
                 const struct sieve_arg *keys);
/* One more value: 1 if it matches a key, 0, or an error.  cache may be NULL. */
int match_value(struct match *m, const struct sieve_string *value, struct match_cache *cache);
/* After all values, none of which matched: 1 if their number does (:count), 0. */
int match_end(struct match *m);

#endif
