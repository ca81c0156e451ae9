#include "tx.h"

#include <stdio.h>

#include "base/log.h"
#include "crypto/canonical_read.h"

enum { FIELD_COUNT = TXF_APPROVAL_BY /* those of the message itself */ };

static uint64_t set_of(enum tx_field f)
{
	return UINT64_C(1) << f;
}

static bool is_integer(enum tx_form form)
{
	return form == TX_FORM_COUNT_53 || form == TX_FORM_DECIMALS || form == TX_FORM_POWER;
}

/* By bisection: the table is in byte order. TXF_COUNT: not a field. */
static enum tx_field field_from_text(struct str name)
{
	int low = 0, high = FIELD_COUNT - 1;
	while (low <= high) {
		int middle = (low + high) / 2;
		int order = str_compare(name, str_from(tx_field_name((enum tx_field)middle)));
		if (order == 0)
			return (enum tx_field)middle;
		if (order < 0)
			high = middle - 1;
		else
			low = middle + 1;
	}
	return TXF_COUNT;
}

/* What is wrong with a message's fields. Of several the least is told: names before values, amounts and user names last. */
enum misfit { MISFIT_MISSING, MISFIT_UNKNOWN, MISFIT_MALFORMED, MISFIT_AMOUNT, MISFIT_USERNAME, MISFIT_NONE };
struct reading {
	struct arena *arena;
	struct tx *out;
	bool judged; /* before: the forms need no look */
	enum misfit misfit;
	enum tx_field field; /* that the misfit is about */
	char stranger[64];   /* MISFIT_UNKNOWN: its name, cut */
};

static void misfit(struct reading *r, enum misfit what, enum tx_field f)
{
	if (what < r->misfit) {
		r->misfit = what;
		r->field = f;
	}
}

static void stranger(struct reading *r, struct str name)
{
	if (r->misfit > MISFIT_UNKNOWN)
		snprintf(r->stranger, sizeof r->stranger, "%.*s", (int)(name.n < sizeof r->stranger ? name.n : sizeof r->stranger - 1), name.p);
	misfit(r, MISFIT_UNKNOWN, TXF_COUNT);
}

static void keep(struct tx *t, enum tx_field f, struct str text)
{
	invariant(t->count < TX_FIELDS_MAX);
	t->field[t->count] = (uint8_t)f;
	t->value[t->count++] = text;
}

static void read_field(struct reading *r, enum tx_field f, struct str value)
{
	enum tx_form form = tx_field_form(f);
	struct str text = value;
	int64_t v;
	bool readable = is_integer(form) ? r->judged || canonical_read_int(value, &v) : canonical_read_text(value, r->arena, &text);
	/* The sign is an adjustment's only. */
	bool fits = readable && (r->judged || (tx_form_valid(form, text) && (form != TX_FORM_AMOUNT || text.p[0] != '-' || r->out->type == TX_BALANCE_ADJUSTMENT)));
	if (!readable)
		misfit(r, MISFIT_MALFORMED, f);
	else if (!fits)
		misfit(r, form == TX_FORM_AMOUNT ? MISFIT_AMOUNT : form == TX_FORM_USERNAME ? MISFIT_USERNAME : MISFIT_MALFORMED, f);
	else
		keep(r->out, f, text);
}

/* {"by":..,"signature":..} and nothing else. */
static void read_approval(struct reading *r, struct str value)
{
	struct canonical_cursor c;
	struct str key, member;
	bool by = false, signature = false;
	if (!canonical_enter_object(value, &c)) {
		misfit(r, MISFIT_MALFORMED, TXF_APPROVAL);
		return;
	}
	while (canonical_next_member(&c, &key, &member)) {
		if (str_is(key, tx_field_name(TXF_APPROVAL_BY))) {
			by = true;
			read_field(r, TXF_APPROVAL_BY, member);
		} else if (str_is(key, tx_field_name(TXF_APPROVAL_SIGNATURE))) {
			signature = true;
			read_field(r, TXF_APPROVAL_SIGNATURE, member);
		} else {
			stranger(r, key);
		}
	}
	if (!by || !signature)
		misfit(r, MISFIT_MISSING, by ? TXF_APPROVAL_SIGNATURE : TXF_APPROVAL_BY);
}

static void read_fields(struct reading *r, const struct tx_type_row *row)
{
	struct canonical_cursor c;
	struct str key, value;
	uint64_t missing = row->required;
	(void)!canonical_enter_object(r->out->message, &c);
	while (canonical_next_member(&c, &key, &value)) {
		enum tx_field f = field_from_text(key);
		if (f == TXF_COUNT || !((row->required | row->optional) & set_of(f))) {
			stranger(r, key);
			continue;
		}
		missing &= ~set_of(f);
		if (f == TXF_APPROVAL)
			read_approval(r, value);
		else
			read_field(r, f, value);
	}
	for (unsigned f = 0; f < FIELD_COUNT; f++)
		if (missing & set_of((enum tx_field)f))
			misfit(r, MISFIT_MISSING, (enum tx_field)f);
}

static bool report(const struct reading *r, const struct tx_type_row *row, struct error *err)
{
	const char *prefix = r->field == TXF_APPROVAL_BY || r->field == TXF_APPROVAL_SIGNATURE ? "approval." : "";
	enum error_code code = ERR_MALFORMED_FIELD;
	switch (r->misfit) {
	case MISFIT_NONE:
		return true;
	case MISFIT_MISSING:
		return error_set(err, ERR_MISSING_FIELD, "%s%s is missing", prefix, tx_field_name(r->field));
	case MISFIT_UNKNOWN:
		return error_set(err, ERR_UNKNOWN_FIELD, "a %s has no field %s", row->name, r->stranger);
	case MISFIT_AMOUNT:
		code = ERR_AMOUNT_MALFORMED;
		break;
	case MISFIT_USERNAME:
		code = ERR_USERNAME_MALFORMED;
		break;
	case MISFIT_MALFORMED:
		break;
	}
	return error_set(err, code, "%s%s must be %s", prefix, tx_field_name(r->field), tx_form_doc(tx_field_form(r->field)));
}

static bool read_type(struct str message, enum tx_type *type, struct error *err)
{
	struct str value, text;
	if (!canonical_find(message, "type", &value))
		return error_set(err, ERR_MISSING_FIELD, "type is missing");
	if (!canonical_read_plain(value, &text) || !tx_type_from_text(text, type))
		return error_set(err, ERR_UNKNOWN_TYPE, "there is no such type of transaction");
	return true;
}

bool tx_parse(struct str message, int64_t max_bytes, struct arena *arena, struct tx *out, struct error *err)
{
	if (message.n > (uint64_t)max_bytes)
		return error_set(err, ERR_TOO_LARGE, "a transaction's message has at most %lld bytes, this one has %zu", (long long)max_bytes, message.n);
	if (message.n == 0 || message.p[0] != '{' || !canonical_check(message)) {
		error_set(err, ERR_NOT_CANONICAL, "the message is not canonical JSON");
		return error_hint(err, "RFC 8785: keys sorted, no blanks, integers only, one spelling for each character");
	}
	*out = (struct tx){.message = message};
	if (!read_type(message, &out->type, err))
		return false;
	struct reading r = {.arena = arena, .out = out, .misfit = MISFIT_NONE, .field = TXF_COUNT};
	read_fields(&r, tx_type_row(out->type));
	if (!report(&r, tx_type_row(out->type), err))
		return false;
	out->nonce = tx_int(out, TXF_NONCE);
	out->timestamp = tx_int(out, TXF_TIMESTAMP);
	sha256(&out->id, message.p, message.n);
	return true;
}

void tx_parse_again(struct str message, const struct hash *id, struct arena *arena, struct tx *out)
{
	struct error err;
	*out = (struct tx){.message = message, .id = *id};
	struct reading r = {.arena = arena, .out = out, .judged = true, .misfit = MISFIT_NONE, .field = TXF_COUNT};
	bool fine = read_type(message, &out->type, &err);
	invariant(fine);
	read_fields(&r, tx_type_row(out->type));
	invariant(r.misfit == MISFIT_NONE);
	out->nonce = tx_int(out, TXF_NONCE);
	out->timestamp = tx_int(out, TXF_TIMESTAMP);
}

struct str tx_text(const struct tx *t, enum tx_field f)
{
	for (unsigned i = 0; i < t->count; i++)
		if (t->field[i] == f)
			return t->value[i];
	return STR_NONE;
}

int64_t tx_int(const struct tx *t, enum tx_field f)
{
	int64_t v = 0;
	bool is_int = str_to_int64(tx_text(t, f), &v);
	invariant(is_int);
	return v;
}

void tx_write(struct buf *out, const struct str value[TXF_COUNT])
{
	struct canonical_writer w;
	canonical_begin(&w, out);
	canonical_object(&w);
	for (unsigned i = 0; i < FIELD_COUNT; i++) {
		enum tx_field f = (enum tx_field)i;
		if (f == TXF_APPROVAL && str_present(value[TXF_APPROVAL_BY])) {
			canonical_key(&w, tx_field_name(f));
			canonical_object(&w);
			canonical_key(&w, tx_field_name(TXF_APPROVAL_BY));
			canonical_str(&w, value[TXF_APPROVAL_BY]);
			canonical_key(&w, tx_field_name(TXF_APPROVAL_SIGNATURE));
			canonical_str(&w, value[TXF_APPROVAL_SIGNATURE]);
			canonical_end(&w);
		} else if (str_present(value[f])) {
			canonical_key(&w, tx_field_name(f));
			int64_t v = 0;
			if (is_integer(tx_field_form(f))) {
				bool is_int = str_to_int64(value[f], &v);
				invariant(is_int);
				canonical_int(&w, v);
			} else {
				canonical_str(&w, value[f]);
			}
		}
	}
	canonical_end(&w);
}
