/* raft.h: whom a group elects, and what of its log is settled: the protocol alone, with no file, socket, thread or clock.
 *
 * Raft (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", 2014), with the vote before the vote of
 * Ongaro's thesis (9.6), members changed one by one (4.1), and copies that fetch: how far a member asks from is what it
 * has.  Its user calls it under one lock and tells it what has happened; after each call that may set `unsaved` the
 * term and the vote must be on disk before anybody is told anything. */
#ifndef MUPDATE_RAFT_H
#define MUPDATE_RAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RAFT_MEMBERS_MAX = 9,
    RAFT_NAME_MAX = 255,
    RAFT_COPIES_MAX = 2 * RAFT_MEMBERS_MAX, /* who may fetch */
    /* milliseconds */
    RAFT_PATIENCE = 1000, /* that a member waits to hear of the elected one, and at most twice that */
    RAFT_AT_ONCE = 150,   /* likewise, once he is known to be away */
    RAFT_GRACE = 300,     /* that somebody it voted for has to be elected */
    RAFT_CANVASS = 1000,  /* that it waits for votes */
    RAFT_SILENCE = 2000   /* without word of a majority the elected one no longer is */
};

/* A place in the log: in terms that never fall, one entry for each index from 1 on. */
struct raft_position {
    uint64_t term, index;
};
bool raft_is_before(const struct raft_position *a, const struct raft_position *b);

/* The id is at random, for the life of a member's copy: who has lost it is somebody else. */
struct raft_member {
    uint64_t id; /* 0: nobody */
    char name[RAFT_NAME_MAX + 1];
};

struct raft_members {
    unsigned count;
    struct raft_member member[RAFT_MEMBERS_MAX];
};
bool raft_members_have(const struct raft_members *members, uint64_t id);

enum raft_role { RAFT_FOLLOWS, RAFT_ASKS, RAFT_CANDIDATE, RAFT_ELECTED };

/* A question for votes; `real` false: would you, if there were an election in that term? */
struct raft_ballot {
    bool real;
    uint64_t term, candidate;
    struct raft_position last;
};

struct raft_vote {
    bool granted;
    uint64_t term;
    struct raft_member leader; /* as far as the voter knows */
};

struct raft_run { /* entries of one term, as far as the next run */
    uint64_t term, first;
};

struct raft_config { /* members, from that entry on */
    uint64_t index;
    struct raft_members members;
};

struct raft_copy { /* the elected one's: somebody who fetches */
    struct raft_member who;
    uint64_t match, round;
    int64_t heard;
    bool joins, copying; /* copying: what it has fetched does not count yet */
};

struct raft {
    struct raft_member self;
    uint64_t random;
    /* to be saved */
    bool unsaved;
    uint64_t term, voted; /* the candidate's id in that term; 0: none */
    /* the log */
    struct raft_run *runs;
    unsigned run_count;
    uint64_t last, stored, commit; /* stored: what is on disk */
    struct raft_position floor;    /* while the copy is made anew: what it had */
    bool copying;
    struct raft_config *configs; /* the last settled one, and those behind it */
    unsigned config_count;
    /* who is elected */
    enum raft_role role;
    struct raft_member leader; /* whom it follows, or will when he is elected */
    int64_t heard, granted;    /* of him; our vote to him */
    int64_t deadline;          /* for the next election */
    uint64_t canvass;          /* counts those that were begun */
    unsigned votes;
    uint64_t voters[RAFT_MEMBERS_MAX];
    /* the elected one's */
    uint64_t began; /* its term's first entry; 0: not appended yet */
    uint64_t round;
    int64_t since; /* it is elected */
    struct raft_copy copies[RAFT_COPIES_MAX];
    unsigned copy_count;
};

/* ---- beginning ---- */

/* A member without a log; `random`: any number. */
void raft_init(struct raft *r, const struct raft_member *self, uint64_t random, int64_t now);
void raft_free(struct raft *r);
/* What was saved. */
void raft_load(struct raft *r, uint64_t term, uint64_t voted);
/* Behind raft_append() of all entries that are kept: as far as that index they are settled, and the members were these then. */
void raft_begin_with(struct raft *r, const struct raft_members *members, uint64_t settled);

/* ---- the log ---- */

/* An entry with the index behind the last one (to begin with: any); `members`: NULL, or it changes them.  Who fetches has it
 * on disk before; an elected one's may be on its way there.  raft_stored() tells of both. */
void raft_append(struct raft *r, const struct raft_position *at, const struct raft_members *members);
void raft_stored(struct raft *r, uint64_t index); /* the log is on disk up to there */
/* Entries behind that one are gone.  False: they are settled, and nothing was done. */
bool raft_truncate(struct raft *r, uint64_t index);
/* Entries before that one are no longer kept. */
void raft_trim(struct raft *r, uint64_t first);
/* Of what is kept; 0: unknown. */
uint64_t raft_term_at(const struct raft *r, uint64_t index);
struct raft_position raft_last(const struct raft *r);
uint64_t raft_first(const struct raft *r); /* the oldest kept one; 0: there is none */
const struct raft_members *raft_members(const struct raft *r);

/* The copy is made anew from here on: it votes for those who have what it had, and is not elected. */
void raft_copy_begins(struct raft *r);
/* It has the elected one's state at that place, and the log begins there. */
void raft_copy_has(struct raft *r, const struct raft_position *at, const struct raft_members *members);
/* What the giver knew to be settled when he had given all has been done.  False: not yet, it had more before. */
bool raft_copy_is_whole(struct raft *r);

/* ---- elections ---- */

/* May it be elected: is it a member, as far as is settled or may be? */
bool raft_may_stand(const struct raft *r);
/* Is that it is a member settled? */
bool raft_is_member(const struct raft *r);

/* Looks at the time.  A canvass has begun when `canvass` has grown: then raft_ballot() is to be sent to the other members. */
void raft_tick(struct raft *r, int64_t now);
void raft_ballot(const struct raft *r, struct raft_ballot *ballot_r);
void raft_ballot_came(struct raft *r, const struct raft_ballot *ballot, int64_t now,
                      struct raft_vote *vote_r);
/* Of the member with that id, to the ballot of that canvass.  May make us the elected one, who is to append an entry
 * of his term at once (raft_is_new()). */
void raft_vote_came(struct raft *r, uint64_t from, uint64_t canvass, const struct raft_vote *vote,
                    int64_t now);

/* ---- the elected one's ---- */

bool raft_is_new(const struct raft *r);               /* it is elected, and has no entry of its term yet */
struct raft_position raft_next(const struct raft *r); /* its next entry's place */
/* An entry of its own term is settled: it knows all that is. */
bool raft_leads(const struct raft *r);
/* May members be changed by one?  (Nothing of that kind is under way.) */
bool raft_may_change(const struct raft *r);

enum raft_fetched { RAFT_REFUSED, RAFT_GO_BACK, RAFT_COPY_ALL, RAFT_FETCHED };

/* Somebody fetches in a term from behind a place, and has heard of a round.  REFUSED: we are not elected, or he is of another
 * term; GO_BACK: what he has behind *back_r is not ours; COPY_ALL: what he lacks is no longer kept. */
enum raft_fetched raft_fetch_came(struct raft *r, const struct raft_copy *who, uint64_t term,
                                  const struct raft_position *last, int64_t now, uint64_t *back_r);
/* The next round's number: who repeats it still followed us after now. */
uint64_t raft_begin_round(struct raft *r);
bool raft_round_is_heard(const struct raft *r, uint64_t round);
/* Somebody who is given a copy, and does not fetch meanwhile, is there. */
void raft_copies(struct raft *r, uint64_t id, uint64_t term, int64_t now);
/* Has somebody been heard of lately? */
bool raft_hears(const struct raft *r, uint64_t id, int64_t now);

/* ---- a follower's ---- */

/* Whom it fetches from has answered as one who is elected in that term.  False: that is over, and the answer is nothing worth. */
bool raft_leader_came(struct raft *r, const struct raft_member *leader, uint64_t term, int64_t now);
/* All that we have is his, and that is settled. */
void raft_settled(struct raft *r, uint64_t commit);
/* He is away, or says that he is not elected. */
void raft_leader_gone(struct raft *r, int64_t now);

#endif
