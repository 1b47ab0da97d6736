"""What a cascade on Restate survives: kills, stops, outages, new versions, strangers."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from cascade.actions import Result
from tests.contract.cascade.ends import (
    no_cascade_is_lost,
    sigterm_is_heard_and_the_next_goes_on,
    what_is_told_meanwhile_is_kept,
)
from tests.contract.cascade.rig import (
    HERD,
    LONG,
    PATIENT,
    Server,
    deliver,
    parked_of,
    plan,
    running_server,
    settled,
    start_herd,
)

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def patient(public_dir: Callable[[], Path]) -> Iterator[Server]:
    """A server that does not park while an endpoint starts again."""
    with running_server(public_dir, PATIENT) as running:
        yield running


@pytest.mark.parametrize(
    "victims", [["restate"], ["cascade"], ["restate", "cascade"]], ids="-".join
)
async def test_kills_lose_no_cascade_no_timer_and_no_outcome(
    patient: Server, mid: str, victims: list[str]
) -> None:
    def kill() -> None:
        for victim in victims:
            patient.kill(victim)

    async with patient.rig() as (rig, _):
        await no_cascade_is_lost(rig, mid, kill)


async def test_a_handler_killed_while_it_dispatches_dispatches_again_under_the_same_token(
    patient: Server, mid: str
) -> None:
    async with patient.rig() as (rig, _):
        rig.ledger.message(mid)
        rig.ledger.script(mid, "dispatch", 0, is_held=True)
        await rig.engine.start(mid, plan(LONG))
        await rig.ledger.until(lambda: rig.ledger.calls(mid, "dispatch"))
        patient.kill("cascade")
        await rig.ledger.until(lambda: len(rig.ledger.calls(mid, "dispatch")) == 2)
        rig.ledger.script(mid, "dispatch", 0)
        await deliver(rig, mid, 0)
        assert await rig.ledger.ended(mid) == Result(status="delivered", step=0)
        assert rig.ledger.calls(mid, "dispatch") == ["?", "0 accepted"]


async def test_a_handler_killed_while_it_tells_the_end_tells_it_again(
    patient: Server, mid: str
) -> None:
    async with patient.rig() as (rig, _):
        rig.ledger.message(mid)
        rig.ledger.script(mid, "finished", is_held=True)
        await rig.engine.start(mid, plan(LONG, LONG))
        await deliver(rig, mid, 0)
        await rig.ledger.until(lambda: rig.ledger.calls(mid, "finished"))
        patient.kill("cascade")
        rig.ledger.script(mid, "finished")
        assert await rig.ledger.ended(mid) == Result(status="delivered", step=0)
        assert rig.ledger.calls(mid, "take_over") == ["TakenOver"]


async def test_an_outcome_told_while_the_handler_is_gone_is_kept(patient: Server, mid: str) -> None:
    async with patient.rig() as (rig, _):
        await what_is_told_meanwhile_is_kept(rig, mid, patient.runner, "cascade")


async def test_sigterm_in_the_middle_of_the_work_ends_the_endpoint_and_the_next_goes_on(
    patient: Server, mid: str
) -> None:
    async with patient.rig() as (rig, _):
        await sigterm_is_heard_and_the_next_goes_on(rig, mid, patient.runner, "cascade", 3)


async def test_an_endpoint_away_for_too_long_parks_as_an_outage_and_goes_on_when_resumed(
    server: Server, mid: str
) -> None:
    async with server.rig() as (rig, _):
        rig.ledger.message(mid)
        server.runner.kill("cascade")
        await rig.engine.start(mid, plan(LONG))
        parked = await parked_of(rig, mid)
        assert parked.is_outage
        server.runner.start("cascade")
        assert await rig.operations.resume(mid)
        await deliver(rig, mid, 0)
        assert (await rig.ledger.ended(mid)).status == "delivered"


async def test_a_new_version_takes_new_cascades_while_old_ones_end_on_their_own(
    public_dir: Callable[[], Path], mid: str
) -> None:
    with running_server(public_dir, PATIENT) as server:
        async with server.rig() as (rig, operations):
            old = await start_herd(rig, f"{mid}-old", plan(LONG, LONG))
            for one in old:
                await rig.ledger.dispatched(one, 0)
            (first,) = await operations.versions()
            assert (first.is_newest, first.waiting) == (True, HERD)
            server.runner.stop("cascade")
            server.runner.start("cascade-2")  # on another port, as after a move
            newest = await operations.register(server.endpoint_url("cascade-2"), [1, 2])
            assert newest.uri == f"{server.endpoint_url('cascade-2')}/v2"
            new = await start_herd(rig, f"{mid}-new", plan(LONG, LONG))
            for one in new:
                await rig.ledger.dispatched(one, 0)
            waiting = [(v.uri[-2:], v.is_newest, v.waiting) for v in await operations.versions()]
            assert waiting == [("v1", False, HERD), ("v2", True, HERD)]
            assert await operations.drop_drained() == []
            for one in old + new:
                await deliver(rig, one, 0)
            for one in old + new:
                assert await rig.ledger.ended(one) == Result(status="delivered", step=0)
                await settled(rig, one)
            assert await operations.parked() == []
            assert [v.uri[-2:] for v in await operations.drop_drained()] == ["v1"]
            assert [v.uri[-2:] for v in await operations.versions()] == ["v2"]


async def test_registering_again_changes_nothing(server: Server) -> None:
    async with server.rig() as (_, operations):
        before = await operations.versions()
        await operations.register(server.endpoint_url() + "/", [1])
        assert [(v.id, v.uri) for v in await operations.versions()] == [
            (v.id, v.uri) for v in before
        ]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/health", 200),
        ("/v1/discover", 401),
        ("/v1/invoke/Cascade/run", 401),
        ("/v7/discover", 404),
        ("/", 404),
    ],
)
async def test_only_restate_may_call_the_endpoint(server: Server, path: str, status: int) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(server.endpoint_url() + path, data=b"{}") as answer,
    ):
        assert answer.status == status


async def test_a_second_endpoint_on_the_same_port_ends_with_an_error(server: Server) -> None:
    spec = next(spec for spec in server.plan.specs if spec.name == "cascade")
    second = subprocess.Popen(
        spec.argv,
        env=dict(spec.env),
        cwd=spec.cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        _, errors = await asyncio.to_thread(second.communicate, timeout=20)
    finally:
        second.kill()
    assert second.returncode not in (0, -signal.SIGKILL)
    assert b"ddress" in errors


async def test_no_token_gets_into_the_log(server: Server, mid: str) -> None:
    async with server.rig() as (rig, _):
        rig.ledger.message(mid)
        rig.ledger.script(mid, "finished", failures=1)
        await rig.engine.start(mid, plan(LONG))
        await deliver(rig, mid, 0)
        await rig.ledger.ended(mid)
        spec = next(spec for spec in server.plan.specs if spec.name == "cascade")
        log = Path(spec.log_path).read_text()
        assert "ZeroDivisionError" in log
        assert "sign_1" not in log
        assert "Traceback" not in log  # a store that is down fails many cascades at once
