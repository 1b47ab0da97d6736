"""Replays what gen_stage 1.3.2 was recorded doing against the stage cores."""

from __future__ import annotations

from typing import Any, assert_never

import pytest

from hermes.stages.consumer import Consumer
from hermes.stages.demand import split_batches
from hermes.stages.dispatcher import Dispatched, Dispatcher
from hermes.stages.dispatcher_broadcast import BroadcastDispatcher
from hermes.stages.dispatcher_demand import DemandDispatcher
from hermes.stages.dispatcher_partition import PartitionDispatcher
from hermes.stages.effects import (
    Effect,
    Effects,
    HandleCancel,
    HandleDemand,
    HandleEvents,
    HandleSubscribe,
    RefuseSubscription,
    ReportDiscarded,
    SendAsk,
    SendCancel,
    SendCancelled,
    SendEvents,
    SendSubscribe,
    StopStage,
    Warn,
    carry_out,
)
from hermes.stages.producer import Producer
from tests.replay.gen_stage_model import ProducerModel
from tests.replay.traces import BUNDLED, TraceRow, numbered_rows, trace_rows


@pytest.mark.parametrize("row", trace_rows("gen_stage"))
def test_gen_stage_trace(row: TraceRow) -> None:
    match row.get("kind"):
        case "dispatcher":
            replay_dispatcher(row)
        case "producer":
            replay_producer(row)
        case "consumer":
            replay_consumer(row)
        case "split_batches":
            replay_split_batches(row)
        case unknown:
            pytest.fail(f"no replay for a row of kind {unknown!r}")


def replay_dispatcher(row: TraceRow) -> None:
    dispatcher = dispatcher_of(row)
    for number, step in enumerate(row["steps"]):
        done = dispatcher_step(dispatcher, step)
        sends = [(e.consumer, list(e.events)) for e in done.effects if isinstance(e, SendEvents)]
        expected = [(consumer, events) for consumer, _, events in step["sends"]]
        assert sorted(sends) == expected, f"step {number}"
        if step["op"] == "dispatch":
            assert list(done.leftover) == step["leftover"], f"step {number}"
        else:
            assert done.demand == step["demand"], f"step {number}"


def dispatcher_of(row: TraceRow) -> Dispatcher:
    partitions = row["partitions"]
    match row["dispatcher"]:
        case "demand":
            return DemandDispatcher()
        case "broadcast":
            return BroadcastDispatcher()
        case "partition":
            return PartitionDispatcher(partitions, lambda event: (event, event % partitions))
        case unknown:
            pytest.fail(f"no dispatcher {unknown!r}")


def dispatcher_step(dispatcher: Dispatcher, step: dict[str, Any]) -> Dispatched:
    match step:
        case {"op": "subscribe", "consumer": consumer}:
            return dispatcher.subscribe(consumer, consumer, {"partition": consumer})
        case {"op": "ask", "consumer": consumer, "count": count}:
            return dispatcher.ask(consumer, count)
        case {"op": "cancel", "consumer": consumer}:
            return dispatcher.cancel(consumer)
        case {"op": "dispatch", "events": events}:
            return dispatcher.dispatch(tuple(events))
        case unknown:
            pytest.fail(f"no operation {unknown!r}")


def replay_producer(row: TraceRow) -> None:
    expected = recorded_steps(row)
    by_rules = model_steps(row)
    if row["shows_starved_buffer"]:
        expected = by_rules
    assert by_rules == expected
    assert core_steps(row) == expected


def recorded_steps(row: TraceRow) -> list[tuple[list[list[Any]], int]]:
    return [(step["out"], step["buffered"]) for step in row["steps"]]


def model_steps(row: TraceRow) -> list[tuple[list[list[Any]], int]]:
    model = ProducerModel(row["buffer_size"], row["buffer_keep"])
    return [(model.step(step["op"]), len(model.buffer)) for step in row["steps"]]


def core_steps(row: TraceRow) -> list[tuple[list[list[Any]], int]]:
    core = Producer(buffer_size=row["buffer_size"], buffer_keep=row["buffer_keep"])
    steps = []
    for step in row["steps"]:
        effects = producer_step(core, step["op"])
        out = [entry for effect in effects for entry in producer_entry(effect)]
        steps.append((out, len(core.buffer)))
    return steps


def producer_step(core: Producer, operation: list[Any]) -> Effects:
    match operation:
        case ["subscribe", tag]:
            return core.on_subscribe(f"consumer {tag}", tag, {})
        case ["ask", tag, count]:
            return core.on_ask(f"consumer {tag}", tag, count)
        case ["cancel", tag]:
            return core.on_cancel(tag, "done")
        case ["emit", events]:
            return core.emit(events)
        case unknown:
            pytest.fail(f"no operation {unknown!r}")


def producer_entry(effect: Effect) -> list[list[Any]]:
    match effect:
        case SendEvents(consumer, tag, events):
            assert consumer == f"consumer {tag}"
            return [["events", tag, list(events)]]
        case SendCancelled(_, tag, reason):
            return [["cancel", tag, reason]]
        case HandleDemand(count):
            return [["handle_demand", count]]
        case HandleCancel("consumer", kind, reason, _, _):
            return [["handle_cancel", kind, f":{reason}"]]
        case ReportDiscarded(count):
            return [["discarded", count]]
        case HandleSubscribe() | Warn():  # not recorded
            return []
        case _:
            pytest.fail(f"a producer decided {effect}")


def replay_consumer(row: TraceRow) -> None:
    core = Consumer()
    options = {
        "max_demand": row["max_demand"],
        "min_demand": row["min_demand"],
        "cancel": "temporary",
    }
    seen = consumer_entries(
        core, core.subscribe("producer", "tag", options, manual=row["mode"] == "manual")
    )
    assert seen == row["on_subscribe"]
    first = 0
    for number, step in enumerate(row["steps"]):
        events = tuple(range(first, first + step["sent"]))
        first += step["sent"]
        seen = consumer_entries(core, core.on_events("producer", "tag", events))
        for sort in ("handle_events", "ask"):  # recorded in two processes, so apart
            assert of_sort(seen, sort) == of_sort(step["out"], sort), f"step {number}"
        assert_asks_follow_work(seen)


def of_sort(entries: list[list[Any]], sort: str) -> list[list[Any]]:
    return [entry for entry in entries if entry[0] == sort]


def assert_asks_follow_work(entries: list[list[Any]]) -> None:
    """Each ask stands behind a batch of its own."""
    for before, entry in zip([[], *entries], entries, strict=False):
        assert entry[0] != "ask" or before[:1] == ["handle_events"]


def consumer_entries(core: Consumer, effects: Effects) -> list[list[Any]]:
    """What a shell that handles every batch at once does, in order."""
    seen: list[list[Any]] = []

    def perform(effect: Effect) -> Effects:
        match effect:
            case HandleEvents("producer", "tag", events):
                seen.append(["handle_events", list(events)])
                return core.handled()
            case SendAsk("producer", "tag", count):
                seen.append(["ask", count])
            case SendSubscribe() | Warn():  # not recorded
                pass
            case (
                HandleEvents()
                | SendAsk()
                | SendEvents()
                | SendCancel()
                | SendCancelled()
                | HandleSubscribe()
                | HandleDemand()
                | HandleCancel()
                | RefuseSubscription()
                | ReportDiscarded()
                | StopStage()
            ):
                pytest.fail(f"a consumer decided {effect}")
            case never:
                assert_never(never)
        return ()

    carry_out(effects, perform)
    return seen


def replay_split_batches(row: TraceRow) -> None:
    split = split_batches(row["events"], row["min"], row["max"], row["demand"])
    assert split.demand == row["new_demand"]
    assert [[batch.size, batch.ask] for batch in split.batches] == row["batches"]


def test_the_recorded_starved_buffer_is_served_in_order() -> None:
    rows = dict(numbered_rows(BUNDLED / "gen_stage_traces.jsonl"))
    row = rows[79]
    expected = recorded_steps(row)
    expected[14] = ([["events", 2, [18]]], 0)
    expected[15] = ([["discarded", 1]], 5)
    assert row["shows_starved_buffer"]
    assert row["buffer_keep"] == "last"
    assert [row["steps"][number]["op"] for number in (14, 15)] == [
        ["ask", 2, 1],
        ["emit", [19, 20, 21, 22, 23, 24]],
    ]
    assert core_steps(row) == expected


def test_only_one_bundled_row_shows_the_starved_buffer() -> None:
    rows = numbered_rows(BUNDLED / "gen_stage_traces.jsonl")
    assert [line for line, row in rows if row.get("shows_starved_buffer")] == [79]
