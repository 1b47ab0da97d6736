"""Parts in any order, with any duplicates and among any others, give the same texts."""

from __future__ import annotations

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hermes.smpp.command import CommandId
from hermes.smpp.content import content_of
from hermes.smpp.data_coding import DataCodings
from hermes.smpp.gsm7_national_tables import Language
from hermes.smpp.pdu import Pdu
from hermes.smpp.reassembly import Joined, Part, Reassembly
from hermes.smpp.segment import Concatenation, segments
from hermes.smpp.tlv import Tlv, TlvTag

TEXTS = st.one_of(
    st.text(st.sampled_from("abc €[]"), min_size=161, max_size=900),
    st.text(st.sampled_from("ğşıİ abc€"), min_size=161, max_size=700),
    st.text(st.sampled_from("я😀🇩🇰é"), min_size=71, max_size=400),
)
KINDS = st.sampled_from([Concatenation.UDH8, Concatenation.UDH16, Concatenation.SAR])
CODINGS = DataCodings(languages=(Language.TURKISH,))


def sent(text: str, reference: int, kind: Concatenation, source: str) -> list[Part[str]]:
    """The PDUs a text arrives in."""
    parts: list[Part[str]] = []
    for segment in segments(text, reference, CODINGS, kind):
        fields: dict[str, object] = {
            "esm_class": segment.esm_class,
            "data_coding": segment.data_coding,
            "short_message": segment.octets,
        }
        content = content_of(Pdu(CommandId.deliver_sm, fields=fields, tlvs=segment.tlvs))
        assert content.problems == ()
        parts.append(Part("acme", source, "1234", content, f"{source}-{segment.number}"))
    return parts


@settings(max_examples=150)
@given(TEXTS, st.integers(0, 0xFFFF), KINDS, st.data())
def test_any_order_and_any_duplicates_give_the_text_once(
    text: str, reference: int, kind: Concatenation, data: st.DataObject
) -> None:
    parts = sent(text, reference, kind, "45")
    order = data.draw(st.permutations(parts))
    last = order[-1]
    again = data.draw(st.lists(st.sampled_from(order[:-1]), max_size=4)) if order[:-1] else []
    stream = data.draw(st.permutations([*order[:-1], *again]))
    reassembly = Reassembly[str]()
    joined = [one for part in [*stream, last] for one in reassembly.add(part, 0.0)]
    (whole,) = joined
    assert (whole.text, whole.missing, whole.problems) == (text, (), ())
    assert sorted(whole.rows) == sorted(part.row for part in [*stream, last])
    assert reassembly.waiting == 0


@settings(max_examples=100)
@given(TEXTS, TEXTS, st.integers(0, 0xFFFF), KINDS, KINDS, st.randoms(use_true_random=False))
def test_two_senders_with_one_reference_never_mix(
    one: str,
    other: str,
    reference: int,
    one_kind: Concatenation,
    other_kind: Concatenation,
    chance: object,
) -> None:
    stream = sent(one, reference, one_kind, "45") + sent(other, reference, other_kind, "46")
    chance.shuffle(stream)  # type: ignore[attr-defined]
    reassembly = Reassembly[str]()
    joined = [whole for part in stream for whole in reassembly.add(part, 0.0)]
    assert {whole.source: whole.text for whole in joined} == {"45": one, "46": other}
    assert len(joined) == 2
    assert reassembly.waiting == 0


@settings(max_examples=100)
@given(TEXTS, st.integers(0, 0xFF), st.data())
def test_what_does_not_come_is_told(text: str, reference: int, data: st.DataObject) -> None:
    parts = sent(text, reference, Concatenation.UDH8, "45")
    assume(len(parts) > 1)
    lost = data.draw(st.sets(st.integers(1, len(parts)), min_size=1, max_size=len(parts) - 1))
    came = [part for number, part in enumerate(parts, 1) if number not in lost]
    reassembly = Reassembly[str](timeout=5.0)
    for at, part in enumerate(data.draw(st.permutations(came))):
        assert reassembly.add(part, at / 1000) == ()
    (partial,) = reassembly.expired(5.0)
    assert partial.missing == tuple(sorted(lost))
    assert partial.octets == b"".join(part.content.octets for part in came)
    assert partial.text is not None


TAGS = (
    TlvTag.message_payload,
    TlvTag.sar_msg_ref_num,
    TlvTag.sar_total_segments,
    TlvTag.sar_segment_seqnum,
)


@st.composite
def any_parts(draw: st.DrawFn) -> list[Part[int]]:
    """PDUs of any octets."""
    parts: list[Part[int]] = []
    for row in range(draw(st.integers(0, 12))):
        header = draw(
            st.sampled_from([b"", b"\x05\x00\x03\x07\x02", b"\x06\x08\x04\x00\x07\x03", b"\x05"])
        )
        fields: dict[str, object] = {
            "esm_class": draw(st.sampled_from([0, 0x40])),
            "data_coding": draw(st.sampled_from([0, 1, 3, 4, 8, 0xF5])),
            "short_message": header + draw(st.binary(max_size=6)),
        }
        tags = draw(st.lists(st.sampled_from(TAGS), max_size=4))
        tlvs = tuple(Tlv(int(tag), draw(st.binary(max_size=9))) for tag in tags)
        pdu = Pdu(CommandId.deliver_sm, fields=fields, tlvs=tlvs)
        source = draw(st.sampled_from(["45", "46"]))
        parts.append(Part("acme", source, "1", content_of(pdu), row))
    return parts


@settings(max_examples=300)
@given(any_parts(), st.lists(st.integers(0, 100), min_size=12, max_size=12))
def test_every_row_is_given_back_once_whatever_came(
    parts: list[Part[int]], times: list[int]
) -> None:
    reassembly = Reassembly[int](timeout=20.0)
    joined: list[Joined[int]] = []
    for part, now in zip(parts, sorted(times), strict=False):
        joined += reassembly.add(part, now)
    assert sum(len(one.rows) for one in joined) + reassembly.waiting == len(parts)
    joined += reassembly.expired(200.0)
    assert sorted(row for one in joined for row in one.rows) == [part.row for part in parts]
    assert reassembly.next_expiry is None
    for one in joined:
        assert len(one.missing) < one.total
