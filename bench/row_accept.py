"""Row 5: accepting alone: 202 after the ledger's commit, nothing leaves the belt."""

from __future__ import annotations

from bench.carrier import CarrierPlan
from bench.processes import hermes_sum
from bench.report import Figure, Row
from bench.stand import Options, Stopwatch, stand_of

TITLE = "Accept only, 202 after the commit"
METHOD = (
    "{n} single POST /v1/messages over {c} keep-alive connections, carrier down; intake takes them "
    "in and puts jobs on the belt meanwhile; CPU until all are on the belt"
)


def accept_only(options: Options) -> Row:
    """Measure the front half."""
    with stand_of(CarrierPlan(), options.progress) as stand:
        watch = Stopwatch(stand.processes)
        load = stand.preload(options)
        measured = watch.stop(load)
        errors = stand.faults(load, "accepted")
        cpu = measured.cpu_ms(load.accepted, load)
    figures = (
        Figure(name="accepted", value=load.rate, unit="/s"),
        Figure(name="HTTP p50", value=load.p50_ms, unit="ms"),
        Figure(name="HTTP p99", value=load.p99_ms, unit="ms"),
        Figure(name="refused 429/503", value=load.refused),
        Figure(name="CPU, all Hermes processes", value=hermes_sum(cpu), unit="ms/msg"),
    )
    return Row(
        id="5",
        title=TITLE,
        method=METHOD.format(n=options.count, c=options.connections),
        figures=figures,
        cpu_ms=cpu,
        around=measured.around,
        errors=tuple(errors),
    )
