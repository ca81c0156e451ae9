/*
 * The OpenID Provider: what its handlers share. Read oidc_rules.h for what it allows, oidc_keys.h for who signs, oidc_store.h for what is kept.
 *
 * An application sends the browser to /oauth2/authorize. Who is at the browser, login.h knows; if nobody is, the answer is the login page,
 * which leads back to the very same address. Then, unless the user has agreed to it before, comes the question whether the application may
 * know who this is; then the browser goes back to the application with a code, for which it gets tokens at /oauth2/token.
 *
 * Access tokens, refresh tokens and codes are random texts, and the database has their hashes; only ID tokens are signed.
 */
#ifndef TANA_IDENTITYD_OIDC_H
#define TANA_IDENTITYD_OIDC_H

#include "identity.h"
#include "oidc_keys.h"
#include "oidc_rules.h"

/* Reads the options, and the clients' file to see whether it is right. Opens nothing. */
MUST_CHECK bool oidc_configure(const struct invocation *in, struct oidc_config *out, struct error *err);
MUST_CHECK struct oidc *oidc_open(const struct oidc_config *c, struct db_pool *pool, struct error *err);
/* Begins the upkeep: keys rotate, what is over is forgotten. */
void oidc_serve(struct oidc *o);
/* Reads the clients' file again; one that is wrong changes nothing. */
MUST_CHECK bool oidc_reload(struct oidc *o, struct error *err);
void oidc_quiesce(struct oidc *o); /* ends the upkeep */
void oidc_close(struct oidc *o);   /* both: NULL is allowed */

const struct oidc_config *oidc_config_of(const struct oidc *o);
/* NULL: not known. Valid for as long as a request can last, also when the file is read again meanwhile. */
const struct oidc_client *oidc_client_find(struct oidc *o, struct str id);
/* Is it the origin of a redirect URI of some client? As url_origin writes it. */
bool oidc_origin_registered(struct oidc *o, struct str origin);
/* NULL: there are no clients. */
struct oidc_keys *oidc_keys_of(struct oidc *o);
size_t oidc_client_count(struct oidc *o);

#endif
