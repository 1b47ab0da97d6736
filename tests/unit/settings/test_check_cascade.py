"""Default plans, quiet hours and tenants: all faults are found at once, each with its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from hermes.settings.load import BadSettings, load

GOOD = """
[cascade]
default = [
  { steps = "sms" },
  { class = "otp", steps = "sms:30s,email" },
  { tenant = "acme", class = "otp", steps = "email:10s,sms:30s" },
]
[quiet]
enabled = true
begin = "20:30"
end = "09:00"
[[tenant]]
id = "acme"
channels = ["sms", "email"]
[[tenant]]
id = "other"
"""


def faults_of(folder: Path, text: str, **environ: str) -> list[str]:
    """Give what is said about a `hermes.toml`."""
    (folder / "hermes.toml").write_text(text)
    with pytest.raises(BadSettings) as caught:
        load(folder, environ)
    return [str(fault) for fault in caught.value.faults]


def test_right_ones_are_taken(tmp_path: Path) -> None:
    (tmp_path / "hermes.toml").write_text(GOOD)
    settings = load(tmp_path, {})
    assert [d.traffic for d in settings.cascade.default] == [None, "otp", "otp"]
    assert [t.channels for t in settings.tenant] == [("sms", "email"), None]
    assert settings.quiet.hours is not None


def test_quiet_hours_are_off_unless_somebody_wants_them() -> None:
    assert load(None, {}).quiet.hours is None


def test_every_fault_is_found_at_once_under_its_key(tmp_path: Path) -> None:
    steps = ",".join(["sms:1m"] * 11)
    text = f"""
[cascade]
default = [
  {{ steps = "fax:10s" }},
  {{ steps = "sms:0s,sms:100d", tenant = "A tenant" }},
  {{ steps = "sms:soon", tenant = "acme" }},
  {{ steps = "{steps}", tenant = "acme" }},
]
[quiet]
enabled = true
begin = "08:00"
end = "08:00"
[[tenant]]
id = "acme"
channels = ["sms", "fax"]
[[tenant]]
id = "acme"
"""
    found = faults_of(tmp_path, text)
    expected = [
        "cascade.default[0].steps: no channel 'fax'; expected channels with their waits",
        "cascade.default[1].tenant: must be * or a tenant's id",
        "cascade.default[1].steps: the wait of sms must be between 1 second and 7 days",
        "cascade.default[1].steps: the wait of sms must be between 1 second and 7 days",
        "cascade.default[2].steps: expected seconds as a number, or text such as",
        "cascade.default[3]: tenant and class are those of cascade.default[2]",
        "cascade.default[3].steps: has 11 steps, the limit is 10",
        "quiet.end: must differ from quiet.begin",
        "tenant[0].channels: no channel 'fax'; known: sms, email, push",
        "tenant[1].id: 'acme' is used twice",
    ]
    assert len(found) == len(expected)
    for said, wanted in zip(found, expected, strict=True):
        assert said.startswith(wanted)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[quiet]\nbegin = "25:00"', "quiet.begin"),
        ("[cascade]\ndefault_wait = 0", "cascade.default_wait"),
        ('[cascade]\ndefault = [{ steps = "sms", class = "urgent" }]', "cascade.default[0].class"),
        ("[cascade]\ndefault = [{}]", "cascade.default[0].steps"),
        ('[[tenant]]\nid = "A tenant"', "tenant[0].id"),
        ('[[tenant]]\nchannels = ["sms"]', "tenant[0].id"),
    ],
)
def test_a_value_that_cannot_be_is_named(tmp_path: Path, text: str, key: str) -> None:
    (said,) = faults_of(tmp_path, text)
    assert said.startswith(f"{key}: ")


def test_several_steps_need_an_engine(tmp_path: Path) -> None:
    text = '[cascade]\ndefault = [{ steps = "sms:30s,email" }]'
    (said,) = faults_of(tmp_path, text, HERMES_RESTATE__ENABLED="false")
    assert said == "cascade.default[0].steps: several steps need restate.enabled = true"
