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
_STEPS_AT = _PATH_AT + 512
_KINDS_AT = _STEPS_AT + 11 * 8
_SIZE = _KINDS_AT + 1024
#: Actions at a step beside an errno.
KILL, TEAR, SHORT = -1, -2, -3


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
        self.path.write_bytes(struct.pack("<17q", *([0] * 17)) + str(path_prefix).encode().ljust(_SIZE - _PATH_AT, b"\0"))
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

    def count_steps(self, first=0, last=None, action=0, only=None):
        """From now on every call that changes a file counts; at those from first to last (from 1; of the kind `only`, if given) the action is taken: an errno, KILL, TEAR, SHORT."""
        self._put(_STEPS_AT, 0)
        for i, value in enumerate((0, ord(only) if only else 0, 0, first, first if last is None else last, action, 0)):
            self._put(_STEPS_AT + 8 + 8 * i, value)
        self._put(_STEPS_AT, 1)

    def steps(self):
        """What was counted, one letter a call: open, write, sync, truncate, link, rename, unlink. Counting ends."""
        self._put(_STEPS_AT, 0)
        count = min(self._get(_STEPS_AT + 8), 1024)
        return self.page[_KINDS_AT : _KINDS_AT + count].decode()

    def step_hits(self):
        return self._get(_STEPS_AT + 56)

    def without_nameless_files(self):
        """As on a file system that has no O_TMPFILE."""
        self._put(_STEPS_AT + 64, 1)

    def unknown_file_system(self):
        """As on one whose kind says nothing about what it can do."""
        self._put(_STEPS_AT + 72, 1)

    def with_verity(self):
        """As where files can be sealed."""
        self._put(_STEPS_AT + 80, 1)

    def sealed(self):
        """How many were; a start's probe is one."""
        return self._get(_STEPS_AT + 80) - 1

    def full_disk(self):
        for op in (WRITE, GROW, OPEN):
            self.fail(op, errno.ENOSPC)

    def heal(self):
        for op in (WRITE, SYNC, GROW, OPEN):
            self._put(8 + op * 32, 0)
        self._put(_STEPS_AT, 0)
