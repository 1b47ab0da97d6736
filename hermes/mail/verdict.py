"""What a reply asks for: rules of its text first, then tables of its codes (RFC 3463, 5321)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from hermes.core.errors import ConfigError
from hermes.core.units import Reason
from hermes.mail.bounce_rule import (
    ACTIONS,
    UNCATEGORIZED,
    BounceAction,
    BounceClass,
    Rules,
)
from hermes.mail.reply import EnhancedCode, Reply, public_text


class ReplyClass(Enum):
    """What a reply means for the mail; the words of a carrier's `status_map` are four of them."""

    ACCEPTED = "accepted"
    RETRY = "retry"  # the ledger clock tries again later
    PERMANENT = "permanent"  # final for this mail on this relay
    THROTTLE = "throttle"  # no attempt: slow down, back to the head of the queue
    CONFIG = "config"  # the account or its configuration is wrong: stop the relay


@dataclass(frozen=True, slots=True)
class ReplyRule:
    """The policy for one kind of reply.

    `retries` further tries are allowed, the first after `delay` seconds; for THROTTLE `delay` is
    the pause. `stop_after` such replies in a row end the relay's life (CONFIG).
    """

    reply_class: ReplyClass
    retries: int = 0
    delay: float = 0.0
    stop_after: int = 0


ACCEPTED: Final = ReplyRule(ReplyClass.ACCEPTED)
PERMANENT: Final = ReplyRule(ReplyClass.PERMANENT)
RETRY: Final = ReplyRule(ReplyClass.RETRY, retries=5, delay=60.0)
THROTTLE: Final = ReplyRule(ReplyClass.THROTTLE, delay=5.0)
CONFIG: Final = ReplyRule(ReplyClass.CONFIG, delay=60.0, stop_after=3)
CREDENTIALS: Final = replace(CONFIG, stop_after=1)

_CLASS_RULES: Final = {
    "retry": RETRY,
    "permanent": PERMANENT,
    "throttle": THROTTLE,
    "config": CONFIG,
}

LABEL_RULES: Final[Mapping[str, tuple[ReplyRule, ReplyRule]]] = {
    "Greylisted": (ReplyRule(ReplyClass.RETRY, retries=4, delay=300.0), PERMANENT),
    "QuotaIssues": (ReplyRule(ReplyClass.RETRY, retries=3, delay=1800.0), PERMANENT),
    "RateLimited": (THROTTLE, replace(THROTTLE, delay=60.0)),
    "SpamBlock": (ReplyRule(ReplyClass.RETRY, retries=3, delay=900.0), PERMANENT),
    "RelayDenied": (RETRY, CONFIG),
    "CredentialsRefused": (RETRY, CREDENTIALS),
}
"""Label -> the policy of its 4yz and of its 5yz replies; other labels follow their code."""

CODE_RULES: Final[Mapping[int, ReplyRule]] = {
    421: THROTTLE,  # the server closes the connection
    454: replace(RETRY, delay=30.0),  # STARTTLS and AUTH: not now (RFC 3207, RFC 4954)
    530: CREDENTIALS,  # authentication or TLS is required (RFC 4954, RFC 3207)
    534: CREDENTIALS,  # the mechanism is too weak
    535: CREDENTIALS,  # the credentials are wrong
    538: CREDENTIALS,  # TLS is required for the mechanism
}

_ANY: Final = -1
ENHANCED_LABELS: Final[Mapping[tuple[int, int], str]] = {
    (1, 1): "InvalidRecipient",
    (1, 2): "BadDomain",
    (1, 3): "InvalidRecipient",
    (1, 4): "InvalidRecipient",
    (1, 6): "InactiveMailbox",  # moved, no forwarding address
    (1, 7): "InvalidSender",
    (1, 8): "InvalidSender",
    (1, 10): "BadDomain",  # null MX (RFC 7505)
    (2, 1): "InactiveMailbox",
    (2, 2): "QuotaIssues",
    (2, 3): "MessageTooLarge",
    (2, 4): "InvalidRecipient",  # mailing list expansion
    (3, 1): "TransientFailure",  # system full
    (3, 4): "MessageTooLarge",
    (4, 1): "NoAnswerFromHost",
    (4, 2): "BadConnection",
    (4, 3): "DNSFailure",
    (4, 4): "RoutingErrors",
    (4, 5): "TransientFailure",
    (4, 6): "RoutingErrors",
    (4, 7): "MessageExpired",
    (5, 3): "TooManyRecipients",
    (5, _ANY): "ProtocolErrors",
    (6, _ANY): "ContentRelated",
    (7, 8): "CredentialsRefused",
    (7, 13): "InactiveMailbox",  # RFC 5248
    (7, 17): "InvalidRecipient",  # the mailbox changed hands (RFC 7293)
    (7, 18): "BadDomain",  # the domain changed hands
    (7, 20): "AuthenticationFailed",  # DKIM (RFC 7372)
    (7, 21): "AuthenticationFailed",
    (7, 22): "AuthenticationFailed",
    (7, 23): "AuthenticationFailed",  # SPF
    (7, 24): "AuthenticationFailed",
    (7, 25): "AuthenticationFailed",  # reverse DNS
    (7, 26): "AuthenticationFailed",
    (7, 27): "InvalidSender",  # null MX of the sender
    (7, 28): "RateLimited",  # mail flood
    (7, _ANY): "PolicyRelated",
}
"""(subject, detail) -> label, for replies no rule knows the text of."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a reply asks for and why."""

    rule: ReplyRule
    label: str = ""
    bounce_class: BounceClass | None = None

    @property
    def reply_class(self) -> ReplyClass:
        """What it means for the mail."""
        return self.rule.reply_class

    @property
    def action(self) -> BounceAction | None:
        """What it asks for beyond the mail; a recipient is suppressed by a final refusal alone."""
        action = ACTIONS[self.bounce_class] if self.bounce_class else None
        if action is BounceAction.SUPPRESS and self.reply_class is not ReplyClass.PERMANENT:
            return BounceAction.RETRY_LATER
        return action


class BadStatusMap(ConfigError):
    """An entry of a relay's `status_map` is of no use."""

    def __init__(self, written: str, why: str) -> None:
        self.written, self.why = written, why
        super().__init__(f"status_map {written!r}: {why}")


class Classifier:
    """Judges replies: a relay's own map first, then rules of texts, then the tables."""

    def __init__(self, rules: Rules, overrides: Mapping[str, ReplyRule] | None = None) -> None:
        self.rules, self.overrides = rules, overrides or {}

    def judge(self, reply: Reply) -> Verdict:
        """Give what a reply to MAIL, RCPT, DATA or the message asks for."""
        if not reply.is_refusal:
            return Verdict(ACCEPTED)
        label = self.label_of(reply)
        rule = self._override(reply) or _rule_of(reply, label)
        return Verdict(rule, label, self.rules.class_of(label))

    def label_of(self, reply: Reply) -> str:
        """Give why a mail was refused, from the text if a rule knows it, else from the codes."""
        return self.rules.label_of(reply.line) or _label_of(reply.enhanced)

    def _override(self, reply: Reply) -> ReplyRule | None:
        enhanced = reply.enhanced
        names = [f"{reply.code} {enhanced}", str(enhanced)] if enhanced else []
        if enhanced:
            names.append(f"{enhanced.kind}.{enhanced.subject}.*")
        return next(
            (self.overrides[name] for name in (*names, str(reply.code)) if name in self.overrides),
            None,
        )


def overrides_of(status_map: Mapping[str, str]) -> dict[str, ReplyRule]:
    """Read a relay's own map: `{"451": "retry", "4.7.*": "throttle", "550 5.4.5": "retry"}`.

    The longer a match the earlier it counts. Raises BadStatusMap.
    """
    overrides: dict[str, ReplyRule] = {}
    for written, class_name in status_map.items():
        rule = _CLASS_RULES.get(class_name)
        if rule is None:
            raise BadStatusMap(written, f"{class_name!r} is none of {', '.join(_CLASS_RULES)}")
        if _KEY.fullmatch(written) is None:
            raise BadStatusMap(written, "no reply code, enhanced code or both")
        overrides[written] = rule
    return overrides


_KEY: Final = re.compile(
    r"[45]\d\d|[45]\.\d{1,3}\.(\d{1,3}|\*)|[45]\d\d [45]\.\d{1,3}\.\d{1,3}", re.ASCII
)


def reason_of(reply: Reply, label: str = "") -> Reason:
    """Give the reason an event carries: the codes, and the text without addresses."""
    codes = f"{reply.code}_{reply.enhanced}" if reply.enhanced else str(reply.code)
    text = public_text(reply.text)
    return Reason(f"smtp_{codes}", f"{label}: {text}" if label else text)


def _rule_of(reply: Reply, label: str) -> ReplyRule:
    is_final = reply.code >= 500
    named = LABEL_RULES.get(label)
    own = CODE_RULES.get(reply.code)
    if own is not None and (named is None or reply.code == 421 or is_final):
        return own
    if named is not None:
        return named[is_final]
    if is_final:
        return PERMANENT
    enhanced = reply.enhanced
    return THROTTLE if enhanced and enhanced[:2] == (4, 7) else RETRY


def _label_of(enhanced: EnhancedCode | None) -> str:
    if enhanced is None:
        return UNCATEGORIZED
    _, subject, detail = enhanced
    exact = ENHANCED_LABELS.get((subject, detail))
    return exact or ENHANCED_LABELS.get((subject, _ANY), UNCATEGORIZED)


class RelayRetry(Enum):
    """How a relay that refused a session is tried again."""

    NORMAL = "normal"  # 1 s doubling to 60 s, full jitter
    BUSY = "busy"  # it said 421 or another 4yz: a fixed wait
    CREDENTIALS = "credentials"  # 60 s or slower, alarm at the first one


def classify_session(reply: Reply | None) -> RelayRetry:
    """Give the back-off of a session that was refused by this reply (None: by us).

    We refuse one ourselves when it has no TLS or no mechanism we may use: configuration.
    """
    if reply is None or (reply.code >= 500 and reply.code in CODE_RULES):
        return RelayRetry.CREDENTIALS
    return RelayRetry.NORMAL if reply.code >= 500 else RelayRetry.BUSY
