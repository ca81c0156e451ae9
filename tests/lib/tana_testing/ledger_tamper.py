"""Tampering with a ledger's database in every way, by the database's own catalogue: nothing here knows a table or a column by name.

A database is SQLite's file or a PostgreSQL URL; rows are tuples. Each mutation is made on all rows of the table rewritten into it, so constraints
that would stand in the way (NOT NULL, UNIQUE) are taken off first: who tampers would do that too.
"""

import contextlib
import sqlite3
from dataclasses import dataclass, field

from . import pg

#: What is nobody's claim: never audited.
LOCAL = "local_"


@dataclass
class Table:
    name: str
    columns: list
    key: list  # indexes of the columns that name a row
    rows: list = field(default_factory=list)

    def identity(self, row):
        """As findings name it: bytes in hex."""
        return {self.columns[i]: row[i].hex() if isinstance(row[i], bytes) else row[i] for i in self.key}


@dataclass
class Mutation:
    table: Table
    kind: str
    what: str
    row: dict  # the identity of the row it is about, as it was
    rows: list  # all rows afterwards
    bare: bool  # needs a table without constraints

    def __str__(self):
        return f"{self.kind} {self.table.name} {self.row} {self.what}"


# -- the two databases


class Sqlite:
    def __init__(self, path):
        self.path = path

    @contextlib.contextmanager
    def _open(self):
        db = sqlite3.connect(self.path, isolation_level=None)
        try:
            db.execute("PRAGMA synchronous=OFF")
            yield db
        finally:
            db.close()

    def tables(self):
        with self._open() as db:
            names = [r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")]
            out = []
            for name in names:
                if name.startswith(LOCAL):
                    continue
                info = list(db.execute(f'PRAGMA table_info("{name}")'))
                columns = [r[1] for r in info]
                key = [i for i, r in sorted(enumerate(info), key=lambda x: x[1][5]) if r[5]]
                order = ", ".join(f'"{columns[i]}"' for i in key)
                out.append(Table(name, columns, key, list(db.execute(f'SELECT * FROM "{name}" ORDER BY {order}'))))
            return out

    def write(self, table, rows, bare=False):
        """These are all rows of the table now."""
        with self._open() as db:
            db.execute("BEGIN")
            if bare:
                db.execute(f'CREATE TABLE bare AS SELECT * FROM "{table.name}" LIMIT 0')
                db.execute(f'DROP TABLE "{table.name}"')
                db.execute(f'ALTER TABLE bare RENAME TO "{table.name}"')
            else:
                db.execute(f'DELETE FROM "{table.name}"')
            marks = ", ".join("?" * len(table.columns))
            db.executemany(f'INSERT INTO "{table.name}" VALUES ({marks})', rows)
            db.execute("COMMIT")

    def run(self, *statements):
        with self._open() as db:
            for s in statements:
                db.execute(s)


class Postgres:
    def __init__(self, url):
        self.url = url

    def tables(self):
        with pg.connection(self.url) as c:
            cursor = c.cursor()
            cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY table_name")
            out = []
            for (name,) in cursor.fetchall():
                if name.startswith(LOCAL):
                    continue
                cursor.execute("SELECT column_name FROM information_schema.columns WHERE table_name = %s ORDER BY ordinal_position", (name,))
                columns = [r[0] for r in cursor.fetchall()]
                cursor.execute(
                    "SELECT k.column_name FROM information_schema.table_constraints t JOIN information_schema.key_column_usage k"
                    " ON k.constraint_name = t.constraint_name AND k.table_name = t.table_name"
                    " WHERE t.table_name = %s AND t.constraint_type = 'PRIMARY KEY' ORDER BY k.ordinal_position", (name,),
                )
                key = [columns.index(r[0]) for r in cursor.fetchall()]
                order = ", ".join(f'"{columns[i]}"' for i in key)
                cursor.execute(f'SELECT * FROM "{name}" ORDER BY {order}')
                rows = [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in cursor.fetchall()]
                out.append(Table(name, columns, key, rows))
            return out

    def write(self, table, rows, bare=False):
        with pg.connection(self.url) as c:
            cursor = c.cursor()
            if bare:
                cursor.execute("SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass ORDER BY contype DESC", (table.name,))
                for (name,) in cursor.fetchall():
                    cursor.execute(f'ALTER TABLE "{table.name}" DROP CONSTRAINT "{name}" CASCADE')
                for column in table.columns:
                    cursor.execute(f'ALTER TABLE "{table.name}" ALTER "{column}" DROP NOT NULL')
            cursor.execute(f'DELETE FROM "{table.name}"')
            for row in rows:
                cursor.execute(f'INSERT INTO "{table.name}" VALUES ({", ".join(["%s"] * len(row))})', row)

    def run(self, *statements):
        with pg.connection(self.url) as c:
            for s in statements:
                c.cursor().execute(s)


# -- mutations


def _others(value, n):
    """What could stand there instead of a value; n: which of several ways is taken."""
    if value is None:
        return ["x"]
    if isinstance(value, int):
        return [value + 1_000_000 if n % 2 else -value - 1]
    if isinstance(value, str):
        middle = len(value) // 2
        flipped = value[:middle] + ("1" if value[middle : middle + 1] != "1" else "2") + value[middle + 1 :]
        ways = [value + " ", value[:-1], value.upper() if value.upper() != value else value.lower()]
        return [flipped, ways[n % 3]]
    middle = len(value) // 2
    flipped = value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :]
    return [flipped, [value + b"x", value[:-1], value + bytes(16), value[:-16]][n % 4]]


def mutations(table):
    """Every cell changed and nulled; every row left out, doubled, and exchanged with the next one."""
    rows = table.rows
    for n, row in enumerate(rows):
        about = table.identity(row)
        for c, column in enumerate(table.columns):
            for other in _others(row[c], n + c):
                if other == row[c]:
                    continue
                changed = row[:c] + (other,) + row[c + 1 :]
                yield Mutation(table, "change", f"{column} = {other!r:.80}", about, rows[:n] + [changed] + rows[n + 1 :], False)
            if row[c] is not None:
                nulled = row[:c] + (None,) + row[c + 1 :]
                yield Mutation(table, "null", column, about, rows[:n] + [nulled] + rows[n + 1 :], True)
        yield Mutation(table, "delete", "", about, rows[:n] + rows[n + 1 :], False)
        yield Mutation(table, "duplicate", "", about, rows[: n + 1] + [row] + rows[n + 1 :], True)
        if n + 1 < len(rows) and len(table.key) < len(table.columns):
            # The two keep their keys and exchange everything else.
            here, there = list(row), list(rows[n + 1])
            for c in range(len(table.columns)):
                if c not in table.key:
                    here[c], there[c] = there[c], here[c]
            # Two rows may say the same of different keys: then nothing changed.
            if tuple(here) != row:
                yield Mutation(table, "swap", "", about, rows[:n] + [tuple(here), tuple(there)] + rows[n + 2 :], False)
