#include "mesh_log.h"

#include <inttypes.h>

#include "base/buf.h"

DB_SQL(SQL_LOCK, "UPDATE audit_head SET size = size WHERE id = 1 RETURNING size");
DB_SQL(SQL_SIZE, "SELECT size FROM audit_head WHERE id = 1");
DB_SQL(SQL_GROW, "UPDATE audit_head SET size = $1 WHERE id = 1");
DB_SQL(SQL_APPEND, "INSERT INTO audit_log (idx, time, message, public_key, signature, outcome, new_public_key, new_signature, details)"
		   " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
DB_SQL(SQL_READ, "SELECT idx, time, message, public_key, signature, outcome, new_public_key, new_signature, details FROM audit_log"
		 " WHERE idx >= $1 ORDER BY idx LIMIT $2");
DB_SQL(SQL_HASH_PUT, "INSERT INTO audit_tree (level, position, hash) VALUES ($1, $2, $3)");
DB_SQL(SQL_HASH_GET, "SELECT hash FROM audit_tree WHERE level = $1 AND position = $2");

static enum db_status read_size(struct db_conn *c, const struct db_sql *sql, int64_t *size, struct error *err)
{
	struct db_rows *rows;
	enum db_status st = db_query(c, sql, DB_NO_ARGS, &rows, err);
	if (st != DB_OK)
		return st;
	bool there = db_next(rows);
	*size = there ? db_int(rows, 0) : 0;
	st = db_finish(rows, err);
	if (st == DB_OK && !there) {
		error_set(err, ERR_CORRUPT, "the log's head is missing");
		return DB_BROKEN;
	}
	return st;
}

enum db_status log_lock(struct db_conn *c, int64_t *size, struct error *err)
{
	return read_size(c, &SQL_LOCK, size, err);
}

enum db_status log_size(struct db_conn *c, int64_t *size, struct error *err)
{
	return read_size(c, &SQL_SIZE, size, err);
}

void log_leaf(const struct mesh_audit_entry *e, struct hash *out)
{
	struct buf text = {0};
	json_write_canonical(&text, &mesh_audit_entry_message, e);
	merkle_leaf(out, text.data, text.len);
	buf_free(&text);
}

bool log_tree_read(void *tree, unsigned level, uint64_t position, struct hash *out)
{
	struct log_tree *t = tree;
	struct db_rows *rows;
	t->status = db_query(t->conn, &SQL_HASH_GET, DB_ARGS(DB_INT(level), DB_INT((int64_t)position)), &rows, &t->err);
	if (t->status != DB_OK)
		return false;
	bool there = db_next(rows);
	if (there) {
		struct str h = db_blob(rows, 0);
		there = h.n == HASH_SIZE;
		if (there)
			memcpy(out->b, h.p, HASH_SIZE);
	}
	t->status = db_finish(rows, &t->err);
	return there && t->status == DB_OK;
}

enum db_status log_tree_failure(const struct log_tree *t, struct error *err)
{
	if (t->status != DB_OK) {
		*err = t->err;
		return t->status;
	}
	error_set(err, ERR_CORRUPT, "a hash of the log's tree is missing");
	return DB_BROKEN;
}

static enum db_status put_hash(struct db_conn *c, unsigned level, int64_t position, const struct hash *h, struct error *err)
{
	return db_run(c, &SQL_HASH_PUT, DB_ARGS(DB_INT(level), DB_INT(position), DB_BLOB(h->b, HASH_SIZE)), NULL, err);
}

enum db_status log_append(struct db_conn *c, const struct mesh_audit_entry *e, struct error *err)
{
	enum db_status st = db_run(c, &SQL_APPEND,
				   DB_ARGS(DB_INT(e->index), DB_INT(e->time), DB_TEXT(e->message), DB_TEXT(e->public_key), DB_TEXT(e->signature),
					   DB_TEXT(e->outcome), DB_TEXT(e->new_public_key), DB_TEXT(e->new_signature), DB_TEXT(e->details)),
				   NULL, err);
	if (st == DB_OK)
		st = db_run(c, &SQL_GROW, DB_ARGS(DB_INT(e->index + 1)), NULL, err);
	if (st != DB_OK)
		return st;
	/* The new leaf, and every subtree that it completes: a right child's parent is complete as soon as it is. */
	struct hash h;
	log_leaf(e, &h);
	int64_t position = e->index;
	for (unsigned level = 0;; level++) {
		st = put_hash(c, level, position, &h, err);
		if (st != DB_OK || position % 2 == 0)
			return st;
		struct log_tree tree = {.conn = c};
		struct hash left;
		if (!log_tree_read(&tree, level, (uint64_t)position - 1, &left))
			return log_tree_failure(&tree, err);
		merkle_node(&h, &left, &h);
		position /= 2;
	}
}

enum db_status log_read(struct db_conn *c, int64_t from, int64_t limit, struct arena *arena, struct mesh_audit_entry *out, size_t *count, struct error *err)
{
	struct db_rows *rows;
	*count = 0;
	enum db_status st = db_query(c, &SQL_READ, DB_ARGS(DB_INT(from), DB_INT(limit)), &rows, err);
	if (st != DB_OK)
		return st;
	while ((int64_t)*count < limit && db_next(rows)) {
		out[(*count)++] = (struct mesh_audit_entry){
			.index = db_int(rows, 0),
			.time = db_int(rows, 1),
			.message = arena_copy(arena, db_text(rows, 2)),
			.public_key = arena_copy(arena, db_text(rows, 3)),
			.signature = arena_copy(arena, db_text(rows, 4)),
			.outcome = arena_copy(arena, db_text(rows, 5)),
			.new_public_key = arena_copy(arena, db_text(rows, 6)),
			.new_signature = arena_copy(arena, db_text(rows, 7)),
			.details = arena_copy(arena, db_text(rows, 8)),
		};
	}
	return db_finish(rows, err);
}
