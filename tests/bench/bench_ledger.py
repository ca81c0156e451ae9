"""What a transfer costs: `make bench-ledger`. From its submission over HTTP to the durable block that has it, on SQLite and on PostgreSQL, beside libsodium verifications
timed in the same run; pgbench's TPC-B on the same PostgreSQL; blocks, memory and start-up with few and with many accounts.

    bench_ledger.py --build build [--accounts 10000] [--large 1000000] [--count 100000] [--rounds 3] [--skip-postgres] [--dir DIR]

The load comes from build/bench/load_ledger, whose own processor time is not the server's. Processor time is read from the kernel when the last block is there.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from bench_mesh import Postgres

HERE = pathlib.Path(__file__).resolve().parent
FEW, MANY = 64, 256  # connections: with few, all of them wait for the same commit, and the processors with them


def say(text):
    print(f"... {text}", file=sys.stderr, flush=True)


def cpu_of(pid):
    """Seconds of processor time of a process and all its threads, to the nanosecond."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            total += int((task / "schedstat").read_text().split()[0])
    return total * 1e-9


class Ledger:
    """A ledgerd that makes blocks of a chain that make_chain made."""

    def __init__(self, build, directory, url):
        self.build, self.directory, self.process = build, directory, None
        self.argv = [build / "bin/ledgerd", "run", "--db", url, "--genesis", directory / "genesis.json", "--node-key", directory / "node-key.json",
                     "--validator-id", "validator", "--listen", "127.0.0.1:0", "--log-format", "json", "--access-log", "off", "--state-cache", "512M"]

    def start(self, interval="500ms"):
        """Seconds until it is ready. A block has 10,000 transactions at most: a second apart, as by default, they would be the limit of what is sustained."""
        begin = time.monotonic()
        log = self.directory / "ledgerd.log"
        with open(log, "wb") as out:
            self.process = subprocess.Popen([*map(str, self.argv), "--block-interval", interval], stdout=out, stderr=out)
        while time.monotonic() < begin + 300:
            for row in log.read_text().splitlines():
                if '"listening"' in row:
                    self.address = json.loads(row)["address"]
                    with contextlib.suppress(OSError):
                        if self.get("/ready") is not None:
                            return time.monotonic() - begin
            if self.process.poll() is not None:
                sys.exit(f"ledgerd ended:\n{log.read_text()}")
            time.sleep(0.005)
        sys.exit("ledgerd does not get ready")

    def stop(self):
        self.process.terminate()
        self.process.wait(60)

    def get(self, path):
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=60) as answer:
            return json.loads(answer.read())

    def drained(self):
        while self.get("/status")["pending"] > 0:
            time.sleep(0.02)

    def audited(self):
        """Seconds until the check of the whole state, behind, has passed."""
        begin = time.monotonic()
        while self.get("/status").get("audit") != "passed":
            time.sleep(0.05)
        return time.monotonic() - begin

    def memory_mb(self):
        for row in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if row.startswith("VmRSS"):
                return int(row.split()[1]) / 1024


class Bench:
    def __init__(self, o, directory):
        self.o, self.directory = o, directory
        self.chains = {}

    def tool(self, name, *args):
        done = subprocess.run([str(self.o.build / "bench" / name), *map(str, args)], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{name} {' '.join(map(str, args))}: {done.stderr[:500]}")
        return done.stdout

    def verification_us(self):
        return float(self.tool("bench_verify_rate", 1).split()[1]) * 1e6

    def row(self, name, value, unit, values=(), goal=None, at_least=False, digits=2):
        spread = f"({min(values):,.{digits}f} .. {max(values):,.{digits}f})" if len(values) > 1 else ""
        mark = ""
        if goal is not None:
            met = value >= goal if at_least else value <= goal
            mark = f"   goal at {'least' if at_least else 'most'} {goal:g}: {'met' if met else 'MISSED'}"
        print(f"{name:78} {value:12,.{digits}f} {unit:3} {spread}{mark}", flush=True)

    def chain(self, accounts):
        if accounts not in self.chains:
            say(f"a chain with {accounts:,} accounts")
            path = self.directory / f"chain-{accounts}.jsonl"
            # Its genesis is another one: each chain has a directory.
            home = self.directory / f"chain-{accounts}"
            home.mkdir()
            self.tool("make_chain", "--accounts", accounts, "--transfers", 0, "--out", path, "--genesis", home / "genesis.json", "--node-key", home / "node-key.json")
            self.chains[accounts] = path
        return self.chains[accounts], self.directory / f"chain-{accounts}"

    def ledger(self, accounts, url, name):
        path, home = self.chain(accounts)
        say(f"import into {name}")
        begin = time.monotonic()
        subprocess.run([self.o.build / "bin/ledgerd", "import", path, "--db", url, "--log-level", "error"], check=True, stdout=subprocess.DEVNULL)
        print(f"{name}: {2 * accounts:,} transactions imported in {time.monotonic() - begin:.1f} s")
        return Ledger(self.o.build, home, url)

    def transfers(self, ledger, accounts, nonce, count, connections=MANY, senders=None):
        """One run: processor microseconds of ledgerd a transfer, and transfers a second, until all are in blocks."""
        senders = senders or min(accounts, 10000)
        before = cpu_of(ledger.process.pid)
        out = json.loads(self.tool("load_ledger", "transfers", ledger.address, ledger.process.pid, connections, accounts, 0, senders, nonce, count))
        begin = time.monotonic()
        ledger.drained()
        drain = time.monotonic() - begin
        out["cpu_us"] = (cpu_of(ledger.process.pid) - before) / count * 1e6
        # From the first request to the last block; making and signing the requests came before.
        out["sustained"] = count / (out["seconds"] + drain)
        return out

    def costs(self, ledger, accounts, name, goal, postgres=None):
        senders, nonce = min(accounts, 10000), 1
        for connections in (FEW, MANY):
            cpus, ratios, rates, others = [], [], [], []
            for _ in range(self.o.rounds):
                verify = self.verification_us()
                before = postgres.cpu_s() if postgres else 0
                run = self.transfers(ledger, accounts, nonce, self.o.count, connections, senders)
                if postgres:
                    others.append((postgres.cpu_s() - before) / self.o.count * 1e6)
                nonce += -(-self.o.count // senders)
                cpus.append(run["cpu_us"])
                ratios.append(run["cpu_us"] / verify)
                rates.append(run["sustained"])
            label = f"{name}, {connections} connections"
            self.row(f"{label}: processor time of a transfer / a verification", statistics.median(ratios), "x", ratios, goal)
            self.row(f"{label}: processor time of a transfer", statistics.median(cpus), "us", cpus, digits=1)
            if others:
                self.row("    and in PostgreSQL's own processes", statistics.median(others), "us", others, digits=1)
            self.row(f"{label}: transfers sustained", statistics.median(rates), "/s", rates, digits=0)
        return statistics.median(cpus), statistics.median(rates), nonce

    def inclusion(self, ledger, accounts, nonce, name):
        """From the 202 to the event of its block, for transfers that come one by one."""
        count = 40
        bodies = self.tool("load_ledger", "bodies", accounts, 0, count, nonce, count).splitlines()
        seen, ready = {}, threading.Event()

        def listen():
            with urllib.request.urlopen(f"http://{ledger.address}/events", timeout=120) as stream:
                ready.set()
                kind = None
                for raw in stream:
                    text = raw.decode().rstrip("\n")
                    if text.startswith("event: "):
                        kind = text[7:]
                    elif text.startswith("data: ") and kind == "transaction":
                        seen[json.loads(text[6:])["id"]] = time.monotonic()
                    if len(seen) >= count:
                        return

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        ready.wait(10)
        accepted = {}
        for body in bodies:
            request = urllib.request.Request(f"http://{ledger.address}/transactions", body.encode(), {"Content-Type": "application/json"})
            with urllib.request.urlopen(request) as answer:
                accepted[json.loads(answer.read())["id"]] = time.monotonic()
            time.sleep(0.137)
        thread.join(60)
        waits = sorted((seen[i] - accepted[i]) * 1000 for i in accepted if i in seen)
        self.row(f"{name}: from 202 to the event of inclusion (blocks a second apart), p50", waits[len(waits) // 2], "ms", digits=0)
        self.row("    longest", waits[-1], "ms", digits=0)

    def pgbench(self, postgres, rate):
        program = next(pathlib.Path("/usr/lib/postgresql").glob("*/bin/pgbench"))
        say("pgbench TPC-B")
        subprocess.run([program, "-i", "-q", "-s", "10", postgres.url], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        best = 0
        for clients in (16, 64):
            tps = []
            for _ in range(self.o.rounds):
                command = [program, "-c", str(clients), "-j", "2", "-T", "8", "-M", "prepared", "-n", postgres.url]
                out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                tps.append(next(float(r.split()[2]) for r in out.splitlines() if r.startswith("tps")))
            self.row(f"pgbench TPC-B, {clients} clients, scale 10, same cluster: transactions", statistics.median(tps), "/s", tps, digits=0)
            best = max(best, statistics.median(tps))
        self.row("transfers sustained on PostgreSQL / pgbench's TPC-B at its best", rate / best, "x", goal=2.5, at_least=True)

    def run(self):
        small, large = self.o.accounts, self.o.large
        ledger = self.ledger(small, f"sqlite:{self.directory}/small.db", f"SQLite, {small:,} accounts")
        ledger.start()
        ledger.audited()
        small_cpu, _, nonce = self.costs(ledger, small, f"SQLite, {small:,} accounts", 2.0)
        ledger.stop()
        ledger.start("1s")
        ledger.audited()
        self.inclusion(ledger, small, nonce, "SQLite")
        ledger.stop()
        if not self.o.skip_postgres:
            self.directory.chmod(0o755)
            postgres = Postgres(self.directory / "pg")
            try:
                ledger = self.ledger(small, postgres.url, f"PostgreSQL, {small:,} accounts")
                ledger.start()
                ledger.audited()
                _, rate, _ = self.costs(ledger, small, f"PostgreSQL, {small:,} accounts", 2.5, postgres)
                ledger.stop()
                self.pgbench(postgres, rate)
            finally:
                postgres.run("stop")
        if large:
            ledger = self.ledger(large, f"sqlite:{self.directory}/large.db", f"SQLite, {large:,} accounts")
            seconds = ledger.start()
            self.row(f"SQLite, {large:,} accounts: from start to ready", seconds, "s", goal=5.0)
            empty = 30.0  # MiB: the process without a chain
            self.row("    and until the whole state has been checked behind", ledger.audited(), "s")
            self.row("    memory then, for each account", (ledger.memory_mb() - empty) * 1024 * 1024 / large, "B", goal=800, digits=0)
            large_cpu, _, _ = self.costs(ledger, large, f"SQLite, {large:,} accounts", None)
            self.row(f"a transfer with {large:,} accounts / with {small:,}, processor time, signatures included", large_cpu / small_cpu, "x", goal=1.7)
            ledger.stop()


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    p.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    p.add_argument("--accounts", type=int, default=10000)
    p.add_argument("--large", type=int, default=1000000, help="0: leave it out")
    p.add_argument("--count", type=int, default=100000, help="transfers in one measurement")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--skip-postgres", action="store_true")
    p.add_argument("--dir", type=pathlib.Path)
    o = p.parse_args()
    o.build = o.build.resolve()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tana-bench-ledger.", dir=o.dir))
    try:
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the beginning; every commit synced")
        Bench(o, directory).run()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
