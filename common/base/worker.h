/*
 * A background thread that takes a turn every so often, and at once when it is woken. Turns never overlap; a wake during a turn gives
 * another turn right after it.
 */
#ifndef TANA_BASE_WORKER_H
#define TANA_BASE_WORKER_H

#include <stdint.h>

#include "attrs.h"

struct worker;
/*
 * `turn` returns the ms (monotonic, > 0) until its next turn. The first turn comes at once. `name` (at most 15 bytes) is shown by ps and
 * debuggers.
 */
MUST_CHECK struct worker *worker_start(const char *name, int64_t (*turn)(void *ctx), void *ctx);
/* Thread-safe; NULL is allowed. */
void worker_wake(struct worker *w);
/* Waits for the turn under way, ends the thread, frees. NULL is allowed. */
void worker_stop(struct worker *w);

#endif
