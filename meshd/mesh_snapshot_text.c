#include "mesh_snapshot_text.h"

#include <inttypes.h>

#include "mesh_log.h"
#include "mesh_store.h"
#include "wire/mesh.h"
#include "wire/mesh_statement.h"

enum { PAGE = 100 };

#define EVIDENCE(a) a ".message, " a ".public_key, " a ".signature, " a ".new_public_key, " a ".new_signature"
enum { EVIDENCE_COLUMNS = 5 };
DB_SQL(SQL_VERSION, "SELECT last FROM local_event_head WHERE id = 1");
/* r: the present registration; a: the approval, or the registration that used the invite; i: the invite. */
DB_SQL(SQL_NODES, "SELECT n.id, n.public_key, n.status, n.rotations, n.invite_key, r.details, " EVIDENCE("r") ", " EVIDENCE("a") ", " EVIDENCE("i")
		  " FROM nodes n JOIN audit_log r ON r.idx = n.registration_entry JOIN audit_log a ON a.idx = n.admission_entry"
		  " LEFT JOIN invites v ON v.public_key = n.invite_key LEFT JOIN audit_log i ON i.idx = v.entry"
		  " WHERE n.status = 'active' AND n.id > $1 ORDER BY n.id LIMIT $2");
DB_SQL(SQL_ENTRY, "SELECT " EVIDENCE("e") " FROM audit_log e WHERE e.idx = $1");
DB_SQL(SQL_SOVEREIGN_CHANGES, "SELECT " EVIDENCE("e") " FROM audit_log e WHERE e.message LIKE $1 AND e.outcome = 'ok' ORDER BY e.idx");

enum db_status snapshot_version(struct db_conn *c, int64_t *version, struct error *err)
{
	struct db_rows *rows;
	enum db_status st = db_query(c, &SQL_VERSION, DB_NO_ARGS, &rows, err);
	if (st != DB_OK)
		return st;
	*version = db_next(rows) ? db_int(rows, 0) : 0;
	return db_finish(rows, err);
}

static struct mesh_evidence evidence_at(struct db_rows *rows, int column, struct arena *arena)
{
	return (struct mesh_evidence){
		.message = arena_copy(arena, db_text(rows, column)),
		.public_key = arena_copy(arena, db_text(rows, column + 1)),
		.signature = arena_copy(arena, db_text(rows, column + 2)),
		.new_public_key = arena_copy(arena, db_text(rows, column + 3)),
		.new_signature = arena_copy(arena, db_text(rows, column + 4)),
	};
}

bool snapshot_text_begin(struct snapshot_text *t, struct mesh *m, struct db_conn *c, int64_t now, struct error *err)
{
	*t = (struct snapshot_text){.mesh = m, .conn = c, .issued = now, .stage = SNAPSHOT_HEAD};
	sha256_init(&t->hash);
	return snapshot_version(c, &t->version, err) == DB_OK;
}

/* Keys in canonical order: coordinator, expires, issued, network, nodes, [signature,] sovereigns, type, version. */
static void write_head(struct snapshot_text *t)
{
	buf_puts(&t->piece, "{\"coordinator\":");
	buf_put_json_string(&t->piece, t->mesh->coordinator_key);
	buf_printf(&t->piece, ",\"expires\":%" PRId64 ",\"issued\":%" PRId64 ",\"network\":", t->issued + t->mesh->config.snapshot_ttl_ms, t->issued);
	buf_put_json_string(&t->piece, t->mesh->config.network);
	buf_puts(&t->piece, ",\"nodes\":[");
}

/* The log entries of a node's rotations: the column is a JSON list of their indexes. */
static bool read_rotations(struct snapshot_text *t, struct str column, struct arena *arena, struct json_list *out, struct error *err)
{
	struct mesh_evidence *list = arena_zalloc(arena, MESH_ROTATIONS_MAX, sizeof(*list));
	size_t count = 0;
	const char *p = column.p + 1, *end = column.p + column.n - 1; /* inside the brackets */
	while (p < end && count < MESH_ROTATIONS_MAX) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		struct str number = str_of(p, (size_t)((comma ? comma : end) - p));
		struct db_rows *rows;
		int64_t index;
		if (!str_to_int64(number, &index))
			return error_set(err, ERR_CORRUPT, "a node's list of rotations cannot be read; run `meshd verify`");
		if (db_query(t->conn, &SQL_ENTRY, DB_ARGS(DB_INT(index)), &rows, err) != DB_OK)
			return false;
		if (db_next(rows))
			list[count++] = evidence_at(rows, 0, arena);
		if (db_finish(rows, err) != DB_OK)
			return false;
		p = comma ? comma + 1 : end;
	}
	*out = (struct json_list){list, count};
	return true;
}

struct page_node {
	struct mesh_snapshot_node node;
	struct mesh_evidence registration, second, invite;
	struct str rotations;
};

static bool read_page(struct snapshot_text *t, struct arena *arena, struct page_node *page, size_t *count, struct error *err)
{
	enum { REGISTRATION = 6, SECOND = REGISTRATION + EVIDENCE_COLUMNS, INVITE = SECOND + EVIDENCE_COLUMNS };
	struct db_rows *rows;
	*count = 0;
	if (db_query(t->conn, &SQL_NODES, DB_ARGS(DB_TEXT(str_from(t->after)), DB_INT(PAGE)), &rows, err) != DB_OK)
		return false;
	while (*count < PAGE && db_next(rows)) {
		struct page_node *n = &page[(*count)++];
		bool invited = !db_is_null(rows, 4);
		*n = (struct page_node){
			.node = {.id = arena_copy(arena, db_text(rows, 0)),
				 .public_key = arena_copy(arena, db_text(rows, 1)),
				 .status = arena_copy(arena, db_text(rows, 2)),
				 .details = arena_copy(arena, db_text(rows, 5))},
			.rotations = arena_copy(arena, db_text(rows, 3)),
			.registration = evidence_at(rows, REGISTRATION, arena),
			.second = evidence_at(rows, SECOND, arena),
			.invite = evidence_at(rows, INVITE, arena),
		};
		n->node.registration = &n->registration;
		n->node.admission = invited ? &n->invite : &n->second;
		n->node.invite_use = invited ? &n->second : NULL;
	}
	return db_finish(rows, err) == DB_OK;
}

static bool write_nodes(struct snapshot_text *t, bool *more, struct error *err)
{
	struct arena arena;
	size_t count = 0;
	arena_init(&arena);
	struct page_node *page = arena_zalloc(&arena, PAGE, sizeof(*page));
	bool ok = read_page(t, &arena, page, &count, err);
	for (size_t i = 0; ok && i < count; i++) {
		ok = read_rotations(t, page[i].rotations, &arena, &page[i].node.rotations, err);
		if (t->any_node)
			buf_putc(&t->piece, ',');
		t->any_node = true;
		json_write_canonical(&t->piece, &mesh_snapshot_node_message, &page[i].node);
		struct str id = page[i].node.id;
		if (id.n >= sizeof(t->after))
			ok = error_set(err, ERR_CORRUPT, "a node's id cannot be read; run `meshd verify`");
		else
			memcpy(t->after, id.p, id.n + 1); /* arena copies end in NUL */
	}
	*more = count == PAGE;
	arena_free(&arena);
	return ok;
}

static bool write_sovereigns(struct snapshot_text *t, struct buf *out, struct error *err)
{
	struct arena arena;
	struct db_rows *rows;
	arena_init(&arena);
	struct str pattern = arena_printf(&arena, "tana-mesh:%.*s:sovereign-%%", STR_ARG(t->mesh->config.network));
	bool ok = db_query(t->conn, &SQL_SOVEREIGN_CHANGES, DB_ARGS(DB_TEXT(pattern)), &rows, err) == DB_OK;
	if (ok) {
		bool first = true;
		while (db_next(rows)) {
			struct mesh_evidence e = evidence_at(rows, 0, &arena);
			if (!first)
				buf_putc(out, ',');
			first = false;
			json_write_canonical(out, &mesh_evidence_message, &e);
		}
		ok = db_finish(rows, err) == DB_OK;
	}
	arena_free(&arena);
	return ok;
}

/* The rest: what follows the signature is known, so the hash is finished with it before the signature is written in front of it. */
static bool write_tail(struct snapshot_text *t, struct error *err)
{
	struct buf rest = {0};
	buf_puts(&rest, ",\"sovereigns\":[");
	bool ok = write_sovereigns(t, &rest, err);
	buf_printf(&rest, "],\"type\":\"%s\",\"version\":%" PRId64 "}", MESH_SNAPSHOT_TYPE, t->version);
	if (ok) {
		struct hash digest;
		struct ed25519_signature sig;
		char text[ED25519_SIGNATURE_TEXT_LEN + 1];
		buf_putc(&t->piece, ']');
		sha256_update(&t->hash, t->piece.data, t->piece.len);
		sha256_update(&t->hash, rest.data, rest.len);
		sha256_final(&t->hash, &digest);
		/* Signing a message is signing its SHA-256. */
		ed25519_sign_bytes(&sig, &t->mesh->coordinator, str_of((const char *)digest.b, HASH_SIZE));
		ed25519_signature_to_text(&sig, text);
		buf_printf(&t->piece, ",\"signature\":\"%s\"", text);
		buf_put_str(&t->piece, buf_str(&rest));
	}
	buf_free(&rest);
	return ok;
}

bool snapshot_text_next(struct snapshot_text *t, struct error *err)
{
	bool ok = true, more = false;
	buf_clear(&t->piece);
	switch (t->stage) {
	case SNAPSHOT_HEAD:
		write_head(t);
		t->stage = SNAPSHOT_NODES;
		break;
	case SNAPSHOT_NODES:
		ok = write_nodes(t, &more, err);
		if (!more)
			t->stage = SNAPSHOT_TAIL;
		break;
	case SNAPSHOT_TAIL:
		t->stage = SNAPSHOT_DONE;
		t->failed = !write_tail(t, err);
		return !t->failed;
	case SNAPSHOT_DONE:
		return false;
	}
	if (ok)
		sha256_update(&t->hash, t->piece.data, t->piece.len);
	t->failed = !ok;
	return ok;
}

void snapshot_text_end(struct snapshot_text *t)
{
	buf_free(&t->piece);
}
