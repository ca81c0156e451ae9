/*
 * PostgreSQL: results, in the binary format (section 55.7 "Message Formats" and the send functions of the server's types): all
 * numbers are big-endian.
 */
#include "db_postgres.h"

#include <stdlib.h>

#include "base/mem.h"

/* The server's fixed numbers of its built-in types (pg_type.dat). */
enum {
	OID_BOOL = 16,
	OID_BYTEA = 17,
	OID_CHAR = 18,
	OID_NAME = 19,
	OID_INT8 = 20,
	OID_INT2 = 21,
	OID_INT4 = 23,
	OID_TEXT = 25,
	OID_OID = 26,
	OID_UNKNOWN = 705,
	OID_BPCHAR = 1042,
	OID_VARCHAR = 1043,
	OID_NUMERIC = 1700,
};

static bool known_type(Oid oid, enum db_type *type)
{
	switch (oid) {
	case OID_BOOL:
	case OID_INT2:
	case OID_INT4:
	case OID_INT8:
	case OID_OID:
	case OID_NUMERIC:
		*type = DB_TYPE_INT;
		return true;
	case OID_CHAR:
	case OID_NAME:
	case OID_TEXT:
	case OID_UNKNOWN:
	case OID_BPCHAR:
	case OID_VARCHAR:
		*type = DB_TYPE_TEXT;
		return true;
	case OID_BYTEA:
		*type = DB_TYPE_BLOB;
		return true;
	default:
		return false;
	}
}

enum db_status pg_rows_new(struct pg *c, PGresult *result, struct db_rows **rows, struct error *err)
{
	enum db_type type;
	for (int i = 0; i < PQnfields(result); i++) {
		if (known_type(PQftype(result, i), &type))
			continue;
		error_set(err, ERR_INTERNAL, "column %d (%s) has a type that is not read here (oid %u): cast it", i, PQfname(result, i), PQftype(result, i));
		PQclear(result);
		return DB_BROKEN;
	}
	struct pg_rows *r = xcalloc(1, sizeof(*r));
	r->head.c = &c->head;
	r->result = result;
	r->row = -1;
	*rows = &r->head;
	return DB_OK;
}

bool pg_next(struct db_rows *rows)
{
	struct pg_rows *r = (struct pg_rows *)rows;
	if (r->row < PQntuples(r->result))
		r->row++;
	return r->row < PQntuples(r->result);
}

enum db_status pg_finish(struct db_rows *rows, struct error *err)
{
	struct pg_rows *r = (struct pg_rows *)rows;
	enum db_status status = r->failed;
	if (status != DB_OK)
		*err = r->failure;
	PQclear(r->result);
	free(r);
	return status;
}

static uint64_t big_endian(const char *p, int n)
{
	uint64_t v = 0;
	for (int i = 0; i < n; i++)
		v = v << 8 | (unsigned char)p[i];
	return v;
}

static int int16_at(const char *p)
{
	return (int16_t)big_endian(p, 2);
}

/*
 * NUMERIC: four int16 (number of digits, weight of the first, sign, decimals shown), then the digits, in base 10000. False when it
 * is not a whole number within int64. Summed up below zero, where int64 reaches one further.
 */
static bool numeric_to_int64(const char *p, int n, int64_t *out)
{
	enum { HEAD = 8, NEGATIVE = 0x4000 };
	if (n < HEAD)
		return false;
	int digits = int16_at(p), weight = int16_at(p + 2), sign = int16_at(p + 4) & 0xffff;
	if (digits < 0 || n != HEAD + 2 * digits || (sign != 0 && sign != NEGATIVE))
		return false;
	int64_t v = 0;
	for (int i = 0; i < digits || (v != 0 && i <= weight); i++) {
		int digit = i < digits ? int16_at(p + HEAD + 2 * i) : 0;
		if (i > weight) {
			if (digit != 0)
				return false;
		} else if (__builtin_mul_overflow(v, 10000, &v) || __builtin_sub_overflow(v, digit, &v)) {
			return false;
		}
	}
	*out = v;
	return sign == NEGATIVE || !__builtin_sub_overflow(0, v, out);
}

static int64_t not_readable(struct pg_rows *r, int column, const char *as)
{
	if (r->failed == DB_OK) {
		r->failed = DB_BROKEN;
		error_set(&r->failure, ERR_INTERNAL, "column %d (%s) cannot be read as %s", column, PQfname(r->result, column), as);
	}
	return 0;
}

int64_t pg_integer(struct db_rows *rows, int column)
{
	struct pg_rows *r = (struct pg_rows *)rows;
	const char *p = PQgetvalue(r->result, r->row, column);
	int64_t v;
	if (PQgetisnull(r->result, r->row, column))
		return 0;
	switch (PQftype(r->result, column)) {
	case OID_INT8:
		return (int64_t)big_endian(p, 8);
	case OID_INT4:
		return (int32_t)big_endian(p, 4);
	case OID_INT2:
		return int16_at(p);
	case OID_OID:
		return (int64_t)big_endian(p, 4);
	case OID_BOOL:
		return *p;
	case OID_NUMERIC:
		if (numeric_to_int64(p, PQgetlength(r->result, r->row, column), &v))
			return v;
		return not_readable(r, column, "an int64");
	default:
		return not_readable(r, column, "a number");
	}
}

struct str pg_bytes(struct db_rows *rows, int column, enum db_type type)
{
	struct pg_rows *r = (struct pg_rows *)rows;
	enum db_type actual;
	if (PQgetisnull(r->result, r->row, column))
		return STR_NONE;
	if (!known_type(PQftype(r->result, column), &actual) || actual == DB_TYPE_INT) {
		not_readable(r, column, type == DB_TYPE_TEXT ? "a text" : "bytes");
		return STR_NONE;
	}
	return str_of(PQgetvalue(r->result, r->row, column), (size_t)PQgetlength(r->result, r->row, column));
}

enum db_type pg_column_type(struct db_rows *rows, int column)
{
	struct pg_rows *r = (struct pg_rows *)rows;
	enum db_type type = DB_TYPE_NULL;
	if (!PQgetisnull(r->result, r->row, column) && !known_type(PQftype(r->result, column), &type))
		type = DB_TYPE_NULL;
	return type;
}

int pg_columns(struct db_rows *rows)
{
	return PQnfields(((struct pg_rows *)rows)->result);
}

const char *pg_column_name(struct db_rows *rows, int column)
{
	return PQfname(((struct pg_rows *)rows)->result, column);
}
