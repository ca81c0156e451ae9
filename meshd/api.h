/*
 * meshd's HTTP interface: one file a topic, the table of all in api_routes.c. A handler reads the request, asks rules and store, and answers with the messages of
 * wire/mesh.h.
 */
#ifndef TANA_MESHD_API_H
#define TANA_MESHD_API_H

#include "http/server.h"
#include "mesh.h"
#include "mesh_change.h"

extern const struct http_route mesh_routes[];
extern const size_t mesh_route_count;

/* api_register.c */
http_handler api_register;
/* api_decisions.c */
http_handler api_approve, api_deny, api_remove, api_reset, api_node_rotate;
/* api_heartbeat.c */
http_handler api_heartbeat, api_history;
/* api_nodes.c */
http_handler api_nodes, api_node, api_topology, api_validators, api_validator;
/* api_sovereign.c */
http_handler api_sovereigns, api_sovereign_add, api_sovereign_remove, api_sovereign_rotate, api_sovereign_verify;
/* api_invites.c */
http_handler api_invites, api_invite_create, api_invite_revoke;
/* api_audit.c */
http_handler api_audit, api_checkpoint, api_inclusion, api_consistency, api_coordinator;
/* api_events.c */
http_handler api_events;
/* mesh_snapshot.c */
http_handler api_snapshot;

/* What they share (api_change.c). */

/* A key or signature beside a message, in its written form; lenient reading. False: *reply is the refusal. */
MUST_CHECK bool api_public_key(struct http_request *r, const char *field, struct str in, enum key_reading how, struct str *out, struct http_reply **reply);
MUST_CHECK bool api_signature(struct http_request *r, const char *field, struct str in, struct str *out, struct http_reply **reply);
/* Hands a change to the writer; `answer` makes the reply of an accepted one. The change and its texts live in the request's arena. */
typedef struct http_reply *api_answer(struct http_request *r, const struct verdict *v);
struct http_reply *api_change(struct http_request *r, const struct change *c, bool coordinator_signs, api_answer *answer);
/* The refusal of a rule or the database; a timestamp out of range tells serverTime. */
struct http_reply *api_refuse(struct http_request *r, const struct error *err);
/* `cursor` of a list that is ordered by a number: sets *last, where the page before ended, when it is given. False: *reply is the refusal. */
MUST_CHECK bool api_number_cursor(struct http_request *r, int64_t *last, struct http_reply **reply);
/* Borrows a reader; NULL: *reply is the refusal. */
MUST_CHECK struct db_conn *api_reader(struct http_request *r, struct http_reply **reply);
void api_reader_done(struct http_request *r, struct db_conn *c);


/* GET /coordinator's answer. */
extern const struct json_message coordinator_message;

#endif
