/* ledgerd: the chain of the vectors through the state machine, and what a changed one gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jansson_apart.h"

#include "base/buf.h"
#include "base/file.h"
#include "ledgerd/chain_memory.h"


/* A chain that goes on from its genesis in memory. */
struct world {
	struct chain chain;
	struct chain_memory memory;
	struct arena arena;
	struct str lines[64];
	size_t count;
	int findings[TEST_COUNT];
	char last[400];
};

static struct str read_vector(struct arena *arena, const char *name)
{
	const char *dir = getenv("TANA_VECTORS");
	struct str path = arena_printf(arena, "%s/%s", dir ? dir : "tests/vectors", name);
	struct buf text = {0};
	struct error err;
	if (!file_read(path.p, 1 << 20, &text, &err))
		fail_msg("%s", err.message);
	struct str copy = arena_copy(arena, buf_str(&text));
	buf_free(&text);
	return copy;
}

static void note_finding(void *ctx, const struct chain_finding *f)
{
	struct world *w = ctx;
	w->findings[f->test]++;
	snprintf(w->last, sizeof w->last, "%s block %lld tx %lld: %s (%.*s): expected %.*s, found %.*s", chain_test_name(f->test), (long long)f->at.height,
		 (long long)f->at.index, f->what, STR_ARG(f->where), STR_ARG(f->expected), STR_ARG(f->found));
}

static void keep(struct world *w, struct chain_work *work)
{
	chain_memory_take(&w->memory, &work->changes);
	chain_accept(&w->chain, work);
	chain_work_free(work);
}

static void begin(struct world *w)
{
	struct genesis g;
	struct error err;
	struct str genesis;
	struct chain_work work;
	memset(w, 0, sizeof *w);
	arena_init(&w->arena);
	struct str text = read_vector(&w->arena, "chain.jsonl");
	for (const char *p = text.p, *end = text.p + text.n, *nl; p < end; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		assert_non_null(nl);
		w->lines[w->count++] = str_of(p, (size_t)(nl - p));
	}
	assert_true(chain_file_head_read(w->lines[0], &genesis, &err));
	if (!genesis_read(genesis, &w->arena, &g, &err))
		fail_msg("%s", err.message);
	chain_init(&w->chain, &g);
	chain_make_genesis(&w->chain, &work);
	struct buf line = {0};
	block_line_write(&line, &work.block);
	assert_true(str_equal(buf_str(&line), w->lines[1]));
	buf_free(&line);
	keep(w, &work);
}

static void end(struct world *w)
{
	chain_memory_free(&w->memory);
	chain_free(&w->chain);
	arena_free(&w->arena);
}

/* Checks one line on top; true when nothing was found. The block is kept. */
static bool check_line(struct world *w, struct str line)
{
	struct block block;
	struct error err;
	struct arena arena;
	struct chain_decoded decoded;
	struct chain_work work;
	struct chain_report report = {note_finding, w};
	bool clean;
	arena_init(&arena);
	if (!block_line_read(line, &arena, &block, &err))
		fail_msg("%s", err.message);
	chain_decode(&w->chain, &block, &arena, &decoded);
	assert_true(chain_check(&w->chain, chain_memory_source(&w->memory), &decoded, &report, &work, &clean, &err));
	struct buf again = {0};
	struct block made = work.block; /* its changes as recomputed */
	block_line_write(&again, &made);
	assert_true(!clean || str_equal(buf_str(&again), line));
	buf_free(&again);
	keep(w, &work);
	arena_free(&arena);
	return clean;
}

static void test_vector_chain(void **state)
{
	(void)state;
	struct world w;
	begin(&w);
	for (size_t i = 2; i < w.count; i++)
		if (!check_line(&w, w.lines[i]))
			fail_msg("%s", w.last);
	json_t *final = vectors_load("chain_final_state.json");
	const char *key;
	json_t *value;
	json_object_foreach(final, key, value) {
		const struct memory_entry *e = chain_memory_find(&w.memory, str_from(key));
		if (!e || !str_is(e->value, json_string_value(value)))
			fail_msg("%s", key);
	}
	assert_int_equal(w.memory.entries.count, json_object_size(final));
	json_decref(final);
	end(&w);
}

/* A block that is abandoned leaves nothing behind: the next one still fits. */
static void test_abandon(void **state)
{
	(void)state;
	struct world w;
	begin(&w);
	for (size_t i = 2; i < w.count; i++) {
		struct block block;
		struct error err;
		struct arena arena;
		struct chain_decoded decoded;
		struct chain_work work;
		struct chain_report report = {note_finding, &w};
		struct hash before, after;
		bool clean;
		arena_init(&arena);
		assert_true(block_line_read(w.lines[i], &arena, &block, &err));
		chain_decode(&w.chain, &block, &arena, &decoded);
		merkle_tree_root(w.chain.tree, &before);
		assert_true(chain_check(&w.chain, chain_memory_source(&w.memory), &decoded, &report, &work, &clean, &err));
		chain_abandon(&w.chain, &work);
		merkle_tree_root(w.chain.tree, &after);
		assert_true(hash_equal(&before, &after));
		arena_free(&arena);
		assert_true(check_line(&w, w.lines[i]));
	}
	end(&w);
}

/* Each byte of a block's line changed in turn, where that leaves canonical JSON: something is found, always. */
static void test_every_byte(void **state)
{
	(void)state;
	for (size_t i = 2; i < 6; i++) {
		struct world w;
		begin(&w);
		for (size_t j = 2; j < i; j++)
			assert_true(check_line(&w, w.lines[j]));
		char *bytes = arena_alloc(&w.arena, w.lines[i].n);
		size_t tried = 0;
		for (size_t at = 0; at < w.lines[i].n; at++) {
			struct block block;
			struct error err;
			struct arena arena;
			struct chain_decoded decoded;
			struct chain_work work;
			struct chain_report report = {note_finding, &w};
			bool clean = false;
			memcpy(bytes, w.lines[i].p, w.lines[i].n);
			bytes[at] ^= 1;
			arena_init(&arena);
			if (block_line_read(str_of(bytes, w.lines[i].n), &arena, &block, &err)) {
				chain_decode(&w.chain, &block, &arena, &decoded);
				assert_true(chain_check(&w.chain, chain_memory_source(&w.memory), &decoded, &report, &work, &clean, &err));
				if (clean)
					fail_msg("line %zu, byte %zu: nothing was found", i, at);
				chain_abandon(&w.chain, &work);
				tried++;
			}
			arena_free(&arena);
		}
		assert_true(tried > 100);
		end(&w);
	}
}

int main(void)
{
	struct error err;
	if (!crypto_start(&err))
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vector_chain),
		cmocka_unit_test(test_abandon),
		cmocka_unit_test(test_every_byte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
