"""Settings: read from text, changed while running, refused with field and rule."""

from __future__ import annotations

import pytest

from hermes.simulator.message_id import IdForm
from hermes.simulator.profile import LIVE, Account, Profile, changed, new_profile, shown
from hermes.simulator.refusal import Refusal
from hermes.simulator.throughput import CapKind


def test_options_are_read_from_text() -> None:
    profile = new_profile(
        {
            "port": "0",
            "tps": "20",
            "tps_kind": "sliding",
            "receipt_id_form": "hex-upper",
            "accounts": [{"system_id": "a", "password": "b"}],
        }
    )
    assert profile == Profile(
        port=0,
        tps=20,
        tps_kind=CapKind.sliding,
        receipt_id_form=IdForm.hex_upper,
        accounts=(Account("a", "b"),),
    )


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"latency_ms": -1}, "latency_ms", "expected `float` >= 0.0"),
        ({"latency_ms": "5"}, "latency_ms", "expected `float`, got `str`"),
        ({"tps_kind": "leaky"}, "tps_kind", "invalid enum value 'leaky'"),
        ({"port": 1}, "port", "is fixed at the start"),
        ({"colour": 1}, "colour", "no such field"),
        ({"mix": "DELIVRD=1"}, "mix", "the shares add up to 1, not 100"),
    ],
)
def test_a_wrong_change_names_the_field_and_the_rule(
    changes: dict[str, object], field: str, rule: str
) -> None:
    with pytest.raises(Refusal) as refusal:
        changed(Profile(), changes)
    assert (refusal.value.field, refusal.value.rule) == (field, rule)


def test_a_live_setting_can_be_changed() -> None:
    assert changed(Profile(), {"latency_ms": 50, "tps": 3.5}) == Profile(latency_ms=50, tps=3.5)


def test_what_is_fixed_and_what_is_live_is_settled() -> None:
    assert set(Profile.__struct_fields__) - LIVE == {
        "host",
        "port",
        "control_port",
        "system_id",
        "tls_cert",
        "tls_key",
        "tls_client_ca",
        "accounts",
        "init_timeout_ms",
        "first_id",
        "seed",
        "log",
        "log_memory",
    }


def test_passwords_are_not_shown() -> None:
    values = shown(Profile(accounts=(Account("a", "secret"),)))
    assert values["accounts"] == ["a"]
    assert "secret" not in repr(values)
