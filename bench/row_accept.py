"""Row 5: accepting alone: 202 after the ledger's commit, nothing leaves the belt."""

from __future__ import annotations

from dataclasses import replace

from msgspec.structs import replace as replace_struct

from bench.carrier import CarrierPlan
from bench.processes import hermes_sum
from bench.report import Figure, Row
from bench.stand import Options, Stopwatch, stand_of

TITLE = "Accept only, 202 after the commit"
METHOD = (
    "{n} single POST /v1/messages over {c} keep-alive connections, carrier down; intake takes them "
    "in and puts jobs on the belt meanwhile; CPU until all are on the belt"
)


BATCH = 100
BATCH_TITLE = "Accept only, batches of 100"
BATCH_METHOD = "the same by POST /v1/messages/batch, 100 messages a request"
BATCH_BAR = 10_000.0


def accept_batches(options: Options) -> Row:
    """Measure the front half with a hundred messages in each request."""
    row = accept_only(replace(options, batch=BATCH, connections=min(options.connections, 10)))
    rate = replace_struct(row.figures[0], bar=BATCH_BAR)
    return replace_struct(
        row, id="5b", title=BATCH_TITLE, method=BATCH_METHOD, figures=(rate, *row.figures[1:])
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
