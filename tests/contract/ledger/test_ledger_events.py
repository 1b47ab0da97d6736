"""Events are stored once and folded once, in any order; one bad event holds nobody up."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import permutations

from msgspec.structs import replace
from uuid_utils.compat import uuid7

from hermes.core.event import EventKind
from hermes.core.state import AttemptState
from hermes.core.units import Money, Reason
from hermes.ports.attempt_store import JobPlace, Offer
from hermes.ports.event_store import Applied, Turn
from tests.contract.ledger.stores import (
    CASCADE,
    PostgresStores,
    Stores,
    event,
    events_of,
    moment,
    name_of,
)

LOST = Reason("link_lost", "the link closed before the response")


async def test_sent_and_delivered_end_a_message(ledger: Stores) -> None:
    await ledger.listen("acme")
    taken = await ledger.queued()
    assert taken.attempt
    sent = event(taken.attempt, "sent", carrier_message_id="7f3a")
    applied = await ledger.events.apply([sent])
    assert applied == Applied(new=1)
    (attempt,) = (await ledger.view(taken.message)).attempts
    assert (attempt.state, attempt.segment_ids) == (AttemptState.SENT, ("7f3a",))
    assert (attempt.bind, attempt.host, attempt.sent_at) == ("sim-1", "h1", sent.at)
    assert attempt.next_action == "receipt_timeout"
    assert attempt.next_at == attempt.expires_at + timedelta(hours=1)
    delivered = event(taken.attempt, "delivered")
    applied = await ledger.events.apply([delivered])
    assert applied == Applied(new=1, turns=(Turn(taken.message, "acme", "delivered"),))
    view = await ledger.view(taken.message)
    (attempt,) = view.attempts
    assert (view.state, view.done_at) == ("delivered", delivered.at)
    assert (attempt.state, attempt.done_at) == (AttemptState.DELIVERED, delivered.at)
    assert (attempt.next_at, attempt.next_action) == (None, None)
    assert [e.kind for e in view.events] == ["sent", "delivered"]
    assert await ledger.outbox() == [(taken.message, "delivered")]


async def test_a_repeated_event_changes_nothing(ledger: Stores) -> None:
    await ledger.listen("acme")
    taken = await ledger.queued()
    assert taken.attempt
    told = events_of(taken.attempt, ["sent", "delivered"])
    assert (await ledger.events.apply([*told, *told])).new == 2
    before = await ledger.view(taken.message)
    assert await ledger.events.apply(told) == Applied(repeated=2)
    assert await ledger.view(taken.message) == before
    assert await ledger.outbox() == [(taken.message, "delivered")]


async def test_no_batch_is_too_small(ledger: Stores) -> None:
    assert await ledger.events.apply([]) == Applied()


async def test_any_order_ends_the_same(ledger: Stores) -> None:
    kinds: list[EventKind] = ["sent", "unknown", "delivered"]
    for order in permutations(kinds):
        taken = await ledger.queued()
        assert taken.attempt
        for told in events_of(taken.attempt, order):
            await ledger.events.apply([told])
        view = await ledger.view(taken.message)
        assert (view.state, view.attempts[0].state) == ("delivered", AttemptState.DELIVERED)


async def test_a_late_delivered_corrects_unknown_and_is_told_again(ledger: Stores) -> None:
    await ledger.listen("acme")
    taken = await ledger.queued()
    assert taken.attempt
    gone = event(taken.attempt, "unknown", segment=None, reason=Reason("no_receipt", "none came"))
    await ledger.events.apply([gone])
    view = await ledger.view(taken.message)
    assert (view.state, view.reason_code, view.reason_text) == (
        "unknown",
        "no_receipt",
        "none came",
    )
    await ledger.events.apply([event(taken.attempt, "delivered")])
    view = await ledger.view(taken.message)
    assert (view.state, view.reason_code) == ("delivered", None)
    assert sorted(s for _, s in await ledger.outbox()) == ["delivered", "unknown"]


async def test_a_tenant_without_an_endpoint_has_an_empty_outbox(ledger: Stores) -> None:
    await ledger.listen("other")
    taken = await ledger.queued()
    assert taken.attempt
    await ledger.events.apply([event(taken.attempt, "delivered")])
    assert await ledger.outbox() == []


async def test_uncertain_waits_for_its_grace_by_ledger_time(ledger: Stores) -> None:
    graces = []
    for traffic in ("otp", "transactional"):
        taken = await ledger.queued(traffic=traffic)
        assert taken.attempt
        await ledger.events.apply([event(taken.attempt, "uncertain", reason=LOST)])
        (attempt,) = (await ledger.view(taken.message)).attempts
        assert (attempt.state, attempt.next_action) == (
            AttemptState.UNCERTAIN,
            "resolve_uncertain",
        )
        assert attempt.reason == LOST
        assert attempt.next_at is not None
        graces.append(round((attempt.next_at - moment()).total_seconds()))
    assert graces == [10, 90]


async def test_grace_never_goes_beyond_expiry(ledger: Stores) -> None:
    taken = await ledger.queued(lives_s=30.0)
    assert taken.attempt
    await ledger.events.apply([event(taken.attempt, "uncertain")])
    (attempt,) = (await ledger.view(taken.message)).attempts
    assert attempt.next_at == attempt.expires_at


async def test_deferred_is_retried_at_its_time(ledger: Stores) -> None:
    taken = await ledger.queued()
    assert taken.attempt
    retry_at = moment() + timedelta(minutes=5)
    busy = Reason("ESME_RX_T_APPN", "temporary error")
    await ledger.events.apply([event(taken.attempt, "deferred", retry_at=retry_at, reason=busy)])
    view = await ledger.view(taken.message)
    (attempt,) = view.attempts
    assert (attempt.next_at, attempt.next_action, attempt.reason) == (retry_at, "retry", busy)
    assert (view.state, attempt.state) == ("processing", AttemptState.QUEUED)


async def test_sent_is_final_where_the_carrier_gives_no_receipts(ledger: Stores) -> None:
    taken = await ledger.queued()
    assert taken.attempt
    await ledger.events.apply([event(taken.attempt, "sent")], frozenset({"sim"}))
    view = await ledger.view(taken.message)
    assert (view.state, view.attempts[0].next_at) == ("sent", None)


async def test_a_message_is_delivered_when_all_its_segments_are(ledger: Stores) -> None:
    taken = await ledger.queued(segments=2)
    assert taken.attempt
    for kind in ("sent", "delivered"):
        for segment in (1, 0):
            assert (await ledger.view(taken.message)).state == "processing"
            told = event(taken.attempt, kind, segment=segment, segments=2)
            await ledger.events.apply([told])
    view = await ledger.view(taken.message)
    assert (view.state, view.attempts[0].segment_states) == (
        "delivered",
        (AttemptState.DELIVERED, AttemptState.DELIVERED),
    )


async def test_the_bind_counts_the_segments_the_front_door_estimated(ledger: Stores) -> None:
    taken = await ledger.queued(segments=3)
    assert taken.attempt
    told = [
        event(taken.attempt, kind, segment=segment, segments=2)
        for kind in ("sent", "delivered")
        for segment in (0, 1)
    ]
    await ledger.events.apply(told)
    view = await ledger.view(taken.message)
    assert (view.state, view.attempts[0].segments) == ("delivered", 2)


async def test_a_possible_duplicate_is_marked_on_attempt_and_message(ledger: Stores) -> None:
    taken = await ledger.queued()
    assert taken.attempt
    await ledger.events.apply([event(taken.attempt, "possible_duplicate")])
    view = await ledger.view(taken.message)
    assert (view.possible_duplicate, view.attempts[0].possible_duplicate) == (True, True)
    assert view.state == "processing"


async def test_an_event_about_an_attempt_the_ledger_lost_makes_it_again(ledger: Stores) -> None:
    (message,) = await ledger.accepted()
    await ledger.events.apply([event(f"{name_of(message)}.0.0", "delivered")])
    view = await ledger.view(message)
    assert (view.state, view.next_at) == ("delivered", None)
    assert [(a.id, a.carrier) for a in view.attempts] == [(f"{name_of(message)}.0.0", "sim")]


async def test_a_step_of_a_cascade_wins_but_none_ends_it(ledger: Stores) -> None:
    (message,) = await ledger.accepted(plan=CASCADE)
    await ledger.attempts.take_in([Offer(message=message, carrier=None)])
    await ledger.own(message)
    first, second = f"{name_of(message)}.0.0", f"{name_of(message)}.1.0"
    await ledger.events.apply([event(first, "undelivered")])
    assert (await ledger.view(message)).state == "processing"
    await ledger.events.apply([event(second, "sent")])
    assert (await ledger.view(message)).state == "sent"
    await ledger.events.apply([event(first, "delivered")])
    assert (await ledger.view(message)).state == "delivered"


async def test_events_that_mean_nothing_are_set_apart(ledger: Stores) -> None:
    taken = await ledger.queued()
    assert taken.attempt
    good = event(taken.attempt, "sent")
    stranger = event(f"{name_of(uuid7())}.0.0", "sent")
    unreadable = replace(good, id=uuid7(), message="msg_nonsense")
    applied = await ledger.events.apply([unreadable, good, stranger])
    assert applied.new == 1
    assert [bad.event for bad in applied.bad] == [unreadable, stranger]
    assert all(bad.why for bad in applied.bad)


async def test_an_event_the_database_refuses_is_found_by_halving(postgres: PostgresStores) -> None:
    taken = [await postgres.queued() for _ in range(9)]
    told = [event(t.attempt or "", "sent", carrier_message_id=str(i)) for i, t in enumerate(taken)]
    told[2] = replace(told[2], carrier_message_id="\ud800")
    told[5] = replace(told[5], segment=300)
    told[7] = replace(told[7], money=Money("a lot", "EUR"))
    told[8] = replace(told[8], at=told[8].at.replace(tzinfo=None))
    applied = await postgres.events.apply(told)
    assert applied.new == 5
    assert {bad.event.id for bad in applied.bad} == {told[i].id for i in (2, 5, 7, 8)}
    states = [(await postgres.view(t.message)).attempts[0].state for t in taken]
    assert [s is AttemptState.SENT for s in states] == [i not in (2, 5, 7, 8) for i in range(9)]


async def test_a_nul_in_a_carriers_words_does_not_cost_the_event(postgres: PostgresStores) -> None:
    taken = await postgres.queued()
    assert taken.attempt
    words = Reason("rejected", "a\0b \\u0000 \\\0")
    await postgres.events.apply([event(taken.attempt, "rejected", reason=words)])
    view = await postgres.view(taken.message)
    assert view.state == "failed"
    assert view.events[0].reason_text == "a\ufffdb \\u0000 \\\ufffd"


async def test_racing_recorders_count_each_event_once(postgres: PostgresStores) -> None:
    await postgres.listen("acme")
    taken = [await postgres.queued() for _ in range(10)]
    told = [
        event(t.attempt or "", kind) for t in taken for kind in ("sent", "possible_duplicate")
    ] + [event(t.attempt or "", "delivered") for t in taken]
    shares = [told, told[::-1], told[15:] + told[:15], told]
    applied = await asyncio.gather(*(postgres.events.apply(share) for share in shares))
    assert sum(a.new for a in applied) == 30
    assert sum(a.repeated for a in applied) == 90
    assert sorted(await postgres.outbox()) == sorted((t.message, "delivered") for t in taken)


async def test_folding_and_recording_jobs_at_once_loses_neither(postgres: PostgresStores) -> None:
    ids = await postgres.accepted(30)
    taken = await postgres.attempts.take_in([Offer(message=m, carrier="sim") for m in ids])
    names = [t.attempt or "" for t in taken]
    created = moment()
    await asyncio.gather(
        postgres.events.apply([event(name, "submitting") for name in names]),
        postgres.attempts.record_jobs([JobPlace(name, created, 7) for name in names[::-1]]),
        postgres.events.apply([event(name, "sent") for name in names]),
    )
    rows = await postgres.rows("select distinct state, job_seq, next_action from attempt")
    assert rows == [(AttemptState.SENT, 7, "receipt_timeout")]
