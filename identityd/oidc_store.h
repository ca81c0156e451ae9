/*
 * What the OpenID Provider keeps, in SQL. Codes, tokens, device codes and user codes are here as their SHA-256 alone. Each thing that counts
 * once is used up by one conditional update: *won says whether this very call did it. Texts are copied into the arena given.
 */
#ifndef TANA_IDENTITYD_OIDC_STORE_H
#define TANA_IDENTITYD_OIDC_STORE_H

#include "db/db.h"
#include "oidc_rules.h"

/* ---- grants and what comes of them ---- */

MUST_CHECK enum db_status oidc_grant_insert(struct db_conn *c, const struct grant_row *g, int64_t now, struct error *err);
/* Ends the grant and with it every token of it; harmless when that was done. */
MUST_CHECK enum db_status oidc_grant_revoke(struct db_conn *c, struct str grant_id, int64_t now, struct error *err);
/* All grants of a user, when they log out everywhere. */
MUST_CHECK enum db_status oidc_grants_revoke_of(struct db_conn *c, struct str user_id, int64_t now, struct error *err);
/* What the user is now: a refresh tells it anew. */
MUST_CHECK enum db_status oidc_grant_set_role(struct db_conn *c, struct str grant_id, struct str role, struct error *err);

MUST_CHECK enum db_status oidc_code_insert(struct db_conn *c, const struct hash *code, struct str grant_id, struct str redirect_uri, struct str challenge,
					   int64_t expires_at, struct error *err);
MUST_CHECK enum db_status oidc_code_read(struct db_conn *c, const struct hash *code, int64_t now, struct arena *arena, struct code_row *out, bool *found,
					 struct error *err);
MUST_CHECK enum db_status oidc_code_use(struct db_conn *c, const struct hash *code, int64_t now, bool *won, struct error *err);

enum oidc_token_kind { OIDC_ACCESS, OIDC_REFRESH };
struct oidc_token_row {
	struct hash hash;
	enum oidc_token_kind kind;
	struct grant_row grant; /* when writing: its id alone */
	unsigned scopes;        /* may be fewer than the grant's */
	int64_t created_at, expires_at, used_at;
};
MUST_CHECK enum db_status oidc_token_insert(struct db_conn *c, const struct oidc_token_row *t, struct error *err);
MUST_CHECK enum db_status oidc_token_read(struct db_conn *c, const struct hash *token, int64_t now, struct arena *arena, struct oidc_token_row *out, bool *found,
					  struct error *err);
MUST_CHECK enum db_status oidc_refresh_use(struct db_conn *c, const struct hash *token, int64_t now, bool *won, struct error *err);
MUST_CHECK enum db_status oidc_token_delete(struct db_conn *c, const struct hash *token, struct error *err);

/* ---- devices ---- */

/* *won false: the user code is in use. */
MUST_CHECK enum db_status oidc_device_insert(struct db_conn *c, const struct device_row *d, const struct hash *user_code, struct str ip, int64_t now, bool *won,
					     struct error *err);
/* How many wait: all of them, and those that asked from this address. */
MUST_CHECK enum db_status oidc_devices_count(struct db_conn *c, struct str ip, int64_t now, int64_t *all, int64_t *from_ip, struct error *err);
MUST_CHECK enum db_status oidc_device_read(struct db_conn *c, const struct hash *code, int64_t now, struct arena *arena, struct device_row *out, bool *found,
					   struct error *err);
/* One that waits for a decision; *ip: where it asked from. */
MUST_CHECK enum db_status oidc_device_by_user_code(struct db_conn *c, const struct hash *user_code, int64_t now, struct arena *arena, struct device_row *out,
						   struct str *ip, bool *found, struct error *err);
MUST_CHECK enum db_status oidc_device_polled(struct db_conn *c, const struct hash *code, int64_t interval_ms, int64_t now, struct error *err);
/* Approved with a grant, or denied (grant_id absent). */
MUST_CHECK enum db_status oidc_device_decide(struct db_conn *c, const struct hash *code, struct str grant_id, int64_t now, bool *won, struct error *err);
MUST_CHECK enum db_status oidc_device_use(struct db_conn *c, const struct hash *code, bool *won, struct error *err);
/* The tries of this user at user codes, locked until the transaction ends; and written. */
MUST_CHECK enum db_status oidc_tries_lock(struct db_conn *c, struct str user_id, struct user_code_tries *out, struct error *err);
MUST_CHECK enum db_status oidc_tries_write(struct db_conn *c, struct str user_id, const struct user_code_tries *t, struct error *err);

/* ---- what users have agreed to ---- */

MUST_CHECK enum db_status oidc_consent_read(struct db_conn *c, struct str user_id, struct str client_id, unsigned *scopes, struct error *err);
MUST_CHECK enum db_status oidc_consent_add(struct db_conn *c, struct str user_id, struct str client_id, unsigned scopes, int64_t now, struct error *err);

/* ---- what proxies show ---- */

MUST_CHECK enum db_status oidc_forward_insert(struct db_conn *c, const struct hash *forward, const struct hash *login, int64_t expires_at, struct error *err);
/* The login that it stands for, whether or not that one counts. */
MUST_CHECK enum db_status oidc_forward_read(struct db_conn *c, const struct hash *forward, struct hash *login, bool *found, struct error *err);

/* ---- public keys, of all instances ---- */

struct oidc_key_row {
	struct str kid, jwk; /* the public key as a JWK, without private members */
	int64_t expires_at;  /* when it leaves the set */
};
MUST_CHECK enum db_status oidc_key_insert(struct db_conn *c, const struct oidc_key_row *k, struct error *err);
typedef void oidc_key_fn(void *ctx, const struct oidc_key_row *k);
MUST_CHECK enum db_status oidc_keys_each(struct db_conn *c, int64_t now, oidc_key_fn *fn, void *ctx, struct error *err);
MUST_CHECK enum db_status oidc_key_read(struct db_conn *c, struct str kid, int64_t now, struct arena *arena, struct str *jwk, struct error *err);

/* Forgets what has been over for a day (tokens, codes, devices) and grants nothing of which is left. */
MUST_CHECK enum db_status oidc_purge(struct db_conn *c, int64_t now, struct error *err);

#endif
