"""Row 6: submits and receipts together on one bind, against the same load without receipts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.carrier import CarrierPlan, Submit
from bench.load_client import number_at, percentile
from bench.processes import hermes_sum
from bench.report import Figure, Row, Surroundings
from bench.stand import Options, Stopwatch, stand_of

RATE = 500.0
TITLE = "Submits and receipts on one bind, 500/s each"
METHOD = (
    "{n} single POST /v1/messages, one due every 2 ms; one bind, window 50, carrier latency 0 ms; "
    "delay from when a message was due to its submit_sm in the simulator's log; then all of it "
    "again with a receipt for each after 200 ms, whose CPU is shown"
)


@dataclass(frozen=True)
class Paced:
    """One run: delays in ms, sorted."""

    delays: Sequence[float]
    around: Surroundings
    cpu: dict[str, float]
    errors: Sequence[str]

    def percentile(self, share: float) -> float:
        """Give the delay that `share` of the messages stay below, in ms."""
        return percentile(self.delays, share)


def receipts_beside_submits(options: Options) -> Row:
    """Measure how much later a submit goes because receipts come in."""
    paced = replace(options, rate=RATE)
    alone = run(paced, has_receipts=False)
    both = run(paced, has_receipts=True)
    figures = (
        Figure(name="submit p50, without receipts", value=alone.percentile(0.5), unit="ms"),
        Figure(name="submit p50, with receipts", value=both.percentile(0.5), unit="ms"),
        Figure(name="submit p99, without receipts", value=alone.percentile(0.99), unit="ms"),
        Figure(name="submit p99, with receipts", value=both.percentile(0.99), unit="ms"),
        Figure(
            name="p99 grows by",
            value=both.percentile(0.99) - alone.percentile(0.99),
            unit="ms",
            bar=20.0,
            better="lower",
        ),
        Figure(name="CPU, all Hermes processes", value=hermes_sum(both.cpu), unit="ms/msg"),
    )
    return Row(
        id="6",
        title=TITLE,
        method=METHOD.format(n=options.count),
        figures=figures,
        cpu_ms=both.cpu,
        around=both.around,
        errors=(*alone.errors, *both.errors),
    )


def run(options: Options, *, has_receipts: bool) -> Paced:
    """Post at the rate until every message is final."""
    final = "delivered" if has_receipts else "sent"
    with stand_of(CarrierPlan(has_receipts=has_receipts), options.progress) as stand:
        stand.start_carrier()
        stand.wait_bound()
        watch = Stopwatch(stand.processes)
        result = stand.post_until(final, options)
        measured = watch.stop(result)
        errors = stand.faults(result, final)
        delays = delays_ms(stand.carrier.accepted(), result.began, options.rate)
    return Paced(delays, measured.around, measured.cpu_ms(result.accepted, result), errors)


def delays_ms(submits: Sequence[Submit], began: float, rate: float) -> list[float]:
    """Give how long after each message was due its submit came, sorted. Raises ValueError."""
    if not submits:
        raise ValueError("no submit_sm came")
    return sorted(1000 * (s.at - began - number_at(s.destination) / rate) for s in submits)
