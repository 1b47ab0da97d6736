"""One session as an ESME: octets and time in, effects and octets out (SMPP 3.4, chapter 2)."""

from __future__ import annotations

import math
import struct
from typing import Final, assert_never

from hermes.smpp.command import MAX_SEQUENCE, CommandId, command_name, response_to
from hermes.smpp.decode import decode_tolerant
from hermes.smpp.encode import encode_header_only
from hermes.smpp.frame import FrameError, FrameReader
from hermes.smpp.session_effect import (
    Announce,
    Complain,
    Deliver,
    Effect,
    End,
    Match,
    Measure,
    Notify,
    Refuse,
    Send,
)
from hermes.smpp.session_table import (
    ACCEPTS,
    BOUND,
    HEARINGS,
    SUBMITTING,
    TRANSITIONS,
    Part,
    SessionState,
    Step,
)
from hermes.smpp.status import CommandStatus

UNBIND_WAIT: Final = 2.0
"""Seconds in which an unbind is answered, or the session ends all the same."""

_HEAD: Final = struct.Struct(">III")
_DELIVER_RESP: Final = struct.Struct(">IIIIB")


class Session:
    """From the open connection to its end; which input means what is data in `session_table`.

    `bind` is the whole bind PDU; the session writes its sequence number. Times are monotonic
    seconds. The timers of bind and responses are the caller's: the first begins before there is a
    connection, the second belongs to the window.
    """

    def __init__(self, bind: bytes, enquire_interval: float, enquire_timeout: float) -> None:
        self.state = SessionState.OPEN
        self._bind = bind
        self._interval, self._timeout = enquire_interval, enquire_timeout
        self._reader = FrameReader()
        self._hearing = HEARINGS[self.state]
        self._sequence = 0
        self._probe: tuple[int, float] | None = None
        self._probe_at = self._end_at = math.inf

    @property
    def is_bound(self) -> bool:
        """Whether the bind was accepted and nothing ended the session since."""
        return self.state in BOUND

    @property
    def may_submit(self) -> bool:
        """Whether submits may be written."""
        return self.state in SUBMITTING

    @property
    def buffered(self) -> int:
        """Octets of a PDU that has not come whole."""
        return self._reader.buffered

    @property
    def next_deadline(self) -> float:
        """When to call `tick`, infinity for never; only `unbind` brings it forward."""
        return min(self._probe_at, self._end_at)

    def next_sequence(self) -> int:
        """The sequence number of the next request (SMPP 3.4, 3.2: 1 to 0x7FFFFFFF)."""
        self._sequence = self._sequence % MAX_SEQUENCE + 1
        return self._sequence

    def bind(self) -> list[Effect]:
        """Begin the session on an open connection."""
        self._move(Step.BIND)
        number = self.next_sequence().to_bytes(4, "big")
        return [Send(self._bind[:12] + number + self._bind[16:])]

    def unbind(self, now: float) -> list[Effect]:
        """End a bound session, once; from here it ends as "drained", whatever happens."""
        if (self.state, Step.UNBIND) not in TRANSITIONS:
            return []
        self._move(Step.UNBIND)
        self._probe_at, self._end_at = math.inf, now + UNBIND_WAIT
        return [Send(encode_header_only(CommandId.unbind, 0, self.next_sequence()))]

    def end(self, reason: str) -> list[Effect]:
        """End it from outside: the connection is gone, or the caller gives up."""
        return [] if self.state is SessionState.CLOSED else [self._end(reason)]

    def tick(self, now: float) -> list[Effect]:
        """Do what is due: send an enquire_link, or give up the wait for an answer."""
        if now >= self._end_at:
            return [self._end(f"enquire_link unanswered for {self._timeout} s")]
        if now < self._probe_at:
            return []
        if self._probe is not None:  # one at a time: the next one when this one is given up
            self._probe_at = self._end_at
            return []
        sequence = self.next_sequence()
        self._probe = sequence, now
        self._probe_at, self._end_at = now + self._interval, now + self._timeout
        return [Send(encode_header_only(CommandId.enquire_link, 0, sequence))]

    def receive(self, data: bytes, now: float) -> list[Effect]:
        """Take what came; any octets are fine, those that frame no PDU end the session."""
        if self.state is SessionState.CLOSED:
            return []
        fault: FrameError | None = None
        try:
            frames = self._reader.feed(data)
        except FrameError as error:
            frames, fault = error.frames, error
        effects: list[Effect] = []
        for frame in frames:
            command_id, status, sequence = _HEAD.unpack_from(frame, 4)
            part = self._hearing.part(command_id)
            if part is Part.ANSWER and (self._probe is None or self._probe[0] != sequence):
                effects.append(Match(frame, command_id))  # first what comes for every submit
            else:
                effects += self._hear(part, frame, (command_id, status, sequence), now)
        if fault is not None:
            effects += self.end(str(fault))
        return effects

    def _hear(
        self, part: Part, frame: bytes, head: tuple[int, int, int], now: float
    ) -> list[Effect]:
        command_id, status, sequence = head
        match part:
            case Part.PROBE:
                return [Send(encode_header_only(CommandId.enquire_link_resp, 0, sequence))]
            case Part.ANSWER:  # of our enquire_link; a generic_nack proves the link just as well
                return [self._measured(now)]
            case Part.BIND_ANSWER:
                return self._bind_answered(frame, command_id, status, now)
            case Part.UNBIND:
                answer = encode_header_only(CommandId.unbind_resp, 0, sequence)
                return [Send(answer), self._end("peer unbind")]
            case Part.UNBIND_ANSWER:
                return [self._end("drained")]
            case Part.NOTICE:
                return [Notify(command_id, frame)]
            case Part.UNEXPECTED:
                nack = CommandStatus.ESME_RINVCMDID
                answer = encode_header_only(CommandId.generic_nack, nack, sequence)
                name = command_name(command_id)
                return [Send(answer), Complain(f"unexpected request {name}", frame)]
            case Part.MESSAGE:
                return [Deliver(frame, sequence)]
            case Part.IGNORED:
                return []
            case _:
                assert_never(part)

    def _measured(self, now: float) -> Measure:
        assert self._probe is not None
        asked_at = self._probe[1]
        self._probe = None
        if self.state is not SessionState.UNBINDING:
            self._end_at = math.inf
        return Measure(now - asked_at)

    def _bind_answered(
        self, frame: bytes, command_id: int, status: int, now: float
    ) -> list[Effect]:
        command = int.from_bytes(self._bind[4:8], "big")
        if status == 0 and command_id == response_to(command):
            self._move(ACCEPTS[command])
            self._probe_at = now + self._interval
            return [Announce(decode_tolerant(frame)[0].text("system_id"))]
        refused = status or CommandStatus.ESME_RINVCMDID  # the answer to something else
        return [Refuse(refused), self._end(f"bind refused with status 0x{refused:08x}")]

    def _end(self, reason: str) -> End:
        if self.state is SessionState.UNBINDING:
            reason = "drained"  # a message centre may close instead of answering
        self._move(Step.END)
        self._probe_at = self._end_at = math.inf
        return End(reason)

    def _move(self, step: Step) -> None:
        self.state = TRANSITIONS[self.state, step]
        self._hearing = HEARINGS[self.state]


def encode_deliver_resp(command_id: int, status: int, sequence: int) -> bytes:
    """Answer a deliver_sm or data_sm; the message_id is unused and empty (SMPP 3.4, 4.6.2)."""
    return _DELIVER_RESP.pack(17, response_to(command_id), status, sequence, 0)
