"""For conftests (`from tana_testing.storages import *`): every test with the fixture `storage` runs on each database asked for by --storage, and every answer
that a daemon's OpenAPI document promises can be asked to have been seen. Several folders may use it in one run."""

import contextlib
import json
import os
import pathlib
import shutil
import tempfile

import pytest

from . import pg
from .mesh import documents

__all__ = [
    "database", "pytest_addoption", "pytest_configure", "pytest_configure_node", "pytest_generate_tests", "pytest_sessionfinish", "pytest_terminal_summary",
    "pytest_unconfigure", "seen", "shared",
]


def pytest_addoption(parser):
    try:
        parser.addoption("--storage", choices=("sqlite", "postgres", "both"), default="both", help="which databases the tests run on")
        coverage = "fail when an answer or a refusal that an OpenAPI document promises was never seen"
        parser.addoption("--require-coverage", action="store_true", help=coverage)
    except ValueError:
        pass  # another folder's conftest was here before


def _storages(config):
    chosen = config.getoption("--storage")
    return ("sqlite", "postgres") if chosen == "both" else (chosen,)


def pytest_generate_tests(metafunc):
    if "storage" in metafunc.fixturenames:
        only = metafunc.definition.get_closest_marker("storage_only")
        storages = [s for s in _storages(metafunc.config) if only is None or s == only.args[0]]
        metafunc.parametrize("storage", storages, scope="session")


# One PostgreSQL and one folder of observations for all workers: the controller owns both.

_shared = pytest.StashKey[dict]()
ROOM = 4 << 30  # far more than a run ever took


def _in_memory():
    """A folder that stays in memory, if there is room. No test cuts the power, and a database for each test is three hundred files each time."""
    with contextlib.suppress(OSError):
        if shutil.disk_usage("/dev/shm").free > ROOM and os.access("/dev/shm", os.W_OK):
            return "/dev/shm"
    return None


def pytest_configure(config):
    if _shared in config.stash:
        return
    config.addinivalue_line("markers", "storage_only(name): the test makes sense on this storage alone")
    if hasattr(config, "workerinput"):
        config.stash[_shared] = config.workerinput["tana"]
        return
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tana-tests-", dir=_in_memory()))
    folder.chmod(0o755)
    shared = {"folder": str(folder), "pg": None}
    if "postgres" in _storages(config) and not config.option.collectonly:
        shared["pg"] = pg.Cluster(folder / "pg").start().url
    config.stash[_shared] = shared


def pytest_configure_node(node):
    node.workerinput["tana"] = node.config.stash[_shared]


def pytest_unconfigure(config):
    shared = config.stash.get(_shared, None)
    if shared is None or hasattr(config, "workerinput"):
        return
    del config.stash[_shared]
    if shared["pg"] is not None:
        pg.Cluster(pathlib.Path(shared["folder"]) / "pg").stop()
    shutil.rmtree(shared["folder"], ignore_errors=True)


@pytest.fixture(scope="session")
def shared(request):
    return request.config.stash[_shared]


@pytest.fixture(scope="session")
def seen(shared, worker_id):
    """seen(program): the list of what that program was seen to answer, kept for the coverage check of the whole run."""
    answers = {}
    yield lambda program: answers.setdefault(program, [])
    for path, document in documents.items():
        program = pathlib.Path(path).name
        if program in answers:
            found = {"program": program, "promises": sorted(document.promises(), key=str), "seen": sorted(set(answers[program]), key=str)}
            (pathlib.Path(shared["folder"]) / f"seen-{program}-{worker_id}.json").write_text(json.dumps(found))


@pytest.fixture
def database(storage, shared, tmp_path):
    """Makes fresh databases: database() is a URL."""
    made = []

    def make():
        made.append(f"sqlite:{tmp_path}/test-{len(made)}.db" if storage == "sqlite" else pg.create_database(shared["pg"]))
        return made[-1]

    yield make
    for url in made:
        if storage == "postgres":
            pg.drop_database(shared["pg"], url)


def pytest_terminal_summary(terminalreporter, config):
    """Every answer that the OpenAPI document promises is one that some test provoked."""
    missing = _missing(config)
    if missing:
        terminalreporter.section("promised by an OpenAPI document, never seen by a test", red=True)
        for line in missing:
            terminalreporter.line(line)


def _missing(config):
    if not config.getoption("--require-coverage") or hasattr(config, "workerinput"):
        return []
    return _never_seen(pathlib.Path(config.stash[_shared]["folder"]))


def _never_seen(folder):
    """Left out: 503s while 20,000 writes wait or while the daemon is going down, which last too short a time to be met for certain."""
    promises, seen = set(), set()
    for path in folder.glob("seen-*.json"):
        found = json.loads(path.read_text())
        promises |= {(found["program"], *x) for x in found["promises"]}
        for method, template, status, code in found["seen"]:
            seen.add((found["program"], method, template, None, code) if code else (found["program"], method, template, status, None))
    missing = {(p, m, t, s, c) for p, m, t, s, c in promises - seen if not (c == "overloaded" and m == "POST") and c != "shutting_down"}
    return [f"{program}: {method} {template}: {code or status}" for program, method, template, status, code in sorted(missing, key=str)]


def pytest_sessionfinish(session):
    if _missing(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
