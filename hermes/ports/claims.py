"""Ports of the claims: who may submit an attempt, and which incarnations are alive."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from hermes.core.claim import Claim
from hermes.core.errors import Unreadable

Found = Claim | Unreadable | None


def claim_key(carrier: str, attempt: str) -> str:
    """Give the key of a claim; the braces put a carrier's claims into one cluster slot."""
    return f"claim:{{{carrier}}}:{attempt}"


class ClaimRequest(NamedTuple):
    """An attempt to claim with these words for its segments; the claim lives `ttl_s` seconds."""

    attempt: str
    segments: tuple[str, ...]
    ttl_s: int


class Advance(NamedTuple):
    """`new` segments to be written next, of a claim whose owner string is `owner`."""

    attempt: str
    owner: str
    segments: tuple[int, ...]


class Settled(NamedTuple):
    """What became of one segment: a word of `hermes.core.claim.Claim`."""

    attempt: str
    segment: int
    outcome: str
    reason: str = ""


class Claims(Protocol):
    """Claims of one carrier's attempts, changed by one call per batch.

    A claim is only ever made where there is none. All raise StoreUnavailable, after which nobody
    knows whether the call was carried out; each may be repeated.
    """

    async def claim(self, carrier: str, wanted: Sequence[ClaimRequest], me: str) -> list[Found]:
        """Claim for `me` (host/bind/boot); None: it is mine now, else what was found instead.

        A claim of another version, or a broken one, is given as Unreadable and stays as it is;
        the other calls pass it over as one that is not mine.
        """
        ...

    async def advance(self, carrier: str, wanted: Sequence[Advance], me: str) -> list[bool]:
        """Make claims mine, or go on with mine: their segments named become `written`.

        False: it has another owner by now, or is cancelled or gone; nothing of it changed.
        """
        ...

    async def settle(self, carrier: str, outcomes: Sequence[Settled]) -> None:
        """Note outcomes of segments; accepted ones stay, claims that are gone are passed over."""
        ...

    async def cancel(self, carrier: str, attempt: str, ttl_s: int) -> bool:
        """Forbid an attempt. False: it is claimed, so the carrier may have it already."""
        ...

    async def drop(self, carrier: str, attempts: Sequence[str], me: str) -> None:
        """Undo claims of mine of which nothing was written: only those without any outcome go."""
        ...


class Leases(Protocol):
    """Which incarnations (boots) of binds are alive. All raise StoreUnavailable."""

    async def replace(self, host: str, bind: str, boot: str, ttl_s: float) -> None:
        """Take the lease of a new incarnation; the one before it on this host is gone at once."""
        ...

    async def renew(self, boot: str, ttl_s: float) -> bool:
        """Prolong the lease. False: it is gone (late, replaced, memory lost); `replace` it."""
        ...

    async def release(self, boot: str) -> None:
        """Give the lease back: this incarnation will submit nothing more."""
        ...

    async def owners_alive(self, boots: Iterable[str]) -> set[str]:
        """Give those of the boots whose lease runs."""
        ...
