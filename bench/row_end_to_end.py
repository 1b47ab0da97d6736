"""Row 1: from the first HTTP request to the last receipt recorded as delivered."""

from __future__ import annotations

from bench.carrier import CarrierPlan, rate_of
from bench.ledger import PARKED
from bench.processes import hermes_sum
from bench.report import Figure, Row
from bench.stand import Options, Stopwatch, stand_of

TITLE = "HTTP, submit_sm, receipt, recorded as delivered"
METHOD = (
    "{n} single POST /v1/messages over {c} keep-alive connections; one bind, window 50, carrier "
    "latency 0 ms, receipts after 200 ms; end: last `delivered` in the ledger; no callback"
)


def end_to_end(options: Options) -> Row:
    """Measure the whole way of a message."""
    with stand_of(CarrierPlan(), options.progress) as stand:
        stand.start_carrier()
        watch = Stopwatch(stand.processes)
        result = stand.post_until("delivered", options)
        measured = watch.stop(result)
        ended = stand.ledger.last("delivered")
        parked = stand.ledger.number(PARKED)
        errors = stand.faults(result, "delivered")
        cpu = measured.cpu_ms(result.accepted, result)
        figures = (
            Figure(
                name="end to end",
                value=result.accepted / (ended - result.began),
                unit="/s",
                bar=600,
            ),
            Figure(
                name="CPU, all Hermes processes",
                value=hermes_sum(cpu),
                unit="ms/msg",
                bar=0.9,
                better="lower",
            ),
            Figure(name="CPU, with the services", value=sum(services(cpu)), unit="ms/msg"),
            Figure(name="accepted", value=result.rate, unit="/s"),
            Figure(name="submit_sm", value=rate_of(stand.carrier.accepted()), unit="/s"),
            Figure(name="HTTP p50", value=result.p50_ms, unit="ms"),
            Figure(name="HTTP p99", value=result.p99_ms, unit="ms"),
            Figure(name="refused 429/503", value=result.refused),
            Figure(name="parked, belt full", value=parked),
        )
    return Row(
        id="1",
        title=TITLE,
        method=METHOD.format(n=options.count, c=options.connections),
        figures=figures,
        cpu_ms=cpu,
        around=measured.around,
        errors=tuple(errors),
    )


def services(cpu: dict[str, float]) -> list[float]:
    """Give the CPU of everything but carrier and client, which others bring along."""
    return [value for kind, value in cpu.items() if kind not in ("simulator", "client")]
