"""Nodes and sovereigns by the command line, against a real coordinator: as text, as JSON, by exit status."""

import json
import re
import stat
from types import SimpleNamespace

import pytest
from tana_testing import oracle
from tana_testing.mesh import NETWORK
from tana_cli import write_key


N1 = SimpleNamespace(id="n1")


def register(user, node_id, *args):
    return user("mesh", "register", "--dev", "--node-id", node_id, *args)


def test_a_node_from_registration_to_heartbeats(user, sovereign, mesh):
    done = register(user, "validator-1", "--region", "eu").ok
    assert "Registered validator-1 in network testnet: pending" in done.out
    assert "tana mesh approve validator-1" in done.err and "first contact" in done.err
    shown = user("mesh", "list", "--status", "pending", "--json").ok.json["nodes"]
    assert [(n["id"], n["status"], n["region"], n["role"]) for n in shown] == [("validator-1", "pending", "eu", "validator")]
    assert sovereign("mesh", "approve", "validator-1", "--yes").ok.out == "Approved validator-1: active\n"
    assert user("mesh", "heartbeat", "--once", "--service", "t4=unhealthy").ok
    node = user("mesh", "status", "validator-1", "--json").expect(6).json["node"]
    assert node["status"] == "active" and {s["service_type"]: s["healthy"] for s in node["services"]} == {"ledger": None, "t4": False}
    assert node["approved_by"] == mesh.sovereign.public
    user("mesh", "heartbeat", "--once", "--service", "t4=healthy").ok
    text = user("mesh", "status", "validator-1").ok.out
    assert re.search(r"^t4 +8180 +healthy", text, re.M) and re.search(r"^ +now +- +\d", text, re.M)
    mesh.wait_status(SimpleNamespace(id="validator-1"), "offline", within=10)
    assert "offline" in user("mesh", "status", "validator-1").expect(6).out
    mesh.verify()


def test_registrations_are_signed_as_a_whole_and_name_the_network(user, mesh):
    made = register(user, "n1", "--service", "identity=8090", "--service", "x-metrics=9100", "--port-offset", "7", "--json").ok.json
    assert [(s["type"], s["port"]) for s in made["services"]] == [("identity", 8097), ("x-metrics", 9107)]
    entry = [e for e in mesh.audit() if e["message"].startswith("{")][-1]
    signed = json.loads(entry["message"])
    assert signed["network"] == NETWORK and signed["timestamp"] > 0 and signed["tailscaleHostname"] == "n1.local.ts.net"
    assert signed["services"] == made["services"] and oracle.canonical(signed).decode() == entry["message"]
    assert oracle.verify(made["publicKey"], entry["message"], entry["signature"])
    for service in ("identity", "x-metrics"):
        path = user.config / f"n1-{service}-key.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert json.loads(path.read_text())["publicKey"] in {s["publicKey"] for s in made["services"]}


def test_registering_again_keeps_keys_and_status(user, sovereign, mesh):
    first = register(user, "n1", "--json").ok.json
    sovereign("mesh", "approve", "n1", "-y").ok
    again = register(user, "n1", "--region", "us", "--json").ok.json
    assert again["publicKey"] == first["publicKey"] and again["services"] == first["services"] and again["status"] == "active"
    assert mesh.node(N1)["region"] == "us"


def test_the_machines_own_node_needs_no_name(user):
    made = user("mesh", "register", "--dev", "--json").ok.json
    assert made["keyFile"] == str(user.config / "node-key.json")
    assert user("mesh", "register", "--dev", "--node-id", made["nodeId"], "--json").ok.json["keyFile"] == made["keyFile"]
    assert user("mesh", "status", "--json").ok.json["ownNode"] == made["nodeId"]
    assert user("keys", "new", "node", made["nodeId"], "--json").expect(1).error["code"] == "already_exists", "one node, one key"


def test_a_key_made_for_this_machine_beforehand_is_the_one_that_registers(user, user_factory, url):
    name = user("mesh", "register", "--dev", "--json").ok.json["nodeId"]
    other = user_factory("other", url)
    key = other("keys", "new", "node", name, "--json").ok.json
    done = other("mesh", "register", "--dev", "--json").expect(1)
    assert done.error["code"] == "node_id_taken" and not (other.config / "node-key.json").exists()
    assert other("keys", "show", name, "--json").ok.json["publicKey"] == key["publicKey"]


def test_another_key_for_a_known_node_is_refused(user, user_factory, url):
    register(user, "n1").ok
    done = register(user_factory("other", url), "n1", "--json").expect(1)
    assert done.error["code"] == "node_id_taken" and "--node-id" in done.error["hint"]


def test_without_tailscale_there_is_a_hint(user, tmp_path):
    env = {"PATH": str(tmp_path)}
    done = user("mesh", "register", "--node-id", "n1", "--json", env=env).expect(3)
    assert "install" in done.error["hint"] and "--dev" in done.error["hint"]
    fake = tmp_path / "tailscale"
    fake.write_text('#!/bin/sh\necho \'{"BackendState":"NeedsLogin","Self":null,"Peer":{"nodekey:1":{}}}\'\n')
    fake.chmod(0o755)
    assert "tailscale up" in user("mesh", "register", "--node-id", "n1", "--json", env=env).expect(3).error["hint"]
    fake.write_text(
        '#!/bin/sh\necho \'{"BackendState":"Running","Self":{"DNSName":"box.tail1.ts.net.","TailscaleIPs":["fd7a::1","100.64.0.9"]}}\'\n'
    )
    assert user("mesh", "register", "--node-id", "n1", "--json", env=env).ok.json["tailscaleHostname"] == "box.tail1.ts.net"
    assert user("mesh", "status", "n1", "--json").expect(6).json["node"]["tailscale_ip"] == "100.64.0.9"


def test_deciding_shows_the_key_and_asks(user, sovereign):
    key = register(user, "n1", "--json").ok.json["publicKey"]
    assert "--yes" in sovereign("mesh", "approve", "n1").expect(2).err
    refused = sovereign.on_terminal("mesh", "approve", "n1", answers=[("[y/N]", "")])
    assert refused.expect(1) and key in refused.out and "n1.local.ts.net" in refused.out
    assert user("mesh", "status", "n1", "--json").expect(6).json["node"]["status"] == "pending"
    assert "Approved" in sovereign.on_terminal("mesh", "approve", "n1", answers=[("[y/N]", "y")]).ok.out


def test_every_decision(user, sovereign, mesh):
    register(user, "n1").ok
    assert sovereign("mesh", "deny", "n1", "-y", "--reason", "who are you", "--json").ok.json == {"success": True, "nodeId": "n1", "status": "denied"}
    assert sovereign("mesh", "approve", "n1", "-y", "--json").expect(1).error["code"] == "wrong_state"
    assert sovereign("mesh", "reset", "n1", "-y", "--json").ok.json["status"] == "pending"
    sovereign("mesh", "approve", "n1", "-y").ok
    assert sovereign("mesh", "remove", "n1", "-y", "--json").ok.json["nodeId"] == "n1"
    assert sovereign("mesh", "status", "n1", "--json").expect(1).error["code"] == "unknown_node"
    assert "tana mesh list" in sovereign("mesh", "approve", "n1", "-y").expect(1).err
    assert "who are you" in json.dumps(mesh.audit())


def test_who_may_not_decide(user, mesh):
    register(user, "n1").ok
    done = user("mesh", "approve", "n1", "-y", "--json").expect(4)
    assert done.error["code"] == "key_needed" and "--key FILE" in done.error["hint"]
    write_key(user.config / "sovereign-key.json", oracle.Key())
    done = user("mesh", "approve", "n1", "-y", "--json").expect(1)
    assert done.error["code"] == "not_sovereign" and "sovereign list" in done.error["hint"]
    other = write_key(user.home / "keys" / "theirs.json", mesh.sovereign)
    user("mesh", "approve", "n1", "-y", "--key", other).ok


def test_heartbeats_wait_for_approval_and_for_the_coordinator(user, sovereign, mesh):
    register(user, "n1").ok
    assert user("mesh", "heartbeat", "--once", "--json").expect(1).error["code"] == "node_not_active"
    sender = user.start("mesh", "heartbeat", "--interval", "100ms")
    sender.wait_for(lambda s: "trying again" in s.err)
    sovereign("mesh", "approve", "n1", "-y").ok
    sender.wait_for(lambda s: s.out.count("accepted") >= 3)
    mesh.daemon.terminate()
    sender.wait_for(lambda s: s.err.count("trying again") == 2)
    # The same place, so that the sender finds it again.
    mesh.daemon.argv[mesh.daemon.argv.index("--listen") + 1] = mesh.daemon.address
    mesh.start()
    before = sender.out.count("accepted")
    sender.wait_for(lambda s: s.out.count("accepted") > before + 1)
    assert sender.end() == 0


def test_a_sender_may_start_before_its_coordinator(user, sovereign, mesh):
    register(user, "n1").ok
    sovereign("mesh", "approve", "n1", "-y").ok
    mesh.daemon.terminate()
    sender = user.start("mesh", "heartbeat", "--interval", "100ms")
    sender.wait_for(lambda s: "trying again" in s.err)
    mesh.daemon.argv[mesh.daemon.argv.index("--listen") + 1] = mesh.daemon.address
    mesh.start()
    sender.wait_for(lambda s: "accepted" in s.out)
    assert sender.end() == 0


def test_a_heartbeat_sender_without_a_future_ends(user, sovereign):
    register(user, "n1").ok
    sovereign("mesh", "remove", "n1", "-y").ok
    sender = user.start("mesh", "heartbeat", "--interval", "100ms")
    assert sender.process.wait(20) == 1 and "register it" in sender.err


# -- lists


def test_a_list_of_nobody_says_so_and_what_to_do(user):
    done = user("mesh", "list").ok
    assert done.out == "No nodes are active.\n" and "tana mesh register" in done.err
    assert user("mesh", "list", "--json").ok.json == {"nodes": []}
    register(user, "n1").ok
    assert "tana mesh list --all" in user("mesh", "list").ok.err
    assert user("mesh", "list", "--role", "observer", "--all").ok.out == "No nodes of role observer are registered.\n"


def test_one_node_is_one_line_and_columns_align(user, sovereign):
    register(user, "n1", "--role", "observer").ok
    done = user("mesh", "list", "--all").ok
    head, line = done.out.splitlines()
    assert head.split() == ["NODE", "STATUS", "ROLE", "REGION", "ADDRESS", "HEARTBEAT", "SERVICES"]
    for title, cell in (("NODE", "n1"), ("STATUS", "pending"), ("ROLE", "observer"), ("REGION", "-"), ("SERVICES", "ledger:8080 t4:8180")):
        assert line[head.index(title) :].startswith(cell)
    assert "\x1b" not in done.out


def test_colour_is_for_terminals_without_no_color(user):
    register(user, "n1").ok
    assert "\x1b[33mpending\x1b[0m" in user.on_terminal("mesh", "list", "--all").ok.out
    assert "\x1b" not in user.on_terminal("mesh", "list", "--all", env={"NO_COLOR": "1"}).ok.out
    assert "\x1b" not in user.on_terminal("mesh", "list", "--all", env={"TERM": "dumb"}).ok.out


def test_a_thousand_nodes_come_page_by_page(user, mesh):
    for i in range(1005):
        mesh.pending(f"n-{i:04}")
    nodes = user("mesh", "list", "--all", "--json").ok.json["nodes"]
    assert [n["id"] for n in nodes] == [f"n-{i:04}" for i in range(1005)]
    lines = user("mesh", "list", "--all").ok.out.splitlines()
    assert len(lines) == 1006 and len({line.index("pending") for line in lines[1:]}) == 1
    few = user("mesh", "list", "--status", "pending", "--limit", "3").ok
    assert len(few.out.splitlines()) == 4 and "more" in few.err


def test_what_a_coordinator_says_cannot_steer_the_terminal(user_factory, liar, mesh):
    mesh.pending("n1", region="plain")
    liar.change("/nodes", lambda d: {"nodes": [{**n, "region": "\u202egnp\u200f"} for n in d["nodes"]]})
    done = user_factory("victim", liar.url)("mesh", "list", "--all").ok
    assert "\u202e" not in done.out and "\ufffdgnp\ufffd" in done.out
    liar.change("/nodes", lambda d: {"nodes": [{**n, "region": "\x1b]0;owned\x07"} for n in d["nodes"]]})
    done = user_factory("victim", liar.url)("mesh", "list", "--all")
    assert "\x1b" not in done.out + done.err


@pytest.mark.parametrize("answer", [b"", b"<html>", b"[]", b'{"nodes":{}}', b'{"nodes":[{}]}', b'{"nodes":[],"nodes":[]}', b'{"nodes":[' * 50])
def test_a_coordinator_that_talks_nonsense_is_an_error(user_factory, liar, answer):
    liar.patch = lambda path, body: answer
    assert user_factory("victim", liar.url)("mesh", "list", "--json").expect(1).error["code"] == "bad_answer"


def test_a_list_without_end_is_an_error(user_factory, liar):
    liar.change("/nodes", lambda d: {**d, "nextCursor": "same"})
    done = user_factory("victim", liar.url)("mesh", "list", "--json").expect(1)
    assert done.error["code"] in ("bad_answer", "malformed_cursor")


def test_a_slow_coordinator_times_out(user_factory):
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        user = user_factory("u", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert user("mesh", "list", "--timeout", "300ms", "--json").expect(5).error["code"] == "timed_out"


# -- the network's name


def test_a_coordinator_that_changes_its_networks_name_gets_no_signature(user_factory, liar, mesh):
    user = user_factory("victim", liar.url)
    register(user, "n1").ok
    liar.change("/info", lambda d: {**d, "network": "othernet"})
    before = len(mesh.audit())
    done = register(user, "n2", "--json").expect(1)
    assert done.error["code"] == "wrong_network" and len(mesh.audit()) == before
    # Who says so explicitly signs for that network, and the real one refuses it.
    assert register(user, "n2", "--network", "othernet", "--json").expect(1).error["code"] == "wrong_network"
    register(user, "n2", "--network", NETWORK).ok


# -- invites and sovereign keys


def test_an_invite_admits_as_often_as_it_says(user, sovereign, mesh):
    invite = sovereign("mesh", "invite", "--uses", "2", "--expires", "1h", "--json").ok.json
    assert invite["network"] == NETWORK and invite["code"] not in mesh.daemon.tail()
    assert register(user, "a", "--invite", invite["code"], "--json").ok.json["status"] == "active"
    assert user("mesh", "register", "--dev", "--node-id", "b", "--invite", "-", "--json", stdin=invite["code"] + "\n").ok.json["status"] == "active"
    assert register(user, "c", "--invite", invite["code"], "--json").expect(1).error["code"] == "invite_invalid"
    assert register(user, "c", "--invite", "nonsense").expect(2)
    assert re.search(r"used up +2 of 2", sovereign("mesh", "invites").ok.out)


def test_invites_on_further_pages_are_listed_too(user_factory, liar, mesh):
    user = user_factory("far", liar.url)
    made = [mesh.invite().public for _ in range(3)][::-1]
    pages = {"": (made[:2], "7"), "7": (made[2:], None)}

    def patch(path, body):
        if not path.startswith("/invites?"):
            return None
        keys, following = pages[path.partition("&cursor=")[2]]
        rows = [r for r in mesh.pages("/invites", "invites") if r["public_key"] in keys]
        return json.dumps({"invites": rows, **({"nextCursor": following} if following else {})}).encode()

    liar.patch = patch
    assert [r["public_key"] for r in user("mesh", "invites", "--json").ok.json["invites"]] == made
    pages["7"] = (made[2:], "7")
    assert user("mesh", "invites", "--json").expect(1).error["code"] == "bad_answer"


def test_a_revoked_invite_admits_nobody(user, sovereign):
    code = sovereign("mesh", "invite", "--quiet").ok.out.strip()
    key = sovereign("mesh", "invites", "--json").ok.json["invites"][0]["public_key"]
    assert oracle.Key(bytes.fromhex(code.removeprefix("ed25519_"))).public == key
    assert sovereign("mesh", "invite-revoke", key, "-y").ok
    assert "revoked" in sovereign("mesh", "invites").ok.out
    assert register(user, "a", "--invite", code, "--json").expect(1).error["code"] == "invite_invalid"
    assert sovereign("mesh", "invite-revoke", oracle.Key().public, "-y", "--json").expect(1).error["code"] == "unknown_invite"
    sovereign("mesh", "invite-revoke", "x", "-y").expect(2)


def test_sovereign_keys_come_and_go(sovereign, mesh):
    other = oracle.Key()
    sovereign("mesh", "sovereign", "add", other.public, "--description", "bob", "-y").ok
    listed = sovereign("mesh", "sovereign", "list", "--json").ok.json["sovereigns"]
    assert {(s["public_key"], s["description"]) for s in listed} == {(mesh.sovereign.public, None), (other.public, "bob")}
    assert sovereign("mesh", "sovereign", "add", other.public, "-y", "--json").expect(1)
    sovereign("mesh", "sovereign", "remove", other.public, "-y").ok
    done = sovereign("mesh", "sovereign", "remove", mesh.sovereign.public, "-y", "--json").expect(1)
    assert done.error["code"] == "last_sovereign" and "rotate" in done.error["hint"]


def test_rotating_the_sovereign_key_replaces_the_file(user, sovereign, mesh):
    done = sovereign("mesh", "sovereign", "rotate", "-y", "--json").ok.json
    file = json.loads((sovereign.config / "sovereign-key.json").read_text())
    assert done["oldPublicKey"] == mesh.sovereign.public and file["publicKey"] == done["newPublicKey"]
    assert not (sovereign.config / "sovereign-key.json.next").exists()
    register(user, "n1").ok
    sovereign("mesh", "approve", "n1", "-y").ok
    mesh.verify()


def test_rotating_a_nodes_key_keeps_its_place(user, sovereign, mesh):
    old = register(user, "n1", "--json").ok.json["publicKey"]
    sovereign("mesh", "approve", "n1", "-y").ok
    done = user("mesh", "rotate-key", "-y", "--json").ok.json
    assert done["oldPublicKey"] == old and mesh.node(N1)["public_key"] == done["newPublicKey"]
    assert mesh.status(N1) == "active"
    user("mesh", "heartbeat", "--once").ok


@pytest.mark.parametrize("reached", [False, True], ids=["request lost", "answer lost"])
def test_a_rotation_that_was_cut_short_is_taken_up(user_factory, liar, mesh, sovereign, reached):
    user = user_factory("victim", liar.url)
    register(user, "n1").ok
    sovereign("mesh", "approve", "n1", "-y").ok
    path = user.config / "node-key-n1.json"
    before = path.read_text()
    if reached:
        liar.patch = lambda where, body: b"not an answer" if where.endswith("/rotate") else None
        user("mesh", "rotate-key", "-y").expect(1)
    else:
        user("mesh", "rotate-key").expect(2)  # ends after the new key was made, before it was sent
    liar.patch = lambda where, body: None
    assert path.read_text() == before
    waiting = json.loads((user.config / "node-key-n1.json.next").read_text())["publicKey"]
    done = user("mesh", "rotate-key", "-y", "--json").ok
    assert done.json["newPublicKey"] == waiting == mesh.node(N1)["public_key"] and "begun before" in done.err
    user("mesh", "heartbeat", "--once").ok


def test_a_sealed_sovereign_key_decides(user, sovereign, tmp_path):
    (tmp_path / "p").write_text("correct horse\n")
    sovereign("keys", "passphrase", "sovereign", "--passphrase-file", tmp_path / "p").ok
    register(user, "n1").ok
    sovereign("mesh", "approve", "n1", "-y").expect(4)
    env = {"TANA_PASSPHRASE_FILE": str(tmp_path / "p")}
    sovereign("mesh", "approve", "n1", "-y", env=env).ok
    sovereign("mesh", "sovereign", "rotate", "-y", env=env).ok
    assert "sealedKey" in json.loads((sovereign.config / "sovereign-key.json").read_text())
    sovereign.on_terminal("mesh", "remove", "n1", "-y", answers=[("Passphrase", "correct horse")]).ok
