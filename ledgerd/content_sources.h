/* Other validators' stores, found through mesh: those of the active nodes that say they have a t4. For content_sync.c only. */
#ifndef TANA_LEDGERD_CONTENT_SOURCES_H
#define TANA_LEDGERD_CONTENT_SOURCES_H

#include "client/mesh_client.h"
#include "client/t4_client.h"

enum { SOURCES_MAX = 32 /* stores asked in one round: of more nodes, as many chosen by chance */ };

struct content_source {
	char *node_id, *url;
	struct t4_client *t4; /* opened when it is first asked */
	bool dead;            /* it did not answer in this round */
};
struct content_sources {
	struct content_source list[SOURCES_MAX];
	size_t count;
};
/* Asks mesh; the order is by chance. `less` is the node whose store is none. */
MUST_CHECK bool content_sources_find(struct content_sources *s, struct mesh_client *mesh, struct str less, struct error *err);
/* The client of a source, made when needed; NULL: it is no good, and dead from now on. */
struct t4_client *content_source_open(struct content_source *s, const char *user_agent, const volatile int *stop);
/* Leaves it empty. */
void content_sources_clear(struct content_sources *s);

#endif
