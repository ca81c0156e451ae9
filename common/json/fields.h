/*
 * JSON <-> struct, declared once.
 *
 * A message is a C struct and a table with one row per field: name, type, range, required or not, and a sentence. The same row reads the
 * field (its error text comes from the row), writes it, and describes it in the OpenAPI document. Fields that are in the JSON and not in
 * the table are ignored, so that newer peers may send more (unless the message is closed).
 *
 * C types of the members, by row type:
 *	JSON_TEXT, JSON_FORM	struct str	(absent: p NULL)
 *	JSON_INT		int64_t		(absent: JSON_INT_ABSENT)
 *	JSON_BOOL		enum json_bool	(absent: JSON_BOOL_ABSENT)
 *	JSON_OBJECT		void *		(pointer to a struct described by `sub`; absent: NULL)
 *	JSON_LIST		struct json_list of structs described by `sub` (absent: items NULL)
 *	JSON_TEXTS		struct json_list of struct str, each checked by `form` if it is set
 *	JSON_ANY		struct str	canonical JSON bytes of any value of the subset (absent: p NULL)
 * JSON null in place of an optional field reads as absent. Integers are within +-JSON_INT_MAX and written without fraction or exponent. Texts have no control
 * characters (C0 but \n and \t, DEL, C1: they would reach terminals and logs) unless the row says JSON_VERBATIM.
 */
#ifndef TANA_JSON_FIELDS_H
#define TANA_JSON_FIELDS_H

#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

#define JSON_INT_ABSENT INT64_MIN
enum json_bool { JSON_BOOL_ABSENT = -1, JSON_FALSE = 0, JSON_TRUE = 1 };

struct json_list {
	void *items;
	size_t count;
};

enum json_type { JSON_TEXT, JSON_FORM, JSON_INT, JSON_BOOL, JSON_OBJECT, JSON_LIST, JSON_TEXTS, JSON_ANY };

/* A form of text with a name, e.g. a node id or a public key: how to check it, the code when it does not fit, what to tell people. */
struct json_form {
	const char *name;     /* "NodeId": the component's name in the OpenAPI document */
	const char *pattern;  /* ECMA 262 regular expression for documents */
	const char *what;     /* "a node id (1-64 of a-z 0-9 . _ -)": completes the sentence "<field> must be ..." */
	enum error_code code; /* e.g. ERR_MALFORMED_KEY */
	bool (*check)(struct str s);
};

enum {
	JSON_REQUIRED = 1,
	JSON_NULL_WHEN_ABSENT = 2, /* answers: written as null instead of left out; a reader takes null, and absence too */
	JSON_VERBATIM = 4          /* JSON_TEXT: signed messages and the like, whose control characters are part of them */
};

struct json_message;
struct json_field {
	const char *name;
	enum json_type type;
	unsigned flags;
	size_t offset;
	int64_t min, max; /* JSON_INT: value; JSON_TEXT: bytes; JSON_LIST, JSON_TEXTS: items. Both 0: no limit beyond the type's own. */
	const struct json_form *form;
	const struct json_message *sub;
	const char *doc;
};
enum { JSON_FIELDS_MAX = 64 }; /* rows of one table */
struct json_message {
	const char *name; /* the component's name in the OpenAPI document, e.g. "Heartbeat" */
	size_t size;      /* of the struct */
	const struct json_field *fields;
	size_t count;
	bool closed; /* fields that are not in the table are refused: for files that people write, where a typing mistake must not pass unseen */
};

/* Limits of what is read from outside: levels of objects and arrays, and the integers that every JSON reader represents exactly. */
enum { JSON_DEPTH_MAX = 32 };
#define JSON_INT_MAX INT64_C(9007199254740991) /* 2^53 - 1 */

/* A parsed document, with a copy of its text. Lives until json_doc_free. */
struct json_doc;

/*
 * Parses bytes from outside: one JSON object (RFC 8259), UTF-8, no duplicate keys, no NUL, no depth beyond JSON_DEPTH_MAX, nothing after it.
 * ERR_MALFORMED_JSON (with line and column), ERR_DUPLICATE_KEY, ERR_TOO_LARGE (beyond 1 GiB). Never more than one byte of the text is in the message.
 */
MUST_CHECK struct json_doc *json_parse_object(struct str text, struct error *err);
void json_doc_free(struct json_doc *d);
/* The same for a document with secrets: its text is overwritten first. */
void json_doc_wipe(struct json_doc *d);

/* Reads the document into *out (a struct of m->size bytes). Texts are copied into the arena. ERR_MISSING_FIELD, ERR_MALFORMED_FIELD or the form's
 * code; the message names the field by its path ("services[2].port"). */
MUST_CHECK bool json_read(const struct json_doc *d, const struct json_message *m, void *out, struct arena *arena, struct error *err);
/* Parse, read, free: for those who need nothing else of the document. */
MUST_CHECK bool json_read_text(struct str text, const struct json_message *m, void *out, struct arena *arena, struct error *err);

/* Sets every member to its absent value. */
void json_message_clear(const struct json_message *m, void *out);
/* Appends the struct as one JSON object, fields in table order. Absent ones are left out, but for JSON_NULL_WHEN_ABSENT and required lists (`[]`). Texts are valid
 * UTF-8: whoever let them in has checked. */
void json_write(struct buf *out, const struct json_message *m, const void *in);
/* The same as canonical JSON (keys sorted). An integer beyond JSON_INT_MAX is a mistake of the caller (invariant). */
void json_write_canonical(struct buf *out, const struct json_message *m, const void *in);
/* json_write, and behind it the members of `old` that the table does not know: a file rewritten keeps what newer programs put there. */
void json_write_keeping(struct buf *out, const struct json_message *m, const void *in, const struct json_doc *old);

/* Appends the canonical form (RFC 8785 subset, crypto/canonical.h) of the document, without the top-level field `less` when it is not
 * NULL. ERR_NOT_CANONICAL when the document has what the subset has not (reals, large integers, odd keys). */
MUST_CHECK bool json_canonicalise(const struct json_doc *d, const char *less, struct buf *out, struct error *err);

/* Appends the JSON Schema (2020-12) of a message; sub-messages and forms are `$ref`s to #/components/schemas/<name>. */
void json_schema_write(struct buf *out, const struct json_message *m);
void json_schema_write_form(struct buf *out, const struct json_form *f);

/* Rows are written with these: F_TEXT(struct mesh_node, region, "region", 0, 64, "where it runs") ... */
#define JSON_F(S, member, n, t, fl, lo, hi, fo, su, d)                                                                         \
	{.name = (n), .type = (t), .flags = (fl), .offset = offsetof(S, member), .min = (lo), .max = (hi), .form = (fo), .sub = (su), .doc = (d)}
#define F_TEXT(S, member, n, fl, hi, d) JSON_F(S, member, n, JSON_TEXT, fl, 0, hi, NULL, NULL, d)
#define F_FORM(S, member, n, fl, fo, d) JSON_F(S, member, n, JSON_FORM, fl, 0, 0, fo, NULL, d)
#define F_INT(S, member, n, fl, lo, hi, d) JSON_F(S, member, n, JSON_INT, fl, lo, hi, NULL, NULL, d)
#define F_BOOL(S, member, n, fl, d) JSON_F(S, member, n, JSON_BOOL, fl, 0, 0, NULL, NULL, d)
#define F_OBJECT(S, member, n, fl, su, d) JSON_F(S, member, n, JSON_OBJECT, fl, 0, 0, NULL, su, d)
#define F_LIST(S, member, n, fl, hi, su, d) JSON_F(S, member, n, JSON_LIST, fl, 0, hi, NULL, su, d)
#define F_TEXTS(S, member, n, fl, hi, fo, d) JSON_F(S, member, n, JSON_TEXTS, fl, 0, hi, fo, NULL, d)
#define F_ANY(S, member, n, fl, d) JSON_F(S, member, n, JSON_ANY, fl, 0, 0, NULL, NULL, d)
#define JSON_MESSAGE(var, n, S, rows)                                                                                          \
	const struct json_message var = {.name = (n), .size = sizeof(S), .fields = (rows), .count = sizeof(rows) / sizeof((rows)[0])}

#define JSON_CLOSED_MESSAGE(var, n, S, rows)                                                                                   \
	const struct json_message var = {                                                                                      \
		.name = (n), .size = sizeof(S), .fields = (rows), .count = sizeof(rows) / sizeof((rows)[0]), .closed = true}

#endif
