/*
 * `t4d gc --keep FILE`: deletes what a list of live hashes does not name. A list is as old as its file: what was stored after that is
 * kept, so that a blob which came while the list was made, or travelled, is never taken for dead.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "blob_store.h"
#include "identity.h"
#include "t4_commands.h"

enum { WAITING_MAX = 256 }; /* deletes handed over and not yet done */

struct keep_list {
	struct hash *hashes; /* sorted */
	size_t count, room;
	int64_t made_ns;     /* wall: when the file was last written */
};

struct gc {
	struct invocation *in;
	struct blob_store *store;
	struct keep_list keep;
	bool dry_run, json;
	struct progress progress;
	int64_t kept, young, deleted, deleted_bytes;
	pthread_mutex_t lock;
	pthread_cond_t done;
	/* Under the lock. */
	int waiting;
	bool failed;
	struct error err;
};

/* ---- the list ---- */

static int by_hash(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct hash));
}

static bool add_line(struct keep_list *k, const char *line, ssize_t n, int64_t number, const char *path, struct error *err)
{
	while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		n--;
	if (n == 0)
		return true;
	if (k->count == k->room) {
		k->room = k->room ? 2 * k->room : 1024;
		k->hashes = xrealloc(k->hashes, k->room * sizeof(*k->hashes));
	}
	if (hash_from_text(str_of(line, (size_t)n), &k->hashes[k->count])) {
		k->count++;
		return true;
	}
	error_set(err, ERR_MALFORMED_HASH, "%s:%" PRId64 " is not a hash (64 lower-case hex digits); nothing was deleted", path, number);
	return error_hint(err, "the list has one hash a line, and nothing else");
}

static bool read_lines(struct keep_list *k, FILE *f, const char *path, struct error *err)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	bool ok = true;
	for (int64_t number = 1; ok && (n = getline(&line, &room, f)) >= 0; number++)
		ok = add_line(k, line, n, number, path, err);
	if (ok && ferror(f))
		ok = error_errno(err, ERR_IO, errno, "cannot read %s", path);
	free(line);
	return ok;
}

static bool list_time(FILE *f, const char *path, int64_t *ns, struct error *err)
{
	struct stat st;
	if (fstat(fileno(f), &st) != 0)
		return error_errno(err, ERR_IO, errno, "cannot look at %s", path);
	*ns = identity_of(&st).modified_ns;
	return true;
}

static bool read_keep(struct gc *g, const char *path, struct error *err)
{
	struct keep_list *k = &g->keep;
	FILE *f = fopen(path, "re");
	if (!f)
		return error_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno, "cannot open %s", path);
	bool ok = list_time(f, path, &k->made_ns, err) && read_lines(k, f, path, err);
	(void)fclose(f);
	if (ok && k->count == 0 && !option_bool(g->in, "empty-list")) {
		error_set(err, ERR_REFUSED, "%s names nothing, so everything would be deleted", path);
		return error_hint(err, "if that is what you want, say --empty-list");
	}
	if (ok && k->count > 0)
		qsort(k->hashes, k->count, sizeof(*k->hashes), by_hash);
	return ok;
}

/* ---- deleting ---- */

static void deleted(void *ctx, bool changed, uint64_t size, const struct error *err)
{
	struct gc *g = ctx;
	pthread_mutex_lock(&g->lock);
	if (changed && !err) {
		g->deleted++;
		g->deleted_bytes += (int64_t)size;
	} else if (err && err->code != ERR_UNKNOWN_CONTENT && !g->failed) { /* gone already: well */
		g->failed = true;
		g->err = *err;
	}
	g->waiting--;
	pthread_cond_signal(&g->done);
	pthread_mutex_unlock(&g->lock);
}

/* Until fewer than `below` deletes are under way; false when one of them failed. */
static bool wait_below(struct gc *g, int below)
{
	pthread_mutex_lock(&g->lock);
	while (g->waiting >= below)
		pthread_cond_wait(&g->done, &g->lock);
	bool ok = !g->failed;
	pthread_mutex_unlock(&g->lock);
	return ok;
}

static bool remove_one(struct gc *g, const struct hash *h, uint64_t size)
{
	if (g->dry_run) {
		g->deleted++;
		g->deleted_bytes += (int64_t)size;
		return true;
	}
	if (!wait_below(g, WAITING_MAX))
		return false;
	pthread_mutex_lock(&g->lock);
	g->waiting++;
	pthread_mutex_unlock(&g->lock);
	blob_delete(g->store, h, deleted, g);
	return true;
}

static bool judge(void *ctx, const struct hash *h)
{
	struct gc *g = ctx;
	int64_t stored_ns;
	uint64_t size;
	if (g->keep.count > 0 && bsearch(h, g->keep.hashes, g->keep.count, sizeof(*h), by_hash)) {
		g->kept++;
		return true;
	}
	if (!blob_stored_at(g->store, h, &stored_ns, &size))
		return true;
	if (stored_ns > g->keep.made_ns) {
		g->young++;
		return true;
	}
	if (g->json) {
		char text[HASH_TEXT_LEN + 1];
		hash_to_text(h, text);
		printf("{\"hash\":\"%s\",\"size\":%" PRIu64 "}\n", text, size);
	}
	return remove_one(g, h, size);
}

static bool sweep(struct gc *g, struct error *err)
{
	bool ok = true;
	for (unsigned i = 0; ok && i < BLOB_SHARDS; i++) {
		ok = blob_walk(g->store, i, judge, g, err) && wait_below(g, WAITING_MAX);
		if (progress_due(&g->progress))
			progress_line(&g->progress, "%3u%%", i * 100 / BLOB_SHARDS);
	}
	bool all_well = wait_below(g, 1);
	if (!all_well)
		*err = g->err;
	progress_end(&g->progress);
	return ok && all_well;
}

static void put_result(const struct gc *g)
{
	if (g->json)
		printf("{\"deleted\":%" PRId64 ",\"bytes\":%" PRId64 ",\"kept\":%" PRId64 ",\"young\":%" PRId64 ",\"dryRun\":%s}\n", g->deleted,
		       g->deleted_bytes, g->kept, g->young, g->dry_run ? "true" : "false");
	else
		printf("%" PRId64 " blobs %s, %" PRId64 " bytes; %" PRId64 " kept by the list, %" PRId64 " kept because they are newer than it\n",
		       g->deleted, g->dry_run ? "would be deleted" : "deleted", g->deleted_bytes, g->kept, g->young);
}

int t4_command_gc(struct invocation *in)
{
	struct gc g = {.in = in, .dry_run = option_bool(in, "dry-run"), .json = option_bool(in, "json")};
	struct error err;
	const char *path = option_text(in, "keep");
	invariant(pthread_mutex_init(&g.lock, NULL) == 0 && pthread_cond_init(&g.done, NULL) == 0);
	progress_begin(&g.progress, in);
	bool ok = path || error_set(&err, ERR_USAGE, "--keep FILE is required: the list of hashes to keep");
	ok = ok && read_keep(&g, path, &err) && (g.store = t4_command_store(in, &err)) != NULL && sweep(&g, &err);
	if (ok)
		put_result(&g);
	int status = ok ? EXIT_DONE : program_fail(in, &err);
	blob_store_close(g.store);
	free(g.keep.hashes);
	pthread_cond_destroy(&g.done);
	pthread_mutex_destroy(&g.lock);
	return status;
}
