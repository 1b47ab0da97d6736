"""Rules that name why mail was refused, in the format of KumoMTA's bounce classifier.

A file is TOML: `[rules]` holds `Label = ["regular expression", ...]`, searched in the text
`CODE ENHANCED content`; the first expression of the first file that is found gives the label.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from hermes.core.errors import ConfigError

MAX_TEXT: Final = 2000
"""Characters of a reply that are searched."""
UNCATEGORIZED: Final = "Uncategorized"
COMPLAINT: Final = "Complaint"


class BounceClass(Enum):
    """What a label says of the recipient, the sender and the mail."""

    HARD = "hard"  # no mailbox: never again
    SOFT = "soft"  # not now
    BLOCK = "block"  # the receiver holds the sender's address or volume against it
    COMPLAINT = "complaint"  # the recipient called it spam
    POLICY = "policy"  # the mail, its sender or the set-up is at fault


class BounceAction(Enum):
    """What a class asks for."""

    SUPPRESS = "suppress"  # no more mail to this recipient
    RETRY_LATER = "retry_later"
    PAUSE_DOMAIN = "pause_domain"
    ALERT = "alert"


ACTIONS: Final[Mapping[BounceClass, BounceAction]] = {
    BounceClass.HARD: BounceAction.SUPPRESS,
    BounceClass.SOFT: BounceAction.RETRY_LATER,
    BounceClass.BLOCK: BounceAction.PAUSE_DOMAIN,
    BounceClass.COMPLAINT: BounceAction.SUPPRESS,
    BounceClass.POLICY: BounceAction.ALERT,
}

CLASSES: Final[Mapping[str, BounceClass]] = {
    # the labels KumoMTA defines
    "InvalidRecipient": BounceClass.HARD,
    "BadDomain": BounceClass.HARD,
    "InactiveMailbox": BounceClass.HARD,
    "QuotaIssues": BounceClass.SOFT,
    "TransientFailure": BounceClass.SOFT,
    "NoAnswerFromHost": BounceClass.SOFT,
    "BadConnection": BounceClass.SOFT,
    "DNSFailure": BounceClass.SOFT,
    "RoutingErrors": BounceClass.SOFT,
    "MessageExpired": BounceClass.SOFT,
    "TooManyRecipients": BounceClass.SOFT,
    UNCATEGORIZED: BounceClass.SOFT,
    "SpamBlock": BounceClass.BLOCK,
    "SpamContent": BounceClass.POLICY,
    "SpamRelated": BounceClass.POLICY,
    "ContentRelated": BounceClass.POLICY,
    "ProhibitedAttachment": BounceClass.POLICY,
    "VirusRelated": BounceClass.POLICY,
    "PolicyRelated": BounceClass.POLICY,
    "ProtocolErrors": BounceClass.POLICY,
    "BadConfiguration": BounceClass.POLICY,
    "AuthenticationFailed": BounceClass.POLICY,
    "InvalidSender": BounceClass.POLICY,
    "RelayDenied": BounceClass.POLICY,
    "RelayingIssues": BounceClass.POLICY,
    # our own
    "Greylisted": BounceClass.SOFT,
    "RateLimited": BounceClass.BLOCK,
    "MessageTooLarge": BounceClass.POLICY,
    "CredentialsRefused": BounceClass.POLICY,
    COMPLAINT: BounceClass.COMPLAINT,
}
"""The class of each label; one that is not here is soft unless its file says otherwise."""


class BadRules(ConfigError):
    """A file of rules cannot be read; `why` names the label and the expression."""

    def __init__(self, name: str, why: str) -> None:
        self.name, self.why = name, why
        super().__init__(f"bounce rules {name}: {why}")


@dataclass(frozen=True, slots=True)
class Rules:
    """Expressions with their labels, in the order of the search; `classes` come before CLASSES."""

    patterns: tuple[tuple[str, re.Pattern[str]], ...] = ()
    classes: Mapping[str, BounceClass] = field(default_factory=dict)

    def __add__(self, later: Rules) -> Rules:
        """Give both, those of `later` searched after these."""
        return Rules(self.patterns + later.patterns, {**later.classes, **self.classes})

    def label_of(self, text: str) -> str | None:
        """Give the label of the first expression found in `CODE ENHANCED content`."""
        searched = text[:MAX_TEXT]
        return next((label for label, p in self.patterns if p.search(searched)), None)

    def class_of(self, label: str) -> BounceClass:
        """Give the class of a label."""
        return self.classes.get(label) or CLASSES.get(label, BounceClass.SOFT)


def parse_rules(text: str, name: str) -> Rules:
    """Read a file's text; `name` is for errors. Raises BadRules.

    A table `[classes]` may give own labels a class (`Label = "hard"`); KumoMTA reads past it.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadRules(name, f"no TOML: {error}") from error
    rules, classes = tables.get("rules"), tables.get("classes", {})
    if not isinstance(rules, dict) or not isinstance(classes, dict):
        raise BadRules(name, "it has no table [rules], or [classes] is no table")
    patterns: list[tuple[str, re.Pattern[str]]] = []
    for label, expressions in rules.items():
        if not isinstance(expressions, list):
            raise BadRules(name, f"{label} is no list of regular expressions")
        patterns += [(label, _compiled(name, label, each)) for each in expressions]
    given = {label: _class(name, label, word) for label, word in classes.items()}
    return Rules(tuple(patterns), given)


def _compiled(name: str, label: str, expression: object) -> re.Pattern[str]:
    if not isinstance(expression, str):
        raise BadRules(name, f"{label} holds {expression!r}, which is no text")
    try:
        return re.compile(expression)
    except (re.error, OverflowError, RecursionError) as error:
        raise BadRules(name, f"{label}: {expression!r} does not compile: {error}") from error


def _class(name: str, label: str, word: object) -> BounceClass:
    try:
        return BounceClass(word)
    except ValueError as error:
        known = ", ".join(each.value for each in BounceClass)
        raise BadRules(name, f"{label} = {word!r} is none of {known}") from error
