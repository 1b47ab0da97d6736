"""Port of shared rates: contract rate, pressure of carriers, credits of admission."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, Protocol

import msgspec

PRESSURE_LIFE_S: Final = 5
CREDIT_LIFE_S: Final = 3
SHARE: Final = 0.5
"""Part of a second's credits one tenant may have while another is active."""
NO_CREDITS_RETRY_S: Final = 5.0
LONGEST_RETRY_S: Final = 60.0

CarrierState = Literal["open", "slow", "full", "down", "paused", "draining"]


class Pressure(msgspec.Struct, frozen=True):
    """What one host sees of a carrier: `queue` in segments, `rate` in segments/s it drains."""

    carrier: str
    host: str
    queue: int
    rate: float
    state: CarrierState = "open"


class CreditRequest(NamedTuple):
    """A message to admit: the segments it needs of a carrier."""

    carrier: str
    tenant: str
    segments: int


class Grant(NamedTuple):
    """Admitted, or when to try again: seconds, from the rate the carrier drains at."""

    granted: bool
    retry_after_s: float = 0.0


class Slice(NamedTuple):
    """A part of the contract rate: segments to send, or seconds until there are some again."""

    granted: int
    retry_after_s: float = 0.0


class RateLimits(Protocol):
    """What several hosts and front doors share of a carrier. All raise StoreUnavailable."""

    async def take_rate(self, carrier: str, rate: float, burst: int, wanted: int) -> Slice:
        """Take up to `wanted` segments of a bucket that fills with `rate` per second to `burst`."""
        ...

    async def publish_pressure(self, pressure: Pressure) -> None:
        """Tell what this host sees; it counts for 5 seconds."""
        ...

    async def pressures(self) -> list[Pressure]:
        """Give what every host told in the last 5 seconds."""
        ...

    async def refill(self, carrier: str, host: str, segments: int, rate: float) -> None:
        """Set what this host's share of a carrier can take in the next second.

        What is left of the second before is void, what was overdrawn is owed. `rate` is what the
        carrier drains there, per second. Credits nobody renews end after 3 seconds.
        """
        ...

    async def take(self, requests: Sequence[CreditRequest]) -> list[Grant]:
        """Admit what there are credits for, each request wholly or not at all, in their order.

        The last one admitted may overdraw, so that a long message is never shut out. While
        another tenant is active a tenant gets half of a second's credits at most.
        """
        ...
