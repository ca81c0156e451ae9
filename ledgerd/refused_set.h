/*
 * Have we refused a transaction of this id lately? A set in memory of fixed size, which says no only when it is so, and yes now and then for nothing:
 * a yes is looked up in the database. What was put in longer than a period ago is forgotten, within another one. Not thread-safe: the core's lock
 * guards it.
 */
#ifndef TANA_LEDGERD_REFUSED_SET_H
#define TANA_LEDGERD_REFUSED_SET_H

#include "crypto/sha256.h"

struct refused_set;
struct refused_set *refused_set_new(int64_t period_ms);
void refused_set_free(struct refused_set *s); /* NULL is allowed */
/* now_ms: of a clock that never goes back. */
void refused_set_put(struct refused_set *s, const struct hash *id, int64_t now_ms);
bool refused_set_perhaps(const struct refused_set *s, const struct hash *id);

#endif
