"""Servers for the tests of this folder, and the engines their promises are kept by."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.contract.cascade import temporal_rig
from tests.contract.cascade.rig import IMPATIENT, Rig, Server, memory_rig, running_server
from tests.contract.cascade.temporal_rig import TemporalServer, running_temporal


@pytest.fixture(scope="session")
def server(public_dir: Callable[[], Path]) -> Iterator[Server]:
    """A Restate server and an endpoint shared by the tests of this folder; soon parks."""
    with running_server(public_dir, IMPATIENT) as running:
        yield running


@pytest.fixture(scope="session")
def temporal(public_dir: Callable[[], Path]) -> Iterator[TemporalServer]:
    """Temporal's test server and a worker shared by the tests of this folder; soon parks."""
    with running_temporal(public_dir, temporal_rig.IMPATIENT) as running:
        yield running


ENGINES = [
    "memory",
    pytest.param("server", id="restate", marks=pytest.mark.services),
    pytest.param("temporal", marks=pytest.mark.services),
]


@pytest.fixture(params=ENGINES)
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    if request.param == "memory":
        async with memory_rig(tmp_path / "ledger.sqlite") as made:
            yield made
    else:
        running: Server | TemporalServer = request.getfixturevalue(request.param)
        async with running.rig() as (connected, _):
            yield connected


@pytest.fixture
def mid() -> str:
    """An id that has to be quoted in a URL, as ids of other makes might."""
    return f"msg {uuid4().hex}/é"
