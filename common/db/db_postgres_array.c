/* PostgreSQL: many values as one array, in the binary format (array_recv of the server; section 55.7 "Message Formats" gives only what is around it). */
#include <endian.h>

#include "db_postgres.h"

/* The types' numbers, which never change: pg_type.dat. */
enum { OID_BYTEA = 17, OID_INT8 = 20, OID_TEXT = 25 };

static void put32(struct buf *out, uint32_t v)
{
	v = htobe32(v);
	buf_put(out, &v, sizeof v);
}

static void put_value(struct buf *out, const struct db_value *v)
{
	uint64_t i;
	switch (v->type) {
	case DB_TYPE_NULL:
		put32(out, UINT32_MAX); /* a length of -1 */
		return;
	case DB_TYPE_INT:
		i = htobe64((uint64_t)v->i);
		put32(out, sizeof i);
		buf_put(out, &i, sizeof i);
		return;
	case DB_TYPE_TEXT:
	case DB_TYPE_BLOB:
		put32(out, (uint32_t)v->s.n);
		buf_put_str(out, v->s);
		return;
	}
}

bool pg_array(struct buf *out, const struct db_args *args, size_t count, size_t column)
{
	enum db_type type = DB_TYPE_NULL;
	bool nulls = false;
	for (size_t i = 0; i < count; i++) {
		enum db_type t = args[i].v[column].type;
		nulls |= t == DB_TYPE_NULL;
		if (type == DB_TYPE_NULL)
			type = t;
		else if (t != DB_TYPE_NULL && t != type)
			return false;
	}
	if (type == DB_TYPE_NULL)
		return true;
	put32(out, 1); /* dimensions */
	put32(out, nulls);
	put32(out, type == DB_TYPE_INT ? OID_INT8 : type == DB_TYPE_TEXT ? OID_TEXT : OID_BYTEA);
	put32(out, (uint32_t)count);
	put32(out, 1); /* the first one's index */
	for (size_t i = 0; i < count; i++)
		put_value(out, &args[i].v[column]);
	return true;
}
