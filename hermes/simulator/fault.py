"""The table of faults: what each one does and its parameters."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from hermes.simulator.refusal import Refusal, checked

SEQUENCE: Final = slice(12, 16)
"""Where a PDU has its sequence number."""


class Ending(StrEnum):
    """How the SMSC ends a session."""

    rst = "rst"
    fin = "fin"
    unbind = "unbind"


class Silence(StrEnum):
    """What a black hole swallows."""

    all = "all"
    submits = "submits"
    binds = "binds"
    enquire_links = "enquire_links"


class Request(StrEnum):
    """Which requests of the ESME are counted."""

    submit = "submit"
    bind = "bind"


class Refused(StrEnum):
    """What a refused submit_sm is answered with."""

    bare = "bare"
    body = "body"
    nack = "nack"


class Body(StrEnum):
    """How the message_id of a submit_sm_resp is written."""

    none = "none"
    no_nul = "no_nul"
    whole = "whole"


Octets: TypeAlias = Annotated[str, Meta(pattern=r"^([0-9a-fA-F]{2})*$")]
_Status: TypeAlias = Annotated[int, Meta(ge=1, le=0xFFFF_FFFF)]
_Nth: TypeAlias = Annotated[int, Meta(ge=1)]
_Copies: TypeAlias = Annotated[int, Meta(ge=2, le=100)]
_Wait: TypeAlias = Annotated[float, Meta(gt=0, le=86_400_000)]


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom a fault hits: one session, one account, or (0 and empty) everybody."""

    session: Annotated[int, Meta(ge=0)] = 0
    system_id: str = ""

    def hits(self, session: int, system_id: str) -> bool:
        return self.session in (0, session) and self.system_id in ("", system_id)


class Drop(Target, frozen=True, kw_only=True):
    """End the sessions now."""

    how: Ending = Ending.rst


class Outbind(Target, frozen=True, kw_only=True):
    """Send an outbind with this password into the sessions now."""

    password: Annotated[str, Meta(max_length=8)] = ""


class Standing(Target, frozen=True, kw_only=True):
    """On until lifted, for `seconds`, or for `count` uses; 0 is no limit."""

    seconds: Annotated[float, Meta(ge=0)] = 0
    count: Annotated[int, Meta(ge=0)] = 0

    @property
    def turn(self) -> int:
        """It happens at every so-many-th occasion."""
        return 1


class EveryNth(Standing, frozen=True, kw_only=True):
    """Happens at every so-many-th occasion."""

    every: _Nth = 1

    @property
    def turn(self) -> int:
        return self.every


class Inject(Standing, frozen=True, kw_only=True):
    """Write raw octets into the sessions now, or at the `after`-th submit_sm or bind from now on.

    `instead`: in place of the answer, under its sequence number; a bind is then no bind. Lifts
    itself unless `count` says otherwise.
    """

    hex: Annotated[str, Meta(pattern=r"^([0-9a-fA-F]{2})+$")]
    after: Annotated[int, Meta(ge=0)] = 0
    at: Request = Request.submit
    instead: bool = False
    count: Annotated[int, Meta(ge=0)] = 1

    def __post_init__(self) -> None:
        if self.instead and not self.after:
            raise ValueError("instead needs an after of 1 or more")

    @property
    def turn(self) -> int:
        return self.after

    def octets(self, sequence: int) -> bytes:
        """What is written at a request with that sequence number."""
        octets = bytearray.fromhex(self.hex)
        if self.instead and len(octets) >= SEQUENCE.stop:
            octets[SEQUENCE] = sequence.to_bytes(4, "big")
        return bytes(octets)


class DropOnSubmit(Standing, frozen=True, kw_only=True):
    """End the session at the `after`-th submit_sm from now on, which gets no answer.

    `accept`: that message is accepted all the same. `octets` of its answer are written before.
    Lifts itself unless `count` says otherwise.
    """

    after: _Nth = 1
    how: Ending = Ending.rst
    accept: bool = True
    octets: Annotated[int, Meta(ge=0)] = 0
    count: Annotated[int, Meta(ge=0)] = 1

    @property
    def turn(self) -> int:
        return self.after


class DropOnBind(Standing, frozen=True, kw_only=True):
    """Accept binds, then end the session at once."""

    how: Ending = Ending.fin


class RefuseBinds(Standing, frozen=True, kw_only=True):
    """Answer binds with a status, with a body (system_id) or without."""

    status: _Status = 0x0D
    body: bool = True


class RefuseSubmits(Standing, frozen=True, kw_only=True):
    """Answer submits with a status, all or a share of them at random.

    `answer`: a submit_sm_resp without a body, one with an empty message_id, or a generic_nack.
    """

    status: _Status = 0x58
    percent: Annotated[float, Meta(gt=0, le=100)] = 100
    answer: Refused = Refused.bare


class BlackHole(Standing, frozen=True, kw_only=True):
    """Read, and answer nothing. `accept`: submits are accepted, only the answer is lost."""

    what: Silence = Silence.all
    accept: bool = False


class Stall(Standing, frozen=True, kw_only=True):
    """Stop reading the sockets, until TCP stops the ESME; what it sent is read when this ends."""


class Dribble(Standing, frozen=True, kw_only=True):
    """Write in pieces of so many octets, each a TCP segment of its own."""

    octets: Annotated[int, Meta(ge=1)] = 1


class DropResponses(EveryNth, frozen=True, kw_only=True):
    """Judge submits and lose every n-th answer."""


class LateResponses(EveryNth, frozen=True, kw_only=True):
    """Answer every n-th submit so much later."""

    ms: _Wait = 5000


class DuplicateResponses(EveryNth, frozen=True, kw_only=True):
    """Send every n-th submit_sm_resp `copies` times."""

    copies: _Copies = 2


class ReorderResponses(Standing, frozen=True, kw_only=True):
    """Hold responses until there are `group` of a session, or for `hold_ms`; the last comes first.

    A use is a full group.
    """

    group: Annotated[int, Meta(ge=2)] = 5
    hold_ms: _Wait = 1000


class OddResponses(EveryNth, frozen=True, kw_only=True):
    """Write every n-th submit_sm_resp without a body, without the NUL behind the id, or whole.

    `tail`: raw octets at its end, a TLV or not.
    """

    body: Body = Body.none
    tail: Octets = ""


class Congestion(Standing, frozen=True, kw_only=True):
    """Put congestion_state with this level (100: full) into every submit_sm_resp."""

    level: Annotated[int, Meta(ge=0, le=255)] = 100


class PauseReceipts(Standing, frozen=True, kw_only=True):
    """Send no deliver_sm; they wait."""


class EarlyReceipts(Standing, frozen=True, kw_only=True):
    """Send the receipt before the submit_sm_resp."""


class DuplicateReceipts(Standing, frozen=True, kw_only=True):
    """Send every receipt `copies` times."""

    copies: _Copies = 2


class Flood(Standing, frozen=True, kw_only=True):
    """Something the SMSC sends `rate` times a second."""

    rate: Annotated[float, Meta(gt=0, le=100_000)] = 100


class EnquireFlood(Flood, frozen=True, kw_only=True):
    """Send `rate` enquire_links a second into each session; `count` is per session."""


class MoFlood(Flood, frozen=True, kw_only=True):
    """Send `rate` MOs a second to each account from each of `senders`; `count` is per sender.

    `source` is the first sender, the others count up. `{n}` in the text is the number of the MO.
    The parts of long texts come sender by sender in turn, under one reference.
    """

    source: str = "447700900000"
    senders: Annotated[int, Meta(ge=1, le=1000)] = 1
    destination: str = "80080"
    text: str = "flood {n}"


Fault: TypeAlias = Drop | Outbind | Standing

FAULTS: Final[dict[str, type[Drop | Outbind | Standing]]] = {
    "drop": Drop,
    "inject": Inject,
    "outbind": Outbind,
    "drop_on_submit": DropOnSubmit,
    "drop_on_bind": DropOnBind,
    "refuse_binds": RefuseBinds,
    "refuse_submits": RefuseSubmits,
    "black_hole": BlackHole,
    "stall": Stall,
    "dribble": Dribble,
    "drop_responses": DropResponses,
    "late_responses": LateResponses,
    "duplicate_responses": DuplicateResponses,
    "reorder_responses": ReorderResponses,
    "odd_responses": OddResponses,
    "congestion": Congestion,
    "pause_receipts": PauseReceipts,
    "early_receipts": EarlyReceipts,
    "duplicate_receipts": DuplicateReceipts,
    "enquire_flood": EnquireFlood,
    "mo_flood": MoFlood,
}
"""Every fault by its name in the control API. `Standing` ones stay on, the rest happen once."""

NAMES: Final = {kind: name for name, kind in FAULTS.items()}


def new_fault(name: str, values: object) -> Fault:
    """A fault from plain values. Raises Refusal."""
    return checked(values, kind_of(name))


def kind_of(name: str) -> type[Fault]:
    """The kind of fault with that name. Raises Refusal."""
    kind = FAULTS.get(name)
    if kind is None:
        raise Refusal("name", f"is none of {', '.join(FAULTS)}")
    return kind
