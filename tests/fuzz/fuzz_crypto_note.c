/* crypto: checkpoints, as they come and with a right signature put under any text, so that the text's own parser is reached. */
#include <stdint.h>
#include <stdlib.h>

#include "base/log.h"
#include "crypto/note.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ed25519_secret key;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	struct error err;
	static const uint8_t seed[ED25519_SEED_SIZE] = {1};
	invariant(crypto_start(&err));
	ed25519_from_seed(&key, seed);
	return 0;
}

/* What opens says the same when it is signed anew (without the extension lines, which are not read). */
static void check_note(struct str note)
{
	struct checkpoint c, again;
	struct error err;
	struct buf out = {0};
	if (!checkpoint_open(note, &key.public_key, &c, &err)) {
		invariant(err.code == ERR_MALFORMED_FIELD || err.code == ERR_BAD_SIGNATURE);
		return;
	}
	checkpoint_sign(&c, &key, &out);
	invariant(checkpoint_open(buf_str(&out), &key.public_key, &again, &err));
	invariant(c.size == again.size && hash_equal(&c.root, &again.root) && strcmp(c.origin, again.origin) == 0);
	size_t text = (size_t)((const char *)memmem(out.data, out.len, "\n\n", 2) - out.data) + 1;
	invariant(note.n > text && memcmp(note.p, out.data, text) == 0);
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_of((const char *)data, size);
	check_note(text);

	struct checkpoint any = {.origin = "o"};
	struct buf sample = {0}, note = {0};
	struct ed25519_signature signature;
	checkpoint_sign(&any, &key, &sample); /* for the key id, which does not depend on the text */
	ed25519_sign_bytes(&signature, &key, text);
	char *line = memmem(sample.data, sample.len, "\n\n", 2);
	buf_put_str(&note, text);
	buf_put(&note, line + 1, sample.len - (size_t)(line + 1 - sample.data));
	check_note(buf_str(&note));
	buf_free(&sample);
	buf_free(&note);
	return 0;
}
