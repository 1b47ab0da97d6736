"""National tables are used where they save segments, and only those the carrier knows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hermes.core.carrier import Carrier
from hermes.core.job import Job
from hermes.smpp.content import content_of
from hermes.smpp.data_coding import Alphabet, DataCodings
from hermes.smpp.decode import decode
from hermes.smpp.gsm7_national import Shift
from hermes.smpp.gsm7_national_tables import Language
from hermes.smpp.segment import (
    Concatenation,
    Segment,
    TextTooLong,
    part_limit,
    segments,
    single_limit,
    single_segment,
)
from hermes.smpp.submit import codings_of, submits_of

TURKISH = DataCodings(languages=(Language.TURKISH,))
EVERY = DataCodings(languages=tuple(Language))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
TR, ES = Language.TURKISH, Language.SPANISH

LIMITS = [
    (Shift(), None, 160),
    (Shift(), Concatenation.UDH8, 153),
    (Shift(), Concatenation.UDH16, 152),
    (Shift(single=TR), None, 155),
    (Shift(locking=TR), None, 155),
    (Shift(TR, TR), None, 152),
    (Shift(single=TR), Concatenation.UDH8, 149),
    (Shift(TR, TR), Concatenation.UDH8, 146),
    (Shift(single=TR), Concatenation.UDH16, 148),
    (Shift(TR, TR), Concatenation.UDH16, 145),
]


@pytest.mark.parametrize(("shift", "concatenation", "septets"), LIMITS)
def test_so_many_septets_are_left_beside_the_header(
    shift: Shift, concatenation: Concatenation | None, septets: int
) -> None:
    if concatenation is None:
        assert single_limit(Alphabet.GSM7, shift) == septets
    else:
        assert part_limit(Alphabet.GSM7, concatenation, shift) == septets


def shape(parts: tuple[Segment, ...]) -> tuple[int, int, str]:
    """How many segments, their data_coding and the first octets of the first."""
    return len(parts), parts[0].data_coding, parts[0].octets[:10].hex()


CHOICES = [
    # fits one part of UCS-2: the most handsets read that
    ("ğ" * 70, TURKISH, (1, 8, "011f" * 5)),
    # 71 characters: two parts of UCS-2, one by single shift (69 + 2 pairs)
    ("a" * 69 + "ğğ", TURKISH, (1, 0, "03240101" + "61" * 6)),
    # too many pairs for one, so the locking table
    ("ğ" * 155, TURKISH, (1, 0, "03250101" + "0c" * 6)),
    # `[` needs the extension table, which stays the default one behind a locking shift
    ("ğ" * 151 + "[[", TURKISH, (1, 0, "03250101" + "0c" * 6)),
    # concatenation first, then the table: 149 septets a part
    ("ğ" * 156, TURKISH, (2, 0, "080003340201" + "250101" + "0c")),
    # the carrier knows no tables
    ("ğ" * 156, DataCodings(), (3, 8, "050003340301" + "011f011f")),
    # every character in the default alphabet: no header for nothing
    ("a" * 160, TURKISH, (1, 0, "61" * 10)),
    ("a" * 306, TURKISH, (2, 0, "050003340201" + "61" * 4)),
    # euros are one septet in the Turkish locking table, two in the default alphabet
    ("a" * 145 + "€" * 10, TURKISH, (1, 0, "03250101" + "61" * 6)),
    # no table has both, so UCS-2
    ("ğ" * 60 + "я" * 60, EVERY, (2, 8, "050003340201" + "011f011f")),
]


@pytest.mark.parametrize(("text", "codings", "expected"), CHOICES)
def test_a_text_goes_out_by_the_fewest_segments(
    text: str, codings: DataCodings, expected: tuple[int, int, str]
) -> None:
    assert shape(segments(text, 0x1234, codings)) == expected


def test_a_text_of_both_tables_names_both() -> None:
    # Portuguese: ç, ã, õ and º have septets of their own, Φ and Ω only pairs
    text = "çãõº" * 35 + "ΦΩ"
    portuguese = DataCodings(languages=(Language.PORTUGUESE,))
    (only,) = segments(text, 1, portuguese)
    assert only.octets[:7].hex() == "06240103250103"
    assert (only.esm_class, only.data_coding) == (0x40, 0)


def test_a_16_bit_reference_stands_before_the_tables() -> None:
    first, *_ = segments("ğ" * 156, 0x1234, TURKISH, Concatenation.UDH16)
    assert first.octets[:11].hex() == "0908041234020125010" + "10c"
    assert len(first.octets) == 10 + 148


def test_a_pair_moves_to_the_next_part() -> None:
    spanish = DataCodings(languages=(ES,))
    first, second = segments("a" * 148 + "á" + "a" * 60, 1, spanish)
    assert len(first.octets) == 9 + 148
    assert second.octets[9:11].hex() == "1b61"


@pytest.mark.parametrize("concatenation", [Concatenation.SAR, Concatenation.PAYLOAD])
def test_an_smsc_that_marks_itself_gets_tables_in_one_segment_only(
    concatenation: Concatenation,
) -> None:
    (only,) = segments("ğ" * 155, 1, TURKISH, concatenation)
    assert only.octets[:4].hex() == "03250101"
    longer = segments("ğ" * 156, 1, TURKISH, concatenation)
    assert {part.data_coding for part in longer} == {8}


def test_the_number_of_the_carrier_is_used() -> None:
    codings = DataCodings(gsm7=0xF1, languages=(TR,))
    assert segments("ğ" * 155, 1, codings)[0].data_coding == 0xF1


def test_a_carrier_of_another_default_alphabet_has_no_tables() -> None:
    codings = DataCodings(default_alphabet=Alphabet.LATIN1, languages=(TR,))
    assert {part.data_coding for part in segments("ğ" * 155, 1, codings)} == {8}


def test_one_segment_may_need_tables() -> None:
    assert single_segment("ğ" * 155, TURKISH).octets[:4].hex() == "03250101"
    with pytest.raises(TextTooLong, match="text has 156 units, 70 is the limit"):
        single_segment("ğ" * 156, TURKISH)


def test_a_doubtful_letter_goes_by_ucs2() -> None:
    kannada = DataCodings(languages=(Language.KANNADA,))
    assert segments("ಕ" * 71, 1, kannada)[0].data_coding == 0
    assert segments("ಕ" * 70 + "ಡ", 1, kannada)[0].data_coding == 8


def test_the_profile_of_a_carrier_allows_languages() -> None:
    carrier = Carrier(id="a", national_languages=("tr", "es", "pt"))
    assert codings_of(carrier).languages == (TR, ES, Language.PORTUGUESE)
    job = Job(
        attempt="msg_00000000000000000000000001.0.0",
        tenant="acme",
        carrier="a",
        to="+905321234567",
        expires_at=NOW + timedelta(hours=2),
        queued_at=NOW,
        sender="Acme",
        text="Doğum gününüz kutlu olsun, iyi ki varsiniz! " * 3,
    )
    (frame,) = submits_of(job, carrier, NOW)
    pdu = decode(frame)
    assert (pdu.number("esm_class"), pdu.number("data_coding")) == (0x40, 0)
    assert content_of(pdu).text == job.text
