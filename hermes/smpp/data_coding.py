"""Chooses the alphabet of a text and its data_coding, and reads texts (SMPP 3.4, 5.2.19)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from hermes.smpp.gsm7 import NotGsm7, decode_gsm7, encode_gsm7
from hermes.smpp.gsm7_national import DEFAULT, Shift, decode_national, encode_national, shifts_of
from hermes.smpp.gsm7_national_tables import Language

if TYPE_CHECKING:
    from collections.abc import Iterator


class Alphabet(Enum):
    """How the octets of a short message are made."""

    GSM7 = "gsm7"  # unpacked septets
    LATIN1 = "latin1"
    ASCII = "ascii"
    UCS2 = "ucs2"  # UTF-16BE
    BINARY = "binary"


@dataclass(frozen=True, slots=True)
class DataCodings:
    """The data_coding numbers of one carrier; `default_alphabet` is what its 0 means.

    `languages` are those whose national tables it carries to the handset.
    """

    gsm7: int = 0
    latin1: int = 3
    ucs2: int = 8
    flash: int = 0x10
    default_alphabet: Alphabet = Alphabet.GSM7
    languages: tuple[Language, ...] = ()


STANDARD: Final = DataCodings()


@dataclass(frozen=True, slots=True)
class Encoded:
    """The octets of a text, their alphabet and the data_coding to send with them.

    `shift` names the national tables of GSM 7-bit, to be told in the user data header.
    """

    alphabet: Alphabet
    data_coding: int
    octets: bytes
    shift: Shift = DEFAULT

    @property
    def units(self) -> int:
        """Length in septets, octets or 16-bit units."""
        return len(self.octets) // 2 if self.alphabet is Alphabet.UCS2 else len(self.octets)


def encode_text(text: str, codings: DataCodings = STANDARD) -> Encoded:
    """The carrier's small alphabet when every character is in it, else UCS-2; never a "?".

    A carrier whose default is latin-1 or ASCII gets that instead of GSM 7-bit. Lone surrogates
    have no octets: UnicodeEncodeError.
    """
    small, data_coding = codings.default_alphabet, codings.gsm7
    octets = _small(text, small)
    if octets is not None:
        return Encoded(small, data_coding, octets)
    return Encoded(Alphabet.UCS2, codings.ucs2, text.encode("utf-16-be"))


def encodings(text: str, codings: DataCodings = STANDARD) -> Iterator[Encoded]:
    """Every way to write a text, the one that most handsets read first.

    First what `encode_text` gives, then GSM 7-bit by each national shift of the carrier that has
    all its characters. Raises UnicodeEncodeError as that does.
    """
    yield encode_text(text, codings)
    if codings.default_alphabet is not Alphabet.GSM7:
        return
    for language in codings.languages:
        for shift in shifts_of(language):
            try:
                octets = encode_national(text, shift)
            except NotGsm7:
                continue
            yield Encoded(Alphabet.GSM7, codings.gsm7, octets, shift)


def _small(text: str, alphabet: Alphabet) -> bytes | None:
    """The text in a one-octet alphabet, None when a character has no place in it."""
    try:
        match alphabet:
            case Alphabet.GSM7:
                return encode_gsm7(text)
            case Alphabet.LATIN1:
                return text.encode("latin-1")
            case Alphabet.ASCII:
                return text.encode("ascii")
            case Alphabet.UCS2 | Alphabet.BINARY:
                return None
    except (NotGsm7, UnicodeEncodeError):
        return None


def alphabet_of(data_coding: int, codings: DataCodings = STANDARD) -> Alphabet:
    """The alphabet a data_coding stands for on this carrier; binary for what is no text here."""
    if data_coding in (codings.ucs2, 0x08):
        return Alphabet.UCS2
    if data_coding in (0x00, codings.gsm7):
        return codings.default_alphabet
    if data_coding >= 0xF0:  # message class form: bit 2 is 8-bit data (3GPP TS 23.038, 4)
        return Alphabet.BINARY if data_coding & 0x04 else Alphabet.GSM7
    if data_coding & 0xF0 == 0x10:  # general group with class: bits 3..2 are the alphabet
        return _GENERAL[data_coding >> 2 & 0x03]
    return _TABLE.get(data_coding, Alphabet.BINARY)


_GENERAL: Final = (Alphabet.GSM7, Alphabet.BINARY, Alphabet.UCS2, Alphabet.BINARY)
_TABLE: Final = {0x01: Alphabet.ASCII, 0x03: Alphabet.LATIN1}


def decode_text(
    octets: bytes, data_coding: int, codings: DataCodings = STANDARD, shift: Shift = DEFAULT
) -> str:
    """The text for a person to read, with replacement characters; never raises.

    Binary and unknown codings are read as latin-1, so every octet stays visible. `shift` is what
    the user data header says of GSM 7-bit.
    """
    return decode_alphabet(octets, alphabet_of(data_coding, codings), shift)


def decode_alphabet(octets: bytes, alphabet: Alphabet, shift: Shift = DEFAULT) -> str:
    """As `decode_text`, for an alphabet that is known."""
    match alphabet:
        case Alphabet.GSM7:
            return decode_gsm7(octets) if shift == DEFAULT else decode_national(octets, shift)
        case Alphabet.UCS2:
            return octets.decode("utf-16-be", "replace")
        case Alphabet.ASCII | Alphabet.LATIN1 | Alphabet.BINARY:
            return octets.decode("latin-1")
