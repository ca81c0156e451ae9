#include "known.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "paths.h"

enum { KNOWN_MAX = 1024 * 1024 /* bytes of known.json: a few networks */, ENTRIES_MAX = 1000 };

struct address {
	struct str url, network;
};
struct known {
	struct json_list addresses; /* struct address */
	struct json_list logs;      /* struct known_log */
};

static const struct json_field address_rows[] = {
	F_TEXT(struct address, url, "url", JSON_REQUIRED, 0, "A coordinator's address."),
	F_FORM(struct address, network, "network", JSON_REQUIRED, &form_network, "What it called its network at the first contact."),
};
static JSON_MESSAGE(address_message, "KnownAddress", struct address, address_rows);
static const struct json_field log_rows[] = {
	F_FORM(struct known_log, network, "network", JSON_REQUIRED, &form_network, "The network."),
	F_FORM(struct known_log, coordinator, "coordinator", 0, &form_public_key, "Its coordinator's key."),
	F_TEXT(struct known_log, checkpoint, "checkpoint", JSON_VERBATIM, 0, "The newest verified head of its log."),
	F_INT(struct known_log, verified_at, "verifiedAt", 0, 0, 0, "When that was."),
	F_INT(struct known_log, snapshot_version, "snapshotVersion", 0, 0, 0, "The newest verified snapshot."),
};
static JSON_MESSAGE(log_message, "KnownLog", struct known_log, log_rows);
static const struct json_field known_rows[] = {
	F_LIST(struct known, addresses, "addresses", 0, ENTRIES_MAX, &address_message, "Addresses seen."),
	F_LIST(struct known, logs, "logs", 0, ENTRIES_MAX, &log_message, "Networks seen."),
};
static JSON_MESSAGE(known_message, "Known", struct known, known_rows);

static bool load(struct cli *c, struct known *out, struct error *err)
{
	const char *path = path_state(&c->arena, cli_chain(c), "known.json");
	struct buf text = {0};
	*out = (struct known){0};
	if (!file_exists(path))
		return true;
	struct error why;
	bool ok = file_read(path, KNOWN_MAX, &text, &why) && json_read_text(buf_str(&text), &known_message, out, &c->arena, &why);
	buf_free(&text);
	if (!ok) {
		error_set(err, ERR_CONFIG, "What is remembered of coordinators cannot be read: %s: %s", path, why.message);
		return error_hint(err, "repair the file, or move it away to begin anew");
	}
	return true;
}

static bool save(struct cli *c, const struct known *k, struct error *err)
{
	if (!file_make_dirs(path_state(&c->arena, cli_chain(c), "%s", ""), 0700, err))
		return false;
	struct buf text = {0};
	json_write(&text, &known_message, k);
	buf_putc(&text, '\n');
	bool ok = file_write_atomic(path_state(&c->arena, cli_chain(c), "known.json"), buf_str(&text), 0600, FILE_REPLACE, err);
	buf_free(&text);
	return ok;
}

/* Two commands may remember at once: load, change and save happen under a lock. */
static int lock(struct cli *c, struct error *err)
{
	if (!file_make_dirs(path_state(&c->arena, cli_chain(c), "%s", ""), 0700, err))
		return -1;
	const char *path = path_state(&c->arena, cli_chain(c), "known.lock");
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX) != 0) {
		error_errno(err, ERR_IO, errno, "cannot lock %s", path);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

bool known_network(struct cli *c, const char *url, struct str *network, struct error *err)
{
	struct known k;
	*network = STR_NONE;
	if (!load(c, &k, err))
		return false;
	const struct address *a = k.addresses.items;
	for (size_t i = 0; i < k.addresses.count; i++)
		if (str_is(a[i].url, url))
			*network = a[i].network;
	return true;
}

bool known_remember_network(struct cli *c, const char *url, struct str network, struct error *err)
{
	struct known k;
	int fd = lock(c, err);
	if (fd < 0)
		return false;
	bool ok = load(c, &k, err);
	if (ok) {
		struct address *more = arena_zalloc(&c->arena, k.addresses.count + 1, sizeof *more);
		const struct address *old = k.addresses.items;
		size_t n = 0;
		for (size_t i = 0; i < k.addresses.count; i++)
			if (!str_is(old[i].url, url))
				more[n++] = old[i];
		more[n++] = (struct address){str_from(url), network};
		k.addresses = (struct json_list){more, n};
		ok = save(c, &k, err);
	}
	close(fd);
	return ok;
}

bool known_log_get(struct cli *c, struct str network, struct known_log *out, struct error *err)
{
	struct known k;
	*out = (struct known_log){.network = network};
	if (!load(c, &k, err))
		return false;
	const struct known_log *logs = k.logs.items;
	for (size_t i = 0; i < k.logs.count; i++)
		if (str_equal(logs[i].network, network))
			*out = logs[i];
	if (out->verified_at == JSON_INT_ABSENT)
		out->verified_at = 0;
	if (out->snapshot_version == JSON_INT_ABSENT)
		out->snapshot_version = 0;
	return true;
}

bool known_log_put(struct cli *c, const struct known_log *log, struct error *err)
{
	struct known k;
	int fd = lock(c, err);
	if (fd < 0)
		return false;
	bool ok = load(c, &k, err);
	if (ok) {
		struct known_log *more = arena_zalloc(&c->arena, k.logs.count + 1, sizeof *more);
		const struct known_log *old = k.logs.items;
		size_t n = 0;
		for (size_t i = 0; i < k.logs.count; i++)
			if (!str_equal(old[i].network, log->network))
				more[n++] = old[i];
		more[n++] = *log;
		k.logs = (struct json_list){more, n};
		ok = save(c, &k, err);
	}
	close(fd);
	return ok;
}
