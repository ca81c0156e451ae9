"""An independent model of the ledger's blocks: the map tree, headers, chain files, and the verification of a whole chain. Written from the protocol alone."""

from dataclasses import dataclass, field

from . import oracle
from .ledger_forms import HASH, SIGNATURE, VALIDATOR_ID, Refused, Transaction, integer, matching, read_canonical, sha
from .ledger_model import Draft, Machine, State, genesis_state, supply_problems, validators

ZERO = b"\0" * 32
FORMAT = "tana-chain/1"
_number, _hash = integer(oracle.INT_MAX), matching(HASH)
HEADER = {
    "chainId": lambda v: isinstance(v, str), "changesRoot": _hash, "height": _number, "previousHash": _hash, "producer": matching(VALIDATOR_ID),
    "stateRoot": _hash, "timestamp": _number, "txCount": _number, "txRoot": _hash, "validatorsHash": _hash,
    # True is no 1, though Python thinks so.
    "version": lambda v: v == 1 and not isinstance(v, bool),
}


def header_problem(h):
    """Why this is no header of a block, or None. genesisHash is there at height 0, and only there."""
    if not isinstance(h, dict) or not _number(h.get("height")):
        return "no header"
    forms = HEADER if h["height"] else {**HEADER, "genesisHash": _hash}
    if h.keys() != forms.keys():
        return f"the header's fields are {sorted(h)}"
    return next((f"{name} has not its form" for name, form in forms.items() if not form(h[name])), None)

# -- the sparse Merkle tree over a map


def _bit(path, depth):
    return path[depth >> 3] >> (7 - (depth & 7)) & 1


def map_leaf(path, value_hash):
    return sha(b"\0" + path + value_hash)


def map_node(left, right):
    return sha(b"\1" + left + right)


def map_root(entries):
    """From scratch. entries: {key bytes: value bytes}."""
    rows = sorted((sha(k), sha(v)) for k, v in entries.items())

    def subtree(lo, hi, depth):
        if lo == hi:
            return ZERO
        if hi - lo == 1:
            return map_leaf(*rows[lo])
        middle = next((i for i in range(lo, hi) if _bit(rows[i][0], depth)), hi)
        return map_node(subtree(lo, middle, depth + 1), subtree(middle, hi, depth + 1))

    return subtree(0, len(rows), 0)


class Tree:
    """The same tree, updated entry by entry. Nodes are tuples that never change: (hash,) + (path, value hash) or (left, right)."""

    def __init__(self):
        self.top = None

    @property
    def root(self):
        return self.top[0] if self.top else ZERO

    def put(self, key, value):
        """value None takes the key away."""
        path = sha(key)
        self.top = self._put(self.top, path, None if value is None else sha(value), 0)

    @staticmethod
    def _join(left, right):
        """A subtree with one entry is that entry's leaf."""
        for one, other in ((left, right), (right, left)):
            if one is None and (other is None or isinstance(other[1], bytes)):
                return other
        return (map_node(left[0] if left else ZERO, right[0] if right else ZERO), left, right)

    def _put(self, node, path, value, depth):
        if node is None or (isinstance(node[1], bytes) and node[1] == path):
            return None if value is None else (map_leaf(path, value), path, value)
        if isinstance(node[1], bytes):
            if value is None:
                return node
            children = [None, None]
            children[_bit(node[1], depth)] = node
        else:
            children = [node[1], node[2]]
        side = _bit(path, depth)
        children[side] = self._put(children[side], path, value, depth + 1)
        return self._join(*children)

    def prove(self, key):
        """(siblings from the deepest to the root, other leaf or None)."""
        path, node, siblings, depth = sha(key), self.top, [], 0
        while node is not None and not isinstance(node[1], bytes):
            side = _bit(path, depth)
            other = node[2 - side]
            siblings.append(other[0] if other else ZERO)
            node = node[1 + side]
            depth += 1
        other = None if node is None or node[1] == path else (node[1], node[2])
        return siblings[::-1], other


def map_proof_root(path, at, siblings):
    """The root that a proof leads to. at: the hash at the position of `path` (a leaf's, or 32 zero bytes)."""
    if len(siblings) > 256:
        raise ValueError("more siblings than a path has bits")
    for depth, sibling in zip(range(len(siblings) - 1, -1, -1), siblings):
        at = map_node(sibling, at) if _bit(path, depth) else map_node(at, sibling)
    return at


# -- blocks


@dataclass
class Block:
    header: dict
    signature: str = None  # None at height 0
    transactions: list = field(default_factory=list)  # of Transaction
    changes: list = field(default_factory=list)  # of {key, before, after}

    @property
    def height(self):
        return self.header["height"]

    @property
    def hash(self):
        return sha(oracle.canonical(self.header)).hex()

    def json(self):
        out = {
            "header": self.header, "hash": self.hash, "stateChanges": self.changes,
            "transactions": [{"message": t.fields, "signature": t.signature} for t in self.transactions],
        }
        if self.signature is not None:
            out["signature"] = self.signature
        return out


def list_root(items):
    return oracle.List(items).root().hex()


def changes_between(before, draft):
    """One change per key whose value differs, sorted by key bytes."""
    return [
        {"key": k, "before": before.get(k), "after": v} for k, v in sorted(draft.changed.items(), key=lambda kv: kv[0].encode()) if before.get(k) != v
    ]


def validators_hash(state):
    return sha(oracle.canonical(validators(state))).hex()


class Invalid(Exception):
    """A chain does not hold. check: one of the protocol's names of checks."""

    def __init__(self, height, check, what):
        super().__init__(f"block {height}: {check}: {what}")
        self.height, self.check = height, check


def _need(good, height, check, what):
    if not good:
        raise Invalid(height, check, what)


class Chain:
    """A chain at its head: the state, its tree, the blocks kept. It produces and it verifies."""

    def __init__(self, genesis, signatures=True):
        self.genesis = genesis
        self.signatures = signatures
        self.state = genesis_state(genesis)
        self.tree = Tree()
        for key in self.state.keys():
            self.tree.put(key.encode(), oracle.canonical(self.state.get(key)))
        self.params = genesis["params"]
        header = {
            "chainId": genesis["chainId"], "changesRoot": list_root([]), "height": 0, "previousHash": ZERO.hex(), "producer": "genesis",
            "stateRoot": self.tree.root.hex(), "timestamp": genesis["timestamp"], "txCount": 0, "txRoot": list_root([]),
            "validatorsHash": validators_hash(self.state), "version": 1, "genesisHash": sha(oracle.canonical(genesis)).hex(),
        }
        self.blocks = [Block(header)]

    @property
    def head(self):
        return self.blocks[-1]

    @property
    def height(self):
        return self.head.height

    def entries(self):
        return dict(self.state.entries)

    # -- one block

    def _execute(self, transactions, timestamp, strict):
        """(draft, accepted, refused). strict: the first refusal is raised."""
        draft, accepted, refused = Draft(self.state), [], []
        machine = Machine(draft, self.signatures)
        for t in transactions:
            try:
                machine.execute(t, timestamp)
                accepted.append(t)
            except Refused as e:
                if strict:
                    raise
                refused.append((t, e.code))
        return draft, accepted, refused

    def _tree_after(self, changes):
        tree = Tree()
        tree.top = self.tree.top
        for c in changes:
            tree.put(c["key"].encode(), None if c["after"] is None else oracle.canonical(c["after"]))
        return tree

    def _header(self, producer, timestamp, accepted, changes, tree):
        return {
            "chainId": self.genesis["chainId"], "changesRoot": list_root(oracle.canonical(c) for c in changes), "height": self.height + 1,
            "previousHash": self.head.hash, "producer": producer, "stateRoot": tree.root.hex(), "timestamp": timestamp, "txCount": len(accepted),
            "txRoot": list_root(t.leaf for t in accepted), "validatorsHash": validators_hash(self.state), "version": 1,
        }

    def produce(self, transactions, producer, key, timestamp):
        """Makes the next block of those that hold; returns (block, refused as [(transaction, code)])."""
        draft, accepted, refused = self._execute(transactions, timestamp, strict=False)
        changes = changes_between(self.state, draft)
        tree = self._tree_after(changes)
        header = self._header(producer, timestamp, accepted, changes, tree)
        block = Block(header, key.sign(oracle.canonical(header)), accepted, changes)
        self._append(block, draft, tree)
        return block, refused

    def forge(self, transactions, producer, key, timestamp, *, before=None):
        """A next block of exactly these transactions, whether they hold or not, and not taken; `before` changes its header before it is signed."""
        draft, _, _ = self._execute(transactions, timestamp, strict=False)
        changes = changes_between(self.state, draft)
        header = {**self._header(producer, timestamp, transactions, changes, self._tree_after(changes)), **(before or {})}
        return Block(header, key.sign(oracle.canonical(header)), transactions, changes)

    def _append(self, block, draft, tree):
        draft.commit()
        self.tree = tree
        self.blocks.append(block)

    def append(self, block):
        """Verifies a block completely and takes it; Invalid otherwise."""
        h, height = block.header, self.height + 1
        _need(header_problem(h) is None, height, "hashValid", header_problem(h))
        linked = h["height"] == height and h["previousHash"] == self.head.hash and h["chainId"] == self.genesis["chainId"]
        _need(linked, height, "linkValid", "height, previous hash or chain")
        _need(h["timestamp"] > self.head.header["timestamp"], height, "linkValid", "time does not grow")
        _need(h["txCount"] == len(block.transactions) and h["txRoot"] == list_root(t.leaf for t in block.transactions), height, "txRootValid", "root")
        size = sum(t.size for t in block.transactions)
        limits = len(block.transactions) <= self.params["maxBlockTransactions"] and size <= self.params["maxBlockBytes"]
        _need(limits, height, "txRootValid", "too large")
        _need(h["validatorsHash"] == validators_hash(self.state), height, "producerSignatureValid", "validators")
        producer = self.state.get(f"validator:{h['producer']}")
        _need(producer is not None, height, "producerSignatureValid", "the producer is no validator")
        good = SIGNATURE.match(block.signature or "") and oracle.verify(producer["publicKey"], oracle.canonical(h), block.signature)
        _need(good, height, "producerSignatureValid", "signature")
        try:
            draft, _, _ = self._execute(block.transactions, h["timestamp"], strict=True)
        except Refused as e:
            raise Invalid(height, "signaturesValid" if e.code == "bad_signature" else "stateChangesValid", e.code) from None
        changes = changes_between(self.state, draft)
        tree = self._tree_after(changes)
        recorded = h["changesRoot"] == list_root(oracle.canonical(c) for c in changes)
        _need(changes == block.changes and recorded, height, "stateChangesValid", "changes")
        _need(h["stateRoot"] == tree.root.hex(), height, "stateRootValid", "root")
        self._append(block, draft, tree)

    def check(self):
        """What has to hold at every height, from scratch."""
        values = {k.encode(): oracle.canonical(v) for k, v in self.state.entries.items()}
        assert map_root(values) == self.tree.root
        assert supply_problems(self.state.entries) == []


# -- chain files


def write_chain(chain, *more):
    """The bytes of a chain file; `more` are blocks behind those of the chain."""
    lines = [oracle.canonical({"format": FORMAT, "genesis": chain.genesis})]
    lines += [oracle.canonical(b.json()) for b in (*chain.blocks, *more)]
    return b"".join(line + b"\n" for line in lines)


def _read_block(line, number):
    try:
        value = read_canonical(line)
        names = {"header", "hash", "transactions", "stateChanges"} | ({"signature"} if value["header"]["height"] else set())
        if set(value) != names:
            raise ValueError(f"fields {sorted(value)}")
        transactions = []
        for t in value["transactions"]:
            if set(t) != {"message", "signature"} or not SIGNATURE.match(t["signature"]):
                raise ValueError("a transaction's form")
            transactions.append(Transaction(oracle.canonical(t["message"]), t["signature"]))
        block = Block(value["header"], value.get("signature"), transactions, value["stateChanges"])
        if not HASH.match(value["hash"]):
            raise ValueError("hash")
    except (ValueError, KeyError, TypeError) as e:
        raise Invalid(number, "hashValid", f"line: {e}") from None
    _need(block.hash == value["hash"], number, "hashValid", "hash")
    return block


def read_chain(data, *, signatures=True, each=None):
    """Verifies a chain file completely; returns the Chain. each: called with the chain after every block."""
    lines = data.split(b"\n")
    _need(len(lines) > 2 and lines.pop() == b"", 0, "hashValid", "the file does not end with a whole line")
    try:
        first = read_canonical(lines[0])
        if set(first) != {"format", "genesis"} or first["format"] != FORMAT:
            raise ValueError("not a chain file")
        chain = Chain(first["genesis"], signatures)
    except (ValueError, KeyError, TypeError) as e:
        raise Invalid(0, "hashValid", str(e)) from None
    zero = _read_block(lines[1], 0)
    _need(zero.header == chain.head.header and not zero.transactions and not zero.changes, 0, "stateRootValid", "block 0 is not that of the genesis")
    for number, line in enumerate(lines[2:], 1):
        chain.append(_read_block(line, number))
        if each:
            each(chain)
    return chain


__all__ = [
    "Block", "Chain", "Invalid", "State", "Tree", "list_root", "map_leaf", "map_proof_root", "map_root", "read_chain", "validators_hash",
    "write_chain",
]
