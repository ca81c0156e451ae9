#include "paths.h"

#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"

enum { NAME_MAX_LEN = 64 };

static const char *home(void)
{
	const char *h = getenv("HOME");
	if (h && h[0] == '/')
		return h;
	const struct passwd *pw = getpwuid(getuid());
	return pw && pw->pw_dir ? pw->pw_dir : "/";
}

/* The XDG rule: a variable that is no absolute path counts as unset. */
static struct str base(struct arena *a, const char *variable, const char *below_home)
{
	const char *dir = getenv(variable);
	return dir && dir[0] == '/' ? arena_printf(a, "%s/tana", dir) : arena_printf(a, "%s/%s/tana", home(), below_home);
}

__attribute__((format(printf, 3, 0))) static const char *join(struct arena *a, struct str dir, const char *fmt, va_list args)
{
	char *name = NULL;
	if (vasprintf(&name, fmt, args) < 0)
		abort();
	struct str path = name[0] ? arena_printf(a, "%.*s/%s", STR_ARG(dir), name) : dir;
	free(name);
	return path.p;
}

const char *path_config(struct arena *a, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	const char *path = join(a, base(a, "XDG_CONFIG_HOME", ".config"), fmt, args);
	va_end(args);
	return path;
}

const char *path_state(struct arena *a, const char *chain, const char *fmt, ...)
{
	struct str dir = base(a, "XDG_STATE_HOME", ".local/state");
	va_list args;
	va_start(args, fmt);
	const char *path = join(a, arena_printf(a, "%.*s/%s", STR_ARG(dir), chain), fmt, args);
	va_end(args);
	return path;
}

const char *path_node_key(struct arena *a, struct str node_id)
{
	return path_config(a, "node-key-%.*s.json", STR_ARG(node_id));
}

const char *path_own_node_key(struct arena *a)
{
	return path_config(a, "node-key.json");
}

const char *path_service_key(struct arena *a, struct str node_id, struct str service)
{
	return path_config(a, "%.*s-%.*s-key.json", STR_ARG(node_id), STR_ARG(service));
}

const char *path_sovereign_key(struct arena *a)
{
	return path_config(a, "sovereign-key.json");
}

const char *path_user(struct arena *a, struct str username)
{
	return path_config(a, "users/%.*s.json", STR_ARG(username));
}

const char *path_chain(struct arena *a, const char *chain)
{
	return path_config(a, "chains/%s.json", chain);
}

bool path_name_valid(struct str name)
{
	if (!str_present(name) || name.n == 0 || name.n > NAME_MAX_LEN || name.p[0] == '.')
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!alnum && c != '.' && c != '_' && c != '-')
			return false;
	}
	return true;
}

const char *path_short(struct arena *a, const char *path)
{
	const char *h = home();
	size_t n = strlen(h);
	if (n > 1 && strncmp(path, h, n) == 0 && path[n] == '/')
		return arena_printf(a, "~%s", path + n).p;
	return path;
}
