/* crypto: sealed secrets. Limits that would be obeyed at a cost are brought down; nothing that is not sealed by us opens. */
#include <stdint.h>
#include <stdlib.h>

#include "base/log.h"
#include "crypto/ed25519.h"
#include "crypto/seal.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PASSES_AT = 1, MEMORY_AT = 5, SALT_AT = 13 };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	struct error err;
	invariant(crypto_start(&err));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf sealed = {0}, opened = {0};
	struct error err;
	buf_put(&sealed, data, size);
	/* 1..10 passes over up to 1 GiB would be run: make it one pass over 8 KiB. */
	if (size > SALT_AT && data[PASSES_AT] <= 10 && data[PASSES_AT + 1] == 0 && data[PASSES_AT + 2] == 0 && data[PASSES_AT + 3] == 0 &&
	    data[MEMORY_AT + 4] == 0 && data[MEMORY_AT + 5] == 0 && data[MEMORY_AT + 6] == 0 && data[MEMORY_AT + 7] == 0) {
		sealed.data[PASSES_AT] = data[PASSES_AT] != 0;
		memcpy(sealed.data + MEMORY_AT, "\0\x20\0\0", 4);
	}
	invariant(!unseal(buf_str(&sealed), STR_LIT("passphrase"), &opened, &err));
	invariant(err.code == ERR_KEY_FILE && opened.len == 0);
	buf_free(&sealed);
	buf_free(&opened);
	return 0;
}
