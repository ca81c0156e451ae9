"""Promise: anyone inside the network may ask to join with a signed registration; nothing but that signature decides what the registry says of the node.

POST /register in its two signed forms, every refusal with its code and their order, what a second registration changes and what it keeps.
"""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tana_testing import oracle
from tana_testing.each import each
from tana_testing.mesh import DROP, Node, now
from tana_testing.shim import Faults

MINUTE = 60_000


def stranger(node):
    """Another key for a known node id."""
    return Node(node.id)


def test_a_new_node_is_pending_and_shows_what_it_said(mesh):
    node = Node("validator-1", region="eu-west", provider="hetzner", latitude="52.52", longitude="-13.405", role="observer")
    node.services = [
        {"type": "ledger", "port": 8080, "publicKey": oracle.Key().public},
        {"type": "x-metrics", "port": 65535, "publicKey": oracle.Key().public},
    ]
    before = int(time.time() * 1000)
    answer = mesh.register(node).expect(201)
    assert (answer["success"], answer["nodeId"], answer["status"]) == (True, "validator-1", "pending") and answer["message"]
    row = mesh.node(node)
    assert before <= row["registered_at"] <= now() + 1000
    for name, value in {
        "id": "validator-1", "public_key": node.public, "tailscale_hostname": node.hostname, "tailscale_ip": "100.64.0.1", "status": "pending",
        "role": "observer", "region": "eu-west", "provider": "hetzner", "latitude": "52.52", "longitude": "-13.405",
    }.items():
        assert row[name] == value, name
    for name in ("approved_at", "approved_by", "last_heartbeat"):
        assert name in row and row[name] is None
    assert {(s["service_type"], s["port"], s["public_key"], s["healthy"], s["last_check"]) for s in row["services"]} == {
        (s["type"], s["port"], s["publicKey"], None, None) for s in node.services
    }
    assert mesh.nodes(status="active") == []


def test_the_short_form_of_existing_clients_works_under_dev(dev_mesh):
    node = Node("validator-1")
    assert dev_mesh.register(node, "short").expect(201)["status"] == "pending"
    assert dev_mesh.node(node)["role"] == "validator"


def test_the_short_form_is_refused_in_production_and_by_choice(mesh, mesh_factory):
    mesh.register(Node("a"), "short").refused(400, "full_signature_required")
    strict = mesh_factory(dev=True, args=["--require-full-signature=yes"])
    strict.register(Node("a"), "short").refused(400, "full_signature_required")
    lax = mesh_factory(args=["--require-full-signature=no"])
    lax.register(Node("a"), "short").expect(201)


def test_the_same_node_again_is_updated_and_keeps_its_status(mesh):
    node = mesh.active("validator-1")
    registered, approved = mesh.node(node)["registered_at"], mesh.node(node)["approved_at"]
    node.hostname, node.services = "moved.ts.net", [{"type": "t4", "port": 8180, "publicKey": oracle.Key().public}]
    answer = mesh.register(node, before={"tailscaleIP": "fd7a:115c:a1e0::1"}).expect(200)
    assert (answer["success"], answer["nodeId"], answer["status"]) == (True, node.id, "active")
    row = mesh.node(node)
    assert (row["tailscale_hostname"], row["tailscale_ip"]) == ("moved.ts.net", "fd7a:115c:a1e0::1")
    assert [s["service_type"] for s in row["services"]] == ["t4"]
    assert (row["registered_at"], row["approved_at"], row["status"]) == (registered, approved, "active")


@pytest.mark.parametrize("status", ["pending", "denied", "offline"])
def test_registering_again_never_lifts_a_status(mesh_factory, status):
    mesh = mesh_factory(args=["--heartbeat-timeout", "300ms", "--offline-grace", "100ms"] if status == "offline" else [])
    node = mesh.pending("a")
    if status == "denied":
        mesh.decide("deny", node).expect(200)
    if status == "offline":
        mesh.decide("approve", node).expect(200)
        mesh.wait_status(node, "offline")
    assert mesh.register(node).expect(200)["status"] == status
    assert mesh.status(node) == status


def test_another_key_for_a_known_node_id_is_refused(mesh):
    node = mesh.pending("a")
    mesh.register(stranger(node)).refused(409, "node_id_taken")
    assert mesh.node(node)["public_key"] == node.public


def test_a_known_key_under_another_node_id_is_refused(mesh):
    node = mesh.pending("a")
    other = Node("b")
    other.key = node.key
    mesh.register(other).refused(409, "key_in_use")
    assert mesh.status(other) is None


def test_both_conflicts_hold_in_the_short_form_too(dev_mesh):
    node = Node("a")
    dev_mesh.register(node, "short").expect(201)
    dev_mesh.register(stranger(node), "short").refused(409, "node_id_taken")
    other = Node("b")
    other.key = node.key
    dev_mesh.register(other, "short").refused(409, "key_in_use")
    assert dev_mesh.register(node, "short").expect(200)["status"] == "pending"


def test_a_short_registration_cannot_change_what_a_full_one_vouched_for(dev_mesh):
    node = Node("a")
    recorded = dev_mesh.registration(node, "short")
    dev_mesh.post("/register", recorded).expect(201)
    node.hostname = "new.ts.net"
    dev_mesh.register(node).expect(200)
    assert dev_mesh.post("/register", recorded).status in (400, 409)
    assert dev_mesh.node(node)["tailscale_hostname"] == "new.ts.net"


def test_a_registration_not_newer_than_the_last_is_refused(mesh):
    node = Node("a")
    first = mesh.registration(node)
    mesh.post("/register", first).expect(201)
    mesh.post("/register", first).refused(409, "replayed")
    mesh.register(node, timestamp=first["timestamp"], before={"region": "x"}).refused(409, "replayed")
    mesh.register(node, timestamp=first["timestamp"] - 1).refused(409, "replayed")
    node.hostname = "second.ts.net"
    mesh.register(node, timestamp=first["timestamp"] + 1).expect(200)
    mesh.post("/register", first).refused(409, "replayed")
    mesh.restart()
    mesh.post("/register", first).refused(409, "replayed")
    assert mesh.node(node)["tailscale_hostname"] == "second.ts.net"


def test_a_recorded_registration_does_not_bring_a_removed_node_back(mesh):
    """Also when its clock ran ahead, so that its timestamp still lies in the future."""
    for name, ahead in (("a", 0), ("b", 4 * MINUTE)):
        node = Node(name)
        recorded = mesh.registration(node, timestamp=now() + ahead)
        mesh.post("/register", recorded).expect(201)
        mesh.decide("remove", node).expect(200)
        mesh.post("/register", recorded).refused(409, "replayed")
        assert mesh.status(node) is None


def test_a_removed_node_may_ask_again(mesh):
    node = mesh.active("a")
    mesh.decide("remove", node).expect(200)
    # In the very millisecond of its removal a registration may be one from before.
    assert mesh.register(node, timestamp=now() + 10).expect(201)["status"] == "pending"
    other = Node("a")
    mesh.decide("remove", node).expect(200)
    mesh.register(other).expect(201)


def test_the_timestamp_lies_within_five_minutes(mesh):
    for offset in (-5 * MINUTE - 2000, 5 * MINUTE + 2000, -now(), 10**12):
        refusal = mesh.register(Node("a"), timestamp=max(0, now() + offset)).refused(400, "timestamp_out_of_range")
        assert abs(refusal["serverTime"] - now()) < 5000
    mesh.register(Node("a"), timestamp=now() - 5 * MINUTE + 5000).expect(201)
    mesh.register(Node("b"), timestamp=now() + 5 * MINUTE - 5000).expect(201)


def test_another_network_is_refused(mesh):
    mesh.register(Node("a"), before={"network": "mainnet"}).refused(400, "wrong_network")
    mesh.register(Node("a"), before={"network": DROP}).expect(201)


@each(
    "field, value",
    [
        ("nodeId", "b"), ("publicKey", oracle.Key("other").public), ("tailscaleHostname", "evil.ts.net"), ("tailscaleIP", "100.64.0.66"),
        ("role", "observer"), ("region", "mars"), ("provider", "x"), ("latitude", "1"), ("longitude", "1"), ("services", []), ("network", DROP),
        ("tailscaleIP", DROP), ("unknownField", "added"),
    ],
)
def test_the_full_signature_covers_every_field(mesh, field, value):
    mesh.register(Node("a"), after={field: value}).refused(401, "bad_signature")
    assert mesh.nodes() == []


def test_the_full_signature_covers_the_services_keys_and_the_timestamp(mesh):
    node = Node("a")
    body = mesh.registration(node)
    body["services"] = [{**node.services[0], "publicKey": oracle.Key().public}]
    mesh.post("/register", body).refused(401, "bad_signature")
    body = mesh.registration(node)
    mesh.post("/register", {**body, "timestamp": body["timestamp"] + 1}).refused(401, "bad_signature")


def test_fields_that_mesh_does_not_know_are_signed_and_ignored(mesh):
    mesh.register(Node("a"), before={"futureField": {"a": [1, None, "é\u0001"]}}).expect(201)
    mesh.verify()


@pytest.mark.parametrize("form", ["full", "short"])
def test_signatures_that_do_not_fit_are_refused(dev_mesh, form):
    node = Node("a")
    dev_mesh.register(node, form, key=oracle.Key()).refused(401, "bad_signature")
    good = dev_mesh.registration(node, form)
    dev_mesh.post("/register", {**good, "signature": oracle.malleate(good["signature"])}).refused(401, "bad_signature")
    zero_r = "ed25519_sig_" + "0" * 128
    dev_mesh.post("/register", {**good, "signature": zero_r}).refused(401, "bad_signature")
    flipped = good["signature"][:-1] + ("0" if good["signature"][-1] != "0" else "1")
    dev_mesh.post("/register", {**good, "signature": flipped}).refused(401, "bad_signature")
    assert dev_mesh.nodes() == []


def test_the_short_signature_is_none_in_the_full_form_and_the_other_way_round(dev_mesh):
    node = Node("a")
    short = dev_mesh.registration(node, "short")
    dev_mesh.post("/register", {**short, "timestamp": now()}).refused(401, "bad_signature")
    full = dev_mesh.registration(node)
    full.pop("timestamp")
    dev_mesh.post("/register", full).refused(401, "bad_signature")


def test_signatures_are_read_leniently_and_shown_as_written(mesh):
    """What stands beside the signed text may lack its prefix or be upper-case."""
    for i, spell in enumerate((lambda s: s.removeprefix("ed25519_sig_"), lambda s: "ed25519_" + s.removeprefix("ed25519_sig_"), lambda s: "ed25519_sig_" + s[12:].upper())):
        node = Node(f"n{i}")
        body = mesh.registration(node)
        mesh.post("/register", {**body, "signature": spell(body["signature"])}).expect(201)
    assert all(e["signature"].startswith("ed25519_sig_") and e["signature"] == e["signature"].lower() for e in mesh.audit())


def test_keys_inside_signed_json_have_the_written_form_only(mesh):
    node = Node("a")
    for spelling in (node.key.public_hex, "ed25519_" + node.key.public_hex.upper(), node.key.public_hex.upper()):
        mesh.register(node, before={"publicKey": spelling}).refused(400, "malformed_key")
        mesh.register(node, before={"services": [{**node.services[0], "publicKey": spelling}]}).refused(400, "malformed_key")


@each("raw", [*oracle.SMALL_ORDER_KEYS, *oracle.NON_CANONICAL_KEYS])
def test_keys_that_are_no_honest_points_are_malformed(mesh, raw):
    """A signature of zeros verifies for small-order keys in lax libraries."""
    forged = "ed25519_sig_01" + "0" * 126
    mesh.register(Node("a"), before={"publicKey": "ed25519_" + raw}, after={"signature": forged}).refused(400, "malformed_key")
    service = {"type": "t4", "port": 1, "publicKey": "ed25519_" + raw}
    mesh.register(Node("a"), before={"services": [service]}).refused(400, "malformed_key")


def test_a_key_off_the_curve_signs_nothing(mesh):
    answer = mesh.register(Node("a"), before={"publicKey": "ed25519_" + oracle.off_curve_key()})
    assert (answer.status, answer.code) in ((400, "malformed_key"), (401, "bad_signature")), answer


@each(
    "node_id, fine",
    [
        ("a", True), ("0", True), ("a" * 64, True), ("a.b_c-d", True), ("a--", True), ("", False), ("a" * 65, False), ("A", False), (".a", False),
        ("-a", False), ("_a", False), ("a b", False), ("a/b", False), ("a:b", False), ("é", False), ("a\n", False), ("../a", False), ("a%00", False),
    ],
)
def test_node_ids(mesh, node_id, fine):
    answer = mesh.register(Node(node_id))
    if fine:
        answer.expect(201)
        assert mesh.get(f"/nodes/{node_id}").expect(200)["node"]["id"] == node_id
    else:
        assert "nodeId" in answer.refused(400, "malformed_field")["error"]


@each(
    "service, fine",
    [
        ({"type": "mesh"}, True), ({"type": "t4"}, True), ({"type": "ledger"}, True), ({"type": "identity"}, True), ({"type": "x-anything"}, True),
        ({"type": "x-"}, False), ({"type": "web"}, False), ({"type": "Ledger"}, False), ({"type": ""}, False), ({"port": 1}, True),
        ({"port": 65535}, True), ({"port": 0}, False), ({"port": 65536}, False), ({"port": -1}, False), ({"port": "80"}, False), ({"port": DROP}, False),
        ({"type": DROP}, False), ({"publicKey": DROP}, False),
    ],
)
def test_services(mesh, service, fine):
    whole = {"type": "ledger", "port": 8080, "publicKey": oracle.Key("s").public, **service}
    whole = {k: v for k, v in whole.items() if v is not DROP}
    node = Node("a", services=[whole])
    answer = mesh.register(node)
    if fine:
        answer.expect(201)
        mesh.decide("remove", node).expect(200)
    else:
        assert answer.status == 400 and "services[0]" in answer.json["error"], answer


def test_at_most_sixteen_services(mesh):
    services = [{"type": f"x-{i}", "port": 1 + i, "publicKey": oracle.Key(str(i)).public} for i in range(17)]
    mesh.register(Node("a", services=services)).refused(400, "malformed_field")
    mesh.register(Node("a", services=services[:16])).expect(201)
    assert len(mesh.get("/nodes/a").expect(200)["node"]["services"]) == 16
    mesh.register(Node("b", services=[])).expect(201)


def test_two_services_of_one_type_are_refused(mesh):
    twice = [{"type": "t4", "port": p, "publicKey": oracle.Key().public} for p in (1, 2)]
    mesh.register(Node("a", services=twice)).refused(400, "malformed_field")


@each(
    "field, value",
    [
        ("tailscaleIP", "999.1.1.1"), ("tailscaleIP", "example.org"), ("tailscaleIP", ""), ("latitude", "91"), ("latitude", "north"), ("latitude", 52.5),
        ("longitude", "-180.1"), ("longitude", "1e1"), ("role", "sovereign"), ("role", ""), ("tailscaleHostname", ""), ("tailscaleHostname", "a b"),
        ("tailscaleHostname", "a;rm -rf"), ("tailscaleHostname", "h" * 254), ("timestamp", "1"), ("timestamp", -1), ("timestamp", 2**53), ("network", ""),
        ("region", "x" * 300), ("invite", "code"), ("invite", {}),
    ],
)
def test_malformed_fields(mesh, field, value):
    node = Node("a")
    body = mesh.registration(node)
    body[field] = value
    answer = mesh.post("/register", body)
    assert answer.status == 400 and answer.code in ("malformed_field", "missing_field"), answer
    assert field in answer.json["error"], answer


@each("field", ["nodeId", "publicKey", "tailscaleHostname", "services", "signature"])
def test_missing_fields(mesh, field):
    answer = mesh.register(Node("a"), after={field: DROP})
    assert field in answer.refused(400, "missing_field")["error"]


def test_the_order_of_refusals(mesh):
    """Malformed, then network, then time, then the signature, then conflicts: one mistake after the other is mended."""
    known = mesh.pending("known")
    taken = Node("known")
    wrong = oracle.Key()

    def attempt(**kw):
        return mesh.register(taken, **{"key": wrong, "timestamp": 1, "before": {"network": "other"}, **kw})

    attempt(before={"network": "other", "role": "king"}).refused(400, "malformed_field")
    attempt().refused(400, "wrong_network")
    attempt(before=None).refused(400, "timestamp_out_of_range")
    attempt(before=None, timestamp=None).refused(401, "bad_signature")
    attempt(before=None, timestamp=None, key=None).refused(409, "node_id_taken")
    assert mesh.node(known)["public_key"] == known.public


def test_pending_registrations_are_capped_and_admitted_nodes_do_not_count(mesh_factory):
    mesh = mesh_factory(args=["--pending-max", "3"])
    nodes = [mesh.pending(f"n{i}") for i in range(3)]
    mesh.register(Node("late")).refused(503, "overloaded")
    mesh.register(nodes[0]).expect(200)
    mesh.decide("approve", nodes[0]).expect(200)
    late = mesh.pending("late")
    mesh.register(Node("later")).refused(503, "overloaded")
    mesh.decide("deny", late).expect(200)
    mesh.pending("later")
    mesh.verify()


def test_pending_registrations_expire_and_the_log_says_so(mesh_factory):
    mesh = mesh_factory(args=["--pending-ttl", "1s", "--heartbeat-timeout", "10s"])
    kept = mesh.active("kept")
    node = mesh.pending("forgotten")
    time.sleep(1.05)
    mesh.restart()  # upkeep runs soon after a start
    mesh.wait_status(node, None)
    assert mesh.status(kept) == "active"
    last = mesh.audit()[-1]
    assert last["message"].startswith(f"tana-mesh:{mesh.network}:expire:forgotten:{node.public}:")
    assert last["publicKey"] == mesh.coordinator()["publicKey"] and oracle.verify(last["publicKey"], last["message"], last["signature"])
    mesh.verify()
    mesh.pending("forgotten")


def test_many_nodes_register_at_once(mesh):
    """Two nodes with the same id, or one key under two ids, at the same moment: exactly one of each pair is there afterwards."""
    bodies = []
    for i in range(20):
        a, b = Node(f"n{i}"), Node(f"n{i}")
        c = Node(f"m{i}")
        d = Node(f"o{i}")
        d.key = c.key
        bodies += [mesh.registration(x) for x in (a, b, c, d)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda body: mesh.post("/register", body), bodies))
    for i in range(0, len(answers), 4):
        assert sorted(x.status for x in answers[i : i + 2]) == [201, 409], answers[i : i + 2]
        assert sorted(x.status for x in answers[i + 2 : i + 4]) == [201, 409], answers[i + 2 : i + 4]
    assert len(mesh.nodes()) == 40
    mesh.verify()


def test_what_a_node_adds_to_the_log_in_a_day_is_bounded(mesh_factory, tmp_path):
    faults = Faults(tmp_path)
    mesh = mesh_factory(env=faults.env)
    greedy, other = mesh.pending("greedy"), mesh.pending("other")
    extra = {"padding": "x" * 50_000}
    answers = [mesh.register(greedy, before=extra) for _ in range(8)]
    statuses = [a.status for a in answers]
    good = statuses.count(200)
    assert statuses == [200] * good + [429] * (8 - good) and 4 <= good < 7, statuses
    answers[-1].refused(429, "rate_limited")
    assert 1 <= int(answers[-1].header("Retry-After")) <= 86_401
    assert len(mesh.audit()) == 3 + good
    # How much a node has left is told to whoever has its key, and to nobody else.
    stranger = oracle.Key()
    mesh.register(greedy, before=extra, key=stranger).refused(401, "bad_signature")
    mesh.register(greedy, before={**extra, "publicKey": stranger.public}, key=stranger).refused(409, "node_id_taken")
    mesh.rotate_node(greedy, oracle.Key(), old=stranger).refused(401, "bad_signature")
    for _ in range(8):  # what others send in its name costs a node nothing
        mesh.register(other, before=extra, key=oracle.Key()).refused(401, "bad_signature")
    mesh.register(other, before=extra).expect(200)
    mesh.decide("approve", other).expect(200)
    for _ in range(8):
        mesh.register(other, before=extra).expect(200)
    faults.set_clock(86_400_000)
    later = now() + 86_400_000
    mesh.register(other, before=extra, timestamp=later).expect(200)
    mesh.kill_and_restart()
    mesh.verify()
