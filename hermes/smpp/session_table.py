"""The states of an ESME's session, what moves it, and what it may hear in each (SMPP 3.4, 2.3)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final, NamedTuple

from hermes.smpp.command import RESPONSE_BIT, CommandId


class SessionState(Enum):
    """The states of SMPP 3.4, 2.2, and two in which a request of ours waits for its answer."""

    OPEN = auto()
    BINDING = auto()
    BOUND_TX = auto()
    BOUND_RX = auto()
    BOUND_TRX = auto()
    UNBINDING = auto()
    CLOSED = auto()


class Step(Enum):
    """What moves a session; END is everything that ends it, a refused bind as well."""

    BIND = auto()
    ACCEPT_TX = auto()
    ACCEPT_RX = auto()
    ACCEPT_TRX = auto()
    UNBIND = auto()
    END = auto()


class Part(Enum):
    """What a PDU of the message centre is to the session."""

    BIND_ANSWER = auto()
    ANSWER = auto()
    MESSAGE = auto()
    PROBE = auto()
    UNBIND = auto()
    UNBIND_ANSWER = auto()
    NOTICE = auto()
    UNEXPECTED = auto()
    IGNORED = auto()


class Hearing(NamedTuple):
    """What each command is to the session in one state; the others go by their response bit."""

    named: Mapping[int, Part]
    request: Part
    response: Part

    def part(self, command_id: int) -> Part:
        """Give what this command is."""
        other = self.response if command_id & RESPONSE_BIT else self.request
        return self.named.get(command_id, other)


TRANSITIONS: Final[Mapping[tuple[SessionState, Step], SessionState]] = {
    (SessionState.OPEN, Step.BIND): SessionState.BINDING,
    (SessionState.OPEN, Step.END): SessionState.CLOSED,
    (SessionState.BINDING, Step.ACCEPT_TX): SessionState.BOUND_TX,
    (SessionState.BINDING, Step.ACCEPT_RX): SessionState.BOUND_RX,
    (SessionState.BINDING, Step.ACCEPT_TRX): SessionState.BOUND_TRX,
    (SessionState.BINDING, Step.END): SessionState.CLOSED,
    (SessionState.BOUND_TX, Step.UNBIND): SessionState.UNBINDING,
    (SessionState.BOUND_TX, Step.END): SessionState.CLOSED,
    (SessionState.BOUND_RX, Step.UNBIND): SessionState.UNBINDING,
    (SessionState.BOUND_RX, Step.END): SessionState.CLOSED,
    (SessionState.BOUND_TRX, Step.UNBIND): SessionState.UNBINDING,
    (SessionState.BOUND_TRX, Step.END): SessionState.CLOSED,
    (SessionState.UNBINDING, Step.END): SessionState.CLOSED,
}
"""A pair that is not here is a fault of ours: no octets of the peer lead to one."""

ACCEPTS: Final[Mapping[int, Step]] = {
    CommandId.bind_transmitter: Step.ACCEPT_TX,
    CommandId.bind_receiver: Step.ACCEPT_RX,
    CommandId.bind_transceiver: Step.ACCEPT_TRX,
}
"""Where the acceptance of each bind leads."""

_DEAF: Final = Hearing({}, Part.IGNORED, Part.IGNORED)
# a message on a BOUND_TX session is against 2.3, and still a receipt that must not be lost
_BOUND: Final[Mapping[int, Part]] = {
    CommandId.deliver_sm: Part.MESSAGE,
    CommandId.data_sm: Part.MESSAGE,
    CommandId.enquire_link: Part.PROBE,
    CommandId.unbind: Part.UNBIND,
    CommandId.alert_notification: Part.NOTICE,
    CommandId.outbind: Part.NOTICE,
}

HEARINGS: Final[Mapping[SessionState, Hearing]] = {
    SessionState.OPEN: _DEAF,
    # what a hurried message centre sends before its bind_resp, it sends again
    SessionState.BINDING: Hearing(
        {CommandId.enquire_link: Part.PROBE}, Part.IGNORED, Part.BIND_ANSWER
    ),
    SessionState.BOUND_TX: Hearing(_BOUND, Part.UNEXPECTED, Part.ANSWER),
    SessionState.BOUND_RX: Hearing(_BOUND, Part.UNEXPECTED, Part.ANSWER),
    SessionState.BOUND_TRX: Hearing(_BOUND, Part.UNEXPECTED, Part.ANSWER),
    SessionState.UNBINDING: Hearing(
        {**_BOUND, CommandId.unbind_resp: Part.UNBIND_ANSWER}, Part.UNEXPECTED, Part.ANSWER
    ),
    SessionState.CLOSED: _DEAF,
}

SUBMITTING: Final = frozenset({SessionState.BOUND_TX, SessionState.BOUND_TRX})
"""The states in which submit_sm and data_sm may be written."""

BOUND: Final = SUBMITTING | {SessionState.BOUND_RX, SessionState.UNBINDING}
"""The states in which the message centre may still send what we answer."""
