#include "client/keyring_copy.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "client/mesh_client_call.h"

enum {
	KEYS_MAX = 2000000,                /* 100,000 nodes with every service they may have, and some room */
	FILE_MAX = 256 * 1024 * 1024       /* bytes of the file: so many keys */
};

/* ---- Making ---- */

static struct keyring_copy *new_copy(void)
{
	struct keyring_copy *copy = xcalloc(1, sizeof *copy);
	arena_init(&copy->arena);
	return copy;
}

void keyring_copy_free(struct keyring_copy *copy)
{
	if (!copy)
		return;
	strmap_free(&copy->by_name);
	arena_free(&copy->arena);
	free(copy);
}

const struct ed25519_public *keyring_copy_find(const struct keyring_copy *copy, struct str name)
{
	const struct keyring_key *k = copy ? strmap_get(&copy->by_name, name) : NULL;
	return k ? &k->public_key : NULL;
}

/* A name that is there already stays as it is: a node may come on two pages when nodes come and go meanwhile. */
static bool add(struct keyring_copy *copy, struct str name, struct str public_key, struct error *err)
{
	struct keyring_key *k = arena_zalloc(&copy->arena, 1, sizeof *k);

	if (copy->count >= KEYS_MAX)
		return error_set(err, ERR_BAD_ANSWER, "more than %d service keys", KEYS_MAX);
	if (!ed25519_public_from_text(public_key, KEY_WRITTEN, &k->public_key, err))
		return false;
	if (strmap_get(&copy->by_name, name))
		return true;
	k->name = arena_copy(&copy->arena, name);
	strmap_put(&copy->by_name, k->name, k);
	if (copy->last)
		copy->last->next = k;
	else
		copy->first = k;
	copy->last = k;
	copy->count++;
	return true;
}

static void finish(struct keyring_copy *copy)
{
	struct sha256_state state;

	sha256_init(&state);
	for (const struct keyring_key *k = copy->first; k; k = k->next) {
		sha256_update(&state, k->name.p, k->name.n + 1); /* with its NUL */
		sha256_update(&state, k->public_key.b, sizeof k->public_key.b);
	}
	sha256_final(&state, &copy->digest);
}

/* ---- From mesh ---- */

/* Of a node's row only what is needed: a page of a thousand stays small. */
struct node_row {
	struct str id, status;
	struct json_list services; /* struct mesh_node_service, its type and key */
};
struct node_page {
	struct json_list nodes;
	struct str next_cursor;
};
static const struct json_field service_rows[] = {
	F_FORM(struct mesh_node_service, service_type, "service_type", JSON_REQUIRED, &form_service_type, "Which service."),
	F_FORM(struct mesh_node_service, public_key, "public_key", JSON_REQUIRED, &form_public_key_written, "Its key."),
};
static JSON_MESSAGE(service_message, "KeyringService", struct mesh_node_service, service_rows);
static const struct json_field node_rows[] = {
	F_FORM(struct node_row, id, "id", JSON_REQUIRED, &form_node_id, "The node."),
	F_FORM(struct node_row, status, "status", JSON_REQUIRED, &form_status, "Its status."),
	F_LIST(struct node_row, services, "services", JSON_REQUIRED, MESH_SERVICES_MAX, &service_message, "Its services."),
};
static JSON_MESSAGE(node_message, "KeyringNode", struct node_row, node_rows);
static const struct json_field page_rows[] = {
	F_LIST(struct node_page, nodes, "nodes", JSON_REQUIRED, MESH_LIST_MAX, &node_message, "The nodes."),
	F_TEXT(struct node_page, next_cursor, "nextCursor", 0, 0, "Where the next page begins."),
};
static JSON_MESSAGE(page_message, "KeyringPage", struct node_page, page_rows);

static bool add_node(struct keyring_copy *copy, const struct node_row *n, struct arena *page, struct error *err)
{
	const struct mesh_node_service *services = n->services.items;

	if (!str_is(n->status, "active"))
		return true;
	for (size_t i = 0; i < n->services.count; i++) {
		struct str name = arena_printf(page, "%.*s/%.*s", STR_ARG(n->id), STR_ARG(services[i].service_type));
		struct error why;
		if (add(copy, name, services[i].public_key, &why))
			continue;
		if (why.code != ERR_MALFORMED_KEY)
			return *err = why, false;
		/* Mesh takes no such keys; whatever else may be wrong, the other nodes' keys are not to suffer. */
		log_warn("a service key that can verify nothing is left out", LOG_STR("service", name));
	}
	return true;
}

/* One page; *cursor moves on, and is absent after the last. */
static bool read_page(struct keyring_copy *copy, struct mesh_client *mesh, struct buf *cursor, bool *more, struct error *err)
{
	struct node_page page;
	struct arena arena;
	struct buf path = {0};

	arena_init(&arena);
	buf_printf(&path, "/nodes?status=active&limit=%d", MESH_LIST_MAX);
	if (cursor->len) {
		buf_puts(&path, "&cursor=");
		http_encode(&path, buf_str(cursor));
	}
	bool ok = mesh_client_call(mesh, "GET", buf_z(&path), STR_NONE, &page_message, &page, &arena, err);
	for (size_t i = 0; ok && i < page.nodes.count; i++)
		ok = add_node(copy, (const struct node_row *)page.nodes.items + i, &arena, err);
	*more = ok && str_present(page.next_cursor) && page.next_cursor.n > 0;
	if (*more && str_equal(page.next_cursor, buf_str(cursor)))
		ok = error_set(err, ERR_BAD_ANSWER, "%s repeats the same page of nodes for ever.", mesh->url);
	if (*more) {
		buf_clear(cursor);
		buf_put_str(cursor, page.next_cursor);
	}
	buf_free(&path);
	arena_free(&arena);
	return ok;
}

struct keyring_copy *keyring_copy_read(struct mesh_client *mesh, atomic_bool *stop, struct error *err)
{
	struct keyring_copy *copy = new_copy();
	struct buf cursor = {0};
	bool more = true, ok = true;

	while (ok && more) {
		if (*stop)
			ok = error_set(err, ERR_INTERRUPTED, "The keys were not read to the end.");
		else
			ok = read_page(copy, mesh, &cursor, &more, err);
	}
	buf_free(&cursor);
	if (!ok) {
		keyring_copy_free(copy);
		return NULL;
	}
	copy->read_at = clock_wall_ms();
	finish(copy);
	return copy;
}

/* ---- The file ---- */

struct file_key {
	struct str name, public_key;
};
struct file_copy {
	int64_t read_at;
	struct json_list keys;
};
static const struct json_field file_key_rows[] = {
	F_TEXT(struct file_key, name, "name", JSON_REQUIRED, 128, "<nodeId>/<service>"),
	F_FORM(struct file_key, public_key, "publicKey", JSON_REQUIRED, &form_public_key_written, "Its key."),
};
static JSON_MESSAGE(file_key_message, "KeyringFileKey", struct file_key, file_key_rows);
static const struct json_field file_rows[] = {
	F_INT(struct file_copy, read_at, "readAt", JSON_REQUIRED, 0, JSON_INT_MAX, "When it was read from mesh (ms)."),
	F_LIST(struct file_copy, keys, "keys", JSON_REQUIRED, KEYS_MAX, &file_key_message, "The keys."),
};
static JSON_MESSAGE(file_message, "KeyringFile", struct file_copy, file_rows);

struct keyring_copy *keyring_copy_load(const char *path, struct error *err)
{
	struct keyring_copy *copy = NULL;
	struct file_copy file;
	struct buf text = {0};
	struct arena arena;
	struct error why;

	arena_init(&arena);
	bool ok = file_read(path, FILE_MAX, &text, err);
	if (ok && !json_read_text(buf_str(&text), &file_message, &file, &arena, &why))
		ok = error_set(err, ERR_CORRUPT, "%s is not a copy of service keys: %s", path, why.message);
	if (ok)
		copy = new_copy();
	for (size_t i = 0; ok && i < file.keys.count; i++) {
		const struct file_key *k = (const struct file_key *)file.keys.items + i;
		ok = add(copy, k->name, k->public_key, err);
	}
	if (ok) {
		copy->read_at = file.read_at;
		finish(copy);
	} else {
		keyring_copy_free(copy);
		copy = NULL;
	}
	buf_free(&text);
	arena_free(&arena);
	return copy;
}

bool keyring_copy_save(const struct keyring_copy *copy, const char *path, struct error *err)
{
	struct arena arena;
	struct buf text = {0};

	arena_init(&arena);
	struct file_key *rows = arena_zalloc(&arena, copy->count, sizeof *rows), *row = rows;
	for (const struct keyring_key *k = copy->first; k; k = k->next, row++) {
		char public_key[ED25519_PUBLIC_TEXT_LEN + 1];
		ed25519_public_to_text(&k->public_key, public_key);
		*row = (struct file_key){k->name, arena_copy(&arena, str_from(public_key))};
	}
	struct file_copy file = {.read_at = copy->read_at, .keys = {rows, copy->count}};
	json_write(&text, &file_message, &file);
	buf_putc(&text, '\n');
	bool ok = file_write_atomic(path, buf_str(&text), 0600, FILE_REPLACE, err);
	buf_free(&text);
	arena_free(&arena);
	return ok;
}
