/* content sync: what another node's store has and this one has not, or has in a damaged copy. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "commands.h"
#include "output.h"
#include "t4.h"

enum { LINE_MAX_BYTES = 256 };

struct hashes {
	struct hash *items;
	size_t count, cap;
};

static void add(struct hashes *h, const struct hash *hash)
{
	if (h->count == h->cap) {
		h->cap = h->cap ? 2 * h->cap : 256;
		h->items = xrealloc(h->items, h->cap * sizeof *h->items);
	}
	h->items[h->count++] = *hash;
}

static bool add_listed(void *ctx, const struct hash *hash, int64_t size)
{
	(void)size;
	add(ctx, hash);
	return true;
}

/* One hash a line; what stands behind it (a size, a file's name) is not looked at. */
static bool read_stdin(struct hashes *out, struct error *err)
{
	char line[LINE_MAX_BYTES];
	while (fgets(line, sizeof line, stdin)) {
		struct hash hash;
		line[strcspn(line, " \t\r\n")] = '\0';
		if (!line[0])
			continue;
		if (!t4_hash(line, &hash, err))
			return false;
		add(out, &hash);
	}
	return true;
}

/* What is to be there: the hashes named, those on standard input, or everything the source lists. */
static bool gather(struct cli *c, struct t4_client *from, struct hashes *out, struct error *err)
{
	size_t n = invocation_arg_count(c->in, "hash");
	for (size_t i = 0; i < n; i++) {
		const char *text = invocation_arg_at(c->in, "hash", i);
		struct hash hash;
		if (strcmp(text, "-") == 0) {
			if (!read_stdin(out, err))
				return false;
			continue;
		}
		if (!t4_hash(text, &hash, err))
			return false;
		add(out, &hash);
	}
	if (n)
		return true;
	const char *node = option_text(c->in, "from-node");
	const char *audience = node ? arena_printf(&c->arena, "%s/t4", node).p : NULL;
	if (!t4_sign(c, from, audience, err))
		return false;
	if (t4_list(from, "", add_listed, out, err))
		return true;
	if (err->code == ERR_TOKEN_INVALID || err->code == ERR_NOT_ALLOWED)
		error_hint(err, "a store lists its contents to services it allows; name the hashes instead, or see --from-node");
	if (err->code == ERR_UNREACHABLE)
		error_hint(err, "that is the store to copy from: --from URL");
	return false;
}

struct synced {
	int64_t checked, copied, bytes, failed;
};
static const struct json_field synced_rows[] = {
	F_INT(struct synced, checked, "checked", 0, 0, 0, "Contents that should be here."),
	F_INT(struct synced, copied, "copied", 0, 0, 0, "Those that were copied."),
	F_INT(struct synced, bytes, "bytes", 0, 0, 0, "Their bytes."),
	F_INT(struct synced, failed, "failed", 0, 0, 0, "Those that could not be copied."),
};
static JSON_MESSAGE(synced_message, "ContentSynced", struct synced, synced_rows);

/* Copies one; false when nothing can go on. */
static bool copy_one(struct cli *c, struct t4_client *from, struct t4_client *to, const struct hash *hash, struct synced *s,
		     struct error *err)
{
	struct progress bar;
	int64_t size;
	bool stored;
	char text[HASH_TEXT_LEN + 1];
	hash_to_text(hash, text);
	progress_begin(&bar, c, from, text);
	bool ok = t4_copy(from, to, hash, &size, &stored, err);
	progress_end(&bar, from);
	if (ok && stored) {
		s->copied++;
		s->bytes += size;
		say(c, "%s  %lld", text, (long long)size);
	} else if (!ok) {
		if (err->code == ERR_INTERRUPTED || err->code == ERR_UNREACHABLE)
			return false;
		s->failed++;
		int status = program_fail(c->in, err);
		if (c->status == EXIT_DONE)
			c->status = status;
	}
	return true;
}

static bool copy_all(struct cli *c, struct t4_client *from, struct t4_client *to, const struct hashes *all, struct synced *s,
		     struct error *err)
{
	bool repair = option_bool(c->in, "repair"), *missing = xcalloc(all->count + 1, sizeof *missing);
	bool ok = repair || t4_missing(to, all->items, all->count, missing, err);
	s->checked = (int64_t)all->count;
	for (size_t i = 0; ok && i < all->count; i++)
		if (repair || missing[i])
			ok = copy_one(c, from, to, &all->items[i], s, err);
	free(missing);
	return ok;
}

static bool sync_content(struct cli *c, struct error *err)
{
	struct hashes all = {0};
	struct synced s = {0};
	char size[UNITS_TEXT_SIZE];
	const char *source = option_text(c->in, "from");
	if (!source)
		return error_set(err, ERR_USAGE, "Say where the contents are: --from URL, another node's store.");
	struct t4_client *to = t4_open(c, cli_service_url(c, "t4", NULL), err), *from = to ? t4_open(c, source, err) : NULL;
	bool ok = from && gather(c, from, &all, err) && t4_sign(c, to, option_text(c->in, "audience"), err) &&
		  copy_all(c, from, to, &all, &s, err);
	units_format_size(s.bytes, size);
	if (ok && c->json)
		json_print(&synced_message, &s);
	else if (ok)
		note(c, "%lld of %lld copied, %s; %lld failed.", (long long)s.copied, (long long)s.checked, size, (long long)s.failed);
	free(all.items);
	t4_client_free(from);
	t4_client_free(to);
	return ok || t4_explain(err);
}

int cmd_content_sync(struct invocation *in)
{
	return cli_run(in, sync_content);
}
