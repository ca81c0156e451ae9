"""Promise: the sovereign keys govern themselves by signatures alone, one of them is always left, and a node can change its key without being admitted anew."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from tana_testing import oracle
from tana_testing.each import each
from tana_testing.mesh import Node, now


def sovereign_keys(mesh):
    return [row["public_key"] for row in mesh.get("/sovereign").expect(200)["sovereigns"]]


# -- sovereign keys


def test_the_operators_first_key_is_there_and_logged(mesh):
    row = mesh.get("/sovereign").expect(200)["sovereigns"][0]
    coordinator = mesh.coordinator()["publicKey"]
    assert row["public_key"] == mesh.sovereign.public and row["added_by"] == coordinator and abs(row["added_at"] - now()) < 60_000
    first = mesh.audit()[0]
    assert first["publicKey"] == coordinator and first["message"].startswith(f"tana-mesh:{mesh.network}:sovereign-init:{mesh.sovereign.public}:")
    assert oracle.verify(first["publicKey"], first["message"], first["signature"])


def test_the_same_operator_key_at_each_start_is_added_once(mesh_factory):
    mesh = mesh_factory(sovereigns=[oracle.Key(), oracle.Key()])
    mesh.restart()
    assert sorted(sovereign_keys(mesh)) == sorted(k.public for k in mesh.sovereigns)
    assert len(mesh.audit()) == 2


def test_a_key_that_was_removed_does_not_come_back_with_the_operators_flag(mesh_factory):
    first, second = oracle.Key(), oracle.Key()
    mesh = mesh_factory(sovereigns=[first, second])
    mesh.post("/sovereign/remove", mesh.sovereign_change("remove", second)).expect(200)
    mesh.restart()
    assert sovereign_keys(mesh) == [first.public]


def test_add(mesh):
    new = oracle.Key()
    answer = mesh.post("/sovereign/add", mesh.sovereign_change("add", new, description="Ada's token")).expect(200)
    assert (answer["success"], answer["publicKey"]) == (True, new.public)
    row = next(r for r in mesh.get("/sovereign").json["sovereigns"] if r["public_key"] == new.public)
    assert row["description"] == "Ada's token" and row["added_by"] == mesh.sovereign.public
    node = mesh.pending("a")
    mesh.decide("approve", node, sovereign=new).expect(200)
    mesh.post("/sovereign/add", mesh.sovereign_change("add", new)).refused(409, "already_exists")


def test_however_many_keys_there_are_each_is_seen(mesh_factory):
    mesh = mesh_factory(sovereigns=[oracle.Key() for _ in range(260)])
    assert sorted(sovereign_keys(mesh)) == sorted(k.public for k in mesh.sovereigns)
    last = next(k for k in mesh.sovereigns if k.public == sovereign_keys(mesh)[-1])
    for body in ({}, {"publicKey": last.public}):
        answer = mesh.post("/sovereign/verify", {"message": "m", "signature": last.sign("m"), **body}).expect(200)
        assert answer["publicKey"] == last.public
    mesh.post("/sovereign/verify", {"message": "m", "signature": oracle.Key().sign("m")}).refused(401, "bad_signature")


def test_remove(mesh):
    new = oracle.Key()
    mesh.post("/sovereign/remove", mesh.sovereign_change("remove", new)).refused(404, "unknown_key")
    mesh.post("/sovereign/add", mesh.sovereign_change("add", new)).expect(200)
    mesh.post("/sovereign/remove", mesh.sovereign_change("remove", new)).expect(200)
    assert sovereign_keys(mesh) == [mesh.sovereign.public]
    mesh.decide("approve", mesh.pending("a"), sovereign=new).refused(403, "not_sovereign")


def test_the_last_key_cannot_go(mesh):
    mesh.post("/sovereign/remove", mesh.sovereign_change("remove", mesh.sovereign)).refused(409, "last_sovereign")
    assert sovereign_keys(mesh) == [mesh.sovereign.public]


def test_two_keys_that_remove_each_other_at_once_leave_one(mesh_factory):
    for _ in range(5):
        first, second = oracle.Key(), oracle.Key()
        mesh = mesh_factory(sovereigns=[first, second])
        bodies = [mesh.sovereign_change("remove", second, sovereign=first), mesh.sovereign_change("remove", first, sovereign=second)]
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda b: mesh.post("/sovereign/remove", b), bodies))
        assert sorted(a.status for a in answers) in ([200, 403], [200, 409]), answers
        assert len(sovereign_keys(mesh)) == 1


def test_rotate(mesh):
    old, new = mesh.sovereign, oracle.Key()
    recorded = mesh.sovereign_rotation(old, new)
    assert mesh.post("/sovereign/rotate", recorded).expect(200)["publicKey"] == new.public
    assert sovereign_keys(mesh) == [new.public]
    node = mesh.pending("a")
    mesh.decide("approve", node, sovereign=old).refused(403, "not_sovereign")
    mesh.post("/sovereign/rotate", recorded).refused(403, "not_sovereign")
    mesh.decide("approve", node, sovereign=new).expect(200)
    mesh.restart()  # the operator's flag still names the old key
    assert sovereign_keys(mesh) == [new.public]
    entry = next(e for e in mesh.audit() if "sovereign-rotate" in e["message"])
    for key, signature in ((entry["publicKey"], entry["signature"]), (entry["newPublicKey"], entry["newSignature"])):
        assert oracle.verify(key, entry["message"], signature)
    mesh.verify()


def test_a_key_cannot_rotate_into_one_that_is_sovereign_already(mesh_factory):
    mesh = mesh_factory(sovereigns=[oracle.Key(), oracle.Key()])
    mesh.post("/sovereign/rotate", mesh.sovereign_rotation(*mesh.sovereigns)).refused(409, "already_exists")
    mesh.post("/sovereign/rotate", mesh.sovereign_rotation(mesh.sovereign, mesh.sovereign)).refused(409, "already_exists")
    assert len(sovereign_keys(mesh)) == 2


def test_rotation_needs_both_keys(mesh):
    new = oracle.Key()
    other = oracle.Key()
    body = mesh.sovereign_rotation(mesh.sovereign, new)
    for broken in ({"signature": other.sign("x")}, {"newSignature": other.sign("x")}, {"newPublicKey": other.public}, {"newSignature": body["signature"]}):
        mesh.post("/sovereign/rotate", {**body, **broken}).refused(401, "bad_signature")
    mesh.post("/sovereign/rotate", {**body, "newSignature": ""}).refused(400, "malformed_signature")
    mesh.post("/sovereign/rotate", body).expect(200)


@pytest.mark.parametrize("path", ["/sovereign/add", "/sovereign/remove", "/sovereign/rotate", "/invites", "/invites/revoke"])
def test_the_order_of_refusals(mesh_factory, path):
    mesh = mesh_factory(sovereigns=[oracle.Key(), oracle.Key()])
    subject = oracle.Key()

    def body(by, **kw):
        return {
            "/sovereign/add": lambda: mesh.sovereign_change("add", subject, sovereign=by, **kw),
            "/sovereign/remove": lambda: mesh.sovereign_change("remove", subject, sovereign=by, **kw),
            "/sovereign/rotate": lambda: mesh.sovereign_rotation(by, subject, **kw),
            "/invites": lambda: mesh.invitation(subject, sovereign=by, **kw),
            "/invites/revoke": lambda: mesh.revocation(subject, sovereign=by, **kw),
        }[path]()

    bad = {"signature": oracle.Key().sign("x")}
    stranger = oracle.Key()
    mesh.post(path, body(stranger, timestamp=1, after={"signature": "?"})).refused(400, "malformed_signature")
    mesh.post(path, body(stranger, timestamp=1, after=bad)).refused(403, "not_sovereign")
    refusal = mesh.post(path, body(mesh.sovereign, timestamp=1, after=bad)).refused(400, "timestamp_out_of_range")
    assert abs(refusal["serverTime"] - now()) < 5000
    t = now()
    other = mesh.sovereign_change("add", oracle.Key(), timestamp=t)
    mesh.post("/sovereign/add", other).expect(200)
    mesh.post(path, body(mesh.sovereign, timestamp=t, after=bad)).refused(401, "bad_signature")
    mesh.post(path, body(mesh.sovereign, timestamp=t)).refused(409, "replayed")


def test_one_timestamp_serves_one_statement_of_whatever_kind(mesh):
    """A sovereign's timestamps grow over all it signs."""
    t = now() + 1000
    mesh.post("/invites", mesh.invitation(oracle.Key(), timestamp=t))
    node = mesh.pending("a")
    mesh.decide("approve", node, timestamp=t).refused(409, "replayed")
    mesh.post("/sovereign/add", mesh.sovereign_change("add", oracle.Key(), timestamp=t)).refused(409, "replayed")


@each("raw", oracle.SMALL_ORDER_KEYS + oracle.NON_CANONICAL_KEYS)
def test_small_order_keys_never_become_sovereign(mesh, raw):
    body = mesh.sovereign_change("add", oracle.Key())
    mesh.post("/sovereign/add", {**body, "publicKey": "ed25519_" + raw}).refused(400, "malformed_key")
    rotation = mesh.sovereign_rotation(mesh.sovereign, oracle.Key())
    mesh.post("/sovereign/rotate", {**rotation, "newPublicKey": "ed25519_" + raw}).refused(400, "malformed_key")


def test_the_first_key_unsigned_under_dev_and_only_then(mesh_factory):
    dev = mesh_factory(dev=True, sovereigns=[])
    assert sovereign_keys(dev) == []
    first = oracle.Key()
    dev.post("/sovereign/add", {"publicKey": first.public}).expect(200)
    assert sovereign_keys(dev) == [first.public]
    assert dev.post("/sovereign/add", {"publicKey": oracle.Key().public}).status in (400, 403)
    dev.sovereigns = [first]
    dev.active("a")
    dev.verify()


def test_production_never_takes_an_unsigned_key(mesh_factory, mesh):
    assert mesh.post("/sovereign/add", {"publicKey": oracle.Key().public}).status in (400, 403)
    assert len(sovereign_keys(mesh)) == 1
    key = oracle.Key()
    empty = mesh_factory(sovereigns=[])
    assert empty.post("/sovereign/add", {"publicKey": key.public}).status in (400, 403)
    assert empty.post("/sovereign/add", empty.sovereign_change("add", key, sovereign=key)).status == 403
    assert sovereign_keys(empty) == []


def test_verify(mesh):
    other = oracle.Key()
    message = 'any text: "é" \u2603'
    good = {"message": message, "signature": mesh.sovereign.sign(message)}
    assert mesh.post("/sovereign/verify", {**good, "publicKey": mesh.sovereign.public}).expect(200) == {"valid": True, "publicKey": mesh.sovereign.public}
    assert mesh.post("/sovereign/verify", good).expect(200) == {"valid": True, "publicKey": mesh.sovereign.public}
    mesh.post("/sovereign/verify", {**good, "message": message + "!"}).refused(401, "bad_signature")
    mesh.post("/sovereign/verify", {**good, "publicKey": mesh.sovereign.public, "message": "x"}).refused(401, "bad_signature")
    mesh.post("/sovereign/verify", {"message": message, "signature": other.sign(message), "publicKey": other.public}).refused(403, "not_sovereign")


# -- a node's own key


def test_a_node_rotates_its_key(mesh):
    node, new = mesh.active("a"), oracle.Key()
    approved_at = mesh.node(node)["approved_at"]
    recorded = mesh.node_rotation(node, new)
    answer = mesh.post("/nodes/a/rotate", recorded).expect(200)
    assert answer["success"] is True and answer["nodeId"] == "a"
    row = mesh.node(node)
    assert (row["public_key"], row["status"], row["approved_at"]) == (new.public, "active", approved_at)
    mesh.heartbeat(node).refused(401, "bad_signature")
    mesh.post("/nodes/a/rotate", recorded).refused(401, "bad_signature")
    node.key = new
    mesh.heartbeat(node).expect(200)
    mesh.register(node).expect(200)
    mesh.restart()
    assert mesh.node(node)["public_key"] == new.public
    mesh.verify()


def test_a_recorded_registration_of_the_old_key_does_not_undo_a_rotation(mesh):
    node = Node("a")
    recorded = mesh.registration(node)
    mesh.post("/register", recorded).expect(201)
    mesh.rotate_node(node, oracle.Key()).expect(200)
    mesh.post("/register", recorded).refused(409, "node_id_taken")


@pytest.mark.parametrize("state", ["pending", "offline"])
def test_rotation_carries_the_status_over(mesh_factory, state):
    mesh = mesh_factory(args=["--heartbeat-timeout", "200ms", "--offline-grace", "100ms"] if state == "offline" else [])
    node = mesh.pending("a")
    if state == "offline":
        mesh.decide("approve", node).expect(200)
        mesh.wait_status(node, "offline")
    mesh.rotate_node(node, oracle.Key()).expect(200)
    assert mesh.status(node) == state
    mesh.verify()


def test_refusals_of_a_node_rotation(mesh):
    node, other = mesh.active("a"), mesh.active("b")
    new = oracle.Key()
    bad = oracle.Key().sign("x")
    mesh.post("/nodes/a/rotate", mesh.node_rotation(node, new, after={"newPublicKey": "?"})).refused(400, "malformed_key")
    mesh.post("/nodes/none/rotate", mesh.node_rotation(node, new, timestamp=1, after={"signature": bad})).refused(400, "timestamp_out_of_range")
    mesh.post("/nodes/none/rotate", mesh.node_rotation(node, new, after={"signature": bad})).refused(404, "unknown_node")
    mesh.rotate_node(node, new, after={"signature": bad}).refused(401, "bad_signature")
    mesh.rotate_node(node, new, after={"newSignature": bad}).refused(401, "bad_signature")
    mesh.rotate_node(node, new, message=f"tana-mesh:other:node-rotate:a:{node.public}:{new.public}:{now()}").refused(401, "bad_signature")
    mesh.rotate_node(node, other.key).refused(409, "key_in_use")
    first = mesh.node_rotation(node, new)
    mesh.post("/nodes/a/rotate", first).expect(200)
    node.key = new
    mesh.rotate_node(node, oracle.Key(), timestamp=first["timestamp"]).refused(409, "replayed")
    denied = mesh.pending("c")
    mesh.decide("deny", denied).expect(200)
    mesh.rotate_node(denied, oracle.Key()).refused(409, "wrong_state")


def test_a_key_is_rotated_only_so_often(mesh):
    """Evidence of every rotation goes into each snapshot: it must not grow without end."""
    node = mesh.active("a")
    for done in range(300):
        new = oracle.Key()
        answer = mesh.rotate_node(node, new)
        if answer.status != 200:
            break
        node.key = new
    answer.refused(422, "refused")
    assert done >= 10 and mesh.node(node)["public_key"] == node.public
    mesh.decide("remove", node).expect(200)
    mesh.register(node).expect(201)
    mesh.rotate_node(node, new).expect(200)
    mesh.verify()


def test_an_approval_of_the_old_key_does_not_admit_the_new_one(mesh):
    node = mesh.pending("a")
    approval = mesh.decision("approve", node)
    mesh.rotate_node(node, oracle.Key()).expect(200)
    mesh.post("/approve/a", approval).refused(401, "bad_signature")
    assert mesh.status(node) == "pending"
