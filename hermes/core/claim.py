"""Claims: who may submit an attempt, and what to do with one that is already there."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Final

import msgspec

from hermes.core.wire import check_version, read

CLAIM_VERSION = 1
READABLE = (0, 1)
NEW: Final = "new"
WRITTEN: Final = "written"
ACCEPTED: Final = "accepted:"
REFUSED: Final = "refused"
DEFERRED: Final = "deferred"
UNCERTAIN: Final = "uncertain"
ELSEWHERE: Final = "elsewhere"
ENDS_JOB: Final = frozenset((REFUSED, DEFERRED, UNCERTAIN))


class Claim(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who has an attempt, and what became of each of its segments.

    `owner` = host/bind/boot. `segments` by index: `new` not written yet, `written` on the wire or
    about to be, `accepted:<id>`, `refused`, `deferred` (refused for now), `uncertain` (its
    answer was lost), `elsewhere` (no part of this attempt). The first that is refused, deferred or
    uncertain ends the job: the ledger clock decides about the rest.
    """

    owner: str
    segments: tuple[str, ...]
    state: str = "live"
    reason: str = ""
    # a factory, because a default would be left out in memory
    v: int = msgspec.field(default_factory=lambda: CLAIM_VERSION)

    @property
    def boot(self) -> str:
        """The incarnation that owns the claim."""
        return self.owner.rpartition("/")[2]


class Act(Enum):
    """What a bind does with a job it pulled."""

    SUBMIT = "claim as intent and submit"
    EXPIRE = "event expired, ack"
    GO_ON = "own claim: submit what is new"
    LEAVE = "leave it unacknowledged"
    UNCERTAIN = "event uncertain, the ledger clock takes it, ack"
    RESUME = "take it over and go on with the first new segment, same reference"
    REPEAT = "publish that outcome again, ack"
    CANCEL = "event cancelled, ack"


def next_act(
    claim: Claim | None,
    me: str,
    *,
    owner_alive: bool,
    now: datetime,
    expires_at: datetime,
    claim_lost: bool = False,
) -> Act:
    """Decide by the table of claims; `me` is this bind's owner string.

    `claim_lost`: there may have been a claim, in a memory that was lost since (`may_be_lost`).
    """
    if claim is None:
        if claim_lost:
            return Act.UNCERTAIN
        return Act.EXPIRE if now >= expires_at else Act.SUBMIT
    if claim.state == "cancelled":
        return Act.CANCEL
    words = set(claim.segments)
    if words & ENDS_JOB or not words & {NEW, WRITTEN}:
        return Act.REPEAT
    if claim.owner == me:
        return Act.GO_ON
    if WRITTEN not in words:
        return Act.EXPIRE if now >= expires_at else Act.RESUME
    return Act.LEAVE if owner_alive else Act.UNCERTAIN


def may_be_lost(*, queued_at: datetime, was_out_before: bool, memory_made_at: datetime) -> bool:
    """Say whether a job without a claim may have had one before memory was lost.

    True for a job that was out before (delivered more than once, or published again by the ledger
    clock) and is older than the memory; one that only waited on the belt was never claimed.
    """
    return was_out_before and queued_at < memory_made_at


ENCODER = msgspec.json.Encoder()
DECODER = msgspec.json.Decoder(Claim)


def encode_claim(claim: Claim) -> bytes:
    """Encode a claim for memory."""
    return ENCODER.encode(claim)


def decode_claim(data: bytes) -> Claim:
    """Decode a claim. Raises Unreadable."""
    claim = read(DECODER, "claim", data)
    check_version("claim", claim.v, READABLE)
    return claim
