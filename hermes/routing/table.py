"""The route table: the carrier whose prefix matches a number longest, and its price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hermes.core.carrier import Carrier
from hermes.core.channel import CHANNELS
from hermes.core.units import Channel, Money


@dataclass(frozen=True, slots=True)
class Route:
    """The carrier chosen (None: no carrier takes this number) and its price per segment."""

    carrier: str | None
    price: Money | None = None


class RouteTable:
    """Carriers of each channel by longest prefix; among equals the first configured."""

    def __init__(self, carriers: Sequence[Carrier]) -> None:
        self.carriers = {
            channel: {c.id: c for c in carriers if c.kind in spec.served_by and serves(c, channel)}
            for channel, spec in CHANNELS.items()
        }
        self.rows = {
            channel: sorted(
                ((prefix, c) for c in found.values() for prefix in c.prefixes),
                key=lambda row: -len(row[0]),
            )
            for channel, found in self.carriers.items()
        }

    def offers(self, channel: Channel) -> bool:
        """Say whether any carrier serves a channel."""
        return bool(self.carriers.get(channel))

    def choose(self, to: str, wanted: str | None = None, channel: Channel = "sms") -> Route:
        """Choose for a recipient; `wanted` names a carrier and wins when it serves the channel."""
        address = to.removeprefix("+")
        found = self.carriers.get(channel, {})
        if wanted is not None and wanted in found:
            return self.route(found[wanted], address)
        for prefix, carrier in self.rows.get(channel, ()):
            if address.startswith(prefix):
                return self.route(carrier, address)
        return Route(None)

    @staticmethod
    def route(carrier: Carrier, address: str) -> Route:
        """Price a recipient at a carrier: its longest matching prefix."""
        fitting = [p for p in carrier.price if address.startswith(p.prefix)]
        best = max(fitting, key=lambda p: len(p.prefix), default=None)
        return Route(carrier.id, None if best is None else Money(best.amount, best.currency))


def serves(carrier: Carrier, channel: Channel) -> bool:
    """Say whether a carrier serves a channel; a provider's account will name its own."""
    return carrier.kind != "provider" or channel in carrier.channels
