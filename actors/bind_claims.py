"""What a bind or a relay does with the jobs it pulled, by the table of claims."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from actors.bind_job import HeldJob, Part, recut
from actors.bind_outcomes import DEFAULT_RETRY, KEEP_CLAIM
from actors.dead_letter_kinds import of_claim
from actors.outside import Outside
from hermes.core.carrier import Carrier
from hermes.core.claim import (
    ACCEPTED,
    DEFERRED,
    ELSEWHERE,
    NEW,
    REFUSED,
    UNCERTAIN,
    WRITTEN,
    Act,
    Claim,
    may_be_lost,
    next_act,
)
from hermes.core.errors import Unreadable
from hermes.core.event import Event
from hermes.core.units import Reason
from hermes.core.witness import Witness
from hermes.ports.claims import Advance, ClaimRequest, claim_key

ONLY = (WRITTEN,)
OWNER_GONE = Reason("owner_gone", "who had it went down with the submit open")
EXPIRED = Reason("expired", "the validity ended before a submit")


@dataclass(slots=True)
class Acted:
    """A batch of parts sorted: `go` on the wire, `wait` for their turn; jobs done or left alone.

    `later` are parts of which nothing can be known just now, `dropped` those settled before; what
    waits of their jobs has to be looked through. `told` are the events of the jobs
    done, to be stored before these are acknowledged.
    """

    go: list[Part] = field(default_factory=list)
    wait: list[Part] = field(default_factory=list)
    later: list[Part] = field(default_factory=list)
    dropped: list[Part] = field(default_factory=list)
    told: list[Event] = field(default_factory=list)
    done: list[HeldJob] = field(default_factory=list)
    left: list[HeldJob] = field(default_factory=list)


class Claiming:
    """Claims parts in the name of one incarnation, `me` = host/bind/boot."""

    def __init__(self, carrier: Carrier, witness: Witness, me: str, outside: Outside) -> None:
        self.carrier, self.witness, self.me, self.out = carrier, witness, me, outside

    async def act(self, batch: Sequence[Part]) -> Acted:
        """Claim what has no claim, go on with what is claimed, sort the batch by what was found.

        Raises StoreUnavailable: nothing was sorted then, and the batch may be given again.
        """
        acted = Acted()
        fresh: dict[HeldJob, list[Part]] = {}
        further: dict[HeldJob, list[Part]] = {}
        for part in batch:
            if part.is_marked:
                acted.go.append(part)
            elif part.held.claimed or part.held.taken_from:
                further.setdefault(part.held, []).append(part)
            else:
                fresh.setdefault(part.held, []).append(part)
        if further:
            await self.advance(further, acted)
        if fresh:
            await self.claim(fresh, acted)
        return acted

    async def advance(self, further: dict[HeldJob, list[Part]], acted: Acted) -> None:
        """Go on with claims; one that is another's by now is left alone."""
        wanted = [
            Advance(held.attempt, held.taken_from or self.me, tuple(p.index for p in parts))
            for held, parts in further.items()
        ]
        answers = await self.out.claims.advance(self.carrier.id, wanted, self.me)
        for (held, parts), is_mine in zip(further.items(), answers, strict=True):
            if is_mine:
                held.claimed, held.taken_from = True, ""
                self.mark(parts, acted)
            else:
                acted.left.append(held)

    @staticmethod
    def mark(parts: Sequence[Part], acted: Acted) -> None:
        """Let parts go whose segments are `written` in memory."""
        for part in parts:
            part.is_marked = True
        acted.go += parts

    async def claim(self, fresh: dict[HeldJob, list[Part]], acted: Acted) -> None:
        """Claim jobs for the parts that may go now, and act on each by what was found."""
        now = self.out.clock()
        wanted = [self.request(held, parts, now) for held, parts in fresh.items()]
        answers = await self.out.claims.claim(self.carrier.id, wanted, self.me)
        boots = {claim.boot for claim in answers if isinstance(claim, Claim)}
        alive = await self.out.leases.owners_alive(boots) if boots else set()
        unread: dict[HeldJob, Unreadable] = {}
        for (held, parts), found in zip(fresh.items(), answers, strict=True):
            if isinstance(found, Unreadable):
                unread[held] = found
            else:
                self.act_on(held, parts, found, alive, acted)
        if unread:
            await self.set_aside(unread, fresh, acted)

    def request(self, held: HeldJob, parts: Sequence[Part], now: datetime) -> ClaimRequest:
        """Give what a claim is to say: these parts are written, the others of the job are new."""
        ttl_s = max(60, int((held.job.expires_at + KEEP_CLAIM - now).total_seconds()))
        words: tuple[str, ...] = ONLY
        if held.total > 1:
            word = {part.index: NEW for part in held.parts} | {p.index: WRITTEN for p in parts}
            words = tuple(word.get(index, ELSEWHERE) for index in range(held.total))
        return ClaimRequest(held.attempt, words, ttl_s)

    def act_on(
        self,
        held: HeldJob,
        parts: Sequence[Part],
        claim: Claim | None,
        alive: set[str],
        acted: Acted,
    ) -> None:
        """Act on one job by what was found."""
        now = self.out.clock()
        decision = next_act(
            claim,
            self.me,
            owner_alive=claim is not None and claim.boot in alive,
            now=now,
            expires_at=held.job.expires_at,
            claim_lost=may_be_lost(
                queued_at=held.job.queued_at,
                was_out_before=held.num_delivered > 1 or held.job.republished,
                memory_made_at=self.out.memory_made_at(),
            ),
        )
        if decision is Act.SUBMIT:
            held.claimed = True
            self.mark(parts, acted)
        elif (
            decision in (Act.GO_ON, Act.RESUME)
            and claim is not None
            and len(claim.segments) == held.total
        ):
            self.go_on(held, parts, claim, acted)
        elif decision is Act.LEAVE:
            acted.left.append(held)
        else:
            acted.done.append(held)
            acted.told += self.told_of(held, claim, decision, now)

    def go_on(self, held: HeldJob, parts: Sequence[Part], claim: Claim, acted: Acted) -> None:
        """Send what is not settled; what another had begun is taken over when its turn comes."""
        if claim.owner == self.me:
            held.claimed = True
        else:
            held.taken_from = claim.owner
        held.forget_parts([p for p in held.parts if claim.segments[p.index] not in (NEW, WRITTEN)])
        for part in held.parts:
            part.is_marked = claim.segments[part.index] == WRITTEN
        for part in parts:
            if part not in held.parts:
                acted.dropped.append(part)
            elif part.is_marked:
                acted.go.append(part)
            else:
                acted.wait.append(part)

    def told_of(
        self, held: HeldJob, claim: Claim | None, decision: Act, now: datetime
    ) -> list[Event]:
        """Give the events of a decision that ends a job without a submit."""
        tell, attempt = self.witness.tell, held.attempt
        if decision is Act.CANCEL:
            return [tell(attempt, "cancelled", now, reason=Reason("cancelled"))]
        if claim is not None:
            indices = range(len(claim.segments))
            told = [self.told_again(attempt, claim, index, now) for index in indices]
            if decision in (Act.GO_ON, Act.RESUME):
                told.append(tell(attempt, "failed", now, reason=recut(len(indices), held.total)))
            return [event for event in told if event is not None]
        if decision is Act.EXPIRE:
            return [tell(attempt, "expired", now, reason=EXPIRED)]
        return self.uncertain(held, OWNER_GONE)

    def told_again(self, attempt: str, claim: Claim, index: int, now: datetime) -> Event | None:
        """Tell the outcome a claim has for a segment, again under the same event id.

        A segment still `written` is uncertain; of one never written there is nothing to tell.
        """
        word, total = claim.segments[index], len(claim.segments)
        tell = partial(self.witness.tell, attempt, at=now, segment=index, segments=total)
        code, _, text = claim.reason.partition(" ")
        reason = Reason(code or "refused", text)
        if word.startswith(ACCEPTED):
            return tell(kind="sent", carrier_message_id=word.removeprefix(ACCEPTED) or None)
        if word == REFUSED:
            return tell(kind="failed", reason=reason)
        if word == DEFERRED:
            retry_at = now + timedelta(seconds=DEFAULT_RETRY)
            return tell(kind="deferred", reason=reason, retry_at=retry_at)
        if word in (UNCERTAIN, WRITTEN):
            return tell(kind="uncertain", reason=OWNER_GONE)
        return None

    def uncertain(self, held: HeldJob, reason: Reason) -> list[Event]:
        """Tell that every part may have been sent."""
        return [
            self.witness.tell(
                held.attempt,
                "uncertain",
                self.out.clock(),
                segment=part.index,
                segments=held.total,
                reason=reason,
            )
            for part in held.parts
        ]

    async def set_aside(
        self, unread: dict[HeldJob, Unreadable], fresh: dict[HeldJob, list[Part]], acted: Acted
    ) -> None:
        """End jobs whose claim nobody can read: somebody may have sent them, so uncertain.

        Those whose letter cannot be stored now go back to their place.
        """
        letters = [
            of_claim(
                claim_key(self.carrier.id, held.attempt),
                held.attempt,
                str(error),
                self.out.clock(),
                held.num_delivered,
            )
            for held, error in unread.items()
        ]
        reason = Reason("claim_unreadable", "its claim cannot be read: it may have been sent")
        for held, is_stored in zip(unread, await self.out.dead.store(letters), strict=True):
            if is_stored:
                acted.done.append(held)
                acted.told += self.uncertain(held, reason)
            else:
                acted.later += fresh[held]
