/* Blocks. All answers are canonical JSON, so that whoever copies the chain finds in them the very bytes that were hashed and signed. */
#include "api.h"
#include "ledger_read.h"
#include "ledger_store.h"
#include "wire/ledger.h"
#include "wire/mesh.h"

static struct http_reply *canonical_reply(struct http_request *r, const struct json_message *m, const void *value)
{
	struct buf body = {0};
	json_write_canonical(&body, m, value);
	return http_reply_bytes(r, 200, NULL, &body);
}

/* ---- One ---- */

enum which { BY_HEIGHT, BY_HASH, LATEST };
struct block_question {
	enum which which;
	int64_t height;
	struct str hash;
};

static struct http_reply *answer_block(struct http_request *r, struct db_conn *c)
{
	struct block_question *q = http_state(r);
	struct ledger_block b;
	struct error err;
	size_t bytes;
	bool found = true;
	enum db_status st = DB_OK;
	switch (q->which) {
	case BY_HEIGHT:
		break;
	case BY_HASH:
		st = read_block_height(c, q->hash, &q->height, &found, &err);
		break;
	case LATEST:
		st = store_read_height(c, &q->height, &err);
		break;
	}
	if (st == DB_OK && found)
		st = read_block(c, q->height, http_arena(r), &b, &bytes, &found, &err);
	if (st != DB_OK)
		return http_reply_error(r, &err);
	return found ? canonical_reply(r, &ledger_block_message, &b) : http_reply_error_code(r, ERR_UNKNOWN_BLOCK, "there is no such block");
}

static struct http_reply *ask_block(struct http_request *r, enum which which, int64_t height, struct str hash)
{
	struct block_question *q = arena_alloc(http_arena(r), sizeof *q);
	*q = (struct block_question){which, height, hash};
	http_set_state(r, q);
	return api_on_thread(r, answer_block);
}

struct http_reply *api_block(struct http_request *r)
{
	int64_t height;
	if (!str_to_int64(http_path_arg(r, 0), &height) || height < 0)
		return http_reply_error_code(r, ERR_MALFORMED_PARAMETER, "a block is named by its height, `latest` or hash/ and its hash");
	return ask_block(r, BY_HEIGHT, height, STR_NONE);
}

struct http_reply *api_block_latest(struct http_request *r)
{
	return ask_block(r, LATEST, 0, STR_NONE);
}

struct http_reply *api_block_by_hash(struct http_request *r)
{
	struct hash h;
	struct str hash = http_path_arg(r, 0);
	if (!hash_from_text(hash, &h))
		return http_reply_error_code(r, ERR_MALFORMED_HASH, "a block's hash has 64 lower-case hex digits");
	return ask_block(r, BY_HASH, 0, hash);
}

/* ---- Many ---- */

struct blocks_question {
	bool has_from, full;
	int64_t from, to, limit;
};

/* Whole blocks from..to, until there are enough bytes of them. */
static enum db_status read_whole(struct db_conn *c, int64_t from, int64_t to, struct arena *arena, struct json_list *out, struct error *err)
{
	size_t room = to < from ? 0 : (size_t)(to - from + 1), n = 0, bytes = 0, more;
	struct ledger_block *blocks = arena_zalloc(arena, room, sizeof *blocks);
	bool found = true;
	enum db_status st = DB_OK;
	while (n < room && bytes < LEDGER_PAGE_BYTES && st == DB_OK && found) {
		st = read_block(c, from + (int64_t)n, arena, &blocks[n], &more, &found, err);
		if (st == DB_OK && found) {
			bytes += more;
			n++;
		}
	}
	*out = (struct json_list){blocks, n};
	return st;
}

static struct http_reply *answer_blocks(struct http_request *r, struct db_conn *c)
{
	const struct blocks_question *q = http_state(r);
	struct ledger_block_list list = {.next_cursor = STR_NONE};
	struct error err;
	int64_t tip, from, to;
	enum db_status st = store_read_height(c, &tip, &err);
	if (st != DB_OK)
		return http_reply_error(r, &err);
	to = q->to < tip ? q->to : tip;
	from = q->has_from ? q->from : to - q->limit + 1;
	from = from < 0 ? 0 : from;
	int64_t last = to - from >= q->limit ? from + q->limit - 1 : to;
	st = q->full ? read_whole(c, from, last, http_arena(r), &list.blocks, &err) : read_headers(c, from, last, http_arena(r), &list.blocks, &err);
	if (st != DB_OK)
		return http_reply_error(r, &err);
	int64_t next = from + (int64_t)list.blocks.count;
	if (next <= to)
		list.next_cursor = arena_printf(http_arena(r), "%lld", (long long)next);
	return canonical_reply(r, &ledger_block_list_message, &list);
}

struct http_reply *api_blocks(struct http_request *r)
{
	struct blocks_question *q = arena_zalloc(http_arena(r), 1, sizeof *q);
	int64_t full;
	q->has_from = str_present(http_query_text(r, "from", 0));
	if (!http_query_int(r, "from", 0, &q->from) || !http_query_int(r, "to", JSON_INT_MAX, &q->to) || !http_query_int(r, "full", 0, &full) ||
	    !http_query_int(r, "limit", LEDGER_BLOCKS_DEFAULT, &q->limit))
		return http_reply_error_code(r, ERR_MALFORMED_PARAMETER, "`from`, `to`, `limit` and `full` are numbers");
	q->full = full != 0;
	http_set_state(r, q);
	return api_on_thread(r, answer_blocks);
}
