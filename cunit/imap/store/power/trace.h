/* trace.h: what this process writes below a directory: every write, change of a name and sync, in order, with the data.
 *
 * The program's own definitions of write(2) and its like record and pass on; they stand in for libc's in the libraries
 * too.  One thread at a time. */
#ifndef CUNIT_IMAP_STORE_POWER_TRACE_H
#define CUNIT_IMAP_STORE_POWER_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum trace_kind {
    TRACE_WRITE,    /* ino, offset, data */
    TRACE_TRUNCATE, /* ino, offset: the new size */
    TRACE_NAME,     /* dir, name: it is ino from now on; 0: it is gone */
    TRACE_MOVE,     /* dir, name become dir2, name2 (of ino) */
    TRACE_SYNC,     /* ino, a file or a directory; 0: the file system */
    TRACE_MARK      /* what the program says by trace_mark(): data */
};

struct trace_event {
    enum trace_kind kind;
    uint64_t ino, dir, dir2; /* a number that has been another file's before is made another here */
    bool is_dir;             /* TRACE_NAME: ino is a directory, just made */
    char *name, *name2;
    int64_t offset;
    char *data;
    size_t len;
};

struct trace {
    struct trace_event *events;
    size_t count;
};

/* Inodes: those that are there when the record begins by their own numbers.  Records what happens on the file system of this directory until trace_end(), which gives it to the caller. */
void trace_begin(const char *directory);
void trace_end(struct trace *trace_r);
void trace_free(struct trace *trace);

/* Puts something into the trace. */
void trace_mark(const void *data, size_t n);

/* Who reads the boot id from now on gets this one (NULL: the machine's): the machine was started again.  It lives on. */
void trace_boot(const char *boot_id);

#endif
