"""What a session asks its shell to do, and tells it; the values `Session` answers with."""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class Send(msgspec.Struct, frozen=True, gc=False):
    """Write these octets: one PDU, an answer or a request of the session's own."""

    octets: bytes


class Announce(msgspec.Struct, frozen=True, gc=False):
    """The bind was accepted by the message centre of this system_id."""

    system_id: str


class Refuse(msgspec.Struct, frozen=True, gc=False):
    """The bind was refused; `End` follows."""

    status: int


class Match(msgspec.Struct, frozen=True, gc=False):
    """A response to a request that is not the session's own: find the submit it belongs to."""

    frame: bytes
    command_id: int


class Deliver(msgspec.Struct, frozen=True, gc=False):
    """A deliver_sm or data_sm, to be answered with `encode_deliver_resp`."""

    frame: bytes
    sequence: int


class Measure(msgspec.Struct, frozen=True, gc=False):
    """An enquire_link was answered after so many seconds."""

    seconds: float


class Notify(msgspec.Struct, frozen=True, gc=False):
    """A PDU that has no answer: alert_notification or outbind."""

    command_id: int
    frame: bytes


class Complain(msgspec.Struct, frozen=True, gc=False):
    """A PDU the message centre must not send; it was answered with generic_nack."""

    reason: str
    frame: bytes


class End(msgspec.Struct, frozen=True, gc=False):
    """The session ended: the last effect of all."""

    reason: str


Effect: TypeAlias = Send | Announce | Refuse | Match | Deliver | Measure | Notify | Complain | End
