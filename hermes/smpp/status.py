"""command_status: names and what each one asks for (SMPP 3.4, 5.1.3; SMPP 5.0, 4.7.6)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class CommandStatus(IntEnum):
    """Every status of SMPP 3.4 and 5.0; a wire value may be none of these."""

    ESME_ROK = 0x000
    ESME_RINVMSGLEN = 0x001
    ESME_RINVCMDLEN = 0x002
    ESME_RINVCMDID = 0x003
    ESME_RINVBNDSTS = 0x004
    ESME_RALYBND = 0x005
    ESME_RINVPRTFLG = 0x006
    ESME_RINVREGDLVFLG = 0x007
    ESME_RSYSERR = 0x008
    ESME_RINVSRCADR = 0x00A
    ESME_RINVDSTADR = 0x00B
    ESME_RINVMSGID = 0x00C
    ESME_RBINDFAIL = 0x00D
    ESME_RINVPASWD = 0x00E
    ESME_RINVSYSID = 0x00F
    ESME_RCANCELFAIL = 0x011
    ESME_RREPLACEFAIL = 0x013
    ESME_RMSGQFUL = 0x014
    ESME_RINVSERTYP = 0x015
    ESME_RINVNUMDESTS = 0x033
    ESME_RINVDLNAME = 0x034
    ESME_RINVDESTFLAG = 0x040
    ESME_RINVSUBREP = 0x042
    ESME_RINVESMCLASS = 0x043
    ESME_RCNTSUBDL = 0x044
    ESME_RSUBMITFAIL = 0x045
    ESME_RINVSRCTON = 0x048
    ESME_RINVSRCNPI = 0x049
    ESME_RINVDSTTON = 0x050
    ESME_RINVDSTNPI = 0x051
    ESME_RINVSYSTYP = 0x053
    ESME_RINVREPFLAG = 0x054
    ESME_RINVNUMMSGS = 0x055
    ESME_RTHROTTLED = 0x058
    ESME_RINVSCHED = 0x061
    ESME_RINVEXPIRY = 0x062
    ESME_RINVDFTMSGID = 0x063
    ESME_RX_T_APPN = 0x064
    ESME_RX_P_APPN = 0x065
    ESME_RX_R_APPN = 0x066
    ESME_RQUERYFAIL = 0x067
    ESME_RINVOPTPARSTREAM = 0x0C0
    ESME_ROPTPARNOTALLWD = 0x0C1
    ESME_RINVPARLEN = 0x0C2
    ESME_RMISSINGOPTPARAM = 0x0C3
    ESME_RINVOPTPARAMVAL = 0x0C4
    ESME_RDELIVERYFAILURE = 0x0FE
    ESME_RUNKNOWNERR = 0x0FF
    ESME_RSERTYPUNAUTH = 0x100
    ESME_RPROHIBITED = 0x101
    ESME_RSERTYPUNAVAIL = 0x102
    ESME_RSERTYPDENIED = 0x103
    ESME_RINVDCS = 0x104
    ESME_RINVSRCADDRSUBUNIT = 0x105
    ESME_RINVDSTADDRSUBUNIT = 0x106
    ESME_RINVBCASTFREQINT = 0x107
    ESME_RINVBCASTALIAS_NAME = 0x108
    ESME_RINVBCASTAREAFMT = 0x109
    ESME_RINVNUMBCAST_AREAS = 0x10A
    ESME_RINVBCASTCNTTYPE = 0x10B
    ESME_RINVBCASTMSGCLASS = 0x10C
    ESME_RBCASTFAIL = 0x10D
    ESME_RBCASTQUERYFAIL = 0x10E
    ESME_RBCASTCANCELFAIL = 0x10F
    ESME_RINVBCAST_REP = 0x110
    ESME_RINVBCASTSRVGRP = 0x111
    ESME_RINVBCASTCHANIND = 0x112


STATUS_NAMES: Final[dict[int, str]] = {int(status): status.name for status in CommandStatus}


def status_name(status: int) -> str:
    """The name in the specification, or the value in hexadecimal for an unlisted status."""
    return STATUS_NAMES.get(status) or f"0x{status:08x}"


class StatusClass(Enum):
    """What a refusal means for the message."""

    ACCEPTED = "accepted"
    THROTTLE = "throttle"  # not an attempt: slow down, back to the head of the queue
    RETRY = "retry"  # the ledger clock tries again later
    PERMANENT = "permanent"  # final for this message on this carrier
    CONFIG = "config"  # the bind or its configuration is wrong: stop the bind
    AMBIGUOUS = "ambiguous"  # written, outcome unknown


@dataclass(frozen=True, slots=True)
class StatusRule:
    """The policy for one command_status on submit_sm.

    `retries` is how many further tries are allowed, `delay` the seconds before the first of them,
    `queue_full` whether probing replaces pacing, `stop_after` how many in a row end the session
    (CONFIG).
    """

    status_class: StatusClass
    retries: int = 0
    delay: float = 0.0
    queue_full: bool = False
    stop_after: int = 0


_P: Final = StatusClass.PERMANENT
_R: Final = StatusClass.RETRY
_X: Final = StatusClass.CONFIG

UNLISTED: Final = StatusRule(_R, retries=1, delay=60.0)
"""Vendor range and anything else: many mean throttle or no credit, so one retry, then final."""


def _rules(*rows: tuple[Iterable[int], StatusRule]) -> dict[int, StatusRule]:
    return {int(status): rule for statuses, rule in rows for status in statuses}


RULES: Final[dict[int, StatusRule]] = _rules(
    ((0x00,), StatusRule(StatusClass.ACCEPTED)),
    ((0x58,), StatusRule(StatusClass.THROTTLE)),
    ((0x14,), StatusRule(StatusClass.THROTTLE, queue_full=True)),
    ((0x08,), StatusRule(_R, retries=3, delay=30.0)),
    ((0x64,), StatusRule(_R, retries=3, delay=30.0)),
    ((0x45,), StatusRule(_R, retries=2, delay=60.0)),
    ((0xFE, 0xFF), StatusRule(_R, retries=1)),
    ((0x102,), StatusRule(_R, retries=1, delay=300.0)),
    (
        (
            *(0x01, 0x0A, 0x0B),  # length, sender, number
            *(0x06, 0x07, 0x15, 0x43, 0x48, 0x49, 0x50, 0x51, 0x54, 0x61, 0x62, 0x63),  # fields
            *range(0xC0, 0xC5),  # TLVs
            *(0x0C, 0x11, 0x13, 0x42, 0x67),  # operations on a message
            *(0x33, 0x34, 0x40, 0x44, 0x55, 0x65, 0x66),  # lists, and the receiving application
            *(0x100, 0x101, *range(0x103, 0x113)),  # 5.0
        ),
        StatusRule(_P),
    ),
    ((0x02, 0x03), StatusRule(_X, stop_after=3)),
    ((0x04,), StatusRule(_X, stop_after=1)),
    ((0x05, 0x0D, 0x0E, 0x0F, 0x53), StatusRule(_X, stop_after=1)),
)
"""command_status on a submit_sm_resp -> policy."""


def classify(status: int, overrides: Mapping[int, StatusRule] | None = None) -> StatusRule:
    """The policy for a status: the carrier's own map first, then the table, then UNLISTED."""
    if overrides is not None:
        own = overrides.get(status)
        if own is not None:
            return own
    return RULES.get(status, UNLISTED)


_LONGEST_RANGE: Final = 4096
_CLASS_RULES: Final = {
    StatusClass.THROTTLE: RULES[0x58],
    StatusClass.RETRY: StatusRule(_R, retries=3, delay=30.0),
    StatusClass.PERMANENT: StatusRule(_P),
    StatusClass.CONFIG: StatusRule(_X, stop_after=3),
}


def overrides_of(status_map: Mapping[str, str]) -> dict[int, StatusRule]:
    """A carrier's own map for `classify`: status as number, range or name -> class.

    `{"0x401": "throttle", "0x410-0x41f": "retry", "ESME_RX_P_APPN": "permanent"}`; a single status
    goes before a range. Raises ValueError for a status or class that is none.
    """
    ranges: dict[int, StatusRule] = {}
    singles: dict[int, StatusRule] = {}
    for written, class_name in status_map.items():
        rule = _CLASS_RULES.get(StatusClass(class_name))
        if rule is None:
            raise ValueError(f"status {written} cannot be mapped to {class_name!r}")
        known = CommandStatus.__members__.get(written)
        first, dash, last = written.partition("-")
        if known is not None:
            singles[int(known)] = rule
        elif dash:
            statuses = range(int(first, 0), int(last, 0) + 1)
            if not 0 < len(statuses) <= _LONGEST_RANGE:
                raise ValueError(f"range {written} holds {len(statuses)} statuses, not 1 to 4096")
            ranges |= dict.fromkeys(statuses, rule)
        else:
            singles[int(written, 0)] = rule
    return ranges | singles


class BindRetry(Enum):
    """How a bind that ended is tried again."""

    NORMAL = "normal"  # 1 s doubling to 60 s, full jitter
    OLD_SESSION = "old_session"  # one enquire period, 30 to 60 s
    CREDENTIALS = "credentials"  # 60 s or slower, alarm at the first one


def classify_bind(status: int) -> BindRetry:
    """The back-off class of a bind_resp that refused."""
    match status:
        case CommandStatus.ESME_RALYBND:
            return BindRetry.OLD_SESSION
        case (
            CommandStatus.ESME_RINVPASWD
            | CommandStatus.ESME_RINVSYSID
            | CommandStatus.ESME_RBINDFAIL
            | CommandStatus.ESME_RINVSYSTYP
        ):
            return BindRetry.CREDENTIALS
        case _:
            return BindRetry.NORMAL
