"""A ledger as its users know it: starts ledgerd on a genesis, submits transactions byte for byte, and holds what it keeps against the independent model."""

import contextlib
import json
import os
import time
import urllib.parse

from . import oracle
from .client import Client, eventually
from .daemon import Daemon, binary, run
from .ledger_chain import read_chain
from .ledger_forms import Transaction, read_canonical
from .ledger_wallet import CHAIN, Wallet, make_genesis
from .mesh import documents
from .schema import Document
from .sse import EventStream

VALIDATOR = "validator-1"


def write_key(path, key, node_id=None):
    """A key file as ledgerd wants it: for its owner alone."""
    fields = {"publicKey": key.public, "privateKey": key.private}
    if node_id is not None:
        fields["nodeId"] = node_id
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
        json.dump(fields, f)
    return path


def body_of(transaction):
    """The body of POST /transactions, the message's bytes untouched."""
    return b'{"message":' + transaction.message + b',"signature":' + json.dumps(transaction.signature).encode() + b"}"


def state_of(text):
    """{key: value} of what `ledgerd state` prints: a canonical line an entry, in the order of the keys."""
    lines = [read_canonical(line.encode()) for line in text.splitlines()]
    assert all(set(x) == {"key", "value"} for x in lines)
    keys = [x["key"] for x in lines]
    assert keys == sorted(set(keys))
    return {x["key"]: x["value"] for x in lines}


class Ledgerd:
    """One ledgerd, and a client of it. Several may share a database or a Redis.

    Unless told otherwise it has a genesis of its own, whose sovereign is `sovereign`, and produces as validator-1.
    """

    def __init__(
        self, directory, db_url, *, genesis=None, sovereign=None, key=None, validator=VALIDATOR, interval=20, redis=None, args=(), env=None, seen=None,
        name="ledgerd", params=None, wrapper=(),
    ):
        self.directory, self.db_url = directory, db_url
        directory.mkdir(parents=True, exist_ok=True)
        self.validator = validator
        self.key = key or oracle.Key()
        self.sovereign = sovereign or Wallet.sovereign(chain=genesis["chainId"] if genesis else CHAIN)
        self.genesis = genesis or make_genesis(self.sovereign, {validator: self.key}, **(params or {}))
        self.genesis_path = directory / "genesis.json"
        self.genesis_path.write_bytes(oracle.canonical(self.genesis))
        self.key_path = write_key(directory / "node-key.json", self.key, validator)
        self.seen = seen if seen is not None else []
        argv = [*wrapper, binary("ledgerd"), "run", *self.common(), "--listen", "127.0.0.1:0", "--log-format", "json"]
        argv += ["--node-key", self.key_path, "--validator-id", validator]
        if interval is not None:
            argv += ["--block-interval", f"{interval}ms"]
        if redis is not None:
            argv += ["--redis", redis.url]
        self.daemon = Daemon(directory, [*argv, *(str(a) for a in args)], env, name)
        self.client = None

    def common(self):
        return ["--db", self.db_url, "--genesis", self.genesis_path]

    # -- life

    def start(self, ready=None, **kw):
        """ready: whether to wait until it takes transactions; an observer may never be as far as its leader."""
        self.daemon.start(**kw)
        self.connect()
        if "--follow" not in self.daemon.argv if ready is None else ready:
            eventually(lambda: self.get("/ready").status == 200, 20, what="/ready")
        return self

    def connect(self):
        self.client = Client(self.daemon.address, seen=self.seen)
        if str(binary("ledgerd")) not in documents:
            documents[str(binary("ledgerd"))] = Document(self.client.get("/openapi.json").expect(200))
        self.client.document = documents[str(binary("ledgerd"))]
        # Right after a start what was kept is read again; until then transactions are put off.
        eventually(lambda: b"still being read" not in self.client.get("/ready").body, 20, what="what was kept has been read")

    @property
    def document(self):
        return self.client.document

    def stop(self):
        self.daemon.terminate()

    def restart(self, kill=False):
        if kill:
            self.daemon.kill()
        else:
            self.daemon.terminate()
        self.client.close()
        return self.start()

    def finish(self):
        if self.client is not None:
            self.client.close()
        self.daemon.finish()

    def run(self, verb, *args, **kw):
        """Another command of ledgerd on the same database."""
        return run([binary("ledgerd"), verb, *args, *self.common()], self.directory, **kw)

    # -- requests

    def get(self, path, query=None, **kw):
        return self.client.get(path, query, **kw)

    def post(self, path, body=None, **kw):
        return self.client.post(path, body, **kw)

    def submit(self, transaction, **kw):
        return self.post("/transactions", body_of(transaction), **kw)

    def queue(self, *transactions):
        """Submits what must be taken."""
        for t in transactions:
            answer = self.submit(t).expect(202)
            assert answer == {"id": t.id, "status": "queued"}, answer
        return transactions[-1]

    def look(self, transaction):
        return self.get(f"/transactions/{getattr(transaction, 'id', transaction)}")

    def settled(self, transaction, within=20.0, known=True):
        """What became of a queued transaction: included or refused. known False: it was handed in elsewhere, and may be unheard of for a moment."""

        def found():
            answer = self.look(transaction)
            if answer.status == 404 and not known:
                return None
            value = answer.expect(200)
            return value if value["status"] != "queued" else None

        return eventually(found, within, what=f"transaction {getattr(transaction, 'id', transaction)} settles")

    def include(self, *transactions):
        """Submits what must be taken and waits until all of it stands in blocks."""
        self.queue(*transactions)
        for t in transactions:
            settled = self.settled(t)
            assert settled["status"] == "included", settled
        return transactions[-1]

    def user(self, name, **kw):
        """A new user, in a block."""
        wallet = Wallet(name, chain=self.sovereign.chain)
        self.include(wallet.create(**kw))
        return wallet

    def rich(self, name, amount="1000", code="USD"):
        """A new user with money."""
        wallet = self.user(name)
        self.include(self.sovereign.adjust(wallet, amount, code))
        return wallet

    # -- reading

    def pages(self, path, field, **query):
        """All rows of a list, by its cursors."""
        rows = []
        while True:
            page = self.get(path, query).expect(200)
            rows += page[field]
            if "nextCursor" not in page:
                return rows
            query["cursor"] = page["nextCursor"]

    def latest(self):
        return self.get("/blocks/latest").expect(200)

    def status(self):
        return self.get("/status").expect(200)

    @property
    def height(self):
        return self.latest()["header"]["height"]

    def wait_height(self, height, within=20.0):
        eventually(lambda: self.height >= height, within, what=f"height {height}")

    def balance(self, wallet, code="USD"):
        """(amount, held) as text; None when there is no row."""
        rows = self.get(f"/users/{wallet.id}/balances").expect(200)
        return next(((r["amount"], r["held"]) for r in rows if r["currencyCode"] == code), None)

    @contextlib.contextmanager
    def events(self, last_id=None, path="/events", **kw):
        stream = EventStream(self.daemon.address, path, last_id=last_id, **kw)
        assert stream.status == 200, stream.status
        self.seen.append(("GET", "/events", 200, None))
        with stream:
            yield stream

    # -- the chain

    def export(self):
        """The chain file's bytes."""
        path = self.directory / f"export-{time.monotonic_ns()}.jsonl"
        done = self.run("export", "--to", path)
        assert done.returncode == 0, f"export: exit {done.returncode}\n{done.stderr}"
        data = path.read_bytes()
        path.unlink()
        return data

    def chain(self, **kw):
        """The exported chain, completely verified by the model."""
        return read_chain(self.export(), **kw)

    def state(self, height=None):
        """{key: value}, by `ledgerd state`."""
        done = self.run("state", *([] if height is None else ["--at", str(height)]))
        assert done.returncode == 0, f"state: exit {done.returncode}\n{done.stderr}"
        return state_of(done.stdout)

    def verify(self, *args, status=0):
        """The JSON objects of `ledgerd verify`, the summary last."""
        done = self.run("verify", *(args or ["--all"]), "--json")
        assert done.returncode == status, f"verify: exit {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return [oracle.parse_strict(line) for line in done.stdout.splitlines()]

    def whole(self):
        """The model finds the chain good, and ledgerd's own audit the database; returns the chain."""
        chain = self.chain()
        chain.check()
        self.verify()
        return chain


def path(*parts):
    return "/" + "/".join(urllib.parse.quote(str(p), safe="") for p in parts)


__all__ = ["CHAIN", "VALIDATOR", "Ledgerd", "Transaction", "Wallet", "body_of", "make_genesis", "path", "state_of", "write_key"]
