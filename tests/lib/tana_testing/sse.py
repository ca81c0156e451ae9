"""A reader of Server-Sent Events (WHATWG HTML, section 9.2) on a thread of its own."""

import json
import socket
import threading
from dataclasses import dataclass

from .client import eventually


@dataclass
class Event:
    id: int
    type: str
    data: object


class EventStream:
    """Collects events. Use as a context manager; .events grows, .ended turns true when the server closed the stream."""

    def __init__(self, address, path="/events", last_id=None, receive_buffer=None, headers=None):
        host, _, port = address.rpartition(":")
        self.events, self.comments, self.ended = [], 0, False
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(10)
        self.socket.connect((host, int(port)))
        request = f"GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n"
        if last_id is not None:
            request += f"Last-Event-ID: {last_id}\r\n"
        request += "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        self.socket.sendall((request + "\r\n").encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        while (line := self.file.readline().strip()) != b"":
            name, _, value = line.decode().partition(":")
            self.headers[name.lower()] = value.strip()
        self.thread = None
        if self.status == 200:
            assert self.headers["content-type"].partition(";")[0] == "text/event-stream", self.headers
            self.socket.settimeout(None)

    def start(self):
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        return self

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        if self.thread is not None:
            self.thread.join(5)
        self.file.close()
        self.socket.close()

    def _lines(self):
        """Lines of the body, through the chunked coding when there is one."""
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            yield from self.file
            return
        rest = b""
        while True:
            size = int(self.file.readline().split(b";")[0] or b"0", 16)
            if size == 0:
                return
            rest += self.file.read(size)
            self.file.readline()
            *lines, rest = rest.split(b"\n")
            yield from (x + b"\n" for x in lines)

    def _read(self):
        kind, data, ident = "message", [], None
        try:
            for line in self._lines():
                line = line.decode("utf-8").rstrip("\r\n")
                if line.startswith(":"):
                    self.comments += 1
                    continue
                if line == "":
                    if data:
                        self.events.append(Event(ident, kind, json.loads("\n".join(data))))
                    kind, data = "message", []
                    continue
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if name == "event":
                    kind = value
                elif name == "data":
                    data.append(value)
                elif name == "id":
                    ident = int(value)
        except (OSError, ValueError) as e:
            self.error = e
        finally:
            self.ended = True

    def of(self, kind, node=None):
        return [e for e in list(self.events) if e.type == kind and (node is None or e.data.get("nodeId") == node)]

    def wait(self, kind, node=None, count=1, within=5.0):
        """Waits until `count` such events came; returns the last of them."""
        eventually(lambda: len(self.of(kind, node)) >= count, within, what=f"{count} x {kind} {node or ''}; came: {self.events}")
        return self.of(kind, node)[count - 1]
