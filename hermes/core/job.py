"""A job: one attempt on its way to one carrier, as JOBS_<carrier> carries it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from hermes.core.errors import Unreadable
from hermes.core.ids import lane_of
from hermes.core.message import Message
from hermes.core.units import Channel, Money, Success, TrafficClass

JOB_VERSION = 1
READABLE = (0, 1)


class Job(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Everything a bind needs to submit one attempt; `text` None means: look it up by message.

    `attempt` is claim key and Nats-Msg-Id. `token` is the cascade's awakeable, never logged.
    """

    attempt: str
    tenant: str
    carrier: str
    to: str
    expires_at: datetime
    queued_at: datetime
    channel: Channel = "sms"
    traffic: TrafficClass = "transactional"
    success: Success = "delivered"
    sender: str | None = None
    text: str | None = None
    segments: int = 1
    price: Money | None = None
    possible_duplicate: bool = False
    republished: bool = False
    only_segments: tuple[int, ...] = ()
    token: str | None = None
    traceparent: str | None = None
    v: int = JOB_VERSION


ENCODER = msgspec.json.Encoder()
DECODER = msgspec.json.Decoder(Job)


def job_of(message: Message, attempt: str, carrier: str, queued_at: datetime) -> Job:
    """Make the job of a one-step message."""
    step = message.plan.steps[0]
    return Job(
        attempt=attempt,
        tenant=message.tenant,
        carrier=carrier,
        to=step.to or message.to,
        expires_at=message.expires_at,
        queued_at=queued_at,
        channel=step.channel,
        traffic=message.traffic,
        success=step.success,
        sender=message.sender,
        text=message.text,
        segments=message.segments,
        traceparent=message.traceparent,
    )


def subject_of(job: Job) -> str:
    """Give the subject a job is published on: jobs.<channel>.<carrier>.<priority>.<lane>."""
    return f"jobs.{job.channel}.{job.carrier}.{job.traffic}.{lane_of(job.tenant)}"


def stream_of(carrier: str) -> str:
    """Give the name of a carrier's stream."""
    return f"JOBS_{carrier}"


def encode_job(job: Job) -> bytes:
    """Encode a job for the belt."""
    return ENCODER.encode(job)


def decode_job(data: bytes) -> Job:
    """Decode a job. Raises Unreadable."""
    try:
        job = DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable("job", str(error)) from error
    if job.v not in READABLE:
        raise Unreadable("job", f"version {job.v}, this reader knows {READABLE}")
    return job
