"""A content store as its users know it: starts t4d, makes service auth tokens with PyNaCl alone, and speaks to it correctly or broken as a test asks for."""

import base64
import contextlib
import hashlib
import json
import os
import re
import socket
import time

from . import oracle
from .client import Answer, Client
from .daemon import PATIENCE, Daemon, binary, run
from .mesh import documents, patched
from .schema import Document

NODE = "node-a"
PUT, DELETE, LIST = "content:put", "content:delete", "content:list"
ALL = f"{PUT} {DELETE} {LIST}"
OCTETS = "application/octet-stream"


def sha(data):
    return hashlib.sha256(data).hexdigest()


def blob(size, seed=None):
    """Bytes that no other test stores; the same for the same seed."""
    return os.urandom(size) if seed is None else hashlib.shake_128(str(seed).encode()).digest(size)


# -- tokens


def b64(data):
    """base64url without padding (RFC 7515 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def part(value):
    if isinstance(value, (dict, list)):
        value = json.dumps(value, separators=(",", ":"))
    return b64(value.encode() if isinstance(value, str) else value)


def jwt(header, claims, key):
    """header and claims: dicts, or the very text."""
    signed = f"{part(header)}.{part(claims)}"
    return f"{signed}.{b64(key.sign_bytes(signed.encode()))}"


class Service:
    """A service on a node, with a key of its own."""

    def __init__(self, node=NODE, service="ledger", key=None):
        self.node, self.service, self.key = node, service, key or oracle.Key()
        self.name = f"{node}/{service}"

    @property
    def trust(self):
        return f"{self.name}={self.key.public}"

    def token(self, scope=ALL, *, aud=f"{NODE}/t4", at=0, life=300, header=None, after=None, key=None, **claims):
        """A token made `at` seconds from now; header and after change fields (mesh.DROP leaves one out)."""
        now = int(time.time()) + at
        base = {"iss": self.node, "sub": self.service, "aud": aud, "iat": now, "exp": now + life, "jti": os.urandom(8).hex(), "scope": scope, **claims}
        return jwt(patched({"alg": "EdDSA", "typ": "JWT", "kid": self.name}, header), patched(base, after), key or self.key)

    def grant(self, data, **kw):
        """An upload grant: bound to these bytes."""
        return self.token(PUT, content=sha(data), size=len(data), **kw)


# -- the wire


class Wire:
    """One connection, spoken byte by byte."""

    def __init__(self, address, timeout=20):
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=timeout * PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.got = b""
        self.interim = []  # statuses 1xx that came

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, *pieces):
        """Whether the peer took it all."""
        try:
            for p in pieces:
                self.socket.sendall(p)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def head(self, method, path, *headers):
        """headers: (name, value), as often as given."""
        lines = [f"{method} {path} HTTP/1.1", "Host: t4", *(f"{n}: {v}" for n, v in headers)]
        self.request = f"{method} {path}"
        return self.send("\r\n".join(lines).encode() + b"\r\n\r\n")

    def chunk(self, data):
        return self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def _more(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise EOFError(f"closed after {self.got[-200:]!r}")
        self.got += piece

    def read_head(self):
        """Status and headers of what comes next; the body stays unread."""
        while b"\r\n\r\n" not in self.got:
            self._more()
        head, _, self.got = self.got.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        return int(lines[0].split()[1]), [tuple(x.strip() for x in line.split(":", 1)) for line in lines[1:]]

    def answer(self):
        """The next final answer, whole. EOFError when the connection ends before it does."""
        status, headers = self.read_head()
        while status < 200:
            self.interim.append(status)
            status, headers = self.read_head()
        found = Answer(self.request, status, headers, b"")
        if status != 304 and not self.request.startswith("HEAD"):
            size = int(found.header("Content-Length"))
            while len(self.got) < size:
                self._more()
            found.body, self.got = self.got[:size], self.got[size:]
        return found

    def ends(self):
        """The peer closes without a further byte."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


# -- the store


class T4:
    """One t4d on a directory of its own, and a client of it. Its node's ledger is trusted and may do everything."""

    def __init__(self, directory, *, node=NODE, trust=(), args=(), env=None, seen=None, name="t4d", data=None, wrapper=()):
        self.directory = directory
        self.node = node
        self.data = data or directory / "content"
        self.ledger = Service(node)
        self.seen = seen if seen is not None else []
        argv = [*wrapper, binary("t4d"), "run", "--dir", self.data, "--node-id", node, "--listen", "127.0.0.1:0", "--log-format", "json"]
        for service in (self.ledger, *trust):
            argv += ["--trust-key", service.trust]
        # Nothing happens by itself unless a test asks for it.
        if "--scrub-rate" not in args:
            argv += ["--scrub-rate", "0"]
        self.daemon = Daemon(directory, [*argv, *args], env, name)
        self.client = None

    # -- life

    def start(self, **kw):
        self.daemon.start(**kw)
        self.connect()
        return self

    def connect(self):
        self.client = Client(self.daemon.address, seen=self.seen)
        if str(binary("t4d")) not in documents:
            documents[str(binary("t4d"))] = Document(self.client.get("/openapi.json").expect(200))
        self.client.document = documents[str(binary("t4d"))]

    @property
    def document(self):
        return self.client.document

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
        """Another command of t4d on the same directory."""
        return run([binary("t4d"), verb, *args, "--dir", self.data], self.directory, **kw)

    def json(self, verb, *args, status=0):
        """The JSON lines of a command, which must end with this status."""
        done = self.run(verb, *args, "--json")
        assert done.returncode == status, f"{verb}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return [oracle.parse_strict(line) for line in done.stdout.splitlines()]

    # -- requests

    def auth(self, token=None):
        """token: None: a good one; False: none at all."""
        return {} if token is False else {"Authorization": "Bearer " + (token or self.ledger.token(aud=f"{self.node}/t4"))}

    def _about(self, answer, name, size=None):
        """Every answer about a blob says which one it is about, and one that knows it the size."""
        if re.fullmatch(r"[0-9a-f]{64}", name):
            assert answer.header("X-Content-Hash") == name, answer
            if answer.status < 400 or answer.status == 416:
                assert answer.header("X-Content-Size") is not None, answer
                assert size is None or answer.header("X-Content-Size") == str(size), answer
        return answer

    def put(self, data, name=None, *, token=None, headers=None, check=True):
        name = sha(data) if name is None else name
        sent = {"Content-Type": OCTETS, **self.auth(token), **(headers or {})}
        return self._about(self.client.call("PUT", f"/content/{name}", data, sent, check=check), name, len(data))

    def store(self, data):
        """Stores what must be new; the hash."""
        answer = self.put(data)
        assert answer.expect(201) == {"hash": sha(data), "size": len(data), "stored": True}
        return sha(data)

    def get(self, name, headers=None, *, method="GET", check=True):
        answer = self._about(self.client.call(method, f"/content/{name}", headers=headers, check=check), name)
        if answer.status == 200 and method == "GET":
            assert sha(answer.body) == name, f"{name}: wrong bytes were served: {sha(answer.body)}"
        return answer

    def head(self, name, headers=None):
        return self.get(name, headers, method="HEAD")

    def delete(self, name, *, token=None, check=True):
        return self._about(self.client.call("DELETE", f"/content/{name}", headers=self.auth(token), check=check), name)

    def missing(self, names):
        return self.client.post("/content/missing", {"hashes": list(names)})

    def page(self, token=None, **query):
        return self.client.get("/content", query, headers=self.auth(token))

    def all(self, **query):
        """{hash: size} of everything listed, by its pages; asserts their order."""
        rows = []
        while True:
            found = self.page(**query).expect(200)
            rows += [(r["hash"], r["size"]) for r in found["content"]]
            if "nextCursor" not in found:
                assert rows == sorted(set(rows))
                return dict(rows)
            query["cursor"] = found["nextCursor"]

    def stats(self):
        return self.client.get("/stats").expect(200)

    @contextlib.contextmanager
    def wire(self):
        with Wire(self.daemon.address) as w:
            yield w

    def checked(self, wire):
        """The wire's next answer, held against the document."""
        answer = wire.answer()
        method, path = wire.request.split(" ", 1)
        self.document.check(method, path, answer)
        return answer

    @contextlib.contextmanager
    def upload(self, name, *headers, token=None):
        """A PUT whose header is sent; the body is the caller's."""
        with self.wire() as w:
            w.head("PUT", f"/content/{name}", *self.auth(token).items(), *headers)
            yield w

    # -- the disk

    def path(self, name):
        return self.data / name[:2] / name

    def files(self):
        """{name: path} of everything that stands under a hash's place."""
        return {p.name: p for d in self.data.iterdir() if re.fullmatch("[0-9a-f]{2}", d.name) for p in d.iterdir()}

    def temporary(self):
        return sorted(p.name for p in (self.data / "tmp").iterdir())

    def quarantined(self):
        """The hashes of what was moved away, one for each file."""
        return sorted(p.name.partition(".")[0] for p in (self.data / "quarantine").iterdir())

    def sound(self, *expected):
        """Nothing is visible but whole blobs under their own hashes, all of `expected` (hashes) among them, served as they are; nothing temporary is left."""
        files = self.files()
        wrong = [n for n, p in files.items() if sha(p.read_bytes()) != n]
        assert not wrong, f"partial or wrong files are visible: {wrong}"
        lost = [n for n in expected if n not in files]
        assert not lost, f"answered and lost: {lost}"
        for n in expected:
            assert self.get(n).status == 200
        assert self.temporary() == []

    def log_says(self, pattern):
        return [line for line in self.daemon.lines(everything=True) if re.search(pattern, json.dumps(line))]
