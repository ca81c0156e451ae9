/* wire: the forms of text in mesh's messages, and the texts that its keys sign. */
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "crypto/ed25519.h"
#include "wire/mesh.h"
#include "wire/mesh_messages.h"

#define H32 "0123456789abcdef0123456789abcdef"
#define H64 H32 H32
#define N63 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff012"
#define KEY_HEX "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a" /* RFC 8032, test 1 */
#define KEY_HEX_UPPER "D75A980182B10AB7D54BFED3C964073A0EE172F3DAA62325AF021A68F707511A"
#define SMALL_ORDER "0100000000000000000000000000000000000000000000000000000000000000"

/* How far a form's pattern goes: the whole way, or to the shape only. */
enum pattern_says { ALL, SHAPE };

static const struct form_case {
	const struct json_form *form;
	enum pattern_says pattern;
	const char *good[12], *bad[20];
} cases[] = {
	{&form_node_id, ALL, {"a", "0", "validator-1", "a.b_c-d", N63 "3"},
	 {"", "A", "-a", ".a", "_a", "a b", "a/b", "a:b", "a\n", "\xc3\xa9", N63 "34"}},
	{&form_network, ALL, {"dev", "main.net-1", N63 "3"}, {"", "Dev", "-x", "a:b", N63 "34"}},
	{&form_service_type, ALL, {"mesh", "t4", "ledger", "identity", "x-a", "x-0.b_c-d", "x-aaaaaaaaaabbbbbbbbbbcccccccccc"},
	 {"", "Mesh", "x", "x-", "x--", "y-a", "mesh2", "redis", "x-A", "x-aaaaaaaaaabbbbbbbbbbccccccccccd"}},
	{&form_public_key, SHAPE, {"ed25519_" KEY_HEX, KEY_HEX, "ed25519_" KEY_HEX_UPPER, KEY_HEX_UPPER},
	 {"", "ed25519_", "ed25519_" H32, "ed25519_" KEY_HEX "0", "ED25519_" KEY_HEX, "ed25519_pub_" KEY_HEX, "0x" KEY_HEX, " " KEY_HEX,
	  "ed25519_" SMALL_ORDER, SMALL_ORDER, "ed25519_ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"}},
	{&form_public_key_written, ALL, {"ed25519_" KEY_HEX},
	 {"", KEY_HEX, "ed25519_" KEY_HEX_UPPER, "ed25519_" H32, "ed25519_" KEY_HEX "0", "ED25519_" KEY_HEX}},
	{&form_signature, ALL, {"ed25519_sig_" H64 H64, "ed25519_" H64 H64, H64 H64},
	 {"", "ed25519_sig_", "ed25519_sig_" H64, "ed25519_sig_" H64 H64 "0", "ed25519_sig" H64 H64, "sig_" H64 H64}},
	{&form_signature_written, ALL, {"ed25519_sig_" H64 H64}, {"", H64 H64, "ed25519_" H64 H64, "ed25519_sig_" KEY_HEX_UPPER H64}},
	{&form_hash, ALL, {H64}, {"", H32, H64 "0", KEY_HEX_UPPER, "ed25519_" H64}},
	{&form_role, ALL, {"validator", "observer"}, {"", "Validator", "validators", "admin"}},
	{&form_status, ALL, {"pending", "active", "offline", "denied", "removed"}, {"", "Active", "all", "gone"}},
	{&form_ip, SHAPE, {"127.0.0.1", "100.64.0.1", "::1", "fd7a:115c:a1e0::1", "::ffff:1.2.3.4", "FD7A::"},
	 {"", "1.2.3", "1.2.3.256", "1.2.3.4.5", "01.2.3.4", ":", ":::", "fe80::1%eth0", "[::1]", "localhost", "1.2.3.4 ", "0x7f.0.0.1",
	  "1111:2222:3333:4444:5555:6666:7777:8888:9999"}},
	{&form_hostname, ALL, {"a", "node-1.tail1234.ts.net", "Node_1", "10.0.0.1:8080", "1::2"},
	 {"", "-a", ".a", ":a", "_a", "a b", "a/b", "a\n", "ws://a", "a;b", "\xc3\xa9", "a$b"}},
	{&form_latitude, SHAPE, {"0", "-0", "90", "-90", "90.000", "-12.3456789", "089"},
	 {"", "-", "90.0001", "-90.0001", "91", "100", "1.", ".5", "+1", "1e1", "1,5", " 1", "1 ", "--1", "1.2.3", "0900", "12.3456789012345678901234"}},
	{&form_longitude, SHAPE, {"0", "180", "-180", "180.0", "-179.999", "100.5"}, {"", "180.1", "-181", "200", "1800", "134567707511", "x", "1.x"}},
	{&form_version, ALL, {"0", "0.1.0 (abc)", "1.0~rc1+x", N63 "3"}, {"", "a\n", "\x7f", "\xc3\xa9", N63 "34", "\x1b[1m"}},
	{&form_signed, ALL, {"full"}, {"", "Full", "short", "fully"}},
};

static bool matches(const regex_t *re, const char *z)
{
	return regexec(re, z, 0, NULL, 0) == 0;
}

static void test_forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct form_case *c = &cases[i];
		regex_t re;
		assert_int_equal(regcomp(&re, c->form->pattern, REG_EXTENDED | REG_NOSUB), 0);
		for (size_t k = 0; c->good[k]; k++)
			if (!c->form->check(str_from(c->good[k])) || !matches(&re, c->good[k]))
				fail_msg("%s refuses %s", c->form->name, c->good[k]);
		for (size_t k = 0; c->bad[k]; k++)
			if (c->form->check(str_from(c->bad[k])) || (c->pattern == ALL && matches(&re, c->bad[k])))
				fail_msg("%s accepts %s", c->form->name, c->bad[k]);
		/* A NUL inside is no end. */
		char with_nul[512];
		size_t n = strlen(c->good[0]);
		memcpy(with_nul, c->good[0], n);
		memcpy(with_nul + n, "\0a", 2);
		assert_false(c->form->check(str_of(with_nul, n + 1)));
		assert_false(c->form->check(str_of(with_nul, n + 2)));
		regfree(&re);
	}
}

static void test_hostname_length(void **state)
{
	(void)state;
	char name[254];
	memset(name, 'a', sizeof name);
	assert_true(form_hostname.check(str_of(name, 253)));
	assert_false(form_hostname.check(str_of(name, 254)));
}

static void test_codes(void **state)
{
	(void)state;
	assert_int_equal(form_public_key.code, ERR_MALFORMED_KEY);
	assert_int_equal(form_public_key_written.code, ERR_MALFORMED_KEY);
	assert_int_equal(form_signature.code, ERR_MALFORMED_SIGNATURE);
	assert_int_equal(form_signature_written.code, ERR_MALFORMED_SIGNATURE);
	assert_int_equal(form_hash.code, ERR_MALFORMED_HASH);
	assert_int_equal(form_node_id.code, ERR_MALFORMED_FIELD);
}

/* ---- Signed texts ---- */

static void assert_text(struct buf *b, const char *wanted)
{
	assert_string_equal(buf_z(b), wanted);
	buf_clear(b);
}

static void test_messages(void **state)
{
	(void)state;
	const struct str net = STR_LIT("net"), node = STR_LIT("n1"), key = STR_LIT("K1"), other = STR_LIT("K2");
	struct buf b = {0};

	mesh_message_decision(&b, net, MESH_APPROVE, node, key, 12);
	assert_text(&b, "tana-mesh:net:approve:n1:K1:12");
	mesh_message_decision(&b, net, MESH_DENY, node, key, 12);
	assert_text(&b, "tana-mesh:net:deny:n1:K1:12");
	mesh_message_decision(&b, net, MESH_REMOVE, node, key, 12);
	assert_text(&b, "tana-mesh:net:remove:n1:K1:12");
	mesh_message_decision(&b, net, MESH_RESET, node, key, 12);
	assert_text(&b, "tana-mesh:net:reset:n1:K1:12");
	mesh_message_decision_old(&b, MESH_APPROVE, node);
	assert_text(&b, "approve:n1");
	mesh_message_heartbeat(&b, node, INT64_C(9007199254740991));
	assert_text(&b, "heartbeat:n1:9007199254740991");
	mesh_message_register_short(&b, node, key, STR_LIT("h\"\\\n\x01.net"));
	assert_text(&b, "{\"nodeId\":\"n1\",\"publicKey\":\"K1\",\"tailscaleHostname\":\"h\\\"\\\\\\n\\u0001.net\"}");
	mesh_message_sovereign_init(&b, net, key, 0);
	assert_text(&b, "tana-mesh:net:sovereign-init:K1:0");
	mesh_message_sovereign_add(&b, net, key, 1);
	assert_text(&b, "tana-mesh:net:sovereign-add:K1:1");
	mesh_message_sovereign_remove(&b, net, key, 2);
	assert_text(&b, "tana-mesh:net:sovereign-remove:K1:2");
	mesh_message_sovereign_rotate(&b, net, key, other, 3);
	assert_text(&b, "tana-mesh:net:sovereign-rotate:K1:K2:3");
	mesh_message_node_rotate(&b, net, node, key, other, 4);
	assert_text(&b, "tana-mesh:net:node-rotate:n1:K1:K2:4");
	mesh_message_invite(&b, net, key, 5, 6, 7);
	assert_text(&b, "tana-mesh:net:invite:K1:5:6:7");
	mesh_message_invite_revoke(&b, net, key, 8);
	assert_text(&b, "tana-mesh:net:invite-revoke:K1:8");
	mesh_message_invite_use(&b, net, node, key);
	assert_text(&b, "tana-mesh:net:invite-use:n1:K1");
	mesh_message_expire(&b, net, node, key, 9);
	assert_text(&b, "tana-mesh:net:expire:n1:K1:9");
	buf_free(&b);
}

static int start(void **state)
{
	(void)state;
	struct error err;
	return crypto_start(&err) ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_hostname_length),
		cmocka_unit_test(test_codes),
		cmocka_unit_test(test_messages),
	};
	return cmocka_run_group_tests(tests, start, NULL);
}
