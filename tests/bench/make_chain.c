/*
 * A chain for benchmarks, as a chain file that `ledgerd import` takes: users, each with money, and transfers between them at random.
 *
 *	make_chain --accounts N --transfers N --block N [--out FILE] [--genesis FILE] [--node-key FILE]
 *
 * Everything follows from numbers: the key of account i has the seed SHA-256("tana-bench-account-<i>"), the sovereign's and the validator's likewise ("sovereign",
 * "validator"), so that whoever loads the ledger can sign for them. The first blocks, of at most 1,000 transactions, make the users and give each 1,000,000.00 USD;
 * then come blocks of --block transfers. --genesis and --node-key write what ledgerd needs to go on.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "keys/keyfile.h"
#include "ledgerd/chain_memory.h"

enum { SETUP_BLOCK = 1000 };

struct maker {
	struct chain chain;
	struct chain_memory memory;
	struct ed25519_secret sovereign, validator;
	struct account {
		struct ed25519_secret key;
		char id[USER_ID_LEN + 1];
		int64_t nonce;
	} *accounts, sovereign_account;
	size_t account_count;
	int64_t time;
	FILE *out;
	/* The block being gathered. */
	struct arena arena;
	struct chain_offer *offers;
	size_t count, room;
};

static void fail(const char *what)
{
	fprintf(stderr, "make_chain: %s\n", what);
	exit(1);
}

static void seed_key(struct ed25519_secret *out, const char *name)
{
	struct hash seed;
	sha256_parts(&seed, (const struct str[]){STR_LIT("tana-bench-"), str_from(name)}, 2);
	ed25519_from_seed(out, seed.b);
}

static void seed_account(struct maker *m, struct account *a, const char *name)
{
	char key[ED25519_PUBLIC_TEXT_LEN + 1];
	seed_key(&a->key, name);
	ed25519_public_to_text(&a->key.public_key, key);
	user_id_of(m->chain.genesis.chain_id, str_from(key), a->id);
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

static void write_block(struct maker *m, struct chain_work *w)
{
	struct buf line = {0};
	block_line_write(&line, &w->block);
	buf_putc(&line, '\n');
	if (fwrite(line.data, 1, line.len, m->out) != line.len)
		fail("the chain could not be written");
	buf_free(&line);
	chain_memory_take(&m->memory, &w->changes);
	chain_accept(&m->chain, w);
	chain_work_free(w);
}

static void end_block(struct maker *m)
{
	struct chain_work w;
	struct error err;
	if (m->count == 0)
		return;
	if (!chain_make(&m->chain, chain_memory_source(&m->memory), m->offers, m->count, ++m->time, STR_LIT("validator"), &m->validator, &w, &err))
		fail(err.message);
	for (size_t i = 0; i < m->count; i++)
		if (m->offers[i].verdict != CHAIN_APPLIED || m->offers[i].left)
			fail(m->offers[i].left ? "the block is too large" : m->offers[i].error->message);
	write_block(m, &w);
	m->count = 0;
	arena_free(&m->arena);
}

/* Signs and adds to the block; `value` has the fields of the type. */
static void add(struct maker *m, struct account *from, const char *type, struct str value[TXF_COUNT], size_t block)
{
	char nonce[24], time[24];
	struct buf text = {0};
	struct error err;
	snprintf(nonce, sizeof nonce, "%lld", (long long)from->nonce++);
	snprintf(time, sizeof time, "%lld", (long long)m->time);
	value[TXF_TYPE] = str_from(type);
	value[TXF_CHAIN_ID] = m->chain.genesis.chain_id;
	value[TXF_FROM] = str_from(from->id);
	value[TXF_NONCE] = str_from(nonce);
	value[TXF_TIMESTAMP] = str_from(time);
	tx_write(&text, value);
	struct chain_offer *o = &m->offers[m->count++];
	memset(o, 0, sizeof *o);
	if (!tx_parse(arena_copy(&m->arena, buf_str(&text)), m->chain.rules.params.max_transaction_bytes, &m->arena, &o->tx, &err))
		fail(err.message);
	ed25519_sign_bytes(&o->signature, &from->key, str_of((const char *)o->tx.id.b, HASH_SIZE));
	buf_free(&text);
	if (m->count >= block)
		end_block(m);
}

static void make_users(struct maker *m)
{
	for (size_t i = 0; i < m->account_count; i++) {
		struct str value[TXF_COUNT] = {{NULL, 0}};
		char name[40], username[40], key[ED25519_PUBLIC_TEXT_LEN + 1];
		snprintf(name, sizeof name, "account-%zu", i);
		snprintf(username, sizeof username, "@bench%zu", i);
		seed_account(m, &m->accounts[i], name);
		ed25519_public_to_text(&m->accounts[i].key.public_key, key);
		value[TXF_USERNAME] = str_from(username);
		value[TXF_DISPLAY_NAME] = str_from(username);
		value[TXF_PUBLIC_KEY] = str_from(key);
		add(m, &m->accounts[i], "user_creation", value, SETUP_BLOCK);
	}
	end_block(m);
	m->sovereign_account.nonce = 1;
	for (size_t i = 0; i < m->account_count; i++) {
		struct str value[TXF_COUNT] = {{NULL, 0}};
		value[TXF_TO] = str_from(m->accounts[i].id);
		value[TXF_AMOUNT] = STR_LIT("1000000");
		value[TXF_CURRENCY_CODE] = STR_LIT("USD");
		value[TXF_REASON] = STR_LIT("bench");
		add(m, &m->sovereign_account, "balance_adjustment", value, SETUP_BLOCK);
	}
	end_block(m);
}

/* xorshift64: the same chain each time. */
static size_t pick(uint64_t *state, size_t below)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (size_t)(*state % below);
}

static void make_transfers(struct maker *m, size_t transfers, size_t block)
{
	uint64_t random = UINT64_C(88172645463325252);
	for (size_t i = 0; i < transfers; i++) {
		struct str value[TXF_COUNT] = {{NULL, 0}};
		size_t from = pick(&random, m->account_count), to = pick(&random, m->account_count - 1);
		char amount[24];
		to += to >= from;
		snprintf(amount, sizeof amount, "%zu.%02zu", pick(&random, 10), 1 + pick(&random, 99));
		value[TXF_TO] = str_from(m->accounts[to].id);
		value[TXF_AMOUNT] = str_from(amount);
		value[TXF_CURRENCY_CODE] = STR_LIT("USD");
		add(m, &m->accounts[from], "transfer", value, block);
	}
	end_block(m);
}

static void begin(struct maker *m, const char *genesis_file)
{
	char sovereign[ED25519_PUBLIC_TEXT_LEN + 1], validator[ED25519_PUBLIC_TEXT_LEN + 1];
	struct genesis_params params = genesis_params_default();
	struct genesis_currency usd = {STR_LIT("USD"), STR_LIT("fiat"), STR_LIT("US Dollar"), STR_LIT("$"), 2};
	seed_key(&m->sovereign, "sovereign");
	seed_key(&m->validator, "validator");
	ed25519_public_to_text(&m->sovereign.public_key, sovereign);
	ed25519_public_to_text(&m->validator.public_key, validator);
	struct genesis_validator v = {STR_LIT("validator"), str_from(validator)};
	struct genesis_sovereign s = {STR_LIT("@sovereign"), STR_LIT("Sovereign"), str_from(sovereign)};
	params.max_pending_per_user = 1000000;
	m->time = clock_wall_ms() - 3600 * 1000;
	struct genesis g = {.chain_id = STR_LIT("bench"), .timestamp = m->time, .currencies = {&usd, 1}, .validators = {&v, 1}, .sovereign = &s, .params = &params};
	struct buf text = {0}, head = {0};
	struct genesis read;
	struct error err;
	struct chain_work w;
	genesis_write(&text, &g);
	if (!genesis_read(buf_str(&text), &m->arena, &read, &err) ||
	    (genesis_file && !file_write_atomic(genesis_file, buf_str(&text), 0644, FILE_REPLACE, &err)))
		fail(err.message);
	chain_init(&m->chain, &read);
	m->chain.rules.verifier = (struct chain_verifier){believe, NULL};
	chain_file_head_write(&head, m->chain.genesis.text);
	buf_putc(&head, '\n');
	fwrite(head.data, 1, head.len, m->out);
	buf_free(&head);
	buf_free(&text);
	arena_free(&m->arena);
	chain_make_genesis(&m->chain, &w);
	write_block(m, &w);
	seed_account(m, &m->sovereign_account, "sovereign");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"accounts", 1, 0, 'a'}, {"transfers", 1, 0, 't'}, {"block", 1, 0, 'b'}, {"out", 1, 0, 'o'},
						{"genesis", 1, 0, 'g'},  {"node-key", 1, 0, 'k'},  {0}};
	struct maker m = {.account_count = 1000, .out = stdout};
	size_t transfers = 1000, block = 1000;
	const char *genesis = NULL, *node_key = NULL;
	struct error err;
	int c;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'a':
			m.account_count = strtoul(optarg, NULL, 10);
			break;
		case 't':
			transfers = strtoul(optarg, NULL, 10);
			break;
		case 'b':
			block = strtoul(optarg, NULL, 10);
			break;
		case 'o':
			m.out = fopen(optarg, "w");
			break;
		case 'g':
			genesis = optarg;
			break;
		case 'k':
			node_key = optarg;
			break;
		default:
			return 2;
		}
	if (m.account_count < 2 || block < 1 || block > 10000 || !m.out)
		fail("at least two accounts, blocks of 1 to 10000, a file that can be written");
	if (!crypto_start(&err))
		fail(err.message);
	arena_init(&m.arena);
	m.accounts = xcalloc(m.account_count, sizeof *m.accounts);
	m.offers = xcalloc(10000, sizeof *m.offers);
	begin(&m, genesis);
	struct keyfile key = {.node_id = STR_LIT("validator"), .public_key = m.validator.public_key, .has_secret = true, .secret = m.validator};
	if (node_key && !keyfile_write(node_key, &key, STR_NONE, true, &err))
		fail(err.message);
	make_users(&m);
	make_transfers(&m, transfers, block);
	if (fflush(m.out) != 0)
		fail("the chain could not be written");
	chain_memory_free(&m.memory);
	chain_free(&m.chain);
	free(m.offers);
	free(m.accounts);
	return 0;
}
