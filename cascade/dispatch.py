"""Whether a step may go on the belt now, and what goes: decided from the ledger alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from msgspec import structs

from cascade.events import LADDER, SENT, DispatchResult
from cascade.token import StepToken, read_token
from hermes.core.attempt import Attempt
from hermes.core.cost import over_budget
from hermes.core.errors import Unreadable
from hermes.core.ids import attempt_id, encode_message_id
from hermes.core.job import Job, job_of
from hermes.core.message import Message
from hermes.core.plan import Step
from hermes.core.quiet import QuietHours, quiet_until, zones_of
from hermes.core.state import FINAL_MESSAGE, AttemptState
from hermes.core.units import Reason, Success
from hermes.ports.cascade_ledger import OpenCascade, Placement
from hermes.routing.table import RouteTable

NEVER = datetime.fromtimestamp(0, UTC)
ABSENT = Reason("absent", "the ledger has no such message")
HAS_OUTCOME = Reason("has_outcome", "the message has its outcome")
EXPIRED = Reason("expired", "the message expired")
ERASED = Reason("erased", "the text was erased before it was sent")
NO_ROUTE = Reason("no_route", "no carrier takes this recipient on this channel")
SUPPRESSED = Reason("suppressed", "the recipient is on the tenant's suppression list")


@dataclass(frozen=True, slots=True)
class Lanes:
    """Where jobs may go, and when: routes, carriers that tell of nothing after the submit, and
    the hours in which marketing rests.
    """

    routes: RouteTable
    receiptless: frozenset[str] = field(default_factory=frozenset)
    quiet: QuietHours | None = None

    def reports(self, carrier: str) -> Success:
        """Give the most a carrier ever tells."""
        return "sent" if carrier in self.receiptless else "read"


@dataclass(frozen=True, slots=True)
class Go:
    """Put this on the belt: the attempt to make (or found, with its own carrier and token)."""

    placement: Placement
    job: Job


def decide(cascade: OpenCascade | None, step: int, token: str, lanes: Lanes) -> Go | DispatchResult:
    """Decide about a step. Suppression is asked separately."""
    if cascade is None:
        return DispatchResult(answer="refused", at=NEVER, reason=ABSENT)
    if cascade.state in FINAL_MESSAGE:
        return refused(cascade, HAS_OUTCOME)
    attempts = cascade.of_step(step)
    if attempts and is_under_way(attempts[-1]):
        newest = attempts[-1]
        return DispatchResult(
            answer="accepted",
            at=attempts[0].queued_at or cascade.now,
            reports=lanes.reports(newest.carrier or ""),
        )
    if cascade.now >= cascade.expires_at:
        return refused(cascade, EXPIRED)
    message = cascade.message()
    if message is None or step >= len(message.plan.steps):
        return refused(cascade, ERASED)
    spec = message.plan.steps[step]
    if attempts:
        known = attempts[-1]
        carrier, segments, price = known.carrier, known.segments, known.price
        token = known.token or token
    else:
        route = lanes.routes.choose(spec.to or message.to, spec.route, spec.channel)
        carrier, price = route.carrier, route.price
        segments = message.segments if spec.channel == "sms" else 1
    if carrier is None:
        return refused(cascade, NO_ROUTE)
    if not attempts and (
        why := over_budget(message.plan.max_cost, cascade.attempts, price, segments)
    ):
        return refused(cascade, Reason("max_cost", why))
    if until := quiet_end(cascade, message, spec, lanes.quiet):
        wait_s = (until - cascade.now).total_seconds()
        reason = Reason("quiet_hours", f"the recipient's quiet hours end at {until:%H:%M} UTC")
        return DispatchResult(answer="later", at=cascade.now, retry_after_s=wait_s, reason=reason)
    token = within(token, lanes.reports(carrier))
    name = attempt_id(encode_message_id(cascade.id), step, 0)
    job = job_of(message, name, carrier, cascade.now, step)
    return Go(
        Placement(
            message=cascade.id,
            step=step,
            token=token,
            carrier=carrier,
            segments=segments,
            price=price,
        ),
        structs.replace(job, token=token, price=price, segments=segments),
    )


def quiet_end(
    cascade: OpenCascade, message: Message, step: Step, quiet: QuietHours | None
) -> datetime | None:
    """Give when a step may go if it must not go now."""
    if quiet is None or message.traffic != "marketing":
        return None
    zone = message.plan.timezone
    zones = (zone,) if zone else zones_of(step.to or message.to) or zones_of(message.to)
    return quiet_until(cascade.now, quiet, zones)


def is_under_way(attempt: Attempt) -> bool:
    """Say whether the belt had the job of an attempt, for all the ledger knows."""
    is_recorded = attempt.job_seq is not None or attempt.next_action != "republish"
    return is_recorded or attempt.n > 0 or attempt.state > AttemptState.QUEUED


def refused(cascade: OpenCascade, reason: Reason) -> DispatchResult:
    """Give the answer of a step that will never be published."""
    return DispatchResult(answer="refused", at=cascade.now, reason=reason)


def within(token: str, reports: Success) -> str:
    """Give a token that does not wait for what its carrier never tells."""
    try:
        read = read_token(token)
    except Unreadable:  # another engine's, or a newer one's: it knows
        return token
    limit = LADDER.index(reports)
    if isinstance(read, StepToken) and limit < LADDER.index(read.success):
        return str(replace(read, success=LADDER[max(limit, SENT)]))
    return token
