/*
 * A parsed document as this room sees it; outside it is opaque. Not a tree of allocations: one array of 16-byte nodes in document order, and one copy
 * of the text, in which escapes were decoded in place. A member of an object is two neighbours, its key (a JSON_NODE_TEXT) and its value.
 */
#ifndef TANA_JSON_DOC_H
#define TANA_JSON_DOC_H

#include "fields.h"

enum json_node_type {
	JSON_NODE_OBJECT,
	JSON_NODE_ARRAY,
	JSON_NODE_TEXT,
	JSON_NODE_INT,    /* an integer within +-JSON_INT_MAX */
	JSON_NODE_NUMBER, /* any other number, kept as it was written */
	JSON_NODE_TRUE,
	JSON_NODE_FALSE,
	JSON_NODE_NULL
};

struct json_node {
	enum json_node_type type;
	uint32_t end; /* index of the first node after this one and all that is in it */
	union {
		struct {
			uint32_t at, n; /* TEXT (decoded), NUMBER: bytes in the document's text */
		} text;
		int64_t integer;
		uint32_t count; /* OBJECT: members, ARRAY: items */
	};
};

struct json_doc {
	char *text; /* NUL-terminated copy of the input */
	size_t text_len;
	struct json_node *nodes; /* nodes[0] is the whole document */
	uint32_t count, room;
};

static inline struct str json_node_text(const struct json_doc *d, const struct json_node *n)
{
	return str_of(d->text + n->text.at, n->text.n);
}

enum { JSON_FEW_KEYS = 24 };
/*
 * The indexes of an object's keys in byte order: in `few` when they fit, else in memory that *many is set to and the caller frees (*many is NULL
 * otherwise).
 */
const uint32_t *json_sorted_keys(const struct json_doc *d, uint32_t object, uint32_t few[JSON_FEW_KEYS], uint32_t **many);

enum json_writing { JSON_AS_IT_WAS /* order and numbers as in the document */, JSON_CANONICAL };
/* Appends one value; `less` (may be NULL) names a key that is left out of it. False, with *err, when JSON_CANONICAL and the value has what the subset
 * has not. */
MUST_CHECK bool json_node_write(const struct json_doc *d, uint32_t node, enum json_writing how, const char *less, struct buf *out, struct error *err);

#endif
