"""Row 3: binds against a carrier that takes 50 ms for each answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from bench.carrier import CarrierPlan, rate_of
from bench.processes import hermes_sum
from bench.report import Figure, Row
from bench.stand import Options, Stopwatch, stand_of

LATENCY_MS = 50.0
METHOD = (
    "{n} messages on the belt before the bind comes up; submit_sm answered after 50 ms; rate from "
    "the simulator's log, first to last submit_sm; {r}"
)


@dataclass(frozen=True)
class Case:
    """A window and binds, with what they must reach; the ceiling is binds * window / latency."""

    id: str
    window: int
    bar: float | None
    has_receipts: bool
    count: int
    binds: int = 1
    engine: str = "aiosmpplib"

    @property
    def title(self) -> str:
        """What the row is called."""
        receipts = ", with receipts" if self.has_receipts else ""
        binds = "One bind" if self.binds == 1 else f"{self.binds} binds"
        return f"{binds} ({self.engine}), carrier 50 ms, window {self.window}{receipts}"


CASES = (
    Case("3a", 10, 190.0, has_receipts=False, count=2_000),
    Case("3b", 50, 900.0, has_receipts=False, count=8_000),
    Case("3c", 50, None, has_receipts=True, count=8_000),
    Case("3d", 10, 190.0, has_receipts=False, count=2_000, engine="native"),
    Case("3e", 50, 900.0, has_receipts=False, count=8_000, engine="native"),
    Case("3f", 10, None, has_receipts=False, count=12_000, binds=10),
)


def through_binds(case: Case) -> Callable[[Options], Row]:
    """Give the row of a case."""

    def row(options: Options) -> Row:
        count = case.count // 10 if options.is_quick else case.count
        return measure(case, replace(options, count=count))

    return row


def measure(case: Case, options: Options) -> Row:
    """Drain a preloaded belt through the window."""
    plan = CarrierPlan(
        case.window,
        LATENCY_MS,
        has_receipts=case.has_receipts,
        binds=case.binds,
        engine=case.engine,
    )
    final = "delivered" if case.has_receipts else "sent"
    with stand_of(plan, options.progress) as stand:
        load = stand.preload(options)
        stand.start_carrier()
        watch = Stopwatch(stand.processes)
        stand.wait_final(final, load.accepted)
        measured = watch.stop()
        deepest = stand.carrier.max_in_flight()
        errors = stand.faults(load, final)
        submits = stand.carrier.accepted()
        cpu = measured.cpu_ms(load.accepted)
    ceiling = 1000 * case.binds * case.window / LATENCY_MS
    figures = (
        Figure(name="submit_sm_resp", value=rate_of(submits), unit="/s", bar=case.bar),
        Figure(name="middle 80 %", value=rate_of(submits, 0.8), unit="/s"),
        Figure(name="ceiling", value=ceiling, unit="/s"),
        Figure(name="most in flight", value=deepest),
        Figure(name="CPU, all Hermes processes", value=hermes_sum(cpu), unit="ms/msg"),
    )
    receipts = "receipts after 200 ms" if case.has_receipts else "no receipts"
    return Row(
        id=case.id,
        title=case.title,
        method=METHOD.format(n=load.accepted, r=receipts),
        figures=figures,
        cpu_ms=cpu,
        around=measured.around,
        errors=tuple(errors),
    )
