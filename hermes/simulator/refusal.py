"""Turns plain values into checked ones, or names the field and the rule it breaks."""

from __future__ import annotations

import re
from typing import Final, TypeVar

import msgspec

Checked = TypeVar("Checked")

_AT: Final = re.compile(r"^(?P<rule>.*) - at `\$\.?(?P<field>.*)`$")
_NAMED: Final = re.compile(
    r"^Object (?P<rule>contains unknown|missing required) field `(?P<field>.*)`"
)


class Refusal(Exception):
    """A value from outside breaks a rule; `field` is where, `rule` what it should have been."""

    def __init__(self, field: str, rule: str) -> None:
        self.field, self.rule = field, rule
        super().__init__(f"{field}: {rule}")


def checked(values: object, kind: type[Checked], *, strict: bool = True) -> Checked:
    """The values as `kind`; `strict=False` also reads numbers and booleans from text.

    Raises Refusal for the first value that does not fit.
    """
    try:
        return msgspec.convert(values, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from error


def _refusal(sentence: str) -> Refusal:
    located = _AT.match(sentence)
    at = located["field"] if located else ""
    rule = located["rule"] if located else sentence
    named = _NAMED.match(rule)
    if named:
        field = f"{at}.{named['field']}" if at else named["field"]
        return Refusal(field, "no such field" if named["rule"].startswith("c") else "required")
    return Refusal(at or "body", rule[:1].lower() + rule[1:])
