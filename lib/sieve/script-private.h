/* script-private.h: a script as a tree, first as it was written, then bound to what each word means. */
#ifndef LIB_SIEVE_SCRIPT_PRIVATE_H
#define LIB_SIEVE_SCRIPT_PRIVATE_H

#include <stdarg.h>

#include "lib/sieve/sieve.h"

/* Every extension; EXT_NONE is the base.  Names in extensions.def. */
enum extension {
    EXT_NONE,
#define EXTENSION(id, name) EXT_##id,
#include "lib/sieve/extensions.def"
#undef EXTENSION
    EXT_COUNT
};

/* The id, or -1. */
int extension_find(const char *name, size_t n);
const char *extension_name(enum extension extension);
struct sieve_script;
/* The same for one that this script may use. */
int script_extension(const struct sieve_script *script, const char *name, size_t n);

enum arg_kind { ARG_TAG, ARG_NUMBER, ARG_STRING, ARG_STRINGS };

struct sieve_arg {
    struct sieve_arg *next;
    enum arg_kind kind;
    unsigned line;
    const char *tag;
    uint64_t number;
    bool takes_number;            /* a tag: `number` came behind it */
    struct sieve_strings strings; /* ARG_STRING: one */
    int value;                    /* a tag's, by its definition */
    void **compiled;              /* one for each string, by the match type (regex); NULL */
};

/* Where the value of a tag goes: one of each slot may be given. */
enum slot {
    SLOT_MATCH,
    SLOT_COMPARATOR,
    SLOT_PART,
    SLOT_INDEX,
    SLOT_LAST,
    SLOT_ZONE,
    SLOT_BODY,
    SLOT_OVER,
    SLOT_PERCENT,
    SLOT_COPY,
    SLOT_FLAGS,
    SLOT_CREATE,
    SLOT_SPECIAL_USE,
    SLOT_MAILBOX_ID,
    SLOT_LIST,
    SLOT_CASE, /* of set, in the order of their precedence */
    SLOT_FIRST,
    SLOT_QUOTE,
    SLOT_ENCODE,
    SLOT_LENGTH,
    SLOT_DAYS,
    SLOT_SUBJECT,
    SLOT_FROM,
    SLOT_ADDRESSES,
    SLOT_MIME,
    SLOT_HANDLE,
    SLOT_IMPORTANCE,
    SLOT_OPTIONS,
    SLOT_MESSAGE,
    SLOT_FCC,
    SLOT_LOCATION,
    SLOT_ONCE,
    SLOT_OPTIONAL,
    SLOT_ID,
    SLOT_COUNT
};

enum { PARAMS_MAX = 3 };

/* A command or a test. */
struct sieve_node {
    struct sieve_node *next; /* the next command of the block, the next test of the list */
    const char *name;        /* as written */
    unsigned line;
    struct sieve_arg *args;
    struct sieve_node *tests, *block;
    bool has_block, has_list;
    /* Bound: */
    const struct definition *definition; /* NULL: unknown, and only ihave lets it stand (RFC 5463) */
    const char *fault;                   /* then what is wrong */
    struct sieve_arg *params[PARAMS_MAX];
    struct sieve_arg *slots[SLOT_COUNT];
};

struct sieve_script {
    struct pool *pool;
    struct sieve_node *first;
    bool requires[EXT_COUNT];
    bool (*allows)(const char *extension); /* NULL: all are */
    struct pattern *patterns;              /* compiled regular expressions, freed with the script */
};

/* Errors of a script, told with their lines. */
struct complaints {
    struct buf *text;
    unsigned count;
};
void complain(struct complaints *c, unsigned line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Reads a script into a tree (RFC 5228 8.2).  0, or ERR_SYNTAX: it has complained. */
int script_parse(struct sieve_script *script, const char *text, size_t n, struct complaints *complaints);

/* Binds every name to its definition and checks arguments, extensions and order.  0 or ERR_SYNTAX. */
int script_check(struct sieve_script *script, struct complaints *complaints);

#endif
