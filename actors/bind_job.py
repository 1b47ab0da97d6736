"""A job in a bind's hands, from its delivery to its acknowledgement."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from hermes.core.job import Job
from hermes.core.units import TrafficClass


@dataclass(slots=True)
class HeldJob:
    """One job; `reply` acknowledges it, `claimed` says that the claim is this bind's."""

    job: Job
    reply: str
    pair: Hashable
    claimed: bool = False
    num_delivered: int = 1

    @property
    def attempt(self) -> str:
        """The attempt id."""
        return self.job.attempt

    @property
    def traffic(self) -> TrafficClass:
        """The priority it goes by."""
        return self.job.traffic
