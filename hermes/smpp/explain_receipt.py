"""Explains a delivery receipt to a person: each field, who said it, and the event it makes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Final, Literal, TypeAlias

from hermes.core.receipt import kind_of_receipt
from hermes.smpp.meaning import tlv_meaning
from hermes.smpp.message_id import forms
from hermes.smpp.pdu import Pdu
from hermes.smpp.receipt_text import (
    FINAL,
    KNOWN,
    MESSAGE_STATES,
    moment,
    parse_receipt,
    parse_words,
    receipt_octets,
)
from hermes.smpp.tlv import Tlv, TlvTag

Origin: TypeAlias = Literal["tlv", "text", "both", ""]
_DATES: Final = ("submit", "done")


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    """One field: its value, whether the text or a TLV gave it, and what it means."""

    name: str
    value: str
    origin: Origin
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class ReceiptKey:
    """One key the id is looked up by; a doubtful one counts only when the addresses agree too."""

    form: str
    key: str
    needs_address_check: bool


@dataclass(frozen=True, slots=True)
class ExplainedReceipt:
    """A receipt; `event` is what Hermes makes of it, `final` whether the state can change."""

    id: str
    stat: str
    final: bool
    event: str
    lines: tuple[ReceiptLine, ...]
    keys: tuple[ReceiptKey, ...]


def explain_receipt(pdu: Pdu, zone: tzinfo | None = None) -> ExplainedReceipt:
    """Everything a receipt says; dates without a zone are the carrier's own. Never raises."""
    receipt = parse_receipt(pdu)
    words = parse_words(receipt_octets(pdu))
    lines = [
        _id_line(pdu, receipt.id, words.get("id", "")),
        _state_line(receipt.stat, words.get("stat", ""), receipt.message_state),
    ]
    for name, word in (("err", receipt.err), ("sub", receipt.sub), ("dlvrd", receipt.dlvrd)):
        lines.append(_text_line(name, word))
    for name, word in zip(_DATES, (receipt.submit, receipt.done), strict=True):
        lines.append(_text_line(name, word, _date(word, zone)))
    lines.append(_text_line("text", receipt.text))
    if receipt.network_error is not None:
        lines.append(_network_line(receipt.network_error.octets))
    return ExplainedReceipt(
        id=receipt.id,
        stat=receipt.stat,
        final=receipt.final,
        event=kind_of_receipt(receipt.stat),
        lines=tuple(lines),
        keys=tuple(
            ReceiptKey(key.form.value, key.key, key.needs_address_check)
            for key in forms(receipt.id)
        ),
    )


def _id_line(pdu: Pdu, value: str, word: str) -> ReceiptLine:
    """receipted_message_id wins over the text, unless it is empty."""
    if not value:
        return ReceiptLine("id", "", "", "none: an orphan")
    tlv = (pdu.tlv(TlvTag.receipted_message_id) or b"").split(b"\0", 1)[0].strip()
    if not tlv:
        return ReceiptLine("id", value, "text")
    if not word:
        return ReceiptLine("id", value, "tlv")
    if word == value:
        return ReceiptLine("id", value, "both")
    return ReceiptLine("id", value, "tlv", f"wins over the text's {word}")


def _state_line(stat: str, word: str, number: int | None) -> ReceiptLine:
    """message_state wins over the text, whose spelling is kept where both mean the same."""
    nature = "final" if stat in FINAL else "not final"
    spelled = word.upper()
    by_tlv = None if number is None else MESSAGE_STATES.get(number)
    if by_tlv is None:
        notes = [nature]
        if number is not None:
            notes.append(f"message_state 0x{number:02x} is no state")
        if not word:
            notes.append("no state is given")
        elif spelled not in KNOWN:
            notes.append(f"the text's {word} is no known state")
        return ReceiptLine("stat", stat, "text" if word else "", ", ".join(notes))
    if not word:
        return ReceiptLine("stat", stat, "tlv", nature)
    if stat == spelled:
        return ReceiptLine("stat", stat, "both", nature)
    return ReceiptLine("stat", stat, "tlv", f"{nature}, wins over the text's {word}")


def _text_line(name: str, word: str, meaning: str = "") -> ReceiptLine:
    return ReceiptLine(name, word, "text" if word else "", meaning)


def _date(word: str, zone: tzinfo | None) -> str:
    """The time a word means; empty for none at all."""
    if not word:
        return ""
    when = moment(word, UTC if zone is None else zone)
    if when is None:
        return "no date"
    if zone is None:
        return f"{when.replace(tzinfo=None).isoformat(' ')}, in the carrier's time zone"
    return f"{when.isoformat(' ')} ({zone})"


def _network_line(octets: bytes) -> ReceiptLine:
    from_tlv = Tlv(TlvTag.network_error_code, octets)
    return ReceiptLine("network_error", octets.hex(), "tlv", tlv_meaning(from_tlv))
