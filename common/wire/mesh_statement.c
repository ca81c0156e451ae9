#include "mesh_statement.h"

#include <stddef.h>

#include "crypto/ed25519.h"

enum { PARTS_MAX = 8 };

/* Splits at every ':'; returns the number of parts, or 0 when there are more than PARTS_MAX. */
static size_t split(struct str text, struct str parts[PARTS_MAX])
{
	size_t n = 0;
	const char *p = text.p, *end = text.p + text.n;
	for (;;) {
		const char *colon = memchr(p, ':', (size_t)(end - p));
		if (n == PARTS_MAX)
			return 0;
		parts[n++] = str_of(p, (size_t)((colon ? colon : end) - p));
		if (!colon)
			return n;
		p = colon + 1;
	}
}

static bool written_key(struct str s)
{
	struct ed25519_public key;
	struct error ignored;
	return ed25519_public_from_text(s, KEY_WRITTEN, &key, &ignored);
}

static bool parse_action(struct str s, enum mesh_action *out)
{
	for (enum mesh_action a = MESH_APPROVE; a <= MESH_RESET; a++)
		if (str_is(s, mesh_action_text(a))) {
			*out = a;
			return true;
		}
	return false;
}

/* The forms tana-mesh:<network>:<verb>:<parts...>, by verb: which parts follow, in order. */
enum part { PART_END, PART_NODE, PART_KEY, PART_NEW_KEY, PART_USES, PART_EXPIRES, PART_TIMESTAMP };
static const struct {
	const char *verb;
	enum mesh_statement_kind kind;
	enum part parts[6];
} forms[] = {
	{"sovereign-init", STATEMENT_SOVEREIGN_INIT, {PART_KEY, PART_TIMESTAMP}},
	{"sovereign-add", STATEMENT_SOVEREIGN_ADD, {PART_KEY, PART_TIMESTAMP}},
	{"sovereign-remove", STATEMENT_SOVEREIGN_REMOVE, {PART_KEY, PART_TIMESTAMP}},
	{"sovereign-rotate", STATEMENT_SOVEREIGN_ROTATE, {PART_KEY, PART_NEW_KEY, PART_TIMESTAMP}},
	{"node-rotate", STATEMENT_NODE_ROTATE, {PART_NODE, PART_KEY, PART_NEW_KEY, PART_TIMESTAMP}},
	{"invite", STATEMENT_INVITE, {PART_KEY, PART_USES, PART_EXPIRES, PART_TIMESTAMP}},
	{"invite-revoke", STATEMENT_INVITE_REVOKE, {PART_KEY, PART_TIMESTAMP}},
	{"expire", STATEMENT_EXPIRE, {PART_NODE, PART_KEY, PART_TIMESTAMP}},
};
static const enum part decision_parts[] = {PART_NODE, PART_KEY, PART_TIMESTAMP, PART_END};

static bool parse_count(struct str s, int64_t *out)
{
	return str_to_int64(s, out) && *out >= 0;
}

static bool parse_parts(const enum part *want, const struct str *have, size_t n, struct mesh_statement *out)
{
	size_t i = 0;
	for (; want[i] != PART_END; i++) {
		if (i == n)
			return false;
		switch (want[i]) {
		case PART_NODE:
			out->node_id = have[i];
			if (!mesh_node_id_valid(have[i]))
				return false;
			break;
		case PART_KEY:
			out->public_key = have[i];
			if (!written_key(have[i]))
				return false;
			break;
		case PART_NEW_KEY:
			out->new_key = have[i];
			if (!written_key(have[i]))
				return false;
			break;
		case PART_USES:
			if (!parse_count(have[i], &out->uses))
				return false;
			break;
		case PART_EXPIRES:
			if (!parse_count(have[i], &out->expires))
				return false;
			break;
		case PART_TIMESTAMP:
			if (!parse_count(have[i], &out->timestamp))
				return false;
			break;
		case PART_END:
			return false;
		}
	}
	return i == n;
}

static bool parse_tagged(struct str text, struct mesh_statement *out)
{
	struct str parts[PARTS_MAX];
	size_t n = split(text, parts);
	if (n == 2 && parse_action(parts[0], &out->action)) {
		out->kind = STATEMENT_DECISION_OLD;
		out->node_id = parts[1];
		return mesh_node_id_valid(parts[1]);
	}
	if (n < 4 || !str_is(parts[0], "tana-mesh") || !mesh_network_valid(parts[1]))
		return false;
	out->network = parts[1];
	if (parse_action(parts[2], &out->action)) {
		out->kind = STATEMENT_DECISION;
		return parse_parts(decision_parts, parts + 3, n - 3, out);
	}
	for (size_t i = 0; i < ARRAY_LEN(forms); i++)
		if (str_is(parts[2], forms[i].verb)) {
			out->kind = forms[i].kind;
			return parse_parts(forms[i].parts, parts + 3, n - 3, out);
		}
	return false;
}

static bool parse_registration(struct str text, struct mesh_statement *out, struct arena *arena, struct error *err)
{
	static const struct json_field short_fields[] = {
		F_FORM(struct mesh_register, node_id, "nodeId", JSON_REQUIRED, &form_node_id, "the node"),
		F_FORM(struct mesh_register, public_key, "publicKey", JSON_REQUIRED, &form_public_key, "its key"),
		F_FORM(struct mesh_register, tailscale_hostname, "tailscaleHostname", JSON_REQUIRED, &form_hostname, "its host"),
	};
	static const struct json_message short_message = {
		.name = "RegistrationShort", .size = sizeof(struct mesh_register), .fields = short_fields, .count = ARRAY_LEN(short_fields)};

	struct json_doc *doc = json_parse_object(text, err);
	if (!doc)
		return false;
	struct buf canonical = {0};
	bool ok = false;
	json_message_clear(&mesh_register_message, &out->registration);
	struct mesh_register shorter;
	json_message_clear(&mesh_register_message, &shorter);
	if (!json_read(doc, &short_message, &shorter, arena, err))
		goto end;
	struct buf three = {0};
	mesh_message_register_short(&three, shorter.node_id, shorter.public_key, shorter.tailscale_hostname);
	bool is_short = str_equal(buf_str(&three), text);
	buf_free(&three);
	if (is_short) {
		out->kind = STATEMENT_REGISTER_SHORT;
		out->registration = shorter;
		ok = true;
		goto end;
	}
	if (!json_canonicalise(doc, NULL, &canonical, err))
		goto end;
	if (!str_equal(buf_str(&canonical), text)) {
		error_set(err, ERR_NOT_CANONICAL, "the registration is not canonical JSON");
		goto end;
	}
	out->kind = STATEMENT_REGISTER_FULL;
	ok = json_read(doc, &mesh_register_unsigned_message, &out->registration, arena, err);
end:
	if (ok) {
		out->network = out->registration.network;
		out->node_id = out->registration.node_id;
		out->public_key = out->registration.public_key;
		out->timestamp = out->kind == STATEMENT_REGISTER_FULL ? out->registration.timestamp : 0;
		if (!written_key(out->public_key) || (out->kind == STATEMENT_REGISTER_FULL && out->timestamp == JSON_INT_ABSENT))
			ok = error_set(err, ERR_MALFORMED_FIELD, "the registration's key or timestamp is not in its written form");
	}
	buf_free(&canonical);
	json_doc_free(doc);
	return ok;
}

bool mesh_statement_parse(struct str text, struct mesh_statement *out, struct arena *arena, struct error *err)
{
	text = arena_copy(arena, text);
	*out = (struct mesh_statement){.kind = STATEMENT_DECISION, .text = text};
	if (text.n > 0 && text.p[0] == '{')
		return parse_registration(text, out, arena, err);
	if (text.n == 0 || text.n > MESH_MESSAGE_MAX || !parse_tagged(text, out))
		return error_set(err, ERR_MALFORMED_FIELD, "the text is no statement of a mesh");
	return true;
}

void mesh_statement_write(const struct mesh_statement *s, struct buf *out)
{
	switch (s->kind) {
	case STATEMENT_REGISTER_SHORT:
		mesh_message_register_short(out, s->node_id, s->public_key, s->registration.tailscale_hostname);
		return;
	case STATEMENT_REGISTER_FULL:
		buf_put_str(out, s->text);
		return;
	case STATEMENT_DECISION:
		mesh_message_decision(out, s->network, s->action, s->node_id, s->public_key, s->timestamp);
		return;
	case STATEMENT_DECISION_OLD:
		mesh_message_decision_old(out, s->action, s->node_id);
		return;
	case STATEMENT_SOVEREIGN_INIT:
		mesh_message_sovereign_init(out, s->network, s->public_key, s->timestamp);
		return;
	case STATEMENT_SOVEREIGN_ADD:
		mesh_message_sovereign_add(out, s->network, s->public_key, s->timestamp);
		return;
	case STATEMENT_SOVEREIGN_REMOVE:
		mesh_message_sovereign_remove(out, s->network, s->public_key, s->timestamp);
		return;
	case STATEMENT_SOVEREIGN_ROTATE:
		mesh_message_sovereign_rotate(out, s->network, s->public_key, s->new_key, s->timestamp);
		return;
	case STATEMENT_NODE_ROTATE:
		mesh_message_node_rotate(out, s->network, s->node_id, s->public_key, s->new_key, s->timestamp);
		return;
	case STATEMENT_INVITE:
		mesh_message_invite(out, s->network, s->public_key, s->uses, s->expires, s->timestamp);
		return;
	case STATEMENT_INVITE_REVOKE:
		mesh_message_invite_revoke(out, s->network, s->public_key, s->timestamp);
		return;
	case STATEMENT_EXPIRE:
		mesh_message_expire(out, s->network, s->node_id, s->public_key, s->timestamp);
		return;
	}
}
