/*
 * Reading canonical JSON without a tree: members of an object one by one, values as spans of the very bytes. Everything here takes text that
 * canonical_check() (or whoever wrote it) vouches for; on other text nothing is read out of bounds, but what comes back means nothing.
 */
#ifndef TANA_CRYPTO_CANONICAL_READ_H
#define TANA_CRYPTO_CANONICAL_READ_H

#include "base/arena.h"
#include "canonical.h"

/* A place within one object or array. */
struct canonical_cursor {
	const char *p, *end;
};
/* False when the value is not an object, or not an array. */
MUST_CHECK bool canonical_enter_object(struct str value, struct canonical_cursor *c);
MUST_CHECK bool canonical_enter_array(struct str value, struct canonical_cursor *c);
/* The next member, or item; false at the end. The spans are those of the text; a string's has its quotes. */
MUST_CHECK bool canonical_next_member(struct canonical_cursor *c, struct str *key, struct str *value);
MUST_CHECK bool canonical_next_item(struct canonical_cursor *c, struct str *value);
/* The member called `key`; false when there is none, or `object` is no object. O(n). */
MUST_CHECK bool canonical_find(struct str object, const char *key, struct str *value);

/* A string's text: a span of the text where it has no escapes, else a copy in the arena. False when the value is no string. */
MUST_CHECK bool canonical_read_text(struct str value, struct arena *arena, struct str *out);
/* A string without escapes only, so that nothing is copied: keys, hashes, names of a narrow form. */
MUST_CHECK bool canonical_read_plain(struct str value, struct str *out);
MUST_CHECK bool canonical_read_int(struct str value, int64_t *out);

#endif
