#include "mesh_verify.h"

#include <inttypes.h>
#include <pthread.h>
#include <unistd.h>

#include "crypto/note.h"
#include "mesh_details.h"
#include "mesh_log.h"
#include "mesh_rules.h"
#include "mesh_verify_tables.h"

enum { PAGE = 1024, THREADS_MAX = 64 };

struct verifying {
	struct verify_run run; /* what the table comparison needs too */
	struct merkle_frontier frontier;
	struct log_tree tree;
	bool tree_failed; /* the database, not a difference */
	struct checkpoint kept;
	bool has_kept;
};

static struct str number(struct arena *arena, int64_t v)
{
	return arena_printf(arena, "%" PRId64, v);
}

/* One page of the log: the parsed entries, and whether their signatures hold. */
struct page {
	struct mesh_audit_entry entries[PAGE];
	struct change changes[PAGE];
	struct error unreadable[PAGE];
	bool readable[PAGE], valid[PAGE];
	size_t count;
	struct str network;
};
struct share { /* of a page, for one thread */
	struct page *page;
	size_t first, step;
};

static void *check_signatures(void *arg)
{
	const struct share *s = arg;
	for (size_t i = s->first; i < s->page->count; i += s->step)
		s->page->valid[i] = s->page->readable[i] && mesh_change_signatures_valid(&s->page->changes[i], s->page->network);
	return NULL;
}

static void check_signatures_on_all_cores(struct page *p)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	size_t n = cores < 1 ? 1 : cores > THREADS_MAX ? THREADS_MAX : (size_t)cores;
	pthread_t threads[THREADS_MAX];
	struct share shares[THREADS_MAX] = {{.page = p}};
	size_t started = 0;
	for (size_t i = 0; i < n; i++)
		shares[i] = (struct share){.page = p, .first = i, .step = n};
	while (started + 1 < n && pthread_create(&threads[started], NULL, check_signatures, &shares[started + 1]) == 0)
		started++;
	check_signatures(&shares[0]);
	/* What could not be given to a thread is done here. */
	for (size_t i = started + 1; i < n; i++)
		check_signatures(&shares[i]);
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
}

static void parse_entry(struct verifying *v, struct page *p, size_t i)
{
	const struct mesh_audit_entry *e = &p->entries[i];
	struct change *c = &p->changes[i];
	*c = (struct change){.message = e->message, .public_key = e->public_key, .signature = e->signature, .new_signature = e->new_signature,
			     .details = e->details};
	p->readable[i] = mesh_statement_parse(e->message, &c->statement, &v->run.replay.arena, &p->unreadable[i]) &&
			 mesh_details_read(c, &v->run.replay.arena, &p->unreadable[i]);
}

static void found_in_log(struct verifying *v, int64_t index, const char *column, struct str expected, struct str found, const char *problem)
{
	verify_report(&v->run, &(struct finding){.table = "audit_log",
						 .column = column,
						 .row = number(&v->run.replay.arena, index),
						 .expected = expected,
						 .found = found,
						 .problem = problem});
}

/* Replays one entry. What it says was done must be what the rules do. */
static void replay_entry(struct verifying *v, struct page *p, size_t i)
{
	const struct mesh_audit_entry *e = &p->entries[i];
	struct change *c = &p->changes[i];
	struct arena *arena = &v->run.replay.arena;
	if (!p->readable[i]) {
		found_in_log(v, e->index, "message", STR_NONE, e->message, arena_strdup(arena, p->unreadable[i].message));
		return;
	}
	if (!p->valid[i])
		found_in_log(v, e->index, "signature", STR_NONE, e->signature, "the signature does not fit the message and the key");
	if (!str_equal(e->new_public_key, c->statement.new_key))
		found_in_log(v, e->index, "new_public_key", c->statement.new_key, e->new_public_key, "the column is not what the message says");
	struct verdict verdict;
	v->run.replay.state.now = e->time;
	v->run.replay.state.entry = e->index;
	c->signatures_checked = true; /* reported above, once */
	mesh_apply(&v->run.replay.state, c, &verdict);
	if (verdict.kind != VERDICT_APPLIED && verdict.kind != VERDICT_CONSUMED)
		found_in_log(v, e->index, "message", STR_NONE, e->message,
			     verdict.kind == VERDICT_UNCHANGED ? "the entry changes nothing" : arena_strdup(arena, verdict.err.message));
	else if (!str_equal(verdict.outcome, e->outcome))
		found_in_log(v, e->index, "outcome", verdict.outcome, e->outcome, "the rules give another outcome");
}

static void compare_tree_hash(void *ctx, unsigned level, uint64_t position, const struct hash *h)
{
	struct verifying *v = ctx;
	struct hash stored;
	struct arena *arena = &v->run.replay.arena;
	v->run.tree_rows++;
	bool there = log_tree_read(&v->tree, level, position, &stored);
	if (v->tree.status != DB_OK)
		v->tree_failed = true;
	if (v->tree_failed || (there && hash_equal(h, &stored)))
		return;
	char want[HASH_TEXT_LEN + 1], have[HASH_TEXT_LEN + 1];
	hash_to_text(h, want);
	hash_to_text(&stored, have);
	verify_report(&v->run, &(struct finding){.table = "audit_tree",
						 .column = "hash",
						 .row = arena_printf(arena, "level %u position %" PRIu64, level, position),
						 .expected = str_from(want),
						 .found = there ? str_from(have) : STR_NONE,
						 .problem = level == 0 ? "the entry is not the one that was logged"
								       : "the hash does not follow from its children"});
}

static void compare_checkpoint(struct verifying *v)
{
	if (!v->has_kept || v->frontier.size != v->kept.size)
		return;
	struct hash root;
	merkle_frontier_root(&v->frontier, &root);
	if (hash_equal(&root, &v->kept.root))
		return;
	char want[HASH_TEXT_LEN + 1], have[HASH_TEXT_LEN + 1];
	hash_to_text(&v->kept.root, want);
	hash_to_text(&root, have);
	verify_report(&v->run, &(struct finding){.table = "audit_log",
						 .row = arena_printf(&v->run.replay.arena, "0..%" PRIu64, v->kept.size - 1),
						 .expected = str_from(want),
						 .found = str_from(have),
						 .problem = "history was rewritten: the log does not extend the kept checkpoint"});
}

/* An entry that is gone: its leaf hash, if that is still there, stands in, so that the entries behind it are judged at their own places. */
static void skip_missing(struct verifying *v, int64_t index)
{
	struct hash leaf = {{0}};
	found_in_log(v, index, NULL, STR_NONE, STR_NONE, "the entry is missing");
	if (!log_tree_read(&v->tree, 0, (uint64_t)index, &leaf) && v->tree.status != DB_OK)
		v->tree_failed = true;
	merkle_frontier_append(&v->frontier, &leaf, compare_tree_hash, v);
}

static bool verify_log(struct verifying *v, struct page *p, struct error *err)
{
	int64_t next = 0;
	compare_checkpoint(v);
	do {
		if (log_read(v->run.conn, next, PAGE, &v->run.replay.arena, p->entries, &p->count, err) != DB_OK)
			return false;
		for (size_t i = 0; i < p->count; i++)
			parse_entry(v, p, i);
		check_signatures_on_all_cores(p);
		for (size_t i = 0; i < p->count; i++) {
			const struct mesh_audit_entry *e = &p->entries[i];
			struct hash leaf;
			for (; next < e->index; next++)
				skip_missing(v, next);
			replay_entry(v, p, i);
			log_leaf(e, &leaf);
			merkle_frontier_append(&v->frontier, &leaf, compare_tree_hash, v);
			if (v->tree_failed) {
				*err = v->tree.err;
				return false;
			}
			compare_checkpoint(v);
			next = e->index + 1;
		}
	} while (p->count == PAGE);
	v->run.log_size = next;
	if (v->has_kept && v->frontier.size < v->kept.size)
		found_in_log(v, next, NULL, STR_NONE, STR_NONE, "entries are missing at the end: the kept checkpoint has seen more");
	return true;
}

bool mesh_verify(struct mesh *m, struct db_conn *c, struct str kept, finding_fn *report, void *ctx, struct verify_result *out, struct error *err)
{
	struct verifying v = {.run = {.mesh = m, .conn = c, .report = report, .ctx = ctx}, .tree = {.conn = c}};
	if (str_present(kept)) {
		v.has_kept = true;
		if (!checkpoint_open(kept, &m->coordinator.public_key, &v.kept, err))
			return false;
		if (!str_equal(str_from(v.kept.origin), m->origin))
			return error_set(err, ERR_WRONG_NETWORK, "the kept checkpoint is of %s", v.kept.origin);
	}
	replay_init(&v.run.replay, m->config.network, m->coordinator_key);
	struct page *page = arena_zalloc(&v.run.replay.arena, 1, sizeof(*page));
	page->network = m->config.network;
	bool ok = db_begin(c, DB_TXN_SNAPSHOT, err) == DB_OK;
	if (ok) {
		ok = verify_log(&v, page, err) && verify_tables(&v.run, err);
		db_rollback(c);
	}
	if (ok) {
		struct hash root;
		char text[HASH_TEXT_LEN + 1];
		merkle_frontier_root(&v.frontier, &root);
		hash_to_text(&root, text);
		*out = (struct verify_result){.entries = v.run.log_size,
					      .nodes = (int64_t)v.run.replay.nodes.count,
					      .findings = v.run.findings,
					      .root = arena_copy(&m->arena, str_from(text))};
	}
	replay_free(&v.run.replay);
	return ok;
}
