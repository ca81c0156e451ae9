#include <inttypes.h>

#include "api.h"
#include "crypto/note.h"
#include "mesh_log.h"

/* Entries may be as large as a request's body: a page ends early when it has grown to PAGE_BYTES, and is read a few at a time. */
enum { PAGE_BYTES = 1024 * 1024, READ_ENTRIES = 64 };

static size_t entry_bytes(const struct mesh_audit_entry *e)
{
	return e->message.n + e->details.n;
}

static enum db_status read_entries(struct db_conn *c, int64_t from, size_t limit, struct arena *arena, struct mesh_audit *page, struct error *err)
{
	struct mesh_audit_entry *list = arena_zalloc(arena, limit + 1, sizeof(*list)); /* one more than the page shows whether there is a next one */
	size_t count = 0, got = READ_ENTRIES, bytes = 0;
	while (count <= limit && got == READ_ENTRIES) {
		size_t room = limit + 1 - count;
		enum db_status st = log_read(c, from, room < READ_ENTRIES ? (int64_t)room : READ_ENTRIES, arena, list + count, &got, err);
		if (st != DB_OK)
			return st;
		for (size_t end = count + got; count < end && count <= limit; count++) {
			if (bytes > PAGE_BYTES)
				limit = count;
			bytes += entry_bytes(&list[count]);
		}
		if (count > 0)
			from = list[count - 1].index + 1;
	}
	*page = (struct mesh_audit){.entries = {list, count < limit ? count : limit}};
	if (count > limit)
		page->next_cursor = arena_printf(arena, "%" PRId64, list[limit - 1].index);
	return DB_OK;
}

struct http_reply *api_audit(struct http_request *r)
{
	int64_t after, limit;
	struct http_reply *reply;
	struct error err;
	if (!http_query_int(r, "after", -1, &after) || !http_query_int(r, "limit", MESH_LIST_DEFAULT, &limit))
		return http_reply_error_code(r, ERR_MALFORMED_PARAMETER, "`after` and `limit` are numbers");
	if (!api_number_cursor(r, &after, &reply))
		return reply;
	struct mesh_audit page;
	struct db_conn *c = api_reader(r, &reply);
	if (!c)
		return reply;
	enum db_status st = read_entries(c, after + 1, (size_t)limit, http_arena(r), &page, &err);
	api_reader_done(r, c);
	return st == DB_OK ? http_reply_json(r, 200, &mesh_audit_message, &page) : http_reply_error(r, &err);
}

/* Reads from the tree in one snapshot, so that size and hashes belong together. */
typedef enum db_status tree_question(struct db_conn *c, void *ctx, struct error *err);
static bool ask_tree(struct http_request *r, tree_question *question, void *ctx, struct http_reply **reply)
{
	struct error err;
	struct db_conn *c = api_reader(r, reply);
	if (!c)
		return false;
	enum db_status st = db_begin(c, DB_TXN_SNAPSHOT, &err);
	if (st == DB_OK) {
		st = question(c, ctx, &err);
		if (st == DB_OK)
			st = db_commit(c, &err);
		else
			db_rollback(c);
	}
	api_reader_done(r, c);
	if (st == DB_OK)
		return true;
	*reply = http_reply_error(r, &err);
	return false;
}

struct head {
	int64_t size;
	struct hash root;
};
static enum db_status ask_head(struct db_conn *c, void *ctx, struct error *err)
{
	struct head *h = ctx;
	struct log_tree tree = {.conn = c};
	enum db_status st = log_size(c, &h->size, err);
	if (st != DB_OK)
		return st;
	return merkle_root_at((uint64_t)h->size, log_tree_read, &tree, &h->root) ? DB_OK : log_tree_failure(&tree, err);
}

struct http_reply *api_checkpoint(struct http_request *r)
{
	struct mesh *m = http_ctx(r);
	struct head head;
	struct http_reply *reply;
	if (!ask_tree(r, ask_head, &head, &reply))
		return reply;
	struct checkpoint cp = {.size = (uint64_t)head.size, .root = head.root};
	memcpy(cp.origin, m->origin.p, m->origin.n + 1);
	struct buf note = {0};
	checkpoint_sign(&cp, &m->coordinator, &note);
	return http_reply_bytes(r, 200, "text/plain; charset=utf-8", &note);
}

struct proof {
	int64_t from, to; /* inclusion: index, size */
	bool out_of_range;
	int64_t size;
	struct hash leaf, from_root, to_root, path[MERKLE_PATH_MAX];
	size_t count;
};

static struct json_list path_texts(struct arena *arena, const struct proof *p)
{
	struct str *list = arena_zalloc(arena, p->count, sizeof(*list));
	for (size_t i = 0; i < p->count; i++) {
		char *text = arena_alloc(arena, HASH_TEXT_LEN + 1);
		hash_to_text(&p->path[i], text);
		list[i] = str_of(text, HASH_TEXT_LEN);
	}
	return (struct json_list){list, p->count};
}

static struct str hash_text(struct arena *arena, const struct hash *h)
{
	char *text = arena_alloc(arena, HASH_TEXT_LEN + 1);
	hash_to_text(h, text);
	return str_of(text, HASH_TEXT_LEN);
}

static enum db_status ask_inclusion(struct db_conn *c, void *ctx, struct error *err)
{
	struct proof *p = ctx;
	struct log_tree tree = {.conn = c};
	enum db_status st = log_size(c, &p->size, err);
	if (st != DB_OK)
		return st;
	if (p->to < 0)
		p->to = p->size;
	p->out_of_range = p->to > p->size || p->from >= p->to;
	if (p->out_of_range)
		return DB_OK;
	bool ok = log_tree_read(&tree, 0, (uint64_t)p->from, &p->leaf) && merkle_root_at((uint64_t)p->to, log_tree_read, &tree, &p->to_root) &&
		  merkle_inclusion_prove((uint64_t)p->from, (uint64_t)p->to, log_tree_read, &tree, p->path, &p->count);
	return ok ? DB_OK : log_tree_failure(&tree, err);
}

struct http_reply *api_inclusion(struct http_request *r)
{
	struct proof p = {.count = 0};
	struct http_reply *reply;
	if (!http_query_int(r, "index", -1, &p.from) || !http_query_int(r, "size", -1, &p.to) || p.from < 0)
		return http_reply_error_code(r, ERR_MALFORMED_PARAMETER, "`index` is required: a number from 0");
	if (!ask_tree(r, ask_inclusion, &p, &reply))
		return reply;
	if (p.out_of_range)
		return http_reply_error_code(r, ERR_NOT_FOUND, "the log has %" PRId64 " entries: `index` < `size` <= that", p.size);
	struct mesh_inclusion a = {.index = p.from,
				   .size = p.to,
				   .leaf = hash_text(http_arena(r), &p.leaf),
				   .root = hash_text(http_arena(r), &p.to_root),
				   .path = path_texts(http_arena(r), &p)};
	return http_reply_json(r, 200, &mesh_inclusion_message, &a);
}

static enum db_status ask_consistency(struct db_conn *c, void *ctx, struct error *err)
{
	struct proof *p = ctx;
	struct log_tree tree = {.conn = c};
	enum db_status st = log_size(c, &p->size, err);
	if (st != DB_OK)
		return st;
	if (p->to < 0)
		p->to = p->size;
	p->out_of_range = p->to > p->size || p->from > p->to;
	if (p->out_of_range)
		return DB_OK;
	bool ok = merkle_root_at((uint64_t)p->from, log_tree_read, &tree, &p->from_root) &&
		  merkle_root_at((uint64_t)p->to, log_tree_read, &tree, &p->to_root) &&
		  merkle_consistency_prove((uint64_t)p->from, (uint64_t)p->to, log_tree_read, &tree, p->path, &p->count);
	return ok ? DB_OK : log_tree_failure(&tree, err);
}

struct http_reply *api_consistency(struct http_request *r)
{
	struct proof p = {.count = 0};
	struct http_reply *reply;
	if (!http_query_int(r, "from", -1, &p.from) || !http_query_int(r, "to", -1, &p.to) || p.from < 1)
		return http_reply_error_code(r, ERR_MALFORMED_PARAMETER, "`from` is required: a size from 1");
	if (!ask_tree(r, ask_consistency, &p, &reply))
		return reply;
	if (p.out_of_range)
		return http_reply_error_code(r, ERR_NOT_FOUND, "the log has %" PRId64 " entries: `from` <= `to` <= that", p.size);
	struct mesh_consistency a = {.from = p.from,
				     .to = p.to,
				     .from_root = hash_text(http_arena(r), &p.from_root),
				     .to_root = hash_text(http_arena(r), &p.to_root),
				     .path = path_texts(http_arena(r), &p)};
	return http_reply_json(r, 200, &mesh_consistency_message, &a);
}

/* Who signs checkpoints and snapshots, in the form that transparency tools take. */
struct coordinator {
	struct str public_key, origin, verifier_key;
};
static const struct json_field coordinator_rows[] = {
	F_FORM(struct coordinator, public_key, "publicKey", JSON_REQUIRED, &form_public_key_written, "The coordinator's own key."),
	F_TEXT(struct coordinator, origin, "origin", JSON_REQUIRED, NOTE_ORIGIN_MAX, "The log's name in its checkpoints."),
	F_TEXT(struct coordinator, verifier_key, "verifierKey", JSON_REQUIRED, 0, "The key as C2SP signed-note writes it."),
};
JSON_MESSAGE(coordinator_message, "Coordinator", struct coordinator, coordinator_rows);

struct http_reply *api_coordinator(struct http_request *r)
{
	struct mesh *m = http_ctx(r);
	struct buf vkey = {0};
	note_verifier_key(m->origin.p, &m->coordinator.public_key, &vkey);
	struct coordinator a = {.public_key = m->coordinator_key, .origin = m->origin, .verifier_key = arena_copy(http_arena(r), buf_str(&vkey))};
	buf_free(&vkey);
	return http_reply_json(r, 200, &coordinator_message, &a);
}
