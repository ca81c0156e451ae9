#include "mesh_rules.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/log.h"
#include "crypto/ed25519.h"

static const char *const status_texts[NODE_STATUS_COUNT] = {"pending", "active", "offline", "denied"};

const char *node_status_text(enum node_status s)
{
	return status_texts[s];
}

bool node_status_from_text(struct str s, enum node_status *out)
{
	for (int i = 0; i < NODE_STATUS_COUNT; i++)
		if (str_is(s, status_texts[i])) {
			*out = (enum node_status)i;
			return true;
		}
	return false;
}

const char *mesh_event_text(enum mesh_event e)
{
	static const char *const texts[EVENT_COUNT] = {
		[EVENT_NONE] = "",
		[EVENT_NODE_REGISTERED] = "node.registered",
		[EVENT_NODE_UPDATED] = "node.updated",
		[EVENT_NODE_APPROVED] = "node.approved",
		[EVENT_NODE_DENIED] = "node.denied",
		[EVENT_NODE_OFFLINE] = "node.offline",
		[EVENT_NODE_ONLINE] = "node.online",
		[EVENT_NODE_REMOVED] = "node.removed",
		[EVENT_NODE_RESET] = "node.reset",
		[EVENT_NODE_ROTATED] = "node.rotated",
		[EVENT_NODE_EXPIRED] = "node.expired",
		[EVENT_SOVEREIGN_ADDED] = "sovereign.added",
		[EVENT_SOVEREIGN_REMOVED] = "sovereign.removed",
		[EVENT_SOVEREIGN_ROTATED] = "sovereign.rotated",
		[EVENT_INVITE_CREATED] = "invite.created",
		[EVENT_INVITE_REVOKED] = "invite.revoked",
		[EVENT_SERVICE_UNHEALTHY] = "service.unhealthy",
	};
	return texts[e];
}

/* Verdicts. The refusing ones fill v->err first, with refuse(v, error_set(&v->err, ...)). */
static enum verdict_kind refuse(struct verdict *v, bool always_false)
{
	(void)always_false;
	return v->kind = VERDICT_REFUSED;
}
static enum verdict_kind failed(struct verdict *v)
{
	return v->kind = VERDICT_FAILED;
}
static enum verdict_kind consumed(struct verdict *v, bool always_false)
{
	(void)always_false;
	v->outcome = str_from(error_code_text(v->err.code));
	return v->kind = VERDICT_CONSUMED;
}
static enum verdict_kind applied(struct verdict *v, struct str outcome, enum mesh_event event, struct str subject)
{
	v->outcome = outcome;
	v->event = event;
	v->subject = subject;
	return v->kind = VERDICT_APPLIED;
}
static enum verdict_kind applied_to_node(struct verdict *v, enum node_status status, enum mesh_event event, struct str id)
{
	v->status = status;
	return applied(v, str_from(node_status_text(status)), event, id);
}

/* Signatures */
static bool signature_valid(struct str message, struct str public_key, struct str signature)
{
	struct ed25519_public key;
	struct ed25519_signature sig;
	struct error ignored;
	return ed25519_public_from_text(public_key, KEY_WRITTEN, &key, &ignored) &&
	       ed25519_signature_from_text(signature, KEY_WRITTEN, &sig, &ignored) && ed25519_verify_message(&sig, &key, message);
}

static bool invite_use_valid(const struct mesh_statement *st, struct str network)
{
	const struct mesh_invite_use *use = st->registration.invite;
	struct buf text = {0};
	mesh_message_invite_use(&text, network, st->node_id, st->public_key);
	bool ok = signature_valid(buf_str(&text), use->public_key, use->signature);
	buf_free(&text);
	return ok;
}

static bool is_rotation(const struct mesh_statement *st)
{
	return st->kind == STATEMENT_SOVEREIGN_ROTATE || st->kind == STATEMENT_NODE_ROTATE;
}

/* Registrations and rotations are the word of the key that they name; a log entry might say that another one signed. */
static bool signer_is_named(const struct change *c)
{
	enum mesh_statement_kind kind = c->statement.kind;
	bool own_word = kind == STATEMENT_REGISTER_SHORT || kind == STATEMENT_REGISTER_FULL || is_rotation(&c->statement);
	return !own_word || str_equal(c->public_key, c->statement.public_key);
}

bool mesh_change_signatures_valid(const struct change *c, struct str network)
{
	if (!signer_is_named(c) || !signature_valid(c->message, c->public_key, c->signature))
		return false;
	if (is_rotation(&c->statement) && !signature_valid(c->message, c->statement.new_key, c->new_signature))
		return false;
	return !(c->statement.kind == STATEMENT_REGISTER_FULL && c->statement.registration.invite) || invite_use_valid(&c->statement, network);
}

static bool signatures_fine(struct mesh_state *s, struct change *c, struct verdict *v)
{
	if (!str_present(c->message)) {
		struct buf text = {0};
		mesh_statement_write(&c->statement, &text);
		c->message = arena_copy(s->arena, buf_str(&text));
		buf_free(&text);
	}
	if (c->signatures_checked || mesh_change_signatures_valid(c, s->network))
		return true;
	/* Existing tools sign "approve:<nodeId>": replayable, so only a development network takes it. */
	if (s->limits.dev && c->statement.kind == STATEMENT_DECISION) {
		struct change old = *c;
		old.statement.kind = STATEMENT_DECISION_OLD;
		struct buf text = {0};
		mesh_message_decision_old(&text, c->statement.action, c->statement.node_id);
		old.message = arena_copy(s->arena, buf_str(&text));
		buf_free(&text);
		if (mesh_change_signatures_valid(&old, s->network)) {
			*c = old;
			return true;
		}
	}
	refuse(v, error_set(&v->err, ERR_BAD_SIGNATURE, "the signature does not fit the message and the key"));
	error_hint(&v->err, "signed must be SHA-256 of: %.*s", (int)(c->message.n < 120 ? c->message.n : 120), c->message.p);
	return false;
}

static bool timestamp_fine(const struct mesh_state *s, int64_t timestamp, struct verdict *v)
{
	if (timestamp >= s->now - MESH_CLOCK_SKEW_MS && timestamp - MESH_CLOCK_SKEW_MS <= s->now)
		return true;
	refuse(v, error_set(&v->err, ERR_TIMESTAMP_OUT_OF_RANGE, "the timestamp lies more than %d s from the coordinator's time",
			    MESH_CLOCK_SKEW_MS / 1000));
	error_hint(&v->err, "check this machine's clock");
	return false;
}

/* Who signs: a sovereign in force. */
static bool load_sovereign(struct mesh_state *s, struct str key, struct sovereign_row *row, struct verdict *v)
{
	enum found f = s->ops->sovereign(s, key, row);
	if (f == STATE_FAILED) {
		failed(v);
		return false;
	}
	if (f == FOUND && row->removed_at == 0)
		return true;
	refuse(v, error_set(&v->err, ERR_NOT_SOVEREIGN, "the key %.*s is not a sovereign key of this network", STR_ARG(key)));
	return false;
}

static bool load_node(struct mesh_state *s, struct str id, struct node_row *row, struct verdict *v)
{
	enum found f = s->ops->node_by_id(s, id, row);
	if (f == FOUND)
		return true;
	if (f == STATE_FAILED)
		failed(v);
	else
		refuse(v, error_set(&v->err, ERR_UNKNOWN_NODE, "no node %.*s is registered", STR_ARG(id)));
	return false;
}

/* The sovereign's timestamp is newer than its last, and now used up. */
static bool use_timestamp(struct mesh_state *s, struct sovereign_row *by, int64_t timestamp, struct verdict *v)
{
	if (timestamp <= by->last_timestamp) {
		refuse(v, error_set(&v->err, ERR_REPLAYED, "the timestamp is not newer than this key's last one (%" PRId64 ")", by->last_timestamp));
		error_hint(&v->err, "sign again with the present time");
		return false;
	}
	by->last_timestamp = timestamp;
	if (s->ops->put_sovereign(s, by))
		return true;
	failed(v);
	return false;
}

/* Registration */
static struct str services_text(struct mesh_state *s, const struct mesh_register *r)
{
	struct buf text = {0};
	buf_putc(&text, '[');
	const struct mesh_service *list = r->services.items;
	for (size_t i = 0; i < r->services.count; i++) {
		if (i)
			buf_putc(&text, ',');
		json_write_canonical(&text, &mesh_service_message, &list[i]);
	}
	buf_putc(&text, ']');
	struct str out = arena_copy(s->arena, buf_str(&text));
	buf_free(&text);
	return out;
}

static void take_registration(struct mesh_state *s, const struct change *c, struct node_row *row)
{
	const struct mesh_register *r = &c->statement.registration;
	row->tailscale_hostname = r->tailscale_hostname;
	row->tailscale_ip = r->tailscale_ip;
	row->role = str_present(r->role) ? r->role : STR_LIT("validator");
	row->region = r->region;
	row->provider = r->provider;
	row->latitude = r->latitude;
	row->longitude = r->longitude;
	row->services = services_text(s, r);
	row->registration_entry = s->entry;
	if (c->statement.kind == STATEMENT_REGISTER_FULL)
		row->registration_time = c->statement.timestamp;
}

static bool same_registration(const struct node_row *a, const struct node_row *b)
{
	return str_equal(a->tailscale_hostname, b->tailscale_hostname) && str_equal(a->tailscale_ip, b->tailscale_ip) && str_equal(a->role, b->role) &&
	       str_equal(a->region, b->region) && str_equal(a->provider, b->provider) && str_equal(a->latitude, b->latitude) &&
	       str_equal(a->longitude, b->longitude) && str_equal(a->services, b->services);
}

/*
 * The invite that a registration presents, if it is good for one more use. Whom an invite once admitted and a sovereign then removed is the sovereigns' to decide on: the old use
 * of the invite could be shown again.
 */
static bool load_invite(struct mesh_state *s, const struct mesh_statement *st, struct invite_row *invite, struct verdict *v)
{
	struct removed_row removed;
	enum found was = s->ops->removed(s, st->public_key, &removed);
	enum found f = was == STATE_FAILED ? STATE_FAILED : s->ops->invite(s, st->registration.invite->public_key, invite);
	if (f == STATE_FAILED) {
		failed(v);
		return false;
	}
	const char *why = f == ABSENT                    ? "is not known"
			  : was == FOUND                     ? "does not bring back a key that was removed or given up"
			  : invite->revoked_at != 0          ? "was revoked"
			  : invite->expires <= s->now        ? "has expired"
			  : invite->used >= invite->uses     ? "is used up"
							     : NULL;
	if (!why)
		return true;
	refuse(v, error_set(&v->err, ERR_INVITE_INVALID, "the invite %s", why));
	error_hint(&v->err, "ask a sovereign for a new invite, or register without one and wait for approval");
	return false;
}

static bool use_invite(struct mesh_state *s, struct invite_row *invite, struct node_row *row)
{
	invite->used++;
	row->status = NODE_ACTIVE;
	row->approved_at = s->now;
	row->approved_by = invite->created_by;
	row->invite_key = invite->public_key;
	row->admission_entry = s->entry;
	return s->ops->put_invite(s, invite);
}

static enum verdict_kind register_new(struct mesh_state *s, struct change *c, struct verdict *v)
{
	const struct mesh_statement *st = &c->statement;
	struct node_row other;
	enum found f = s->ops->node_by_key(s, st->public_key, &other);
	if (f == FOUND)
		return refuse(v, error_set(&v->err, ERR_KEY_IN_USE, "this key is registered under another node id"));
	struct removed_row removed;
	enum found was = f == STATE_FAILED ? STATE_FAILED : s->ops->removed(s, st->public_key, &removed);
	if (was == STATE_FAILED)
		return failed(v);
	if (was == FOUND && st->kind == STATEMENT_REGISTER_FULL && st->timestamp <= removed.not_before)
		return refuse(v, error_set(&v->err, ERR_REPLAYED, "this registration is older than the node's removal"));

	struct node_row row = {.id = st->node_id,
			       .public_key = st->public_key,
			       .status = NODE_PENDING,
			       .registered_at = s->now,
			       .admission_entry = NO_ENTRY,
			       .rotations = STR_LIT("[]")};
	take_registration(s, c, &row);
	v->created = true;
	if (st->registration.invite) {
		struct invite_row invite;
		if (!load_invite(s, st, &invite, v))
			return v->kind;
		if (!use_invite(s, &invite, &row))
			return failed(v);
		v->second_event = EVENT_NODE_APPROVED;
	} else {
		int64_t pending;
		if (!s->ops->count_pending(s, &pending))
			return failed(v);
		if (pending >= s->limits.pending_max) {
			refuse(v, error_set(&v->err, ERR_OVERLOADED, "too many registrations are waiting for approval"));
			error_hint(&v->err, "ask a sovereign for an invite, or try again later");
			return v->kind;
		}
	}
	if (!s->ops->put_node(s, NULL, &row))
		return failed(v);
	return applied_to_node(v, row.status, EVENT_NODE_REGISTERED, row.id);
}

static enum verdict_kind register_again(struct mesh_state *s, struct change *c, const struct node_row *before, struct verdict *v)
{
	const struct mesh_statement *st = &c->statement;
	if (!str_equal(before->public_key, st->public_key))
		return refuse(v, error_set(&v->err, ERR_NODE_ID_TAKEN, "this node id is registered with another key"));
	if (st->kind == STATEMENT_REGISTER_FULL && st->timestamp <= before->registration_time)
		return refuse(v, error_set(&v->err, ERR_REPLAYED, "the timestamp is not newer than this node's last registration"));
	struct node_row row = *before;
	take_registration(s, c, &row);
	bool admitted_now = false;
	if (st->registration.invite && before->status == NODE_PENDING) {
		struct invite_row invite;
		if (!load_invite(s, st, &invite, v))
			return v->kind;
		if (!use_invite(s, &invite, &row))
			return failed(v);
		admitted_now = true;
	}
	if (st->kind == STATEMENT_REGISTER_SHORT) {
		/* Whoever saw a short registration can send it again with other addresses: it never replaces what a full one vouched for. */
		if (before->registration_time != 0)
			return refuse(v, error_set(&v->err, ERR_FULL_SIGNATURE_REQUIRED, "this node has registered in the full form; the short form cannot change it"));
		if (same_registration(before, &row)) {
			v->status = before->status;
			v->subject = before->id;
			return v->kind = VERDICT_UNCHANGED;
		}
	}
	if (!s->ops->put_node(s, before, &row))
		return failed(v);
	applied_to_node(v, row.status, EVENT_NODE_UPDATED, row.id);
	v->outcome = str_from(node_status_text(row.status == NODE_OFFLINE ? NODE_ACTIVE : row.status));
	if (admitted_now)
		v->second_event = EVENT_NODE_APPROVED;
	return v->kind;
}

static enum verdict_kind apply_register(struct mesh_state *s, struct change *c, struct verdict *v)
{
	const struct mesh_statement *st = &c->statement;
	if (st->kind == STATEMENT_REGISTER_SHORT && s->limits.require_full) {
		refuse(v, error_set(&v->err, ERR_FULL_SIGNATURE_REQUIRED, "the registration must be signed in the full form, with `timestamp`"));
		error_hint(&v->err, "sign the canonical JSON of the whole body less `signature`");
		return v->kind;
	}
	if (st->kind == STATEMENT_REGISTER_FULL && !timestamp_fine(s, st->timestamp, v))
		return v->kind;
	if (!signatures_fine(s, c, v))
		return v->kind;
	struct node_row before;
	enum found f = s->ops->node_by_id(s, st->node_id, &before);
	if (f == STATE_FAILED)
		return failed(v);
	return f == FOUND ? register_again(s, c, &before, v) : register_new(s, c, v);
}

/* approve, deny, remove, reset */
static bool action_fits(enum mesh_action a, enum node_status s)
{
	switch (a) {
	case MESH_APPROVE:
	case MESH_DENY:
		return s == NODE_PENDING;
	case MESH_RESET:
		return s == NODE_DENIED;
	case MESH_REMOVE:
		return true;
	}
	return false;
}

/* Registrations of this key that were signed until now, recorded with a clock that runs ahead, or void before are void from here on. */
static bool retire_key(struct mesh_state *s, const struct node_row *node)
{
	struct removed_row row = {.not_before = s->now};
	if (s->ops->removed(s, node->public_key, &row) == STATE_FAILED)
		return false;
	if (row.not_before < s->now)
		row.not_before = s->now;
	if (row.not_before < node->registration_time)
		row.not_before = node->registration_time;
	row.public_key = node->public_key;
	row.node_id = node->id;
	return s->ops->put_removed(s, &row);
}

static enum verdict_kind decide(struct mesh_state *s, const struct change *c, const struct node_row *node, struct verdict *v)
{
	enum mesh_action action = c->statement.action;
	if (!action_fits(action, node->status))
		return consumed(v, error_set(&v->err, ERR_WRONG_STATE, "the node %.*s is %s: it cannot be %s", STR_ARG(node->id), node_status_text(node->status),
					     action == MESH_APPROVE ? "approved" : action == MESH_DENY ? "denied" : "reset"));
	struct node_row row = *node;
	switch (action) {
	case MESH_APPROVE:
		row.status = NODE_ACTIVE;
		row.approved_at = s->now;
		row.approved_by = c->public_key;
		row.admission_entry = s->entry;
		if (!s->ops->put_node(s, node, &row))
			return failed(v);
		return applied_to_node(v, NODE_ACTIVE, EVENT_NODE_APPROVED, node->id);
	case MESH_DENY:
		row.status = NODE_DENIED;
		if (!s->ops->put_node(s, node, &row))
			return failed(v);
		return applied_to_node(v, NODE_DENIED, EVENT_NODE_DENIED, node->id);
	case MESH_RESET:
		row.status = NODE_PENDING;
		if (!s->ops->put_node(s, node, &row))
			return failed(v);
		return applied_to_node(v, NODE_PENDING, EVENT_NODE_RESET, node->id);
	case MESH_REMOVE: {
		if (!retire_key(s, node) || !s->ops->delete_node(s, node))
			return failed(v);
		v->status = node->status;
		return applied(v, STR_LIT("removed"), EVENT_NODE_REMOVED, node->id);
	}
	}
	fatal("action %d", (int)action);
}

static enum verdict_kind apply_decision(struct mesh_state *s, struct change *c, struct verdict *v)
{
	struct mesh_statement *st = &c->statement;
	struct sovereign_row by;
	struct node_row node;
	if (!load_sovereign(s, c->public_key, &by, v))
		return v->kind;
	if (st->kind == STATEMENT_DECISION_OLD && !s->limits.dev)
		return refuse(v, error_set(&v->err, ERR_MISSING_FIELD, "`timestamp` is missing"));
	if (st->kind == STATEMENT_DECISION && !timestamp_fine(s, st->timestamp, v))
		return v->kind;
	if (!load_node(s, st->node_id, &node, v))
		return v->kind;
	/* A live request does not say which key it means: the one that is registered now. A log entry does. */
	if (!str_present(st->public_key))
		st->public_key = node.public_key;
	else if (st->kind == STATEMENT_DECISION && !str_equal(st->public_key, node.public_key))
		return refuse(v, error_set(&v->err, ERR_BAD_SIGNATURE, "the statement names another key than the node's"));
	if (!signatures_fine(s, c, v))
		return v->kind;
	if (st->kind == STATEMENT_DECISION && !use_timestamp(s, &by, st->timestamp, v))
		return v->kind;
	return decide(s, c, &node, v);
}

/* Sovereign keys */
/* What the coordinator itself signs was signed when it was written: else an old word of it could be entered again. */
static bool coordinator_speaks(struct mesh_state *s, struct change *c, struct verdict *v)
{
	if (!str_equal(c->public_key, s->coordinator_key)) {
		refuse(v, error_set(&v->err, ERR_NOT_ALLOWED, "only the coordinator's own key says this"));
		return false;
	}
	if (c->statement.timestamp == s->now)
		return signatures_fine(s, c, v);
	refuse(v, error_set(&v->err, ERR_TIMESTAMP_OUT_OF_RANGE, "the coordinator signed this at another time"));
	return false;
}

static enum verdict_kind apply_sovereign_init(struct mesh_state *s, struct change *c, struct verdict *v)
{
	const struct mesh_statement *st = &c->statement;
	struct sovereign_row row;
	bool spoken;
	if (!coordinator_speaks(s, c, v))
		return v->kind;
	enum found f = s->ops->sovereign(s, st->public_key, &row);
	if (f == STATE_FAILED || !s->ops->sovereign_has_spoken(s, &spoken))
		return failed(v);
	v->subject = st->public_key;
	/* Several instances may begin with the same keys at once. */
	if (f == FOUND && row.removed_at == 0)
		return v->kind = VERDICT_UNCHANGED;
	if (spoken)
		return refuse(v, error_set(&v->err, ERR_NOT_ALLOWED, "this network has sovereign keys; they add further ones"));
	row = (struct sovereign_row){.public_key = st->public_key, .description = c->description, .added_at = s->now, .added_by = c->public_key};
	if (!s->ops->put_sovereign(s, &row))
		return failed(v);
	return applied(v, STR_LIT("ok"), EVENT_SOVEREIGN_ADDED, st->public_key);
}

/* What every statement of a sovereign about something else than a node begins with. */
static bool sovereign_speaks(struct mesh_state *s, struct change *c, struct sovereign_row *by, struct verdict *v)
{
	return load_sovereign(s, c->public_key, by, v) && timestamp_fine(s, c->statement.timestamp, v) && signatures_fine(s, c, v) &&
	       use_timestamp(s, by, c->statement.timestamp, v);
}

/* Puts a key in force: a new row, or the row of a key that was removed (whose last timestamp stays). */
static bool admit_sovereign(struct mesh_state *s, const struct change *c, struct str key, struct str description, struct verdict *v)
{
	struct sovereign_row row = {.public_key = key};
	enum found f = s->ops->sovereign(s, key, &row);
	if (f == FOUND && row.removed_at == 0) {
		consumed(v, error_set(&v->err, ERR_ALREADY_EXISTS, "this key is a sovereign key already"));
		return false;
	}
	row.description = description;
	row.added_at = s->now;
	row.added_by = c->public_key;
	row.removed_at = 0;
	if (f != STATE_FAILED && s->ops->put_sovereign(s, &row))
		return true;
	failed(v);
	return false;
}

static enum verdict_kind apply_sovereign_add(struct mesh_state *s, struct change *c, struct verdict *v)
{
	struct sovereign_row by;
	if (!sovereign_speaks(s, c, &by, v) || !admit_sovereign(s, c, c->statement.public_key, c->description, v))
		return v->kind;
	return applied(v, STR_LIT("ok"), EVENT_SOVEREIGN_ADDED, c->statement.public_key);
}

static enum verdict_kind apply_sovereign_remove(struct mesh_state *s, struct change *c, struct verdict *v)
{
	const struct mesh_statement *st = &c->statement;
	struct sovereign_row by, row;
	int64_t in_force;
	if (!sovereign_speaks(s, c, &by, v))
		return v->kind;
	/* One may remove one's own key: the row is then the one whose timestamp was just used. */
	enum found f = s->ops->sovereign(s, st->public_key, &row);
	if (f == STATE_FAILED || !s->ops->count_sovereigns(s, &in_force))
		return failed(v);
	if (f == ABSENT || row.removed_at != 0)
		return consumed(v, error_set(&v->err, ERR_UNKNOWN_KEY, "this is no sovereign key"));
	if (in_force <= 1)
		return consumed(v, error_set(&v->err, ERR_LAST_SOVEREIGN, "the last sovereign key cannot be removed"));
	row.removed_at = s->now;
	if (!s->ops->put_sovereign(s, &row))
		return failed(v);
	return applied(v, STR_LIT("ok"), EVENT_SOVEREIGN_REMOVED, st->public_key);
}

static enum verdict_kind apply_sovereign_rotate(struct mesh_state *s, struct change *c, struct verdict *v)
{
	const struct mesh_statement *st = &c->statement;
	struct sovereign_row by;
	if (!sovereign_speaks(s, c, &by, v) || !admit_sovereign(s, c, st->new_key, by.description, v))
		return v->kind;
	by.removed_at = s->now;
	if (!s->ops->put_sovereign(s, &by))
		return failed(v);
	return applied(v, STR_LIT("ok"), EVENT_SOVEREIGN_ROTATED, st->new_key);
}

/* A node's own key */
static size_t rotation_count(const struct node_row *n)
{
	size_t count = n->rotations.n > 2; /* "[]" has none, "[3,7]" one more than commas */
	for (size_t i = 0; i < n->rotations.n; i++)
		count += n->rotations.p[i] == ',';
	return count;
}

static enum verdict_kind apply_node_rotate(struct mesh_state *s, struct change *c, struct verdict *v)
{
	struct mesh_statement *st = &c->statement;
	struct node_row node, other;
	if (!timestamp_fine(s, st->timestamp, v) || !load_node(s, st->node_id, &node, v))
		return v->kind;
	if (!str_present(st->public_key))
		st->public_key = c->public_key = node.public_key;
	else if (!str_equal(st->public_key, node.public_key))
		return refuse(v, error_set(&v->err, ERR_BAD_SIGNATURE, "the statement names another key than the node's"));
	if (!signatures_fine(s, c, v))
		return v->kind;
	if (st->timestamp <= node.registration_time)
		return refuse(v, error_set(&v->err, ERR_REPLAYED, "the timestamp is not newer than this node's last registration or rotation"));
	if (node.status == NODE_DENIED)
		return refuse(v, error_set(&v->err, ERR_WRONG_STATE, "the node %.*s is denied: its key cannot be rotated", STR_ARG(node.id)));
	if (rotation_count(&node) >= MESH_ROTATIONS_MAX) {
		refuse(v, error_set(&v->err, ERR_REFUSED, "the key of %.*s was rotated %d times", STR_ARG(node.id), MESH_ROTATIONS_MAX));
		error_hint(&v->err, "have a sovereign remove the node, and register it anew");
		return v->kind;
	}
	enum found f = s->ops->node_by_key(s, st->new_key, &other);
	if (f == FOUND)
		return refuse(v, error_set(&v->err, ERR_KEY_IN_USE, "the new key is registered already"));
	struct node_row row = node;
	row.public_key = st->new_key;
	row.registration_time = st->timestamp;
	row.rotations = arena_printf(s->arena, "%.*s%s%" PRId64 "]", (int)node.rotations.n - 1, node.rotations.p, node.rotations.n > 2 ? "," : "", s->entry);
	if (f == STATE_FAILED || !retire_key(s, &node) || !s->ops->put_node(s, &node, &row))
		return failed(v);
	applied_to_node(v, node.status, EVENT_NODE_ROTATED, node.id);
	v->outcome = str_from(node_status_text(node.status == NODE_OFFLINE ? NODE_ACTIVE : node.status));
	return v->kind;
}

static enum verdict_kind apply_expire(struct mesh_state *s, struct change *c, struct verdict *v)
{
	const struct mesh_statement *st = &c->statement;
	struct node_row node;
	if (!coordinator_speaks(s, c, v) || !load_node(s, st->node_id, &node, v))
		return v->kind;
	if (node.status != NODE_PENDING || !str_equal(node.public_key, st->public_key) || st->timestamp <= node.registered_at)
		return refuse(v, error_set(&v->err, ERR_WRONG_STATE, "only a pending registration expires"));
	if (!s->ops->delete_node(s, &node))
		return failed(v);
	return applied(v, STR_LIT("expired"), EVENT_NODE_EXPIRED, node.id);
}

/* Invites */
static enum verdict_kind apply_invite(struct mesh_state *s, struct change *c, struct verdict *v)
{
	const struct mesh_statement *st = &c->statement;
	struct sovereign_row by;
	struct invite_row invite;
	if (!sovereign_speaks(s, c, &by, v))
		return v->kind;
	enum found f = s->ops->invite(s, st->public_key, &invite);
	if (f == FOUND)
		return consumed(v, error_set(&v->err, ERR_ALREADY_EXISTS, "an invite with this key exists already"));
	if (st->expires <= s->now)
		return consumed(v, error_set(&v->err, ERR_REFUSED, "the invite would have expired already"));
	invite = (struct invite_row){
		.public_key = st->public_key, .uses = st->uses, .expires = st->expires, .created_at = s->now, .created_by = c->public_key, .entry = s->entry};
	if (f == STATE_FAILED || !s->ops->put_invite(s, &invite))
		return failed(v);
	return applied(v, STR_LIT("ok"), EVENT_INVITE_CREATED, st->public_key);
}

static enum verdict_kind apply_invite_revoke(struct mesh_state *s, struct change *c, struct verdict *v)
{
	struct sovereign_row by;
	struct invite_row invite;
	if (!sovereign_speaks(s, c, &by, v))
		return v->kind;
	enum found f = s->ops->invite(s, c->statement.public_key, &invite);
	if (f == STATE_FAILED)
		return failed(v);
	if (f == ABSENT)
		return consumed(v, error_set(&v->err, ERR_UNKNOWN_INVITE, "no invite has this key"));
	if (invite.revoked_at != 0)
		return consumed(v, error_set(&v->err, ERR_WRONG_STATE, "the invite was revoked before"));
	invite.revoked_at = s->now;
	if (!s->ops->put_invite(s, &invite))
		return failed(v);
	return applied(v, STR_LIT("ok"), EVENT_INVITE_REVOKED, c->statement.public_key);
}

static enum verdict_kind apply(struct mesh_state *s, struct change *c, struct verdict *v)
{
	switch (c->statement.kind) {
	case STATEMENT_REGISTER_SHORT:
	case STATEMENT_REGISTER_FULL:
		return apply_register(s, c, v);
	case STATEMENT_DECISION:
	case STATEMENT_DECISION_OLD:
		return apply_decision(s, c, v);
	case STATEMENT_SOVEREIGN_INIT:
		return apply_sovereign_init(s, c, v);
	case STATEMENT_SOVEREIGN_ADD:
		return apply_sovereign_add(s, c, v);
	case STATEMENT_SOVEREIGN_REMOVE:
		return apply_sovereign_remove(s, c, v);
	case STATEMENT_SOVEREIGN_ROTATE:
		return apply_sovereign_rotate(s, c, v);
	case STATEMENT_NODE_ROTATE:
		return apply_node_rotate(s, c, v);
	case STATEMENT_INVITE:
		return apply_invite(s, c, v);
	case STATEMENT_INVITE_REVOKE:
		return apply_invite_revoke(s, c, v);
	case STATEMENT_EXPIRE:
		return apply_expire(s, c, v);
	}
	fatal("statement kind %d", (int)c->statement.kind);
}

void mesh_apply(struct mesh_state *s, struct change *c, struct verdict *v)
{
	*v = (struct verdict){.kind = VERDICT_FAILED};
	if (str_present(c->statement.network) && !str_equal(c->statement.network, s->network)) {
		refuse(v, error_set(&v->err, ERR_WRONG_NETWORK, "this is the network \"%.*s\"", STR_ARG(s->network)));
		return;
	}
	v->kind = apply(s, c, v);
}

bool mesh_heartbeat_allowed(const struct node_row *node, const struct liveness *l, int64_t timestamp, int64_t now, int64_t window_ms, struct error *err)
{
	if (node->status != NODE_ACTIVE && node->status != NODE_OFFLINE) {
		error_set(err, ERR_NODE_NOT_ACTIVE, "the node %.*s is %s", STR_ARG(node->id), node_status_text(node->status));
		return error_hint(err, "a sovereign has to approve it first");
	}
	int64_t skew = timestamp > now ? timestamp - now : now - timestamp;
	if (skew > window_ms) {
		error_set(err, ERR_TIMESTAMP_OUT_OF_RANGE, "the timestamp lies more than %" PRId64 " s from the coordinator's time", window_ms / 1000);
		return error_hint(err, "check this machine's clock");
	}
	if (timestamp <= l->heartbeat_time)
		return error_set(err, ERR_REPLAYED, "the timestamp is not newer than this node's last heartbeat");
	return true;
}
