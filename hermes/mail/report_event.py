"""What a report that came back makes of its attempt, as the event the ledger keeps."""

from __future__ import annotations

from datetime import datetime

from hermes.core.event import Event, EventKind
from hermes.core.witness import Witness
from hermes.mail.dsn import Report


def event_of(report: Report, witness: Witness, at: datetime) -> Event | None:
    """Give the event of a report, None for one that is not signed or tells of no delivery.

    Its id hangs on the attempt, the kind and the reason's code alone: a report that comes again,
    in whatever words, is the same fact.
    """
    kind = kind_of(report)
    if kind is None or report.attempt is None or not report.is_signed:
        return None
    code = report.reason.code if report.reason else ""
    reason = None if kind == "delivered" else report.reason
    return witness.tell(report.attempt, kind, at, detail=code, reason=reason)


def kind_of(report: Report) -> EventKind | None:
    """Give the kind of event a report makes, signed or not."""
    return "complaint" if report.state == "complaint" else report.event
