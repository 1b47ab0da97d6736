"""Which deliver_sm goes to which session of an account, also after a session ended."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hermes.simulator.receipt import Delivery


@dataclass(slots=True)
class Lane:
    """The share of one receiving session: waiting, and sent but not yet answered (by sequence)."""

    ready: deque[Delivery] = field(default_factory=deque)
    flying: dict[int, tuple[Delivery, float]] = field(default_factory=dict)


@dataclass(slots=True)
class Outbox:
    """Deliveries owed to one account.

    A delivery goes to the session it belongs to while that one can receive, else to the next in
    rotation (`spread`: always the next). While no session can receive, all wait in `backlog`.
    """

    spread: bool = False
    backlog: deque[Delivery] = field(default_factory=deque)
    lanes: dict[int, Lane] = field(default_factory=dict)
    _turn: int = 0

    def join(self, session: int) -> None:
        """A session can receive from now on; the first one takes over the backlog."""
        lane = self.lanes.setdefault(session, Lane())
        lane.ready.extend(self.backlog)
        self.backlog.clear()

    def leave(self, session: int) -> int:
        """A session is gone: what it had not answered goes to others first, oldest first.

        Returns how many deliveries were sent and not answered.
        """
        lane = self.lanes.pop(session, None)
        if lane is None:
            return 0
        owed = [delivery for delivery, _ in lane.flying.values()]
        unanswered = len(owed)
        owed.extend(lane.ready)
        if self.lanes:
            self._lane(0).ready.extendleft(reversed(owed))
        else:
            self.backlog.extendleft(reversed(owed))
        return unanswered

    def put(self, delivery: Delivery) -> None:
        """Owe a delivery."""
        if self.lanes:
            self._lane(delivery.session).ready.append(delivery)
        else:
            self.backlog.append(delivery)

    def take(self, session: int, window: int) -> Delivery | None:
        """The next delivery for a session with less than `window` unanswered (0: no limit)."""
        lane = self.lanes.get(session)
        if lane is None or not lane.ready or (window and len(lane.flying) >= window):
            return None
        return lane.ready.popleft()

    def sent(self, session: int, sequence: int, delivery: Delivery, now: float) -> None:
        """A delivery was written to a session under that sequence number."""
        self.lanes[session].flying[sequence] = (delivery, now)

    def answered(self, session: int, sequence: int) -> Delivery | None:
        """The delivery a response belongs to; None for a sequence that is not open."""
        lane = self.lanes.get(session)
        found = lane.flying.pop(sequence, None) if lane is not None else None
        return None if found is None else found[0]

    def overdue(self, before: float) -> list[Delivery]:
        """Take back every delivery sent before that time and not answered."""
        late: list[Delivery] = []
        for lane in self.lanes.values():
            for sequence, (delivery, sent_at) in list(lane.flying.items()):
                if sent_at > before:
                    break
                del lane.flying[sequence]
                late.append(delivery)
        return late

    def waiting(self) -> int:
        """Deliveries not written yet."""
        return len(self.backlog) + sum(len(lane.ready) for lane in self.lanes.values())

    def flying(self) -> int:
        """Deliveries written and not answered yet."""
        return sum(len(lane.flying) for lane in self.lanes.values())

    def clear(self) -> None:
        """Forget every delivery; the sessions stay."""
        self.backlog.clear()
        for session in self.lanes:
            self.lanes[session] = Lane()

    def _lane(self, session: int) -> Lane:
        own = None if self.spread else self.lanes.get(session)
        if own is not None:
            return own
        sessions = list(self.lanes)
        self._turn += 1
        return self.lanes[sessions[self._turn % len(sessions)]]
