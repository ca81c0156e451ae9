/*
 * The transparency log in SQL: entries in `audit_log`, the hashes of all complete subtrees in `audit_tree` (level 0: the leaves), the size in `audit_head`. A leaf is the
 * canonical JSON of its entry; the tree is RFC 6962's (crypto/merkle_list.h). Appending writes two hashes an entry on average; a proof reads O(log n).
 */
#ifndef TANA_MESHD_MESH_LOG_H
#define TANA_MESHD_MESH_LOG_H

#include "crypto/merkle_list.h"
#include "db/db.h"
#include "wire/mesh.h"

/* The log's size, and a lock on its head until the transaction ends: instances of one mesh append in turn. */
MUST_CHECK enum db_status log_lock(struct db_conn *c, int64_t *size, struct error *err);
MUST_CHECK enum db_status log_size(struct db_conn *c, int64_t *size, struct error *err);
/* Appends at e->index, which must be the size that log_lock gave (or one more than the last append in this transaction). */
MUST_CHECK enum db_status log_append(struct db_conn *c, const struct mesh_audit_entry *e, struct error *err);

/* The leaf hash of an entry: over its canonical JSON. */
void log_leaf(const struct mesh_audit_entry *e, struct hash *out);

/* Entries from..., at most `limit`, in order; texts in the arena. */
MUST_CHECK enum db_status log_read(struct db_conn *c, int64_t from, int64_t limit, struct arena *arena, struct mesh_audit_entry *out, size_t *count,
				   struct error *err);

/* A merkle_read_fn over audit_tree. When it answers false, status and err say why (DB_OK: the hash is missing: the tree is damaged). */
struct log_tree {
	struct db_conn *conn;
	enum db_status status;
	struct error err;
};
bool log_tree_read(void *tree, unsigned level, uint64_t position, struct hash *out);
/* What a failed proof means for the caller: fills *err, returns the status to pass on. */
enum db_status log_tree_failure(const struct log_tree *t, struct error *err);

#endif
