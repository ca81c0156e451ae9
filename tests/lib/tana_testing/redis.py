"""A throw-away Redis for tests, durable as the ledger asks for, and just enough of RESP to look inside."""

import pathlib
import signal
import socket
import subprocess
import time

from .daemon import PATIENCE


class RedisError(Exception):
    pass


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


class Redis:
    """One redis-server with a directory of its own. crash() and up() keep data and port."""

    def __init__(self, directory, *, appendonly=True, fsync="always"):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.appendonly, self.fsync = appendonly, fsync
        self.port, self.process = None, None

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def start(self):
        # Another program may take the port between our look and the server's.
        for _ in range(10):
            self.port = free_port()
            if self.up():
                return self
        raise RuntimeError(f"redis-server does not start:\n{(self.directory / 'log').read_text()[-2000:]}")

    def up(self):
        """Runs it on its port; whether it answers."""
        argv = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory), "--save", ""]
        argv += ["--appendonly", "yes" if self.appendonly else "no", "--appendfsync", self.fsync]
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 20 * PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                # The one that answers is ours, not another's on the same port; while it loads its data it says so.
                if f"process_id:{self.process.pid}\r\n".encode() in self.command("INFO", "server"):
                    return True
            except (OSError, RedisError):
                pass
            time.sleep(0.02)
        self.stop()
        return False

    def crash(self):
        self.process.kill()
        self.process.wait(10)
        self.process = None

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10 * PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        self.process = None

    finish = stop

    def command(self, *words):
        """One command on a connection of its own; bytes, integers, lists, None."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as s:
            request = b"*%d\r\n" % len(words)
            for w in words:
                raw = w if isinstance(w, bytes) else str(w).encode()
                request += b"$%d\r\n%b\r\n" % (len(raw), raw)
            s.sendall(request)
            with s.makefile("rb") as f:
                return _reply(f)


def _reply(f):
    line = f.readline()
    if not line.endswith(b"\r\n"):
        raise RedisError("the connection ended")
    kind, rest = line[:1], line[1:-2]
    if kind == b"+":
        return rest
    if kind == b"-":
        raise RedisError(rest.decode())
    if kind == b":":
        return int(rest)
    if kind == b"$":
        if int(rest) < 0:
            return None
        data = f.read(int(rest) + 2)
        return data[:-2]
    if kind == b"*":
        return None if int(rest) < 0 else [_reply(f) for _ in range(int(rest))]
    raise RedisError(f"not RESP: {line!r}")
