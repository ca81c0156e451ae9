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
	FAULT_SYNC,  /* fsync, fdatasync */
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

struct fault_control {
	_Atomic int64_t wall_offset_ms; /* added to CLOCK_REALTIME; CLOCK_MONOTONIC is never touched, as when a clock is really set */
	struct fault faults[FAULT_OPS];
	char path[512]; /* only files whose path begins so can fail; set before the first fault */
};

/* The mapped page, or NULL when no test asked for one. */
struct fault_control *fault_control(void);

#endif
