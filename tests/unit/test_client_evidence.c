/* client: the auditor of the log and the check of snapshots, on a network made with fixed keys, and on what somebody might make of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "client/mesh_auditor.h"
#include "client/mesh_snapshot.h"
#include "client_sample.h"

/* Takes the whole log; the index of the entry that was refused, or SAMPLE_ENTRIES. */
static int64_t audit(struct sample *s, struct hash *root, struct error *err)
{
	struct mesh_auditor a;
	struct str coordinator = sample_public(s, KEY_COORDINATOR);
	int64_t i = 0;
	mesh_auditor_begin(&a, SAMPLE_NETWORK, coordinator);
	while (i < SAMPLE_ENTRIES && mesh_auditor_take(&a, &s->log[i], err))
		i++;
	mesh_auditor_root(&a, root);
	mesh_auditor_end(&a);
	return i;
}

static void a_log_in_order_is_fine_and_its_root_is_that_of_its_entries(void **state)
{
	(void)state;
	struct sample s;
	struct hash root, expected, leaves[SAMPLE_ENTRIES];
	struct error err;
	sample_make(&s);
	assert_int_equal(audit(&s, &root, &err), SAMPLE_ENTRIES);
	for (size_t i = 0; i < SAMPLE_ENTRIES; i++) {
		struct buf text = {0};
		json_write_canonical(&text, &mesh_audit_entry_message, &s.log[i]);
		merkle_leaf(&leaves[i], text.data, text.len);
		buf_free(&text);
	}
	merkle_root(&expected, leaves, SAMPLE_ENTRIES);
	assert_true(hash_equal(&root, &expected));
	sample_free(&s);
}

/* What an entry says instead, signed all the same; the refusal. */
struct bad_entry {
	int64_t index;
	enum sample_key by;
	void (*message)(struct sample *s, struct buf *out);
	enum error_code code;
};
static void same(struct sample *s, struct buf *out)
{
	(void)s;
	(void)out;
}
static void of_another_network(struct sample *s, struct buf *out)
{
	mesh_message_decision(out, STR_LIT("othernet"), MESH_APPROVE, STR_LIT("n1"), sample_public(s, KEY_N1), 1002);
}
static void nonsense(struct sample *s, struct buf *out)
{
	(void)s;
	buf_puts(out, "tana-mesh:testnet:coronation:n1");
}
static void init_of_a_stranger(struct sample *s, struct buf *out)
{
	mesh_message_sovereign_init(out, SAMPLE_NETWORK, sample_public(s, KEY_STRANGER), 1002);
}

static void a_key_that_could_not_decide_is_found(void **state)
{
	(void)state;
	static const struct bad_entry cases[] = {
		{2, KEY_STRANGER, same, ERR_CORRUPT},    /* an approval by nobody */
		{2, KEY_COORDINATOR, same, ERR_CORRUPT}, /* nor may the coordinator */
		{4, KEY_SOVEREIGN, same, ERR_CORRUPT},   /* rotated away before */
		{1, KEY_N2, same, ERR_CORRUPT},          /* a registration by another node */
		{0, KEY_SOVEREIGN, same, ERR_CORRUPT},   /* a first key that names itself */
		{2, KEY_SOVEREIGN, of_another_network, ERR_CORRUPT},
		{2, KEY_SOVEREIGN, nonsense, ERR_CORRUPT},
		{2, KEY_SOVEREIGN, init_of_a_stranger, ERR_CORRUPT},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct bad_entry *b = &cases[i];
		struct sample s;
		struct hash root;
		struct error err;
		struct buf text = {0};
		sample_make(&s);
		b->message(&s, &text);
		if (text.len == 0)
			buf_put_str(&text, s.log[b->index].message);
		sample_entry(&s, b->index, &text, b->by, 0, "active");
		assert_int_equal(audit(&s, &root, &err), b->index);
		assert_int_equal(err.code, b->code);
		sample_free(&s);
	}
}

static void every_signature_counts(void **state)
{
	(void)state;
	for (int64_t i = 0; i < SAMPLE_ENTRIES; i++) {
		struct sample s;
		struct hash root;
		struct error err;
		sample_make(&s);
		s.log[i].signature = sample_sign(&s, KEY_STRANGER, s.log[i].message);
		assert_int_equal(audit(&s, &root, &err), i);
		assert_int_equal(err.code, ERR_BAD_SIGNATURE);
		sample_free(&s);
	}
	struct sample s;
	struct hash root;
	struct error err;
	sample_make(&s);
	s.log[3].new_signature = STR_NONE; /* the new key of a rotation has to sign too */
	assert_int_equal(audit(&s, &root, &err), 3);
	sample_free(&s);
}

static void entries_come_in_order(void **state)
{
	(void)state;
	struct sample s;
	struct hash root;
	struct error err;
	sample_make(&s);
	s.log[2] = s.log[3];
	assert_int_equal(audit(&s, &root, &err), 2);
	assert_int_equal(err.code, ERR_CORRUPT);
	sample_free(&s);
}

static void a_refused_change_of_keys_changes_nothing(void **state)
{
	(void)state;
	struct sample s;
	struct hash root;
	struct error err;
	sample_make(&s);
	s.log[3].outcome = STR_LIT("wrong_state"); /* so the old key stays, and the new one may not sign entry 4 */
	assert_int_equal(audit(&s, &root, &err), 4);
	sample_free(&s);
}

/* Snapshots. */

static bool check(struct sample *s, const struct mesh_trust *t, enum sample_key trusted, struct mesh_peers *out, struct error *err)
{
	struct ed25519_public key = sample_secret(trusted).public_key;
	struct mesh_trust trust = t ? *t : (struct mesh_trust){.now = SAMPLE_NOW};
	struct buf text = {0};
	trust.keys = &key;
	trust.key_count = 1;
	sample_write(s, &s->snapshot, &text);
	bool ok = mesh_snapshot_verify(buf_str(&text), &trust, &s->arena, out, err);
	buf_free(&text);
	return ok;
}

static void a_snapshot_is_believed_from_either_end_of_a_rotation(void **state)
{
	(void)state;
	for (int key = KEY_SOVEREIGN; key <= KEY_SOVEREIGN_NEXT; key++) {
		struct sample s;
		struct mesh_peers p;
		struct error err;
		sample_make(&s);
		assert_true(check(&s, NULL, (enum sample_key)key, &p, &err));
		const struct mesh_peer *peers = p.peers.items;
		assert_int_equal(p.peers.count, 2);
		assert_true(str_equal(peers[0].public_key, sample_public(&s, KEY_N1_NEXT)) &&
			    str_equal(peers[0].admitted_by, sample_public(&s, KEY_SOVEREIGN)));
		assert_true(str_is(peers[1].id, "n2") && str_equal(peers[1].admitted_by, sample_public(&s, KEY_SOVEREIGN_NEXT)));
		assert_true(peers[0].services.count == 1 && peers[0].services_signed && p.unsigned_services == 0);
		const struct str *sovereigns = p.sovereigns.items;
		assert_true(p.sovereigns.count == 1 && str_equal(sovereigns[0], sample_public(&s, KEY_SOVEREIGN_NEXT)));
		sample_free(&s);
	}
}

static void a_key_that_nobody_vouches_for_admits_nobody(void **state)
{
	(void)state;
	struct sample s;
	struct mesh_peers p;
	struct error err;
	sample_make(&s);
	assert_false(check(&s, NULL, KEY_STRANGER, &p, &err));
	assert_int_equal(err.code, ERR_NOT_SOVEREIGN);
	/* The coordinator's word for a first key is not enough. */
	assert_false(check(&s, NULL, KEY_COORDINATOR, &p, &err));
	assert_int_equal(err.code, ERR_NOT_SOVEREIGN);
	sample_free(&s);
}

/* An approval signed long after the key was rotated away: somebody found the old key. */
static void a_key_admits_nobody_after_its_reign(void **state)
{
	(void)state;
	struct sample s;
	struct mesh_peers p;
	struct error err;
	struct buf m = {0};
	sample_make(&s);
	mesh_message_decision(&m, SAMPLE_NETWORK, MESH_APPROVE, STR_LIT("n1"), sample_public(&s, KEY_N1), 1003 + MESH_SOVEREIGN_SLACK_MS + 1);
	sample_entry(&s, 2, &m, KEY_SOVEREIGN, 0, "active");
	assert_false(check(&s, NULL, KEY_SOVEREIGN, &p, &err));
	assert_int_equal(err.code, ERR_NOT_SOVEREIGN);
	sample_free(&s);
}

static void what_was_seen_before_is_held_against_it(void **state)
{
	(void)state;
	struct sample s;
	struct mesh_peers p;
	struct error err;
	sample_make(&s);
	const struct {
		struct mesh_trust trust;
		enum error_code code; /* ERR_COUNT: fine */
	} cases[] = {
		{{.now = SAMPLE_NOW, .version_min = 9, .network = SAMPLE_NETWORK, .coordinator = s.snapshot.coordinator}, ERR_COUNT},
		{{.now = SAMPLE_NOW, .version_min = 10}, ERR_REFUSED},
		{{.now = SAMPLE_NOW + 10}, ERR_REFUSED},
		{{.now = SAMPLE_NOW, .network = STR_LIT("othernet")}, ERR_WRONG_NETWORK},
		{{.now = SAMPLE_NOW, .coordinator = sample_public(&s, KEY_STRANGER)}, ERR_BAD_SIGNATURE},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool ok = check(&s, &cases[i].trust, KEY_SOVEREIGN, &p, &err);
		assert_int_equal(ok ? ERR_COUNT : err.code, cases[i].code);
	}
	sample_free(&s);
}

static void short_registrations_are_marked(void **state)
{
	(void)state;
	struct sample s;
	struct mesh_peers p;
	struct error err;
	struct buf m = {0};
	sample_make(&s);
	mesh_message_register_short(&m, STR_LIT("n1"), sample_public(&s, KEY_N1), STR_LIT("short.host"));
	sample_entry(&s, 1, &m, KEY_N1, 0, "pending");
	s.nodes[0].details =
		arena_printf(&s.arena,
			     "{\"services\":[{\"port\":8080,\"publicKey\":\"%.*s\",\"type\":\"ledger\"}],\"tailscaleIP\":\"100.64.0.1\"}",
			     STR_ARG(sample_public(&s, KEY_SERVICE)));
	assert_true(check(&s, NULL, KEY_SOVEREIGN, &p, &err));
	const struct mesh_peer *peers = p.peers.items;
	assert_true(p.unsigned_services == 1 && !peers[0].services_signed && peers[0].services.count == 1 && str_is(peers[0].ip, "100.64.0.1"));
	sample_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_log_in_order_is_fine_and_its_root_is_that_of_its_entries),
		cmocka_unit_test(a_key_that_could_not_decide_is_found),
		cmocka_unit_test(every_signature_counts),
		cmocka_unit_test(entries_come_in_order),
		cmocka_unit_test(a_refused_change_of_keys_changes_nothing),
		cmocka_unit_test(a_snapshot_is_believed_from_either_end_of_a_rotation),
		cmocka_unit_test(a_key_that_nobody_vouches_for_admits_nobody),
		cmocka_unit_test(a_key_admits_nobody_after_its_reign),
		cmocka_unit_test(what_was_seen_before_is_held_against_it),
		cmocka_unit_test(short_registrations_are_marked),
	};
	struct error err;
	if (!crypto_start(&err))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
