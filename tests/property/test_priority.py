"""Demand is shared so that the urgent go first and nobody starves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hermes.core.priority import FLOOR, Shares
from hermes.core.units import PRIORITIES, Priority

demands = st.lists(st.integers(0, 2_000), min_size=1, max_size=60)
backlogs = st.fixed_dictionaries(
    {priority: st.none() | st.integers(0, 400) for priority in PRIORITIES}
)
shares = st.builds(Shares, st.tuples(*(st.integers(0, 20 * FLOOR) for _ in PRIORITIES)).map(tuple))


@given(shares, st.integers(0, 300), backlogs)
def test_the_pulls_sum_to_the_demand_or_to_the_whole_backlog(
    state: Shares, n: int, backlog: dict[Priority, int | None]
) -> None:
    _, pulls = state.plan(n, backlog)
    known = [waiting for waiting in backlog.values() if waiting is not None]
    most = n if len(known) < len(PRIORITIES) else min(n, sum(known))
    assert sum(pull.n for pull in pulls) == most


@given(shares, st.integers(0, 300), backlogs)
def test_no_priority_is_asked_for_more_than_it_has_or_for_nothing(
    state: Shares, n: int, backlog: dict[Priority, int | None]
) -> None:
    _, pulls = state.plan(n, backlog)
    for pull in pulls:
        waiting = backlog[pull.priority]
        assert 0 < pull.n <= (n if waiting is None else waiting)


@given(shares, st.integers(0, 300), backlogs)
def test_the_urgent_stand_first_and_each_priority_once(
    state: Shares, n: int, backlog: dict[Priority, int | None]
) -> None:
    _, pulls = state.plan(n, backlog)
    order = [PRIORITIES.index(pull.priority) for pull in pulls]
    assert order == sorted(set(order))


@given(demands, st.sampled_from(PRIORITIES))
def test_a_priority_that_always_has_backlog_never_starves(
    demanded: list[int], starving: Priority
) -> None:
    state = Shares()
    served = 0
    for n in demanded:
        state, pulls = state.plan(n, {})
        served += sum(pull.n for pull in pulls if pull.priority == starving)
    # one message of rounding, and those of a round in which the floors of the others came first
    assert served >= sum(demanded) // FLOOR - len(PRIORITIES)


@given(demands)
def test_otp_gets_all_but_the_floors_of_the_others(demanded: list[int]) -> None:
    state = Shares()
    otp = 0
    for n in demanded:
        state, pulls = state.plan(n, {})
        otp += sum(pull.n for pull in pulls if pull.priority == "otp")
    assert otp >= sum(demanded) * (FLOOR - 2) // FLOOR - 2


@given(shares, st.integers(1, 300))
def test_a_priority_known_to_be_empty_saves_nothing_up(state: Shares, n: int) -> None:
    after, pulls = state.plan(n, {"otp": 0, "transactional": 0})
    assert [(pull.priority, pull.n) for pull in pulls] == [("marketing", n)]
    assert after.owed[:2] == (0, 0)


def test_with_a_demand_of_one_each_time_everybody_has_a_turn_in_twenty() -> None:
    state = Shares()
    turns: list[Priority] = []
    for _ in range(201):
        state, pulls = state.plan(1, {})
        turns.extend(pull.priority for pull in pulls)
    assert turns.count("transactional") == turns.count("marketing") == 10
    assert turns.count("otp") == 181
