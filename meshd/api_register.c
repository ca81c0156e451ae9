#include "api.h"
#include "wire/mesh.h"

static struct http_reply *registered(struct http_request *r, const struct verdict *v)
{
	const char *message = v->kind == VERDICT_UNCHANGED        ? "Already registered; nothing changed."
			      : !v->created                       ? "Registration updated."
			      : v->status == NODE_ACTIVE          ? "Registered and admitted by invite."
								  : "Registered. Waiting for approval by a sovereign.";
	struct mesh_node_answer a = {.success = JSON_TRUE,
				     .node_id = v->subject,
				     .status = str_from(node_status_text(v->status)),
				     .message = str_from(message)};
	return http_reply_json(r, v->created ? 201 : 200, &mesh_node_answer_message, &a);
}

/* The keys of the services: inside the signed text of a full registration, beside that of a short one. */
static bool service_keys(struct http_request *r, struct mesh_register *reg, enum key_reading how, struct http_reply **reply)
{
	struct mesh_service *list = reg->services.items;
	for (size_t i = 0; i < reg->services.count; i++) {
		if (str_present(list[i].public_key) && !api_public_key(r, "services[].publicKey", list[i].public_key, how, &list[i].public_key, reply))
			return false;
		for (size_t k = 0; k < i; k++)
			if (str_equal(list[k].type, list[i].type)) {
				*reply = http_reply_error_code(r, ERR_MALFORMED_FIELD, "`services` names the type %.*s twice", STR_ARG(list[i].type));
				return false;
			}
	}
	return true;
}

static bool invite_written(struct http_request *r, const struct mesh_register *reg, struct http_reply **reply)
{
	struct ed25519_signature ignored;
	struct error err;
	struct str key;
	if (!api_public_key(r, "invite.publicKey", reg->invite->public_key, KEY_WRITTEN, &key, reply))
		return false;
	if (ed25519_signature_from_text(reg->invite->signature, KEY_WRITTEN, &ignored, &err))
		return true;
	*reply = http_reply_error_code(r, err.code, "`invite.signature`: %s", err.message);
	return false;
}

/* The text that was signed: canonical JSON of the whole body less the signature, or the three fields that existing clients sign. */
static bool signed_text(struct http_request *r, const struct json_doc *doc, struct change *c, struct http_reply **reply)
{
	struct buf text = {0};
	struct error err;
	const struct mesh_register *reg = &c->statement.registration;
	bool ok = true;
	if (c->statement.kind == STATEMENT_REGISTER_SHORT)
		mesh_message_register_short(&text, reg->node_id, reg->public_key, reg->tailscale_hostname);
	else if (!json_canonicalise(doc, "signature", &text, &err)) {
		*reply = http_reply_error(r, &err);
		ok = false;
	}
	if (ok)
		c->message = c->statement.text = arena_copy(http_arena(r), buf_str(&text));
	buf_free(&text);
	return ok;
}

static bool read_change(struct http_request *r, const struct json_doc *doc, struct change *c, struct http_reply **reply)
{
	struct error err;
	struct mesh_statement *st = &c->statement;
	struct mesh_register *reg = &st->registration;
	if (!json_read(doc, &mesh_register_message, reg, http_arena(r), &err)) {
		*reply = http_reply_error(r, &err);
		return false;
	}
	bool full = reg->timestamp != JSON_INT_ABSENT;
	st->kind = full ? STATEMENT_REGISTER_FULL : STATEMENT_REGISTER_SHORT;
	if (!full && reg->invite) {
		*reply = http_reply_error_code(r, ERR_FULL_SIGNATURE_REQUIRED, "an invite is taken with a registration in the full form only");
		return false;
	}
	/* The node's own key stands inside the signed text in both forms. */
	if (!api_public_key(r, "publicKey", reg->public_key, KEY_WRITTEN, &reg->public_key, reply) ||
	    !service_keys(r, reg, full ? KEY_WRITTEN : KEY_LENIENT, reply) || (reg->invite && !invite_written(r, reg, reply)) ||
	    !api_signature(r, "signature", reg->signature, &c->signature, reply) || !signed_text(r, doc, c, reply))
		return false;
	st->node_id = reg->node_id;
	st->public_key = c->public_key = reg->public_key;
	st->network = reg->network;
	st->timestamp = full ? reg->timestamp : 0;
	return true;
}

struct http_reply *api_register(struct http_request *r)
{
	struct mesh *m = http_ctx(r);
	struct error err;
	struct json_doc *doc = json_parse_object(http_body(r), &err);
	if (!doc)
		return http_reply_error(r, &err);
	struct change c = {.signatures_checked = false};
	struct http_reply *reply;
	bool ok = read_change(r, doc, &c, &reply);
	json_doc_free(doc);
	if (!ok)
		return reply;
	/* Checked here, on this thread, so that a thousand registrations at once do not queue for one. A bad one is judged in its turn among the other refusals. */
	c.signatures_checked = mesh_change_signatures_valid(&c, m->config.network);
	return api_change(r, &c, false, registered);
}
