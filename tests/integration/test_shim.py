"""The fault shim does what the tests that rely on it assume."""

import errno
import subprocess
import sys
import time

from tana_testing.daemon import clean_environment
from tana_testing.shim import GROW, SYNC, WRITE, Faults


def python(faults, tmp_path, code):
    done = subprocess.run([sys.executable, "-c", code], env=clean_environment(tmp_path, faults.env), capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_wall_clock_is_shifted_and_the_monotonic_one_is_not(tmp_path):
    faults = Faults(tmp_path)
    faults.set_clock(3_600_500)
    wall, mono = python(faults, tmp_path, "import time; print(time.time(), time.monotonic())")
    assert abs(float(wall) - time.time() - 3600.5) < 10
    assert abs(float(mono) - time.monotonic()) < 10


def test_only_the_named_files_fail_and_only_as_often_as_asked(tmp_path):
    faults = Faults(tmp_path, tmp_path / "full")
    faults.fail(WRITE, errno.ENOSPC, skip=1, times=2)
    faults.fail(SYNC, errno.EIO)
    code = f"""
import os
def attempt(call, *args):
    try:
        call(*args)
        print("ok")
    except OSError as e:
        print(e.errno)
a = os.open({str(tmp_path / 'full.db')!r}, os.O_RDWR | os.O_CREAT)
b = os.open({str(tmp_path / 'other')!r}, os.O_RDWR | os.O_CREAT)
for fd in (b, a, a, a, a): attempt(os.write, fd, b"x")
attempt(os.fsync, a); attempt(os.fsync, b); attempt(os.ftruncate, a, 9)
"""
    assert python(faults, tmp_path, code) == ["ok", "ok", str(errno.ENOSPC), str(errno.ENOSPC), "ok", str(errno.EIO), "ok", "ok"]
    assert faults.hits(WRITE) == 2 and faults.hits(SYNC) == 1 and faults.hits(GROW) == 0


def test_on_a_full_disk_nothing_new_can_be_made_and_nothing_grows(tmp_path):
    faults = Faults(tmp_path, tmp_path / "full")
    (tmp_path / "full.db").write_bytes(b"there")
    faults.full_disk()
    code = f"""
import os
def attempt(call, *args):
    try:
        call(*args)
        print("ok")
    except OSError as e:
        print(e.errno)
fd = os.open({str(tmp_path / 'full.db')!r}, os.O_RDWR)
attempt(os.open, {str(tmp_path / 'full-new')!r}, os.O_RDWR | os.O_CREAT)
attempt(os.write, fd, b"x"); attempt(os.pwrite, fd, b"x", 9); attempt(os.ftruncate, fd, 99); attempt(os.posix_fallocate, fd, 0, 99)
print(os.read(fd, 10).decode())
"""
    assert python(faults, tmp_path, code) == [str(errno.ENOSPC)] * 5 + ["there"]
    faults.heal()
    assert python(faults, tmp_path, code)[:5] == ["ok"] * 5
