"""An identity service as its users know it: starts identityd, plays the phone with PyNaCl alone and the desktop by HTTP, correctly or broken as a test asks for."""

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import socket
import threading
import time
import urllib.parse
import uuid

from . import oracle
from .client import Client, eventually
from .daemon import PATIENCE, Daemon, binary
from .mesh import DROP, documents, patched  # noqa: F401  (DROP is for tests)
from .schema import Document
from .sse import EventStream

POLL = "X-Tana-Poll-Secret"
PUBLIC_URL = "https://id.example.com"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def now():
    return time.time_ns() // 1_000_000


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def desktop_token(poll_secret, session_id):
    """The desktop's token, as the protocol defines it."""
    return "tana_st_" + b64(hmac.new(poll_secret.encode(), f"tana-session:{session_id}".encode(), hashlib.sha256).digest())


class Ledger:
    """Says whose key is whose, as a ledger does: GET /users/:id. Can be slow, broken or away."""

    def __init__(self):
        self.users, self.asked = {}, []
        self.answers = threading.Event()
        self.answers.set()
        self.gone = False
        self.broken = None  # (status, body): said to every question
        ledger = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                ledger.asked.append(self.path)
                ledger.answers.wait(30)
                if ledger.gone:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                status, body = ledger.broken or ledger.answer(self.path)
                data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def add(self, phone, **changes):
        user = {"id": phone.user_id, "username": phone.username, "displayName": "A user", "publicKey": phone.key.public, "role": "user"}
        self.users[phone.user_id] = patched(user, changes)

    def answer(self, path):
        kind, _, name = path.strip("/").partition("/")
        user = self.users.get(urllib.parse.unquote(name)) if kind == "users" else None
        if path == "/health":
            return 200, {"status": "ok"}
        return (200, user) if user else (404, {"error": "no such user", "code": "not_found"})

    def finish(self):
        self.gone = True
        self.answers.set()
        self.server.shutdown()
        self.server.server_close()


class Phone:
    """Whoever holds a key."""

    def __init__(self, username=None, user_id=None, key=None):
        self.user_id = user_id or str(uuid.uuid4())
        self.username = username or "@user-" + uuid.uuid4().hex[:12]
        self.key = key or oracle.Key()

    def message(self, login, after=None, **more):
        """What is signed: fields by `after` changed, more of them by name."""
        fields = {"sessionId": login.id, "challenge": login.challenge, "userId": self.user_id, "username": self.username, "timestamp": now(), **more}
        return json.dumps(patched(fields, after))

    def approval(self, login, message=None, after=None, **more):
        """The body of an approval; the message as tests want it: given, or with fields changed or added before it is signed."""
        message = self.message(login, after, **more) if message is None else message
        return {"userId": self.user_id, "username": self.username, "publicKey": self.key.public, "signature": self.key.sign(message), "message": message}


class Login:
    """One session, from the desktop's side."""

    def __init__(self, identity, created):
        self.identity, self.created = identity, created
        self.id, self.challenge, self.secret = created["sessionId"], created["challenge"], created["pollSecret"]
        self.path = f"/auth/session/{self.id}"

    def see(self, secret=True, **kw):
        """How it stands: with the poll secret, or as others see it."""
        return self.identity.client.get(self.path, headers={POLL: self.secret} if secret else {}, **kw)

    @property
    def status(self):
        return self.see(False).expect(200)["status"]

    @property
    def token(self):
        return desktop_token(self.secret, self.id)

    def scan(self, **kw):
        return self.identity.client.post(self.path + "/scan", **kw)

    def reject(self, body=None, **kw):
        return self.identity.client.post(self.path + "/reject", body, **kw)

    def approve(self, phone, *, body=None, **kw):
        return self.identity.client.post(self.path + "/approve", phone.approval(self, **kw) if body is None else body)

    def ticket(self, secret=True):
        return self.identity.client.post(self.path + "/ticket", headers={POLL: self.secret} if secret else {})

    def stream(self, secret=True, query="", identity=None, cookie=False):
        headers = {POLL: self.secret} if secret and not cookie else {"Cookie": f"other=1; tana_poll={self.secret}"} if cookie else {}
        stream = Stream((identity or self.identity).address, self.path + "/events" + query, headers)
        self.identity.seen.append(("GET", "/auth/session/{id}/events", stream.status, None))
        return stream


class Stream(EventStream):
    """A session's events: their type is in their data."""

    def __init__(self, address, path, headers=None):
        super().__init__(address, path, headers={k: v for k, v in (headers or {}).items() if k != "Accept"})

    def types(self):
        return [e.data["type"] for e in list(self.events)]

    def until(self, kind, within=10.0):
        """Waits for an event of this type; returns its data."""
        eventually(lambda: kind in self.types(), within * PATIENCE, what=f"{kind}; came: {self.events}")
        return next(e.data for e in self.events if e.data["type"] == kind)

    def until_end(self, within=10.0):
        eventually(lambda: self.ended, within * PATIENCE, what="the stream's end")
        return self.types()


class Identity:
    """One identityd and a client of it. Several may share a database."""

    def __init__(self, directory, db_url, *, public_url=PUBLIC_URL, listen="127.0.0.1:0", args=(), env=None, seen=None, name="identityd", wrapper=()):
        self.directory, self.db_url, self.public_url = directory, db_url, public_url
        self.seen = seen if seen is not None else []
        argv = [*wrapper, binary("identityd"), "run", "--db", db_url, "--public-url", public_url, "--listen", listen, "--log-format", "json"]
        self.daemon = Daemon(directory, [*argv, *args], env, name)
        self.client = None

    # -- life

    def start(self, **kw):
        self.daemon.start(**kw)
        self.connect()
        return self

    def connect(self):
        self.client = Client(self.daemon.address, seen=self.seen)
        if str(binary("identityd")) not in documents:
            documents[str(binary("identityd"))] = Document(self.client.get("/openapi.json").expect(200))
        self.client.document = documents[str(binary("identityd"))]

    @property
    def address(self):
        return self.daemon.address

    @property
    def url(self):
        return f"http://{self.daemon.address}"

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

    # -- requests

    def create(self, body=None, **kw):
        return self.client.post("/auth/session/create", {"appName": "Test"} if body is None else body, **kw)

    def login(self, body=None, **kw):
        return Login(self, self.create(body, **kw).expect(201))

    def logged_in(self, phone=None):
        """A login carried through: (login, phone's token)."""
        login, phone = self.login(), phone or Phone()
        login.scan().expect(200)
        return login, login.approve(phone).expect(200)["sessionToken"]

    def verify(self, token, **kw):
        return self.client.get("/auth/session/verify", headers=bearer(token), **kw)

    def get(self, path, query=None, **kw):
        return self.client.get(path, query, **kw)

    def post(self, path, body=None, **kw):
        return self.client.post(path, body, **kw)

    def metric(self, name):
        text = self.client.get("/metrics").body.decode()
        return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name + " "))
