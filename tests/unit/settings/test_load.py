"""Configuration: every fault at once, each with its key; the environment wins over files."""

from __future__ import annotations

from pathlib import Path

import pytest

from hermes.settings.load import BadSettings, load

CARRIER = """
[[carrier]]
id = "acme"
[[carrier.bind]]
id = "a"
host = "smsc.example"
port = 2775
system_id = "us"
password = { env = "ACME_PASSWORD" }
"""


def faults_of(folder: Path | None = None, **environ: str) -> list[str]:
    """Load and give the faults as lines."""
    with pytest.raises(BadSettings) as caught:
        load(folder, environ)
    return [str(fault) for fault in caught.value.faults]


def test_no_file_at_all_is_embedded_mode_with_the_simulator() -> None:
    settings = load(None, {})
    assert settings.is_simulated
    assert settings.host.id is not None
    assert settings.nats.url is None


def test_a_real_carrier_turns_the_simulator_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_PASSWORD", "s3cret")
    (tmp_path / "carriers").mkdir()
    (tmp_path / "carriers" / "acme.toml").write_text(CARRIER)
    settings = load(tmp_path, {})
    assert not settings.is_simulated
    assert settings.carrier[0].bind[0].password == "s3cret"
    assert not settings.carrier[0].bind[0].tls.insecure


def test_the_environment_overrides_any_key() -> None:
    settings = load(None, {"HERMES_HTTP__PORT": "9000", "HERMES_NATS__URL": "nats://a:4222"})
    assert settings.http.port == 9000
    assert settings.nats.url == "nats://a:4222"


def test_all_faults_come_at_once_with_their_keys() -> None:
    lines = faults_of(HERMES_HTTP__PORT="x", HERMES_CLOCK__TICK="-1", HERMES_NO__SUCH="1")
    assert [line.split(":")[0] for line in lines] == ["clock.tick", "http.port", "no"] or {
        line.split(":")[0] for line in lines
    } == {"clock.tick", "http.port", "no"}


def test_a_bare_password_is_refused_because_secrets_are_references(tmp_path: Path) -> None:
    (tmp_path / "hermes.toml").write_text(CARRIER.replace('{ env = "ACME_PASSWORD" }', '"bare"'))
    (line,) = faults_of(tmp_path)
    assert line.startswith("carrier[0].bind[0].password: secrets are references")


def test_a_missing_secret_names_the_variable(tmp_path: Path) -> None:
    (tmp_path / "hermes.toml").write_text(CARRIER.replace("ACME_PASSWORD", "NOT_SET_ANYWHERE"))
    (line,) = faults_of(tmp_path)
    assert line == ("carrier[0].bind[0].password: environment variable NOT_SET_ANYWHERE is not set")


def test_a_file_that_is_not_toml_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "hermes.toml").write_text("[http\n")
    (line,) = faults_of(tmp_path)
    assert line.startswith(str(tmp_path / "hermes.toml"))


def test_doubled_ids_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_PASSWORD", "x")
    (tmp_path / "hermes.toml").write_text(CARRIER + CARRIER)
    (line,) = faults_of(tmp_path)
    assert line == "carrier[1].id: 'acme' is used twice"


def test_a_required_key_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "hermes.toml").write_text('[[carrier]]\nkind = "smpp"\n')
    assert faults_of(tmp_path) == ["carrier[0].id: required, and missing"]
