/* raft-world-private.h: what the world and its members share. */
#ifndef CUNIT_MUPDATE_RAFT_WORLD_PRIVATE_H
#define CUNIT_MUPDATE_RAFT_WORLD_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "cunit/mupdate/raft-world.h"
#include "mupdate/raft.h"

enum {
    NODES_MAX = 6,
    KEYS = 5,
    INDEX_MAX = 4000,
    INDEX_ENOUGH = 3000, /* no more writes */
    TERMS_MAX = 4000,
    IDS_MAX = 60,
    CONFIGS_MAX = 200,
    BATCH_MAX = 6,
    MESSAGES_MAX = 4096,
    STEP_MAX = 8, /* ms */
    TURMOIL = 15000,
    CALM = 10000,
    HOLD = 200, /* an answer without news */
    RESEND = 300,
    UNKNOWN_AFTER = 1000
};

enum kind { BEGINNING, TERM, WRITE, MEMBERS }; /* BEGINNING: where a copy's log begins */

struct entry {
    uint64_t term;
    enum kind kind;
    unsigned key, value; /* MEMBERS: the value is the number of a config */
};

/* What is done by the settled entries. */
struct state {
    uint64_t applied;
    unsigned config, value[KEYS];
    bool was_member; /* whose copy it is */
};

enum what { BALLOT, VOTE, ELECTED, FETCH, ANSWER, COPY, PIECE, GONE };

struct message {
    int64_t due;
    enum what what;
    unsigned from, to; /* nodes */
    uint64_t id;       /* the sender's */
    uint64_t serial;   /* the canvass, or the request */
    uint64_t term, round, commit;
    struct raft_ballot ballot;
    struct raft_vote vote;
    struct raft_position at; /* FETCH: from behind it; PIECE: where the copy's log begins */
    bool joins, copying;
    enum raft_fetched how;
    uint64_t back;
    unsigned piece, value, config;
    unsigned count;
    struct entry entries[BATCH_MAX];
};

struct wish { /* what a client waits for at an elected one */
    bool open;
    uint64_t term, index, round, seen;
    int64_t until;
};

struct node {
    bool runs;
    int64_t back, paused, doomed; /* when it runs again, goes on, is hurt (0: not) */
    /* on disk; of the log, what is behind `durable` may be lost */
    uint64_t id, term, voted;
    uint64_t first, last, durable;
    struct entry log[INDEX_MAX];
    struct state state, safe; /* safe: as after a crash */
    bool copying;
    struct raft_position floor;
    /* in memory */
    struct raft r;
    uint64_t canvass;
    uint64_t sync_to; /* 0: nothing is being written */
    int64_t sync_at;
    uint64_t serial; /* of the request that waits for an answer; 0: none */
    int64_t asked;
    uint64_t round, round_term;
    bool copied; /* all pieces are there */
    unsigned piece;
    struct state pieces;
    struct raft_position copy_at;
    uint64_t copy_term, copy_end;
    uint64_t elected_in;
    bool holds[NODES_MAX];
    struct message held[NODES_MAX];
    struct wish write, read;
    uint64_t checked; /* so many settled ones were compared */
};

struct world {
    uint64_t seed, random, serial;
    int64_t now, calm, wiped;
    bool failed, regicide; /* hardly anything but crashes, of whom is elected */
    char *error;
    struct world_tally *tally;
    unsigned loss, twice, late, faults, hot, whims, writes, delay, sync, batch, keeps, trims, lazy,
        doom; /* chances per 1000, and limits */
    unsigned count;
    struct node node[NODES_MAX];
    bool cut[NODES_MAX][NODES_MAX];
    unsigned message_count;
    struct message messages[MESSAGES_MAX];
    unsigned config_count;
    struct raft_members configs[CONFIGS_MAX];
    uint64_t ids;
    bool removed[IDS_MAX]; /* an old request may still say that he wants to join */
    unsigned values;
    /* what must stay true */
    uint64_t settled; /* so many are */
    struct entry truth[INDEX_MAX];
    uint64_t settled_in[INDEX_MAX]; /* the term in which that was known */
    struct state states[INDEX_MAX];
    uint64_t seen; /* so far somebody was told */
    uint64_t elected[TERMS_MAX];
    uint8_t voted[IDS_MAX][TERMS_MAX];
};

/* ---- raft-world.c ---- */

uint64_t world_below(struct world *w, uint64_t n); /* at random, from 0 on */
bool world_chance(struct world *w, unsigned per_mille);
unsigned world_one_of(struct world *w, unsigned a, unsigned b, unsigned c);
/* A promise is broken: the first one is kept. */
__attribute__((format(printf, 2, 3))) void world_fail(struct world *w, const char *fmt, ...);
unsigned world_number_of(const struct world *w, const struct node *n);
struct raft_member world_name_of(unsigned number, uint64_t id);
/* To its receiver, after a while, once, twice or never. */
void world_post(struct world *w, const struct message *m);
void world_apply(struct state *state, const struct entry *entry);
/* Promises: of a member at any time; of one just elected; of a vote that is given. */
void world_check_node(struct world *w, struct node *n);
void world_check_elected(struct world *w, struct node *n);
void world_check_vote(struct world *w, uint64_t voter, uint64_t term, uint64_t candidate);

/* ---- raft-node.c ---- */

void node_start(struct world *w, struct node *n); /* with what is on its disk */
void node_stop(struct node *n, int64_t back);
void node_crash(struct world *w, struct node *n);
void node_wipe(struct world *w, struct node *n,
               int64_t back);                    /* from then on somebody else of the same name */
void node_step(struct world *w, struct node *n); /* some time has passed */
void node_came(struct world *w, const struct message *m);

#endif
