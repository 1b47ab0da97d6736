"""Makes events in the name of one actor."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hermes.core.event import Event, EventKind, Source, event_id
from hermes.core.ids import split_attempt_id
from hermes.core.units import Reason


@dataclass(frozen=True, slots=True)
class Witness:
    """Makes events in the name of one actor at one carrier."""

    source: Source
    carrier: str

    def tell(  # noqa: PLR0913 - the fields of an event
        self,
        attempt: str,
        kind: EventKind,
        at: datetime,
        *,
        segment: int | None = None,
        segments: int = 1,
        detail: str = "",
        reason: Reason | None = None,
        carrier_message_id: str | None = None,
        retry_at: datetime | None = None,
    ) -> Event:
        """Make an event; the same fact told again has the same id."""
        message, step, n = split_attempt_id(attempt)
        return Event(
            id=event_id(attempt, kind, segment, detail),
            message=message,
            step=step,
            attempt_n=n,
            kind=kind,
            at=at,
            source=self.source,
            segment=segment,
            segments=segments,
            reason=reason,
            carrier=self.carrier,
            carrier_message_id=carrier_message_id,
            retry_at=retry_at,
        )
