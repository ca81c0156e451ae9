/* The tree of the state: its root proven at once from the hashes stored beside the entries, the entries read behind and compared with them. */
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "core_inside.h"

enum { PREFIXES = 1 << STORE_TREE_DEPTH, CHUNK = 4096 };

bool core_tree_check(struct core *c, struct db_conn *conn, struct error *err)
{
	struct merkle_tree_prefix *stored = xcalloc(PREFIXES, sizeof *stored);
	struct hash root;
	bool ok = store_read_tree(conn, stored, err) == DB_OK;
	if (ok && (!merkle_tree_root_from_prefixes(stored, STORE_TREE_DEPTH, &root) || !hash_equal(&root, &c->chain.state_root))) {
		ok = error_set(err, ERR_CORRUPT, "the stored state does not match block %lld", (long long)c->chain.height);
		error_hint(err, "ledgerd verify --all says what differs; a chain is made anew with ledgerd import");
	}
	free(stored);
	return ok;
}

static bool core_stopping(struct core *c)
{
	pthread_mutex_lock(&c->lock);
	bool stopping = c->stopping;
	pthread_mutex_unlock(&c->lock);
	return stopping;
}

struct loading {
	struct core *c;
	bool (*end_asked)(void); /* besides c->stopping; NULL: nobody can */
	struct merkle_tree *tree;
	struct merkle_map_entry *chunk;
	size_t count;
};

static bool ended(const struct loading *l)
{
	return core_stopping(l->c) || (l->end_asked && l->end_asked());
}

static bool load_entry(void *ctx, struct str key, struct str value)
{
	struct loading *l = ctx;
	merkle_map_entry(&l->chunk[l->count++], key, value);
	if (l->count == CHUNK) {
		merkle_tree_load(l->tree, l->chunk, l->count);
		l->count = 0;
		return !ended(l);
	}
	return true;
}

/* Names the first subtree in which entries and hashes differ. */
static bool compare(const struct merkle_tree *tree, const struct merkle_tree_prefix *stored, struct error *err)
{
	struct merkle_tree_prefix *found = xcalloc(PREFIXES, sizeof *found);
	merkle_tree_prefix_hashes(tree, STORE_TREE_DEPTH, found);
	bool ok = true;
	for (size_t i = 0; ok && i < PREFIXES; i++)
		if (found[i].kind != stored[i].kind || !hash_equal(&found[i].hash, &stored[i].hash)) {
			ok = error_set(err, ERR_CORRUPT, "the state does not match the blocks, among the entries whose path begins with %03zx", i);
			error_hint(err, "ledgerd verify --all names them");
		}
	free(found);
	return ok;
}

static bool load(struct core *c, bool (*end_asked)(void), struct error *err)
{
	struct loading l = {.c = c, .end_asked = end_asked, .tree = c->chain.tree, .chunk = xcalloc(CHUNK, sizeof(struct merkle_map_entry))};
	struct merkle_tree_prefix *stored = xcalloc(PREFIXES, sizeof *stored);
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	struct db_conn *conn = db_pool_reader(c->l->pool, err);
	bool ok = conn && store_read_tree(conn, stored, err) == DB_OK && store_walk_state(conn, load_entry, &l, err) == DB_OK;
	if (conn)
		db_pool_release(c->l->pool, conn);
	if (ok && ended(&l))
		ok = error_set(err, ERR_INTERRUPTED, "it was stopped while the state was read");
	if (ok) {
		merkle_tree_load(l.tree, l.chunk, l.count);
		merkle_tree_build(l.tree, cores > 0 ? (unsigned)cores : 1);
		ok = compare(l.tree, stored, err);
	}
	free(stored);
	free(l.chunk);
	pthread_mutex_lock(&c->lock);
	c->tree_loaded = ok;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	return ok;
}

static void *load_behind(void *ctx)
{
	struct core *c = ctx;
	struct error err;
	while (!load(c, NULL, &err)) {
		pthread_mutex_lock(&c->lock);
		if (!c->stopping && err.code != ERR_UNAVAILABLE)
			core_fail(c, &err);
		bool again = !c->stopping && err.code == ERR_UNAVAILABLE;
		if (again) {
			merkle_tree_free(c->chain.tree);
			c->chain.tree = merkle_tree_new();
		}
		pthread_mutex_unlock(&c->lock);
		if (!again)
			break;
		sleep(1);
	}
	return NULL;
}

bool core_tree_start(struct core *c, struct error *err)
{
	if (c->l->config.role == LEDGER_FRONT) /* it makes no blocks, so it needs none */
		return true;
	if (c->l->config.verify_full_on_start)
		return load(c, c->l->end_asked, err);
	int failed = pthread_create(&c->loader, NULL, load_behind, c);
	c->loader_runs = failed == 0;
	return failed == 0 || error_errno(err, ERR_INTERNAL, failed, "no thread for reading the state");
}
