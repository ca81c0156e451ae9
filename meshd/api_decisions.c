#include "api.h"
#include "wire/mesh.h"

static struct http_reply *decided(struct http_request *r, const struct verdict *v)
{
	struct mesh_node_answer a = {.success = JSON_TRUE, .node_id = v->subject, .status = v->outcome};
	return http_reply_json(r, 200, &mesh_node_answer_message, &a);
}

static struct http_reply *decide(struct http_request *r, enum mesh_action action)
{
	struct mesh *m = http_ctx(r);
	struct mesh_decision d;
	struct http_reply *reply;
	if (!http_read_body(r, &mesh_decision_message, &d, &reply))
		return reply;
	struct change c = {.statement = {.action = action, .node_id = http_path_arg(r, 0)}, .reason = d.reason};
	if (!api_public_key(r, "approverPublicKey", d.approver_public_key, KEY_LENIENT, &c.public_key, &reply) ||
	    !api_signature(r, "signature", d.signature, &c.signature, &reply))
		return reply;
	if (d.timestamp == JSON_INT_ABSENT) {
		if (!m->config.limits.dev)
			return http_reply_error_code(r, ERR_MISSING_FIELD, "`timestamp` is missing");
		c.statement.kind = STATEMENT_DECISION_OLD;
	} else {
		c.statement.kind = STATEMENT_DECISION;
		c.statement.network = m->config.network;
		c.statement.timestamp = d.timestamp;
	}
	return api_change(r, &c, false, decided);
}

struct http_reply *api_approve(struct http_request *r)
{
	return decide(r, MESH_APPROVE);
}
struct http_reply *api_deny(struct http_request *r)
{
	return decide(r, MESH_DENY);
}
struct http_reply *api_remove(struct http_request *r)
{
	return decide(r, MESH_REMOVE);
}
struct http_reply *api_reset(struct http_request *r)
{
	return decide(r, MESH_RESET);
}

struct http_reply *api_node_rotate(struct http_request *r)
{
	struct mesh *m = http_ctx(r);
	struct mesh_node_rotate n;
	struct http_reply *reply;
	if (!http_read_body(r, &mesh_node_rotate_message, &n, &reply))
		return reply;
	struct change c = {.statement = {.kind = STATEMENT_NODE_ROTATE,
					 .network = m->config.network,
					 .node_id = http_path_arg(r, 0),
					 .timestamp = n.timestamp}};
	if (!api_public_key(r, "newPublicKey", n.new_public_key, KEY_LENIENT, &c.statement.new_key, &reply) ||
	    !api_signature(r, "signature", n.signature, &c.signature, &reply) ||
	    !api_signature(r, "newSignature", n.new_signature, &c.new_signature, &reply))
		return reply;
	return api_change(r, &c, false, decided);
}
