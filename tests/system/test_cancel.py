"""A cancelled message is never sent; one the carrier may have cannot be cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from hermes.testing.daemon_process import (
    SCALED,
    CarrierProcess,
    Client,
    DaemonProcess,
    client_of,
    running_carrier,
    running_daemon,
)

pytestmark = pytest.mark.daemon


@pytest.fixture(scope="module")
def carrier() -> Iterator[CarrierProcess]:
    with running_carrier(latency_ms=500, receipt_delay_ms=100) as running:
        yield running


@pytest.fixture(scope="module")
def daemon(carrier: CarrierProcess) -> Iterator[DaemonProcess]:
    with running_daemon(SCALED, config=carrier.configure(window=1)) as running:
        yield running


async def delete(client: Client, name: str) -> tuple[int, dict[str, Any]]:
    """Cancel a message."""
    async with client.session.delete(f"{client.url}/v1/messages/{name}") as answer:
        return answer.status, await answer.json()


async def test_cancel_wins_before_the_claim_and_loses_after_it(
    carrier: CarrierProcess, daemon: DaemonProcess
) -> None:
    async with client_of(daemon) as client:
        names = [await client.send(f"+45100000{n:02d}0") for n in range(12)]
        await asyncio.sleep(0.3)
        last = names[-1]
        assert last is not None
        status, body = await delete(client, last)
        assert (status, body["state"]) == (200, "cancelled")
        assert (await delete(client, last))[0] == 200
        views = await client.wait_final(30)
        assert views[last]["state"] == "cancelled"
        assert [e["kind"] for e in views[last]["events"]] == ["cancelled"]
        states = [views[name or ""]["state"] for name in names[:-1]]
        assert states == ["delivered"] * 11
        first = names[0]
        assert first is not None
        status, body = await delete(client, first)
        assert (status, body["type"]) == (409, "urn:hermes:problem:conflict")
        assert (await delete(client, "msg_00000000000000000000000000"))[0] == 404
    came = [line["destination"] for line in carrier.log() if line["event"] == "submit"]
    assert "4510000110" not in came
    assert len(came) == 11
