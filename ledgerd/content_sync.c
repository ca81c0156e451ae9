#include "content_sync.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/worker.h"
#include "content_refs.h"
#include "content_sources.h"

enum {
	INTERVAL_MS = 10 * 60 * 1000,
	NOTICE_MS = 2000,
	RETRY_MIN_MS = 500,          /* after a round that could not look at everything, doubling */
	RETRY_MAX_MS = 30 * 1000,
	AGAIN_MS = 15 * 1000,        /* the whole chain once more, while something is missing; doubling up to the interval */
	FAILURES_TOLD = 5,
	LOCAL_SILENCE_MS = 30 * 1000,
	MESH_MS = 3000,
	PARTS_MAX = 8,               /* unfinished files that are kept for another attempt */
	RATE_SLICE_MS = 50           /* fetching pauses at most so long at once, to notice an end */
};

struct content_sync {
	struct content_sync_options o; /* strings in the arena */
	struct arena arena;
	struct worker *worker;
	struct t4_client *local;
	struct mesh_client *mesh;
	struct content_sources sources;
	bool sources_known;            /* in this round */
	char *dir;                     /* for what is being fetched */
	int failures;                  /* rounds in a row */
	int64_t again_ms;              /* until the whole chain is looked at again while something is missing */
	volatile int stop;             /* nonzero ends the transfer under way */
	_Atomic int stopping;          /* and it is the end of all */
	/* The transfer under way. */
	int64_t size_max, done_before, begun_ms;
	/* What is looked at next: the whole chain, at a monotonic time; blocks behind a place. */
	int64_t whole_at; /* when it is due again */
	bool placed;
	uint64_t place;
	uint64_t seen_tip;

	pthread_mutex_t lock;          /* for what follows */
	struct ledger_content_sync status; /* problem is below */
	char problem[ERROR_MESSAGE_MAX];
};

static void count(struct content_sync *s, int64_t *counter, int64_t n)
{
	pthread_mutex_lock(&s->lock);
	*counter += n;
	pthread_mutex_unlock(&s->lock);
}

static void set_problem(struct content_sync *s, const char *problem)
{
	pthread_mutex_lock(&s->lock);
	(void)snprintf(s->problem, sizeof(s->problem), "%s", problem);
	pthread_mutex_unlock(&s->lock);
}

/* ---- one content ---- */

/* Keeps the rate by not reading on, and ends what is larger than the chain says. */
static void on_progress(void *ctx, int64_t done, int64_t total)
{
	struct content_sync *s = ctx;
	const struct timespec slice = {.tv_nsec = RATE_SLICE_MS * 1000000};
	if (total > s->size_max || done > s->size_max)
		stop_ask(&s->stop);
	if (s->done_before < 0)
		s->done_before = done;
	while (s->o.rate > 0 && !stop_asked(&s->stop) &&
	       (double)(done - s->done_before) > (double)s->o.rate * (double)(clock_mono_ms() - s->begun_ms + RATE_SLICE_MS) / 1000)
		nanosleep(&slice, NULL);
}

static char *path_of(const struct content_sync *s, const struct hash *hash)
{
	char text[HASH_TEXT_LEN + 1];
	struct buf path = {0};
	size_t n;
	hash_to_text(hash, text);
	buf_printf(&path, "%s/%s", s->dir, text);
	return buf_steal(&path, &n);
}

/* From one source into the file. A source that does not answer is not asked again in this round. */
static bool fetch_from(struct content_sync *s, struct content_source *source, const struct content_ref *r, const char *path, struct error *err)
{
	int64_t size, resumed;
	struct t4_client *t4 = content_source_open(source, s->o.user_agent, &s->stop);
	if (!t4)
		return error_set(err, ERR_CONFIG, "%s is no URL", source->url);
	s->size_max = r->size;
	s->done_before = -1;
	s->begun_ms = clock_mono_ms();
	t4_client_watch(t4, on_progress, s);
	if (t4_fetch_file(t4, &r->hash, path, false, &size, &resumed, err) || err->code == ERR_ALREADY_EXISTS)
		return true;
	if (err->code == ERR_INTERRUPTED && !atomic_load(&s->stopping)) {
		error_set(err, ERR_TOO_LARGE, "it is larger than any reference to it says (%lld bytes)", (long long)r->size);
		stop_forget(&s->stop);
		if (atomic_load(&s->stopping))
			stop_ask(&s->stop);
	}
	if (err->code == ERR_UNREACHABLE || err->code == ERR_TIMED_OUT)
		source->dead = true;
	return false;
}

/* From the sources in turn. Each content begins with another one, so that the load is spread. */
static bool fetch(struct content_sync *s, const struct content_ref *r, const char *path, struct error *err)
{
	size_t n = s->sources.count, first = r->hash.b[0];
	error_set(err, ERR_UNKNOWN_CONTENT, "no other node has it");
	for (size_t i = 0; i < n && !atomic_load(&s->stopping); i++) {
		struct content_source *source = &s->sources.list[(first + i) % n];
		struct error why;
		if (source->dead)
			continue;
		if (fetch_from(s, source, r, path, &why))
			return true;
		if (why.code == ERR_UNKNOWN_CONTENT)
			continue;
		*err = why;
		log_debug("a node's store did not give a content", LOG_S("node", source->node_id), LOG_S("why", why.message));
	}
	return false;
}

static bool store(struct content_sync *s, const struct content_ref *r, const char *path, int64_t *size, struct error *err)
{
	bool stored;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, ERR_IO, errno, "%s", path);
	*size = (int64_t)lseek(fd, 0, SEEK_END);
	bool ok = t4_store_file(s->local, fd, &r->hash, *size, &stored, err);
	close(fd);
	return ok;
}

/* Unfinished files are kept for another attempt while they are few; when there are more than so many, all go. */
static void limit_parts(const struct content_sync *s, int at_most)
{
	DIR *d = opendir(s->dir);
	int found = 0;
	if (!d)
		return;
	for (int pass = 0; pass < 2 && (pass == 0 || found > at_most); pass++) {
		rewinddir(d);
		for (struct dirent *e; (e = readdir(d));) {
			if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
				continue;
			if (pass == 0)
				found++;
			else
				(void)unlinkat(dirfd(d), e->d_name, 0);
		}
	}
	closedir(d);
}

/* False: the local store does not take it, or it is the end; then the round ends. */
static bool bring(struct content_sync *s, const struct content_ref *r, struct error *err)
{
	struct error why;
	int64_t size = 0;
	char text[HASH_TEXT_LEN + 1];
	char *path = path_of(s, &r->hash);

	hash_to_text(&r->hash, text);
	bool fetched = fetch(s, r, path, &why), stored = fetched && store(s, r, path, &size, err), goes_on = stored;
	if (stored) {
		count(s, &s->status.fetched, 1);
		count(s, &s->status.bytes, size);
		count(s, &s->status.present, 1);
		count(s, &s->status.missing, -1);
		log_info("content was brought in", LOG_S("hash", text), LOG_I("bytes", size));
	} else if (!atomic_load(&s->stopping)) {
		count(s, &s->status.failed, 1);
		if (!fetched) {
			limit_parts(s, PARTS_MAX);
			goes_on = true;
			log_debug("content is missing", LOG_S("hash", text), LOG_S("why", why.message));
		} else {
			/* Too large for it, say, is about this one; everything else is about the store. */
			goes_on = err->code == ERR_TOO_LARGE;
		}
	}
	if (fetched)
		(void)unlink(path);
	free(path);
	return goes_on && !atomic_load(&s->stopping);
}

/* ---- a round ---- */

static bool find_sources(struct content_sync *s, struct error *err)
{
	struct error why;
	if (s->sources_known)
		return true;
	if (!content_sources_find(&s->sources, s->mesh, s->o.node_id, &why))
		return error_set(err, why.code, "mesh does not say who else has a t4: %s", why.message);
	s->sources_known = true;
	return s->sources.count > 0 || error_set(err, ERR_UNAVAILABLE, "no other active node has a t4");
}

/* Those of a page that are missing. */
static bool bring_missing(struct content_sync *s, const struct content_ref *refs, size_t n, struct error *err)
{
	struct hash hashes[CONTENT_PAGE + 1];
	bool missing[CONTENT_PAGE + 1];
	size_t missing_count = 0;

	for (size_t i = 0; i < n; i++)
		hashes[i] = refs[i].hash;
	if (n == 0)
		return true;
	if (!t4_missing(s->local, hashes, n, missing, err))
		return false;
	for (size_t i = 0; i < n; i++)
		missing_count += missing[i];
	count(s, &s->status.references, (int64_t)n);
	count(s, &s->status.present, (int64_t)(n - missing_count));
	count(s, &s->status.missing, (int64_t)missing_count);
	if (missing_count && !find_sources(s, err))
		return false;
	for (size_t i = 0; i < n; i++)
		if (missing[i] && !bring(s, &refs[i], err))
			return false;
	return true;
}

/* Of the whole chain the next page; of new blocks likewise. */
static bool next_page(struct content_sync *s, struct content_walk *walk, struct content_ref *refs, size_t *n, bool *more, struct error *err)
{
	struct db_conn *c = db_pool_reader(s->o.pool, err);
	if (!c)
		return false;
	enum db_status st;
	if (walk) {
		st = content_walk_next(walk, c, refs, n, err);
		*more = !walk->ended;
	} else {
		st = content_published(c, &s->place, refs, n, more, err);
	}
	db_pool_release(s->o.pool, c);
	return st == DB_OK;
}

static bool look(struct content_sync *s, struct content_walk *walk, struct error *err)
{
	struct content_ref refs[CONTENT_PAGE + 1];
	bool more = true;
	while (more) {
		size_t n;
		if (atomic_load(&s->stopping))
			return error_set(err, ERR_SHUTTING_DOWN, "the service is stopping");
		if (!next_page(s, walk, refs, &n, &more, err) || !bring_missing(s, refs, n, err))
			return false;
	}
	return true;
}

static bool newest(struct content_sync *s, uint64_t *out, struct error *err)
{
	struct db_conn *c = db_pool_reader(s->o.pool, err);
	if (!c)
		return false;
	enum db_status st = content_newest(c, out, err);
	db_pool_release(s->o.pool, c);
	return st == DB_OK;
}

static void begin(struct content_sync *s, bool whole)
{
	pthread_mutex_lock(&s->lock);
	s->status.running = JSON_TRUE;
	s->status.started_at = clock_wall_ms();
	/* What new blocks refer to comes on top of what the last look at everything has counted. */
	if (whole)
		s->status.references = s->status.present = s->status.missing = 0;
	pthread_mutex_unlock(&s->lock);
	s->sources_known = false;
}

static void end(struct content_sync *s, bool ok, const struct error *err)
{
	content_sources_clear(&s->sources);
	pthread_mutex_lock(&s->lock);
	s->status.running = JSON_FALSE;
	if (ok)
		s->status.finished_at = clock_wall_ms();
	pthread_mutex_unlock(&s->lock);
	set_problem(s, ok ? "" : err->message);
	s->failures = ok ? 0 : s->failures + 1;
	/* The first ones are no news: the services of a node start one after the other. */
	if (s->failures == FAILURES_TOLD && !atomic_load(&s->stopping))
		log_warn("content of the chain cannot be brought in", LOG_S("why", err->message));
}

static bool anything_missing(struct content_sync *s)
{
	pthread_mutex_lock(&s->lock);
	bool yes = s->status.missing > 0;
	pthread_mutex_unlock(&s->lock);
	return yes;
}

/* Everything: what blocks come meanwhile is looked at afterwards, from the place that is taken before. */
static bool look_at_all(struct content_sync *s, struct error *err)
{
	struct content_walk walk = {.ended = false};
	uint64_t before;
	begin(s, true);
	bool ok = newest(s, &before, err) && look(s, &walk, err);
	if (ok) {
		s->place = s->seen_tip = before;
		s->placed = true;
		s->whole_at = clock_mono_ms() + (anything_missing(s) && s->again_ms < s->o.interval_ms ? s->again_ms : s->o.interval_ms);
		s->again_ms = 2 * s->again_ms < s->o.interval_ms ? 2 * s->again_ms : s->o.interval_ms;
	}
	end(s, ok, err);
	return ok;
}

static bool look_at_new(struct content_sync *s, struct error *err)
{
	uint64_t tip;
	uint64_t before = s->place;
	if (!newest(s, &tip, err))
		return false;
	if (tip == s->seen_tip)
		return true;
	begin(s, false);
	bool ok = look(s, NULL, err);
	if (!ok)
		s->place = before;
	else
		s->place = s->seen_tip = tip;
	/* What has just been published comes to its first store before long. */
	if (ok && anything_missing(s) && s->whole_at > clock_mono_ms() + AGAIN_MS) {
		s->again_ms = AGAIN_MS;
		s->whole_at = clock_mono_ms() + AGAIN_MS;
	}
	end(s, ok, err);
	return ok;
}

static int64_t turn(void *ctx)
{
	struct content_sync *s = ctx;
	struct error err;
	if (atomic_load(&s->stopping))
		return RETRY_MAX_MS;
	bool whole = !s->placed || clock_mono_ms() >= s->whole_at;
	if (whole ? look_at_all(s, &err) : look_at_new(s, &err))
		return s->o.notice_ms;
	return s->failures < 6 ? RETRY_MIN_MS << s->failures : RETRY_MAX_MS;
}

/* ---- life ---- */

static char *make_directory(struct error *err)
{
	const char *tmp = getenv("TMPDIR");
	struct buf path = {0};
	size_t n;
	buf_printf(&path, "%s/tana-content.XXXXXX", tmp && tmp[0] == '/' ? tmp : "/tmp");
	char *dir = buf_steal(&path, &n);
	if (mkdtemp(dir))
		return dir;
	error_errno(err, ERR_IO, errno, "cannot make a directory for content being fetched: %s", dir);
	free(dir);
	return NULL;
}

struct content_sync *content_sync_start(const struct content_sync_options *o, struct error *err)
{
	struct content_sync *s = xcalloc(1, sizeof(*s));
	arena_init(&s->arena);
	pthread_mutex_init(&s->lock, NULL);
	s->o = *o;
	s->o.node_id = arena_copy(&s->arena, o->node_id);
	s->o.user_agent = arena_strdup(&s->arena, o->user_agent);
	s->o.interval_ms = o->interval_ms > 0 ? o->interval_ms : INTERVAL_MS;
	s->o.notice_ms = o->notice_ms > 0 ? o->notice_ms : NOTICE_MS;
	s->again_ms = AGAIN_MS;
	s->status = (struct ledger_content_sync){.enabled = JSON_TRUE, .running = JSON_FALSE, .started_at = JSON_INT_ABSENT,
						 .finished_at = JSON_INT_ABSENT};
	const struct t4_client_options local = {.base_url = o->t4_url, .user_agent = o->user_agent, .timeout_ms = LOCAL_SILENCE_MS, .stop = &s->stop};
	s->local = t4_client_new(&local, err);
	s->mesh = s->local ? mesh_client_new(o->mesh_url, o->user_agent, MESH_MS, err) : NULL;
	s->dir = s->mesh ? make_directory(err) : NULL;
	if (!s->dir) {
		content_sync_stop(s);
		return NULL;
	}
	t4_client_sign_as(s->local, o->node_id, STR_LIT("ledger"), STR_NONE, o->service_key);
	s->worker = worker_start("content-sync", turn, s);
	return s;
}

void content_sync_quiesce(struct content_sync *s)
{
	if (!s)
		return;
	atomic_store(&s->stopping, 1);
	stop_ask(&s->stop);
	worker_stop(s->worker);
	s->worker = NULL;
}

void content_sync_stop(struct content_sync *s)
{
	if (!s)
		return;
	content_sync_quiesce(s);
	content_sources_clear(&s->sources);
	t4_client_free(s->local);
	mesh_client_free(s->mesh);
	if (s->dir) {
		limit_parts(s, 0);
		(void)rmdir(s->dir);
	}
	free(s->dir);
	pthread_mutex_destroy(&s->lock);
	arena_free(&s->arena);
	free(s);
}

void content_sync_status(struct content_sync *s, struct arena *arena, struct ledger_content_sync *out)
{
	if (!s) {
		*out = (struct ledger_content_sync){.enabled = JSON_FALSE, .running = JSON_FALSE, .started_at = JSON_INT_ABSENT,
						    .finished_at = JSON_INT_ABSENT};
		return;
	}
	pthread_mutex_lock(&s->lock);
	*out = s->status;
	out->problem = s->problem[0] ? arena_copy(arena, str_from(s->problem)) : STR_NONE;
	pthread_mutex_unlock(&s->lock);
}
