"""Bad requests are refused with the field and the rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from hermes.core.carrier import Carrier
from hermes.frontdoor import auth
from hermes.frontdoor.plan_request import PlanRules
from hermes.frontdoor.problem import Problem
from hermes.frontdoor.schema import parse
from hermes.frontdoor.validation import Rules, message_of
from hermes.routing.table import RouteTable

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ID = UUID(int=1)
PLANS = PlanRules(routes=RouteTable((Carrier(id="sim"),)))
RULES = Rules(max_body=100_000, expires_after_s=86_400.0, max_segments=10, plans=PLANS)


def refusal(body: bytes) -> Problem:
    """Give the problem of a body."""
    with pytest.raises(Problem) as caught:
        message_of(parse(body), "acme", ID, NOW, RULES)
    return caught.value


@pytest.mark.parametrize(
    ("body", "code", "field", "rule"),
    [
        (b"{", "malformed", None, "json"),
        (b'{"to": "+4512345678", "text": "\xff"}', "malformed", None, "json"),
        (b"[]", "invalid", "body", "Expected `object`, got `array`"),
        (b'{"text": "hi"}', "invalid", "to", "required"),
        (b'{"to": "+4512345678", "text": "hi", "colour": 1}', "invalid", "colour", "unknown field"),
        (b'{"to": 45, "text": "hi"}', "invalid", "to", "Expected `str | null`, got `int`"),
        (b'{"to": "4512345678", "text": "hi"}', "invalid", "to", "must be E.164"),
        (b'{"to": "+45 12345678", "text": "hi"}', "invalid", "to", "must be E.164"),
        (b'{"to": "+4512345678", "text": " "}', "invalid", "text", "must not be empty"),
        (
            b'{"to": "+4512345678", "text": "\\ud83d"}',
            "malformed",
            None,
            "json",
        ),
        (
            b'{"to": "+4512345678", "text": "hi", "from": "a name that is too long"}',
            "invalid",
            "from",
            "must be 1-11",
        ),
        (
            b'{"to": "+4512345678", "text": "hi", "class": "urgent"}',
            "invalid",
            "class",
            "Invalid enum value",
        ),
        (
            b'{"to": "+4512345678", "text": "hi", "expires_at": "2025-01-01T00:00:00Z"}',
            "invalid",
            "expires_at",
            "must lie ahead",
        ),
        (
            b'{"to": "+4512345678", "text": "' + b"x" * 1531 + b'"}',
            "invalid",
            "text",
            "needs 11 segments, the limit is 10",
        ),
    ],
)
def test_a_bad_body_is_refused_with_field_and_rule(
    body: bytes, code: str, field: str | None, rule: str
) -> None:
    problem = refusal(body)
    assert problem.code == code
    assert problem.field == field
    assert (problem.rule or "").startswith(rule)
    assert problem.body()["status"] == problem.status


def test_a_good_body_becomes_a_message() -> None:
    body = b'{"to": "+4512345678", "text": "hi", "from": "Acme", "class": "otp"}'
    message = message_of(parse(body), "acme", ID, NOW, replace(RULES, expires_after_s=60.0))
    assert (message.to, message.sender, message.traffic, message.segments) == (
        "+4512345678",
        "Acme",
        "otp",
        1,
    )
    assert message.expires_at == NOW + timedelta(seconds=60)


def test_a_key_survives_its_text_form_and_only_its_secret_matches() -> None:
    key = auth.mint("test")
    assert auth.parse(f"Bearer {key}") == key
    stored = auth.digest(key.secret, b"pepper")
    assert auth.is_secret(key.secret, b"pepper", stored)
    assert not auth.is_secret(key.secret, b"other", stored)
    assert not auth.is_secret("x" * 43, b"pepper", stored)


@pytest.mark.parametrize("header", [None, "", "Basic abc", "Bearer", "Bearer hk_live_x_y"])
def test_anything_that_is_no_key_is_none(header: str | None) -> None:
    assert auth.parse(header) is None
