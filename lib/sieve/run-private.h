/* run-private.h: a script at work on a message. */
#ifndef LIB_SIEVE_RUN_PRIVATE_H
#define LIB_SIEVE_RUN_PRIVATE_H

#include "lib/mail/message.h"
#include "lib/sieve/script-private.h"

struct variable {
    const char *name;
    struct sieve_string value;
    bool global; /* RFC 6609 3.4.1: stands for the global one */
};

/* One script of those that are at work: variables are its own (RFC 5229 4, 6609 3.4). */
struct scope {
    const struct sieve_script *script;
    const char *name; /* of an included one */
    bool is_global;
    struct scope *outer;
    struct variable *variables;
    unsigned count;
    struct sieve_string matches[SIEVE_MATCHES_MAX];
    unsigned n_matches;
};

struct included {
    struct included *next;
    const char *name;
    bool global;
};

struct body; /* tests-message.c */

struct sieve_run {
    const struct sieve_message *message;
    const struct sieve_host *host;
    struct pool *pool;
    struct scope *scope;
    struct scope globals; /* only its variables */
    struct included *included;
    unsigned depth, n_included, steps;
    uint64_t effort;
    int64_t deadline;
    int64_t now; /* of currentdate: one moment for the whole run; 0: not asked for yet */
    bool stopped, returned;
    /* What comes of it. */
    struct sieve_action *actions, **tail;
    unsigned n_actions, n_redirects, n_edits;
    bool kept;                 /* an action has cancelled the implicit keep */
    bool implicit;             /* a keep that was asked for stands for the implicit one */
    struct sieve_string flags; /* imap4flags' internal variable, words */
    char *error;
    /* The header as it is now. */
    const char *header;
    size_t header_len;
    bool edited;
    bool vacation_done;
    struct body *body;
};

/* ---- for definitions ---- */

/* Sets the error of the run and returns `error`. */
int run_error(struct sieve_run *run, const struct sieve_node *node, int error, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
bool run_is_late(const struct sieve_run *run);
/* Counts what looking at so many bytes costs, before it is done.  0; ERR_AGAIN, ERR_LIMIT: the run has to end. */
int run_spend(struct sieve_run *run, const struct sieve_node *node, size_t bytes);
int64_t run_now(const struct sieve_run *run);

/* A copy in the run's pool, terminated. */
struct sieve_string run_keep(struct sieve_run *run, const char *data, size_t len);

/* A string with its variables replaced, terminated, in the run's pool or the script's. */
struct sieve_string run_string(struct sieve_run *run, const struct sieve_string *s);
/* The strings of an argument; of NULL: none. */
struct sieve_strings run_strings(struct sieve_run *run, const struct sieve_arg *arg);
/* The first of them as a C string; NULL for NULL. */
const char *run_text(struct sieve_run *run, const struct sieve_arg *arg);

/* Sets ${0}... of the script at work, where it has variables. */
void run_set_matches(struct sieve_run *run, const struct sieve_string *found, unsigned count);

/* Variables by name, any case, maybe with a namespace: NULL when there is no such one.  Setting: 0, ERR_LIMIT. */
const struct sieve_string *run_variable(struct sieve_run *run, const char *name, size_t n);
int run_set_variable(struct sieve_run *run, const struct sieve_node *node, const char *name, size_t n,
                     struct sieve_string value);
int run_declare_global(struct sieve_run *run, const struct sieve_node *node, const char *name, size_t n);

/* Does the script at work require it? */
bool run_has(const struct sieve_run *run, enum extension extension);

/* A block of commands; 0 or an error. */
int run_block(struct sieve_run *run, const struct sieve_node *first);
/* A test: 1, 0 or an error. */
int run_test(struct sieve_run *run, const struct sieve_node *test);
/* RFC 6609: another script. */
int run_include(struct sieve_run *run, const struct sieve_node *node, const char *name, bool global);

/* A new action at the end of the list, its header set; NULL: too many (the error is set). */
struct sieve_action *run_action(struct sieve_run *run, const struct sieve_node *node,
                                enum sieve_action_kind kind);

/* The message's body, behind its own header. */
struct sieve_string run_body(const struct sieve_run *run);

#endif
