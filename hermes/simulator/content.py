"""The user data of a submit_sm, as octets and as text for reading (SMPP 3.4, 4.4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hermes.smpp.data_coding import Alphabet, DataCodings, alphabet_of, decode_text
from hermes.smpp.tlv import TlvTag

if TYPE_CHECKING:
    from hermes.smpp.pdu import Pdu

UDHI: Final = 0x40


@dataclass(frozen=True, slots=True)
class Content:
    """`octets` as they came, header included; `text` is empty for binary."""

    octets: bytes
    text: str


def read_content(pdu: Pdu, default_alphabet: Alphabet) -> Content:
    """The user data of a submit_sm: short_message, or message_payload when that is there."""
    payload = pdu.tlv(TlvTag.message_payload) if pdu.tlvs else None
    octets = pdu.octets("short_message") if payload is None else payload
    body = octets
    if pdu.number("esm_class") & UDHI and octets:
        body = octets[1 + octets[0] :]
    data_coding = pdu.number("data_coding")
    codings = _CODINGS[default_alphabet]
    if alphabet_of(data_coding, codings) is Alphabet.BINARY:
        return Content(octets, "")
    return Content(octets, decode_text(body, data_coding, codings))


_CODINGS: Final = {alphabet: DataCodings(default_alphabet=alphabet) for alphabet in Alphabet}
