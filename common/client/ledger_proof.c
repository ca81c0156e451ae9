#include "client/ledger_proof.h"

#include "crypto/canonical_read.h"
#include "crypto/merkle_list.h"
#include "crypto/merkle_map.h"
#include "wire/genesis_state.h"

struct check {
	const struct genesis *genesis;
	struct arena *arena;
	const struct validator *set; /* reached so far, by id */
	size_t set_count;
	struct error *err;
};

static bool bad(struct check *c, const char *why)
{
	return error_set(c->err, ERR_BAD_PROOF, "%s", why);
}

static bool read_header(struct check *c, struct str text, struct block_header *out)
{
	struct error why;
	if (!block_header_read(text, out, &why))
		return error_set(c->err, ERR_BAD_PROOF, "a header is malformed: %s", why.message);
	return str_equal(out->chain_id, c->genesis->chain_id) ||
	       error_set(c->err, ERR_BAD_PROOF, "a header is of chain %.*s, the genesis of %.*s", STR_ARG(out->chain_id),
			 STR_ARG(c->genesis->chain_id));
}

/* The header names the set reached, and one of it signed the header. */
static bool check_signed(struct check *c, struct str text, const struct block_header *h, struct str signature, struct str *key)
{
	struct hash set;
	struct ed25519_public public_key;
	struct ed25519_signature sig;
	struct error why;
	validators_hash(&set, c->set, c->set_count);
	if (!hash_equal(&set, &h->validators_hash))
		return error_set(c->err, ERR_BAD_PROOF, "block %lld is of another set of validators than the one shown", (long long)h->height);
	const struct validator *producer = NULL;
	for (size_t i = 0; i < c->set_count; i++)
		if (str_equal(c->set[i].id, h->producer))
			producer = &c->set[i];
	if (!producer)
		return error_set(c->err, ERR_BAD_PROOF, "block %lld was made by %.*s, who was no validator", (long long)h->height, STR_ARG(h->producer));
	if (!str_present(signature) || !ed25519_signature_from_text(signature, KEY_WRITTEN, &sig, &why) ||
	    !ed25519_public_from_text(producer->public_key, KEY_WRITTEN, &public_key, &why) || !ed25519_verify_message(&sig, &public_key, text))
		return error_set(c->err, ERR_BAD_PROOF, "block %lld is not signed by %.*s", (long long)h->height, STR_ARG(h->producer));
	*key = producer->public_key;
	return true;
}

/* Does the item show its entry, or that there is none, under the root? */
static bool check_state(struct check *c, const struct proof_state *item, const struct hash *root)
{
	const struct str *siblings = item->siblings.items;
	struct merkle_map_proof p = {.count = item->siblings.count, .has_other = item->other != NULL};
	struct merkle_map_entry e;
	bool read = item->siblings.count <= MERKLE_MAP_DEPTH;
	for (size_t i = 0; read && i < item->siblings.count; i++)
		read = hash_from_text(siblings[i], &p.siblings[i]);
	if (read && item->other)
		read = hash_from_text(item->other->path, &p.other.path) && hash_from_text(item->other->value_hash, &p.other.value_hash);
	if (!read || (item->other && str_present(item->value)))
		return bad(c, "a state item is malformed");
	merkle_map_entry(&e, item->key, str_present(item->value) ? item->value : STR_LIT(""));
	bool shown = str_present(item->value) ? merkle_map_verify_present(root, &e, &p) : merkle_map_verify_absent(root, &e.path, &p);
	return shown || error_set(c->err, ERR_BAD_PROOF, "the state item %.*s does not lead to the state's root", (int)(item->key.n < 80 ? item->key.n : 80),
				  item->key.p);
}

/* The new set of a step: in order, each shown to be in the state, with exactly this value. */
static bool read_set(struct check *c, const struct proof_step *step, const struct hash *root, struct validator **out)
{
	const struct ledger_validator *given = step->validators.items;
	const struct proof_state *proofs = step->proofs.items;
	size_t n = step->validators.count;
	struct validator *set = arena_zalloc(c->arena, n, sizeof *set);
	struct buf value = {0};
	bool ok = (n > 0 && step->proofs.count == n) || bad(c, "a step needs validators, and a state item for each");
	for (size_t i = 0; ok && i < n; i++) {
		set[i] = (struct validator){given[i].id, given[i].public_key, given[i].power};
		buf_clear(&value);
		validator_write(&value, &set[i]);
		struct str key = arena_printf(c->arena, "validator:%.*s", STR_ARG(set[i].id));
		if (i > 0 && str_compare(set[i - 1].id, set[i].id) >= 0)
			ok = bad(c, "the validators of a step are not in the order of their ids");
		else if (!str_equal(proofs[i].key, key) || !str_equal(proofs[i].value, buf_str(&value)))
			ok = bad(c, "a step's state item is about something else than its validator");
		else
			ok = check_state(c, &proofs[i], root);
	}
	buf_free(&value);
	*out = set;
	return ok;
}

/* Heights grow strictly, from above block 0 to below the proof's block. */
static bool take_steps(struct check *c, const struct proof *p, int64_t height)
{
	const struct proof_step *steps = p->validator_steps.items;
	int64_t reached = 0;
	for (size_t i = 0; i < p->validator_steps.count; i++) {
		struct block_header h;
		struct validator *set;
		struct str key;
		if (!read_header(c, steps[i].header, &h))
			return false;
		if (h.height <= reached || h.height >= height)
			return bad(c, "the steps are not in the order of their heights");
		if (!check_signed(c, steps[i].header, &h, steps[i].signature, &key) || !read_set(c, &steps[i], &h.state_root, &set))
			return false;
		reached = h.height;
		c->set = set;
		c->set_count = steps[i].validators.count;
	}
	return true;
}

/* Block 0 needs no signature: it follows from the genesis. */
static bool check_first(struct check *c, const struct proof *p)
{
	struct block_header expected;
	struct buf text = {0};
	if (str_present(p->signature) || p->validator_steps.count > 0 || p->transaction)
		return bad(c, "block 0 has no signature, no steps before it and no transactions");
	genesis_block_header(c->genesis, &expected);
	block_header_write(&text, &expected);
	bool same = str_equal(buf_str(&text), p->header);
	buf_free(&text);
	return same || bad(c, "this is not block 0 of this genesis");
}

static bool check_transaction(struct check *c, const struct proof_tx *t, const struct block_header *h)
{
	struct hash path[MERKLE_PATH_MAX], leaf;
	const struct str *items = t->path.items;
	struct block_tx tx = {.message = t->message};
	struct error why;
	bool read = t->path.count <= MERKLE_PATH_MAX && t->message.n > 0 && t->message.p[0] == '{' &&
		    ed25519_signature_from_text(t->signature, KEY_WRITTEN, &tx.signature, &why);
	for (size_t i = 0; read && i < t->path.count; i++)
		read = hash_from_text(items[i], &path[i]);
	if (!read)
		return bad(c, "the transaction is malformed");
	block_tx_leaf(&leaf, &tx);
	return merkle_inclusion_verify(&leaf, (uint64_t)t->index, (uint64_t)h->tx_count, path, t->path.count, &h->tx_root) ||
	       error_set(c->err, ERR_BAD_PROOF, "the transaction is not the one at %lld in block %lld", (long long)t->index, (long long)h->height);
}

bool ledger_proof_check(struct str text, const struct genesis *g, struct arena *arena, struct proof_finding *out, struct error *err)
{
	struct check c = {.genesis = g, .arena = arena, .err = err};
	struct validator *first;
	struct proof p;
	*out = (struct proof_finding){.key = STR_NONE, .value = STR_NONE, .message = STR_NONE, .producer_key = STR_NONE};
	if (!proof_read(text, arena, &p, err) || !read_header(&c, p.header, &out->header))
		return false;
	genesis_validators(g, arena, &first, &c.set_count);
	c.set = first;
	if (out->header.height == 0 ? !check_first(&c, &p)
				    : !take_steps(&c, &p, out->header.height) ||
					      !check_signed(&c, p.header, &out->header, p.signature, &out->producer_key))
		return false;
	sha256(&out->block_hash, p.header.p, p.header.n);
	if (p.transaction) {
		out->shows = PROOF_TRANSACTION;
		out->index = p.transaction->index;
		out->message = p.transaction->message;
		sha256(&out->tx_id, p.transaction->message.p, p.transaction->message.n);
		return check_transaction(&c, p.transaction, &out->header);
	}
	out->shows = str_present(p.state->value) ? PROOF_PRESENT : PROOF_ABSENT;
	out->key = p.state->key;
	out->value = p.state->value;
	return check_state(&c, p.state, &out->header.state_root);
}
