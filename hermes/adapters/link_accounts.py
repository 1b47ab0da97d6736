"""The accounts of a link of any engine: a submit has one outcome, a slot is freed once.

submitted = accepted + refused + NotSent + Lost + NoResponse, at any time after the last life.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable
from typing import Final

from hermes.ports.link import (
    Congestion,
    CreditChanged,
    LateResponse,
    LinkEvent,
    Lost,
    Nacked,
    NoResponse,
    NotSent,
    Problem,
    SubmitResult,
    Throttled,
    WirePdu,
)
from hermes.smpp.command import CommandId, command_name, response_to
from hermes.smpp.status import CommandStatus
from hermes.smpp.tlv import TlvTag, decode_tlvs, first_tlv
from hermes.smpp.window import LateAnswer, Window

_STATUS_AND_SEQUENCE: Final = struct.Struct(">II")
_THROTTLED: Final = frozenset({CommandStatus.ESME_RTHROTTLED, CommandStatus.ESME_RMSGQFUL})


def loop_time() -> float:
    """Monotonic seconds of the running loop: the clock that the timers of an engine run by."""
    return asyncio.get_running_loop().time()


class Pause:
    """A time in which a link writes no submit; `on_end` is called when it is over."""

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_on(self) -> bool:
        """Whether it lasts."""
        return self._timer is not None

    def begin(self, seconds: float) -> bool:
        """Begin, or prolong. False: one under way ends later and stays as it is."""
        until = loop_time() + seconds
        if until <= self._until:
            return False
        self._until = until
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._end)
        return True

    def _end(self) -> None:
        self._timer = None
        self._on_end()


class Submission:
    """One submit on its way to its outcome."""

    __slots__ = ("command_id", "frame", "future", "reference")

    def __init__(self, wire: WirePdu) -> None:
        self.frame = wire.frame
        self.reference = wire.reference
        self.command_id = int.from_bytes(wire.frame[4:8], "big")
        self.future: asyncio.Future[SubmitResult] = asyncio.get_running_loop().create_future()

    def with_sequence(self, sequence: int) -> bytes:
        """The frame to write."""
        return self.frame[:12] + sequence.to_bytes(4, "big") + self.frame[16:]

    def resolve(self, result: SubmitResult) -> None:
        """Accepted or refused; nothing if the caller gave the future up."""
        if not self.future.done():
            self.future.set_result(result)

    def fail(self, error: NotSent | Lost | NoResponse) -> None:
        """No answer; nothing if the caller gave the future up."""
        if not self.future.done():
            self.future.set_exception(error)


class Accounts:
    """Queue, window and outcomes of one link.

    While closed (unbound, paused, draining) there is no credit and nothing is taken. `idle` is set
    while nothing is queued or in flight. Times are monotonic seconds.
    """

    def __init__(
        self, size: int, response_timeout: float, on_event: Callable[[LinkEvent], None]
    ) -> None:
        self.response_timeout = response_timeout
        self.idle = asyncio.Event()
        self.idle.set()
        self._on_event = on_event
        self._window: Window[Submission] = Window(size)
        self._queue: deque[Submission] = deque()
        self._taken: Submission | None = None
        self._ready = asyncio.Event()
        self._is_open = False

    @property
    def credit(self) -> int:
        """Submits that may be queued now."""
        return self._window.credit if self._is_open else 0

    def open(self) -> None:
        """Let submits in and out."""
        self._is_open = True
        self._signal()

    def close(self) -> None:
        """Hold everything back."""
        self._is_open = False
        self._signal()

    def submit(self, wire: WirePdu) -> asyncio.Future[SubmitResult]:
        """Queue the PDU, or fail it as NotSent without credit."""
        submission = Submission(wire)
        if self._is_open and self._window.take():
            self.idle.clear()
            self._queue.append(submission)
            self._ready.set()
        else:
            submission.fail(NotSent("no credit"))
        return submission.future

    def pop(self) -> Submission | None:
        """The next one to write at once, if there is one; `writing` has to follow."""
        if not (self._is_open and self._queue):
            return None
        self._taken = submission = self._queue.popleft()
        if not self._queue:
            self._ready.clear()
        return submission

    async def take(self) -> Submission:
        """The next one to write; nothing is awaited after the pop, so a cancel loses none."""
        while (submission := self.pop()) is None:  # a pause may come between signal and waking
            await self._ready.wait()
        return submission

    def writing(self, submission: Submission, sequence: int, now: float) -> None:
        """It goes on the wire: from here an answer may come, or it is lost."""
        self._taken = None
        self._window.written(sequence, submission, now)

    def hand_back(self, reason: str) -> None:
        """Close, and fail what was never written as NotSent, oldest first."""
        self.close()
        held = [] if self._taken is None else [self._taken]
        self._taken, unsent = None, held + list(self._queue)
        self._queue.clear()
        for submission in unsent:
            self._window.give_back()
            submission.fail(NotSent(reason))
        self._settle()

    def lose(self, reason: str) -> None:
        """The link ended: fail what was written and not answered."""
        self.hand_back(reason)
        for sequence, submission in self._window.end():
            submission.fail(Lost(f"sequence {sequence} was not answered: {reason}"))
        self._settle()

    def expire(self, now: float) -> None:
        """Fail what has no answer for `response_timeout` seconds."""
        expired = self._window.expired(now, self.response_timeout)
        for sequence, submission in expired:
            after = f"after {self.response_timeout} s"
            submission.fail(NoResponse(f"sequence {sequence} has no answer {after}"))
        if expired:
            self._settle()
            self._on_event(CreditChanged(self.credit))

    def next_expiry(self, now: float) -> float:
        """No response timer fires before this time."""
        oldest = self._window.oldest()
        return (now if oldest is None else oldest) + self.response_timeout

    def answered(self, frame: bytes, command: int, now: float) -> None:
        """A response came, in time, late or to nothing we sent."""
        status, sequence = _STATUS_AND_SEQUENCE.unpack_from(frame, 8)
        submission = self._window.peek(sequence)
        if submission is None:
            reason = f"{command_name(command)} to sequence {sequence}, which is not in flight"
            self._on_event(Problem(reason, frame))
            return
        nacked = command == CommandId.generic_nack
        if not nacked and command != response_to(submission.command_id):
            asked = command_name(submission.command_id)
            reason = f"{command_name(command)} to sequence {sequence}, which is a {asked}"
            self._on_event(Problem(reason, frame))
            return
        if nacked and status == 0:
            status = int(CommandStatus.ESME_RINVCMDID)
        answer = self._window.answered(sequence, now)
        assert answer is not None
        result = _result(frame, status, answer.latency)
        if isinstance(answer, LateAnswer):
            self._on_event(LateResponse(submission.reference, result))
            return
        submission.resolve(result)
        self._settle()
        if nacked:
            self._on_event(Nacked(status, submission.reference))
        self._tell_pressure(submission, result)
        self._on_event(CreditChanged(self.credit))

    def _tell_pressure(self, submission: Submission, result: SubmitResult) -> None:
        if result.status in _THROTTLED:
            self._on_event(Throttled(result.status, result.latency, submission.reference))
        if result.tlvs:
            tlvs, _, _ = decode_tlvs(result.tlvs, 0, len(result.tlvs))
            congestion = first_tlv(tlvs, TlvTag.congestion_state)
            if congestion is not None:
                self._on_event(Congestion(congestion.as_integer()))

    def _settle(self) -> None:
        if self._window.in_flight == 0 and self._window.queued == 0:
            self.idle.set()

    def _signal(self) -> None:
        if self._is_open and self._queue:
            self._ready.set()
        else:
            self._ready.clear()


def _result(frame: bytes, status: int, latency: float) -> SubmitResult:
    """Read a response: the id up to the first NUL or the end, and the octets after it."""
    end = frame.find(0, 16)
    if end < 0:
        end = len(frame)
    return SubmitResult(status, frame[16:end].decode("latin-1"), latency, frame[end + 1 :])
