"""An explanation names what it shows, and says what Hermes does about it."""

from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes.smpp.command import CommandId
from hermes.smpp.encode import encode, encode_header_only
from hermes.smpp.explain import ExplainedPdu, Rest, explain, explain_pdu
from hermes.smpp.explain_receipt import ReceiptKey, ReceiptLine, explain_receipt
from hermes.smpp.explain_status import status_meaning
from hermes.smpp.layout import LAYOUTS, Kind
from hermes.smpp.meaning import field_meaning, time_meaning, tlv_meaning, tlv_name
from hermes.smpp.pdu import Pdu
from hermes.smpp.tlv import Tlv, TlvTag


def deliver_sm(*tlvs: Tlv, **fields: object) -> Pdu:
    """A deliver_sm with these fields, the others empty."""
    blank: dict[Kind, object] = {Kind.text: "", Kind.octet: 0, Kind.message: b""}
    whole = {name: blank[kind] for name, kind in LAYOUTS[CommandId.deliver_sm]}
    return Pdu(CommandId.deliver_sm, 0, 7, whole | fields, tlvs)


def explained(pdu: Pdu) -> ExplainedPdu:
    return explain_pdu(encode(pdu))


FIELDS = [
    ("source_addr_ton", 5, "alphanumeric"),
    ("dest_addr_npi", 1, "ISDN (E.163, E.164)"),
    ("dest_addr_npi", 77, "reserved"),
    ("esm_class", 0x00, "message"),
    ("esm_class", 0x04, "delivery receipt"),
    ("esm_class", 0x20, "intermediate notification"),
    ("esm_class", 0xC0, "message, with user data header, with reply path"),
    ("data_coding", 0x08, "UCS-2 (UTF-16BE)"),
    ("data_coding", 0x10, "GSM 7-bit, class 0 (flash)"),
    ("data_coding", 0xF5, "binary, class 1 (handset)"),
    ("data_coding", 0xC8, "message waiting indication"),
    ("data_coding", 0x0F, "reserved"),
    ("registered_delivery", 0x00, "no receipt"),
    ("registered_delivery", 0x11, "receipt, intermediate notifications"),
    (
        "registered_delivery",
        0x0E,
        "receipt on failure, delivery acknowledgement, user acknowledgement",
    ),
    ("service_type", "WAP", "wireless application protocol"),
    ("validity_period", "", "the carrier's own"),
    ("schedule_delivery_time", "", "at once"),
    ("protocol_id", 0x42, "replace short message type 2"),
    ("short_message", b"abc", "3 octets"),
    ("message_state", 2, "DELIVRD"),
    ("interface_version", 0x34, "SMPP 3.4"),
]


@pytest.mark.parametrize(("name", "value", "meaning"), FIELDS)
def test_a_field_means_this(name: str, value: object, meaning: str) -> None:
    assert field_meaning(CommandId.deliver_sm, name, value) == meaning


def test_the_mode_is_told_towards_the_smsc_only() -> None:
    assert field_meaning(CommandId.submit_sm, "esm_class", 0x43) == (
        "store and forward mode, message, with user data header"
    )


TIMES = [
    ("261231235959908+", "2026-12-31 23:59:59.9 UTC+02:00"),
    ("260102030405132-", "2026-01-02 03:04:05.1 UTC-08:00"),
    ("000001120000000R", "in 1 day, 12 hours"),
    ("000000000000000R", "in no time"),
    ("tomorrow", "no time of SMPP"),
]


@pytest.mark.parametrize(("word", "meaning"), TIMES)
def test_a_time_means_this(word: str, meaning: str) -> None:
    assert time_meaning(word) == meaning


TLVS = [
    (TlvTag.message_state, "02", "message_state", "2: DELIVRD"),
    (TlvTag.message_state, "63", "message_state", "99: reserved"),
    (TlvTag.receipted_message_id, "6162630064", "receipted_message_id", "abc"),
    (TlvTag.network_error_code, "030001", "network_error_code", "GSM error 1"),
    (
        TlvTag.network_error_code,
        "333435",
        "network_error_code",
        "network type 51 error 13365, or digits 345",
    ),
    (TlvTag.network_error_code, "01", "network_error_code", ""),
    (TlvTag.congestion_state, "5f", "congestion_state", "95: nearly congested"),
    (TlvTag.sar_msg_ref_num, "1234", "sar_msg_ref_num", "4660"),
    (TlvTag.message_payload, "0102", "message_payload", "2 octets"),
    (TlvTag.delivery_failure_reason, "03", "delivery_failure_reason", "3: temporary network error"),
    (TlvTag.dest_network_type, "01", "dest_network_type", "1: GSM"),
    (TlvTag.alert_on_message_delivery, "", "alert_on_message_delivery", ""),
    (0x1403, "ff", "vendor's own", ""),
    (0x0999, "ff", "unknown", ""),
]


@pytest.mark.parametrize(("tag", "value", "name", "meaning"), TLVS)
def test_a_tlv_means_this(tag: int, value: str, name: str, meaning: str) -> None:
    assert (tlv_name(tag), tlv_meaning(Tlv(tag, bytes.fromhex(value)))) == (name, meaning)


C = CommandId
STATUSES = [
    (C.submit_sm_resp, 0x00, "accepted"),
    (C.submit_sm_resp, 0x58, "throttle: not an attempt; slows down and sends it again"),
    (
        C.submit_sm_resp,
        0x14,
        "throttle: not an attempt; one probe at a time until the queue has room",
    ),
    (
        C.submit_sm_resp,
        0x08,
        "retry: up to 3 more tries, the first after 30 s, then the attempt fails",
    ),
    (C.submit_sm_resp, 0x0B, "permanent: the attempt fails"),
    (C.submit_sm_resp, 0x04, "configuration: kept for another try; leaves the session at once"),
    (
        C.submit_sm_resp,
        0x02,
        "configuration: kept for another try; leaves the session after 3 in a row",
    ),
    (C.submit_sm_resp, 0x401, "retry: one more try, the first after 60 s, then the attempt fails"),
    (
        C.generic_nack,
        0x00,
        "configuration: kept for another try; leaves the session after 3 in a row",
    ),
    (C.bind_transceiver_resp, 0x00, "bound"),
    (
        C.bind_transceiver_resp,
        0x05,
        "refused: the old session must end first, tried again after 30 to 60 s",
    ),
    (
        C.bind_receiver_resp,
        0x0E,
        "refused: credentials or contract, tried again after 60 s or more",
    ),
    (C.query_sm_resp, 0x67, "the operation failed"),
    (C.enquire_link_resp, 0x00, "done"),
    (C.deliver_sm, 0x00, ""),
    (C.deliver_sm, 0x01, "a request has no status; ignored"),
]


@pytest.mark.parametrize(("command", "status", "meaning"), STATUSES)
def test_a_status_means_this(command: int, status: int, meaning: str) -> None:
    assert status_meaning(command, status) == meaning


STORED = (
    "stores it as a message, then deliver_sm_resp ESME_ROK; ESME_RX_T_APPN if the ledger is behind"
)
ANSWERS = [
    (C.enquire_link, "enquire_link_resp ESME_ROK"),
    (C.unbind, "unbind_resp ESME_ROK, then ends the link"),
    (C.outbind, "nothing: it has no response"),
    (C.submit_sm, "generic_nack ESME_RINVCMDID, and stays bound"),
    (C.broadcast_sm, "generic_nack ESME_RINVCMDID, and stays bound"),
    (0x00000999, "generic_nack ESME_RINVCMDID, and stays bound"),
    (C.submit_sm_resp, "nothing: it settles the request with this sequence number"),
    (0x80000999, "nothing: it settles the request with this sequence number"),
    (
        C.deliver_sm,
        STORED,
    ),
]


@pytest.mark.parametrize(("command", "answer"), ANSWERS)
def test_hermes_answers_this(command: int, answer: str) -> None:
    assert explain_pdu(encode_header_only(command, 0, 1)).answer == answer


def test_a_message_shows_its_header_its_place_and_its_text() -> None:
    body = bytes.fromhex("0b" + "0003070201" + "240101250101") + b"\x0c"
    pdu = deliver_sm(esm_class=0x40, short_message=body)
    lines = [(line.name, line.value, line.meaning) for line in explained(pdu).content]
    assert lines == [
        ("element 0x00", "070201", "concatenation, 8-bit reference"),
        ("element 0x24", "01", "national single shift: Turkish"),
        ("element 0x25", "01", "national locking shift: Turkish"),
        ("part", "1 of 2", "reference 7, marked by udh8"),
        ("text", "ğ", "1 octets read as gsm7"),
    ]


def test_ports_are_numbers_and_binary_is_octets() -> None:
    body = bytes.fromhex("060504" + "0b8423f0" + "0106")
    content = explained(deliver_sm(esm_class=0x40, data_coding=4, short_message=body)).content
    assert [(line.value, line.meaning) for line in content] == [
        ("0b8423f0", "ports, 16-bit: to 2948 from 9200"),
        ("0106", "2 octets, binary"),
    ]


def test_a_receipt_inside_a_pdu_is_explained_too() -> None:
    text = (
        b"id:42 sub:001 dlvrd:001 submit date:2601020304 done date:2601020305 stat:DELIVRD err:000"
    )
    receipt = explained(deliver_sm(esm_class=4, short_message=text)).receipt
    assert receipt is not None
    assert (receipt.id, receipt.stat, receipt.event, receipt.final) == (
        "42",
        "DELIVRD",
        "delivered",
        True,
    )
    (done,) = [line for line in receipt.lines if line.name == "done"]
    assert done.meaning == "2026-01-02 03:05:00, in the carrier's time zone"


def test_several_pdus_and_a_cut_one_are_explained_in_order() -> None:
    enquire = encode_header_only(CommandId.enquire_link, 0, 1)
    pdus, rest = explain(enquire + enquire + enquire[:15])
    assert [pdu.at for pdu in pdus] == [0, 16]
    assert rest == Rest(
        32, enquire[:15].hex(), "15 octets are no header of 16", "waits for the rest"
    )
    whole = encode(deliver_sm())
    (cut,), none = explain(whole[:-1])
    assert none is None
    assert cut.problems == ("command_length: 33 > 32 octets", "short_message: missing at octet 32")
    assert cut.answer == "waits for 1 more octets"


@pytest.mark.parametrize("length", ["0000000f", "00000000", "7fffffff", "48545450"])
def test_an_impossible_length_ends_the_link(length: str) -> None:
    pdus, rest = explain(bytes.fromhex(length + "00"))
    assert pdus == ()
    assert rest is not None
    assert rest.answer == "ends the link at once and reads nothing more"


def receipt_lines(text: str, *tlvs: Tlv) -> dict[str, ReceiptLine]:
    pdu = deliver_sm(*tlvs, esm_class=4, short_message=text.encode("latin-1"))
    return {line.name: line for line in explain_receipt(pdu, UTC).lines}


ORIGINS = [
    ("id:7 stat:DELIVRD", (), ("7", "text", ""), ("DELIVRD", "text", "final")),
    (
        "id:7 stat:DELIVRD",
        (Tlv.text(0x1E, "a"), Tlv(0x427, b"\x06")),
        ("a", "tlv", "wins over the text's 7"),
        ("ACCEPTD", "tlv", "not final, wins over the text's DELIVRD"),
    ),
    (
        "id:7 stat:DELIVERD",
        (Tlv.text(0x1E, "7"), Tlv(0x427, b"\x02")),
        ("7", "both", ""),
        ("DELIVERD", "both", "final"),
    ),
    ("", (Tlv.text(0x1E, "7"), Tlv(0x427, b"\x05")), ("7", "tlv", ""), ("UNDELIV", "tlv", "final")),
    (
        "stat:ABC",
        (Tlv.text(0x1E, ""),),
        ("", "", "none: an orphan"),
        ("UNKNOWN", "text", "not final, the text's ABC is no known state"),
    ),
    (
        "id:7",
        (Tlv.text(0x1E, ""), Tlv(0x427, b"\x63")),
        ("7", "text", ""),
        ("UNKNOWN", "", "not final, message_state 0x63 is no state, no state is given"),
    ),
    (
        "id:7 stat:ABC",
        (Tlv(0x427, b"\x07"),),
        ("7", "text", ""),
        ("UNKNOWN", "tlv", "not final, wins over the text's ABC"),
    ),
]


@pytest.mark.parametrize(("text", "tlvs", "message_id", "stat"), ORIGINS)
def test_who_said_it_is_told(
    text: str, tlvs: tuple[Tlv, ...], message_id: tuple[str, ...], stat: tuple[str, ...]
) -> None:
    lines = receipt_lines(text, *tlvs)
    found = [(line.value, line.origin, line.meaning) for line in (lines["id"], lines["stat"])]
    assert found == [message_id, stat]


def test_dates_have_the_zone_asked_for() -> None:
    pdu = deliver_sm(esm_class=4, short_message=b"submit date:2607010000 done date:never")
    lines = {line.name: line for line in explain_receipt(pdu, ZoneInfo("Europe/Copenhagen")).lines}
    assert lines["submit"].meaning == "2026-07-01 00:00:00+02:00 (Europe/Copenhagen)"
    assert lines["done"] == ReceiptLine("done", "never", "text", "no date")


def test_an_id_is_told_with_all_its_keys() -> None:
    pdu = deliver_sm(esm_class=4, short_message=b"id:0x0A")
    assert explain_receipt(pdu).keys == (
        ReceiptKey("as-is", "0x0A", False),
        ReceiptKey("case", "0x0a", True),
        ReceiptKey("zeros", "a", True),
        ReceiptKey("hex-dec", "10", True),
    )


TAGS = st.sampled_from([int(tag) for tag in TlvTag])


@given(
    st.sampled_from([*LAYOUTS, 0x999]),
    st.binary(max_size=120),
    st.lists(st.tuples(TAGS, st.one_of(st.binary(max_size=9), st.just(b"\xff" * 3000)))),
)
def test_any_octets_are_explained(command: int, body: bytes, tlvs: list[tuple[int, bytes]]) -> None:
    octets = body + b"".join(
        tag.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value for tag, value in tlvs
    )
    head = (16 + len(octets)).to_bytes(4, "big") + command.to_bytes(4, "big") + bytes(8)
    pdus, rest = explain((head + octets)[:66_560])
    assert (len(pdus), rest) == (1, None) or len(octets) > 66_544


@given(
    st.binary(max_size=200),
    st.lists(st.tuples(TAGS, st.one_of(st.binary(max_size=9), st.just(b"\xff" * 3000)))),
)
def test_any_deliver_sm_is_explained(message: bytes, tlvs: list[tuple[int, bytes]]) -> None:
    pdu = deliver_sm(*(Tlv(*tlv) for tlv in tlvs[:8]), esm_class=0x44, short_message=message)
    assert explained(pdu).receipt is not None


@given(st.binary(max_size=300))
def test_any_stream_is_explained_to_its_end(octets: bytes) -> None:
    pdus, rest = explain(octets)
    end = sum(pdu.command_length for pdu in pdus)
    assert end >= len(octets) or (rest is not None and rest.at == end)
