#include "api_body.h"

#include "crypto/canonical.h"
#include "json/fields.h"
#include "wire/mesh.h"

/*
 * The outermost object is looked through for its members, without judging what is inside of them: strings are passed over as strings, brackets are
 * counted. So the message's span is known whatever it holds. Usually that is all: the span goes to tx_parse, whose verdict on its form is final. A
 * body of another shape goes to the JSON parser, which knows what to say about it.
 */
struct scan {
	const char *p, *end;
};

static void skip_blanks(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
		s->p++;
}

static bool skip_char(struct scan *s, char c)
{
	skip_blanks(s);
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

/* From an opening quote to behind the closing one. */
static bool skip_string(struct scan *s)
{
	bool escaped = false;
	for (s->p++; s->p < s->end; s->p++) {
		if (!escaped && *s->p == '"') {
			s->p++;
			return true;
		}
		escaped = !escaped && *s->p == '\\';
	}
	return false;
}

/* One value: a string, what stands between matching brackets, or what goes up to a blank, comma or bracket. */
static bool skip_value(struct scan *s, struct str *out)
{
	skip_blanks(s);
	const char *from = s->p;
	size_t depth = 0;
	while (s->p < s->end) {
		char c = *s->p;
		if (c == '"') {
			if (!skip_string(s))
				return false;
			if (depth == 0)
				break;
			continue;
		}
		if (c == '{' || c == '[')
			depth++;
		if (c == '}' || c == ']') {
			if (depth == 0)
				break;
			s->p++;
			if (--depth == 0)
				break;
			continue;
		}
		if (depth == 0 && (c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r'))
			break;
		s->p++;
	}
	*out = str_of(from, (size_t)(s->p - from));
	return depth == 0 && out->n > 0;
}

struct members {
	struct str message, signature; /* spans; absent: there is none of that name */
	bool plain;                    /* each once, and nothing else beside them */
};

static bool scan_members(struct str body, struct members *out)
{
	struct scan s = {body.p, body.p + body.n};
	size_t messages = 0, signatures = 0, others = 0;
	*out = (struct members){.message = STR_NONE, .signature = STR_NONE};
	if (!skip_char(&s, '{'))
		return false;
	do {
		struct str value, *slot = NULL;
		skip_blanks(&s);
		const char *name = s.p;
		if (s.p == s.end || *s.p != '"' || !skip_string(&s))
			return false;
		struct str key = str_of(name, (size_t)(s.p - name));
		if (!skip_char(&s, ':') || !skip_value(&s, &value))
			return false;
		if (str_is(key, "\"message\"")) {
			messages++;
			slot = &out->message;
		} else if (str_is(key, "\"signature\"")) {
			signatures++;
			slot = &out->signature;
		} else {
			others++;
		}
		if (slot)
			*slot = value;
	} while (skip_char(&s, ','));
	if (!skip_char(&s, '}'))
		return false;
	skip_blanks(&s);
	out->plain = messages == 1 && signatures == 1 && others == 0;
	return s.p == s.end;
}

/* A text without escapes, as every signature is one. */
static bool plain_text(struct str value, struct str *out)
{
	if (value.n < 2 || value.p[0] != '"' || value.p[value.n - 1] != '"' || memchr(value.p, '\\', value.n))
		return false;
	*out = str_of(value.p + 1, value.n - 2);
	return utf8_valid(out->p, out->n);
}

/* ---- Bodies of another shape ---- */

struct flat {
	struct str message, type, signature;
};
static const struct json_field flat_rows[] = {
	F_ANY(struct flat, message, "message", 0, "There when the body is not flat."),
	F_ANY(struct flat, type, "type", 0, "The type of a flat body."),
	F_FORM(struct flat, signature, "signature", JSON_REQUIRED, &form_signature, "The signature."),
};
static JSON_MESSAGE(flat_message, "Submission", struct flat, flat_rows);

static bool may_be_flat(struct str type)
{
	return str_is(type, "\"transfer\"") || str_is(type, "\"user_creation\"");
}

static bool read_flat(const struct json_doc *d, struct str type, struct arena *arena, struct str *message, struct error *err)
{
	struct buf text = {0};
	if (!may_be_flat(type))
		return error_set(err, ERR_MISSING_FIELD, "message is missing: {\"message\":{..},\"signature\":\"..\"}; only transfer and user_creation are also taken flat");
	bool ok = json_canonicalise(d, "signature", &text, err);
	if (ok)
		*message = arena_copy(arena, buf_str(&text));
	buf_free(&text);
	return ok;
}

/* `span`: the message's, if the scan found it. */
static bool read_other(struct str body, struct str span, struct arena *arena, struct str *message, struct ed25519_signature *signature,
		       struct error *err)
{
	struct flat f;
	struct json_doc *d = json_parse_object(body, err);
	if (!d && str_present(span) && !canonical_check(span)) /* it is the message that is at fault */
		return error_set(err, ERR_NOT_CANONICAL, "the message is not canonical JSON (RFC 8785)");
	if (!d)
		return false;
	bool ok = json_read(d, &flat_message, &f, arena, err);
	if (ok && str_present(f.message)) {
		*message = span;
		ok = str_present(span) || error_set(err, ERR_NOT_CANONICAL, "the name `message` must be written without escapes");
	} else if (ok) {
		ok = read_flat(d, f.type, arena, message, err);
	}
	json_doc_free(d);
	return ok && ed25519_signature_from_text(f.signature, KEY_LENIENT, signature, err);
}

bool submission_read(struct str body, struct arena *arena, struct str *message, struct ed25519_signature *signature, struct error *err)
{
	struct members m;
	struct str text;
	bool scanned = scan_members(body, &m);
	if (scanned && m.plain && plain_text(m.signature, &text)) {
		*message = m.message;
		return ed25519_signature_from_text(text, KEY_LENIENT, signature, err);
	}
	return read_other(body, scanned ? m.message : STR_NONE, arena, message, signature, err);
}
