"""Rows 7: two-step cascades through the whole daemon, plain, lazy, and at a steady rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bench.carrier import CarrierPlan
from bench.load_client import number_at, percentile
from bench.processes import hermes_sum
from bench.report import Figure, Row
from bench.stand import Options, Stand, Stopwatch, stand_of

TITLE = "Two-step cascades: undelivered, then delivered"
METHOD = (
    "{n} single POST /v1/messages with two SMS steps, the first of which comes back undelivered "
    "200 ms after its submit; {c} connections; one bind, window 50, carrier latency 0 ms; end: "
    "last `delivered` in the ledger"
)
PACED_METHOD = (
    "{n} of the same, one due every 10 ms; delay from when it was due to the first submit_sm, and "
    "from that to the second, in the simulator's log (200 ms of it is the receipt's)"
)
RATE = 100.0
SHARE = 5
"""A cascade costs about as much as so many messages: a row has fewer of them."""
LAZY: Mapping[str, str] = {"HERMES_RESTATE__LAZY_START": "true"}


def cascades(options: Options) -> Row:
    """Measure cascades as fast as they go."""
    return measure("7", TITLE, options, {})


def cascades_lazy(options: Options) -> Row:
    """Measure the same with the first step on the direct lane."""
    return measure("7l", f"{TITLE}; lazy start", options, LAZY)


def measure(name: str, title: str, options: Options, settings: Mapping[str, str]) -> Row:
    """Run one load to its end."""
    options = replace(options, count=options.count // SHARE, body="cascade")
    with stand_of(CarrierPlan(), options.progress, settings) as stand:
        stand.start_carrier()
        wait_registered(stand)
        watch = Stopwatch(stand.processes)
        result = stand.post_until("delivered", options)
        measured = watch.stop(result)
        ended = stand.ledger.last("delivered")
        errors = stand.faults(result, "delivered", "cascade")
        cpu = measured.cpu_ms(result.accepted, result)
        figures = (
            Figure(
                name="cascades",
                value=result.accepted / (ended - result.began),
                unit="/s",
                bar=120,
            ),
            Figure(name="CPU, all Hermes processes", value=hermes_sum(cpu), unit="ms/cascade"),
            Figure(name="CPU, Restate", value=cpu.get("Restate", 0.0), unit="ms/cascade"),
            Figure(name="accepted", value=result.rate, unit="/s"),
        )
    return Row(
        id=name,
        title=title,
        method=METHOD.format(n=options.count, c=options.connections),
        figures=figures,
        cpu_ms=cpu,
        around=measured.around,
        errors=tuple(errors),
    )


def cascades_paced(options: Options) -> Row:
    """Measure how long a step takes to go out when there is room for it."""
    options = replace(options, count=options.count // SHARE, body="cascade", rate=RATE)
    with stand_of(CarrierPlan(), options.progress) as stand:
        stand.start_carrier()
        wait_registered(stand)
        watch = Stopwatch(stand.processes)
        result = stand.post_until("delivered", options)
        measured = watch.stop(result)
        errors = stand.faults(result, "delivered", "cascade")
        cpu = measured.cpu_ms(result.accepted, result)
        first: dict[int, float] = {}
        second: dict[int, float] = {}
        for submit in stand.carrier.accepted():
            steps = first if submit.destination.endswith("3") else second
            steps[number_at(submit.destination)] = submit.at
        starts = sorted(1000 * (at - result.began - n / RATE) for n, at in first.items())
        goes_on = sorted(1000 * (second[n] - at) for n, at in first.items() if n in second)
        figures = tuple(
            Figure(name=f"{what} p{share:.0f}", value=percentile(values, share / 100), unit="ms")
            for what, values in (("first submit", starts), ("second submit", goes_on))
            for share in (50, 99)
        )
    return Row(
        id="7p",
        title=f"{TITLE}; 100/s",
        method=PACED_METHOD.format(n=options.count),
        figures=figures,
        cpu_ms=cpu,
        around=measured.around,
        errors=tuple(errors),
    )


def wait_registered(stand: Stand) -> None:
    """Wait until the bind is up and the engine knows the endpoint. Raises Stalled."""
    stand.wait_bound()

    def is_known() -> bool:
        found = stand.daemon.admin("/v1/cascades/versions")
        return bool(found and found.get("versions"))

    stand.wait("versions", lambda: 0, is_known)
