"""What identityd costs: `make bench-identity`. Everything is measured in one run, beside what else the machine does: the processor time of logins stands beside libsodium
verifications timed just before and after, on all processors, and medians are shown with their range.

    bench_identity.py --build build [--postgres] [--json] [--waiting 10000] [--rounds 7] [--dir DIR]

The load comes from build/bench/load_identity, whose own processor time is not the server's. On PostgreSQL, the database's is shown apart.
"""

import argparse
import http.client
import json
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from bench_mesh import Postgres, say  # noqa: E402

CONNECTIONS, LOGINS, VERIFIES = 128, 3000, 40000
WAITING, APPROVED, RATE = 1000, 1000, 100


class Server:
    """An identityd of its own, on a free port."""

    def __init__(self, build, directory, db, streams):
        self.directory, self.process, self.address = directory, None, None
        self.argv = [build / "bin/identityd", "run", "--db", db, "--public-url", "http://127.0.0.1:8090", "--listen", "127.0.0.1:0", "--log-format", "json"]
        self.argv += ["--access-log", "off", "--log-level", "info", "--max-streams", streams, "--max-connections", streams + 1000, "--max-sessions", 10 * streams]

    def start(self):
        log = self.directory / "identityd.log"
        with open(log, "wb") as out:
            self.process = subprocess.Popen([str(a) for a in self.argv], stdout=out, stderr=out)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            for line in log.read_text().splitlines():
                if '"listening"' in line:
                    self.address = json.loads(line)["address"]
                    return self
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        sys.exit(f"identityd does not start:\n{log.read_text()}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


class Bench:
    def __init__(self, options, directory):
        self.o, self.directory = options, directory
        self.program = str(options.build / "bench/load_identity")
        self.postgres = Postgres(directory) if options.postgres else None
        self.db = self.postgres.url if self.postgres else f"sqlite:{directory}/identity.db"
        self.rows = []

    def load(self, *args):
        done = subprocess.run([self.program, *map(str, args)], stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(done.stdout)

    def row(self, name, values, unit, goal=None):
        values = values if isinstance(values, list) else [values]
        self.rows.append({"name": name, "median": statistics.median(values), "low": min(values), "high": max(values), "unit": unit, "goal": goal})

    def run(self):
        server = Server(self.o.build, self.directory, self.db, self.o.waiting + 100).start()
        try:
            self.logins(server)
            self.verifies(server)
            self.latency(server)
            self.waiting(server)
        finally:
            server.stop()
            if self.postgres:
                self.postgres.run("stop")

    def logins(self, server):
        say("logins")
        about = (server.address, server.process.pid, CONNECTIONS)
        self.load("logins", *about, LOGINS // 3)  # users are known, caches warm
        rates, costs, shares, databases = [], [], [], []
        before = self.load("verifications", 1)
        for _ in range(self.o.rounds):
            database = self.postgres.cpu_s() if self.postgres else 0
            r = self.load("logins", *about, LOGINS)
            after = self.load("verifications", 1)
            verification = statistics.mean((before["cpu_us"], after["cpu_us"]))
            cost = r["server_cpu"] / r["logins"] * 1e6
            rates.append(r["logins"] / r["seconds"])
            costs.append(cost)
            shares.append(cost / verification)
            if self.postgres:
                databases.append((self.postgres.cpu_s() - database) / r["logins"] * 1e6)
            before = after
        self.row(f"logins (create, scan, approve, verify) on {CONNECTIONS} connections", rates, "1/s")
        self.row("server CPU of one login", costs, "us")
        self.row("the same in verifications by libsodium", shares, "x", "at most 4")
        if databases:
            self.row("CPU of PostgreSQL for one login", databases, "us")

    def verifies(self, server):
        say("verify")
        rates, costs = [], []
        for _ in range(3):
            r = self.load("verify", server.address, server.process.pid, CONNECTIONS, VERIFIES)
            if r["refused"]:
                sys.exit(f"{r['refused']} good tokens were refused")
            rates.append(r["verified"] / r["seconds"])
            costs.append(r["server_cpu"] / r["verified"] * 1e6)
        self.row("GET /auth/session/verify with good tokens", rates, "1/s")
        self.row("server CPU of one", costs, "us")

    def latency(self, server):
        say("approve to event")
        r = [self.load("latency", server.address, server.process.pid, WAITING, APPROVED, RATE) for _ in range(3)]
        self.row(f"approve to event, {WAITING} waiting, p50", [x["p50_ms"] for x in r], "ms")
        self.row(f"approve to event, {WAITING} waiting, p99", [x["p99_ms"] for x in r], "ms", "under 20")

    def waiting(self, server):
        say(f"{self.o.waiting} desktops wait")
        p = subprocess.Popen([self.program, "wait", server.address, str(server.process.pid), str(self.o.waiting)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        r = json.loads(p.stdout.readline())
        self.row(f"memory of one of {self.o.waiting} waiting streams", (r["kb_after"] - r["kb_before"]) / r["waiting"], "KiB", "at most 24")
        p.stdin.write(f"leave {self.o.waiting // 2}\n")
        p.stdin.flush()
        p.stdout.readline()
        begin = time.monotonic()
        while self.streams(server) > self.o.waiting // 2 and time.monotonic() < begin + 60:
            time.sleep(0.1)
        if self.streams(server) > self.o.waiting // 2:
            sys.exit("streams whose clients left are still there after a minute")
        self.row("half of them leave without a word; noticed after", time.monotonic() - begin, "s")
        p.communicate("end\n")

    def streams(self, server):
        c = http.client.HTTPConnection(server.address, timeout=60)
        c.request("GET", "/metrics")
        text = c.getresponse().read().decode()
        c.close()
        return next(int(float(line.split()[1])) for line in text.splitlines() if line.startswith("tana_identity_session_streams "))

    def show(self):
        if self.o.json:
            for r in self.rows:
                print(json.dumps(r))
            return
        for r in self.rows:
            spread = f" ({r['low']:.2f} .. {r['high']:.2f})" if r["high"] != r["low"] else ""
            goal = f"   goal: {r['goal']}" if r["goal"] else ""
            print(f"{r['name']:<70} {r['median']:>10.2f} {r['unit']}{spread}{goal}")


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    p.add_argument("--postgres", action="store_true")
    p.add_argument("--json", action="store_true")
    p.add_argument("--waiting", type=int, default=10000)
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--dir", type=pathlib.Path)
    options = p.parse_args()
    options.build = options.build.resolve()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tana-bench-", dir=options.dir))
    directory.chmod(0o755)
    try:
        bench = Bench(options, directory)
        bench.run()
        bench.show()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
