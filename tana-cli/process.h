/*
 * A daemon as the operating system sees it. Whether one of ours runs is told by a lock on a file that it inherits and holds as long as it
 * lives: no other process, and no later one with the same number, can be taken for it. The start time is compared once more before anything is
 * signalled.
 */
#ifndef TANA_CLI_PROCESS_H
#define TANA_CLI_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

struct process_plan {
	const char *binary;             /* a path */
	const char *const *argv;        /* NULL-terminated; argv[0] included */
	const char *const *environment; /* NAME=VALUE beside the present ones; NULL-terminated, may be NULL */
	const char *log_path;           /* standard output and error are appended to it; NULL: they stay ours */
	const char *lock_path;
	bool bound_to_us; /* a foreground supervisor's: no session of its own, and it gets SIGTERM when we die */
};
/* ERR_WRONG_STATE when the lock is held: it runs already. ERR_IO, ERR_NOT_FOUND (no such binary). */
MUST_CHECK bool process_spawn(const struct process_plan *plan, pid_t *pid, struct error *err);

/* Takes the lock for this very process; it goes with it. ERR_WRONG_STATE when another holds it. */
MUST_CHECK bool process_lock_self(const char *lock_path, struct error *err);
/* Does a process hold the lock? */
bool process_runs(const char *lock_path);
/* Clock ticks since boot at which the process started; 0 when there is none. */
int64_t process_start_ticks(pid_t pid);
/* How long it has been running, ms; 0 when there is none. */
int64_t process_age_ms(pid_t pid);
/* Sends a signal if the pid still is the process that started then. */
bool process_signal(pid_t pid, int64_t start_ticks, int number);
/* Waits until nobody holds the lock; false when it took longer. */
bool process_wait_gone(const char *lock_path, int64_t timeout_ms);

/* Runs a program found in PATH to its end and appends what it printed, at most `max` bytes (ERR_TOO_LARGE). Its errors are thrown away. *status
 * as from waitpid. ERR_NOT_FOUND: no such program. */
MUST_CHECK bool process_capture(const char *const *argv, size_t max, struct buf *out, int *status, struct error *err);
/* The same, but its errors stay ours; environment as above. out NULL: what it prints stays ours too. */
MUST_CHECK bool process_run(const char *const *argv, const char *const *environment, size_t max, struct buf *out, int *status, struct error *err);
/* The same, and each line it prints is handed on as it comes, without its end; a last one also when it has none. SIGINT and SIGTERM (cli_catch_interrupts) are passed
 * on to it as SIGTERM, and end the reading. */
typedef void process_line(void *ctx, struct str line);
MUST_CHECK bool process_lines(const char *const *argv, process_line *take, void *ctx, int *status, struct error *err);

#endif
