/* ticker.h: a thread that does something now and then: what a service's process does beside its sessions, and
 * may wait for others. */
#ifndef LIB_BASE_TICKER_H
#define LIB_BASE_TICKER_H

struct ticker;

/* Calls fn every period_ms, for the first time at once, until ticker_stop().  0 or ERR_LIMIT. */
int ticker_start(int period_ms, void (*fn)(void *context), void *context, struct ticker **ticker_r);

/* Waits for a call under way, ends the thread; *ticker may be NULL and is set to NULL. */
void ticker_stop(struct ticker **ticker);

#endif
