"""A Restate server for the tests of this folder, and the engines their promises are kept by."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.contract.cascade.rig import IMPATIENT, Rig, Server, memory_rig, running_server


@pytest.fixture(scope="session")
def server(public_dir: Callable[[], Path]) -> Iterator[Server]:
    """A Restate server and an endpoint shared by the tests of this folder; soon parks."""
    with running_server(public_dir, IMPATIENT) as running:
        yield running


@pytest.fixture(params=["memory", pytest.param("restate", marks=pytest.mark.services)])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    if request.param == "memory":
        async with memory_rig(tmp_path / "ledger.sqlite") as made:
            yield made
    else:
        async with request.getfixturevalue("server").rig() as (connected, _):
            yield connected


@pytest.fixture
def mid() -> str:
    """An id that has to be quoted in a URL, as ids of other makes might."""
    return f"msg {uuid4().hex}/é"
