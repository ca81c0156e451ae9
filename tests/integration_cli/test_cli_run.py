"""start, stop, restart, status, logs, doctor: a network of one's own."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import pytest
from tana_testing import pg
from tana_testing.daemon import PATIENCE
from tana_cli import free_port, listen_options, wait_gone


@pytest.fixture
def me(user_factory):
    made = user_factory("me")
    made.port = free_port()
    made.listen = listen_options(made.port)
    return made


def service(user):
    return user("status", "--json").json["services"][0]


def test_start_use_stop(me):
    done = me("start", "--dev", *me.listen).ok
    assert f"Started mesh on http://127.0.0.1:{me.port}" in done.out and "sovereign key" in done.err
    row = service(me)
    assert row["state"] == "ready" and row["url"] == f"http://127.0.0.1:{me.port}" and row["version"]
    # Found without being told where it is.
    me("mesh", "register", "--dev", "--node-id", "n1").ok
    me("mesh", "approve", "n1", "--yes").ok
    assert me("config", "show", "--origin", "--json").ok.json["settings"][0] == {"name": "mesh-url", "value": row["url"], "origin": "tana start"}
    assert "runs already" in me("start", "--dev", *me.listen).ok.out and service(me)["pid"] == row["pid"]
    assert me("stop").ok.out == "Stopped identity.\nStopped t4.\nStopped ledger.\nStopped mesh.\n"
    assert me("status").expect(6) and service(me)["state"] == "stopped"
    assert me("stop").ok.out == "Nothing was running.\n" and me("stop", "--json").ok.json == {"stopped": 0}
    wait_gone(row["pid"])


def test_everything_of_a_chain_is_in_its_folder_and_private(me):
    me("start", "--dev", "--chain", "other", *me.listen).ok
    state = me.state / "other"
    for path in [state, *state.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
    assert {"mesh", "ledger", "genesis.json", "logs", "run"} <= {p.name for p in state.iterdir()} and (state / "mesh" / "mesh.db").exists()
    assert me("mesh", "status", "--chain", "other", "--json").ok.json["network"] == "other"
    assert service(me)["state"] == "stopped", "another chain"
    me("stop", "--chain", "other").ok


def test_restart_keeps_the_options(me):
    me("start", "--dev", "--heartbeat-timeout", "7s", *me.listen).ok
    first = service(me)
    assert me("restart", "--json").ok.json["services"][0]["pid"] != first["pid"]
    argv = pathlib.Path(f"/proc/{service(me)['pid']}/cmdline").read_text().split("\0")
    assert argv[argv.index("--heartbeat-timeout") + 1] == "7s" and service(me)["url"] == first["url"]


def test_keys_of_further_nodes_do_not_change_which_node_a_network_is_of(me):
    me("start", "--dev", *me.listen).ok
    assert "tailscale" in me("mesh", "register", env={"PATH": "/nowhere"}).expect(3).err
    me("mesh", "register", "--dev", "--node-id", "v2", "--service", "ledger=70000").expect(2)
    assert [k["name"] for k in me("keys", "list", "--json").ok.json["keys"] if k["kind"] == "node"] == ["validator-1"], "nothing is made for nothing"
    me("mesh", "register", "--dev", "--node-id", "aaa").ok
    me("keys", "new", "node", "own", "--out", me.config / "node-key.json").ok
    me("stop").ok
    me("start", "--dev", *me.listen).ok


def test_restart_of_what_never_ran(me):
    assert "tana start" in me("restart").expect(1).err


def test_without_dev_a_sovereign_key_is_asked_for(me):
    done = me("start", "--json", *me.listen).expect(4)
    assert done.error["code"] == "key_needed" and "tana keys new sovereign" in done.error["hint"]
    assert service(me)["state"] == "stopped"
    me("keys", "new", "sovereign").ok
    # What a chain needs is asked for too: a node's key, and a genesis.
    done = me("start", "--json", *me.listen).expect(4)
    assert done.error["code"] == "key_needed" and "tana keys new node" in done.error["hint"]
    assert service(me)["state"] == "stopped", "mesh had been started, and was stopped again"
    me("keys", "new", "node", "n1").ok
    done = me("start", "--json", *me.listen).expect(2)
    assert "no genesis" in done.error["error"] and "tana new chain local" in done.error["hint"]
    me("new", "user", "@root").ok
    me("new", "chain", "local").ok
    me("start", *me.listen).ok
    key = json.loads((me.config / "sovereign-key.json").read_text())["publicKey"]
    assert [s["public_key"] for s in me("mesh", "sovereign", "list", "--json").ok.json["sovereigns"]] == [key]


def test_an_address_that_is_taken_is_named(me):
    with socket.socket() as s:
        s.bind(("127.0.0.1", me.port))
        s.listen()
        done = me("start", "--dev", "--json", *me.listen).expect(1)
    assert "Something else listens" in done.error["error"] and "--mesh-listen" in done.error["hint"]


def test_a_failed_start_shows_the_log_and_leaves_nothing(me):
    data = me.state / "local" / "mesh"
    data.mkdir(parents=True)
    (data / "mesh.db").write_bytes(b"this is no database" * 1000)
    done = me("start", "--dev", *me.listen).expect(3)
    assert "ended with status" in done.err and "The last lines of" in done.err and "mesh.db" in done.err
    assert service(me)["state"] == "stopped" and (data / "mesh.db").read_bytes().startswith(b"this is no database")


def test_a_start_that_takes_too_long_is_undone(me, tmp_path):
    # A fake daemon beside a copy of tana: it runs, and is never ready.
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    (bin_dir / "tana").write_bytes(pathlib.Path(me.argv()[0]).read_bytes())
    (bin_dir / "meshd").write_text("#!/bin/sh\nexec sleep 60\n")
    for p in bin_dir.iterdir():
        p.chmod(0o755)
    me.argv = lambda *args: [str(bin_dir / "tana"), *map(str, args)]
    started = time.monotonic()
    assert me("start", "--dev", "--wait-timeout", "500ms", "--json", *me.listen).expect(5).error["code"] == "timed_out"
    assert time.monotonic() - started < 50, "it did not wait for the sleeper"
    assert service(me)["state"] == "stopped"


def test_a_process_number_used_again_is_not_ours(me):
    """The record names a process that lives, and it is somebody else's: it is neither shown nor stopped."""
    me("start", "--dev", *me.listen).ok
    os.kill(service(me)["pid"], signal.SIGKILL)
    record = me.state / "local" / "run" / "mesh.json"
    deadline = time.monotonic() + 30
    while service(me)["state"] != "stopped" and time.monotonic() < deadline:
        time.sleep(0.02)
    record.write_text(json.dumps({**json.loads(record.read_text()), "pid": os.getpid()}))
    assert service(me)["state"] == "stopped"
    assert me("stop").ok.out == "Stopped identity.\nStopped t4.\nStopped ledger.\n"
    me("start", "--dev", *me.listen).ok


def test_starts_at_once_make_one_network(me):
    runs = [me.start("start", "--dev", *me.listen) for _ in range(5)]
    assert [r.process.wait(30 * PATIENCE) for r in runs] == [0] * 5
    assert sum("Started mesh" in r.out for r in runs) == 1 and sum("runs already" in r.out for r in runs) == 4


def test_logs_and_following_them_across_a_rotation(me):
    assert me("logs").expect(1).err.startswith("error: ")
    me("start", "--dev", *me.listen).ok
    assert "listening" in me("logs").ok.out and len(me("logs", "mesh", "-n", "1").ok.out.splitlines()) == 1
    assert me("logs", "nonsense").expect(2)
    lines = [json.loads(line) for line in me("logs", "--json").ok.out.splitlines()]
    assert {x["service"] for x in lines} == {"mesh", "ledger", "t4", "identity"} and any("listening" in x["line"] for x in lines)
    reader = me.start("logs", "mesh", "-f", "-n", "0")
    log = me.state / "local" / "logs" / "mesh.log"
    with open(log, "a") as f:
        reader.wait_for(lambda r: f.write("probe\n") and f.flush() or "probe\n" in r.out)  # it follows what comes after its start
        f.write("first\n")
    reader.wait_for(lambda r: "first" in r.out)
    log.rename(log.with_suffix(".1"))
    log.write_text("second\n")
    reader.wait_for(lambda r: "second" in r.out)
    with open(log, "a") as f:
        f.write("without an end")
    last = json.loads(me("logs", "mesh", "--json").ok.out.splitlines()[-1])
    assert last == {"service": "mesh", "line": "without an end"}
    log.rename(log.with_suffix(".2"))
    log.write_text("third\n")
    other = me.start("logs", "mesh", "-f")
    other.wait_for(lambda r: "third" in r.out)
    assert other.end(signal.SIGTERM) == 0
    nobody = subprocess.Popen(me.argv("logs", "mesh", "-f"), env=me.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert nobody.stdout.readline() == b"third\n"
    nobody.stdout.close()
    with open(log, "a") as f:
        f.write("for nobody\n")
    assert nobody.wait(10 * PATIENCE) == 1 and b"standard output" in nobody.stderr.read()
    reader.wait_for(lambda r: "third" in r.out)
    assert reader.end(signal.SIGINT) == 130 and reader.out.replace("probe\n", "").startswith("first\nsecond\n")


SYSTEMCTL = """#!/bin/sh
echo "$*" >> $HOME/asked
case $1 in
show) cat $HOME/units ;;
start) [ ! -e $HOME/broken ] && sed -i s/=inactive/=active/ $HOME/units ;;
stop) sed -i s/=active/=inactive/ $HOME/units ;;
status) echo "all is well"; exit 3 ;;
esac
"""
JOURNALCTL = """#!/bin/sh
cat $HOME/journal
case $* in *" -f "*) exec sleep 600 ;; esac
"""
SYSTEMD = (
    "mount -t tmpfs none /run && mkdir -p /run/systemd/system && mount -t tmpfs none /etc/systemd && mkdir /etc/systemd/system"
    ' && touch /etc/systemd/system/tana.target && exec "$@"'
)


@pytest.fixture
def by_systemd(me):
    """A user on a machine where systemd has the units: a systemctl and a journalctl that play theirs, in a mount namespace of their own."""
    before = ["unshare", "--map-root-user", "--mount", "sh", "-c", SYSTEMD, "sh"]
    if subprocess.run([*before, "true"], capture_output=True).returncode:
        pytest.skip("no mount namespaces here")
    for name, text in (("systemctl", SYSTEMCTL), ("journalctl", JOURNALCTL)):
        path = me.home / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    me.env["PATH"] = f"{me.home / 'bin'}:{me.env['PATH']}"
    plain = me.argv
    me.argv = lambda *args: [*before, *plain(*args)]
    rows = [("mesh", "loaded", "active", "enabled", os.getpid()), ("ledger", "loaded", "inactive", "enabled", 0), ("t4", "not-found", "inactive", "", 0),
            ("identity", "loaded", "inactive", "disabled", 0)]
    (me.home / "units").write_text(
        "\n".join(f"MainPID={p}\nId=tana-{n}.service\nLoadState={load}\nActiveState={a}\nUnitFileState={f}\n" for n, load, a, f, p in rows)
    )
    return me


def test_json_where_systemd_is_in_charge(by_systemd):
    me = by_systemd
    told = me("status", "--json").expect(6).json["services"]
    assert [(s["service"], s["state"]) for s in told] == [("mesh", "ready"), ("ledger", "stopped"), ("identity", "stopped")]
    assert (told[0]["pid"], told[1]["pid"]) == (os.getpid(), None) and told[0]["uptimeMs"] > 0
    assert me("status").expect(6).out == "all is well\n"
    (me.home / "broken").touch()
    assert me("start", "--json").expect(1).error["code"] == "refused" and me("start").expect(1).err.startswith("systemd is in charge")
    (me.home / "broken").unlink()
    assert {s["state"] for s in me("start", "--json").ok.json["services"]} == {"ready"}
    assert me("status", "--json").ok and me("stop", "--json").ok.json == {"stopped": 3}
    assert "stop tana.target" in (me.home / "asked").read_text()
    entries = [
        {"__CURSOR": "s=1", "_SYSTEMD_UNIT": "tana-mesh.service", "MESSAGE": "listening \"here\""},
        {"UNIT": "tana-t4.service", "_SYSTEMD_UNIT": "init.scope", "MESSAGE": "Started."},
        {"_SYSTEMD_UNIT": "tana-t4.service", "MESSAGE": list(b"\x1b[1mbold")},
        {"_SYSTEMD_UNIT": "tana-t4.service", "MESSAGE": None},
    ]
    (me.home / "journal").write_text("".join(json.dumps(e) + "\n" for e in entries) + '{"half')
    lines = [{"service": "mesh", "line": 'listening "here"'}, {"service": "t4", "line": "Started."}, {"service": "t4", "line": "\ufffd[1mbold"},
             {"service": "t4", "line": ""}]
    assert [json.loads(x) for x in me("logs", "--json").ok.out.splitlines()] == lines
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 0)):
        reader = me.start("logs", "--json", "-f").wait_for(lambda r: r.out.count("\n") == 4)
        assert reader.end(number) == status


def test_in_the_foreground_what_dies_is_started_again(me):
    front = me.start("start", "--dev", "--foreground", *me.listen)
    front.wait_for(lambda f: "Everything runs" in f.err)
    first = service(me)["pid"]
    assert me("start", "--dev", *me.listen).expect(1).err.startswith("error: This chain runs in the foreground")
    os.kill(first, signal.SIGKILL)
    front.wait_for(lambda f: "killed by signal 9" in f.err and f.err.count("listening") == 5)
    assert service(me)["pid"] != first
    assert me("stop").ok and front.process.wait(10 * PATIENCE) == 0
    assert service(me)["state"] == "stopped"


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_ending_the_foreground_stops_its_services(me, number, status):
    front = me.start("start", "--dev", "--foreground", *me.listen)
    front.wait_for(lambda f: "Everything runs" in f.err)
    pid = service(me)["pid"]
    assert front.end(number) == status
    wait_gone(pid)


def test_ctrl_c_on_the_terminal_lets_services_end_in_order(me):
    done = me.on_terminal("start", "--dev", "--foreground", *me.listen, answers=[("Everything runs", "\x03")])
    assert done.status == 130 and "Stopping mesh" in done.out and re.search(r"stopped.*took_ms", done.out)


def test_services_do_not_outlive_a_killed_foreground(me):
    front = me.start("start", "--dev", "--foreground", *me.listen)
    front.wait_for(lambda f: "Everything runs" in f.err)
    pid = service(me)["pid"]
    front.end(signal.SIGKILL)
    wait_gone(pid)


def test_services_share_one_postgresql(me, tmp_path):
    """Each in a schema of its own; mesh's is the default one."""
    cluster = pg.Cluster(tmp_path / "pg").start()
    try:
        me("start", "--dev", "--postgres", cluster.url, "--block-interval", "10ms", *me.listen, within=60).ok
        me("user", "create", "@alice").ok
        me("mesh", "register", "--dev", "--node-id", "validator-1").ok
        assert me("verify", "--json").ok.json["valid"]
        with pg.connection(cluster.url) as db, db.cursor() as c:
            c.execute("SELECT table_schema FROM information_schema.tables WHERE table_name IN ('blocks', 'nodes', 'tickets') ORDER BY table_name")
            assert c.fetchall() == [("ledger",), ("public",), ("identity",)]
        me("restart").ok
        assert me("user", "show", "@alice", "--json").ok.json["user"]["username"] == "@alice"
        me("stop").ok
    finally:
        cluster.stop()


def test_a_database_password_is_not_on_the_command_line(me):
    me("keys", "new", "sovereign").ok
    secret = "postgres://tana:hunter22@127.0.0.1:1/tana"
    done = me("start", "--postgres", secret, "--wait-timeout", "2s", *me.listen, within=60)
    assert done.status != 0
    record = json.loads((me.state / "local" / "run" / "mesh.json").read_text())
    assert not any("hunter22" in a for a in record["argv"]) and record["environment"] == [f"TANA_MESH_DB={secret}"]
    assert "hunter22" not in done.out + done.err


def test_doctor_finds_what_is_wrong(me):
    found = {f["check"]: f for f in me("doctor", "--json", "--mesh-url", "http://127.0.0.1:1").expect(6).json["findings"]}
    assert found["meshd"]["state"] == "ok" and found["coordinator"]["state"] == "broken" and found["mesh"]["state"] == "odd"
    assert found["ledgerd"]["state"] == "ok" and found["chain"]["state"] in ("odd", "ok")  # another ledger may be at the default address
    me("start", "--dev", *me.listen).ok
    found = {f["check"]: f for f in me("doctor", "--json").ok.json["findings"]}
    assert found["coordinator"]["state"] == found["mesh"]["state"] == found["chain"]["state"] == found["ledger"]["state"] == "ok"
    assert "local at http://" in found["chain"]["detail"]
    chain = me.config / "chains" / "local.json"
    chain.write_text(json.dumps({**json.loads(chain.read_text()), "genesisHash": "0" * 64}))
    found = {f["check"]: f for f in me("doctor", "--json").expect(6).json["findings"]}
    assert found["chain"]["state"] == "broken" and "not the one in" in found["chain"]["detail"]
    (me.config / "sovereign-key.json").chmod(0o644)
    done = me("doctor").expect(6)
    assert "broken" in done.out and "hint: key file" in done.err


def test_a_broken_companion_is_reported(me, tmp_path):
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    (bin_dir / "tana").write_bytes(pathlib.Path(me.argv()[0]).read_bytes())
    (bin_dir / "meshd").write_text("#!/bin/sh\necho meshd 9.9.9\n")
    for p in bin_dir.iterdir():
        p.chmod(0o755)
    me.argv = lambda *args: [str(bin_dir / "tana"), *map(str, args)]
    found = {f["check"]: f for f in me("doctor", "--json").json["findings"]}
    assert found["meshd"]["state"] == "odd" and "9.9.9" in found["meshd"]["detail"]
