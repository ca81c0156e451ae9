/*
 * Canonical JSON: RFC 8785 (JCS) over a subset. Object keys match [A-Za-z][A-Za-z0-9_]*; numbers are integers with
 * |n| <= 2^53-1; no duplicate keys; valid UTF-8 without U+0000; no blanks; keys in byte order.
 *
 * Reading and writing without a tree: the checker goes over the bytes twice (UTF-8, then form), the writer checks the order as it goes.
 * (Text that is JSON but not canonical is turned into canonical bytes by json/canonicalise.h.)
 */
#ifndef TANA_CRYPTO_CANONICAL_H
#define TANA_CRYPTO_CANONICAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

#define CANONICAL_INT_MAX INT64_C(9007199254740991)
enum { CANONICAL_DEPTH_MAX = 32 }; /* nested objects and arrays: far beyond any message, far below any stack */

/* Is [s] exactly the canonical form of one JSON value of the subset? Never reads outside s; O(n). */
bool canonical_check(struct str s);
/* Does the text fit an object key of the subset? */
bool canonical_key_valid(struct str key);

/*
 * A writer. Keys must be given in byte order and be valid, integers in range, strings valid UTF-8 without NUL: anything else is a
 * mistake of the caller and ends the process (invariant).
 *
 *	struct canonical_writer w;
 *	canonical_begin(&w, &buf);
 *	canonical_object(&w); canonical_key(&w, "a"); canonical_int(&w, 1); canonical_end(&w);
 */
struct canonical_writer {
	struct buf *out;
	int depth;
	struct {
		bool object, empty;
		size_t key_at, key_len; /* the last key's place in *out */
	} level[CANONICAL_DEPTH_MAX + 1];
	bool after_key;
};
void canonical_begin(struct canonical_writer *w, struct buf *out);
void canonical_object(struct canonical_writer *w);
void canonical_array(struct canonical_writer *w);
void canonical_end(struct canonical_writer *w); /* closes the innermost object or array */
void canonical_key(struct canonical_writer *w, const char *key);
void canonical_key_str(struct canonical_writer *w, struct str key);
void canonical_str(struct canonical_writer *w, struct str s);
void canonical_int(struct canonical_writer *w, int64_t v);
void canonical_bool(struct canonical_writer *w, bool v);
void canonical_null(struct canonical_writer *w);
/* A value whose canonical bytes are already at hand; that they are canonical, and how deep they go, is not checked again. */
void canonical_raw(struct canonical_writer *w, struct str canonical);

#endif
