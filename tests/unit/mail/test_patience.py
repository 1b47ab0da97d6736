"""A mail is sent back to the head of the queue for as long as the relay is busy with all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hermes.mail.patience import MOST, Patience, delay_after


def test_a_mail_alone_is_sent_back_so_many_times() -> None:
    patience = Patience()
    turns = [patience.is_over("a", accepted) for accepted in range(MOST)]
    assert turns == [False] * (MOST - 1) + [True]


def test_a_relay_that_takes_nothing_is_waited_for_without_an_end() -> None:
    patience = Patience()
    assert not any(patience.is_over("a", 7) for _ in range(100))
    assert patience.is_over("a", 8)


def test_a_mail_that_was_forgotten_begins_anew() -> None:
    patience = Patience()
    for accepted in range(MOST):
        patience.is_over("a", accepted)
    patience.forget("a")
    assert not patience.is_over("a", 99)


@given(st.integers(0, 100), st.floats(0, 3600))
def test_each_try_waits_no_less_than_the_one_before(n: int, pause: float) -> None:
    assert pause <= delay_after(n, pause) <= delay_after(n + 1, pause)
