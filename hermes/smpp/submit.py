"""Makes the submit_sm of a job by the carrier's profile (SMPP 3.4, 4.4.1)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zlib import crc32

from hermes.core.carrier import Carrier, TonNpi
from hermes.core.errors import CarrierError
from hermes.core.ids import split_attempt_id
from hermes.core.job import Job
from hermes.smpp.data_coding import Alphabet, DataCodings
from hermes.smpp.encode import encode_submit_sm
from hermes.smpp.gsm7_national import languages_of
from hermes.smpp.pdu import SubmitSm
from hermes.smpp.segment import Concatenation, Segment, segments
from hermes.smpp.tlv import Tlv, TlvTag

UNKNOWN = TonNpi(0, 0)
INTERNATIONAL, NATIONAL = 1, 2


class CannotSend(CarrierError):
    """This message cannot go through this carrier; nothing was sent. `code` is for the event."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        super().__init__(text)


def submits_of(job: Job, carrier: Carrier, now: datetime) -> tuple[bytes, ...]:
    """Give the encoded submit_sm of each segment, sequence number 0.

    `now` counts the validity period. Raises CannotSend, TextTooLong, PduError: nothing is sent
    then.
    """
    if job.text is None:
        raise CannotSend("no_text", "the job carries no text")
    sender, ton_npi = sender_of(job.sender, carrier)
    concatenation = Concatenation(carrier.segmentation)
    parts = segments(job.text, reference_of(job.attempt), codings_of(carrier), concatenation)
    validity = validity_of(job, carrier, now)
    return tuple(
        encode_submit_sm(one(job, carrier, part, (sender, ton_npi, validity))) for part in parts
    )


def reference_of(attempt: str) -> int:
    """Give the 16-bit reference that marks the segments of an attempt's text.

    It is made of the message id, so that a segment sent again, by whom and when ever, joins those
    that a handset has already.
    """
    return crc32(split_attempt_id(attempt)[0].encode()) & 0xFFFF


def one(job: Job, carrier: Carrier, part: Segment, fixed: tuple[str, TonNpi, str]) -> SubmitSm:
    """Give the parameters of one segment; `fixed` = sender, its TON/NPI, validity."""
    sender, ton_npi, validity = fixed
    tlvs = (*part.tlvs, *vendor_tlvs(carrier))
    if carrier.user_message_reference:
        place = (reference_of(job.attempt) + part.number - 1) & 0xFFFF
        tlvs = (Tlv(TlvTag.user_message_reference, place.to_bytes(2, "big")), *tlvs)
    if part.payload:
        tlvs = (Tlv(0x0424, part.octets), *tlvs)
    return SubmitSm(
        source_addr=sender,
        source_addr_ton=ton_npi.ton,
        source_addr_npi=ton_npi.npi,
        dest_addr_ton=NATIONAL if carrier.number_format == "national" else INTERNATIONAL,
        destination_addr=destination_of(job.to, carrier),
        esm_class=part.esm_class,
        registered_delivery=0 if carrier.receipts == "none" else 1,
        validity_period=validity,
        data_coding=part.data_coding,
        short_message=b"" if part.payload else part.octets,
        tlvs=tlvs,
    )


def sender_of(sender: str | None, carrier: Carrier) -> tuple[str, TonNpi]:
    """Give the source address and its TON/NPI. Raises CannotSend for a kind that is not allowed."""
    address = ruled(sender or carrier.default_sender or "", carrier)
    if not address:
        return "", UNKNOWN
    if not address.removeprefix("+").isdecimal():
        kind, kinds = "alphanumeric", carrier.sender.alnum
    elif address.startswith("+") or len(address) > 8:
        kind, kinds = "E.164", carrier.sender.e164
    else:
        kind, kinds = "short code", carrier.sender.short
    if kinds is None:
        raise CannotSend("sender_refused", f"carrier {carrier.id} takes no {kind} sender")
    return address.removeprefix("+"), kinds


def ruled(sender: str, carrier: Carrier) -> str:
    """Give what the carrier's first rule for this sender makes of it. Raises CannotSend."""
    for rule in carrier.sender_rules:
        if re.fullmatch(rule.match, sender):
            if rule.refuse:
                raise CannotSend(
                    "sender_refused", f"a rule of carrier {carrier.id} refuses this sender"
                )
            return sender if rule.use is None else rule.use
    return sender


def destination_of(to: str, carrier: Carrier) -> str:
    """Give the destination in the carrier's number format."""
    digits = to.removeprefix("+")
    match carrier.number_format:
        case "e164":
            return digits
        case "plus":
            return f"+{digits}"
        case "00":
            return f"00{digits}"
        case "national":
            code = carrier.country or ""
            return f"0{digits.removeprefix(code)}" if code and digits.startswith(code) else digits


def codings_of(carrier: Carrier) -> DataCodings:
    """Give the data_coding numbers of a carrier, and the languages whose tables it knows."""
    return DataCodings(
        carrier.dcs.gsm7,
        carrier.dcs.latin1,
        carrier.dcs.ucs2,
        carrier.dcs.flash,
        Alphabet(carrier.default_alphabet),
        languages_of(carrier.national_languages),
    )


def vendor_tlvs(carrier: Carrier) -> tuple[Tlv, ...]:
    """Give the TLVs of the profile: tag as decimal or 0x-hex, value as hex octets."""
    return tuple(Tlv(int(tag, 0), bytes.fromhex(value)) for tag, value in carrier.tlv.items())


def validity_of(job: Job, carrier: Carrier, now: datetime) -> str:
    """Give validity_period in relative form (SMPP 3.4, 7.1.1.2), empty for the carrier's own."""
    if carrier.validity_s is None:
        return ""
    left = min(
        timedelta(seconds=carrier.validity_s), max(timedelta(minutes=1), job.expires_at - now)
    )
    hours, seconds = divmod(left.seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    return f"0000{min(left.days, 99):02d}{hours:02d}{minutes:02d}{seconds:02d}000R"
