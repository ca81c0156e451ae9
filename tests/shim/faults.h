/*
 * The control page between a test and the shim that its daemon runs under (LD_PRELOAD): a file of this layout, mapped by both. The test changes it while the
 * daemon runs. TANA_SHIM_CONTROL names the file. tests/lib/tana_testing/shim.py knows the same layout.
 */
#ifndef TANA_TESTS_FAULTS_H
#define TANA_TESTS_FAULTS_H

#include <stdatomic.h>
#include <stdint.h>

enum fault_op {
	FAULT_WRITE, /* write, pwrite, writev */
	FAULT_SYNC,  /* fsync, fdatasync, syncfs */
	FAULT_GROW,  /* ftruncate, fallocate, posix_fallocate */
	FAULT_OPEN,  /* open with O_CREAT */
	FAULT_OPS
};

struct fault {
	_Atomic int64_t error; /* errno of a failing call; 0: none fails */
	_Atomic int64_t skip;  /* calls let through before the first failure */
	_Atomic int64_t times; /* failures left; negative: no end */
	_Atomic int64_t hits;  /* failures so far */
};

/* Every call that changes files under the path, one after the other, whatever kind it is: a test lets each of them fail in turn. */
enum { STEP_KINDS = 1024 };
enum step_action {
	STEP_KILL = -1,  /* the process is killed just before the call */
	STEP_TEAR = -2,  /* a write stores half of its bytes, then the process is killed; other calls: done, then killed */
	STEP_SHORT = -3  /* a write stores half of its bytes and says so; other calls: done */
	/* > 0: the errno of the call, which is not made */
};
struct steps {
	_Atomic int64_t on;           /* 0: nothing is counted */
	_Atomic int64_t count;        /* calls so far */
	_Atomic int64_t only;         /* a kind: the action is for such calls; 0: for all */
	_Atomic int64_t matched;      /* calls of that kind so far */
	_Atomic int64_t first, last;  /* the action is taken at these of them (from 1) */
	_Atomic int64_t action;
	_Atomic int64_t hits;
	_Atomic int64_t no_tmpfile;   /* not 0: files without a name (O_TMPFILE) are not supported here; not counted as a step */
	_Atomic int64_t unknown_kind; /* not 0: fstatfs names no kind of file system that is known */
	_Atomic int64_t verity;       /* > 0: files can be sealed, as far as is told; counts how many were, from 1 */
	char kinds[STEP_KINDS];       /* o: open that creates, w: write, s: fsync, t: truncate, l: link, r: rename, u: unlink */
};

struct fault_control {
	_Atomic int64_t wall_offset_ms; /* added to CLOCK_REALTIME; CLOCK_MONOTONIC is never touched, as when a clock is really set */
	struct fault faults[FAULT_OPS];
	char path[512]; /* only files whose path begins so can fail; set before the first fault */
	struct steps steps;
};

/* The mapped page, or NULL when no test asked for one. */
struct fault_control *fault_control(void);

#endif
