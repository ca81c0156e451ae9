/* The one door to randomness: the kernel's generator (getrandom(2)). Never fails: a machine without it ends the process. */
#ifndef TANA_BASE_RANDOM_H
#define TANA_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *out, size_t n);
uint64_t random_u64(void);
/* Uniform in 0..bound-1; bound > 0. */
uint64_t random_below(uint64_t bound);

#endif
