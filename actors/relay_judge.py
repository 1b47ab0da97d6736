"""What a relay's replies make of its mails, and of the relay itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from hermes.core.claim import ACCEPTED, DEFERRED, REFUSED, UNCERTAIN
from hermes.core.event import EventKind
from hermes.core.ids import split_attempt_id
from hermes.core.units import Reason
from hermes.mail.job_mail import Composer
from hermes.mail.outcome import Fate, fate_of
from hermes.mail.patience import Patience, delay_after
from hermes.mail.reply import Reply
from hermes.mail.verdict import Classifier, ReplyClass, ReplyRule, reason_of


@dataclass(frozen=True, slots=True)
class Ending:
    """An attempt is over: the word of its claim, and the event with what belongs to it.

    `name` is the relay's for a mail that was sent, `delay` the seconds to the next attempt.
    """

    word: str
    kind: EventKind
    reason: Reason | None = None
    name: str | None = None
    delay: float | None = None

    @property
    def note(self) -> str:
        """The reason as the claim keeps it."""
        return "" if self.reason is None else f"{self.reason.code} {self.reason.text}"


@dataclass(frozen=True, slots=True)
class Again:
    """No attempt was made: the mail goes back to the head; the relay rests `pause` seconds."""

    pause: float


Judged: TypeAlias = tuple[Again | None, Ending | None]
"""A mail may be given up by a relay that has to rest all the same."""


class Judge:
    """Judges the replies of one relay in their order.

    `on_wrong(reason)` is told when so many in a row show that the account is wrong.
    """

    def __init__(self, classifier: Classifier, composer: Composer) -> None:
        self.classifier, self.composer = classifier, composer
        self.patience = Patience()
        self.on_wrong: Callable[[str], None] = lambda _reason: None
        self.accepted_count = 0
        self.wrong = 0
        self.last_refusal = ""

    def judge(self, attempt: str, reply: Reply) -> Judged:
        """Give what a reply makes of an attempt; one of the two at least."""
        verdict = self.classifier.judge(reply)
        _, _, n = split_attempt_id(attempt)
        fate = fate_of(reply, verdict, n)
        self.judge_account(verdict.rule, reason_of(reply))
        match fate.kind:
            case "sent":
                self.accepted_count += 1
                name = fate.queue_id or self.composer.message_id(attempt)
                return None, Ending(ACCEPTED + name, "sent", name=name)
            case "deferred":
                return None, Ending(DEFERRED, "deferred", fate.reason, delay=fate.delay)
            case "failed":
                return None, Ending(REFUSED, "failed", fate.reason)
            case "again":
                return Again(fate.delay), self.given_up(attempt, n, fate)

    def given_up(self, attempt: str, n: int, fate: Fate) -> Ending | None:
        """Defer a mail that alone is sent back again and again; None: it goes to the head."""
        self.last_refusal = fate.reason.text
        if not self.patience.is_over(attempt, self.accepted_count):
            return None
        return Ending(DEFERRED, "deferred", fate.reason, delay=delay_after(n, fate.delay))

    def judge_account(self, rule: ReplyRule, reason: Reason) -> None:
        """Count the replies in a row that show a wrong account."""
        if rule.reply_class is not ReplyClass.CONFIG:
            self.wrong = 0
            return
        self.wrong += 1
        self.last_refusal = reason.text
        if self.wrong >= rule.stop_after:
            self.wrong = 0
            self.on_wrong(f"the relay answers {reason.code} to mails: {reason.text}")


def lost(error: BaseException) -> Ending:
    """Give the end of a mail that was written and never answered."""
    return Ending(UNCERTAIN, "uncertain", Reason("link_lost", str(error)))


def not_composed(error: Exception) -> Ending:
    """Give the end of a job that cannot become a mail."""
    return Ending(REFUSED, "failed", Reason("cannot_compose", str(error)))
