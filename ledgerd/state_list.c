#include "state_list.h"

#include <stdio.h>

#include "base/log.h"
#include "crypto/canonical_read.h"

/* Behind the last ':' but `back` ones. */
static struct str part_behind(struct str key, int back)
{
	size_t at = key.n;
	for (; at > 0; at--)
		if (key.p[at - 1] == ':' && back-- == 0)
			break;
	return str_of(key.p + at, key.n - at);
}

static bool list(char out[STATE_LIST_MAX], const char *kind, struct str what, struct str *name)
{
	int n = snprintf(out, STATE_LIST_MAX, "%s:%.*s", kind, STR_ARG(what));
	invariant(n > 0 && n < STATE_LIST_MAX);
	*name = str_of(out, (size_t)n);
	return true;
}

bool open_request_type(struct str key, struct str value, struct str *type)
{
	struct str status;
	return str_present(value) && str_starts(key, "request:") && canonical_find(value, "status", &status) && str_is(status, "\"pending\"") &&
	       canonical_find(value, "type", type) && canonical_read_plain(*type, type);
}

struct str request_tx_id(struct str key)
{
	return part_behind(key, 0);
}

bool state_list_of(struct str key, char out[STATE_LIST_MAX], struct str *name)
{
	if (str_starts(key, "content:")) {
		struct str owner = part_behind(key, 0);
		return owner.n <= USER_ID_LEN && list(out, "owner", owner, name);
	}
	if (str_starts(key, "stake:")) {
		struct str rest = part_behind(key, 1);
		return rest.n > USER_ID_LEN && rest.p[USER_ID_LEN] == ':' && list(out, "staked", str_of(rest.p, USER_ID_LEN), name);
	}
	return false;
}

static void name_list(const char *kind, struct str what, struct tx_list_name *out)
{
	size_t n = strlen(kind);
	invariant(n + what.n <= sizeof out->text);
	memcpy(out->text, kind, n);
	memcpy(out->text + n, what.p, what.n);
	out->n = n + what.n;
}

void tx_list_account(struct str user, struct tx_list_name *out)
{
	name_list("account:", user, out);
}

void tx_list_type(struct str type, struct tx_list_name *out)
{
	name_list("type:", type, out);
}

size_t tx_lists_of(const struct tx *t, struct tx_list_name out[TX_LISTS_MAX])
{
	struct str from = tx_from(t), to = tx_text(t, TXF_TO), by = tx_text(t, TXF_APPROVAL_BY);
	size_t n = 0;
	tx_list_account(from, &out[n++]);
	if (str_present(to) && !str_equal(to, from))
		tx_list_account(to, &out[n++]);
	if (str_present(by) && !str_equal(by, from) && !str_equal(by, to))
		tx_list_account(by, &out[n++]);
	tx_list_type(str_from(tx_type_row(t->type)->name), &out[n++]);
	return n;
}
