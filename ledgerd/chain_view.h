/*
 * The state as the rules see it: entries of text under text keys (docs/protocol.md, "State entries"), read from somewhere and changed in memory
 * only. A view remembers for each key it was asked for what the value was before and what it is now; what differs in the end are the changes of a
 * block. Nothing here knows a clock, a file or a database.
 */
#ifndef TANA_LEDGERD_CHAIN_VIEW_H
#define TANA_LEDGERD_CHAIN_VIEW_H

#include "base/arena.h"
#include "base/error.h"
#include "base/strmap.h"

/* Where a view reads what it has not seen yet. */
struct chain_source {
	/* The value, absent when there is no such entry; borrowed until the next call. False, with *err: it could not be read. */
	bool (*get)(void *ctx, struct str key, struct str *value, struct error *err);
	void *ctx;
};

struct chain_entry {
	struct str key, before, now; /* absent: no such entry; in the view's arena */
	struct chain_entry *next;    /* in the order of the first question */
};

struct chain_view {
	struct chain_source source;
	struct arena arena;
	struct strmap entries;
	struct chain_entry *first, **last;
};
void chain_view_init(struct chain_view *v, struct chain_source source);
void chain_view_free(struct chain_view *v);
/* Forgets everything. */
void chain_view_reset(struct chain_view *v);
/* Each becomes what the other was. */
void chain_view_swap(struct chain_view *a, struct chain_view *b);

/* The present value; absent when there is none. It stays valid as long as the view. */
MUST_CHECK bool chain_view_get(struct chain_view *v, struct str key, struct str *value, struct error *err);
/* Sets a value, or removes the entry when `value` is absent. The key was asked for before (invariant): so its old value is known. Copied. */
void chain_view_put(struct chain_view *v, struct str key, struct str value);

/* The entries whose value differs from before, sorted by key bytes, in the arena given. */
struct chain_changes {
	struct chain_entry **entries;
	size_t count;
};
struct chain_changes chain_view_changes(const struct chain_view *v, struct arena *arena);

#endif
