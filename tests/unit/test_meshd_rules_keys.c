/* meshd's rules about keys: sovereigns and invites; and that a signature is for one purpose, by one key, in one network. */
#include "meshd_rules_fixture.h"

static void test_first_sovereigns(void **state)
{
	struct world *w = *state;
	refused(w, about_key(w, STATEMENT_SOVEREIGN_INIT, STRANGER, S2, w->now), ERR_NOT_ALLOWED);
	refused(w, about_key(w, STATEMENT_SOVEREIGN_INIT, S1, S2, w->now), ERR_NOT_ALLOWED);
	refused(w, about_key(w, STATEMENT_SOVEREIGN_INIT, key(COORDINATOR), S2, w->now - 1), ERR_TIMESTAMP_OUT_OF_RANGE);
	struct change c = about_key(w, STATEMENT_SOVEREIGN_INIT, key(COORDINATOR), S2, w->now);
	c.signature = sign(w, STRANGER, c.message);
	refused(w, c, ERR_BAD_SIGNATURE);
	/* Another instance began with the same key; nodes do not wait for sovereigns. */
	ends(w, about_key(w, STATEMENT_SOVEREIGN_INIT, key(COORDINATOR), S1, w->now), VERDICT_UNCHANGED, 0);
	put_in(w, NODE_PENDING);
	applies(w, about_key(w, STATEMENT_SOVEREIGN_INIT, key(COORDINATOR), S2, w->now));
	assert_int_equal(w->replay.sovereigns_in_force, 2);
	assert_text(sovereign_of(w, S2)->added_by, key(COORDINATOR)->z);
	assert_int_equal(sovereign_of(w, S2)->added_at, w->now);
	/* Once a sovereign has spoken, the coordinator has no say. */
	consumed(w, decision(w, MESH_RESET, S2, "a", A, w->now), ERR_WRONG_STATE);
	refused(w, about_key(w, STATEMENT_SOVEREIGN_INIT, key(COORDINATOR), S3, w->now), ERR_NOT_ALLOWED);
	ends(w, about_key(w, STATEMENT_SOVEREIGN_INIT, key(COORDINATOR), S1, w->now), VERDICT_UNCHANGED, 0);
	assert_true(sovereign_of(w, S2)->last_timestamp == w->now && sovereign_of(w, S1)->last_timestamp == 0);
}

static void test_sovereign_keys(void **state)
{
	struct world *w = *state;
	int64_t t = w->now;
	static const enum mesh_statement_kind kinds[] = {STATEMENT_SOVEREIGN_ADD, STATEMENT_SOVEREIGN_REMOVE, STATEMENT_INVITE_REVOKE};
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		refused(w, about_key(w, kinds[i], STRANGER, S2, t + MESH_CLOCK_SKEW_MS + 1), ERR_NOT_SOVEREIGN);
		refused(w, about_key(w, kinds[i], S1, S2, t + MESH_CLOCK_SKEW_MS + 1), ERR_TIMESTAMP_OUT_OF_RANGE);
		struct change c = about_key(w, kinds[i], S1, S2, t);
		c.signature = sign(w, S2, c.message = statement_text(w, &c.statement));
		refused(w, c, ERR_BAD_SIGNATURE);
	}
	consumed(w, about_key(w, STATEMENT_SOVEREIGN_REMOVE, S1, S1, t), ERR_LAST_SOVEREIGN);
	refused(w, about_key(w, STATEMENT_SOVEREIGN_ADD, S1, S2, t), ERR_REPLAYED);
	consumed(w, about_key(w, STATEMENT_SOVEREIGN_REMOVE, S1, S2, t + 1), ERR_UNKNOWN_KEY);
	consumed(w, about_key(w, STATEMENT_SOVEREIGN_ADD, S1, S1, t + 2), ERR_ALREADY_EXISTS);
	struct change add = about_key(w, STATEMENT_SOVEREIGN_ADD, S1, S2, t + 3);
	add.description = STR_LIT("the second");
	applies(w, add);
	assert_text(sovereign_of(w, S2)->description, "the second");
	assert_text(sovereign_of(w, S2)->added_by, S1->z);
	assert_int_equal(sovereign_of(w, S2)->added_at, w->now);
	/* Each key has a clock of its own, which outlives its removal. */
	applies(w, about_key(w, STATEMENT_SOVEREIGN_ADD, S2, S3, t + 1));
	applies(w, about_key(w, STATEMENT_SOVEREIGN_REMOVE, S1, S2, t + 4));
	refused(w, about_key(w, STATEMENT_SOVEREIGN_REMOVE, S2, S1, t + 5), ERR_NOT_SOVEREIGN);
	applies(w, about_key(w, STATEMENT_SOVEREIGN_ADD, S1, S2, t + 5));
	refused(w, about_key(w, STATEMENT_SOVEREIGN_REMOVE, S2, S1, t + 1), ERR_REPLAYED);
	applies(w, about_key(w, STATEMENT_SOVEREIGN_REMOVE, S2, S2, t + 2));
	assert_int_equal(w->replay.sovereigns_in_force, 2);
}

static void test_rotating_a_sovereign_key(void **state)
{
	struct world *w = *state;
	int64_t t = w->now;
	refused(w, sovereign_rotation(w, STRANGER, S2, t + MESH_CLOCK_SKEW_MS + 1), ERR_NOT_SOVEREIGN);
	refused(w, sovereign_rotation(w, S1, S2, t + MESH_CLOCK_SKEW_MS + 1), ERR_TIMESTAMP_OUT_OF_RANGE);
	struct change c = sovereign_rotation(w, S1, S2, t);
	c.new_signature = c.signature;
	refused(w, c, ERR_BAD_SIGNATURE);
	consumed(w, sovereign_rotation(w, S1, S1, t), ERR_ALREADY_EXISTS);
	refused(w, sovereign_rotation(w, S1, S2, t), ERR_REPLAYED);
	applies(w, sovereign_rotation(w, S1, S2, t + 1));
	assert_true(sovereign_of(w, S1)->removed_at == w->now && sovereign_of(w, S2)->removed_at == 0);
	assert_int_equal(w->replay.sovereigns_in_force, 1);
	refused(w, about_key(w, STATEMENT_SOVEREIGN_ADD, S1, S3, t + 2), ERR_NOT_SOVEREIGN);
	applies(w, sovereign_rotation(w, S2, S1, t + 1));
	refused(w, sovereign_rotation(w, S1, S2, t + 1), ERR_REPLAYED);
}

static void test_invites(void **state)
{
	struct world *w = *state;
	int64_t t = w->now;
	refused(w, invitation(w, STRANGER, I1, 1, t, t + MESH_CLOCK_SKEW_MS + 1), ERR_NOT_SOVEREIGN);
	consumed(w, invitation(w, S1, I1, 1, t, t), ERR_REFUSED);
	applies(w, invitation(w, S1, I1, 2, t + 50, t + 1));
	consumed(w, invitation(w, S1, I1, 9, t + 99, t + 2), ERR_ALREADY_EXISTS);
	const struct invite_row *made = invite_of(w, I1);
	assert_true(made->uses == 2 && made->used == 0 && made->expires == t + 50 && made->created_at == t && made->revoked_at == 0 && made->entry == 2);
	assert_text(made->created_by, S1->z);

	struct change c = REGISTRATION(w, .id = "a", .node = A, .timestamp = t, .invite = I1);
	struct verdict v = world_apply(w, &c);
	assert_true(v.kind == VERDICT_APPLIED && v.created && v.status == NODE_ACTIVE && v.second_event == EVENT_NODE_APPROVED);
	assert_text(v.outcome, "active");
	const struct node_row *n = node_named(w, "a");
	assert_text(n->approved_by, S1->z);
	assert_text(n->invite_key, I1->z);
	assert_true(n->approved_at == t && n->admission_entry == n->registration_entry && invite_of(w, I1)->used == 1);
	/* Who is in does not use another; a refused registration uses none. */
	applies(w, REGISTRATION(w, .id = "a", .node = A, .timestamp = t + 1, .invite = I1));
	refused(w, REGISTRATION(w, .id = "a", .node = B, .timestamp = t + 1, .invite = I1), ERR_NODE_ID_TAKEN);
	assert_int_equal(invite_of(w, I1)->used, 1);
	/* Who waits is let in. */
	applies(w, REGISTRATION(w, .id = "b", .node = B, .timestamp = t));
	applies(w, REGISTRATION(w, .id = "b", .node = B, .timestamp = t + 1, .invite = I1));
	assert_true(node_named(w, "b")->status == NODE_ACTIVE && w->replay.pending == 0 && invite_of(w, I1)->used == 2);
	refused(w, REGISTRATION(w, .id = "c", .node = key(3), .timestamp = t, .invite = I1), ERR_INVITE_INVALID);
	refused(w, REGISTRATION(w, .id = "c", .node = key(3), .timestamp = t, .invite = key(21)), ERR_INVITE_INVALID);

	applies(w, invitation(w, S1, key(21), 1, t + 50, t + 3));
	w->now = t + 50;
	refused(w, REGISTRATION(w, .id = "c", .node = key(3), .timestamp = t, .invite = key(21)), ERR_INVITE_INVALID);
	w->now = t + 49;
	applies(w, about_key(w, STATEMENT_INVITE_REVOKE, S1, key(21), t + 4));
	refused(w, REGISTRATION(w, .id = "c", .node = key(3), .timestamp = t, .invite = key(21)), ERR_INVITE_INVALID);
	consumed(w, about_key(w, STATEMENT_INVITE_REVOKE, S1, key(21), t + 5), ERR_WRONG_STATE);
	consumed(w, about_key(w, STATEMENT_INVITE_REVOKE, S1, key(22), t + 6), ERR_UNKNOWN_INVITE);
	consumed(w, invitation(w, S1, key(21), 1, t + 500, t + 7), ERR_ALREADY_EXISTS);
}

static void test_an_invite_does_not_lift_a_denial(void **state)
{
	struct world *w = *state;
	put_in(w, NODE_DENIED);
	applies(w, invitation(w, S1, I1, 1, w->now + 50, w->now));
	applies(w, REGISTRATION(w, .id = "a", .node = A, .timestamp = w->now, .invite = I1));
	assert_true(node_named(w, "a")->status == NODE_DENIED && invite_of(w, I1)->used == 0);
}

static void test_an_invite_does_not_bring_back_what_was_removed(void **state)
{
	struct world *w = *state;
	applies(w, invitation(w, S1, I1, 9, T0 + 5000, T0));
	applies(w, REGISTRATION(w, .id = "a", .node = A, .timestamp = T0, .invite = I1));
	applies(w, decision(w, MESH_REMOVE, S1, "a", A, T0 + 1));
	w->now = T0 + 10;
	refused(w, REGISTRATION(w, .id = "a", .node = A, .timestamp = T0 + 10, .invite = I1), ERR_INVITE_INVALID);
	/* Nor by the way round: registering without it, and then showing it. */
	applies(w, REGISTRATION(w, .id = "a", .node = A, .timestamp = T0 + 10));
	refused(w, REGISTRATION(w, .id = "a", .node = A, .timestamp = T0 + 11, .invite = I1), ERR_INVITE_INVALID);
	/* Nor for a key that was rotated away from, under another id. */
	applies(w, REGISTRATION(w, .id = "b", .node = B, .timestamp = T0 + 10, .invite = I1));
	applies(w, node_rotation(w, "b", B, key(3), T0 + 11));
	refused(w, REGISTRATION(w, .id = "c", .node = B, .timestamp = T0 + 12, .invite = I1), ERR_INVITE_INVALID);
	assert_int_equal(invite_of(w, I1)->used, 2);
	applies(w, decision(w, MESH_APPROVE, S1, "a", A, T0 + 2));
}

/* The invite's signature is for one node and one key; the registration's signature does not stand in for it. */
static void test_an_invite_use_is_for_one_node(void **state)
{
	struct world *w = *state;
	applies(w, invitation(w, S1, I1, 5, w->now + 50, w->now));
	struct change other = REGISTRATION(w, .id = "b", .node = A, .timestamp = w->now, .invite = I1);
	struct change c = REGISTRATION(w, .id = "a", .node = A, .timestamp = w->now, .invite = I1);
	c.statement.registration.invite->signature = other.statement.registration.invite->signature;
	struct buf text = {0};
	json_write_canonical(&text, &mesh_register_unsigned_message, &c.statement.registration);
	c.message = taken(w, &text);
	c.signature = sign(w, A, c.message);
	refused(w, c, ERR_BAD_SIGNATURE);
	assert_int_equal(invite_of(w, I1)->used, 0);
}

/* Registrations and rotations are signed by the key they name: a log in which another key signed them does not pass. */
static void test_nobody_speaks_for_another_key(void **state)
{
	struct world *w = *state;
	put_in(w, NODE_ACTIVE);
	w->replay.state.limits.dev = true;
	w->replay.state.limits.require_full = false;
	struct change forged[] = {
		REGISTRATION(w, .id = "a", .node = A, .host = "evil.ts.net", .timestamp = w->now),
		REGISTRATION(w, .id = "b", .node = B),
		node_rotation(w, "a", A, B, w->now),
		sovereign_rotation(w, S1, S2, w->now),
	};
	forged[2].statement.public_key = A->text;
	for (size_t i = 0; i < ARRAY_LEN(forged); i++) {
		struct change *c = &forged[i];
		if (!str_present(c->message))
			c->message = statement_text(w, &c->statement);
		c->public_key = STRANGER->text;
		c->signature = sign(w, STRANGER, c->message);
		assert_false(mesh_change_signatures_valid(c, NETWORK));
		struct change copy = *c;
		assert_int_not_equal(world_apply(w, &copy).kind, VERDICT_APPLIED);
	}
	assert_text(node_named(w, "a")->public_key, A->z);
}

/* Every text is for one purpose: no signature over one kind of statement passes as another kind. */
static void test_a_signature_is_for_one_statement(void **state)
{
	struct world *w = *state;
	put_in(w, NODE_PENDING);
	int64_t t = w->now;
	applies(w, about_key(w, STATEMENT_SOVEREIGN_ADD, S1, S2, t));
	applies(w, invitation(w, S1, I1, 5, t + 50, t + 1));
	t += 2;
	struct change changes[] = {
		decision(w, MESH_APPROVE, S1, "a", A, t),
		decision(w, MESH_DENY, S1, "a", A, t),
		decision(w, MESH_REMOVE, S1, "a", A, t),
		decision(w, MESH_RESET, S1, "a", A, t),
		decision(w, MESH_APPROVE, S1, "a", A, t + 1),
		about_key(w, STATEMENT_SOVEREIGN_ADD, S1, S3, t),
		about_key(w, STATEMENT_SOVEREIGN_REMOVE, S1, S3, t),
		about_key(w, STATEMENT_SOVEREIGN_REMOVE, S1, S2, t),
		about_key(w, STATEMENT_INVITE_REVOKE, S1, I1, t),
		invitation(w, S1, key(21), 5, t + 50, t),
		invitation(w, S1, key(21), 6, t + 50, t),
		invitation(w, S1, key(21), 5, t + 51, t),
		decision(w, MESH_APPROVE, S1, "a", B, t), /* of another key: only its signature is of interest */
	};
	w->now = t;
	for (size_t i = 0; i + 1 < ARRAY_LEN(changes); i++)
		for (size_t k = 0; k < ARRAY_LEN(changes); k++) {
			struct change c = changes[i];
			c.signature = changes[k].signature;
			if (i != k)
				refused(w, c, ERR_BAD_SIGNATURE);
		}
}

static void test_another_network(void **state)
{
	struct world *w = *state;
	put_in(w, NODE_PENDING);
	struct change c = decision(w, MESH_APPROVE, S1, "a", A, w->now);
	c.statement.network = STR_LIT("other");
	refused(w, c, ERR_WRONG_NETWORK);
	c = decision(w, MESH_APPROVE, S1, "a", A, w->now);
	c.signature = sign(w, S1, arena_printf(&w->arena, "tana-mesh:other:approve:a:%s:%" PRId64, A->z, w->now));
	refused(w, c, ERR_BAD_SIGNATURE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_first_sovereigns),
		CASE(test_sovereign_keys),
		CASE(test_rotating_a_sovereign_key),
		CASE(test_invites),
		CASE(test_an_invite_does_not_lift_a_denial),
		CASE(test_an_invite_does_not_bring_back_what_was_removed),
		CASE(test_an_invite_use_is_for_one_node),
		CASE(test_nobody_speaks_for_another_key),
		CASE(test_a_signature_is_for_one_statement),
		CASE(test_another_network),
	};
	struct error err;
	return crypto_start(&err) ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
