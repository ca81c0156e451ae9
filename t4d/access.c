#include "access.h"

#include <stdlib.h>
#include <strings.h>

#include "base/mem.h"
#include "wire/mesh.h"
#include "wire/sat_memory.h"
#include "wire/t4.h"

const char *const access_scopes[ACCESS_SCOPES] = {T4_SCOPE_PUT, T4_SCOPE_DELETE, T4_SCOPE_LIST};

struct grant {
	struct grant *next;
	struct str node_id, service;
	unsigned scopes; /* 1 << index in access_scopes */
};
struct access {
	struct arena arena;
	struct str node_id;
	sat_key_fn *key;
	void *ctx;
	struct grant *grants;
	struct sat_memory *memory;
};

struct access *access_new(struct str node_id, sat_key_fn *key, void *ctx)
{
	struct access *a = xcalloc(1, sizeof(*a));
	arena_init(&a->arena);
	a->node_id = arena_copy(&a->arena, node_id);
	a->key = key;
	a->ctx = ctx;
	a->memory = sat_memory_new();
	return a;
}

void access_free(struct access *a)
{
	if (!a)
		return;
	sat_memory_free(a->memory);
	arena_free(&a->arena);
	free(a);
}

/* ---- grants ---- */

static unsigned scope_bit(struct str scope)
{
	for (unsigned i = 0; i < ACCESS_SCOPES; i++)
		if (str_is(scope, access_scopes[i]))
			return 1U << i;
	return 0;
}

static bool read_scopes(struct str list, unsigned *out)
{
	const char *p = list.p, *end = list.p + list.n;
	*out = 0;
	while (p < end) {
		const char *q = p;
		while (q < end && *q != ',' && *q != ' ')
			q++;
		unsigned bit = scope_bit(str_of(p, (size_t)(q - p)));
		if (bit == 0)
			return false;
		*out |= bit;
		p = q < end ? q + 1 : q;
	}
	return *out != 0;
}

bool access_allow(struct access *a, const char *text, struct error *err)
{
	struct str whole = arena_copy(&a->arena, str_from(text));
	const char *slash = memchr(whole.p, '/', whole.n), *equals = memchr(whole.p, '=', whole.n);
	struct grant *g = arena_zalloc(&a->arena, 1, sizeof(*g));
	bool ok = slash && equals && slash < equals;
	if (ok) {
		g->node_id = str_of(whole.p, (size_t)(slash - whole.p));
		g->service = str_of(slash + 1, (size_t)(equals - slash - 1));
		ok = mesh_node_id_valid(g->node_id) && mesh_service_type_valid(g->service) &&
		     read_scopes(str_of(equals + 1, (size_t)(whole.p + whole.n - equals - 1)), &g->scopes);
	}
	if (!ok) {
		error_set(err, ERR_CONFIG, "--allow \"%s\" is not NODE/SERVICE=SCOPE[,SCOPE]", text);
		return error_hint(err, "scopes: %s, %s, %s", access_scopes[0], access_scopes[1], access_scopes[2]);
	}
	g->next = a->grants;
	a->grants = g;
	return true;
}

static bool granted(const struct access *a, const struct sat *t, const char *scope)
{
	unsigned bit = scope_bit(str_from(scope));
	if (str_equal(t->node_id, a->node_id))
		return true;
	for (const struct grant *g = a->grants; g; g = g->next)
		if ((g->scopes & bit) && str_equal(g->node_id, t->node_id) && str_equal(g->service, t->service))
			return true;
	return false;
}

/* ---- tokens ---- */

/* "Bearer <token>" (RFC 6750 2.1): the scheme's name in any case. */
static struct str bearer(struct str authorization)
{
	static const char scheme[] = "Bearer ";
	size_t n = sizeof(scheme) - 1;
	if (!str_present(authorization) || authorization.n < n || strncasecmp(authorization.p, scheme, n) != 0)
		return STR_NONE;
	while (n < authorization.n && authorization.p[n] == ' ')
		n++;
	return str_of(authorization.p + n, authorization.n - n);
}

bool access_check(const struct access *a, struct str authorization, const char *scope, int64_t now_s, struct sat *out, struct arena *arena,
		  struct error *err)
{
	struct str token = bearer(authorization);
	if (!str_present(token)) {
		error_set(err, ERR_UNAUTHENTICATED, "this needs a service auth token with the scope %s", scope);
		return error_hint(err, "send it as `Authorization: Bearer <token>`; `tana token new` makes one");
	}
	if (!sat_check_with(a->memory, token, a->node_id, STR_LIT("t4"), now_s, a->key, a->ctx, out, arena, err) || !sat_has_scope(out, scope, err))
		return false;
	if (granted(a, out, scope))
		return true;
	error_set(err, ERR_NOT_ALLOWED, "%.*s/%.*s may not do this here (%s)", STR_ARG(out->node_id), STR_ARG(out->service), scope);
	return error_hint(err, "t4d serves its own node's services; its operator allows others with --allow");
}
