#include "chain_rules.h"

#include <stdio.h>

#include "base/log.h"
#include "chain_records.h"
#include "crypto/canonical_read.h"

static bool verify_now(void *ctx, struct chain_place at, const struct ed25519_signature *s, const struct ed25519_public *key, const struct hash *digest)
{
	(void)ctx;
	(void)at;
	return ed25519_verify_bytes(s, key, str_of((const char *)digest->b, HASH_SIZE));
}

const struct chain_verifier chain_verifier_strict = {verify_now, NULL};

/* ---- What every transaction has to pass ---- */

/* Who signs, and with which key: `unknown_user`. */
static bool find_signer(struct step *s, struct user_record *signer, struct str *key)
{
	struct str from = tx_from(s->t);
	if (s->t->type == TX_USER_CREATION) {
		char id[USER_ID_LEN + 1];
		*signer = (struct user_record){.role = STR_LIT("\"user\"")};
		*key = tx_text(s->t, TXF_PUBLIC_KEY);
		user_id_of(s->rules->chain_id, *key, id);
		return str_is(from, id) || step_refuse(s, ERR_UNKNOWN_USER, "from must be %s, the id that this key gives", id);
	}
	if (!step_user(s, from, signer))
		return false;
	if (!str_present(signer->id))
		return step_refuse(s, ERR_UNKNOWN_USER, "there is no user %.*s", STR_ARG(from));
	struct chain_key k;
	return canonical_read_plain(signer->public_key, key) || step_corrupt(s, chain_key(&k, "user", from, STR_NONE, STR_NONE));
}

static bool signed_by(struct step *s, struct str key_text, const struct ed25519_signature *signature)
{
	struct ed25519_public key;
	struct error why;
	if (ed25519_public_from_text(key_text, KEY_WRITTEN, &key, &why) &&
	    s->rules->verifier.check(s->rules->verifier.ctx, s->rules->at, signature, &key, &s->t->id))
		return true;
	return step_refuse(s, ERR_BAD_SIGNATURE, "the signature is not that of %.*s's present key", STR_ARG(tx_from(s->t)));
}

/* How far behind the next nonce it may be: 0 for one that is to be applied now. */
static bool nonce_fits(struct step *s, struct chain_key *k, int64_t ahead)
{
	struct str value;
	int64_t last = -1;
	if (!step_get(s, chain_key(k, "nonce", tx_from(s->t), STR_NONE, STR_NONE), &value))
		return false;
	if (str_present(value) && !canonical_read_int(value, &last))
		return step_corrupt(s, k->s);
	if (s->t->type == TX_USER_CREATION)
		return s->t->nonce == 0 || step_refuse(s, ERR_BAD_NONCE, "a user begins with nonce 0");
	return (s->t->nonce > last && s->t->nonce - last - 1 <= ahead) ||
	       step_refuse(s, ERR_BAD_NONCE, "the next nonce of %.*s is %lld, not %lld", STR_ARG(tx_from(s->t)), (long long)last + 1, (long long)s->t->nonce);
}

static bool in_time(struct step *s)
{
	int64_t age = s->time - s->t->timestamp;
	return (age <= s->rules->params.timestamp_window_ms && age >= -CHAIN_SKEW_MS) ||
	       step_refuse(s, ERR_EXPIRED, "the timestamp lies %lld ms %s the block's", (long long)(age < 0 ? -age : age), age < 0 ? "after" : "before");
}

static bool check_head(struct step *s, const struct ed25519_signature *signature, int64_t ahead, struct user_record *signer, struct chain_key *nonce)
{
	struct str key = STR_NONE;
	if (!str_equal(tx_text(s->t, TXF_CHAIN_ID), s->rules->chain_id))
		return step_refuse(s, ERR_BAD_CHAIN, "this chain is %.*s", STR_ARG(s->rules->chain_id));
	return find_signer(s, signer, &key) && signed_by(s, key, signature) && nonce_fits(s, nonce, ahead) && in_time(s);
}

/* ---- Roles ---- */

enum role_needed { ANY_USER, STAFF, SOVEREIGN };
static enum role_needed role_needed(enum tx_type type)
{
	switch (type) {
	case TX_USER_CREATION:
	case TX_USER_UPDATE:
	case TX_KEY_ROTATION:
	case TX_TRANSFER:
	case TX_DEPOSIT:
	case TX_WITHDRAW:
	case TX_CONTENT_PUBLISH:
	case TX_CONTENT_RETRACT:
	case TX_STAKE:
	case TX_UNSTAKE:
		return ANY_USER;
	case TX_DEPOSIT_CONFIRMATION:
	case TX_WITHDRAWAL_CONFIRMATION:
		return STAFF;
	case TX_BALANCE_ADJUSTMENT:
	case TX_CURRENCY_CREATION:
	case TX_ROLE_CHANGE:
	case TX_SOVEREIGNTY_TRANSFER:
	case TX_VALIDATOR_UPDATE:
		return SOVEREIGN;
	case TX_TYPE_COUNT:
		break;
	}
	fatal("transaction type %d", (int)type);
}

static bool allowed(struct step *s, const struct user_record *signer)
{
	enum role_needed needed = role_needed(s->t->type);
	if (needed == ANY_USER || user_is(signer, "sovereign") || (needed == STAFF && user_is(signer, "staff")))
		return true;
	return step_refuse(s, ERR_TX_NOT_ALLOWED, "a %s is for %s", tx_type_row(s->t->type)->name, needed == STAFF ? "staff" : "the sovereign");
}

static bool apply_type(struct step *s)
{
	switch (s->t->type) {
	case TX_USER_CREATION:
		return apply_user_creation(s);
	case TX_USER_UPDATE:
		return apply_user_update(s);
	case TX_KEY_ROTATION:
		return apply_key_rotation(s);
	case TX_TRANSFER:
		return apply_transfer(s);
	case TX_DEPOSIT:
		return apply_deposit(s);
	case TX_DEPOSIT_CONFIRMATION:
		return apply_confirmation(s, "deposit");
	case TX_WITHDRAW:
		return apply_withdraw(s);
	case TX_WITHDRAWAL_CONFIRMATION:
		return apply_confirmation(s, "withdraw");
	case TX_BALANCE_ADJUSTMENT:
		return apply_adjustment(s);
	case TX_CURRENCY_CREATION:
		return apply_currency(s);
	case TX_ROLE_CHANGE:
		return apply_role_change(s);
	case TX_SOVEREIGNTY_TRANSFER:
		return apply_sovereignty(s);
	case TX_CONTENT_PUBLISH:
		return apply_publish(s);
	case TX_CONTENT_RETRACT:
		return apply_retract(s);
	case TX_STAKE:
		return apply_stake(s);
	case TX_UNSTAKE:
		return apply_unstake(s);
	case TX_VALIDATOR_UPDATE:
		return apply_validator(s);
	case TX_TYPE_COUNT:
		break;
	}
	fatal("transaction type %d", (int)s->t->type);
}

enum chain_verdict chain_apply(const struct chain_rules *rules, struct chain_view *v, const struct tx *t, const struct ed25519_signature *signature,
			       int64_t block_time, struct error *err)
{
	struct step s = {.rules = rules, .v = v, .t = t, .time = block_time, .err = err};
	struct user_record signer;
	struct chain_key nonce = {.s = STR_NONE};
	if (!check_head(&s, signature, 0, &signer, &nonce) || !allowed(&s, &signer) || !apply_type(&s))
		return s.failed ? CHAIN_FAILED : CHAIN_REFUSED;
	char text[24];
	chain_view_put(v, nonce.s, str_of(text, (size_t)snprintf(text, sizeof text, "%lld", (long long)t->nonce)));
	return CHAIN_APPLIED;
}

enum chain_verdict chain_may_wait(const struct chain_rules *rules, struct chain_view *v, const struct tx *t, const struct ed25519_signature *signature,
				  int64_t block_time, int64_t ahead, struct error *err)
{
	struct step s = {.rules = rules, .v = v, .t = t, .time = block_time, .err = err};
	struct user_record signer;
	struct chain_key nonce;
	if (check_head(&s, signature, ahead, &signer, &nonce))
		return CHAIN_APPLIED;
	return s.failed ? CHAIN_FAILED : CHAIN_REFUSED;
}

/* ---- Which entries it is about ---- */

size_t chain_keys_of(const struct tx *t, struct arena *arena, struct str keys[CHAIN_KEYS_MAX])
{
	struct chain_key k;
	size_t n = 0;
	struct str from = tx_from(t), to = tx_text(t, TXF_TO), code = tx_text(t, TXF_CURRENCY_CODE), hash = tx_text(t, TXF_HASH);
	struct str validator = tx_text(t, TXF_VALIDATOR_ID);
#define KEY(kind, a, b, c) keys[n++] = arena_copy(arena, chain_key(&k, kind, a, b, c))
	KEY("user", from, STR_NONE, STR_NONE);
	KEY("nonce", from, STR_NONE, STR_NONE);
	if (str_present(to))
		KEY("user", to, STR_NONE, STR_NONE);
	if (str_present(code)) {
		KEY("currency", code, STR_NONE, STR_NONE);
		KEY("balance", t->type == TX_BALANCE_ADJUSTMENT ? to : from, code, STR_NONE);
		if (t->type == TX_TRANSFER)
			KEY("balance", to, code, STR_NONE);
		if (t->type == TX_WITHDRAW)
			KEY("held", from, code, STR_NONE);
		if (t->type == TX_BALANCE_ADJUSTMENT)
			KEY("supply", code, STR_NONE, STR_NONE);
		if (str_present(validator))
			KEY("stake", validator, from, code);
	}
	if (str_present(validator))
		KEY("validator", validator, STR_NONE, STR_NONE);
	if (str_present(tx_text(t, TXF_REQUEST_ID)))
		KEY("request", tx_text(t, TXF_REQUEST_ID), STR_NONE, STR_NONE);
	if (str_present(hash))
		KEY("content", hash, from, STR_NONE);
	if (str_present(tx_text(t, TXF_USERNAME)))
		KEY("username", tx_text(t, TXF_USERNAME), STR_NONE, STR_NONE);
	if (str_present(tx_text(t, TXF_PUBLIC_KEY)))
		KEY("key", tx_text(t, TXF_PUBLIC_KEY), STR_NONE, STR_NONE);
#undef KEY
	invariant(n <= CHAIN_KEYS_MAX);
	return n;
}
