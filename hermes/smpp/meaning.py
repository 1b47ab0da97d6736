"""What the values of parameters mean, in words (SMPP 3.4, 5.2 and 5.3.2; SMPP 5.0, 4.7 and 4.8)."""

from __future__ import annotations

import re
from typing import Final

from hermes.smpp.command import CommandId
from hermes.smpp.data_coding import Alphabet, alphabet_of
from hermes.smpp.receipt_text import MESSAGE_STATES, NetworkError
from hermes.smpp.tlv import INTEGER_LENGTHS, Tlv, TlvTag

TON: Final[dict[int, str]] = {
    0: "unknown",
    1: "international",
    2: "national",
    3: "network specific",
    4: "subscriber number",
    5: "alphanumeric",
    6: "abbreviated",
}
NPI: Final[dict[int, str]] = {
    0: "unknown",
    1: "ISDN (E.163, E.164)",
    3: "data (X.121)",
    4: "telex (F.69)",
    6: "land mobile (E.212)",
    8: "national",
    9: "private",
    10: "ERMES",
    14: "internet (IP)",
    18: "WAP client id",
}
SERVICE_TYPES: Final[dict[str, str]] = {
    "": "default",
    "CMT": "cellular messaging",
    "CPT": "cellular paging",
    "VMN": "voice mail notification",
    "VMA": "voice mail alerting",
    "WAP": "wireless application protocol",
    "USSD": "unstructured supplementary services data",
}
_NOT_CLASSED: Final = {
    0x00: "the carrier's default alphabet (GSM 7-bit, unless its profile says another)",
    0x01: "ASCII (IA5)",
    0x02: "binary",
    0x03: "latin-1",
    0x04: "binary",
    0x05: "JIS (X 0208)",
    0x06: "Cyrillic (ISO 8859-5)",
    0x07: "Latin and Hebrew (ISO 8859-8)",
    0x08: "UCS-2 (UTF-16BE)",
    0x09: "pictograms",
    0x0A: "music codes (ISO-2022-JP)",
    0x0D: "extended kanji (JIS X 0212)",
    0x0E: "KS C 5601",
}
_ALPHABETS: Final = {
    Alphabet.GSM7: "GSM 7-bit",
    Alphabet.BINARY: "binary",
    Alphabet.UCS2: "UCS-2 (UTF-16BE)",
}
_CLASSES: Final = ("class 0 (flash)", "class 1 (handset)", "class 2 (SIM)", "class 3 (terminal)")
_TO_ESME: Final = frozenset((CommandId.deliver_sm,))
_MODES: Final = ("default mode", "datagram mode", "forward mode", "store and forward mode")
_TYPES: Final = {
    0x04: "delivery receipt",
    0x08: "delivery acknowledgement",
    0x10: "user acknowledgement",
    0x18: "conversation abort",
    0x20: "intermediate notification",
}
_RECEIPTS: Final = ("no receipt", "receipt", "receipt on failure", "receipt on success")
_TIME: Final = re.compile(r"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d)(\d\d)([+\-R])")
_NETWORKS: Final = {1: "ANSI-136", 2: "IS-95", 3: "GSM", 4: "reserved"}
_NETWORK_TYPES: Final = {
    0: "unknown",
    1: "GSM",
    2: "ANSI-136 (TDMA)",
    3: "IS-95 (CDMA)",
    4: "PDC",
    5: "PHS",
    6: "iDEN",
    7: "AMPS",
    8: "paging",
}
_BEARER_TYPES: Final = {
    0: "unknown",
    1: "SMS",
    2: "circuit switched data",
    3: "packet data",
    4: "USSD",
    5: "CDPD",
    6: "DataTAC",
    7: "FLEX, ReFLEX",
    8: "cell broadcast",
}
_SUBUNITS: Final = {0: "unknown", 1: "display", 2: "handset", 3: "SIM", 4: "device"}
_USSD: Final = {
    0: "PSSD indication",
    1: "PSSR indication",
    2: "USSR request",
    3: "USSN request",
    16: "PSSD response",
    17: "PSSR response",
    18: "USSR confirm",
    19: "USSN confirm",
}

_TLV_WORDS: Final[dict[int, dict[int, str]]] = {
    TlvTag.dest_addr_subunit: _SUBUNITS,
    TlvTag.source_addr_subunit: _SUBUNITS,
    TlvTag.dest_network_type: _NETWORK_TYPES,
    TlvTag.source_network_type: _NETWORK_TYPES,
    TlvTag.dest_bearer_type: _BEARER_TYPES,
    TlvTag.source_bearer_type: _BEARER_TYPES,
    TlvTag.ussd_service_op: _USSD,
    TlvTag.payload_type: {0: "default", 1: "WCMP"},
    TlvTag.privacy_indicator: {
        0: "not restricted",
        1: "restricted",
        2: "confidential",
        3: "secret",
    },
    TlvTag.language_indicator: {
        0: "unspecified",
        1: "English",
        2: "French",
        3: "Spanish",
        4: "German",
        5: "Portuguese",
    },
    TlvTag.dpf_result: {0: "not set", 1: "set"},
    TlvTag.set_dpf: {0: "not requested", 1: "requested"},
    TlvTag.ms_availability_status: {0: "available", 1: "denied", 2: "unavailable"},
    TlvTag.delivery_failure_reason: {
        0: "destination unavailable",
        1: "destination address invalid",
        2: "permanent network error",
        3: "temporary network error",
    },
    TlvTag.more_messages_to_send: {0: "no more", 1: "more to come"},
    TlvTag.message_state: MESSAGE_STATES,
    TlvTag.display_time: {0: "temporary", 1: "default", 2: "invoke"},
    TlvTag.ms_validity: {
        0: "indefinite",
        1: "until power down",
        2: "in this area",
        3: "display only",
    },
}
_TLV_TEXTS: Final = frozenset((TlvTag.receipted_message_id, TlvTag.additional_status_info_text))
_LONGEST_NUMBER: Final = 8
"""Octets: a number is shorter, and Python refuses to print very long ones."""
_CONGESTION: Final = (
    (0, "idle"),
    (29, "low load"),
    (49, "medium load"),
    (79, "high load"),
    (89, "optimum load"),
    (99, "nearly congested"),
    (100, "congested"),
)


def field_meaning(command_id: int, name: str, value: object) -> str:
    """What a mandatory parameter means; empty where the value says it all."""
    match name, value:
        case "service_type", str():
            return SERVICE_TYPES.get(value, "")
        case "schedule_delivery_time", "":
            return "at once"
        case "validity_period", "":
            return "the carrier's own"
        case (("schedule_delivery_time" | "validity_period" | "final_date"), str()):
            return time_meaning(value)
        case _, int():
            return _number_meaning(command_id, name, value)
        case "short_message", bytes():
            return f"{len(value)} octets"
        case _:
            return ""


def _number_meaning(command_id: int, name: str, value: int) -> str:
    """What an integer parameter means."""
    if name.endswith("_ton"):
        return TON.get(value, "reserved")
    if name.endswith("_npi"):
        return NPI.get(value, "reserved")
    match name:
        case "esm_class":
            return esm_class_meaning(value, to_esme=command_id in _TO_ESME)
        case "data_coding":
            return data_coding_meaning(value)
        case "registered_delivery":
            return registered_delivery_meaning(value)
        case "protocol_id":
            return protocol_meaning(value)
        case "interface_version":
            return version_meaning(value)
        case "message_state":
            return MESSAGE_STATES.get(value, "no state of SMPP")
        case "replace_if_present_flag":
            return {0: "no", 1: "replace"}.get(value, "reserved")
        case "priority_flag":
            return {0: "lowest", 3: "highest"}.get(
                value, f"level {value}" if value < 3 else "reserved"
            )
        case _:
            return ""


def esm_class_meaning(value: int, *, to_esme: bool) -> str:
    """Mode (towards the SMSC only), type and the two bits of GSM (SMPP 3.4, 5.2.12)."""
    words = [] if to_esme else [_MODES[value & 0x03]]
    kind = value & 0x3C
    words.append(_TYPES.get(kind, f"type 0x{kind:02x} reserved") if kind else "message")
    if value & 0x40:
        words.append("with user data header")
    if value & 0x80:
        words.append("with reply path")
    return ", ".join(words)


def data_coding_meaning(value: int) -> str:
    """The alphabet and class (SMPP 3.4, 5.2.19; 3GPP TS 23.038, 4)."""
    if value & 0xF0 == 0x10 or value >= 0xF0:
        return f"{_ALPHABETS[alphabet_of(value)]}, {_CLASSES[value & 0x03]}"
    if 0xC0 <= value < 0xF0:
        return "message waiting indication"
    return _NOT_CLASSED.get(value, "reserved")


def registered_delivery_meaning(value: int) -> str:
    """What the sender wants to hear (SMPP 3.4, 5.2.17; SMPP 5.0, 4.7.21)."""
    words = [_RECEIPTS[value & 0x03]]
    if value & 0x04:
        words.append("delivery acknowledgement")
    if value & 0x08:
        words.append("user acknowledgement")
    if value & 0x10:
        words.append("intermediate notifications")
    return ", ".join(words)


def protocol_meaning(value: int) -> str:
    """TP-PID (3GPP TS 23.040, 9.2.3.9)."""
    if 0x41 <= value <= 0x47:
        return f"replace short message type {value & 0x07}"
    return {0x00: "short message", 0x40: "silent (type 0)", 0x7F: "SIM data download"}.get(
        value, ""
    )


def version_meaning(value: int) -> str:
    """The version of SMPP: 0x34 is 3.4."""
    return f"SMPP {value >> 4}.{value & 0x0F}"


def time_meaning(word: str) -> str:
    """An absolute or relative time in words (SMPP 3.4, 7.1.1)."""
    match_ = _TIME.fullmatch(word)
    if match_ is None:
        return "no time of SMPP"
    year, month, day, hour, minute, second, tenth, quarters, sign = match_.groups()
    if sign == "R":
        units = ("year", "month", "day", "hour", "minute", "second")
        counts = map(int, (year, month, day, hour, minute, second))
        spans = [
            f"{count} {unit}{'s' if count > 1 else ''}"
            for count, unit in zip(counts, units, strict=True)
            if count
        ]
        return f"in {', '.join(spans) or 'no time'}"
    offset = int(quarters) * 15
    zone = f"UTC{sign}{offset // 60:02d}:{offset % 60:02d}"
    return f"20{year}-{month}-{day} {hour}:{minute}:{second}.{tenth} {zone}"


def tlv_name(tag: int) -> str:
    """The name in the specification, else whose tag it is."""
    if tag in TlvTag.__members__.values():
        return TlvTag(tag).name
    return "vendor's own" if 0x1400 <= tag <= 0x3FFF else "unknown"


def tlv_meaning(tlv: Tlv) -> str:
    """What an optional parameter says; empty for octets without a meaning here."""
    tag, value = tlv
    if tag in _TLV_TEXTS:
        return tlv.as_text()
    if tag == TlvTag.network_error_code:
        return _network_error(NetworkError(value))
    if tag == TlvTag.message_payload:
        return f"{len(value)} octets"
    if tag not in INTEGER_LENGTHS or not 1 <= len(value) <= _LONGEST_NUMBER:
        return ""
    number = tlv.as_integer()
    if tag == TlvTag.congestion_state:
        return f"{number}: {next((w for top, w in _CONGESTION if number <= top), 'reserved')}"
    if tag == TlvTag.sc_interface_version:
        return version_meaning(number)
    if tag in _TLV_WORDS:
        return f"{number}: {_TLV_WORDS[tag].get(number, 'reserved')}"
    return str(number)


def _network_error(error: NetworkError) -> str:
    """Both readings, for some carriers send digits."""
    readings: list[str] = []
    if error.network_type is not None:
        network = _NETWORKS.get(error.network_type, f"network type {error.network_type}")
        readings.append(f"{network} error {error.code}")
    if error.digits:
        readings.append(f"digits {error.digits}")
    return ", or ".join(readings)
