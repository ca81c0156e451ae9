/* wire: genesis files, headers, validator lists, lines of a chain file, and the roots they lead to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "chain_sample.h"
#include "dies.h"

static struct chain_sample sample;

/* `text` with the first `what` replaced; in the arena. */
static struct str with(struct str text, const char *what, const char *instead)
{
	const char *at = memmem(text.p, text.n, what, strlen(what));
	if (!at)
		fail_msg("\"%s\" is not in it", what);
	size_t before = (size_t)(at - text.p), behind = text.n - before - strlen(what);
	return arena_printf(&sample.arena, "%.*s%s%.*s", (int)before, text.p, instead, (int)behind, at + strlen(what));
}

/* ---- The published chain ---- */

static void headers_are_written_as_they_were_read(void **state)
{
	for (size_t h = 0; h < sample.count; h++) {
		struct buf out = {0};
		struct hash hash;
		block_header_write(&out, &sample.headers[h]);
		assert_true(str_equal(buf_str(&out), sample.blocks[h].header));
		sha256(&hash, out.data, out.len);
		assert_true(hash_equal(&hash, &sample.blocks[h].hash));
		assert_int_equal(sample.headers[h].height, (int64_t)h);
		if (h > 0)
			assert_true(hash_equal(&sample.headers[h].previous_hash, &sample.blocks[h - 1].hash));
		buf_free(&out);
	}
	(void)state;
}

static void lines_are_written_as_they_were_read(void **state)
{
	struct buf out = {0};
	chain_file_head_write(&out, sample.genesis.text);
	assert_true(str_equal(buf_str(&out), sample.head));
	for (size_t h = 0; h < sample.count; h++) {
		buf_clear(&out);
		block_line_write(&out, &sample.blocks[h]);
		assert_true(str_equal(buf_str(&out), sample.lines[h]));
	}
	buf_free(&out);
	(void)state;
}

static void roots_are_those_of_the_headers(void **state)
{
	static struct sample_state entries;
	for (size_t h = 0; h < sample.count; h++) {
		struct block *b = &sample.blocks[h];
		struct hash *leaves = arena_zalloc(&sample.arena, b->tx_count, sizeof *leaves), root;
		for (size_t i = 0; i < b->tx_count; i++)
			block_tx_leaf(&leaves[i], &b->txs[i]);
		merkle_root(&root, leaves, b->tx_count);
		assert_true(hash_equal(&root, &sample.headers[h].tx_root));
		assert_int_equal(sample.headers[h].tx_count, (int64_t)b->tx_count);
		/* Each change, taken apart and written again, is a leaf. */
		struct canonical_cursor c;
		struct str item, key, before, after, text;
		struct hash change_leaves[256];
		size_t n = 0;
		struct buf out = {0};
		assert_true(canonical_enter_array(b->changes, &c));
		while (canonical_next_item(&c, &item)) {
			assert_true(canonical_find(item, "key", &key) && canonical_find(item, "before", &before) && canonical_find(item, "after", &after));
			assert_true(canonical_read_text(key, &sample.arena, &text));
			buf_clear(&out);
			block_change_write(&out, text, str_is(before, "null") ? STR_NONE : before, str_is(after, "null") ? STR_NONE : after);
			assert_true(str_equal(buf_str(&out), item));
			assert_true(n < ARRAY_LEN(change_leaves));
			merkle_leaf(&change_leaves[n++], out.data, out.len);
		}
		buf_free(&out);
		merkle_root(&root, change_leaves, n);
		assert_true(hash_equal(&root, &sample.headers[h].changes_root));
		/* And the state that they make. */
		sample_state_at(&sample, h, &entries);
		struct merkle_map_entry *map = arena_zalloc(&sample.arena, entries.count, sizeof *map);
		for (size_t i = 0; i < entries.count; i++)
			merkle_map_entry(&map[i], entries.entries[i].key, entries.entries[i].value);
		merkle_map_sort(map, entries.count);
		merkle_map_root(&root, map, entries.count);
		assert_true(hash_equal(&root, &sample.headers[h].state_root));
	}
	(void)state;
}

static void signatures_are_the_producers(void **state)
{
	const struct genesis_validator *v = sample.genesis.validators.items;
	struct ed25519_public key;
	struct error err;
	assert_true(ed25519_public_from_text(v[0].public_key, KEY_WRITTEN, &key, &err));
	assert_false(sample.blocks[0].has_signature);
	for (size_t h = 1; h < sample.count; h++) {
		assert_true(sample.blocks[h].has_signature && str_equal(sample.headers[h].producer, v[0].id));
		assert_true(ed25519_verify_message(&sample.blocks[h].signature, &key, sample.blocks[h].header));
	}
	(void)state;
}

/* ---- Headers ---- */

static void bad_header(struct str text, enum error_code code)
{
	struct block_header h;
	struct error err = {.message = ""};
	if (block_header_read(text, &h, &err))
		fail_msg("taken: %.*s", STR_ARG(text));
	if (err.code != code)
		fail_msg("%s expected, got %s (%s): %.*s", error_code_text(code), error_code_text(err.code), err.message, STR_ARG(text));
}

static void headers_that_are_none(void **state)
{
	struct str first = sample.blocks[0].header, one = sample.blocks[1].header;
	bad_header(STR_LIT(""), ERR_NOT_CANONICAL);
	bad_header(STR_LIT("[]"), ERR_NOT_CANONICAL);
	bad_header(STR_LIT("{}"), ERR_MISSING_FIELD);
	bad_header(with(one, "{", "{ "), ERR_NOT_CANONICAL);
	bad_header(with(one, "\"version\":1", "\"version\":2"), ERR_MALFORMED_FIELD);
	bad_header(with(one, "\"version\":1", "\"version\":true"), ERR_MALFORMED_FIELD);
	bad_header(with(one, "\"height\":1", "\"height\":-1"), ERR_MALFORMED_FIELD);
	bad_header(with(one, "\"height\":1", "\"height\":\"1\""), ERR_MALFORMED_FIELD);
	bad_header(with(one, "\"txCount\":3", "\"txCount\":null"), ERR_MALFORMED_FIELD);
	bad_header(with(one, "\"txCount\":3,", ""), ERR_MISSING_FIELD);
	bad_header(with(one, "\"producer\":\"validator-1\"", "\"producer\":\"V\""), ERR_MALFORMED_FIELD);
	bad_header(with(one, "\"chainId\":\"tana-vector\"", "\"chainId\":\"\""), ERR_MALFORMED_FIELD);
	bad_header(with(one, "{", "{\"aaa\":1,"), ERR_UNKNOWN_FIELD);
	bad_header(with(one, "\"version\":1", "\"version\":1,\"zzz\":1"), ERR_UNKNOWN_FIELD);
	/* genesisHash is there at height 0, and nowhere else. */
	bad_header(with(first, "\"height\":0", "\"height\":1"), ERR_UNKNOWN_FIELD);
	bad_header(with(one, "\"height\":1", "\"height\":0"), ERR_MISSING_FIELD);
	/* Every hash must be one. */
	static const char *const hashes[] = {"changesRoot", "previousHash", "stateRoot", "txRoot", "validatorsHash"};
	for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
		const char *at = arena_printf(&sample.arena, "\"%s\":\"", hashes[i]).p;
		bad_header(with(one, at, arena_printf(&sample.arena, "%s0", at).p), ERR_MALFORMED_FIELD);
	}
	(void)state;
}

/* ---- Lines ---- */

static void bad_line(struct str text, enum error_code code)
{
	struct block b;
	struct error err = {.message = ""};
	if (block_line_read(text, &sample.arena, &b, &err))
		fail_msg("taken: %.*s", (int)(text.n < 300 ? text.n : 300), text.p);
	if (err.code != code)
		fail_msg("%s expected, got %s (%s)", error_code_text(code), error_code_text(err.code), err.message);
}

static void lines_that_are_none(void **state)
{
	struct str line = sample.lines[1];
	struct block b;
	struct error err;
	bad_line(STR_LIT(""), ERR_NOT_CANONICAL);
	bad_line(STR_LIT("{}"), ERR_MISSING_FIELD);
	bad_line(STR_LIT("[]"), ERR_MALFORMED_FIELD);
	bad_line(with(line, "{", "{ "), ERR_NOT_CANONICAL);
	bad_line(with(line, "\"stateChanges\"", "\"stateChangez\""), ERR_UNKNOWN_FIELD);
	bad_line(with(line, "\"hash\":\"", "\"hash\":\"0"), ERR_MALFORMED_HASH);
	bad_line(with(line, "\"signature\":\"ed25519_sig_", "\"signature\":\"ed25519_"), ERR_MALFORMED_SIGNATURE);
	bad_line(STR_LIT("{\"hash\":\"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\",\"header\":{},\"stateChanges\":[],"
			 "\"transactions\":{}}"), ERR_MALFORMED_FIELD);
	bad_line(STR_LIT("{\"hash\":\"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\",\"header\":{},\"stateChanges\":[],"
			 "\"transactions\":[1]}"), ERR_MALFORMED_FIELD);
	bad_line(STR_LIT("{\"hash\":\"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\",\"header\":{},\"stateChanges\":[],"
			 "\"transactions\":[{\"message\":{}}]}"), ERR_MISSING_FIELD);
	/* As a ledger hands it out, a transaction has its id beside it. */
	struct str given = with(line, "{\"message\":", "{\"id\":\"anything\",\"message\":");
	assert_true(block_line_read(given, &sample.arena, &b, &err));
	assert_int_equal(b.tx_count, 3);
	bad_line(with(line, "{\"message\":", "{\"idx\":\"anything\",\"message\":"), ERR_UNKNOWN_FIELD);
	(void)state;
}

static void first_lines(void **state)
{
	struct str genesis;
	struct error err;
	static const char *const bad[] = {"", "{}", "{\"format\":\"tana-chain/1\"}", "{\"format\":\"tana-chain/2\",\"genesis\":{}}",
					  "{\"format\":\"tana-chain/1\",\"genesis\":{},\"more\":1}", "{\"format\":\"tana-chain/1\", \"genesis\":{}}"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_false(chain_file_head_read(str_from(bad[i]), &genesis, &err));
		assert_int_equal(err.code, ERR_MALFORMED_FIELD);
	}
	(void)state;
}

/* ---- Validators ---- */

static void hash_unsorted(void *arg)
{
	struct hash h;
	validators_hash(&h, arg, 2);
}

static void validators(void **state)
{
	struct validator *set, out, unsorted[2];
	size_t n;
	struct hash h;
	struct buf text = {0};
	genesis_validators(&sample.genesis, &sample.arena, &set, &n);
	validators_hash(&h, set, n);
	assert_true(hash_equal(&h, &sample.headers[0].validators_hash));
	validator_write(&text, &set[0]);
	assert_true(validator_read(buf_str(&text), &out));
	assert_true(str_equal(out.id, set[0].id) && out.power == 1 && str_equal(out.public_key, set[0].public_key));
	static const char *const bad[] = {"{}", "[]", "{\"id\":\"a\",\"power\":1}", "{\"id\":1,\"power\":1,\"publicKey\":\"k\"}",
					  "{\"id\":\"a\",\"power\":\"1\",\"publicKey\":\"k\"}", "{\"id\":\"a\",\"power\":1,\"publicKey\":\"k\",\"z\":1}"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(validator_read(str_from(bad[i]), &out));
	unsorted[0] = unsorted[1] = set[0]; /* one id twice is no order either */
	assert_true(dies(hash_unsorted, unsorted));
	buf_free(&text);
	(void)state;
}

/* ---- Genesis ---- */

static void bad_genesis(struct str text, enum error_code code)
{
	struct genesis g;
	struct error err = {.message = ""};
	if (genesis_read(text, &sample.arena, &g, &err))
		fail_msg("taken: %.*s", STR_ARG(text));
	if (err.code != code)
		fail_msg("%s expected, got %s (%s): %.*s", error_code_text(code), error_code_text(err.code), err.message, STR_ARG(text));
}

static void a_genesis_is_read_and_written(void **state)
{
	struct genesis g;
	struct error err;
	struct buf out = {0};
	struct str text = sample.genesis.text;
	struct hash h;
	genesis_write(&out, &sample.genesis);
	assert_true(str_equal(buf_str(&out), text));
	sha256(&h, text.p, text.n);
	assert_true(hash_equal(&h, &sample.genesis.hash) && hash_equal(&h, &sample.headers[0].genesis_hash));
	/* A file ends with a newline; that is not part of it. */
	buf_putc(&out, '\n');
	assert_true(genesis_read(buf_str(&out), &sample.arena, &g, &err));
	assert_true(hash_equal(&g.hash, &h) && str_equal(g.text, text));
	buf_putc(&out, '\n');
	bad_genesis(buf_str(&out), ERR_NOT_CANONICAL);
	buf_free(&out);
	(void)state;
}

static void genesis_files_that_are_none(void **state)
{
	struct str text = sample.genesis.text;
	const struct genesis_validator *v = sample.genesis.validators.items;
	const char *validator = arena_printf(&sample.arena, "{\"id\":\"validator-1\",\"publicKey\":\"%.*s\"}", STR_ARG(v[0].public_key)).p;
	bad_genesis(STR_LIT(""), ERR_MALFORMED_JSON);
	bad_genesis(STR_LIT("{}"), ERR_MISSING_FIELD);
	bad_genesis(with(text, "{", "{ "), ERR_NOT_CANONICAL);
	bad_genesis(with(text, "\"validators\"", "\"validatorz\""), ERR_MISSING_FIELD);
	bad_genesis(with(text, "\"timestamp\":", "\"timestam\":1,\"timestamp\":"), ERR_UNKNOWN_FIELD);
	bad_genesis(with(text, "\"decimals\":8", "\"decimals\":8,\"extra\":1"), ERR_UNKNOWN_FIELD);
	bad_genesis(with(text, "\"decimals\":8", "\"decimals\":9"), ERR_MALFORMED_FIELD);
	bad_genesis(with(text, "\"code\":\"BTC\"", "\"code\":\"USD\""), ERR_MALFORMED_FIELD); /* twice */
	bad_genesis(with(text, "\"code\":\"BTC\"", "\"code\":\"btc\""), ERR_MALFORMED_FIELD);
	bad_genesis(with(text, "\"currencyType\":\"crypto\"", "\"currencyType\":\"shell\""), ERR_MALFORMED_FIELD);
	bad_genesis(with(text, "\"chainId\":\"tana-vector\"", "\"chainId\":\"-\""), ERR_MALFORMED_FIELD);
	bad_genesis(with(text, "\"username\":\"@sovereign\"", "\"username\":\"sovereign\""), ERR_MALFORMED_FIELD);
	bad_genesis(with(text, "\"openRegistration\":true", "\"openRegistration\":1"), ERR_MALFORMED_FIELD);
	bad_genesis(with(text, "\"maxBlockTransactions\":10000", "\"maxBlockTransactions\":0"), ERR_MALFORMED_FIELD);
	bad_genesis(with(text, "\"maxBlockBytes\":16777216", "\"maxBlockBytes\":65599"), ERR_MALFORMED_FIELD); /* one short of a largest transaction */
	bad_genesis(with(text, validator, ""), ERR_MALFORMED_FIELD);
	bad_genesis(with(text, validator, arena_printf(&sample.arena, "%s,%s", validator, validator).p), ERR_MALFORMED_FIELD);
	bad_genesis(with(text, "ed25519_89a564", "ed25519_89A564"), ERR_MALFORMED_FIELD);
	struct genesis g;
	struct error err;
	assert_true(genesis_read(with(text, "\"maxBlockBytes\":16777216", "\"maxBlockBytes\":65600"), &sample.arena, &g, &err));
	/* A chain may begin without currencies. */
	const char *from = memmem(text.p, text.n, "[{\"code\"", 8), *to = memmem(text.p, text.n, "],\"params\"", 10);
	assert_true(from && to);
	struct str none = arena_printf(&sample.arena, "%.*s[%.*s", (int)(from - text.p), text.p, (int)(text.n - (size_t)(to - text.p)), to);
	assert_true(genesis_read(none, &sample.arena, &g, &err));
	assert_int_equal(g.currencies.count, 0);
	(void)state;
}

static void chain_ids(void **state)
{
	assert_true(chain_id_valid(STR_LIT("a")) && chain_id_valid(STR_LIT("0.tana_main-1")));
	assert_false(chain_id_valid(STR_LIT("")) || chain_id_valid(STR_LIT("A")) || chain_id_valid(STR_LIT(".a")) || chain_id_valid(STR_LIT("a b")));
	assert_false(chain_id_valid(STR_LIT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")));
	(void)state;
}

int main(void)
{
	struct error err;
	if (!crypto_start(&err))
		return 1;
	chain_sample_load(&sample);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_are_written_as_they_were_read),
		cmocka_unit_test(lines_are_written_as_they_were_read),
		cmocka_unit_test(roots_are_those_of_the_headers),
		cmocka_unit_test(signatures_are_the_producers),
		cmocka_unit_test(headers_that_are_none),
		cmocka_unit_test(lines_that_are_none),
		cmocka_unit_test(first_lines),
		cmocka_unit_test(validators),
		cmocka_unit_test(a_genesis_is_read_and_written),
		cmocka_unit_test(genesis_files_that_are_none),
		cmocka_unit_test(chain_ids),
	};
	int failed = cmocka_run_group_tests_name("wire_block", tests, NULL, NULL);
	chain_sample_free(&sample);
	return failed;
}
