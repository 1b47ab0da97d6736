"""A carrier profile says which binds a host holds and refuses keys it does not know."""

from __future__ import annotations

import msgspec
import pytest

from hermes.core.carrier import Bind, Carrier

BINDS = (
    Bind(id="a", host="smsc", port=2775, system_id="x", window=10),
    Bind(id="b", host="smsc", port=2775, system_id="x", window=5, hosts=("h2", "h3")),
)


def test_a_host_holds_the_binds_that_name_it_or_nobody() -> None:
    carrier = Carrier(id="sim", bind=BINDS)
    assert [b.id for b in carrier.binds_on("h1")] == ["a"]
    assert [b.id for b in carrier.binds_on("h2")] == ["a", "b"]
    assert carrier.window == 15


def test_a_carrier_without_binds_has_no_window() -> None:
    assert Carrier(id="sim").window == 0


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="max_rte"):
        msgspec.json.decode(b'{"id": "sim", "max_rte": 3}', type=Carrier)


def test_profiles_do_not_share_their_maps() -> None:
    assert Carrier(id="a").status_map is not Carrier(id="b").status_map
