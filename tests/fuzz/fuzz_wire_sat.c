/* wire: tokens as they come; and any header and claims under a right signature, so that what reads them is reached. */
#include <stdint.h>

#include "base/log.h"
#include "wire/base64url.h"
#include "wire/sat.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW = 1763400100 };
static struct ed25519_secret key;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	static const uint8_t seed[ED25519_SEED_SIZE] = {1};
	struct error err;
	invariant(crypto_start(&err));
	ed25519_from_seed(&key, seed);
	return 0;
}

static bool give_key(void *ctx, struct str node_id, struct str service, struct ed25519_public *out)
{
	(void)ctx, (void)node_id, (void)service;
	*out = key.public_key;
	return true;
}

/* What is taken says the same when it is made anew. */
static bool check(struct str token)
{
	struct arena arena;
	struct error err;
	struct sat t, again;
	arena_init(&arena);
	bool ok = sat_check(token, STR_LIT("validator-1"), STR_LIT("t4"), NOW, give_key, NULL, &t, &arena, &err);
	if (ok) {
		struct buf out = {0};
		sat_make(&t, &key, &out);
		if (out.len <= SAT_TEXT_MAX) {
			invariant(sat_check(buf_str(&out), STR_LIT("validator-1"), STR_LIT("t4"), NOW, give_key, NULL, &again, &arena,
					    &err));
			invariant(str_equal(t.node_id, again.node_id) && str_equal(t.service, again.service));
			invariant(str_equal(t.scope, again.scope));
			invariant(str_equal(t.id, again.id) && t.expires == again.expires && t.has_content == again.has_content &&
				  t.size == again.size);
		}
		buf_free(&out);
	} else {
		invariant(err.code == ERR_TOKEN_INVALID || err.code == ERR_TOKEN_EXPIRED);
	}
	arena_free(&arena);
	return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_of((const char *)data, size);
	(void)check(text);

	/* header, a newline, claims */
	const char *newline = memchr(data, '\n', size);
	if (!newline)
		return 0;
	struct ed25519_signature signature;
	struct buf token = {0};
	size_t header = (size_t)(newline - text.p);
	base64url_encode(&token, str_of(text.p, header));
	buf_putc(&token, '.');
	base64url_encode(&token, str_of(newline + 1, size - header - 1));
	ed25519_sign_bytes(&signature, &key, buf_str(&token));
	buf_putc(&token, '.');
	base64url_encode(&token, str_of((const char *)signature.b, sizeof signature.b));
	(void)check(buf_str(&token));
	buf_free(&token);
	return 0;
}
