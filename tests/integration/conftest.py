"""Fixtures of the integration tests. Every test runs on each storage asked for by --storage; every daemon is held to account when its test ends."""

import itertools

import pytest
from tana_testing import daemon
from tana_testing.mesh import Mesh
from tana_testing.storages import *  # noqa: F403


@pytest.fixture
def mesh_factory(database, tmp_path, seen):
    """mesh_factory(...) starts a meshd on a fresh database (or on `db_url`); see Mesh for what can be chosen. All are stopped and judged at the end."""
    if not daemon.binary("meshd").exists():
        pytest.fail(f"{daemon.binary('meshd')} is not built")
    numbers = itertools.count()
    made = []

    def make(*, db_url=None, directory=None, start=True, **kw):
        mesh = Mesh(directory or tmp_path / f"mesh-{next(numbers)}", db_url or database(), seen=seen("meshd"), **kw)
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
