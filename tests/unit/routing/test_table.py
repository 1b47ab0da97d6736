"""The longest prefix wins, a wanted carrier wins over all, prices go by their own prefix."""

from __future__ import annotations

from hermes.core.carrier import Bind, Carrier, Price
from hermes.core.units import Money
from hermes.routing.table import Route, RouteTable

BIND = (Bind(id="1", host="h", port=1, system_id="s"),)
DENMARK = Carrier(
    id="dk",
    bind=BIND,
    prefixes=("45",),
    price=(Price("45", "0.03", "EUR"), Price("4520", "0.05", "EUR")),
)
WORLD = Carrier(id="world", bind=BIND)
MAIL = Carrier(id="mail", kind="smtp")


def test_the_longest_prefix_wins() -> None:
    table = RouteTable((WORLD, DENMARK, MAIL))
    assert table.choose("+4512345678") == Route("dk", Money("0.03", "EUR"))
    assert table.choose("+4520345678") == Route("dk", Money("0.05", "EUR"))
    assert table.choose("+4912345678") == Route("world")


def test_a_wanted_carrier_wins_when_it_exists() -> None:
    table = RouteTable((WORLD, DENMARK))
    assert table.choose("+4512345678", "world") == Route("world")
    assert table.choose("+4512345678", "gone").carrier == "dk"


def test_a_number_nobody_takes_has_no_route() -> None:
    assert RouteTable((DENMARK,)).choose("+15551234567") == Route(None)
