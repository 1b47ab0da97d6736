"""The supervisor core does what the Erlang/OTP 25 supervisor was recorded to do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from supervisors.child_spec import AutoShutdown, ChildSpec, ChildType, Restart
from supervisors.exit_reason import NORMAL, SHUTDOWN, ExitKind, ExitReason
from supervisors.intensity import Intensity
from supervisors.strategy import Strategy, SupervisorFlags
from tests.replay.traces import TraceRow, trace_rows
from tests.unit.supervisors.world import CRASH, KILLED, Subtree, World

if TYPE_CHECKING:
    from collections.abc import Callable

REASONS = {
    "normal": NORMAL,
    "shutdown": SHUTDOWN,
    "shutdown_tuple": ExitReason(ExitKind.SHUTDOWN, "x"),
    "crash": CRASH,
    "kill": KILLED,
}
Outcome = tuple[list[Any], Any]


def expected(row: TraceRow) -> Outcome:
    return row["events"], row["children_after"]


def replay_exit(row: TraceRow) -> tuple[Outcome, Outcome]:
    strategy, children, victim, reason = row["input"]
    world = World(
        SupervisorFlags(Strategy(strategy), Intensity(5, 10.0)),
        [ChildSpec(id_, "worker", Restart(restart)) for id_, restart in children],
    ).boot()
    world.die(victim, REASONS[reason])
    return (world.seen, world.children()), expected(row)


def replay_significant(row: TraceRow) -> tuple[Outcome, Outcome]:
    auto_shutdown, children, victims, reason = row["input"]
    world = World(
        SupervisorFlags(intensity=Intensity(5, 10.0), auto_shutdown=AutoShutdown(auto_shutdown)),
        [
            ChildSpec(id_, "worker", Restart(restart), significant=significant == "true")
            for id_, restart, significant in children
        ],
    ).boot()
    for victim in victims:
        world.die(victim, REASONS[reason])
    return (world.seen, world.children()), expected(row)


def replay_intensity(row: TraceRow) -> tuple[Outcome, Outcome]:
    strategy, intensity, crashes = row["input"]
    world = World(
        SupervisorFlags(Strategy(strategy), Intensity(intensity, 60.0)),
        [ChildSpec(id_, "worker") for id_ in "abc"],
    ).boot()
    for _ in range(crashes):
        world.die("b", CRASH)
    return (world.seen, world.children()), expected(row)


def replay_window(row: TraceRow) -> tuple[Outcome, Outcome]:
    intensity, period, waits_ms = row["input"]
    world = World(
        SupervisorFlags(intensity=Intensity(intensity, float(period))),
        [ChildSpec("a", "worker")],
    ).boot()
    alive = []
    for wait_ms in waits_ms:
        world.advance(wait_ms / 1000)
        world.die("a", CRASH)
        alive.append("true" if world.is_alive() else "false")
    return (alive, world.children()), expected(row)


def replay_stop_order(row: TraceRow) -> tuple[Outcome, Outcome]:
    restarts = {"b": Restart.TRANSIENT, "c": Restart.TEMPORARY}
    world = World(
        SupervisorFlags(),
        [ChildSpec(id_, "worker", restarts.get(id_, Restart.PERMANENT)) for _, id_ in row["input"]],
    )
    world.boot()
    world.stop()
    assert world.exit == SHUTDOWN
    return (world.seen[:-1], world.children()), expected(row)


def replay_shutdown_timeout(row: TraceRow) -> tuple[Outcome, Outcome]:
    (shutdown_ms,) = row["input"]
    specs = [ChildSpec("a", "worker", shutdown=shutdown_ms / 1000), ChildSpec("b", "worker")]
    world = World(SupervisorFlags(), specs).boot()
    world.deaf.add("a")
    world.stop()
    world.advance_to_next_timer()
    took_ms = round(world.now * 1000)
    events, after = expected(row)
    # The recording measured real time; on this clock the child is killed exactly at its limit.
    on_this_clock = [
        ["took_ms", shutdown_ms] if event[0] == "took_ms" else event for event in events
    ]
    assert world.exit is not None
    measured = [["took_ms", took_ms], ["reason", world.exit.kind.value]]
    return ([*measured, *world.seen[:-1]], world.children()), (on_this_clock, after)


def replay_escalation(row: TraceRow) -> tuple[Outcome, Outcome]:
    """Top over a permanent middle supervisor over permanent workers, each 1 restart in 60 s."""
    ids = [id_ for _, id_ in row["input"]]
    once = SupervisorFlags(intensity=Intensity(1, 60.0))
    workers = tuple(ChildSpec(id_, "worker") for id_ in ids)
    middle = ChildSpec("middle", Subtree(once, workers), type=ChildType.SUPERVISOR)
    top = World(once, [middle]).boot()
    reads_exit = ["sup_exit", "shutdown"] in [
        event for crash in row["events"] if crash[2] != "top_dead" for event in crash[2]
    ]
    events: list[Any] = []
    for crash in row["events"]:
        if not top.is_alive():
            events.append(["crash", crash[1], "top_dead"])
            continue
        victim, reason = crash_of(crash, ids)
        top.seen.clear()
        top.subtrees["middle"].die(victim, reason)
        seen = [event for event in top.seen if reads_exit or event[0] != "sup_exit"]
        alive = "true" if top.is_alive() else "false"
        events.append(["crash", crash[1], seen, [["top_alive", alive]]])
    return (events, tree_children(top, row["children_after"])), expected(row)


def crash_of(crash: list[Any], ids: list[str]) -> tuple[str, ExitReason]:
    """The child that crashed: the one that says so, else the first; a killed one says nothing."""
    events = [] if crash[2] == "top_dead" else crash[2]
    deaths = [id_ for what, id_ in events if what == "die"]
    return (deaths[0], CRASH) if deaths else (ids[0], KILLED)


def tree_children(top: World, recorded: Any) -> Any:
    """The level of the tree that the recording shows at the end."""
    workers = top.subtrees["middle"].children()
    shows_workers = top.is_alive() and len(recorded) == len(workers)
    return workers if shows_workers else top.children()


REPLAYS: dict[str, Callable[[TraceRow], tuple[Outcome, Outcome]]] = {
    "exit": replay_exit,
    "significant": replay_significant,
    "intensity": replay_intensity,
    "window": replay_window,
    "stop_order": replay_stop_order,
    "shutdown_timeout": replay_shutdown_timeout,
    "escalation": replay_escalation,
}


@pytest.mark.parametrize("row", trace_rows("otp_supervisor"))
def test_core_does_what_otp_was_recorded_to_do(row: TraceRow) -> None:
    seen, recorded = REPLAYS[row["kind"]](row)
    assert json.dumps(seen, indent=1) == json.dumps(recorded, indent=1)


def test_all_recorded_rows_are_replayed() -> None:
    assert len(trace_rows("otp_supervisor")) >= 136


ESCALATION: TraceRow = {
    "kind": "escalation",
    "input": [["start", "a"], ["start", "b"]],
    "events": [
        ["crash", 1, [["die", "a"], ["start", "a"]], [["top_alive", "true"]]],
        [
            "crash",
            2,
            [["die", "a"], ["stopped", "b"], ["start", "a"], ["start", "b"]],
            [["top_alive", "true"]],
        ],
        ["crash", 3, [["die", "a"], ["start", "a"]], [["top_alive", "true"]]],
        [
            "crash",
            4,
            [["die", "a"], ["stopped", "b"], ["sup_exit", "shutdown"]],
            [["top_alive", "false"]],
        ],
        ["crash", 5, "top_dead"],
    ],
    "children_after": "dead",
}


def test_escalation_in_a_tree_of_one_restart_each_takes_four_crashes() -> None:
    seen, recorded = replay_escalation(ESCALATION)
    assert seen == recorded


def test_escalation_reads_alike_without_the_exit_of_the_top() -> None:
    *crashes, last, dead = ESCALATION["events"]
    silent = [*crashes, [*last[:2], last[2][:-1], last[3]], dead]
    seen, recorded = replay_escalation({**ESCALATION, "events": silent})
    assert seen == recorded


def test_escalation_cut_short_shows_the_workers() -> None:
    row = {
        **ESCALATION,
        "events": ESCALATION["events"][:2],
        "children_after": [["a", "up"], ["b", "up"]],
    }
    seen, recorded = replay_escalation(row)
    assert seen == recorded
