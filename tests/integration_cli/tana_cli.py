"""What the tests of the tana command need: people who run it, and a coordinator that lies."""

import codecs
import http.server
import itertools
import json
import os
import pathlib
import pty
import select
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

from tana_testing.daemon import PATIENCE, binary, clean_environment


class Result:
    def __init__(self, argv, status, out, err):
        self.argv, self.status, self.out, self.err = argv, status, out, err

    def __repr__(self):
        return f"{' '.join(self.argv)} -> {self.status}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"

    def expect(self, status):
        assert self.status == status, repr(self)
        assert "Sanitizer" not in self.err and "runtime error" not in self.err, repr(self)
        return self

    @property
    def ok(self):
        return self.expect(0)

    @property
    def json(self):
        """Exactly one document on standard output."""
        lines = self.out.splitlines()
        assert len(lines) == 1, repr(self)
        return json.loads(lines[0])

    @property
    def error(self):
        """What a failure says under --json."""
        return json.loads(self.err.splitlines()[-1])

    def rows(self):
        """A table's rows as lists of cells; columns begin where their titles do, or end there."""
        head, *rest = self.out.splitlines()
        return head.split(), [line.split() for line in rest]


class User:
    """Someone with a home of their own who runs tana."""

    def __init__(self, home, url=None):
        self.home = pathlib.Path(home)
        self.home.mkdir(parents=True, exist_ok=True)
        self.config = self.home / ".config" / "tana"
        self.state = self.home / ".local" / "state" / "tana"
        self.env = clean_environment(self.home, {"MESH_URL": url} if url else {})
        self.background = []

    def argv(self, *args):
        return [str(binary("tana")), *map(str, args)]

    def run(self, *args, stdin=None, env=None, within=30):
        done = subprocess.run(
            self.argv(*args),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            env={**self.env, **(env or {})},
            timeout=within * PATIENCE,
            cwd=self.home,
        )
        return Result(["tana", *map(str, args)], done.returncode, done.stdout, done.stderr)

    __call__ = run

    def start(self, *args, env=None):
        """Runs it in the background; its output goes to a file."""
        return Background(self, args, env)

    def on_terminal(self, *args, answers=(), env=None, within=30):
        """Runs it on a terminal of its own; answers: (what to wait for, what to type)."""
        pid, fd = pty.fork()
        if pid == 0:
            try:
                os.chdir(self.home)
                os.execve(binary("tana"), self.argv(*args), {**self.env, "TERM": "xterm", **(env or {})})
            finally:
                os._exit(127)  # never back into the tests
        text, pending, deadline = "", list(answers), time.monotonic() + within * PATIENCE
        decoder = codecs.getincrementaldecoder("utf-8")()
        while True:
            assert time.monotonic() < deadline, f"still running, having said:\n{text}"
            if pending and pending[0][0] in text.rsplit("\x00", 1)[-1]:
                os.write(fd, pending.pop(0)[1].encode() + b"\n")
                text += "\x00"  # what was asked before is answered
            if select.select([fd], [], [], 0.1)[0]:
                try:
                    data = os.read(fd, 4096)
                except OSError:  # the other side is closed
                    break
                if not data:
                    break
                text += decoder.decode(data)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(fd)
        assert not pending, f"never asked {pending[0][0]!r}:\n{text}"
        return Result(["tana", *map(str, args)], status, text.replace("\x00", ""), "")


def lives(pid):
    """Is there such a process, and is it more than what its parent has not yet taken note of?"""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def wait_gone(pid, within=12):
    deadline = time.monotonic() + within * PATIENCE
    while lives(pid):
        assert time.monotonic() < deadline, f"process {pid} goes on"
        time.sleep(0.02)


class Background:
    numbers = itertools.count()

    def __init__(self, user, args, env):
        self.out_path = user.home / f"background-{next(self.numbers)}.out"
        self.err_path = self.out_path.with_suffix(".err")
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.process = subprocess.Popen(
                user.argv(*args), stdin=subprocess.DEVNULL, stdout=out, stderr=err, env={**user.env, **(env or {})}, cwd=user.home
            )
        user.background.append(self)

    @property
    def out(self):
        return self.out_path.read_text()

    @property
    def err(self):
        return self.err_path.read_text()

    def wait_for(self, condition, within=10):
        deadline = time.monotonic() + within * PATIENCE
        while not condition(self):
            assert time.monotonic() < deadline, f"did not come: stdout\n{self.out}\nstderr\n{self.err}"
            time.sleep(0.02)
        return self

    def end(self, number=signal.SIGTERM, within=15):
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(within * PATIENCE)
        assert "Sanitizer" not in self.err, self.err
        return status


def write_key(path, key, **members):
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for parent in (path.parent, path.parent.parent):
        parent.chmod(0o700)
    path.write_text(json.dumps({**members, "publicKey": key.public, "privateKey": key.private}))
    path.chmod(0o600)
    return path


def listen_options(mesh_port=None):
    """For tana start: every service on a port of its own."""
    options = ["--mesh-listen", f"127.0.0.1:{mesh_port or free_port()}"]
    for service in ("ledger", "t4", "identity"):
        options += [f"--{service}-listen", f"127.0.0.1:{free_port()}"]
    return options


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Liar:
    """Stands before a real coordinator and changes its answers: patch(path, body) gives the body to answer with, or None to leave it."""

    def __init__(self, target):
        self.target = target
        self.patch = lambda path, body: None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.forward(None)

            def do_POST(self):
                self.forward(self.rfile.read(int(self.headers["Content-Length"])))

            def forward(self, body):
                request = urllib.request.Request(outer.target + self.path, data=body, method=self.command)
                if body is not None:
                    request.add_header("Content-Type", "application/json")
                try:
                    with urllib.request.urlopen(request, timeout=10) as answer:
                        status, text, kind = answer.status, answer.read(), answer.headers["Content-Type"]
                except urllib.error.HTTPError as e:
                    status, text, kind = e.code, e.read(), e.headers["Content-Type"]
                changed = outer.patch(self.path, text)
                text = text if changed is None else changed
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def change(self, prefix, function):
        """function(document) -> document, for the JSON answers of paths that begin so."""
        self.patch = lambda path, body: json.dumps(function(json.loads(body))).encode() if path.startswith(prefix) else None

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
