"""Fixtures of the tests of t4d: every daemon is held to account when its test ends."""

import itertools

import pytest
from tana_testing import daemon
from tana_testing.mesh import Mesh
from tana_testing.t4 import T4


@pytest.fixture
def watched():
    """Everything appended is finished when the test ends, the last one first; what was wrong with any of it fails the test."""
    made = []
    yield made
    problems = []
    for one in reversed(made):
        try:
            one.finish()
        except daemon.DaemonFailed as e:
            problems.append(str(e))
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


@pytest.fixture
def t4_factory(tmp_path, watched):
    """t4_factory(...) starts a t4d on a fresh directory (or on `data`); see T4 for what can be chosen."""
    if not daemon.binary("t4d").exists():
        pytest.fail(f"{daemon.binary('t4d')} is not built")
    numbers = itertools.count()

    def make(*args, start=True, **kw):
        made = T4(tmp_path / f"t4-{next(numbers)}", args=[str(a) for a in args], **kw)
        watched.append(made)
        return made.start() if start else made

    return make


@pytest.fixture
def t4(t4_factory):
    return t4_factory()


@pytest.fixture
def mesh(tmp_path, watched):
    """A coordinator with one sovereign key."""
    made = Mesh(tmp_path / "mesh", f"sqlite:{tmp_path}/mesh.db")
    watched.append(made)
    return made.start()
