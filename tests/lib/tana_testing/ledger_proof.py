"""A second verifier of proof files (tana-proof/1), offline, from the genesis alone. Written from the protocol; shares nothing with the daemons."""

from . import oracle
from .ledger_chain import ZERO, Chain, header_problem, map_leaf, map_proof_root
from .ledger_forms import HASH, SIGNATURE, VALIDATOR_ID, check_genesis, integer, public_key, read_canonical, sha


class BadProof(Exception):
    pass


def _need(good, what):
    if not good:
        raise BadProof(what)


def _exactly(value, required, optional=()):
    _need(isinstance(value, dict) and set(required) <= set(value) <= {*required, *optional}, f"an object of {sorted(required)} is needed")
    return value


def _hash(value):
    _need(isinstance(value, str) and HASH.match(value), f"no hash: {value!r}")
    return bytes.fromhex(value)


def _hashes(value):
    _need(isinstance(value, list), "a list of hashes is needed")
    return [_hash(v) for v in value]


_number = integer(oracle.INT_MAX)


def _header(h, genesis):
    _need(header_problem(h) is None, header_problem(h))
    _need(h["chainId"] == genesis["chainId"], "a header of another chain")
    return h


def _signed(h, signature, validators):
    """The header is signed by one of these validators, and says that they are the ones."""
    _need(_hash(h["validatorsHash"]) == sha(oracle.canonical(validators)), "another set of validators")
    producer = next((v for v in validators if v["id"] == h["producer"]), None)
    _need(producer is not None, "the producer is no validator")
    _need(isinstance(signature, str) and SIGNATURE.match(signature), "no signature")
    _need(oracle.verify(producer["publicKey"], oracle.canonical(h), signature), "the producer's signature is bad")


def _prefix(path, bits):
    return int.from_bytes(path, "big") >> (256 - bits)


def _state(item, root):
    """(key, value or None) that the item shows under the root."""
    _exactly(item, {"key", "siblings"}, {"value", "other"})
    _need(isinstance(item["key"], str) and not ("value" in item and "other" in item), "a state item's form")
    siblings, path, at = _hashes(item["siblings"]), sha(item["key"].encode()), ZERO
    _need(len(siblings) <= 256, "more siblings than a path has bits")
    if "value" in item:
        at = map_leaf(path, sha(oracle.canonical(item["value"])))
    elif "other" in item:
        _exactly(item["other"], {"path", "valueHash"})
        other = _hash(item["other"]["path"])
        _need(other != path and _prefix(other, len(siblings)) == _prefix(path, len(siblings)), "the other leaf has no place there")
        at = map_leaf(other, _hash(item["other"]["valueHash"]))
    _need(map_proof_root(path, at, siblings) == root, "the state item does not lead to the state's root")
    return item["key"], item.get("value")


def _step(step, genesis, validators, heights):
    """The set of validators that a step leads to."""
    _exactly(step, {"header", "proofs", "signature", "validators"})
    h = _header(step["header"], genesis)
    _need(heights[0] < h["height"] < heights[1], "steps out of order")
    _signed(h, step["signature"], validators)
    after, proofs = step["validators"], step["proofs"]
    _need(isinstance(after, list) and isinstance(proofs, list) and len(after) == len(proofs) > 0, "a proof for each validator is needed")
    for v, proof in zip(after, proofs):
        _exactly(v, {"id", "power", "publicKey"})
        _need(isinstance(v["id"], str) and VALIDATOR_ID.match(v["id"]) and public_key(v["publicKey"]), "a validator's form")
        _need(integer(2**31 - 1)(v["power"]) and v["power"] > 0, "a validator's power")
        _need(_state(proof, _hash(h["stateRoot"])) == (f"validator:{v['id']}", v), "a proof of something else")
    _need([v["id"] for v in after] == sorted({v["id"] for v in after}), "validators out of order")
    return h["height"], after


def verify(data, genesis):
    """What a proof file (bytes) shows, given the genesis (a dict): ("transaction", id, height), ("present", key, value, height) or ("absent", key, height).

    BadProof says why it shows nothing.
    """
    check_genesis(genesis)
    try:
        proof = read_canonical(data.removesuffix(b"\n"))
    except ValueError as e:
        raise BadProof(f"not canonical JSON: {e}") from None
    _exactly(proof, {"format", "header", "validatorSteps"}, {"signature", "state", "transaction"})
    _need(proof["format"] == "tana-proof/1", "another format")
    _need(("state" in proof) != ("transaction" in proof), "exactly one thing is to be shown")
    h = _header(proof["header"], genesis)
    height = h["height"]
    _need(isinstance(proof["validatorSteps"], list), "no list of steps")
    if height == 0:
        _need("signature" not in proof and not proof["validatorSteps"] and "transaction" not in proof, "block 0 has no signature")
        _need(h == Chain(genesis).head.header, "not the block 0 of this genesis")
    else:
        validators, at = sorted(({**v, "power": 1} for v in genesis["validators"]), key=lambda v: v["id"]), 0
        for step in proof["validatorSteps"]:
            at, validators = _step(step, genesis, validators, (at, height))
        _signed(h, proof.get("signature"), validators)
    if "state" in proof:
        key, value = _state(proof["state"], _hash(h["stateRoot"]))
        return ("absent", key, height) if value is None else ("present", key, value, height)
    t = _exactly(proof["transaction"], {"index", "message", "path", "signature"})
    _need(isinstance(t["message"], dict) and isinstance(t["signature"], str) and SIGNATURE.match(t["signature"]), "a transaction's form")
    _need(_number(t["index"]), "no index")
    message, path = oracle.canonical(t["message"]), _hashes(t["path"])
    leaf = oracle.leaf_hash(message + bytes.fromhex(t["signature"][12:]))
    _need(oracle.verify_inclusion(leaf, t["index"], h["txCount"], path, _hash(h["txRoot"])), "the transaction is not in the block")
    return "transaction", sha(message).hex(), height


# -- making them, from a chain in memory


def _state_item(tree, state, key):
    siblings, other = tree.prove(key.encode())
    item = {"key": key, "siblings": [s.hex() for s in siblings]}
    if state.get(key) is not None:
        item["value"] = state.get(key)
    elif other:
        item["other"] = {"path": other[0].hex(), "valueHash": other[1].hex()}
    return item


class Prover:
    """Follows a chain block by block, from its start, and makes proofs about its head."""

    def __init__(self):
        self.steps = []

    def follow(self, chain):
        """To be called after every block."""
        if any(c["key"].startswith("validator:") for c in chain.head.changes):
            after = [chain.state.get(k) for k in sorted(k for k in chain.state.keys() if k.startswith("validator:"))]
            proofs = [_state_item(chain.tree, chain.state, f"validator:{v['id']}") for v in after]
            self.steps.append({"header": chain.head.header, "proofs": proofs, "signature": chain.head.signature, "validators": after})

    def _proof(self, block, **shown):
        out = {"format": "tana-proof/1", "header": block.header, **shown}
        out["validatorSteps"] = [s for s in self.steps if s["header"]["height"] < block.height]
        if block.signature is not None:
            out["signature"] = block.signature
        return oracle.canonical(out)

    def state(self, chain, key):
        return self._proof(chain.head, state=_state_item(chain.tree, chain.state, key))

    def transaction(self, block, index):
        t = block.transactions[index]
        path = [h.hex() for h in oracle.List(x.leaf for x in block.transactions).inclusion(index)]
        return self._proof(block, transaction={"index": index, "message": t.fields, "path": path, "signature": t.signature})


# -- breaking them


def mutations(value, path=()):
    """Every place in a JSON value, with what could stand there instead."""
    if isinstance(value, dict):
        for k in value:
            yield path + (k,), None
            yield from mutations(value[k], path + (k,))
    elif isinstance(value, list):
        for i, v in enumerate(value):
            yield path + (i,), None
            yield from mutations(v, path + (i,))
    elif isinstance(value, bool) or value is None:
        yield path, not value
    elif isinstance(value, int):
        yield path, value + 1
    else:
        yield path, ("0" if value[:1] != "0" else "1") + value[1:]
        yield path, value[:-1] + ("0" if value[-1:] != "0" else "1")


def mutated(data):
    """The proof with one thing changed or taken away, in every place."""
    for path, instead in mutations(oracle.parse_strict(data.decode())):
        proof = oracle.parse_strict(data.decode())
        at = proof
        for p in path[:-1]:
            at = at[p]
        if instead is None:
            del at[path[-1]]
        else:
            at[path[-1]] = instead
        yield path, oracle.canonical(proof)
