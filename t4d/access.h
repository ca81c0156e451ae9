/*
 * Who may change what is stored. A service auth token says who calls (wire/sat.h); what it may do is decided here: services of the own
 * node whatever their token's scopes say, services of other nodes only what an --allow grants them besides. Fixed after start, so
 * thread-safe.
 */
#ifndef TANA_T4D_ACCESS_H
#define TANA_T4D_ACCESS_H

#include "wire/sat.h"

enum { ACCESS_SCOPES = 3 };
extern const char *const access_scopes[ACCESS_SCOPES]; /* content:put ... */

struct access;
/* For the receiver <node_id>/t4; key and ctx as for sat_check. node_id is copied. */
struct access *access_new(struct str node_id, sat_key_fn *key, void *ctx);
void access_free(struct access *a); /* NULL is allowed */
/* "<nodeId>/<service>=<scope>[,<scope>]...". ERR_CONFIG. */
MUST_CHECK bool access_allow(struct access *a, const char *text, struct error *err);
/*
 * Judges the value of an Authorization header (absent: there was none) at now_s, the seconds since the epoch. ERR_UNAUTHENTICATED, and
 * those of sat_check: 401; ERR_SCOPE_MISSING, ERR_NOT_ALLOWED: 403. *out in the arena's care; whether it is bound to some content is the
 * caller's question.
 */
MUST_CHECK bool access_check(const struct access *a, struct str authorization, const char *scope, int64_t now_s, struct sat *out,
			     struct arena *arena, struct error *err);

#endif
