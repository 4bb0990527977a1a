/* names-private.h: what the files of the names share. */
#ifndef MUPDATE_NAMES_PRIVATE_H
#define MUPDATE_NAMES_PRIVATE_H

#include <stdatomic.h>

#include "lib/base/hash.h"
#include "mupdate/names.h"

struct names {
    struct source source;
    unsigned magic;
    struct db_env *env;
    _Atomic uint64_t epoch;     /* 0: there is none yet */
    uint64_t sequence;          /* the last given; changes only with a write transaction open */
    _Atomic uint64_t published; /* the last that is durable; in a group: done */
    void (*on_published)(void *context);
    void *context;
    struct recent *recent; /* NULL in a group */
    bool group;
    atomic_bool readable;
};

/* A group's: what the commands of a transaction make of the names, in the order in which they do it. */
struct decision {
    struct journal_entry entry;
    struct hash *places; /* of a name's last row in it, by the name's key */
};

struct names_txn {
    unsigned magic;
    struct names *names;
    struct db_txn *db;
    uint64_t began; /* names->sequence then */
    struct pool *pool;
    struct decision decision;
};

/* ---- names.c ---- */

void names_sequence_key(unsigned char key[8], uint64_t sequence); /* of the log */
/* What the database has; `make`: an epoch, if there is none. */
int names_load(struct names *names, bool make);
/* Within a write transaction: a name's new value (NULL: it goes), and its row of the log. */
int names_store(struct db_txn *txn, uint64_t sequence, const struct db_value *key,
                const struct db_value *value);
void names_publish(struct names *names, uint64_t sequence);

/* ---- names-group.c ---- */

void decision_init(struct decision *decision, uint64_t sequence);
void decision_free(struct decision *decision);           /* also one of zeros */
uint64_t decision_next(const struct decision *decision); /* the next row's sequence */
/* False: it has nothing of that name.  value_r->data NULL: the name is gone.  Until the next row is added. */
bool decision_find(const struct decision *decision, const struct buf *key, struct db_value *value_r);
void decision_add(struct decision *decision, const struct buf *key, const struct db_value *value);

/* A lone master's, before anybody uses the names: what a group has left in the database is done to the names, and goes.  All of its
 * journal: a group of one has settled all of it, and for a forced takeover nobody can say more.  ERR_CORRUPT with *why_r: the copy is not
 * whole. */
int names_leave_group(struct names *names, const char **why_r);

#endif
