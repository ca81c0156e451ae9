/*
 * Signatures checked on other cores while the one who asks goes on: blocks taken over, imports, audits. The verdicts are libsodium's, as everywhere.
 */
#ifndef TANA_LEDGERD_SIGNATURES_H
#define TANA_LEDGERD_SIGNATURES_H

#include "chain_rules.h"

struct signatures;
/*
 * `wrong` is called for each that does not verify, on any thread, never two at a time. threads 0: they are checked at once, in the caller's thread.
 */
MUST_CHECK struct signatures *signatures_start(unsigned threads, void (*wrong)(void *ctx, struct chain_place at), void *ctx, struct error *err);
/* A verifier that remembers the question and says true. One thread; waits when those behind are far behind. */
struct chain_verifier signatures_verifier(struct signatures *s);
/* Waits until all that was asked has been answered. */
void signatures_wait(struct signatures *s);
uint64_t signatures_count(const struct signatures *s);
void signatures_stop(struct signatures *s); /* answers what was asked, and frees; NULL is allowed */

#endif
