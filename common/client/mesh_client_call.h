/* What the parts of the mesh client share; for this room only. */
#ifndef TANA_CLIENT_MESH_CLIENT_CALL_H
#define TANA_CLIENT_MESH_CLIENT_CALL_H

#include "http/client.h"
#include "mesh_client.h"

struct mesh_client {
	struct http_client *http;
	char *url;
	char network[MESH_NETWORK_MAX + 1];
	int64_t last_stamp; /* the newest timestamp signed here: no two are equal */
};

/* One exchange; the answer's bytes are appended to *out (which may be NULL) when its status is 2xx, else they are the error. */
MUST_CHECK bool mesh_client_exchange(struct mesh_client *c, const char *method, const char *path, struct str body, struct buf *out,
				     struct error *err);
/* One exchange whose answer is read by `m` into *value. */
MUST_CHECK bool mesh_client_call(struct mesh_client *c, const char *method, const char *path, struct str body, const struct json_message *m,
				 void *value, struct arena *arena, struct error *err);
/* "/nodes/<id>/rotate": the id may come from people, so it is encoded. `after` may be "". In the arena. */
const char *mesh_client_path(struct arena *arena, const char *before, struct str id, const char *after);

#endif
