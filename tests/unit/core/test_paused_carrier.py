"""A carrier paused for ten minutes with 5,000 queued: the ledger clock publishes nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from uuid_utils.compat import uuid7

from hermes.core.clock import Timing
from hermes.core.event import Source
from hermes.core.message import Message
from hermes.core.plan import ONE_SMS
from hermes.ports.attempt_store import JobPlace, Offer
from hermes.ports.message_store import Submission
from hermes.testing.memory_attempt_store import MemoryAttemptStore
from hermes.testing.memory_clock_store import MemoryClockStore
from hermes.testing.memory_ledger import MemoryLedger, MemoryMessageStore

COUNT = 5_000
START = datetime(2026, 1, 1, tzinfo=UTC)
SWEEPER = Source(host="a", actor="sweeper")


class ManualClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at


def submission() -> Submission:
    """Make a message that expires in a day."""
    return Submission(
        message=Message(
            id=uuid7(),
            tenant="acme",
            to="+4512345678",
            text="hi",
            plan=ONE_SMS,
            accepted_at=START,
            expires_at=START + timedelta(days=1),
        )
    )


async def test_the_sweeper_publishes_nothing_that_is_live() -> None:
    clock, timing = ManualClock(), Timing()
    memory = MemoryLedger(clock)
    messages, attempts = MemoryMessageStore(memory), MemoryAttemptStore(memory, SWEEPER, timing)
    sweeper = MemoryClockStore(memory, SWEEPER)
    batch = [submission() for _ in range(COUNT)]
    await messages.commit(batch)
    taken = await attempts.take_in([Offer(message=b.message.id, carrier="sim") for b in batch])
    places = [JobPlace(t.attempt or "", START, seq) for seq, t in enumerate(taken, 1)]
    assert await attempts.record_jobs(places) == COUNT
    for _ in range(60):
        clock.at += timedelta(seconds=10)
        due = await sweeper.sweep(1000, timing, {"sim": START})
        assert (due.admit, due.jobs, due.events) == ((), (), ())


async def test_the_same_queue_comes_back_when_its_stream_was_wiped() -> None:
    clock, timing = ManualClock(), Timing()
    memory = MemoryLedger(clock)
    messages, attempts = MemoryMessageStore(memory), MemoryAttemptStore(memory, SWEEPER, timing)
    sweeper = MemoryClockStore(memory, SWEEPER)
    batch = [submission() for _ in range(3)]
    await messages.commit(batch)
    taken = await attempts.take_in([Offer(message=b.message.id, carrier="sim") for b in batch])
    await attempts.record_jobs(
        [JobPlace(t.attempt or "", START, seq) for seq, t in enumerate(taken, 1)]
    )
    clock.at += timedelta(seconds=10)
    due = await sweeper.sweep(1000, timing, {"sim": START + timedelta(seconds=5)})
    assert sorted(job.attempt for job in due.jobs) == sorted(t.attempt or "" for t in taken)
