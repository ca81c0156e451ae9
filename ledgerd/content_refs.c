#include "content_refs.h"

#include <stdio.h>
#include <string.h>

#include "crypto/canonical_read.h"
#include "tx_index.h"

#define KEY "content:"
#define PUBLISH "content_publish"
enum { KEY_LEN = sizeof(KEY) - 1 };

/* ';' is the byte behind ':'. */
DB_SQL(SQL_PAGE, "SELECT key, value FROM state WHERE key > $1 AND key < 'content;' ORDER BY key LIMIT 1000");
DB_SQL(SQL_LIVE, "SELECT value FROM state WHERE key > $1 AND key < $2");
DB_SQL(SQL_MESSAGE, "SELECT message FROM transactions WHERE height = $1 AND idx = $2");
DB_SQL(SQL_NEWEST, "SELECT height FROM blocks ORDER BY height DESC LIMIT 1");

/* "content:<hash>:<owner>" */
static bool read_key(struct str key, struct hash *hash)
{
	return key.n > KEY_LEN + HASH_TEXT_LEN + 1 && str_starts(key, KEY) && key.p[KEY_LEN + HASH_TEXT_LEN] == ':' &&
	       hash_from_text(str_of(key.p + KEY_LEN, HASH_TEXT_LEN), hash);
}

static bool read_size(struct str value, int64_t *size)
{
	struct str text;
	return canonical_find(value, "size", &text) && canonical_read_int(text, size) && *size >= 0;
}

bool content_ref_read(struct str key, struct str value, struct content_ref *out)
{
	return read_key(key, &out->hash) && read_size(value, &out->size);
}

static enum db_status odd(struct str key, struct error *err)
{
	error_set(err, ERR_CORRUPT, "the state entry %.*s is no content reference", (int)(key.n < 128 ? key.n : 128), key.p);
	return DB_BROKEN;
}

enum db_status content_walk_next(struct content_walk *walk, struct db_conn *c, struct content_ref out[CONTENT_PAGE + 1], size_t *count, struct error *err)
{
	struct db_rows *rows;
	size_t seen = 0;
	bool fits = true;

	*count = 0;
	if (walk->ended)
		return DB_OK;
	struct content_walk w = *walk;
	enum db_status st = db_query(c, &SQL_PAGE, DB_ARGS(DB_TEXT(str_from(w.after[0] ? w.after : KEY))), &rows, err);
	if (st != DB_OK)
		return st;
	while (fits && db_next(rows)) {
		struct str key = db_text(rows, 0);
		struct content_ref r;
		fits = key.n < sizeof(w.after) && content_ref_read(key, db_text(rows, 1), &r);
		if (!fits) {
			(void)odd(key, err);
			break;
		}
		seen++;
		memcpy(w.after, key.p, key.n);
		w.after[key.n] = '\0';
		if (w.has_open && hash_equal(&w.open.hash, &r.hash)) {
			w.open.size = w.open.size > r.size ? w.open.size : r.size;
			continue;
		}
		if (w.has_open)
			out[(*count)++] = w.open;
		w.open = r;
		w.has_open = true;
	}
	struct error ignored;
	st = db_finish(rows, fits ? err : &ignored);
	if (st != DB_OK || !fits) {
		*count = 0;
		return fits ? st : DB_BROKEN;
	}
	w.ended = seen < CONTENT_PAGE;
	if (w.ended && w.has_open) {
		out[(*count)++] = w.open;
		w.has_open = false;
	}
	*walk = w;
	return DB_OK;
}

/* The largest size that a live reference to it names; -1: there is none. */
static enum db_status live_size(struct db_conn *c, const struct hash *hash, int64_t *size, struct error *err)
{
	char text[HASH_TEXT_LEN + 1], from[KEY_LEN + HASH_TEXT_LEN + 2], to[sizeof(from)];
	struct db_rows *rows;
	hash_to_text(hash, text);
	(void)snprintf(from, sizeof(from), KEY "%s:", text);
	(void)snprintf(to, sizeof(to), KEY "%s;", text);
	*size = -1;
	enum db_status st = db_query(c, &SQL_LIVE, DB_ARGS(DB_TEXT(str_from(from)), DB_TEXT(str_from(to))), &rows, err);
	if (st != DB_OK)
		return st;
	while (db_next(rows)) {
		int64_t s;
		if (read_size(db_text(rows, 0), &s) && s > *size)
			*size = s;
	}
	return db_finish(rows, err);
}

enum db_status content_is_live(struct db_conn *c, const struct hash *hash, bool *live, struct error *err)
{
	int64_t size;
	enum db_status st = live_size(c, hash, &size, err);
	*live = size >= 0;
	return st;
}

static bool read_publish(struct str message, struct hash *hash)
{
	struct str value, text;
	return canonical_find(message, "hash", &value) && canonical_read_plain(value, &text) && hash_from_text(text, hash);
}

/* The hash that the transaction at a place publishes; *is false: none. */
static enum db_status published_at(struct db_conn *c, uint64_t place, struct hash *hash, bool *is, struct error *err)
{
	struct db_rows *rows;
	struct str type, value;
	enum db_status st = db_query(c, &SQL_MESSAGE, DB_ARGS(DB_INT(tx_index_height(place)), DB_INT(tx_index_idx(place))), &rows, err);
	if (st != DB_OK)
		return st;
	struct str message = db_next(rows) ? db_text(rows, 0) : STR_NONE;
	*is = str_present(message) && canonical_find(message, "type", &value) && canonical_read_plain(value, &type) && str_is(type, PUBLISH) &&
	      read_publish(message, hash);
	return db_finish(rows, err);
}

enum db_status content_published(struct db_conn *c, uint64_t *after, struct content_ref out[CONTENT_PAGE], size_t *count, bool *more,
				 struct error *err)
{
	struct tx_list_name list;
	uint64_t places[CONTENT_PAGE];
	size_t seen = 0;
	tx_list_type(STR_LIT(PUBLISH), &list);
	struct tx_index_walk w = {.key = tx_index_key_of_list(tx_list_str(&list)), .oldest_first = true, .at = *after};

	*count = 0;
	enum db_status st = tx_index_next(c, &w, places, CONTENT_PAGE, &seen, err);
	for (size_t i = 0; st == DB_OK && i < seen; i++) {
		struct content_ref r = {.size = -1};
		bool is = false;
		st = published_at(c, places[i], &r.hash, &is, err);
		if (st == DB_OK && is)
			st = live_size(c, &r.hash, &r.size, err);
		if (st == DB_OK && r.size >= 0)
			out[(*count)++] = r;
	}
	if (st != DB_OK)
		return st;
	if (seen > 0)
		*after = places[seen - 1];
	*more = !w.ended;
	return DB_OK;
}

enum db_status content_newest(struct db_conn *c, uint64_t *out, struct error *err)
{
	struct db_rows *rows;
	enum db_status st = db_query(c, &SQL_NEWEST, DB_NO_ARGS, &rows, err);
	if (st != DB_OK)
		return st;
	*out = tx_index_place((db_next(rows) ? db_int(rows, 0) : -1) + 1, 0) - 1;
	return db_finish(rows, err);
}
