"""Promise: the worked examples of docs/protocol.md are true: another library accepts them, a verifier written apart does, and meshd does what they say."""

import base64
import hashlib
import json
import re
import time

import nacl.signing
import pytest
import story
from tana_testing import evidence, oracle
from tana_testing.client import Client
from tana_testing.daemon import SANITIZED, Daemon, binary, run
from tana_testing.shim import Faults

PROTOCOL = story.PROTOCOL.read_text()
SHOWN = {m.group(2): m.group(3) for m in story.MARKER.finditer(PROTOCOL)}


def example(name):
    return (story.EXAMPLES / name).read_text()


def test_generated_examples_are_current():
    for name, content in story.files().items():
        assert example(name) == content, f"docs/examples/{name} is old: run tests/docs/story.py"
    assert story.with_blocks(PROTOCOL) == PROTOCOL, "docs/protocol.md has old examples: run tests/docs/story.py"
    assert set(SHOWN) == set(story.blocks()), "each example is shown once"


def _rows(block):
    return {line[:13].strip(): line[13:] for line in block.split("\n")}


def _public_keys():
    return {line[:18].strip(): re.search(r"ed25519_[0-9a-f]{64}$", line).group(0) for line in SHOWN["keys"].split("\n")}


@pytest.mark.parametrize("name", [s.name for s in story.STEPS])
def test_each_shown_signature_verifies(name):
    rows, keys = _rows(SHOWN[name]), _public_keys()
    digest = hashlib.sha256(rows["message"].encode()).digest()
    assert digest.hex() == rows["SHA-256"]
    for signer, signature in (("by", "signature"), ("new key", "newSignature")):
        if signer in rows:
            key = nacl.signing.VerifyKey(bytes.fromhex(keys[rows[signer]].removeprefix("ed25519_")))
            key.verify(digest, bytes.fromhex(rows[signature].removeprefix("ed25519_sig_")))


def test_the_shown_keys_come_from_their_seeds():
    for line in SHOWN["keys"].split("\n"):
        byte, public = re.search(r"seed 32 x ([0-9a-f]{2}) +ed25519_([0-9a-f]{64})$", line).groups()
        assert nacl.signing.SigningKey(bytes.fromhex(byte * 32)).verify_key.encode().hex() == public


def test_the_map_tree_is_that_of_the_published_vectors():
    cases = json.loads((story.ROOT / "tests" / "vectors" / "merkle_map.json").read_text())
    assert len(cases) > 3
    for case in cases:
        assert story.map_root([story.map_entry(k.encode(), v.encode()) for k, v in case["entries"].items()]).hex() == case["root"]


def test_log_checkpoints_and_proofs_fit_each_other():
    entries = [json.loads(line) for line in example("log.jsonl").splitlines()]
    leaves = [oracle.leaf_hash(line.encode()) for line in example("log.jsonl").splitlines()]
    vkey = SHOWN["verifier-key"]
    head = oracle.open_checkpoint(example("checkpoint.txt").encode(), vkey)
    old = oracle.open_checkpoint(example(f"checkpoint-{story.OLD_SIZE}.txt").encode(), vkey)
    assert head.size == len(entries) and example("checkpoint.txt") == SHOWN["checkpoint"] + "\n"
    rows = {line.split(None, 1)[0]: line.split(None, 1)[1] for line in SHOWN["inclusion"].replace("leaf data", "data").replace("leaf hash", "leaf").split("\n")}
    path = [bytes.fromhex(v) for k, v in rows.items() if k.startswith("path[")]
    assert oracle.leaf_hash(rows["data"].encode()).hex() == rows["leaf"] == leaves[int(rows["index"])].hex()
    assert oracle.verify_inclusion(bytes.fromhex(rows["leaf"]), int(rows["index"]), int(rows["size"]), path, head.root)
    rows = {line.split(None, 1)[0]: line.split(None, 1)[1] for line in SHOWN["consistency"].split("\n")}
    path = [bytes.fromhex(v) for k, v in rows.items() if k.startswith("path[")]
    assert oracle.verify_consistency(old.size, old.root, head.size, head.root, path)
    assert set(evidence.replay(entries, story.NETWORK)) == {"node-1", "node-2"}


def test_the_snapshot_convinces_a_verifier_written_apart():
    keys, text = _public_keys(), example("snapshot.json").encode()
    known = {"coordinator": keys["coordinator"], "network": story.NETWORK, "now": story.at(60)}
    members = evidence.check_snapshot(text, trusted_sovereigns=[keys["sovereign"]], **known)
    assert {n: m["publicKey"] for n, m in members.items()} == {"node-1": keys["node-1"], "node-2": keys["node-2 rotated"]}
    with pytest.raises(evidence.Forged):
        evidence.check_snapshot(text, trusted_sovereigns=[oracle.Key("a stranger").public], **known)
    with pytest.raises(evidence.Forged):
        evidence.check_snapshot(text.replace(b"8080", b"8081"), trusted_sovereigns=[keys["sovereign"]], **known)


@pytest.fixture
def meshd_then(tmp_path):
    """A meshd of the example network that believes it is the time of the story."""
    if SANITIZED:
        pytest.skip("the sanitizers want to be loaded before the shim that sets the clock")
    faults = Faults(tmp_path)
    faults.set_clock(story.START - time.time_ns() // 1_000_000)
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    key = story.KEYS["coordinator"]
    (data / "coordinator-key.json").write_text(json.dumps({"publicKey": key.public, "privateKey": key.private}))
    (data / "coordinator-key.json").chmod(0o600)
    store = ["--db", f"sqlite:{tmp_path}/mesh.db", "--data", data, "--network", story.NETWORK]
    argv = [binary("meshd"), "run", *store, "--listen", "127.0.0.1:0", "--log-format", "json", "--require-full-signature=no"]
    daemon = Daemon(tmp_path, [*argv, "--sovereign-key", story.KEYS["sovereign"].public], faults.env, "meshd").start()
    client = Client(daemon.address)
    yield client, lambda: run([binary("meshd"), "verify", *store], tmp_path)
    client.close()
    daemon.finish()


def _timeless(entry):
    """What does not depend on the coordinator's clock."""
    out = {k: v for k, v in entry.items() if k != "time"}
    if ":sovereign-init:" in out["message"]:
        out.update(message=out["message"].rpartition(":")[0], signature=None)
    return out


def test_meshd_does_what_the_story_says(meshd_then):
    client, verify = meshd_then
    for step in story.STEPS:
        if step.path:
            answer = client.post(step.path, step.body)
            assert answer.status == step.status, f"{step.name}: {answer}"
            assert step.status < 400 or answer.code == step.outcome
    entries = client.get("/audit").expect(200)["entries"]
    assert [_timeless(e) for e in entries] == [_timeless(e) for e in story.LOG]
    leaves = oracle.List(oracle.canonical(e) for e in entries)
    vkey = client.get("/coordinator").expect(200)["verifierKey"]
    assert vkey == SHOWN["verifier-key"]
    assert oracle.open_checkpoint(client.get("/audit/checkpoint").body, vkey).root == leaves.root()
    told, shown = client.get("/topology/snapshot").expect(200), json.loads(example("snapshot.json"))
    for doc in (told, shown):
        doc["sovereigns"][0] = _timeless(doc["sovereigns"][0])
        for field in ("issued", "expires", "signature"):
            del doc[field]
    assert told == shown
    done = verify()
    assert done.returncode == 0, done.stdout + done.stderr


def test_base64_of_the_checkpoint_is_the_root_of_the_log():
    lines = example("checkpoint.txt").split("\n")
    leaves = oracle.List(line.encode() for line in example("log.jsonl").splitlines())
    assert (lines[1], base64.b64decode(lines[2])) == (str(len(leaves)), leaves.root())


def test_tana_accepts_the_snapshot_offline(tmp_path):
    if SANITIZED:
        pytest.skip("the sanitizers want to be loaded before the shim that sets the clock")
    faults = Faults(tmp_path)
    faults.set_clock(story.at(60) - time.time_ns() // 1_000_000)
    command = [binary("tana"), "mesh", "topology", "--from", story.EXAMPLES / "snapshot.json", "--network", story.NETWORK, "--json", "--trust"]
    done = run([*command, story.KEYS["sovereign"].public], tmp_path, env=faults.env)
    assert done.returncode == 0, done.stderr
    assert [p["id"] for p in json.loads(done.stdout)["peers"]] == ["node-1", "node-2"]
    done = run([*command, story.KEYS["third sovereign"].public], tmp_path, env=faults.env)
    assert done.returncode == 0, f"the new key of a rotation vouches for the old one: {done.stderr}"
    done = run([*command, story.KEYS["second sovereign"].public], tmp_path, env=faults.env)
    assert done.returncode == 6 and not done.stdout


def _folds(path, start, siblings, root):
    """The check of a map proof, as docs/protocol.md words it."""
    node = start
    for i, sibling in enumerate(siblings):
        pair = (node, sibling) if story.bit(path, len(siblings) - 1 - i) == 0 else (sibling, node)
        node = hashlib.sha256(b"\1" + b"".join(pair)).digest()
    return node == root


def test_the_map_proofs_hold():
    rows = {line[:26].strip(): line[26:] for line in SHOWN["map-tree"].split("\n")}
    raw = {k: bytes.fromhex(v) for k, v in rows.items()}
    for name in ("bob", "dave"):
        siblings = [v for k, v in raw.items() if k.startswith(f"{name}: sibling")]
        other = raw.get(f"{name}: other path")
        start = raw[f'leaf("{name}")'] if other is None else story.map_leaf((other, raw[f"{name}: other value hash"]))
        assert _folds(raw[f'path("{name}")'], start, siblings, raw["root"])
        assert not _folds(raw[f'path("{name}")'], bytes(32), siblings, raw["root"])
