/*
 * Token buckets by address, in a table of fixed size. An address starts with a full bucket of `burst` tokens that refills at `rate` a
 * second; a write takes one. When the table has no room the fullest bucket of the few that share its set is given up: that is the
 * address that asked least lately, and it loses nothing but its small debt. The clock is the caller's. Thread-safe. Private to this
 * room.
 */
#ifndef TANA_HTTP_RATELIMIT_H
#define TANA_HTTP_RATELIMIT_H

#include "address.h"

struct ratelimit;
/* Holds `sets` * 4 addresses (32 bytes each); sets is a power of two. rate in tokens a second, <= 0: no limit; burst >= 1. */
struct ratelimit *ratelimit_new(size_t sets, double rate, int burst, uint64_t seed);
void ratelimit_free(struct ratelimit *l);
/* New limits; buckets keep what they have, up to the new burst. */
void ratelimit_set(struct ratelimit *l, double rate, int burst);
/* Takes one token at now_ns (monotonic). False when there is none: *retry_after_s (>= 1) says when there will be. */
MUST_CHECK bool ratelimit_take(struct ratelimit *l, struct address_key k, int64_t now_ns, int *retry_after_s);

#endif
