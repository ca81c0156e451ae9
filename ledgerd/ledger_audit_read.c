/* The reader's thread: rows of blocks and transactions side by side, in order, decoded. */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "ledger_audit_inside.h"

enum {
	PAGE = 4000,                      /* rows of one query: PostgreSQL hands over a page at once */
	CHUNK_BLOCKS = 256,
	CHUNK_BYTES = 2 * 1024 * 1024,    /* of texts; a chunk ends with the block that passes it */
	CHUNKS_WAITING = 4
};

DB_SQL(SQL_BLOCKS, "SELECT height, hash, header, signature, changes FROM blocks WHERE height >= $1 ORDER BY height LIMIT $2");
DB_SQL(SQL_TXS, "SELECT height, idx, id, message, signature FROM transactions WHERE (height, idx) >= ($1, $2) ORDER BY height, idx LIMIT $3");

/* A walk over a table in the order of its key, page by page. */
struct walk {
	struct db_rows *rows; /* NULL: a page has to be asked for */
	bool ended, there;    /* there: stands on a row */
	size_t of_page;
	int64_t height, idx;  /* of the row; before the first one -1 */
	uint64_t seen;
};

struct audit_reader {
	struct db_conn *c;
	const struct chain *chain;
	struct walk blocks, txs;
	pthread_t thread;
	pthread_mutex_t lock; /* what follows */
	pthread_cond_t changed;
	struct audit_chunk *first, **last;
	size_t waiting;
	bool ended, stopping;
	struct error err; /* code ERR_COUNT: none */
};

/* ---- Walking ---- */

static bool ask(struct audit_reader *r, struct walk *w, struct error *err)
{
	bool blocks = w == &r->blocks;
	/* The last row is asked for again, and passed over: so a key that is there twice is seen to be. */
	enum db_status st = blocks ? db_query(r->c, &SQL_BLOCKS, DB_ARGS(DB_INT(w->height < 0 ? 0 : w->height), DB_INT(PAGE)), &w->rows, err)
				   : db_query(r->c, &SQL_TXS, DB_ARGS(DB_INT(w->height < 0 ? 0 : w->height), DB_INT(w->idx < 0 ? 0 : w->idx), DB_INT(PAGE)),
					      &w->rows, err);
	w->of_page = 0;
	if (st != DB_OK)
		w->rows = NULL;
	return st == DB_OK;
}

/* Goes to the next row whose key is another; w->there false: there is none. */
static bool step(struct audit_reader *r, struct walk *w, struct error *err)
{
	bool blocks = w == &r->blocks;
	w->there = false;
	while (!w->ended) {
		if (!w->rows && !ask(r, w, err))
			return false;
		if (db_next(w->rows)) {
			w->of_page++;
			/* A key that is no integer (SQLite keeps what it is given) is told when rows are counted. */
			if (db_column_type(w->rows, 0) != DB_TYPE_INT || (!blocks && db_column_type(w->rows, 1) != DB_TYPE_INT))
				continue;
			int64_t height = db_int(w->rows, 0), idx = blocks ? 0 : db_int(w->rows, 1);
			if (height == w->height && (blocks || idx == w->idx))
				continue;
			w->height = height;
			w->idx = idx;
			w->seen++;
			w->there = true;
			return true;
		}
		w->ended = w->of_page < PAGE;
		struct db_rows *rows = w->rows;
		w->rows = NULL;
		if (db_finish(rows, err) != DB_OK)
			return false;
	}
	return true;
}

/* ---- Decoding ---- */

static void take_texts(struct audit_block *b, struct arena *arena)
{
	struct error why;
	b->block = (struct block){
		.header = str_present(b->header) ? b->header : STR_LIT(""),
		.has_signature = str_present(b->signature),
		.changes = str_present(b->changes) ? b->changes : STR_LIT(""),
		.txs = arena_zalloc(arena, b->row_count, sizeof(struct block_tx)),
		.tx_count = b->row_count,
	};
	if (!hash_from_text(str_present(b->hash) ? b->hash : STR_LIT(""), &b->block.hash))
		memset(&b->block.hash, 0, sizeof b->block.hash);
	if (b->block.has_signature && !ed25519_signature_from_text(b->signature, KEY_WRITTEN, &b->block.signature, &why))
		memset(&b->block.signature, 0, sizeof b->block.signature);
	for (size_t i = 0; i < b->row_count; i++) {
		struct block_tx *t = &b->block.txs[i];
		t->message = str_present(b->rows[i].message) ? b->rows[i].message : STR_LIT("");
		if (!ed25519_signature_from_text(str_present(b->rows[i].signature) ? b->rows[i].signature : STR_LIT(""), KEY_WRITTEN, &t->signature, &why))
			memset(&t->signature, 0, sizeof t->signature);
	}
}

static struct audit_tx_row tx_row(struct db_rows *rows, struct arena *arena)
{
	return (struct audit_tx_row){
		.idx = db_int(rows, 1),
		.id = arena_copy(arena, db_text(rows, 2)),
		.message = arena_copy(arena, db_text(rows, 3)),
		.signature = arena_copy(arena, db_text(rows, 4)),
	};
}

static void stray(struct audit_reader *r, struct audit_chunk *k)
{
	if (!k->strays) {
		k->strays = arena_alloc(&k->arena, AUDIT_STRAYS_MAX * sizeof *k->strays);
		k->stray_heights = arena_alloc(&k->arena, AUDIT_STRAYS_MAX * sizeof *k->stray_heights);
	}
	if (k->stray_count == AUDIT_STRAYS_MAX)
		return;
	k->strays[k->stray_count] = tx_row(r->txs.rows, &k->arena);
	k->stray_heights[k->stray_count++] = r->txs.height;
}

/* The transactions of this height; those before it belong to no block. */
static bool read_txs(struct audit_reader *r, struct audit_chunk *k, struct audit_block *b, size_t *bytes, struct error *err)
{
	size_t room = 0;
	for (; r->txs.there && r->txs.height <= b->height;) {
		if (r->txs.height < b->height) {
			stray(r, k);
		} else {
			if (b->row_count == room) {
				struct audit_tx_row *more = arena_alloc(&k->arena, (room ? 2 * room : 8) * sizeof *more);
				if (room > 0)
					memcpy(more, b->rows, room * sizeof *more);
				b->rows = more;
				room = room ? 2 * room : 8;
			}
			struct audit_tx_row row = tx_row(r->txs.rows, &k->arena);
			*bytes += row.message.n + row.signature.n;
			b->rows[b->row_count++] = row;
		}
		if (!step(r, &r->txs, err))
			return false;
	}
	return true;
}

static bool read_block(struct audit_reader *r, struct audit_chunk *k, size_t *bytes, struct error *err)
{
	struct audit_block *b = &k->blocks[k->count++];
	struct db_rows *rows = r->blocks.rows;
	*b = (struct audit_block){
		.height = r->blocks.height,
		.hash = arena_copy(&k->arena, db_text(rows, 1)),
		.header = arena_copy(&k->arena, db_text(rows, 2)),
		.signature = arena_copy(&k->arena, db_text(rows, 3)),
		.changes = arena_copy(&k->arena, db_text(rows, 4)),
	};
	*bytes += b->header.n + b->changes.n;
	if (!read_txs(r, k, b, bytes, err))
		return false;
	take_texts(b, &k->arena);
	chain_decode(r->chain, &b->block, &k->arena, &b->decoded);
	return step(r, &r->blocks, err);
}

static struct audit_chunk *read_chunk(struct audit_reader *r, struct error *err)
{
	struct audit_chunk *k = xcalloc(1, sizeof *k);
	size_t bytes = 0;
	bool ok = true;
	arena_init(&k->arena);
	k->blocks = arena_zalloc(&k->arena, CHUNK_BLOCKS, sizeof *k->blocks);
	while (ok && r->blocks.there && k->count < CHUNK_BLOCKS && bytes < CHUNK_BYTES)
		ok = read_block(r, k, &bytes, err);
	k->last = ok && !r->blocks.there;
	while (ok && k->last && r->txs.there) {
		stray(r, k);
		ok = step(r, &r->txs, err);
	}
	if (ok)
		return k;
	audit_chunk_free(k);
	return NULL;
}

void audit_chunk_free(struct audit_chunk *k)
{
	arena_free(&k->arena);
	free(k);
}

/* ---- The thread ---- */

static void *read_all(void *ctx)
{
	struct audit_reader *r = ctx;
	struct error err;
	bool ok = step(r, &r->blocks, &err) && step(r, &r->txs, &err), more = ok;
	while (more) {
		struct audit_chunk *k = read_chunk(r, &err);
		ok = k != NULL;
		pthread_mutex_lock(&r->lock);
		while (r->waiting >= CHUNKS_WAITING && !r->stopping)
			pthread_cond_wait(&r->changed, &r->lock);
		more = ok && !k->last && !r->stopping;
		if (ok) {
			*r->last = k;
			r->last = &k->next;
			r->waiting++;
		}
		pthread_cond_broadcast(&r->changed);
		pthread_mutex_unlock(&r->lock);
	}
	pthread_mutex_lock(&r->lock);
	r->ended = true;
	if (!ok)
		r->err = err;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

struct audit_reader *audit_reader_start(struct db_conn *c, const struct chain *chain, struct error *err)
{
	struct audit_reader *r = xcalloc(1, sizeof *r);
	r->c = c;
	r->chain = chain;
	r->blocks.height = r->txs.height = r->blocks.idx = r->txs.idx = -1;
	r->last = &r->first;
	r->err.code = ERR_COUNT;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->changed, NULL);
	int failed = pthread_create(&r->thread, NULL, read_all, r);
	if (failed == 0)
		return r;
	error_errno(err, ERR_INTERNAL, failed, "no thread for reading");
	free(r);
	return NULL;
}

struct audit_chunk *audit_reader_next(struct audit_reader *r, struct error *err)
{
	pthread_mutex_lock(&r->lock);
	while (!r->first && !r->ended)
		pthread_cond_wait(&r->changed, &r->lock);
	struct audit_chunk *k = r->first;
	if (k) {
		r->first = k->next;
		if (!r->first)
			r->last = &r->first;
		r->waiting--;
		pthread_cond_broadcast(&r->changed);
	} else {
		*err = r->err;
	}
	pthread_mutex_unlock(&r->lock);
	return k;
}

static void close_walk(struct walk *w)
{
	struct error err;
	if (w->rows)
		(void)!db_finish(w->rows, &err);
}

void audit_reader_stop(struct audit_reader *r, uint64_t *blocks, uint64_t *txs)
{
	pthread_mutex_lock(&r->lock);
	r->stopping = true;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	close_walk(&r->blocks);
	close_walk(&r->txs);
	*blocks = r->blocks.seen;
	*txs = r->txs.seen;
	for (struct audit_chunk *k = r->first, *next; k; k = next) {
		next = k->next;
		audit_chunk_free(k);
	}
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
