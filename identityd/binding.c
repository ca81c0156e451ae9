#include "binding.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strmap.h"
#include "daemon/daemon.h"
#include "http/client.h"
#include "json/fields.h"

enum {
	LEDGER_TIMEOUT_MS = 5000,   /* a phone waits this long at most */
	LEDGER_ANSWER_MAX = 64 * 1024,
	CLIENTS_IDLE_MAX = 16,      /* kept connections */
	USERS_FILE_MAX = 64 << 20,  /* bytes */
	USERS_MAX = 1000000,
	SEEN_MS = 5000              /* how long an answer of the ledger counts as a sign of life */
};

/* GET /users/:id, as far as it matters here; and one user of the file. */
struct user {
	struct str id, username, public_key, role;
};
static const struct json_field user_rows[] = {
	F_TEXT(struct user, id, "id", JSON_REQUIRED, 256, ""),
	F_TEXT(struct user, username, "username", JSON_REQUIRED, 256, ""),
	F_TEXT(struct user, public_key, "publicKey", JSON_REQUIRED, 256, ""),
	F_TEXT(struct user, role, "role", 0, 64, ""),
};
static JSON_MESSAGE(user_message, "User", struct user, user_rows);
struct users {
	struct json_list users;
};
static const struct json_field users_rows[] = {F_LIST(struct users, users, "users", JSON_REQUIRED, USERS_MAX, &user_message, "")};
static JSON_MESSAGE(users_message, "Users", struct users, users_rows);

/* What a file said: replaced as a whole. */
struct roll {
	struct arena arena;
	struct strmap by_id;
	size_t count;
};

struct binding {
	enum key_binding kind;
	const char *ledger_url, *users_file; /* the configuration's */
	pthread_mutex_t lock;                /* everything below */
	struct http_client *idle[CLIENTS_IDLE_MAX];
	size_t idle_count;
	int64_t seen_ms; /* monotonic: the ledger's last answer; 0: none yet */
	struct roll *roll;
};

/* ---- the file ---- */

static void roll_free(struct roll *r)
{
	if (!r)
		return;
	strmap_free(&r->by_id);
	arena_free(&r->arena);
	free(r);
}

static bool fill_roll(struct roll *r, struct str text, struct error *err)
{
	struct users list;
	if (!json_read_text(text, &users_message, &list, &r->arena, err))
		return false;
	struct user *users = list.users.items;
	for (size_t i = 0; i < list.users.count; i++) {
		struct ed25519_public key;
		struct error why;
		if (!ed25519_public_from_text(users[i].public_key, KEY_LENIENT, &key, &why))
			return error_set(err, ERR_CONFIG, "users[%zu].publicKey: %s", i, why.message);
		if (strmap_get(&r->by_id, users[i].id))
			return error_set(err, ERR_CONFIG, "users[%zu]: the id %.*s is there twice", i, STR_ARG(users[i].id));
		strmap_put(&r->by_id, users[i].id, &users[i]);
	}
	r->count = list.users.count;
	return true;
}

static struct roll *read_roll(const char *path, struct error *err)
{
	struct buf text = {0};
	struct error why;
	struct roll *r = xcalloc(1, sizeof(*r));
	arena_init(&r->arena);
	bool ok = file_read(path, USERS_FILE_MAX, &text, &why) && fill_roll(r, buf_str(&text), &why);
	buf_free(&text);
	if (ok)
		return r;
	roll_free(r);
	error_set(err, ERR_CONFIG, "the users' file %s: %s", path, why.message);
	error_hint(err, "{\"users\":[{\"id\":..,\"username\":..,\"publicKey\":\"ed25519_..\",\"role\":..}]}");
	return NULL;
}

bool binding_reload(struct binding *b, struct error *err)
{
	if (b->kind != BIND_FILE)
		return true;
	struct roll *r = read_roll(b->users_file, err), *old;
	if (!r)
		return false;
	pthread_mutex_lock(&b->lock);
	old = b->roll;
	b->roll = r;
	pthread_mutex_unlock(&b->lock);
	roll_free(old);
	log_info("users were read", LOG_S("file", b->users_file), LOG_I("count", (int64_t)r->count));
	return true;
}

static void from_roll(struct binding *b, struct str user_id, struct arena *arena, struct key_owner *out)
{
	pthread_mutex_lock(&b->lock);
	const struct user *u = strmap_get(&b->roll->by_id, user_id);
	if (u)
		*out = (struct key_owner){arena_copy(arena, u->username), arena_copy(arena, u->public_key), arena_copy(arena, u->role)};
	pthread_mutex_unlock(&b->lock);
}

/* ---- the ledger ---- */

static struct http_client *take_client(struct binding *b, struct error *err)
{
	struct http_client *c = NULL;
	pthread_mutex_lock(&b->lock);
	if (b->idle_count > 0)
		c = b->idle[--b->idle_count];
	pthread_mutex_unlock(&b->lock);
	if (c)
		return c;
	char agent[64];
	snprintf(agent, sizeof(agent), "identityd/%s", tana_version());
	const struct http_client_options o = {
		.base_url = b->ledger_url,
		.user_agent = agent,
		.connect_timeout_ms = LEDGER_TIMEOUT_MS,
		.timeout_ms = LEDGER_TIMEOUT_MS,
		.answer_max = LEDGER_ANSWER_MAX,
	};
	return http_client_new(&o, err);
}

static void give_client(struct binding *b, struct http_client *c, bool answered)
{
	pthread_mutex_lock(&b->lock);
	b->seen_ms = answered ? clock_mono_ms() : 0;
	bool kept = b->idle_count < CLIENTS_IDLE_MAX;
	if (kept)
		b->idle[b->idle_count++] = c;
	pthread_mutex_unlock(&b->lock);
	if (!kept)
		http_client_free(c);
}

static bool read_user(const struct http_answer_in *a, struct str user_id, struct arena *arena, struct key_owner *out, struct error *err)
{
	struct user u;
	struct error why;
	if (a->status == 404 || a->status == 400) /* an id that is none there */
		return true;
	if (a->status != 200)
		return error_set(err, ERR_UNAVAILABLE, "the ledger answered %d to a question about a user", a->status);
	if (!json_read_text(buf_str(&a->body), &user_message, &u, arena, &why))
		return error_set(err, ERR_UNAVAILABLE, "the ledger's answer about a user cannot be read: %s", why.message);
	if (!str_equal(u.id, user_id))
		return error_set(err, ERR_UNAVAILABLE, "the ledger answered about another user");
	*out = (struct key_owner){u.username, u.public_key, u.role};
	return true;
}

static bool ask_ledger(struct binding *b, struct str user_id, struct arena *arena, struct key_owner *out, struct error *err)
{
	struct http_answer_in answer;
	struct error why;
	struct buf path = {0};
	struct http_client *c = take_client(b, err);
	if (!c)
		return false;
	buf_puts(&path, "/users/");
	http_encode(&path, user_id);
	bool answered = http_call(c, "GET", buf_z(&path), STR_NONE, &answer, &why);
	buf_free(&path);
	give_client(b, c, answered);
	if (!answered)
		return error_set(err, ERR_UNAVAILABLE, "the ledger, which says whose key it is, cannot be asked: %s", why.message);
	bool ok = read_user(&answer, user_id, arena, out, err);
	http_answer_free(&answer);
	return ok;
}

bool binding_ready(struct binding *b, struct error *err)
{
	struct http_answer_in answer;
	struct error why;
	if (b->kind != BIND_LEDGER)
		return true;
	pthread_mutex_lock(&b->lock);
	bool fresh = b->seen_ms != 0 && clock_mono_ms() - b->seen_ms < SEEN_MS;
	pthread_mutex_unlock(&b->lock);
	if (fresh)
		return true;
	struct http_client *c = take_client(b, err);
	if (!c)
		return false;
	bool answered = http_call(c, "GET", "/health", STR_NONE, &answer, &why);
	give_client(b, c, answered);
	if (!answered)
		return error_set(err, ERR_UNAVAILABLE, "the ledger does not answer: %s", why.message);
	http_answer_free(&answer);
	return true;
}

/* ---- */

struct binding *binding_open(const struct identity_config *c, struct error *err)
{
	struct binding *b = xcalloc(1, sizeof(*b));
	b->kind = c->binding;
	b->ledger_url = c->ledger_url;
	b->users_file = c->users_file;
	invariant(pthread_mutex_init(&b->lock, NULL) == 0);
	if (binding_reload(b, err))
		return b;
	binding_close(b);
	return NULL;
}

void binding_close(struct binding *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->idle_count; i++)
		http_client_free(b->idle[i]);
	roll_free(b->roll);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

bool binding_waits(const struct binding *b)
{
	return b->kind == BIND_LEDGER;
}

bool binding_owner(struct binding *b, struct str user_id, struct arena *arena, struct key_owner *out, struct error *err)
{
	*out = (struct key_owner){0};
	switch (b->kind) {
	case BIND_LEDGER:
		return ask_ledger(b, user_id, arena, out, err);
	case BIND_FILE:
		from_roll(b, user_id, arena, out);
		return true;
	case BIND_TOFU:
	case BIND_NONE:
		break;
	}
	fatal("nobody is asked who owns a key in this mode");
}
