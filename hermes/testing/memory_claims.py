"""Claims and leases in this process, with a clock that is an argument."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from hermes.core.claim import ACCEPTED, ELSEWHERE, NEW, WRITTEN, Claim
from hermes.ports.claims import Advance, ClaimRequest, Found, Settled


@dataclass(frozen=True, slots=True)
class Kept:
    """A claim and when it ends."""

    claim: Claim
    ends: float


class MemoryClaims:
    """Implements Claims; `now` gives seconds that never go back."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._kept: dict[tuple[str, str], Kept] = {}

    async def claim(self, carrier: str, wanted: Sequence[ClaimRequest], me: str) -> list[Found]:
        """See `Claims.claim`."""
        found: list[Found] = []
        for attempt, segments, ttl_s in wanted:
            there = self._find(carrier, attempt)
            found.append(None if there is None else there.claim)
            if there is None:
                self._kept[carrier, attempt] = Kept(Claim(me, segments), self._now() + ttl_s)
        return found

    async def advance(self, carrier: str, wanted: Sequence[Advance], me: str) -> list[bool]:
        """See `Claims.advance`."""
        return [self._advance(carrier, one, me) for one in wanted]

    def _advance(self, carrier: str, wanted: Advance, me: str) -> bool:
        there = self._find(carrier, wanted.attempt)
        if there is None or there.claim.owner != wanted.owner or there.claim.state == "cancelled":
            return False
        segments = tuple(
            WRITTEN if word == NEW and index in wanted.segments else word
            for index, word in enumerate(there.claim.segments)
        )
        self._change(carrier, wanted.attempt, there, owner=me, segments=segments)
        return True

    async def settle(self, carrier: str, outcomes: Sequence[Settled]) -> None:
        """See `Claims.settle`."""
        for attempt, segment, outcome, reason in outcomes:
            there = self._find(carrier, attempt)
            if there is None or there.claim.state == "cancelled":
                continue
            segments = list(there.claim.segments)
            if segment >= len(segments) or segments[segment].startswith(ACCEPTED):
                continue
            segments[segment] = outcome
            self._change(
                carrier,
                attempt,
                there,
                segments=tuple(segments),
                reason=reason or there.claim.reason,
            )

    async def cancel(self, carrier: str, attempt: str, ttl_s: int) -> bool:
        """See `Claims.cancel`."""
        there = self._find(carrier, attempt)
        if there is None:
            ends = self._now() + ttl_s
            self._kept[carrier, attempt] = Kept(Claim("", (), "cancelled"), ends)
            return True
        return there.claim.state == "cancelled"

    async def drop(self, carrier: str, attempts: Sequence[str], me: str) -> None:
        """See `Claims.drop`."""
        for attempt in attempts:
            there = self._find(carrier, attempt)
            if (
                there is not None
                and there.claim.owner == me
                and there.claim.state != "cancelled"
                and set(there.claim.segments) <= {NEW, WRITTEN, ELSEWHERE}
            ):
                del self._kept[carrier, attempt]

    def _find(self, carrier: str, attempt: str) -> Kept | None:
        there = self._kept.get((carrier, attempt))
        return None if there is None or there.ends <= self._now() else there

    def _change(self, carrier: str, attempt: str, there: Kept, **changes: object) -> None:
        claim = msgspec.structs.replace(there.claim, **changes)
        self._kept[carrier, attempt] = Kept(claim, there.ends)


class MemoryLeases:
    """Implements Leases; `now` gives seconds that never go back."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._ends: dict[str, float] = {}
        self._incarnations: dict[tuple[str, str], str] = {}

    async def replace(self, host: str, bind: str, boot: str, ttl_s: float) -> None:
        """See `Leases.replace`."""
        before = self._incarnations.get((host, bind))
        if before is not None:
            self._ends.pop(before, None)
        self._incarnations[host, bind] = boot
        self._ends[boot] = self._now() + ttl_s

    async def renew(self, boot: str, ttl_s: float) -> bool:
        """See `Leases.renew`."""
        if self._ends.get(boot, 0.0) <= self._now():
            return False
        self._ends[boot] = self._now() + ttl_s
        return True

    async def release(self, boot: str) -> None:
        """See `Leases.release`."""
        self._ends.pop(boot, None)

    async def owners_alive(self, boots: Iterable[str]) -> set[str]:
        """See `Leases.owners_alive`."""
        return {boot for boot in boots if self._ends.get(boot, 0.0) > self._now()}
