"""scripts/demo: once, and again while the first one's network still runs."""

import json
import os
import re
import signal
import socket
import subprocess

import pytest
from tana_testing.daemon import BUILD, PATIENCE, ROOT, clean_environment


@pytest.fixture
def demo(tmp_path):
    env = clean_environment(tmp_path, {"TANA_DEMO_DIR": str(tmp_path / "demo"), "TANA_DEMO_BIN": str(BUILD / "bin"), "TANA_CHAIN": "mine"})

    def run(*args):
        return subprocess.run([ROOT / "scripts" / "demo", *args], capture_output=True, text=True, env=env, timeout=120 * PATIENCE, cwd=tmp_path)

    run.folder, run.env = tmp_path / "demo", env
    yield run
    assert run("stop").returncode == 0
    left = [p for p in os.listdir("/proc") if p.isdigit() and str(tmp_path) in _environment(p)]
    assert left == [], "something was left running"


def _environment(pid):
    try:
        with open(f"/proc/{pid}/environ", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def check(done):
    assert done.returncode == 0, done.stdout + done.stderr
    for line in (
        r"^Registered validator-2 in network local: pending$",
        r"^Approved validator-2: active$",
        r"^validator-2 +active .* (now|ago) ",
        r"^validator-1 +active ",
        r"^validator-2 +offline ",
        r"^log +verified: 5 entries of network local$",
        r"^snapshot +verified: ",
        r"^[0-9a-f]{64}  README.md$",
        r"^[0-9a-f]{64}  there$",
        r"^Transferred 12.50 USD from @alice to @bob\.$",
        r"^@alice +USD +87.50 +0.00$",
        r"^Published LICENSE ",
        r"^The transaction is in the block\.$",
        r"^Approved: @alice is logged in\.$",
        r"^Logged in to http://\S+ as @alice\.$",
        r"^Logged out of http://",
        r"^ledger +valid ",
        r"^t4 +valid ",
        r"^  \S+/tana auth login$",
        r"^End it: scripts/demo stop$",
    ):
        assert re.search(line, done.stdout, re.M), f"no line {line}\n{done.stdout}\n{done.stderr}"


def test_it_runs_again_and_again_and_stops(demo, tmp_path):
    check(demo())
    tana = demo.folder / "tana"
    shown = subprocess.run([tana, "mesh", "list", "--all", "--json"], capture_output=True, text=True, env=demo.env)
    assert {n["id"]: n["status"] for n in json.loads(shown.stdout)["nodes"]} == {"validator-1": "active", "validator-2": "offline"}
    check(demo())
    assert not (tmp_path / ".config").exists() and not (tmp_path / ".local").exists(), "the user's own folders are not touched"
    assert demo("stop").returncode == 0
    assert subprocess.run([tana, "status"], capture_output=True, env=demo.env).returncode == 6


def test_two_at_once_take_turns(demo):
    command = [ROOT / "scripts" / "demo"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=demo.env) for _ in range(2)]
    results = [subprocess.CompletedProcess(command, p.wait(240 * PATIENCE), p.stdout.read(), p.stderr.read()) for p in both]
    for done in results:
        check(done)
    assert sum("Another demo is running" in done.stdout for done in results) == 1


def test_interrupted_it_leaves_nothing_running(demo):
    process = subprocess.Popen([ROOT / "scripts" / "demo"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=demo.env)
    for line in process.stdout:
        if line.startswith("Registered validator-1"):
            break
    process.send_signal(signal.SIGTERM)
    process.stdout.read()
    assert process.wait(30 * PATIENCE) == 143
    # The fixture looks for what is left.


def test_a_taken_port_is_passed_over(demo):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", 8190))
            s.listen()
        except OSError:
            pass  # taken by somebody else: just as well
        done = demo()
        check(done)
        assert "port 8190 is taken" in done.stdout
