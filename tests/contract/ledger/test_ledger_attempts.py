"""One taker wins, a job is published until its place is known, a message may wait."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

from uuid_utils.compat import uuid7

from hermes.core.state import AttemptState
from hermes.core.units import Money, Reason
from hermes.ports.attempt_store import Cancellation, JobPlace, Offer, OnItsWay, Parking, Taken
from tests.contract.ledger.stores import (
    CASCADE,
    PostgresStores,
    Stores,
    event,
    events_of,
    moment,
    name_of,
)

PRICE = Money("0.0525", "EUR")
FULL = Reason("carrier_full", "the carrier's queue is full")


def offer(message: UUID, carrier: str | None = "sim") -> Offer:
    return Offer(message=message, carrier=carrier, segments=2, price=PRICE)


async def test_an_accepted_message_is_taken_and_has_its_first_attempt(ledger: Stores) -> None:
    (message,) = await ledger.accepted()
    (taken,) = await ledger.attempts.take_in([offer(message)])
    assert taken == Taken(
        message=message,
        status="taken",
        attempt=f"{name_of(message)}.0.0",
        carrier="sim",
        segments=2,
        price=PRICE,
        queued_at=taken.queued_at,
    )
    view = await ledger.view(message)
    (attempt,) = view.attempts
    assert view.state == "processing"
    assert (view.next_at, view.next_action) == (None, None)
    assert (attempt.id, attempt.state) == (taken.attempt, AttemptState.QUEUED)
    assert (attempt.carrier, attempt.segments, attempt.price) == ("sim", 2, PRICE)
    assert (attempt.queued_at, attempt.expires_at) == (taken.queued_at, view.expires_at)
    assert attempt.next_action == "republish"


async def test_results_come_in_the_order_of_the_offers(ledger: Stores) -> None:
    ids = await ledger.accepted(5)
    order = [ids[3], ids[0], uuid7(), ids[4]]
    results = await ledger.attempts.take_in([offer(message) for message in order])
    assert [(r.message, r.status) for r in results] == [
        (order[0], "taken"),
        (order[1], "taken"),
        (order[2], "absent"),
        (order[3], "taken"),
    ]
    assert await ledger.attempts.take_in([]) == []


async def test_a_job_of_unknown_place_is_published_again_on_the_first_carrier(
    ledger: Stores,
) -> None:
    (message,) = await ledger.accepted()
    (first,) = await ledger.attempts.take_in([offer(message)])
    (again,) = await ledger.attempts.take_in([offer(message, "another")])
    assert again.status == "again"
    assert (again.attempt, again.carrier, again.price) == (first.attempt, "sim", PRICE)
    assert (again.segments, again.queued_at) == (2, first.queued_at)


async def test_a_recorded_job_is_left_alone(ledger: Stores) -> None:
    taken = await ledger.queued()
    (again,) = await ledger.attempts.take_in([offer(taken.message)])
    assert again == Taken(message=taken.message, status="recorded")
    (attempt,) = (await ledger.view(taken.message)).attempts
    assert (attempt.job_seq, attempt.next_action) == (1, "expire")


async def test_recording_counts_the_attempts_it_found(ledger: Stores) -> None:
    ids = await ledger.accepted(3)
    taken = await ledger.attempts.take_in([offer(message) for message in ids])
    created = moment()
    places = [JobPlace(t.attempt or "", created, i) for i, t in enumerate(taken)]
    places.append(JobPlace(f"{name_of(uuid7())}.0.0", created, 9))
    assert await ledger.attempts.record_jobs(places) == 3
    assert await ledger.attempts.record_jobs([]) == 0
    views = [(await ledger.view(message)).attempts[0] for message in ids]
    assert [(a.stream_created, a.job_seq) for a in views] == [(created, i) for i in range(3)]


async def test_recording_late_does_not_turn_back_the_clock(ledger: Stores) -> None:
    (message,) = await ledger.accepted()
    (taken,) = await ledger.attempts.take_in([offer(message)])
    assert taken.attempt
    await ledger.events.apply([event(taken.attempt, "sent")])
    await ledger.events.apply([event(taken.attempt, "sent", segment=1, segments=2)])
    assert await ledger.attempts.record_jobs([JobPlace(taken.attempt, moment(), 5)]) == 1
    (attempt,) = (await ledger.view(message)).attempts
    assert (attempt.job_seq, attempt.next_action) == (5, "receipt_timeout")


async def test_a_finished_message_is_not_taken(ledger: Stores) -> None:
    taken = await ledger.queued()
    assert taken.attempt
    await ledger.events.apply(events_of(taken.attempt, ["sent", "delivered"]))
    (again,) = await ledger.attempts.take_in([offer(taken.message)])
    assert again == Taken(message=taken.message, status="finished")


async def test_an_expired_message_is_not_taken(ledger: Stores) -> None:
    (message,) = await ledger.accepted(lives_s=-1.0)
    (taken,) = await ledger.attempts.take_in([offer(message)])
    assert taken == Taken(message=message, status="expired")
    assert (await ledger.view(message)).state == "accepted"


async def test_a_cascade_is_taken_without_an_attempt_until_an_engine_has_it(ledger: Stores) -> None:
    (message,) = await ledger.accepted(plan=CASCADE)
    (taken,) = await ledger.attempts.take_in([offer(message, None)])
    assert (taken.status, taken.attempt) == ("taken", None)
    view = await ledger.view(message)
    assert (view.state, view.attempts, view.next_action) == ("processing", (), "admit")
    (again,) = await ledger.attempts.take_in([offer(message, None)])
    assert again == Taken(message=message, status="again")
    await ledger.own(message)
    (recorded,) = await ledger.attempts.take_in([offer(message, None)])
    assert recorded == Taken(message=message, status="recorded")


async def test_a_parked_message_waits_and_says_why_once(ledger: Stores) -> None:
    (message,) = await ledger.accepted()
    for _ in range(2):
        parking = Parking(message=message, reason=FULL, after_s=60.0)
        assert await ledger.attempts.park([parking]) == [message]
    view = await ledger.view(message)
    assert (view.state, view.reason_code, view.next_action) == ("accepted", FULL.code, "route")
    assert view.next_at is not None
    assert timedelta(seconds=50) < view.next_at - moment() <= timedelta(seconds=60)
    assert [(e.kind, e.reason_code) for e in view.events] == [("parked", FULL.code)]


async def test_a_message_may_wait_for_a_time_of_day(ledger: Stores) -> None:
    (message,) = await ledger.accepted()
    at = moment() + timedelta(hours=8)
    quiet = Reason("quiet_hours")
    await ledger.attempts.park(
        [Parking(message=message, reason=quiet, next_at=at, next_action="start")]
    )
    view = await ledger.view(message)
    assert (view.next_at, view.next_action) == (at, "start")


async def test_a_refused_job_is_withdrawn_and_may_take_another_carrier(ledger: Stores) -> None:
    (message,) = await ledger.accepted()
    await ledger.attempts.take_in([offer(message)])
    assert await ledger.attempts.park([Parking(message=message, reason=FULL)]) == [message]
    assert (await ledger.view(message)).attempts == ()
    (taken,) = await ledger.attempts.take_in([offer(message, "another")])
    assert (taken.status, taken.carrier) == ("taken", "another")
    view = await ledger.view(message)
    assert (view.state, view.reason_code, view.next_at) == ("processing", None, None)


async def test_what_is_under_way_or_finished_is_not_parked(ledger: Stores) -> None:
    recorded = (await ledger.queued()).message
    cancelled, owned = await ledger.accepted(2, plan=CASCADE)
    await ledger.attempts.cancel("acme", cancelled)
    await ledger.attempts.take_in([offer(owned, None)])
    await ledger.own(owned)
    before = [await ledger.view(m) for m in (recorded, cancelled, owned)]
    parkings = [Parking(message=m, reason=FULL) for m in (recorded, cancelled, owned, uuid7())]
    assert await ledger.attempts.park(parkings) == []
    assert await ledger.attempts.park([]) == []
    assert [await ledger.view(m) for m in (recorded, cancelled, owned)] == before


async def test_a_message_nobody_took_is_cancelled_at_once(ledger: Stores) -> None:
    await ledger.listen("acme")
    (message,) = await ledger.accepted()
    assert await ledger.attempts.cancel("other", message) is None
    assert await ledger.attempts.cancel("acme", message) == Cancellation("cancelled")
    assert await ledger.attempts.cancel("acme", message) == Cancellation("cancelled")
    (taken,) = await ledger.attempts.take_in([offer(message)])
    assert taken.status == "finished"
    view = await ledger.view(message)
    assert (view.state, view.next_at) == ("cancelled", None)
    assert view.done_at is not None
    assert [e.kind for e in view.events] == ["cancelled"]
    assert await ledger.outbox() == [(message, "cancelled")]


async def test_cancelling_what_was_taken_names_the_jobs_whose_claims_decide(
    ledger: Stores,
) -> None:
    taken = await ledger.queued()
    assert taken.attempt
    expected = Cancellation("processing", (OnItsWay(taken.attempt, "sim"),))
    assert await ledger.attempts.cancel("acme", taken.message) == expected
    await ledger.events.apply([event(taken.attempt, "sent")])
    assert await ledger.attempts.cancel("acme", taken.message) == Cancellation("processing")


async def test_one_of_many_takers_wins_each_message(postgres: PostgresStores) -> None:
    ids = await postgres.accepted(20)
    offers = [offer(message) for message in ids]
    takers = [offers, offers[::-1], offers[10:] + offers[:10], offers]
    results = await asyncio.gather(*(postgres.attempts.take_in(batch) for batch in takers))
    taken = [r.message for result in results for r in result if r.status == "taken"]
    assert sorted(taken) == sorted(ids)
    others = {r.status for result in results for r in result} - {"taken"}
    assert others == {"again"}
    assert (await postgres.rows("select count(*) from attempt"))[0][0] == 20


async def test_a_new_attempts_clock_counts_by_ledger_time(postgres: PostgresStores) -> None:
    (message,) = await postgres.accepted()
    await postgres.attempts.take_in([offer(message)])
    ((wait,),) = await postgres.rows("select extract(epoch from next_at - now()) from attempt")
    assert 230 < wait <= 240
