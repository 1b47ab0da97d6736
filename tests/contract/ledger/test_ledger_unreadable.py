"""A row that cannot be read stops neither a sweep nor a batch, and comes back when it can be."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from hermes.adapters.revival_postgres import PostgresRevival
from hermes.core.clock import Timing
from hermes.core.dead_letter import Republish, StartClock
from hermes.core.state import AttemptState
from hermes.ports.attempt_store import Offer
from hermes.ports.clock_store import Due, SetAside
from hermes.ports.dead_letters import Revived
from tests.contract.ledger.stores import PostgresStores, event, moment, name_of

PLAN = '{"steps":[{"channel":"sms"}]}'
NEWER_PLAN = '{"steps":[{"channel":"?pigeon"}]}'
EMPTY_PLAN = '{"steps":[]}'
# what another version, or a fault, may have left in the row of an attempt
BROKEN_ATTEMPTS = {
    "a state of a newer version": "state = 33",
    "a segment's state of a newer version": "segment_states = '{33}'",
    "fewer places than segments": "segments = 3, segment_states = '{0}'",
    "segments beyond the last": "only_segments = '{7}'",
    "a time without end": "queued_at = 'infinity'",
}


@pytest.fixture
def revival(postgres: PostgresStores) -> PostgresRevival:
    return PostgresRevival(postgres.pool, Timing(republish_after_s=240.0))


async def sweep(ledger: PostgresStores, *messages: UUID) -> Due:
    for message in messages:
        await ledger.make_due(message)
    return await ledger.clock.sweep(100, Timing())


async def clock_of(ledger: PostgresStores, table: str, message: UUID) -> tuple[object, ...]:
    """Give action and reason of a row, and whether its clock runs."""
    key = "id" if table == "message" else "message"
    (row,) = await ledger.rows(
        f"select next_action, reason_code, next_at is not null from {table} where {key} = $1",
        message,
    )
    return row


@pytest.mark.parametrize("plan", [NEWER_PLAN, EMPTY_PLAN, '{"steps":7}', "[]"])
async def test_a_message_whose_plan_cannot_be_read_is_set_aside_alone(
    postgres: PostgresStores, revival: PostgresRevival, plan: str
) -> None:
    good, bad = await postgres.accepted(2)
    await postgres.rows("update message_body set plan = $1 where message = $2", plan, bad)
    due = await sweep(postgres, good, bad)
    (row,) = due.aside
    assert ([m.id for m in due.admit], due.jobs, due.events) == ([good], (), ())
    assert (row.table, row.name, row.action) == ("message", name_of(bad), "admit")
    assert row.why.startswith("message cannot be read: ")
    assert "pigeon" not in row.why
    assert await sweep(postgres) == Due(), "handed out, so leased"
    assert (await sweep(postgres, bad)).aside == (row,), "nobody wrote its letter"
    await postgres.clock.stop([row])
    assert await clock_of(postgres, "message", bad) == (None, "unreadable", False)
    assert await sweep(postgres, bad) == Due()
    view = await postgres.view(bad)
    assert (view.state, view.reason_code, view.plan) == ("accepted", "unreadable", None)
    assert len(await postgres.messages.page("acme", 10)) == 2

    await postgres.rows("update message_body set plan = $1 where message = $2", PLAN, bad)
    started = await revival.start_clock(StartClock("message", row.name, "admit"))
    assert (started.at is not None, started.why) == (True, row.name)
    assert [m.id for m in (await sweep(postgres)).admit] == [bad]
    again = await revival.start_clock(StartClock("message", row.name, "admit"))
    assert (again.at, again.is_moot) == (None, True)


@pytest.mark.parametrize("change", BROKEN_ATTEMPTS.values(), ids=BROKEN_ATTEMPTS)
async def test_an_attempt_that_cannot_be_read_is_set_aside_alone(
    postgres: PostgresStores, revival: PostgresRevival, change: str
) -> None:
    taken = [await postgres.queued() for _ in range(2)]
    good, bad = (one.message for one in taken)
    for message in (good, bad):
        await postgres.expire(message)
    await postgres.rows(f"update attempt set {change} where message = $1", bad)
    due = await sweep(postgres, good, bad)
    assert [e.message for e in due.events] == [name_of(good)]
    (row,) = due.aside
    assert (row.table, row.name, row.action) == ("attempt", f"{name_of(bad)}.0.0", "expire")
    await postgres.clock.stop(due.aside)
    assert await clock_of(postgres, "attempt", bad) == (None, "unreadable", False)
    assert await sweep(postgres, bad) == Due()
    assert (await postgres.view(bad)).state == "processing"

    await postgres.rows(
        "update attempt set state = 0, segments = 1, segment_states = null, only_segments = null,"
        " queued_at = now() where message = $1",
        bad,
    )
    assert (await revival.start_clock(StartClock("attempt", row.name, "expire"))).at is not None
    assert [(e.message, e.kind) for e in (await sweep(postgres)).events] == [
        (name_of(bad), "expired")
    ]


@pytest.mark.parametrize("what", ["plan", "sibling", "step"])
async def test_a_due_attempt_whose_message_cannot_be_read_whole_is_set_aside(
    postgres: PostgresStores, what: str
) -> None:
    offers = [Offer(message=m, carrier="sim") for m in await postgres.accepted(2)]
    good, bad = (taken.message for taken in await postgres.attempts.take_in(offers))
    name = f"{name_of(bad)}.0.0"
    if what == "plan":
        await postgres.rows("update message_body set plan = $1 where message = $2", NEWER_PLAN, bad)
    elif what == "sibling":
        await postgres.rows(
            "insert into attempt (message, step, n, tenant, segments, expires_at, state)"
            " select message, 0, 1, tenant, 1, expires_at, 33 from attempt where message = $1",
            bad,
        )
    else:
        await postgres.rows("update attempt set step = 4 where message = $1", bad)
        name = f"{name_of(bad)}.4.0"
    due = await sweep(postgres, good, bad)
    assert [job.attempt for job in due.jobs] == [f"{name_of(good)}.0.0"]
    assert [(row.name, row.action) for row in due.aside] == [(name, "republish")]
    await postgres.clock.stop(due.aside)
    assert await sweep(postgres, good) != Due()
    assert (await sweep(postgres, bad)).aside == ()


async def test_lost_jobs_are_found_beside_one_that_cannot_be_read(
    postgres: PostgresStores,
) -> None:
    taken = [await postgres.queued() for _ in range(3)]
    good, bad, unplanned = (one.message for one in taken)
    await postgres.rows("update attempt set state = 33 where message = $1", bad)
    await postgres.rows(
        "update message_body set plan = $1 where message = $2", NEWER_PLAN, unplanned
    )
    wiped = moment() + timedelta(seconds=5)
    due = await postgres.clock.sweep(100, Timing(), {"sim": wiped})
    assert [job.attempt for job in due.jobs] == [f"{name_of(good)}.0.0"]
    assert {(row.name, row.action) for row in due.aside} == {
        (f"{name_of(bad)}.0.0", "expire"),
        (f"{name_of(unplanned)}.0.0", "republish"),
    }
    await postgres.clock.stop(due.aside)
    for message in (bad, unplanned):
        assert await clock_of(postgres, "attempt", message) == (None, "unreadable", False)
    assert await postgres.clock.sweep(100, Timing(), {"sim": wiped}) == Due()


async def test_a_row_that_waits_for_something_else_by_now_is_not_stopped(
    postgres: PostgresStores,
) -> None:
    taken = await postgres.queued()
    name = f"{name_of(taken.message)}.0.0"
    await postgres.clock.stop([SetAside("attempt", name, "receipt_timeout", "why")])
    assert await clock_of(postgres, "attempt", taken.message) == ("expire", None, True)


async def test_events_of_an_attempt_that_cannot_be_read_are_bad_and_no_others(
    postgres: PostgresStores,
) -> None:
    taken = [await postgres.queued() for _ in range(5)]
    bad = taken[2]
    await postgres.rows("update attempt set state = 33 where message = $1", bad.message)
    events = [event(one.attempt or "", "sent") for one in taken]
    applied = await postgres.events.apply(events)
    assert (applied.new, [b.event for b in applied.bad]) == (4, [events[2]])
    assert applied.bad[0].why.startswith("attempt cannot be read: ")
    assert (await postgres.view(bad.message)).events == (), "nothing of it is stored"
    await postgres.rows("update attempt set state = 0 where message = $1", bad.message)
    assert (await postgres.events.apply(events)).new == 1, "told again, it counts"
    (attempt,) = (await postgres.view(bad.message)).attempts
    assert attempt.state is AttemptState.SENT


async def test_a_batch_is_taken_in_beside_an_attempt_that_cannot_be_read(
    postgres: PostgresStores,
) -> None:
    offers = [Offer(message=m, carrier="sim") for m in await postgres.accepted(3)]
    await postgres.attempts.take_in(offers[:2])
    bad = offers[0].message
    await postgres.rows("update attempt set state = 33 where message = $1", bad)
    results = await postgres.attempts.take_in(offers)
    assert [taken.status for taken in results] == ["recorded", "again", "taken"]
    view = await postgres.view(bad)
    assert (view.state, view.attempts) == ("processing", ())


async def test_a_job_is_published_again_once_the_belt_has_forgotten_its_id(
    postgres: PostgresStores, revival: PostgresRevival
) -> None:
    taken = await postgres.queued()
    assert taken.attempt
    at = moment()
    by_id = await revival.republish(Republish(taken.attempt, "sim", 99, at))
    assert by_id == Revived(at + timedelta(seconds=240), taken.attempt)
    assert await clock_of(postgres, "attempt", taken.message) == ("republish", None, True)
    assert [job.attempt for job in (await sweep(postgres, taken.message)).jobs] == [taken.attempt]


async def test_a_job_without_a_name_is_found_by_where_it_lay(
    postgres: PostgresStores, revival: PostgresRevival
) -> None:
    taken = await postgres.queued()
    long_ago = moment() - timedelta(days=1)
    assert (await revival.republish(Republish(None, "sim", 1, long_ago))).at is None
    assert (await revival.republish(Republish(None, "other", 1, moment()))).at is None
    absent = f"{name_of(uuid7())}.0.0"
    found = await revival.republish(Republish(absent, "sim", 1, moment()))
    assert (found.why, found.at is not None) == (taken.attempt, True)


async def test_a_job_that_is_not_needed_any_more_is_not_published(
    postgres: PostgresStores, revival: PostgresRevival
) -> None:
    taken = await postgres.queued()
    assert taken.attempt
    await postgres.events.apply([event(taken.attempt, "sent")])
    found = await revival.republish(Republish(taken.attempt, "sim", 1, moment()))
    assert (found.at, found.is_moot) == (None, True)
    assert found.why == f"attempt {taken.attempt} is sent and waits for receipt_timeout"
    unknown = await revival.republish(Republish(f"{name_of(uuid7())}.0.0", "sim", 5, moment()))
    assert (unknown.at, unknown.is_moot) == (None, False)


async def test_a_message_nobody_took_in_is_admitted_now(
    postgres: PostgresStores, revival: PostgresRevival
) -> None:
    (message,) = await postgres.accepted()
    assert (await sweep(postgres)) == Due()
    admitted = await revival.admit(message)
    assert (admitted.why, admitted.at is not None) == (name_of(message), True)
    assert [m.id for m in (await sweep(postgres)).admit] == [message]
    await postgres.attempts.take_in([Offer(message=message, carrier="sim")])
    assert await revival.admit(message) == Revived(
        None, f"message {name_of(message)} is processing by now", is_moot=True
    )
    (later,) = await postgres.accepted(send_in_s=3600.0)
    assert (await revival.admit(later)).is_moot, "its time is its own"
    assert (await postgres.view(later)).next_action == "start"
    absent = await revival.admit(uuid7())
    assert (absent.at, absent.is_moot) == (None, False)
