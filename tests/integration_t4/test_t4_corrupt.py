"""Promise: a byte that is not the one that was stored is never given out, whoever changed it and however; it is named, moved away, and can be stored anew."""

import json
import mmap
import os
import socket
import time

import pytest
from tana_testing.client import eventually
from tana_testing.daemon import PATIENCE
from tana_testing.shim import Faults
from tana_testing.prometheus import parse
from tana_testing.t4 import blob, sha


@pytest.fixture(autouse=True)
def expected(request):
    """Every daemon here is expected to say that something is corrupt."""
    if "t4" in request.fixturenames:
        request.getfixturevalue("t4").daemon.allowed.append("corrupt")


def metric(t4, name):
    return parse(t4.client.get("/metrics").body.decode())["tana_t4_" + name][frozenset()]


def remembered(t4, name):
    """Until t4d takes the file for known: it is not hashed again."""

    def hit():
        before = metric(t4, "remembered_reads_total")
        assert t4.get(name).status == 200
        return metric(t4, "remembered_reads_total") > before

    eventually(hit, what="the file is remembered")


def never_served(t4, name, method="GET", headers=None):
    answer = t4.get(name, headers, method=method)
    assert answer.status == 500, answer
    if method == "GET":
        assert answer.code == "content_corrupt", answer
        assert answer.header("Cache-Control") is None or "immutable" not in answer.header("Cache-Control"), answer
    assert name in t4.quarantined() and name not in t4.files()
    t4.get(name).refused(404, "unknown_content")
    assert t4.log_says(f"quarantine.*{name}|{name}.*quarantine")


def write_at(path, at, data):
    with open(path, "r+b") as f:
        f.seek(at)
        f.write(data)


def test_every_byte_of_a_small_file(t4):
    data = blob(150)
    name = t4.store(data)
    for at in range(len(data)):
        write_at(t4.path(name), at, bytes([data[at] ^ 1 << at % 8]))
        answer = t4.get(name)
        answer.refused(500, "content_corrupt")
        assert name not in t4.files()
        t4.store(data)
        assert t4.get(name).body == data
    assert t4.quarantined() == [name] * len(data)
    assert metric(t4, "corrupt_total") == len(data) == t4.stats()["scrub"]["corrupt"]
    assert len(t4.log_says("quarantine")) == len(data)


def test_after_it_was_remembered(t4):
    """The check is not made at each read; each change is seen all the same."""
    data = blob(300_000)
    name = sha(data)

    def flip():
        write_at(t4.path(name), 150_000, bytes([data[150_000] ^ 1]))

    def flip_and_set_the_time_back():
        before = t4.path(name).stat()
        flip()
        os.utime(t4.path(name), ns=(before.st_atime_ns, before.st_mtime_ns))

    def replace():
        other = t4.data / "other"
        other.write_bytes(blob(len(data)))
        before = t4.path(name).stat()
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        other.rename(t4.path(name))

    def cut():
        os.truncate(t4.path(name), len(data) - 1)

    def grow():
        with open(t4.path(name), "ab") as f:
            f.write(b"\0")

    def empty():
        t4.path(name).write_bytes(b"")

    for change in (flip, flip_and_set_the_time_back, replace, cut, grow, empty):
        t4.store(data)
        remembered(t4, name)
        change()
        never_served(t4, name)


def test_through_a_mapping(t4_factory):
    """What no time of the file shows: --verify-reads always sees it."""
    t4 = t4_factory("--verify-reads", "always")
    t4.daemon.allowed.append("corrupt")
    data = blob(10_000)
    name = t4.store(data)
    with open(t4.path(name), "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
        m[0] = data[0]  # the page is dirty from here on
        for _ in range(3):
            assert t4.get(name).body == data
        m[5000] ^= 1
        never_served(t4, name)


def test_every_way_to_ask(t4):
    for number, (method, headers) in enumerate(
        [("HEAD", None), ("GET", {"Range": "bytes=0-9"}), ("GET", {"Range": "bytes=-1"}), ("GET", {"If-None-Match": "*"}), ("GET", {"Range": "bytes=99999999-"})]
    ):
        data = blob(400_000, f"ways-{number}")
        name = t4.store(data)
        write_at(t4.path(name), 399_999, bytes([data[-1] ^ 128]))
        never_served(t4, name, method, headers)


def test_while_it_was_down(t4):
    data = blob(2_000_000)
    name = t4.store(data)
    t4.daemon.terminate()
    t4.client.close()
    write_at(t4.path(name), 1_999_999, bytes([data[-1] ^ 1]))
    t4.start()
    # The range asked for is sound; the whole is not.
    never_served(t4, name, headers={"Range": "bytes=0-9"})


def test_what_stands_in_a_place_and_is_no_file(t4, tmp_path):
    secret = tmp_path / "secret"
    data = blob(100)
    secret.write_bytes(data)
    name = sha(data)
    place = t4.path(name)

    def a_socket():
        folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(f"/proc/self/fd/{folder}/{name}")  # the whole path is too long for a socket
        os.close(folder)

    for make in (lambda: place.symlink_to(secret), lambda: place.symlink_to("nowhere"), place.mkdir, lambda: os.mkfifo(place), a_socket):
        make()
        assert t4.missing([name]).expect(200) == {"missing": [name]}
        assert name not in t4.all()
        never_served(t4, name)
        make()
        t4.store(data)
        assert t4.get(name).body == data
        t4.delete(name).expect(200)
    assert secret.read_bytes() == data


def test_a_second_put_is_a_check(t4):
    data = blob(1000)
    name = t4.store(data)
    write_at(t4.path(name), 0, bytes([data[0] ^ 1]))
    t4.store(data)  # 201: it was not there, though something stood there
    assert t4.quarantined() == [name] and t4.get(name).body == data


# -- the scrubber


def test_the_scrubber_finds_it(t4_factory):
    t4 = t4_factory("--scrub-rate", "1G")
    t4.daemon.allowed.append("corrupt")
    names = [t4.store(blob(1000 * i)) for i in range(1, 9)]
    bad = names[3]
    write_at(t4.path(bad), 7, b"\0\0\0\0\0\0\0\0")
    eventually(lambda: bad in t4.quarantined(), what="the scrubber moved it away")
    t4.get(bad).refused(404, "unknown_content")
    eventually(lambda: t4.stats()["scrub"]["corrupt"] == 1)
    eventually(lambda: t4.stats()["scrub"]["rounds"] >= 1, what="a whole round")
    found = t4.stats()
    assert found["complete"] and (found["objects"], found["bytes"]) == (7, sum(1000 * i for i in range(1, 9)) - 4000)
    assert found["scrub"]["finishedAt"] >= found["scrub"]["startedAt"] - 60_000
    t4.sound(*(n for n in names if n != bad))
    assert t4.log_says(f"quarantine.*{bad}|{bad}.*quarantine")


def test_the_scrubber_seals_what_it_checks(t4_factory, tmp_path):
    """fs-verity is probed for; the machine's own kernel may have none, so here it is told that there is one."""
    faults = Faults(tmp_path)
    faults.with_verity()
    t4 = t4_factory("--scrub-rate", "1G", env=faults.env)
    assert t4.client.get("/info").expect(200)["fsVerity"] is True and faults.sealed() == 1
    names = [t4.store(blob(1000 + i)) for i in range(5)]
    eventually(lambda: faults.sealed() >= 6, what="all are sealed")
    t4.sound(*names)


def test_where_nothing_can_be_sealed(t4_factory, tmp_path):
    t4 = t4_factory("--scrub-rate", "1G", env=Faults(tmp_path).env)
    assert t4.client.get("/info").expect(200)["fsVerity"] in (True, False)
    names = [t4.store(blob(1000 + i)) for i in range(5)]
    eventually(lambda: t4.stats()["scrub"]["rounds"] >= 1)
    t4.sound(*names)
    assert not t4.log_says("not sealed")


def test_a_check_keeps_to_its_rate(t4):
    t4.store(blob(1 << 20))
    began = time.monotonic()
    assert t4.json("scrub", "--rate", "1M")[-1]["checked"] == 1
    assert 0.8 < time.monotonic() - began < 30 * PATIENCE


# -- the commands


def test_scrub(t4):
    names = [t4.store(blob(5000 + i)) for i in range(10)]
    assert t4.json("scrub") == [{"checked": 10, "bytes": sum(5000 + i for i in range(10)), "corrupt": 0, "unreadable": 0}]
    for bad in names[:2]:
        write_at(t4.path(bad), 4999, bytes([t4.path(bad).read_bytes()[4999] ^ 1]))
    *found, whole = t4.json("scrub", "--rate", "1G", status=6)
    assert sorted(f["hash"] for f in found) == sorted(names[:2]) and {f["code"] for f in found} == {"content_corrupt"}
    assert whole["checked"] == 10 and whole["corrupt"] == 2 and whole["unreadable"] == 0
    assert t4.quarantined() == sorted(names[:2])
    t4.sound(*names[2:])  # the serving t4d went on meanwhile
    done = t4.run("scrub")
    assert done.returncode == 0 and "8 blobs" in done.stdout and "0 corrupt" in done.stdout


def test_verify(t4):
    data = blob(70_000)
    name = t4.store(data)
    assert t4.json("verify", name) == [{"hash": name, "size": 70_000, "valid": True}]
    done = t4.run("verify", name)
    assert done.returncode == 0 and "valid" in done.stdout
    write_at(t4.path(name), 0, bytes([data[0] ^ 1]))
    assert t4.json("verify", name, status=6) == [{"hash": name, "valid": False}]
    assert t4.quarantined() == [name]
    for bad, status, code in ((name, 1, "unknown_content"), ("x", 2, "usage"), (name.upper(), 2, "usage"), ("../../etc/passwd", 2, "usage")):
        done = t4.run("verify", bad, "--json")
        assert (done.returncode, json.loads(done.stderr)["code"]) == (status, code), done


def test_commands_without_a_store(t4, tmp_path):
    t4.data = tmp_path / "nothing"
    for verb in (["scrub"], ["verify", "a" * 64], ["stats"]):
        done = t4.run(*verb)
        assert done.returncode == 1 and "error:" in done.stderr, done
    assert not t4.data.exists()


# -- collecting garbage


def keep_file(tmp_path, *lines):
    """A list written now, so that what is stored already is older."""
    path = tmp_path / "keep.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    later = time.time_ns() + 1_000_000_000
    os.utime(path, ns=(later, later))
    return path


def test_gc(t4, tmp_path):
    names = [t4.store(blob(1000 + i)) for i in range(20)]
    keep = keep_file(tmp_path, *names[:5], "f" * 64)
    *listed, whole = t4.json("gc", "--keep", keep, "--dry-run")
    size = sum(1000 + i for i in range(5, 20))
    assert whole == {"deleted": 15, "bytes": size, "kept": 5, "young": 0, "dryRun": True} and sorted(t4.files()) == sorted(names)
    assert {x["hash"] for x in listed} == set(names[5:])
    *_, whole = t4.json("gc", "--keep", keep)
    assert whole == {"deleted": 15, "bytes": size, "kept": 5, "young": 0, "dryRun": False}
    assert sorted(t4.files()) == sorted(names[:5])
    t4.sound(*names[:5])
    t4.get(names[6]).refused(404, "unknown_content")
    assert "0 blobs deleted" in t4.run("gc", "--keep", keep).stdout


def test_gc_keeps_what_came_after_the_list(t4, tmp_path):
    old = t4.store(blob(10))
    keep = keep_file(tmp_path, "f" * 64)
    os.utime(keep, (1, 1))
    *_, whole = t4.json("gc", "--keep", keep)
    assert (whole["deleted"], whole["young"]) == (0, 1)
    t4.sound(old)


@pytest.mark.parametrize(
    "lines", [["{a}", "x"], ["{A}"], ["{a} "], [" {a}"], ["{a}", "{a}{a}"], ["# comment"], ["{a}\0"], [""], [], ["{a}\t1000"]], ids=str
)
def test_gc_lists_that_are_none(t4, tmp_path, lines):
    """Nothing is deleted by a list that is not wholly understood, or that names nothing."""
    name = t4.store(blob(10))
    done = t4.run("gc", "--keep", keep_file(tmp_path, *(x.format(a=name, A=name.upper()) for x in lines)))
    assert done.returncode != 0 and "error:" in done.stderr, done
    t4.sound(name)


def test_gc_wants_a_list(t4, tmp_path):
    name = t4.store(blob(10))
    for args in ([], ["--keep", tmp_path / "nothing"], ["--keep", tmp_path]):
        assert t4.run("gc", *args).returncode in (1, 2)
    t4.sound(name)
    *_, whole = t4.json("gc", "--keep", keep_file(tmp_path), "--empty-list")
    assert whole["deleted"] == 1 and t4.files() == {}
