"""A job: one attempt on its way to one carrier, as JOBS_<carrier> carries it."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec.structs import replace

from hermes.core.errors import Unreadable
from hermes.core.ids import BadId, lane_of, split_attempt_id
from hermes.core.message import Message
from hermes.core.plan import Content, Step
from hermes.core.units import Channel, Moment, Money, SegmentCount, Success, TrafficClass
from hermes.core.wire import check_version, read

JOB_VERSION = 1
READABLE = (0, 1)
LAST_YEAR = 9000  # a day or two are added to expiries


class Job(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Everything a carrier's consumer needs to submit one attempt.

    `text` None means: look it up by message. `content` is there for mail: subject, html, where to
    leave. `attempt` is claim key and Nats-Msg-Id. `token` is the cascade's awakeable, never logged.
    """

    attempt: str
    tenant: str
    carrier: str
    to: str
    expires_at: Moment
    queued_at: Moment
    channel: Channel = "sms"
    traffic: TrafficClass = "transactional"
    success: Success = "delivered"
    sender: str | None = None
    text: str | None = None
    content: Content | None = None
    segments: SegmentCount = 1
    price: Money | None = None
    possible_duplicate: bool = False
    republished: bool = False
    only_segments: tuple[int, ...] = ()
    token: str | None = None
    traceparent: str | None = None
    # a factory, because a default would be left out on the wire
    v: int = msgspec.field(default_factory=lambda: JOB_VERSION)


ENCODER = msgspec.json.Encoder()
DECODER = msgspec.json.Decoder(Job)


def job_of(
    message: Message, attempt: str, carrier: str, queued_at: datetime, step_number: int = 0
) -> Job:
    """Make the job of a step's first attempt."""
    step = message.plan.steps[step_number]
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
        text=text_of(message, step),
        content=mail_content(step),
        segments=message.segments,
        traceparent=message.traceparent,
    )


def text_of(message: Message, step: Step) -> str:
    """Give what a step says."""
    own = step.content.text if step.content else None
    return message.text if own is None else own


def mail_content(step: Step) -> Content | None:
    """Give what belongs to a mail besides its text, which a job carries by itself."""
    if step.content is None or step.channel != "email":
        return None
    return replace(step.content, text=None)


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
    job = read(DECODER, "job", data)
    check_version("job", job.v, READABLE)
    try:
        split_attempt_id(job.attempt)
    except (BadId, ValueError) as error:
        raise Unreadable("job", "`attempt` is no attempt id") from error
    if job.expires_at.year > LAST_YEAR:
        raise Unreadable("job", f"it expires in the year {job.expires_at.year}")
    return job
