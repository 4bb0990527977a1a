/* disk.h: what a disk may hold after the power went: what a trace wrote, by these rules.
 *
 * Data survive by their file's sync; a name by its directory's sync, or by a sync of the file that it names after it was
 * given; of what was not synced any part survives, in any order, by blocks of 4 KiB; a move is there or not, whole. */
#ifndef CUNIT_IMAP_STORE_POWER_DISK_H
#define CUNIT_IMAP_STORE_POWER_DISK_H

#include <stdint.h>

#include "cunit/imap/store/power/trace.h"

struct disk;

/* A disk that holds the tree at `directory`, synced. */
struct disk *disk_new(const char *directory);
void disk_free(struct disk **disk);

/* What the event does; its data are not copied. */
void disk_apply(struct disk *disk, const struct trace_event *event);

enum disk_loss {
    DISK_LOSES_ALL,   /* that was not synced */
    DISK_LOSES_DATA,  /* but keeps names */
    DISK_LOSES_NAMES, /* but keeps data */
    DISK_LOSES_SOME,  /* at random */
    DISK_LOSES        /* how many kinds */
};

/* Writes the tree that is left into `directory`, which is there and empty. */
void disk_write(const struct disk *disk, enum disk_loss loss, unsigned *random, const char *directory);

#endif
