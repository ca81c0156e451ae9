/*
 * Reading back what mesh_messages.h writes: the signed texts of the log, of snapshots and of kept evidence. Strict: a text is accepted only when writing its parts again gives
 * the same bytes, so a statement has exactly one spelling.
 */
#ifndef TANA_WIRE_MESH_STATEMENT_H
#define TANA_WIRE_MESH_STATEMENT_H

#include "base/error.h"
#include "mesh.h"
#include "mesh_messages.h"

enum mesh_statement_kind {
	STATEMENT_REGISTER_SHORT, /* JSON of three keys */
	STATEMENT_REGISTER_FULL,  /* canonical JSON of the whole registration, less its signature */
	STATEMENT_DECISION,
	STATEMENT_DECISION_OLD, /* approve:<nodeId> ... */
	STATEMENT_SOVEREIGN_INIT,
	STATEMENT_SOVEREIGN_ADD,
	STATEMENT_SOVEREIGN_REMOVE,
	STATEMENT_SOVEREIGN_ROTATE,
	STATEMENT_NODE_ROTATE,
	STATEMENT_INVITE,
	STATEMENT_INVITE_REVOKE,
	STATEMENT_EXPIRE,
};

struct mesh_statement {
	enum mesh_statement_kind kind;
	enum mesh_action action;           /* decisions */
	struct str network;                /* absent in old forms and short registrations */
	struct str node_id;
	struct str public_key;             /* the node's, sovereign's or invite's key that the statement is about; the old key of a rotation */
	struct str new_key;                /* rotations */
	int64_t uses, expires, timestamp;  /* 0 where the form has none */
	struct mesh_register registration; /* registrations; its signature is absent */
	struct str text;                   /* what was parsed; a full registration may hold fields that are not known here, so its text cannot be made anew */
};

/* Texts are copied into the arena. ERR_MALFORMED_FIELD when the text is no statement of mesh. */
MUST_CHECK bool mesh_statement_parse(struct str text, struct mesh_statement *out, struct arena *arena, struct error *err);
/* Appends the text of a statement made of its parts (a full registration: its text); the inverse of parse. */
void mesh_statement_write(const struct mesh_statement *s, struct buf *out);

#endif
