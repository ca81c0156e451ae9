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
	return arena_printf(&v->replay.arena, "%" PRId64, n);
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
		return arena_copy(&v->replay.arena, db_text(rows, i));
	case DB_TYPE_BLOB: {
		struct str b = db_blob(rows, i);
		return arena_printf(&v->replay.arena, "(%zu bytes)", b.n);
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

static bool compare_table(struct verify_run *v, const struct table *t, struct error *err)
{
	struct strmap seen = {.slots = NULL};
	struct db_rows *rows;
	if (db_query_text(v->conn, t->query, DB_NO_ARGS, &rows, err) != DB_OK)
		return false;
	while (db_next(rows)) {
		struct str key = stored(v, rows, 0);
		void *row = str_present(key) ? strmap_get(t->rows, key) : NULL;
		if (row) {
			strmap_put(&seen, key, row);
			compare_row(v, t, row, key, rows);
		} else {
			verify_report(v, &(struct finding){.table = t->name,
							   .row = str_present(key) ? key : STR_LIT("NULL"),
							   .found = STR_LIT("a row"),
							   .problem = "the log gives no such row"});
		}
	}
	bool ok = db_finish(rows, err) == DB_OK;
	size_t at = 0;
	for (void *row; ok && (row = strmap_next(t->rows, &at));) {
		struct column want[COLUMNS_MAX];
		t->columns(v, row, want);
		if (!strmap_get(&seen, want[0].value))
			verify_report(v, &(struct finding){.table = t->name,
							   .row = want[0].value,
							   .expected = STR_LIT("a row"),
							   .problem = "the row is missing"});
	}
	strmap_free(&seen);
	return ok;
}

/* Every hash was compared while the log was read; what is left to find are hashes too many. */
static bool compare_tree_size(struct verify_run *v, struct error *err)
{
	struct db_rows *rows;
	if (db_query_text(v->conn, "SELECT COUNT(*) FROM audit_tree", DB_NO_ARGS, &rows, err) != DB_OK)
		return false;
	int64_t have = db_next(rows) ? db_int(rows, 0) : 0;
	if (db_finish(rows, err) != DB_OK)
		return false;
	if (have > v->tree_rows)
		verify_report(v, &(struct finding){.table = "audit_tree",
						   .row = STR_LIT("all"),
						   .expected = number(v, v->tree_rows),
						   .found = number(v, have),
						   .problem = "there are more hashes than the log gives"});
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
	bool ok = compare_tree_size(v, err);
	for (size_t i = 0; ok && i < ARRAY_LEN(tables); i++)
		ok = compare_table(v, &tables[i], err);
	strmap_free(&metas);
	strmap_free(&head);
	return ok;
}
