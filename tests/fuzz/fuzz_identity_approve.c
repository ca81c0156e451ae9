/*
 * What a phone sends: the first byte chooses between a body of POST /auth/session/:id/approve, a signed message, a URL and a code's text. A message that is
 * taken says what its session says; an origin that is read reads as itself; a code that is read is written as it was.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/log.h"
#include "identityd/origin_rules.h"
#include "identityd/session_rules.h"
#include "wire/identity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct approve_session session = {
	.id = {"sess_0123456789abcdef", 21},
	.challenge = {"c", 1},
	.status = SESSION_WAITING,
	.server = {"https://id.example", 18},
	.client_id = {"grafana", 7},
	.origin = {"https://app.example", 19},
};
static const int64_t now = INT64_C(1800000000000);

static void judge(struct approve_claim *c, struct arena *a)
{
	struct error err = {.code = ERR_COUNT};
	if (approve_check(&session, c, now, a, &err)) {
		invariant(str_present(c->message) && memmem(c->message.p, c->message.n, session.id.p, session.id.n));
		return;
	}
	invariant(err.code != ERR_COUNT && err.message[0]);
}

static void try_message(struct str text, struct arena *a)
{
	static const char zeros[] = "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000";
	struct approve_claim c = {.user_id = STR_LIT("u"),
				  .username = STR_LIT("n"),
				  .public_key = STR_LIT("ed25519_3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"),
				  .signature = str_of(zeros, 128),
				  .message = text};
	judge(&c, a);
}

static void try_body(struct str text, struct arena *a)
{
	struct identity_approve body;
	struct error err;
	if (!json_read_text(text, &identity_approve_message, &body, a, &err))
		return;
	struct approve_claim c = {
		.user_id = body.user_id, .username = body.username, .public_key = body.public_key, .signature = body.signature, .message = body.message};
	judge(&c, a);
}

static void try_url(struct str text, struct arena *a)
{
	struct str origin, again;
	if (!url_origin(text, a, &origin))
		return;
	invariant(str_starts(origin, "http"));
	invariant(url_is_origin(origin, a, &again) && str_equal(origin, again));
}

static void try_code(struct str text, struct arena *a)
{
	struct identity_qr qr, again;
	struct buf json = {0}, link = {0};
	struct error err;
	if (!identity_qr_read(text, &qr, a, &err))
		return;
	json_write(&json, &identity_qr_message, &qr);
	identity_link_write(&link, buf_str(&json));
	invariant(identity_qr_read(buf_str(&link), &again, a, &err) && str_equal(qr.challenge, again.challenge) && str_equal(qr.app_name, again.app_name));
	buf_free(&json);
	buf_free(&link);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a;
	struct error err;
	static bool started;
	if (!started && !crypto_start(&err))
		abort();
	started = true;
	if (size == 0)
		return 0;
	struct str text = str_of((const char *)data + 1, size - 1);
	arena_init(&a);
	switch (data[0] % 4) {
	case 0:
		try_message(text, &a);
		break;
	case 1:
		try_body(text, &a);
		break;
	case 2:
		try_url(text, &a);
		break;
	case 3:
		try_code(text, &a);
		break;
	}
	arena_free(&a);
	return 0;
}
