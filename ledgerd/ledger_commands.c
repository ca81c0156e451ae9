#include "ledger_commands.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "api.h"
#include "base/log.h"
#include "base/mem.h"
#include "chain_memory.h"
#include "core.h"
#include "daemon/daemon.h"
#include "db/db_lock.h"
#include "ledger_store.h"

static bool begin(struct ledger *l, struct invocation *in, struct error *err)
{
	return daemon_log_open("ledger", in, err) && crypto_start(err) && ledger_configure(l, in, err);
}

static int end(struct ledger *l, struct invocation *in, bool ok, const struct error *err)
{
	int status = ok ? EXIT_DONE : program_fail(in, err);
	ledger_close(l);
	return status;
}

static void print_tip(const struct ledger *l)
{
	struct core_tip tip;
	char hash[HASH_TEXT_LEN + 1];
	core_tip(l->core, &tip);
	hash_to_text(&tip.hash, hash);
	printf("chain %.*s, height %" PRId64 ", block %s\n", STR_ARG(l->chain_id), tip.height, hash);
}

static void print_made(const struct ledger *l, bool made)
{
	struct core_tip tip;
	char hash[HASH_TEXT_LEN + 1];
	struct buf out = {0};
	core_tip(l->core, &tip);
	hash_to_text(&tip.hash, hash);
	buf_printf(&out, "{\"made\":%s,\"chainId\":", made ? "true" : "false");
	buf_put_json_string(&out, l->chain_id);
	buf_printf(&out, ",\"height\":%" PRId64 ",\"hash\":\"%s\"}", tip.height, hash);
	puts(buf_z(&out));
	buf_free(&out);
}

int ledger_command_init(struct invocation *in)
{
	struct ledger l = {.pool = NULL};
	struct error err;
	bool ok = begin(&l, in, &err) && ledger_open_database(&l, NULL, &err) && (l.core = core_open(&l, NULL, &err)) != NULL;
	if (ok)
		print_tip(&l);
	return end(&l, in, ok, &err);
}

int ledger_command_produce(struct invocation *in)
{
	struct ledger l = {.pool = NULL};
	struct error err;
	bool made = false;
	bool ok = begin(&l, in, &err);
	l.config.role = LEDGER_PRODUCER;
	l.config.verify_full_on_start = true;
	ok = ok && ledger_open(&l, &err) && core_start(l.core, &err);
	while (ok && !core_ready(l.core, &err)) /* what waits is being read */
		ok = err.code == ERR_UNAVAILABLE && core_wait_ready(l.core, 20);
	ok = ok && core_make_block(l.core, option_bool(in, "empty"), &made, &err);
	if (ok && option_bool(in, "json"))
		print_made(&l, made);
	else if (ok && !made)
		printf("Nothing waits: no block was made.\n");
	else if (ok)
		print_tip(&l);
	core_stop(l.core);
	core_settle(l.core);
	return end(&l, in, ok, &err);
}

/* ---- Chain files ---- */

static bool write_line(FILE *to, struct buf *line, const char *path, struct error *err)
{
	buf_putc(line, '\n');
	bool ok = fwrite(line->data, 1, line->len, to) == line->len || error_errno(err, ERR_IO, errno, "%s", path);
	buf_clear(line);
	return ok;
}

static bool export_blocks(struct ledger *l, struct db_conn *c, FILE *to, const char *path, int64_t *count, struct error *err)
{
	struct buf line = {0};
	int64_t height;
	chain_file_head_write(&line, l->genesis.text);
	bool ok = store_read_height(c, &height, err) == DB_OK && write_line(to, &line, path, err);
	for (*count = 0; ok && *count <= height;) {
		struct arena arena;
		struct block b;
		bool found;
		arena_init(&arena);
		ok = store_read_block(c, *count, &arena, &b, &found, err) == DB_OK &&
		     (found || error_set(err, ERR_CORRUPT, "there is no block %" PRId64 ", and there are blocks behind it", *count));
		if (ok) {
			block_line_write(&line, &b);
			ok = write_line(to, &line, path, err);
			++*count;
		}
		arena_free(&arena);
	}
	buf_free(&line);
	return ok;
}

int ledger_command_export(struct invocation *in)
{
	struct ledger l = {.pool = NULL};
	struct error err;
	const char *path = option_text(in, "to");
	int64_t count = 0;
	bool ok = begin(&l, in, &err) && (path || error_set(&err, ERR_USAGE, "--to FILE is required; - is standard output"));
	bool standard = path && strcmp(path, "-") == 0;
	struct db_conn *c = NULL;
	FILE *to = NULL;
	ok = ok && ledger_open_database(&l, NULL, &err) && (c = db_pool_reader(l.pool, &err)) != NULL && db_begin(c, DB_TXN_SNAPSHOT, &err) == DB_OK;
	if (ok) {
		to = standard ? stdout : fopen(path, "we");
		ok = to || error_errno(&err, ERR_IO, errno, "%s", path);
	}
	ok = ok && export_blocks(&l, c, to, path, &count, &err);
	if (to && fflush(to) != 0 && ok)
		ok = error_errno(&err, ERR_IO, errno, "%s", path);
	if (to && !standard && fclose(to) != 0 && ok)
		ok = error_errno(&err, ERR_IO, errno, "%s", path);
	if (c) {
		db_rollback(c);
		db_pool_release(l.pool, c);
	}
	if (ok && !standard)
		printf("%" PRId64 " blocks of the chain %.*s were written to %s.\n", count, STR_ARG(l.chain_id), path);
	return end(&l, in, ok, &err);
}

/* Reads a file line by line; lines may be as long as blocks are. */
struct lines {
	FILE *from;
	const char *path;
	char *text;
	size_t room;
	int64_t number;
};

/* False at the end, or with *failed. */
static bool next_line(struct lines *in, struct str *line, bool *failed, struct error *err)
{
	ssize_t n = getline(&in->text, &in->room, in->from);
	*failed = n < 0 && ferror(in->from);
	if (*failed)
		error_errno(err, ERR_IO, errno, "%s", in->path);
	if (n < 0)
		return false;
	in->number++;
	*failed = in->text[n - 1] != '\n' && !error_set(err, ERR_MALFORMED_FIELD, "%s: line %" PRId64 " is cut off", in->path, in->number);
	*line = str_of(in->text, (size_t)n - 1);
	return !*failed;
}

static bool at_line(const struct lines *in, struct error *err)
{
	struct error why = *err;
	return error_set(err, why.code, "%s: line %" PRId64 ": %s", in->path, in->number, why.message);
}

static bool open_from_file(struct ledger *l, struct lines *in, struct error *err)
{
	struct genesis g;
	struct str line, genesis;
	bool failed;
	if (!next_line(in, &line, &failed, err))
		return failed ? false : error_set(err, ERR_MALFORMED_FIELD, "%s is empty", in->path);
	if (!chain_file_head_read(line, &genesis, err) || !genesis_read(genesis, &l->arena, &g, err))
		return at_line(in, err);
	l->config.role = LEDGER_OBSERVER;
	l->config.verify_full_on_start = true;
	if (!ledger_open_database(l, &g, err) || !(l->core = core_open(l, NULL, err)))
		return false;
	return core_start(l->core, err);
}

static bool import_blocks(struct ledger *l, struct lines *in, struct error *err)
{
	struct str line;
	bool failed = false, ok = true;
	while (ok && next_line(in, &line, &failed, err)) {
		struct arena arena;
		struct block b;
		arena_init(&arena);
		ok = (block_line_read(line, &arena, &b, err) && core_take_block(l->core, &b, err)) || at_line(in, err);
		arena_free(&arena);
	}
	return ok && !failed;
}

int ledger_command_import(struct invocation *in)
{
	struct ledger l = {.pool = NULL};
	struct error err;
	struct lines lines = {.path = invocation_arg(in, "file")};
	bool ok = begin(&l, in, &err);
	struct db_lock *lock = NULL;
	if (ok) {
		lines.from = strcmp(lines.path, "-") == 0 ? stdin : fopen(lines.path, "re");
		ok = lines.from || error_errno(&err, ERR_IO, errno, "%s", lines.path);
	}
	/* Nobody else may make blocks meanwhile. */
	ok = ok && (lock = db_lock_take(l.config.db_url, "producer", &err)) != NULL;
	ok = ok && open_from_file(&l, &lines, &err) && import_blocks(&l, &lines, &err);
	if (ok)
		print_tip(&l);
	if (lines.from && lines.from != stdin)
		fclose(lines.from);
	free(lines.text);
	core_stop(l.core);
	db_lock_release(lock);
	return end(&l, in, ok, &err);
}

/* ---- The state at a height ---- */

/* The first thing that does not fit ends it: a state nobody vouches for is not shown. */
struct replaying {
	struct error *err;
	bool found;
};
static void not_clean(void *ctx, const struct chain_finding *f)
{
	struct replaying *r = ctx;
	if (!r->found)
		error_set(r->err, ERR_CORRUPT, "block %" PRId64 ": %s", f->at.height, f->what);
	r->found = true;
}

static bool believe(void *ctx, struct chain_place at, const struct ed25519_signature *s, const struct ed25519_public *key, const struct hash *digest)
{
	(void)ctx;
	(void)at;
	(void)s;
	(void)key;
	(void)digest;
	return true;
}

static void keep(struct chain *chain, struct chain_memory *memory, struct chain_work *w)
{
	chain_memory_take(memory, &w->changes);
	chain_accept(chain, w);
	chain_work_free(w);
}

static bool replay_to(struct db_conn *c, int64_t height, struct chain *chain, struct chain_memory *memory, struct error *err)
{
	struct chain_work w;
	struct replaying r = {.err = err};
	struct chain_report report = {not_clean, &r};
	chain->rules.verifier = (struct chain_verifier){believe, NULL};
	chain_make_genesis(chain, &w);
	keep(chain, memory, &w);
	bool ok = true;
	for (int64_t h = 1; ok && h <= height; h++) {
		struct arena arena;
		struct block b;
		struct chain_decoded d;
		bool found, clean;
		arena_init(&arena);
		ok = store_read_block(c, h, &arena, &b, &found, err) == DB_OK;
		if (ok && !found)
			ok = error_set(err, ERR_UNKNOWN_BLOCK, "there is no block %" PRId64, h);
		if (ok) {
			chain_decode(chain, &b, &arena, &d);
			ok = chain_check(chain, chain_memory_source(memory), &d, &report, &w, &clean, err);
			if (ok)
				keep(chain, memory, &w);
			ok = ok && clean;
		}
		arena_free(&arena);
	}
	return ok;
}

static int by_key(const void *a, const void *b)
{
	return str_compare((*(struct memory_entry *const *)a)->key, (*(struct memory_entry *const *)b)->key);
}

static void print_state(const struct chain_memory *memory)
{
	size_t n = 0, at = 0;
	struct memory_entry **entries = xcalloc(memory->entries.count + 1, sizeof(struct memory_entry *)), *e;
	while ((e = chain_memory_next(memory, &at)))
		entries[n++] = e;
	qsort(entries, n, sizeof(struct memory_entry *), by_key);
	struct buf line = {0};
	for (size_t i = 0; i < n; i++) {
		buf_puts(&line, "{\"key\":");
		buf_put_json_string(&line, entries[i]->key);
		buf_puts(&line, ",\"value\":");
		buf_put_str(&line, entries[i]->value);
		buf_puts(&line, "}\n");
		fwrite(line.data, 1, line.len, stdout);
		buf_clear(&line);
	}
	buf_free(&line);
	free(entries);
}

int ledger_command_state(struct invocation *in)
{
	struct ledger l = {.pool = NULL};
	struct error err;
	struct chain_memory memory = {.bytes = 0};
	struct db_conn *c = NULL;
	bool ok = begin(&l, in, &err) && ledger_open_database(&l, NULL, &err) && (c = db_pool_reader(l.pool, &err)) != NULL &&
		  db_begin(c, DB_TXN_SNAPSHOT, &err) == DB_OK;
	int64_t height = ok && option_text(in, "at") ? option_int(in, "at") : -1;
	if (ok && height < 0)
		ok = store_read_height(c, &height, &err) == DB_OK;
	if (ok) {
		struct chain chain;
		chain_init(&chain, &l.genesis);
		ok = replay_to(c, height, &chain, &memory, &err);
		if (ok)
			print_state(&memory);
		chain_free(&chain);
	}
	chain_memory_free(&memory);
	if (c) {
		db_rollback(c);
		db_pool_release(l.pool, c);
	}
	return end(&l, in, ok, &err);
}

/* ---- Documents ---- */

int ledger_command_openapi(struct invocation *in)
{
	(void)in;
	struct buf out = {0};
	http_openapi_write(&out, "ledger", LEDGER_DESCRIPTION, ledger_routes, ledger_route_count);
	fwrite(out.data, 1, out.len, stdout);
	buf_free(&out);
	return EXIT_DONE;
}

int ledger_command_api_doc(struct invocation *in)
{
	(void)in;
	struct buf out = {0};
	http_markdown_write(&out, "ledger", LEDGER_DESCRIPTION, ledger_routes, ledger_route_count);
	fwrite(out.data, 1, out.len, stdout);
	buf_free(&out);
	return EXIT_DONE;
}
