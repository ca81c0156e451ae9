/*
 * One running t4d: what its parts share. Set up by t4d.c, read by the handlers.
 */
#ifndef TANA_T4D_T4_H
#define TANA_T4D_T4_H

#include <stdatomic.h>

#include "access.h"
#include "blob_store.h"
#include "client/keyring.h"
#include "daemon/command.h"
#include "http/server.h"
#include "base/jobs.h"
#include "scrubber.h"

#define T4_DESCRIPTION "Content-addressed storage: bytes under their SHA-256. Anyone may read; services write with a token."

struct t4_config {
	struct blob_store_options store;
	struct str node_id;      /* absent: not given */
	const char *mesh_url;    /* NULL: only the keys given by hand are known */
	int64_t scrub_rate;      /* bytes/s; 0: the scrubber only counts */
	int64_t uploads_max;     /* at the same time */
};

struct t4 {
	struct t4_config config;
	struct arena arena; /* for what lives as long as the process */
	struct blob_store *store;
	struct keyring *keyring;
	struct access *access;
	struct jobs *jobs;
	struct scrubber *scrubber;
	_Atomic int64_t uploads; /* under way */
};

/* Reads the options into *t; opens nothing. t4_close may be called after a failure of this or of what follows. */
MUST_CHECK bool t4_configure(struct t4 *t, const struct invocation *in, struct error *err);
/* Opens the store in its role. */
MUST_CHECK bool t4_open_store(struct t4 *t, enum store_role role, struct error *err);
/* For serving: keys of other services, and what they are allowed. After t4_configure. */
MUST_CHECK bool t4_open_access(struct t4 *t, const struct invocation *in, struct error *err);
void t4_close(struct t4 *t);

#endif
