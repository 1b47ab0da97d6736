"""The codec against any octets and any PDU: one declared error, nothing lost on the way back."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from hermes.smpp.decode import decode, decode_tolerant
from hermes.smpp.encode import encode, encode_submit_sm
from hermes.smpp.frame import MAX_LENGTH, MIN_LENGTH, FrameError, FrameReader
from hermes.smpp.layout import LAYOUTS, Kind
from hermes.smpp.pdu import Pdu, PduError, SubmitSm
from hermes.smpp.tlv import Tlv

OCTET = st.integers(0, 255)
TEXT = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=70)
TLVS = st.lists(st.builds(Tlv, st.integers(0, 0xFFFF), st.binary(max_size=40)), max_size=5).map(
    tuple
)
ADDRESS = {"ton": OCTET, "npi": OCTET, "addr": TEXT}
DESTS = st.lists(
    st.one_of(
        st.fixed_dictionaries({"flag": st.just(1), **ADDRESS}),
        st.fixed_dictionaries({"flag": st.just(2), "dl_name": TEXT}),
    ),
    max_size=4,
)
UNSUCCESS = st.lists(
    st.fixed_dictionaries({**ADDRESS, "error_status_code": st.integers(0, 0xFFFF_FFFF)}),
    max_size=4,
)
VALUES: dict[Kind, st.SearchStrategy[object]] = {
    Kind.text: TEXT,
    Kind.octet: OCTET,
    Kind.message: st.binary(max_size=255),
    Kind.dests: DESTS,
    Kind.unsuccess: UNSUCCESS,
}


@st.composite
def pdus(draw: st.DrawFn) -> Pdu:
    command_id = draw(st.sampled_from(sorted(LAYOUTS)))
    fields = {name: draw(VALUES[kind]) for name, kind in LAYOUTS[command_id]}
    word = st.integers(0, 0xFFFF_FFFF)
    return Pdu(command_id, draw(word), draw(word), fields, draw(TLVS))


@given(st.binary(max_size=300))
def test_any_octets_decode_or_raise_the_declared_error(octets: bytes) -> None:
    with suppress(PduError):
        decode(octets)


@given(pdus(), st.integers(0, 400), st.binary(min_size=1, max_size=4))
def test_a_damaged_pdu_decodes_or_raises_and_its_header_survives(
    pdu: Pdu, place: int, damage: bytes
) -> None:
    whole = encode(pdu)
    place = 16 + place % max(1, len(whole) - 15)
    octets = whole[:place] + damage + whole[place + len(damage) :]
    try:
        strict = decode(octets)
    except PduError:
        strict = None
    tolerant, problems = decode_tolerant(octets)
    assert tolerant.sequence_number == pdu.sequence_number
    assert strict is None or strict.fields == tolerant.fields
    assert strict is not None or problems


@given(pdus())
def test_a_pdu_comes_back_from_its_octets(pdu: Pdu) -> None:
    octets = encode(pdu)
    assert decode(octets) == pdu
    assert decode_tolerant(octets)[0] == pdu
    assert int.from_bytes(octets[:4], "big") == len(octets)


@given(pdus(), st.binary(max_size=20))
def test_the_decoder_never_reads_past_command_length(pdu: Pdu, tail: bytes) -> None:
    decoded = decode(encode(pdu) + tail)
    assert (decoded.fields, decoded.tlvs, decoded.tail) == (pdu.fields, pdu.tlvs, tail)


@given(
    st.builds(
        SubmitSm,
        source_addr=TEXT.map(lambda text: text[:20]),
        destination_addr=TEXT.map(lambda text: text[:20]),
        short_message=st.binary(max_size=254),
        service_type=TEXT.map(lambda text: text[:5]),
        validity_period=TEXT.map(lambda text: text[:16]),
        esm_class=OCTET,
        data_coding=OCTET,
        registered_delivery=OCTET,
        tlvs=TLVS,
    ),
    st.integers(1, 0x7FFF_FFFF),
)
def test_the_fast_path_writes_what_the_table_reads(sm: SubmitSm, sequence: int) -> None:
    octets = encode_submit_sm(sm, sequence)
    pdu = decode(octets)
    assert encode(pdu) == octets
    assert (pdu.sequence_number, pdu.tlvs) == (sequence, sm.tlvs)
    assert {name: getattr(sm, name) for name in pdu.fields} == pdu.fields


@given(st.lists(st.binary(max_size=60), max_size=8), st.lists(st.integers(0, 80), max_size=30))
def test_any_split_of_a_stream_gives_the_same_frames(bodies: list[bytes], sizes: list[int]) -> None:
    frames = [(16 + len(body)).to_bytes(4, "big") + bytes(12) + body for body in bodies]
    stream, reader = b"".join(frames), FrameReader()
    read: list[bytes] = []
    for size in [*sizes, len(stream)]:
        read += reader.feed(stream[:size])
        stream = stream[size:]
    assert (read, reader.buffered) == (frames, 0)


@settings(max_examples=500)
@given(st.binary(max_size=200), st.integers(1, 60))
def test_any_octets_are_frames_or_one_error_wherever_they_are_split(
    octets: bytes, size: int
) -> None:
    def read(step: int) -> tuple[list[bytes], int | None]:
        reader, frames = FrameReader(), []
        for start in range(0, len(octets), step):
            try:
                frames += reader.feed(octets[start : start + step])
            except FrameError as error:
                return frames + error.frames, error.length
        return frames, None

    frames, bad_length = read(1000)
    assert read(size) == (frames, bad_length)
    assert bad_length is None or not MIN_LENGTH <= bad_length <= MAX_LENGTH
