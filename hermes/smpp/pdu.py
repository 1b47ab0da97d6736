"""The values of the codec: a PDU, a submit_sm for the hot path, and the one declared error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import msgspec

from hermes.smpp.command import command_name, is_response
from hermes.smpp.tlv import Tlv, first_tlv

HEADER_LENGTH: Final = 16


class PduError(Exception):
    """Octets that are no PDU, or a value that has no octets; `field` is the one at fault."""

    def __init__(self, reason: str, field: str | None = None) -> None:
        self.reason, self.field = reason, field
        super().__init__(reason if field is None else f"{field}: {reason}")


@dataclass(frozen=True, slots=True)
class Pdu:
    """One PDU.

    `fields` has the mandatory parameters under their names in the specification, in wire order:
    integers as int, C-octet strings as str (latin-1, no NUL), `short_message` as bytes (its
    sm_length is implied), `dests` and `unsuccess` as lists of dicts. A response may lack them all.
    `tail` is what the decoder did not read; the encoder never writes it.
    """

    command_id: int
    command_status: int = 0
    sequence_number: int = 0
    fields: dict[str, object] = field(default_factory=dict)
    tlvs: tuple[Tlv, ...] = ()
    tail: bytes = b""

    @property
    def command(self) -> str:
        """The name of the command, or its number in hexadecimal."""
        return command_name(self.command_id)

    @property
    def is_response(self) -> bool:
        """Whether the response bit is set."""
        return is_response(self.command_id)

    def text(self, name: str) -> str:
        """A C-octet string field; empty when absent."""
        value = self.fields.get(name, "")
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> int:
        """An integer field; 0 when absent."""
        value = self.fields.get(name, 0)
        return value if isinstance(value, int) else 0

    def octets(self, name: str) -> bytes:
        """An octet string field (`short_message`); empty when absent."""
        value = self.fields.get(name, b"")
        return value if isinstance(value, bytes) else b""

    def tlv(self, tag: int) -> bytes | None:
        """The value of the first optional parameter with this tag."""
        found = first_tlv(self.tlvs, tag)
        return None if found is None else found.value


class SubmitSm(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of a submit_sm (SMPP 3.4, 4.4.1); text is latin-1, `short_message` octets."""

    source_addr: str
    destination_addr: str
    short_message: bytes
    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    dest_addr_ton: int = 1
    dest_addr_npi: int = 1
    esm_class: int = 0
    protocol_id: int = 0
    priority_flag: int = 0
    schedule_delivery_time: str = ""
    validity_period: str = ""
    registered_delivery: int = 1
    replace_if_present_flag: int = 0
    data_coding: int = 0
    sm_default_msg_id: int = 0
    tlvs: tuple[Tlv, ...] = ()
