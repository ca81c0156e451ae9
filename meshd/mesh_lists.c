#include "mesh_lists.h"

#include <stdlib.h>

#include "mesh_liveness.h"
#include "mesh_store.h"

#define COLUMNS NODE_COLUMNS ", l.last_heartbeat, l.ip, l.health, l.height, l.version"
#define FROM " FROM nodes n LEFT JOIN local_liveness l ON l.node_id = n.id "

DB_SQL(SQL_ONE, "SELECT " COLUMNS FROM "WHERE n.id = $1");
DB_SQL(SQL_ALL, "SELECT " COLUMNS FROM "WHERE n.id > $1 ORDER BY n.id LIMIT $2");
DB_SQL(SQL_STATUS, "SELECT " COLUMNS FROM "WHERE n.status = $1 AND n.id > $2 ORDER BY n.id LIMIT $3");
DB_SQL(SQL_STATUS_ROLE, "SELECT " COLUMNS FROM "WHERE n.status = $1 AND n.role = $2 AND n.id > $3 ORDER BY n.id LIMIT $4");

/* The registered services, from the column's canonical JSON list. */
struct service_list {
	struct json_list services;
};
static const struct json_field service_list_rows[] = {
	F_LIST(struct service_list, services, "services", JSON_REQUIRED, 0, &mesh_service_message, "as registered"),
};
static JSON_MESSAGE(service_list_message, "ServiceList", struct service_list, service_list_rows);

static bool read_services(struct str column, struct str health, enum services_form form, struct arena *arena, struct json_list *out)
{
	struct service_list list;
	struct error err;
	*out = (struct json_list){.items = NULL, .count = 0};
	if (str_is(column, "[]"))
		return true;
	struct str text = arena_printf(arena, "{\"services\":%.*s}", STR_ARG(column));
	if (!json_read_text(text, &service_list_message, &list, arena, &err))
		return false;
	if (form == SERVICES_TOPOLOGY) {
		*out = list.services;
		return true;
	}
	const struct mesh_service *in = list.services.items;
	struct mesh_node_service *rows = arena_zalloc(arena, list.services.count, sizeof(*rows));
	for (size_t i = 0; i < list.services.count; i++) {
		struct health h = health_of(health, in[i].type);
		rows[i] = (struct mesh_node_service){.service_type = in[i].type,
						     .port = in[i].port,
						     .public_key = in[i].public_key,
						     .healthy = h.healthy,
						     .last_check = h.last_check};
	}
	*out = (struct json_list){.items = rows, .count = list.services.count};
	return true;
}

static int64_t int_or_absent(struct db_rows *rows, int column)
{
	return db_is_null(rows, column) ? JSON_INT_ABSENT : db_int(rows, column);
}

static bool read_node(struct db_rows *rows, enum services_form form, struct arena *arena, struct mesh_node *out)
{
	enum { LAST = NODE_COLUMN_COUNT, IP, HEALTH, HEIGHT, VERSION };
	struct node_row n;
	if (!node_row_read(rows, 0, arena, &n))
		return false;
	struct str ip = arena_copy(arena, db_text(rows, IP));
	*out = (struct mesh_node){
		.id = n.id,
		.public_key = n.public_key,
		.tailscale_hostname = n.tailscale_hostname,
		.tailscale_ip = str_present(ip) ? ip : n.tailscale_ip,
		.status = str_from(node_status_text(n.status)),
		.role = n.role,
		.region = n.region,
		.provider = n.provider,
		.latitude = n.latitude,
		.longitude = n.longitude,
		.registered_at = n.registered_at,
		.approved_at = n.approved_at ? n.approved_at : JSON_INT_ABSENT,
		.approved_by = n.approved_by,
		.last_heartbeat = int_or_absent(rows, LAST),
		.height = int_or_absent(rows, HEIGHT),
		.version = arena_copy(arena, db_text(rows, VERSION)),
	};
	return read_services(n.services, db_text(rows, HEALTH), form, arena, &out->services);
}

static enum db_status unreadable(struct error *err)
{
	error_set(err, ERR_CORRUPT, "a row of the registry cannot be read; run `meshd verify`");
	return DB_BROKEN;
}

/* Appends the rows of one query to list[*count...]; there is room. */
static enum db_status collect(struct db_conn *c, const struct db_sql *sql, struct db_args args, enum services_form form, struct arena *arena,
			      struct mesh_node *list, size_t *count, struct error *err)
{
	struct db_rows *rows;
	bool readable = true;
	enum db_status st = db_query(c, sql, args, &rows, err);
	if (st != DB_OK)
		return st;
	while (readable && db_next(rows))
		readable = read_node(rows, form, arena, &list[(*count)++]);
	st = db_finish(rows, err);
	return st == DB_OK && !readable ? unreadable(err) : st;
}

static int by_id(const void *a, const void *b)
{
	const struct mesh_node *x = a, *y = b;
	return str_compare(x->id, y->id);
}

enum db_status nodes_list(struct db_conn *c, const struct node_filter *f, enum services_form form, struct arena *arena, struct json_list *out, bool *more,
			  struct error *err)
{
	/* Each status is read from its own index, one more than asked for; together they are put in order. */
	struct db_value limit = DB_INT(f->limit + 1), after = DB_TEXT(f->after);
	struct mesh_node *list = arena_zalloc(arena, NODE_STATUS_COUNT * ((size_t)f->limit + 1), sizeof(*list));
	size_t count = 0;
	enum db_status st = DB_OK;
	if (f->statuses == ALL_STATUSES && !str_present(f->role)) {
		st = collect(c, &SQL_ALL, DB_ARGS(after, limit), form, arena, list, &count, err);
	} else {
		for (int s = 0; st == DB_OK && s < NODE_STATUS_COUNT; s++) {
			if (!(f->statuses & 1U << s))
				continue;
			struct db_value status = DB_TEXT(str_from(node_status_text((enum node_status)s)));
			st = str_present(f->role)
				     ? collect(c, &SQL_STATUS_ROLE, DB_ARGS(status, DB_TEXT(f->role), after, limit), form, arena, list, &count, err)
				     : collect(c, &SQL_STATUS, DB_ARGS(status, after, limit), form, arena, list, &count, err);
		}
		qsort(list, count, sizeof(*list), by_id);
	}
	*more = (int64_t)count > f->limit;
	*out = (struct json_list){.items = list, .count = *more ? (size_t)f->limit : count};
	return st;
}

enum db_status nodes_one(struct db_conn *c, struct str id, struct arena *arena, struct mesh_node *out, bool *found, struct error *err)
{
	struct db_rows *rows;
	bool readable = true;
	enum db_status st = db_query(c, &SQL_ONE, DB_ARGS(DB_TEXT(id)), &rows, err);
	if (st != DB_OK)
		return st;
	*found = db_next(rows);
	if (*found)
		readable = read_node(rows, SERVICES_ROWS, arena, out);
	st = db_finish(rows, err);
	return st == DB_OK && !readable ? unreadable(err) : st;
}
