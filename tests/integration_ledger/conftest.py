"""Fixtures of the ledger's tests. Every test with a daemon runs on each storage asked for by --storage; every daemon is held to account when its test ends."""

import itertools

import pytest
from tana_testing import daemon
from tana_testing.ledger import Ledgerd
from tana_testing.mesh import Mesh
from tana_testing.redis import Redis
from tana_testing.storages import *  # noqa: F403
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
def ledger_factory(database, tmp_path, seen, watched):
    """ledger_factory(...) starts a ledgerd on a fresh database (or on `db_url`); see Ledgerd for what can be chosen."""
    if not daemon.binary("ledgerd").exists():
        pytest.fail(f"{daemon.binary('ledgerd')} is not built")
    numbers = itertools.count()

    def make(*args, db_url=None, directory=None, start=True, **kw):
        made = Ledgerd(directory or tmp_path / f"ledger-{next(numbers)}", db_url or database(), args=args, seen=seen("ledgerd"), **kw)
        watched.append(made)
        return made.start() if start else made

    return make


@pytest.fixture
def ledger(ledger_factory):
    """A ledger that makes a block every 20 ms while transactions wait."""
    return ledger_factory()


@pytest.fixture
def redis(tmp_path, watched):
    made = Redis(tmp_path / "redis").start()
    watched.append(made)
    return made


@pytest.fixture
def t4_factory(tmp_path, watched):
    numbers = itertools.count()

    def make(*args, start=True, **kw):
        made = T4(tmp_path / f"t4-{next(numbers)}", args=[str(a) for a in args], **kw)
        watched.append(made)
        return made.start() if start else made

    return make


@pytest.fixture
def mesh(tmp_path, watched):
    """A coordinator with one sovereign key."""
    made = Mesh(tmp_path / "mesh", f"sqlite:{tmp_path}/mesh.db")
    watched.append(made)
    return made.start()
