"""`hermes carrier check` binds, sends nothing, and says what the peer said."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hermes.cli.main import app
from hermes.testing.carrier_control import ask_carrier
from hermes.testing.daemon_process import CarrierProcess, pause, running_carrier


@pytest.fixture(scope="module")
def peer() -> Iterator[CarrierProcess]:
    with running_carrier(account="hermes:right", max_sessions=1) as running:
        yield running


@pytest.fixture(params=["aiosmpplib", "native"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def check(peer: CarrierProcess, *words: str, engine: str, password: str = "right") -> Result:
    """Run it for the carrier acme, which is this peer."""
    folder = peer.configure(carrier="acme")
    path = folder / "carriers" / "acme.toml"
    bind = f'engine = "{engine}"\npassword = {{ env = "ACME_PASSWORD" }}\n'
    path.write_text(path.read_text() + bind)
    env = {"HERMES_CONFIG": str(folder), "ACME_PASSWORD": password}
    return CliRunner().invoke(app, ["carrier", "check", *words], env=env)


def test_a_carrier_that_binds_is_told_with_its_name_and_its_times(
    peer: CarrierProcess, engine: str
) -> None:
    done = check(peer, "acme", engine=engine)
    assert done.exit_code == 0, done.output
    head, bound, asked = done.stdout.splitlines()
    assert head.startswith(f"carrier acme, bind 1: 127.0.0.1:{peer.port} as hermes (trx, in the")
    assert "the peer calls itself 'sim'" in bound
    assert asked.endswith("ms, unbound")
    (report,) = json.loads(check(peer, "acme", "--json", engine=engine).stdout)["binds"]
    assert (report["is_bound"], report["peer"], report["engine"]) == (True, "sim", engine)
    assert report["rtt_ms"] > 0
    assert not [line for line in peer.log() if line["event"] == "submit"]
    deadline = time.monotonic() + 5
    while peer.log()[-1]["event"] != "unbind":
        assert time.monotonic() < deadline
        pause(0.01)


def test_what_the_carrier_delivers_meanwhile_stays_with_it(
    peer: CarrierProcess, engine: str
) -> None:
    assert check(peer, "acme", engine=engine).exit_code == 0
    ask_carrier(peer.control, "POST", "/mo", source="4510", destination="1234", text="hi")
    done = check(peer, "acme", engine=engine)
    assert "  1 deliveries were left with the carrier" in done.stdout
    ask_carrier(peer.control, "POST", "/reset")


def test_a_wrong_password_is_told_with_what_to_do(peer: CarrierProcess, engine: str) -> None:
    done = check(peer, "acme", engine=engine, password="wrong")
    assert done.exit_code == 1
    assert "not bound: bind refused: ESME_RINVPASWD (0x0000000e)" in done.stdout
    assert "carriers lock accounts" in done.stdout


def test_nobody_listening_is_told(peer: CarrierProcess, engine: str, tmp_path: Path) -> None:
    (tmp_path / "carriers").mkdir()
    (tmp_path / "carriers" / "acme.toml").write_text(
        '[[carrier]]\nid = "acme"\n[[carrier.bind]]\nid = "1"\nhost = "127.0.0.1"\nport = 1\n'
        f'system_id = "x"\ntls = {{ insecure = true }}\nengine = "{engine}"\n'
    )
    env = {"HERMES_CONFIG": str(tmp_path)}
    done = CliRunner().invoke(app, ["carrier", "check", "acme"], env=env)
    assert done.exit_code == 1
    assert "not bound: Connection refused" in done.stdout


def test_a_carrier_nobody_configured_is_named_with_those_there_are(peer: CarrierProcess) -> None:
    done = check(peer, "other", engine="native")
    assert done.exit_code == 1
    assert done.stderr == "hermes: no carrier other is configured; configured: acme\n"
