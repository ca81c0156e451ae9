/* open_requests: what waits for staff, by the state; and where in the chain its transaction stands. */
#include <stdlib.h>

#include "ledger_audit_inside.h"
#include "state_list.h"

enum { PAGE = 5000 };

/* A row on its way: asked about after the page that has it. */
struct request_row {
	struct str id, type;
	int64_t height, idx;
	bool numbers; /* both columns are */
};

static bool is_open(const struct memory_entry *e)
{
	struct str type;
	return open_request_type(e->key, e->value, &type);
}

static bool stands_there(struct audit_run *a, const struct request_row *r, bool *there, struct error *err)
{
	DB_SQL(sql, "SELECT 1 FROM transactions WHERE height = $1 AND idx = $2 AND id = $3");
	struct db_rows *rows;
	if (db_query(a->c, &sql, DB_ARGS(DB_INT(r->height), DB_INT(r->idx), DB_TEXT(r->id)), &rows, err) != DB_OK)
		return false;
	*there = db_next(rows);
	return db_finish(rows, err) == DB_OK;
}

static bool check_row(struct audit_run *a, const struct request_row *r, struct arena *arena, struct error *err)
{
	const struct audit_key key = audit_text("id", r->id);
	struct memory_entry *e = chain_memory_find(&a->memory, arena_printf(arena, "request:%.*s", STR_ARG(r->id)));
	struct str type;
	bool there = false;
	if (!e || !open_request_type(e->key, e->value, &type)) {
		audit_differs(a, AUDIT_OPEN_REQUESTS, key, NULL, STR_NONE, r->type, "the row should not be there");
		return true;
	}
	e->marks |= MARK_REQUEST;
	if (!str_equal(type, r->type))
		audit_differs(a, AUDIT_OPEN_REQUESTS, key, "type", type, r->type, "the request is of another type");
	if (!r->numbers)
		return true; /* told when kinds are looked at */
	if (!stands_there(a, r, &there, err))
		return false;
	if (!there)
		audit_differs(a, AUDIT_OPEN_REQUESTS, key, "height", STR_NONE, arena_printf(arena, "%lld.%lld", (long long)r->height, (long long)r->idx),
			      "the transaction does not stand there");
	return true;
}

/* Up to PAGE rows behind *last, whose texts are in the arena. */
static bool read_page(struct audit_run *a, struct str last, struct arena *arena, struct request_row out[PAGE], size_t *count, struct error *err)
{
	DB_SQL(sql, "SELECT id, type, height, idx FROM open_requests WHERE id > $1 ORDER BY id LIMIT $2");
	struct db_rows *rows;
	*count = 0;
	if (audit_interrupted(a, err) || db_query(a->c, &sql, DB_ARGS(DB_TEXT(last), DB_INT(PAGE)), &rows, err) != DB_OK)
		return false;
	while (*count < PAGE && db_next(rows))
		out[(*count)++] = (struct request_row){
			.id = arena_copy(arena, db_text(rows, 0)),
			.type = arena_copy(arena, db_text(rows, 1)),
			.height = db_int(rows, 2),
			.idx = db_int(rows, 3),
			.numbers = db_column_type(rows, 2) == DB_TYPE_INT && db_column_type(rows, 3) == DB_TYPE_INT,
		};
	return db_finish(rows, err) == DB_OK;
}

bool audit_requests(struct audit_run *a, struct error *err)
{
	struct buf last = {0};
	struct arena arena;
	size_t n = PAGE, missing;
	uint64_t seen = 0;
	bool ok = true;
	while (ok && n == PAGE) {
		arena_init(&arena);
		struct request_row *rows = arena_alloc(&arena, PAGE * sizeof *rows);
		ok = read_page(a, buf_str(&last), &arena, rows, &n, err);
		for (size_t i = 0; ok && i < n; i++) {
			/* One that is there twice is told when rows are counted. */
			if (str_equal(rows[i].id, buf_str(&last)))
				continue;
			seen++;
			buf_clear(&last);
			buf_put_str(&last, rows[i].id);
			ok = check_row(a, &rows[i], &arena, err);
		}
		arena_free(&arena);
	}
	buf_free(&last);
	if (!ok)
		return false;
	struct memory_entry **entries = audit_unmarked(a, MARK_REQUEST, is_open, &missing);
	for (size_t i = 0; i < missing; i++)
		audit_differs(a, AUDIT_OPEN_REQUESTS, audit_text("id", request_tx_id(entries[i]->key)), NULL, STR_NONE, STR_NONE, "the row is missing");
	free(entries);
	return audit_count(a, AUDIT_OPEN_REQUESTS, seen, err);
}
