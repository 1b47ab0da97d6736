"""Fixtures for every test: the real services, started once per run, and a fresh database."""

from __future__ import annotations

import faulthandler
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from hermes.embedded.endpoints import Endpoints
from hermes.testing.services import running_services

MEMORY_DIR_BYTES = 2 * 2**30


class MakeDatabase(Protocol):
    """Creates a database of that name as a copy of the template and returns its DSN."""

    def __call__(self, name: str, template: str = "template0") -> str: ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark whatever needs the real services, for `-m "not services"`."""
    for item in items:
        if "services" in getattr(item, "fixturenames", ()):
            item.add_marker("services")


@pytest.fixture(autouse=True)
def _no_traceback_dump(request: pytest.FixtureRequest) -> None:
    """A row of the kill table takes minutes: it has deadlines of its own."""
    if request.node.get_closest_marker("chaos") is not None:
        faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session")
def public_dir() -> Iterator[Callable[[], Path]]:
    """Make directories others may enter: pytest's tmp_path is 0700, which keeps PostgreSQL out."""
    made: list[Path] = []

    def make() -> Path:
        path = Path(tempfile.mkdtemp(prefix="hermes-test-", dir=_memory_dir()))
        path.chmod(0o755)
        made.append(path)
        return path

    yield make
    for path in made:
        shutil.rmtree(path, ignore_errors=True)


def _memory_dir() -> str | None:
    """Where files cost no disk: a busy disk makes a start, and the removal, take many seconds."""
    shm = Path("/dev/shm")
    if not os.access(shm, os.W_OK | os.X_OK):
        return None
    found = os.statvfs(shm)
    is_roomy = found.f_bavail * found.f_frsize >= MEMORY_DIR_BYTES
    return str(shm) if is_roomy and not found.f_flag & os.ST_NOEXEC else None


@pytest.fixture(scope="session")
def services(public_dir: Callable[[], Path]) -> Iterator[Endpoints]:
    """NATS, Valkey and PostgreSQL, started at the first use and shared by the whole run.

    Keep to yourself in them: own stream and subject prefix, own key prefix, own `database`.
    """
    with running_services(("nats", "valkey", "postgres"), public_dir()) as endpoints:
        yield endpoints


@pytest.fixture(scope="session")
def make_database(services: Endpoints) -> MakeDatabase:
    """Create databases; they go with the services at the end of the run."""

    def make(name: str, template: str = "template0") -> str:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        _admin(services, statement.format(sql.Identifier(name), sql.Identifier(template)))
        return services.postgres_dsn.replace("@/hermes?", f"@/{name}?")

    return make


@pytest.fixture(scope="session")
def database_template() -> str:
    """Name of the database that `database` copies: an empty one.

    A conftest.py further down overrides it where tables are wanted: it creates a database with
    `make_database`, migrates it, closes every connection to it and returns its name.
    """
    return "template0"


@pytest.fixture
def database(
    services: Endpoints, make_database: MakeDatabase, database_template: str
) -> Iterator[str]:
    """DSN of a database of the test's own, copied from the template and dropped afterwards."""
    name = f"t_{uuid4().hex}"
    yield make_database(name, database_template)
    _admin(services, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _admin(services: Endpoints, statement: sql.Composed) -> None:
    with psycopg.connect(services.postgres_dsn, autocommit=True) as connection:
        connection.execute(statement)
