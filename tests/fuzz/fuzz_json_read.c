/*
 * Bytes from outside as JSON: parsed, read as a registration and as a heartbeat, canonicalised. Whatever comes in, what is accepted is what jansson accepts too, canonical
 * bytes pass the independent checker, and a message written again reads the same.
 */
#include "../unit/jansson_apart.h"
#include "base/log.h"
#include "crypto/canonical.h"
#include "crypto/ed25519.h"
#include "json/fields.h"
#include "wire/mesh.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct error err;
	(void)argc;
	(void)argv;
	invariant(crypto_start(&err));
	return 0;
}

/* jansson skips a NUL between tokens; we do not. */
static bool has_nul(struct str text)
{
	return text.n > 0 && memchr(text.p, 0, text.n);
}

/* Nesting of the text, as far as brackets outside of strings tell; only asked about what jansson accepted. */
static int depth_of(struct str text)
{
	int depth = 0, deepest = 0;
	bool in_string = false;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && (c == '{' || c == '['))
			deepest = ++depth > deepest ? depth : deepest;
		else if (!in_string && (c == '}' || c == ']'))
			depth--;
	}
	return deepest;
}

/* jansson and we must agree, but for numbers that it cannot hold and nesting that we do not want. */
static void compare_with_jansson(struct str text, bool accepted)
{
	json_error_t why;
	json_t *tree = json_loadb(text.p ? text.p : "", text.n, JSON_REJECT_DUPLICATES, &why);
	if (accepted && !tree)
		invariant(json_error_code(&why) == json_error_numeric_overflow);
	if (!accepted && tree)
		invariant(json_typeof(tree) == JSON_ARRAY || depth_of(text) > JSON_DEPTH_MAX);
	json_decref(tree);
}

static void check_canonical(const struct json_doc *d)
{
	struct buf b = {0}, again = {0};
	struct error err;
	if (json_canonicalise(d, NULL, &b, &err)) {
		invariant(canonical_check(buf_str(&b)));
		struct json_doc *second = json_parse_object(buf_str(&b), &err);
		invariant(second && json_canonicalise(second, NULL, &again, &err) && str_equal(buf_str(&b), buf_str(&again)));
		json_doc_free(second);
		buf_clear(&again);
		invariant(json_canonicalise(d, "signature", &again, &err) && canonical_check(buf_str(&again)));
	} else {
		invariant(err.code == ERR_NOT_CANONICAL && b.len == 0);
	}
	buf_free(&b);
	buf_free(&again);
}

static void check_message(const struct json_doc *d, const struct json_message *m)
{
	struct arena arena;
	struct error err;
	arena_init(&arena);
	void *value = arena_zalloc(&arena, 1, m->size);
	if (json_read(d, m, value, &arena, &err)) {
		struct buf once = {0}, twice = {0};
		json_write(&once, m, value);
		invariant(json_read_text(buf_str(&once), m, value, &arena, &err));
		json_write(&twice, m, value);
		invariant(str_equal(buf_str(&once), buf_str(&twice)));
		buf_clear(&twice);
		json_write_canonical(&twice, m, value);
		invariant(canonical_check(buf_str(&twice)));
		buf_free(&once);
		buf_free(&twice);
	} else {
		invariant(error_code_status(err.code) == 400 && err.message[0] && utf8_valid(err.message, strlen(err.message)));
	}
	arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_of((const char *)data, size);
	struct error err;
	struct json_doc *d = json_parse_object(text, &err);

	if (!has_nul(text))
		compare_with_jansson(text, d != NULL);
	if (d) {
		check_canonical(d);
		check_message(d, &mesh_register_message);
		check_message(d, &mesh_heartbeat_message);
		json_doc_free(d);
	} else {
		invariant(err.code == ERR_MALFORMED_JSON || err.code == ERR_DUPLICATE_KEY);
		invariant(utf8_valid(err.message, strlen(err.message)));
	}
	return 0;
}
