"""Promise: an audit answers while the chain runs, for one block or all, from a checkpoint or from the start; and ledgerd does not serve from what does not match."""

import sqlite3
import sys
import threading
import time

import pytest
from tana_testing import oracle, pg
from tana_testing.client import eventually
from tana_testing.daemon import PATIENCE
from tana_testing.ledger_cases import World
from tana_testing.ledger_chain import list_root, map_root
from tana_testing.t4 import blob, sha


def summary(lines):
    return lines[-1]["summary"]


@pytest.fixture
def world():
    return World()


@pytest.fixture
def ledger(ledger_factory, world):
    ledger = ledger_factory(genesis=world.genesis, sovereign=world.sovereign, key=world.key)
    for t in world.setup:
        ledger.include(t)
    return ledger


def test_all_and_parts(ledger, world):
    height = ledger.height
    whole = summary(ledger.verify("--all"))
    assert whole["valid"] is True and whole["height"] == height and whole["blocks"] == height + 1 and whole["transactions"] == len(world.setup)
    # One signature a transaction and one a block, and those inside messages: a rotation's proof.
    assert whole["signatures"] == len(world.setup) + height + 1
    one = summary(ledger.verify("3"))
    assert one["valid"] is True and (one["from"], one["to"]) == (3, 3) and one["blocks"] == 1
    some = summary(ledger.verify("--from", "2", "--to", "5"))
    assert (some["from"], some["to"], some["blocks"]) == (2, 5, 4) and some["signatures"] < whole["signatures"]
    for args in (["--all", "--jobs", "1"], ["--all", "--jobs", "4"], ["0"], ["--from", "0"]):
        assert summary(ledger.verify(*args))["valid"] is True
    for args in ([str(height + 1)], ["--from", str(height + 1)], ["--from", "3", "--to", "2"]):
        assert ledger.run("verify", *args).returncode == 2, args
    for args in (["x"], ["-1"], [], ["--all", "3"], ["--jobs", "0", "--all"]):
        assert ledger.run("verify", *args).returncode == 2, args
    # For people: what was checked, and that it holds.
    assert ", 1 transaction, 2 signatures, " in ledger.run("verify", "3").stdout
    done = ledger.run("verify", "--all")
    assert done.returncode == 0 and str(height) in done.stdout and "\x1b" not in done.stdout + done.stderr


def test_while_the_chain_runs(ledger, world):
    stop, wrong = threading.Event(), []

    def work():
        try:
            while not stop.is_set():
                ledger.include(world.alice.update())
        except Exception as e:
            wrong.append(e)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        heights = [summary(ledger.verify("--all"))["height"] for _ in range(6)]
    finally:
        stop.set()
        thread.join()
    assert not wrong and heights == sorted(heights) and heights[-1] > heights[0]


def test_could_not_be_checked(ledger, tmp_path):
    ledger.stop()
    url, ledger.db_url = ledger.db_url, f"sqlite:{tmp_path}/nothing/there.db"
    assert ledger.run("verify", "--all").returncode == 2
    ledger.db_url = "postgres://postgres@127.0.0.1:1/none"
    assert ledger.run("verify", "--all").returncode == 2
    empty = tmp_path / "empty.db"
    sqlite3.connect(empty).close()
    ledger.db_url = f"sqlite:{empty}"
    assert ledger.run("verify", "--all").returncode == 2
    assert empty.stat().st_size == 0, "an audit writes nothing"
    (tmp_path / "junk.db").write_bytes(b"this is no database" * 1000)
    ledger.db_url = f"sqlite:{tmp_path}/junk.db"
    assert ledger.run("verify", "--all").returncode == 2
    ledger.db_url = url
    # Tables of another version are said to be that.
    for change in ("DELETE FROM local_schema WHERE version = (SELECT MAX(version) FROM local_schema)", "INSERT INTO local_schema VALUES (1000, 'x', 1)"):
        tamper(ledger, change)
        done = ledger.run("verify", "--all")
        assert done.returncode == 2 and not done.stdout and "the tables of the database are of version" in done.stderr, (done.stdout, done.stderr)


def tamper(ledger, *statements):
    if ledger.db_url.startswith("sqlite:"):
        db = sqlite3.connect(ledger.db_url.removeprefix("sqlite:"))
        for s in statements:
            db.execute(s)
        db.commit()
        db.close()
    else:
        with pg.connection(ledger.db_url) as c:
            for s in statements:
                c.cursor().execute(s)


def test_content_is_looked_for(ledger, t4_factory):
    """What the signatures say is looked for in t4, whatever the database has for it."""
    t4 = t4_factory()
    there, missing, short = (blob(n) for n in (10, 20, 30))
    t4.store(there)
    t4.store(short)
    alice, bob = ledger.user("carol-of-contents"), ledger.user("dave-of-contents")
    ledger.include(*(w.publish(sha(data), size) for w in (alice, bob) for data, size in ((there, 10), (missing, 20), (short, 31))))
    before = {t for t in ledger.state() if t.startswith("content:")}
    keys = {f"content:{sha(data)}:{w.id}": data for w in (alice, bob) for data in (there, missing, short)}

    def look(*args, status=1):
        lines = ledger.verify(*args, "--content", "--t4-url", f"http://{t4.daemon.address}", status=status)
        found = [(f["row"]["key"], f["expected"], f.get("found")) for f in lines[:-1] if f["check"] == "contentPresent" and f["row"]["key"] in keys]
        assert summary(lines)["contentReferences"] == len(before)
        return lines, found

    _, found = look("--all")
    wanted = sorted((k, "20", None) if d == missing else (k, "31", "30") for k, d in keys.items() if d != there)
    assert found == wanted
    for args in (["2"], ["--to", "2"]):  # what was needed then may be gone since
        assert ledger.run("verify", *args, "--content", "--t4-url", f"http://{t4.daemon.address}").returncode == 2
    assert look("--from", str(ledger.height))[1] == wanted
    said = ledger.run("verify", "--all", "--content", "--t4-url", f"http://{t4.daemon.address}").stdout
    assert " findings, " in said and f"\n{len(before)} references to content were looked for in t4.\n" in said, said
    state, last = ledger.state(), ledger.latest()
    ledger.stop()
    tamper(
        ledger, f"DELETE FROM state WHERE key = 'content:{sha(missing)}:{bob.id}'",
        "INSERT INTO state VALUES ('content:nonsense', '{}')")
    lines, found = look("--all")
    assert found == wanted
    assert {f["row"]["key"] for f in lines[:-1] if f["check"] == "databaseMatches" and f["table"] == "state"} == {
        f"content:{sha(missing)}:{bob.id}", "content:nonsense"}
    # A reference that is none, where the producer recorded it and signed for it: the replay goes on with it, and the search passes over it.
    header, changes = last["header"], [*last["stateChanges"], {"key": "content:nonsense", "before": None, "after": {}}]
    changes.sort(key=lambda c: c["key"].encode())
    entries = {k.encode(): oracle.canonical(v) for k, v in {**state, "content:nonsense": {}}.items()}
    header |= {"changesRoot": list_root(oracle.canonical(c) for c in changes), "stateRoot": map_root(entries).hex()}
    text = oracle.canonical(header).decode()
    tamper(
        ledger, f"UPDATE blocks SET header = '{text}', hash = '{sha(text.encode())}', signature = '{ledger.key.sign(text)}', "
        f"changes = '{oracle.canonical(changes).decode()}' WHERE height = {header['height']}")
    lines, found = look("--all")
    assert found == wanted
    checks = [f for f in lines[:-1] if f["check"] != "contentPresent"]
    assert {f["check"] for f in checks} == {"stateChangesValid", "stateRootValid", "databaseMatches"}, checks
    # The replay did go on with what was recorded: the row is right now, and only the one that was taken out is missing.
    assert [f["row"]["key"] for f in checks if f.get("table") == "state"] == [f"content:{sha(missing)}:{bob.id}"], checks


BREAKS = {
    "a balance": "UPDATE state SET value = '\"891.00\"' WHERE key LIKE 'balance:%:USD' AND value = '\"890.00\"'",
    "a row gone": "DELETE FROM state WHERE key LIKE 'content:%'",
    "a row more": "INSERT INTO state VALUES ('balance:nobody:USD', '\"1.00\"')",
    "the last block": "UPDATE blocks SET signature = (SELECT signature FROM blocks WHERE height = 2) WHERE height = (SELECT MAX(height) FROM blocks)",
}


@pytest.mark.parametrize("how", BREAKS)
def test_it_does_not_serve_from_what_does_not_match(ledger, how):
    """With --verify-on-start=full before it listens; without, in the background, soon after."""
    ledger.stop()
    tamper(ledger, BREAKS[how])
    ledger.daemon.argv.append("--verify-on-start=full")
    said = ledger.daemon.refuse_to_start(within=30)
    assert "does not match" in said or "verif" in said, said
    ledger.daemon.argv.pop()
    ledger.daemon.allowed.append("match|verif|audit|cannot start")
    ledger.daemon.start(wait=False)
    if how == "the last block":
        assert ledger.daemon.process.wait(30) == 1
        ledger.daemon.process = None
        return
    # A check that finds something ends the service, or says so for good.
    deadline = time.monotonic() + 30 * PATIENCE
    while time.monotonic() < deadline and ledger.daemon.running:
        if any(line.get("message") == "listening" for line in ledger.daemon.lines()):
            ledger.daemon.wait_listening()
            ledger.connect()
            if ledger.get("/ready", check=False).status == 503 and ledger.status().get("audit") == "failed":
                assert ledger.submit(ledger.sovereign.update(nonce=ledger.sovereign.next_nonce)).status == 503
                return
        time.sleep(0.05)
    assert not ledger.daemon.running, "it serves from a database that does not match"
    ledger.daemon.process = None


def test_it_can_be_stopped_while_it_checks(ledger):
    """A stop asked for before the check is over ends it, whatever it would have found; here it is asked for before the program runs."""
    ledger.stop()
    tamper(ledger, BREAKS["a balance"])
    asked = "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [15]); os.kill(os.getpid(), 15); os.execv(sys.argv[1], sys.argv[1:])"
    plain = ledger.daemon.argv
    ledger.daemon.argv = [sys.executable, "-c", asked, *plain, "--verify-on-start=full"]
    ledger.daemon.start(wait=False)
    ledger.daemon.wait(20)
    said = [line["message"] for line in ledger.daemon.lines()]
    assert "stopped before it served" in said and "listening" not in said, said


def test_after_a_start_the_whole_state_is_checked(ledger):
    ledger.restart()
    eventually(lambda: ledger.status().get("audit") == "passed", 30, what="the audit behind")
    assert oracle.canonical(ledger.status())
