#include "mesh_verify.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "crypto/note.h"
#include "mesh_details.h"
#include "mesh_log.h"
#include "mesh_rules.h"
#include "mesh_verify_tables.h"

enum {
	PAGE = 256,       /* entries in memory at a time */
	GAP_MAX = 10000,  /* entries missing in a row that are still named one by one */
	THREADS_MAX = 64
};

struct verifying {
	struct verify_run run; /* what the table comparison needs too */
	struct merkle_frontier frontier;
	struct log_tree tree;
	bool tree_failed; /* the database, not a difference */
	bool lost;        /* too much of the log is missing to go on */
	struct checkpoint kept;
	bool has_kept;
};

/* One page of the log: the parsed entries, and whether their signatures hold. Their texts are in the replay's scratch arena, which lasts for the page. */
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

static struct arena *scratch(struct verifying *v)
{
	return &v->run.replay.scratch;
}

static void parse_entry(struct verifying *v, struct page *p, size_t i)
{
	const struct mesh_audit_entry *e = &p->entries[i];
	struct change *c = &p->changes[i];
	*c = (struct change){.message = e->message, .public_key = e->public_key, .signature = e->signature, .new_signature = e->new_signature,
			     .details = e->details};
	p->readable[i] = mesh_statement_parse(e->message, &c->statement, scratch(v), &p->unreadable[i]) &&
			 mesh_details_read(c, scratch(v), &p->unreadable[i]);
}

static void found_in_log(struct verifying *v, int64_t index, const char *column, struct str expected, struct str found, const char *problem)
{
	verify_report(&v->run, &(struct finding){.table = "audit_log",
						 .column = column,
						 .row = arena_printf(scratch(v), "%" PRId64, index),
						 .expected = expected,
						 .found = found,
						 .problem = problem});
}

/* Replays one entry. What it says was done must be what the rules do. */
static void replay_entry(struct verifying *v, struct page *p, size_t i)
{
	const struct mesh_audit_entry *e = &p->entries[i];
	struct change *c = &p->changes[i];
	if (!p->readable[i]) {
		found_in_log(v, e->index, "message", STR_NONE, e->message, p->unreadable[i].message);
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
			     verdict.kind == VERDICT_UNCHANGED ? "the entry changes nothing" : verdict.err.message);
	else if (!str_equal(verdict.outcome, e->outcome))
		found_in_log(v, e->index, "outcome", verdict.outcome, e->outcome, "the rules give another outcome");
}

static void compare_tree_hash(void *ctx, unsigned level, uint64_t position, const struct hash *h)
{
	struct verifying *v = ctx;
	struct hash stored;
	v->run.tree_rows++;
	bool there = log_tree_read(&v->tree, level, position, &stored);
	if (v->tree.status != DB_OK)
		v->tree_failed = true;
	if (v->tree_failed || (there && hash_equal(h, &stored)))
		return;
	char want[HASH_TEXT_LEN + 1], have[HASH_TEXT_LEN + 1] = "";
	hash_to_text(h, want);
	if (there)
		hash_to_text(&stored, have);
	verify_report(&v->run, &(struct finding){.table = "audit_tree",
						 .column = "hash",
						 .row = arena_printf(scratch(v), "level %u position %" PRIu64, level, position),
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
						 .row = arena_printf(scratch(v), "0..%" PRIu64, v->kept.size - 1),
						 .expected = str_from(want),
						 .found = str_from(have),
						 .problem = "history was rewritten: the log does not extend the kept checkpoint"});
}

/* For an entry that cannot be hashed its leaf hash, if that is still there, stands in, so that the entries behind it are judged at their own places. */
static void stand_in(struct verifying *v, int64_t index)
{
	struct hash leaf = {{0}};
	if (!log_tree_read(&v->tree, 0, (uint64_t)index, &leaf) && v->tree.status != DB_OK)
		v->tree_failed = true;
	merkle_frontier_append(&v->frontier, &leaf, compare_tree_hash, v);
}

/* Entries that are gone, from `next` to before `index`. False: so many that the log cannot be followed any further. */
static bool pass_gap(struct verifying *v, int64_t next, int64_t index)
{
	if (index - next > GAP_MAX) {
		found_in_log(v, next, NULL, STR_NONE, STR_NONE,
			     arena_printf(scratch(v), "the entries up to %" PRId64 " are missing; what follows was not checked", index - 1).p);
		return false;
	}
	for (; next < index; next++) {
		found_in_log(v, next, NULL, STR_NONE, STR_NONE, "the entry is missing");
		stand_in(v, next);
	}
	return true;
}

static void verify_entry(struct verifying *v, struct page *p, size_t i)
{
	const struct mesh_audit_entry *e = &p->entries[i];
	struct hash leaf;
	v->run.log_rows++;
	if (e->time < 0 || e->time > JSON_INT_MAX) {
		found_in_log(v, e->index, "time", STR_NONE, arena_printf(scratch(v), "%" PRId64, e->time), "this is no time");
		stand_in(v, e->index);
		return;
	}
	replay_entry(v, p, i);
	log_leaf(e, &leaf);
	merkle_frontier_append(&v->frontier, &leaf, compare_tree_hash, v);
}

static void verify_page(struct verifying *v, struct page *p)
{
	for (size_t i = 0; i < p->count; i++)
		parse_entry(v, p, i);
	check_signatures_on_all_cores(p);
	for (size_t i = 0; i < p->count && !v->tree_failed && !v->lost; i++) {
		v->lost = !pass_gap(v, v->run.log_size, p->entries[i].index);
		if (v->lost)
			return;
		verify_entry(v, p, i);
		compare_checkpoint(v);
		v->run.log_size = p->entries[i].index + 1;
	}
}

static bool verify_log(struct verifying *v, struct page *p, struct error *err)
{
	compare_checkpoint(v);
	do {
		if (log_read(v->run.conn, v->run.log_size, PAGE, scratch(v), p->entries, &p->count, err) != DB_OK)
			return false;
		verify_page(v, p);
		replay_forget(&v->run.replay);
		if (v->tree_failed) {
			*err = v->tree.err;
			return false;
		}
	} while (p->count == PAGE && !v->lost);
	if (v->has_kept && v->frontier.size < v->kept.size)
		found_in_log(v, v->run.log_size, NULL, STR_NONE, STR_NONE, "entries are missing at the end: the kept checkpoint has seen more");
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
	struct page *page = xcalloc(1, sizeof(*page));
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
	free(page);
	return ok;
}
