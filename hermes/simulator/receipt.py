"""Receipts and MOs as deliver_sm: when one is due, its text, its TLVs (SMPP 3.4, appendix B)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, assert_never

from hermes.simulator.outcome import ERR, MESSAGE_STATE, Stat, is_failure
from hermes.simulator.profile import ReceiptForm, ReceiptMode
from hermes.smpp.command import CommandId
from hermes.smpp.encode import encode
from hermes.smpp.pdu import Pdu
from hermes.smpp.tlv import Tlv, TlvTag

if TYPE_CHECKING:
    from datetime import datetime

ESM_RECEIPT: Final = 0x04
ESM_INTERMEDIATE: Final = 0x20
ECHO: Final = 20
"""Characters of the message a receipt repeats."""


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


@dataclass(frozen=True, slots=True)
class Sent:
    """The accepted message a receipt is about; `submitted_at` and `done_at` are UTC."""

    pdu: Pdu
    receipt_id: str
    stat: Stat
    submitted_at: datetime
    done_at: datetime
    echo: str = ""


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


def wants_intermediate(mode: ReceiptMode, registered_delivery: int) -> bool:
    """Whether an intermediate notification is asked for (SMPP 3.4, 5.2.17)."""
    return mode is not ReceiptMode.none and registered_delivery & 0x10 != 0


def receipt_text(sent: Sent) -> str:
    """The usual text of a receipt; dates are YYMMDDhhmm."""
    delivered = "001" if sent.stat is Stat.DELIVRD else "000"
    return (
        f"id:{sent.receipt_id} sub:001 dlvrd:{delivered} submit date:{_date(sent.submitted_at)} "
        f"done date:{_date(sent.done_at)} stat:{sent.stat} err:{ERR.get(sent.stat, 0):03d} "
        f"text:{sent.echo[:ECHO]}"
    )


def receipt_frame(sent: Sent, form: ReceiptForm) -> bytes:
    """The receipt as deliver_sm from the destination back to the source, sequence number 0."""
    tlvs: tuple[Tlv, ...] = ()
    if form is not ReceiptForm.text:
        tlvs = (
            Tlv.text(TlvTag.receipted_message_id, sent.receipt_id),
            Tlv.integer(TlvTag.message_state, MESSAGE_STATE[sent.stat]),
        )
        if sent.stat in ERR:
            network_error = b"\x03" + ERR[sent.stat].to_bytes(2, "big")
            tlvs += (Tlv(TlvTag.network_error_code, network_error),)
    text = b"" if form is ReceiptForm.tlv else receipt_text(sent).encode("latin-1", "replace")
    submit = sent.pdu
    fields = {
        "source_addr_ton": submit.number("dest_addr_ton"),
        "source_addr_npi": submit.number("dest_addr_npi"),
        "source_addr": submit.text("destination_addr"),
        "dest_addr_ton": submit.number("source_addr_ton"),
        "dest_addr_npi": submit.number("source_addr_npi"),
        "destination_addr": submit.text("source_addr"),
        "esm_class": ESM_INTERMEDIATE if sent.stat is Stat.ENROUTE else ESM_RECEIPT,
        "short_message": text,
    }
    return deliver_sm(fields, tlvs)


def deliver_sm(fields: dict[str, object], tlvs: tuple[Tlv, ...] = ()) -> bytes:
    """A deliver_sm with sequence number 0; what `fields` leaves out is empty or 0.

    Raises PduError for a value that does not fit.
    """
    return encode(Pdu(CommandId.deliver_sm, fields={**_EMPTY, **fields}, tlvs=tlvs))


def with_sequence(frame: bytes, sequence: int) -> bytes:
    """The frame under another sequence number."""
    return frame[:12] + sequence.to_bytes(4, "big") + frame[16:]


def _date(at: datetime) -> str:
    return f"{at:%y%m%d%H%M}"


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
