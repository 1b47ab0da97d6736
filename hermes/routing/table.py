"""The route table: the carrier whose prefix matches a number longest, and its price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hermes.core.carrier import Carrier
from hermes.core.units import Money


@dataclass(frozen=True, slots=True)
class Route:
    """The carrier chosen (None: no carrier takes this number) and its price per segment."""

    carrier: str | None
    price: Money | None = None


class RouteTable:
    """Carriers of kind smpp by longest prefix; among equals the first configured."""

    def __init__(self, carriers: Sequence[Carrier]) -> None:
        self.carriers = {c.id: c for c in carriers if c.kind == "smpp"}
        rows = [(prefix, c) for c in self.carriers.values() for prefix in c.prefixes]
        self.rows = sorted(rows, key=lambda row: -len(row[0]))

    def choose(self, to: str, wanted: str | None = None) -> Route:
        """Choose for an E.164 number; `wanted` names a carrier and wins when it exists."""
        digits = to.removeprefix("+")
        if wanted is not None and wanted in self.carriers:
            return self.route(self.carriers[wanted], digits)
        for prefix, carrier in self.rows:
            if digits.startswith(prefix):
                return self.route(carrier, digits)
        return Route(None)

    @staticmethod
    def route(carrier: Carrier, digits: str) -> Route:
        """Price a number at a carrier: its longest matching prefix."""
        fitting = [p for p in carrier.price if digits.startswith(p.prefix)]
        best = max(fitting, key=lambda p: len(p.prefix), default=None)
        return Route(carrier.id, None if best is None else Money(best.amount, best.currency))
