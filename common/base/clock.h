/* The one door to time. Wall time is for what leaves the process; intervals are measured on the monotonic clock. */
#ifndef TANA_BASE_CLOCK_H
#define TANA_BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds since the Unix epoch (CLOCK_REALTIME): may jump either way. */
int64_t clock_wall_ms(void);
/* Nanoseconds on CLOCK_MONOTONIC: never goes back; no meaning outside this boot. */
int64_t clock_mono_ns(void);
static inline int64_t clock_mono_ms(void) { return clock_mono_ns() / 1000000; }

enum { CLOCK_ISO8601_SIZE = 32 };
/* "2026-01-31T12:34:56.789Z" (ISO 8601 UTC, milliseconds), NUL-terminated; times outside years 0..9999 give "-". */
void clock_iso8601(int64_t wall_ms, char out[CLOCK_ISO8601_SIZE]);

#endif
