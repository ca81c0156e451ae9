/*
 * What the chain refers to in t4: the live references, one for each content however many users refer to it. Entries `content:<hash>:<owner>`
 * stand beside each other, so one walk over their keys gives each content once.
 */
#ifndef TANA_LEDGERD_CONTENT_REFS_H
#define TANA_LEDGERD_CONTENT_REFS_H

#include "base/arena.h"
#include "crypto/sha256.h"
#include "db/db.h"

struct content_ref {
	struct hash hash;
	int64_t size; /* bytes: the largest that a reference names; nobody has checked them */
};

/* The reference of a state entry; false: the entry is none. */
MUST_CHECK bool content_ref_read(struct str key, struct str value, struct content_ref *out);

/* A walk over all of them, page by page, on any connection at each page. Zeroed: at the beginning. */
struct content_walk {
	char after[8 + HASH_TEXT_LEN + 1 + 36 + 1]; /* the last key read */
	struct content_ref open; /* its owners may go on in the next page */
	bool has_open, ended;
};
enum { CONTENT_PAGE = 1000 };
/* The next ones, in the order of their hashes; *count 0 with walk->ended: there are no more. A page may be empty before. */
MUST_CHECK enum db_status content_walk_next(struct content_walk *walk, struct db_conn *c, struct content_ref out[CONTENT_PAGE + 1], size_t *count,
					    struct error *err);

/* Has anybody a live reference to it? */
MUST_CHECK enum db_status content_is_live(struct db_conn *c, const struct hash *hash, bool *live, struct error *err);

/* Those that were published in blocks behind a place (tx_index.h) and are live now; the place moves on. *more: there are further ones. */
MUST_CHECK enum db_status content_published(struct db_conn *c, uint64_t *after, struct content_ref out[CONTENT_PAGE], size_t *count, bool *more,
					    struct error *err);
/* The place behind everything that is in blocks now. */
MUST_CHECK enum db_status content_newest(struct db_conn *c, uint64_t *out, struct error *err);

#endif
