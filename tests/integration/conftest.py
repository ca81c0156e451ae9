"""Fixtures of the integration tests. Every test runs on each storage asked for by --storage; every daemon is held to account when its test ends."""

import itertools
import json
import pathlib
import shutil
import tempfile

import pytest
from tana_testing import daemon, mesh, pg
from tana_testing.mesh import Mesh


def pytest_addoption(parser):
    parser.addoption("--storage", choices=("sqlite", "postgres", "both"), default="both", help="which databases the tests run on")
    parser.addoption("--require-coverage", action="store_true", help="fail when an answer or a refusal that the OpenAPI document promises was never seen")


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


def pytest_configure(config):
    config.addinivalue_line("markers", "storage_only(name): the test makes sense on this storage alone")
    if hasattr(config, "workerinput"):
        config.stash[_shared] = config.workerinput["tana"]
        return
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tana-tests-"))
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
    if shared["pg"] is not None:
        pg.Cluster(pathlib.Path(shared["folder"]) / "pg").stop()
    shutil.rmtree(shared["folder"], ignore_errors=True)


@pytest.fixture(scope="session")
def shared(request):
    return request.config.stash[_shared]


@pytest.fixture(scope="session")
def seen(shared, worker_id):
    """What answers were seen, kept for the coverage check of the whole run."""
    answers = []
    yield answers
    document = next(iter(mesh.documents.values()), None)
    promises = sorted(document.promises(), key=str) if document else []
    path = pathlib.Path(shared["folder"]) / f"seen-{worker_id}.json"
    path.write_text(json.dumps({"promises": promises, "seen": sorted(set(answers), key=str)}))


@pytest.fixture
def database(storage, shared, tmp_path):
    """Makes fresh databases: database() is a URL."""
    made = []

    def make():
        made.append(f"sqlite:{tmp_path}/mesh-{len(made)}.db" if storage == "sqlite" else pg.create_database(shared["pg"]))
        return made[-1]

    yield make
    for url in made:
        if storage == "postgres":
            pg.drop_database(shared["pg"], url)


@pytest.fixture
def mesh_factory(database, tmp_path, seen):
    """mesh_factory(...) starts a meshd on a fresh database (or on `db_url`); see Mesh for what can be chosen. All are stopped and judged at the end."""
    if not daemon.binary("meshd").exists():
        pytest.fail(f"{daemon.binary('meshd')} is not built")
    numbers = itertools.count()
    made = []

    def make(*, db_url=None, directory=None, start=True, **kw):
        mesh = Mesh(directory or tmp_path / f"mesh-{next(numbers)}", db_url or database(), seen=seen, **kw)
        made.append(mesh)
        return mesh.start() if start else mesh

    yield make
    problems = []
    for mesh in made:
        try:
            mesh.finish()
        except daemon.DaemonFailed as e:
            problems.append(str(e))
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


@pytest.fixture(name="mesh")
def running_mesh(mesh_factory):
    """A mesh with one sovereign key, as in production."""
    return mesh_factory()


@pytest.fixture
def dev_mesh(mesh_factory):
    """A mesh under --dev: it takes the older signed forms."""
    return mesh_factory(dev=True)


def pytest_terminal_summary(terminalreporter, config):
    """Every answer that the OpenAPI document promises is one that some test provoked."""
    if not config.getoption("--require-coverage") or hasattr(config, "workerinput"):
        return
    missing = _never_seen(pathlib.Path(config.stash[_shared]["folder"]))
    if missing:
        terminalreporter.section("promised by the OpenAPI document, never seen by a test", red=True)
        for line in missing:
            terminalreporter.line(line)


def _never_seen(folder):
    """Left out: 503s while 20,000 writes wait or while the daemon is going down, which last too short a time to be met for certain."""
    promises, seen = set(), set()
    for path in folder.glob("seen-*.json"):
        found = json.loads(path.read_text())
        promises |= {tuple(x) for x in found["promises"]}
        for method, template, status, code in found["seen"]:
            seen.add((method, template, None, code) if code else (method, template, status, None))
    missing = {(m, t, s, c) for m, t, s, c in promises - seen if not (c == "overloaded" and m == "POST") and c != "shutting_down"}
    return [f"{method} {template}: {code or status}" for method, template, status, code in sorted(missing, key=str)]


def pytest_sessionfinish(session):
    config = session.config
    if config.getoption("--require-coverage") and not hasattr(config, "workerinput") and _never_seen(pathlib.Path(config.stash[_shared]["folder"])):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
