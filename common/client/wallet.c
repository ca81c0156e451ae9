#include "client/wallet.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"

enum { PAUSE_MS = 50 /* how often a sleeper looks at `stop` */, RETRY_MS = 200, RETRY_MAX_MS = 2000 };

struct wallet_order wallet_order(enum tx_type type)
{
	struct wallet_order o = {.type = type};
	for (size_t i = 0; i < TXF_COUNT; i++)
		o.value[i] = STR_NONE;
	return o;
}

static struct str key_text(struct arena *arena, const struct ed25519_public *k)
{
	char text[ED25519_PUBLIC_TEXT_LEN + 1];
	ed25519_public_to_text(k, text);
	return arena_copy(arena, str_from(text));
}

static struct str sign_text(struct arena *arena, const struct ed25519_secret *key, const struct buf *message)
{
	struct ed25519_signature s;
	char text[ED25519_SIGNATURE_TEXT_LEN + 1];
	ed25519_sign_message(&s, key, buf_str(message));
	ed25519_signature_to_text(&s, text);
	return arena_copy(arena, str_from(text));
}

/* ---- Making and signing ---- */

/* The fields that follow from others. */
static void complete(const struct wallet *w, const struct wallet_order *o, int64_t nonce, int64_t timestamp, struct arena *arena,
		     struct str value[TXF_COUNT])
{
	struct buf text = {0};
	char id[USER_ID_LEN + 1];
	memcpy(value, o->value, TXF_COUNT * sizeof value[0]);
	value[TXF_TYPE] = str_from(tx_type_row(o->type)->name);
	value[TXF_CHAIN_ID] = w->chain_id;
	value[TXF_FROM] = w->user_id;
	value[TXF_NONCE] = arena_printf(arena, "%lld", (long long)nonce);
	value[TXF_TIMESTAMP] = arena_printf(arena, "%lld", (long long)timestamp);
	if (o->type == TX_USER_CREATION) {
		value[TXF_PUBLIC_KEY] = key_text(arena, &w->key->public_key);
		user_id_of(w->chain_id, value[TXF_PUBLIC_KEY], id);
		value[TXF_FROM] = arena_copy(arena, str_from(id));
	} else if (o->type == TX_KEY_ROTATION) {
		invariant(o->new_key);
		value[TXF_PUBLIC_KEY] = key_text(arena, &o->new_key->public_key);
		tx_rotation_text(&text, w->chain_id, w->user_id, nonce, value[TXF_PUBLIC_KEY]);
		value[TXF_PROOF] = sign_text(arena, o->new_key, &text);
	}
	buf_free(&text);
}

bool wallet_sign(const struct wallet *w, const struct wallet_order *o, int64_t nonce, int64_t timestamp, struct arena *arena,
		 struct wallet_signed *out, struct error *err)
{
	struct str value[TXF_COUNT];
	struct buf message = {0};
	struct tx parsed;
	invariant(w->key && str_present(w->chain_id));
	complete(w, o, nonce, timestamp, arena, value);
	tx_write(&message, value);
	struct str text = arena_copy(arena, buf_str(&message));
	buf_free(&message);
	if (!tx_parse(text, TX_BYTES_DEFAULT, arena, &parsed, err))
		return false;
	*out = (struct wallet_signed){.message = text, .id = parsed.id, .nonce = nonce};
	ed25519_sign_message(&out->signature, w->key, text);
	return true;
}

/* ---- Handing in ---- */

/* False: interrupted. */
static bool pause_for(const struct wallet *w, int64_t ms)
{
	int64_t until = clock_mono_ms() + ms;
	for (int64_t left = ms; left > 0; left = until - clock_mono_ms()) {
		if (w->stop && *w->stop)
			return false;
		struct timespec t = {0, (left < PAUSE_MS ? left : PAUSE_MS) * 1000000};
		nanosleep(&t, NULL);
	}
	return !(w->stop && *w->stop);
}

/* Does it make sense to hand in the same bytes again? */
static bool passes(enum error_code code)
{
	return code == ERR_UNREACHABLE || code == ERR_TIMED_OUT || code == ERR_UNAVAILABLE || code == ERR_OVERLOADED || code == ERR_SHUTTING_DOWN ||
	       code == ERR_RATE_LIMITED;
}

bool wallet_submit(const struct wallet *w, const struct wallet_signed *s, struct arena *arena, struct ledger_receipt *out, struct error *err)
{
	int64_t until = clock_mono_ms() + WALLET_SEND_PATIENCE_MS, wait = RETRY_MS;
	invariant(w->ledger);
	for (;;) {
		if (ledger_client_submit(w->ledger, s->message, &s->signature, arena, out, err))
			return true;
		if (!passes(err->code) || clock_mono_ms() + wait >= until)
			return false;
		if (!pause_for(w, wait))
			return error_set(err, ERR_INTERRUPTED, "Interrupted while the ledger was busy.");
		wait = 2 * wait < RETRY_MAX_MS ? 2 * wait : RETRY_MAX_MS;
	}
}

bool wallet_send(const struct wallet *w, const struct wallet_order *o, struct arena *arena, struct wallet_signed *sent, struct error *err)
{
	struct ledger_receipt receipt;
	for (int attempt = 1;; attempt++) {
		struct ledger_nonce nonce = {0, 0};
		if (o->type != TX_USER_CREATION && !ledger_client_nonce(w->ledger, w->user_id, arena, &nonce, err))
			return false;
		if (!wallet_sign(w, o, nonce.next_nonce, clock_wall_ms(), arena, sent, err))
			return false;
		if (wallet_submit(w, sent, arena, &receipt, err))
			return true;
		if (err->code == ERR_EXPIRED && !err->hint[0])
			error_hint(err, "compare this machine's clock with the ledger's: tana doctor");
		if (err->code != ERR_BAD_NONCE || o->type == TX_USER_CREATION || attempt == WALLET_NONCE_ATTEMPTS)
			return false;
		if (!pause_for(w, attempt * (int64_t)(PAUSE_MS / 2)))
			return error_set(err, ERR_INTERRUPTED, "Interrupted before the transaction was handed in.");
	}
}

/* ---- Waiting ---- */

/* One question; what it answers is kept only when the waiting has an end. */
static bool ask(const struct wallet *w, const struct hash *id, struct arena *arena, struct ledger_tx *out, struct error *err)
{
	struct arena passing;
	struct ledger_tx t;
	arena_init(&passing);
	bool ok = ledger_client_tx(w->ledger, id, &passing, &t, err);
	if (ok && str_is(t.status, TX_STATUS_QUEUED))
		*out = (struct ledger_tx){.status = STR_LIT(TX_STATUS_QUEUED)};
	else if (ok)
		*out = (struct ledger_tx){.id = arena_copy(arena, t.id), .status = arena_copy(arena, t.status), .height = t.height, .index = t.index,
					  .code = arena_copy(arena, t.code), .error = arena_copy(arena, t.error),
					  .message = arena_copy(arena, t.message), .signature = arena_copy(arena, t.signature)};
	arena_free(&passing);
	return ok;
}

bool wallet_wait(const struct wallet *w, const struct hash *id, int64_t timeout_ms, struct arena *arena, struct ledger_tx *out, struct error *err)
{
	int64_t until = clock_mono_ms() + timeout_ms, wait = WALLET_POLL_MS;
	for (;;) {
		bool asked = ask(w, id, arena, out, err);
		if (!asked && !passes(err->code))
			return false;
		if (asked && !str_is(out->status, TX_STATUS_QUEUED))
			return true;
		int64_t left = until - clock_mono_ms();
		if (left <= 0 && !asked)
			return false;
		if (left <= 0) {
			char text[HASH_TEXT_LEN + 1];
			hash_to_text(id, text);
			error_set(err, ERR_TIMED_OUT, "The transaction still waits for a block after %lld ms; it is not lost.", (long long)timeout_ms);
			return error_hint(err, "tana tx show %s", text);
		}
		if (!pause_for(w, wait < left ? wait : left))
			return error_set(err, ERR_INTERRUPTED, "Interrupted while the transaction waited for a block.");
		wait = 2 * wait < WALLET_POLL_MAX_MS ? 2 * wait : WALLET_POLL_MAX_MS;
	}
}

bool wallet_refused(const struct ledger_tx *t, struct error *err)
{
	char text[64];
	enum error_code code = ERR_REFUSED;
	if (str_present(t->code) && t->code.n < sizeof text) {
		memcpy(text, t->code.p, t->code.n);
		text[t->code.n] = '\0';
		if (!error_code_from_text(text, &code))
			code = ERR_REFUSED;
	}
	return error_set(err, code, "The transaction was refused when its turn came: %.*s",
			 STR_ARG(str_present(t->error) ? t->error : STR_LIT("the ledger does not say why")));
}

/* ---- Beside transactions ---- */

void wallet_approve(const struct wallet *w, struct wallet_order *creation, const struct ed25519_public *new_user, struct str username,
		    struct arena *arena)
{
	struct buf text = {0};
	tx_approval_text(&text, w->chain_id, w->user_id, key_text(arena, new_user), username);
	creation->value[TXF_APPROVAL_BY] = w->user_id;
	creation->value[TXF_APPROVAL_SIGNATURE] = sign_text(arena, w->key, &text);
	buf_free(&text);
}

bool wallet_grant(const struct wallet *w, const struct hash *hash, int64_t size, struct arena *arena, struct ledger_grant *out, struct error *err)
{
	char hash_text[HASH_TEXT_LEN + 1];
	struct buf text = {0};
	int64_t now = clock_wall_ms();
	hash_to_text(hash, hash_text);
	tx_grant_text(&text, w->chain_id, w->user_id, str_from(hash_text), size, now);
	struct ledger_grant_query q = {.user_id = w->user_id, .hash = str_from(hash_text), .size = size, .timestamp = now,
				       .signature = sign_text(arena, w->key, &text)};
	buf_free(&text);
	return ledger_client_grant(w->ledger, &q, arena, out, err);
}
