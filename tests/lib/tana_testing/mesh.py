"""A mesh as its users know it: starts meshd, and makes correct requests of every kind, or ones broken in exactly the way a test asks for."""

import contextlib
import json
import threading
import time
import urllib.parse

from . import oracle
from .client import Client, eventually
from .daemon import PATIENCE, Daemon, binary, run
from .schema import Document
from .sse import EventStream

NETWORK = "testnet"
#: after={"field": DROP} leaves a field out.
DROP = object()

_clock_lock = threading.Lock()
_last = 0
#: The OpenAPI document of each program tested, by its path.
documents = {}


def now():
    """The present time in milliseconds, larger at each call: every signer's timestamps grow."""
    global _last
    with _clock_lock:
        _last = max(_last + 1, time.time_ns() // 1_000_000)
        return _last


def patched(body, changes):
    out = dict(body)
    for k, v in (changes or {}).items():
        if v is DROP:
            out.pop(k, None)
        else:
            out[k] = v
    return out


def short_message(node_id, public_key, hostname):
    """What existing clients sign when they register."""
    return json.dumps({"nodeId": node_id, "publicKey": public_key, "tailscaleHostname": hostname}, separators=(",", ":"), ensure_ascii=False)


class Node:
    """What a node knows of itself."""

    def __init__(self, node_id, services=None, **fields):
        self.id = node_id
        self.key = oracle.Key()
        self.hostname = f"{node_id}.tail1.ts.net"
        self.services = services if services is not None else [{"type": "ledger", "port": 8080, "publicKey": oracle.Key(node_id + "/ledger").public}]
        self.fields = fields

    @property
    def public(self):
        return self.key.public


class Mesh:
    """One meshd and a client of it. Several may share a database (`beside`)."""

    def __init__(self, directory, db_url, *, sovereigns=None, dev=False, network=NETWORK, args=(), env=None, seen=None, name="meshd"):
        self.directory = directory
        self.db_url = db_url
        self.network = network
        self.dev = dev
        self.args = list(args)
        self.sovereigns = [oracle.Key()] if sovereigns is None else list(sovereigns)
        self.data = directory / "data"
        self.seen = seen if seen is not None else []
        self.daemon = Daemon(directory, self.command(), env, name)
        self.client = None

    def common(self):
        return ["--db", self.db_url, "--data", self.data, "--network", self.network]

    def command(self):
        argv = [binary("meshd"), "run", *self.common(), "--listen", "127.0.0.1:0", "--log-format", "json"]
        for key in self.sovereigns:
            argv += ["--sovereign-key", key.public]
        if self.dev:
            argv.append("--dev")
        return argv + self.args

    @property
    def sovereign(self):
        return self.sovereigns[0]

    def start(self, **kw):
        self.daemon.start(**kw)
        self.connect()
        return self

    def connect(self):
        self.client = Client(self.daemon.address, seen=self.seen)
        if str(binary("meshd")) not in documents:
            documents[str(binary("meshd"))] = Document(self.client.get("/openapi.json").expect(200))
        self.client.document = documents[str(binary("meshd"))]

    @property
    def document(self):
        return self.client.document

    def restart(self):
        self.daemon.terminate()
        return self.start()

    def kill_and_restart(self):
        self.daemon.kill()
        return self.start()

    def stop(self):
        self.daemon.terminate()

    def finish(self):
        if self.client is not None:
            self.client.close()
        self.daemon.finish()

    def run(self, verb, *args, **kw):
        """Another command of meshd on the same database: verify, backup, init."""
        return run([binary("meshd"), verb, *args, *self.common()], self.directory, **kw)

    def verify(self, *args):
        """`meshd verify` must find nothing."""
        done = self.run("verify", *args)
        assert done.returncode == 0, f"verify: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def get(self, path, query=None, **kw):
        return self.client.get(path, query, **kw)

    def post(self, path, body=None, **kw):
        return self.client.post(path, body, **kw)

    # -- registration

    def registration(self, node, form="full", *, key=None, timestamp=None, invite=None, before=None, after=None):
        """The body of POST /register. `before` changes fields and is signed, `after` changes them once signed."""
        key = key or node.key
        body = {
            "nodeId": node.id, "publicKey": node.public, "tailscaleHostname": node.hostname, "tailscaleIP": "100.64.0.1",
            "services": node.services, "network": self.network, **node.fields,
        }
        if form == "short":
            del body["network"]
        else:
            body["timestamp"] = now() if timestamp is None else timestamp
        if invite is not None:
            body["invite"] = self.invite_use(invite, node)
        body = patched(body, before)
        if form == "short":
            message = short_message(body.get("nodeId"), body.get("publicKey"), body.get("tailscaleHostname"))
        else:
            message = oracle.canonical(body)
        body["signature"] = key.sign(message)
        return patched(body, after)

    def register(self, node, form="full", **kw):
        return self.post("/register", self.registration(node, form, **kw))

    # -- a sovereign's decisions

    def decision_message(self, action, node_id, public_key, timestamp, network=None):
        return f"tana-mesh:{network or self.network}:{action}:{node_id}:{public_key}:{timestamp}"

    def decision(self, action, node, *, sovereign=None, timestamp=None, message=None, after=None):
        sovereign = sovereign or self.sovereign
        timestamp = now() if timestamp is None else timestamp
        message = message or self.decision_message(action, node.id, node.public, timestamp)
        body = {"approverPublicKey": sovereign.public, "timestamp": timestamp, "signature": sovereign.sign(message)}
        return patched(body, after)

    def decide(self, action, node, **kw):
        return self.post(f"/{action}/{urllib.parse.quote(node.id, safe='')}", self.decision(action, node, **kw))

    def older_decision(self, action, node, *, sovereign=None):
        """What existing clients send: no timestamp, no network."""
        sovereign = sovereign or self.sovereign
        return {"approverPublicKey": sovereign.public, "signature": sovereign.sign(f"{action}:{node.id}")}

    def pending(self, node_id, **fields):
        node = Node(node_id, **fields)
        self.register(node).expect(201)
        return node

    def active(self, node_id, **fields):
        node = self.pending(node_id, **fields)
        self.decide("approve", node).expect(200)
        return node

    # -- heartbeats

    def beat(self, node, form="full", *, key=None, timestamp=None, before=None, after=None, **fields):
        """The body of POST /heartbeat."""
        key = key or node.key
        body = {"nodeId": node.id, "timestamp": now() if timestamp is None else timestamp, **fields}
        if form == "full":
            body["signed"] = "full"
        body = patched(body, before)
        if form == "full":
            message = oracle.canonical(body)
        else:
            message = f"heartbeat:{body.get('nodeId')}:{body.get('timestamp')}"
        body["signature"] = key.sign(message)
        return patched(body, after)

    def heartbeat(self, node, form="full", **kw):
        return self.post("/heartbeat", self.beat(node, form, **kw))

    # -- keys

    def _text(self, *parts):
        return ":".join(["tana-mesh", self.network, *(str(p) for p in parts)])

    def sovereign_change(self, verb, key, *, sovereign=None, timestamp=None, message=None, after=None, **fields):
        """The body of POST /sovereign/add or /sovereign/remove."""
        sovereign = sovereign or self.sovereign
        timestamp = now() if timestamp is None else timestamp
        message = message or self._text(f"sovereign-{verb}", key.public, timestamp)
        body = {
            "publicKey": key.public, "approverPublicKey": sovereign.public, "timestamp": timestamp, "signature": sovereign.sign(message), **fields,
        }
        return patched(body, after)

    def sovereign_rotation(self, old, new, *, timestamp=None, message=None, after=None):
        timestamp = now() if timestamp is None else timestamp
        message = message or self._text("sovereign-rotate", old.public, new.public, timestamp)
        body = {
            "oldPublicKey": old.public, "newPublicKey": new.public, "timestamp": timestamp,
            "signature": old.sign(message), "newSignature": new.sign(message),
        }
        return patched(body, after)

    def node_rotation(self, node, new, *, old=None, timestamp=None, message=None, after=None):
        old = old or node.key
        timestamp = now() if timestamp is None else timestamp
        message = message or self._text("node-rotate", node.id, old.public, new.public, timestamp)
        body = {"newPublicKey": new.public, "timestamp": timestamp, "signature": old.sign(message), "newSignature": new.sign(message)}
        return patched(body, after)

    def rotate_node(self, node, new, **kw):
        return self.post(f"/nodes/{node.id}/rotate", self.node_rotation(node, new, **kw))

    # -- invites

    def invitation(self, invite, uses=1, expires=None, *, sovereign=None, timestamp=None, message=None, after=None):
        sovereign = sovereign or self.sovereign
        timestamp = now() if timestamp is None else timestamp
        expires = timestamp + 3_600_000 if expires is None else expires
        message = message or self._text("invite", invite.public, uses, expires, timestamp)
        body = {
            "publicKey": invite.public, "uses": uses, "expires": expires, "approverPublicKey": sovereign.public, "timestamp": timestamp,
            "signature": sovereign.sign(message),
        }
        return patched(body, after)

    def invite(self, uses=1, expires=None):
        key = oracle.Key()
        answer = self.post("/invites", self.invitation(key, uses, expires))
        assert answer.status in (200, 201), answer
        return key

    def invite_use(self, invite, node, network=None):
        message = f"tana-mesh:{network or self.network}:invite-use:{node.id}:{node.public}"
        return {"publicKey": invite.public, "signature": invite.sign(message)}

    def revocation(self, invite, *, sovereign=None, timestamp=None, message=None, after=None):
        sovereign = sovereign or self.sovereign
        timestamp = now() if timestamp is None else timestamp
        message = message or self._text("invite-revoke", invite.public, timestamp)
        body = {"publicKey": invite.public, "approverPublicKey": sovereign.public, "timestamp": timestamp, "signature": sovereign.sign(message)}
        return patched(body, after)

    # -- reading

    def pages(self, path, field, **query):
        """All rows of a list, by its cursors."""
        rows = []
        while True:
            page = self.get(path, query).expect(200)
            rows += page[field]
            if not page.get("nextCursor"):
                return rows
            query["cursor"] = page["nextCursor"]

    def nodes(self, status="all", **query):
        return self.pages("/nodes", "nodes", status=status, **query)

    def node(self, node):
        return self.get(f"/nodes/{node.id}").expect(200)["node"]

    def status(self, node):
        """A node's status, or None when it is not there."""
        answer = self.get(f"/nodes/{node.id}")
        if answer.status == 404:
            return None
        return answer.expect(200)["node"]["status"]

    def wait_status(self, node, status, within=5.0):
        eventually(lambda: self.status(node) == status, within, what=f"{node.id} {status}")

    def audit(self):
        return self.pages("/audit", "entries", limit=1000)

    def coordinator(self):
        return self.get("/coordinator").expect(200)

    def checkpoint(self):
        """The log's head, its signature checked."""
        answer = self.get("/audit/checkpoint")
        answer.expect(200)
        assert answer.media == "text/plain", answer
        return oracle.open_checkpoint(answer.body, self.coordinator()["verifierKey"])

    @contextlib.contextmanager
    def events(self, last_id=None, **kw):
        stream = EventStream(self.daemon.address, last_id=last_id, **kw)
        assert stream.status == 200, stream.status
        self.seen.append(("GET", "/events", 200, None))
        with stream:
            yield stream
