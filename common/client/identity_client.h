/*
 * Calls of the identity service, as a desktop and as a phone make them. One client is one thread's. Failures are the service's refusals, by their codes, and those of
 * http/client.h. Texts of answers go into the arena.
 */
#ifndef TANA_CLIENT_IDENTITY_CLIENT_H
#define TANA_CLIENT_IDENTITY_CLIENT_H

#include "crypto/ed25519.h"
#include "wire/identity.h"

struct identity_client;
struct identity_client_options {
	const char *base_url, *user_agent;
	int64_t timeout_ms;
	const volatile int *stop; /* ERR_INTERRUPTED; may be NULL */
};
/* ERR_CONFIG when base_url is none. The strings are copied. */
MUST_CHECK struct identity_client *identity_client_new(const struct identity_client_options *o, struct error *err);
void identity_client_free(struct identity_client *c); /* NULL is allowed */

/* The desktop. */
MUST_CHECK bool identity_client_create(struct identity_client *c, const struct identity_create *ask, struct arena *arena, struct identity_created *out,
				       struct error *err);
MUST_CHECK bool identity_client_session(struct identity_client *c, struct str session_id, struct str poll_secret, struct arena *arena,
					struct identity_session *out, struct error *err);
MUST_CHECK bool identity_client_verify(struct identity_client *c, struct str token, struct arena *arena, struct identity_verified *out, struct error *err);
/* `all`: every token of the user. *count may be NULL. */
MUST_CHECK bool identity_client_revoke(struct identity_client *c, struct str token, bool all, int64_t *count, struct error *err);
MUST_CHECK bool identity_client_tokens(struct identity_client *c, struct str token, struct arena *arena, struct identity_tokens *out, struct error *err);

/* The phone. */
MUST_CHECK bool identity_client_scan(struct identity_client *c, struct str session_id, struct arena *arena, struct identity_scanned *out, struct error *err);
/* Signs the statement and hands it in. match_code < 0: none. */
MUST_CHECK bool identity_client_approve(struct identity_client *c, const struct identity_statement *statement, const struct ed25519_secret *key,
					int64_t match_code, struct arena *arena, struct identity_approved *out, struct error *err);
MUST_CHECK bool identity_client_reject(struct identity_client *c, struct str session_id, struct str reason, struct error *err);

#endif
