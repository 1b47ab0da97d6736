"""The record tests judge by: one JSON line per event, in a file and the latest in memory."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

FLUSH_S: Final = 0.05


class Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """What every line has: `at` is seconds since 1970 (UTC), `event` the kind, `n` its number."""

    at: float


class SessionLine(Line, frozen=True, kw_only=True):
    """Something on one session; `system_id` is empty before the bind."""

    session: int
    system_id: str


class StartLine(Line, frozen=True, kw_only=True, tag="start"):
    """The simulator listens, or was reset; `first_id` is the number of its next message."""

    first_id: int


class BindLine(SessionLine, frozen=True, kw_only=True, tag="bind"):
    """A bind request and the status of its answer; None when there was no answer."""

    mode: str
    peer: str
    status: int | None


class UnbindLine(SessionLine, frozen=True, kw_only=True, tag="unbind"):
    """A session ended. `unanswered` deliver_sm will be sent again elsewhere."""

    reason: str
    unanswered: int


class SubmitLine(SessionLine, frozen=True, kw_only=True, omit_defaults=True, tag="submit"):
    """A submit_sm. Accepted if `message_id` is there; `status` None means it was not answered.

    `hex` is the user data as it came (message_payload if there is one), `text` the same for
    reading, without its user data header.
    """

    seq: int
    source: str
    destination: str
    data_coding: int
    esm_class: int
    registered_delivery: int
    text: str
    hex: str
    status: int | None
    message_id: str | None = None
    stat: str | None = None
    tlvs: dict[str, str] | None = None


class ResponseLostLine(SessionLine, frozen=True, kw_only=True, tag="response_lost"):
    """A submit_sm was judged (see its line) and the answer never went out."""

    seq: int
    status: int
    message_id: str | None
    reason: str


class ReceiptLine(SessionLine, frozen=True, kw_only=True, tag="receipt"):
    """A receipt was sent; `receipt_id` is the notation in it, `attempt` counts from 1."""

    seq: int
    message_id: str
    receipt_id: str
    destination: str
    stat: str
    attempt: int


class MoLine(SessionLine, frozen=True, kw_only=True, tag="mo"):
    """An MO was sent; its `message_id` is the one POST /mo gave."""

    seq: int
    message_id: str
    source: str
    destination: str
    attempt: int


class AnswerLine(SessionLine, frozen=True, kw_only=True, tag="answer"):
    """The ESME answered a receipt or an MO (`owed`)."""

    seq: int
    owed: str
    message_id: str
    status: int


class GivenUpLine(Line, frozen=True, kw_only=True, tag="given_up"):
    """A receipt or MO is not sent any more; `status` is the last answer, None if none came."""

    owed: str
    message_id: str
    status: int | None


class FaultLine(Line, frozen=True, kw_only=True, tag="fault"):
    """A fault was switched on or off, or happened once."""

    name: str
    on: bool
    parameters: dict[str, object]


class FrameLine(SessionLine, frozen=True, kw_only=True, tag="frame"):
    """Octets as they came in or went out; `way` says which. Only with the setting `frames`."""

    way: str
    hex: str


class ProblemLine(SessionLine, frozen=True, kw_only=True, tag="problem"):
    """The ESME sent something that is no proper PDU."""

    problem: str


class Journal:
    """Takes lines; `wake` is called when the first one waits for the file, to plan a `flush`."""

    def __init__(self, file: BinaryIO | None, memory: int, wake: Callable[[], object]) -> None:
        self.count = 0
        self._file = file
        self._wake = wake
        self._pending: list[bytes] = []
        self._memory: deque[bytes] = deque(maxlen=memory)
        self._encode = msgspec.json.Encoder().encode

    @property
    def oldest(self) -> int:
        """The number of the first line in memory; of the next one when there is none."""
        return self.count - len(self._memory) + 1

    def add(self, line: Line) -> None:
        """Number a line and keep it."""
        self.count += 1
        octets = b'{"n":%d,%b\n' % (self.count, self._encode(line)[1:])
        self._memory.append(octets)
        if self._file is not None:
            if not self._pending:
                self._wake()
            self._pending.append(octets)

    def flush(self) -> None:
        """Hand what waits to the operating system, so it outlives this process."""
        if self._file is not None and self._pending:
            self._file.write(b"".join(self._pending))
            self._file.flush()
        self._pending.clear()

    def since(self, number: int, limit: int) -> list[bytes]:
        """At most `limit` lines with a number above `number` that are still in memory."""
        skip = max(0, number + 1 - self.oldest)
        return list(islice(self._memory, skip, skip + limit))

    def forget(self) -> None:
        """Drop the lines in memory; the file and the numbers go on."""
        self._memory.clear()
