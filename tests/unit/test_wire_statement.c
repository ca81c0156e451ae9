/* wire: the signed texts of mesh, read back strictly. A text is accepted only when its parts written again give the same bytes; every near miss is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "crypto/ed25519.h"
#include "wire/mesh_statement.h"

#define KEY "ed25519_d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
#define NEW "ed25519_3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
#define SMALL_ORDER "ed25519_0100000000000000000000000000000000000000000000000000000000000000"
#define BIG "9223372036854775807"

static const struct {
	const char *text;
	enum mesh_statement_kind kind;
	enum mesh_action action;
	const char *network, *node_id, *public_key, *new_key;
	int64_t uses, expires, timestamp;
} statements[] = {
	{"tana-mesh:net:approve:a:" KEY ":1", STATEMENT_DECISION, MESH_APPROVE, "net", "a", KEY, NULL, 0, 0, 1},
	{"tana-mesh:net:deny:a.b_c-9:" KEY ":0", STATEMENT_DECISION, MESH_DENY, "net", "a.b_c-9", KEY, NULL, 0, 0, 0},
	{"tana-mesh:n.e_t-1:remove:0:" KEY ":" BIG, STATEMENT_DECISION, MESH_REMOVE, "n.e_t-1", "0", KEY, NULL, 0, 0, INT64_MAX},
	{"tana-mesh:net:reset:a:" KEY ":77", STATEMENT_DECISION, MESH_RESET, "net", "a", KEY, NULL, 0, 0, 77},
	/* A network, or a node, may be called like a verb. */
	{"tana-mesh:approve:approve:approve:" KEY ":1", STATEMENT_DECISION, MESH_APPROVE, "approve", "approve", KEY, NULL, 0, 0, 1},
	{"approve:a", STATEMENT_DECISION_OLD, MESH_APPROVE, NULL, "a", NULL, NULL, 0, 0, 0},
	{"deny:deny", STATEMENT_DECISION_OLD, MESH_DENY, NULL, "deny", NULL, NULL, 0, 0, 0},
	{"remove:a", STATEMENT_DECISION_OLD, MESH_REMOVE, NULL, "a", NULL, NULL, 0, 0, 0},
	{"reset:tana-mesh", STATEMENT_DECISION_OLD, MESH_RESET, NULL, "tana-mesh", NULL, NULL, 0, 0, 0},
	{"tana-mesh:net:sovereign-init:" KEY ":1", STATEMENT_SOVEREIGN_INIT, 0, "net", NULL, KEY, NULL, 0, 0, 1},
	{"tana-mesh:net:sovereign-add:" KEY ":1", STATEMENT_SOVEREIGN_ADD, 0, "net", NULL, KEY, NULL, 0, 0, 1},
	{"tana-mesh:net:sovereign-remove:" KEY ":1", STATEMENT_SOVEREIGN_REMOVE, 0, "net", NULL, KEY, NULL, 0, 0, 1},
	{"tana-mesh:net:sovereign-rotate:" KEY ":" NEW ":1", STATEMENT_SOVEREIGN_ROTATE, 0, "net", NULL, KEY, NEW, 0, 0, 1},
	{"tana-mesh:net:node-rotate:a:" KEY ":" NEW ":1", STATEMENT_NODE_ROTATE, 0, "net", "a", KEY, NEW, 0, 0, 1},
	{"tana-mesh:net:invite:" KEY ":3:4:5", STATEMENT_INVITE, 0, "net", NULL, KEY, NULL, 3, 4, 5},
	{"tana-mesh:net:invite:" KEY ":" BIG ":" BIG ":" BIG, STATEMENT_INVITE, 0, "net", NULL, KEY, NULL, INT64_MAX, INT64_MAX, INT64_MAX},
	{"tana-mesh:net:invite-revoke:" KEY ":1", STATEMENT_INVITE_REVOKE, 0, "net", NULL, KEY, NULL, 0, 0, 1},
	{"tana-mesh:net:expire:a:" KEY ":1", STATEMENT_EXPIRE, 0, "net", "a", KEY, NULL, 0, 0, 1},
};

static bool parses(struct str text, struct mesh_statement *st, struct arena *arena)
{
	struct error err = {.code = ERR_COUNT};
	if (mesh_statement_parse(text, st, arena, &err))
		return true;
	assert_true(error_code_status(err.code) == 400 && err.message[0]);
	return false;
}

static void refuses(const char *text)
{
	struct arena arena;
	struct mesh_statement st;
	arena_init(&arena);
	if (parses(str_from(text), &st, &arena))
		fail_msg("taken: %s", text);
	arena_free(&arena);
}

static void assert_part(struct str have, const char *want)
{
	if (want ? !str_is(have, want) : str_present(have))
		fail_msg("\"%.*s\" is not \"%s\"", STR_ARG(have), want ? want : "(absent)");
}

static void assert_written(const struct mesh_statement *st, struct str want)
{
	struct buf again = {0};
	mesh_statement_write(st, &again);
	if (!str_equal(buf_str(&again), want))
		fail_msg("%s", buf_z(&again));
	buf_free(&again);
}

static void test_each_form_reads_and_writes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
		struct arena arena;
		struct mesh_statement st;
		char copy[1024];
		arena_init(&arena);
		/* The text may go once it is parsed. */
		snprintf(copy, sizeof(copy), "%s", statements[i].text);
		assert_true(parses(str_from(copy), &st, &arena));
		memset(copy, 'x', sizeof(copy));
		assert_true(st.kind == statements[i].kind && (st.kind > STATEMENT_DECISION_OLD || st.action == statements[i].action));
		assert_part(st.network, statements[i].network);
		assert_part(st.node_id, statements[i].node_id);
		assert_part(st.public_key, statements[i].public_key);
		assert_part(st.new_key, statements[i].new_key);
		assert_true(st.uses == statements[i].uses && st.expires == statements[i].expires && st.timestamp == statements[i].timestamp);
		assert_written(&st, str_from(statements[i].text));
		arena_free(&arena);
	}
}

/* A text that was changed is refused, or is another statement with one spelling of its own. */
static void one_spelling(const char *text, size_t n)
{
	struct arena arena;
	struct mesh_statement st;
	arena_init(&arena);
	if (parses(str_of(text, n), &st, &arena))
		assert_written(&st, str_of(text, n));
	arena_free(&arena);
}

static void test_changed_texts(void **state)
{
	(void)state;
	static const char bytes[] = {':', '0', '-', ' ', '+', 'A', 'z', '{', '\n', '\0', '\x80'};
	for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
		char text[1024];
		size_t n = strlen(statements[i].text);
		for (size_t at = 0; at <= n; at++) {
			for (size_t k = 0; k < sizeof(bytes); k++) {
				memcpy(text, statements[i].text, n);
				if (at < n) {
					text[at] = bytes[k];
					one_spelling(text, n);
				}
				memcpy(text + at + 1, statements[i].text + at, n - at);
				text[at] = bytes[k];
				one_spelling(text, n + 1);
			}
			memcpy(text, statements[i].text, at);
			if (at < n)
				memcpy(text + at, statements[i].text + at + 1, n - at - 1);
			one_spelling(text, at < n ? n - 1 : n);
			one_spelling(statements[i].text, at);
		}
	}
}

static void test_near_misses(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"",
		":",
		"approve",
		"approve:",
		"approve:a:b",
		"Approve:a",
		"expire:a",
		"approve:A",
		"approve:-a",
		"tana-mesh:net:approve:a:" KEY,
		"tana-mesh:net:approve:a:" KEY ":1:2",
		"tana-mesh:net:approve:a:" KEY ":",
		"tana-mesh:net:approve:a:" KEY ":-1",
		"tana-mesh:net:approve:a:" KEY ":01",
		"tana-mesh:net:approve:a:" KEY ":+1",
		"tana-mesh:net:approve:a:" KEY ":1 ",
		"tana-mesh:net:approve:a:" KEY ":1\n",
		"tana-mesh:net:approve:a:" KEY ":9223372036854775808",
		"tana-mesh:net:approve:a:" KEY ":1e3",
		" tana-mesh:net:approve:a:" KEY ":1",
		"tana-mesh::approve:a:" KEY ":1",
		"tana-mesh:Net:approve:a:" KEY ":1",
		"tana-mesh:net:approve::" KEY ":1",
		"tana-mesh:net:approve:a:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a:1",
		"tana-mesh:net:approve:a:ed25519_D75A980182B10AB7D54BFED3C964073A0EE172F3DAA62325AF021A68F707511A:1",
		"tana-mesh:net:approve:a:" SMALL_ORDER ":1",
		"tana-mesh:net:Approve:a:" KEY ":1",
		"tana-mesh:net:heartbeat:a:" KEY ":1",
		/* What other keys sign, for other purposes. */
		"heartbeat:a:1",
		"tana-mesh:net:invite-use:a:" KEY,
		"tana-mesh/net\n1\nAAAA\n",
		"{\"type\":\"tana-mesh-topology/1\"}",
		"tana-mesh:net:sovereign-rotate:" KEY ":" NEW,
		"tana-mesh:net:sovereign-add:" KEY ":" NEW ":1",
		"tana-mesh:net:invite:" KEY ":1:2",
		"tana-mesh:net:invite:" KEY ":-1:2:3",
		"tana-mesh:net:node-rotate:" KEY ":" NEW ":1",
		"tana-mesh:net:expire:a:1",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		refuses(texts[i]);
	char id[128];
	snprintf(id, sizeof(id), "approve:%.*s", MESH_NODE_ID_MAX, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	struct arena arena;
	struct mesh_statement st;
	arena_init(&arena);
	assert_true(parses(str_from(id), &st, &arena));
	strcat(id, "a");
	refuses(id);
	assert_false(parses(STR_NONE, &st, &arena));
	struct str colons = str_of(memset(arena_alloc(&arena, 4096), ':', 4096), 4096);
	for (size_t n = 0; n <= colons.n; n += 7)
		assert_false(parses(str_of(colons.p, n), &st, &arena));
	arena_free(&arena);
}

#define SHORT "{\"nodeId\":\"a\",\"publicKey\":\"" KEY "\",\"tailscaleHostname\":\"h.ts.net\"}"
#define FULL(extra)                                                                                                                     \
	"{" extra "\"nodeId\":\"a\",\"publicKey\":\"" KEY "\",\"services\":[{\"port\":80,\"publicKey\":\"" NEW                          \
	"\",\"type\":\"ledger\"}],\"tailscaleHostname\":\"h.ts.net\",\"timestamp\":5}"

static void test_registrations(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum mesh_statement_kind kind;
	} good[] = {
		{SHORT, STATEMENT_REGISTER_SHORT},
		{FULL(""), STATEMENT_REGISTER_FULL},
		/* What newer nodes send is covered by their signature, and kept. */
		{FULL("\"future\":{\"x\":[1,null,true]},\"network\":\"net\","), STATEMENT_REGISTER_FULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct arena arena;
		struct mesh_statement st;
		arena_init(&arena);
		assert_true(parses(str_from(good[i].text), &st, &arena));
		assert_int_equal(st.kind, good[i].kind);
		assert_part(st.node_id, "a");
		assert_part(st.public_key, KEY);
		assert_part(st.registration.tailscale_hostname, "h.ts.net");
		assert_part(st.network, i == 2 ? "net" : NULL);
		assert_int_equal(st.timestamp, i ? 5 : 0);
		assert_int_equal(st.registration.services.count, i ? 1 : 0);
		assert_false(str_present(st.registration.signature));
		assert_written(&st, str_from(good[i].text));
		arena_free(&arena);
	}
}

static void test_registrations_that_are_none(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"{",
		"{}",
		SHORT " ",
		" " SHORT,
		"{\"publicKey\":\"" KEY "\",\"nodeId\":\"a\",\"tailscaleHostname\":\"h.ts.net\"}",
		"{\"nodeId\": \"a\",\"publicKey\":\"" KEY "\",\"tailscaleHostname\":\"h.ts.net\"}",
		"{\"nodeId\":\"\\u0061\",\"publicKey\":\"" KEY "\",\"tailscaleHostname\":\"h.ts.net\"}",
		"{\"nodeId\":\"a\",\"nodeId\":\"a\",\"publicKey\":\"" KEY "\",\"tailscaleHostname\":\"h.ts.net\"}",
		"{\"nodeId\":\"a\",\"publicKey\":\"" KEY "\"}",
		/* The short form with a key that is spelled otherwise. */
		"{\"nodeId\":\"a\",\"publicKey\":\"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\",\"tailscaleHostname\":\"h.ts.net\"}",
		/* Neither three fields nor a timestamp. */
		"{\"nodeId\":\"a\",\"publicKey\":\"" KEY "\",\"services\":[],\"tailscaleHostname\":\"h.ts.net\"}",
		"{\"nodeId\":\"a\",\"publicKey\":\"" KEY "\",\"services\":[],\"tailscaleHostname\":\"h.ts.net\",\"timestamp\":null}",
		"{\"nodeId\":\"a\",\"publicKey\":\"" KEY "\",\"services\":[],\"tailscaleHostname\":\"h.ts.net\",\"timestamp\":-1}",
		"{\"nodeId\":\"a\",\"publicKey\":\"" KEY "\",\"services\":[],\"tailscaleHostname\":\"h.ts.net\",\"timestamp\":5.0}",
		"{\"nodeId\":\"a\",\"publicKey\":\"" KEY "\",\"tailscaleHostname\":\"h.ts.net\",\"timestamp\":5}",
		"{\"nodeId\":\"A\",\"publicKey\":\"" KEY "\",\"services\":[],\"tailscaleHostname\":\"h.ts.net\",\"timestamp\":5}",
		"{\"nodeId\":\"a\",\"publicKey\":\"" SMALL_ORDER "\",\"services\":[],\"tailscaleHostname\":\"h.ts.net\",\"timestamp\":5}",
		FULL("\"9\":1,"),
		FULL("\"z\":1,"), /* out of order */
		FULL("\"f\":1.5,"),
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		refuses(texts[i]);
}

/* A heartbeat that is signed in full is no registration, nor the other way round, unless a node writes it to be both. */
static void test_a_heartbeat_is_no_registration(void **state)
{
	(void)state;
	static const char beat[] = "{\"height\":1,\"nodeId\":\"a\",\"services\":[],\"signed\":\"full\",\"timestamp\":5}";
	struct arena arena;
	struct error err;
	struct mesh_heartbeat h;
	arena_init(&arena);
	refuses(beat);
	struct str text = arena_printf(&arena, "%.*s,\"signature\":\"ed25519_sig_%0128d\"}", (int)sizeof(beat) - 2, beat, 0);
	assert_true(json_read_text(text, &mesh_heartbeat_message, &h, &arena, &err));
	static const char full[] = FULL("\"network\":\"net\",");
	text = arena_printf(&arena, "%.*s,\"signature\":\"ed25519_sig_%0128d\"}", (int)sizeof(full) - 2, full, 0);
	/* Its services are no reports, and it does not say that it is a full heartbeat. */
	assert_false(json_read_text(text, &mesh_heartbeat_message, &h, &arena, &err));
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_form_reads_and_writes),
		cmocka_unit_test(test_changed_texts),
		cmocka_unit_test(test_near_misses),
		cmocka_unit_test(test_registrations),
		cmocka_unit_test(test_registrations_that_are_none),
		cmocka_unit_test(test_a_heartbeat_is_no_registration),
	};
	struct error err;
	return crypto_start(&err) ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
