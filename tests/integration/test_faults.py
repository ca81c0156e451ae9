"""Promise: whatever breaks beneath mesh, no answered change is lost, nothing is half done, the refusal is clear while it lasts, and mesh is well again by itself."""

import asyncio
import errno
import http.client
import json
import random
import socket
import sqlite3
import threading
import time

import pytest
from tana_testing import oracle, pg
from tana_testing.client import eventually
from tana_testing.daemon import PATIENCE, SANITIZED
from tana_testing.evidence import replay, shown
from tana_testing.mesh import Node
from tana_testing.relay import Relay
from tana_testing.shim import SYNC, WRITE, Faults


def whole(mesh):
    """The log fits itself, the registry fits the log."""
    entries = mesh.audit()
    assert replay(entries, mesh.network) == shown(mesh.nodes())
    assert mesh.checkpoint().root == oracle.List(oracle.canonical(e) for e in entries).root()
    mesh.verify()


class Load:
    """Threads that register, approve, beat and remove, and remember what was answered.

    A change that was not answered, or whose commit's answer the database lost (503 unavailable), may have been kept as a whole, or not at all.
    """

    def __init__(self, mesh, threads=4):
        self.mesh, self.stop = mesh, threading.Event()
        self.sovereigns = mesh.sovereigns
        self.may_be, self.failures = {}, []  # node id: the states it may be in; None: not registered
        self.answered = 0
        self.threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(threads)]
        for t in self.threads:
            t.start()

    def _run(self, number):
        sovereign, n = self.sovereigns[number], 0
        while not self.stop.is_set():
            node = Node(f"t{number}-{n}")
            n += 1
            try:
                self._life(node, sovereign, n)
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)  # mesh was killed
            except Exception as e:
                self.failures.append(e)
                return

    def _life(self, node, sovereign, n):
        steps = [("pending", lambda: self.mesh.register(node), 201), ("active", lambda: self.mesh.decide("approve", node, sovereign=sovereign), 200)]
        if n % 3 == 0:
            steps.append((None, lambda: self.mesh.decide("remove", node, sovereign=sovereign), 200))
        else:
            steps.append(("active", lambda: self.mesh.heartbeat(node), 200))
        for status, step, good in steps:
            before = self.may_be.get(node.id, {None})
            self.may_be[node.id] = before | {status}
            answer = step()
            if answer.status in (503, 507):
                assert answer.status == 507 or answer.header("Retry-After"), answer
                if answer.code != "unavailable":
                    self.may_be[node.id] = before  # refused as a whole
                return
            assert answer.status == good, answer
            self.answered += 1
            self.may_be[node.id] = {status}

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join(30)
        assert not self.failures, self.failures[:3]

    def check(self, mesh):
        rows = {r["id"]: r["status"] for r in mesh.nodes()}
        for node_id, states in self.may_be.items():
            assert rows.get(node_id) in states, f"{node_id}: may be {states}, shown {rows.get(node_id)}"


def with_four_sovereigns(mesh_factory, **kw):
    return mesh_factory(sovereigns=[oracle.Key() for _ in range(4)], **kw)


def test_kill_9_under_load(mesh_factory):
    mesh = with_four_sovereigns(mesh_factory)
    load = Load(mesh)
    rng = random.Random(7)
    try:
        for _ in range(4):
            time.sleep(0.2 + 0.4 * rng.random())
            mesh.daemon.kill()
            mesh.daemon.start()
            mesh.client.port = int(mesh.daemon.address.rpartition(":")[2])
    finally:
        load.end()
    assert load.answered > 40
    load.check(mesh)
    whole(mesh)


def test_kill_9_loses_no_heartbeat_that_was_answered(mesh_factory):
    mesh = mesh_factory()
    node = mesh.active("a")
    for _ in range(3):
        for i in range(10):
            last = mesh.beat(node, height=i)
            mesh.post("/heartbeat", last).expect(200)
        mesh.kill_and_restart()
        mesh.post("/heartbeat", last).refused(409, "replayed")
        assert mesh.pages("/nodes/a/heartbeats", "heartbeats", since=last["timestamp"])[-1]["timestamp"] == last["timestamp"]


# -- the disk


@pytest.mark.storage_only("sqlite")
def test_a_full_disk(storage, mesh_factory, database, tmp_path):
    url = database()
    faults = Faults(tmp_path, url.removeprefix("sqlite:"))
    mesh = mesh_factory(db_url=url, env=faults.env)
    mesh.daemon.allowed.append("storage|disk|space|full")
    node, waiting, denied, invite, second = mesh.active("a"), mesh.pending("waiting"), mesh.pending("denied"), mesh.invite(), oracle.Key()
    mesh.decide("deny", denied).expect(200)
    mesh.post("/sovereign/add", mesh.sovereign_change("add", second)).expect(200)
    before, head = mesh.nodes(), mesh.checkpoint()
    faults.full_disk()
    refused = [
        mesh.register(Node("b")), mesh.decide("approve", waiting), mesh.decide("deny", waiting), mesh.decide("reset", denied), mesh.decide("remove", node),
        mesh.heartbeat(node), mesh.rotate_node(node, oracle.Key()), mesh.post("/invites", mesh.invitation(oracle.Key())),
        mesh.post("/invites/revoke", mesh.revocation(invite)), mesh.post("/sovereign/add", mesh.sovereign_change("add", oracle.Key())),
        mesh.post("/sovereign/remove", mesh.sovereign_change("remove", second)), mesh.post("/sovereign/rotate", mesh.sovereign_rotation(second, oracle.Key())),
    ]
    for answer in refused:
        answer.refused(507, "storage_full")
    assert faults.hits(WRITE) > 0
    assert mesh.nodes() == before and mesh.checkpoint() == head, "reading goes on and shows what was"
    mesh.get("/health").expect(200)
    faults.heal()
    mesh.register(Node("b")).expect(201)
    mesh.decide("approve", waiting).expect(200)
    mesh.heartbeat(node).expect(200)
    whole(mesh)
    mesh.restart()
    whole(mesh)


def test_a_snapshot_on_a_full_disk(mesh_factory, tmp_path):
    """Snapshots are kept in the data folder until they are sent."""
    faults = Faults(tmp_path, tmp_path / "mesh-0" / "data")
    mesh = mesh_factory(env=faults.env)
    mesh.daemon.allowed.append("storage|disk|space|full")
    mesh.active("a")
    faults.full_disk()
    mesh.get("/topology/snapshot").refused(507, "storage_full")
    faults.heal()
    mesh.get("/topology/snapshot").expect(200)


@pytest.mark.storage_only("sqlite")
def test_a_disk_that_is_full_now_and_then_under_load(storage, mesh_factory, database, tmp_path):
    url = database()
    faults = Faults(tmp_path, url.removeprefix("sqlite:"))
    mesh = with_four_sovereigns(mesh_factory, db_url=url, env=faults.env)
    mesh.daemon.allowed.append("storage|disk|space|full|unavailable|I/O|io_error")
    load = Load(mesh)
    rng = random.Random(3)
    try:
        for _ in range(8):
            time.sleep(0.15)
            faults.fail(WRITE, errno.ENOSPC, skip=rng.randrange(20), times=rng.randrange(1, 30))
        time.sleep(0.2)
        faults.heal()
        time.sleep(0.3)
    finally:
        load.end()
    load.check(mesh)
    whole(mesh)


@pytest.mark.storage_only("sqlite")
def test_a_disk_that_fails_to_sync(storage, mesh_factory, database, tmp_path):
    """What may not be on the disk is not promised: no 2xx while fsync fails; afterwards all that was promised is there."""
    url = database()
    faults = Faults(tmp_path, url.removeprefix("sqlite:"))
    mesh = mesh_factory(db_url=url, env=faults.env)
    mesh.daemon.allowed.append(".")
    mesh.pending("a")
    faults.fail(SYNC, errno.EIO, times=3)
    answers = [mesh.client.post("/register", mesh.registration(Node(f"n{i}")), check=False) for i in range(4)]
    assert faults.hits(SYNC) > 0
    assert any(a.status in (500, 503) for a in answers) and all(a.status in (201, 500, 503) for a in answers), answers
    faults.heal()
    eventually(lambda: mesh.register(Node("late")).status in (200, 201, 409), 10)
    mesh.kill_and_restart()
    there = {n["id"] for n in mesh.nodes()}
    assert {f"n{i}" for i, a in enumerate(answers) if a.status == 201} | {"a", "late"} <= there
    whole(mesh)


@pytest.mark.storage_only("sqlite")
def test_a_locked_database(storage, mesh_factory):
    mesh = mesh_factory()
    mesh.daemon.allowed.append("locked|busy|unavailable|database")
    node = mesh.active("a")
    other = sqlite3.connect(mesh.db_url.removeprefix("sqlite:"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        assert mesh.status(node) == "active", "reading goes on"
        begun = time.monotonic()
        answer = mesh.register(Node("b"))
        assert answer.status == 503 and answer.code == "unavailable" and answer.header("Retry-After"), answer
        assert time.monotonic() - begun < 20
    finally:
        other.execute("ROLLBACK")
        other.close()
    eventually(lambda: mesh.register(Node("c")).status == 201, 10)
    assert mesh.get("/ready").status == 200
    whole(mesh)


@pytest.mark.storage_only("sqlite")
@pytest.mark.parametrize("damage", ["garbage", "truncated", "empty page", "text", "header"])
def test_a_corrupt_database_is_named_and_left_as_it_is(storage, mesh_factory, damage):
    mesh = mesh_factory()
    for i in range(20):
        mesh.pending(f"n{i}")
    mesh.stop()
    path = mesh.db_url.removeprefix("sqlite:")
    with sqlite3.connect(path) as c:
        c.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    c.close()
    data = bytearray(open(path, "rb").read())
    if damage == "garbage":
        data[:4096] = random.Random(1).randbytes(4096)
    elif damage == "truncated":
        del data[4096 * 2 + 100 :]
    elif damage == "empty page":
        data[:4096] = bytes(4096)
    elif damage == "header":
        data[16:24] = b"\xff" * 8
    else:
        data = bytearray(b"this is no database, it is a letter to a friend\n" * 200)
    open(path, "wb").write(data)
    text = mesh.daemon.refuse_to_start(path)
    assert "corrupt" in text or "not a database" in text or "malformed" in text, text
    assert open(path, "rb").read() == bytes(data), "the file was changed"
    assert mesh.run("verify").returncode in (1, 2)
    assert open(path, "rb").read() == bytes(data)


@pytest.mark.storage_only("sqlite")
def test_a_page_damaged_while_mesh_runs_is_an_error_not_a_crash(storage, mesh_factory):
    mesh = mesh_factory()
    for i in range(60):
        mesh.pending(f"n{i}")
    mesh.stop()
    path = mesh.db_url.removeprefix("sqlite:")
    data = bytearray(open(path, "rb").read())
    for page in range(3, len(data) // 4096):
        data[page * 4096 : page * 4096 + 200] = b"\xa5" * 200
    open(path, "wb").write(data)
    mesh.daemon.allowed.append(".")
    mesh.daemon.start(wait=False)
    try:
        mesh.daemon.wait_listening(5)
    except AssertionError:
        assert "corrupt" in mesh.daemon.tail() or "malformed" in mesh.daemon.tail()
        mesh.daemon.process = None
        return
    mesh.client.port = int(mesh.daemon.address.rpartition(":")[2])
    for path in ("/nodes?status=all&limit=1000", "/audit?limit=1000", "/nodes/n5"):
        answer = mesh.get(path, check=False)
        assert answer.status in (200, 404, 500, 503), answer
    mesh.client.post("/register", mesh.registration(Node("x")), check=False)
    assert mesh.daemon.running
    assert mesh.run("verify").returncode == 1


# -- PostgreSQL


@pytest.fixture
def own_cluster(tmp_path):
    cluster = pg.Cluster(tmp_path / "own-pg")
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.mark.storage_only("postgres")
def test_postgres_crashes_and_comes_back_under_load(storage, own_cluster, mesh_factory):
    mesh = with_four_sovereigns(mesh_factory, db_url=own_cluster.url)
    mesh.daemon.allowed.append("database|unavailable|connection|server")
    load = Load(mesh)
    try:
        time.sleep(0.5)
        own_cluster.crash()
        eventually(lambda: mesh.get("/ready").status == 503, 10)
        answer = mesh.get("/ready")
        assert answer.header("Retry-After") and ("postgres" in answer.json["error"] or "database" in answer.json["error"]), answer
        mesh.get("/health").expect(200)
        refusal = eventually(lambda: (a := mesh.register(Node("meanwhile"))).status == 503 and a, 10)
        assert refusal.code == "unavailable" and refusal.header("Retry-After")
        own_cluster.up()
        eventually(lambda: mesh.get("/ready").status == 200, 15)
        answered = load.answered
        eventually(lambda: load.answered > answered + 20, 15)
    finally:
        load.end()
    load.check(mesh)
    whole(mesh)


@pytest.mark.storage_only("postgres")
def test_the_answer_to_a_commit_is_lost(storage, database, mesh_factory):
    """Whether the change was kept is unknown to mesh, so it says 503; the change is there as a whole, and done again it is found done."""
    relay = Relay(database())
    mesh = mesh_factory(db_url=relay.url)
    mesh.daemon.allowed.append("database|unavailable|connection|server")
    node = Node("uncertain-node")
    steps = [
        ("/register", lambda: mesh.registration(node), "pending"), (f"/approve/{node.id}", lambda: mesh.decision("approve", node), "active"),
        ("/heartbeat", lambda: mesh.beat(node), "active"), (f"/remove/{node.id}", lambda: mesh.decision("remove", node), None),
    ]
    try:
        for path, message, status in steps:
            body = message()
            relay.lose_commit_after(node.id.encode())
            answer = mesh.post(path, body)
            assert relay.lost.wait(10 * PATIENCE)
            answer.refused(503, "unavailable")
            assert answer.header("Retry-After")
            eventually(lambda: mesh.get("/ready").status == 200, 15)
            assert mesh.status(node) == status
            mesh.post(path, body).refused(*((409, "replayed") if status else (404, "unknown_node")))
            assert mesh.status(node) == status
        whole(mesh)
    finally:
        mesh.stop()
        relay.close()


@pytest.mark.storage_only("postgres")
def test_connections_cut_by_the_server_are_made_anew(storage, mesh_factory, shared):
    mesh = mesh_factory()
    mesh.daemon.allowed.append("database|unavailable|connection|server")
    node = mesh.active("a")
    with pg.connection(shared["pg"]) as c:
        for _ in range(5):
            cursor = c.cursor()
            cursor.execute("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s", (mesh.db_url.rpartition("/")[2],))
            assert cursor.fetchone()[0] > 0
            eventually(lambda: mesh.heartbeat(node).status == 200 and mesh.get("/nodes").status == 200, 10)
    whole(mesh)


@pytest.mark.storage_only("postgres")
def test_a_full_postgres_disk(storage, mesh_factory):
    mesh = mesh_factory()
    mesh.daemon.allowed.append("storage|disk|space|full")
    node = mesh.pending("a")
    with pg.connection(mesh.db_url) as c:
        cursor = c.cursor()
        cursor.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$"
        )
        cursor.execute("CREATE TRIGGER full_disk BEFORE INSERT ON audit_log EXECUTE FUNCTION full_disk()")
        before, head = mesh.nodes(), mesh.checkpoint()
        mesh.register(Node("b")).refused(507, "storage_full")
        mesh.decide("approve", node).refused(507, "storage_full")
        assert mesh.nodes() == before and mesh.checkpoint() == head
        cursor.execute("DROP FUNCTION full_disk CASCADE")
    mesh.decide("approve", node).expect(200)
    whole(mesh)


@pytest.mark.storage_only("postgres")
def test_a_database_that_cannot_be_reached_at_the_start(storage, mesh_factory):
    mesh = mesh_factory(db_url="postgres://nobody:secretpassword@127.0.0.1:1/none", start=False)
    mesh.daemon.refuse_to_start("127.0.0.1:1")
    assert "secretpassword" not in mesh.daemon.text()


# -- clients


def test_a_thousand_registrations_at_once(mesh_factory):
    mesh = mesh_factory()
    count = 1000
    requests = []
    for i in range(count):
        body = json.dumps(mesh.registration(Node(f"n{i:04}"))).encode()
        head = f"POST /register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        requests.append(head.encode() + body)
    host, port = mesh.daemon.address.rsplit(":", 1)

    async def one(request, gate):
        reader, writer = await asyncio.open_connection(host, int(port))
        await gate.wait()
        writer.write(request)
        line = await asyncio.wait_for(reader.readline(), 60 * PATIENCE)
        rest = await reader.read()
        writer.close()
        return int(line.split()[1]), rest

    async def all_of_them():
        gate = asyncio.Event()
        tasks = [asyncio.create_task(one(r, gate)) for r in requests]
        await asyncio.sleep(0.3)
        gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    answers = asyncio.run(all_of_them())
    refused = [a for a in answers if not isinstance(a, tuple)]
    statuses = [a[0] for a in answers if isinstance(a, tuple)]
    assert not refused, refused[:3]
    assert set(statuses) <= {201, 503} and statuses.count(201) >= 900, {s: statuses.count(s) for s in statuses}
    rows = mesh.nodes(limit=1000)
    assert len(rows) == statuses.count(201)
    mesh.verify()


def slow_connection(mesh, first):
    host, port = mesh.daemon.address.rsplit(":", 1)
    s = socket.create_connection((host, int(port)), timeout=30)
    s.sendall(first)
    return s


def test_slow_clients_are_cut_off_and_hurt_nobody(mesh_factory):
    """Slow-loris: many connections that send a byte now and then, in the head and in the body."""
    mesh = mesh_factory(args=["--idle-timeout", "1s"])
    half_head = b"POST /register HTTP/1.1\r\nHost: x\r\nX-A: "
    half_body = b"POST /register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    slow = [slow_connection(mesh, half_head if i % 2 else half_body) for i in range(60)]
    node = mesh.active("a")
    begun = time.monotonic()
    open_ones = set(slow)
    while open_ones and time.monotonic() - begun < 15 * PATIENCE:
        for s in list(open_ones):
            try:
                s.sendall(b"x")
                s.settimeout(0.001)
                if s.recv(1000) == b"":
                    open_ones.discard(s)
            except socket.timeout:
                pass
            except OSError:
                open_ones.discard(s)
        t = time.monotonic()
        mesh.heartbeat(node).expect(200)
        assert time.monotonic() - t < 5 * PATIENCE
        time.sleep(0.2)
    for s in slow:
        s.close()
    assert not open_ones, f"{len(open_ones)} of {len(slow)} slow connections live after {time.monotonic() - begun:.1f} s"


def test_connections_are_capped_and_the_room_comes_back(mesh_factory):
    mesh = mesh_factory(args=["--max-connections", "40", "--idle-timeout", "1s"])
    held = []
    for _ in range(80):
        try:
            held.append(slow_connection(mesh, b""))
        except OSError:
            break
    for s in held:
        s.close()

    def well():
        try:
            mesh.client.close()
            return mesh.get("/health").status == 200
        except OSError:
            return False

    eventually(well, 10)


def test_the_rate_of_writes_is_limited(mesh_factory):
    mesh = mesh_factory(args=["--rate-limit-loopback=yes", "--rate-limit", "1", "--rate-burst", "10"])
    for _ in range(10):
        mesh.post("/register", b"{}").refused(400, "missing_field")
    refused = eventually(lambda: (a := mesh.post("/register", b"{}")).status == 429 and a, every=0)
    refused.refused(429, "rate_limited")
    assert int(refused.header("Retry-After")) >= 1
    for _ in range(30):
        mesh.get("/nodes").expect(200)
    eventually(lambda: mesh.post("/register", b"{}").status == 400, 5)


def test_every_write_counts_against_the_limit(mesh_factory):
    mesh = mesh_factory(args=["--rate-limit-loopback=yes", "--rate-limit", "1", "--rate-burst", "1"])
    for method, path, _ in mesh.document.operations():
        if method == "POST":
            eventually(lambda: mesh.post(path.replace("{id}", "a"), b"{}").status == 429, 2, every=0)


def test_loopback_is_not_limited_by_default(mesh_factory):
    mesh = mesh_factory(args=["--rate-limit", "1", "--rate-burst", "1"])
    assert {mesh.post("/register", b"{}").status for _ in range(50)} == {400}


@pytest.mark.skipif(SANITIZED, reason="sanitizers keep freed memory")
def test_memory_does_not_grow_with_requests(mesh_factory):
    mesh = mesh_factory()
    node = mesh.active("a")

    def resident():
        with open(f"/proc/{mesh.daemon.pid}/statm") as f:
            return int(f.read().split()[1]) * 4096

    def round_of_requests():
        for _ in range(400):
            mesh.heartbeat(node).expect(200)
            mesh.get("/nodes").expect(200)
            mesh.post("/register", b'{"nodeId":"' + b"x" * 60_000).refused(400, "malformed_json")

    round_of_requests()
    before = resident()
    for _ in range(3):
        round_of_requests()
    assert resident() - before < 8 * 1024 * 1024
