"""Promise: a node can be given the list of its peers by anyone, check it offline, and believe it: no member, key or service can be invented, not even with the coordinator's key."""

import copy
import time

import pytest
from tana_testing import oracle
from tana_testing.evidence import Forged, check_snapshot, check_snapshot_members
from tana_testing.mesh import Node, now


def fetch(mesh, **kw):
    answer = mesh.get("/topology/snapshot")
    doc = answer.expect(200)
    peers = check_snapshot(answer.body, coordinator=mesh.coordinator()["publicKey"], network=mesh.network, now=now(), **kw)
    return answer.body, doc, peers


@pytest.fixture
def varied(mesh_factory):
    """Members by approval, by invite, with rotated keys, by a sovereign since rotated and one since removed; and nodes that are no members."""
    first, second = oracle.Key(), oracle.Key()
    mesh = mesh_factory(sovereigns=[first, second])
    mesh.active("approved")
    node = mesh.pending("by-second")
    mesh.decide("approve", node, sovereign=second).expect(200)
    mesh.register(Node("invited"), invite=mesh.invite(uses=3)).expect(201)
    for name in ("rotated", "rotated-then-registered"):
        node = mesh.active(name)
        for _ in range(2):
            new = oracle.Key()
            mesh.rotate_node(node, new).expect(200)
            node.key = new
    mesh.register(node).expect(200)
    pending_rotated = mesh.pending("rotated-then-approved")
    new = oracle.Key()
    mesh.rotate_node(pending_rotated, new).expect(200)
    pending_rotated.key = new
    mesh.decide("approve", pending_rotated).expect(200)
    denied = mesh.pending("denied")
    mesh.decide("deny", denied).expect(200)
    mesh.pending("waiting")
    gone = mesh.active("gone")
    mesh.decide("remove", gone).expect(200)
    third = oracle.Key()
    mesh.post("/sovereign/add", mesh.sovereign_change("add", third)).expect(200)
    mesh.post("/sovereign/remove", mesh.sovereign_change("remove", second)).expect(200)
    new = oracle.Key()
    mesh.post("/sovereign/rotate", mesh.sovereign_rotation(first, new)).expect(200)
    node = mesh.pending("by-new")
    mesh.decide("approve", node, sovereign=new).expect(200)
    mesh.first = first
    mesh.second = second
    return mesh


MEMBERS = ["approved", "by-new", "by-second", "invited", "rotated", "rotated-then-approved", "rotated-then-registered"]


def test_every_member_is_shown_with_evidence_that_holds(varied):
    _, doc, peers = fetch(varied)
    assert sorted(peers) == MEMBERS
    topology = {r["id"]: r for r in varied.get("/topology").expect(200)["nodes"]}
    for node_id, peer in peers.items():
        row = topology[node_id]
        key = lambda s: (s["type"], s["port"], s["publicKey"])
        assert (peer["publicKey"], peer["hostname"]) == (row["public_key"], row["tailscale_hostname"])
        assert sorted(map(key, peer["services"])) == sorted(map(key, row["services"]))
    assert doc["expires"] - doc["issued"] == 24 * 3_600_000 and abs(doc["issued"] - now()) < 60_000


def test_a_reader_who_knows_the_first_sovereigns_needs_not_trust_the_coordinator(varied):
    _, _, peers = fetch(varied, trusted_sovereigns=[varied.first.public, varied.second.public])
    assert sorted(peers) == MEMBERS
    with pytest.raises(Forged):
        fetch(varied, trusted_sovereigns=[oracle.Key().public])


def test_an_invited_node_keeps_its_evidence_when_it_registers_anew_and_rotates(mesh):
    """Its later registrations name no invite; the one that was admitted must still be shown."""
    node = Node("a")
    mesh.register(node, invite=mesh.invite()).expect(201)
    node.hostname = "moved.ts.net"
    mesh.register(node).expect(200)
    _, _, peers = fetch(mesh)
    assert peers["a"]["hostname"] == "moved.ts.net"
    new = oracle.Key()
    mesh.rotate_node(node, new).expect(200)
    _, _, peers = fetch(mesh)
    assert peers["a"]["publicKey"] == new.public
    node.key = new
    mesh.register(node).expect(200)
    fetch(mesh)
    mesh.verify()


def test_short_registrations_show_their_services_as_unsigned(dev_mesh):
    node = Node("a")
    dev_mesh.register(node, "short").expect(201)
    dev_mesh.decide("approve", node).expect(200)
    _, doc, peers = fetch(dev_mesh)
    assert peers["a"]["services"] == node.services and "services" in doc["nodes"][0]["details"]


def places(value, path=()):
    """Every place below a JSON value."""
    if isinstance(value, dict):
        for k, v in value.items():
            yield (*path, k)
            yield from places(v, (*path, k))
    if isinstance(value, list):
        for i, v in enumerate(value):
            yield (*path, i)
            yield from places(v, (*path, i))


def tampered(doc, path):
    """Copies of the document with the value at `path` changed: flipped text, other number, removed."""
    for how in ("change", "remove", "double"):
        out = copy.deepcopy(doc)
        at = out
        for step in path[:-1]:
            at = at[step]
        value = at[path[-1]]
        if how == "remove":
            del at[path[-1]]
        elif how == "double":
            if not isinstance(at, list):
                continue
            at.append(copy.deepcopy(value))
        elif isinstance(value, str):
            at[path[-1]] = value[:-1] + ("0" if value[-1:] != "0" else "1")
        elif isinstance(value, int):
            at[path[-1]] = value + 1
        else:
            continue
        yield how, out


def test_changing_any_part_is_noticed(varied):
    _, doc, _ = fetch(varied)
    coordinator = varied.coordinator()["publicKey"]
    accepted = []
    tried = 0
    for path in places(doc):
        for how, out in tampered(doc, path):
            tried += 1
            try:
                check_snapshot(oracle.canonical(out), coordinator=coordinator, network=varied.network, now=now())
                accepted.append((how, path))
            except Forged:
                pass
    assert tried > 200 and not accepted


def test_what_a_thief_of_the_coordinators_key_cannot_do(varied):
    """With the coordinator's signature left aside, the members' own evidence still refuses every invention."""
    _, doc, _ = fetch(varied)
    known = {"coordinator": varied.coordinator()["publicKey"], "network": varied.network, "now": now(), "trusted_sovereigns": [varied.first.public, varied.second.public]}
    check_snapshot_members(doc, **known)
    allowed_to_vanish = {("nodes", i) for i in range(len(doc["nodes"]))} | {("sovereigns", i) for i in range(len(doc["sovereigns"]))}
    accepted = []
    for path in places({"nodes": doc["nodes"], "sovereigns": doc["sovereigns"]}):
        for how, out in tampered(doc, path):
            if (how == "remove" and path in allowed_to_vanish) or path[-1] in ("status", "details") or (how == "double" and path[0] == "sovereigns") or path[:2] in (("sovereigns", 0), ("sovereigns", 1)) or len(path) < 2:
                continue  # leaving out, saying twice, and what nobody but the coordinator says
            try:
                check_snapshot_members(out, **known)
                accepted.append((how, path))
            except Forged:
                pass
    assert not accepted
    swapped = copy.deepcopy(doc)
    a, b = swapped["nodes"][0], swapped["nodes"][1]
    a["admission"], b["admission"] = b["admission"], a["admission"]
    with pytest.raises(Forged):
        check_snapshot_members(swapped, **known)


def test_the_version_only_grows(mesh):
    seen = [fetch(mesh)[1]["version"]]
    node = mesh.active("a")
    seen.append(fetch(mesh)[1]["version"])
    node.hostname = "b.ts.net"
    mesh.register(node).expect(200)
    seen.append(fetch(mesh)[1]["version"])
    mesh.decide("remove", node).expect(200)
    seen.append(fetch(mesh)[1]["version"])
    assert seen == sorted(set(seen)), seen
    mesh.restart()
    assert fetch(mesh)[1]["version"] >= seen[-1]
    with pytest.raises(Forged, match="older version"):
        fetch(mesh, version_min=seen[-1] + 1000)


def test_going_offline_gives_a_new_version(mesh_factory):
    mesh = mesh_factory(args=["--heartbeat-timeout", "300ms", "--offline-grace", "100ms"])
    node = mesh.active("a")
    before, doc, _ = fetch(mesh)
    mesh.wait_status(node, "offline")
    _, after, peers = fetch(mesh)
    assert after["version"] > doc["version"] and peers == {}


def test_it_expires(mesh_factory):
    mesh = mesh_factory(args=["--snapshot-ttl", "2s"])
    mesh.active("a")
    body, doc, _ = fetch(mesh)
    assert doc["expires"] - doc["issued"] == 2000
    with pytest.raises(Forged, match="expired"):
        check_snapshot(body, coordinator=mesh.coordinator()["publicKey"], network=mesh.network, now=doc["expires"])
    time.sleep(max(0, doc["expires"] - time.time() * 1000) / 1000 + 0.05)
    fetch(mesh)


def test_the_coordinators_key_is_kept_and_private(mesh, mesh_factory, tmp_path):
    key = mesh.coordinator()["publicKey"]
    path = mesh.data / "coordinator-key.json"
    assert path.stat().st_mode & 0o777 == 0o600
    mesh.restart()
    assert mesh.coordinator()["publicKey"] == key
    mesh.stop()
    path.chmod(0o644)
    mesh.daemon.refuse_to_start("coordinator-key.json", "chmod")
    path.chmod(0o600)
    mesh.start()


def test_another_coordinator_key_on_the_same_database_is_refused(mesh, mesh_factory, tmp_path):
    """Otherwise the log and the snapshots would suddenly be signed by someone else."""
    mesh.active("a")
    mesh.stop()
    stranger = mesh_factory(db_url=mesh.db_url, sovereigns=[], start=False)
    stranger.daemon.refuse_to_start("coordinator key")
    mesh.start()
