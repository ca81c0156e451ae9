"""Promise: nothing in a block or in a table can be changed unnoticed. Every cell of every row of every audited table, as the database's own catalogue lists
them, is changed and nulled; rows are left out, doubled and exchanged; the chain is cut, re-hashed and re-signed: each is found, and the right place is named."""

import concurrent.futures
import itertools
import json
import os
import random
import shutil

import pytest
from tana_testing import oracle
from tana_testing.daemon import SANITIZED, binary, run
from tana_testing.ledger import write_key
from tana_testing.ledger_cases import VALIDATOR, World
from tana_testing.ledger_chain import Chain, read_chain, write_chain
from tana_testing.ledger_forms import TYPES, sha
from tana_testing.ledger_tamper import Postgres, Sqlite, mutations
from tana_testing.ledger_wallet import now

WORKERS = max(2, os.cpu_count() or 2)


def story():
    """(chain, world): a chain with every type of transaction, more than one validator over time, and blocks of several sizes."""
    world = World(timestamp=now() - 100_000)
    w, s = world, world.sovereign
    blocks = [
        world.setup[:4], world.setup[4:11], world.setup[11:],
        [w.alice.update(bio="b\u00efo"), w.alice.transfer(w.bob, "1.5", memo="m"), w.bob.decide(w.withdrawal, kind="withdraw"), s.currency("NEW")],
        [s.validator("v2", oracle.Key("v2"), 2)],
        [], [w.alice.unstake(VALIDATOR, "40"), w.alice.publish("a" * 64, 7, "kv_data", key="k"), w.bob.publish("a" * 64, 7, "kv_data")],
        [w.alice.retract("a" * 64), s.abdicate(w.bob), w.alice.deposit("3"), w.carol.withdraw("5", "MAX")],
    ]
    chain = Chain(world.genesis)
    for n, transactions in enumerate(blocks):
        assert chain.produce(transactions, VALIDATOR, world.key, now() - 50_000 + n)[1] == []
    assert {t.fields["type"] for b in chain.blocks for t in b.transactions} == set(TYPES)
    return chain, world


class Bench:
    """A directory with a genesis, and databases made from chain files."""

    def __init__(self, directory):
        self.directory, self.numbers = directory, itertools.count()
        self.chain, self.world = story()
        self.genesis = directory / "genesis.json"
        self.genesis.write_bytes(oracle.canonical(self.chain.genesis))

    def run(self, verb, url, *args):
        return run([binary("ledgerd"), verb, *args, "--db", url, "--genesis", self.genesis], self.directory)

    def fill(self, url, data):
        path = self.directory / f"chain-{next(self.numbers)}.jsonl"
        path.write_bytes(data)
        done = self.run("import", url, path)
        assert done.returncode == 0, done.stderr

    def made(self, data=None):
        """A SQLite file with the chain (or with this chain file)."""
        path = self.directory / f"made-{next(self.numbers)}.db"
        self.fill(f"sqlite:{path}", data or write_chain(self.chain))
        return path

    def copy(self, path):
        """A copy to break; what stands in the log beside it comes along."""
        copy = self.directory / f"copy-{next(self.numbers)}.db"
        for tail in ("", "-wal"):
            if os.path.exists(f"{path}{tail}"):
                shutil.copyfile(f"{path}{tail}", f"{copy}{tail}")
        return copy

    def verify(self, url, *args):
        """(exit status, findings, summary)"""
        done = self.run("verify", url, *(args or ["--all"]), "--json")
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        findings = [x for x in lines if "summary" not in x]
        summaries = [x["summary"] for x in lines if "summary" in x]
        return done.returncode, findings, summaries[-1] if summaries else {"stderr": done.stderr[-2000:]}

    def clean(self, url, *args):
        status, findings, summary = self.verify(url, *args)
        assert (status, findings) == (0, []), (findings[:5], summary)
        assert summary["valid"] is True and summary["findings"] == 0
        return summary


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("tamper"))


@pytest.fixture(scope="module")
def original(bench):
    path = bench.made()
    Sqlite(path).run("PRAGMA wal_checkpoint(TRUNCATE)")
    summary = bench.clean(f"sqlite:{path}")
    assert summary["height"] == bench.chain.height and summary["hash"] == bench.chain.head.hash
    return path


def names(finding, table, row):
    """Does a finding name this table's row: by its key, or for blocks and transactions by their place?"""
    if finding.get("table") == table.name and all(str(finding["row"].get(k)) == str(v) for k, v in row.items()):
        return True
    by_place = {k: row[k] for k in row if k in ("height", "idx")}
    if table.name not in ("blocks", "transactions") or finding["check"] == "databaseMatches":
        return False
    return finding.get("height") == by_place["height"] and finding.get("index", by_place.get("idx")) == by_place.get("idx", finding.get("index"))


def attempt(bench, original, mutation):
    """What is wrong with the audit of this mutation, or None."""
    copy = bench.copy(original)
    try:
        Sqlite(copy).write(mutation.table, mutation.rows, mutation.bare)
        status, findings, summary = bench.verify(f"sqlite:{copy}")
    finally:
        for tail in ("", "-wal", "-shm"):
            if os.path.exists(f"{copy}{tail}"):
                os.unlink(f"{copy}{tail}")
    if status != 1 or summary.get("valid") is not False or summary["findings"] != len(findings):
        return f"{mutation}: exit {status}, {findings[:2]} {summary}"
    if not any(names(f, mutation.table, mutation.row) for f in findings):
        return f"{mutation}: not named: {findings[:3]}"
    return None


def test_every_mutation_of_every_table(bench, original, storage):
    if storage != "sqlite":
        pytest.skip("PostgreSQL has a test of its own")
    tables = Sqlite(original).tables()
    assert {"blocks", "transactions", "state", "meta"} <= {t.name for t in tables} and all(t.key for t in tables)
    everything = [m for t in tables for m in mutations(t)]
    if SANITIZED:
        everything = random.Random(1).sample(everything, len(everything) // 8)
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        wrong = [w for w in pool.map(lambda m: attempt(bench, original, m), everything) if w]
    assert not wrong, f"{len(wrong)} of {len(everything)}:\n" + "\n".join(wrong[:30])


def test_mutations_on_postgresql(bench, database, storage):
    """A mutation of each kind of each table and column: that the audit reads this database as it does the other."""
    if storage != "postgres":
        pytest.skip("SQLite has a test of its own")
    url = database()
    bench.fill(url, write_chain(bench.chain))
    bench.clean(url)
    db, rng, wrong = Postgres(url), random.Random(2), []
    before = db.tables()
    for table in before:
        kinds = {}
        for m in mutations(table):
            if not m.bare:
                kinds.setdefault((m.kind, m.what.partition(" ")[0]), []).append(m)
        for choices in kinds.values():
            m = rng.choice(choices)
            db.write(table, m.rows)
            status, findings, summary = bench.verify(url)
            if status != 1 or not any(names(f, table, m.row) for f in findings):
                wrong.append(f"{m}: exit {status}, {findings[:2]} {summary}")
            db.write(table, table.rows)
    bench.clean(url)
    # Those that need the constraints off, last: they do not come back.
    for table in before:
        for kind in ("null", "duplicate"):
            m = rng.choice([m for m in mutations(table) if m.kind == kind])
            db.write(table, m.rows, bare=True)
            status, findings, summary = bench.verify(url)
            if status != 1 or not any(names(f, table, m.row) for f in findings):
                wrong.append(f"{m}: exit {status}, {findings[:2]} {summary}")
            db.write(table, table.rows)
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong[:20])


def test_rows_that_should_not_be_there(bench, original, storage):
    if storage != "sqlite":
        pytest.skip("offline")
    for table in Sqlite(original).tables():
        for row in table.rows[:3]:
            other = tuple(v + 7_000_000 if isinstance(v, int) else v if i not in table.key else v + b"x" if isinstance(v, bytes) else f"{v}x" for i, v in enumerate(row))
            if table.name == "transactions":
                other = tuple(sha(b"x").hex() if c == "id" else v for c, v in zip(table.columns, other))
            if table.name == "blocks":
                other = tuple(sha(b"x").hex() if c == "hash" else v for c, v in zip(table.columns, other))
            copy = bench.copy(original)
            Sqlite(copy).write(table, [*table.rows, other])
            status, findings, _ = bench.verify(f"sqlite:{copy}")
            assert status == 1 and any(names(f, table, table.identity(other)) for f in findings), (table.name, other, findings[:3])


def test_the_chain_cut_at_each_height(bench, original, storage):
    """Blocks and transactions gone, the state still there; then the state of an earlier day under the whole chain."""
    if storage != "sqlite":
        pytest.skip("offline")
    lines = write_chain(bench.chain).splitlines(keepends=True)
    for height in range(bench.chain.height):
        copy = bench.copy(original)
        Sqlite(copy).run(f"DELETE FROM blocks WHERE height > {height}", f"DELETE FROM transactions WHERE height > {height}")
        status, findings, _ = bench.verify(f"sqlite:{copy}")
        assert status == 1 and any(f.get("table") for f in findings), height
        # A hole in the middle.
        copy = bench.copy(original)
        Sqlite(copy).run(f"DELETE FROM blocks WHERE height = {height}", f"DELETE FROM transactions WHERE height = {height}")
        status, findings, _ = bench.verify(f"sqlite:{copy}")
        assert status == 1 and any(f.get("height") in (height, height + 1) or (f.get("row") or {}).get("height") == height for f in findings), findings
        earlier = bench.made(b"".join(lines[: height + 2]))
        bench.clean(f"sqlite:{earlier}")
        old, copy = Sqlite(earlier).tables(), bench.copy(original)
        for table in old:
            if table.name == "state":
                Sqlite(copy).write(table, table.rows)
        status, findings, _ = bench.verify(f"sqlite:{copy}")
        if read_chain(b"".join(lines[: height + 2])).entries() != bench.chain.entries():
            assert status == 1 and {f["table"] for f in findings if f["check"] == "databaseMatches"} == {"state"}, findings[:3]


# -- those who can compute hashes, and those who have keys


def rewritten(bench, original, height, change, key=None, only_hash=False):
    """A copy in which block `height` was changed, its hash (and signature, by `key`) made anew."""
    table = next(t for t in Sqlite(original).tables() if t.name == "blocks")
    transactions = next(t for t in Sqlite(original).tables() if t.name == "transactions")
    row = dict(zip(table.columns, table.rows[height]))
    header = json.loads(row["header"])
    rows = [dict(zip(transactions.columns, r)) for r in transactions.rows]
    change(header, [r for r in rows if r["height"] == height])
    if not only_hash:
        leaves = [r["message"].encode() + bytes.fromhex(r["signature"][12:]) for r in rows if r["height"] == height]
        header["txRoot"] = oracle.List(leaves).root().hex()
    row["header"] = oracle.canonical(header).decode()
    row["hash"] = sha(row["header"].encode()).hex()
    if key is not None:
        row["signature"] = key.sign(row["header"])
    copy = bench.copy(original)
    Sqlite(copy).write(table, [tuple(row[c] for c in table.columns) if r[0] == height else r for r in table.rows])
    Sqlite(copy).write(transactions, [tuple(r[c] for c in transactions.columns) for r in rows])
    return copy


def test_a_block_hashed_again(bench, original, storage):
    """The money of a transaction changed, and every hash of the block made to fit."""
    if storage != "sqlite":
        pytest.skip("offline")

    def steal(_, rows):
        for r in rows:
            r["message"] = r["message"].replace('"amount":"1000"', '"amount":"9000"')
            r["id"] = sha(r["message"].encode()).hex()

    at = next(b.height for b in bench.chain.blocks for t in b.transactions if b'"amount":"1000"' in t.message)
    for key in (None, oracle.Key("thief"), bench.world.key):
        copy = rewritten(bench, original, at, steal, key)
        status, findings, _ = bench.verify(f"sqlite:{copy}")
        checks = {f["check"] for f in findings if f.get("height") == at}
        assert status == 1 and "signaturesValid" in checks, findings[:3]
        # Without the producer's key the block itself does not verify; with it, the next block still points to the old one.
        assert ("producerSignatureValid" in checks) == (key is not bench.world.key)
        assert any(f["check"] == "linkValid" and f["height"] == at + 1 for f in findings)


def test_each_block_signed_by_another_key(bench, original, storage):
    if storage != "sqlite":
        pytest.skip("offline")
    for height in range(1, bench.chain.height + 1):
        copy = rewritten(bench, original, height, lambda h, r: None, oracle.Key("thief"))
        status, findings, _ = bench.verify(f"sqlite:{copy}")
        # (What is kept for proofs has the block's signature in it.)
        others = [f for f in findings if f.get("table") != "validator_steps"]
        assert status == 1 and {(f["check"], f["height"]) for f in others} == {("producerSignatureValid", height)}, findings


@pytest.mark.parametrize("field", ["stateRoot", "changesRoot", "txRoot", "previousHash", "validatorsHash", "timestamp", "txCount", "producer", "chainId"])
def test_each_fact_of_a_header_signed_anew_by_the_producer(bench, original, storage, field):
    """The producer itself lies about one thing."""
    if storage != "sqlite":
        pytest.skip("offline")
    value = {"timestamp": 5, "txCount": 77, "producer": "v2", "chainId": "otherchain"}.get(field, "7" * 64)
    check = {
        "stateRoot": "stateRootValid", "changesRoot": "stateChangesValid", "txRoot": "txRootValid", "txCount": "txRootValid", "previousHash": "linkValid",
        "timestamp": "linkValid", "validatorsHash": "producerSignatureValid", "producer": "producerSignatureValid", "chainId": "linkValid",
    }[field]
    height = bench.chain.height
    copy = rewritten(bench, original, height, lambda h, r: h.update({field: value}), bench.world.key, only_hash=True)
    status, findings, _ = bench.verify(f"sqlite:{copy}")
    found = {(f["check"], f["height"]) for f in findings if "height" in f}
    assert status == 1 and ((check, height) in found or any(h == height for _, h in found)), findings
    assert (check, height) in found or field == "validatorsHash", findings


def test_a_suffix_made_anew_with_a_stolen_key(bench, original, storage, tmp_path):
    """Who has the producer's key can write another history; who kept a checkpoint sees it."""
    if storage != "sqlite":
        pytest.skip("offline")
    key_path = write_key(tmp_path / "node-key.json", bench.world.key, VALIDATOR)
    checkpoint = tmp_path / "checkpoint"
    mine = bench.copy(original)
    bench.clean(f"sqlite:{mine}", "--all", "--node-key", key_path, "--checkpoint", checkpoint)
    assert checkpoint.stat().st_size > 0
    for height in range(2, bench.chain.height):
        lines = write_chain(bench.chain).splitlines(keepends=True)
        forged = read_chain(b"".join(lines[: height + 2]))
        while forged.height < bench.chain.height:
            n = forged.height + 1
            # All but the last of each block's transactions, signed anew with the stolen key.
            forged.produce(bench.chain.blocks[n].transactions[:-1], VALIDATOR, bench.world.key, bench.chain.blocks[n].header["timestamp"] + 1)
        path = bench.made(write_chain(forged))
        bench.clean(f"sqlite:{path}")
        status, findings, _ = bench.verify(f"sqlite:{path}", "--since-checkpoint", checkpoint)
        assert status == 1 and any(f["check"] == "checkpoint" for f in findings), (height, findings)
    # Cut behind the checkpoint: it names a block that is not there.
    shorter = bench.made(b"".join(lines[:-1]))
    bench.clean(f"sqlite:{shorter}")
    assert bench.verify(f"sqlite:{shorter}", "--since-checkpoint", checkpoint)[0] == 1
    # Nothing has come since: there is no range to speak of, and what was looked at is said.
    nothing = bench.clean(f"sqlite:{mine}", "--since-checkpoint", checkpoint)
    assert nothing["blocks"] == 0 and not {"from", "to"} & set(nothing) and (nothing["height"], nothing["databaseCompared"]) == (bench.chain.height, True)
    said = bench.run("verify", f"sqlite:{mine}", "--since-checkpoint", checkpoint).stdout
    assert said.startswith(f"valid: chain {nothing['chainId']}, no block from {bench.chain.height + 1} on, the newest is {bench.chain.height}, "), said
    # A checkpoint that was tampered with is none.
    text = checkpoint.read_bytes()
    for at in random.Random(3).sample(range(len(text)), 20):
        checkpoint.write_bytes(text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :])
        assert bench.verify(f"sqlite:{mine}", "--since-checkpoint", checkpoint)[0] in (1, 2)


def test_both_databases_give_the_same_report(bench, original, database, storage):
    if storage != "postgres":
        pytest.skip("needs both databases")
    url = database()
    bench.fill(url, write_chain(bench.chain))
    here = bench.clean(f"sqlite:{original}")
    there = bench.clean(url)
    same = lambda s: {k: v for k, v in s.items() if k not in ("seconds", "milliseconds", "rate", "database")}  # noqa: E731
    assert same(here) == same(there)
    rng = random.Random(6)
    tables = {t.name: t for t in Postgres(url).tables()}
    for table in Sqlite(original).tables():
        m = rng.choice([m for m in mutations(table) if m.kind == "change"])
        copy = bench.copy(original)
        Sqlite(copy).write(table, m.rows)
        Postgres(url).write(tables[table.name], m.rows)
        assert bench.verify(f"sqlite:{copy}")[:2] == bench.verify(url)[:2], str(m)
        Postgres(url).write(tables[table.name], tables[table.name].rows)


UNSEEN = {
    "an entry under the empty key": "INSERT INTO state VALUES ('', 'x')",
    "an entry's key as bytes": "UPDATE state SET key = CAST(key AS BLOB) WHERE key LIKE 'user:%'",
    "a transaction's id as bytes": "UPDATE transactions SET id = CAST(id AS BLOB) WHERE height = 1 AND idx = 0",
    "a block's hash as bytes": "UPDATE blocks SET hash = CAST(hash AS BLOB) WHERE height = 2",
    "a list's name as bytes": "UPDATE state_lists SET list = CAST(list AS BLOB)",
    "a request's type as bytes": "UPDATE open_requests SET type = CAST(type AS BLOB)",
    "a request's height as text": "UPDATE open_requests SET height = 'x' || height",
    "rows of the index as text": "UPDATE transaction_index SET entries = CAST(entries AS TEXT)",
    "where a row of the index begins as text": "UPDATE transaction_index SET start = 'x' || hex(start)",
    "a run's length as text": "UPDATE transaction_runs SET entries = 'x' || entries",
    "a run before the first block": "INSERT INTO transaction_runs VALUES (-1, 0, 1)",
    "a row of a run that is none": "INSERT INTO transaction_index VALUES (-1, x'00', x'00')",
    "a transaction behind the last block": "INSERT INTO transactions VALUES (9999, 0, 'x', '{}', 'x')",
}


@pytest.mark.parametrize("what", UNSEEN)
def test_what_looks_the_same_when_it_is_read(bench, original, storage, what):
    """Bytes in a column of texts read like the text, and are not found by whoever asks for it; and what lies beyond both ends of a walk."""
    if storage != "sqlite":
        pytest.skip("PostgreSQL's columns have types")
    copy = bench.copy(original)
    Sqlite(copy).run(UNSEEN[what])
    for args in (["--all"], ["--from", "0", "--to", str(bench.chain.height)]):
        status, findings, summary = bench.verify(f"sqlite:{copy}", *args)
        assert status == 1 and findings and all(f["check"] == "databaseMatches" for f in findings), (args, findings, summary)


# -- how transactions are found: the two tables of the index


def place(height, idx):
    return height << 20 | idx


def index_entries(chain):
    """{(key, place)}: what the index should have, from the transactions alone."""
    out = set()
    for block in chain.blocks:
        for idx, t in enumerate(block.transactions):
            f = t.fields
            accounts = {f["from"], f.get("to"), f.get("approval", {}).get("by")} - {None}
            hashes = [bytes.fromhex(t.id), *(sha(f"account:{a}".encode()) for a in accounts), sha(f"type:{f['type']}".encode())]
            out |= {(int.from_bytes(h[:8], "big") >> 1, place(block.header["height"], idx)) for h in hashes}
    return out


def index_rows(tables):
    """(runs, {(key, place)}) of the tables as they are."""
    rows = {t.name: t.rows for t in tables}
    entries = []
    for run, start, data in rows["transaction_index"]:
        cut = [data[i : i + 16] for i in range(0, len(data), 16)]
        assert cut[0] == start and cut == sorted(cut) and len(cut) <= 60
        found = [(int.from_bytes(e[:8], "big"), int.from_bytes(e[8:], "big")) for e in cut]
        first, last, _ = next(r for r in rows["transaction_runs"] if r[0] == run)
        assert all(place(first, 0) <= p < place(last + 1, 0) for _, p in found)
        entries += found
    assert sum(r[2] for r in rows["transaction_runs"]) == len(entries) == len(set(entries))
    return rows["transaction_runs"], set(entries)


def backwards(url, tables, chain):
    """The database as the version before kept it: each id in an index, a row for each transaction in each list."""
    rows = {t.name: t.rows for t in tables}
    lists = [(f"pending:{kind}", height, idx) for _, kind, height, idx in rows["open_requests"]]
    for block in chain.blocks:
        for idx, t in enumerate(block.transactions):
            f = t.fields
            accounts = {f["from"], f.get("to"), f.get("approval", {}).get("by")} - {None}
            lists += [(name, block.header["height"], idx) for name in (*(f"account:{a}" for a in accounts), f"type:{f['type']}")]
    key = "list TEXT{} NOT NULL, height BIGINT NOT NULL, idx BIGINT NOT NULL, PRIMARY KEY (list, height, idx))"
    common = ["DROP TABLE transaction_runs", "DROP TABLE transaction_index", "DROP TABLE open_requests", "DELETE FROM local_schema WHERE version > 2", "DROP TABLE local_pending"]
    common += ["CREATE TABLE local_pending (seq BIGINT PRIMARY KEY, id TEXT, message TEXT NOT NULL, signature TEXT NOT NULL, received_at BIGINT NOT NULL)"]
    common += ["INSERT INTO local_pending VALUES (7, 'x', 'm', 's', 1)"]
    common += [f"INSERT INTO transaction_lists VALUES ('{name}', {height}, {idx})" for name, height, idx in lists]
    if url.startswith("sqlite:"):
        create = f"CREATE TABLE transaction_lists ({key.format('')} WITHOUT ROWID"
        columns = "height BIGINT NOT NULL, idx BIGINT NOT NULL, id TEXT NOT NULL UNIQUE, message TEXT NOT NULL, signature TEXT NOT NULL, PRIMARY KEY (height, idx)"
        Sqlite(url.removeprefix("sqlite:")).run(create, *common, f"CREATE TABLE old ({columns}) WITHOUT ROWID", "INSERT INTO old SELECT * FROM transactions",
                                                "DROP TABLE transactions", "ALTER TABLE old RENAME TO transactions")
    else:
        create = "CREATE TABLE transaction_lists (" + key.format(' COLLATE "C"')
        Postgres(url).run(create, *common, "ALTER TABLE transactions ADD CONSTRAINT transactions_id_key UNIQUE (id)")


def test_the_index_is_what_the_transactions_give(bench, database):
    url = database()
    bench.fill(url, write_chain(bench.chain))
    db = Sqlite(url.removeprefix("sqlite:")) if url.startswith("sqlite:") else Postgres(url)
    tables = db.tables()
    runs, entries = index_rows(tables)
    assert entries == index_entries(bench.chain) and runs
    export = bench.run("export", url, "--to", "-").stdout
    # Both tables emptied are filled in again at the next opening; so are those of a database that comes from the version before.
    for spoil in (lambda: db.run("DELETE FROM transaction_runs", "DELETE FROM transaction_index"), lambda: backwards(url, tables, bench.chain)):
        spoil()
        done = bench.run("export", url, "--to", "-")
        assert done.returncode == 0 and done.stdout == export and "the index of transactions is filled in" in done.stderr, done.stderr
        assert [t.rows for t in db.tables()] == [t.rows for t in tables]
        bench.clean(url)
