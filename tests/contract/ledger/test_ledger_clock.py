"""What is due is handed out until its effect is seen, by one host, and ends when it must."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

import psycopg

from hermes.adapters.clock_store_postgres import SWEEP_LOCK
from hermes.core.clock import NO_RECEIPT, OUTCOME_UNKNOWN, Timing
from hermes.core.state import AttemptState
from hermes.core.units import Money, Reason
from hermes.ports.attempt_store import JobPlace, Offer, Parking
from hermes.ports.clock_store import Due
from tests.contract.ledger.stores import (
    CASCADE,
    PostgresStores,
    Stores,
    event,
    moment,
    name_of,
    submission,
)

PRICE = Money("0.05", "EUR")


async def sweep(
    ledger: Stores, message: UUID | None = None, streams: Mapping[str, datetime] | None = None
) -> Due:
    if message is not None:
        await ledger.make_due(message)
    return await ledger.clock.sweep(100, Timing(), streams)


async def test_nothing_is_due_at_first(ledger: Stores) -> None:
    await ledger.accepted()
    await ledger.queued()
    assert await sweep(ledger) == Due()


async def test_a_message_nobody_took_in_is_admitted_again_as_it_was(ledger: Stores) -> None:
    item = submission(plan=CASCADE, segments=2)
    await ledger.messages.commit([item])
    due = await sweep(ledger, item.message.id)
    assert due == Due(admit=(item.message,))
    assert await sweep(ledger) == Due(), "handed out, so leased"
    assert (await sweep(ledger, item.message.id)).admit == (item.message,), "the lease ran out"
    (taken,) = await ledger.attempts.take_in([Offer(message=item.message.id, carrier="sim")])
    assert taken.status == "taken"


async def test_a_message_for_later_starts_at_its_time(ledger: Stores) -> None:
    (message,) = await ledger.accepted(send_in_s=3600.0)
    view = await ledger.view(message)
    assert (view.next_at, view.next_action) == (view.send_at, "start")
    (started,) = (await sweep(ledger, message)).admit
    assert (started.id, started.send_at) == (message, view.send_at)


async def test_a_message_for_a_time_gone_by_is_like_any_other(ledger: Stores) -> None:
    (message,) = await ledger.accepted(send_in_s=-5.0)
    assert (await ledger.view(message)).next_action == "admit"


async def test_a_parked_message_comes_back(ledger: Stores) -> None:
    (message,) = await ledger.accepted()
    await ledger.attempts.park([Parking(message=message, reason=Reason("full"), after_s=3600)])
    assert await sweep(ledger) == Due()
    assert [m.id for m in (await sweep(ledger, message)).admit] == [message]


async def test_a_cascade_without_an_engine_is_admitted_again(ledger: Stores) -> None:
    (message,) = await ledger.accepted(plan=CASCADE)
    await ledger.attempts.take_in([Offer(message=message, carrier=None)])
    assert [m.id for m in (await sweep(ledger, message)).admit] == [message]
    await ledger.own(message)
    assert await sweep(ledger, message) == Due()
    assert (await ledger.view(message)).next_at is None


async def test_what_expired_before_anybody_took_it_ends_as_expired(ledger: Stores) -> None:
    for plan in (CASCADE, None):
        (message,) = await (ledger.accepted(plan=plan) if plan else ledger.accepted())
        if plan:
            await ledger.attempts.take_in([Offer(message=message, carrier=None)])
        await ledger.expire(message)
        due = await sweep(ledger, message)
        (told,) = due.events
        assert (due.admit, told.kind, told.message) == ((), "expired", name_of(message))
        assert (await ledger.events.apply(due.events)).new == 1
        view = await ledger.view(message)
        assert (view.state, view.reason_code, view.next_at) == ("expired", "expired", None)


async def test_a_job_of_unknown_place_is_published_again_under_its_id(ledger: Stores) -> None:
    (message,) = await ledger.accepted(segments=2)
    offer = Offer(message=message, carrier="sim", segments=2, price=PRICE)
    (taken,) = await ledger.attempts.take_in([offer])
    due = await sweep(ledger, message)
    (job,) = due.jobs
    assert (job.attempt, job.carrier, job.segments) == (taken.attempt, "sim", 2)
    assert (job.to, job.text, job.sender) == ("+491700000001", "hello", "Hermes")
    assert (job.price, job.queued_at, job.only_segments) == (PRICE, taken.queued_at, ())
    assert await sweep(ledger) == Due()
    assert (await sweep(ledger, message)).jobs == (job,)
    await ledger.attempts.record_jobs([JobPlace(job.attempt, moment(), 1)])
    (attempt,) = (await ledger.view(message)).attempts
    assert attempt.next_action == "expire"


async def test_only_segments_not_yet_with_the_carrier_are_published_again(ledger: Stores) -> None:
    (message,) = await ledger.accepted(segments=3)
    await ledger.attempts.take_in([Offer(message=message, carrier="sim", segments=3)])
    await ledger.events.apply([event(f"{name_of(message)}.0.0", "sent", segment=1, segments=3)])
    (job,) = (await sweep(ledger, message)).jobs
    assert job.only_segments == (0, 2)


async def test_jobs_of_a_wiped_stream_are_published_again(ledger: Stores) -> None:
    taken = await ledger.queued()
    (attempt,) = (await ledger.view(taken.message)).attempts
    created = attempt.stream_created
    assert created is not None
    assert await sweep(ledger, streams={"sim": created, "b": moment()}) == Due()
    wiped = created + timedelta(seconds=5)
    due = await sweep(ledger, streams={"sim": wiped, "b": moment()})
    assert [job.attempt for job in due.jobs] == [taken.attempt]
    assert await sweep(ledger, streams={"sim": wiped, "b": moment()}) == Due()
    (attempt,) = (await ledger.view(taken.message)).attempts
    assert (attempt.job_seq, attempt.next_action) == (None, "republish")


async def test_a_job_that_waited_too_long_expires(ledger: Stores) -> None:
    taken = await ledger.queued()
    await ledger.expire(taken.message)
    due = await sweep(ledger, taken.message)
    assert (due.jobs, [e.kind for e in due.events]) == ((), ["expired"])
    assert await sweep(ledger) == Due()
    await ledger.events.apply(due.events)
    view = await ledger.view(taken.message)
    assert (view.state, view.reason_code) == ("expired", "expired")


async def test_a_retry_is_a_new_attempt(ledger: Stores) -> None:
    taken = await ledger.queued()
    assert taken.attempt
    await ledger.events.apply([event(taken.attempt, "deferred", retry_at=moment())])
    (job,) = (await sweep(ledger, taken.message)).jobs
    assert job.attempt == f"{name_of(taken.message)}.0.1"
    assert not job.possible_duplicate
    view = await ledger.view(taken.message)
    assert [(a.n, a.next_action) for a in view.attempts] == [(0, None), (1, "republish")]
    assert [(e.kind, e.n, e.reason_code) for e in view.events][1:] == [("queued", 1, "retry")]
    assert (view.state, view.possible_duplicate) == ("processing", False)


async def test_an_open_outcome_is_sent_again_as_a_possible_duplicate(ledger: Stores) -> None:
    for traffic in ("otp", "transactional"):
        taken = await ledger.queued(traffic=traffic)
        assert taken.attempt
        await ledger.events.apply([event(taken.attempt, "uncertain")])
        due = await sweep(ledger, taken.message)
        (job,) = due.jobs
        assert (job.attempt, job.possible_duplicate) == (f"{name_of(taken.message)}.0.1", True)
        assert due.events == ()
        view = await ledger.view(taken.message)
        first, second = view.attempts
        assert (first.state, first.next_at) == (AttemptState.UNCERTAIN, None)
        assert (second.possible_duplicate, view.possible_duplicate) == (True, True)
        assert {e.kind for e in view.events if e.n == 1} == {"queued", "possible_duplicate"}
        await ledger.events.apply([event(job.attempt, "delivered")])
        assert (await ledger.view(taken.message)).state == "delivered"


async def test_a_resend_carries_the_open_segments_alone(ledger: Stores) -> None:
    taken = await ledger.queued(segments=2)
    assert taken.attempt
    told = [
        event(taken.attempt, "sent", segment=0, segments=2),
        event(taken.attempt, "uncertain", segment=1, segments=2),
    ]
    await ledger.events.apply(told)
    (job,) = (await sweep(ledger, taken.message)).jobs
    assert (job.only_segments, job.segments) == ((1,), 2)
    first, second = (await ledger.view(taken.message)).attempts
    assert first.next_action == "receipt_timeout", "it still answers for the segment sent"
    assert second.only_segments == (1,)
    receipts = [
        event(job.attempt, "sent", segment=1, segments=2),
        event(job.attempt, "delivered", segment=1, segments=2),
    ]
    await ledger.events.apply(receipts)
    assert (await ledger.view(taken.message)).state == "processing"
    await ledger.events.apply([event(taken.attempt, "delivered", segment=0, segments=2)])
    view = await ledger.view(taken.message)
    assert view.state == "delivered"
    assert [a.next_at for a in view.attempts] == [None, None]


async def test_an_open_outcome_of_marketing_ends_unknown(ledger: Stores) -> None:
    taken = await ledger.queued(traffic="marketing")
    assert taken.attempt
    await ledger.events.apply([event(taken.attempt, "uncertain")])
    due = await sweep(ledger, taken.message)
    assert due.jobs == ()
    assert [(e.kind, e.reason) for e in due.events] == [("unknown", OUTCOME_UNKNOWN)]
    await ledger.events.apply(due.events)
    view = await ledger.view(taken.message)
    assert (view.state, view.reason_code) == ("unknown", "outcome_unknown")


async def test_a_receipt_that_never_came_ends_unknown_and_is_told_once(ledger: Stores) -> None:
    taken = await ledger.queued()
    assert taken.attempt
    await ledger.events.apply([event(taken.attempt, "sent")])
    due = await sweep(ledger, taken.message)
    assert [(e.kind, e.reason) for e in due.events] == [("unknown", NO_RECEIPT)]
    assert await sweep(ledger) == Due(), "leased"
    again = await sweep(ledger, taken.message)
    assert [e.id for e in again.events] == [e.id for e in due.events]
    await ledger.events.apply([*due.events, *again.events])
    view = await ledger.view(taken.message)
    assert (view.state, view.reason_code) == ("unknown", "no_receipt")
    assert await sweep(ledger, taken.message) == Due()


async def test_a_limit_leaves_the_rest_for_the_next_sweep(ledger: Stores) -> None:
    ids = await ledger.accepted(5)
    for message in ids:
        await ledger.make_due(message)
    first = await ledger.clock.sweep(3, Timing())
    second = await ledger.clock.sweep(3, Timing())
    assert (len(first.admit), first.has_more) == (3, True)
    assert (len(second.admit), second.has_more) == (2, False)
    assert {m.id for m in (*first.admit, *second.admit)} == set(ids)


async def test_one_host_sweeps_at_a_time(postgres: PostgresStores, database: str) -> None:
    (message,) = await postgres.accepted()
    with psycopg.connect(database) as other:
        other.execute("select pg_advisory_xact_lock(%s)", (SWEEP_LOCK,))
        assert await sweep(postgres, message) == Due(has_turn=False)
    assert [m.id for m in (await sweep(postgres)).admit] == [message]


async def test_a_sweep_waits_for_nobodys_lock(postgres: PostgresStores, database: str) -> None:
    (busy,) = await postgres.accepted()
    taken = await postgres.queued()
    await postgres.make_due(busy)
    with psycopg.connect(database) as other:
        other.execute("select from message where id = %s for update", (busy,))
        other.execute("select from attempt where message = %s for update", (taken.message,))
        due = await sweep(postgres)
        assert due == Due()
    assert [m.id for m in (await sweep(postgres)).admit] == [busy]


async def test_what_was_erased_is_not_sent(postgres: PostgresStores) -> None:
    (message,) = await postgres.accepted()
    taken = await postgres.queued()
    assert taken.attempt
    retry_at = moment() + timedelta(hours=1)
    await postgres.events.apply([event(taken.attempt, "deferred", retry_at=retry_at)])
    await postgres.rows("delete from message_body")
    for row in (message, taken.message):
        due = await sweep(postgres, row)
        assert (due.admit, due.jobs) == ((), ())
        assert [(e.kind, e.reason and e.reason.code) for e in due.events] == [("failed", "erased")]
        await postgres.events.apply(due.events)
        assert (await postgres.view(row)).state == "failed"
