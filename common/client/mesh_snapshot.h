/*
 * Checking a topology snapshot offline (docs/protocol.md, "Snapshot"): who the members of a network are, from a document that anyone may have
 * handed over.
 *
 * The coordinator's signature alone proves little: its key lies on a machine that may be broken into. So each member comes with its own signed
 * registration and with its admission, signed by a sovereign key, and the reader starts from sovereign keys it already trusts. Nothing of the
 * document that those keys do not cover is believed, except the services of nodes that registered in the short form: they are marked.
 */
#ifndef TANA_CLIENT_MESH_SNAPSHOT_H
#define TANA_CLIENT_MESH_SNAPSHOT_H

#include "base/arena.h"
#include "base/error.h"
#include "crypto/ed25519.h"
#include "wire/mesh.h"

enum {
	MESH_SNAPSHOT_MAX = 512 * 1024 * 1024, /* bytes: 100,000 members with the evidence of each */
	/* Sovereigns' clocks may differ by twice the window in which a coordinator takes their timestamps. */
	MESH_SOVEREIGN_SLACK_MS = 10 * 60 * 1000
};

struct mesh_trust {
	const struct ed25519_public *keys; /* sovereign keys the reader trusts: at least one */
	size_t key_count;
	struct str network;     /* the network it must be; absent: any */
	struct str coordinator; /* the coordinator key it must be signed by; absent: any */
	int64_t now;            /* ms since the epoch */
	int64_t version_min;    /* the newest version seen before; 0: none */
};

struct mesh_peer {
	struct str id, public_key, hostname, ip /* absent: unknown */, role, region;
	struct json_list services; /* struct mesh_service */
	bool services_signed;      /* false: the node registered in the short form, its services are the coordinator's word */
	struct str admitted_by;    /* the sovereign key */
	int64_t admitted_at;
};
struct mesh_peers {
	struct str network, coordinator;
	int64_t version, issued, expires;
	struct json_list peers;      /* struct mesh_peer, in the document's order */
	struct json_list sovereigns; /* struct str: the keys that are sovereign at the end of the evidence */
	size_t unsigned_services;    /* peers whose services_signed is false */
};

/*
 * Checks the whole document; one bad member spoils it. *out lives in the arena.
 * ERR_NOT_CANONICAL, ERR_MALFORMED_FIELD and other codes of reading; ERR_WRONG_NETWORK; ERR_REFUSED: expired, or older than one seen before;
 * ERR_BAD_SIGNATURE: a signature that does not verify; ERR_NOT_SOVEREIGN: an admission by a key that no trusted key vouches for.
 */
MUST_CHECK bool mesh_snapshot_verify(struct str text, const struct mesh_trust *trust, struct arena *arena, struct mesh_peers *out,
				     struct error *err);

#endif
