"""Messages, jobs, events and claims read back from the wire, and readers are tolerant one way."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hermes.core.claim import Claim, decode_claim, encode_claim
from hermes.core.dead_letter import DeadLetter, decode_letter, encode_letter
from hermes.core.errors import Unreadable
from hermes.core.event import (
    Event,
    Source,
    decode_envelope,
    encode_envelope,
    event_id,
    split_envelope,
)
from hermes.core.ids import encode_message_id
from hermes.core.job import Job, decode_job, encode_job, job_of, stream_of, subject_of
from hermes.core.message import Message, decode_message, encode_message
from hermes.core.plan import ONE_SMS, Plan, Step
from hermes.core.units import Money, Reason

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
ID = UUID(int=7)
MESSAGE = Message(
    id=ID,
    tenant="acme",
    to="+491700000001",
    text="hello",
    plan=ONE_SMS,
    accepted_at=NOW,
    expires_at=NOW + timedelta(days=1),
    traffic="otp",
    segments=2,
)
JOB = Job(
    attempt=f"{encode_message_id(ID)}.0.0",
    tenant="acme",
    carrier="sim",
    to="+491700000001",
    expires_at=NOW,
    queued_at=NOW,
    price=Money("0.05", "EUR"),
    only_segments=(1,),
)
EVENT = Event(
    id=ID,
    message="msg_x",
    step=0,
    attempt_n=1,
    kind="sent",
    at=NOW,
    source=Source(host="h1", actor="sim-1", boot="b"),
    segment=0,
    reason=Reason("ok"),
    carrier="sim",
    carrier_message_id="7f",
)
LETTER = DeadLetter(
    stream="JOBS_sim", subject="jobs.sms.sim.otp.1", reason="why", at=NOW, seq=7, envelope=b"{}"
)
CLAIM = Claim("h1/sim-1/b1", ("accepted:7f", "new"))

WIRES: list[tuple[Any, Callable[[Any], bytes], Callable[[bytes], Any]]] = [
    (MESSAGE, encode_message, decode_message),
    (JOB, encode_job, decode_job),
    ((EVENT, replace(EVENT, kind="delivered")), encode_envelope, decode_envelope),
    (CLAIM, encode_claim, decode_claim),
    (LETTER, encode_letter, decode_letter),
]
IDS = ["message", "job", "envelope", "claim", "letter"]


@pytest.mark.parametrize(("value", "encode", "decode"), WIRES, ids=IDS)
def test_what_is_written_reads_back(
    value: Any, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any]
) -> None:
    assert decode(encode(value)) == value


@pytest.mark.parametrize(("value", "encode", "decode"), WIRES, ids=IDS)
def test_fields_of_tomorrow_are_ignored_and_versions_of_tomorrow_are_not(
    value: Any, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any]
) -> None:
    fields = json.loads(encode(value))
    assert decode(json.dumps({**fields, "of_tomorrow": [1]}).encode()) == value
    decode(json.dumps({**fields, "v": 0}).encode())
    with pytest.raises(Unreadable, match="version 2"):
        decode(json.dumps({**fields, "v": 2}).encode())
    assert fields["v"] == 1, "left out, it would be read as the version of whoever reads"


@pytest.mark.parametrize(("value", "encode", "decode"), WIRES, ids=IDS)
def test_what_is_cut_off_or_of_another_type_is_unreadable(
    value: Any, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any]
) -> None:
    whole = encode(value)
    for end in range(len(whole)):
        with pytest.raises(Unreadable):
            decode(whole[:end])
    fields = json.loads(whole)
    for key, field in fields.items():
        other: Any = 7.5 if isinstance(field, str | list | dict) else "x"
        with pytest.raises(Unreadable):
            decode(json.dumps({**fields, key: other}).encode())
    for nothing in (b"null", b"[]", b'"x"', b"7", b"{}", b"\xff\xfe", b"{" * 9):
        with pytest.raises(Unreadable):
            decode(nothing)
    deep = json.dumps({**fields, "of_tomorrow": None})[:-5].encode() + b"[" * 9999 + b"]" * 9999
    with pytest.raises(Unreadable, match="recursion"):
        decode(deep + b"}")


WRONG: list[tuple[Any, Callable[[Any], bytes], Callable[[bytes], Any], str, Any]] = [
    # no attempt id: nothing could be told about it
    (JOB, encode_job, decode_job, "attempt", "msg_x.0.0"),
    (JOB, encode_job, decode_job, "attempt", f"{encode_message_id(ID)}.0.{'9' * 5000}"),
    # a time without a zone is no point in time, one too late cannot be added to
    (JOB, encode_job, decode_job, "expires_at", "2026-01-01T00:00:00"),
    (JOB, encode_job, decode_job, "expires_at", "9999-12-31T23:59:59Z"),
    (JOB, encode_job, decode_job, "segments", 0),
    (MESSAGE, encode_message, decode_message, "accepted_at", "2026-01-01T00:00:00"),
    (MESSAGE, encode_message, decode_message, "segments", 10**9),
    (MESSAGE, encode_message, decode_message, "plan", {"steps": []}),
    (MESSAGE, encode_message, decode_message, "id", "7"),
]


@pytest.mark.parametrize(("value", "encode", "decode", "key", "wrong"), WRONG)
def test_a_field_out_of_its_range_is_unreadable(
    value: Any, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any], key: str, wrong: Any
) -> None:
    fields = json.loads(encode(value))
    with pytest.raises(Unreadable):
        decode(json.dumps({**fields, key: wrong}).encode())


@pytest.mark.parametrize("secret", ["+4512345678", 'it\'s "a" - at `$.x` text', ""])
def test_a_reason_never_quotes_what_was_written(secret: str) -> None:
    for key in ("traffic", "success"):
        fields = {**json.loads(encode_job(JOB)), key: secret}
        with pytest.raises(Unreadable) as caught:
            decode_job(json.dumps(fields).encode())
        assert str(caught.value) == f"job cannot be read: no known value at `$.{key}`"


def test_an_envelope_gives_its_good_events_and_each_bad_one_by_itself() -> None:
    events = [json.loads(part) for part in map(encode_event, (EVENT, replace(EVENT, segment=1)))]
    newer, unknown = {**events[0], "v": 2}, {**events[0], "kind": "teleported"}
    data = json.dumps({"events": [events[0], newer, unknown, 7, events[1]], "v": 1}).encode()
    good, bad = split_envelope(data)
    assert good == (EVENT, replace(EVENT, segment=1))
    assert [part.place for part in bad] == [1, 2, 3]
    assert [json.loads(part.envelope) for part in bad] == [
        {"events": [one], "v": 1} for one in (newer, unknown, 7)
    ]
    for part in bad:
        with pytest.raises(Unreadable) as caught:
            decode_envelope(part.envelope)
        assert part.error.why in str(caught.value) or "$.events[0]" in str(caught.value)
    assert split_envelope(encode_envelope((EVENT,))) == ((EVENT,), [])


def test_what_is_no_envelope_or_a_newer_or_an_endless_one_is_unreadable_as_a_whole() -> None:
    fields = json.loads(encode_envelope((EVENT,)))
    for data in (
        b"?",
        json.dumps({**fields, "v": 2}).encode(),
        json.dumps({**fields, "events": [7] * 101}).encode(),
    ):
        with pytest.raises(Unreadable, match="event envelope"):
            split_envelope(data)


def encode_event(event: Event) -> bytes:
    return msgspec.json.encode(event)


@pytest.mark.parametrize(("value", "encode", "decode"), WIRES, ids=IDS)
@given(data=st.binary(max_size=200))
def test_any_octets_decode_or_are_unreadable(
    value: Any, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any], data: bytes
) -> None:
    del value, encode
    with suppress(Unreadable):
        decode(data)


@pytest.mark.parametrize(("value", "encode", "decode"), WIRES, ids=IDS)
@given(cut=st.floats(0, 0.99), octet=st.integers(0, 255))
def test_a_damaged_value_decodes_or_is_unreadable(
    value: Any,
    encode: Callable[[Any], bytes],
    decode: Callable[[bytes], Any],
    cut: float,
    octet: int,
) -> None:
    whole = encode(value)
    place = int(cut * len(whole))
    for damaged in (whole[:place], whole[:place] + bytes([octet]) + whole[place + 1 :]):
        with suppress(Unreadable):
            decode(damaged)


def test_a_job_carries_what_its_step_says() -> None:
    plan = Plan((Step("email", to="a@example.net", success="sent"),))
    job = job_of(replace(MESSAGE, plan=plan), "msg_x.0.0", "relay", NOW)
    assert (job.channel, job.to, job.success) == ("email", "a@example.net", "sent")
    assert (job.traffic, job.text, job.segments) == ("otp", "hello", 2)


def test_a_job_goes_to_its_carriers_stream_by_priority_and_lane() -> None:
    assert subject_of(replace(JOB, traffic="otp")) == "jobs.sms.sim.otp.7"
    assert stream_of("sim") == "JOBS_sim"


def test_the_same_fact_has_the_same_id_and_another_has_not() -> None:
    facts = [
        ("msg_x.0.0", "sent", 0, ""),
        ("msg_x.0.0", "sent", 1, ""),
        ("msg_x.0.0", "sent", None, ""),
        ("msg_x.0.0", "delivered", 0, ""),
        ("msg_x.0.1", "sent", 0, ""),
        ("msg_x.0.0", "sent", 0, "again"),
    ]
    ids = [event_id(*fact) for fact in facts]
    assert ids == [event_id(*fact) for fact in facts]
    assert len(set(ids)) == len(facts)


def test_an_event_has_no_room_for_text_or_addresses() -> None:
    assert not {"text", "to", "sender", "recipient"} & set(Event.__struct_fields__)
