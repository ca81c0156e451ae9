"""Fixtures of the integration tests. Every test runs on each storage asked for by --storage; every daemon is held to account when its test ends."""

import collections
import itertools
import json
import pathlib
import shutil
import tempfile

import pytest
from tana_testing import daemon, pg
from tana_testing.mesh import Mesh


def pytest_addoption(parser):
    parser.addoption("--storage", choices=("sqlite", "postgres", "both"), default="both", help="which databases the tests run on")


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
    counts = collections.Counter(answers)
    path = pathlib.Path(shared["folder"]) / f"seen-{worker_id}.json"
    path.write_text(json.dumps([[*k, n] for k, n in counts.items()]))


@pytest.fixture
def database(storage, shared, tmp_path):
    """Makes fresh databases: database() is a URL."""
    made = []

    def make():
        if storage == "sqlite":
            return f"sqlite:{tmp_path}/mesh-{len(made)}.db"
        made.append(pg.create_database(shared["pg"]))
        return made[-1]

    yield make
    for url in made:
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


@pytest.fixture
def mesh(mesh_factory):
    """A mesh with one sovereign key, as in production."""
    return mesh_factory()


@pytest.fixture
def dev_mesh(mesh_factory):
    """A mesh under --dev: it takes the older signed forms."""
    return mesh_factory(dev=True)
