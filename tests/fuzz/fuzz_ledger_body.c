/* ledgerd: bodies of POST /transactions. What is taken is what the JSON parser finds in the same body, byte for byte where the message is canonical. */
#include <stdint.h>

#include "base/log.h"
#include "crypto/canonical.h"
#include "json/fields.h"
#include "ledgerd/api_body.h"
#include "wire/ledger.h"
#include "wire/tx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Levels of a canonical value. */
static size_t depth_of(struct str s)
{
	size_t depth = 0, most = 0;
	bool inside = false;
	for (size_t i = 0; i < s.n; i++) {
		if (inside && s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			inside = !inside;
		else if (!inside && (s.p[i] == '{' || s.p[i] == '['))
			most = ++depth > most ? depth : most;
		else if (!inside && (s.p[i] == '}' || s.p[i] == ']'))
			depth--;
	}
	return most;
}

/* The parser's view of a body whose message is canonical: it is JSON as a whole, and has this message. */
static void compare(struct str body, struct str message, struct arena *arena)
{
	struct ledger_submission s;
	struct error err;
	struct json_doc *d = json_parse_object(body, &err);
	if (!d) {
		invariant(depth_of(message) >= JSON_DEPTH_MAX); /* the body's own level is one too many for the parser */
		return;
	}
	if (json_read(d, &ledger_submission_message, &s, arena, &err)) {
		invariant(str_equal(s.message, message));
	} else {
		/* Flat: then it is the canonical form of what is left without the signature. */
		struct buf flat = {0};
		invariant(json_canonicalise(d, "signature", &flat, &err) && str_equal(buf_str(&flat), message));
		buf_free(&flat);
	}
	json_doc_free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str body = str_of(size ? (const char *)data : "", size), message;
	struct ed25519_signature signature;
	struct arena arena;
	struct error err;
	arena_init(&arena);
	if (submission_read(body, &arena, &message, &signature, &err)) {
		struct tx t;
		invariant(message.n > 0 && message.n <= size);
		if (canonical_check(message) && message.p[0] == '{')
			compare(body, message, &arena);
		if (tx_parse(message, TX_BYTES_DEFAULT, &arena, &t, &err))
			invariant(canonical_check(message));
	} else {
		invariant(error_code_status(err.code) == 400);
	}
	arena_free(&arena);
	return 0;
}
