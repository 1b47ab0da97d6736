"""Every setting of the simulator: its type, its bounds, its default and one sentence about it."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from hermes.simulator.fault import Octets
from hermes.simulator.message_id import IdForm
from hermes.simulator.outcome import parse_mix
from hermes.simulator.outcome_rule import parse_dead, parse_senders
from hermes.simulator.receipt_text import (
    USUAL_DATE,
    USUAL_TEXT,
    parse_date_format,
    parse_template,
    parse_zone,
)
from hermes.simulator.refusal import Refusal, checked
from hermes.simulator.throughput import CapKind
from hermes.smpp.data_coding import Alphabet


class ReceiptMode(StrEnum):
    """Which accepted messages get a receipt."""

    requested = "requested"
    all = "all"
    none = "none"


class ReceiptForm(StrEnum):
    """What of a receipt is in the deliver_sm."""

    text = "text"
    tlv = "tlv"
    both = "both"


class ReceiptCommand(StrEnum):
    """Which PDU brings a receipt; a data_sm has its text in message_payload."""

    deliver_sm = "deliver_sm"
    data_sm = "data_sm"


class ReceiptBody(StrEnum):
    """Where the text of a receipt is."""

    short_message = "short_message"
    message_payload = "message_payload"


class IntermediateForm(StrEnum):
    """What a receipt that is not final calls itself: esm_class 0x20 or 0x04."""

    notification = "notification"
    receipt = "receipt"


class NetworkError(StrEnum):
    """How network_error_code is written: 3 octets, 3 digits, or not at all."""

    octets = "octets"
    digits = "digits"
    none = "none"


class ReceiptParts(StrEnum):
    """Which parts of a long message get a receipt."""

    all = "all"
    first = "first"
    last = "last"


class ReceiptRoute(StrEnum):
    """To which session of the account a receipt goes."""

    same = "same"
    rotate = "rotate"


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may bind."""

    system_id: Annotated[str, Meta(min_length=1, max_length=15)]
    password: Annotated[str, Meta(max_length=32)] = ""


def _help(sentence: str) -> Meta:
    return Meta(description=sentence)


_Port = Annotated[int, Meta(ge=0, le=65535)]
_Duration = Annotated[float, Meta(ge=0, le=86_400_000)]
_Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one simulated SMSC behaves. Durations end in their unit; 0 in a limit means no limit."""

    host: Annotated[str, _help("address to listen on for SMPP")] = "127.0.0.1"
    port: Annotated[_Port, _help("port for SMPP, 0 picks a free one")] = 2775
    control_port: Annotated[
        int, Meta(ge=-1, le=65535), _help("loopback port of the control API, 0 a free one, -1 off")
    ] = 0
    system_id: Annotated[str, Meta(max_length=15), _help("name of the SMSC in bind responses")] = (
        "sim"
    )
    tls_cert: Annotated[str, _help("file with the certificate for TLS; none: no TLS")] = ""
    tls_key: Annotated[str, _help("file with its key; none: in the same file")] = ""
    tls_client_ca: Annotated[str, _help("file with who signs clients; none: any client")] = ""
    accounts: Annotated[tuple[Account, ...], _help("who may bind; none listed: anybody")] = ()
    max_sessions: Annotated[_Count, _help("sessions per account, more get 0x05")] = 0
    init_timeout_ms: Annotated[_Duration, _help("a connection without a bind is closed")] = 10_000
    enquire_ms: Annotated[_Duration, _help("asks sessions so often whether they live")] = 0
    latency_ms: Annotated[_Duration, _help("time to answer a submit_sm")] = 0
    latency_jitter_ms: Annotated[_Duration, _help("at most so much more, at random")] = 0
    tps: Annotated[
        float, Meta(ge=0, le=1_000_000), _help("accepted submits per second and account")
    ] = 0
    tps_kind: Annotated[CapKind, _help("how the cap is counted")] = CapKind.bucket
    burst_s: Annotated[
        float, Meta(gt=0, le=3600), _help("seconds of the rate that may come at once")
    ] = 1.0
    window: Annotated[_Count, _help("unanswered submits per session, more get 0x58")] = 0
    queue_size: Annotated[_Count, _help("messages of an account under way, more get 0x14")] = 0
    receipts: Annotated[ReceiptMode, _help("who gets a receipt")] = ReceiptMode.requested
    intermediate: Annotated[ReceiptMode, _help("who gets an intermediate notification")] = (
        ReceiptMode.requested
    )
    intermediate_form: Annotated[IntermediateForm, _help("its esm_class: 0x20 or 0x04")] = (
        IntermediateForm.notification
    )
    enroute_ms: Annotated[_Duration, _help("from the response to it, 0 is half way")] = 0
    receipt_parts: Annotated[ReceiptParts, _help("which parts of a long message get receipts")] = (
        ReceiptParts.all
    )
    receipt_command: Annotated[ReceiptCommand, _help("the PDU of a receipt")] = (
        ReceiptCommand.deliver_sm
    )
    receipt_body: Annotated[ReceiptBody, _help("where the text of a receipt is")] = (
        ReceiptBody.short_message
    )
    receipt_template: Annotated[str, Meta(max_length=1000), _help("the text of a receipt")] = (
        USUAL_TEXT
    )
    receipt_date_format: Annotated[str, Meta(max_length=100), _help("dates in it, as strftime")] = (
        USUAL_DATE
    )
    time_zone: Annotated[str, _help("time zone of the dates in receipts")] = "UTC"
    receipt_tail: Annotated[
        Octets, Meta(max_length=1000), _help("octets at the end of a receipt, in hex")
    ] = ""
    network_error: Annotated[NetworkError, _help("the network_error_code of a failure")] = (
        NetworkError.octets
    )
    receipt_form: Annotated[ReceiptForm, _help("text, TLVs or both")] = ReceiptForm.both
    receipt_route: Annotated[ReceiptRoute, _help("the submitting session, or in turn")] = (
        ReceiptRoute.same
    )
    receipt_delay_ms: Annotated[_Duration, _help("from the response to the final state")] = 200
    receipt_jitter_ms: Annotated[_Duration, _help("at most so much more, at random")] = 0
    deliver_window: Annotated[_Count, _help("unanswered deliver_sm per session")] = 100
    deliver_timeout_ms: Annotated[_Duration, _help("unanswered so long is like 0x64")] = 60_000
    retry_ms: Annotated[_Duration, _help("wait after the answer 0x64 or 0x14")] = 1000
    retry_attempts: Annotated[_Count, _help("tries of one deliver_sm")] = 3600
    response_id_form: Annotated[IdForm, _help("message id in submit_sm_resp")] = IdForm.decimal
    receipt_id_form: Annotated[IdForm, _help("message id in receipts")] = IdForm.decimal
    first_id: Annotated[
        int, Meta(ge=0, lt=1 << 62), _help("number of the first message, 0 takes it from the clock")
    ] = 0
    default_alphabet: Annotated[Alphabet, _help("what data_coding 0 means")] = Alphabet.GSM7
    mix: Annotated[
        str, _help("final states in percent instead of by digit: DELIVRD=90,UNDELIV=10")
    ] = ""
    outcome_by_sender: Annotated[
        str, _help("rules by source address, before mix and digit: ^BANK=UNDELIV ^447=EXPIRED")
    ] = ""
    dead_numbers: Annotated[str, _help("destinations that match this are UNDELIV")] = ""
    seed: Annotated[int, _help("seed of the mix, of jitter and of faults in percent")] = 1
    frames: Annotated[bool, _help("log every frame, in hexadecimal")] = False
    log: Annotated[str, _help("file for one JSON line per event")] = ""
    log_memory: Annotated[_Count, _help("lines kept for GET /log")] = 20_000


LIVE: Final = frozenset(Profile.__struct_fields__) - {
    "host",
    "port",
    "control_port",
    "system_id",
    "tls_cert",
    "tls_key",
    "tls_client_ca",
    "accounts",
    "init_timeout_ms",
    "first_id",
    "seed",
    "log",
    "log_memory",
}
"""The settings that can change while the simulator runs."""


def new_profile(values: dict[str, object]) -> Profile:
    """A profile from option values (numbers may be text). Raises Refusal."""
    return _whole(checked(values, Profile, strict=False))


def changed(profile: Profile, changes: dict[str, object]) -> Profile:
    """The profile with some live settings changed. Raises Refusal; then nothing is changed."""
    for name in changes:
        if name in Profile.__struct_fields__ and name not in LIVE:
            raise Refusal(name, "is fixed at the start")
    present = msgspec.to_builtins(profile)
    return _whole(checked({**present, **changes}, Profile))


def shown(profile: Profile) -> dict[str, object]:
    """The settings for people: everything but the passwords."""
    values: dict[str, object] = msgspec.to_builtins(profile)
    values["accounts"] = [account.system_id for account in profile.accounts]
    return values


_READERS: Final[dict[str, Callable[[str], object]]] = {
    "mix": parse_mix,
    "outcome_by_sender": parse_senders,
    "dead_numbers": parse_dead,
    "receipt_template": parse_template,
    "receipt_date_format": parse_date_format,
    "time_zone": parse_zone,
}
"""The settings that are a language of their own; a reader raises ValueError."""


def _whole(profile: Profile) -> Profile:
    for name, read in _READERS.items():
        try:
            read(getattr(profile, name))
        except ValueError as error:
            raise Refusal(name, str(error)) from error
    for name in ("tls_key", "tls_client_ca"):
        if getattr(profile, name) and not profile.tls_cert:
            raise Refusal(name, "is of no use without tls_cert")
    return profile
