"""A bind comes back fast after a loss, slowly after a refusal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hermes.smpp.backoff import BackoffTimes, next_wait
from hermes.smpp.status import BindRetry

TIMES = BackoffTimes()


def test_a_normal_loss_doubles_from_one_second_to_sixty() -> None:
    waits = [next_wait(BindRetry.NORMAL, n, 1.0, TIMES) for n in range(1, 9)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_wrong_credentials_never_wait_less_than_a_minute(failures: int, jitter: float) -> None:
    assert 60 <= next_wait(BindRetry.CREDENTIALS, failures, jitter, TIMES) <= 80
    assert 30 <= next_wait(BindRetry.OLD_SESSION, failures, jitter, TIMES) <= 60
    assert 0.1 <= next_wait(BindRetry.NORMAL, failures, jitter, TIMES) <= 60
