"""A job becomes the submit_sm its carrier's profile asks for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hermes.core.carrier import Carrier, DataCodings, SenderRule, Senders, TonNpi
from hermes.core.job import Job
from hermes.smpp.decode import decode
from hermes.smpp.pdu import Pdu
from hermes.smpp.submit import CannotSend, reference_of, submits_of
from hermes.smpp.tlv import TlvTag

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def submit(carrier: Carrier, text: str = "hi", sender: str | None = "Acme") -> Pdu:
    """Make the one submit_sm of a job and read it back."""
    job = Job(
        attempt="msg_00000000000000000000000001.0.0",
        tenant="acme",
        carrier=carrier.id,
        to="+4512345678",
        expires_at=NOW + timedelta(hours=2),
        queued_at=NOW,
        sender=sender,
        text=text,
    )
    (frame,) = submits_of(job, carrier, NOW)
    return decode(frame)


@pytest.mark.parametrize(
    ("number_format", "country", "destination"),
    [
        ("e164", None, "4512345678"),
        ("plus", None, "+4512345678"),
        ("00", None, "004512345678"),
        ("national", "45", "012345678"),
        ("national", "49", "4512345678"),
    ],
)
def test_the_number_is_in_the_carriers_format(
    number_format: str, country: str | None, destination: str
) -> None:
    carrier = Carrier(id="a", number_format=number_format, country=country)  # type: ignore[arg-type]
    fields = submit(carrier).fields
    assert fields["destination_addr"] == destination
    assert fields["dest_addr_ton"] == (2 if number_format == "national" else 1)


@pytest.mark.parametrize(
    ("sender", "address", "ton", "npi"),
    [
        ("Acme", "Acme", 5, 0),
        ("12345", "12345", 3, 0),
        ("+4587654321", "4587654321", 1, 1),
        (None, "Default", 5, 0),
    ],
)
def test_the_sender_has_the_ton_and_npi_of_its_kind(
    sender: str | None, address: str, ton: int, npi: int
) -> None:
    fields = submit(Carrier(id="a", default_sender="Default"), sender=sender).fields
    said = (fields["source_addr"], fields["source_addr_ton"], fields["source_addr_npi"])
    assert said == (address, ton, npi)


def test_a_kind_of_sender_the_carrier_does_not_take_sends_nothing() -> None:
    carrier = Carrier(id="a", sender=Senders(alnum=None, short=TonNpi(0, 0)))
    with pytest.raises(CannotSend) as caught:
        submit(carrier)
    assert caught.value.code == "sender_refused"


def test_the_alphabet_is_chosen_and_numbered_by_the_profile() -> None:
    carrier = Carrier(id="a", dcs=DataCodings(gsm7=1, ucs2=24))
    assert submit(carrier, "hi").fields["data_coding"] == 1
    pdu = submit(carrier, "привет")
    assert pdu.fields["data_coding"] == 24
    assert pdu.fields["short_message"] == "привет".encode("utf-16-be")


def test_receipts_validity_and_vendor_tlvs_follow_the_profile() -> None:
    carrier = Carrier(id="a", receipts="none", validity_s=90_000, tlv={"0x1403": "00ff"})
    pdu = submit(carrier)
    assert pdu.fields["registered_delivery"] == 0
    assert pdu.fields["validity_period"] == "000000020000000R"
    assert [(tlv.tag, tlv.value) for tlv in pdu.tlvs] == [(0x1403, b"\x00\xff")]


@pytest.mark.parametrize(
    ("sender", "address"), [("1234", "Acme"), ("+4587654321", "4587654321"), (None, "Given")]
)
def test_the_first_rule_that_matches_the_whole_sender_replaces_it(
    sender: str | None, address: str
) -> None:
    rules = (
        SenderRule(match="[0-9]{4}", use="Acme"),
        SenderRule(match="[0-9]+", use="Never"),
        SenderRule(match="", use="Given"),
    )
    carrier = Carrier(id="a", sender_rules=rules)
    assert submit(carrier, sender=sender).fields["source_addr"] == address


def test_a_rule_can_refuse_a_sender_and_does_not_name_it() -> None:
    carrier = Carrier(id="a", sender_rules=(SenderRule(match="BANK.*", refuse=True),))
    with pytest.raises(CannotSend, match="a rule of carrier a refuses this sender") as caught:
        submit(carrier, sender="BANK24")
    assert caught.value.code == "sender_refused"


def test_every_part_has_a_reference_of_its_own_where_the_carrier_repeats_it() -> None:
    carrier = Carrier(id="a", user_message_reference=True)
    job = Job(
        attempt="msg_00000000000000000000000001.0.0",
        tenant="acme",
        carrier="a",
        to="+4512345678",
        expires_at=NOW + timedelta(hours=2),
        queued_at=NOW,
        text="x" * 400,
    )
    found = [
        decode(frame).tlv(TlvTag.user_message_reference) for frame in submits_of(job, carrier, NOW)
    ]
    first = reference_of(job.attempt)
    assert [int.from_bytes(value or b"", "big") for value in found] == [
        (first + n) & 0xFFFF for n in range(3)
    ]
