"""Dead letters: what nobody could understand, told by ids and a reason, and its way back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec

from hermes.core.errors import Unreadable
from hermes.core.ids import BadId, decode_message_id, encode_message_id
from hermes.core.wire import check_version, read

DEAD_LETTER_VERSION = 1
READABLE = (0, 1)
CLAIMS: Final = "CLAIMS"
LEDGER: Final = "LEDGER"
LONGEST_REASON = 500
LONGEST_SUBJECT = 250
MOST_KEPT = 256 * 1024  # a letter has to fit into a message of the belt, base64 and all

Table = Literal["message", "attempt"]
# quotes inside of a text are escaped on the wire, so that these only match keys of the value itself
ATTEMPT = re.compile(rb'"attempt"\s*:\s*"((msg_[0-9a-hjkmnp-tv-z]{26})\.\d{1,5}\.\d{1,5})"')
MESSAGE = re.compile(rb'"message"\s*:\s*"(msg_[0-9a-hjkmnp-tv-z]{26})"')
UUID_ID = re.compile(rb'"id"\s*:\s*"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"')


class DeadLetter(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What was set aside, never with a text or an address.

    `stream` = EVENTS, INTAKE, JOBS_<carrier>, CLAIMS or LEDGER; `subject` = the subject, the key
    of the claim, or the table; `seq` = the sequence in the stream, 0 where there is none;
    `action` = what a row's clock was to do; `envelope` = events as they came, to be told again.
    """

    stream: str
    subject: str
    reason: str
    at: datetime
    seq: int = 0
    num_delivered: int = 0
    message: str | None = None
    attempt: str | None = None
    event: UUID | None = None
    action: str | None = None
    envelope: bytes | None = None
    v: int = msgspec.field(default_factory=lambda: DEAD_LETTER_VERSION)


class FiledLetter(msgspec.Struct, frozen=True):
    """A dead letter and its own sequence in DEAD, by which it is asked for."""

    seq: int
    letter: DeadLetter


ENCODER = msgspec.json.Encoder()
DECODER = msgspec.json.Decoder(DeadLetter)


def encode_letter(letter: DeadLetter) -> bytes:
    """Encode a letter; what is too long is cut, an envelope that is too large left out."""
    envelope = letter.envelope
    if envelope is not None and len(envelope) > MOST_KEPT:
        envelope = None
    return ENCODER.encode(
        msgspec.structs.replace(
            letter,
            subject=letter.subject[:LONGEST_SUBJECT],
            reason=letter.reason[:LONGEST_REASON],
            envelope=envelope,
        )
    )


def decode_letter(data: bytes) -> DeadLetter:
    """Decode a letter. Raises Unreadable."""
    letter = read(DECODER, "dead letter", data)
    check_version("dead letter", letter.v, READABLE)
    return letter


def file_letter(seq: int, subject: str, data: bytes, at: datetime) -> FiledLetter:
    """Give the letter stored under `seq`; one that cannot be read itself says so."""
    try:
        return FiledLetter(seq, decode_letter(data))
    except Unreadable as error:
        stream = subject.removeprefix("dead.")
        return FiledLetter(seq, DeadLetter(stream=stream, subject="", reason=str(error), at=at))


def ids_in(data: bytes) -> tuple[str | None, str | None]:
    """Find the message and the attempt that octets speak of, readable or not, whole or not."""
    found = ATTEMPT.search(data)
    if found is not None:
        return found[2].decode(), found[1].decode()
    found = MESSAGE.search(data)
    if found is not None:
        return found[1].decode(), None
    found = UUID_ID.search(data)
    return (None if found is None else encode_message_id(UUID(found[1].decode()))), None


@dataclass(frozen=True, slots=True)
class TellAgain:
    """Put the envelope on the belt again, under this subject."""

    subject: str
    envelope: bytes


@dataclass(frozen=True, slots=True)
class Republish:
    """Have the ledger clock publish a job again: of this attempt, or of the one that lay there."""

    attempt: str | None
    carrier: str
    seq: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Admit:
    """Have the ledger clock admit a message now."""

    message: UUID


@dataclass(frozen=True, slots=True)
class StartClock:
    """Start the clock of a row again with what it was to do."""

    table: Table
    name: str
    action: str


@dataclass(frozen=True, slots=True)
class ByItself:
    """Nothing needs to be done, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class NoWay:
    """Nothing can be done, and why."""

    why: str


WayBack = TellAgain | Republish | Admit | StartClock | ByItself | NoWay


def way_back(letter: DeadLetter) -> WayBack:
    """Decide how what a letter speaks of comes back into its course."""
    match letter.stream:
        case "EVENTS":
            if letter.envelope is None:
                return NoWay("the events were too large to keep")
            return TellAgain(letter.subject, letter.envelope)
        case "INTAKE":
            return _admission(letter.message)
        case "CLAIMS":
            return ByItself("its attempt was told as uncertain, which the ledger clock resolves")
        case "LEDGER":
            return _start(letter)
        case stream if stream.startswith("JOBS_"):
            carrier = stream.removeprefix("JOBS_")
            return Republish(letter.attempt, carrier, letter.seq, letter.at)
        case _:
            return NoWay(f"nothing is known of {letter.stream}")


def _start(letter: DeadLetter) -> StartClock | NoWay:
    match letter:
        case DeadLetter(subject="attempt", attempt=str(name), action=str(action)):
            return StartClock("attempt", name, action)
        case DeadLetter(subject="message", message=str(name), action=str(action)):
            return StartClock("message", name, action)
        case _:
            return NoWay("the letter does not say which row's clock it was")


def _admission(message: str | None) -> Admit | ByItself:
    try:
        if message is not None:
            return Admit(decode_message_id(message))
    except BadId:
        pass
    return ByItself("whatever the ledger has accepted and nobody took in is admitted by its clock")
