"""What meshd costs: `make bench-mesh`. Everything is measured in one run, beside what else the machine does: each cost of a heartbeat
stands beside libsodium verifications timed just before it, on all processors, and medians are shown with their range.

    bench_mesh.py --build build [--postgres] [--json] [--nodes 100000] [--rounds 7] [--dir DIR]

The load comes from build/bench/load_mesh, whose own processor time is not the server's. On PostgreSQL, the database's is shown apart.
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SMALL = 1000
BEATS = 40000  # in one measurement
READS = {"pages": 3000, "nodes": 20000}
BEAT_RATE, PAGE_RATE, MIXED_SECONDS = 1000, 50, 20


def say(text):
    print(f"... {text}", file=sys.stderr, flush=True)


class Server:
    """A meshd of its own, on a free port."""

    def __init__(self, build, directory, db, sovereign):
        self.directory, self.process, self.address = pathlib.Path(directory), None, None
        self.argv = [build / "bin/meshd", "run", "--network", "bench", "--db", db, "--data", directory / "data", "--listen", "127.0.0.1:0",
                     "--sovereign-key", sovereign, "--log-format", "json"]

    def start(self):
        """Returns the seconds until /ready says yes."""
        begin = time.monotonic()
        log = self.directory / "meshd.log"
        with open(log, "wb") as out:
            self.process = subprocess.Popen([str(a) for a in self.argv], stdout=out, stderr=out)
        while time.monotonic() < begin + 60:
            for line in log.read_text().splitlines():
                if '"listening"' in line:
                    self.address = json.loads(line)["address"]
                    if self.get("/ready")[0] == 200:
                        return time.monotonic() - begin
            if self.process.poll() is not None:
                sys.exit(f"meshd ended:\n{log.read_text()}")
            time.sleep(0.002)
        sys.exit("meshd does not get ready")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def get(self, path):
        """Status and seconds; the body is read and dropped."""
        begin = time.monotonic()
        c = http.client.HTTPConnection(self.address, timeout=120)
        c.request("GET", path)
        answer = c.getresponse()
        while answer.read(1 << 20):
            pass
        c.close()
        return answer.status, time.monotonic() - begin

    def memory_mb(self, what="VmRSS"):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(what):
                return int(line.split()[1]) / 1024


class Postgres:
    """A throw-away cluster, fsync on, and the processor time of its processes."""

    def __init__(self, directory):
        self.script, self.directory = str(HERE.parent / "pg-temp.sh"), str(directory)
        self.url = self.run("start")
        home = pathlib.Path(directory, "pg-temp.home").read_text().strip()
        self.postmaster = int(pathlib.Path(home, "data/postmaster.pid").read_text().split()[0])

    def run(self, verb):
        return subprocess.run(["sh", self.script, verb, self.directory], check=True, capture_output=True, text=True).stdout.strip()

    def cpu_s(self):
        total = 0
        for p in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, IndexError, ValueError):
                fields = (p / "stat").read_text().rsplit(")", 1)[1].split()
                if int(p.name) == self.postmaster or int(fields[1]) == self.postmaster:
                    total += int((p / "schedstat").read_text().split()[0])
        return total * 1e-9


class Bench:
    def __init__(self, options, directory):
        self.o, self.directory = options, directory
        self.load_mesh = str(options.build / "bench/load_mesh")
        self.postgres = Postgres(directory) if options.postgres else None
        db = self.postgres.url if self.postgres else f"sqlite:{directory}/mesh.db"
        self.server = Server(options.build, directory, db, self.load("sovereign", parse=False))
        self.rows = []

    def load(self, *args, parse=True):
        done = subprocess.run([self.load_mesh, *map(str, args)], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"load_mesh {' '.join(map(str, args))}: {done.stderr.splitlines()[0] if done.stderr else done.returncode}")
        return json.loads(done.stdout) if parse else done.stdout.strip()

    def against(self, what, *args):
        return self.load(what, self.server.address, self.server.process.pid, *args)

    def row(self, name, unit, value, low=None, high=None, goal=None, digits=0):
        """`goal`: a value not above it is well."""
        self.rows.append({"name": name, "unit": unit, "value": value, "low": low, "high": high, "goal": goal, "digits": digits,
                          "met": None if goal is None else value <= goal})

    def median_row(self, name, unit, values, goal=None, digits=0):
        self.row(name, unit, statistics.median(values), min(values), max(values), goal, digits)

    # -- what is measured

    def first_heartbeats(self, nodes):
        """Of nodes that nothing is known of yet; what is measured afterwards is a network that has run for a while."""
        say(f"the first heartbeats of {nodes} nodes")
        first = self.against("heartbeats", 250, nodes, nodes)
        self.row(f"first heartbeat of each of {nodes:,} nodes: processor time", "us", first["server_cpu_us"], digits=1)
        self.against("heartbeats", 250, nodes, max(nodes, 20 * SMALL))

    def heartbeats(self, nodes, connections):
        say(f"heartbeats of {nodes} nodes over {connections} connections")
        ratios, cpus, rates, verifications, databases = [], [], [], [], []
        for _ in range(self.o.rounds):
            verify = self.load("verify", 0.5)["cpu_us"]
            before = self.postgres.cpu_s() if self.postgres else 0
            beat = self.against("heartbeats", connections, nodes, BEATS)
            if self.postgres:
                databases.append((self.postgres.cpu_s() - before) / BEATS * 1e6)
            verifications.append(verify)
            cpus.append(beat["server_cpu_us"])
            ratios.append(beat["server_cpu_us"] / verify)
            rates.append(beat["per_second"])
        name = f"heartbeat, {nodes:,} nodes, {connections} connections"
        self.median_row(f"{name}: processor time / verification", "x", ratios, goal=1.6, digits=2)
        self.median_row(f"{name}: processor time", "us", cpus, digits=1)
        self.median_row("    one libsodium verification meanwhile", "us", verifications, digits=1)
        if databases:
            self.median_row("    and in PostgreSQL's own processes", "us", databases, digits=1)
        self.median_row(f"{name}: rate", "/s", rates)

    def reads(self, nodes):
        for what, title in (("pages", "list page of 100"), ("nodes", "single node")):
            say(f"{what}, {nodes} nodes")
            runs = [self.against(what, 16, nodes, READS[what]) for _ in range(self.o.rounds)]
            self.median_row(f"{title}, {nodes:,} nodes: rate", "/s", [r["per_second"] for r in runs])
            self.median_row("    processor time", "us", [r["server_cpu_us"] for r in runs], digits=1)

    def pages_under_heartbeats(self, nodes):
        say(f"pages while {BEAT_RATE} heartbeats/s arrive")
        address, pid = self.server.address, self.server.process.pid
        command = [self.load_mesh, "heartbeats", address, pid, 64, nodes, BEAT_RATE * (MIXED_SECONDS + 4), BEAT_RATE]
        beats = subprocess.Popen([str(a) for a in command], stdout=subprocess.PIPE, text=True)
        time.sleep(4)  # until they are signed, and on their way
        pages = self.against("pages", 8, nodes, PAGE_RATE * MIXED_SECONDS, PAGE_RATE)
        beat = json.loads(beats.communicate()[0])
        self.row(f"list page, {nodes:,} nodes, {BEAT_RATE:,} heartbeats/s besides: p50", "ms", pages["p50_ms"], digits=2)
        self.row("    p99", "ms", pages["p99_ms"], digits=2)
        self.row("    heartbeats meanwhile: p50", "ms", beat["p50_ms"], digits=2)
        self.row("    p99", "ms", beat["p99_ms"], digits=2)
        self.row("    processor time of one", "us", beat["server_cpu_us"], digits=1)

    def whole_lists(self, nodes):
        for path, title in (("/metrics", "scrape of /metrics"), ("/topology", "/topology"), ("/topology/snapshot", "/topology/snapshot, the first")):
            say(path)
            times = []
            for _ in range(3 if path != "/topology/snapshot" else 1):
                status, seconds = self.server.get(path)
                if status != 200:
                    sys.exit(f"{path}: {status}")
                times.append(seconds * 1000)
            self.median_row(f"{title}, {nodes:,} nodes", "ms", times, digits=1)

    def idle(self, nodes):
        """What upkeep and the search for silent nodes cost while nothing else happens."""
        say("idle for 20 s")
        cpu = lambda: sum(int(p.read_text().split()[0]) for p in pathlib.Path(f"/proc/{self.server.process.pid}/task").glob("*/schedstat"))
        before, begin = cpu(), time.monotonic()
        time.sleep(20)
        self.row(f"idle, {nodes:,} nodes: of one processor", "%", (cpu() - before) * 1e-7 / (time.monotonic() - begin), digits=2)

    def start_up(self, nodes):
        say("start-up")
        times = []
        for _ in range(3):
            self.server.stop()
            times.append(self.server.start())
        self.median_row(f"start-up with {nodes:,} nodes, until /ready", "s", times, goal=1.0, digits=3)
        self.row("    memory then", "MB", self.server.memory_mb(), goal=150)

    def register(self, first, count):
        say(f"{count} registrations, each with an invite and two signatures")
        return self.against("register", 64, first, count)

    def run(self):
        large = self.o.nodes
        self.server.start()
        self.register(0, SMALL)
        self.first_heartbeats(SMALL)
        for connections in (64, 256):
            self.heartbeats(SMALL, connections)
        self.reads(SMALL)
        registered = self.register(SMALL, large - SMALL)
        self.row(f"registrations, up to {large:,} nodes: rate", "/s", registered["per_second"])
        self.row("    processor time", "us", registered["server_cpu_us"], digits=1)
        self.first_heartbeats(large)
        for connections in (64, 256):
            self.heartbeats(large, connections)
        self.reads(large)
        self.pages_under_heartbeats(large)
        self.whole_lists(large)
        self.row("most memory until here", "MB", self.server.memory_mb("VmHWM"), goal=150)
        self.start_up(large)
        self.idle(large)
        self.server.stop()

    def close(self):
        if self.server.process and self.server.process.poll() is None:
            self.server.process.kill()
        if self.postgres:
            self.postgres.run("stop")


def show(rows):
    width = max(len(r["name"]) for r in rows)
    print(f"{'':{width}}  {'median':>10}      {'range':>19}  goal")
    for r in rows:
        value = f"{r['value']:,.{r['digits']}f}"
        spread = f"{r['low']:,.{r['digits']}f} .. {r['high']:,.{r['digits']}f}" if r["low"] is not None else ""
        goal = "" if r["goal"] is None else f"<= {r['goal']:g}: {'met' if r['met'] else 'MISSED'}"
        print(f"{r['name']:{width}}  {value:>10} {r['unit']:4} {spread:>19}  {goal}".rstrip())


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    p.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    p.add_argument("--postgres", action="store_true", help="on a throw-away PostgreSQL instead of SQLite")
    p.add_argument("--nodes", type=int, default=100000, help="the large registry (default 100000)")
    p.add_argument("--rounds", type=int, default=7, help="measurements behind a median (default 7)")
    p.add_argument("--dir", type=pathlib.Path, help="where the database is made (default: $TMPDIR); its disk is part of what is measured")
    p.add_argument("--json", action="store_true")
    o = p.parse_args()
    o.build = o.build.resolve()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="bench_mesh.", dir=o.dir))
    bench = Bench(o, directory)
    try:
        bench.run()
    finally:
        bench.close()
        shutil.rmtree(directory, ignore_errors=True)
    load = os.getloadavg()[0]
    if o.json:
        print(json.dumps({"storage": "postgres" if o.postgres else "sqlite", "processors": os.cpu_count(), "load": load, "rows": bench.rows}))
        return
    print(f"meshd on {'PostgreSQL' if o.postgres else 'SQLite'}, every commit synced; {os.cpu_count()} processors, load {load:.1f} at the end")
    show(bench.rows)


if __name__ == "__main__":
    main()
