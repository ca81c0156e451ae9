"""An HTTP client for tests: keeps its connection, and holds every answer against the daemon's OpenAPI document."""

import http.client
import json
import socket
import threading
import time
import urllib.parse

from . import oracle
from .daemon import PATIENCE


def eventually(check, within=5.0, every=0.02, what=None):
    """Polls until check() is true (and returns that value) or the deadline passes."""
    within *= PATIENCE
    deadline = time.monotonic() + within
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what or check}: last value {value!r}")
        time.sleep(every)


class Answer:
    def __init__(self, request, status, headers, body):
        self.request, self.status, self.headers, self.body = request, status, headers, body

    def header(self, name):
        for k, v in self.headers:
            if k.lower() == name.lower():
                return v
        return None

    @property
    def media(self):
        return (self.header("Content-Type") or "").partition(";")[0].strip()

    @property
    def json(self):
        return oracle.parse_strict(self.body.decode("utf-8"))

    @property
    def code(self):
        return self.json.get("code") if self.media == "application/json" else None

    def __repr__(self):
        return f"<{self.request} -> {self.status} {self.body[:500]!r}>"

    def expect(self, status):
        """The answer has this status; returns its JSON (None when it has no JSON)."""
        assert self.status == status, f"expected {status}: {self!r}"
        return self.json if self.media == "application/json" and self.body else None

    def refused(self, status, code):
        assert (self.status, self.code) == (status, code), f"expected {status} {code}: {self!r}"
        return self.json


class Client:
    """One client a thread holds one connection; threads may share the object."""

    def __init__(self, address, document=None, seen=None, timeout=30, tls=None):
        self.host, _, port = address.rpartition(":")
        self.host = self.host.strip("[]")
        self.port = int(port)
        self.document = document
        self.seen = seen if seen is not None else []
        self.timeout = timeout
        self.tls = tls
        self.local = threading.local()

    def close(self):
        connection = getattr(self.local, "connection", None)
        if connection is not None:
            connection.close()
            self.local.connection = None

    def _connection(self):
        if getattr(self.local, "connection", None) is None:
            if self.tls is not None:
                c = http.client.HTTPSConnection(self.host, self.port, timeout=self.timeout, context=self.tls)
            else:
                c = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
            c.connect()
            c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.local.connection, self.local.used = c, False
        return self.local.connection

    def call(self, method, path, body=None, headers=None, check=True):
        """body: a dict or list (sent as JSON), bytes (sent as they are), or None."""
        sent = dict(headers or {})
        data = body
        if body is not None and not isinstance(body, bytes):
            data = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        try:
            answer = self._exchange(method, path, data, sent)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, http.client.CannotSendRequest):
            # A kept connection that the server had closed meanwhile: reads are asked again on a new one.
            reused = getattr(self.local, "used", False)
            self.close()
            if method not in ("GET", "HEAD") or not reused:
                raise
            answer = self._exchange(method, path, data, sent)
        except Exception:
            self.close()
            raise
        if check and self.document is not None:
            template = self.document.check(method, path, answer)
            self.seen.append((method, template, answer.status, answer.code if answer.status >= 400 and method != "HEAD" else None))
        return answer

    def _exchange(self, method, path, data, headers):
        c = self._connection()
        c.request(method, path, body=data, headers=headers)
        response = c.getresponse()
        content = response.read()
        self.local.used = True
        answer = Answer(f"{method} {path}", response.status, response.getheaders(), content)
        if response.will_close:
            self.close()
        return answer

    def get(self, path, query=None, **kw):
        if query:
            path += "?" + urllib.parse.urlencode(query, doseq=True)
        return self.call("GET", path, **kw)

    def post(self, path, body=None, **kw):
        return self.call("POST", path, body if body is not None else b"", **kw)


def raw_exchange(address, data, timeout=10, half_close=False):
    """Sends bytes, reads until the peer closes or falls silent; returns what came."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), timeout=timeout) as s:
        try:
            s.sendall(data)
            if half_close:
                s.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass
        got = b""
        try:
            while True:
                piece = s.recv(65536)
                if not piece:
                    return got
                got += piece
                if _complete(got):
                    return got
        except (socket.timeout, ConnectionResetError):
            return got


def _complete(got):
    head, blank, body = got.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 100"):
        head, blank, body = body.partition(b"\r\n\r\n")
    if not blank:
        return False
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(body) >= int(value)
    return False
