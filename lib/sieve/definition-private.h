/* definition-private.h: one definition for each command and test: what it takes, and what it does. */
#ifndef LIB_SIEVE_DEFINITION_PRIVATE_H
#define LIB_SIEVE_DEFINITION_PRIVATE_H

#include "lib/sieve/run-private.h"
#include "lib/sieve/script-private.h"

enum tag_value { TAG_ALONE, TAG_NUMBER, TAG_STRING, TAG_STRINGS };

struct tag {
    const char *name;
    enum slot slot;
    enum extension extension; /* EXT_NONE: none beyond the command's */
    enum tag_value takes;
    int value; /* of sieve_arg.value */
};

/* Groups of tags that commands share; each ends with a row without name. */
extern const struct tag tags_match[];  /* match types and :comparator */
extern const struct tag tags_part[];   /* address parts */
extern const struct tag tags_index[];  /* :index, :last */
extern const struct tag tags_target[]; /* where a message goes: :flags, :create... */
extern const struct tag tags_fcc[];

enum param_kind { PARAM_STRING, PARAM_STRINGS, PARAM_NUMBER };

struct param {
    enum param_kind kind;
    bool constant; /* no variables in it */
    /* Is a constant string of it well-formed?  NULL, or what is wrong with it.  May be NULL. */
    const char *(*check)(const struct sieve_string *s);
};

enum { NO_TESTS, ONE_TEST, TEST_LIST };

struct checker;

struct definition {
    const char *name;
    enum extension extension, or_extension; /* either is enough; EXT_NONE */
    unsigned n_params;
    struct param params[PARAMS_MAX];
    bool first_optional, last_optional; /* that parameter may be left out */
    const struct tag *tags[4];
    int tests;
    bool block;
    /* What the table cannot say; complains.  May be NULL. */
    void (*check)(struct checker *c, struct sieve_node *node);
    /* A command: 0, or a negative error; a test: 1, 0, or an error.  run_error() has said why. */
    int (*run)(struct sieve_run *run, const struct sieve_node *node);
};

/* Each list ends with a row without name. */
extern const struct definition commands_control[], commands_action[], commands_flag[], commands_edit[];
extern const struct definition tests_basic[], tests_message[], tests_date[], tests_flag[], tests_world[];

/* For check functions. */
bool check_has(const struct checker *c, enum extension extension);
void check_enable(struct checker *c, enum extension extension);
void check_complain(struct checker *c, const struct sieve_node *node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The match type and comparator of a node whose keys are parameter `keys`. */
void check_match(struct checker *c, struct sieve_node *node, struct sieve_arg *keys);
/* Has the string a variable in it, in a script that has variables? */
bool check_is_constant(const struct checker *c, const struct sieve_string *s);
struct sieve_script *check_script(struct checker *c);

/* Checks that several parameters share: NULL, or what is wrong. */
const char *check_address(const struct sieve_string *s);
const char *check_header_name(const struct sieve_string *s);
const char *check_mailbox(const struct sieve_string *s);
const char *check_variable_name(const struct sieve_string *s);

#endif
