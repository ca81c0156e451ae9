/* PostgreSQL: connections, and what their failures mean. */
#include "db_postgres.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

/*
 * What every session sets. Waiting for a lock and sleeping inside a transaction have an end, so that one stuck instance does not
 * stop the others. Our statements are short: compiling them to machine code costs more than it saves.
 */
static const char session_settings[] = "SET lock_timeout = '5s';"
				       "SET idle_in_transaction_session_timeout = '60s';"
				       "SET client_min_messages = warning;"
				       "SET jit = off;";
static const char read_only_setting[] = "SET default_transaction_read_only = on;";
static const char ask_session[] = "SELECT current_setting('synchronous_commit'), current_schema() IS NULL,"
				  " btrim(split_part(current_setting('search_path'), ',', 1), ' \"')";

static void forward_notice(void *unused, const char *message)
{
	(void)unused;
	log_debug("postgres", LOG_STR("message", str_of(message, strcspn(message, "\n"))));
}

static const char *option(const PQconninfoOption *options, const char *keyword)
{
	for (; options->keyword; options++) {
		if (strcmp(options->keyword, keyword) == 0)
			return options->val;
	}
	return NULL;
}

/* Made from the parsed parts, so nothing that is not named here can slip out. */
bool pg_display(const char *url, char *out, size_t size)
{
	char *why = NULL;
	PQconninfoOption *options = PQconninfoParse(url, &why);
	PQfreemem(why);
	if (!options)
		return false;
	const char *user = option(options, "user"), *host = option(options, "host"), *port = option(options, "port"), *name = option(options, "dbname");
	bool socket = host && *host == '/';
	int n = snprintf(out, size, "postgres://%s%s%s%s%s/%s%s%s", user ? user : "", user ? "@" : "", host && !socket ? host : "", port ? ":" : "",
			 port ? port : "", name ? name : "", socket ? "?host=" : "", socket ? host : "");
	PQconninfoFree(options);
	return n >= 0 && (size_t)n < size;
}

/* libpq's messages are of several lines and end in one; a password may be in what it quotes. */
static void tidy_message(const PGconn *conn, const char *message, char *out, size_t size)
{
	const char *password = PQpass(conn);
	size_t secret = password ? strlen(password) : 0, n = 0;
	while (*message && n + 4 < size) {
		if (secret && strncmp(message, password, secret) == 0) {
			n += (size_t)snprintf(out + n, size - n, "***");
			message += secret;
		} else if (*message == '\n' || *message == '\t') {
			if (n && out[n - 1] != ' ')
				out[n++] = ' ';
			message++;
		} else {
			out[n++] = *message++;
		}
	}
	while (n && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
}

static enum db_status lost(struct pg *c, const char *what, struct error *err)
{
	char message[ERROR_MESSAGE_MAX];
	tidy_message(c->conn, PQerrorMessage(c->conn), message, sizeof(message));
	c->head.usable = false;
	error_set(err, ERR_UNAVAILABLE, "%s: %s", what, *message ? message : "the connection was lost");
	return DB_UNAVAILABLE;
}

struct meaning {
	const char *sqlstate; /* the whole, or a class of two characters */
	enum db_status status;
	enum error_code code;
	bool reopen; /* only a new connection can help */
};

/* Looked through in order. */
static const struct meaning meanings[] = {
	{"23", DB_CONFLICT, ERR_ALREADY_EXISTS, false},
	{"40003", DB_UNAVAILABLE, ERR_UNAVAILABLE, true}, /* statement completion unknown */
	{"40", DB_RETRY, ERR_UNAVAILABLE, false},         /* serialization failure, deadlock */
	{"53100", DB_FULL, ERR_STORAGE_FULL, false},      /* disk full */
	{"53", DB_UNAVAILABLE, ERR_UNAVAILABLE, false},   /* out of memory, too many connections */
	{"55P03", DB_UNAVAILABLE, ERR_UNAVAILABLE, false}, /* lock_timeout */
	{"57014", DB_UNAVAILABLE, ERR_UNAVAILABLE, false}, /* cancelled: a timeout, or the operator */
	{"57", DB_UNAVAILABLE, ERR_UNAVAILABLE, true},    /* shutdown, crash, still starting */
	{"58", DB_UNAVAILABLE, ERR_IO, false},            /* the server's disk */
	{"25006", DB_UNAVAILABLE, ERR_UNAVAILABLE, true}, /* read-only: the server became a standby */
	{"25P03", DB_UNAVAILABLE, ERR_UNAVAILABLE, true}, /* idle in a transaction for too long */
	{"08P01", DB_BROKEN, ERR_INTERNAL, false},        /* wrong number of arguments */
	{"08", DB_UNAVAILABLE, ERR_UNAVAILABLE, true},
	{"26", DB_UNAVAILABLE, ERR_UNAVAILABLE, true}, /* a prepared statement is gone: something between us shares sessions */
	{"0A000", DB_BROKEN, ERR_INTERNAL, true},      /* "cached plan must not change result type": the tables were changed under us */
	{"XX001", DB_BROKEN, ERR_CORRUPT, false},
	{"XX002", DB_BROKEN, ERR_CORRUPT, false},
};

enum db_status pg_failure(struct pg *c, const PGresult *r, struct error *err)
{
	const char *sqlstate = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
	if (!sqlstate || PQstatus(c->conn) == CONNECTION_BAD)
		return lost(c, "the database", err);
	const char *message = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
	struct meaning m = {.status = DB_BROKEN, .code = ERR_INTERNAL};
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
		if (strncmp(sqlstate, meanings[i].sqlstate, strlen(meanings[i].sqlstate)) == 0) {
			m = meanings[i];
			break;
		}
	}
	if (strcmp(sqlstate, "25006") == 0 && (c->read_only || c->head.txn == DB_IN_SNAPSHOT)) /* as asked for */
		m = (struct meaning){.status = DB_BROKEN, .code = ERR_INTERNAL};
	if (m.reopen)
		c->head.usable = false;
	error_set(err, m.code, "the database: %s (SQLSTATE %s)", message ? message : "no message", sqlstate);
	return m.status;
}

static void warn_about_durability(const char *synchronous_commit)
{
	static atomic_flag warned = ATOMIC_FLAG_INIT;
	if (strcmp(synchronous_commit, "off") == 0 && !atomic_flag_test_and_set(&warned))
		log_warn("a crash of the database server may lose answered changes", LOG_S("synchronous_commit", synchronous_commit));
}

/* The URL's search_path names a schema that is not there: a service's first start in a database that it shares with others. */
static enum db_status make_schema(struct pg *c, const char *name, struct error *err)
{
	char *quoted = PQescapeIdentifier(c->conn, name, strlen(name)), text[256];
	int n = quoted ? snprintf(text, sizeof(text), "CREATE SCHEMA IF NOT EXISTS %s", quoted) : -1;
	PQfreemem(quoted);
	if (n < 0 || (size_t)n >= sizeof(text)) {
		error_set(err, ERR_CONFIG, "the schema that the database URL names has no name to make it by");
		return DB_BROKEN;
	}
	PGresult *r = PQexec(c->conn, text);
	enum db_status status = PQresultStatus(r) == PGRES_COMMAND_OK ? DB_OK : pg_failure(c, r, err);
	PQclear(r);
	/* Two that make it at once: one of them finds it made. */
	return status == DB_CONFLICT ? DB_OK : status;
}

static enum db_status set_up(struct pg *c, struct error *err)
{
	const char *encoding = PQparameterStatus(c->conn, "server_encoding");
	if (encoding && strcmp(encoding, "UTF8") != 0 && strcmp(encoding, "SQL_ASCII") != 0) {
		error_set(err, ERR_CONFIG, "the database's encoding is %s; it must be UTF8", encoding);
		error_hint(err, "make it with: createdb --encoding=UTF8 --template=template0 NAME");
		return DB_BROKEN;
	}
	char text[sizeof(session_settings) + sizeof(read_only_setting) + sizeof(ask_session)];
	snprintf(text, sizeof(text), "%s%s%s", session_settings, c->read_only ? read_only_setting : "", ask_session);
	PGresult *r = PQexec(c->conn, text);
	enum db_status status = PQresultStatus(r) == PGRES_TUPLES_OK ? DB_OK : pg_failure(c, r, err);
	if (status == DB_OK)
		warn_about_durability(PQgetvalue(r, 0, 0));
	if (status == DB_OK && PQgetvalue(r, 0, 1)[0] == 't' && !c->read_only)
		status = make_schema(c, PQgetvalue(r, 0, 2), err);
	PQclear(r);
	return status;
}

/*
 * The settings before the URL are defaults that it may overrule; those after it are not to be overruled. A dead peer is noticed
 * within about 15 s.
 */
static PGconn *connect_to(const char *url, const char *name)
{
	static const char *const keywords[] = {"connect_timeout",  "keepalives",       "keepalives_idle",  "keepalives_interval", "keepalives_count",
					       "tcp_user_timeout", "application_name", "dbname", "client_encoding",     NULL};
	const char *const values[] = {"5", "1", "5", "3", "3", "15000", name, url, "UTF8", NULL};
	PGconn *conn = PQconnectdbParams(keywords, values, 1);
	if (!conn)
		fatal("out of memory");
	PQsetNoticeProcessor(conn, forward_notice, NULL);
	return conn;
}

enum db_status pg_open(const char *url, enum db_open_how how, const char *name, struct db_conn **out, struct error *err)
{
	char display[ERROR_MESSAGE_MAX / 2], what[ERROR_MESSAGE_MAX];
	if (!pg_display(url, display, sizeof(display))) {
		error_set(err, ERR_CONFIG, "the database URL is not one that libpq understands");
		error_hint(err, "special characters in user and password are written as %%XX");
		return DB_BROKEN;
	}
	struct pg *c = xcalloc(1, sizeof(*c));
	c->head.driver = &db_postgres_driver;
	c->head.usable = true;
	c->read_only = how == DB_OPEN_READ_ONLY;
	c->conn = connect_to(url, name);
	enum db_status status;
	snprintf(what, sizeof(what), "cannot reach %s", display);
	if (PQstatus(c->conn) != CONNECTION_OK)
		status = lost(c, what, err);
	else
		status = set_up(c, err);
	if (status != DB_OK) {
		pg_close(&c->head);
		return status;
	}
	*out = &c->head;
	return DB_OK;
}

void pg_close(struct db_conn *conn)
{
	struct pg *c = (struct pg *)conn;
	db_statements_clear(&c->statements, free);
	PQfinish(c->conn);
	free(c->params.values);
	free(c->params.lengths);
	free(c->params.formats);
	free(c->params.digits);
	free(c);
}

/* What an idle connection has to say is a farewell, or a notice. */
bool pg_check(struct db_conn *conn)
{
	enum { LOOKS = 16 };
	struct pg *c = (struct pg *)conn;
	for (int i = 0; i < LOOKS; i++) {
		struct pollfd p = {.fd = PQsocket(c->conn), .events = POLLIN};
		if (p.fd < 0)
			break;
		if (poll(&p, 1, 0) == 0)
			return true;
		if (!PQconsumeInput(c->conn))
			break;
		PQisBusy(c->conn); /* reads what has come */
	}
	return false;
}
