#include "mesh_snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/worker.h"
#include "mesh_snapshot_text.h"

/* A document that was made: the file has no name, and lives as long as somebody reads it. */
struct document {
	char path[32]; /* /proc/self/fd/N: opened anew for each reader, who has an offset of its own */
	int fd;        /* -1: none yet */
	uint64_t size;
	int64_t version, issued;
};
struct waiting {
	struct http_request *request;
	struct waiting *next;
};
struct mesh_snapshot_maker {
	struct mesh *mesh;
	struct worker *worker;
	pthread_mutex_t lock;
	struct waiting *waiting; /* under lock */
	bool quiet;              /* under lock: nobody is taken on any more */
	struct document kept;    /* the worker's */
};

static bool write_all(int fd, struct str data, struct error *err)
{
	while (data.n > 0) {
		ssize_t n = write(fd, data.p, data.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, ERR_IO, errno, "cannot write the snapshot");
		data = str_of(data.p + n, data.n - (size_t)n);
	}
	return true;
}

static int open_unnamed(const char *dir, struct error *err)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		/* The file system has no unnamed files. */
		char path[4096];
		snprintf(path, sizeof(path), "%s/snapshot-XXXXXX", dir);
		fd = mkostemp(path, O_CLOEXEC);
		if (fd >= 0)
			unlink(path);
	}
	if (fd < 0)
		error_errno(err, ERR_IO, errno, "cannot make a temporary file in %s", dir);
	return fd;
}

/* Writes the document of one consistent state of the registry. */
static bool make_in(struct mesh *m, struct db_conn *c, int fd, struct document *out, struct error *err)
{
	struct snapshot_text t;
	bool ok = snapshot_text_begin(&t, m, c, clock_wall_ms(), err);
	while (ok && snapshot_text_next(&t, err)) {
		ok = write_all(fd, buf_str(&t.piece), err);
		out->size += t.piece.len;
	}
	ok = ok && !t.failed;
	out->version = t.version;
	out->issued = t.issued;
	snapshot_text_end(&t);
	return ok;
}

static bool make(struct mesh *m, struct document *out, struct error *err)
{
	*out = (struct document){.fd = open_unnamed(m->config.data_dir, err)};
	if (out->fd < 0)
		return false;
	snprintf(out->path, sizeof(out->path), "/proc/self/fd/%d", out->fd);
	struct db_conn *c = db_pool_reader(m->pool, err);
	bool ok = c && db_begin(c, DB_TXN_SNAPSHOT, err) == DB_OK;
	if (ok) {
		ok = make_in(m, c, out->fd, out, err);
		db_rollback(c);
	}
	if (c)
		db_pool_release(m->pool, c);
	if (!ok) {
		close(out->fd);
		out->fd = -1;
	}
	return ok;
}

static bool still_good(struct mesh_snapshot_maker *s)
{
	struct error err;
	int64_t version = -1;
	if (s->kept.fd < 0 || clock_wall_ms() >= s->kept.issued + s->mesh->config.snapshot_ttl_ms / 2 || clock_wall_ms() < s->kept.issued)
		return false;
	struct db_conn *c = db_pool_reader(s->mesh->pool, &err);
	bool ok = c && snapshot_version(c, &version, &err) == DB_OK;
	if (c)
		db_pool_release(s->mesh->pool, c);
	return ok && version == s->kept.version;
}

static struct http_reply *reply_with(struct http_request *r, const struct document *d)
{
	int fd = open(d->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return http_reply_error_code(r, ERR_UNAVAILABLE, "the snapshot cannot be opened now: too many files are open");
	char tag[32];
	snprintf(tag, sizeof(tag), "\"%" PRId64 "-%" PRIx64 "\"", d->version, (uint64_t)d->issued);
	return http_reply_etag(r, http_reply_file(r, 200, "application/json", fd, d->size), tag);
}

static int64_t maker_turn(void *arg)
{
	struct mesh_snapshot_maker *s = arg;
	enum { LOOK_MS = 60000 };
	pthread_mutex_lock(&s->lock);
	struct waiting *list = s->waiting;
	s->waiting = NULL;
	pthread_mutex_unlock(&s->lock);
	if (!list)
		return LOOK_MS;
	struct error err;
	bool ok = true;
	if (!still_good(s)) {
		if (s->kept.fd >= 0)
			close(s->kept.fd);
		ok = make(s->mesh, &s->kept, &err);
		if (!ok)
			log_error("no topology snapshot could be made", LOG_S("why", err.message));
	}
	while (list) {
		struct http_request *r = list->request;
		list = list->next; /* lives in the request's arena, which ends with it */
		http_finish(r, ok ? reply_with(r, &s->kept) : http_reply_error(r, &err));
	}
	return LOOK_MS;
}

struct http_reply *api_snapshot(struct http_request *r)
{
	struct mesh *m = http_ctx(r);
	struct mesh_snapshot_maker *s = m->snapshots;
	struct waiting *w = arena_alloc(http_arena(r), sizeof(*w));
	struct http_reply *later = NULL;
	pthread_mutex_lock(&s->lock);
	if (!s->quiet) {
		later = http_reply_later(r);
		*w = (struct waiting){.request = r, .next = s->waiting};
		s->waiting = w;
		worker_wake(s->worker);
	}
	pthread_mutex_unlock(&s->lock);
	return later ? later : http_reply_error_code(r, ERR_SHUTTING_DOWN, "the coordinator is stopping");
}

struct mesh_snapshot_maker *mesh_snapshot_start(struct mesh *m)
{
	struct mesh_snapshot_maker *s = xcalloc(1, sizeof(*s));
	s->mesh = m;
	s->kept.fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	s->worker = worker_start("mesh-snapshot", maker_turn, s);
	return s;
}

void mesh_snapshot_quiesce(struct mesh_snapshot_maker *s)
{
	if (!s || !s->worker)
		return;
	pthread_mutex_lock(&s->lock);
	s->quiet = true;
	pthread_mutex_unlock(&s->lock);
	worker_stop(s->worker);
	s->worker = NULL;
	maker_turn(s); /* who came in after the last turn */
}

void mesh_snapshot_stop(struct mesh_snapshot_maker *s)
{
	if (!s)
		return;
	mesh_snapshot_quiesce(s);
	if (s->kept.fd >= 0)
		close(s->kept.fd);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
