"""Promise: only a sovereign key admits, denies, removes or resets a node; each of its signatures counts once, for this network, this action and the very key it names."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tana_testing import oracle
from tana_testing.each import each
from tana_testing.mesh import DROP, Node, now

MINUTE = 60_000
ACTIONS = ("approve", "deny", "remove", "reset")


def test_approval(mesh):
    node = mesh.pending("validator-1")
    before = int(time.time() * 1000)
    answer = mesh.decide("approve", node).expect(200)
    assert (answer["success"], answer["nodeId"], answer["status"]) == (True, "validator-1", "active")
    row = mesh.node(node)
    assert row["status"] == "active" and row["approved_by"] == mesh.sovereign.public and before <= row["approved_at"] <= now() + 1000
    assert [n["id"] for n in mesh.nodes(status="active")] == ["validator-1"]


def test_denial_removal_and_reset(mesh):
    node = mesh.pending("a")
    assert mesh.decide("deny", node).expect(200)["status"] == "denied"
    assert mesh.status(node) == "denied"
    assert mesh.decide("reset", node).expect(200)["status"] == "pending"
    assert mesh.decide("approve", node).expect(200)["status"] == "active"
    assert mesh.decide("remove", node).expect(200)["status"] == "removed"
    assert mesh.status(node) is None
    mesh.decide("remove", node).refused(404, "unknown_node")


@pytest.mark.parametrize("action", ACTIONS)
def test_the_order_of_refusals(mesh, action):
    """Each request is wrong in every way that may still be wrong; mending the first mistake brings the next refusal."""
    node = mesh.active("a") if action != "remove" else None
    unknown = Node("unknown")
    stranger = oracle.Key()
    bad = stranger.sign("something else")
    target = node or unknown

    def attempt(target, **after):
        return mesh.post(f"/{action}/{target.id}", mesh.decision(action, target, after=after))

    attempt(unknown, approverPublicKey="ed25519_00", timestamp=1, signature=bad).refused(400, "malformed_key")
    attempt(unknown, approverPublicKey=stranger.public, timestamp="1", signature=bad).refused(400, "malformed_field")
    attempt(unknown, approverPublicKey=stranger.public, timestamp=1, signature="x").refused(400, "malformed_signature")
    attempt(unknown, approverPublicKey=stranger.public, timestamp=1, signature=bad).refused(403, "not_sovereign")
    refusal = attempt(unknown, timestamp=1, signature=bad).refused(400, "timestamp_out_of_range")
    assert abs(refusal["serverTime"] - now()) < 5000
    attempt(unknown, signature=bad).refused(404, "unknown_node")
    if action == "remove":  # nothing is in the wrong state for it
        first, second = mesh.pending("first"), mesh.pending("second")
        attempt(first, signature=bad).refused(401, "bad_signature")
        used = mesh.decision("remove", first)
        mesh.post("/remove/first", used).expect(200)
        attempt(second, timestamp=used["timestamp"], signature=bad).refused(401, "bad_signature")
        mesh.decide("remove", second, timestamp=used["timestamp"]).refused(409, "replayed")
        return
    used = mesh.decision(action, target)
    mesh.post(f"/{action}/a", used).refused(409, "wrong_state")
    attempt(target, timestamp=used["timestamp"], signature=bad).refused(401, "bad_signature")
    mesh.decide(action, target, timestamp=used["timestamp"]).refused(409, "replayed")
    mesh.decide(action, target).refused(409, "wrong_state")


@pytest.mark.parametrize("state", ["pending", "active", "offline", "denied"])
@pytest.mark.parametrize("action", ACTIONS)
def test_which_action_fits_which_state(mesh_factory, action, state):
    mesh = mesh_factory(args=["--heartbeat-timeout", "200ms", "--offline-grace", "100ms"] if state == "offline" else [])
    node = mesh.pending("a")
    if state in ("active", "offline"):
        mesh.decide("approve", node).expect(200)
    if state == "offline":
        mesh.wait_status(node, "offline")
    if state == "denied":
        mesh.decide("deny", node).expect(200)
    result = {
        ("approve", "pending"): "active", ("deny", "pending"): "denied", ("reset", "denied"): "pending",
        ("remove", "pending"): "removed", ("remove", "active"): "removed", ("remove", "offline"): "removed", ("remove", "denied"): "removed",
    }.get((action, state))
    answer = mesh.decide(action, node)
    if result is None:
        answer.refused(409, "wrong_state")
        assert mesh.status(node) == state
    else:
        assert answer.expect(200)["status"] == result
        assert mesh.status(node) == (None if result == "removed" else result)
    mesh.verify()


def test_a_refused_action_uses_up_its_timestamp_too(mesh):
    """Otherwise a recorded approval could be sent again when the node has become pending anew."""
    node = mesh.pending("a")
    mesh.decide("deny", node).expect(200)
    recorded = mesh.decision("approve", node)
    mesh.post("/approve/a", recorded).refused(409, "wrong_state")
    mesh.decide("reset", node).expect(200)
    mesh.post("/approve/a", recorded).refused(409, "replayed")
    assert mesh.status(node) == "pending"
    assert [e["outcome"] for e in mesh.audit()[-2:]] == ["wrong_state", "pending"]


def test_what_was_refused_before_the_signature_was_checked_uses_up_nothing(mesh):
    node, unknown = mesh.pending("a"), Node("unknown")
    later = now() + 1000
    mesh.decide("approve", unknown, timestamp=later).refused(404, "unknown_node")
    mesh.post("/approve/a", mesh.decision("approve", node, timestamp=later, after={"signature": oracle.Key().sign("x")})).refused(401, "bad_signature")
    mesh.decide("approve", node, timestamp=later).expect(200)


def test_a_recorded_decision_is_refused_also_after_a_restart(mesh):
    node = mesh.pending("a")
    recorded = mesh.decision("deny", node)
    mesh.post("/deny/a", recorded).expect(200)
    mesh.decide("reset", node).expect(200)
    mesh.post("/deny/a", recorded).refused(409, "replayed")
    mesh.restart()
    mesh.post("/deny/a", recorded).refused(409, "replayed")
    mesh.kill_and_restart()
    mesh.post("/deny/a", recorded).refused(409, "replayed")
    assert mesh.status(node) == "pending"


def test_timestamps_only_grow_for_each_sovereign_alone(mesh_factory):
    first, second = oracle.Key(), oracle.Key()
    mesh = mesh_factory(sovereigns=[first, second])
    a, b = mesh.pending("a"), mesh.pending("b")
    mesh.decide("approve", a, sovereign=first, timestamp=now() + 60_000).expect(200)
    mesh.decide("approve", b, sovereign=first).refused(409, "replayed")
    mesh.decide("approve", b, sovereign=second).expect(200)
    assert mesh.node(b)["approved_by"] == second.public


def test_a_signature_is_for_one_network_one_action_one_node_and_one_key(mesh):
    node, other = mesh.pending("a"), mesh.pending("b")
    t = now()
    for message in (
        mesh.decision_message("approve", "a", node.public, t, network="mainnet"),
        mesh.decision_message("deny", "a", node.public, t),
        mesh.decision_message("approve", "b", node.public, t),
        mesh.decision_message("approve", "a", other.public, t),
        mesh.decision_message("approve", "a", node.key.public_hex, t),
        mesh.decision_message("approve", "a", node.public, t + 1),
        mesh.decision_message("approve", "a", node.public, t) + "\n",
        "approve:a",
    ):
        mesh.decide("approve", node, timestamp=t, message=message).refused(401, "bad_signature")
    mesh.decide("approve", node, timestamp=t).expect(200)


def test_an_approval_does_not_admit_a_key_that_came_after_it(mesh):
    """The node registers, is removed, and another key takes its name before the approval arrives."""
    node = mesh.pending("a")
    approval = mesh.decision("approve", node)
    mesh.decide("remove", node, timestamp=approval["timestamp"] - 1).expect(200)
    usurper = Node("a")
    mesh.register(usurper).expect(201)
    mesh.post("/approve/a", approval).refused(401, "bad_signature")
    assert mesh.status(usurper) == "pending"


def test_keys_and_signatures_beside_the_text_are_read_leniently(mesh):
    node = mesh.pending("a")
    body = mesh.decision("approve", node)
    body["approverPublicKey"] = mesh.sovereign.public_hex.upper()
    body["signature"] = body["signature"].removeprefix("ed25519_sig_").upper()
    mesh.post("/approve/a", body).expect(200)
    assert mesh.node(node)["approved_by"] == mesh.sovereign.public


@each("raw", oracle.SMALL_ORDER_KEYS + oracle.NON_CANONICAL_KEYS)
def test_small_order_keys_are_malformed(mesh, raw):
    mesh.post("/approve/a", mesh.decision("approve", Node("a"), after={"approverPublicKey": raw})).refused(400, "malformed_key")


def test_the_time_window(mesh):
    node = mesh.pending("a")
    for offset in (-5 * MINUTE - 2000, 5 * MINUTE + 2000):
        mesh.decide("approve", node, timestamp=now() + offset).refused(400, "timestamp_out_of_range")
    mesh.decide("approve", node, timestamp=now() + 5 * MINUTE - 5000).expect(200)


def test_node_ids_in_the_path(mesh):
    for path in ("/approve/" + "a" * 65, "/approve/A", "/approve/a%2fb", "/approve/%20"):
        answer = mesh.post(path, mesh.decision("approve", Node("a")))
        assert (answer.status, answer.code) in ((400, "malformed_parameter"), (404, "unknown_node"), (400, "malformed_field")), answer
    assert mesh.post("/approve/", mesh.decision("approve", Node("a"))).status == 404


def test_the_older_form_works_under_dev_alone(mesh_factory):
    dev, production = mesh_factory(dev=True), mesh_factory()
    node = dev.pending("a")
    assert dev.post("/deny/a", dev.older_decision("deny", node)).expect(200)["status"] == "denied"
    dev.post("/reset/a", dev.older_decision("reset", node)).expect(200)
    dev.post("/approve/a", {**dev.older_decision("approve", node), "signature": oracle.Key().sign("approve:a")}).refused(401, "bad_signature")
    dev.post("/approve/a", dev.older_decision("deny", node)).refused(401, "bad_signature")
    assert dev.post("/approve/a", dev.older_decision("approve", node)).expect(200)["status"] == "active"
    dev.decide("remove", node).expect(200)
    dev.verify()
    node = production.pending("a")
    answer = production.post("/approve/a", production.older_decision("approve", node))
    assert answer.status in (400, 401), answer
    timed = {**production.older_decision("approve", node), "timestamp": now()}
    production.post("/approve/a", timed).refused(401, "bad_signature")
    assert production.status(node) == "pending"


def test_reasons_are_kept_in_the_log(mesh):
    node = mesh.pending("a")
    mesh.post("/deny/a", mesh.decision("deny", node, after={"reason": "unknown operator \u2603 \"quoted\""})).expect(200)
    entry = mesh.audit()[-1]
    assert entry["outcome"] == "denied" and entry["details"]["reason"] == 'unknown operator \u2603 "quoted"'
    mesh.verify()


def test_two_sovereigns_at_once_exactly_one_wins(mesh_factory):
    first, second = oracle.Key(), oracle.Key()
    mesh = mesh_factory(sovereigns=[first, second])
    with ThreadPoolExecutor(4) as pool:
        for i in range(25):
            node = mesh.pending(f"n{i}")
            bodies = [("approve", first), ("deny", second)]
            answers = list(pool.map(lambda x: mesh.decide(x[0], node, sovereign=x[1]), bodies))
            statuses = [a.status for a in answers]
            assert sorted(statuses) == [200, 409], answers
            winner = answers[statuses.index(200)]
            answers[statuses.index(409)].refused(409, "wrong_state")
            assert mesh.status(node) == winner.json["status"]
    mesh.verify()


def test_one_signed_decision_sent_many_times_at_once_counts_once(mesh):
    node = mesh.pending("a")
    body = mesh.decision("approve", node)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: mesh.post("/approve/a", body), range(16)))
    assert sorted(a.status for a in answers) == [200] + [409] * 15
    assert {a.code for a in answers if a.status == 409} <= {"replayed", "wrong_state"}
    assert len([e for e in mesh.audit() if ":approve:a:" in e["message"]]) == 1


def test_without_its_fields_a_decision_is_malformed(mesh):
    node = mesh.pending("a")
    for field in ("approverPublicKey", "timestamp", "signature"):
        answer = mesh.post("/approve/a", mesh.decision("approve", node, after={field: DROP}))
        answer.refused(400, "missing_field")
        assert field in answer.json["error"]
