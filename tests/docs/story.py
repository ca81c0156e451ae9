"""The worked examples of docs/protocol.md: one story of a network, with fixed keys and times, told once here.

`python3 tests/docs/story.py` writes docs/examples/ and the example blocks of docs/protocol.md anew; test_examples.py checks that they are current, that
other code accepts them, and that a running meshd does what the story says.
"""

import base64
import hashlib
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lib"))

from tana_testing import oracle  # noqa: E402

PROTOCOL = ROOT / "docs" / "protocol.md"
EXAMPLES = ROOT / "docs" / "examples"
NETWORK = "example"
START = 1767225600000  # 2026-01-01T00:00:00.000Z
SNAPSHOT_TTL = 86_400_000


class Named(oracle.Key):
    """A key pair whose seed is one byte, 32 times."""

    def __init__(self, name, byte):
        super().__init__(bytes([byte]) * 32)
        self.name = name


KEYS = {
    name: Named(name, byte)
    for byte, name in enumerate(
        ["coordinator", "sovereign", "second sovereign", "third sovereign", "node-1", "node-1 ledger", "node-2", "node-2 rotated", "node-3", "invite"], start=1
    )
}


def at(seconds):
    return START + 1000 * seconds


def text(*parts):
    return ":".join(["tana-mesh", NETWORK, *(str(p) for p in parts)])


def short_registration(body):
    three = {k: body[k] for k in ("nodeId", "publicKey", "tailscaleHostname")}
    return json.dumps(three, separators=(",", ":"), ensure_ascii=False)


class Step:
    """One signed message: who signs it, the request that carries it, and what the log then says of it."""

    def __init__(self, name, by, message, *, path=None, body=None, new=None, status=200, outcome=None, details=None, seconds=None):
        self.name, self.by, self.new, self.status = name, KEYS[by], KEYS[new] if new else None, status
        self.message = message if isinstance(message, str) else message.decode()
        self.signature = self.by.sign(self.message)
        self.new_signature = self.new.sign(self.message) if self.new else None
        self.path, self.outcome, self.details, self.time = path, outcome, details, at(seconds) + 5 if seconds is not None else None
        self.body = None
        if body is not None:
            self.body = {**body, "signature": self.signature}
            if self.new:
                self.body["newSignature"] = self.new_signature

    def block(self):
        rows = [("by", self.by.name), ("message", self.message), ("SHA-256", hashlib.sha256(self.message.encode()).hexdigest()), ("signature", self.signature)]
        if self.new:
            rows += [("new key", self.new.name), ("newSignature", self.new_signature)]
        return "\n".join(f"{k:<13}{v}" for k, v in rows)

    def entry(self, index):
        e = {
            "index": index, "time": self.time, "message": self.message, "publicKey": self.by.public, "signature": self.signature, "outcome": self.outcome,
        }
        if self.new:
            e.update(newPublicKey=self.new.public, newSignature=self.new_signature)
        if self.details:
            e["details"] = self.details
        return e

    def evidence(self):
        e = {"message": self.message, "publicKey": self.by.public, "signature": self.signature}
        if self.new:
            e.update(newPublicKey=self.new.public, newSignature=self.new_signature)
        return e


def decision(name, action, node, seconds, *, by="sovereign", reason=None, **kw):
    body = {"approverPublicKey": KEYS[by].public, "timestamp": at(seconds)}
    if reason:
        body["reason"] = reason
    message = text(action, node, KEYS[node].public, at(seconds))
    return Step(name, by, message, path=f"/{action}/{node}", body=body, seconds=seconds, details={"reason": reason} if reason else None, **kw)


def sovereign_change(verb, key, seconds, *, by, description=None):
    body = {"publicKey": KEYS[key].public, "approverPublicKey": KEYS[by].public, "timestamp": at(seconds)}
    if description:
        body["description"] = description
    message = text(f"sovereign-{verb}", KEYS[key].public, at(seconds))
    details = {"description": description} if description else None
    return Step(f"sovereign-{verb}", by, message, path=f"/sovereign/{verb}", body=body, outcome="ok", details=details, seconds=seconds)


def registration(node, seconds, **fields):
    return {
        "nodeId": node, "publicKey": KEYS[node].public, "tailscaleHostname": f"{node}.example.ts.net", "tailscaleIP": "100.64.0.1",
        "services": [{"type": "ledger", "port": 8080, "publicKey": KEYS["node-1 ledger"].public}], "network": NETWORK, "timestamp": at(seconds), **fields,
    }


def make_steps():
    key = {name: k.public for name, k in KEYS.items()}
    first = registration("node-1", 1, region="eu-central")
    use = text("invite-use", "node-2", key["node-2"])
    second = registration("node-2", 6, role="observer", services=[], invite={"publicKey": key["invite"], "signature": KEYS["invite"].sign(use)})
    third = {"nodeId": "node-3", "publicKey": key["node-3"], "tailscaleHostname": "node-3.example.ts.net", "services": [], "region": "us-east"}
    beat = {"nodeId": "node-1", "timestamp": at(4), "tailscaleIP": "100.64.0.7", "services": [{"type": "ledger", "healthy": True, "lastCheck": at(3)}],
            "height": 42, "version": "1.4.0", "signed": "full"}
    return [
        Step("sovereign-init", "coordinator", text("sovereign-init", key["sovereign"], at(0)), outcome="ok", seconds=0),
        Step("register-full", "node-1", oracle.canonical(first), path="/register", body=first, status=201, outcome="pending", seconds=1),
        decision("approve", "approve", "node-1", 2, outcome="active"),
        Step("heartbeat-short", "node-1", f"heartbeat:node-1:{at(3)}", path="/heartbeat", body={"nodeId": "node-1", "timestamp": at(3)}),
        Step("heartbeat-full", "node-1", oracle.canonical(beat), path="/heartbeat", body=beat),
        Step("invite", "sovereign", text("invite", key["invite"], 2, at(86400), at(5)), path="/invites", status=201, outcome="ok", seconds=5,
             body={"publicKey": key["invite"], "uses": 2, "expires": at(86400), "approverPublicKey": key["sovereign"], "timestamp": at(5)}),
        Step("invite-use", "invite", use),
        Step("register-invite", "node-2", oracle.canonical(second), path="/register", body=second, status=201, outcome="active", seconds=6),
        Step("node-rotate", "node-2", text("node-rotate", "node-2", key["node-2"], key["node-2 rotated"], at(7)), new="node-2 rotated",
             path="/nodes/node-2/rotate", body={"newPublicKey": key["node-2 rotated"], "timestamp": at(7)}, outcome="active", seconds=7),
        Step("register-short", "node-3", short_registration(third), path="/register", body=third, status=201, outcome="pending", seconds=7,
             details={"region": "us-east", "services": []}),
        decision("deny", "deny", "node-3", 8, reason="unknown operator", outcome="denied"),
        decision("reset", "reset", "node-3", 9, outcome="pending"),
        decision("remove", "remove", "node-3", 10, outcome="removed"),
        sovereign_change("add", "second sovereign", 11, by="sovereign", description="the deputy"),
        Step("sovereign-rotate", "sovereign", text("sovereign-rotate", key["sovereign"], key["third sovereign"], at(12)), new="third sovereign",
             path="/sovereign/rotate", body={"oldPublicKey": key["sovereign"], "newPublicKey": key["third sovereign"], "timestamp": at(12)},
             outcome="ok", seconds=12),
        Step("invite-revoke", "third sovereign", text("invite-revoke", key["invite"], at(13)), path="/invites/revoke", outcome="ok", seconds=13,
             body={"publicKey": key["invite"], "approverPublicKey": key["third sovereign"], "timestamp": at(13)}),
        sovereign_change("remove", "second sovereign", 14, by="third sovereign"),
        decision("approve-refused", "approve", "node-1", 15, by="third sovereign", outcome="wrong_state", status=409),
        # Messages that the story does not send.
        Step("expire", "coordinator", text("expire", "node-3", key["node-3"], at(604800))),
        Step("approve-older", "sovereign", "approve:node-1"),
    ]


STEPS = make_steps()
STEP = {s.name: s for s in STEPS}
LOG = [s.entry(i) for i, s in enumerate(s for s in STEPS if s.outcome)]
LEAVES = oracle.List(oracle.canonical(e) for e in LOG)
OLD_SIZE = 7
#: Events until the end of the story: one a logged change that was carried out, and one more for an admission by invite.
VERSION = sum(1 for e in LOG if e["outcome"] != "wrong_state") + 1


def checkpoint(size):
    origin = f"tana-mesh/{NETWORK}"
    body = f"{origin}\n{size}\n{base64.b64encode(LEAVES.root(size)).decode()}\n"
    key = KEYS["coordinator"]
    blob = oracle.note_key_id(origin, bytes.fromhex(key.public_hex)) + key.sign_bytes(body.encode())
    return f"{body}\n\u2014 {origin} {base64.b64encode(blob).decode()}\n"


def snapshot():
    nodes = [
        {"id": "node-1", "publicKey": KEYS["node-1"].public, "status": "active", "registration": STEP["register-full"].evidence(), "rotations": [],
         "admission": STEP["approve"].evidence()},
        {"id": "node-2", "publicKey": KEYS["node-2 rotated"].public, "status": "active", "registration": STEP["register-invite"].evidence(),
         "rotations": [STEP["node-rotate"].evidence()], "admission": STEP["invite"].evidence(), "inviteUse": STEP["register-invite"].evidence()},
    ]
    sovereigns = [STEP[n].evidence() for n in ("sovereign-init", "sovereign-add", "sovereign-rotate", "sovereign-remove")]
    doc = {
        "type": "tana-mesh-topology/1", "network": NETWORK, "coordinator": KEYS["coordinator"].public, "version": VERSION, "issued": at(20),
        "expires": at(20) + SNAPSHOT_TTL, "sovereigns": sovereigns, "nodes": nodes,
    }
    doc["signature"] = KEYS["coordinator"].sign(oracle.canonical(doc))
    return doc


# ---------------------------------------------------------------- the map tree, from its definition


def map_entry(key, value):
    return hashlib.sha256(key).digest(), hashlib.sha256(value).digest()


def map_leaf(entry):
    return hashlib.sha256(b"\0" + entry[0] + entry[1]).digest()


def bit(path, depth):
    return path[depth // 8] >> (7 - depth % 8) & 1


def map_root(entries, depth=0):
    if not entries:
        return bytes(32)
    if len(entries) == 1:
        return map_leaf(entries[0])
    sides = [[e for e in entries if bit(e[0], depth) == b] for b in (0, 1)]
    return hashlib.sha256(b"\1" + map_root(sides[0], depth + 1) + map_root(sides[1], depth + 1)).digest()


def map_proof(entries, path, depth=0):
    """(siblings from the deepest to the root, the entry at the end or None)."""
    if len(entries) <= 1:
        return [], entries[0] if entries else None
    sides = [[e for e in entries if bit(e[0], depth) == b] for b in (0, 1)]
    mine = bit(path, depth)
    siblings, end = map_proof(sides[mine], path, depth + 1)
    return siblings + [map_root(sides[1 - mine], depth + 1)], end


# ---------------------------------------------------------------- blocks


def _keys_block():
    return "\n".join(f"{k.name:<18}seed 32 x {k.seed_hex[:2]}   {k.public}" for k in KEYS.values())


def _list_block():
    tree = oracle.List([b"a", b"b", b"c"])
    rows = [(f'leaf("{c}")', tree.leaves[i].hex()) for i, c in enumerate("abc")]
    rows += [("root of 0", tree.root(0).hex()), ("root of 1", tree.root(1).hex()), ("root of 2", tree.root(2).hex()), ("root of 3", tree.root(3).hex())]
    rows += [("inclusion of leaf 2 in 3", " ".join(h.hex() for h in tree.inclusion(2))), ("consistency of 1 and 3", " ".join(h.hex() for h in tree.consistency(1)))]
    return "\n".join(f"{k:<26}{v}" for k, v in rows)


def _map_block():
    entries = [map_entry(k, v) for k, v in ((b"alice", b"1"), (b"bob", b"2"), (b"carol", b"3"))]
    rows = [(f'path("{n}")', e[0].hex()) for n, e in zip(("alice", "bob", "carol"), entries)]
    rows += [(f'leaf("{n}")', map_leaf(e).hex()) for n, e in zip(("alice", "bob", "carol"), entries)]
    rows.append(("root", map_root(entries).hex()))
    siblings, _ = map_proof(entries, entries[1][0])
    rows += [(f"bob: sibling {i}", s.hex()) for i, s in enumerate(siblings)]
    path = hashlib.sha256(b"dave").digest()
    siblings, other = map_proof(entries, path)
    rows.append(('path("dave")', path.hex()))
    rows += [(f"dave: sibling {i}", s.hex()) for i, s in enumerate(siblings)]
    rows += [("dave: other path", other[0].hex()), ("dave: other value hash", other[1].hex())] if other else [("dave: other", "none")]
    return "\n".join(f"{k:<26}{v}" for k, v in rows)


def _proof_block():
    index = next(i for i, e in enumerate(LOG) if e["message"] == STEP["approve"].message)
    rows = [("leaf data", oracle.canonical(LOG[index]).decode()), ("leaf hash", LEAVES.leaves[index].hex()), ("index", index), ("size", len(LOG))]
    rows += [(f"path[{i}]", h.hex()) for i, h in enumerate(LEAVES.inclusion(index))]
    rows.append(("root", LEAVES.root().hex()))
    return "\n".join(f"{k:<11}{v}" for k, v in rows)


def _consistency_block():
    rows = [("from", OLD_SIZE), ("fromRoot", LEAVES.root(OLD_SIZE).hex()), ("to", len(LOG)), ("toRoot", LEAVES.root().hex())]
    rows += [(f"path[{i}]", h.hex()) for i, h in enumerate(LEAVES.consistency(OLD_SIZE))]
    return "\n".join(f"{k:<11}{v}" for k, v in rows)


def blocks():
    out = {s.name: s.block() for s in STEPS}
    out["keys"] = _keys_block()
    out["register-body"] = json.dumps(STEP["register-full"].body, indent=2)
    out["decision-body"] = json.dumps(STEP["deny"].body, indent=2)
    out["list-tree"] = _list_block()
    out["map-tree"] = _map_block()
    out["checkpoint"] = checkpoint(len(LOG)).rstrip("\n")
    out["verifier-key"] = oracle.verifier_key(f"tana-mesh/{NETWORK}", bytes.fromhex(KEYS["coordinator"].public_hex))
    out["inclusion"] = _proof_block()
    out["consistency"] = _consistency_block()
    return out


def files():
    keys = {k.name: {"seed": k.private, "publicKey": k.public} for k in KEYS.values()}
    messages = []
    for s in STEPS:
        m = {"name": s.name, "by": s.by.name, "message": s.message, "signature": s.signature}
        if s.new:
            m.update(newKey=s.new.name, newSignature=s.new_signature)
        if s.path:
            m.update(request=f"POST {s.path}", status=s.status, body=s.body)
        messages.append(m)
    story = {"network": NETWORK, "keys": keys, "messages": messages}
    return {
        "story.json": json.dumps(story, indent=2) + "\n",
        "log.jsonl": "".join(oracle.canonical(e).decode() + "\n" for e in LOG),
        "checkpoint.txt": checkpoint(len(LOG)),
        f"checkpoint-{OLD_SIZE}.txt": checkpoint(OLD_SIZE),
        "snapshot.json": oracle.canonical(snapshot()).decode(),
    }


MARKER = re.compile(r"(<!-- example: ([a-z0-9-]+) -->\n```[a-z]*\n)(.*?)(\n?```\n)", re.S)


def with_blocks(markdown):
    """The document with every example block written anew."""
    made = blocks()
    return MARKER.sub(lambda m: f"{m.group(1)}{made[m.group(2)]}\n```\n", markdown)


def main():
    EXAMPLES.mkdir(exist_ok=True)
    for name, content in files().items():
        (EXAMPLES / name).write_text(content)
    if PROTOCOL.exists():
        PROTOCOL.write_text(with_blocks(PROTOCOL.read_text()))


if __name__ == "__main__":
    main()
