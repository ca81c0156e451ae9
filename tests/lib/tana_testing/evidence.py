"""Checks, from signatures alone, what a mesh says: the topology snapshot as a node would check it offline, and the node table as the log's replay gives it.

Written from the protocol's description, apart from the daemon's and the client's own code.
"""

import json

from . import oracle


class Forged(AssertionError):
    """The evidence does not hold."""


def need(condition, why):
    if not condition:
        raise Forged(why)


def _verified(message, key, signature, what):
    try:
        good = oracle.verify(key, message, signature)
    except ValueError as e:
        raise Forged(f"{what}: {e}") from e
    need(good, f"{what}: the signature does not verify")


def text_parts(message, network, verb, count):
    """The parts of tana-mesh:<network>:<verb>:..., exactly `count` of them."""
    parts = message.split(":")
    need(parts[:3] == ["tana-mesh", network, verb] and len(parts) == 3 + count, f"not a {verb} of {network}: {message}")
    return parts[3:]


def verb_of(message, network):
    if message.startswith("{"):
        return "register"
    parts = message.split(":")
    need(parts[0] == "tana-mesh" and len(parts) > 3, f"an unknown text: {message}")
    need(parts[1] == network, f"a text of another network: {message}")
    return parts[2]


def registration_of(message):
    """The signed registration: (fields, is it the full form)."""
    fields = oracle.parse_strict(message)
    if list(fields) == ["nodeId", "publicKey", "tailscaleHostname"] and "timestamp" not in fields:
        need(json.dumps(fields, separators=(",", ":"), ensure_ascii=False) == message, "a short registration spelled otherwise")
        return fields, False
    need(oracle.canonical(fields).decode() == message, "a registration that is not canonical")
    need("timestamp" in fields, "a full registration without a timestamp")
    return fields, True


class Reigns:
    """Which key was sovereign when, by the statements' own timestamps."""

    SKEW = 10 * 60_000  # two clocks, each five minutes off

    def __init__(self, evidence, network, coordinator):
        self.spans = {}
        for e in evidence:
            self.add(e, network, coordinator)

    def add(self, e, network, coordinator):
        verb = verb_of(e["message"], network)
        _verified(e["message"], e["publicKey"], e["signature"], verb)
        if verb == "sovereign-rotate":
            old, new, at = text_parts(e["message"], network, verb, 3)
            need(e["publicKey"] == old and e.get("newPublicKey") == new, "a rotation by other keys")
            _verified(e["message"], new, e["newSignature"], verb)
            need(self.holds(old, int(at)), "a rotation by a key that was not sovereign")
            self.end(old, int(at))
            self.spans.setdefault(new, []).append([int(at), None])
            return
        key, at = text_parts(e["message"], network, verb, 2)
        if verb == "sovereign-init":
            need(e["publicKey"] == coordinator, "an init by another key than the coordinator's")
            self.spans.setdefault(key, []).append([0, None])
        elif verb == "sovereign-add":
            need(self.holds(e["publicKey"], int(at)), "an add by a key that was not sovereign")
            self.spans.setdefault(key, []).append([int(at), None])
        elif verb == "sovereign-remove":
            need(self.holds(e["publicKey"], int(at)), "a remove by a key that was not sovereign")
            self.end(key, int(at))
        else:
            raise Forged(f"not about sovereign keys: {e['message']}")

    def end(self, key, at):
        need(key in self.spans and self.spans[key][-1][1] is None, "a key removed that was not in force")
        self.spans[key][-1][1] = at

    def holds(self, key, at):
        return any(begin - self.SKEW <= at and (end is None or at <= end + self.SKEW) for begin, end in self.spans.get(key, ()))

    def in_force(self):
        return {key for key, spans in self.spans.items() if spans[-1][1] is None}


def check_snapshot(text, *, coordinator, network, now, version_min=0, trusted_sovereigns=None):
    """Checks a snapshot's bytes; returns {node id: {publicKey, services, hostname, ip}}. Forged says what does not hold."""
    try:
        doc = oracle.parse_strict(text.decode("utf-8"))
        need(oracle.canonical(doc) == text, "the snapshot is not canonical JSON")
        need(doc["type"] == "tana-mesh-topology/1" and doc["network"] == network and doc["coordinator"] == coordinator, "another kind, network or coordinator")
        unsigned = {k: v for k, v in doc.items() if k != "signature"}
        _verified(oracle.canonical(unsigned), coordinator, doc["signature"], "the snapshot")
        return _check_members(doc, coordinator, network, now, version_min, trusted_sovereigns)
    except (KeyError, TypeError, ValueError, IndexError) as e:
        raise Forged(f"malformed: {e!r}") from e


def check_snapshot_members(doc, **kw):
    """The same without the coordinator's signature: what someone who stole its key could not forge."""
    try:
        return _check_members(doc, kw["coordinator"], kw["network"], kw["now"], 0, kw["trusted_sovereigns"])
    except (KeyError, TypeError, ValueError, IndexError) as e:
        raise Forged(f"malformed: {e!r}") from e


def _check_members(doc, coordinator, network, now, version_min, trusted):
    need(doc["issued"] - 300_000 <= now < doc["expires"], "not issued yet, or expired")
    need(doc["version"] >= version_min, "an older version than one already seen")
    reigns = Reigns([], network, coordinator)
    for key in trusted or ():
        reigns.spans[key] = [[0, None]]
    for e in doc["sovereigns"]:
        if trusted is not None and verb_of(e["message"], network) == "sovereign-init":
            continue  # a reader who knows the first sovereigns needs no word of the coordinator for them
        reigns.add(e, network, coordinator)
    ids = [n["id"] for n in doc["nodes"]]
    need(ids == sorted(set(ids)), "nodes out of order, or twice")
    return {n["id"]: _check_member(n, network, reigns) for n in doc["nodes"]}


def _check_member(node, network, reigns):
    chain = []
    for e in node["rotations"]:
        node_id, old, new, _ = text_parts(e["message"], network, "node-rotate", 4)
        need(node_id == node["id"] and e["publicKey"] == old and e["newPublicKey"] == new, "a rotation of another node")
        _verified(e["message"], old, e["signature"], "rotation")
        _verified(e["message"], new, e["newSignature"], "rotation")
        need(not chain or chain[-1] == old, "rotations that do not follow each other")
        chain += [old, new] if not chain else [new]
    chain = chain or [node["publicKey"]]
    need(chain[-1] == node["publicKey"], "the rotations end at another key")

    e = node["registration"]
    fields, full = registration_of(e["message"])
    _verified(e["message"], e["publicKey"], e["signature"], "registration")
    need(fields["nodeId"] == node["id"] and fields["publicKey"] == e["publicKey"] and e["publicKey"] in chain, "another node's registration")
    need(fields.get("network", network) == network, "a registration for another network")

    _check_admission(node, chain, network, reigns)
    unsigned = {} if full else node.get("details", {})
    get = fields.get if full else unsigned.get
    return {
        "publicKey": node["publicKey"], "hostname": fields["tailscaleHostname"], "ip": get("tailscaleIP"), "services": get("services"), "role": get("role") or "validator",
    }


def _check_admission(node, chain, network, reigns):
    e = node["admission"]
    verb = verb_of(e["message"], network)
    if verb == "approve":
        node_id, key, at = text_parts(e["message"], network, verb, 3)
        need(node_id == node["id"] and key in chain, "an approval of another node or key")
    else:
        invite, _, _, at = text_parts(e["message"], network, "invite", 4)
        # The use stands in the registration that was admitted, which later ones may have replaced.
        used = node["inviteUse"]
        fields, _ = registration_of(used["message"])
        _verified(used["message"], used["publicKey"], used["signature"], "the invited registration")
        need(used["publicKey"] == fields["publicKey"] and fields["nodeId"] == node["id"] and fields["publicKey"] in chain, "another node's invitation")
        need(fields["invite"]["publicKey"] == invite, "the use of another invite")
        _verified(f"tana-mesh:{network}:invite-use:{node['id']}:{fields['publicKey']}", invite, fields["invite"]["signature"], "invite use")
    _verified(e["message"], e["publicKey"], e["signature"], "admission")
    need(reigns.holds(e["publicKey"], int(at)), "an admission by a key that was not sovereign")


# ---------------------------------------------------------------- the log


def check_entry_signatures(entry, network):
    """Every signature of an entry, by the keys it names."""
    message, verb = entry["message"], "older"
    _verified(message, entry["publicKey"], entry["signature"], message[:60])
    if message.startswith(("{", "tana-mesh:")):
        verb = verb_of(message, network)
    if verb in ("sovereign-rotate", "node-rotate"):
        need(entry["newPublicKey"] == message.split(":")[-2] and entry["publicKey"] == message.split(":")[-3], "a rotation that names other keys")
        _verified(message, entry["newPublicKey"], entry["newSignature"], "rotation")
    return verb


REFUSED = {"wrong_state", "already_exists", "unknown_key", "last_sovereign", "unknown_invite", "refused", "replayed"}


def replay(entries, network):
    """The node table that the log gives: {id: {public_key, status, tailscale_hostname, services, approved_by, ...}}; offline counts as active."""
    nodes = {}
    for index, e in enumerate(entries):
        need(e["index"] == index, "entries out of order")
        verb = check_entry_signatures(e, network)
        message, outcome = e["message"], e["outcome"]
        if outcome in REFUSED:
            continue
        if verb == "register":
            fields, full = registration_of(message)
            said = fields if full else {**e.get("details", {}), **fields}
            node = nodes.setdefault(said["nodeId"], {"registered_at": e["time"], "approved_by": None, "approved_at": None})
            node.update(
                public_key=said["publicKey"], tailscale_hostname=said["tailscaleHostname"], role=said.get("role") or "validator", region=said.get("region"),
                services=[(s["type"], s["port"], s["publicKey"]) for s in said["services"]],
            )
            if outcome == "active" and node.get("status") in (None, "pending"):
                node.update(approved_at=e["time"], approved_by=_inviter(entries, network, said["invite"]["publicKey"]))
            node["status"] = outcome
        elif verb in ("approve", "deny", "remove", "reset", "older"):
            node_id = message.split(":")[3 if verb != "older" else 1]
            action = verb if verb != "older" else message.split(":")[0]
            if action == "remove":
                del nodes[node_id]
                continue
            nodes[node_id]["status"] = outcome
            if action == "approve":
                nodes[node_id].update(approved_by=e["publicKey"], approved_at=e["time"])
        elif verb == "node-rotate":
            nodes[message.split(":")[3]]["public_key"] = e["newPublicKey"]
        elif verb == "expire":
            del nodes[message.split(":")[3]]
        else:
            need(verb in ("sovereign-init", "sovereign-add", "sovereign-remove", "sovereign-rotate", "invite", "invite-revoke"), f"an unknown entry: {message}")
    return nodes


def _inviter(entries, network, invite):
    return next(e["publicKey"] for e in entries if e["message"].startswith(f"tana-mesh:{network}:invite:{invite}:"))


def shown(rows):
    """What GET /nodes?status=all says, in the form of replay()."""
    return {
        r["id"]: {
            "registered_at": r["registered_at"], "approved_by": r["approved_by"], "approved_at": r["approved_at"], "public_key": r["public_key"],
            "tailscale_hostname": r["tailscale_hostname"], "role": r["role"], "region": r["region"],
            "services": [(s["service_type"], s["port"], s["public_key"]) for s in r["services"]],
            "status": "active" if r["status"] == "offline" else r["status"],
        }
        for r in rows
    }
