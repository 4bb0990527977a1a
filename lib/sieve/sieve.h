/* sieve.h: Sieve (RFC 5228 and extensions): a script is compiled once, and run on messages.
 *
 *     r = sieve_compile(text, n, &error, &script);
 *     r = sieve_run(script, &message, &host, pool, &result);
 *     ... performs result.actions in their order ...
 *
 * This room decides and never acts: what a script wants done comes as a list of actions, and whatever it asks of
 * the world (mailboxes, other scripts, the time) goes through struct sieve_host.  A compiled script is immutable:
 * any number of threads may run it at once. */
#ifndef LIB_SIEVE_SIEVE_H
#define LIB_SIEVE_SIEVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/pool.h"

enum {
    SIEVE_SCRIPT_MAX = 1024 * 1024, /* bytes of a script */
    SIEVE_NESTING_MAX = 64,         /* blocks and tests within each other */
    SIEVE_INCLUDES_MAX = 10,        /* scripts within each other (RFC 6609 3.1) */
    SIEVE_INCLUDED_MAX = 100,       /* include commands that are executed in one run */
    SIEVE_ACTIONS_MAX = 64,
    SIEVE_REDIRECTS_MAX = 8,
    SIEVE_EDITS_MAX = 200,         /* header fields added or deleted by one run */
    SIEVE_STEPS_MAX = 200 * 1000,  /* commands and tests of one run */
    SIEVE_RUN_MS = 5000,           /* time of one run, the host's included */
    SIEVE_EFFORT_STEP = 1024,      /* effort of a command or a test; of a byte looked at or made: 1 */
    SIEVE_EFFORT_ASK = 32 * 1024,  /* of a question to the host */
    SIEVE_VARIABLES_MAX = 256,     /* RFC 5229 6: at least 128 */
    SIEVE_VARIABLE_MAX = 8 * 1024, /* bytes of a value (RFC 5229 6: at least 4,000 characters); longer: cut */
    SIEVE_MATCHES_MAX = 10,        /* ${0} to ${9} */
    SIEVE_ERRORS_MAX = 20          /* told of one script */
};

/* ---- compiling ---- */

struct sieve_script;

/* 0 with the script; ERR_SYNTAX with lines "line 3: ..." in `errors`, in the order of the script; ERR_TOOBIG.
 * The text is not needed afterwards. */
int sieve_compile(const char *text, size_t n, struct buf *errors, struct sieve_script **script_r);
/* The same for a script that may use only those extensions that `allows` says yes to: the others are unknown to it.
 * `allows` is asked again when the script runs, by any thread.  NULL: all. */
int sieve_compile_allowed(const char *text, size_t n, bool (*allows)(const char *extension),
                          struct buf *errors, struct sieve_script **script_r);
void sieve_script_free(struct sieve_script **script); /* *script may be NULL */

/* Appends the script as it was understood, as a script that means the same: no comments, one command a line, encoded
 * characters decoded. */
void sieve_script_print(const struct sieve_script *script, struct buf *to);

/* The names of all extensions, as ManageSieve's SIEVE capability lists them: separated by blanks. */
const char *sieve_extensions(void);
/* Is this one of them? */
bool sieve_extension_is_known(const char *name, size_t n);
/* Does the script require it? */
bool sieve_script_requires(const struct sieve_script *script, const char *extension);

/* ---- running ---- */

/* A byte string, UTF-8 unless it comes from a message's raw parts. */
struct sieve_string {
    const char *data; /* not NULL */
    size_t len;
};

struct sieve_strings {
    struct sieve_string *items;
    size_t count;
};

struct sieve_message {
    const char *data; /* the whole message, CRLF */
    size_t len;
    const char *from; /* the envelope's sender, "" for <>; NULL: there is no envelope (IMAP events) */
    const char *to;   /* the envelope's recipient, as it was given */
    /* NULL: the message comes now; else its flags, separated by blanks: it is in a mailbox, and something has happened
     * to it (RFC 6785), so that reject, ereject and vacation are errors. */
    const char *flags;
    const char *auth; /* MAIL AUTH= (RFC 5228 5.4 leaves it to extensions); NULL: none */
};

enum sieve_mailbox_fact { SIEVE_MAILBOX_EXISTS, SIEVE_MAILBOX_HAS_ID };

/* What a script may ask.  A function that is NULL answers "no" (or nothing).  `context` is the host's own.  A
 * negative answer of any is a runtime error. */
struct sieve_host {
    void *context;
    /* Another script by name (RFC 6609): 0 with a script that lives as long as the run; ERR_NOTFOUND; ERR_SYNTAX
     * when it does not compile. */
    int (*include)(void *context, const char *name, bool global, const struct sieve_script **script_r);
    /* 1 or 0: is there a mailbox that the owner may post to (RFC 5490 3.1), by name or by id (RFC 9042)? */
    int (*mailbox)(void *context, enum sieve_mailbox_fact fact, const char *name);
    /* RFC 8579: has `mailbox` (NULL: any of the owner's) the special-use flag? */
    int (*special_use)(void *context, const char *mailbox, const char *flag);
    /* RFC 5490: 1 with the value of an annotation of a mailbox (NULL: of the server) appended, 0: none. */
    int (*metadata)(void *context, const char *mailbox, const char *name, struct buf *value);
    /* RFC 5183: 1 with the value of "domain", "host", "location", "phase", "remote-host", "imap.user"...  "name" and
     * "version" are the host's too. */
    int (*environment)(void *context, const char *item, struct buf *value);
    /* RFC 7352: 1 if this id was seen before by this user within `seconds`.  The run's result holds a
     * SIEVE_DUPLICATE action for what has to be remembered. */
    int (*is_duplicate)(void *context, const struct sieve_string *id);
    /* RFC 5235: 1 with the score appended as digits: 0 (not tested), 1 to 10 or, with `percent`, 0 to 100; for
     * viruses 0 to 5. */
    int (*spam)(void *context, bool percent, struct buf *value);
    int (*virus)(void *context, struct buf *value);
    /* RFC 6134: 1 if the value is in the list (one that cannot be read is an error); is there such a list at all? */
    int (*in_list)(void *context, const char *list, const struct sieve_string *value);
    int (*list_is_known)(void *context, const char *list);
    /* The owner's addresses, NULL-terminated (RFC 5230 4.5); NULL: those of :addresses and the envelope only. */
    const char *const *addresses;
    int64_t now;               /* seconds of the epoch; 0: the clock's */
    uint64_t effort;           /* a run that takes more ends with ERR_AGAIN; 0: any */
    int64_t deadline;          /* ends before it, if that is before SIEVE_RUN_MS; 0: that */
    char separator;            /* of user and detail in a local part (RFC 5233); 0: '+' */
    unsigned redirects;        /* most of a run, at most SIEVE_REDIRECTS_MAX; 0: that */
    unsigned vacation_least_s; /* shortest and longest interval of vacation; 0: a day, 90 days */
    unsigned vacation_most_s;
};

enum sieve_action_kind {
    SIEVE_KEEP,
    SIEVE_FILEINTO,
    SIEVE_REDIRECT,
    SIEVE_REJECT,  /* refuse the message with `reason` by a message back, or in the protocol (RFC 5429) */
    SIEVE_EREJECT, /* refuse it in the protocol */
    SIEVE_VACATION,
    SIEVE_NOTIFY,
    SIEVE_DUPLICATE /* remember an id */
};

/* Where a message is put: keep, fileinto and :fcc. */
struct sieve_target {
    const char *mailbox;      /* fileinto and :fcc, as the script wrote it (UTF-8); keep: NULL */
    const char *mailbox_id;   /* RFC 9042: if there is one of this id, it; NULL */
    const char *special_use;  /* RFC 8579: if the owner has one, it; NULL */
    bool create;              /* RFC 5490 */
    const char *const *flags; /* RFC 5232: NULL-terminated; NULL: none given */
};

struct sieve_action {
    struct sieve_action *next;
    enum sieve_action_kind kind;
    unsigned line; /* of the script; 0: implicit */
    bool implicit; /* the implicit keep (RFC 5228 2.10.2) */
    /* RFC 5293: the header that this action sees, with its empty line; NULL: the message's own. */
    const char *header;
    size_t header_len;
    struct sieve_target target; /* KEEP, FILEINTO; of VACATION and NOTIFY when has_fcc */
    bool has_fcc;               /* RFC 8580 */
    const char *address;        /* REDIRECT: to; VACATION: to whom, NOTIFY: the method's URI */
    bool list;                  /* REDIRECT: the address is the name of a list (RFC 6134) */
    struct sieve_string reason; /* REJECT, EREJECT, VACATION; NOTIFY: the message */
    const char *from;           /* VACATION, NOTIFY: :from, or NULL */
    const char *subject;        /* VACATION: :subject, or NULL; UTF-8 */
    bool mime;                  /* VACATION: the reason is a MIME entity */
    struct sieve_string handle; /* VACATION, DUPLICATE: what is remembered, with the address for VACATION */
    unsigned seconds;           /* VACATION: no second answer before; DUPLICATE: how long; 0: as a default */
    bool last;                  /* DUPLICATE: count from the last time */
    char importance;            /* NOTIFY: '1', '2' or '3' */
    const char *const *options; /* NOTIFY: NULL-terminated "name=value"; NULL: none */
};

struct sieve_result {
    struct sieve_action *actions; /* in the order of the script, the implicit keep last */
    char *error;                  /* of a runtime error: "line 3: ..."; else NULL */
    const char *flags;            /* RFC 5232's internal variable at the end: separated by blanks */
    uint64_t effort;              /* that the run took: the same for the same script, message and answers */
};

/* Runs a script; everything of the result is in the pool.  0; ERR_SYNTAX, ERR_LIMIT, ERR_AGAIN (host->effort is spent:
 * the script decides and does nothing, so it may run again where there is time) or what the host failed with: a
 * runtime error, result.error says which, and the only action is the implicit keep (RFC 5228 2.10.6). */
int sieve_run(const struct sieve_script *script, const struct sieve_message *message,
              const struct sieve_host *host, struct pool *pool, struct sieve_result *result_r);

#endif
