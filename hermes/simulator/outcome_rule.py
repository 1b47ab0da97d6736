"""Patterns that decide what becomes of a message: dead numbers, and outcomes by sender."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hermes.simulator.outcome import MIXABLE, Stat


@dataclass(frozen=True, slots=True)
class OutcomeRules:
    """`dead` is searched in the destination, the patterns of `senders` in the source in turn."""

    dead: re.Pattern[str] | None = None
    senders: tuple[tuple[re.Pattern[str], Stat], ...] = ()

    def outcome(self, source: str, destination: str) -> Stat | None:
        """What the patterns say, None when none of them does."""
        if self.dead is not None and self.dead.search(destination):
            return Stat.UNDELIV
        return next((stat for pattern, stat in self.senders if pattern.search(source)), None)


def parse_dead(text: str) -> re.Pattern[str] | None:
    """Read the pattern of dead numbers; empty means none. ValueError says what is wrong."""
    return _pattern(text) if text else None


def parse_senders(text: str) -> tuple[tuple[re.Pattern[str], Stat], ...]:
    """Read `PATTERN=STAT` rules with blanks between them. ValueError names the rule at fault."""
    rules: list[tuple[re.Pattern[str], Stat]] = []
    for rule in text.split():
        pattern, equals, name = rule.rpartition("=")
        word = name.upper()
        if not equals or word not in MIXABLE:
            raise ValueError(f"{rule!r} is not PATTERN= and one of {', '.join(MIXABLE)}")
        rules.append((_pattern(pattern), Stat(word)))
    return tuple(rules)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from error
