"""config/hermes.toml documents every key with its true default; the sample carrier is right."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

import msgspec
import pytest

from hermes.core.carrier import Bind, Carrier, RelayAccount
from hermes.settings.load import load
from hermes.settings.tree import Settings

DOMAIN = {"HERMES_MAIL__DOMAIN": "bounce.acme.example"}
CONFIG = Path(__file__).parents[3] / "config"


def test_the_documented_defaults_are_the_defaults() -> None:
    assert load(CONFIG, {}) == load(None, {})


def test_every_key_is_documented() -> None:
    text = re.sub(r"(?m)^# (\w+ = )", r"\1", (CONFIG / "hermes.toml").read_text())
    documented = tomllib.loads(text)
    for section in msgspec.structs.fields(Settings):
        if section.name not in ("carrier", "tenant"):
            names = {f.name for f in msgspec.structs.fields(type(section.default))}
            assert set(documented[section.name]) == names


def test_the_sample_carrier_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_PASSWORD", "a long password")
    (tmp_path / "carriers").mkdir()
    shutil.copy(CONFIG / "carriers/example.toml.sample", tmp_path / "carriers/acme.toml")
    (carrier,) = load(tmp_path, {}).carrier
    assert carrier.binds_on("any")[0].password == "a long password"


def test_the_sample_carrier_shows_every_key() -> None:
    text = (CONFIG / "carriers/example.toml.sample").read_text()
    profile, bind = text.split("[[carrier.bind]]")
    for part, kind in ((profile, Carrier), (bind, Bind)):
        shown = set(re.findall(r"(?m)^(?:# )?(\w+) = ", part))
        wanted = {field.name for field in msgspec.structs.fields(kind)}
        assert shown == wanted - {"bind", "relay", "simulator"}


def test_the_sample_relay_loads_and_shows_every_key_of_its_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "a long password")
    (tmp_path / "carriers").mkdir()
    shutil.copy(CONFIG / "carriers/mail.toml.sample", tmp_path / "carriers/mail.toml")
    (carrier,) = load(tmp_path, DOMAIN).carrier
    relay = carrier.relay_on("any")
    assert relay is not None
    assert (relay.password, carrier.window) == ("a long password", relay.connections)
    text = (CONFIG / "carriers/mail.toml.sample").read_text().split("[carrier.relay]")[1]
    shown = re.findall(r"(?m)^(?:# )?(\w+) = ", text)
    assert shown == [field.name for field in msgspec.structs.fields(RelayAccount)]


def test_the_sample_relay_is_right_with_every_key_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "a long password")
    (tmp_path / "carriers").mkdir()
    text = (CONFIG / "carriers/mail.toml.sample").read_text()
    shown = re.sub(r"(?m)^# (\w+ = )", r"\1", text)
    (tmp_path / "carriers/mail.toml").write_text(shown)
    (carrier,) = load(tmp_path, DOMAIN).carrier
    assert carrier.status_map["4.7.*"] == "retry"
