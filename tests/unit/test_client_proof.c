/* client: proof files about the published chain; every byte of one counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "chain_sample.h"
#include "client/ledger_proof.h"

static struct chain_sample sample;

static bool check(struct str text, struct proof_finding *out, struct error *err)
{
	return ledger_proof_check(text, &sample.genesis, &sample.arena, out, err);
}

static struct proof_finding good(const struct proof *p)
{
	struct buf text = {0};
	struct proof_finding f;
	struct error err = {.message = ""};
	proof_write(&text, p);
	bool shown = check(buf_str(&text), &f, &err);
	assert_string_equal(err.message, "");
	assert_true(shown);
	buf_free(&text);
	return f;
}

/* It shows nothing, for this reason. */
static void bad(const struct proof *p, const char *why)
{
	struct buf text = {0};
	struct proof_finding f;
	struct error err;
	proof_write(&text, p);
	assert_false(check(buf_str(&text), &f, &err));
	assert_int_equal(err.code, ERR_BAD_PROOF);
	if (!strstr(err.message, why))
		fail_msg("'%s' was expected, and '%s' was said", why, err.message);
	buf_free(&text);
}

static void the_first_block_follows_from_the_genesis(void **state)
{
	struct block_header h;
	struct buf text = {0};
	genesis_block_header(&sample.genesis, &h);
	block_header_write(&text, &h);
	assert_true(str_equal(buf_str(&text), sample.blocks[0].header));
	buf_free(&text);
	(void)state;
}

static void every_transaction_is_shown(void **state)
{
	size_t seen = 0;
	for (size_t h = 1; h < sample.count; h++)
		for (size_t i = 0; i < sample.blocks[h].tx_count; i++, seen++) {
			struct proof p = sample_proof_tx(&sample, h, i);
			struct proof_finding f = good(&p);
			struct hash id;
			sha256(&id, sample.blocks[h].txs[i].message.p, sample.blocks[h].txs[i].message.n);
			assert_int_equal(f.shows, PROOF_TRANSACTION);
			assert_int_equal(f.header.height, (int64_t)h);
			assert_int_equal(f.index, (int64_t)i);
			assert_true(hash_equal(&f.tx_id, &id) && hash_equal(&f.block_hash, &sample.blocks[h].hash));
			assert_true(str_equal(f.message, sample.blocks[h].txs[i].message) && str_present(f.producer_key));
		}
	assert_true(seen > 20);
	(void)state;
}

static void every_entry_is_shown_at_every_height(void **state)
{
	static struct sample_state entries;
	for (size_t h = 0; h < sample.count; h++) {
		sample_state_at(&sample, h, &entries);
		/* At the ends all of them; between, a few. */
		for (size_t i = 0; i < entries.count; i += h == 0 || h + 1 == sample.count ? 1 : 7) {
			struct proof p = sample_proof_state(&sample, h, entries.entries[i].key);
			struct proof_finding f = good(&p);
			assert_int_equal(f.shows, PROOF_PRESENT);
			assert_true(str_equal(f.key, entries.entries[i].key) && str_equal(f.value, entries.entries[i].value));
			assert_int_equal(f.header.height, (int64_t)h);
			assert_int_equal(str_present(f.producer_key), h > 0);
		}
	}
	(void)state;
}

static void what_is_not_there_is_shown(void **state)
{
	static const char *const keys[] = {"currency:EUR", "username:@nobody", "validator:validator-9", "", "a key with \"quotes\" and \xc3\xa4", "chain:"};
	size_t with_other = 0, without = 0;
	for (size_t h = 0; h < sample.count; h += sample.count - 1)
		for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
			struct proof p = sample_proof_state(&sample, h, str_from(keys[i]));
			assert_int_equal(good(&p).shows, PROOF_ABSENT);
			*(p.state->other ? &with_other : &without) += 1;
		}
	assert_true(with_other > 0 && without > 0);
	(void)state;
}

/* A proof that there is no key shows so of every key whose path begins alike: then the finding names the other key. */
static bool shows_the_same(const struct proof *p, struct str text)
{
	struct proof_finding f;
	struct error err;
	return check(text, &f, &err) && !(f.shows == PROOF_ABSENT && p->state && !str_equal(f.key, p->state->key));
}

/* No byte of a proof can be another one or be left out. */
static void try_every_byte(const struct proof *p)
{
	struct buf text = {0}, other = {0};
	struct proof_finding f;
	struct error err;
	proof_write(&text, p);
	assert_true(check(buf_str(&text), &f, &err));
	buf_putc(&text, '\n');
	assert_true(check(buf_str(&text), &f, &err));
	text.len--;
	for (size_t i = 0; i < text.len; i++) {
		char was = text.data[i];
		text.data[i] = was == '0' ? '1' : was == '9' ? '8' : was == 'a' ? 'b' : (char)(was ^ 1);
		if (shows_the_same(p, buf_str(&text)))
			fail_msg("byte %zu may be %c instead of %c", i, text.data[i], was);
		text.data[i] = was;
		buf_clear(&other);
		buf_put(&other, text.data, i);
		buf_put(&other, text.data + i + 1, text.len - i - 1);
		if (shows_the_same(p, buf_str(&other)))
			fail_msg("byte %zu (%c) may be left out", i, was);
	}
	buf_puts(&text, "\n\n");
	assert_false(check(buf_str(&text), &f, &err));
	buf_free(&text);
	buf_free(&other);
}

static void every_byte_counts(void **state)
{
	struct proof tx = sample_proof_tx(&sample, 9, 1), present = sample_proof_state(&sample, 8, STR_LIT("supply:USD")),
		     absent = sample_proof_state(&sample, 10, STR_LIT("currency:EUR")), first = sample_proof_state(&sample, 0, STR_LIT("chain"));
	try_every_byte(&tx);
	try_every_byte(&present);
	try_every_byte(&absent);
	try_every_byte(&first);
	(void)state;
}

static void proofs_of_other_things(void **state)
{
	struct proof p = sample_proof_tx(&sample, 9, 1), other = sample_proof_tx(&sample, 10, 1);
	p.transaction = other.transaction;
	bad(&p, "not the one at 1 in block 9");
	p = sample_proof_state(&sample, 9, STR_LIT("supply:USD"));
	other = sample_proof_state(&sample, 4, STR_LIT("supply:USD"));
	p.state = other.state;
	bad(&p, "does not lead to the state's root");
	/* What is there is not absent, and what is absent has no value. */
	p = sample_proof_state(&sample, 9, STR_LIT("supply:USD"));
	p.state->value = STR_NONE;
	bad(&p, "does not lead");
	p = sample_proof_state(&sample, 9, STR_LIT("currency:EUR"));
	p.state->value = STR_LIT("0");
	bad(&p, p.state->other ? "malformed" : "does not lead");
	(void)state;
}

static void signers(void **state)
{
	struct proof p = sample_proof_state(&sample, 5, STR_LIT("chain")), zero = sample_proof_state(&sample, 0, STR_LIT("chain"));
	struct str signature = p.signature;
	p.signature = STR_NONE;
	bad(&p, "not signed");
	p.signature = sample_signature(&sample, &sample.blocks[6].signature);
	bad(&p, "not signed");
	zero.signature = signature;
	bad(&zero, "block 0 has no signature");
	(void)state;
}

static void steps(void **state)
{
	struct proof p = sample_proof_state(&sample, 10, STR_LIT("chain"));
	struct proof_step *s = (struct proof_step *)p.validator_steps.items, kept = s[0];
	assert_int_equal(p.validator_steps.count, 1);
	p.validator_steps.count = 0;
	bad(&p, "another set of validators");
	/* A step that repeats, or that lies in the block itself. */
	p.validator_steps.count = 2;
	s[1] = s[0];
	bad(&p, "order of their heights");
	p.validator_steps.count = 1;
	assert_true(sample_step(&sample, 10, &s[0]));
	bad(&p, "order of their heights");
	/* A set that the state does not have. */
	s[0] = kept;
	s[0].validators.count = s[0].proofs.count = 1;
	bad(&p, "another set of validators");
	s[0] = kept;
	struct ledger_validator *set = s[0].validators.items;
	set[1].power++;
	bad(&p, "something else than its validator");
	set[1].power--;
	s[0].proofs.count--;
	bad(&p, "a state item for each");
	s[0] = kept;
	struct ledger_validator swap = set[0];
	set[0] = set[1];
	set[1] = swap;
	bad(&p, "something else than its validator");
	(void)state;
}

static void another_genesis(void **state)
{
	struct genesis other = sample.genesis;
	struct genesis_validator v = *(const struct genesis_validator *)other.validators.items;
	struct proof p = sample_proof_tx(&sample, 9, 1), zero = sample_proof_state(&sample, 0, STR_LIT("chain"));
	struct buf text = {0}, first = {0};
	struct proof_finding f;
	struct error err;
	proof_write(&text, &p);
	proof_write(&first, &zero);
	other.chain_id = STR_LIT("another");
	assert_false(ledger_proof_check(buf_str(&text), &other, &sample.arena, &f, &err));
	assert_non_null(strstr(err.message, "of chain tana-vector, the genesis of another"));
	other.chain_id = sample.genesis.chain_id;
	other.timestamp++;
	assert_false(ledger_proof_check(buf_str(&first), &other, &sample.arena, &f, &err));
	assert_non_null(strstr(err.message, "not block 0 of this genesis"));
	v.public_key = sample.genesis.sovereign->public_key;
	other.validators.items = &v;
	assert_false(ledger_proof_check(buf_str(&text), &other, &sample.arena, &f, &err));
	assert_int_equal(err.code, ERR_BAD_PROOF);
	buf_free(&text);
	buf_free(&first);
	(void)state;
}

static void what_is_no_proof(void **state)
{
	struct proof p = sample_proof_state(&sample, 0, STR_LIT("chain"));
	struct proof_finding f;
	struct buf text = {0};
	struct error err;
	p.format = STR_LIT("tana-proof/2");
	proof_write(&text, &p);
	assert_false(check(buf_str(&text), &f, &err));
	assert_int_equal(err.code, ERR_MALFORMED_FIELD);
	p = sample_proof(&sample, 3);
	buf_clear(&text);
	proof_write(&text, &p);
	assert_false(check(buf_str(&text), &f, &err));
	assert_int_equal(err.code, ERR_MISSING_FIELD);
	p = sample_proof_tx(&sample, 3, 0);
	p.state = sample_prove_state(&sample, 3, STR_LIT("chain"));
	buf_clear(&text);
	proof_write(&text, &p);
	assert_false(check(buf_str(&text), &f, &err));
	assert_int_equal(err.code, ERR_MISSING_FIELD);
	/* One field more, in its place. */
	buf_clear(&text);
	p = sample_proof_state(&sample, 3, STR_LIT("chain"));
	proof_write(&text, &p);
	struct str more = arena_printf(&sample.arena, "{\"extra\":1,%.*s", (int)text.len - 1, text.data + 1);
	assert_false(check(more, &f, &err));
	assert_int_equal(err.code, ERR_UNKNOWN_FIELD);
	assert_false(check(STR_LIT(""), &f, &err));
	assert_int_equal(err.code, ERR_MALFORMED_JSON);
	assert_false(check(STR_LIT("[]"), &f, &err));
	assert_false(check(STR_LIT("{}"), &f, &err));
	assert_int_equal(err.code, ERR_MISSING_FIELD);
	buf_free(&text);
	(void)state;
}

int main(void)
{
	struct error err;
	if (!crypto_start(&err))
		return 1;
	chain_sample_load(&sample);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_block_follows_from_the_genesis),
		cmocka_unit_test(every_transaction_is_shown),
		cmocka_unit_test(every_entry_is_shown_at_every_height),
		cmocka_unit_test(what_is_not_there_is_shown),
		cmocka_unit_test(every_byte_counts),
		cmocka_unit_test(proofs_of_other_things),
		cmocka_unit_test(signers),
		cmocka_unit_test(steps),
		cmocka_unit_test(another_genesis),
		cmocka_unit_test(what_is_no_proof),
	};
	int failed = cmocka_run_group_tests_name("client_proof", tests, NULL, NULL);
	chain_sample_free(&sample);
	return failed;
}
