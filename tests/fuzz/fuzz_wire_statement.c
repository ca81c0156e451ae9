/* Signed texts of mesh, from a log, a snapshot or kept evidence: what is read is written back to the same bytes, whatever comes. */
#include "base/log.h"
#include "crypto/canonical.h"
#include "crypto/ed25519.h"
#include "wire/mesh_statement.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct error err;
	(void)argc;
	(void)argv;
	invariant(crypto_start(&err));
	return 0;
}

static bool key_is_written(struct str s)
{
	struct ed25519_public key;
	struct error err;
	return ed25519_public_from_text(s, KEY_WRITTEN, &key, &err);
}

/* Each kind has its own parts, and no others. */
static void check_parts(const struct mesh_statement *s)
{
	bool rotation = s->kind == STATEMENT_SOVEREIGN_ROTATE || s->kind == STATEMENT_NODE_ROTATE;
	bool registration = s->kind == STATEMENT_REGISTER_SHORT || s->kind == STATEMENT_REGISTER_FULL;
	invariant(s->timestamp >= 0 && s->uses >= 0 && s->expires >= 0);
	invariant(str_present(s->new_key) == rotation && (!rotation || key_is_written(s->new_key)));
	invariant(!str_present(s->node_id) || mesh_node_id_valid(s->node_id));
	invariant(str_present(s->public_key) ? key_is_written(s->public_key) : s->kind == STATEMENT_DECISION_OLD);
	invariant(str_present(s->network) ? mesh_network_valid(s->network) : registration || s->kind == STATEMENT_DECISION_OLD);
	invariant(s->kind == STATEMENT_INVITE || (s->uses == 0 && s->expires == 0));
	if (registration) {
		invariant(str_present(s->node_id) && str_present(s->registration.tailscale_hostname) && !str_present(s->registration.signature));
		invariant(s->registration.services.count <= MESH_SERVICES_MAX);
		invariant(s->kind == STATEMENT_REGISTER_SHORT || canonical_check(s->text));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_of((const char *)data, size);
	struct mesh_statement s, again;
	struct arena arena;
	struct error err;
	struct buf written = {0};
	arena_init(&arena);
	if (mesh_statement_parse(text, &s, &arena, &err)) {
		check_parts(&s);
		mesh_statement_write(&s, &written);
		invariant(str_equal(buf_str(&written), text));
		invariant(mesh_statement_parse(buf_str(&written), &again, &arena, &err) && again.kind == s.kind);
	} else {
		invariant(error_code_status(err.code) == 400 && err.message[0] && utf8_valid(err.message, strlen(err.message)));
	}
	buf_free(&written);
	arena_free(&arena);
	return 0;
}
