/* From options to a running service's parts, and back. */
#include <sys/resource.h>

#include "daemon/daemon.h"
#include "t4.h"
#include "wire/mesh.h"

enum {
	REMEMBERED_MAX = 1 << 20, /* verified files remembered: 16 MiB when there are so many */
	OPEN_FILES_MAX = 4096,    /* of small blobs; about 1 KiB of the kernel's memory each */
	DESCRIPTORS_SHARE = 4     /* and no more of the process' descriptors than one of so many; none where they are few */
};

static size_t open_files_max(void)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur < OPEN_FILES_MAX)
		return 0;
	rlim_t share = files.rlim_cur / DESCRIPTORS_SHARE;
	return share < OPEN_FILES_MAX ? (size_t)share : OPEN_FILES_MAX;
}

bool t4_configure(struct t4 *t, const struct invocation *in, struct error *err)
{
	const char *verify = option_text(in, "verify-reads");
	arena_init(&t->arena);
	t->config = (struct t4_config){
		.store = {.dir = option_text(in, "dir"),
			  .verify = strcmp(verify, "always") == 0 ? VERIFY_ALWAYS : VERIFY_ONCE,
			  .max_object_size = (uint64_t)option_int(in, "max-object-size"),
			  .min_free_space = (uint64_t)option_int(in, "min-free-space"),
			  .remembered_max = REMEMBERED_MAX,
			  .open_files_max = open_files_max()},
		.node_id = str_from(option_text(in, "node-id")),
		.mesh_url = option_text(in, "mesh-url"),
		.scrub_rate = option_int(in, "scrub-rate"),
		.uploads_max = option_int(in, "max-uploads"),
	};
	if (!str_present(t->config.node_id)) {
		error_set(err, ERR_CONFIG, "--node-id is required");
		return error_hint(err, "tokens are made out to <node id>/t4, and this node's services may write");
	}
	if (!mesh_node_id_valid(t->config.node_id))
		return error_set(err, ERR_CONFIG, "--node-id must be 1-64 of a-z 0-9 . _ - and begin with a letter or digit");
	return true;
}

bool t4_open_store(struct t4 *t, enum store_role role, struct error *err)
{
	t->config.store.role = role;
	t->store = blob_store_open(&t->config.store, err);
	return t->store != NULL;
}

bool t4_open_access(struct t4 *t, const struct invocation *in, struct error *err)
{
	const struct keyring_options o = {
		.mesh_url = t->config.mesh_url,
		.cache_file = arena_printf(&t->arena, "%s/mesh-keys.json", t->config.store.dir).p,
		.user_agent = arena_printf(&t->arena, "t4d/%s", tana_version()).p,
	};
	t->keyring = keyring_start(&o, err);
	if (!t->keyring)
		return false;
	t->access = access_new(t->config.node_id, keyring_key, t->keyring);
	for (size_t i = 0; i < option_count(in, "trust-key"); i++)
		if (!keyring_trust(t->keyring, option_at(in, "trust-key", i), err))
			return false;
	for (size_t i = 0; i < option_count(in, "allow"); i++)
		if (!access_allow(t->access, option_at(in, "allow", i), err))
			return false;
	return true;
}

void t4_close(struct t4 *t)
{
	blob_store_close(t->store);
	access_free(t->access);
	keyring_stop(t->keyring);
	arena_free(&t->arena);
}
