"""Cancels at every point, and the races of a start asked for later, by every engine."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from cascade.actions import Result
from cascade.events import Outcome
from hermes.core.units import Reason
from tests.contract.cascade.rig import LONG, SHORT, Rig, parked_of, plan, settled, told

DELIVERED = Result(status="delivered", step=0)
# how long after a start asked for in 0.1 s something else happens
AROUND = [0.0, 0.05, 0.08, 0.09, 0.1, 0.11, 0.12, 0.15, 0.2, 0.3]
SOON = timedelta(seconds=0.1)


async def test_a_cancel_of_what_nobody_started_is_false(rig: Rig, mid: str) -> None:
    assert not await rig.engine.cancel(mid, "asked")


async def test_cancelled_while_it_is_taken_over_it_ends_cancelled_and_nothing_stays_under_way(
    rig: Rig, mid: str
) -> None:
    rig.ledger.message(mid)
    rig.ledger.script(mid, "take_over", is_held=True)
    await rig.engine.start(mid, plan(LONG))
    await rig.ledger.until(lambda: rig.ledger.calls(mid, "take_over"))
    assert await rig.engine.cancel(mid, "asked")
    rig.ledger.script(mid, "take_over")
    assert (await rig.ledger.ended(mid)).status == "cancelled"
    await settled(rig, mid)
    assert "queued" not in rig.ledger.states(mid).values()


async def test_cancelled_while_another_start_has_it_it_tells_the_ledger_nothing(
    rig: Rig, mid: str
) -> None:
    rig.ledger.message(mid)
    await rig.ledger.take_over(mid, "somebody", "late")
    rig.ledger.script(mid, "take_over", is_held=True)
    await rig.engine.start(mid, plan(LONG))
    await rig.ledger.until(lambda: len(rig.ledger.calls(mid, "take_over")) == 2)
    assert await rig.engine.cancel(mid, "asked")
    rig.ledger.script(mid, "take_over")
    assert (await settled(rig, mid)).result is None
    assert rig.ledger.calls(mid, "finished") == []


async def test_cancelled_while_a_step_is_dispatched_what_was_dispatched_is_stopped(
    rig: Rig, mid: str
) -> None:
    rig.ledger.message(mid)
    rig.ledger.script(mid, "dispatch", 0, is_held=True)
    await rig.engine.start(mid, plan(LONG, LONG))
    await rig.ledger.until(lambda: rig.ledger.calls(mid, "dispatch"))
    assert await rig.engine.cancel(mid, "asked")
    rig.ledger.script(mid, "dispatch", 0)
    assert (await rig.ledger.ended(mid)).status == "cancelled"
    await settled(rig, mid)
    assert "queued" not in rig.ledger.states(mid).values()


async def test_cancelled_while_the_belt_is_full(rig: Rig, mid: str) -> None:
    rig.ledger.message(mid)
    rig.ledger.script(mid, "dispatch", 0, answers=["full"] * 1000)
    await rig.engine.start(mid, plan(LONG, LONG))
    await rig.ledger.until(lambda: "0 full" in rig.ledger.calls(mid, "dispatch"))
    assert await rig.engine.cancel(mid, "asked")
    assert (await rig.ledger.ended(mid)).status == "cancelled"
    assert rig.ledger.dispatches(mid) == []


@pytest.mark.parametrize("step", [0, 1, 2])
async def test_cancelled_while_a_step_waits_all_that_is_under_way_is_stopped(
    rig: Rig, mid: str, step: int
) -> None:
    rig.ledger.message(mid)
    waits = [0.05] * step + [LONG] * (3 - step)
    await rig.engine.start(mid, plan(*waits))
    token = await rig.ledger.dispatched(mid, step)
    assert await rig.engine.cancel(mid, "asked")
    end = await rig.ledger.ended(mid)
    assert (end.status, end.step, end.stop) == ("cancelled", step, tuple(range(step + 1)))
    await rig.engine.outcome(token, told(step, "delivered"))
    await settled(rig, mid)
    assert rig.ledger.result(mid) == end
    assert rig.ledger.dispatches(mid) == list(range(step + 1))


async def test_cancelled_while_it_is_parked_it_ends_cancelled(rig: Rig, mid: str) -> None:
    rig.ledger.message(mid)
    rig.ledger.script(mid, "dispatch", 0, failures=-1)
    await rig.engine.start(mid, plan(LONG))
    await parked_of(rig, mid)
    assert await rig.engine.cancel(mid, "asked")
    assert (await rig.ledger.ended(mid)).status == "cancelled"


async def test_a_cancel_after_the_end_is_false_and_changes_nothing(rig: Rig, mid: str) -> None:
    rig.ledger.message(mid)
    await rig.engine.start(mid, plan(LONG))
    await rig.engine.outcome(await rig.ledger.dispatched(mid, 0), told(0, "delivered"))
    await settled(rig, mid)
    assert not await rig.engine.cancel(mid, "asked")
    assert rig.ledger.result(mid) == DELIVERED


async def test_two_cancels_and_a_success_together_are_one_outcome(rig: Rig, mid: str) -> None:
    rig.ledger.message(mid)
    await rig.engine.start(mid, plan(LONG, LONG))
    token = await rig.ledger.dispatched(mid, 0)
    await asyncio.gather(
        rig.engine.cancel(mid, "asked"),
        rig.engine.outcome(token, told(0, "delivered")),
        rig.engine.cancel(mid, "asked again"),
    )
    await settled(rig, mid)
    assert rig.ledger.calls(mid, "finished").count("noted") == 1  # told once or again
    assert rig.ledger.dispatches(mid) == [0]


async def test_race_of_timer_and_failure_one_start_takes_the_message(rig: Rig, mid: str) -> None:
    """The belt sent step 0; its failure starts the rest at once, while the timer does the same."""

    async def race(offset: float) -> None:
        one = rig.ledger.message(f"{mid}{offset}", first=1)
        assert await rig.engine.start(one, plan(LONG, LONG, LONG), after=SOON) == "accepted"
        await asyncio.sleep(offset)
        rig.ledger.know(one, told(0, "undelivered"))
        assert await rig.engine.start(one, plan(LONG, LONG, LONG)) == "accepted"
        await rig.engine.outcome(await rig.ledger.dispatched(one, 1), told(1, "failed"))
        await rig.engine.outcome(await rig.ledger.dispatched(one, 2), told(2, "delivered"))
        await rig.ledger.until(lambda: len(rig.ledger.calls(one, "take_over")) == 2)
        await settled(rig, one)
        assert sorted(rig.ledger.calls(one, "take_over")) == ["NotOurs", "TakenOver"]
        assert rig.ledger.calls(one, "dispatch") == ["1 accepted", "2 accepted"]
        assert rig.ledger.calls(one, "finished") == ["noted"]

    await asyncio.gather(*map(race, AROUND))


async def test_race_of_timer_and_success_nothing_further_stays_under_way(
    rig: Rig, mid: str
) -> None:
    async def race(offset: float) -> None:
        one = rig.ledger.message(f"{mid}{offset}", first=1)
        await rig.engine.start(one, plan(LONG, LONG), after=SOON)
        await asyncio.sleep(offset)
        rig.ledger.record(one, DELIVERED)
        await rig.engine.cancel(one, "delivered")
        await settled(rig, one)
        assert rig.ledger.result(one) == DELIVERED
        assert "queued" not in rig.ledger.states(one).values()

    await asyncio.gather(*map(race, AROUND))


async def test_race_of_failure_and_failure_one_starts_and_the_other_is_a_duplicate(
    rig: Rig, mid: str
) -> None:
    rig.ledger.message(mid, first=1, earlier=[told(0, "undelivered")])
    await rig.engine.start(mid, plan(LONG, LONG), after=timedelta(seconds=LONG))
    starts = await asyncio.gather(*(rig.engine.start(mid, plan(LONG, LONG)) for _ in range(2)))
    assert sorted(starts) == ["accepted", "duplicate"]
    await rig.ledger.dispatched(mid, 1)
    assert rig.ledger.calls(mid, "dispatch") == ["1 accepted"]
    assert await rig.engine.cancel(mid, "both kinds of start")
    await rig.ledger.ended(mid)
    assert (await settled(rig, mid)).phase == "done"


async def test_race_of_take_over_and_late_success_the_first_step_wins(rig: Rig, mid: str) -> None:
    rig.ledger.message(mid, first=1)
    await rig.engine.start(mid, plan(LONG, LONG), after=SOON)
    await rig.ledger.dispatched(mid, 1)
    assert await rig.engine.outcome(rig.ledger.late(mid), told(0, "delivered")) == "told"
    assert await rig.ledger.ended(mid) == Result(status="delivered", step=0, stop=(1,))
    assert rig.ledger.states(mid) == {1: "stopped"}


async def test_race_of_timer_and_cancel_nothing_stays_under_way(rig: Rig, mid: str) -> None:
    async def race(offset: float) -> None:
        one = rig.ledger.message(f"{mid}{offset}", first=1)
        await rig.engine.start(one, plan(LONG, LONG), after=SOON)
        await asyncio.sleep(offset)
        assert await rig.engine.cancel(one, "asked")
        status = await settled(rig, one)
        if rig.ledger.calls(one, "take_over"):  # it had begun
            assert (await rig.ledger.ended(one)).status == "cancelled"
        else:
            assert (status.result, rig.ledger.result(one)) == (None, None)
        assert "queued" not in rig.ledger.states(one).values()

    await asyncio.gather(*map(race, AROUND))


async def test_a_start_cancelled_before_its_time_never_begins_and_may_be_asked_for_again(
    rig: Rig, mid: str
) -> None:
    rig.ledger.message(mid, first=1)
    after = timedelta(seconds=SHORT)
    await rig.engine.start(mid, plan(LONG, LONG), after=after)
    assert await rig.engine.cancel(mid, "delivered")
    await asyncio.sleep(2 * SHORT)  # what is promised is that nothing happens
    assert rig.ledger.calls(mid, "take_over") == []
    assert await rig.engine.start(mid, plan(LONG, LONG), after=after) == "accepted"
    await rig.ledger.dispatched(mid, 1)


async def test_a_take_over_that_finds_an_earlier_success_ends_at_once(rig: Rig, mid: str) -> None:
    delivered = told(0, "delivered")
    rig.ledger.message(mid, first=1, earlier=[delivered])
    await rig.engine.start(mid, plan(LONG, LONG))
    assert await rig.ledger.ended(mid) == Result(status="delivered", step=0)
    assert rig.ledger.dispatches(mid) == []


async def test_a_take_over_that_finds_the_last_step_failed_ends_at_once(rig: Rig, mid: str) -> None:
    why = Reason("carrier_says", "no")
    failed = Outcome(0, "failed", told(0, "failed").at, why)
    rig.ledger.message(mid, first=1, earlier=[failed])
    await rig.engine.start(mid, plan(LONG))
    assert await rig.ledger.ended(mid) == Result(status="failed", step=0, reason=why)


async def test_a_message_that_has_its_outcome_is_left_alone(rig: Rig, mid: str) -> None:
    rig.ledger.message(mid)
    rig.ledger.record(mid, DELIVERED)
    await rig.engine.start(mid, plan(LONG))
    await rig.ledger.until(lambda: rig.ledger.calls(mid, "take_over") == ["NotOurs"])
    assert (await settled(rig, mid)).result is None
    assert rig.ledger.calls(mid, "finished") == []
