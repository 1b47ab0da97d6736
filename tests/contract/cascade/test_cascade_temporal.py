"""What a cascade on Temporal survives: a worker's end, a server away, new versions, strangers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest
from msgspec import structs
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from cascade.actions import Result
from cascade.engines.temporal_calls import read_handle
from cascade.engines.temporal_client import TemporalEngine, TemporalSettings, connect
from cascade.engines.temporal_worker import RUNNER
from cascade.engines.temporal_workflow import Cascade, ParkedCascade
from cascade.token import StepToken, read_token
from hermes.core.errors import StoreUnavailable
from tests.contract.cascade.ends import (
    no_cascade_is_lost,
    sigterm_is_heard_and_the_next_goes_on,
    what_is_told_meanwhile_is_kept,
)
from tests.contract.cascade.next_temporal_version import NEXT, CascadeChangedInPlace
from tests.contract.cascade.rig import (
    HERD,
    LONG,
    SHORT,
    Rig,
    deliver,
    parked_of,
    plan,
    settled,
    start_herd,
    told,
)
from tests.contract.cascade.temporal_rig import (
    PATIENT_ON_TEMPORAL,
    TemporalServer,
    running_temporal,
)

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def patient(public_dir: Callable[[], Path]) -> Iterator[TemporalServer]:
    """A server whose worker does not park while it starts again."""
    with running_temporal(public_dir, PATIENT_ON_TEMPORAL) as running:
        yield running


def kill_worker(server: TemporalServer) -> None:
    server.runner.kill("worker")
    server.runner.start("worker")


async def test_a_worker_killed_loses_no_cascade_no_timer_and_no_outcome(
    patient: TemporalServer, mid: str
) -> None:
    async with patient.rig() as (rig, _):
        await no_cascade_is_lost(rig, mid, lambda: kill_worker(patient))


async def test_a_worker_killed_while_it_dispatches_dispatches_again_under_the_same_token(
    patient: TemporalServer, mid: str
) -> None:
    async with patient.rig() as (rig, _):
        rig.ledger.message(mid)
        rig.ledger.script(mid, "dispatch", 1, is_held=True)
        await rig.engine.start(mid, plan(SHORT, LONG))
        first = await rig.ledger.dispatched(mid, 0)
        await rig.ledger.until(lambda: len(rig.ledger.calls(mid, "dispatch")) == 2)
        kill_worker(patient)
        await rig.ledger.until(lambda: len(rig.ledger.calls(mid, "dispatch")) == 3)
        rig.ledger.script(mid, "dispatch", 1)
        await rig.ledger.dispatched(mid, 1)
        assert await rig.engine.outcome(first, told(0, "delivered")) == "told"
        assert await rig.ledger.ended(mid) == Result(status="delivered", step=0, stop=(1,))
        assert rig.ledger.calls(mid, "dispatch") == ["0 accepted", "?", "1 accepted"]


async def test_a_worker_that_keeps_cascades_in_memory_ends_each_of_many(
    public_dir: Callable[[], Path], mid: str
) -> None:
    settings = structs.replace(PATIENT_ON_TEMPORAL, cached=TemporalSettings().cached)
    with running_temporal(public_dir, settings) as server:
        async with server.rig() as (rig, _):
            herd = await start_herd(rig, mid, plan(SHORT, LONG, LONG))
            for one in herd:
                token = await rig.ledger.dispatched(one, 1)
                await rig.engine.outcome(token, told(1, "undelivered"))
            for one in herd[::2]:
                await deliver(rig, one, 2)
            for one in herd[1::2]:
                assert await rig.engine.cancel(one, "asked")
            ends = [await rig.ledger.ended(one) for one in herd]
            assert [(end.status, end.step, end.stop) for end in ends] == [
                ("delivered", 2, (0,)),
                ("cancelled", 2, (0, 2)),
            ] * (HERD // 2)


async def test_an_outcome_told_while_no_worker_runs_is_kept(
    patient: TemporalServer, mid: str
) -> None:
    async with patient.rig() as (rig, _):
        await what_is_told_meanwhile_is_kept(rig, mid, patient.runner, "worker")


async def test_sigterm_in_the_middle_of_the_work_ends_the_worker_and_the_next_goes_on(
    patient: TemporalServer, mid: str
) -> None:
    async with patient.rig() as (rig, _):
        await sigterm_is_heard_and_the_next_goes_on(rig, mid, patient.runner, "worker", 6)


async def test_sigterm_ends_a_worker_whose_call_does_not_end(
    temporal: TemporalServer, mid: str
) -> None:
    async with temporal.rig() as (rig, _):
        rig.ledger.message(mid)
        rig.ledger.script(mid, "dispatch", 0, is_held=True)
        await rig.engine.start(mid, plan(LONG))
        await rig.ledger.until(lambda: rig.ledger.calls(mid, "dispatch"))
        began = monotonic()
        assert temporal.runner.stop("worker")["worker"] == 0
        assert monotonic() - began < 6
        rig.ledger.script(mid, "dispatch", 0)
        temporal.runner.start("worker")
        await deliver(rig, mid, 0)
        assert (await rig.ledger.ended(mid)).status == "delivered"


async def test_a_server_that_is_away_is_a_store_that_is_unavailable(
    temporal: TemporalServer, mid: str
) -> None:
    async with temporal.rig() as (rig, _):
        client = await connect("127.0.0.1:9", temporal.settings)
        engine = TemporalEngine(client, temporal.settings)
        assert not (await engine.health()).is_up
        for call in (engine.start(mid, plan(LONG)), engine.cancel(mid, "x"), engine.status(mid)):
            with pytest.raises(StoreUnavailable, match="temporal is unavailable"):
                await call
        assert (await rig.engine.health()).is_up


async def test_every_history_replays_and_a_change_in_place_does_not(
    temporal: TemporalServer, mid: str
) -> None:
    async with temporal.rig() as (rig, client):
        keys = [f"{mid}-{what}" for what in ("won", "silent", "cancelled", "full", "parked")]
        won, silent, cancelled, full, parked = map(rig.ledger.message, keys)
        rig.ledger.script(full, "dispatch", 0, answers=["full", "full"])
        rig.ledger.script(parked, "dispatch", 1, failures=-1)
        for key in keys:
            await rig.engine.start(key, plan(SHORT, SHORT if key == silent else LONG))
        await deliver(rig, won, 0)
        await rig.ledger.dispatched(cancelled, 1)
        await rig.engine.cancel(cancelled, "asked")
        await deliver(rig, full, 1)
        await parked_of(rig, parked)
        await rig.ledger.ended(silent)
        histories = [await client.get_workflow_handle(key).fetch_history() for key in keys]

    async def replay(history: WorkflowHistory, *workflows: type) -> Exception | None:
        replayer = Replayer(
            workflows=workflows,
            data_converter=client.data_converter,
            workflow_runner=RUNNER,
        )
        result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
        return result.replay_failure

    for history in histories:
        assert await replay(history, Cascade, ParkedCascade) is None
        assert "ondeterminis" in str(await replay(history, CascadeChangedInPlace, ParkedCascade))


async def test_a_new_version_takes_new_cascades_while_old_ones_end_on_their_own(
    public_dir: Callable[[], Path], mid: str
) -> None:
    with running_temporal(public_dir, PATIENT_ON_TEMPORAL) as server:
        async with server.rig() as (rig, client):
            old = await start_herd(rig, f"{mid}-old", plan(LONG, LONG))
            for one in old:
                await rig.ledger.dispatched(one, 0)
            server.runner.stop("worker")
            server.runner.start("worker-2")
            newer = Rig(TemporalEngine(client, server.settings, NEXT), rig.operations, rig.ledger)
            new = await start_herd(newer, f"{mid}-new", plan(LONG, LONG))
            for one in old + new:
                await deliver(rig, one, 0)
            for one in old + new:
                assert await rig.ledger.ended(one) == Result(status="delivered", step=0)
                await settled(rig, one)
            described = await client.get_workflow_handle(new[0]).describe()
            assert described.workflow_type == NEXT
            assert await rig.operations.parked() == []


async def test_who_does_not_know_a_token_cannot_make_one(
    temporal: TemporalServer, mid: str
) -> None:
    async with temporal.rig() as (rig, _):
        rig.ledger.message(mid)
        await rig.engine.start(mid, plan(LONG, LONG))
        token = read_token(await rig.ledger.dispatched(mid, 0))
        assert isinstance(token, StepToken)
        handle = read_handle(token.final)
        assert handle is not None
        key, secret, slot = handle
        assert (key, slot, len(secret) >= 22) == (mid, "0", True)
        forged = StepToken("delivered", token.final.replace(secret, "A" * len(secret)))
        assert await rig.engine.outcome(str(forged), told(0, "delivered")) == "told"
        await deliver(rig, mid, 0)  # the right one still counts
        assert (await rig.ledger.ended(mid)).status == "delivered"


async def test_no_token_gets_into_the_log(temporal: TemporalServer, mid: str) -> None:
    async with temporal.rig() as (rig, _):
        rig.ledger.message(mid)
        for method in ("take_over", "dispatch", "finished"):
            rig.ledger.script(mid, method, failures=1)
        await rig.engine.start(mid, plan(LONG))
        await deliver(rig, mid, 0)
        await rig.ledger.ended(mid)
        handle = read_handle(rig.ledger.late(mid).rpartition(":")[2])
        assert handle is not None
        spec = next(spec for spec in temporal.runner.plan.specs if spec.name == "worker")
        log = Path(spec.log_path).read_text()
        assert "ZeroDivisionError" in log
        assert handle[1] not in log
        assert "Traceback" not in log  # a store that is down fails many cascades at once


def test_only_this_machine_reaches_the_test_server(temporal: TemporalServer) -> None:
    spec = next(spec for spec in temporal.runner.plan.specs if spec.name == "temporal")
    if notice := Path(spec.log_path).read_text():
        pytest.skip(notice)
    port = f"{temporal.runner.plan.ports['temporal']:04X}"
    table = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    rows = [line.split() for line in table.splitlines()]
    places = {place for _, place, _, state, *_ in rows if state == "0A"}
    assert {place for place in places if place.endswith(f":{port}")} == {f"0100007F:{port}"}


async def test_without_temporals_package_choosing_it_says_what_to_install() -> None:
    code = (
        "import sys, importlib.util as u\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'temporalio' else find(name, *a)\n"
        "import cascade.engines.memory, cascade.engines.restate_client\n"
        "assert 'temporalio' not in sys.modules\n"
        "import cascade.engines.temporal_worker\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert b"pip install temporalio==1.35.0" in errors
