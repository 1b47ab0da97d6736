"""How a relay's mails end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actors.bind_job import HeldJob
from actors.job_outcomes import JobOutcomes
from actors.outside import Outside
from hermes.core.event import Event
from hermes.ports.claims import Settled


@dataclass(frozen=True, slots=True)
class MailResult:
    """How one mail ended: the word of its claim with the reason kept there, and the event."""

    held: HeldJob
    word: str
    reason: str
    event: Event


class MailOutcomes(JobOutcomes[MailResult, Outside]):
    """A mail is all of its job."""

    channel = "email"

    async def remember(self, batch: Sequence[MailResult]) -> None:
        """See `JobOutcomes.remember`."""
        outcomes = [Settled(r.held.attempt, 0, r.word, r.reason) for r in batch]
        await self.out.claims.settle(self.carrier.id, outcomes)

    def events_of(self, batch: Sequence[MailResult]) -> list[Event]:
        """See `JobOutcomes.events_of`."""
        return [result.event for result in batch]

    def done_of(self, batch: Sequence[MailResult]) -> list[HeldJob]:
        """See `JobOutcomes.done_of`."""
        return [result.held for result in batch]
