"""What a cascade engine calls to get work done: the ledger and the belt, many cascades at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import structlog
from msgspec import structs

from actors.job_places import JobPlaces
from actors.publish_held import publish_again, with_error
from actors.stores import admin_of, ensure_belt, open_belt, open_ledger, timing
from cascade.actions import Result
from cascade.dispatch import SUPPRESSED, Go, Lanes, decide, refused
from cascade.events import DispatchResult, NotOurs, TakenOver
from cascade.news import outcome_of
from hermes import crash
from hermes.adapters.attempt_store_postgres import PostgresAttemptStore
from hermes.adapters.cascade_ledger_postgres import PostgresCascadeLedger
from hermes.adapters.postgres import PostgresPool
from hermes.adapters.stream_jetstream import JetStream
from hermes.adapters.suppression_postgres import PostgresSuppressionStore
from hermes.core.carrier import Carrier
from hermes.core.errors import StoreUnavailable
from hermes.core.event import Source
from hermes.core.ids import decode_message_id
from hermes.core.job import encode_job, subject_of
from hermes.core.state import MessageState
from hermes.core.units import Reason
from hermes.frontdoor.gather import Gather
from hermes.ports.cascade_ledger import CascadeLedger, Claim, Ending, OpenCascade
from hermes.ports.stream import (
    PubAck,
    Publication,
    PublishResult,
    StreamFull,
    StreamMissing,
)
from hermes.ports.suppression_store import Recipient
from hermes.routing.table import RouteTable
from hermes.settings import wiring as wirings
from hermes.settings.carriers import carriers_of
from hermes.settings.wiring import Wiring

FULL_WAIT = 2.0
NAME = "cascade-endpoint"


@dataclass(frozen=True, slots=True)
class Asked:
    """A step to put on the belt, and the token of its outcome."""

    message: UUID
    step: int
    token: str


class LedgerEndings:
    """Notes how cascades ended, one by one."""

    def __init__(self, ledger: CascadeLedger) -> None:
        self.ledger = ledger

    async def finished(self, mid: str, result: Result) -> None:
        """See `CascadeSteps`."""
        await self.ledger.finish([ending_of(mid, result)])


class LedgerSteps:
    """CascadeSteps over the ledger and the belt; whoever calls at the same time shares a batch."""

    def __init__(
        self, wiring: Wiring, carriers: Sequence[Carrier], pool: PostgresPool, belt: JetStream
    ) -> None:
        self.wiring, self.carriers, self.belt = wiring, carriers, belt
        self.log = structlog.get_logger()
        self.ledger: CascadeLedger = PostgresCascadeLedger(
            pool, wiring.postgres_dsn, timing(wiring)
        )
        self.suppressions = PostgresSuppressionStore(pool)
        self.attempts = PostgresAttemptStore(pool, Source(wiring.host, NAME), timing(wiring))
        self.places = JobPlaces(self.attempts, admin_of(belt, wiring))
        receiptless = frozenset(c.id for c in carriers if c.receipts == "none")
        quiet = wiring.settings.quiet.hours
        self.lanes = Lanes(RouteTable(carriers), receiptless, quiet)
        self.claims: Gather[Claim, TakenOver | NotOurs] = Gather(self.take_over_many)
        self.dispatches: Gather[Asked, DispatchResult] = Gather(self.dispatch_many)
        self.endings: Gather[Ending, None] = Gather(self.finish_many)

    # CascadeSteps

    async def take_over(self, mid: str, owner: str, late: str) -> TakenOver | NotOurs:
        """See `CascadeSteps`."""
        return await self.claims.submit(Claim(decode_message_id(mid), owner, late))

    async def dispatch(self, mid: str, step: int, token: str) -> DispatchResult:
        """See `CascadeSteps`."""
        return await self.dispatches.submit(Asked(decode_message_id(mid), step, token))

    async def finished(self, mid: str, result: Result) -> None:
        """See `CascadeSteps`; what is still under way is stopped by whoever reads the news."""
        await self.endings.submit(ending_of(mid, result))

    # Batches

    async def take_over_many(self, batch: Sequence[Claim]) -> Sequence[TakenOver | NotOurs]:
        """Take messages over; of two owners in one batch the first has it."""
        first = {claim.message: claim for claim in reversed(batch)}
        found = await self.ledger.take_over(list(first.values()))
        return [
            ours(found[claim.message])
            if claim.message in found and first[claim.message].owner == claim.owner
            else NotOurs()
            for claim in batch
        ]

    async def dispatch_many(self, batch: Sequence[Asked]) -> Sequence[DispatchResult]:
        """Decide, make the attempts, publish their jobs, and note where these lie."""
        asked = {(one.message, one.step): one for one in batch}
        found = await self.ledger.read(list({one.message for one in batch}))
        answers: dict[tuple[UUID, int], DispatchResult] = {}
        going: dict[tuple[UUID, int], Go] = {}
        for key, one in asked.items():
            decided = decide(found.get(one.message), one.step, one.token, self.lanes)
            if isinstance(decided, Go):
                going[key] = decided
            else:
                answers[key] = decided
        for key in await self.suppressed(going):
            answers[key] = refused(found[key[0]], SUPPRESSED)
            del going[key]
        answers |= await self.put(going, found)
        return [answers[one.message, one.step] for one in batch]

    async def suppressed(self, going: dict[tuple[UUID, int], Go]) -> list[tuple[UUID, int]]:
        """Give those whose recipient is on the tenant's suppression list."""
        wanted = {
            key: Recipient(go.job.tenant, go.job.channel, go.job.to) for key, go in going.items()
        }
        listed = await self.suppressions.suppressed(list(wanted.values()))
        return [key for key, recipient in wanted.items() if recipient in listed]

    async def put(
        self, going: dict[tuple[UUID, int], Go], found: dict[UUID, OpenCascade]
    ) -> dict[tuple[UUID, int], DispatchResult]:
        """Publish what may go; give the answers. Raises StoreUnavailable if one is not known."""
        if not going:
            return {}
        queued = await self.ledger.place([go.placement for go in going.values()])
        crash.at("after_place", len(queued))
        answers: dict[tuple[UUID, int], DispatchResult] = {}
        ready: list[tuple[tuple[UUID, int], Go]] = []
        for key, go in going.items():
            at = queued.get(key[0])
            if at is None:
                reason = Reason("has_outcome", "the message has its outcome")
                now = found[key[0]].now
                answers[key] = DispatchResult(answer="refused", at=now, reason=reason)
            else:
                job = structs.replace(go.job, queued_at=at)
                ready.append((key, Go(go.placement, job)))
        results = await self.publish([go for _, go in ready])
        crash.at("after_dispatch", len(results))
        full: list[tuple[UUID, int]] = []
        for (key, go), result in zip(ready, results, strict=True):
            at = go.job.queued_at
            match result:
                case PubAck():
                    await self.places.note(go.job.attempt, result)
                    reports = self.lanes.reports(go.job.carrier)
                    answers[key] = DispatchResult(answer="accepted", at=at, reports=reports)
                case StreamFull():
                    full.append(key)
                    reason = Reason("carrier_full", str(result))
                    answers[key] = DispatchResult(
                        answer="full", at=at, retry_after_s=FULL_WAIT, reason=reason
                    )
                case _:
                    raise StoreUnavailable("nats", str(result))
        await self.ledger.withdraw(full)
        return answers

    async def publish(self, going: Sequence[Go]) -> list[PublishResult]:
        """Publish jobs; what finds no stream goes again once it is made."""
        items = [Publication(subject_of(g.job), encode_job(g.job), g.job.attempt) for g in going]
        results = list(await self.belt.publish_batch(items)) if items else []
        if with_error(results, StreamMissing):
            await ensure_belt(self.belt, self.wiring, self.carriers, self.log)
            await publish_again(self.belt, items, results, StreamMissing)
        return results

    async def finish_many(self, batch: Sequence[Ending]) -> Sequence[None]:
        """Note outcomes; of two for one message the first counts."""
        first = {ending.message: ending for ending in reversed(batch)}
        await self.ledger.finish(list(first.values()))
        return [None] * len(batch)


def ours(cascade: OpenCascade) -> TakenOver:
    """Give what an engine needs to begin, or to go on after a step that was begun without it.

    What it dispatched itself has a token: when it asks again it begins where it began.
    """
    begun = max((a.step + 1 for a in cascade.attempts if a.token is None), default=0)
    earlier = (outcome_of(cascade, step) for step in range(begun))
    return TakenOver(
        at=cascade.now,
        expires_at=cascade.expires_at,
        first=begun,
        earlier=tuple(outcome for outcome in earlier if outcome is not None),
    )


def ending_of(mid: str, result: Result) -> Ending:
    """Give a cascade's end as the ledger notes it."""
    return Ending(message=decode_message_id(mid), state=state_of(result), reason=result.reason)


def state_of(result: Result) -> MessageState:
    """Give a message's state by how its cascade ended."""
    match result.status:
        case "accepted" | "sent":
            return "sent"
        case "delivered" | "read":
            return "delivered"
        case "failed" | "expired" | "cancelled" as state:
            return state


@asynccontextmanager
async def open_steps(argument: str) -> AsyncIterator[LedgerSteps]:
    """Open the steps of a host; `argument` is the path of its wiring file."""
    wiring = wirings.read(Path(argument))
    crash.arm(wiring.run_dir)
    belt = await open_belt(wiring, NAME)
    async with await open_ledger(wiring, NAME, connections=4) as pool:
        steps = LedgerSteps(wiring, carriers_of(wiring), pool, belt)
        recorder = asyncio.get_running_loop().create_task(steps.places.record_forever())
        try:
            yield steps
        finally:
            recorder.cancel()
            await belt.close()
