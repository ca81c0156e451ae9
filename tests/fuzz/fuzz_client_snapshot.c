/* client: snapshots as they come, and with a right signature of the coordinator put under any content, so that the evidence is reached. */
#include <stdint.h>

#include "../unit/client_sample.h"
#include "client/mesh_snapshot.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	struct error err;
	invariant(crypto_start(&err));
	return 0;
}

static void check(struct str text, struct arena *arena)
{
	struct ed25519_public key = sample_secret(KEY_SOVEREIGN).public_key;
	struct mesh_trust trust = {.keys = &key, .key_count = 1, .now = SAMPLE_NOW};
	struct mesh_peers out;
	struct error err;
	if (!mesh_snapshot_verify(text, &trust, arena, &out, &err))
		return;
	/* Whoever is believed was let in by a key that has signed something here: the trusted one, or one it vouches for. */
	const struct mesh_peer *peers = out.peers.items;
	invariant(out.expires > SAMPLE_NOW);
	for (size_t i = 0; i < out.peers.count; i++)
		invariant(str_present(peers[i].admitted_by) && str_present(peers[i].hostname) && mesh_node_id_valid(peers[i].id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_of((const char *)data, size);
	struct sample s = {.snapshot = {.version = 0}};
	struct error err;
	arena_init(&s.arena);
	check(text, &s.arena);
	if (json_read_text(text, &mesh_snapshot_message, &s.snapshot, &s.arena, &err)) {
		struct buf again = {0};
		s.snapshot.coordinator = sample_public(&s, KEY_COORDINATOR);
		sample_write(&s, &s.snapshot, &again);
		check(buf_str(&again), &s.arena);
		buf_free(&again);
	}
	sample_free(&s);
	return 0;
}
