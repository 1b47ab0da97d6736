"""Patterns that decide what becomes of a message."""

from __future__ import annotations

import pytest

from hermes.simulator.outcome import Stat
from hermes.simulator.outcome_rule import OutcomeRules, parse_dead, parse_senders

RULES = OutcomeRules(parse_dead("^4477.*99$"), parse_senders("^BANK=undeliv A=b=EXPIRED K=DELETED"))


@pytest.mark.parametrize(
    ("source", "destination", "stat"),
    [
        ("BANK", "44770", Stat.UNDELIV),  # the first rule that fits
        ("A=b", "44770", Stat.EXPIRED),  # the last = ends the pattern
        ("K", "44770", Stat.DELETED),
        ("Shop", "44770", None),
        ("Shop", "4477099", Stat.UNDELIV),
        ("A=b", "4477099", Stat.UNDELIV),  # the dead first
    ],
)
def test_the_first_pattern_that_fits_decides(
    source: str, destination: str, stat: Stat | None
) -> None:
    assert RULES.outcome(source, destination) is stat


def test_no_patterns_decide_nothing() -> None:
    assert OutcomeRules(parse_dead(""), parse_senders(" ")).outcome("a", "1") is None


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("BANK", "'BANK' is not PATTERN= and one of DELIVRD, "),
        ("BANK=", "'BANK=' is not PATTERN="),
        ("BANK=FINE", "'BANK=FINE' is not PATTERN="),
        ("(=UNDELIV", r"'\(' is no regular expression: "),
    ],
)
def test_a_wrong_rule_says_what_is_wrong(text: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        parse_senders(text)
