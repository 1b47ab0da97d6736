"""Row 2: a belt full of jobs, then the bind comes up: how fast the back half drains it."""

from __future__ import annotations

from bench.carrier import CarrierPlan, rate_of
from bench.processes import hermes_sum
from bench.report import Figure, Row
from bench.stand import Options, Stopwatch, stand_of

TITLE = "Preloaded belt drained"
METHOD = (
    "{n} messages accepted and on the belt while the carrier is down; then one bind, window 50, "
    "latency 0 ms, receipts after 200 ms; CPU from the carrier's start to the last `delivered`"
)


def preloaded(options: Options) -> Row:
    """Measure the way from the belt to the recorded receipt."""
    with stand_of(CarrierPlan(), options.progress) as stand:
        load = stand.preload(options)
        stand.start_carrier()
        watch = Stopwatch(stand.processes)
        stand.wait_final("delivered", load.accepted)
        measured = watch.stop()
        ended = stand.ledger.last("delivered")
        errors = stand.faults(load, "delivered")
        submits = stand.carrier.accepted()
        cpu = measured.cpu_ms(load.accepted)
    figures = (
        Figure(name="delivered", value=len(submits) / (ended - submits[0].at), unit="/s"),
        Figure(name="submit_sm", value=rate_of(submits), unit="/s"),
        Figure(name="CPU, all Hermes processes", value=hermes_sum(cpu), unit="ms/msg"),
    )
    return Row(
        id="2",
        title=TITLE,
        method=METHOD.format(n=options.count),
        figures=figures,
        cpu_ms=cpu,
        around=measured.around,
        errors=tuple(errors),
    )
