"""What a message has cost so far, and whether one more attempt is within its bound."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from hermes.core.attempt import Attempt
from hermes.core.units import Money


def cost_of(price: Money | None, segments: int) -> Decimal:
    """Give the price of an attempt, nothing where none is known."""
    return Decimal(0) if price is None else Decimal(price.amount) * segments


def over_budget(
    bound: Money | None, attempts: Iterable[Attempt], price: Money | None, segments: int
) -> str:
    """Say why an attempt at `price` per segment is over the bound, "" if it is not.

    What was sent again counts again. A price in another currency cannot be compared.
    """
    if bound is None or price is None:
        return ""
    if price.currency != bound.currency:
        return f"the price is in {price.currency}, max_cost in {bound.currency}"
    spent = sum((cost_of(a.price, len(a.covered)) for a in attempts), Decimal(0))
    total = spent + cost_of(price, segments)
    if total <= Decimal(bound.amount):
        return ""
    return f"it would cost {total} {bound.currency} in all, max_cost is {bound.amount}"
