"""A job in a bind's hands, from its delivery to its acknowledgement, and its parts."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from hermes.core.job import Job
from hermes.core.units import Reason, TrafficClass


def recut(before: int, after: int) -> Reason:
    """Give why a job cannot go on: its parts are not those that were sent before."""
    return Reason("segments_changed", f"it was cut into {before} segments before, into {after} now")


@dataclass(slots=True, eq=False)
class HeldJob:
    """One job; `reply` acknowledges it, `total` is the number of segments of its whole text.

    `claimed` says that the claim is this bind's, `taken_from` whose it is to be taken over. `out`
    counts parts on the wire or about to be, `answered` those with their outcome, `untold` those
    whose outcome is not on the belt yet: the job is acknowledged when none is left.
    """

    job: Job
    reply: str
    num_delivered: int = 1
    total: int = 1
    parts: list[Part] = field(default_factory=list)
    refusal: Reason | None = None
    claimed: bool = False
    taken_from: str = ""
    out: int = 0
    answered: int = 0
    untold: int = 0

    @property
    def attempt(self) -> str:
        """The attempt id."""
        return self.job.attempt

    @property
    def has_begun(self) -> bool:
        """Say whether a part is out or answered."""
        return self.out > 0 or self.answered > 0

    @property
    def is_answered(self) -> bool:
        """Say whether no part is out or waits to go."""
        return self.answered >= len(self.parts)

    def forget_parts(self, dropped: list[Part]) -> None:
        """Parts that this job will not send after all."""
        for part in dropped:
            self.parts.remove(part)
        self.untold -= len(dropped)


@dataclass(slots=True, eq=False)
class Part:
    """One segment of a job; `is_marked` says that the claim has it as written."""

    held: HeldJob
    index: int
    frame: bytes
    is_marked: bool = False

    @property
    def traffic(self) -> TrafficClass:
        """The priority it goes by."""
        return self.held.job.traffic

    @property
    def pair(self) -> Hashable:
        """Source and destination: their order is kept."""
        return self.held.job.sender, self.held.job.to

    @property
    def owner(self) -> Hashable:
        """The job: its parts may go together."""
        return self.held

    @property
    def has_begun(self) -> bool:
        """Say whether the pair stays with the job."""
        return self.held.has_begun

    @property
    def name(self) -> str:
        """What it is called in the link's events."""
        return f"{self.held.job.attempt}#{self.index}"
