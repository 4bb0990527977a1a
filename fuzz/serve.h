/* serve.h: a server inside a harness: its files in memory, an engine, one connection at a time, as the session that a
 * client would have. */
#ifndef FUZZ_SERVE_H
#define FUZZ_SERVE_H

#include <stddef.h>

struct login;
struct login_service;

/* Once: makes the directory, reads a configuration of it, starts the engine.  At exit: waits for the last session,
 * ends the threads and calls `close` (unless it is NULL), removes the directory. */
void serve_begin(const char *service, void (*close)(void));
const char *serve_dir(void);

/* All sessions are over; the directory is as at the beginning. */
void serve_wipe(void);

/* A connection that says these bytes and then nothing more; comes back when the server has closed it. */
void serve_talk(struct login_service *service, const void *data, size_t n);
void serve_say(struct login_service *service, const char *text);

#endif
