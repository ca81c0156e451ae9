/*
 * One running identity service: what its parts share. Set up by identityd.c, read by the handlers; everything here that changes says how
 * it is guarded.
 */
#ifndef TANA_IDENTITYD_IDENTITY_H
#define TANA_IDENTITYD_IDENTITY_H

#include <stdatomic.h>

#include "daemon/command.h"
#include "db/db_pool.h"
#include "http/server.h"

#define IDENTITY_DESCRIPTION "Log in with a key: a code on the screen, a signature by the phone; and an OpenID Provider on top of it."

/* Who says that a key is a user's. */
enum key_binding {
	BIND_LEDGER, /* the ledger, at the moment of the approval */
	BIND_FILE,   /* a file of users */
	BIND_TOFU,   /* whoever came first under this id */
	BIND_NONE    /* nobody: the claim alone */
};
/* When a match code (shown on the desktop, picked on the phone) is demanded. */
enum match_when { MATCH_NEVER, MATCH_NEW /* of browsers this user never logged in with */, MATCH_ALWAYS };

/* The OpenID Provider's part (oidc.h). */
struct oidc_config {
	const char *clients_file; /* NULL: no clients; then there are no keys either */
	const char *keys_file;
	const char *email_domain; /* NULL: no email is told */
	bool email_verified;
	int64_t key_lifetime_ms, key_overlap_ms;
};

struct identity_config {
	const char *db_url;
	const char *public_url;     /* "https://id.example.com": scheme, host, port; no slash at the end */
	bool secure;                /* it is https: cookies are Secure */
	const char *cookie_domain;  /* NULL: none. Applications of this domain hand the browser's login to /auth/forward */
	const char *ledger_url;     /* NULL: none */
	const char *redis_url;      /* NULL: none */
	const char *users_file;     /* BIND_FILE */
	enum key_binding binding;
	enum match_when match;
	const struct str *return_origins; /* of --allow-return-origin, normalised (origin_rules.h) */
	size_t return_origin_count;
	const char *const *allow_origins; /* of --allow-origin, normalised; NULL-terminated */
	int64_t session_ttl_ms;
	int64_t token_ttl_ms;
	int64_t sessions_max;       /* waiting at once */
	int64_t streams_per_session, streams_per_address;
	struct oidc_config oidc;
};

struct watch;   /* watch.h: event streams of sessions and users */
struct notify;  /* notify.h: what other instances hear */
struct fresh;   /* fresh.h: sessions begun here lately */
struct keeper;  /* keeper.h: the timer that expires and purges */
struct binding; /* binding.h: whose key is it */
struct jobs;
struct oidc;    /* oidc.h: the OpenID Provider */

struct identity {
	struct identity_config config;
	struct arena arena; /* for what lives as long as the process */
	struct db_pool *pool;
	struct sse_hub *hub; /* no events of its own: it keeps the streams awake */
	struct watch *watch;
	struct notify *notify;
	struct fresh *fresh;
	struct keeper *keeper;
	struct binding *binding;
	struct jobs *jobs; /* calls of the ledger, which may take a while */
	struct oidc *oidc;
	/* About how many sessions wait for a phone: open_base + begun - begun_then. Counted anew each second (keeper.h). */
	_Atomic int64_t open_base, begun, begun_then;
};

/* Reads the options into *id; opens nothing. identity_close may be called after a failure of this or of what follows. */
MUST_CHECK bool identity_configure(struct identity *id, const struct invocation *in, struct error *err);
MUST_CHECK bool identity_open(struct identity *id, struct error *err);
void identity_close(struct identity *id);

#endif
