"""Messages from handsets: what POST /mo takes, as deliver_sm."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from hermes.simulator.receipt import MAX_SHORT_MESSAGE, Delivery, Owed, deliver_sm
from hermes.simulator.refusal import Refusal
from hermes.smpp.data_coding import Alphabet, DataCodings
from hermes.smpp.pdu import PduError
from hermes.smpp.segment import Concatenation, Segment, TextTooLong, segments
from hermes.smpp.tlv import Tlv, TlvTag

_Octet = Annotated[int, Meta(ge=0, le=255)]
_Address = Annotated[str, Meta(min_length=1, max_length=20)]


class Mo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An MO for the account `system_id` (empty: the only one there is).

    Give `text`, which is coded and cut into segments (marked by `concatenation`, or whole as
    `payload`), or `hex`: octets sent as they are under `data_coding` and `esm_class`.
    """

    source: _Address
    destination: _Address
    system_id: str = ""
    text: str | None = None
    hex: Annotated[str, Meta(pattern=r"^([0-9a-fA-F]{2})*$")] | None = None
    data_coding: _Octet = 0
    esm_class: _Octet = 0
    concatenation: Concatenation = Concatenation.UDH8
    payload: bool = False
    source_ton: _Octet = 1
    source_npi: _Octet = 1
    destination_ton: _Octet = 1
    destination_npi: _Octet = 1


def mo_deliveries(
    mo: Mo, number: int, default_alphabet: Alphabet, reference: int | None = None
) -> list[Delivery]:
    """One delivery per segment; `number` makes their ids, and the reference unless it is given.

    Raises Refusal.
    """
    parts = _segments(mo, number if reference is None else reference, default_alphabet)
    deliveries: list[Delivery] = []
    for part in parts:
        tlvs = part.tlvs
        if part.payload:
            tlvs += (Tlv(TlvTag.message_payload, part.octets),)
        fields: dict[str, object] = {
            "source_addr_ton": mo.source_ton,
            "source_addr_npi": mo.source_npi,
            "source_addr": mo.source,
            "dest_addr_ton": mo.destination_ton,
            "dest_addr_npi": mo.destination_npi,
            "destination_addr": mo.destination,
            "esm_class": mo.esm_class | part.esm_class,
            "data_coding": part.data_coding,
            "short_message": b"" if part.payload else part.octets,
        }
        try:
            frame = deliver_sm(fields, tlvs)
        except PduError as error:
            raise Refusal(error.field or "body", error.reason) from error
        name = f"mo-{number}" if part.total == 1 else f"mo-{number}.{part.number}"
        deliveries.append(
            Delivery(
                owed=Owed.mo,
                frame=frame,
                session=0,
                message_id=name,
                source=mo.source,
                destination=mo.destination,
            )
        )
    return deliveries


def _segments(mo: Mo, reference: int, default_alphabet: Alphabet) -> tuple[Segment, ...]:
    if (mo.text is None) == (mo.hex is None):
        raise Refusal("text", "give either text or hex")
    if mo.hex is not None:
        octets = bytes.fromhex(mo.hex)
        limit = 65_535 if mo.payload else MAX_SHORT_MESSAGE
        if len(octets) > limit:
            raise Refusal("hex", f"{len(octets)} octets, {limit} is the limit")
        return (Segment(1, 1, mo.data_coding, octets, payload=mo.payload),)
    assert mo.text is not None
    try:
        return segments(
            mo.text,
            reference,
            DataCodings(default_alphabet=default_alphabet),
            Concatenation.PAYLOAD if mo.payload else mo.concatenation,
        )
    except TextTooLong as error:
        raise Refusal("text", str(error)) from error
    except UnicodeEncodeError as error:
        raise Refusal("text", "has a lone surrogate") from error
