"""Units and small value types shared by messages, jobs and events."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

TrafficClass = Literal["otp", "transactional", "marketing"]
Priority = TrafficClass
PRIORITIES: tuple[TrafficClass, ...] = ("otp", "transactional", "marketing")
Channel = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
Success = Literal["accepted", "sent", "delivered", "read"]
Moment = Annotated[datetime, Meta(tz=True)]
SegmentCount = Annotated[int, Meta(ge=1, le=255)]


class Money(msgspec.Struct, frozen=True, omit_defaults=True):
    """An amount per segment: decimal string and ISO 4217 currency, never a float."""

    amount: str
    currency: str


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why something happened: a stable code for programs, a sentence for people."""

    code: str
    text: str = ""
