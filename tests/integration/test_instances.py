"""Promise: on PostgreSQL several meshds beside each other are one mesh: what one did the others show, refuse and tell, and none is needed."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tana_testing import oracle
from tana_testing.client import eventually
from tana_testing.evidence import check_snapshot, replay, shown
from tana_testing.mesh import Node, now

pytestmark = pytest.mark.storage_only("postgres")


@pytest.fixture
def pair(storage, mesh_factory, database):
    def make(**kw):
        keys = [oracle.Key(), oracle.Key()]
        first = mesh_factory(sovereigns=keys, **kw)
        args = [*kw.pop("args", []), "--coordinator-key", first.data / "coordinator-key.json"]
        second = mesh_factory(db_url=first.db_url, sovereigns=keys, args=args, **kw)
        return first, second

    return make


def test_what_one_did_the_other_shows(pair):
    first, second = pair()
    node = first.pending("a")
    assert second.status(node) == "pending"
    second.decide("approve", node).expect(200)
    assert first.status(node) == "active"
    second.heartbeat(node, height=7).expect(200)
    assert first.node(node)["height"] == 7
    assert first.coordinator() == second.coordinator()
    assert first.checkpoint() == second.checkpoint()
    assert first.nodes() == second.nodes()
    first.decide("remove", node).expect(200)
    assert second.status(node) is None
    first.verify()


def test_replays_are_refused_across_instances(pair):
    first, second = pair()
    registration = first.registration(Node("x"))
    first.post("/register", registration).expect(201)
    second.post("/register", registration).refused(409, "replayed")
    node = first.active("a")
    beat = first.beat(node)
    first.post("/heartbeat", beat).expect(200)
    second.post("/heartbeat", beat).refused(409, "replayed")
    second.heartbeat(node, "short", timestamp=beat["timestamp"]).refused(409, "replayed")
    late = first.pending("b")
    denial = first.decision("deny", late)
    first.post("/deny/b", denial).expect(200)
    second.decide("reset", late).expect(200)
    second.post("/deny/b", denial).refused(409, "replayed")
    first.post("/deny/b", denial).refused(409, "replayed")


def test_events_of_one_reach_the_streams_of_the_other_in_one_order(pair):
    first, second = pair()
    with first.events() as one, second.events() as two:
        for i in range(10):
            (first if i % 2 else second).pending(f"n{i}")
        one.wait("node.registered", "n9")
        two.wait("node.registered", "n9")
        eventually(lambda: len(one.events) >= 10 and len(two.events) >= 10)
        assert [(e.id, e.type, e.data) for e in one.events] == [(e.id, e.type, e.data) for e in two.events]
        last = one.events[4].id
    with second.events(last_id=last) as resumed:
        resumed.wait("node.registered", "n9")
        assert [e.data["nodeId"] for e in resumed.of("node.registered")] == [f"n{i}" for i in range(5, 10)]


def test_writes_through_both_at_once_make_one_log(pair):
    first, second = pair()
    nodes = [Node(f"n{i:02}") for i in range(60)]

    def work(item):
        i, node = item
        mesh, other = (first, second) if i % 2 else (second, first)
        mesh.register(node).expect(201)
        other.heartbeat(node).refused(403, "node_not_active")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, enumerate(nodes)))
    entries = first.audit()
    assert replay(entries, first.network) == shown(second.nodes())
    assert first.checkpoint().root == oracle.List(oracle.canonical(e) for e in entries).root()
    second.verify()


def test_one_decision_wins_across_instances(pair):
    first, second = pair()
    with ThreadPoolExecutor(2) as pool:
        for i in range(15):
            node = first.pending(f"n{i}")
            answers = list(pool.map(lambda x: x[0].decide(x[1], node, sovereign=x[2]), [(first, "approve", first.sovereigns[0]), (second, "deny", first.sovereigns[1])]))
            assert sorted(a.status for a in answers) == [200, 409], answers
    first.verify()


def test_one_invite_is_not_used_twice_across_instances(pair):
    first, second = pair()
    invite = first.invite(uses=3)
    bodies = [first.registration(Node(f"n{i}"), invite=invite) for i in range(12)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda x: (first, second)[x[0] % 2].post("/register", x[1]), enumerate(bodies)))
    assert sorted(a.status for a in answers) == [201] * 3 + [403] * 9
    first.verify()


def test_a_node_goes_offline_once(pair):
    first, second = pair(args=["--heartbeat-timeout", "600ms", "--offline-grace", "100ms"])
    with first.events() as one, second.events() as two:
        node = first.active("a")
        second.heartbeat(node).expect(200)
        one.wait("node.offline", "a")
        two.wait("node.offline", "a")
        first.pending("marker")
        two.wait("node.registered", "marker")
        for stream in (one, two):
            assert len(stream.of("node.offline")) == len(stream.of("node.online")) + 1, stream.events


def test_a_heartbeat_at_one_instance_counts_at_the_other(pair):
    first, second = pair(args=["--heartbeat-timeout", "800ms", "--offline-grace", "100ms"])
    node = first.active("a")
    with first.events() as one:
        begun = before = time.monotonic()
        longest = 0.0
        while time.monotonic() - begun < 2:
            second.heartbeat(node).expect(200)
            longest, before = max(longest, time.monotonic() - before), time.monotonic()
            time.sleep(0.15)
        called = one.of("node.offline")
        longest = max(longest, time.monotonic() - before)
        assert not called or longest >= 0.8, "it beat in time"


def test_the_other_goes_on_when_one_is_killed(pair):
    first, second = pair()
    node = first.active("a")
    with second.events() as stream:
        first.daemon.kill()
        second.heartbeat(node).expect(200)
        second.active("b")
        stream.wait("node.approved", "b")
    first.start()
    assert {n["id"] for n in first.nodes()} == {"a", "b"}
    first.verify()


def test_snapshots_of_both_are_by_one_key_and_their_versions_agree(pair):
    first, second = pair()
    first.active("a")
    versions = []
    for mesh in (first, second, first, second):
        answer = mesh.get("/topology/snapshot")
        peers = check_snapshot(answer.body, coordinator=first.coordinator()["publicKey"], network=first.network, now=now())
        assert list(peers) == ["a"]
        versions.append(answer.json["version"])
    assert versions == sorted(versions)


def test_both_start_at_once_on_an_empty_database(storage, mesh_factory, database, tmp_path):
    key = tmp_path / "coordinator-key.json"
    url = database()
    sovereign = oracle.Key()
    first = mesh_factory(db_url=url, sovereigns=[sovereign], args=["--coordinator-key", key], start=False)
    second = mesh_factory(db_url=url, sovereigns=[sovereign], args=["--coordinator-key", key], start=False)
    first.daemon.start(wait=False)
    second.daemon.start(wait=False)
    for mesh in (first, second):
        mesh.daemon.wait_listening()
        mesh.connect()
    first.active("a")
    assert [n["id"] for n in second.nodes()] == ["a"]
    assert len(first.get("/sovereign").json["sovereigns"]) == 1
    first.verify()
