/* content publish, retract, references: the chain's word for what lies in t4. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/units.h"
#include "commands.h"
#include "ledger.h"
#include "output.h"
#include "t4.h"

/* ---- publish ---- */

/* The bytes go straight to the store, by a grant for just them; what is there already needs none. */
static bool upload(struct cli *c, const struct actor *a, struct t4_client *t4, int fd, const char *file, const struct hash *hash, int64_t size,
		   struct error *err)
{
	struct progress bar;
	struct ledger_grant grant;
	bool there;
	int64_t stored_size;
	if (!t4_exists(t4, hash, &there, &stored_size, err))
		return t4_explain(err);
	if (there && stored_size == size) {
		note(c, "%s is stored already; only the reference is new.", file);
		return true;
	}
	if (!wallet_grant(&a->wallet, hash, size, &c->arena, &grant, err))
		return false;
	t4_client_use_token(t4, grant.grant);
	progress_begin(&bar, c, t4, file);
	bool ok = t4_store_file(t4, fd, hash, size, NULL, err);
	progress_end(&bar, t4);
	return ok || t4_explain(err);
}

static const char *base_name(const char *file)
{
	const char *slash = strrchr(file, '/');
	return slash ? slash + 1 : file;
}

static int open_file(const char *file, struct error *err)
{
	struct stat st;
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0) {
		error_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno, "cannot open %s", file);
	} else if (!S_ISREG(st.st_mode)) {
		error_set(err, ERR_USAGE, "%s is no regular file.", file);
	} else {
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool publish_as(struct cli *c, const struct actor *a, int fd, const char *file, struct error *err)
{
	struct wallet_order o = wallet_order(TX_CONTENT_PUBLISH);
	struct hash hash;
	int64_t size;
	char shown[UNITS_TEXT_SIZE];
	const char *name = option_text(c->in, "filename");
	struct t4_client *t4 = t4_open(c, cli_service_url(c, "t4", NULL), err);
	bool ok = t4 && t4_hash_file(t4, fd, &hash, &size, err) && (option_bool(c->in, "offline") || upload(c, a, t4, fd, file, &hash, size, err));
	t4_client_free(t4);
	if (!ok)
		return false;
	o.value[TXF_HASH] = hash_text(c, &hash);
	o.value[TXF_SIZE] = arena_printf(&c->arena, "%lld", (long long)size);
	o.value[TXF_CONTENT_TYPE] = str_from(option_text(c->in, "type"));
	o.value[TXF_FILENAME] = str_from(name ? name : base_name(file));
	o.value[TXF_MIME_TYPE] = str_from(option_text(c->in, "mime-type"));
	o.value[TXF_KEY] = str_from(option_text(c->in, "content-key"));
	units_format_size(size, shown);
	return order_carry_out(c, a, &o, err, "Published %s (%s) for %.*s, under hash %.*s.", file, shown, STR_ARG(a->username),
			       STR_ARG(o.value[TXF_HASH]));
}

static bool publish(struct cli *c, struct error *err)
{
	const char *file = invocation_arg(c->in, "file");
	struct actor a;
	int fd = open_file(file, err);
	if (fd < 0)
		return false;
	bool ok = actor_open(c, NULL, false, &a, err);
	if (ok) {
		ok = publish_as(c, &a, fd, file, err);
		actor_wipe(&a);
	}
	close(fd);
	return ok;
}

/* ---- retract, references ---- */

static bool retract(struct cli *c, struct error *err)
{
	struct wallet_order o = wallet_order(TX_CONTENT_RETRACT);
	const char *hash = invocation_arg(c->in, "hash");
	struct hash parsed;
	struct actor a;
	if (!hash_argument(hash, "hash", &parsed, err) || !actor_open(c, NULL, false, &a, err))
		return false;
	o.value[TXF_HASH] = str_from(hash);
	bool ok = order_carry_out(c, &a, &o, err, "%.*s refers to %s no more.", STR_ARG(a.username), hash);
	actor_wipe(&a);
	return ok;
}

static bool references(struct cli *c, struct error *err)
{
	static const struct column columns[] = {{"CONTENT", ALIGN_LEFT}, {"SIZE", ALIGN_RIGHT}, {"OWNER", ALIGN_LEFT}, {"TYPE", ALIGN_LEFT},
						{"NAME", ALIGN_LEFT}, {"KEY", ALIGN_LEFT}};
	struct ledger_content_list all = {.next_cursor = STR_NONE};
	const char *user = option_text(c->in, "user"), *hash = option_text(c->in, "hash");
	struct str owner = STR_NONE;
	struct hash parsed;
	struct table t;
	if ((hash && !hash_argument(hash, "hash", &parsed, err)) || !ledger_open(c, err) || (user && !user_asked_for(c, user, &owner, err)) ||
	    !ledger_client_content(c->ledger, owner, str_from(hash), (size_t)option_int(c->in, "limit"), &c->arena, &all.content, err))
		return false;
	if (c->json) {
		json_print(&ledger_content_list_message, &all);
		return true;
	}
	const struct ledger_content *items = all.content.items;
	table_begin(&t, &c->arena, columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < all.content.count; i++) {
		char size[UNITS_TEXT_SIZE];
		units_format_size(items[i].size, size);
		table_cell(&t, TINT_NONE, items[i].hash);
		table_cell(&t, TINT_NONE, str_from(size));
		table_cell(&t, TINT_BOLD, user_label(c, items[i].owner));
		table_cell(&t, TINT_NONE, items[i].content_type);
		table_cell(&t, TINT_NONE, items[i].filename);
		table_cell(&t, TINT_NONE, items[i].key);
	}
	table_print(&t);
	return true;
}

int cmd_content_publish(struct invocation *in)
{
	return cli_run(in, publish);
}

int cmd_content_retract(struct invocation *in)
{
	return cli_run(in, retract);
}

int cmd_content_references(struct invocation *in)
{
	return cli_run(in, references);
}
