#include "components.h"

#include "base/log.h"
#include "base/mem.h"
#include "server_private.h"

static void add_form(struct components *c, const struct json_form *f)
{
	for (size_t i = 0; i < c->form_count; i++) {
		if (c->forms[i] == f)
			return;
		invariant(strcmp(c->forms[i]->name, f->name) != 0);
	}
	invariant(c->form_count < COMPONENTS_MAX);
	c->forms[c->form_count++] = f;
}

static void add_message(struct components *c, const struct json_message *m)
{
	for (size_t i = 0; i < c->message_count; i++) {
		if (c->messages[i] == m)
			return;
		invariant(strcmp(c->messages[i]->name, m->name) != 0);
	}
	invariant(c->message_count < COMPONENTS_MAX);
	c->messages[c->message_count++] = m;
	for (size_t i = 0; i < m->count; i++) {
		if (m->fields[i].form)
			add_form(c, m->fields[i].form);
		if (m->fields[i].sub)
			add_message(c, m->fields[i].sub);
	}
}

void components_collect(struct components *c, const struct http_route *const *routes, size_t count)
{
	*c = (struct components){0};
	add_message(c, &http_error_message);
	for (size_t i = 0; i < count; i++) {
		if (routes[i]->flags & HTTP_OAUTH)
			add_message(c, &http_oauth_error_message);
		if (routes[i]->body)
			add_message(c, routes[i]->body);
		for (const struct http_answer *a = routes[i]->answers; a && a->status; a++)
			if (a->message)
				add_message(c, a->message);
	}
}

const struct http_route **documented_routes(const struct http_route *routes, size_t count, size_t *all)
{
	const struct http_route **list = xcalloc(count + http_builtin_count, sizeof(const struct http_route *));
	*all = 0;
	for (size_t i = 0; i < count; i++)
		list[(*all)++] = &routes[i];
	for (size_t i = 0; i < http_builtin_count; i++)
		list[(*all)++] = &http_builtin_routes[i];
	return list;
}

const char *http_access_text(enum http_access a)
{
	switch (a) {
	case ACCESS_ANYONE:
		return "anyone";
	case ACCESS_NODE_SIGNED:
		return "node-signed";
	case ACCESS_SOVEREIGN_SIGNED:
		return "sovereign-signed";
	case ACCESS_USER_SIGNED:
		return "user-signed";
	case ACCESS_TOKEN:
		return "token";
	case ACCESS_CLIENT:
		return "client";
	}
	fatal("no such access: %d", (int)a);
}
