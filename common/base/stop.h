/*
 * A flag by which somebody else, another thread or a signal handler, asks for an end: an int, nonzero once it was asked. It orders nothing else: what
 * has to be seen with it has a lock of its own.
 */
#ifndef TANA_BASE_STOP_H
#define TANA_BASE_STOP_H

#include <stdbool.h>
#include <stddef.h>

/* NULL: nobody asks. */
static inline bool stop_asked(const volatile int *flag) { return flag && __atomic_load_n(flag, __ATOMIC_RELAXED) != 0; }
/* NOLINTBEGIN(readability-non-const-parameter): the builtin writes through it, which clang-tidy does not see */
static inline void stop_ask(volatile int *flag) { __atomic_store_n(flag, 1, __ATOMIC_RELAXED); }
static inline void stop_forget(volatile int *flag) { __atomic_store_n(flag, 0, __ATOMIC_RELAXED); }
/* NOLINTEND(readability-non-const-parameter) */

#endif
