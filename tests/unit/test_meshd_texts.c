/* The texts that meshd keeps and signs: details of log entries, reports of health, leaves of the log, the topology snapshot. */
#include "meshd_store_fixture.h"

#include "base/hex.h"
#include "client/mesh_snapshot.h"
#include "crypto/canonical.h"
#include "meshd/mesh_liveness.h"
#include "meshd/mesh_snapshot_text.h"

#define A key(1)
#define B key(2)
#define S1 key(10)
#define I1 key(20)

/* Details */

static void test_details_come_back(void **state)
{
	(void)state;
	struct world w;
	struct error err;
	world_begin(&w);
	struct change c = REGISTRATION(&w, .id = "a", .node = A, .region = "eu \"1\"\n\u00e9", .port = 443);
	struct mesh_register *r = &c.statement.registration;
	r->tailscale_ip = STR_LIT("100.64.0.1");
	r->role = STR_LIT("observer");
	r->provider = STR_LIT("");
	r->latitude = STR_LIT("-1.5");
	r->longitude = STR_LIT("2");
	mesh_details_write(&c, &w.arena);
	assert_true(canonical_check(c.details));
	struct change back = {.details = c.details};
	assert_true(mesh_statement_parse(c.message, &back.statement, &w.arena, &err) && mesh_details_read(&back, &w.arena, &err));
	const struct mesh_register *b = &back.statement.registration;
	assert_true(str_equal(b->region, r->region) && str_equal(b->tailscale_ip, r->tailscale_ip) && str_equal(b->role, r->role));
	assert_true(str_equal(b->provider, r->provider) && str_equal(b->latitude, r->latitude) && str_equal(b->longitude, r->longitude));
	const struct mesh_service *one = b->services.items;
	assert_true(b->services.count == 1 && one->port == 443 && str_is(one->type, "ledger") && str_is(one->public_key, key(99)->z));
	assert_false(str_present(back.reason) || str_present(back.description));
	mesh_details_write(&back, &w.arena);
	assert_true(str_equal(back.details, c.details));
	world_end(&w);
}

/* What a signature covers is not said twice. */
static void test_details_hold_only_what_is_unsigned(void **state)
{
	(void)state;
	struct world w;
	struct error err;
	world_begin(&w);
	struct change full = REGISTRATION(&w, .id = "a", .node = A, .region = "eu", .port = 443, .timestamp = 5);
	mesh_details_write(&full, &w.arena);
	assert_false(str_present(full.details));
	struct change bare = decision(&w, MESH_DENY, S1, "a", A, 5);
	mesh_details_write(&bare, &w.arena);
	assert_false(str_present(bare.details));
	bare.reason = STR_LIT("too far");
	mesh_details_write(&bare, &w.arena);
	assert_true(str_is(bare.details, "{\"reason\":\"too far\"}"));
	bare.reason = STR_NONE;
	assert_true(mesh_details_read(&bare, &w.arena, &err) && str_is(bare.reason, "too far"));
	struct change add = about_key(&w, STATEMENT_SOVEREIGN_ADD, S1, B, 5);
	add.description = STR_LIT("second");
	mesh_details_write(&add, &w.arena);
	assert_true(str_is(add.details, "{\"description\":\"second\"}"));
	world_end(&w);
}

static void test_details_that_are_none(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "x", "[]", "{\"reason\":1}", "{\"services\":{}}", "{\"services\":[{\"type\":\"ledger\"}]}", "{\"reason\":\"a\",\"reason\":\"b\"}"};
	struct world w;
	world_begin(&w);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct error err;
		struct change c = decision(&w, MESH_DENY, S1, "a", A, 5);
		c.details = str_from(texts[i]);
		assert_false(mesh_details_read(&c, &w.arena, &err));
		assert_int_equal(error_code_status(err.code), 400);
	}
	world_end(&w);
}

/* Health */

static void assert_health(const char *text, const char *type, enum json_bool healthy, int64_t last_check)
{
	struct health h = health_of(str_from(text), str_from(type));
	if (h.healthy != healthy || h.last_check != last_check)
		fail_msg("%s of \"%s\": %d %" PRId64, type, text, (int)h.healthy, h.last_check);
}

static void test_health(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena);
	const struct mesh_health list[] = {
		{STR_LIT("ledger"), JSON_TRUE, 5},
		{STR_LIT("x-led"), JSON_FALSE, 0},
		{STR_LIT("x-ledger.1"), JSON_TRUE, JSON_INT_MAX},
		{STR_LIT("mesh"), JSON_FALSE, JSON_INT_ABSENT},
	};
	struct str text = health_text(&arena, list, ARRAY_LEN(list));
	assert_true(str_is(text, "ledger:1:5 x-led:0:0 x-ledger.1:1:9007199254740991 mesh:0:"));
	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		assert_health(text.p, list[i].type.p, list[i].healthy, list[i].last_check);
	/* No type is found inside of another. */
	assert_health(text.p, "x-ledger", JSON_BOOL_ABSENT, JSON_INT_ABSENT);
	assert_health(text.p, "led", JSON_BOOL_ABSENT, JSON_INT_ABSENT);
	assert_health(text.p, "1", JSON_BOOL_ABSENT, JSON_INT_ABSENT);
	assert_true(str_is(health_text(&arena, list, 0), ""));
	assert_health("", "ledger", JSON_BOOL_ABSENT, JSON_INT_ABSENT);
	struct health none = health_of(STR_NONE, STR_LIT("ledger"));
	assert_true(none.healthy == JSON_BOOL_ABSENT && none.last_check == JSON_INT_ABSENT);
	/* A column that somebody else wrote. */
	static const char *const odd[] = {"ledger", "ledger:", "ledger:1", " ", "  ledger", ":1:", "ledger:1:x", "ledger:1:5:6", "ledger:1:99999999999999999999"};
	for (size_t i = 0; i < ARRAY_LEN(odd); i++)
		assert_int_equal(health_of(str_from(odd[i]), STR_LIT("ledger")).last_check, JSON_INT_ABSENT);
	arena_free(&arena);
}

/* The log */

static void assert_leaf(const struct mesh_audit_entry *e, const char *canonical)
{
	struct hash have, want;
	char data[2048];
	size_t n = strlen(canonical);
	data[0] = '\0';
	memcpy(data + 1, canonical, n);
	sha256(&want, data, n + 1);
	log_leaf(e, &have);
	assert_true(canonical_check(str_from(canonical)));
	assert_true(hash_equal(&have, &want));
}

static void test_leaves_are_the_canonical_json_of_entries(void **state)
{
	(void)state;
	struct mesh_audit_entry e = {.index = 2,
				     .time = 1767225602005,
				     .message = STR_LIT("a \"text\"\n\x01 \xc3\xa9"),
				     .public_key = STR_LIT("ed25519_aa"),
				     .signature = STR_LIT("ed25519_sig_bb"),
				     .outcome = STR_LIT("active")};
	assert_leaf(&e, "{\"index\":2,\"message\":\"a \\\"text\\\"\\n\\u0001 \xc3\xa9\",\"outcome\":\"active\",\"publicKey\":\"ed25519_aa\",\"signature\":"
			"\"ed25519_sig_bb\",\"time\":1767225602005}");
	e.index = 0;
	e.details = STR_LIT("{\"reason\":\"r\"}");
	e.new_public_key = STR_LIT("ed25519_cc");
	e.new_signature = STR_LIT("ed25519_sig_dd");
	assert_leaf(&e, "{\"details\":{\"reason\":\"r\"},\"index\":0,\"message\":\"a \\\"text\\\"\\n\\u0001 \xc3\xa9\",\"newPublicKey\":\"ed25519_cc\","
			"\"newSignature\":\"ed25519_sig_dd\",\"outcome\":\"active\",\"publicKey\":\"ed25519_aa\",\"signature\":\"ed25519_sig_bb\",\"time\":"
			"1767225602005}");
}

/* The worked example of docs/protocol.md. */
static void test_the_published_leaf(void **state)
{
	(void)state;
	struct mesh_audit_entry e = {
		.index = 2,
		.time = 1767225602005,
		.message = STR_LIT("tana-mesh:example:approve:node-1:ed25519_6e7a1cdd29b0b78fd13af4c5598feff4ef2a97166e3ca6f2e4fbfccd80505bf1:1767225602000"),
		.public_key = STR_LIT("ed25519_8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394"),
		.signature = STR_LIT("ed25519_sig_777c1580ac37fd3594a612027f6947a5307ae5aa093dce4f4ebf7e610e7176362344366e235ad034422f87d0bb51ae6f240bcf3a35369bd692aa4"
				     "a333e9b280b"),
		.outcome = STR_LIT("active"),
	};
	struct hash leaf, want;
	log_leaf(&e, &leaf);
	assert_true(hash_from_text(STR_LIT("c9b6adb28fcd59705cbf932cdfa454bb95a0c3f4f92e18f0090a91709b0e9fe8"), &want));
	assert_true(hash_equal(&leaf, &want));
}

/* The snapshot */

static char *snapshot_of(struct stored *s, int64_t now)
{
	struct snapshot_text t;
	struct error err = {0};
	struct buf all = {0};
	struct db_conn *c = open_how(s->mesh.config.db_url, DB_OPEN_READ_ONLY);
	must(db_begin(c, DB_TXN_SNAPSHOT, &err), &err);
	assert_true(snapshot_text_begin(&t, &s->mesh, c, now, &err));
	while (snapshot_text_next(&t, &err))
		buf_put_str(&all, buf_str(&t.piece));
	if (t.failed)
		fail_msg("%s", err.message);
	assert_false(snapshot_text_next(&t, &err));
	snapshot_text_end(&t);
	db_rollback(c);
	db_close(c);
	size_t ignored;
	return buf_steal(&all, &ignored);
}

static struct mesh_peers checked(struct stored *s, const char *text, int64_t now, const struct signer *trusted)
{
	struct error err;
	struct mesh_peers peers;
	struct mesh_trust trust = {.network = NETWORK, .coordinator = key(COORDINATOR)->text, .now = now};
	trust.keys = &trusted->secret.public_key;
	trust.key_count = 1;
	if (!mesh_snapshot_verify(str_from(text), &trust, &s->world.arena, &peers, &err))
		fail_msg("%s\n%s", err.message, text);
	return peers;
}

static const struct mesh_peer *peer(const struct mesh_peers *p, size_t i)
{
	return (const struct mesh_peer *)p->peers.items + i;
}

static void test_an_empty_snapshot(void **state)
{
	struct stored s;
	stored_begin(&s, *state);
	int64_t now = clock_wall_ms();
	char *text = snapshot_of(&s, now);
	struct mesh_peers p = checked(&s, text, now, S1);
	assert_true(p.peers.count == 0 && p.version == 0 && p.issued == now && p.expires == now + 60000);
	free(text);
	stored_end(&s);
}

/* Every way to be a member, and those who are none. */
static void test_a_snapshot_of_all_kinds_of_members(void **state)
{
	struct stored s;
	stored_begin(&s, *state);
	stored_first_sovereign(&s, S1);
	struct world *w = &s.world;
	int64_t t = w->now;
	stores(&s, invitation(w, S1, I1, 5, w->now + 100000, ++t));
	stores(&s, REGISTRATION(w, .id = "b-invited", .node = key(3), .timestamp = ++t, .invite = I1, .port = 1));
	stores(&s, REGISTRATION(w, .id = "a-approved", .node = A, .timestamp = ++t, .port = 2, .region = "eu"));
	stores(&s, decision(w, MESH_APPROVE, S1, "a-approved", A, ++t));
	stores(&s, node_rotation(w, "b-invited", key(3), key(4), ++t));
	stores(&s, node_rotation(w, "b-invited", key(4), key(5), ++t));
	stores(&s, REGISTRATION(w, .id = "b-invited", .node = key(5), .timestamp = ++t, .host = "moved.ts.net", .port = 3));
	stores(&s, REGISTRATION(w, .id = "c-waiting", .node = key(6), .timestamp = ++t));
	stores(&s, REGISTRATION(w, .id = "d-denied", .node = key(7), .timestamp = ++t));
	stores(&s, decision(w, MESH_DENY, S1, "d-denied", key(7), ++t));
	stores(&s, REGISTRATION(w, .id = "e-removed", .node = key(8), .timestamp = ++t, .invite = I1));
	stores(&s, decision(w, MESH_REMOVE, S1, "e-removed", key(8), ++t));
	s.mesh.config.limits.require_full = false;
	stores(&s, REGISTRATION(w, .id = "f-short", .node = key(9), .port = 9));
	stores(&s, decision(w, MESH_APPROVE, S1, "f-short", key(9), ++t));
	stores(&s, sovereign_rotation(w, S1, key(11), ++t));
	char *text = snapshot_of(&s, t);
	struct mesh_peers p = checked(&s, text, t, key(11));
	assert_int_equal(p.peers.count, 3);
	assert_true(str_is(peer(&p, 0)->id, "a-approved") && str_is(peer(&p, 0)->region, "eu") && str_equal(peer(&p, 0)->admitted_by, S1->text));
	assert_true(str_is(peer(&p, 1)->id, "b-invited") && str_is(peer(&p, 1)->hostname, "moved.ts.net") && str_equal(peer(&p, 1)->public_key, key(5)->text));
	assert_true(str_is(peer(&p, 2)->id, "f-short") && !peer(&p, 2)->services_signed && peer(&p, 2)->services.count == 1);
	assert_int_equal(p.version, ask_int(s.conn, "SELECT last FROM local_event_head"));
	free(text);

	/* It only grows, and says the same otherwise: offline nodes are no peers. */
	script(s.conn, "UPDATE nodes SET status = 'offline' WHERE id = 'a-approved'; UPDATE local_event_head SET last = last + 1");
	text = snapshot_of(&s, t + 1);
	struct mesh_peers later = checked(&s, text, t + 1, key(11));
	assert_true(later.peers.count == 2 && later.version == p.version + 1);
	free(text);
	stored_end(&s);
}

/* More than one page of nodes. */
static void test_a_large_snapshot(void **state)
{
	struct stored s;
	stored_begin(&s, *state);
	stored_first_sovereign(&s, S1);
	struct world *w = &s.world;
	int64_t t = w->now;
	stores(&s, invitation(w, S1, I1, 1000, w->now + 100000, ++t));
	for (unsigned i = 0; i < 200; i++) {
		if (i == 10)
			continue;
		struct str id = arena_printf(&w->arena, "n%03u", i);
		stores(&s, REGISTRATION(w, .id = id.p, .node = i == COORDINATOR ? key(250) : key(i), .timestamp = ++t, .invite = I1));
	}
	char *text = snapshot_of(&s, t);
	struct mesh_peers p = checked(&s, text, t, S1);
	assert_int_equal(p.peers.count, 199);
	/* Any change of it is found. */
	text[strlen(text) / 2] ^= 1;
	struct error err;
	struct mesh_trust trust = {.network = NETWORK, .now = t, .keys = &S1->secret.public_key, .key_count = 1};
	assert_false(mesh_snapshot_verify(str_from(text), &trust, &w->arena, &p, &err));
	free(text);
	stored_end(&s);
}

int main(void)
{
	const struct CMUnitTest texts[] = {
		cmocka_unit_test(test_details_come_back),
		cmocka_unit_test(test_details_hold_only_what_is_unsigned),
		cmocka_unit_test(test_details_that_are_none),
		cmocka_unit_test(test_health),
		cmocka_unit_test(test_leaves_are_the_canonical_json_of_entries),
		cmocka_unit_test(test_the_published_leaf),
	};
	const struct CMUnitTest stored[] = {
		DB_CASE(test_an_empty_snapshot),
		DB_CASE(test_a_snapshot_of_all_kinds_of_members),
		DB_CASE(test_a_large_snapshot),
	};
	struct error err;
	if (!quiet_log() || !crypto_start(&err))
		return 1;
	return cmocka_run_group_tests(texts, NULL, NULL) + run_on_sqlite(stored, ARRAY_LEN(stored)) + run_on_postgres(stored, ARRAY_LEN(stored));
}
