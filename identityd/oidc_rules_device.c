/* Devices without a browser (RFC 8628). */
#include "oidc_rules.h"

static const char *const status_texts[] = {
	[DEVICE_PENDING] = "pending", [DEVICE_APPROVED] = "approved", [DEVICE_DENIED] = "denied", [DEVICE_USED] = "used"};

const char *device_status_text(enum device_status s)
{
	return status_texts[s];
}

bool device_status_from_text(struct str text, enum device_status *out)
{
	for (size_t i = 0; i < ARRAY_LEN(status_texts); i++)
		if (str_is(text, status_texts[i])) {
			*out = (enum device_status)i;
			return true;
		}
	return false;
}

static enum device_poll refused(struct error *err, enum error_code code, const char *why)
{
	error_set(err, code, "%s", why);
	return DEVICE_REFUSED;
}

static enum device_poll waits(const struct device_row *d, int64_t now, int64_t *interval_ms, struct error *err)
{
	/* One second is granted to clocks and networks. */
	bool early = d->polled_at != 0 && now - d->polled_at < d->interval_ms - 1000;
	*interval_ms = d->interval_ms + (early ? DEVICE_SLOWER_MS : 0);
	if (early)
		error_set(err, ERR_SLOW_DOWN, "asked too soon: every %lld s from now on", (long long)(*interval_ms / 1000));
	else
		error_set(err, ERR_AUTHORIZATION_PENDING, "nobody has said yes or no so far");
	return DEVICE_WAITS;
}

enum device_poll device_judge(const struct oidc_client *client, const struct device_row *d, int64_t now, int64_t *interval_ms, struct error *err)
{
	*interval_ms = d->interval_ms;
	if (!str_equal(client->id, d->client_id))
		return refused(err, ERR_INVALID_GRANT, "this device code was given to another client");
	switch (d->status) {
	case DEVICE_USED:
		return refused(err, ERR_INVALID_GRANT, "the device code was used before");
	case DEVICE_DENIED:
		return refused(err, ERR_ACCESS_DENIED, "the user said no");
	case DEVICE_PENDING:
	case DEVICE_APPROVED:
		break;
	}
	if (d->expires_at <= now)
		return refused(err, ERR_EXPIRED_TOKEN, "the device code has expired");
	if (d->status == DEVICE_PENDING)
		return waits(d, now, interval_ms, err);
	return grant_good(&d->grant, err) ? DEVICE_GOOD : DEVICE_REFUSED;
}

const char user_code_letters[20 + 1] = "BCDFGHJKLMNPQRSTVWXZ";

bool user_code_read(struct str typed, char out[USER_CODE_LETTERS + 1])
{
	size_t n = 0;
	for (size_t i = 0; i < typed.n; i++) {
		char c = typed.p[i];
		c = (char)(c >= 'a' && c <= 'z' ? c - 32 : c);
		if (c == ' ' || c == '-')
			continue;
		if (n == USER_CODE_LETTERS || c == '\0' || !strchr(user_code_letters, c))
			return false;
		out[n++] = c;
	}
	out[n] = '\0';
	return n == USER_CODE_LETTERS;
}

bool user_code_try(struct user_code_tries *t, int64_t now, int64_t *wait_ms)
{
	if (now < t->since || now - t->since >= USER_CODE_TRIES_MS)
		*t = (struct user_code_tries){.since = now};
	*wait_ms = t->since + USER_CODE_TRIES_MS - now;
	return t->count++ < USER_CODE_TRIES;
}
