"""Promise: mesh tells its operator plainly what is wrong with a command line, stops and reloads as asked, and a backup of it is worth something."""

import json
import signal
import socket
import sqlite3
import ssl
import subprocess
import threading
import time

import pytest
from tana_testing import oracle, pg
from tana_testing.client import Client, eventually
from tana_testing.daemon import PATIENCE, binary, run
from tana_testing.mesh import Node


@pytest.fixture
def meshd(tmp_path):
    def call(*args, **kw):
        return run([binary("meshd"), *args], tmp_path, **kw)

    return call


def test_help_and_version(meshd):
    done = meshd("--help")
    assert done.returncode == 0 and not done.stderr
    for flag in ("--db", "--data", "--network", "--sovereign-key", "--dev", "--heartbeat-timeout", "--require-full-signature", "--listen", "--check-config"):
        assert flag in done.stdout or flag in meshd("run", "--help").stdout, flag
    for verb in ("init", "verify", "backup"):
        assert verb in done.stdout and meshd(verb, "--help").returncode == 0
    done = meshd("--version")
    assert done.returncode == 0 and done.stdout.startswith("meshd ")


@pytest.mark.parametrize(
    "args",
    [
        ["--nonsense"], ["--db"], ["--heartbeat-timeout", "soon"], ["--heartbeat-timeout", "-1s"], ["--pending-max", "many"], ["--sovereign-key", "ed25519_00"],
        ["--sovereign-key", "ed25519_" + oracle.SMALL_ORDER_KEYS[0]], ["--require-full-signature=perhaps"], ["--log-level", "loud"], ["--log-format", "xml"],
        ["--listen", "nowhere"], ["--listen", "127.0.0.1:99999"], ["--network", "Not Allowed"], ["--db", "mysql://x"], ["--db", "sqlite:"], ["dance"],
        ["run", "extra-argument"], ["--tls-cert", "only-one.pem"],
    ],
)
def test_wrong_command_lines_are_usage_errors(meshd, tmp_path, args):
    base = ["--db", f"sqlite:{tmp_path}/mesh.db", "--data", tmp_path / "data", "--network", "n"]
    verb = [args[0]] if not args[0].startswith("-") else ["run"]
    rest = args[1:] if not args[0].startswith("-") else args
    done = meshd(*verb, *base, *rest, timeout=10)
    assert done.returncode == 2, done
    assert (done.stderr.startswith("error: ") or "cannot start: " in done.stderr) and not done.stdout, done
    assert not (tmp_path / "mesh.db").exists()


def test_what_is_missing_is_named(meshd, tmp_path):
    done = meshd("run", "--db", f"sqlite:{tmp_path}/mesh.db", "--data", tmp_path / "data", timeout=10)
    assert done.returncode == 2 and "network" in done.stderr


def test_check_config_reads_and_starts_nothing(meshd, tmp_path):
    base = ["run", "--db", f"sqlite:{tmp_path}/mesh.db", "--data", tmp_path / "data", "--network", "n"]
    assert meshd(*base, "--check-config").returncode == 0
    assert not (tmp_path / "mesh.db").exists()
    assert meshd(*base, "--check-config", "--heartbeat-timeout", "x").returncode == 2


def test_the_order_of_flag_environment_and_file(meshd, tmp_path, mesh_factory):
    config = tmp_path / "tana.conf"
    config.write_text("[mesh]\nnetwork = from-file\nheartbeat_timeout = 77s\n")
    mesh = mesh_factory(args=["--config", config])
    info = json.dumps(mesh.get("/info").expect(200))
    assert mesh.coordinator()["origin"] == f"tana-mesh/{mesh.network}", "the flag wins"
    assert "77" in info
    mesh = mesh_factory(args=["--config", config], env={"TANA_MESH_HEARTBEAT_TIMEOUT": "88s"})
    info = json.dumps(mesh.get("/info").expect(200))
    assert "88" in info and "77s" not in info
    config.write_text("[mesh]\nhearbeat_timeout = 77s\n")
    done = meshd("run", "--config", config, "--db", "sqlite:x", "--data", tmp_path, "--network", "n", "--check-config")
    assert done.returncode in (1, 2) and "hearbeat_timeout" in done.stderr and "heartbeat_timeout" in done.stderr
    done = meshd("run", "--check-config", "--db", "sqlite:x", "--data", tmp_path, "--network", "n", env={"TANA_MESH_HEARTBEAT_TIMEOUT": "soon"})
    assert done.returncode == 2 and "TANA_MESH_HEARTBEAT_TIMEOUT" in done.stderr


def test_a_port_in_use_is_said(mesh, mesh_factory):
    second = mesh_factory(start=False)
    second.daemon.argv[second.daemon.argv.index("--listen") + 1] = mesh.daemon.address
    second.daemon.refuse_to_start(mesh.daemon.address, "in use")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_under_load_it_stops_clean_and_quickly(mesh, number):
    node = mesh.active("a")
    stop, answered = threading.Event(), []

    def beat():
        while not stop.is_set():
            try:
                body = mesh.beat(node)
                answered.append((mesh.post("/heartbeat", body, check=False).status, body["timestamp"]))
            except Exception:
                return

    threads = [threading.Thread(target=beat) for _ in range(3)]
    for t in threads:
        t.start()
    eventually(lambda: len(answered) > 30, 30)
    with mesh.events():
        mesh.daemon.signal(number)
        mesh.daemon.wait(30)
        assert "connections were cut" not in mesh.daemon.text()
    stop.set()
    for t in threads:
        t.join()
    assert {s for s, _ in answered} <= {200, 409, 503}, "requests under way are answered, or told that mesh is stopping"
    mesh.start()
    last = max(t for s, t in answered if s == 200)
    rows = mesh.pages("/nodes/a/heartbeats", "heartbeats", since=last)
    assert last in [r["timestamp"] for r in rows]
    mesh.verify()


def test_idle_it_stops_at_once(mesh):
    mesh.get("/health").expect(200)
    mesh.stop()
    stopped = mesh.daemon.lines()[-1]
    assert stopped["message"] == "stopped" and stopped["took_ms"] < 5000 and "connections were cut" not in mesh.daemon.text()


def test_sighup_reopens_the_log_and_takes_reloadable_options_anew(mesh_factory, tmp_path):
    config, log = tmp_path / "tana.conf", tmp_path / "mesh.log"
    config.write_text("[mesh]\nlog_level = info\nrate_limit = 200\n")
    mesh = mesh_factory(args=["--config", config, "--log-file", log], start=False)
    mesh.daemon.start(wait=False)
    line = eventually(lambda: log.exists() and [json.loads(x) for x in log.read_text().splitlines() if '"listening"' in x], 10)[0]
    mesh.daemon.address = line["address"]
    mesh.connect()
    moved = tmp_path / "mesh.log.1"
    log.rename(moved)
    config.write_text("[mesh]\nlog_level = debug\nrate_limit = 200\n")
    mesh.daemon.signal(signal.SIGHUP)
    eventually(lambda: log.exists() and log.read_text(), 5)
    mesh.get("/health").expect(200)
    mesh.pending("a")
    config.write_text("[mesh]\nlog_level = shout\n")
    mesh.daemon.signal(signal.SIGHUP)
    eventually(lambda: "log_level" in log.read_text() or "log-level" in log.read_text(), 5)
    mesh.get("/health").expect(200)


def test_text_logs_say_the_same(mesh_factory):
    mesh = mesh_factory(start=False)
    at = mesh.daemon.argv.index("--log-format") + 1
    mesh.daemon.argv[at] = "text"
    mesh.daemon.start(wait=False)
    line = eventually(lambda: [x for x in mesh.daemon.text().splitlines() if " listening " in x], 10)[0]
    mesh.daemon.address = dict(p.split("=", 1) for p in line.split() if "=" in p)["address"]
    mesh.connect()
    mesh.get("/health").expect(200)


def test_log_lines_cannot_be_forged(mesh):
    mesh.get("/nodes/a%0a%7b%22level%22%3a%22error%22%7d", check=False)
    mesh.register(Node("a", region="x\n{\"level\":\"error\"}"))
    assert all(line.get("level") != "error" for line in mesh.daemon.lines())
    for raw in mesh.daemon.text().splitlines():
        json.loads(raw)


# -- init, backup, schema


def test_init_prepares_and_run_goes_on(mesh_factory):
    mesh = mesh_factory(sovereigns=[], start=False)
    key = oracle.Key()
    done = mesh.run("init", "--sovereign-key", key.public)
    assert done.returncode == 0, done.stderr
    again = mesh.run("init", "--sovereign-key", key.public)
    assert again.returncode in (0, 1), again
    mesh.start()
    mesh.sovereigns = [key]
    assert [s["public_key"] for s in mesh.get("/sovereign").json["sovereigns"]] == [key.public]
    mesh.active("a")
    mesh.verify()


def test_another_network_on_the_same_database_is_refused(mesh, mesh_factory):
    mesh.active("a")
    mesh.stop()
    other = mesh_factory(db_url=mesh.db_url, network="othernet", sovereigns=[], args=["--coordinator-key", mesh.data / "coordinator-key.json"], start=False)
    other.daemon.refuse_to_start("testnet")
    mesh.start()


@pytest.mark.storage_only("sqlite")
def test_a_backup_made_under_load_is_a_whole_mesh(storage, mesh, mesh_factory, tmp_path):
    node = mesh.active("a")
    stop = threading.Event()

    def write():
        i = 0
        while not stop.is_set():
            mesh.pending(f"n{i}")
            mesh.heartbeat(node)
            i += 1

    thread = threading.Thread(target=write)
    thread.start()
    copy = tmp_path / "backup.db"
    try:
        time.sleep(0.2)
        done = mesh.run("backup", copy)
    finally:
        stop.set()
        thread.join()
    assert done.returncode == 0, done.stderr
    assert copy.stat().st_mode & 0o077 == 0
    assert mesh.run("backup", copy).returncode == 1, "an existing file is not overwritten"
    restored = mesh_factory(db_url=f"sqlite:{copy}", sovereigns=[], args=["--coordinator-key", mesh.data / "coordinator-key.json"])
    restored.sovereigns = mesh.sovereigns
    assert restored.status(node) == "active" and len(restored.nodes()) <= len(mesh.nodes())
    head, later = restored.checkpoint(), mesh.checkpoint()
    proof = mesh.get("/audit/proof/consistency", {"from": head.size, "to": later.size}).expect(200)
    assert oracle.verify_consistency(head.size, head.root, later.size, later.root, [bytes.fromhex(h) for h in proof["path"]])
    restored.pending("after")
    restored.verify()


@pytest.mark.storage_only("postgres")
def test_backup_of_postgres_points_to_its_own_tool(storage, mesh, tmp_path):
    done = mesh.run("backup", tmp_path / "copy")
    assert done.returncode != 0 and "pg_dump" in done.stderr


def test_a_schema_of_a_newer_version_is_refused_and_left_alone(mesh):
    mesh.active("a")
    mesh.stop()
    statement = "INSERT INTO local_schema (version, name, applied_at) SELECT max(version) + 1, '9999 from the future', 1 FROM local_schema"
    if mesh.db_url.startswith("sqlite:"):
        c = sqlite3.connect(mesh.db_url.removeprefix("sqlite:"))
        c.execute(statement)
        c.commit()
        c.close()
    else:
        with pg.connection(mesh.db_url) as c:
            c.cursor().execute(statement)
    mesh.daemon.refuse_to_start("newer")
    done = mesh.run("verify")
    assert done.returncode in (1, 2) and "newer" in done.stderr, done


def test_files_of_mesh_are_private(mesh):
    mesh.active("a")
    paths = [mesh.data, *mesh.data.rglob("*")]
    if mesh.db_url.startswith("sqlite:"):
        paths += [p for p in mesh.directory.parent.glob("test-*.db*")]
    for path in paths:
        assert path.stat().st_mode & 0o077 == 0, path


# -- TLS, systemd


def self_signed(cert, key, name):
    """Writes both files; returns the key's."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj",
         f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True,
    )
    return key


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1")
def test_tls(mesh_factory, tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    self_signed(cert, key, "127.0.0.1")
    mesh = mesh_factory(args=["--tls-cert", cert, "--tls-key", key], start=False)
    mesh.daemon.start()
    context = ssl.create_default_context(cafile=cert)
    client = Client(mesh.daemon.address, tls=context)
    assert client.get("/health").expect(200)["status"] == "ok"
    with pytest.raises(OSError):
        Client(mesh.daemon.address, tls=ssl.create_default_context()).get("/health")
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((OSError, ValueError)):
        Client(mesh.daemon.address, tls=context).get("/health")
    client.close()


def test_a_renewed_certificate_is_taken_at_sighup(mesh_factory, tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"

    def renew(name):
        self_signed(tmp_path / "new-cert.pem", tmp_path / "new-key.pem", name)
        (tmp_path / "new-key.pem").rename(key)
        (tmp_path / "new-cert.pem").rename(cert)
        return ssl.create_default_context(cafile=cert)

    def reload(word):
        before = len(mesh.daemon.lines())
        mesh.daemon.signal(signal.SIGHUP)
        eventually(lambda: [x for x in mesh.daemon.lines()[before:] if x["message"] == word], 10)
        eventually(lambda: [x for x in mesh.daemon.lines()[before:] if x["message"] == "reloaded"], 10)
        return mesh.daemon.lines()[before:]

    first = renew("first")
    mesh = mesh_factory(args=["--tls-cert", cert, "--tls-key", key], start=False)
    mesh.daemon.allowed.append("the old certificate stays")
    mesh.daemon.start()
    kept = Client(mesh.daemon.address, tls=first)
    kept.get("/health").expect(200)
    assert not [x for x in reload("reloaded") if "anew" in x["message"]], "nothing is new"
    second = renew("second")
    reload("the TLS certificate was taken anew")
    kept.get("/health").expect(200)
    Client(mesh.daemon.address, tls=second).get("/health").expect(200)
    with pytest.raises(OSError):
        Client(mesh.daemon.address, tls=first).get("/health")
    good = key.read_bytes()
    for bad in (b"no key", self_signed(tmp_path / "other-cert.pem", tmp_path / "other-key.pem", "other").read_bytes(), b""):
        key.write_bytes(bad)
        reload("the old certificate stays")
        Client(mesh.daemon.address, tls=second).get("/health").expect(200)
    key.write_bytes(good)
    cert.unlink()
    reload("the old certificate stays")
    Client(mesh.daemon.address, tls=second).get("/health").expect(200)
    kept.close()


def test_systemd_is_told(mesh_factory, tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(10 * PATIENCE)
        mesh = mesh_factory(env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "400000"})
        told = ""
        while "READY=1" not in told or "WATCHDOG=1" not in told:
            told += s.recv(4096).decode() + "\n"
        mesh.daemon.signal(signal.SIGHUP)
        while "RELOADING=1" not in told:
            told += s.recv(4096).decode() + "\n"
        mesh.stop()
        while "STOPPING=1" not in told:
            told += s.recv(4096).decode() + "\n"


def test_umask_and_descriptors(mesh):
    limits = open(f"/proc/{mesh.daemon.pid}/limits").read()
    line = next(x for x in limits.splitlines() if x.startswith("Max open files"))
    assert line.split()[3] == line.split()[4]
    status = open(f"/proc/{mesh.daemon.pid}/status").read()
    assert next(x for x in status.splitlines() if x.startswith("Umask")).split()[1] == "0077"
