/* token: service auth tokens, made and looked at. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hex.h"
#include "base/random.h"
#include "commands.h"
#include "output.h"
#include "paths.h"
#include "signer.h"
#include "t4.h"
#include "wire/sat.h"

enum { NAME_WIDTH = 9, JTI_SIZE = 16 };

/* ---- new ---- */

struct made {
	struct str token, key, audience, scope, content;
	int64_t size, expires;
};
static const struct json_field made_rows[] = {
	F_TEXT(struct made, token, "token", 0, 0, "The token."),
	F_TEXT(struct made, key, "kid", 0, 0, "Whose key signed it."),
	F_TEXT(struct made, audience, "aud", 0, 0, "For whom."),
	F_TEXT(struct made, scope, "scope", 0, 0, "What for."),
	F_TEXT(struct made, content, "content", 0, 0, "The content it is bound to."),
	F_INT(struct made, size, "size", 0, 0, 0, "The size it is bound to."),
	F_INT(struct made, expires, "exp", 0, 0, 0, "From when on it is worthless (s)."),
};
static JSON_MESSAGE(made_message, "TokenMade", struct made, made_rows);

static bool party_valid(struct str s)
{
	const char *slash = memchr(s.p, '/', s.n);
	if (!slash)
		return mesh_service_type_valid(s);
	return mesh_node_id_valid(str_of(s.p, (size_t)(slash - s.p))) &&
	       mesh_service_type_valid(str_of(slash + 1, (size_t)(s.p + s.n - slash - 1)));
}

/* The scopes, separated by blanks; absent when none was given. */
static bool join_scopes(struct cli *c, struct str *out, struct error *err)
{
	struct buf all = {0};
	bool ok = true;
	for (size_t i = 0; ok && i < option_count(c->in, "scope"); i++) {
		const char *scope = option_at(c->in, "scope", i);
		ok = scope[0] && strspn(scope, "abcdefghijklmnopqrstuvwxyz0123456789-_.:") == strlen(scope);
		if (!ok)
			error_set(err, ERR_USAGE, "'%.60s' is no scope (as content:put).", scope);
		if (i)
			buf_putc(&all, ' ');
		buf_puts(&all, scope);
	}
	*out = all.len ? arena_copy(&c->arena, buf_str(&all)) : STR_NONE;
	buf_free(&all);
	return ok;
}

/* What the options ask for, but for who signs. */
static bool fill(struct cli *c, struct sat *t, struct error *err)
{
	const char *content = option_text(c->in, "content"), *audience = option_text(c->in, "audience");
	uint8_t random[JTI_SIZE];
	char id[2 * JTI_SIZE + 1];
	*t = (struct sat){.issued_at = clock_wall_ms() / 1000, .has_content = content != NULL,
			  .has_size = option_text(c->in, "size") != NULL};
	t->expires = t->issued_at + option_int(c->in, "lifetime") / 1000;
	if (t->has_size)
		t->size = option_int(c->in, "size");
	if (audience && !party_valid(str_from(audience)))
		return error_set(err, ERR_USAGE, "'%.100s' is no audience: NODE/SERVICE is needed, as validator-1/t4.", audience);
	t->audience = str_from(audience);
	random_bytes(random, sizeof random);
	hex_encode(id, random, sizeof random);
	t->id = arena_copy(&c->arena, str_from(id));
	return (!content || t4_hash(content, &t->content, err)) && join_scopes(c, &t->scope, err);
}

static bool new_token(struct cli *c, struct error *err)
{
	struct sat t;
	struct signer s;
	struct buf token = {0};
	if (!fill(c, &t, err) || !signer_open(c, &s, err))
		return false;
	t.node_id = s.node_id;
	t.service = s.service;
	if (!str_present(t.audience))
		t.audience = arena_printf(&c->arena, "%.*s/t4", STR_ARG(s.node_id));
	sat_make(&t, &s.key.secret, &token);
	signer_wipe(&s);
	struct made m = {.token = buf_str(&token), .key = arena_printf(&c->arena, "%.*s/%.*s", STR_ARG(t.node_id), STR_ARG(t.service)),
			 .audience = t.audience, .scope = t.scope, .content = t.has_content ? t4_hash_text(c, &t.content) : STR_NONE,
			 .size = t.has_size ? t.size : JSON_INT_ABSENT, .expires = t.expires};
	if (c->json)
		json_print(&made_message, &m);
	else
		printf("%s\n", buf_z(&token));
	struct str until = date(&c->arena, t.expires * 1000);
	note(c, "Signed by %.*s for %.*s, good until %.*s.", STR_ARG(m.key), STR_ARG(m.audience), STR_ARG(until));
	buf_free(&token);
	return true;
}

/* ---- inspect ---- */

/* The key to check with, and what is to be said when there is none. */
struct key_found {
	bool known;
	bool missed;      /* the check came so far as to need it, and it was not known */
	struct ed25519_public public_key;
	const char *from; /* for people */
	struct str why;   /* when it is not known */
};

static struct key_found key_by_hand(struct cli *c, const char *text)
{
	struct key_found k = {.from = "--key"};
	struct keyfile file;
	struct error why;
	k.known = ed25519_public_from_text(str_from(text), KEY_LENIENT, &k.public_key, &why);
	if (!k.known && file_exists(text) && keystore_look(c, text, &file, &why)) {
		k.known = true;
		k.public_key = file.public_key;
	}
	if (!k.known)
		k.why = arena_copy(&c->arena, str_from(why.message));
	return k;
}

static struct key_found key_by_mesh(struct cli *c, const struct sat *t)
{
	struct key_found k = {.from = "mesh"};
	struct mesh_node node;
	struct error why;
	if (!cli_mesh(c, &why) || !mesh_client_node(c->mesh, t->node_id, &c->arena, &node, &why)) {
		k.why = arena_copy(&c->arena, str_from(why.message));
		return k;
	}
	const struct mesh_node_service *services = node.services.items;
	for (size_t i = 0; i < node.services.count; i++)
		if (str_equal(services[i].service_type, t->service))
			k.known = ed25519_public_from_text(services[i].public_key, KEY_WRITTEN, &k.public_key, &why);
	if (!k.known) {
		k.why = arena_printf(&c->arena, "node %.*s announces no service %.*s", STR_ARG(t->node_id), STR_ARG(t->service));
	} else if (!str_is(node.status, "active")) {
		k.known = false;
		k.why = arena_printf(&c->arena, "node %.*s is %.*s, not active", STR_ARG(t->node_id), STR_ARG(node.status));
	}
	return k;
}

static bool give_key(void *ctx, struct str node_id, struct str service, struct ed25519_public *out)
{
	struct key_found *k = ctx;
	(void)node_id;
	(void)service;
	k->missed = !k->known;
	*out = k->public_key;
	return k->known;
}

struct inspected {
	struct str node_id, service, audience, id, scope, content;
	int64_t issued_at, expires, size;
	enum json_bool valid;
	struct str problem, code, key_from;
};
static const struct json_field inspected_rows[] = {
	F_TEXT(struct inspected, node_id, "iss", 0, 0, "The caller's node."),
	F_TEXT(struct inspected, service, "sub", 0, 0, "Its service."),
	F_TEXT(struct inspected, audience, "aud", 0, 0, "For whom."),
	F_INT(struct inspected, issued_at, "iat", 0, 0, 0, "When it was made (s)."),
	F_INT(struct inspected, expires, "exp", 0, 0, 0, "From when on it is worthless (s)."),
	F_TEXT(struct inspected, id, "jti", 0, 0, "Which token."),
	F_TEXT(struct inspected, scope, "scope", 0, 0, "What for."),
	F_TEXT(struct inspected, content, "content", 0, 0, "The content it is bound to."),
	F_INT(struct inspected, size, "size", 0, 0, 0, "The size it is bound to."),
	F_BOOL(struct inspected, valid, "valid", JSON_NULL_WHEN_ABSENT, "null: the key is not known, so nobody can tell."),
	F_TEXT(struct inspected, code, "code", 0, 0, "Why it is not valid, for programs."),
	F_TEXT(struct inspected, problem, "problem", 0, 0, "Why it is not valid, or not checked."),
	F_TEXT(struct inspected, key_from, "keyFrom", 0, 0, "Where the key came from."),
};
static JSON_MESSAGE(inspected_message, "TokenInspected", struct inspected, inspected_rows);

/* The receiver that the token itself names: what is asked here is whether it would do there. */
static void receiver_of(const struct sat *t, struct str *node_id, struct str *service)
{
	const char *slash = memchr(t->audience.p, '/', t->audience.n);
	*node_id = slash ? str_of(t->audience.p, (size_t)(slash - t->audience.p)) : t->node_id;
	*service = slash ? str_of(slash + 1, t->audience.n - node_id->n - 1) : t->audience;
}

static void judge(struct cli *c, struct str token, const struct sat *t, struct inspected *r)
{
	const char *by_hand = option_text(c->in, "key");
	struct key_found key = by_hand ? key_by_hand(c, by_hand) : key_by_mesh(c, t);
	struct str node_id, service;
	struct sat again;
	struct error why;
	receiver_of(t, &node_id, &service);
	bool ok = sat_check(token, node_id, service, clock_wall_ms() / 1000, give_key, &key, &again, &c->arena, &why);
	if (key.known)
		r->key_from = str_from(key.from);
	r->valid = ok ? JSON_TRUE : key.missed ? JSON_BOOL_ABSENT : JSON_FALSE;
	if (key.missed) {
		r->problem = key.why;
	} else if (!ok) {
		r->problem = arena_copy(&c->arena, str_from(why.message));
		r->code = str_from(error_code_text(why.code));
	}
}

static void print_time(struct arena *a, const char *name, int64_t ms)
{
	struct str at = date(a, ms), from_now = when(a, ms);
	pair_printf(NAME_WIDTH, name, TINT_NONE, "%.*s (%.*s)", STR_ARG(at), STR_ARG(from_now));
}

static void print_inspected(struct cli *c, const struct inspected *r)
{
	struct arena *a = &c->arena;
	pair_printf(NAME_WIDTH, "from", TINT_BOLD, "%.*s/%.*s", STR_ARG(r->node_id), STR_ARG(r->service));
	pair_print(NAME_WIDTH, "for", TINT_NONE, r->audience);
	pair_print(NAME_WIDTH, "scope", TINT_NONE, r->scope);
	if (str_present(r->content))
		pair_print(NAME_WIDTH, "content", TINT_NONE, r->content);
	if (r->size != JSON_INT_ABSENT)
		pair_printf(NAME_WIDTH, "size", TINT_NONE, "%lld bytes", (long long)r->size);
	print_time(a, "made", r->issued_at * 1000);
	print_time(a, "expires", r->expires * 1000);
	pair_print(NAME_WIDTH, "id", TINT_DIM, r->id);
	if (r->valid == JSON_TRUE)
		pair_printf(NAME_WIDTH, "valid", TINT_GOOD, "yes, by the key from %.*s", STR_ARG(r->key_from));
	else if (r->valid == JSON_FALSE)
		pair_printf(NAME_WIDTH, "valid", TINT_BAD, "no: %.*s", STR_ARG(r->problem));
	else
		pair_printf(NAME_WIDTH, "valid", TINT_WARN, "not checked, the key is not known: %.*s", STR_ARG(r->problem));
}

/* The argument, or a line of standard input: tokens are worth something, and command lines are seen by others. */
static bool take_token(struct cli *c, struct buf *out, struct error *err)
{
	const char *given = invocation_arg(c->in, "token");
	char line[SAT_TEXT_MAX + 2] = "";
	if (given && strcmp(given, "-") != 0) {
		buf_puts(out, given);
		return true;
	}
	if (!given && isatty(STDIN_FILENO))
		note(c, "Paste the token, then Enter:");
	if (!fgets(line, sizeof line, stdin))
		return error_set(err, ERR_USAGE, "There is no token on standard input.");
	line[strcspn(line, "\r\n")] = '\0';
	buf_puts(out, line);
	return true;
}

static bool inspect(struct cli *c, struct error *err)
{
	struct buf text = {0};
	struct sat t;
	struct str signing_input;
	struct ed25519_signature signature;
	bool ok = take_token(c, &text, err) && sat_parse(buf_str(&text), &t, &signing_input, &signature, &c->arena, err);
	if (ok) {
		struct str bound = t.has_content ? t4_hash_text(c, &t.content) : STR_NONE;
		struct inspected r = {.node_id = t.node_id, .service = t.service, .audience = t.audience, .id = t.id, .scope = t.scope,
				      .issued_at = t.issued_at, .expires = t.expires, .content = bound,
				      .size = t.has_size ? t.size : JSON_INT_ABSENT};
		judge(c, buf_str(&text), &t, &r);
		if (c->json)
			json_print(&inspected_message, &r);
		else
			print_inspected(c, &r);
		if (r.valid != JSON_TRUE)
			c->status = EXIT_UNHEALTHY;
	} else if (err->code == ERR_TOKEN_INVALID) {
		c->status = EXIT_UNHEALTHY;
	}
	buf_free(&text);
	return ok;
}

int cmd_token_new(struct invocation *in)
{
	return cli_run(in, new_token);
}

int cmd_token_inspect(struct invocation *in)
{
	return cli_run(in, inspect);
}
