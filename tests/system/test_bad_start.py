"""A start or a question that cannot be: one sentence names the key, one exit code the kind."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hermes.cli.main import app
from hermes.embedded.data_dir import DataDirLock, create_data_dir
from hermes.testing.daemon_process import DaemonProcess, running_daemon
from tests.system.command_line import fails, one_sentence

pytestmark = pytest.mark.daemon

# Nothing of it is asked: it only spares the start a cluster of its own.
EXTERNAL = {"HERMES_POSTGRES__URL": "postgresql://x@localhost/x"}


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonProcess]:
    with running_daemon(EXTERNAL, start=False) as place:
        yield place


@pytest.fixture(scope="module")
def port() -> Iterator[str]:
    """A port of 127.0.0.1 that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield str(listener.getsockname()[1])


def test_every_fault_of_a_configuration_is_named_by_its_key(
    daemon: DaemonProcess, tmp_path: Path
) -> None:
    (tmp_path / "carriers").mkdir()
    (tmp_path / "hermes.toml").write_text(
        '[batch]\nitems = "x"\nwait = 0\n[htpp]\nport = 1\n[nats]\nack_wait = -1\n'
    )
    (tmp_path / "carriers" / "b.toml").write_text("[[carrier]\n")
    for command in (("run",), ("config", "check")):
        said = fails(daemon, 78, *command, "--config", str(tmp_path), HERMES_LOG__LEVEL="loud")
        keys = {line.strip().partition(": ")[0] for line in said.splitlines()[1:]}
        assert keys == {
            "batch.items",
            "batch.wait",
            "htpp",
            "log.level",
            "nats.ack_wait",
            f"{tmp_path}/carriers/b.toml",
        }
        assert "the configuration has 6 faults" in said


@pytest.mark.parametrize(
    "key", ["HTTP__PORT", "ADMIN__PORT", "ADMIN__ACTOR_PORT", "SIMULATOR__PORT"]
)
def test_a_port_in_use_is_74_and_named(daemon: DaemonProcess, port: str, key: str) -> None:
    said = fails(daemon, 74, "run", **{f"HERMES_{key}": port})
    assert f"{key.lower().replace('__', '.')}: port {port} on 127.0.0.1 is in use" in said


def test_a_second_daemon_on_the_same_data_is_75_and_names_the_first(
    daemon: DaemonProcess, port: str
) -> None:
    # a port in use as well, as it would be: the data directory comes first
    second = replace(daemon, env={**daemon.env, "HERMES_HTTP__PORT": port})
    with DataDirLock(create_data_dir(daemon.data)):
        done = second.run("run")
    assert done.returncode == 75
    assert f"in use by the daemon with pid {os.getpid()}" in one_sentence(done.stderr)


def test_a_full_disk_is_73(daemon: DaemonProcess, tmp_path: Path) -> None:
    env = {"HERMES_HOST__DATA_DIR": str(tmp_path / "data"), "HERMES_HOST__MIN_FREE_MB": "999999999"}
    assert "999999999 MB are needed" in fails(daemon, 73, "run", **env)


def test_progress_as_json_has_one_object_in_each_line(
    daemon: DaemonProcess, tmp_path: Path
) -> None:
    env = {"HERMES_HOST__DATA_DIR": str(tmp_path / "data"), "HERMES_HOST__MIN_FREE_MB": "999999999"}
    done = replace(daemon, env=env).run("run", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["part"] for line in lines] == ["carrier", "carrier"]
    assert all(line.keys() == {"after_s", "part", "text"} for line in lines)


@pytest.mark.parametrize("place", ["/proc/none/data", "/dev/null", "{file}/data", "{theirs}"])
def test_a_data_directory_that_cannot_be_used_is_73(
    daemon: DaemonProcess, tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "theirs").mkdir()
    if "theirs" in place:
        if os.geteuid() != 0:
            pytest.skip("only root can give a directory away")
        os.chown(tmp_path / "theirs", 65534, 65534)
    path = place.format(file=tmp_path / "file", theirs=tmp_path / "theirs")
    said = fails(daemon, 73, "run", HERMES_HOST__DATA_DIR=path)
    assert f"data directory {path} cannot be used" in said


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("ADMIN__SOCKET", "/none/admin.sock", "admin.socket: /none is missing"),
        ("ADMIN__SOCKET", "/tmp/" + "x" * 120, "is longer than 107 bytes"),
        ("LOG__FILE", "/none/hermes.log", "log.file: /none/hermes.log cannot be written"),
        ("LOG__FILE", "/", "log.file: / cannot be written"),
        ("HTTP__HOST", "192.0.2.1", "http.port: cannot listen on 192.0.2.1"),
    ],
)
def test_a_place_that_cannot_be_used_is_78_and_named(
    daemon: DaemonProcess, key: str, value: str, why: str
) -> None:
    assert why in fails(daemon, 78, "run", **{f"HERMES_{key}": value})


def test_a_configuration_folder_that_is_not_there_is_78(daemon: DaemonProcess) -> None:
    assert "/none does not exist" in fails(daemon, 78, "run", "--config", "/none")


# Commands


@pytest.mark.parametrize(
    "words", [("status",), ("tree", "--json"), ("send", "--to", "+4520000010", "--text", "hi")]
)
def test_without_a_daemon_every_question_is_69(
    daemon: DaemonProcess, tmp_path: Path, words: tuple[str, ...]
) -> None:
    said = fails(daemon, 69, *words, HERMES_HOST__DATA_DIR=str(tmp_path))
    assert "start one with `hermes run`" in said


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("run",),
        ("send",),
        ("status",),
        ("tree",),
        ("version",),
        ("config",),
        ("config", "check"),
    ],
)
def test_every_command_explains_itself_and_its_exit_codes(words: tuple[str, ...]) -> None:
    said = CliRunner().invoke(app, [*words, "--help"])
    assert said.exit_code == 0
    assert re.search(r"Exit\s+codes:\s+0\s+done;", said.stdout)


def test_the_simulator_explains_itself_and_its_exit_codes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from hermes.simulator.cli import main

    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "exit codes: 0 ended by a signal" in capsys.readouterr().out
