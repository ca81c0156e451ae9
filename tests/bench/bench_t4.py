"""What t4d costs beside other stores: `make bench-t4`. All are measured in one run, in turn within each round, by the same client over as many connections, on
the same processors and the same disk; ratios are taken within a round, and medians are shown with their range.

    bench_t4.py --build build [--json] [--rounds 5] [--objects 1000000] [--dir DIR] [--only WORD]

t4d hashes and syncs what it is sent before it answers, and gives out what it has checked. Beside it:
    nginx            static files, and PUT by its DAV module, which neither hashes nor syncs
    docker-registry  a Go server: PUT is the second of the two requests of an upload; hashes, does not sync
    bazel-remote     where the program is in PATH or named by $BAZEL_REMOTE; hashes, does not sync

The load comes from build/bench/load_content, whose own processor time is not the servers'. Before each run what is not yet on the disk is synced, so that no
server pays for another's writes.
"""

import argparse
import concurrent.futures
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
from tana_testing.t4 import Service  # noqa: E402

KB, MB = 1024, 1024 * 1024
#: size: name, blobs that are read, reads in a measurement, puts in one, connections
SIZES = {10 * KB: ("10 KB", 2000, 40000, 4000, 64), MB: ("1 MB", 200, 3000, 300, 16)}
BIG = 100_000_000
HELD = 64  # uploads and downloads of BIG at the same time


def say(text):
    print(f"... {text}", file=sys.stderr, flush=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """One store in a process of its own. argv() and the targets are the subclasses'."""

    headers = ()
    slower = 1  # so many times fewer requests make a measurement

    def __init__(self, directory):
        self.directory = directory / self.name
        self.directory.mkdir()
        self.data = self.directory / "data"
        self.data.mkdir()
        self.port, self.process = free_port(), None
        self.address = f"127.0.0.1:{self.port}"

    def start(self):
        """Returns the seconds until it answers."""
        begin = time.monotonic()
        with open(self.directory / "log", "ab") as out:
            self.process = subprocess.Popen([str(a) for a in self.argv()], stdout=out, stderr=out, start_new_session=True, cwd=self.directory)
        while time.monotonic() < begin + 60:
            try:
                c = http.client.HTTPConnection(self.address, timeout=60)
                c.request("GET", self.alive)
                if c.getresponse().status == 200:
                    return time.monotonic() - begin
            except OSError:
                pass
            if self.process.poll() is not None:
                break
            time.sleep(0.002)
        sys.exit(f"{self.name} does not answer:\n{(self.directory / 'log').read_text()[-3000:]}")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)

    def take_files(self, files):
        """What others have stored is here too, to be read; most keep it under names of their own."""

    def put_targets(self, count):
        return [self.put_target]


class T4(Server):
    name, alive, put_target = "t4d", "/ready", "/content/%H"
    caller = Service("bench", "ledger")

    def __init__(self, directory, build):
        super().__init__(directory)
        self.build = build
        self.headers = ["Authorization: Bearer " + self.caller.token(aud="bench/t4", life=3600), "Content-Type: application/octet-stream"]

    def argv(self):
        return [self.build / "bin/t4d", "run", "--dir", self.data, "--node-id", "bench", "--listen", self.address, "--trust-key",
                f"bench/ledger={self.caller.key.public}"]

    def get_target(self, name):
        return f"/content/{name}"

    def files(self, size):
        return [p for d in self.data.iterdir() if len(d.name) == 2 for p in d.iterdir() if p.stat().st_size == size]

    def memory_mb(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024


class Nginx(Server):
    name, alive, put_target = "nginx", "/alive", "/put/%2/%H"

    def argv(self):
        user = "user root;" if os.getuid() == 0 else ""
        for d in [self.data / "get", self.data / "put", *(self.data / "put" / f"{i:02x}" for i in range(256))]:
            d.mkdir(exist_ok=True)
        (self.data / "alive").write_text("yes\n")
        (self.directory / "nginx.conf").write_text(f"""
            {user} daemon off; worker_processes auto; pid {self.directory}/pid; error_log {self.directory}/error.log;
            events {{ worker_connections 1024; }}
            http {{
                access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; client_max_body_size 0; default_type application/octet-stream;
                client_body_temp_path {self.data}/tmp; proxy_temp_path {self.directory}/p; fastcgi_temp_path {self.directory}/f;
                uwsgi_temp_path {self.directory}/u; scgi_temp_path {self.directory}/s;
                server {{ listen {self.address}; root {self.data}; location /put/ {{ dav_methods PUT; }} }}
            }}""")
        return ["nginx", "-p", self.directory, "-e", self.directory / "error.log", "-c", self.directory / "nginx.conf"]

    def get_target(self, name):
        return f"/get/{name}"

    def take_files(self, files):
        for f in files:
            os.link(f, self.data / "get" / f.name)


class Registry(Server):
    name, alive, slower = "docker-registry", "/v2/", 20
    program = "docker-registry"

    def argv(self):
        config = self.directory / "config.yml"
        config.write_text(json.dumps({
            "version": 0.1, "log": {"level": "error", "accesslog": {"disabled": True}}, "http": {"addr": self.address},
            "storage": {"cache": {"blobdescriptor": "inmemory"}, "filesystem": {"rootdirectory": str(self.data)}},
        }))
        return [self.program, "serve", config]

    def get_target(self, name):
        return f"/v2/bench/blobs/sha256:{name}"

    def uploads(self, count):
        """Begins uploads; where the bytes go."""
        def begin(n):
            c, out = http.client.HTTPConnection(self.address, timeout=60), []
            for _ in range(n):
                c.request("POST", "/v2/bench/blobs/uploads/", headers={"Content-Length": "0"})
                answer = c.getresponse()
                answer.read()
                place = urllib.parse.urlsplit(answer.headers["Location"])
                out.append(f"{place.path}?{place.query}&digest=sha256:%H")
            return out

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            return [x for part in pool.map(begin, [count // 4] * 3 + [count - count // 4 * 3]) for x in part]

    def put_targets(self, count):
        return self.uploads(count)

    def take_files(self, files):
        for f, target in zip(files, self.uploads(len(files))):
            data = f.read_bytes()
            c = http.client.HTTPConnection(self.address, timeout=60)
            c.request("PUT", target.replace("%H", hashlib.sha256(data).hexdigest()), data, {"Content-Type": "application/octet-stream"})
            if c.getresponse().status != 201:
                sys.exit("docker-registry does not take a blob")
            c.close()


class Bazel(Server):
    name, alive, put_target = "bazel-remote", "/status", "/cas/%H"
    program = os.environ.get("BAZEL_REMOTE") or "bazel-remote"

    def argv(self):
        return [self.program, "--dir", self.data, "--max_size", "50", "--http_address", self.address, "--storage_mode", "uncompressed"]

    def get_target(self, name):
        return f"/cas/{name}"

    def take_files(self, files):
        for f in files:
            c = http.client.HTTPConnection(self.address, timeout=60)
            c.request("PUT", f"/cas/{f.name}", f.read_bytes())
            if c.getresponse().status != 200:
                sys.exit("bazel-remote does not take a blob")
            c.close()


class Bench:
    def __init__(self, options, directory):
        self.o, self.directory, self.rows, self.seed = options, directory, [], 0
        self.t4 = T4(directory, options.build)
        self.servers = [self.t4, Nginx(directory)]
        self.servers += [kind(directory) for kind in (Registry, Bazel) if shutil.which(kind.program)]

    # -- load

    def command(self, *args):
        return [str(a) for a in (self.o.build / "bench/load_content", *args)]

    def load(self, *args):
        done = subprocess.run(self.command(*args), capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"load_content {' '.join(map(str, args))}: {done.stderr.splitlines()[0] if done.stderr else done.returncode}")
        return json.loads(done.stdout)

    def targets(self, lines):
        path = self.directory / "targets"
        path.write_text("".join(line + "\n" for line in lines))
        return path

    def get(self, server, targets, count, connections):
        return self.load("get", server.address, server.process.pid, connections, count, targets)

    def put(self, server, size, count, connections, verb="put"):
        self.seed += 1
        targets = self.targets(server.put_targets(count))
        os.sync()
        return self.load(verb, server.address, server.process.pid, connections, count, targets, size, self.seed, *server.headers)

    # -- rows

    def row(self, name, unit, values, digits=2, at_least=None, at_most=None):
        value = statistics.median(values)
        met = None if at_least is None and at_most is None else value >= at_least if at_least is not None else value <= at_most
        self.rows.append({"name": name, "unit": unit, "value": value, "low": min(values), "high": max(values), "digits": digits, "at_least": at_least,
                          "at_most": at_most, "met": met})

    def compared(self, what, runs, rate_goals, cpu_goals):
        """runs: server name -> the answers of all rounds."""
        ours = runs["t4d"]
        for name, theirs in runs.items():
            if name != "t4d":
                rates = [a["per_second"] / b["per_second"] for a, b in zip(ours, theirs)]
                cpus = [a["server_cpu_us"] / b["server_cpu_us"] for a, b in zip(ours, theirs)]
                self.row(f"{what}: throughput, t4d / {name}", "x", rates, at_least=rate_goals.get(name))
                self.row(f"{what}: processor time, t4d / {name}", "x", cpus, at_most=cpu_goals.get(name))
        for name, answers in runs.items():
            self.row(f"    {name}: rate", "/s", [a["per_second"] for a in answers], digits=0)
            self.row(f"    {name}: processor time of one", "us", [a["server_cpu_us"] for a in answers], digits=1)
        self.row("    the client's own", "us", [a["own_cpu_us"] for answers in runs.values() for a in answers], digits=1)

    # -- what is measured

    def reads(self, size):
        name, blobs, count, _, connections = SIZES[size]
        say(f"GET {name}")
        self.put(self.t4, size, blobs, connections)
        files = self.t4.files(size)[:blobs]
        targets = {}
        for s in self.servers:
            s.take_files(files)
            targets[s] = self.directory / f"get-{s.name}"
            targets[s].write_text("".join(s.get_target(f.name) + "\n" for f in files))
            self.get(s, targets[s], blobs, connections)  # warm
        runs = {s.name: [] for s in self.servers}
        for _ in range(self.o.rounds):
            for s in self.servers:
                runs[s.name].append(self.get(s, targets[s], count // s.slower, connections))
        self.compared(f"GET {name}", runs, {"nginx": 0.9}, {"nginx": 1.2})

    def puts(self, size, beside_nginx):
        name, _, _, count, connections = SIZES[size]
        say(f"PUT {name}")
        runs = {s.name: [] for s in self.servers}
        for s in self.servers:
            self.put(s, size, max(count // 10, connections), connections)
        for _ in range(self.o.rounds):
            for s in self.servers:
                runs[s.name].append(self.put(s, size, max(count // s.slower, 4 * connections), connections))
        self.compared(f"durable PUT {name}", runs, {"nginx": beside_nginx, "bazel-remote": 1.5}, {})

    def big_put(self):
        say("PUT 100 MB, one at a time")
        ratios, cpus, hashes = [], [], []
        for _ in range(self.o.rounds):
            hashed = self.load("hash", BIG)["cpu_us"]
            put = self.put(self.t4, BIG, 3, 1)["server_cpu_us"]
            ratios.append(put / hashed)
            cpus.append(put / 1000)
            hashes.append(hashed / 1000)
        self.row("PUT 100 MB: processor time / hashing it", "x", ratios, at_most=1.3)
        self.row("    t4d", "ms", cpus, digits=1)
        self.row("    hashing it", "ms", hashes, digits=1)

    def memory(self):
        say(f"{HELD} uploads and {HELD} downloads of 100 MB at once")
        self.t4.stop()
        self.t4.start()
        self.put(self.t4, BIG, 1, 1)
        blob = self.t4.files(BIG)[0]
        self.row("memory of t4d at rest", "MB", [self.t4.memory_mb()], digits=1)
        down = subprocess.Popen(self.command("get", self.t4.address, self.t4.process.pid, HELD, HELD * 3, self.write("down", self.t4.get_target(blob.name))),
                                stdout=subprocess.DEVNULL)
        self.put(self.t4, BIG, HELD, HELD, verb="put-same")
        if down.wait() != 0:
            sys.exit("the downloads failed")
        self.row(f"most memory, {HELD} uploads and {HELD} downloads of 100 MB at once", "MB", [self.t4.memory_mb()], digits=1, at_most=64)

    def write(self, name, line):
        path = self.directory / name
        path.write_text(line + "\n")
        return path

    def start_up(self):
        say(f"start-up with {self.o.objects:,} objects")
        self.t4.stop()
        self.load("fill", self.t4.data, self.o.objects)
        os.sync()
        times = []
        for _ in range(5):
            times.append(self.t4.start())
            self.t4.stop()
        self.row(f"start-up with {self.o.objects:,} objects, until /ready", "s", times, digits=3, at_most=0.2)

    def run(self):
        for s in self.servers:
            s.start()
        steps = {
            "get10k": lambda: self.reads(10 * KB), "get1m": lambda: self.reads(MB), "put10k": lambda: self.puts(10 * KB, 0.4),
            "put1m": lambda: self.puts(MB, 0.6), "big": self.big_put, "memory": self.memory, "start": self.start_up,
        }
        for name, step in steps.items():
            if self.o.only in (None, name):
                step()

    def close(self):
        for s in self.servers:
            s.stop()


def show(rows):
    width = max(len(r["name"]) for r in rows)
    print(f"{'':{width}}  {'median':>10}      {'range':>21}  goal")
    for r in rows:
        value, low, high = (f"{r[k]:,.{r['digits']}f}" for k in ("value", "low", "high"))
        goal = ""
        if r["met"] is not None:
            goal = f"{'>=' if r['at_most'] is None else '<='} {r['at_least'] if r['at_most'] is None else r['at_most']:g}: {'met' if r['met'] else 'MISSED'}"
        spread = f"{low} .. {high}" if r["low"] != r["high"] else ""
        print(f"{r['name']:{width}}  {value:>10} {r['unit']:4} {spread:>21}  {goal}".rstrip())


def report(bench, load):
    if bench.o.json:
        print(json.dumps({"processors": os.cpu_count(), "load": load, "rows": bench.rows}), flush=True)
        return
    print(f"t4d beside {', '.join(s.name for s in bench.servers[1:])}; {os.cpu_count()} processors, load {load:.1f} at the end")
    show(bench.rows)
    sys.stdout.flush()


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    p.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    p.add_argument("--rounds", type=int, default=5, help="measurements behind a median (default 5)")
    p.add_argument("--objects", type=int, default=1_000_000, help="how many there are at the start-up that is measured (default 1000000)")
    p.add_argument("--dir", type=pathlib.Path, help="where the stores are made (default: $TMPDIR); its disk is part of what is measured")
    p.add_argument("--only", help="one part: get10k, get1m, put10k, put1m, big, memory, start")
    p.add_argument("--json", action="store_true")
    o = p.parse_args()
    o.build = o.build.resolve()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="bench_t4.", dir=o.dir))
    directory.chmod(0o755)
    bench = Bench(o, directory)
    try:
        bench.run()
        report(bench, os.getloadavg()[0])
    finally:
        bench.close()
        say("removing the stores")
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
