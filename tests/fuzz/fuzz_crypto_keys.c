/* crypto: text forms of keys, signatures and hashes. The written form is the only one that reading as written lets in. */
#include <stdint.h>
#include <stdlib.h>

#include "base/log.h"
#include "crypto/ed25519.h"
#include "crypto/sha256.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	struct error err;
	invariant(crypto_start(&err));
	return 0;
}

static void check_public(struct str s, bool written)
{
	struct ed25519_public key, again;
	struct error err;
	char text[ED25519_PUBLIC_TEXT_LEN + 1];
	if (!ed25519_public_from_text(s, written ? KEY_WRITTEN : KEY_LENIENT, &key, &err)) {
		invariant(err.code == ERR_MALFORMED_KEY);
		return;
	}
	ed25519_public_to_text(&key, text);
	invariant(!written || str_is(s, text));
	invariant(ed25519_public_from_text(str_from(text), KEY_WRITTEN, &again, &err) && ed25519_public_equal(&key, &again));
}

static void check_secret(struct str s, bool written)
{
	struct ed25519_secret key;
	struct error err;
	char text[ED25519_SEED_TEXT_LEN + 1];
	if (!ed25519_secret_from_text(s, written ? KEY_WRITTEN : KEY_LENIENT, &key, &err)) {
		invariant(err.code == ERR_MALFORMED_KEY);
		return;
	}
	ed25519_seed_to_text(&key, text);
	invariant(!written || str_is(s, text));
	ed25519_secret_wipe(&key);
}

static void check_signature(struct str s, bool written)
{
	struct ed25519_signature signature, again;
	struct error err;
	char text[ED25519_SIGNATURE_TEXT_LEN + 1];
	if (!ed25519_signature_from_text(s, written ? KEY_WRITTEN : KEY_LENIENT, &signature, &err)) {
		invariant(err.code == ERR_MALFORMED_SIGNATURE);
		return;
	}
	ed25519_signature_to_text(&signature, text);
	invariant(!written || str_is(s, text));
	invariant(ed25519_signature_from_text(str_from(text), KEY_WRITTEN, &again, &err));
	invariant(memcmp(&signature, &again, sizeof(again)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = str_of((const char *)data, size);
	struct hash h;
	char text[HASH_TEXT_LEN + 1];
	for (int written = 0; written < 2; written++) {
		check_public(s, written);
		check_secret(s, written);
		check_signature(s, written);
	}
	if (hash_from_text(s, &h)) {
		hash_to_text(&h, text);
		invariant(str_is(s, text));
	}
	return 0;
}
