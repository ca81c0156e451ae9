"""A relay between a daemon and its PostgreSQL that loses an answer when it is told to."""

import contextlib
import socket
import threading
import urllib.parse


class Relay:
    """Passes everything on. After lose_commit_after(marker): once a connection has sent the marker, its next COMMIT reaches the server, and the connection ends before the answer."""

    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.server = (parts.hostname, parts.port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = urllib.parse.urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{self.listener.getsockname()[1]}"))
        self.marker, self.lost = None, threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_commit_after(self, marker):
        self.lost.clear()
        self.marker = marker

    def close(self):
        self.listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(self.server)
                mute = threading.Event()
                threading.Thread(target=self._requests, args=(client, server, mute), daemon=True).start()
                threading.Thread(target=self._answers, args=(server, client, mute), daemon=True).start()

    def _requests(self, client, server, mute):
        seen = b""
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                seen = (seen + data)[-200_000:] if self.marker else b""
                if self.marker and self.marker in seen and b"COMMIT\0" in data:
                    self.marker = None
                    mute.set()
                server.sendall(data)
        _shut(server)

    def _answers(self, server, client, mute):
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if mute.is_set():
                    break
                client.sendall(data)
        _shut(client)
        _shut(server)
        if mute.is_set():
            self.lost.set()


def _shut(s):
    with contextlib.suppress(OSError):
        s.shutdown(socket.SHUT_RDWR)
