/* wire: every message table of mesh. Its field names are the protocol; what is written reads back the same; each field's absence and each wrong type is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "crypto/canonical.h"
#include "crypto/ed25519.h"
#include "wire/mesh.h"

/* The protocol: names in order; "!" required, "?" null when absent, plain: optional. */
static const struct {
	const struct json_message *message;
	const char *fields;
} protocol[] = {
	{&mesh_service_message, "type! port! publicKey!"},
	{&mesh_invite_use_message, "publicKey! signature!"},
	{&mesh_register_message, "nodeId! publicKey! tailscaleHostname! tailscaleIP services! role region provider latitude longitude network timestamp invite signature!"},
	{&mesh_register_unsigned_message, "nodeId! publicKey! tailscaleHostname! tailscaleIP services! role region provider latitude longitude network timestamp invite"},
	{&mesh_node_answer_message, "success! nodeId! status! message"},
	{&mesh_decision_message, "approverPublicKey! timestamp signature! reason"},
	{&mesh_health_message, "type! healthy! lastCheck!"},
	{&mesh_heartbeat_message, "nodeId! timestamp! tailscaleIP services height version signed signature!"},
	{&mesh_heartbeat_answer_message, "success! timestamp!"},
	{&mesh_node_service_message, "service_type! port! public_key! healthy? last_check?"},
	{&mesh_node_message, "id! public_key! tailscale_hostname! tailscale_ip? status! role! registered_at! approved_at? approved_by? last_heartbeat? region? "
			     "provider? latitude? longitude? height? version? services!"},
	{&mesh_topology_node_message, "id! public_key! tailscale_hostname! tailscale_ip? status! role! registered_at! approved_at? approved_by? last_heartbeat? "
				      "region? provider? latitude? longitude? height? version? services!"},
	{&mesh_node_list_message, "nodes! nextCursor"},
	{&mesh_node_one_message, "node!"},
	{&mesh_topology_message, "nodes!"},
	{&mesh_history_entry_message, "timestamp! received_at! height? version? unhealthy!"},
	{&mesh_history_message, "heartbeats! nextCursor"},
	{&mesh_validator_message, "id! publicKey! wsUrl! lastSeen?"},
	{&mesh_validators_message, "validators!"},
	{&mesh_validator_one_message, "validator!"},
	{&mesh_sovereign_message, "public_key! description? added_at! added_by!"},
	{&mesh_sovereigns_message, "sovereigns!"},
	{&mesh_sovereign_add_message, "publicKey! description approverPublicKey timestamp signature"},
	{&mesh_sovereign_remove_message, "publicKey! approverPublicKey! timestamp! signature!"},
	{&mesh_sovereign_rotate_message, "oldPublicKey! newPublicKey! timestamp! signature! newSignature!"},
	{&mesh_sovereign_verify_message, "message! signature! publicKey"},
	{&mesh_sovereign_answer_message, "success! publicKey!"},
	{&mesh_verify_answer_message, "valid! publicKey!"},
	{&mesh_node_rotate_message, "newPublicKey! timestamp! signature! newSignature!"},
	{&mesh_invite_create_message, "publicKey! uses! expires! approverPublicKey! timestamp! signature!"},
	{&mesh_invite_revoke_message, "publicKey! approverPublicKey! timestamp! signature!"},
	{&mesh_invite_message, "public_key! uses! used! expires! created_at! created_by! revoked_at?"},
	{&mesh_invites_message, "invites! nextCursor"},
	{&mesh_audit_entry_message, "index! time! message! publicKey! signature! outcome! newPublicKey newSignature details"},
	{&mesh_audit_message, "entries! nextCursor"},
	{&mesh_inclusion_message, "index! size! leaf! root! path!"},
	{&mesh_consistency_message, "from! to! fromRoot! toRoot! path!"},
	{&mesh_evidence_message, "message! publicKey! signature! newPublicKey newSignature"},
	{&mesh_snapshot_node_message, "id! publicKey! status! registration! rotations! admission! inviteUse details"},
	{&mesh_snapshot_message, "type! network! coordinator! version! issued! expires! sovereigns! nodes! signature!"},
};

static void test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(protocol); i++) {
		const struct json_message *m = protocol[i].message;
		struct buf b = {0};
		for (size_t k = 0; k < m->count; k++) {
			const struct json_field *f = &m->fields[k];
			buf_printf(&b, "%s%s%s", k ? " " : "", f->name, f->flags & JSON_REQUIRED ? "!" : f->flags & JSON_NULL_WHEN_ABSENT ? "?" : "");
		}
		assert_string_equal(buf_z(&b), protocol[i].fields);
		buf_free(&b);
	}
}

static size_t member_size(enum json_type type)
{
	switch (type) {
	case JSON_TEXT:
	case JSON_FORM:
	case JSON_ANY:
		return sizeof(struct str);
	case JSON_INT:
		return sizeof(int64_t);
	case JSON_BOOL:
		return sizeof(enum json_bool);
	case JSON_OBJECT:
		return sizeof(void *);
	case JSON_LIST:
	case JSON_TEXTS:
		return sizeof(struct json_list);
	}
	return 0;
}

/* Each row has a member of its own, inside the struct, and a sentence. */
static void test_tables_are_sound(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(protocol); i++) {
		const struct json_message *m = protocol[i].message;
		assert_true(m->count > 0 && m->count <= JSON_FIELDS_MAX);
		for (size_t k = 0; k < m->count; k++) {
			const struct json_field *f = &m->fields[k];
			size_t end = f->offset + member_size(f->type);
			assert_true(end <= m->size);
			assert_true(strlen(f->doc) > 3 && f->doc[strlen(f->doc) - 1] == '.');
			assert_true((f->type == JSON_FORM) <= (f->form != NULL));
			assert_true((f->type == JSON_OBJECT || f->type == JSON_LIST) == (f->sub != NULL));
			for (size_t j = 0; j < k; j++) {
				const struct json_field *g = &m->fields[j];
				assert_true(g->offset >= end || f->offset >= g->offset + member_size(g->type));
				assert_string_not_equal(f->name, g->name);
			}
		}
	}
}

/* ---- Samples ---- */

static struct str key_text(struct arena *arena)
{
	struct ed25519_secret k;
	char text[ED25519_PUBLIC_TEXT_LEN + 1];
	ed25519_generate(&k);
	ed25519_public_to_text(&k.public_key, text);
	return str_from(arena_strdup(arena, text));
}

static struct str form_sample(const struct json_form *form, struct arena *arena)
{
	static const struct {
		const struct json_form *form;
		const char *text;
	} fixed[] = {
		{&form_node_id, "validator-1"}, {&form_network, "dev"},	   {&form_service_type, "x-sample"}, {&form_role, "observer"},
		{&form_status, "offline"},	{&form_ip, "fd7a::1"},	   {&form_hostname, "n1.ts.net"},    {&form_latitude, "-48.25"},
		{&form_longitude, "-179.5"},	{&form_version, "1.0 (x)"}, {&form_signed, "full"},
	};
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		if (fixed[i].form == form)
			return str_from(fixed[i].text);
	if (form == &form_public_key || form == &form_public_key_written)
		return key_text(arena);
	struct str key = key_text(arena);
	if (form == &form_hash)
		return str_of(key.p + 8, key.n - 8);
	assert_true(form == &form_signature || form == &form_signature_written);
	return arena_printf(arena, "ed25519_sig_%.*s%.*s", (int)key.n - 8, key.p + 8, (int)key.n - 8, key.p + 8);
}

enum filling { EVERYTHING, REQUIRED_ONLY };
static void fill(const struct json_message *m, void *out, enum filling how, struct arena *arena);

static void fill_list(const struct json_field *f, struct json_list *out, enum filling how, struct arena *arena)
{
	size_t size = f->type == JSON_TEXTS ? sizeof(struct str) : f->sub->size;
	*out = (struct json_list){arena_zalloc(arena, 2, size), how == EVERYTHING ? 2 : 0};
	for (size_t i = 0; i < out->count; i++) {
		char *item = (char *)out->items + i * size;
		if (f->type == JSON_TEXTS)
			*(struct str *)(void *)item = form_sample(f->form, arena);
		else
			fill(f->sub, item, how, arena);
	}
}

static void fill_field(const struct json_field *f, void *member, enum filling how, struct arena *arena)
{
	static int64_t counter;
	switch (f->type) {
	case JSON_TEXT:
		*(struct str *)member = arena_printf(arena, "text %lld \xc3\xa9%s", (long long)++counter, f->flags & JSON_VERBATIM ? "\r\x1b" : "\n");
		return;
	case JSON_FORM:
		*(struct str *)member = form_sample(f->form, arena);
		return;
	case JSON_INT:
		*(int64_t *)member = f->min + ++counter % (f->max - f->min);
		return;
	case JSON_BOOL:
		*(enum json_bool *)member = ++counter % 2 ? JSON_TRUE : JSON_FALSE;
		return;
	case JSON_OBJECT: {
		void *sub = arena_zalloc(arena, 1, f->sub->size);
		fill(f->sub, sub, how, arena);
		*(void **)member = sub;
		return;
	}
	case JSON_LIST:
	case JSON_TEXTS:
		fill_list(f, member, how, arena);
		return;
	case JSON_ANY:
		*(struct str *)member = STR_LIT("{\"a\":[1,null],\"b\":\"\"}");
		return;
	}
}

static void fill(const struct json_message *m, void *out, enum filling how, struct arena *arena)
{
	json_message_clear(m, out);
	for (size_t i = 0; i < m->count; i++)
		if (how == EVERYTHING || (m->fields[i].flags & JSON_REQUIRED))
			fill_field(&m->fields[i], (char *)out + m->fields[i].offset, how, arena);
}

/* ---- Round trips ---- */

typedef void write_fn(struct buf *, const struct json_message *, const void *);

static void round_trip(const struct json_message *m, enum filling how, write_fn *write)
{
	struct arena arena;
	struct error err = {0};
	struct buf first = {0}, second = {0};
	arena_init(&arena);
	void *value = arena_zalloc(&arena, 1, m->size), *back = arena_zalloc(&arena, 1, m->size);
	fill(m, value, how, &arena);
	write(&first, m, value);
	if (!json_read_text(buf_str(&first), m, back, &arena, &err))
		fail_msg("%s: %s in %s", m->name, err.message, buf_z(&first));
	write(&second, m, back);
	assert_string_equal(buf_z(&first), buf_z(&second));
	buf_free(&first);
	buf_free(&second);
	arena_free(&arena);
}

static void test_round_trips(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(protocol); i++)
		for (int k = 0; k < 3; k++) {
			round_trip(protocol[i].message, EVERYTHING, json_write);
			round_trip(protocol[i].message, EVERYTHING, json_write_canonical);
			round_trip(protocol[i].message, REQUIRED_ONLY, json_write);
			round_trip(protocol[i].message, REQUIRED_ONLY, json_write_canonical);
		}
}

/* The canonical writer, the canonicaliser and the checker are three; they must be of one mind. */
static void test_canonical(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(protocol); i++) {
		const struct json_message *m = protocol[i].message;
		struct arena arena;
		struct error err = {0};
		struct buf plain = {0}, by_table = {0}, by_document = {0};
		arena_init(&arena);
		void *value = arena_zalloc(&arena, 1, m->size);
		fill(m, value, EVERYTHING, &arena);
		json_write(&plain, m, value);
		json_write_canonical(&by_table, m, value);
		struct json_doc *d = json_parse_object(buf_str(&plain), &err);
		assert_non_null(d);
		assert_true(json_canonicalise(d, NULL, &by_document, &err));
		assert_string_equal(buf_z(&by_table), buf_z(&by_document));
		assert_true(canonical_check(buf_str(&by_table)));
		json_doc_free(d);
		buf_free(&plain);
		buf_free(&by_table);
		buf_free(&by_document);
		arena_free(&arena);
	}
}

/* ---- Refusals ---- */

/* The message, filled, with one field left out or replaced by `instead`. */
static void write_spoilt(struct buf *out, const struct json_message *m, const void *value, size_t spoilt, const char *instead)
{
	struct json_field rest[JSON_FIELDS_MAX];
	struct json_message others = *m;
	others.fields = rest;
	others.count = 0;
	for (size_t i = 0; i < m->count; i++)
		if (i != spoilt)
			rest[others.count++] = m->fields[i];
	json_write(out, &others, value);
	if (instead) {
		out->len--;
		buf_printf(out, "%s\"%s\":%s}", out->data[out->len - 1] == '{' ? "" : ",", m->fields[spoilt].name, instead);
	}
}

static void assert_spoilt(const struct json_message *m, size_t spoilt, const char *instead, enum error_code code)
{
	struct arena arena;
	struct error err = {0};
	struct buf b = {0};
	arena_init(&arena);
	void *value = arena_zalloc(&arena, 1, m->size);
	fill(m, value, REQUIRED_ONLY, &arena);
	write_spoilt(&b, m, value, spoilt, instead);
	if (json_read_text(buf_str(&b), m, value, &arena, &err))
		fail_msg("%s: accepted %s", m->name, buf_z(&b));
	assert_string_equal(error_code_text(err.code), error_code_text(code));
	assert_memory_equal(err.message, m->fields[spoilt].name, strlen(m->fields[spoilt].name));
	buf_free(&b);
	arena_free(&arena);
}

static void test_missing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(protocol); i++)
		for (size_t k = 0; k < protocol[i].message->count; k++)
			if (protocol[i].message->fields[k].flags & JSON_REQUIRED)
				assert_spoilt(protocol[i].message, k, NULL, ERR_MISSING_FIELD);
}

static void test_wrong_types(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(protocol); i++)
		for (size_t k = 0; k < protocol[i].message->count; k++) {
			const struct json_field *f = &protocol[i].message->fields[k];
			enum error_code code = f->type == JSON_FORM ? f->form->code : ERR_MALFORMED_FIELD;
			assert_spoilt(protocol[i].message, k, "1.5", code);
			if (f->type != JSON_ANY && f->type != JSON_BOOL)
				assert_spoilt(protocol[i].message, k, "true", code);
			if (f->type == JSON_INT)
				assert_spoilt(protocol[i].message, k, "\"1\"", code);
			if (f->type == JSON_FORM)
				assert_spoilt(protocol[i].message, k, "\"\xc2\x80\"", code);
			if (f->flags & JSON_REQUIRED)
				assert_spoilt(protocol[i].message, k, "null", code);
		}
}

/* Each numeric limit, list limit and text limit: the last value within, the first beyond. */
static void accepts(const struct json_message *m, size_t field, const char *value, bool wanted)
{
	struct arena arena;
	struct error err = {0};
	struct buf b = {0};
	arena_init(&arena);
	void *in = arena_zalloc(&arena, 1, m->size);
	fill(m, in, REQUIRED_ONLY, &arena);
	write_spoilt(&b, m, in, field, value);
	if (json_read_text(buf_str(&b), m, in, &arena, &err) != wanted)
		fail_msg("%s.%s: %.60s is %s", m->name, m->fields[field].name, value, wanted ? err.message : "accepted");
	buf_free(&b);
	arena_free(&arena);
}

static void check_limits(const struct json_message *m, size_t k)
{
	const struct json_field *f = &m->fields[k];
	struct buf b = {0};
	for (int beyond = 0; beyond <= 1; beyond++) {
		buf_clear(&b);
		if (f->type == JSON_INT) {
			buf_put_int(&b, f->max + beyond);
			accepts(m, k, buf_z(&b), !beyond);
			buf_clear(&b);
			buf_put_int(&b, f->min - beyond);
			accepts(m, k, buf_z(&b), !beyond);
		} else if (f->type == JSON_TEXT && f->max > 0) {
			buf_putc(&b, '"');
			for (int64_t n = 0; n < f->max + beyond; n++)
				buf_putc(&b, 'x');
			buf_putc(&b, '"');
			accepts(m, k, buf_z(&b), !beyond);
		} else if (f->type == JSON_TEXTS) {
			struct arena arena;
			arena_init(&arena);
			for (int64_t n = 0; n < f->max + beyond; n++) {
				buf_puts(&b, n ? ",\"" : "[\"");
				buf_put_str(&b, form_sample(f->form, &arena));
				buf_putc(&b, '"');
			}
			buf_putc(&b, ']');
			accepts(m, k, buf_z(&b), !beyond);
			arena_free(&arena);
		} else if (f->type == JSON_LIST && f->max > 0) {
			struct arena arena;
			arena_init(&arena);
			void *item = arena_zalloc(&arena, 1, f->sub->size);
			fill(f->sub, item, REQUIRED_ONLY, &arena);
			for (int64_t n = 0; n < f->max + beyond; n++) {
				buf_puts(&b, n ? "," : "[");
				json_write(&b, f->sub, item);
			}
			buf_putc(&b, ']');
			accepts(m, k, buf_z(&b), !beyond);
			arena_free(&arena);
		}
	}
	buf_free(&b);
}

static void test_limits(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(protocol); i++)
		for (size_t k = 0; k < protocol[i].message->count; k++)
			check_limits(protocol[i].message, k);
}

/* Requests as people's clients send them. */
static void test_documented_limits(void **state)
{
	(void)state;
	static const struct {
		const struct json_message *m;
		const char *field;
		int64_t min, max;
	} limits[] = {
		{&mesh_service_message, "port", 1, 65535},
		{&mesh_register_message, "services", 0, 16},
		{&mesh_register_message, "region", 0, 64},
		{&mesh_register_message, "provider", 0, 64},
		{&mesh_register_message, "timestamp", 0, CANONICAL_INT_MAX},
		{&mesh_decision_message, "reason", 0, 256},
		{&mesh_heartbeat_message, "services", 0, 16},
		{&mesh_sovereign_add_message, "description", 0, 256},
		{&mesh_sovereign_verify_message, "message", 0, 16384},
		{&mesh_invite_create_message, "uses", 1, 10000},
		{&mesh_node_list_message, "nodes", 0, 1000},
	};
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		size_t k = 0;
		while (k < limits[i].m->count && strcmp(limits[i].m->fields[k].name, limits[i].field) != 0)
			k++;
		assert_true(k < limits[i].m->count);
		assert_int_equal(limits[i].m->fields[k].min, limits[i].min);
		assert_int_equal(limits[i].m->fields[k].max, limits[i].max);
	}
}

static int start(void **state)
{
	(void)state;
	struct error err;
	return crypto_start(&err) ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	    cmocka_unit_test(test_tables_are_sound), cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_canonical),   cmocka_unit_test(test_missing),	     cmocka_unit_test(test_wrong_types),
		cmocka_unit_test(test_limits),	    cmocka_unit_test(test_documented_limits),
	};
	return cmocka_run_group_tests(tests, start, NULL);
}
