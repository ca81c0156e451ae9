/* The published test vectors: tests/vectors/NAME, or $TANA_VECTORS/NAME. The caller frees with json_decref. */
#ifndef TANA_TESTS_VECTORS_H
#define TANA_TESTS_VECTORS_H

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static inline json_t *vectors_load(const char *name)
{
	const char *dir = getenv("TANA_VECTORS");
	char path[4096];
	json_error_t why;
	snprintf(path, sizeof(path), "%s/%s", dir ? dir : "tests/vectors", name);
	json_t *all = json_load_file(path, 0, &why);
	if (!all || json_array_size(all) + json_object_size(all) == 0) {
		fprintf(stderr, "no vectors in %s: %s\n", path, why.text);
		exit(1);
	}
	return all;
}

static inline const char *vector_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	if (!text) {
		fprintf(stderr, "a vector has no \"%s\"\n", key);
		exit(1);
	}
	return text;
}

#endif
