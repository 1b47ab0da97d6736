"""Parts become the messages their senders wrote."""

from __future__ import annotations

from hermes.smpp.command import CommandId
from hermes.smpp.content import content_of
from hermes.smpp.pdu import Pdu
from hermes.smpp.reassembly import TIMEOUT, Joined, Part, Reassembly
from hermes.smpp.tlv import Tlv, TlvTag


def part(
    row: str,
    body: bytes,
    place: tuple[int, int, int] | None = None,
    *,
    wide: bool = False,
    coding: int = 0,
    source: str = "4511111111",
    carrier: str = "acme",
) -> Part[str]:
    """One PDU; `place` is reference, total, number."""
    header = b""
    if place is not None:
        reference, total, number = place
        mark = reference.to_bytes(2 if wide else 1, "big") + bytes((total, number))
        elements = bytes((8 if wide else 0, len(mark))) + mark
        header = bytes((len(elements),)) + elements
    fields: dict[str, object] = {
        "esm_class": 0x40 if header else 0,
        "data_coding": coding,
        "short_message": header + body,
    }
    return Part(carrier, source, "1234", content_of(Pdu(CommandId.deliver_sm, fields=fields)), row)


def feed(reassembly: Reassembly[str], *parts: Part[str]) -> list[Joined[str]]:
    return [joined for one in parts for joined in reassembly.add(one, 0.0)]


def texts(joined: list[Joined[str]] | tuple[Joined[str], ...]) -> list[str | None]:
    return [one.text for one in joined]


def test_a_message_of_one_part_is_given_at_once() -> None:
    reassembly = Reassembly[str]()
    (whole,) = feed(reassembly, part("a", b"hi"))
    assert whole == Joined("acme", "4511111111", "1234", b"hi", "hi", 0, ("a",))
    assert whole.is_complete
    assert reassembly.next_expiry is None


def test_twelve_parts_of_a_wide_reference_are_joined_by_number_not_by_name() -> None:
    parts = [
        part(str(n), chr(96 + n).encode(), (0x1234, 12, n), wide=True)
        for n in (1, 10, 11, 12, 2, 3, 4, 5, 6, 7, 8, 9)
    ]
    (whole,) = feed(Reassembly(), *parts)
    assert whole.text == "abcdefghijkl"
    assert whole.rows == tuple(str(n) for n in range(1, 13))
    assert (whole.total, whole.missing) == (12, ())


def test_two_senders_with_one_reference_are_kept_apart() -> None:
    reassembly = Reassembly[str]()
    assert (
        feed(
            reassembly,
            part("a1", b"a1", (7, 2, 1)),
            part("b2", b"b2", (7, 2, 2), source="4522222222"),
        )
        == []
    )
    joined = feed(
        reassembly,
        part("b1", b"b1", (7, 2, 1), source="4522222222"),
        part("a2", b"a2", (7, 2, 2)),
    )
    assert texts(joined) == ["b1b2", "a1a2"]


def test_carrier_width_and_total_tell_messages_apart() -> None:
    reassembly = Reassembly[str]()
    assert (
        feed(
            reassembly,
            part("a", b"a", (7, 2, 1)),
            part("b", b"b", (7, 2, 2), carrier="other"),
            part("c", b"c", (7, 2, 2), wide=True),
            part("d", b"d", (7, 3, 2)),
        )
        == []
    )
    assert reassembly.waiting == 4


def test_the_sar_tlvs_mark_parts_as_well() -> None:
    def sar(row: str, number: int) -> Part[str]:
        tlvs = (
            Tlv.integer(TlvTag.sar_msg_ref_num, 7),
            Tlv.integer(TlvTag.sar_total_segments, 2),
            Tlv.integer(TlvTag.sar_segment_seqnum, number),
            Tlv(TlvTag.message_payload, row.encode()),
        )
        pdu = Pdu(CommandId.data_sm, fields={"esm_class": 0, "data_coding": 0}, tlvs=tlvs)
        return Part("acme", "45", "1234", content_of(pdu), row)

    (whole,) = feed(Reassembly(), sar("b", 2), sar("a", 1))
    assert (whole.text, whole.rows) == ("ab", ("a", "b"))


def test_a_duplicate_is_dropped_and_its_row_is_done_with_the_message() -> None:
    (whole,) = feed(
        Reassembly(),
        part("1", b"a", (7, 2, 1)),
        part("1 again", b"a", (7, 2, 1)),
        part("2", b"b", (7, 2, 2)),
    )
    assert (whole.text, whole.rows) == ("ab", ("1", "2", "1 again"))


def test_a_reference_used_again_after_the_message_starts_anew() -> None:
    reassembly = Reassembly[str]()
    first = feed(reassembly, part("1", b"a", (7, 2, 1)), part("2", b"b", (7, 2, 2)))
    again = feed(reassembly, part("3", b"c", (7, 2, 1)), part("4", b"d", (7, 2, 2)))
    assert texts([*first, *again]) == ["ab", "cd"]


def test_other_text_under_a_number_ends_the_older_message() -> None:
    reassembly = Reassembly[str]()
    (older,) = feed(reassembly, part("1", b"a", (7, 2, 1)), part("2", b"c", (7, 2, 1)))
    assert (older.text, older.missing, older.rows) == ("a", (2,), ("1",))
    assert older.problems == ("reference 7 was used again",)
    assert texts(feed(reassembly, part("3", b"d", (7, 2, 2)))) == ["cd"]


def test_a_part_that_cannot_be_is_a_message_of_its_own() -> None:
    reassembly = Reassembly[str]()
    joined = feed(
        reassembly,
        part("0", b"x", (7, 2, 0)),
        part("3", b"y", (7, 2, 3)),
        part("none", b"z", (7, 0, 0)),
    )
    assert texts(joined) == ["x", "y", "z"]
    assert joined[0].problems == ("concatenation: part 0 of 2 cannot be",)
    assert [one.is_complete for one in joined] == [True] * 3
    assert reassembly.waiting == 0


def test_what_is_there_is_given_when_the_time_is_over() -> None:
    reassembly = Reassembly[str]()
    reassembly.add(part("3", b"c", (7, 3, 3)), 100.0)
    reassembly.add(part("1", b"a", (7, 3, 1)), 200.0)
    reassembly.add(part("x", b"x", (8, 2, 2)), 150.0)
    assert reassembly.next_expiry == 100.0 + TIMEOUT
    assert reassembly.expired(99.0 + TIMEOUT) == ()
    first, second = reassembly.expired(150.0 + TIMEOUT)
    assert (first.text, first.missing, first.rows) == ("ac", (2,), ("1", "3"))
    assert not first.is_complete
    assert (second.text, second.missing) == ("x", (1,))
    assert reassembly.next_expiry is None


def test_a_part_after_the_time_starts_anew() -> None:
    reassembly = Reassembly[str](timeout=10.0)
    assert reassembly.add(part("1", b"a", (7, 2, 1)), 0.0) == ()
    (late,) = reassembly.add(part("2", b"b", (7, 2, 2)), 10.0)
    assert (late.text, late.missing) == ("a", (2,))
    assert texts(reassembly.expired(20.0)) == ["b"]


def test_a_surrogate_pair_may_be_split_over_parts() -> None:
    high, low = "😀".encode("utf-16-be")[:2], "😀".encode("utf-16-be")[2:]
    (whole,) = feed(
        Reassembly(),
        part("2", low, (7, 2, 2), coding=8),
        part("1", high, (7, 2, 1), coding=8),
    )
    assert whole.text == "😀"


def test_half_a_pair_does_not_join_over_a_part_that_is_missing() -> None:
    high, low = "😀".encode("utf-16-be")[:2], "😀".encode("utf-16-be")[2:]
    reassembly = Reassembly[str]()
    feed(
        reassembly,
        part("1", high, (7, 3, 1), coding=8),
        part("3", low, (7, 3, 3), coding=8),
    )
    (partial,) = reassembly.expired(TIMEOUT)
    assert partial.text == "\ufffd\ufffd"


def test_parts_of_two_alphabets_are_each_read_by_their_own() -> None:
    (whole,) = feed(
        Reassembly(),
        part("1", b"hi ", (7, 2, 1)),
        part("2", "я".encode("utf-16-be"), (7, 2, 2), coding=8),
    )
    assert (whole.text, whole.data_coding) == ("hi я", 0)


def test_binary_parts_are_octets() -> None:
    (whole,) = feed(
        Reassembly(),
        part("1", b"\x01", (7, 2, 1), coding=4),
        part("2", b"\x02", (7, 2, 2), coding=4),
    )
    assert (whole.text, whole.octets, whole.data_coding) == (None, b"\x01\x02", 4)
