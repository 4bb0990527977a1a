/* raft-world.h: a group of members with simulated disks, network and clock, who use mupdate/raft.h as a real one does: messages are
 * lost, doubled and late, members crash, stop for a while, lose their disks, join and are removed.
 *
 * All the time it is looked at whether what Raft promises is so; at the end, when nothing is broken any longer, whether they
 * agree.  The same seed makes the same world. */
#ifndef CUNIT_MUPDATE_RAFT_WORLD_H
#define CUNIT_MUPDATE_RAFT_WORLD_H

#include <stdbool.h>
#include <stdint.h>

enum { WORLD_ERROR_MAX = 200 };

/* What has happened: a world where nothing does finds nothing. */
struct world_tally {
    uint64_t elected, settled, acknowledged, unknown, reads, went_back, copied, members, crashes, wiped;
};

/* Adds to *tally.  False: a promise was broken, and *error_r says which. */
bool world_run(uint64_t seed, struct world_tally *tally, char error_r[WORLD_ERROR_MAX]);

#endif
