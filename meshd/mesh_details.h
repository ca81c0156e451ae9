/*
 * What came beside a signed message without being covered by its signature, kept in the log as the entry's `details` (canonical JSON), so that a replay gives the same rows:
 * the services and address of a short registration, the reason of a decision, the description of a sovereign key.
 */
#ifndef TANA_MESHD_MESH_DETAILS_H
#define TANA_MESHD_MESH_DETAILS_H

#include "mesh_rules.h"

/* Sets c->details from the change's unsigned parts; absent when there are none. */
void mesh_details_write(struct change *c, struct arena *arena);
/* Puts them back into a change whose statement was read from the log. */
MUST_CHECK bool mesh_details_read(struct change *c, struct arena *arena, struct error *err);

#endif
