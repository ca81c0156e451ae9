"""Throw-away PostgreSQL for tests: a cluster by tests/pg-temp.sh, and a fresh database a test."""

import contextlib
import itertools
import os
import pathlib
import subprocess
import urllib.parse

import psycopg2

SCRIPT = pathlib.Path(__file__).parents[2] / "pg-temp.sh"
_numbers = itertools.count(1)


class Cluster:
    """A PostgreSQL of one's own below `directory`."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)

    def _script(self, verb, *more):
        done = subprocess.run(["sh", str(SCRIPT), verb, str(self.directory), *more], capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"pg-temp.sh {verb}: exit {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout.strip()

    def start(self):
        # No test cuts the power of the machine that PostgreSQL runs on.
        self._script("start", "fsync=off", "max_connections=400")
        return self

    def crash(self):
        self._script("down")

    def up(self):
        self._script("up")

    def stop(self):
        """Stops it and removes it."""
        self._script("stop")

    @property
    def url(self):
        return self._script("url")


def with_database(url, name):
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(path="/" + name))


@contextlib.contextmanager
def connection(url):
    """An autocommitting connection."""
    c = psycopg2.connect(url)
    c.autocommit = True
    try:
        yield c
    finally:
        c.close()


def create_database(url):
    """A fresh database beside the one of `url`; returns its URL."""
    name = f"t_{os.getpid()}_{next(_numbers)}"
    with connection(url) as c:
        c.cursor().execute(f'CREATE DATABASE "{name}"')
    return with_database(url, name)


def drop_database(base_url, url):
    name = urllib.parse.urlsplit(url).path.lstrip("/")
    with connection(base_url) as c:
        c.cursor().execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
