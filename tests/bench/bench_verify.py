"""What an audit costs: `make bench-verify`. Chains of --transfers transfers between --accounts accounts, in blocks of several sizes, are made, imported and audited;
everything is measured in one run, beside what else the machine does.

    bench_verify.py --build build [--accounts 10000] [--transfers 300000] [--blocks 1,100,1000] [--postgres] [--rounds 3] [--dir DIR] [--json]

Each audit stands beside libsodium verifications on all cores timed just before and after it: its wall time over (signatures / (cores x verifications a second)).
Processor time is shown likewise: it says the same on a machine that has other work. The best of --rounds is told, with the range of all.
"""

import argparse
import json
import os
import pathlib

import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent


def say(text):
    print(f"... {text}", file=sys.stderr, flush=True)


def verifications(build, cores):
    """(wall, processor) seconds of one verification with all cores at it."""
    out = subprocess.run([build / "bench/bench_verify_rate", str(cores)], capture_output=True, text=True, check=True).stdout.split()
    return float(out[0]), float(out[1])


def audit(build, url, jobs=None):
    """(wall, processor seconds, MiB at most, summary)"""
    began = time.monotonic()
    p = subprocess.Popen([build / "bin/ledgerd", "verify", "--all", "--json", "--db", url, *(["--jobs", str(jobs)] if jobs else [])], stdout=subprocess.PIPE)
    out = p.stdout.read()
    _, status, usage = os.wait4(p.pid, 0)
    wall = time.monotonic() - began
    summary = json.loads(out.splitlines()[-1])["summary"]
    if status or not summary["valid"]:
        sys.exit(f"the audit of {url} failed: {out[-2000:]}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, summary


def measure(build, url, rounds, cores):
    rows = []
    for _ in range(rounds):
        rate_before = verifications(build, cores)
        wall, cpu, memory, summary = audit(build, url)
        rate_after = verifications(build, cores)
        one_wall = (rate_before[0] + rate_after[0]) / 2
        one_cpu = (rate_before[1] + rate_after[1]) / 2
        signatures = summary["signatures"]
        rows.append({"wall": wall, "ratio": wall / (signatures * one_wall / cores), "cpu_ratio": cpu / (signatures * one_cpu), "memory": memory,
                     "signatures": signatures, "blocks": summary["blocks"], "verify_us": one_cpu * 1e6,
                     "block_us": (wall - signatures * one_wall / cores) / summary["blocks"] * 1e6})
    return rows


def line(name, rows, key, unit, goal, digits=2):
    values = sorted(r[key] for r in rows)
    mark = "" if goal is None else f"   goal at most {goal}{unit}: {'met' if values[0] <= goal else 'MISSED'}"
    print(f"{name:64} {values[0]:9.{digits}f}{unit}   ({values[0]:.{digits}f} .. {values[-1]:.{digits}f}, median {statistics.median(values):.{digits}f}){mark}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--accounts", type=int, default=10000)
    parser.add_argument("--transfers", type=int, default=300000)
    parser.add_argument("--blocks", default="1000,100,1")
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dir", type=pathlib.Path)
    args = parser.parse_args()
    build, cores = args.build.resolve(), os.cpu_count()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tana-bench-verify.", dir=args.dir))
    pg = None
    try:
        if args.postgres:
            directory.chmod(0o755)
            subprocess.run([HERE.parent / "pg-temp.sh", "start", directory / "pg"], check=True, stdout=subprocess.DEVNULL)
            pg = subprocess.run([HERE.parent / "pg-temp.sh", "url", directory / "pg"], check=True, capture_output=True, text=True).stdout.strip()
        print(f"{cores} cores, {args.accounts} accounts, {args.transfers} transfers; each audit beside libsodium's verifications on all cores\n")
        for size in map(int, args.blocks.split(",")):
            # Blocks of one are many rows: fewer transfers say as much.
            transfers = args.transfers if size >= 100 else args.transfers // 10
            chain = directory / f"chain-{size}.jsonl"
            say(f"a chain with blocks of {size}")
            subprocess.run([build / "bench/make_chain", "--accounts", str(args.accounts), "--transfers", str(transfers), "--block", str(size), "--out", chain],
                           check=True)
            for name, url in (("SQLite", f"sqlite:{directory}/chain-{size}.db"), ("PostgreSQL", pg)):
                if not url:
                    continue
                if name == "PostgreSQL":
                    url = f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3Dbench{size}"
                say(f"into {name}")
                began = time.monotonic()
                subprocess.run([build / "bin/ledgerd", "import", chain, "--db", url, "--log-level", "error"], check=True, stdout=subprocess.DEVNULL)
                print(f"{name}, blocks of {size}: import {time.monotonic() - began:.1f} s")
                rows = measure(build, url, args.rounds, cores)
                goal = 1.5 if size >= 100 else None
                line(f"{name}, blocks of {size}: wall / (signatures / (cores x rate))", rows, "ratio", "", goal)
                line(f"{name}, blocks of {size}: processor / libsodium's", rows, "cpu_ratio", "", None)
                if size == 1:
                    line(f"{name}, blocks of 1: wall of a block beyond its signatures", rows, "block_us", " us", 30, 1)
                line(f"{name}, blocks of {size}: memory", rows, "memory", " MiB", None, 0)
                if size == 1000 and name == "SQLite":
                    one = audit(build, url, jobs=1)[0]
                    print(f"{'SQLite, blocks of 1000: --jobs 1 against all cores, wall':64} {one / min(r['wall'] for r in rows):9.2f}")
            chain.unlink()
    finally:
        if pg:
            subprocess.run([HERE.parent / "pg-temp.sh", "stop", directory / "pg"], stdout=subprocess.DEVNULL)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
