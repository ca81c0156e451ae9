"""Fixtures of the tests of identityd. Every test runs on each storage asked for by --storage; every daemon is held to account when its test ends."""

import itertools
import sqlite3

import pytest
from tana_testing import daemon, pg
from tana_testing.identity import Identity, Ledger
from tana_testing.oidc import Provider
from tana_testing.storages import *  # noqa: F403


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
def identity_factory(database, tmp_path, seen, watched):
    """identity_factory(...) starts an identityd on a fresh database (or on `db_url`); see Identity for what can be chosen."""
    if not daemon.binary("identityd").exists():
        pytest.fail(f"{daemon.binary('identityd')} is not built")
    numbers = itertools.count()

    def make(*args, db_url=None, start=True, **kw):
        made = Identity(tmp_path / f"identity-{next(numbers)}", db_url or database(), args=[str(a) for a in args], seen=seen("identityd"), **kw)
        watched.append(made)
        return made.start() if start else made

    return make


@pytest.fixture
def provider_factory(database, tmp_path, seen, watched):
    """provider_factory(...) starts an OpenID Provider on a fresh database; see Provider for what can be chosen."""
    numbers = itertools.count()

    def make(*args, start=True, **kw):
        made = Provider(tmp_path / f"provider-{next(numbers)}", database(), args=args, seen=seen("identityd"), **kw)
        watched.append(made)
        return made.start() if start else made

    return make


@pytest.fixture
def provider(provider_factory):
    return provider_factory()


@pytest.fixture
def identity(identity_factory):
    return identity_factory()


@pytest.fixture
def identity_return(identity_factory):
    """One whose logins may lead to other places too."""
    return identity_factory("--allow-return-origin", "https://app.example", "--allow-return-origin", "https://app.example:8443/", "--allow-return-origin", "http://LOCALHOST:3000")


@pytest.fixture
def ledger(watched):
    made = Ledger()
    watched.append(made)
    return made


@pytest.fixture
def rows():
    """rows(identity, sql): what the database holds."""

    def ask(identity, sql):
        if identity.db_url.startswith("sqlite:"):
            c = sqlite3.connect(identity.db_url.removeprefix("sqlite:"), timeout=10)
            try:
                return [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in c.execute(sql).fetchall()]
            finally:
                c.close()
        with pg.connection(identity.db_url) as c:
            cursor = c.cursor()
            cursor.execute(sql)
            return [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in cursor.fetchall()]

    return ask


@pytest.fixture
def change():
    """change(identity, sql): changes the database behind the service's back."""

    def do(identity, sql):
        if identity.db_url.startswith("sqlite:"):
            c = sqlite3.connect(identity.db_url.removeprefix("sqlite:"), timeout=10)
            try:
                with c:
                    c.execute(sql)
            finally:
                c.close()
        else:
            with pg.connection(identity.db_url) as c:
                c.cursor().execute(sql)

    return do
