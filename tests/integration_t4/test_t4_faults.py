"""Promise: whichever call beneath t4d fails or is its last, every blob that was answered 201 is there and right, no wrong byte is served, no part of a blob is visible, and t4d says what
happened. Each call of the write path fails in turn (tests/shim)."""

import asyncio
import errno
import http.client
import pathlib
import re
import shutil
import signal
import subprocess

import pytest
from tana_testing.client import eventually
from tana_testing.daemon import SANITIZED, clean_environment
from tana_testing.shim import KILL, SHORT, SYNC, TEAR, WRITE, Faults
from tana_testing.t4 import blob, sha
from test_t4_crowd import at_once, request

ERRORS = (errno.EIO, errno.ENOSPC, errno.EINTR)
SMALL, LARGE = 3000, 5_000_000
CODES = {500: ("io_error",), 503: ("read_only", "overloaded", "unavailable"), 507: ("storage_full",)}


@pytest.fixture
def faulty(t4_factory, tmp_path):
    """faulty(named): a t4d whose calls can fail, and the faults. named: without O_TMPFILE; unknown: without syncfs."""

    def make(named=False, *args, unknown=False):
        faults = Faults(tmp_path, tmp_path / "t4-0" / "content")
        if unknown:
            faults.unknown_file_system()
        if named:
            faults.without_nameless_files()
        t4 = t4_factory(*args, env=faults.env)
        t4.daemon.allowed += ["internal error", "read-only", "corrupt", "cannot", "could not"]
        return t4, faults

    return make


def counted(faults, change):
    """The calls that a change makes when nothing fails."""
    faults.count_steps()
    change()
    return faults.steps()


def in_turn(steps):
    """(kind, nth of its kind) of each step; of a long row of writes only the first and the middle one: how many there are depends on how the bytes come."""
    out = []
    for kind in sorted(set(steps)):
        count = steps.count(kind)
        out += [(kind, n) for n in (range(1, count + 1) if count < 4 else (1, count // 2))]
    return out


def clearly_refused(answer):
    assert answer.status in CODES and answer.code in CODES[answer.status], answer
    assert answer.json["error"], answer
    assert answer.status != 503 or answer.header("Retry-After"), answer


def read_only(t4, faults, name):
    """After a failed fsync: nothing is written any more, everything is read, and everybody is told; a new start is well."""
    faults.heal()
    t4.put(blob(10)).refused(503, "read_only")
    t4.delete(name).refused(503, "read_only")
    assert t4.get(name).status == 200
    t4.page().expect(200)
    assert "durable" in t4.client.get("/ready").refused(503, "unavailable")["error"]
    assert t4.client.get("/health").expect(200)["writable"] is False and t4.stats()["writable"] is False
    assert t4.log_says("read-only")
    t4.restart()
    assert t4.stats()["writable"] is True


# -- errors


@pytest.mark.parametrize("named", [False, True], ids=["nameless", "named"])
@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_each_call_of_a_put_fails(faulty, named, size):
    t4, faults = faulty(named)
    stored = [t4.store(blob(SMALL)), t4.store(blob(LARGE))]
    steps = counted(faults, lambda: stored.append(t4.store(blob(size))))
    assert re.fullmatch("ow+slsu" if named else "ow+sls", steps), steps
    for kind, nth in in_turn(steps):
        for error in ERRORS:
            data = blob(size)
            faults.count_steps(nth, nth, error, only=kind)
            answer = t4.put(data, check=False)
            assert faults.step_hits() == 1
            faults.heal()
            if answer.status == 201:
                assert (kind, error) == ("w", errno.EINTR) or kind == "u", (kind, error)
                stored.append(sha(data))
            else:
                clearly_refused(answer)
                assert error != errno.ENOSPC or kind == "s" or answer.status == 507, (kind, answer)
                assert answer.status != 500 or t4.log_says("internal error")
            if kind == "s":
                read_only(t4, faults, stored[0])
            if kind == "u":  # the name in tmp could not be removed: a start does it
                t4.restart()
            t4.sound(*stored)
            assert t4.put(data).status in (200, 201)
            t4.delete(sha(data)).expect(200)
            if answer.status == 201:
                stored.pop()
    t4.restart(kill=True)
    t4.sound(*stored)


def test_each_call_of_a_delete_fails(faulty):
    t4, faults = faulty()
    stored = [t4.store(blob(SMALL))]
    data = blob(SMALL)
    t4.store(data)
    steps = counted(faults, lambda: t4.delete(sha(data)).expect(200))
    assert steps == "us"
    for at in (1, 2):
        for error in ERRORS:
            assert t4.put(data).status in (200, 201)
            faults.count_steps(at, at, error)
            clearly_refused(t4.delete(sha(data), check=False))
            assert faults.step_hits() == 1
            faults.heal()
            if at == 2:
                read_only(t4, faults, stored[0])
            t4.sound(*stored, *([sha(data)] if at == 1 else []))


def test_a_put_of_what_is_there_is_made_durable_too(faulty):
    """Whoever is told that it is stored may rely on it, also when another's put is not yet on the disk."""
    t4, faults = faulty()
    data = blob(SMALL)
    name = t4.store(data)
    steps = counted(faults, lambda: t4.put(data).expect(200))
    assert steps.endswith("s") and "l" not in steps
    faults.count_steps(len(steps), len(steps), errno.EIO)
    clearly_refused(t4.put(data, check=False))
    read_only(t4, faults, name)
    t4.sound(name)


def test_quarantine_fails(faulty):
    """What cannot be moved away is not served all the same."""
    t4, faults = faulty()
    data = blob(SMALL)
    name = t4.store(data)
    t4.path(name).write_bytes(b"x" + data[1:])
    for error in ERRORS:
        faults.count_steps(1, 1, error)
        t4.get(name).refused(500, "content_corrupt")
        assert faults.steps() == "r" and name in t4.files()
    faults.heal()
    assert t4.log_says("stays where it is")
    t4.get(name).refused(500, "content_corrupt")
    assert t4.quarantined() == [name] and t4.files() == {}


def test_writes_that_take_half(faulty):
    t4, faults = faulty()
    for size in (SMALL, 300_000):
        faults.count_steps(1, 10**9, SHORT)
        data = blob(size)
        assert t4.put(data).expect(201)["stored"] is True
        assert faults.steps().count("w") > 3
        assert t4.get(sha(data)).body == data
    t4.sound(*t4.files())


def test_the_disk_fills_up_in_the_middle(faulty):
    t4, faults = faulty()
    stored = t4.store(blob(SMALL))
    for size in (SMALL, LARGE):
        data = blob(size)
        faults.fail(WRITE, errno.ENOSPC, skip=0 if size == SMALL else 20)
        t4.put(data).refused(507, "storage_full")
        with t4.upload(sha(data), ("Transfer-Encoding", "chunked")) as w:
            w.chunk(data)
            w.send(b"0\r\n\r\n")
            t4.checked(w).refused(507, "storage_full")
        assert faults.hits(WRITE) > 0
        t4.sound(stored)
        t4.delete(t4.put(b"").json["hash"]).expect(200)  # what takes no room
        faults.heal()
        t4.store(data)
    t4.restart()
    assert len(t4.files()) == 3


@pytest.mark.parametrize("together", [True, False], ids=["syncfs", "fsync"])
@pytest.mark.parametrize("failing", [1, 2, 7])
def test_an_fsync_fails_among_many_puts(faulty, failing, together):
    """Of puts that share a round, only those are answered 201 that are on the disk; the rest is refused."""
    t4, faults = faulty(unknown=not together)
    before = t4.store(blob(SMALL))
    blobs = [blob(SMALL) for _ in range(200)]
    faults.fail(SYNC, errno.EIO, skip=failing - 1)
    answers = asyncio.run(at_once(t4, [request(t4, "PUT", sha(b), b) for b in blobs]))
    faults.heal()
    assert {s for s, _ in answers} <= {201, 500, 503} and any(s != 201 for s, _ in answers)
    answered = [sha(b) for b, (status, _) in zip(blobs, answers) if status == 201]
    read_only(t4, faults, before)
    t4.sound(before, *answered)


# -- kill


def dies(t4, change):
    """The change's last call kills the daemon."""
    with pytest.raises((OSError, http.client.HTTPException)):
        change()
    assert t4.daemon.process.wait(10) == -signal.SIGKILL
    t4.daemon.process = None
    t4.client.close()
    assert [n for n, p in t4.files().items() if sha(p.read_bytes()) != n] == [], "a part of a blob is visible"


@pytest.mark.parametrize("named", [False, True], ids=["nameless", "named"])
@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_each_call_of_a_put_is_the_last(faulty, named, size):
    t4, faults = faulty(named)
    stored = [t4.store(blob(SMALL))]
    steps = counted(faults, lambda: stored.append(t4.store(blob(size))))
    for kind, nth in in_turn(steps):
        for action in (KILL, TEAR):
            data = blob(size)
            faults.count_steps(nth, nth, action, only=kind)
            dies(t4, lambda: t4.put(data))
            faults.heal()
            t4.start()
            t4.sound(*stored)
            assert t4.put(data).status in (200, 201)
            t4.delete(sha(data)).expect(200)


def test_each_call_of_a_delete_is_the_last(faulty):
    t4, faults = faulty()
    stored, data = t4.store(blob(SMALL)), blob(SMALL)
    for at in (1, 2):
        for action in (KILL, TEAR):
            assert t4.put(data).status in (200, 201)
            faults.count_steps(at, at, action)
            dies(t4, lambda: t4.delete(sha(data)))
            faults.heal()
            t4.start()
            t4.sound(stored)
            assert t4.get(sha(data)).status in (200, 404)


def test_the_call_that_moves_a_corrupt_file_away_is_the_last(faulty):
    t4, faults = faulty()
    data = blob(SMALL)
    name = sha(data)
    for action in (KILL, TEAR):
        t4.store(data)
        t4.path(name).write_bytes(b"x" + data[1:])
        faults.count_steps(1, 1, action)
        with pytest.raises((OSError, http.client.HTTPException)):
            t4.get(name)
        t4.daemon.kill()
        faults.heal()
        t4.client.close()
        t4.start()
        answer = t4.get(name)
        assert answer.status in (404, 500), answer
        assert t4.files() == {} and t4.quarantined().count(name) >= 1


def test_a_start_removes_what_an_earlier_run_left(t4):
    name = t4.store(blob(10))
    t4.daemon.kill()
    t4.client.close()
    for left in ("put-1", "put-99", "probe", "x" * 200):
        (t4.data / "tmp" / left).write_bytes(b"left over")
    t4.start()
    t4.sound(name)


# -- the order of it


@pytest.mark.skipif(SANITIZED, reason="a sanitized program cannot be traced")
@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not there")
def test_an_answer_comes_after_the_disk(t4, tmp_path):
    """What a power cut would show: the file is synced before it has its name, the directory before the answer leaves."""
    trace = tmp_path / "trace"
    calls = "trace=fsync,fdatasync,linkat,rename,renameat,renameat2,unlinkat,write,writev,pwrite64,sendto,sendmsg"
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-y", "-s", "20", "-o", str(trace), "-e", calls, "-p", str(t4.daemon.pid)], env=clean_environment(tmp_path), stderr=subprocess.DEVNULL
    )
    tasks = pathlib.Path(f"/proc/{t4.daemon.pid}/task")
    try:
        eventually(lambda: all(f"TracerPid:\t{tracer.pid}" in (t / "status").read_text() for t in tasks.iterdir()), 10, what="all threads are traced")
        data = blob(SMALL)
        t4.store(data)
        t4.put(data).expect(200)
        t4.delete(sha(data)).expect(200)
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(10)
    place, name = re.escape(str(t4.path(sha(data)).parent)), sha(data)
    sync_directory = rf"fsync\(\d+<{place}>\)\s+= 0"
    patterns = {
        "write the file": rf"writev?\(\d+<{re.escape(str(t4.data))}/tmp/",
        "sync the file": rf"fsync\(\d+<{re.escape(str(t4.data))}/tmp/[^>]*>(?:\(deleted\))?\)\s+= 0",
        "name it": rf"linkat\(.*{name}",
        "sync the directory": sync_directory,
        "answer 201": "HTTP/1.1 201",
        "sync the directory for the second": sync_directory,
        "answer 200": "HTTP/1.1 200",
        "remove it": rf"unlinkat\(.*{name}",
        "sync the directory for the delete": sync_directory,
        "answer the delete": "HTTP/1.1 200",
    }
    lines, at = completed(trace.read_text().splitlines()), 0
    for what, pattern in patterns.items():
        found = next((i for i in range(at, len(lines)) if re.search(pattern, lines[i])), None)
        assert found is not None, f"{what}: not after line {at} of\n" + "\n".join(lines)
        at = found + 1


def completed(lines):
    """Calls in the order in which they ended: `<unfinished ...>` and `<... resumed>` put together."""
    out, begun = [], {}
    for line in lines:
        pid, _, rest = line.partition(" ")
        rest = rest.strip()
        if rest.endswith("<unfinished ...>"):
            begun[pid] = rest.removesuffix("<unfinished ...>")
        elif match := re.match(r"<\.\.\. \w+ resumed>(.*)", rest):
            out.append(begun.pop(pid, "") + match.group(1))
        else:
            out.append(rest)
    return out
