"""Messages, jobs, events and claims read back from the wire, and readers are tolerant one way."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hermes.core.claim import Claim, decode_claim, encode_claim
from hermes.core.errors import Unreadable
from hermes.core.event import Event, Source, decode_envelope, encode_envelope, event_id
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
    attempt="msg_x.0.0",
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
CLAIM = Claim("h1/sim-1/b1", ("accepted:7f", "new"), udh_ref=9)

WIRES: list[tuple[Any, Callable[[Any], bytes], Callable[[bytes], Any]]] = [
    (MESSAGE, encode_message, decode_message),
    (JOB, encode_job, decode_job),
    ((EVENT, replace(EVENT, kind="delivered")), encode_envelope, decode_envelope),
    (CLAIM, encode_claim, decode_claim),
]
IDS = ["message", "job", "envelope", "claim"]


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
