/* client: proof files, against the genesis of the published chain. Nothing that the chain does not hold may be shown. */
#include <stdint.h>

#include "../unit/chain_sample.h"
#include "client/ledger_proof.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct chain_sample sample;
static struct sample_state states[SAMPLE_BLOCKS_MAX];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	struct error err;
	invariant(crypto_start(&err));
	chain_sample_load(&sample);
	for (size_t h = 0; h < sample.count; h++)
		sample_state_at(&sample, h, &states[h]);
	return 0;
}

static bool in_state(const struct sample_state *s, struct str key, struct str value)
{
	for (size_t i = 0; i < s->count; i++)
		if (str_equal(s->entries[i].key, key))
			return str_present(value) ? str_equal(s->entries[i].value, value) : true;
	return false;
}

static void check(const struct proof_finding *f)
{
	size_t height = (size_t)f->header.height;
	invariant(height < sample.count && hash_equal(&f->block_hash, &sample.blocks[height].hash));
	const struct block *b = &sample.blocks[height];
	switch (f->shows) {
	case PROOF_TRANSACTION:
		invariant((uint64_t)f->index < b->tx_count && str_equal(b->txs[f->index].message, f->message));
		break;
	case PROOF_PRESENT:
		invariant(in_state(&states[height], f->key, f->value));
		break;
	case PROOF_ABSENT:
		invariant(!in_state(&states[height], f->key, STR_NONE));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proof_finding f;
	struct arena arena;
	struct error err;
	arena_init(&arena);
	if (ledger_proof_check(str_of(size ? (const char *)data : "", size), &sample.genesis, &arena, &f, &err))
		check(&f);
	arena_free(&arena);
	return 0;
}
