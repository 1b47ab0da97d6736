"""A token says which outcomes decide, so that nothing else uses its handle up."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.events import LADDER, Failure, Outcome
from cascade.token import LateToken, StepToken, handle_for, read_token
from hermes.core.errors import Unreadable
from hermes.core.units import Success

NOW = datetime(2026, 1, 1, tzinfo=UTC)
handles = st.from_regex(r"\Asign_1[A-Za-z0-9_-]{5,40}\Z")
rungs = st.sampled_from(LADDER)


def told(status: Success | Failure, step: int = 0) -> Outcome:
    return Outcome(step, status, NOW)


@given(rungs, handles, st.none() | handles)
def test_a_step_token_survives_its_text(success: Success, final: str, sent: str | None) -> None:
    token = StepToken(success, final, sent)
    assert read_token(str(token)) == token


@given(st.lists(rungs, min_size=1, max_size=5), handles)
def test_a_late_token_survives_its_text(successes: list[Success], final: str) -> None:
    token = LateToken(tuple(successes), final)
    assert read_token(str(token)) == token


@given(st.text(max_size=60))
def test_any_text_is_a_token_or_unreadable_without_being_quoted(text: str) -> None:
    try:
        read_token(text)
    except Unreadable as error:
        assert len(text) < 4 or text not in str(error)  # noqa: PT017 - both ends are right


@pytest.mark.parametrize(
    ("success", "status", "handle"),
    [
        ("delivered", "accepted", None),
        ("delivered", "sent", "on-sent"),
        ("delivered", "delivered", "final"),
        ("delivered", "read", "final"),
        ("read", "delivered", "on-sent"),  # delivered is sent as well
        ("sent", "sent", "final"),
        ("accepted", "accepted", "final"),
        ("delivered", "undelivered", "final"),
        ("read", "unknown", "final"),
    ],
)
def test_what_decides_a_step_resolves_it_and_what_shows_it_was_sent_starts_its_wait(
    success: Success, status: Success, handle: str | None
) -> None:
    assert handle_for(StepToken(success, "final", "on-sent"), told(status)) == handle


def test_without_a_wait_from_sent_only_what_decides_is_told() -> None:
    assert handle_for(StepToken("delivered", "final"), told("sent")) is None


@pytest.mark.parametrize(
    ("status", "step", "handle"),
    [
        ("sent", 0, None),
        ("delivered", 0, "final"),
        ("sent", 1, "final"),
        ("failed", 1, None),  # a failure would use it up
        ("delivered", 2, None),
        ("delivered", -1, None),
    ],
)
def test_a_late_token_is_for_successes_alone_each_by_its_own_step(
    status: Success, step: int, handle: str | None
) -> None:
    assert handle_for(LateToken(("delivered", "sent"), "final"), told(status, step)) == handle
