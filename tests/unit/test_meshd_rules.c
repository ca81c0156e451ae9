/* meshd's rules over the registry in memory: what each signed statement does in each state, and every refusal in the protocol's order. */
#include "meshd_sample.h"

#define A key(1)
#define B key(2)
#define S1 key(10)
#define S2 key(11)
#define S3 key(12)
#define I1 key(20)
#define STRANGER key(90)

static int begin(void **state)
{
	struct world *w = malloc(sizeof(*w));
	world_begin(w);
	struct change init = about_key(w, STATEMENT_SOVEREIGN_INIT, key(COORDINATOR), S1, T0);
	applies(w, init);
	*state = w;
	return 0;
}

static int end(void **state)
{
	world_end(*state);
	free(*state);
	return 0;
}

/* Node "a" with key A in this status; time goes on by what it took. */
static void put_in(struct world *w, enum node_status status)
{
	applies(w, REGISTRATION(w, .id = "a", .node = A, .timestamp = ++w->now));
	if (status == NODE_ACTIVE || status == NODE_OFFLINE)
		applies(w, decision(w, MESH_APPROVE, S1, "a", A, ++w->now));
	if (status == NODE_DENIED)
		applies(w, decision(w, MESH_DENY, S1, "a", A, ++w->now));
	/* Liveness moves a node to offline beside the rules. */
	if (status == NODE_OFFLINE)
		((struct node_row *)strmap_get(&w->replay.nodes, STR_LIT("a")))->status = NODE_OFFLINE;
	++w->now;
}

static void assert_text(struct str s, const char *want)
{
	if (!str_is(s, want))
		fail_msg("\"%.*s\" is not \"%s\"", STR_ARG(s), want);
}

static void test_registering(void **state)
{
	struct world *w = *state;
	struct change c = REGISTRATION(w, .id = "a", .node = A, .timestamp = T0 + 5, .host = "a.ts.net", .region = "eu", .port = 8080, .network = "unit");
	w->now = T0 + 7;
	struct verdict v = world_apply(w, &c);
	assert_int_equal(v.kind, VERDICT_APPLIED);
	assert_true(v.created && v.status == NODE_PENDING && v.event == EVENT_NODE_REGISTERED && v.second_event == EVENT_NONE);
	assert_text(v.outcome, "pending");
	assert_text(v.subject, "a");
	const struct node_row *n = node_named(w, "a");
	assert_int_equal(n->status, NODE_PENDING);
	assert_text(n->tailscale_hostname, "a.ts.net");
	assert_text(n->role, "validator");
	assert_text(n->region, "eu");
	assert_text(n->rotations, "[]");
	assert_true(n->registered_at == T0 + 7 && n->registration_time == T0 + 5 && n->approved_at == 0 && n->registration_entry == 1 && n->admission_entry == NO_ENTRY);
	assert_false(str_present(n->approved_by) || str_present(n->provider) || str_present(n->invite_key));
	char want[200];
	snprintf(want, sizeof(want), "[{\"port\":8080,\"publicKey\":\"%s\",\"type\":\"ledger\"}]", key(99)->z);
	assert_text(n->services, want);

	/* Again: everything is replaced, what is left out is emptied, the status and the first registration's time stay. */
	w->now = T0 + 20;
	c = REGISTRATION(w, .id = "a", .node = A, .timestamp = T0 + 6, .host = "b.ts.net");
	v = world_apply(w, &c);
	assert_true(v.kind == VERDICT_APPLIED && !v.created && v.event == EVENT_NODE_UPDATED);
	n = node_named(w, "a");
	assert_text(n->tailscale_hostname, "b.ts.net");
	assert_text(n->services, "[]");
	assert_false(str_present(n->region));
	assert_true(n->registered_at == T0 + 7 && n->registration_time == T0 + 6 && n->registration_entry == 2);
}

static void test_refusals_of_registrations_in_order(void **state)
{
	struct world *w = *state;
	put_in(w, NODE_PENDING);
	int64_t t = w->now, far = MESH_CLOCK_SKEW_MS + 1;
	struct change c = REGISTRATION(w, .id = "a", .node = B, .timestamp = t - far, .network = "other");
	c.signature = sign(w, STRANGER, c.message);
	refused(w, c, ERR_WRONG_NETWORK);
	c = REGISTRATION(w, .id = "a", .node = B);
	c.signature = sign(w, STRANGER, c.message);
	refused(w, c, ERR_FULL_SIGNATURE_REQUIRED);
	c = REGISTRATION(w, .id = "a", .node = B, .timestamp = t - far);
	c.signature = sign(w, STRANGER, c.message);
	refused(w, c, ERR_TIMESTAMP_OUT_OF_RANGE);
	refused(w, REGISTRATION(w, .id = "a", .node = B, .timestamp = t + far), ERR_TIMESTAMP_OUT_OF_RANGE);
	refused(w, REGISTRATION(w, .id = "a", .node = B, .timestamp = JSON_INT_MAX), ERR_TIMESTAMP_OUT_OF_RANGE);
	c = REGISTRATION(w, .id = "a", .node = B, .timestamp = t);
	c.signature = sign(w, STRANGER, c.message);
	refused(w, c, ERR_BAD_SIGNATURE);
	refused(w, REGISTRATION(w, .id = "a", .node = B, .timestamp = t), ERR_NODE_ID_TAKEN);
	refused(w, REGISTRATION(w, .id = "b", .node = A, .timestamp = t), ERR_KEY_IN_USE);
	refused(w, REGISTRATION(w, .id = "a", .node = A, .timestamp = node_named(w, "a")->registration_time), ERR_REPLAYED);
	applies(w, REGISTRATION(w, .id = "a", .node = A, .timestamp = t + MESH_CLOCK_SKEW_MS));
	refused(w, REGISTRATION(w, .id = "a", .node = A, .timestamp = t + MESH_CLOCK_SKEW_MS), ERR_REPLAYED);
	applies(w, REGISTRATION(w, .id = "b", .node = B, .timestamp = t - MESH_CLOCK_SKEW_MS));
}

static void test_registrations_that_wait_are_bounded(void **state)
{
	struct world *w = *state;
	w->replay.state.limits.pending_max = 2;
	put_in(w, NODE_PENDING);
	applies(w, REGISTRATION(w, .id = "b", .node = B, .timestamp = w->now));
	refused(w, REGISTRATION(w, .id = "c", .node = key(3), .timestamp = w->now), ERR_OVERLOADED);
	/* Who waits may update; who is invited does not wait; who is admitted, denied or removed waits no more. */
	applies(w, REGISTRATION(w, .id = "b", .node = B, .timestamp = w->now + 1));
	applies(w, invitation(w, S1, I1, 1, w->now + 100, w->now));
	applies(w, REGISTRATION(w, .id = "d", .node = key(4), .timestamp = w->now, .invite = I1));
	applies(w, decision(w, MESH_DENY, S1, "b", B, w->now + 1));
	applies(w, REGISTRATION(w, .id = "c", .node = key(3), .timestamp = w->now));
	refused(w, REGISTRATION(w, .id = "e", .node = key(5), .timestamp = w->now), ERR_OVERLOADED);
	applies(w, decision(w, MESH_REMOVE, S1, "a", A, w->now + 2));
	applies(w, REGISTRATION(w, .id = "e", .node = key(5), .timestamp = w->now));
	/* A reset is the sovereign's own doing: it is not held back. */
	applies(w, decision(w, MESH_RESET, S1, "b", B, w->now + 3));
	assert_int_equal(w->replay.pending, 3);
}

static void test_short_registrations(void **state)
{
	struct world *w = *state;
	w->replay.state.limits.require_full = false;
	applies(w, REGISTRATION(w, .id = "a", .node = A, .region = "eu"));
	assert_int_equal(node_named(w, "a")->registration_time, 0);
	struct change again = REGISTRATION(w, .id = "a", .node = A, .region = "eu");
	struct verdict v = world_apply(w, &again);
	assert_int_equal(v.kind, VERDICT_UNCHANGED);
	assert_text(v.subject, "a");
	applies(w, REGISTRATION(w, .id = "a", .node = A, .region = "us"));
	applies(w, REGISTRATION(w, .id = "a", .node = A, .region = "asia", .timestamp = w->now));
	/* What a full one vouched for, no short one changes, not even to the same. */
	refused(w, REGISTRATION(w, .id = "a", .node = A, .region = "us"), ERR_FULL_SIGNATURE_REQUIRED);
	refused(w, REGISTRATION(w, .id = "a", .node = A, .region = "asia"), ERR_FULL_SIGNATURE_REQUIRED);
	assert_text(node_named(w, "a")->region, "asia");
}

static const enum node_status all_statuses[] = {NODE_PENDING, NODE_ACTIVE, NODE_OFFLINE, NODE_DENIED};

static void test_which_decision_fits_which_state(void **state)
{
	(void)state;
	static const bool fits[][NODE_STATUS_COUNT] = {
		/* pending, active, offline, denied */
		[MESH_APPROVE] = {true, false, false, false},
		[MESH_DENY] = {true, false, false, false},
		[MESH_REMOVE] = {true, true, true, true},
		[MESH_RESET] = {false, false, false, true},
	};
	static const char *const outcomes[] = {[MESH_APPROVE] = "active", [MESH_DENY] = "denied", [MESH_REMOVE] = "removed", [MESH_RESET] = "pending"};
	for (enum mesh_action a = MESH_APPROVE; a <= MESH_RESET; a++)
		for (size_t i = 0; i < ARRAY_LEN(all_statuses); i++) {
			struct world *w;
			begin((void **)&w);
			put_in(w, all_statuses[i]);
			struct change c = decision(w, a, S1, "a", A, w->now);
			struct verdict v = world_apply(w, &c);
			assert_int_equal(v.kind, fits[a][all_statuses[i]] ? VERDICT_APPLIED : VERDICT_CONSUMED);
			assert_text(v.outcome, fits[a][all_statuses[i]] ? outcomes[a] : "wrong_state");
			assert_int_equal(sovereign_of(w, S1)->last_timestamp, w->now);
			const struct node_row *n = node_named(w, "a");
			if (a == MESH_REMOVE)
				assert_null(n);
			else if (fits[a][all_statuses[i]])
				assert_text(v.outcome, node_status_text(n->status));
			else
				assert_int_equal(n->status, all_statuses[i]);
			if (a == MESH_APPROVE && n->status == NODE_ACTIVE && all_statuses[i] == NODE_PENDING) {
				assert_true(n->approved_at == w->now && n->admission_entry == (int64_t)w->count - 1);
				assert_text(n->approved_by, S1->z);
			}
			end((void **)&w);
		}
}

static void test_refusals_of_decisions_in_order(void **state)
{
	struct world *w = *state;
	put_in(w, NODE_ACTIVE);
	int64_t t = w->now, far = t + MESH_CLOCK_SKEW_MS + 1, old = sovereign_of(w, S1)->last_timestamp;
	/* Each has everything wrong that comes later in the order. */
	for (enum mesh_action a = MESH_APPROVE; a <= MESH_RESET; a++) {
		refused(w, decision(w, a, STRANGER, "nobody", B, far), ERR_NOT_SOVEREIGN);
		refused(w, decision(w, a, S1, "nobody", B, far), ERR_TIMESTAMP_OUT_OF_RANGE);
		refused(w, decision(w, a, S1, "nobody", B, old), ERR_UNKNOWN_NODE);
		refused(w, decision(w, a, S1, "a", B, old), ERR_BAD_SIGNATURE);
		refused(w, decision(w, a, S1, "a", A, old), ERR_REPLAYED);
	}
	refused(w, decision(w, MESH_APPROVE, S1, "a", A, INT64_MAX), ERR_TIMESTAMP_OUT_OF_RANGE);
	refused(w, decision(w, MESH_APPROVE, S1, "a", A, 0), ERR_TIMESTAMP_OUT_OF_RANGE);
	consumed(w, decision(w, MESH_APPROVE, S1, "a", A, t), ERR_WRONG_STATE);
	refused(w, decision(w, MESH_APPROVE, S1, "a", A, t), ERR_REPLAYED);
	refused(w, old_decision(w, MESH_REMOVE, S1, "a"), ERR_MISSING_FIELD);
}

static void test_the_older_form_of_decisions(void **state)
{
	struct world *w = *state;
	w->replay.state.limits.dev = true;
	put_in(w, NODE_PENDING);
	int64_t last = sovereign_of(w, S1)->last_timestamp;
	refused(w, old_decision(w, MESH_APPROVE, STRANGER, "a"), ERR_NOT_SOVEREIGN);
	refused(w, old_decision(w, MESH_APPROVE, S1, "b"), ERR_UNKNOWN_NODE);
	struct change c = old_decision(w, MESH_APPROVE, S1, "a");
	c.signature = sign(w, S1, STR_LIT("deny:a"));
	refused(w, c, ERR_BAD_SIGNATURE);
	applies(w, old_decision(w, MESH_APPROVE, S1, "a"));
	consumed(w, old_decision(w, MESH_APPROVE, S1, "a"), ERR_WRONG_STATE);
	/* Sent with a timestamp that its signature does not cover: the log then has the text that was signed. */
	c = decision(w, MESH_REMOVE, S1, "a", A, w->now);
	c.signature = sign(w, S1, STR_LIT("remove:a"));
	applies(w, c);
	assert_text(w->log[w->count - 1].message, "remove:a");
	assert_int_equal(sovereign_of(w, S1)->last_timestamp, last);
}

static void test_removed_nodes_come_back_only_with_a_new_word(void **state)
{
	struct world *w = *state;
	applies(w, REGISTRATION(w, .id = "a", .node = A, .timestamp = T0 + 1000));
	struct change recorded = REGISTRATION(w, .id = "a", .node = A, .timestamp = T0 + 1001);
	applies(w, decision(w, MESH_REMOVE, S1, "a", A, T0 + 1));
	refused(w, REGISTRATION(w, .id = "a", .node = A, .timestamp = T0 + 1000), ERR_REPLAYED);
	w->now = T0 + 1500;
	applies(w, recorded);
	applies(w, decision(w, MESH_REMOVE, S1, "a", A, T0 + 2));
	/* Under another id neither. */
	refused(w, REGISTRATION(w, .id = "z", .node = A, .timestamp = T0 + 1500), ERR_REPLAYED);
	applies(w, REGISTRATION(w, .id = "z", .node = A, .timestamp = T0 + 1501));
	/* The id is free. */
	applies(w, REGISTRATION(w, .id = "a", .node = B, .timestamp = T0 + 1));
}

static void test_rotating_a_nodes_key(void **state)
{
	(void)state;
	static const char *const outcomes[] = {"pending", "active", "active", NULL};
	for (size_t i = 0; i < ARRAY_LEN(all_statuses); i++) {
		struct world *w;
		begin((void **)&w);
		put_in(w, all_statuses[i]);
		struct node_row before = *node_named(w, "a");
		struct change c = node_rotation(w, "a", A, B, w->now);
		if (all_statuses[i] == NODE_DENIED) {
			refused(w, c, ERR_WRONG_STATE);
			end((void **)&w);
			continue;
		}
		int64_t entry = (int64_t)w->count;
		struct verdict v = world_apply(w, &c);
		assert_int_equal(v.kind, VERDICT_APPLIED);
		assert_text(v.outcome, outcomes[i]);
		const struct node_row *n = node_named(w, "a");
		char rotations[32];
		snprintf(rotations, sizeof(rotations), "[%" PRId64 "]", entry);
		assert_text(n->public_key, B->z);
		assert_text(n->rotations, rotations);
		assert_true(n->status == all_statuses[i] && n->approved_at == before.approved_at && n->registration_time == w->now);
		/* The old key has no say any more, whatever it signed before. */
		refused(w, REGISTRATION(w, .id = "a", .node = A, .timestamp = w->now + 1), ERR_NODE_ID_TAKEN);
		refused(w, REGISTRATION(w, .id = "b", .node = A, .timestamp = w->now), ERR_REPLAYED);
		refused(w, node_rotation(w, "a", A, key(3), w->now + 1), ERR_BAD_SIGNATURE);
		refused(w, decision(w, MESH_REMOVE, S1, "a", A, w->now), ERR_BAD_SIGNATURE);
		applies(w, node_rotation(w, "a", B, A, w->now + 1));
		refused(w, REGISTRATION(w, .id = "a", .node = A, .timestamp = w->now + 1), ERR_REPLAYED);
		end((void **)&w);
	}
}

static void test_refusals_of_node_rotations_in_order(void **state)
{
	struct world *w = *state;
	put_in(w, NODE_DENIED);
	applies(w, REGISTRATION(w, .id = "b", .node = B, .timestamp = w->now));
	int64_t t = w->now, far = t + MESH_CLOCK_SKEW_MS + 1, old = node_named(w, "a")->registration_time;
	refused(w, node_rotation(w, "nobody", B, B, far), ERR_TIMESTAMP_OUT_OF_RANGE);
	refused(w, node_rotation(w, "nobody", B, B, old), ERR_UNKNOWN_NODE);
	refused(w, node_rotation(w, "a", B, B, old), ERR_BAD_SIGNATURE);
	struct change c = node_rotation(w, "a", A, B, old);
	c.new_signature = c.signature;
	refused(w, c, ERR_BAD_SIGNATURE);
	refused(w, node_rotation(w, "a", A, B, old), ERR_REPLAYED);
	refused(w, node_rotation(w, "a", A, B, t), ERR_WRONG_STATE);
	refused(w, node_rotation(w, "b", B, A, t + 1), ERR_KEY_IN_USE);
	refused(w, node_rotation(w, "b", B, B, t + 1), ERR_KEY_IN_USE);
}

static void test_rotations_are_bounded(void **state)
{
	struct world *w = *state;
	put_in(w, NODE_ACTIVE);
	for (int i = 0; i < MESH_ROTATIONS_MAX; i++)
		applies(w, node_rotation(w, "a", i % 2 ? B : A, i % 2 ? A : B, ++w->now));
	refused(w, node_rotation(w, "a", MESH_ROTATIONS_MAX % 2 ? B : A, key(3), ++w->now), ERR_REFUSED);
}

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

static void test_expiry(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(all_statuses); i++) {
		struct world *w;
		begin((void **)&w);
		put_in(w, all_statuses[i]);
		struct change c = expiry(w, "a", A, w->now);
		c.public_key = S1->text;
		refused(w, c, ERR_NOT_ALLOWED);
		refused(w, expiry(w, "a", A, w->now - 1), ERR_TIMESTAMP_OUT_OF_RANGE);
		refused(w, expiry(w, "b", A, w->now), ERR_UNKNOWN_NODE);
		refused(w, expiry(w, "a", B, w->now), ERR_WRONG_STATE);
		if (all_statuses[i] == NODE_PENDING) {
			applies(w, expiry(w, "a", A, w->now));
			assert_null(node_named(w, "a"));
			assert_int_equal(w->replay.pending, 0);
		} else {
			refused(w, expiry(w, "a", A, w->now), ERR_WRONG_STATE);
		}
		end((void **)&w);
	}
	/* An old expiry does not end a later registration, whatever time it is entered with. */
	struct world *w = *state;
	put_in(w, NODE_PENDING);
	struct change recorded = expiry(w, "a", A, w->now);
	applies(w, recorded);
	int64_t then = w->now;
	w->now += 10;
	applies(w, REGISTRATION(w, .id = "a", .node = A, .timestamp = w->now));
	w->now = then;
	refused(w, recorded, ERR_WRONG_STATE);
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

static void test_heartbeats(void **state)
{
	(void)state;
	enum { NOW = 1000000, WINDOW = 60000 };
	struct error err;
	struct node_row n = {.id = STR_LIT("a"), .status = NODE_ACTIVE};
	struct liveness l = {.heartbeat_time = NOW - 10};
	static const struct {
		enum node_status status;
		int64_t timestamp;
		int code; /* -1: taken */
	} cases[] = {
		{NODE_ACTIVE, NOW, -1},
		{NODE_OFFLINE, NOW, -1},
		{NODE_ACTIVE, NOW + WINDOW, -1},
		{NODE_ACTIVE, NOW - 9, -1},
		{NODE_PENDING, NOW - WINDOW - 1, ERR_NODE_NOT_ACTIVE},
		{NODE_DENIED, NOW, ERR_NODE_NOT_ACTIVE},
		{NODE_ACTIVE, NOW - WINDOW - 1, ERR_TIMESTAMP_OUT_OF_RANGE},
		{NODE_OFFLINE, NOW + WINDOW + 1, ERR_TIMESTAMP_OUT_OF_RANGE},
		{NODE_ACTIVE, 0, ERR_TIMESTAMP_OUT_OF_RANGE},
		{NODE_ACTIVE, JSON_INT_MAX, ERR_TIMESTAMP_OUT_OF_RANGE},
		{NODE_ACTIVE, NOW - 10, ERR_REPLAYED},
		{NODE_OFFLINE, NOW - WINDOW, ERR_REPLAYED},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		n.status = cases[i].status;
		bool ok = mesh_heartbeat_allowed(&n, &l, cases[i].timestamp, NOW, WINDOW, &err);
		assert_int_equal(ok ? -1 : (int)err.code, cases[i].code);
	}
}

static void test_texts_of_statuses_and_events(void **state)
{
	(void)state;
	enum node_status s;
	for (int i = 0; i < NODE_STATUS_COUNT; i++) {
		assert_true(node_status_from_text(str_from(node_status_text((enum node_status)i)), &s) && (int)s == i);
		assert_true(form_status.check(str_from(node_status_text((enum node_status)i))));
	}
	assert_false(node_status_from_text(STR_LIT("removed"), &s));
	assert_false(node_status_from_text(STR_NONE, &s));
	for (int i = EVENT_NONE + 1; i < EVENT_COUNT; i++) {
		assert_non_null(strchr(mesh_event_text((enum mesh_event)i), '.'));
		for (int k = EVENT_NONE; k < i; k++)
			assert_string_not_equal(mesh_event_text((enum mesh_event)i), mesh_event_text((enum mesh_event)k));
	}
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)
int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_registering),
		CASE(test_refusals_of_registrations_in_order),
		CASE(test_registrations_that_wait_are_bounded),
		CASE(test_short_registrations),
		cmocka_unit_test(test_which_decision_fits_which_state),
		CASE(test_refusals_of_decisions_in_order),
		CASE(test_the_older_form_of_decisions),
		CASE(test_removed_nodes_come_back_only_with_a_new_word),
		cmocka_unit_test(test_rotating_a_nodes_key),
		CASE(test_refusals_of_node_rotations_in_order),
		CASE(test_rotations_are_bounded),
		CASE(test_first_sovereigns),
		CASE(test_sovereign_keys),
		CASE(test_rotating_a_sovereign_key),
		CASE(test_invites),
		CASE(test_an_invite_does_not_lift_a_denial),
		CASE(test_an_invite_does_not_bring_back_what_was_removed),
		CASE(test_an_invite_use_is_for_one_node),
		CASE(test_expiry),
		CASE(test_nobody_speaks_for_another_key),
		CASE(test_a_signature_is_for_one_statement),
		CASE(test_another_network),
		cmocka_unit_test(test_heartbeats),
		cmocka_unit_test(test_texts_of_statuses_and_events),
	};
	struct error err;
	return crypto_start(&err) ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
