#include "mesh_rules_inside.h"

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

bool rules_signatures_fine(struct mesh_state *s, struct change *c, struct verdict *v)
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

bool rules_timestamp_fine(const struct mesh_state *s, int64_t timestamp, struct verdict *v)
{
	if (timestamp >= s->now - MESH_CLOCK_SKEW_MS && timestamp - MESH_CLOCK_SKEW_MS <= s->now)
		return true;
	refuse(v, error_set(&v->err, ERR_TIMESTAMP_OUT_OF_RANGE, "the timestamp lies more than %d s from the coordinator's time",
			    MESH_CLOCK_SKEW_MS / 1000));
	error_hint(&v->err, "check this machine's clock");
	return false;
}

bool rules_load_sovereign(struct mesh_state *s, struct str key, struct sovereign_row *row, struct verdict *v)
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

bool rules_use_timestamp(struct mesh_state *s, struct sovereign_row *by, int64_t timestamp, struct verdict *v)
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

/* What the coordinator itself signs was signed when it was written: else an old word of it could be entered again. */
bool rules_coordinator_speaks(struct mesh_state *s, struct change *c, struct verdict *v)
{
	if (!str_equal(c->public_key, s->coordinator_key)) {
		refuse(v, error_set(&v->err, ERR_NOT_ALLOWED, "only the coordinator's own key says this"));
		return false;
	}
	if (c->statement.timestamp == s->now)
		return rules_signatures_fine(s, c, v);
	refuse(v, error_set(&v->err, ERR_TIMESTAMP_OUT_OF_RANGE, "the coordinator signed this at another time"));
	return false;
}

static enum verdict_kind apply(struct mesh_state *s, struct change *c, struct verdict *v)
{
	switch (c->statement.kind) {
	case STATEMENT_REGISTER_SHORT:
	case STATEMENT_REGISTER_FULL:
		return rules_apply_register(s, c, v);
	case STATEMENT_DECISION:
	case STATEMENT_DECISION_OLD:
		return rules_apply_decision(s, c, v);
	case STATEMENT_SOVEREIGN_INIT:
		return rules_apply_sovereign_init(s, c, v);
	case STATEMENT_SOVEREIGN_ADD:
		return rules_apply_sovereign_add(s, c, v);
	case STATEMENT_SOVEREIGN_REMOVE:
		return rules_apply_sovereign_remove(s, c, v);
	case STATEMENT_SOVEREIGN_ROTATE:
		return rules_apply_sovereign_rotate(s, c, v);
	case STATEMENT_NODE_ROTATE:
		return rules_apply_node_rotate(s, c, v);
	case STATEMENT_INVITE:
		return rules_apply_invite(s, c, v);
	case STATEMENT_INVITE_REVOKE:
		return rules_apply_invite_revoke(s, c, v);
	case STATEMENT_EXPIRE:
		return rules_apply_expire(s, c, v);
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
