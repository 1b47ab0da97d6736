"""A cascade whose handler keeps failing is parked in sight; an operator resumes it or fails it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from hermes.testing.daemon_process import (
    SCALED,
    CarrierProcess,
    DaemonProcess,
    client_of,
    running_carrier,
    running_daemon,
)
from tests.system.cascades import DELIVERED, final, registered, send, sms, submits

pytestmark = [pytest.mark.daemon, pytest.mark.services]

WITHIN = 40.0
POISON = """
create function poison() returns trigger language plpgsql as $$
begin
    raise exception 'poison';
end $$;
create trigger poison before update of cascade_owner on message
    for each row when (new.reference = 'poison') execute function poison()"""
CURE = "drop trigger poison on message; drop function poison()"


@pytest.fixture(scope="module")
def carrier() -> Iterator[CarrierProcess]:
    with running_carrier(latency_ms=10, receipt_delay_ms=50) as running:
        yield running


@pytest.fixture(scope="module")
def daemon(carrier: CarrierProcess) -> Iterator[DaemonProcess]:
    env = {
        **SCALED,
        "HERMES_RESTATE__ENABLED": "true",
        "HERMES_RESTATE__RETRY_MAX": "0.2",
        "HERMES_RESTATE__RETRY_ATTEMPTS": "3",
    }
    with running_daemon(env, config=carrier.configure(window=10)) as running:
        yield running


def run_sql(daemon: DaemonProcess, text: str) -> None:
    with psycopg.connect(daemon.wiring["postgres_dsn"], autocommit=True) as connection:
        connection.execute(text)


def hermes(daemon: DaemonProcess, *words: str) -> tuple[int, Any]:
    """Run `hermes cascade … --json`."""
    ended = daemon.run("cascade", *words, "--json")
    return ended.returncode, json.loads(ended.stdout) if ended.stdout else ended.stderr


async def parked(daemon: DaemonProcess, count: int) -> list[dict[str, Any]]:
    """Wait until so many are parked."""
    async with asyncio.timeout(WITHIN):
        while True:
            _, found = await asyncio.to_thread(hermes, daemon, "parked")
            if len(found) == count:
                return list(found)
            await asyncio.sleep(0.1)


async def test_poison_is_parked_resumed_and_failed(
    carrier: CarrierProcess, daemon: DaemonProcess
) -> None:
    await registered(daemon)
    await asyncio.to_thread(run_sql, daemon, POISON)
    async with client_of(daemon) as client:
        steps = [(sms(DELIVERED, 600), sms(DELIVERED)) for _ in range(2)]
        names = [await send(client, *pair, reference="poison") for pair in steps]
        healthy = await send(client, sms(DELIVERED, 600), sms(DELIVERED))
        assert (await final(client, healthy))["state"] == "delivered"
        found = await parked(daemon, 2)
        assert {one["mid"] for one in found} == set(names)
        assert all("poison" in one["failure"] for one in found)
        assert (await client.view(names[0]))["state"] == "processing"

        words = ("fail", names[0], "--reason", "broken")
        code, answer = await asyncio.to_thread(hermes, daemon, *words)
        assert (code, answer["done"]) == (0, "failed")
        view = await client.view(names[0])
        assert (view["state"], view["reason"]["text"]) == ("failed", "broken")

        await asyncio.to_thread(run_sql, daemon, CURE)
        code, _ = await asyncio.to_thread(hermes, daemon, "resume", names[1])
        assert code == 0
        assert (await final(client, names[1]))["state"] == "delivered"
        assert await parked(daemon, 0) == []
        assert [submits(carrier, *pair) for pair in steps] == [[0, 0], [1, 0]]

        code, said = await asyncio.to_thread(hermes, daemon, "resume", names[1])
        assert (code, said) == (1, f"hermes: {names[1]} is not parked\n")
