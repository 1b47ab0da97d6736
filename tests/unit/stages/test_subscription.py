"""Subscription options and cancel modes."""

from __future__ import annotations

from typing import Any

import pytest

from hermes.stages.subscription import (
    BadOptions,
    CancelMode,
    SubscriptionOptions,
    is_clean,
    stops_consumer,
)


def test_the_defaults_are_a_thousand_and_half_of_it_and_permanent() -> None:
    assert SubscriptionOptions.checked({}) == SubscriptionOptions(1000, 500, "permanent")


@pytest.mark.parametrize(("high", "low"), [(1, 0), (2, 1), (7, 3), (1000, 500)])
def test_minimum_demand_is_half_of_the_maximum(high: int, low: int) -> None:
    assert SubscriptionOptions.checked({"max_demand": high}).min_demand == low


def test_options_of_the_dispatcher_are_let_through() -> None:
    options = {"partition": 3, "selector": print, "max_demand": 5, "cancel": "temporary"}
    assert SubscriptionOptions.checked(options) == SubscriptionOptions(5, 2, "temporary")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"max_demand": 0}, "expected max_demand to be 1 or more, got: 0"),
        ({"max_demand": "5"}, "expected max_demand to be an integer, got: '5'"),
        ({"max_demand": True}, "expected max_demand to be an integer, got: True"),
        ({"max_demand": None}, "expected max_demand to be an integer, got: None"),
        ({"min_demand": 2000}, "expected min_demand to be 999 or less, got: 2000"),
        ({"max_demand": 10, "min_demand": 10}, "expected min_demand to be 9 or less, got: 10"),
        ({"min_demand": -1}, "expected min_demand to be 0 or more, got: -1"),
        ({"min_demand": 1.5}, "expected min_demand to be an integer, got: 1.5"),
        (
            {"cancel": "never"},
            "expected cancel to be one of ('permanent', 'transient', 'temporary'), got: 'never'",
        ),
        (
            {"cancel": []},
            "expected cancel to be one of ('permanent', 'transient', 'temporary'), got: []",
        ),
    ],
)
def test_a_bad_option_is_refused_with_a_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadOptions) as caught:
        SubscriptionOptions.checked(options)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("reason", "clean"),
    [
        ("normal", True),
        ("shutdown", True),
        (("shutdown", "drained"), True),
        (("shutdown",), False),
        (("shutdown", "a", "b"), False),
        (("crash", "shutdown"), False),
        ("killed", False),
        ("noproc", False),
        (7, False),
        (None, False),
    ],
)
def test_clean_reasons_are_normal_and_shutdown(reason: Any, clean: bool) -> None:
    assert is_clean(reason) is clean


@pytest.mark.parametrize(
    ("cancel", "reason", "stops"),
    [
        ("permanent", "normal", True),
        ("permanent", "killed", True),
        ("permanent", "already_subscribed", False),
        ("transient", "normal", False),
        ("transient", "shutdown", False),
        ("transient", ("shutdown", "x"), False),
        ("transient", "killed", True),
        ("transient", "already_subscribed", False),
        ("temporary", "killed", False),
        ("temporary", "normal", False),
    ],
)
def test_the_cancel_mode_decides_whether_the_consumer_stops(
    cancel: CancelMode, reason: Any, stops: bool
) -> None:
    assert stops_consumer(cancel, reason) is stops
