"""What an answered mail becomes: sent, deferred, failed, or back to the head of the queue."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, assert_never

from hermes.core.units import Reason
from hermes.mail.reply import Reply
from hermes.mail.verdict import ReplyClass, Verdict, reason_of

FateKind: TypeAlias = Literal["sent", "deferred", "failed", "again"]

MAX_QUEUE_ID: Final = 64
_QUEUE_IDS: Final = (
    re.compile(r"(?i)\bqueued as ([!-~]+)"),
    re.compile(r"(?i)\bid[=:] ?([!-~]+)"),
    re.compile(r"(?i)^ok:? ([!-~]+)"),
)


@dataclass(frozen=True, slots=True)
class Fate:
    """`kind` is the event, or "again": no attempt, the relay is to be left alone for `delay`.

    `delay` is seconds: to the next try of a deferred one, or of the pause. `queue_id` is the
    relay's own name for what it took, for people who look into its log.
    """

    kind: FateKind
    reason: Reason
    delay: float = 0.0
    queue_id: str | None = None


def fate_of(reply: Reply, verdict: Verdict, n: int) -> Fate:
    """Give what becomes of attempt number `n` (from 0) of a step after this reply."""
    rule, reason = verdict.rule, reason_of(reply, verdict.label)
    match rule.reply_class:
        case ReplyClass.ACCEPTED:
            return Fate("sent", reason, queue_id=queue_id_of(reply))
        case ReplyClass.THROTTLE:
            return Fate("again", reason, rule.delay)
        case ReplyClass.CONFIG:  # nothing is wrong with the mail: it waits for the operator
            return Fate("deferred", reason, rule.delay)
        case ReplyClass.RETRY:
            if n < rule.retries:
                return Fate("deferred", reason, rule.delay)
            return Fate("failed", reason)
        case ReplyClass.PERMANENT:
            return Fate("failed", reason)
        case _:
            assert_never(rule.reply_class)


def queue_id_of(reply: Reply) -> str | None:
    """Give the relay's name for a mail it took, where its reply tells one."""
    for pattern in _QUEUE_IDS:
        found = pattern.search(reply.text)
        if found is not None and any(map(str.isdecimal, found[1])):
            return found[1].strip("<>.,;)]")[:MAX_QUEUE_ID]
    return None
