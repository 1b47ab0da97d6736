"""Receipts and MOs as deliver_sm: when one is due, its text, its TLVs (SMPP 3.4, appendix B)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

from hermes.simulator.outcome import ERR, MESSAGE_STATE, Stat, is_failure
from hermes.simulator.profile import (
    IntermediateForm,
    NetworkError,
    Profile,
    ReceiptBody,
    ReceiptCommand,
    ReceiptForm,
    ReceiptMode,
    ReceiptParts,
)
from hermes.simulator.receipt_text import Sent, parse_template
from hermes.smpp.command import CommandId
from hermes.smpp.content import content_of
from hermes.smpp.encode import encode
from hermes.smpp.layout import LAYOUTS
from hermes.smpp.pdu import Pdu
from hermes.smpp.tlv import Tlv, TlvTag

ESM_RECEIPT: Final = 0x04
ESM_INTERMEDIATE: Final = 0x20
MAX_SHORT_MESSAGE: Final = 254
MAX_PAYLOAD: Final = 60_000
"""Octets of a receipt in message_payload; a TLV holds 65,535, a PDU a little more."""


class Owed(StrEnum):
    """What a deliver_sm carries."""

    receipt = "receipt"
    mo = "mo"


@dataclass(slots=True)
class Delivery:
    """One deliver_sm owed to an account.

    `frame` is the whole PDU, sequence number still to be filled in. `session` is where it belongs
    (0: anywhere). `message_id` is the one of the submit_sm_resp, `receipt_id` the one in the
    receipt. Of its `sendings`, `attempts` were refused or not answered in time.
    """

    owed: Owed
    frame: bytes
    session: int
    message_id: str
    receipt_id: str = ""
    source: str = ""
    destination: str = ""
    stat: str = ""
    attempts: int = 0
    sendings: int = 0


def is_due(mode: ReceiptMode, registered_delivery: int, stat: Stat) -> bool:
    """Whether a receipt of this state is to be sent (SMPP 3.4, 5.2.17; 3 is from 5.0)."""
    match mode:
        case ReceiptMode.all:
            return True
        case ReceiptMode.none:
            return False
        case ReceiptMode.requested:
            pass
        case _:
            assert_never(mode)
    match registered_delivery & 0x03:
        case 1:
            return True
        case 2:
            return is_failure(stat)
        case 3:
            return stat is Stat.DELIVRD
        case _:
            return False


def wants_intermediate(profile: Profile, registered_delivery: int) -> bool:
    """Whether an intermediate notification is to be sent (SMPP 3.4, 5.2.17)."""
    if profile.receipts is ReceiptMode.none or profile.intermediate is ReceiptMode.none:
        return False
    return profile.intermediate is ReceiptMode.all or registered_delivery & 0x10 != 0


def is_receipted_part(parts: ReceiptParts, submit: Pdu) -> bool:
    """Whether a message gets receipts although it is a part of a long one, or since it is that."""
    if parts is ReceiptParts.all:
        return True
    concat = content_of(submit).concat
    if concat is None or not concat.is_sound:
        return True
    return concat.number == (1 if parts is ReceiptParts.first else concat.total)


def receipt_frame(sent: Sent, profile: Profile) -> bytes:
    """The receipt from the destination back to the source, sequence number 0."""
    template = parse_template(profile.receipt_template)
    octets = b""
    if profile.receipt_form is not ReceiptForm.tlv:
        text = template.write(sent, profile.receipt_date_format)
        octets = text.encode("latin-1", "replace")
    tlvs = () if profile.receipt_form is ReceiptForm.text else _state_tlvs(sent, profile)
    by_data_sm = profile.receipt_command is ReceiptCommand.data_sm
    if octets and (by_data_sm or profile.receipt_body is ReceiptBody.message_payload):
        tlvs += (Tlv(TlvTag.message_payload, octets[:MAX_PAYLOAD]),)
        octets = b""
    is_notification = (
        sent.stat is Stat.ENROUTE and profile.intermediate_form is IntermediateForm.notification
    )
    submit = sent.pdu
    fields = {
        "source_addr_ton": submit.number("dest_addr_ton"),
        "source_addr_npi": submit.number("dest_addr_npi"),
        "source_addr": submit.text("destination_addr"),
        "dest_addr_ton": submit.number("source_addr_ton"),
        "dest_addr_npi": submit.number("source_addr_npi"),
        "destination_addr": submit.text("source_addr"),
        "esm_class": ESM_INTERMEDIATE if is_notification else ESM_RECEIPT,
    }
    if by_data_sm:
        frame = data_sm(fields, tlvs)
    else:
        frame = deliver_sm({**fields, "short_message": octets[:MAX_SHORT_MESSAGE]}, tlvs)
    tail = profile.receipt_tail
    return with_tail(frame, bytes.fromhex(tail)) if tail else frame


def _state_tlvs(sent: Sent, profile: Profile) -> tuple[Tlv, ...]:
    tlvs: tuple[Tlv, ...] = (
        Tlv.text(TlvTag.receipted_message_id, sent.receipt_id),
        Tlv.integer(TlvTag.message_state, MESSAGE_STATE[sent.stat]),
    )
    code = ERR.get(sent.stat)
    match profile.network_error:
        case _ if code is None:
            return tlvs
        case NetworkError.octets:
            return (*tlvs, Tlv(TlvTag.network_error_code, b"\x03" + code.to_bytes(2, "big")))
        case NetworkError.digits:
            return (*tlvs, Tlv(TlvTag.network_error_code, b"%03d" % code))
        case NetworkError.none:
            return tlvs
        case _:
            assert_never(profile.network_error)


def deliver_sm(fields: dict[str, object], tlvs: tuple[Tlv, ...] = ()) -> bytes:
    """A deliver_sm with sequence number 0; what `fields` leaves out is empty or 0.

    Raises PduError for a value that does not fit.
    """
    return encode(Pdu(CommandId.deliver_sm, fields={**_EMPTY, **fields}, tlvs=tlvs))


def data_sm(fields: dict[str, object], tlvs: tuple[Tlv, ...]) -> bytes:
    """A data_sm with sequence number 0; what `fields` leaves out is empty or 0."""
    names = [name for name, _ in LAYOUTS[CommandId.data_sm]]
    whole = {**_EMPTY, **fields}
    return encode(Pdu(CommandId.data_sm, fields={name: whole[name] for name in names}, tlvs=tlvs))


def with_tail(frame: bytes, tail: bytes) -> bytes:
    """The frame with octets at its end, its command_length right."""
    return (len(frame) + len(tail)).to_bytes(4, "big") + frame[4:] + tail


def with_sequence(frame: bytes, sequence: int) -> bytes:
    """The frame under another sequence number."""
    return frame[:12] + sequence.to_bytes(4, "big") + frame[16:]


_EMPTY: Final[dict[str, object]] = {
    "service_type": "",
    "source_addr_ton": 0,
    "source_addr_npi": 0,
    "source_addr": "",
    "dest_addr_ton": 0,
    "dest_addr_npi": 0,
    "destination_addr": "",
    "esm_class": 0,
    "protocol_id": 0,
    "priority_flag": 0,
    "schedule_delivery_time": "",
    "validity_period": "",
    "registered_delivery": 0,
    "replace_if_present_flag": 0,
    "data_coding": 0,
    "sm_default_msg_id": 0,
    "short_message": b"",
}
