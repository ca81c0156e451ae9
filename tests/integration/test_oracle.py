"""The oracle itself reproduces the shared vectors, so that a daemon agreeing with it agrees with the protocol."""

import base64
import hashlib
import json
import pathlib

import pytest
from tana_testing import oracle

VECTORS = pathlib.Path(__file__).parents[1] / "vectors"


def load(name):
    return json.loads((VECTORS / name).read_text())


def test_signatures():
    for v in load("signatures.json"):
        key = oracle.Key(bytes.fromhex(v["privateKey"].removeprefix("ed25519_")))
        assert key.public == v["publicKey"]
        assert hashlib.sha256(v["message"].encode()).hexdigest() == v["digest"]
        assert key.sign(v["message"]) == v["signature"]
        assert oracle.verify(v["publicKey"], v["message"], v["signature"])
        assert not oracle.verify(v["publicKey"], v["message"] + " ", v["signature"])
        assert not oracle.verify(v["publicKey"], v["message"], oracle.malleate(v["signature"]))


def test_canonical_json():
    for v in load("canonical_json.json"):
        assert oracle.canonical(v["value"]).decode() == v["canonical"]
        assert hashlib.sha256(v["canonical"].encode()).hexdigest() == v["sha256"]


@pytest.mark.parametrize("value", [{"a b": 1}, {"": 1}, {"1a": 1}, 2**53, -(2**53), 1.5, "\0", "\ud800", {"a": {1: 2}}])
def test_canonical_json_refuses_what_is_outside_the_subset(value):
    with pytest.raises(ValueError):
        oracle.canonical(value)


def test_merkle_list():
    for v in load("merkle_list.json"):
        tree = oracle.List(x.encode() for x in v["items"])
        assert tree.root().hex() == v["root"]
        for index, path in v["proofs"].items():
            assert [h.hex() for h in tree.inclusion(int(index))] == path


def test_proofs_verify_and_nothing_else_does():
    tree = oracle.List(b"%d" % i for i in range(20))
    for size in range(1, 21):
        root = tree.root(size)
        for i in range(size):
            path = tree.inclusion(i, size)
            assert oracle.verify_inclusion(tree.leaves[i], i, size, path, root)
            assert not oracle.verify_inclusion(tree.leaves[i], i, size, path + [root], root)
            assert not oracle.verify_inclusion(oracle.leaf_hash(b"x"), i, size, path, root)
        for old in range(1, size + 1):
            path = tree.consistency(old, size)
            assert oracle.verify_consistency(old, tree.root(old), size, root, path)
            assert not oracle.verify_consistency(old, tree.root(old), size, root, path + [root])
            assert not oracle.verify_consistency(old, b"\0" * 32, size, root, path)


def test_checkpoint_of_the_c2sp_kind():
    key = oracle.Key("log")
    public = bytes.fromhex(key.public_hex)
    vkey = oracle.verifier_key("tana-mesh/x", public)
    body = "tana-mesh/x\n3\n" + base64.b64encode(b"r" * 32).decode() + "\n"
    line = base64.b64encode(oracle.note_key_id("tana-mesh/x", public) + key.sign_bytes(body.encode())).decode()
    note = f"{body}\n\u2014 tana-mesh/x {line}\n".encode()
    assert oracle.open_checkpoint(note, vkey) == oracle.Checkpoint("tana-mesh/x", 3, b"r" * 32)
    for bad in (note.replace(b"\n3\n", b"\n4\n"), note.replace(b"\n3\n", b"\n03\n"), note[:-1], note.replace(b"\xe2\x80\x94", b"-"), body.encode()):
        with pytest.raises(ValueError):
            oracle.open_checkpoint(bad, vkey)


def test_off_curve_key_is_off_the_curve():
    assert len(oracle.off_curve_key()) == 64
