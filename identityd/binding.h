/*
 * Whose key is it? The ledger says so now, a file does, whoever came first (session_store.h: first_key), or nobody. See enum key_binding.
 */
#ifndef TANA_IDENTITYD_BINDING_H
#define TANA_IDENTITYD_BINDING_H

#include "identity.h"
#include "session_rules.h"

struct binding;
/* Reads the users' file (BIND_FILE); the ledger is asked first when it is needed. ERR_CONFIG. */
MUST_CHECK struct binding *binding_open(const struct identity_config *c, struct error *err);
void binding_close(struct binding *b); /* NULL is allowed */
/* BIND_FILE: reads the file again; one that is wrong changes nothing. */
MUST_CHECK bool binding_reload(struct binding *b, struct error *err);

/* Does binding_owner wait for another service? Then it is not for a request's own thread. */
bool binding_waits(const struct binding *b);
/*
 * BIND_LEDGER, BIND_FILE: the user of this id; texts absent when there is none (which is not an error). ERR_UNAVAILABLE when the ledger does
 * not answer. Thread-safe.
 */
MUST_CHECK bool binding_owner(struct binding *b, struct str user_id, struct arena *arena, struct key_owner *out, struct error *err);
/* For /ready: does the ledger answer? Cheap: what was seen in the last seconds counts. */
MUST_CHECK bool binding_ready(struct binding *b, struct error *err);

#endif
