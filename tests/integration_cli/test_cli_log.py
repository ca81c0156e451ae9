"""The log and the snapshot, checked by the command line: what holds, and each way in which a coordinator might cheat."""

import base64
import json
from types import SimpleNamespace

import pytest
from tana_testing import oracle
from tana_testing.mesh import NETWORK, now
from tana_testing.oracle import Key
from tana_cli import write_key


@pytest.fixture
def history(mesh):
    """A bit of everything in the log."""
    mesh.active("n1")
    node = mesh.active("n2")
    mesh.rotate_node(node, Key()).expect(200)
    mesh.pending("n3")
    mesh.decide("deny", SimpleNamespace(id="n3", public=mesh.node(SimpleNamespace(id="n3"))["public_key"])).expect(200)
    mesh.invite(uses=2)
    return mesh


def coordinator_key(mesh):
    return Key(bytes.fromhex(json.loads((mesh.data / "coordinator-key.json").read_text())["privateKey"].removeprefix("ed25519_")))


# -- audit


def test_the_log_is_listed_newest_last(user, history):
    entries = user("mesh", "audit", "--json").ok.json["entries"]
    assert [e["index"] for e in entries] == list(range(len(entries)))
    text = user("mesh", "audit", "--limit", "3").ok.out.splitlines()
    assert len(text) == 4 and text[-1].split()[0] == str(len(entries) - 1)
    assert "deny n3" in user("mesh", "audit", "--after", "0").ok.out
    assert user("mesh", "audit", "--after", "99999").ok.out == "No entries.\n"


def test_follow_prints_each_new_entry_once(user, mesh):
    mesh.pending("before")
    reader = user.start("mesh", "audit", "--follow", "--json")
    reader.wait_for(lambda r: "before" in r.out)
    mesh.pending("after")
    reader.wait_for(lambda r: "after" in r.out)
    assert reader.end(2) == 130
    indexes = [json.loads(line)["index"] for line in reader.out.splitlines()]
    assert indexes == list(range(len(indexes)))


def test_a_log_in_order_is_verified_and_remembered(user, history):
    first = user("mesh", "audit", "verify", "--json").ok.json
    assert first["network"] == NETWORK and first["size"] == len(history.audit()) and first["continuesSize"] == 0
    assert first["root"] == history.checkpoint().root.hex() and first["sovereigns"] == 1
    history.active("n4")
    second = user("mesh", "audit", "verify", "--json").ok.json
    assert second["continuesSize"] == first["size"] and second["size"] == first["size"] + 2
    assert "continues the log" in user("mesh", "audit", "verify").ok.out


def test_more_entries_than_a_page(user, mesh):
    for i in range(1010):
        mesh.pending(f"n{i}")
    assert user("mesh", "audit", "verify", "--json").ok.json["size"] == 1011


def test_one_entry_by_its_proof(user, history):
    entry = user("mesh", "audit", "verify", "--entry", "2", "--json").ok.json
    assert entry == history.audit()[2]
    assert user("mesh", "audit", "verify", "--entry", "999", "--json").expect(1).error["code"] == "not_found"


def changed(index, **fields):
    def change(document):
        for e in document["entries"]:
            if e["index"] == index:
                e.update(fields)
        return document

    return change


def without(index):
    return lambda d: {**d, "entries": [e for e in d["entries"] if e["index"] != index]}


@pytest.mark.parametrize(
    "lie, code",
    [
        (changed(1, outcome="active"), "corrupt"),
        (changed(1, time=1), "corrupt"),
        (changed(1, details={"reason": "none"}), "corrupt"),
        (changed(1, signature=Key().sign("something else")), "bad_signature"),
        (changed(1, message="nonsense"), "corrupt"),
        (changed(2, message=f"tana-mesh:othernet:approve:n1:{Key().public}:1"), "corrupt"),
        (without(1), "corrupt"),
        (lambda d: {**d, "entries": d["entries"][:-1]}, "corrupt"),
    ],
    ids=["outcome", "time", "details", "signature", "message", "network", "entry missing", "end missing"],
)
def test_a_log_that_was_tampered_with_is_found_out(user_factory, liar, history, lie, code):
    user = user_factory("auditor", liar.url)
    liar.change("/audit?", lie)
    assert user("mesh", "audit", "verify", "--json").expect(6).error["code"] == code
    assert not (user.state / "local" / "known.json").exists(), "what does not hold is not remembered"


def test_an_entry_signed_by_a_key_that_could_not_decide_is_found_out(user_factory, liar, history):
    """Even a coordinator that signs a head over it cannot make a stranger's approval stand."""
    stranger = Key()
    entries = history.audit()
    forged = next(e for e in entries if ":approve:" in e["message"])
    forged.update(publicKey=stranger.public, signature=stranger.sign(forged["message"]))
    tree = oracle.List([oracle.canonical(e) for e in entries])
    note = signed_note(coordinator_key(history), len(entries), tree.root())

    def patch(path, body):
        if path.startswith("/audit?"):
            return json.dumps({"entries": entries}).encode()
        return note if path == "/audit/checkpoint" else None

    liar.patch = patch
    done = user_factory("auditor", liar.url)("mesh", "audit", "verify", "--json").expect(6)
    assert done.error["code"] == "corrupt" and stranger.public in done.error["error"]


def signed_note(key, size, root):
    name = f"tana-mesh/{NETWORK}"
    text = f"{name}\n{size}\n{base64.b64encode(root).decode()}\n"
    signature = base64.b64encode(oracle.note_key_id(name, bytes.fromhex(key.public_hex)) + key.sign_bytes(text.encode())).decode()
    return f"{text}\n\u2014 {name} {signature}\n".encode()


def test_a_rewritten_history_is_found_out(user_factory, liar, history):
    """A log that is fine by itself, and is not the one that was verified before."""
    user = user_factory("auditor", liar.url)
    user("mesh", "audit", "verify").ok
    entries = history.audit()
    for e in entries:
        e["time"] += 1
    key = coordinator_key(history)
    for kept, why in ((entries, "rewritten"), (entries[:-2], "missing")):
        tree = oracle.List([oracle.canonical(e) for e in kept])
        note = signed_note(key, len(kept), tree.root())
        liar.patch = lambda path, body: (
            json.dumps({"entries": kept}).encode() if path.startswith("/audit?") else note if path == "/audit/checkpoint" else None
        )
        done = user("mesh", "audit", "verify", "--json").expect(6)
        assert done.error["code"] == "corrupt" and why in done.error["error"]


def test_another_coordinators_key_is_found_out(user_factory, liar, history):
    user = user_factory("auditor", liar.url)
    user("mesh", "audit", "verify").ok
    other = Key()
    note = signed_note(other, len(history.audit()), history.checkpoint().root)

    def patch(path, body):
        if path == "/info":
            return json.dumps({**json.loads(body), "coordinator": other.public}).encode()
        return note if path == "/audit/checkpoint" else None

    liar.patch = patch
    done = user("mesh", "audit", "verify", "--json").expect(6)
    assert "another than before" in done.error["error"] and "known.json" in done.error["hint"]


# -- snapshot


@pytest.fixture
def peer(user_factory, url, history):
    """Someone who trusts the sovereign key, and nothing else."""
    made = user_factory("peer", url)
    made.trust = ["--trust", history.sovereign.public]
    return made


def snapshot(mesh):
    return json.loads(mesh.get("/topology/snapshot").body)


def resigned(document, key):
    body = {k: v for k, v in document.items() if k != "signature"}
    body["signature"] = key.sign(oracle.canonical(body).decode())
    return oracle.canonical(body)


def test_a_snapshot_is_checked_offline_from_the_sovereign_key_alone(peer, history, tmp_path):
    done = peer("mesh", "topology", "--verify", "--snapshot", tmp_path / "s.json", *peer.trust, "--json").ok
    assert [p["id"] for p in done.json["peers"]] == ["n1", "n2"]
    assert done.json["peers"][1]["publicKey"] == history.node(SimpleNamespace(id="n2"))["public_key"]
    history.stop()
    again = peer("mesh", "topology", "--from", tmp_path / "s.json", *peer.trust, "--json").ok
    assert again.json == done.json
    assert "verified" in peer("mesh", "topology", "--from", tmp_path / "s.json", *peer.trust).ok.out


def test_without_a_key_to_trust_nothing_is_verified(peer, tmp_path):
    assert peer("mesh", "topology", "--verify", "--json").expect(4).error["code"] == "key_needed"
    done = peer("mesh", "topology", "--verify", "--trust", Key().public, "--json").expect(6)
    assert done.error["code"] == "not_sovereign" and "--trust" in done.error["hint"]
    peer("mesh", "topology", "--verify", "--trust", "nonsense").expect(2)


def test_a_changed_byte_spoils_it(peer, history, tmp_path):
    text = oracle.canonical(snapshot(history))
    for at in range(0, len(text), max(1, len(text) // 40)):
        (tmp_path / "s.json").write_bytes(text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :])
        peer("mesh", "topology", "--from", tmp_path / "s.json", *peer.trust).expect(6)
    (tmp_path / "s.json").write_bytes(text[:-1])
    peer("mesh", "topology", "--from", tmp_path / "s.json", *peer.trust).expect(6)
    (tmp_path / "s.json").write_bytes(json.dumps(json.loads(text)).encode())
    assert peer("mesh", "topology", "--from", tmp_path / "s.json", *peer.trust, "--json").expect(6).error["code"] == "not_canonical"


def forge(change):
    """A snapshot that the stolen coordinator key signs, changed by change(document, mesh)."""

    def make(mesh):
        document = snapshot(mesh)
        change(document, mesh)
        return resigned(document, coordinator_key(mesh))

    return make


def invented_member(document, mesh):
    thief, node = Key(), Key()
    fields = {"network": NETWORK, "nodeId": "n9", "publicKey": node.public, "services": [], "tailscaleHostname": "h", "timestamp": now()}
    registration = oracle.canonical(fields).decode()
    approval = f"tana-mesh:{NETWORK}:approve:n9:{node.public}:{now()}"
    adding = f"tana-mesh:{NETWORK}:sovereign-init:{thief.public}:{now()}"
    key = coordinator_key(mesh)
    document["sovereigns"].append({"message": adding, "publicKey": key.public, "signature": key.sign(adding)})
    document["nodes"].append(
        {
            "id": "n9",
            "publicKey": node.public,
            "status": "active",
            "rotations": [],
            "registration": {"message": registration, "publicKey": node.public, "signature": node.sign(registration)},
            "admission": {"message": approval, "publicKey": thief.public, "signature": thief.sign(approval)},
        }
    )


def swapped_key(document, mesh):
    document["nodes"][0]["publicKey"] = Key().public


def swapped_service(document, mesh):
    message = json.loads(document["nodes"][0]["registration"]["message"])
    message["services"] = [{"port": 1, "publicKey": Key().public, "type": "ledger"}]
    document["nodes"][0]["registration"]["message"] = oracle.canonical(message).decode()


def anothers_admission(document, mesh):
    document["nodes"][0]["admission"] = document["nodes"][1]["admission"]


def rotation_left_out(document, mesh):
    document["nodes"][1]["rotations"] = []


def member_twice(document, mesh):
    document["nodes"].append(document["nodes"][-1])


def another_network(document, mesh):
    document["network"] = "othernet"


def expired(document, mesh):
    document["expires"] = 1


FORGERIES = [invented_member, swapped_key, swapped_service, anothers_admission, rotation_left_out, member_twice, another_network, expired]


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda f: f.__name__)
def test_a_stolen_coordinator_key_invents_nobody_and_swaps_nothing(peer, history, tmp_path, forgery):
    path = tmp_path / "s.json"
    path.write_bytes(forge(lambda d, m: None)(history))
    peer("mesh", "topology", "--from", path, *peer.trust).ok  # signed anew, unchanged, it is fine
    path.write_bytes(forge(forgery)(history))
    peer("mesh", "topology", "--from", path, *peer.trust).expect(6)


def test_an_older_snapshot_than_one_seen_is_refused(peer, history, tmp_path):
    peer("mesh", "topology", "--verify", "--snapshot", tmp_path / "old.json", *peer.trust).ok
    history.active("n5")
    newer = peer("mesh", "topology", "--verify", *peer.trust, "--json")
    if len(newer.ok.json["peers"]) == 2:  # the coordinator may answer from what it made a moment ago
        pytest.fail("the snapshot does not show a change that was answered")
    done = peer("mesh", "topology", "--from", tmp_path / "old.json", *peer.trust, "--json").expect(6)
    assert done.error["code"] == "refused" and "older than" in done.error["error"]


def test_who_trusts_a_rotated_sovereign_key_trusts_its_line(peer, history, user_factory, url):
    old, new = history.sovereign, Key()
    history.post("/sovereign/rotate", history.sovereign_rotation(old, new)).expect(200)
    history.sovereigns[0] = new
    history.active("n6")
    for key in (old, new):
        other = user_factory(f"peer-{key.public[8:12]}", url)
        done = other("mesh", "topology", "--verify", "--trust", key.public, "--json").ok
        assert [p["id"] for p in done.json["peers"]] == ["n1", "n2", "n6"] and done.json["sovereigns"] == [new.public]


def test_members_by_invite_show_that_they_used_it(user, sovereign, mesh):
    code = sovereign("mesh", "invite", "--quiet").ok.out.strip()
    user("mesh", "register", "--dev", "--node-id", "guest", "--invite", code).ok
    user("mesh", "register", "--dev", "--node-id", "guest", "--region", "elsewhere").ok
    done = sovereign("mesh", "topology", "--verify", "--json").ok
    assert [(p["id"], p["admittedBy"]) for p in done.json["peers"]] == [("guest", mesh.sovereign.public)]
    document = snapshot(mesh)
    del document["nodes"][0]["inviteUse"]
    (user.home / "s.json").write_bytes(resigned(document, coordinator_key(mesh)))
    sovereign("mesh", "topology", "--from", user.home / "s.json").expect(6)


def test_own_sovereign_key_counts_as_trusted(peer, history):
    write_key(peer.config / "sovereign-key.json", history.sovereign)
    peer("mesh", "topology", "--verify").ok
