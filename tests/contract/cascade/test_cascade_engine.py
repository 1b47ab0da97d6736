"""What a cascade engine promises, kept in memory, by Restate and by Temporal alike."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import get_args

import pytest

from cascade.actions import Result
from cascade.engine import EngineStatus
from cascade.engines.memory import utc_now
from cascade.events import LADDER, Failure, Outcome
from cascade.policy import EXPIRED, SILENT
from hermes.core.plan import Plan, Step
from hermes.core.units import Reason, Success
from tests.contract.cascade.rig import LONG, SHORT, Rig, parked_of, plan, told

LEVELS: tuple[Success, ...] = LADDER


async def test_the_first_success_wins_and_no_further_step_is_sent(rig: Rig, mid: str) -> None:
    rig.ledger.message(mid)
    assert await rig.engine.start(mid, plan(LONG, LONG)) == "accepted"
    token = await rig.ledger.dispatched(mid, 0)
    assert await rig.engine.outcome(token, told(0, "delivered")) == "told"
    assert await rig.ledger.ended(mid) == Result(status="delivered", step=0)
    assert rig.ledger.states(mid) == {0: "won"}


async def test_a_failed_step_is_followed_at_once_and_a_silent_one_after_its_wait(
    rig: Rig, mid: str
) -> None:
    rig.ledger.message(mid)
    await rig.engine.start(mid, plan(LONG, SHORT, LONG))
    await rig.engine.outcome(await rig.ledger.dispatched(mid, 0), told(0, "undelivered"))
    await rig.ledger.dispatched(mid, 1)
    token = await rig.ledger.dispatched(mid, 2)
    assert rig.ledger.states(mid) == {0: "stopped", 1: "stopped", 2: "queued"}
    await rig.engine.outcome(token, told(2, "read"))
    assert await rig.ledger.ended(mid) == Result(status="read", step=2, stop=(1,))


async def test_a_second_start_is_a_duplicate_while_it_runs_and_after(rig: Rig, mid: str) -> None:
    rig.ledger.message(mid)
    starts = await asyncio.gather(*(rig.engine.start(mid, plan(LONG)) for _ in range(5)))
    assert sorted(starts) == ["accepted", *["duplicate"] * 4]
    await rig.engine.outcome(await rig.ledger.dispatched(mid, 0), told(0, "delivered"))
    await rig.ledger.ended(mid)
    assert await rig.engine.start(mid, plan(LONG)) == "duplicate"
    assert rig.ledger.calls(mid, "take_over") == ["TakenOver"]


async def test_a_report_that_comes_before_the_dispatch_is_answered_is_not_lost(
    rig: Rig, mid: str
) -> None:
    rig.ledger.message(mid)
    rig.ledger.script(mid, "dispatch", 1, is_held=True)
    await rig.engine.start(mid, plan(SHORT, LONG))
    token = await rig.ledger.dispatched(mid, 0)
    await rig.ledger.until(lambda: len(rig.ledger.calls(mid, "dispatch")) == 2)
    await rig.engine.outcome(token, told(0, "delivered"))
    rig.ledger.script(mid, "dispatch", 1)
    assert await rig.ledger.ended(mid) == Result(status="delivered", step=0, stop=(1,))


async def test_a_late_success_of_an_earlier_step_wins_and_stops_the_later_one(
    rig: Rig, mid: str
) -> None:
    rig.ledger.message(mid)
    await rig.engine.start(mid, plan(SHORT, LONG))
    await rig.ledger.dispatched(mid, 1)
    await rig.engine.outcome(rig.ledger.token(mid, 0), told(0, "delivered"))
    assert await rig.ledger.ended(mid) == Result(status="delivered", step=0, stop=(1,))
    assert rig.ledger.states(mid) == {0: "won", 1: "stopped"}


async def test_a_report_told_again_and_again_or_contradicted_counts_once(
    rig: Rig, mid: str
) -> None:
    rig.ledger.message(mid)
    await rig.engine.start(mid, plan(LONG, LONG))
    first = await rig.ledger.dispatched(mid, 0)
    for outcome in (told(0, "undelivered"), told(0, "undelivered"), told(0, "delivered")):
        await rig.engine.outcome(first, outcome)
    second = await rig.ledger.dispatched(mid, 1)
    for outcome in (told(1, "delivered"), told(1, "undelivered"), told(1, "delivered")):
        await rig.engine.outcome(second, outcome)
    assert await rig.ledger.ended(mid) == Result(status="delivered", step=1)
    assert rig.ledger.calls(mid, "finished") == ["noted"]


async def test_a_success_that_contradicts_a_failure_wins_by_the_late_token(
    rig: Rig, mid: str
) -> None:
    rig.ledger.message(mid)
    await rig.engine.start(mid, plan(LONG, LONG))
    await rig.engine.outcome(await rig.ledger.dispatched(mid, 0), told(0, "undelivered"))
    await rig.ledger.dispatched(mid, 1)
    late = rig.ledger.late(mid)
    assert await rig.engine.outcome(late, told(0, "failed")) == "undecided"
    assert await rig.engine.outcome(late, told(0, "delivered")) == "told"
    assert await rig.ledger.ended(mid) == Result(status="delivered", step=0, stop=(1,))


@pytest.mark.parametrize("success", LEVELS)
async def test_each_success_level_ends_with_its_own_rung_and_not_before(
    rig: Rig, mid: str, success: Success
) -> None:
    rig.ledger.message(mid)
    await rig.engine.start(mid, plan(LONG, LONG, success=success))
    token = await rig.ledger.dispatched(mid, 0)
    for rung in LADDER[: LADDER.index(success)]:
        assert await rig.engine.outcome(token, told(0, rung)) == "undecided"
    assert await rig.engine.outcome(token, told(0, success)) == "told"
    assert await rig.ledger.ended(mid) == Result(status=success, step=0)


@pytest.mark.parametrize("failure", get_args(Failure))
async def test_every_final_failure_is_followed_by_the_next_step(
    rig: Rig, mid: str, failure: Failure
) -> None:
    rig.ledger.message(mid)
    await rig.engine.start(mid, plan(LONG, LONG))
    why = Reason("carrier_says", "no")
    failed = Outcome(0, failure, utc_now(), why)
    await rig.engine.outcome(await rig.ledger.dispatched(mid, 0), failed)
    await rig.engine.outcome(
        await rig.ledger.dispatched(mid, 1), Outcome(1, failure, utc_now(), why)
    )
    assert await rig.ledger.ended(mid) == Result(status="failed", step=1, reason=why)


async def test_a_wait_from_sent_begins_when_the_step_was_sent(rig: Rig, mid: str) -> None:
    rig.ledger.message(mid)
    step = Step("email", wait_s=SHORT, wait_from="sent")
    await rig.engine.start(mid, Plan((step, Step("sms", wait_s=LONG))))
    token = await rig.ledger.dispatched(mid, 0)
    await asyncio.sleep(2 * SHORT)  # what is promised is that nothing happens
    assert rig.ledger.dispatches(mid) == [0]
    assert await rig.engine.outcome(token, told(0, "sent")) == "told"
    await rig.ledger.dispatched(mid, 1)
    await rig.engine.outcome(token, told(0, "delivered"))
    assert await rig.ledger.ended(mid) == Result(status="delivered", step=0, stop=(1,))


async def test_a_refused_step_is_followed_at_once_and_if_all_are_it_fails(
    rig: Rig, mid: str
) -> None:
    rig.ledger.message(mid)
    for step in (0, 1):
        rig.ledger.script(mid, "dispatch", step, answers=["refused"])
    await rig.engine.start(mid, plan(LONG, LONG))
    end = Result(status="failed", step=1, reason=Reason("suppressed"))
    assert await rig.ledger.ended(mid) == end
    assert rig.ledger.calls(mid, "dispatch") == ["0 refused", "1 refused"]


async def test_a_full_belt_is_asked_again_or_passed_by_as_the_step_says(rig: Rig, mid: str) -> None:
    rig.ledger.message(mid)
    rig.ledger.script(mid, "dispatch", 0, answers=["full"])
    rig.ledger.script(mid, "dispatch", 1, answers=["full", "full"])
    impatient = Step("email", wait_s=LONG, on_full="next")
    await rig.engine.start(mid, Plan((impatient, Step("sms", wait_s=LONG))))
    token = await rig.ledger.dispatched(mid, 1)
    assert rig.ledger.calls(mid, "dispatch") == ["0 full", "1 full", "1 full", "1 accepted"]
    await rig.engine.outcome(token, told(1, "delivered"))
    assert await rig.ledger.ended(mid) == Result(status="delivered", step=1)


async def test_an_earlier_success_wins_while_the_belt_is_full(rig: Rig, mid: str) -> None:
    rig.ledger.message(mid)
    rig.ledger.script(mid, "dispatch", 1, answers=["full"] * 1000)
    await rig.engine.start(mid, plan(SHORT, LONG))
    await rig.ledger.until(lambda: "1 full" in rig.ledger.calls(mid, "dispatch"))
    await rig.engine.outcome(rig.ledger.token(mid, 0), told(0, "delivered"))
    assert (await rig.ledger.ended(mid)).step == 0
    assert rig.ledger.dispatches(mid) == [0]


async def test_silence_to_the_end_is_expired(rig: Rig, mid: str) -> None:
    rig.ledger.message(mid)
    await rig.engine.start(mid, plan(SHORT, SHORT))
    end = Result(status="expired", step=1, reason=SILENT, stop=(0, 1))
    assert await rig.ledger.ended(mid) == end


@pytest.mark.parametrize("wait", [LONG, None])
async def test_a_message_that_expires_ends_in_the_middle_of_a_wait(
    rig: Rig, mid: str, wait: float | None
) -> None:
    rig.ledger.message(mid, life_s=0.5)
    await rig.engine.start(mid, plan(wait, LONG))
    end = await rig.ledger.ended(mid)
    assert (end.status, end.reason) == ("expired", EXPIRED)
    assert 1 not in rig.ledger.dispatches(mid)


async def test_a_message_that_expires_ends_while_its_belt_is_full(rig: Rig, mid: str) -> None:
    rig.ledger.message(mid, life_s=0.5)
    rig.ledger.script(mid, "dispatch", 0, answers=["full"] * 1000)
    await rig.engine.start(mid, plan(LONG, LONG))
    assert (await rig.ledger.ended(mid)).status == "expired"
    assert rig.ledger.dispatches(mid) == []


async def test_a_message_that_had_expired_is_never_sent(rig: Rig, mid: str) -> None:
    rig.ledger.message(mid, life_s=-1)
    await rig.engine.start(mid, plan(LONG, LONG))
    assert await rig.ledger.ended(mid) == Result(status="expired", reason=EXPIRED)
    assert rig.ledger.calls(mid, "dispatch") == []


async def test_a_token_that_is_unknown_or_used_up_changes_nothing(rig: Rig, mid: str) -> None:
    rig.ledger.message(mid)
    await rig.engine.start(mid, plan(LONG, LONG))
    token = await rig.ledger.dispatched(mid, 0)
    await rig.engine.outcome(token, told(0, "delivered"))
    end = await rig.ledger.ended(mid)
    for text in (token, rig.ledger.late(mid)):
        assert await rig.engine.outcome(text, told(0, "read")) == "told"
    for text in ("", "nonsense", "step:delivered:", "step:often:x", token[:-9]):
        fate = await rig.engine.outcome(text, told(0, "delivered"))
        assert fate in ("unknown", "told")
    assert rig.ledger.result(mid) == end
    assert rig.ledger.calls(mid, "finished") == ["noted"]


async def test_what_is_remembered_tells_running_done_and_unknown(rig: Rig, mid: str) -> None:
    rig.ledger.message(mid)
    assert await rig.engine.status(mid) == EngineStatus("unknown")
    await rig.engine.start(mid, plan(LONG))
    token = await rig.ledger.dispatched(mid, 0)
    assert await rig.engine.status(mid) == EngineStatus("running")
    await rig.engine.outcome(token, told(0, "delivered"))
    end = await rig.ledger.ended(mid)
    while (status := await rig.engine.status(mid)) == EngineStatus("running"):
        await asyncio.sleep(0.005)
    assert status == EngineStatus("done", end)
    assert (await rig.engine.health()).is_up


async def test_a_handler_that_keeps_failing_is_parked_visibly_resumed_and_goes_on(
    rig: Rig, mid: str
) -> None:
    rig.ledger.message(mid)
    rig.ledger.script(mid, "dispatch", 1, failures=-1)
    await rig.engine.start(mid, plan(SHORT, LONG))
    parked = await parked_of(rig, mid)
    assert "ZeroDivisionError" in parked.failure
    assert not parked.is_outage
    assert (rig.ledger.dispatches(mid), rig.ledger.result(mid)) == ([0], None)
    rig.ledger.script(mid, "dispatch", 1)
    assert await rig.operations.resume(mid)
    await rig.engine.outcome(await rig.ledger.dispatched(mid, 1), told(1, "delivered"))
    assert (await rig.ledger.ended(mid)).status == "delivered"
    assert not await rig.operations.resume(mid)


async def test_a_parked_cascade_can_be_failed_once_and_is_gone(rig: Rig, mid: str) -> None:
    rig.ledger.message(mid)
    rig.ledger.script(mid, "dispatch", 0, failures=-1)
    await rig.engine.start(mid, plan(LONG, LONG))
    await parked_of(rig, mid)
    assert await rig.operations.fail(mid, "no good")
    why = Reason("failed_by_operator", "no good")
    assert rig.ledger.result(mid) == Result(status="failed", reason=why)
    assert not await rig.operations.fail(mid, "again")
    assert mid not in {parked.mid for parked in await rig.operations.parked()}
    assert await rig.engine.status(mid) == EngineStatus("done")


async def test_a_store_that_is_down_is_told_from_a_poison_message(rig: Rig, mid: str) -> None:
    rig.ledger.message(mid)
    rig.ledger.script(mid, "take_over", failures=-1, store_is_down=True)
    await rig.engine.start(mid, plan(LONG))
    assert (await parked_of(rig, mid)).is_outage
    rig.ledger.script(mid, "take_over")
    await rig.operations.resume(mid)
    await rig.ledger.dispatched(mid, 0)


async def test_a_failure_that_passes_is_tried_again_and_never_read_as_a_refusal(
    rig: Rig, mid: str
) -> None:
    rig.ledger.message(mid)
    for method in ("take_over", "dispatch", "finished"):
        rig.ledger.script(mid, method, failures=1, store_is_down=True)
    await rig.engine.start(mid, plan(LONG, LONG))
    await rig.engine.outcome(await rig.ledger.dispatched(mid, 0), told(0, "delivered"))
    assert await rig.ledger.ended(mid) == Result(status="delivered", step=0)
    assert rig.ledger.calls(mid, "finished") == ["?", "noted"]


async def test_a_start_asked_for_later_begins_then(rig: Rig, mid: str) -> None:
    rig.ledger.message(mid, first=1)
    began = utc_now()
    after = timedelta(seconds=SHORT)
    assert await rig.engine.start(mid, plan(LONG, LONG), after=after) == "accepted"
    assert await rig.engine.start(mid, plan(LONG, LONG), after=after) == "duplicate"
    await rig.ledger.dispatched(mid, 1)
    assert utc_now() - began >= after
    assert rig.ledger.dispatches(mid) == [1]
