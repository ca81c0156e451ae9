/* Proof files, made on demand. */
#include "api.h"
#include "core.h"
#include "ledger_proof.h"
#include "wire/ledger.h"
#include "wire/proof.h"

static struct http_reply *prove_transaction(struct http_request *r, struct db_conn *c)
{
	const struct hash *id = http_state(r);
	struct buf body = {0};
	struct error err;
	bool found;
	if (proof_of_tx(c, id, http_arena(r), &body, &found, &err) != DB_OK)
		return http_reply_error(r, &err);
	return found ? http_reply_bytes(r, 200, NULL, &body)
		     : http_reply_error_code(r, ERR_UNKNOWN_TRANSACTION, "no block has the transaction %.*s", STR_ARG(http_path_arg(r, 0)));
}

struct http_reply *api_proof_transaction(struct http_request *r)
{
	struct hash *id = arena_alloc(http_arena(r), sizeof *id);
	if (!hash_from_text(http_path_arg(r, 0), id))
		return http_reply_error_code(r, ERR_MALFORMED_HASH, "a transaction is named by its id: 64 lower-case hex digits");
	http_set_state(r, id);
	return api_on_thread(r, prove_transaction);
}

enum { TRIES = 20 /* while blocks come in between */ };

static struct http_reply *prove_state(struct http_request *r, struct db_conn *c)
{
	const struct ledger *l = http_ctx(r);
	struct str key = http_path_arg(r, 0);
	struct merkle_map_proof *p = arena_alloc(http_arena(r), sizeof *p);
	struct buf body = {0};
	struct core_tip tip;
	struct hash path;
	struct error err;
	sha256(&path, key.p, key.n);
	for (int i = 0; i < TRIES; i++) {
		bool present, fits;
		if (!core_prove(l->core, &path, p, &present, &tip, &err) ||
		    proof_of_state(c, key, p, present, tip.height, http_arena(r), &body, &fits, &err) != DB_OK)
			return http_reply_error(r, &err);
		if (fits)
			return http_reply_bytes(r, 200, NULL, &body);
	}
	return http_reply_error_code(r, ERR_UNAVAILABLE, "the entry changed each time while it was being proven; ask again");
}

struct http_reply *api_proof_state(struct http_request *r)
{
	if (http_path_arg(r, 0).n > PROOF_KEY_MAX)
		return http_reply_error_code(r, ERR_MALFORMED_PARAMETER, "no state entry has a key of more than %d bytes", PROOF_KEY_MAX);
	return api_on_thread(r, prove_state);
}
