"""`DELETE /v1/messages/{id}`: won if nothing was claimed, lost if the carrier may have it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from hermes.core.event import Event, Source, encode_envelope
from hermes.core.state import FINAL_MESSAGE, MessageState
from hermes.core.units import Reason
from hermes.core.witness import Witness
from hermes.frontdoor.problem import Problem
from hermes.ports.attempt_store import AttemptStore, OnItsWay
from hermes.ports.claims import Claims
from hermes.ports.stream import Publisher

CLAIM_TTL = 8 * 86_400
TRIES = 3
PAUSE = 0.05


class Canceller:
    """Cancels in the ledger while nobody took the message in, else at the claim of its job."""

    def __init__(
        self,
        attempts: AttemptStore,
        claims: Claims,
        belt: Publisher,
        source: Source,
        clock: Callable[[], datetime],
    ) -> None:
        self.attempts, self.claims, self.belt = attempts, claims, belt
        self.source, self.clock = source, clock

    async def cancel(self, tenant: str, message: UUID) -> MessageState:
        """Cancel; gives `cancelled`. Raises Problem 404 or 409, StoreUnavailable.

        A message between intake and its job has nothing to meet yet: look again shortly.
        """
        for _ in range(TRIES):
            found = await self.attempts.cancel(tenant, message)
            if found is None:
                raise Problem("not-found", "this tenant has no such message", field="id")
            if found.state in FINAL_MESSAGE:
                return self.ended(found.state)
            if found.on_their_way:
                return await self.meet(found.on_their_way)
            await asyncio.sleep(PAUSE)
        raise too_late("it is between two attempts")

    @staticmethod
    def ended(state: MessageState) -> MessageState:
        """Answer for a message that is final; cancelling twice is no error."""
        if state != "cancelled":
            raise too_late(f"it ended {state}")
        return state

    async def meet(self, jobs: tuple[OnItsWay, ...]) -> MessageState:
        """Forbid every job at its claim; one that is claimed already wins."""
        for job in jobs:
            if job.carrier is None or not await self.claims.cancel(
                job.carrier, job.attempt, CLAIM_TTL
            ):
                raise too_late("it is already with the carrier")
        await asyncio.gather(*(self.tell(job) for job in jobs))
        return "cancelled"

    async def tell(self, job: OnItsWay) -> None:
        """Tell the event; should it be lost, the bind tells the same when it meets the claim."""
        event: Event = Witness(self.source, job.carrier or "").tell(
            job.attempt, "cancelled", self.clock(), reason=Reason("cancelled", "by the tenant")
        )
        subject = f"events.{self.source.host}-{self.source.actor.replace('/', '-')}"
        await self.belt.publish(subject, encode_envelope((event,)), str(event.id))


def too_late(why: str) -> Problem:
    """Make the 409."""
    return Problem("conflict", f"this message cannot be cancelled: {why}", field="id")
