"""Promise: every change that a key signed is in a log that cannot be rewritten unnoticed; what the registry shows is what the log gives, and `meshd verify` says so or names the difference."""

import base64
import contextlib
import json
import sqlite3

import psycopg2
import pytest
from tana_testing import oracle
from tana_testing.each import each
from tana_testing.evidence import Forged, check_entry_signatures, replay, shown
from tana_testing.mesh import Node


def busy(mesh):
    """A history with every kind of entry."""
    a, b, c = mesh.active("a"), mesh.pending("b"), mesh.pending("c")
    mesh.decide("deny", b).expect(200)
    mesh.decide("approve", b).refused(409, "wrong_state")
    mesh.decide("reset", b).expect(200)
    mesh.decide("remove", c).expect(200)
    new = oracle.Key()
    mesh.rotate_node(a, new).expect(200)
    a.key = new
    a.hostname = "moved.ts.net"
    mesh.register(a).expect(200)
    second, third, invite, other_invite = oracle.Key(), oracle.Key(), mesh.invite(uses=2), mesh.invite()
    mesh.post("/sovereign/add", mesh.sovereign_change("add", second, description="second")).expect(200)
    mesh.post("/sovereign/rotate", mesh.sovereign_rotation(second, third)).expect(200)
    mesh.post("/sovereign/remove", mesh.sovereign_change("remove", third)).expect(200)
    mesh.register(Node("invited"), invite=invite).expect(201)
    mesh.post("/invites/revoke", mesh.revocation(other_invite)).expect(200)
    mesh.post("/deny/b", mesh.decision("deny", b, after={"reason": "no \u00e9vidence"})).expect(200)
    mesh.heartbeat(a, height=5).expect(200)
    return a


def leaves(entries):
    return oracle.List(oracle.canonical(e) for e in entries)


def test_every_change_is_logged_with_its_signature(mesh):
    busy(mesh)
    entries = mesh.audit()
    verbs = [check_entry_signatures(e, mesh.network) for e in entries]
    assert set(verbs) == {
        "sovereign-init", "register", "approve", "deny", "reset", "remove", "node-rotate", "sovereign-add", "sovereign-rotate", "sovereign-remove", "invite", "invite-revoke"
    }
    assert [e["index"] for e in entries] == list(range(len(entries)))
    assert [e["time"] for e in entries] == sorted(e["time"] for e in entries)
    by_verb = dict(zip(verbs, entries))
    assert by_verb["invite"]["outcome"] == "ok" and by_verb["remove"]["outcome"] == "removed" and by_verb["deny"]["details"]["reason"] == "no \u00e9vidence"
    assert "wrong_state" in [e["outcome"] for e in entries]


def test_heartbeats_and_going_offline_are_not_logged(mesh_factory):
    mesh = mesh_factory(args=["--heartbeat-timeout", "300ms", "--offline-grace", "100ms"])
    node = mesh.active("a")
    n = len(mesh.audit())
    mesh.heartbeat(node).expect(200)
    mesh.wait_status(node, "offline")
    mesh.heartbeat(node).expect(200)
    assert len(mesh.audit()) == n
    mesh.verify()


def test_refused_requests_leave_no_entry_unless_they_used_up_a_timestamp(mesh):
    node = mesh.pending("a")
    n = len(mesh.audit())
    mesh.register(Node("a")).refused(409, "node_id_taken")
    mesh.decide("approve", node, sovereign=oracle.Key()).refused(403, "not_sovereign")
    mesh.decide("approve", node, message="x").refused(401, "bad_signature")
    assert len(mesh.audit()) == n


def test_the_node_table_is_what_replaying_the_log_gives(mesh):
    busy(mesh)
    assert replay(mesh.audit(), mesh.network) == shown(mesh.nodes())
    done = mesh.verify()
    assert done.stdout
    report = json.loads(mesh.verify("--json").stdout)
    assert isinstance(report, dict)


def test_pages_of_the_log(mesh):
    busy(mesh)
    whole = mesh.audit()
    assert mesh.pages("/audit", "entries", limit=3) == whole
    for after in (0, 3, len(whole) - 2):
        assert mesh.pages("/audit", "entries", after=after, limit=4) == [e for e in whole if e["index"] > after]
    assert mesh.get("/audit", {"after": len(whole) + 5}).expect(200)["entries"] == []


def test_the_checkpoint_is_the_head_of_the_very_entries(mesh):
    busy(mesh)
    entries = mesh.audit()
    head = mesh.checkpoint()
    assert head.origin == f"tana-mesh/{mesh.network}" and head.size == len(entries) and head.root == leaves(entries).root()
    coordinator = mesh.coordinator()
    assert coordinator["origin"] == head.origin
    assert coordinator["verifierKey"] == oracle.verifier_key(head.origin, bytes.fromhex(coordinator["publicKey"][8:]))


def test_inclusion_of_every_entry_in_every_size(mesh):
    busy(mesh)
    tree = leaves(mesh.audit())
    for size in range(1, len(tree) + 1):
        for index in range(size):
            proof = mesh.get("/audit/proof/inclusion", {"index": index, "size": size}).expect(200)
            assert (proof["index"], proof["size"], proof["leaf"], proof["root"]) == (index, size, tree.leaves[index].hex(), tree.root(size).hex())
            assert [bytes.fromhex(h) for h in proof["path"]] == tree.inclusion(index, size)


def test_consistency_of_every_pair_of_sizes(mesh):
    busy(mesh)
    tree = leaves(mesh.audit())
    for new in range(1, len(tree) + 1):
        for old in range(1, new + 1):
            proof = mesh.get("/audit/proof/consistency", {"from": old, "to": new}).expect(200)
            path = [bytes.fromhex(h) for h in proof["path"]]
            assert (proof["from"], proof["to"], proof["fromRoot"], proof["toRoot"]) == (old, new, tree.root(old).hex(), tree.root(new).hex())
            assert path == tree.consistency(old, new) and oracle.verify_consistency(old, tree.root(old), new, tree.root(new), path)


@each(
    "path, query",
    [
        ("inclusion", {"index": 0, "size": 10**6}), ("inclusion", {"index": 5, "size": 5}), ("inclusion", {"index": 2**63 - 1, "size": 2**63 - 1}), ("inclusion", {"index": 0, "size": 0}), ("inclusion", {"index": -1, "size": 1}),
        ("inclusion", {"index": 0, "size": "x"}), ("consistency", {"from": 0, "to": 1}), ("consistency", {"from": 2, "to": 1}), ("consistency", {"from": 1, "to": 10**6}),
        ("consistency", {"from": 1, "to": 2**64}),
    ],
)
def test_proofs_of_what_is_not_there(mesh, path, query):
    if len(mesh.audit()) < 5:
        busy(mesh)
    answer = mesh.get(f"/audit/proof/{path}", query)
    assert answer.status in (400, 404) and answer.code in ("malformed_parameter", "not_found"), answer


def test_a_kept_checkpoint_stays_consistent_with_all_later_ones(mesh):
    kept = []
    for i in range(6):
        mesh.active(f"n{i}")
        kept.append(mesh.checkpoint())
    mesh.restart()
    mesh.pending("late")
    head = mesh.checkpoint()
    for old in kept:
        proof = mesh.get("/audit/proof/consistency", {"from": old.size, "to": head.size}).expect(200)
        assert oracle.verify_consistency(old.size, old.root, head.size, head.root, [bytes.fromhex(h) for h in proof["path"]])


def test_verify_against_a_kept_checkpoint(mesh, tmp_path):
    mesh.active("a")
    kept = tmp_path / "kept.checkpoint"
    kept.write_bytes(mesh.get("/audit/checkpoint").body)
    mesh.active("b")
    mesh.verify("--checkpoint", kept)
    assert mesh.checkpoint().size > oracle.open_checkpoint(kept.read_bytes(), mesh.coordinator()["verifierKey"]).size
    # A log that was cut back and begun anew does not fit what was kept.
    body, _, signature = kept.read_text().rpartition("\n\n")
    lines = body.split("\n")
    lines[2] = base64.b64encode(b"\1" * 32).decode()
    (tmp_path / "other").write_text("\n".join(lines) + "\n\n" + signature)
    done = mesh.run("verify", "--checkpoint", tmp_path / "other")
    assert done.returncode in (1, 2) and "checkpoint" in done.stderr + done.stdout, done


def test_a_truncated_log_does_not_pass_against_a_kept_checkpoint(mesh, tmp_path):
    mesh.active("a")
    late = mesh.pending("late")
    kept = tmp_path / "kept"
    kept.write_bytes(mesh.get("/audit/checkpoint").body)
    mesh.stop()
    with tables(mesh.db_url) as db:
        n = db.rows("SELECT size FROM audit_head")[0][0]
        db.do(f"DELETE FROM audit_log WHERE idx = {n - 1}")
        db.do(f"UPDATE audit_head SET size = {n - 1}")
        db.do(f"DELETE FROM nodes WHERE id = '{late.id}'")
        for level, position in db.rows("SELECT level, position FROM audit_tree"):
            if (position + 1) << level > n - 1:
                db.do(f"DELETE FROM audit_tree WHERE level = {level} AND position = {position}")
    assert mesh.run("verify").returncode == 0, "the shorter log is a good log in itself"
    assert mesh.run("verify", "--checkpoint", kept).returncode == 1


# -- tampering


class Tables:
    """A database from the outside."""

    def __init__(self, connection, mark):
        self.connection, self.mark = connection, mark

    def rows(self, sql, *args):
        cursor = self.connection.cursor()
        cursor.execute(sql, args)
        return cursor.fetchall()

    def do(self, sql, *args):
        cursor = self.connection.cursor()
        cursor.execute(sql, args)
        return cursor.rowcount

    def names(self):
        if self.mark == "?":
            return [r[0] for r in self.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
        return [r[0] for r in self.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")]

    def columns(self, table):
        """[(name, is it part of the primary key)]"""
        if self.mark == "?":
            return [(r[1], r[5] > 0) for r in self.rows(f"PRAGMA table_info({table})")]
        keys = {
            r[0] for r in self.rows(
                "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) WHERE i.indrelid = %s::regclass AND i.indisprimary", table
            )
        }
        return [(r[0], r[0] in keys) for r in self.rows(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s ORDER BY ordinal_position", table
        )]


@contextlib.contextmanager
def tables(url):
    if url.startswith("sqlite:"):
        connection, mark = sqlite3.connect(url.removeprefix("sqlite:"), isolation_level=None), "?"
    else:
        connection, mark = psycopg2.connect(url), "%s"
        connection.autocommit = True
    try:
        yield Tables(connection, mark)
    finally:
        connection.close()


def other_values(value):
    """What a tamperer might write instead."""
    if value is None:
        return [1, "x"]
    if isinstance(value, int):
        return [value + 1]
    if isinstance(value, (bytes, memoryview)):
        return [bytes(value)[:-1] + bytes([bytes(value)[-1] ^ 1])]
    if value in ("pending", "active", "denied"):
        return [{"pending": "active", "active": "pending", "denied": "active"}[value]]
    if value == "[]":
        return ["[0]"]
    return [value[:-1] + ("0" if value[-1:] != "0" else "1")]


def named(table, keys, report):
    """Does the report name the row? An entry of the log is also named by its leaf in the tree."""
    if table == "audit_log" and f"level 0 position {keys[0]}" in report:
        return True
    return table in report and any(str(k) in report for k in keys)


def test_tampering_with_any_column_of_any_row_is_found_and_named(mesh):
    """What one database edit can change, verify finds: it exits 1 and names the table and the row. Only what heartbeats write (local_...) is not signed by anyone."""
    busy(mesh)
    mesh.stop()
    mesh.verify()
    missed, tried = [], 0
    with tables(mesh.db_url) as db:
        for table in db.names():
            if table.startswith("local_"):
                continue
            columns = db.columns(table)
            names = ", ".join(c for c, _ in columns)
            for row in db.rows(f"SELECT {names} FROM {table}"):
                row = [bytes(v) if isinstance(v, memoryview) else v for v in row]
                where = " AND ".join(f"{c} = {db.mark}" for c, key in columns if key)
                keys = [v for (c, key), v in zip(columns, row) if key]
                for (column, _), value in zip(columns, row):
                    for other in other_values(value):
                        try:
                            db.do(f"UPDATE {table} SET {column} = {db.mark} WHERE {where}", other, *keys)
                        except (sqlite3.Error, psycopg2.Error):
                            continue  # the schema itself refuses this value
                        tried += 1
                        result = mesh.run("verify")
                        report = result.stdout + result.stderr
                        if result.returncode != 1 or not named(table, keys, report):
                            missed.append(f"{table}.{column} of {keys}: {value!r} -> {other!r}: exit {result.returncode}: {report[-300:]}")
                        now_at = [other if c == column else v for (c, key), v in zip(columns, row) if key]
                        assert db.do(f"UPDATE {table} SET {column} = {db.mark} WHERE {where}", value, *now_at) == 1
                        break
    assert tried > 100
    assert not missed, f"{len(missed)} of {tried}:\n" + "\n".join(missed[:40])
    mesh.verify()


def test_rows_taken_away_or_added_are_found_and_named(mesh):
    busy(mesh)
    mesh.stop()
    with tables(mesh.db_url) as db:
        for table in db.names():
            if table.startswith("local_") or table in ("meta", "audit_head"):
                continue
            columns = db.columns(table)
            names = ", ".join(c for c, _ in columns)
            marks = ", ".join(db.mark for _ in columns)
            for row in db.rows(f"SELECT {names} FROM {table}"):
                where = " AND ".join(f"{c} = {db.mark}" for c, key in columns if key)
                keys = [v for (c, key), v in zip(columns, row) if key]
                assert db.do(f"DELETE FROM {table} WHERE {where}", *keys) == 1
                result = mesh.run("verify")
                assert result.returncode == 1, (table, keys, result)
                assert table in result.stdout or (table == "audit_log" and "audit_head" in result.stdout), (table, keys, result)
                db.do(f"INSERT INTO {table} ({names}) VALUES ({marks})", *row)
        row = dict(zip([c for c, _ in db.columns("nodes")], db.rows("SELECT * FROM nodes WHERE id = 'a'")[0]))
        row.update(id="ghost", public_key=oracle.Key().public)
        db.do(f"INSERT INTO nodes ({', '.join(row)}) VALUES ({', '.join(db.mark for _ in row)})", *row.values())
        result = mesh.run("verify")
        assert result.returncode == 1 and "ghost" in result.stdout + result.stderr, result
        db.do("DELETE FROM nodes WHERE id = 'ghost'")
    mesh.verify()


def test_a_rewritten_history_with_a_consistent_tree_is_found_by_signatures(mesh):
    """Whoever owns the database can recompute every hash; what he cannot make is a signature."""
    mesh.active("a")
    mesh.stop()
    with tables(mesh.db_url) as db:
        columns = [c for c, _ in db.columns("audit_log")]
        entries = [dict(zip(columns, r)) for r in db.rows("SELECT * FROM audit_log ORDER BY idx")]
        victim = entries[-1]
        forged = victim["message"].replace(":a:", ":b:")
        db.do(f"UPDATE audit_log SET message = {db.mark} WHERE idx = {db.mark}", forged, victim["idx"])
    result = mesh.run("verify")
    assert result.returncode == 1 and "audit_log" in result.stdout + result.stderr, result


def test_the_replay_of_a_forged_log_is_refused_by_the_oracle(mesh):
    busy(mesh)
    entries = mesh.audit()
    entries[3]["message"] += " "
    with pytest.raises(Forged):
        replay(entries, mesh.network)


def test_verify_while_mesh_serves(mesh):
    for i in range(5):
        mesh.active(f"n{i}")
        mesh.verify()


@pytest.mark.storage_only("sqlite")
def test_verify_creates_nothing(storage, mesh, tmp_path):
    missing = tmp_path / "missing.db"
    mesh.stop()
    mesh.db_url = f"sqlite:{missing}"
    done = mesh.run("verify")
    assert done.returncode in (1, 2) and str(missing) in done.stderr, done
    assert not missing.exists()
