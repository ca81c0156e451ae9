#include "mesh_verify_tables.h"

#include <inttypes.h>

void verify_report(struct verify_run *v, const struct finding *f)
{
	v->findings++;
	v->report(v->ctx, f);
}

/* An expected column: its name, and the value as text (absent: NULL). */
struct column {
	const char *name;
	struct str value;
};
enum { COLUMNS_MAX = 24 };

struct table {
	const char *name;
	const char *query; /* all rows; the first column is the key */
	const struct strmap *rows;
	size_t (*columns)(struct verify_run *v, const void *row, struct column out[COLUMNS_MAX]);
};

static struct str number(struct verify_run *v, int64_t n)
{
	return arena_printf(&v->replay.scratch, "%" PRId64, n);
}
static struct str number_or_null(struct verify_run *v, int64_t n, int64_t null)
{
	return n == null ? STR_NONE : number(v, n);
}

static size_t node_columns(struct verify_run *v, const void *row, struct column out[COLUMNS_MAX])
{
	const struct node_row *n = row;
	const struct column list[] = {
		{"id", n->id},
		{"public_key", n->public_key},
		{"status", str_from(node_status_text(n->status))},
		{"role", n->role},
		{"tailscale_hostname", n->tailscale_hostname},
		{"tailscale_ip", n->tailscale_ip},
		{"region", n->region},
		{"provider", n->provider},
		{"latitude", n->latitude},
		{"longitude", n->longitude},
		{"services", n->services},
		{"registered_at", number(v, n->registered_at)},
		{"registration_time", number(v, n->registration_time)},
		{"approved_at", number_or_null(v, n->approved_at, 0)},
		{"approved_by", n->approved_by},
		{"invite_key", n->invite_key},
		{"registration_entry", number(v, n->registration_entry)},
		{"admission_entry", number_or_null(v, n->admission_entry, NO_ENTRY)},
		{"rotations", n->rotations},
	};
	memcpy(out, list, sizeof(list));
	return ARRAY_LEN(list);
}

static size_t sovereign_columns(struct verify_run *v, const void *row, struct column out[COLUMNS_MAX])
{
	const struct sovereign_row *s = row;
	const struct column list[] = {
		{"public_key", s->public_key},
		{"description", s->description},
		{"added_at", number(v, s->added_at)},
		{"added_by", s->added_by},
		{"removed_at", number_or_null(v, s->removed_at, 0)},
		{"last_timestamp", number(v, s->last_timestamp)},
	};
	memcpy(out, list, sizeof(list));
	return ARRAY_LEN(list);
}

static size_t invite_columns(struct verify_run *v, const void *row, struct column out[COLUMNS_MAX])
{
	const struct invite_row *i = row;
	const struct column list[] = {
		{"public_key", i->public_key},
		{"uses", number(v, i->uses)},
		{"used", number(v, i->used)},
		{"expires", number(v, i->expires)},
		{"created_at", number(v, i->created_at)},
		{"created_by", i->created_by},
		{"revoked_at", number_or_null(v, i->revoked_at, 0)},
		{"entry", number(v, i->entry)},
	};
	memcpy(out, list, sizeof(list));
	return ARRAY_LEN(list);
}

static size_t removed_columns(struct verify_run *v, const void *row, struct column out[COLUMNS_MAX])
{
	const struct removed_row *r = row;
	const struct column list[] = {
		{"public_key", r->public_key},
		{"node_id", r->node_id},
		{"not_before", number(v, r->not_before)},
	};
	memcpy(out, list, sizeof(list));
	return ARRAY_LEN(list);
}

/* meta's rows are their own struct column: key and value. */
static size_t meta_columns(struct verify_run *v, const void *row, struct column out[COLUMNS_MAX])
{
	(void)v;
	const struct column *meta = row;
	out[0] = (struct column){"key", str_from(meta->name)};
	out[1] = (struct column){"value", meta->value};
	return 2;
}

static size_t head_columns(struct verify_run *v, const void *row, struct column out[COLUMNS_MAX])
{
	(void)row;
	out[0] = (struct column){"id", STR_LIT("1")};
	out[1] = (struct column){"size", number(v, v->log_size)};
	return 2;
}

/* What the database holds in a column, as text. */
static struct str stored(struct verify_run *v, struct db_rows *rows, int i)
{
	switch (db_column_type(rows, i)) {
	case DB_TYPE_NULL:
		return STR_NONE;
	case DB_TYPE_INT:
		return number(v, db_int(rows, i));
	case DB_TYPE_TEXT:
		return arena_copy(&v->replay.scratch, db_text(rows, i));
	case DB_TYPE_BLOB: {
		struct str b = db_blob(rows, i);
		return arena_printf(&v->replay.scratch, "(%zu bytes)", b.n);
	}
	}
	return STR_NONE;
}

static const struct column *column_named(const struct column *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].name, name) == 0)
			return &list[i];
	return NULL;
}

/* Liveness moves a node between active and offline; nobody signs that. */
static bool same_value(const char *column, struct str expected, struct str found)
{
	return str_equal(expected, found) || (strcmp(column, "status") == 0 && str_is(expected, "active") && str_is(found, "offline"));
}

static void compare_row(struct verify_run *v, const struct table *t, const void *row, struct str key, struct db_rows *rows)
{
	struct column want[COLUMNS_MAX];
	size_t n = t->columns(v, row, want);
	for (int i = 0; i < db_columns(rows); i++) {
		const char *name = db_column_name(rows, i);
		const struct column *c = column_named(want, n, name);
		struct str found = stored(v, rows, i);
		if (c && same_value(name, c->value, found))
			continue;
		verify_report(v, &(struct finding){.table = t->name,
						   .column = name,
						   .row = key,
						   .expected = c ? c->value : STR_NONE,
						   .found = found,
						   .problem = c ? "the value is not what the log gives" : "the table has a column that it should not have"});
	}
}

struct comparing {
	const struct table *table;
	struct strmap seen; /* rows of the replay that the database has; the keys are theirs */
};

static void compare_stored(struct verify_run *v, struct comparing *k, struct db_rows *rows)
{
	const struct table *t = k->table;
	struct str key = stored(v, rows, 0);
	void *row = str_present(key) ? strmap_get(t->rows, key) : NULL;
	if (row) {
		struct column want[COLUMNS_MAX];
		t->columns(v, row, want);
		strmap_put(&k->seen, want[0].value, row);
		compare_row(v, t, row, key, rows);
	} else {
		verify_report(v, &(struct finding){.table = t->name,
						   .row = str_present(key) ? key : STR_LIT("NULL"),
						   .found = STR_LIT("a row"),
						   .problem = "the log gives no such row"});
	}
}

static bool compare_rows(struct verify_run *v, struct comparing *k, const char *query, size_t *count, struct error *err)
{
	enum { ROWS_A_TURN = 256 };
	struct db_rows *rows;
	*count = 0;
	if (db_query_text(v->conn, query, DB_NO_ARGS, &rows, err) != DB_OK)
		return false;
	while (db_next(rows)) {
		compare_stored(v, k, rows);
		if (++*count % ROWS_A_TURN == 0)
			replay_forget(&v->replay);
	}
	return db_finish(rows, err) == DB_OK;
}

/* PostgreSQL hands over the whole of a result at once: there a cursor gives it by pages. */
static bool compare_all_rows(struct verify_run *v, struct comparing *k, struct error *err)
{
	size_t count = 1;
	if (db_kind_of(v->conn) == DB_SQLITE)
		return compare_rows(v, k, k->table->query, &count, err);
	bool ok = db_script(v->conn, arena_printf(&v->replay.scratch, "DECLARE compared NO SCROLL CURSOR FOR %s", k->table->query).p, err) == DB_OK;
	while (ok && count > 0)
		ok = compare_rows(v, k, "FETCH 1000 FROM compared", &count, err);
	return ok && db_script(v->conn, "CLOSE compared", err) == DB_OK;
}

static bool compare_table(struct verify_run *v, const struct table *t, struct error *err)
{
	struct comparing k = {.table = t};
	bool ok = compare_all_rows(v, &k, err);
	size_t at = 0;
	for (void *row; ok && (row = strmap_next(t->rows, &at));) {
		struct column want[COLUMNS_MAX];
		t->columns(v, row, want);
		if (!strmap_get(&k.seen, want[0].value))
			verify_report(v, &(struct finding){.table = t->name,
							   .row = want[0].value,
							   .expected = STR_LIT("a row"),
							   .problem = "the row is missing"});
		replay_forget(&v->replay);
	}
	strmap_free(&k.seen);
	return ok;
}

/* Every entry and every hash was compared while the log was read; what is left to find are rows beyond those. */
static bool compare_count(struct verify_run *v, const char *table, const char *query, int64_t want, struct error *err)
{
	struct db_rows *rows;
	if (db_query_text(v->conn, query, DB_NO_ARGS, &rows, err) != DB_OK)
		return false;
	int64_t have = db_next(rows) ? db_int(rows, 0) : 0;
	if (db_finish(rows, err) != DB_OK)
		return false;
	if (have > want)
		verify_report(v, &(struct finding){.table = table,
						   .row = STR_LIT("all"),
						   .expected = number(v, want),
						   .found = number(v, have),
						   .problem = "there are more rows than the log has a place for"});
	return true;
}

bool verify_tables(struct verify_run *v, struct error *err)
{
	struct column meta[] = {{"network", v->mesh->config.network}, {"coordinator", v->mesh->coordinator_key}};
	struct strmap metas = {.slots = NULL}, head = {.slots = NULL};
	for (size_t i = 0; i < ARRAY_LEN(meta); i++)
		strmap_put(&metas, str_from(meta[i].name), &meta[i]);
	strmap_put(&head, STR_LIT("1"), &meta[0]);
	const struct table tables[] = {
		{"meta", "SELECT * FROM meta ORDER BY key", &metas, meta_columns},
		{"audit_head", "SELECT * FROM audit_head ORDER BY id", &head, head_columns},
		{"sovereigns", "SELECT * FROM sovereigns ORDER BY public_key", &v->replay.sovereigns, sovereign_columns},
		{"invites", "SELECT * FROM invites ORDER BY public_key", &v->replay.invites, invite_columns},
		{"removed", "SELECT * FROM removed ORDER BY public_key", &v->replay.removed, removed_columns},
		{"nodes", "SELECT * FROM nodes ORDER BY id", &v->replay.nodes, node_columns},
	};
	bool ok = compare_count(v, "audit_log", "SELECT COUNT(*) FROM audit_log", v->log_rows, err) &&
		  compare_count(v, "audit_tree", "SELECT COUNT(*) FROM audit_tree", v->tree_rows, err);
	for (size_t i = 0; ok && i < ARRAY_LEN(tables); i++)
		ok = compare_table(v, &tables[i], err);
	strmap_free(&metas);
	strmap_free(&head);
	return ok;
}
