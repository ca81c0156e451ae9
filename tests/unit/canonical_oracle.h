/*
 * Canonical JSON the slow way, as the definition says it: parse (with jansson), write the tree anew, compare the bytes. Shares no code with
 * common/crypto, so that the one can judge the other.
 */
#ifndef TANA_TESTS_CANONICAL_ORACLE_H
#define TANA_TESTS_CANONICAL_ORACLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool oracle_write(FILE *out, const json_t *v, int depth);

static inline void oracle_write_string(FILE *out, const char *p, size_t n)
{
	fputc('"', out);
	for (size_t i = 0; i < n; i++)
		switch (p[i]) {
		case '\b': fputs("\\b", out); break;
		case '\t': fputs("\\t", out); break;
		case '\n': fputs("\\n", out); break;
		case '\f': fputs("\\f", out); break;
		case '\r': fputs("\\r", out); break;
		case '"': fputs("\\\"", out); break;
		case '\\': fputs("\\\\", out); break;
		default:
			if ((unsigned char)p[i] < 0x20)
				fprintf(out, "\\u%04x", (unsigned)(unsigned char)p[i]);
			else
				fputc(p[i], out);
		}
	fputc('"', out);
}

static inline bool oracle_key_fits(const char *key)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	if (!*key || !strchr(letters, *key))
		return false;
	return strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == strlen(key);
}

static inline int oracle_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static inline bool oracle_write_object(FILE *out, const json_t *v, int depth)
{
	size_t n = json_object_size(v), i = 0;
	const char **keys = calloc(n + 1, sizeof(*keys)), *key;
	json_t *member;
	bool fits = true;
	json_object_foreach((json_t *)(uintptr_t)v, key, member)
		keys[i++] = key;
	qsort(keys, n, sizeof(*keys), oracle_compare);
	fputc('{', out);
	for (i = 0; i < n && fits; i++) {
		if (i > 0)
			fputc(',', out);
		fprintf(out, "\"%s\":", keys[i]);
		fits = oracle_key_fits(keys[i]) && oracle_write(out, json_object_get(v, keys[i]), depth);
	}
	fputc('}', out);
	free(keys);
	return fits;
}

static inline bool oracle_write_array(FILE *out, const json_t *v, int depth)
{
	fputc('[', out);
	for (size_t i = 0; i < json_array_size(v); i++) {
		if (i > 0)
			fputc(',', out);
		if (!oracle_write(out, json_array_get(v, i), depth))
			return false;
	}
	fputc(']', out);
	return true;
}

static bool oracle_write(FILE *out, const json_t *v, int depth)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return depth < 32 && oracle_write_object(out, v, depth + 1);
	case JSON_ARRAY:
		return depth < 32 && oracle_write_array(out, v, depth + 1);
	case JSON_STRING:
		oracle_write_string(out, json_string_value(v), json_string_length(v));
		return true;
	case JSON_INTEGER:
		fprintf(out, "%lld", (long long)json_integer_value(v));
		return json_integer_value(v) >= -9007199254740991LL && json_integer_value(v) <= 9007199254740991LL;
	case JSON_REAL:
		return false;
	case JSON_TRUE:
		fputs("true", out);
		return true;
	case JSON_FALSE:
		fputs("false", out);
		return true;
	case JSON_NULL:
		fputs("null", out);
		return true;
	}
	return false;
}

/* Is [p, n) its own canonical form? */
static inline bool oracle_canonical(const char *p, size_t n)
{
	json_t *v = json_loadb(p, n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	if (!v)
		return false;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	bool same = oracle_write(out, v, 0);
	fclose(out);
	same = same && size == n && memcmp(text, p, n) == 0;
	free(text);
	json_decref(v);
	return same;
}

#endif
