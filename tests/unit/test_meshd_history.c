/*
 * Random histories: thousands of changes, fitting or not, thrown at meshd's rules. Whatever comes, counters equal a recount, keys are unique, a refusal changes nothing, a
 * used-up timestamp changes only itself, nothing logged counts a second time, and the log alone gives the same registry again.
 */
#include "meshd_sample.h"

enum { STEPS = 2500, NODES = 6, NODE_KEYS = 10, SOVEREIGNS = 4, INVITES = 4, FIRST_NODE = 1, FIRST_SOVEREIGN = 20, FIRST_INVITE = 40, STRANGER = 90 };
static const char *const ids[NODES] = {"a", "b", "c", "d", "e", "f"};

struct dice {
	uint64_t state;
};
static unsigned roll(struct dice *d, unsigned sides)
{
	d->state ^= d->state << 13;
	d->state ^= d->state >> 7;
	d->state ^= d->state << 17;
	return (unsigned)((d->state >> 33) % sides);
}
static bool one_in(struct dice *d, unsigned n)
{
	return roll(d, n) == 0;
}

static const struct signer *any(struct dice *d, unsigned first, unsigned count)
{
	return key(first + roll(d, count));
}
static const struct signer *any_sovereign(struct dice *d)
{
	return one_in(d, 30) ? key(STRANGER) : any(d, FIRST_SOVEREIGN, SOVEREIGNS);
}

/* A time that mostly fits: sometimes recorded, sometimes beyond the window. */
static int64_t any_time(struct world *w, struct dice *d)
{
	switch (roll(d, 12)) {
	case 0:
		return w->now - 50 - roll(d, 100);
	case 1:
		return one_in(d, 2) ? w->now - MESH_CLOCK_SKEW_MS - 1 : w->now + MESH_CLOCK_SKEW_MS + 1;
	case 2:
		return w->now + roll(d, 20);
	default:
		return w->now;
	}
}

/* The node's present key, mostly. */
static const struct signer *key_of_node(struct world *w, struct dice *d, const char *id)
{
	const struct node_row *n = node_named(w, id);
	for (unsigned i = 0; n && i < NODE_KEYS && !one_in(d, 20); i++)
		if (str_equal(key(FIRST_NODE + i)->text, n->public_key))
			return key(FIRST_NODE + i);
	return any(d, FIRST_NODE, NODE_KEYS);
}

static struct change any_registration(struct world *w, struct dice *d)
{
	static const char *const hosts[] = {"one.ts.net", "two.ts.net", "three.ts.net"};
	static const char *const regions[] = {NULL, "eu", "us"};
	struct registering r = {.id = ids[roll(d, NODES)], .host = hosts[roll(d, 3)], .region = regions[roll(d, 3)], .port = roll(d, 3)};
	r.node = key_of_node(w, d, r.id);
	r.timestamp = one_in(d, 5) ? 0 : any_time(w, d);
	r.network = one_in(d, 20) ? "other" : one_in(d, 2) ? "unit" : NULL;
	r.invite = r.timestamp && one_in(d, 3) ? any(d, FIRST_INVITE, INVITES) : NULL;
	return registration(w, &r);
}

static struct change any_change(struct world *w, struct dice *d)
{
	const char *id = ids[roll(d, NODES)];
	const struct signer *node = key_of_node(w, d, id);
	int64_t t = any_time(w, d);
	switch (roll(d, 16)) {
	case 0:
		return about_key(w, STATEMENT_SOVEREIGN_INIT, one_in(d, 9) ? any_sovereign(d) : key(COORDINATOR), any_sovereign(d), t);
	case 1:
		return about_key(w, STATEMENT_SOVEREIGN_ADD, any_sovereign(d), any_sovereign(d), t);
	case 2:
		return about_key(w, STATEMENT_SOVEREIGN_REMOVE, any_sovereign(d), any_sovereign(d), t);
	case 3:
		return sovereign_rotation(w, any_sovereign(d), any_sovereign(d), t);
	case 4:
		return invitation(w, any_sovereign(d), any(d, FIRST_INVITE, INVITES), 1 + roll(d, 3), w->now - 5 + roll(d, 400), t);
	case 5:
		return one_in(d, 4) ? about_key(w, STATEMENT_INVITE_REVOKE, any_sovereign(d), any(d, FIRST_INVITE, INVITES), t) : expiry(w, id, node, t);
	case 6:
		return node_rotation(w, id, node, any(d, FIRST_NODE, NODE_KEYS), t);
	case 7:
		return old_decision(w, (enum mesh_action)roll(d, 4), any_sovereign(d), id);
	case 8:
	case 9:
	case 10:
	case 11:
		return decision(w, (enum mesh_action)roll(d, 4), any_sovereign(d), id, node, t);
	default:
		return any_registration(w, d);
	}
}

/* Somebody on the way, or someone who only plays the part. */
static void spoil(struct world *w, struct dice *d, struct change *c)
{
	if (one_in(d, 25))
		c->signature = sign(w, key(STRANGER), STR_LIT("something else"));
	if (one_in(d, 40) && str_present(c->new_signature))
		c->new_signature = c->signature;
	if (one_in(d, 40) && c->statement.kind != STATEMENT_NODE_ROTATE)
		c->public_key = any(d, FIRST_NODE, NODE_KEYS)->text;
}

static void check_nodes(struct world *w)
{
	struct replay_state *r = &w->replay;
	int64_t pending = 0;
	size_t at = 0, count = 0;
	for (const struct node_row *n; (n = strmap_next(&r->nodes, &at)); count++) {
		bool admitted = n->status == NODE_ACTIVE || n->status == NODE_OFFLINE;
		pending += n->status == NODE_PENDING;
		assert_ptr_equal(strmap_get(&r->nodes, n->id), n);
		assert_ptr_equal(strmap_get(&r->node_keys, n->public_key), n);
		assert_true(admitted == (n->approved_at != 0) && admitted == str_present(n->approved_by) && admitted == (n->admission_entry != NO_ENTRY));
		assert_true(n->registration_entry >= 0 && n->registration_entry < (int64_t)w->count && n->admission_entry < (int64_t)w->count);
		assert_true(admitted || !str_present(n->invite_key));
		assert_non_null(strmap_get(&r->sovereigns, admitted ? n->approved_by : key(FIRST_SOVEREIGN)->text));
	}
	assert_int_equal(count, r->nodes.count);
	assert_int_equal(count, r->node_keys.count);
	assert_int_equal(pending, r->pending);
	assert_true(pending <= r->state.limits.pending_max + NODES);
}

static void check_keys(struct world *w, int64_t last_timestamps[])
{
	struct replay_state *r = &w->replay;
	int64_t in_force = 0;
	size_t at = 0;
	for (const struct sovereign_row *s; (s = strmap_next(&r->sovereigns, &at));)
		in_force += s->removed_at == 0;
	assert_int_equal(in_force, r->sovereigns_in_force);
	assert_true(in_force > 0);
	for (unsigned i = 0; i < SOVEREIGNS; i++) {
		const struct sovereign_row *s = sovereign_of(w, key(FIRST_SOVEREIGN + i));
		assert_true(!s || s->last_timestamp >= last_timestamps[i]);
		last_timestamps[i] = s ? s->last_timestamp : 0;
	}
	at = 0;
	for (const struct invite_row *i; (i = strmap_next(&r->invites, &at));)
		assert_true(i->used >= 0 && i->used <= i->uses && i->entry < (int64_t)w->count);
}

static int64_t uses(struct world *w)
{
	int64_t n = 0;
	size_t at = 0;
	for (const struct invite_row *i; (i = strmap_next(&w->replay.invites, &at));)
		n += i->used;
	return n;
}

static const struct signer *signer_of(struct str text)
{
	for (unsigned i = 0; i < SOVEREIGNS; i++)
		if (str_equal(key(FIRST_SOVEREIGN + i)->text, text))
			return key(FIRST_SOVEREIGN + i);
	return key(STRANGER);
}

static void step(struct world *w, struct dice *d, size_t seen[])
{
	struct change c = any_change(w, d);
	spoil(w, d, &c);
	const struct signer *by = signer_of(c.public_key);
	char *before = dump(w, NULL), *before_but_time = dump(w, by);
	size_t entries = w->count;
	int64_t used = uses(w);
	struct verdict v = world_apply(w, &c);
	char *after = dump(w, NULL), *after_but_time = dump(w, by);
	seen[v.kind]++;
	switch (v.kind) {
	case VERDICT_REFUSED:
	case VERDICT_UNCHANGED:
		assert_string_equal(before, after);
		assert_int_equal(entries, w->count);
		break;
	case VERDICT_CONSUMED:
		assert_string_equal(before_but_time, after_but_time);
		assert_int_equal(entries + 1, w->count);
		if (c.statement.kind != STATEMENT_DECISION_OLD)
			assert_int_equal(sovereign_of(w, by)->last_timestamp, c.statement.timestamp);
		assert_true(str_is(v.outcome, error_code_text(v.err.code)));
		break;
	case VERDICT_APPLIED:
		assert_string_not_equal(before, after);
		assert_int_equal(entries + 1, w->count);
		assert_true(mesh_change_signatures_valid(&c, NETWORK));
		assert_int_equal(uses(w) - used, v.second_event == EVENT_NODE_APPROVED);
		break;
	case VERDICT_FAILED:
		fail();
	}
	free(before);
	free(before_but_time);
	free(after);
	free(after_but_time);
}

/* Nodes fall silent beside the rules. */
static void fall_silent(struct world *w, struct dice *d)
{
	struct node_row *n = strmap_get(&w->replay.nodes, str_from(ids[roll(d, NODES)]));
	if (n && n->status == NODE_ACTIVE)
		n->status = NODE_OFFLINE;
	else if (n && n->status == NODE_OFFLINE)
		n->status = NODE_ACTIVE;
}

/* As meshd verify does it, from the entries alone. */
static void replay_log(struct world *w, char *want)
{
	struct replay_state again;
	replay_init(&again, NETWORK, key(COORDINATOR)->text);
	for (size_t i = 0; i < w->count; i++) {
		struct change c = change_of_entry(w, &w->log[i]);
		struct verdict v;
		assert_true(mesh_change_signatures_valid(&c, NETWORK));
		assert_true(str_equal(c.statement.new_key, w->log[i].new_public_key));
		c.signatures_checked = true;
		again.state.now = w->log[i].time;
		again.state.entry = (int64_t)i;
		mesh_apply(&again.state, &c, &v);
		if (v.kind != VERDICT_APPLIED && v.kind != VERDICT_CONSUMED)
			fail_msg("entry %zu: %s", i, v.err.message);
		assert_true(str_equal(v.outcome, w->log[i].outcome));
		replay_forget(&again);
	}
	struct replay_state first = w->replay;
	w->replay = again;
	char *have = dump(w, NULL);
	w->replay = first;
	assert_string_equal(have, want);
	free(have);
	replay_free(&again);
}

/* Did the registration that this entry made expire? It may then be sent again, and wait again. */
static bool expired_later(struct world *w, size_t i, const struct change *registration)
{
	for (size_t k = i + 1; k < w->count; k++) {
		struct change c = change_of_entry(w, &w->log[k]);
		if (c.statement.kind == STATEMENT_EXPIRE && str_equal(c.statement.public_key, registration->statement.public_key))
			return true;
	}
	return false;
}

/* What has a timestamp and was logged counts never again, at whatever time it is entered. */
static void play_again(struct world *w, const char *want)
{
	for (size_t i = 0, n = w->count; i < n; i++) {
		struct change c = change_of_entry(w, &w->log[i]);
		if (c.statement.kind == STATEMENT_REGISTER_SHORT || c.statement.kind == STATEMENT_DECISION_OLD)
			continue;
		if (c.statement.kind == STATEMENT_REGISTER_FULL && expired_later(w, i, &c))
			continue;
		w->now = w->log[i].time;
		struct verdict v = world_apply(w, &c);
		if (v.kind != VERDICT_REFUSED && v.kind != VERDICT_UNCHANGED)
			fail_msg("entry %zu again: %.*s", i, STR_ARG(w->log[i].message));
	}
	char *have = dump(w, NULL);
	assert_string_equal(have, want);
	free(have);
}

static void run_history(uint64_t seed, bool dev, size_t seen[])
{
	struct world w;
	struct dice d = {seed * UINT64_C(0x9e3779b97f4a7c15) + 1};
	int64_t last_timestamps[SOVEREIGNS] = {0};
	world_begin(&w);
	w.replay.state.limits = (struct mesh_limits){.pending_max = 4, .require_full = !dev, .dev = dev};
	struct change first = about_key(&w, STATEMENT_SOVEREIGN_INIT, key(COORDINATOR), key(FIRST_SOVEREIGN), w.now);
	applies(&w, first);
	for (int i = 0; i < STEPS; i++) {
		w.now += roll(&d, 30);
		if (one_in(&d, 400))
			w.now -= 2000; /* the clock is put right */
		if (one_in(&d, 15))
			fall_silent(&w, &d);
		step(&w, &d, seen);
		check_nodes(&w);
		check_keys(&w, last_timestamps);
	}
	char *want = dump(&w, NULL);
	replay_log(&w, want);
	play_again(&w, want);
	free(want);
	world_end(&w);
}

static void test_random_histories(void **state)
{
	(void)state;
	size_t seen[VERDICT_FAILED + 1] = {0};
	for (uint64_t seed = 1; seed <= 4; seed++)
		run_history(seed, seed % 2 == 0, seen);
	/* The histories are worth something: every kind of verdict came up often. */
	assert_true(seen[VERDICT_APPLIED] > STEPS / 4 && seen[VERDICT_CONSUMED] > STEPS / 10 && seen[VERDICT_REFUSED] > STEPS / 2);
	assert_true(seen[VERDICT_UNCHANGED] > 10);
}

/* What a log entry claims is held against its signatures: any other key or text in its place is found. */
static void test_altered_entries(void **state)
{
	(void)state;
	struct world w;
	struct dice d = {77};
	world_begin(&w);
	struct change first = about_key(&w, STATEMENT_SOVEREIGN_INIT, key(COORDINATOR), key(FIRST_SOVEREIGN), w.now);
	applies(&w, first);
	for (int i = 0; i < 300; i++) {
		struct change c = any_change(&w, &d);
		w.now += 20;
		world_apply(&w, &c);
	}
	assert_true(w.count > 40);
	for (size_t i = 0; i < w.count; i++) {
		struct change c = change_of_entry(&w, &w.log[i]), other = c;
		assert_true(mesh_change_signatures_valid(&c, NETWORK));
		other.public_key = key(STRANGER + 1)->text;
		assert_false(mesh_change_signatures_valid(&other, NETWORK));
		other.signature = sign(&w, key(STRANGER + 1), other.message);
		bool own_word = c.statement.kind == STATEMENT_REGISTER_FULL || c.statement.kind == STATEMENT_NODE_ROTATE || c.statement.kind == STATEMENT_SOVEREIGN_ROTATE;
		assert_int_equal(mesh_change_signatures_valid(&other, NETWORK), !own_word);
		other = c;
		other.message = arena_printf(&w.arena, "%.*s ", STR_ARG(c.message));
		assert_false(mesh_change_signatures_valid(&other, NETWORK));
		other = c;
		other.new_signature = c.signature;
		/* A key that is to follow itself signs the same twice. */
		assert_int_equal(mesh_change_signatures_valid(&other, NETWORK), !str_present(c.new_signature) || str_equal(c.new_signature, c.signature));
	}
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_histories),
		cmocka_unit_test(test_altered_entries),
	};
	struct error err;
	return crypto_start(&err) ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
