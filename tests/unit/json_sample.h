/* A message with a field of every type, for the tests of the JSON room. */
#ifndef TANA_TESTS_JSON_SAMPLE_H
#define TANA_TESTS_JSON_SAMPLE_H

#include "json/fields.h"

static bool sample_form_check(struct str s)
{
	return s.n == 3;
}
static const struct json_form sample_form = {"Three", "^...$", "three bytes", ERR_MALFORMED_HASH, sample_form_check};

struct sample_item {
	int64_t port;
	struct str name;
};
static const struct json_field sample_item_rows[] = {
	F_INT(struct sample_item, port, "port", JSON_REQUIRED, 1, 65535, "A port."),
	F_TEXT(struct sample_item, name, "name", 0, 8, "A name."),
};
static JSON_MESSAGE(sample_item_message, "Item", struct sample_item, sample_item_rows);

struct sample {
	struct str text, verbatim, form, any;
	int64_t integer, limited;
	enum json_bool flag, nullable_flag;
	struct sample_item *object, *nullable_object;
	struct json_list items, required_items; /* struct sample_item */
	struct json_list texts, forms, nullable_list;
	struct str nullable_text, nullable_form;
	int64_t nullable_integer;
};
static const struct json_field sample_rows[] = {
	F_TEXT(struct sample, text, "text", JSON_REQUIRED, 10, "At most ten bytes."),
	JSON_F(struct sample, verbatim, "verbatim", JSON_TEXT, JSON_VERBATIM, 2, 20, NULL, NULL, "Two to twenty bytes of anything."),
	F_FORM(struct sample, form, "form", 0, &sample_form, "Three bytes."),
	F_INT(struct sample, integer, "integer", 0, 0, 0, "Any integer."),
	F_INT(struct sample, limited, "limited", 0, -5, 5, "A small one."),
	F_BOOL(struct sample, flag, "flag", 0, "Yes or no."),
	F_OBJECT(struct sample, object, "object", 0, &sample_item_message, "An item."),
	F_LIST(struct sample, items, "items", 0, 2, &sample_item_message, "At most two items."),
	F_LIST(struct sample, required_items, "requiredItems", JSON_REQUIRED, 0, &sample_item_message, "Items."),
	F_TEXTS(struct sample, texts, "texts", 0, 3, NULL, "At most three texts."),
	F_TEXTS(struct sample, forms, "forms", 0, 0, &sample_form, "Texts of three bytes."),
	F_ANY(struct sample, any, "any", 0, "Any value."),
	F_TEXT(struct sample, nullable_text, "nullableText", JSON_NULL_WHEN_ABSENT, 10, "A text or null."),
	F_FORM(struct sample, nullable_form, "nullableForm", JSON_NULL_WHEN_ABSENT, &sample_form, "Three bytes or null."),
	F_INT(struct sample, nullable_integer, "nullableInteger", JSON_NULL_WHEN_ABSENT, 0, 9, "A digit or null."),
	F_BOOL(struct sample, nullable_flag, "nullableFlag", JSON_NULL_WHEN_ABSENT, "Yes, no or null."),
	F_OBJECT(struct sample, nullable_object, "nullableObject", JSON_NULL_WHEN_ABSENT, &sample_item_message, "An item or null."),
	F_LIST(struct sample, nullable_list, "nullableList", JSON_NULL_WHEN_ABSENT, 4, &sample_item_message, "Items or null."),
};
static JSON_MESSAGE(sample_message, "Sample", struct sample, sample_rows);

#endif
