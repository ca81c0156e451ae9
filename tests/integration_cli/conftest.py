"""Fixtures of the tests of the tana command: users with folders of their own, a real coordinator, and one that lies."""

import shutil

import pytest
from tana_cli import Liar, User, write_key
from tana_testing.daemon import binary
from tana_testing.mesh import Mesh


@pytest.fixture
def user_factory(tmp_path):
    if not binary("tana").exists():
        pytest.fail(f"{binary('tana')} is not built")
    made = []

    def make(name="user", url=None):
        made.append(User(tmp_path / name, url))
        return made[-1]

    yield make
    for user in made:
        for background in user.background:
            if background.process.poll() is None:
                background.process.kill()
                background.process.wait()
        for chain in sorted(p.parent for p in user.state.glob("*/run")):
            user("stop", "--chain", chain.name, "--quiet")


@pytest.fixture
def mesh(tmp_path):
    """A real coordinator, held to account when the test ends."""
    made = Mesh(tmp_path / "mesh", f"sqlite:{tmp_path}/mesh.db", args=["--heartbeat-timeout", "2s"])
    made.start()
    yield made
    made.finish()


@pytest.fixture
def url(mesh):
    return f"http://{mesh.daemon.address}"


@pytest.fixture
def user(user_factory, url):
    """A user of that coordinator, without keys."""
    return user_factory("user", url)


@pytest.fixture
def sovereign(user_factory, url, mesh):
    """The one whose key decides."""
    made = user_factory("sovereign", url)
    write_key(made.config / "sovereign-key.json", mesh.sovereign)
    return made


@pytest.fixture
def liar(url):
    made = Liar(url)
    yield made
    made.stop()


@pytest.fixture
def shell():
    """shell("zsh") is its path; the test is skipped where it is not installed."""

    def find(name):
        path = shutil.which(name)
        if not path:
            pytest.skip(f"{name} is not installed")
        return path

    return find
