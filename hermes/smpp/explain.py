"""Explains PDUs to a person: every part with its meaning, and what Hermes does about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from hermes.smpp.command import CommandId, command_name, response_to
from hermes.smpp.content import Content, content_of
from hermes.smpp.decode import decode_header, decode_tolerant
from hermes.smpp.explain_receipt import ExplainedReceipt, explain_receipt
from hermes.smpp.explain_status import status_meaning
from hermes.smpp.frame import MAX_LENGTH, MIN_LENGTH
from hermes.smpp.gsm7_national import LOCKING_SHIFT, SINGLE_SHIFT
from hermes.smpp.gsm7_national_tables import Language
from hermes.smpp.meaning import field_meaning, tlv_meaning, tlv_name
from hermes.smpp.pdu import HEADER_LENGTH, Pdu
from hermes.smpp.receipt_text import is_receipt
from hermes.smpp.status import status_name
from hermes.smpp.tlv import Tlv
from hermes.smpp.user_data_header import CONCAT_8, CONCAT_16, Element

Value: TypeAlias = int | str | list[dict[str, int | str]]

_WITH_CONTENT: Final = frozenset(
    (CommandId.submit_sm, CommandId.submit_multi, CommandId.deliver_sm, CommandId.data_sm)
)
_ELEMENTS: Final[dict[int, str]] = {
    CONCAT_8: "concatenation, 8-bit reference",
    0x01: "special message indication",
    0x04: "ports, 8-bit",
    0x05: "ports, 16-bit",
    0x06: "SMSC control parameters",
    0x07: "source indicator of the header",
    CONCAT_16: "concatenation, 16-bit reference",
    0x09: "wireless control message protocol",
    0x0A: "text formatting",
    SINGLE_SHIFT: "national single shift",
    LOCKING_SHIFT: "national locking shift",
    0x70: "SIM toolkit security header",
    0x71: "SIM toolkit security header",
}
_LANGUAGES: Final[dict[int, str]] = {int(known): known.name.capitalize() for known in Language}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing said: its name, its value (octets in hexadecimal) and what that means."""

    name: str
    value: Value
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class ExplainedTlv:
    """One optional parameter."""

    tag: str
    name: str
    value_hex: str
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class ExplainedPdu:
    """One PDU that begins at octet `at`; `answer` is what Hermes does when a carrier sends it.

    `fields` are the mandatory parameters there are, `content` what the user data says, `receipt`
    what it is as a delivery receipt.
    """

    at: int
    command_length: int
    command_id: int
    command: str
    command_status: int
    status: str
    status_meaning: str
    sequence_number: int
    fields: tuple[Line, ...]
    content: tuple[Line, ...]
    tlvs: tuple[ExplainedTlv, ...]
    tail_hex: str
    receipt: ExplainedReceipt | None
    problems: tuple[str, ...]
    answer: str


@dataclass(frozen=True, slots=True)
class Rest:
    """Octets that are no PDU, from octet `at` to the end."""

    at: int
    hex: str
    problem: str
    answer: str


def explain(octets: bytes) -> tuple[tuple[ExplainedPdu, ...], Rest | None]:
    """Every PDU of a stream, and what cannot begin one. Never raises."""
    pdus: list[ExplainedPdu] = []
    at = 0
    while at < len(octets):
        left = octets[at:]
        length = int.from_bytes(left[:4], "big")
        if len(left) >= 4 and not MIN_LENGTH <= length <= MAX_LENGTH:
            problem = f"command_length {length} is outside {MIN_LENGTH}..{MAX_LENGTH}"
            answer = "ends the link at once and reads nothing more"
            return tuple(pdus), Rest(at, left.hex(), problem, answer)
        if len(left) < HEADER_LENGTH:
            problem = f"{len(left)} octets are no header of {HEADER_LENGTH}"
            return tuple(pdus), Rest(at, left.hex(), problem, "waits for the rest")
        pdus.append(explain_pdu(left[:length], at))
        at += length
    return tuple(pdus), None


def explain_pdu(frame: bytes, at: int = 0) -> ExplainedPdu:
    """One PDU, whole or cut; PduError when it has no header."""
    length, *_ = decode_header(frame)
    pdu, problems = decode_tolerant(frame)
    content: tuple[Line, ...] = ()
    if pdu.command_id in _WITH_CONTENT:
        found = content_of(pdu)
        content = _content(found)
        problems += found.problems
    cut = length - len(frame)
    return ExplainedPdu(
        at=at,
        command_length=length,
        command_id=pdu.command_id,
        command=pdu.command,
        command_status=pdu.command_status,
        status=status_name(pdu.command_status),
        status_meaning=status_meaning(pdu.command_id, pdu.command_status),
        sequence_number=pdu.sequence_number,
        fields=tuple(_field(pdu.command_id, *item) for item in pdu.fields.items()),
        content=content,
        tlvs=tuple(_tlv(tlv) for tlv in pdu.tlvs),
        tail_hex=pdu.tail.hex(),
        receipt=explain_receipt(pdu) if _is_receipt(pdu) else None,
        problems=problems,
        answer=f"waits for {cut} more octets" if cut > 0 else answer_to(pdu),
    )


def answer_to(pdu: Pdu) -> str:
    """What Hermes does when a carrier sends this PDU on a bound link."""
    match pdu.command_id:
        case CommandId.deliver_sm | CommandId.data_sm:
            answer = command_name(response_to(pdu.command_id))
            what = "a receipt" if _is_receipt(pdu) else "a message"
            return (
                f"stores it as {what}, then {answer} ESME_ROK;"
                f" ESME_RX_T_APPN if the ledger is behind"
            )
        case CommandId.enquire_link:
            return "enquire_link_resp ESME_ROK"
        case CommandId.unbind:
            return "unbind_resp ESME_ROK, then ends the link"
        case CommandId.alert_notification | CommandId.outbind:
            return "nothing: it has no response"
        case _ if pdu.is_response:
            return "nothing: it settles the request with this sequence number"
        case _:
            return "generic_nack ESME_RINVCMDID, and stays bound"


def _is_receipt(pdu: Pdu) -> bool:
    return pdu.command_id in (CommandId.deliver_sm, CommandId.data_sm) and is_receipt(pdu)


def _field(command_id: int, name: str, value: object) -> Line:
    meaning = field_meaning(command_id, name, value)
    match value:
        case bytes():
            return Line(name, value.hex(), meaning)
        case int() | str() | list():
            return Line(name, value, meaning)
        case _:
            return Line(name, str(value), meaning)


def _tlv(tlv: Tlv) -> ExplainedTlv:
    return ExplainedTlv(f"0x{tlv.tag:04x}", tlv_name(tlv.tag), tlv.value.hex(), tlv_meaning(tlv))


def _content(content: Content) -> tuple[Line, ...]:
    """The user data header, the place among parts and the text."""
    lines = [
        Line(f"element 0x{element.identifier:02x}", element.value.hex(), _element(element))
        for element in content.elements
    ]
    concat = content.concat
    if concat is not None:
        meaning = f"reference {concat.reference}, marked by {concat.kind.value}"
        lines.append(Line("part", f"{concat.number} of {concat.total}", meaning))
    if content.text is None:
        lines.append(Line("octets", content.octets.hex(), f"{len(content.octets)} octets, binary"))
    else:
        meaning = f"{len(content.octets)} octets read as {content.alphabet.value}"
        lines.append(Line("text", content.text, meaning))
    return tuple(lines)


def _element(element: Element) -> str:
    """What an information element of the header says."""
    identifier, value = element
    name = _ELEMENTS.get(identifier, "unknown")
    if identifier in (SINGLE_SHIFT, LOCKING_SHIFT) and len(value) == 1:
        return f"{name}: {_LANGUAGES.get(value[0], f'language {value[0]}')}"
    if identifier in (0x04, 0x05) and value and len(value) == (2 if identifier == 0x04 else 4):
        half = len(value) // 2
        to, by = int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big")
        return f"{name}: to {to} from {by}"
    return name
