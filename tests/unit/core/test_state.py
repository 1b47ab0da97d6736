"""The lattice of states, segment by segment and attempt by attempt."""

from __future__ import annotations

from typing import get_args

import pytest

from hermes.core.event import EventKind
from hermes.core.state import (
    ATTEMPT_STATE,
    FINAL_ATTEMPT,
    FINAL_MESSAGE,
    MESSAGE_OF,
    STATE_AFTER,
    AttemptState,
    MessageState,
    message_state,
    state_of_segments,
)
from hermes.core.units import Success

Q, U, S = AttemptState.QUEUED, AttemptState.UNCERTAIN, AttemptState.SENT
UNKNOWN, FAILED = AttemptState.UNKNOWN, AttemptState.FAILED
UNDELIVERED, DELIVERED = AttemptState.UNDELIVERED, AttemptState.DELIVERED


def test_the_order_is_that_of_the_design() -> None:
    words = (
        "queued submitting uncertain sent unknown cancelled expired failed rejected undelivered"
        " delivered"
    )
    assert [state.word for state in sorted(AttemptState)] == words.split()
    assert {state.word: state for state in AttemptState} == ATTEMPT_STATE


def test_every_final_attempt_ends_its_message() -> None:
    assert MESSAGE_OF.keys() == FINAL_ATTEMPT
    assert set(MESSAGE_OF.values()) <= FINAL_MESSAGE
    assert set(get_args(MessageState)) - FINAL_MESSAGE == {"accepted", "processing"}


def test_every_state_has_an_event_and_the_rest_change_none() -> None:
    assert set(STATE_AFTER.values()) == set(AttemptState)
    stateless = {"possible_duplicate", "deferred", "enroute", "inbound", "parked"}
    stateless |= {"superseded", "complaint"}
    assert set(get_args(EventKind)) - STATE_AFTER.keys() == stateless


@pytest.mark.parametrize(
    ("segments", "expected", "state"),
    [
        ((), 1, Q),
        ((DELIVERED,), 1, DELIVERED),
        ((DELIVERED, DELIVERED), 2, DELIVERED),
        ((DELIVERED, S), 2, S),
        ((DELIVERED,), 2, S),  # delivered only when all are
        ((U,), 2, U),
        ((S, U), 2, U),
        ((DELIVERED, FAILED), 2, FAILED),  # failed when one is
        ((UNDELIVERED, FAILED), 3, UNDELIVERED),
        ((UNKNOWN, DELIVERED), 2, UNKNOWN),
    ],
)
def test_an_attempt_is_what_its_segments_are(
    segments: tuple[AttemptState, ...], expected: int, state: AttemptState
) -> None:
    assert state_of_segments(segments, expected) is state


@pytest.mark.parametrize(
    ("rows", "success", "word"),
    [
        ([], "delivered", "accepted"),
        ([(0, Q)], "delivered", "processing"),
        ([(0, S)], "delivered", "processing"),
        ([(0, S)], "sent", "sent"),
        ([(0, S)], "accepted", "sent"),
        ([(0, FAILED)], "delivered", "failed"),
        ([(0, AttemptState.REJECTED)], "delivered", "failed"),
        ([(0, FAILED), (1, Q)], "delivered", "processing"),  # the newest attempt speaks
        ([(1, Q), (0, DELIVERED)], "delivered", "delivered"),  # but delivered always wins
        ([(0, UNKNOWN)], "delivered", "unknown"),
    ],
)
def test_a_message_is_what_its_attempts_are(
    rows: list[tuple[int, AttemptState]], success: Success, word: MessageState
) -> None:
    assert message_state(rows, success) == word
