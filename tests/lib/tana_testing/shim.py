"""Faults that happen beneath a daemon: a wall clock that is set, a disk that is full or fails. Drives tests/shim by its control page."""

import errno
import mmap
import os
import pathlib
import struct
import subprocess
import tempfile

from .daemon import BUILD, ROOT

WRITE, SYNC, GROW, OPEN = range(4)
_PATH_AT = 8 + 4 * 32
_SIZE = _PATH_AT + 512


def library():
    """Builds the shim once per build folder."""
    made = BUILD / "shim" / "faults.so"
    sources = sorted((ROOT / "tests" / "shim").glob("*.c"))
    newest = max(p.stat().st_mtime for p in [*sources, ROOT / "tests" / "shim" / "faults.h"])
    if not made.exists() or made.stat().st_mtime < newest:
        made.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=made.parent, delete=False) as f:
            temporary = pathlib.Path(f.name)
        subprocess.run([os.environ.get("CC", "cc"), "-std=c17", "-O2", "-shared", "-fPIC", "-o", temporary, *sources, "-ldl"], check=True)
        temporary.rename(made)
    return made


class Faults:
    """A control page; `env` is what the daemon must be started with."""

    def __init__(self, directory, path_prefix=""):
        self.path = pathlib.Path(directory) / "shim-control"
        self.path.write_bytes(struct.pack("<17q", *([0] * 17)) + str(path_prefix).encode().ljust(512, b"\0"))
        self.file = open(self.path, "r+b")
        self.page = mmap.mmap(self.file.fileno(), _SIZE)
        self.env = {"LD_PRELOAD": str(library()), "TANA_SHIM_CONTROL": str(self.path)}

    def _put(self, at, value):
        self.page[at : at + 8] = struct.pack("<q", value)

    def _get(self, at):
        return struct.unpack("<q", self.page[at : at + 8])[0]

    def set_clock(self, offset_ms):
        self._put(0, int(offset_ms))

    def fail(self, op, error, skip=0, times=-1):
        """From now on: after `skip` calls, `times` calls of this kind fail (-1: all)."""
        at = 8 + op * 32
        self._put(at + 8, skip)
        self._put(at + 16, times)
        self._put(at + 24, 0)
        self._put(at, error)

    def hits(self, op):
        return self._get(8 + op * 32 + 24)

    def full_disk(self):
        for op in (WRITE, GROW, OPEN):
            self.fail(op, errno.ENOSPC)

    def heal(self):
        for op in (WRITE, SYNC, GROW, OPEN):
            self._put(8 + op * 32, 0)
