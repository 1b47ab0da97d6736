"""Files of rules: their format, their order, and what is said of bad ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from hermes.adapters.bounce_rules_file import load_rules
from hermes.mail.bounce_rule import BadRules, BounceClass, Rules, parse_rules

# the rules and the cases of KumoMTA's own test of its order
FIRST = """
[rules]
foo = ["woot", "aaa"]
bar = ["woot", "aaa", "bbb"]
"""
SECOND = """
[rules]
second_file = ["bbb", "ccc"]
"""


@pytest.mark.parametrize(
    ("text", "label"), [("woot", "foo"), ("aaa", "foo"), ("bbb", "bar"), ("ccc", "second_file")]
)
def test_the_first_rule_of_the_first_file_counts(text: str, label: str) -> None:
    rules = parse_rules(FIRST, "first") + parse_rules(SECOND, "second")
    assert rules.label_of(text) == label


def test_a_text_no_rule_knows_has_no_label() -> None:
    assert parse_rules(FIRST, "first").label_of("xyz") is None
    assert Rules().label_of("550 5.1.1 User unknown") is None


def test_own_labels_get_a_class_in_a_table_kumomta_passes_over() -> None:
    rules = parse_rules('[rules]\nMine = ["x"]\nOther = ["y"]\n[classes]\nMine = "hard"\n', "own")
    assert rules.class_of("Mine") is BounceClass.HARD
    assert rules.class_of("Other") is BounceClass.SOFT
    assert rules.class_of("SpamBlock") is BounceClass.BLOCK


def test_only_the_beginning_of_a_long_text_is_searched() -> None:
    rules = parse_rules('[rules]\nEnd = ["end$"]\n', "own")
    assert rules.label_of("x" * 1997 + "end") == "End"
    assert rules.label_of("x" * 3000 + "end") is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[rules", "no TOML"),
        ("", "it has no table [rules]"),
        ("rules = 1", "it has no table [rules]"),
        ('[rules]\nA = "x"', "A is no list of regular expressions"),
        ("[rules]\nA = [1]", "A holds 1, which is no text"),
        ('[rules]\nA = ["("]', "A: '(' does not compile: missing ), unterminated subpattern"),
        ('[rules]\nA = ["x"]\n[classes]\nA = "x"', "A = 'x' is none of hard, soft, block"),
    ],
)
def test_a_bad_file_is_refused_with_the_place(text: str, why: str) -> None:
    with pytest.raises(BadRules) as caught:
        parse_rules(text, "own.toml")
    assert str(caught.value).startswith(f"bounce rules own.toml: {why}")


def test_our_rules_come_before_those_of_the_files_given(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('[rules]\nMine = ["User unknown", "flux"]\n')
    rules = load_rules([path])
    assert rules.label_of("550 5.1.1 User unknown") == "InvalidRecipient"
    assert rules.label_of("550 5.0.0 flux") == "Mine"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRules, match="it cannot be read"):
        load_rules([tmp_path / "none.toml"])
