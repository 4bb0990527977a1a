/* meta.h: the rows of the table "meta", and the other tables (doc/formats/mupdate.md).  All of these within a transaction. */
#ifndef MUPDATE_META_H
#define MUPDATE_META_H

#include "lib/db/db.h"
#include "mupdate/raft.h"

enum { TABLE_NAMES, TABLE_LOG, TABLE_META, TABLE_JOURNAL };

#define META_EPOCH      "epoch"
#define META_SEQUENCE   "sequence"
#define META_MEMBER     "member"
#define META_VOTE       "vote"
#define META_APPLIED    "applied"
#define META_MEMBERS    "members"
#define META_WAS_MEMBER "was-member"
#define META_COPYING    "copying"
#define META_GROUP      "group" /* of a version that was never released; not read */

/* 0; ERR_NOTFOUND: there is no such row; ERR_CORRUPT; or another error. */
int meta_get_number(struct db_txn *txn, const char *word, uint64_t *number_r);
int meta_get_position(struct db_txn *txn, const char *word, struct raft_position *position_r);
int meta_get_members(struct db_txn *txn, struct raft_members *members_r);
/* As these, and zeros where there is no row. */
int meta_find_number(struct db_txn *txn, const char *word, uint64_t *number_r);
int meta_find_position(struct db_txn *txn, const char *word, struct raft_position *position_r);
int meta_find_members(struct db_txn *txn, struct raft_members *members_r);

int meta_put_number(struct db_txn *txn, const char *word, uint64_t number);
int meta_put_position(struct db_txn *txn, const char *word, const struct raft_position *position);
int meta_put_members(struct db_txn *txn, const struct raft_members *members);
int meta_delete(struct db_txn *txn, const char *word); /* 0 also when it is not there */

/* Ends a write transaction with its result: commits, or aborts when r < 0. */
int meta_end(struct db_txn **txn, int r);

#endif
